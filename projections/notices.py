"""Notices: what a customer is to be told, and from when on; derived from the book as it stands, future ones too.

A row is there as long as it is true: what was cancelled or paid meanwhile has none. Whether it was sent stands in the
outbox (`scheduler/outbox.py`), under the row's natural key. Rows are of the stream's facts alone; those older than a
month are not kept, nobody sends them any more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from ledger import facts as f
from ledger.rules import instants, terms
from ledger.rules.book import Book
from ledger.rules.charges import Charge
from ledger.rules.grants import Grant
from ledger.rules.money import show_amount
from ledger.rules.subscriptions import FAR, Subscription, local_day, midnight
from ledger.store import Store
from projections.model import ReadModel, Rows, Stream, Table

NOTICES = Table(
    "r_notices",
    (
        ("key", "text"),
        ("account", "text"),
        ("kind", "text"),
        ("at", "text"),
        ("until", "text"),
        ("language", "text"),
        ("data", "text"),
    ),
    (("at", "key"), ("key",), ("account", "kind")),
)

_HOUR = time(8)  # of the account's zone, for what is told some days before: nobody wants mail at midnight
_RENEWAL_DAYS = timedelta(days=7)  # before the last day to cancel
_GRACE_DAYS = timedelta(days=2)  # before grace is over
_ADDON_DAYS = timedelta(days=7)  # before the last day it can be used
_LATE = timedelta(days=10)
_KEPT = timedelta(days=31)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Notice:
    """One notice, to be sent from canonical instant `at` on and before `until`; `data` is JSON-native, for programs.

    In `data` money is text with two decimals beside its `currency`, days are local dates.
    """

    key: str
    account: str
    kind: str
    at: str
    until: str
    language: str
    data: dict[str, Any]


Draft = tuple[str, str, str, str, dict[str, Any]]  # kind, what it is about (unique among its kind), at, until, data


def rows(stream: Stream) -> Rows:
    """Return the notices of one account."""
    book = stream.book
    if book.account is None:
        return {}
    account, name, language = book.account.customer_no, book.account.name, book.account.language
    since = _shifted(stream.as_of, -_KEPT)
    common = {"account": account, "name": name, "currency": book.currency}
    return {
        NOTICES.name: [
            (stream.id, _key(account, kind, about), account, kind, at, until, language, json.dumps({**common, **data}))
            for kind, about, at, until, data in _drafts(book, stream, since)
            if since <= at < FAR
        ]
    }


def _key(account: str, kind: str, about: str) -> str:
    """Return a natural key, unique over all accounts: no account's number holds a slash."""
    return f"{kind}:{account}/{about.removeprefix(f'{account}-')}"


def _drafts(book: Book, stream: Stream, since: str) -> Iterator[Draft]:
    for sub in book.subscriptions.values():
        if sub.kind == "bought":
            yield from _of_plan(book, sub)
    told = _Told(stream)
    yield from _refusals(book, told, stream.as_of)
    for grant in book.live.values():
        yield from _of_grant(book, grant, told, stream.as_of)
    news = _shifted(since, -_LATE)  # no payment is told of later than that
    for charge in book.charges.values():
        if charge.paid_at < news:  # most, or not paid: not looked at any further
            continue
        if charge.total and not charge.voided_at:  # one that credit alone settled asked for nothing
            yield from _receipt(book, charge, told, since)


MODEL = ReadModel("notices", 2, "account/", (NOTICES,), rows)


_HEARD = frozenset({f.TicketConsumed, f.PaymentRecorded, f.AttemptRefused})


class _Told:
    """When the ledger came to know of what people and the gateway tell it: by then at the earliest it is sent on."""

    def __init__(self, stream: Stream) -> None:
        self._known: dict[tuple[str, ...], str] = {}
        for row, fact in zip(stream.rows, stream.facts, strict=True):
            if type(fact) not in _HEARD:  # most are not: looked at once an event of every rebuild
                continue
            if isinstance(fact, f.TicketConsumed):
                self._known[fact.grant, fact.ticket_no, fact.occurred_at] = row[4]
            elif isinstance(fact, f.PaymentRecorded):
                self._known[(fact.payment,)] = row[4]
            elif isinstance(fact, f.AttemptRefused):
                self._known[(fact.attempt,)] = row[4]

    def since(self, at: str, *names: str) -> str:
        """Return when what happened at `at` became known; `at` itself when that was long after.

        A deposit counts by its value date but is typed days later. What comes in with an old history is no news.
        """
        recorded = self._known.get(names, at)
        return recorded if at < recorded <= _shifted(at, _LATE) else at


