"""Billing: every charge with its state, and every movement of money and units with who and why, by month."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ledger import facts as f
from ledger.rules.subscriptions import local_day
from ledger.store import Store
from projections.model import ReadModel, Rows, Stream, Table

CHARGES = Table(
    "r_charges",
    (
        ("account", "text"),
        ("charge", "text"),
        ("kind", "text"),
        ("gross", "bigint"),
        ("net", "bigint"),
        ("tax", "bigint"),
        ("currency", "text"),
        ("due_on", "text"),
        ("paid", "bigint"),
        ("due", "bigint"),
        ("state", "text"),
        ("raised_at", "text"),
        ("paid_at", "text"),
        ("voided_at", "text"),
    ),
    (("account",), ("state", "due_on")),
)
ENTRIES = Table(
    "r_billing",
    (
        ("account", "text"),
        ("month", "text"),
        ("occurred_at", "text"),
        ("recorded_at", "text"),
        ("position", "bigint"),
        ("entry", "text"),
        ("subject", "text"),
        ("amount", "bigint"),
        ("units", "bigint"),
        ("currency", "text"),
        ("actor", "text"),
        ("source", "text"),
        ("reason", "text"),
    ),
    (("account", "position"), ("month", "position")),
)


def rows(stream: Stream) -> Rows:
    """Return the charges of one account, and its billing history fact by fact."""
    book = stream.book
    if book.account is None:
        return {}
    account, currency, zone = book.account.customer_no, book.currency, book.zone
    return {
        CHARGES.name: [
            (
                stream.id, account, c.id, c.kind, c.gross, c.net, c.tax, currency, c.due_on,
                0 if c.voided_at else c.paid, c.due, c.state, c.raised_at, c.paid_at, c.voided_at,
            )
            for c in book.charges.values()
        ],
        ENTRIES.name: [
            (
                stream.id, account, local_day(fact.occurred_at, zone).isoformat()[:7], fact.occurred_at, row[4],
                row[0], *entry, currency, fact.by, fact.source, fact.reason,
            )
            for row, fact in zip(stream.rows, stream.facts, strict=True)
            if (entry := _ENTRIES.get(type(fact), _hidden)(fact)) is not None
        ],
    }  # fmt: skip


def _hidden(_fact: f.Fact) -> None:
    return None


# By the fact's type: (entry, what it is about, minor units, tickets) for what billing history shows. A table, not a
# match: it is looked into once an event of every rebuild.
_ENTRIES: dict[type[f.Fact], Callable[[Any], tuple[str, str, int, int] | None]] = {
    f.PlanPurchased: lambda fact: ("charged", fact.charge, fact.gross, 0) if fact.charge else None,
    f.AddonPurchased: lambda fact: ("charged", fact.charge, fact.gross, 0),
    f.ChargeRaised: lambda fact: ("charged", fact.charge, fact.gross, 0),
    f.PaymentRecorded: lambda fact: ("received", fact.payment, fact.amount, 0),
    f.ChargePaid: lambda fact: ("paid", fact.charge, fact.amount, 0),
    f.ChargeVoided: lambda fact: ("charge_voided", fact.charge, 0, 0),
    f.CourtesyGranted: lambda fact: ("granted", fact.grant, 0, fact.units),
    f.TicketsGranted: lambda fact: ("granted", fact.grant, 0, fact.units),
    f.TicketsExpired: lambda fact: ("expired", fact.grant, 0, fact.units),
    f.TicketsVoided: lambda fact: ("voided", fact.grant, 0, fact.units),
    f.PlanEnded: lambda fact: (fact.cause, fact.subscription, 0, 0),
    f.CancellationScheduled: lambda fact: ("cancellation_scheduled", fact.subscription, 0, 0),
    f.CancellationWithdrawn: lambda fact: ("cancellation_withdrawn", fact.subscription, 0, 0),
    f.DueFactWithdrawn: lambda fact: ("withdrawn", fact.key, 0, 0),
}


MODEL = ReadModel("billing", 1, "account/", (CHARGES, ENTRIES), rows)


def entries(
    read: Store, *, account: str = "", month: str = "", after: int = 0, limit: int = 50
) -> list[dict[str, Any]]:
    """Return billing history in the order of the log, of one account or of one local month (YYYY-MM)."""
    names = ENTRIES.names[1:]
    where, params = ["position > ?"], [after]
    given: list[Any] = list(params)
    if account:
        where.append("account = ?")
        given.append(account)
    if month:
        where.append("month = ?")
        given.append(month)
    sql = f"SELECT {', '.join(names)} FROM r_billing WHERE {' AND '.join(where)} ORDER BY position LIMIT ?"
    return [dict(zip(names, row, strict=True)) for row in read.query(sql, [*given, limit])]
