"""Balances: what each account has left, by grant, and what took each unit.

A row is right from `at` until `next_due`; past it, ask the account itself (`supportledger balance`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from unicodedata import combining, normalize

from ledger import patience
from ledger.answers import subscription_shown
from ledger.application import Ledger
from ledger.rules.book import Book
from ledger.rules.instants import to_iso
from ledger.store import Store
from ledger.sweeping import next_attempt
from projections.model import ReadModel, Rows, Stream, Table

BALANCES = Table(
    "r_balances",
    (
        ("account", "text"),
        ("name", "text"),
        ("state", "text"),
        ("level", "text"),
        ("period_until", "text"),
        ("ends_on", "text"),
        ("granted", "bigint"),
        ("used", "bigint"),
        ("expired", "bigint"),
        ("voided", "bigint"),
        ("remaining", "bigint"),
        ("at", "text"),
        ("next_due", "text"),
        ("next_attempt", "text"),
    ),
    (("account",), ("next_due", "account"), ("next_attempt", "account")),
)
_READ = 500  # rows at a time where names are searched
_SHOWN = BALANCES.names[1:-1]  # when a card is asked next is the scheduler's affair
GRANTS = Table(
    "r_grants",
    (
        ("account", "text"),
        ("grant_id", "text"),
        ("kind", "text"),
        ("level", "text"),
        ("units", "bigint"),
        ("used", "bigint"),
        ("expired", "bigint"),
        ("voided", "bigint"),
        ("remaining", "bigint"),
        ("starts", "text"),
        ("until", "text"),
    ),
    (("account",),),
)
UNITS = Table(
    "r_units",
    (("account", "text"), ("grant_id", "text"), ("at", "text"), ("ticket", "text"), ("units", "bigint")),
    (("account", "grant_id"),),
)


def rows(stream: Stream) -> Rows:
    """Return the balance, grants and movements of one account."""
    book = stream.book
    if book.account is None:
        return {}
    account, sub = book.account.customer_no, subscription_shown(book)
    grants = list(book.grants.values())
    balance = (
        stream.id,
        account,
        book.account.name,
        sub.state if sub is not None else "none",
        sub.level if sub is not None else "",
        sub.period_until if sub is not None else "",
        sub.ends_on if sub is not None else "",
        sum(g.units for g in grants),
        sum(g.used for g in grants),
        sum(g.expired for g in grants),
        sum(g.voided for g in grants),
        sum(g.remaining for g in grants),
        stream.as_of,
        _next_due(book, stream.as_of),
        next_attempt(book, stream.as_of),
    )
    return {
        BALANCES.name: [balance],
        GRANTS.name: [
            (
                stream.id, account, g.id, g.kind, g.level, g.units, g.used, g.expired, g.voided, g.remaining,
                g.starts, g.until,
            )
            for g in grants
        ],
        UNITS.name: [
            (stream.id, account, g.id, at, ticket, change) for g in grants for at, ticket, change in g.takes
        ],
    }  # fmt: skip


def _next_due(book: Book, as_of: str) -> str:
    """Return the instant of what is due and not recorded, else of what falls due next.

    A row may be recorded at an instant before which something fell due that its writer did not see yet: the clock
    was read before the append lock was held. Without the first half, no sweep would look for it.
    """
    return min([book.next_due(), *(fact.occurred_at for fact in book.journal.missing(as_of))])


MODEL = ReadModel("balances", 2, "account/", (BALANCES, GRANTS, UNITS), rows)


def accounts(read: Store, *, after: str = "", limit: int = 50, search: str = "") -> list[dict[str, Any]]:
    """Return accounts in order of their number, from behind `after`, with what each has left.

    With `search` those whose number or name has it somewhere; capitals and accents do not matter.
    """
    found, wanted = list[dict[str, Any]](), _plain(search)
    most = max(limit, _READ) if wanted else limit
    sql = f"SELECT {', '.join(_SHOWN)} FROM r_balances WHERE account > ? ORDER BY account LIMIT ?"
    while len(found) < limit:
        patience.check()
        rows = [dict(zip(_SHOWN, row, strict=True)) for row in read.query(sql, [after, most])]
        found += [row for row in rows if wanted in _plain(row["account"]) or wanted in _plain(row["name"])]
        if len(rows) < most:
            break
        after = rows[-1]["account"]
    return found[:limit]


def _plain(words: str) -> str:
    """Return words without capitals and accents."""
    return "".join(c for c in normalize("NFKD", words.casefold()) if not combining(c))


def as_of_now(ledger: Ledger, row: dict[str, Any], now: str) -> dict[str, Any]:
    """Return a row as it is at canonical instant `now`: asked of the account itself once something fell due."""
    if row["next_due"] > now:
        return row
    answer = ledger.ask("balance", {"account": row["account"]})
    period = answer["period"]
    return {
        **row,
        **{name: answer[name] for name in ("state", "granted", "used", "expired", "voided", "remaining")},
        "level": answer["level"] or "",
        "period_until": to_iso(datetime.fromisoformat(period["until"])) if period else "",
        "ends_on": answer["ends_on"] or "",
        "at": now,
    }


def balance_row(read: Store, account: str) -> dict[str, Any] | None:
    """Return one account's row, None when there is none."""
    found = read.query(f"SELECT {', '.join(_SHOWN)} FROM r_balances WHERE account = ?", [account])
    return dict(zip(_SHOWN, found[0], strict=True)) if found else None


Mark = tuple[str, str]  # the instant at which something falls due, and the account on which it does
START: Mark = ("", "")


def due_by(read: Store, instant: str, *, after: Mark = START, limit: int) -> list[Mark]:
    """Return where something falls due by `instant`, soonest first, from behind `after`."""
    return _marks(read, "next_due", instant, after, limit)


def attempts_by(read: Store, instant: str, *, after: Mark = START, limit: int) -> list[Mark]:
    """Return where a card is to be charged or asked about by `instant`, soonest first, from behind `after`."""
    return _marks(read, "next_attempt", instant, after, limit)


def _marks(read: Store, column: str, instant: str, after: Mark, limit: int) -> list[Mark]:
    sql = (
        f"SELECT {column}, account FROM r_balances WHERE {column} <= ? AND ({column}, account) > (?, ?)"
        f" ORDER BY {column}, account LIMIT ?"
    )
    return [(at, account) for at, account in read.query(sql, [instant, *after, limit])]


def waiting(read: Store, instant: str) -> tuple[int, int]:
    """Return on how many accounts something has fallen due by `instant` unrecorded, and a card is to be asked."""
    due, attempts = (
        read.query(f"SELECT count(*) FROM r_balances WHERE {column} <= ?", [instant])[0][0]
        for column in ("next_due", "next_attempt")
    )
    return int(due), int(attempts)


def names(read: Store, accounts: Sequence[str]) -> dict[str, str]:
    """Return the names of accounts by number."""
    found: dict[str, str] = {}
    for start in range(0, len(accounts), 500):
        part = accounts[start : start + 500]
        marks = ",".join("?" * len(part))
        found |= dict(read.query(f"SELECT account, name FROM r_balances WHERE account IN ({marks})", part))
    return found
