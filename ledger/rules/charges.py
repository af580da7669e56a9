"""Charges and the money that pays them: past-due renewals first, then by due date, then by id (DOMAIN.md 7).

Amounts are integer minor units of the account's currency.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Charge:
    """What is asked for. `kind`: purchase, renewal or addon. Voided charges count in no sum."""

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
    paid: int = 0
    paid_at: str = ""
    voided_at: str = ""
    void_cause: str = ""

    @property
    def due(self) -> int:
        """What is still to be paid; 0 when voided."""
        return 0 if self.voided_at else self.gross - self.paid

    @property
    def state(self) -> str:
        """open, part_paid, paid or voided."""
        if self.voided_at:
            return "voided"
        if self.paid_at:
            return "paid"
        return "part_paid" if self.paid else "open"


@dataclass(slots=True)
class Purse:
    """The account's money beside its charges: credit pays what falls due, unapplied money waits."""

    credit: int = 0
    unapplied: int = 0
    received: int = 0
    applied: dict[str, list[tuple[str, int]]] = field(default_factory=dict)


def pay_order(charges: list[Charge]) -> list[Charge]:
    """Return the open charges in the order in which money pays them."""
    return sorted((c for c in charges if c.due > 0), key=lambda c: (c.kind != "renewal", c.due_on, c.id))
