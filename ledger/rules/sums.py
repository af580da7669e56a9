"""What an account's money comes to at an instant: its sums, and each charge's (DOMAIN.md 7, 9). Minor units.

A payment that was taken back counts in no sum from the bank's date on, though it is hollow until its reversal takes
effect. What an import assumed to have been paid stands apart: nobody saw that money.
"""

from __future__ import annotations

from typing import NamedTuple

from ledger.rules.charges import Charge
from ledger.rules.state import State


class ChargeMoney(NamedTuple):
    """What pays a charge, by money that was seen and money that was assumed, and what is due."""

    paid: int
    assumed: int
    due: int
    state: str


def charge_money(book: State, charge: Charge) -> ChargeMoney:
    """Return what pays a charge; a refund that is owed likewise."""
    if charge.voided_at:
        return ChargeMoney(0, 0, 0, charge.state)
    if not book.hollow and not book.assumed:
        return ChargeMoney(charge.paid, 0, charge.due, charge.state)
    hollow = sum(amount for origin, amount in charge.parts if origin in book.hollow)
    assumed = sum(a for origin, a in charge.parts if origin in book.assumed and origin not in book.hollow)
    paid = charge.paid - hollow - assumed
    state = charge.state
    if hollow:
        state = "part_paid" if paid or assumed else "open"
    return ChargeMoney(paid, assumed, charge.due + hollow, state)


def sums(book: State) -> dict[str, int]:
    """Return the sums of an account's money; voided charges stand in none.

    billed = paid + paid_assumed + credited + written_off + due - refund_owed; assumed = paid_assumed + unused_assumed;
    received + upgrade_excess - reversed - refunded = paid + credit + unapplied - refund_owed.
    """
    purse, assumed = book.purse, book.assumed
    counted = [c for c in book.charges.values() if not c.voided_at]
    money = [charge_money(book, charge) for charge in counted]
    debts = [charge_money(book, debt) for debt in book.debts.values()]
    owed, paid_assumed = refund_owed(book), sum(m.assumed for m in (*money, *debts))
    credit = [lot for lot in purse.lots if lot[0] not in book.hollow]
    waiting = [lot for lot in purse.waiting.items() if lot[0] not in book.hollow]
    unused = sum(amount for origin, amount in (*credit, *waiting) if origin in assumed)
    return {
        "billed": sum(c.total for c in counted),
        "net": sum(c.total - c.total_tax for c in counted),
        "tax": sum(c.total_tax for c in counted),
        "paid": sum(m.paid for m in money),
        "paid_assumed": paid_assumed,
        "credited": sum(c.credited for c in counted),
        "written_off": sum(c.written_off for c in counted),
        "due": sum(m.due for m in money) + owed,
        "refund_owed": owed,
        "credit": sum(amount for origin, amount in credit if origin not in assumed),
        "unapplied": sum(amount for origin, amount in waiting if origin not in assumed),
        "received": sum(p.amount for p in book.payments.values() if not p.assumed),
        "assumed": paid_assumed + unused,
        "unused_assumed": unused,
        "refunded": purse.refunded,
        "reversed": sum(amount for payment, amount in book.reversed.items() if payment not in assumed),
        "upgrade_excess": purse.excess,
    }


def refund_owed(book: State) -> int:
    """Return what is owed of refunds whose payments were taken back."""
    owed = sum(charge_money(book, debt).due for debt in book.debts.values())
    return owed + sum(book.purse.refunds.get(payment, 0) for payment in book.hollow)


def pays(book: State, payment: str) -> list[tuple[str, int]]:
    """Return what a payment pays by now: on the day it came first, then what fell due since (a deposit told late)."""
    first = [charge for charge, _part in book.purse.applied.get(payment, ())]
    everything = {**book.charges, **book.debts}
    parts = [(c, everything[c].part_of(payment)) for c in dict.fromkeys([*first, *everything])]
    return [(c, part) for c, part in parts if part]