# --- the plan --------------------------------------------------------------------------------------------------------


def _of_plan(book: Book, sub: Subscription) -> Iterator[Draft]:
    if sub.state == "in_force":
        yield from _renewal_upcoming(book, sub)
    elif sub.state == "past_due":
        yield _grace_ends(book, sub)
    elif sub.state == "lapsed" and sub is book.bought():  # one bought again since is no news any more
        yield _lapsed(book, sub)


def _renewal_upcoming(book: Book, sub: Subscription) -> Iterator[Draft]:
    renewal = sub.next_renewal()
    if sub.ends_on and sub.ends_on <= renewal.isoformat():
        return
    level, term = sub.next_level or sub.level, sub.next_term or sub.term
    units, gross = book.prices.renewal_price(level, term, renewal, book.currency)
    if gross == 0:
        return
    cancel_by = terms.last_cancel_day(renewal)
    data = {
        "subscription": sub.id, "level": level, "term": term, "units": units, "renews_on": renewal.isoformat(),
        "cancel_by": cancel_by.isoformat(), "price": show_amount(gross), "credit": show_amount(book.purse.credit),
        "to_pay": show_amount(max(gross - book.purse.credit, 0)), "paid_by": _paid_by(book, sub, gross),
    }  # fmt: skip
    at, until = _morning(cancel_by - _RENEWAL_DAYS, book.zone), midnight(renewal, book.zone)
    yield "renewal_upcoming", f"{sub.id}:{renewal}", at, until, data


def _paid_by(book: Book, sub: Subscription, gross: int) -> str:
    if book.purse.credit >= gross:
        return "credit"
    return "card" if sub.pay_by == "card" and book.card else "manual"


def _grace_ends(book: Book, sub: Subscription) -> Draft:
    over = local_day(sub.grace_until, book.zone)
    charge = book.charges[sub.unpaid]
    data = {
        "subscription": sub.id, "level": sub.level, "term": sub.term, "charge": charge.id,
        "amount": show_amount(charge.due), "last_day": (over - _DAY).isoformat(),
    }  # fmt: skip
    return "grace_ends", f"{charge.id}:{over}", _morning(over - _GRACE_DAYS, book.zone), sub.grace_until, data


def _lapsed(book: Book, sub: Subscription) -> Draft:
    ended = local_day(sub.ended_at, book.zone)
    data = {"subscription": sub.id, "level": sub.level, "term": sub.term, "ended_on": ended.isoformat()}
    return "lapsed", f"{sub.id}:{ended}", sub.ended_at, FAR, data


# --- money -----------------------------------------------------------------------------------------------------------


def _refusals(book: Book, told: _Told, as_of: str) -> Iterator[Draft]:
    """Yield the newest refusal of each charge that is owed still."""
    newest = {a.charge: a for a in book.attempts.values() if a.state == "refused"}
    if not newest:
        return
    retries = {due.charge: due.at for due in book.due_attempts(as_of)}
    for attempt in newest.values():
        charge = book.charges[attempt.charge]
        if charge.due <= 0:
            continue
        retry = retries.get(charge.id, "")
        data = {
            **_what_for(book, charge), "attempt": attempt.id, "amount": show_amount(charge.due), "code": attempt.code,
            "final": attempt.final, "retry_on": local_day(retry, book.zone).isoformat() if retry else "",
            "last_day": _last_day(book, charge),
        }  # fmt: skip
        yield "payment_failed", attempt.id, told.since(attempt.answered_at, attempt.id), FAR, data


def _last_day(book: Book, charge: Charge) -> str:
    """Return the last local day on which paying an open charge still brings what it is for."""
    sub = book.subscriptions.get(charge.source)
    if sub is not None and sub.unpaid == charge.id and sub.grace_until:
        return (local_day(sub.grace_until, book.zone) - _DAY).isoformat()
    raised = local_day(charge.raised_at, book.zone)
    return (raised if charge.kind == "upgrade" else terms.unpaid_until(raised) - _DAY).isoformat()


def _receipt(book: Book, charge: Charge, told: _Told, since: str) -> Iterator[Draft]:
    paid_in = [origin for origin, _amount in charge.parts if origin in book.payments]
    at = max([charge.paid_at, *(told.since(book.payments[payment].occurred_at, payment) for payment in paid_in)])
    if at < since:
        return
    again = f":{charge.times_paid}" if charge.times_paid > 1 else ""
    tax = charge.total_tax
    data = {
        **_what_for(book, charge), "amount": show_amount(charge.total), "net": show_amount(charge.total - tax),
        "tax": show_amount(tax), "discount": show_amount(charge.discount),
        "paid_on": local_day(charge.paid_at, book.zone).isoformat(),
    }  # fmt: skip
    yield "receipt", f"{charge.id}{again}", at, FAR, data


