"""Charges and the money that pays them: past-due renewals first, then by due date, then by id (DOMAIN.md 7, 9).

Amounts are integer minor units of the account's currency. Money keeps its origin on the way (`Lot`): a payment that
is taken back takes what it paid with it, through the credit balance too.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field

Lot = tuple[str, int]  # (payment, or upgrade charge whose excess it is; amount)


@dataclass(slots=True)
class Charge:
    """What is asked for. `kind`: purchase, renewal, upgrade or addon. Voided charges count in no sum.

    A refund that is owed (`kind` refund, in `State.debts`) is paid like one; it is no sale and has no tax.

    total = gross - discount = paid + credited + written_off + due, at every instant.
    """

    id: str
    kind: str
    source: str
    gross: int
    net: int
    tax: int
    due_on: str
    raised_at: str
    level: str
    units: int
    discount: int = 0
    discount_tax: int = 0
    paid: int = 0
    credited: int = 0
    credited_tax: int = 0
    written_off: int = 0
    worth: int = 0  # of an upgrade: the credit of the period before, a part of `discount`
    excess: int = 0  # of an upgrade's credit over its price: it becomes credit when the upgrade takes effect
    parts: list[Lot] = field(default_factory=list)
    times_paid: int = 0
    invoiced: bool = False  # paid, and not by imported payments alone: it has an invoice (rule 9)
    paid_at: str = ""
    voided_at: str = ""
    void_cause: str = ""

    @property
    def total(self) -> int:
        """What is asked for after discounts."""
        return self.gross - self.discount

    @property
    def total_tax(self) -> int:
        """The tax in `total`: each line rounded by itself."""
        return self.tax - self.discount_tax

    @property
    def due(self) -> int:
        """What is still to be paid; 0 when voided."""
        return 0 if self.voided_at else self.total - self.paid - self.credited - self.written_off

    @property
    def settled(self) -> int:
        """What settled it and was not credited: money, an earlier upgrade's credit, no other discount (rule 8)."""
        return self.paid + self.worth

    def part_of(self, payment: str) -> int:
        """Return what `payment` pays of it."""
        return sum(amount for origin, amount in self.parts if origin == payment)

    @property
    def state(self) -> str:
        """open, part_paid, paid, written_off or voided."""
        if self.voided_at:
            return "voided"
        if self.written_off and not self.due:
            return "written_off"
        if self.paid_at or not self.due:
            return "paid"
        return "part_paid" if self.paid else "open"


@dataclass(slots=True)
class Purse:
    """The account's money beside its charges: credit pays what falls due, unapplied money waits to be applied."""

    lots: list[Lot] = field(default_factory=list)
    waiting: dict[str, int] = field(default_factory=dict)
    refunded: int = 0
    refunds: dict[str, int] = field(default_factory=dict)  # payment -> what of it was refunded
    excess: int = 0  # credit that came from upgrades, not from money
    applied: dict[str, list[Lot]] = field(default_factory=dict)  # payment -> (charge, amount) on the day it came

    @property
    def credit(self) -> int:
        """The credit balance."""
        return sum(amount for _origin, amount in self.lots)

    @property
    def unapplied(self) -> int:
        """Money that pays nothing until it is applied."""
        return sum(self.waiting.values())

    def keep(self, lots: Iterable[Lot]) -> None:
        """Add to the credit balance."""
        self.lots += [lot for lot in lots if lot[1]]

    def take(self, most: int) -> list[Lot]:
        """Take up to `most` from the credit balance, oldest first."""
        taken: list[Lot] = []
        while most and self.lots:
            origin, amount = self.lots[0]
            part = min(amount, most)
            taken.append((origin, part))
            most -= part
            if part == amount:
                del self.lots[0]
            else:
                self.lots[0] = (origin, amount - part)
        return taken

    def available(self, payment: str) -> int:
        """What of `payment` pays nothing now: it may be refunded."""
        return self.waiting.get(payment, 0) + sum(amount for origin, amount in self.lots if origin == payment)

    def pay_out(self, payment: str, amount: int) -> None:
        """Count what was refunded of a payment; negative where it did not go out after all."""
        self.refunded += amount
        self.refunds[payment] = self.refunds.get(payment, 0) + amount

    def take_of(self, payment: str, most: int) -> int:
        """Take up to `most` of what `payment` left, unapplied money first; return what was taken."""
        waiting = self.waiting.get(payment, 0)
        left = most - min(waiting, most)
        if waiting:
            self.waiting[payment] = waiting - (most - left)
        lots: list[Lot] = []
        for origin, amount in self.lots:
            part = min(amount, left) if origin == payment else 0
            left -= part
            lots.append((origin, amount - part))
        self.lots = [lot for lot in lots if lot[1]]
        return most - left


def pay_order(charges: Iterable[Charge], past_due: Container[str], first: str = "") -> list[Charge]:
    """Return the open charges in the order in which money pays them: past-due renewals, by due date, by id.

    `first` is the charge that a card was charged for: that money pays it before any other.
    """
    owed = [c for c in charges if c.due > 0]
    return sorted(owed, key=lambda c: (c.id != first, c.id not in past_due, c.due_on, c.id))


def take_out(charge: Charge, payment: str) -> int:
    """Take what `payment` paid out of a charge; return how much that was."""
    out = charge.part_of(payment)
    charge.parts = [part for part in charge.parts if part[0] != payment]
    charge.paid -= out
    return out


def give_back(charge: Charge, most: int) -> list[Lot]:
    """Take up to `most` of its money out of a charge, the newest first (a credit note frees it)."""
    freed: list[Lot] = []
    while most and charge.parts:
        origin, amount = charge.parts[-1]
        part = min(amount, most)
        freed.append((origin, part))
        most -= part
        charge.paid -= part
        if part == amount:
            charge.parts.pop()
        else:
            charge.parts[-1] = (origin, amount - part)
    return freed
