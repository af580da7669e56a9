"""Billing: every charge with its state, and every movement of money and units with who and why, by month."""

from __future__ import annotations

from collections.abc import Iterator
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
                row[0], entry, subject, amount, units, currency, fact.by, fact.source, fact.reason,
            )
            for row, fact in zip(stream.rows, stream.facts, strict=True)
            for entry, subject, amount, units in _entries(fact)
        ],
    }  # fmt: skip


def _entries(fact: f.Fact) -> Iterator[tuple[str, str, int, int]]:
    """Yield (entry, what it is about, minor units, tickets) for a fact that billing history shows."""
    match fact:
        case f.PlanPurchased(charge=charge, gross=gross) if charge:
            yield "charged", charge, gross, 0
        case f.AddonPurchased(charge=charge, gross=gross) | f.ChargeRaised(charge=charge, gross=gross):
            yield "charged", charge, gross, 0
        case f.PaymentRecorded():
            yield "received", fact.payment, fact.amount, 0
        case f.ChargePaid():
            yield "paid", fact.charge, fact.amount, 0
        case f.ChargeVoided():
            yield "charge_voided", fact.charge, 0, 0
        case f.CourtesyGranted() | f.TicketsGranted():
            yield "granted", fact.grant, 0, fact.units
        case f.TicketsExpired():
            yield "expired", fact.grant, 0, fact.units
        case f.TicketsVoided():
            yield "voided", fact.grant, 0, fact.units
        case f.PlanEnded():
            yield fact.cause, fact.subscription, 0, 0
        case f.CancellationScheduled():
            yield "cancellation_scheduled", fact.subscription, 0, 0
        case f.CancellationWithdrawn():
            yield "cancellation_withdrawn", fact.subscription, 0, 0
        case f.DueFactWithdrawn():
            yield "withdrawn", fact.key, 0, 0
        case _:
            return


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
