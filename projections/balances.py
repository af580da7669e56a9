"""Balances: what each account has left, by grant, and what took each unit.

A row is right from `at` until `next_due`; past it, ask the account itself (`supportledger balance`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ledger.answers import subscription_shown
from ledger.application import Ledger
from ledger.rules.instants import to_iso
from ledger.store import Store
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
    ),
    (("account",), ("next_due",)),
)
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
        book.next_due(),
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


MODEL = ReadModel("balances", 1, "account/", (BALANCES, GRANTS, UNITS), rows)


def accounts(read: Store, *, after: str = "", limit: int = 50) -> list[dict[str, Any]]:
    """Return accounts in order of their number, from behind `after`, with what each has left."""
    names = BALANCES.names[1:]
    sql = f"SELECT {', '.join(names)} FROM r_balances WHERE account > ? ORDER BY account LIMIT ?"
    return [dict(zip(names, row, strict=True)) for row in read.query(sql, [after, limit])]


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
    names = BALANCES.names[1:]
    found = read.query(f"SELECT {', '.join(names)} FROM r_balances WHERE account = ?", [account])
    return dict(zip(names, found[0], strict=True)) if found else None


def due_by(read: Store, instant: str, *, limit: int) -> list[str]:
    """Return the numbers of accounts on which something falls due by `instant`, soonest first."""
    sql = "SELECT account FROM r_balances WHERE next_due <= ? ORDER BY next_due, account LIMIT ?"
    return [row[0] for row in read.query(sql, [instant, limit])]