def _what_for(book: Book, charge: Charge) -> dict[str, Any]:
    sub = book.subscriptions.get(charge.source)
    return {
        "charge": charge.id,
        "what_for": charge.kind,
        "level": charge.level,
        "units": charge.units,
        "term": sub.term if sub is not None else "",
    }


# --- tickets ---------------------------------------------------------------------------------------------------------


def _of_grant(book: Book, grant: Grant, told: _Told, as_of: str) -> Iterator[Draft]:
    if not grant.starts <= as_of < grant.until:
        return
    last_day = local_day(grant.until, book.zone) - _DAY if grant.until < FAR else None
    data = {
        "grant": grant.id, "level": grant.level, "units": grant.units, "used": grant.used,
        "remaining": grant.remaining, "last_day": last_day.isoformat() if last_day else "",
        "elsewhere": sum(g.remaining for g in book.live.values() if g is not grant and g.valid_at(as_of)),
    }  # fmt: skip
    if grant.kind == "addon" and grant.remaining > 0 and last_day is not None:
        yield "addon_expiring", grant.id, _morning(last_day - _ADDON_DAYS, book.zone), grant.until, data
    elif grant.kind == "plan" and grant.used * 5 >= grant.units * 4 and grant.units:
        used_up = grant.remaining <= 0
        least = grant.units if used_up else -(-grant.units * 4 // 5)
        kind = "tickets_used_up" if used_up else "tickets_low"
        yield kind, grant.id, _crossed(grant, least, told), grant.until, data


def _crossed(grant: Grant, least: int, told: _Told) -> str:
    """Return when it became known that at least `least` units are used, as they are now."""
    used, since = 0, grant.starts
    for at, ticket, change in grant.takes:
        used += change
        if change > 0 and used == least:
            since = told.since(at, grant.id, ticket, at)
    return since


# --- instants --------------------------------------------------------------------------------------------------------


def _morning(day: date, zone: str) -> str:
    return instants.to_iso(instants.wall(datetime.combine(day, _HOUR), zone))


def _shifted(at: str, by: timedelta) -> str:
    return instants.to_iso(instants.from_iso(at) + by)


# --- questions -------------------------------------------------------------------------------------------------------

_COLUMNS = ", ".join(NOTICES.names[1:])


def due(read: Store, *, after: str, now: str, behind: tuple[str, str] = ("", ""), limit: int = 500) -> list[Notice]:
    """Return notices to be sent at instant `now` that were due later than `after`, from behind (at, key) `behind`."""
    sql = (
        f"SELECT {_COLUMNS} FROM r_notices WHERE at > ? AND at <= ? AND until > ? AND (at, key) > (?, ?)"
        " ORDER BY at, key LIMIT ?"
    )
    return [_notice(row) for row in read.query(sql, [after, now, now, *behind, limit])]


def standing(read: Store, keys: list[str], now: str) -> set[str]:
    """Return which of `keys` are notices still at instant `now`."""
    found: set[str] = set()
    for start in range(0, len(keys), 500):
        part = keys[start : start + 500]
        marks = ",".join("?" * len(part))
        sql = f"SELECT key FROM r_notices WHERE key IN ({marks}) AND until > ?"
        found.update(row[0] for row in read.query(sql, [*part, now]))
    return found


def of_account(read: Store, account: str, kind: str = "") -> list[Notice]:
    """Return an account's notices, of one kind where it is named, in the order of their instants."""
    sql = f"SELECT {_COLUMNS} FROM r_notices WHERE account = ? AND (kind = ? OR ? = '') ORDER BY at, key"
    return [_notice(row) for row in read.query(sql, [account, kind, kind])]


def next_at(read: Store, after: str) -> str:
    """Return the instant of the first notice after instant `after` over all accounts, "" when there is none."""
    rows = read.query("SELECT at FROM r_notices WHERE at > ? ORDER BY at LIMIT 1", [after])
    return str(rows[0][0]) if rows else ""


def _notice(row: tuple[Any, ...]) -> Notice:
    key, account, kind, at, until, language, data = row
    return Notice(key, account, kind, at, until, language, json.loads(data))
