"""Lists and reports over the read models: cursor pages with `Link` (RFC 8288), and compliance."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import msgspec
from flask import Response, request

from api.context import caller, fresh, services
from api.describe import PROBLEMS, answered, question_parameters
from api.schemas import schema
from api.vocabulary import MIN_POSITION, LedgerBlueprint, allow, conditional, wanted_position
from ledger.commands import CLERKS, MONEY
from ledger.errors import Malformed
from ledger.fields import Date, Field, Flag, Id, Text, Whole
from ledger.rules.instants import show
from ledger.rules.money import show_amount
from ledger.store import Store
from projections import balances, billing, compliance, declines, tickets

_LIMIT = Field("limit", Whole(1, 200), required=False)
_CURSOR = Field("cursor", Text(400), required=False)
_ACCOUNT = Field("account", Id(), required=False)
_MONTH = Field("month", Text(7), required=False)
_DEFAULT_LIMIT = 50
_INSTANTS = {
    "at", "next_due", "period_until", "opened_at", "due_at", "responded_at", "waiting_since", "resolved_at",
    "final_at", "occurred_at", "recorded_at", "declined_at",
}  # fmt: skip

Rows = list[dict[str, Any]]
Query = Callable[[Store, dict[str, Any], Any, int], Rows]


def blueprint() -> LedgerBlueprint:
    """Return the blueprint of the lists and the compliance report."""
    blp = LedgerBlueprint("lists", __name__, url_prefix="/v1", description="Lists and reports over read models")
    _add(blp, "/accounts", "accounts", "balances", (), CLERKS, "account", _accounts)
    _add(blp, "/tickets", "tickets", "tickets", (_ACCOUNT,), CLERKS, "ticket", _tickets)
    _add(blp, "/declines", "declines", "declines", (_ACCOUNT,), CLERKS, "position", _declines)
    _add(blp, "/billing-entries", "billing_entries", "billing", (_ACCOUNT, _MONTH), MONEY, "position", _entries)
    _add_report(blp)
    return blp


def _accounts(read: Store, values: dict[str, Any], after: Any, limit: int) -> Rows:
    ledger = services().ledger
    now = ledger.clock.now()
    return [balances.as_of_now(ledger, row, now) for row in balances.accounts(read, after=after or "", limit=limit)]


def _tickets(read: Store, values: dict[str, Any], after: Any, limit: int) -> Rows:
    return tickets.tickets(read, account=values.get("account") or "", after=after or "", limit=limit)


def _declines(read: Store, values: dict[str, Any], after: Any, limit: int) -> Rows:
    return declines.declines(read, account=values.get("account") or "", after=int(after or 0), limit=limit)


def _entries(read: Store, values: dict[str, Any], after: Any, limit: int) -> Rows:
    return billing.entries(
        read,
        account=values.get("account") or "",
        month=values.get("month") or "",
        after=int(after or 0),
        limit=limit,
    )


def _add(
    blp: LedgerBlueprint,
    path: str,
    name: str,
    model: str,
    filters: tuple[Field, ...],
    roles: frozenset[str],
    key: str,
    query: Query,
) -> None:
    def view(values: dict[str, Any]) -> Response:
        allow(caller(), roles, name)
        projector = fresh(wanted_position(values.pop("min_position", None)), (model,))
        limit = values.get("limit") or _DEFAULT_LIMIT
        rows = query(projector.read, values, _decoded(values.get("cursor"), key), limit + 1)
        more = len(rows) > limit
        following = _encoded(rows[limit - 1][key]) if more else None
        response = conditional({"items": [_shown(row) for row in rows[:limit]], "next": following})
        if following is not None:
            kept = {k: v for k, v in request.args.items() if k != "cursor"}
            response.headers["Link"] = f'<{request.path}?{urlencode({**kept, "cursor": following})}>; rel="next"'
        return response

    view.__doc__ = f"List {name.replace('_', ' ')}, page by page."
    fields = (*filters, _LIMIT, _CURSOR, MIN_POSITION)
    decorated = blp.arguments(schema(f"{name}_list", fields, from_text=True), location="query")(view)
    decorated = blp.doc(
        operationId=f"list_{name}",
        parameters=question_parameters(),
        responses={"200": answered("A page: `items`, and `next` (a cursor) while there are more"), **PROBLEMS},
        security=[{"bearer": []}],
    )(decorated)
    blp.route(path, methods=["GET"], endpoint=f"list_{name}")(decorated)


def _encoded(key: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def _decoded(cursor: str | None, key: str) -> Any:
    """Return where a page begins; Malformed for a cursor that is not ours."""
    if cursor is None:
        return None
    kind: Any = int if key == "position" else str
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=kind)
    except (binascii.Error, msgspec.MsgspecError, ValueError):
        raise Malformed("cursor", cursor, "remedy_cursor") from None


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as the API shows it: instants with an offset, money as text, nothing where there is none."""
    zone = row.pop("zone", None) or services().ledger.catalogue.zone
    shown: dict[str, Any] = {}
    for name, value in row.items():
        if name in _INSTANTS and value:
            shown[name] = show(value, zone) if value < "9000" else None
        elif name == "amount":
            shown[name] = show_amount(value)
        else:
            shown[name] = None if value == "" else value
    return shown


def _add_report(blp: LedgerBlueprint) -> None:
    fields = (
        Field("by", Text(100), required=False),
        Field("from", Date(), required=False),
        Field("to", Date(), required=False),
        Field("raw", Flag(), required=False),
        MIN_POSITION,
    )

    def view(values: dict[str, Any]) -> Response:
        allow(caller(), CLERKS, "sla.report")
        projector = fresh(wanted_position(values.get("min_position")), ("tickets",))
        by = [name.strip() for name in (values.get("by") or "level,priority").split(",")]
        rows = compliance.report(
            projector.read,
            by,
            now=services().ledger.clock.now(),
            since=values.get("from") or "",
            until=values.get("to") or "",
            raw=bool(values.get("raw")),
        )
        return conditional({"rows": rows})

    view.__doc__ = "Response compliance: total = met + breached + open + excluded."
    decorated = blp.arguments(schema("sla_report_query", fields, from_text=True), location="query")(view)
    decorated = blp.doc(
        operationId="sla_report",
        parameters=question_parameters(),
        responses={"200": answered("One row a combination of `by`"), **PROBLEMS},
        security=[{"bearer": []}],
    )(decorated)
    blp.route("/sla/report", methods=["GET"], endpoint="sla_report")(decorated)
