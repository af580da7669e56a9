"""Billing: every charge with its state, and every movement of money and units with who and why, by month."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from msgspec.structs import replace

from ledger import facts as f
from ledger.months import FIRST_OPEN, Closing, booked_in, following, local_month
from ledger.rules.book import Book
from ledger.rules.subscriptions import midnight
from ledger.rules.sums import charge_money
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
        ("discount", "bigint"),
        ("credited", "bigint"),
        ("written_off", "bigint"),
        ("paid", "bigint"),
        ("paid_assumed", "bigint"),
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
        ("assumed", "bigint"),
        ("units", "bigint"),
        ("currency", "text"),
        ("actor", "text"),
        ("source", "text"),
        ("reason", "text"),
    ),
    (("account", "position"), ("month", "position")),
)


_NEVER = 2**62


def rows(stream: Stream) -> Rows:
    """Return the charges of one account, and its billing history fact by fact."""
    book = stream.book
    if book.account is None:
        return {}
    account, currency, zone_at = book.account.customer_no, book.currency, book.zone_at
    return {
        CHARGES.name: [
            (
                stream.id, account, c.id, c.kind, c.gross, c.net, c.tax, currency, c.due_on, c.discount, c.credited,
                c.written_off, *charge_money(book, c), c.raised_at, c.paid_at, c.voided_at,
            )
            for c in book.charges.values()
        ],
        ENTRIES.name: [
            (
                stream.id, account, _month(fact, zone_at), fact.occurred_at, row[4], row[0],
                *entry[:2], *_parted(fact, book, entry[2]), entry[3], currency, fact.by, fact.source, fact.reason,
            )
            for row, fact in zip(stream.rows, _told(stream.facts, book), strict=True)
            if (entry := _ENTRIES.get(type(fact), _hidden)(fact)) is not None
        ],
    }  # fmt: skip


def _told(facts: Sequence[f.Fact], book: Book) -> Sequence[f.Fact]:
    """Return the facts; a reversal recorded before it said so with the amount that it took back."""
    if not book.reversed:
        return facts
    old = [fact for fact in facts if isinstance(fact, f.PaymentReversed) and not fact.amount]
    amounts = {id(fact): replace(fact, amount=book.reversed.get(fact.payment, 0)) for fact in old}
    return [amounts.get(id(fact), fact) for fact in facts]


def _parted(fact: f.Fact, book: Book, amount: int) -> tuple[int, int]:
    """Return (money seen, money an import assumed) of an entry's amount: no total of the first counts the second."""
    if not book.assumed:
        return amount, 0
    assumed = 0
    if isinstance(fact, f.ChargePaid):
        assumed = book.assumed_in.get(fact.key, 0)
    elif isinstance(fact, (f.PaymentRecorded, f.PaymentReversed, f.MoneyApplied)) and fact.payment in book.assumed:
        assumed = amount
    return amount - assumed, assumed


def _month(fact: f.Fact, zone_at: Callable[[str], str]) -> str:
    return local_month(fact.occurred_at, zone_at(fact.occurred_at))


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
    f.UpgradeAsked: lambda fact: ("charged", fact.charge, fact.gross - fact.credit, 0),
    f.DiscountGiven: lambda fact: ("discounted", fact.charge, fact.gross, 0),
    f.ChargeCancelled: lambda fact: ("cancelled_by_hand", fact.charge, 0, 0),
    f.DebtWrittenOff: lambda fact: ("written_off", fact.charge, fact.amount, 0),
    f.CreditNoted: lambda fact: ("credited", fact.charge, fact.gross, 0),
    f.RefundAsked: lambda fact: ("refunded", fact.payment, fact.amount, 0),
    f.RefundSettled: lambda fact: ("refund_settled", fact.refund, 0, 0),
    f.RefundRefused: lambda fact: ("refund_refused", fact.refund, 0, 0),
    f.PaymentReversed: lambda fact: ("reversed", fact.payment, fact.amount, 0),
    f.MoneyApplied: lambda fact: ("applied", fact.payment, fact.amount, 0),
    f.ChargeReopened: lambda fact: ("reopened", fact.charge, fact.amount, 0),
    f.RefundOwed: lambda fact: ("refund_owed", fact.debt, fact.amount, 0),
    f.RefundRepaid: lambda fact: ("refund_repaid", fact.debt, fact.amount, 0),
    f.ChargeAttempted: lambda fact: ("card_charged", fact.charge, fact.amount, 0),
    f.AttemptRefused: lambda fact: ("card_refused", fact.attempt, 0, 0),
    f.AttemptContradicted: lambda fact: ("card_contradicted", fact.attempt, 0, 0),
    f.DocumentIssued: lambda fact: (fact.kind, fact.charge, fact.gross, 0),
    f.DocumentCertified: lambda fact: ("certified", fact.document, 0, 0),
    f.PlanChanged: lambda fact: ("plan_changed", fact.subscription, 0, 0),
    f.PlanEnded: lambda fact: (fact.cause, fact.subscription, 0, 0),
    f.CancellationScheduled: lambda fact: ("cancellation_scheduled", fact.subscription, 0, 0),
    f.CancellationWithdrawn: lambda fact: ("cancellation_withdrawn", fact.subscription, 0, 0),
    f.DueFactWithdrawn: lambda fact: ("withdrawn", fact.key, 0, 0),
}


MODEL = ReadModel("billing", 3, "account/", (CHARGES, ENTRIES), rows)


def entries(
    read: Store,
    closings: Sequence[Closing] = (),
    *,
    zone: str,
    account: str = "",
    month: str = "",
    after: int = 0,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """Return billing history in the order of the log, of one account or of what is booked in one month (YYYY-MM).

    `month` is that of the value date; `booked_in` is the accounting month (`ledger.books`): the same where that was
    open when it was recorded, else the recording's own, told in `zone`, the books'. `closings` are those of the log.
    """
    names = ENTRIES.names[1:]
    where = ["position > ?"]
    given: list[Any] = [after]
    if account:
        where.append("account = ?")
        given.append(account)
    if month:
        condition, values = _booked_in(month, closings, zone)
        where.append(condition)
        given += values
    sql = f"SELECT {', '.join(names)} FROM r_billing WHERE {' AND '.join(where)} ORDER BY position LIMIT ?"
    found = [dict(zip(names, row, strict=True)) for row in read.query(sql, [*given, limit])]
    return [
        {**row, "booked_in": booked_in(row["month"], row["position"], row["recorded_at"], closings, zone)}
        for row in found
    ]


def _booked_in(month: str, closings: Sequence[Closing], zone: str) -> tuple[str, list[Any]]:
    """Return the condition (and its values) that picks what is booked in `month`: in time, or late after a closing."""
    conditions = ["(month = ? AND position < ?)"]
    values: list[Any] = [month, next((c.position for c in closings if c.month >= month), _NEVER)]
    begins, ends = (midnight(date.fromisoformat(f"{one}-01"), zone) for one in (month, following(month)))
    for closing, until in zip(closings, [*(c.position for c in closings[1:]), _NEVER], strict=False):
        first_open = following(closing.month)
        if first_open > month or (closing.late == FIRST_OPEN and first_open != month):
            continue
        condition = "(month <= ? AND position > ? AND position < ?"
        values += [closing.month, closing.position, until]
        if closing.late != FIRST_OPEN:
            condition += " AND recorded_at < ?"
            values.append(ends)
            if first_open < month:
                condition += " AND recorded_at >= ?"
                values.append(begins)
        conditions.append(condition + ")")
    return f"({' OR '.join(conditions)})", values
