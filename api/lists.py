"""Lists over the read models: cursor pages with `Link` (RFC 8288)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import msgspec
from flask import Response, request

from api.context import caller, fresh, services
from api.operations import LedgerBlueprint, Operation
from api.responses import MOST_POSITION, conditional, wanted_position
from api.vocabulary import MIN_POSITION
from ledger.command import AUDITORS, CLERKS, MONEY
from ledger.errors import Malformed
from ledger.fields import Field, Id, Month, Text, Whole
from ledger.months import closings
from ledger.questions import once_more
from ledger.rules.instants import show
from ledger.rules.money import show_amount
from ledger.store import Store
from ledger.texts import text
from ledger.visibility import shown
from projections import balances, billing, declines, tickets

_DEFAULT_LIMIT = 50
_INSTANTS = {
    "at", "next_due", "period_until", "opened_at", "due_at", "responded_at", "waiting_since", "resolved_at",
    "final_at", "occurred_at", "recorded_at", "declined_at",
}  # fmt: skip

Rows = list[dict[str, Any]]
Query = Callable[[Store, dict[str, Any], Any, int], Rows]


_ACCOUNT = Field("account", Id(), required=False)
_PAGE = (
    Field("limit", Whole(1, 200), required=False),
    Field("cursor", Text(400), required=False),
    MIN_POSITION,
)


@dataclass(frozen=True)
class Listing:
    """A list over one read model; `key` is the column whose order its pages follow."""

    name: str
    model: str
    key: str
    query: Query
    filters: tuple[Field, ...] = field(default=())
    roles: frozenset[str] = CLERKS | AUDITORS

    def following(self, row: dict[str, Any]) -> str:
        """Return the cursor of the page behind `row`."""
        return base64.urlsafe_b64encode(msgspec.json.encode(row[self.key])).decode().rstrip("=")

    def behind(self, cursor: str | None) -> Any:
        """Return the key behind which a page begins; Malformed for a cursor that is not ours."""
        by_position = self.key == "position"
        if cursor is None:
            return 0 if by_position else ""
        try:
            found = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
            return Whole(0, MOST_POSITION).parse(found, "") if by_position else Text(200).parse(found, "")
        except (binascii.Error, msgspec.MsgspecError, ValueError, Malformed):
            raise Malformed("cursor", cursor, "remedy_cursor") from None


def blueprint() -> LedgerBlueprint:
    """Return the blueprint of the lists."""
    blp = LedgerBlueprint("lists")
    for listing in (
        Listing("accounts", "balances", "account", _accounts, (Field("search", Text(200), required=False),)),
        Listing("tickets", "tickets", "ticket", _tickets, (_ACCOUNT,)),
        Listing("declines", "declines", "position", _declines, (_ACCOUNT,)),
        Listing(
            "billing-entries",
            "billing",
            "position",
            _entries,
            (_ACCOUNT, Field("month", Month(), False)),
            MONEY | AUDITORS,
        ),
    ):
        _add(blp, listing)
    return blp


def _accounts(read: Store, values: dict[str, Any], after: Any, limit: int) -> Rows:
    ledger = services().ledger
    now = ledger.clock.now()
    found = balances.accounts(read, after=after, limit=limit, search=values.get("search") or "")
    return [balances.as_of_now(ledger, row, now) for row in found]


def _tickets(read: Store, values: dict[str, Any], after: Any, limit: int) -> Rows:
    account, who = values.get("account") or "", caller()
    # An agent serves any customer, and looks over their own cases: not over everybody's.
    holder = who.by if who.role == "agent" and not account else ""
    return tickets.tickets(read, account=account, holder=holder, after=after, limit=limit)


def _declines(read: Store, values: dict[str, Any], after: Any, limit: int) -> Rows:
    return declines.declines(read, account=values.get("account") or "", after=after, limit=limit)


def _entries(read: Store, values: dict[str, Any], after: Any, limit: int) -> Rows:
    account, month = values.get("account") or "", values.get("month") or ""
    ledger = services().ledger
    closed, zone = closings(ledger.store), ledger.catalogue.zone
    return billing.entries(read, closed, zone=zone, account=account, month=month, after=after, limit=limit)


def _add(blp: LedgerBlueprint, listing: Listing) -> None:
    def view(values: dict[str, Any]) -> Response:
        after = listing.behind(values.get("cursor"))
        limit = values.get("limit") or _DEFAULT_LIMIT

        def found() -> Rows:
            projector = fresh(wanted_position(values.get("min_position")), (listing.model,))
            return listing.query(projector.read, values, after, limit + 1)

        rows = once_more(found)
        following = listing.following(rows[limit - 1]) if len(rows) > limit else None
        items = [shown(identifier, _shown(row), caller()) for row in rows[:limit]]
        facts = [{k: v for k, v in item.items() if k != "at"} for item in items]
        response = conditional({"items": items, "next": following}, [facts, following])
        if following is not None:
            kept = {k: v for k, v in request.args.items() if k != "cursor"}
            response.headers["Link"] = f'<{request.path}?{urlencode({**kept, "cursor": following})}>; rel="next"'
        return response

    identifier = f"list_{listing.name.replace('-', '_')}"
    operation = Operation(
        id=identifier,
        name=listing.name,
        method="GET",
        path=f"/{listing.name}",
        fields=(*listing.filters, *_PAGE),
        roles=listing.roles,
        tag=listing.name if listing.name in ("accounts", "tickets") else "reports",
        answer=identifier,
        summary=text(f"http_{identifier}", "en"),
    )
    blp.operation(operation, view)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as the API shows it: instants with an offset, money as text, nothing where there is none."""
    zone = row.pop("zone", None) or services().ledger.catalogue.zone
    shown: dict[str, Any] = {}
    for name, value in row.items():
        if name in _INSTANTS and value:
            shown[name] = show(value, zone) if value < "9000" else None
        elif name in ("amount", "assumed"):
            shown[name] = show_amount(value)
        else:
            shown["grant" if name == "grant_id" else name] = None if value == "" else value
    return shown
