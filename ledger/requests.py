"""Requests for approval, read from their streams: who asked for what, and what became of it.

A request's number is its place in a series of its own, without gaps, as documents' are. That it ended after its days
follows from the date; nothing is recorded for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ledger import facts as f
from ledger.rules import people
from ledger.rules.approvals import roles_of
from ledger.rules.instants import show
from ledger.rules.money import pretty, show_amount
from ledger.store import Row, Store
from ledger.texts import LANGUAGES, table, text

Answer = dict[str, Any]

SERIES = "R"
NUMBERS = "approvals"  # the stream whose places are the numbers
STATES = ("pending", "given", "refused", "withdrawn", "ended")
MOST = 500  # shown in a list; `more` says that there are others
_PREFIX = "approval/"
_CLOSED = {f.ApprovalGiven: "given", f.ApprovalRefused: "refused", f.ApprovalWithdrawn: "withdrawn"}


@dataclass(frozen=True)
class Asking:
    """One request, and how it was closed where it was; `position` and `recorded_at` are those of its asking."""

    asked: f.ApprovalAsked
    recorded_at: str
    position: int
    closed: f.ApprovalGiven | f.ApprovalRefused | f.ApprovalWithdrawn | None = None
    closed_position: int = 0

    @property
    def number(self) -> str:
        """Its number, such as R-1."""
        return self.asked.request

    @property
    def closed_by(self) -> str:
        """Who gave, refused or withdrew it, "" while nobody has."""
        return self.closed.by if self.closed is not None else ""

    def state(self, at: str) -> str:
        """Return pending, given, refused, withdrawn or ended (30 days went by), as of instant `at`."""
        if self.closed is not None:
            return _CLOSED[type(self.closed)]
        return "ended" if at >= self.asked.until else "pending"


def stream(number: str) -> str:
    """Return the stream of a request."""
    return f"{_PREFIX}{number}"


def numbers_taken(store: Store) -> int:
    """Return how many requests there are: the next one's number is one more."""
    rows = store.select_events(NUMBERS, desc=True, limit=1)
    return rows[0].originator_version if rows else 0


def find(store: Store, number: str, position: int | None = None) -> Asking | None:
    """Return a request (as of a `position` of the log), None where there is none of that number."""
    stop = store.last_position() if position is None else position
    return next(_askings(store.rows_of_streams([stream(number)], stop)), None)


def of_account(store: Store, account: str) -> list[Asking]:
    """Return the requests on an account or its cases."""
    rows = [row for row in store.rows_of_account(account) if row.stream.startswith(_PREFIX)]
    return list(_askings(sorted(rows, key=lambda row: (row.stream, row.version))))


def every(store: Store, position: int | None = None) -> list[Asking]:
    """Return all requests (as of a `position` of the log), in the order of asking."""
    stop = store.last_position() if position is None else position
    rows = (
        Row(row[0], row[1], row[2], row[3], row[4], bytes(row[5])) for page in store.scan(stop, _PREFIX) for row in page
    )
    return sorted(_askings(rows), key=lambda one: one.position)


def _askings(rows: Iterable[Row]) -> Iterator[Asking]:
    for _stream, group in groupby(rows, key=lambda row: row.stream):
        first, *rest = group
        asked = f.decode(first.topic, first.state)
        assert isinstance(asked, f.ApprovalAsked)
        one = Asking(asked, first.recorded_at, first.position)
        for row in rest:
            closed = f.decode(row.topic, row.state)
            assert isinstance(closed, f.ApprovalGiven | f.ApprovalRefused | f.ApprovalWithdrawn)
            one = Asking(asked, first.recorded_at, first.position, closed, row.position)
        yield one


def waits_for(one: Asking, name: str, role: str, at: str) -> bool:
    """Whether a request waits for this person: it is pending, they may approve it, and did not ask for it."""
    mine = people.same(one.asked.by, name)
    return one.state(at) == "pending" and role in roles_of(one.asked.rule) and not mine


def alone_since(store: Store, position: int) -> list[Answer]:
    """Return what the one person who may approve did alone after a position of the log: told at a month's closing."""
    found = every(store)
    return [
        {name: value for name, value in shown(one, "", "UTC", "").items() if name in _ALONE}
        for one in found
        if isinstance(one.closed, f.ApprovalGiven) and one.closed.alone and one.closed_position > position
    ]


_ALONE = ("request", "rule", "command", "account", "ticket", "amount", "asked_by", "reason")


def shown(one: Asking, at: str, zone: str, currency: str) -> Answer:
    """Return a request as answers have it; `says` tells in both languages what it does."""
    asked, closed = one.asked, one.closed
    amount = show_amount(asked.amount) if asked.amount else None
    return {
        "request": one.number,
        "status": one.state(at or one.recorded_at),
        "rule": asked.rule,
        "command": asked.command,
        "account": asked.customer_no,
        "ticket": asked.ticket_no or None,
        "amount": amount,
        "currency": currency or None,
        "asked_by": asked.by,
        "role": asked.role,
        "asked_at": show(one.recorded_at, zone),
        "reason": asked.reason or None,
        "until": show(asked.until, zone),
        "approvers": sorted(roles_of(asked.rule) - {"operator"}),
        "effects": [{"what": name, "before": was, "after": then} for name, (was, then) in asked.effects.items()],
        "says": {lang: says(asked, lang, currency) for lang in LANGUAGES},
        "closed_by": one.closed_by or None,
        "closed_at": show(closed.occurred_at, zone) if closed is not None else None,
        "closed_reason": (closed.reason or None) if closed is not None else None,
        "alone": isinstance(closed, f.ApprovalGiven) and closed.alone,
    }


def says(asked: f.ApprovalAsked, lang: str, currency: str = "") -> str:
    """Return in words what a request does when it is approved; its amount with the account's currency."""
    values: dict[str, Any] = {name: _word(value, lang) for name, value in asked.values.items()}
    amount = pretty(asked.amount, currency, lang) if currency else show_amount(asked.amount)
    values |= {"account": asked.customer_no, "ticket": asked.ticket_no, "amount": amount}
    return text(f"request_{asked.rule}", lang, **values)


def _word(value: Any, lang: str) -> Any:
    return text(f"value_{value}", lang) if isinstance(value, str) and f"value_{value}" in table() else value
