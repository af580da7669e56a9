"""What the naive telling of `tests/naive_billing.py` speaks of: plans, tickets, charges, money. No project code.

Local time is America/Guatemala, six hours behind UTC in the years of the tests. Names are the ledger's without the
account.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

LEVELS = ["basic", "advanced", "corporate"]
UNITS = {"basic": 5, "advanced": 12, "corporate": 30}
PRICES = {"basic": 25_000, "advanced": 60_000, "corporate": 150_000}
GRACE, WAITING, USABLE = 5, 15, 30
RETRIES = (0, 1, 3, 5)


def midnight(day: date) -> datetime:
    """Return the instant at which a Guatemalan day begins."""
    return datetime(day.year, day.month, day.day, 6, tzinfo=UTC)


def local(at: datetime) -> date:
    """Return the Guatemalan date of an instant."""
    return (at - timedelta(hours=6)).date()


def months_after(anchor: date, count: int) -> date:
    """Return the anchor's day so many months later, or that month's last."""
    month = anchor.month - 1 + count
    year, month = anchor.year + month // 12, month % 12 + 1
    return date(year, month, min(anchor.day, monthrange(year, month)[1]))


def price(level: str, months: int) -> int:
    """Return what a month or a year of a level costs: a year costs ten months."""
    return PRICES[level] * (10 if months == 12 else 1)


def tax(gross: int) -> int:
    """Return the IVA inside a line."""
    return int(Fraction(gross * 12, 112) + Fraction(1, 2))


@dataclass
class Told:
    """What was done: when it counts, in which order it was recorded, and its words."""

    at: datetime
    what: str
    words: dict[str, Any]
    seq: int = 0


@dataclass
class Plan:
    """A bought plan. Its boundaries count from `anchor`; an upgrade begins another turn with its own."""

    name: str
    level: str
    months: int
    card: bool
    state: str = "pending"
    turn: int = 1
    anchor: date = date.min
    month: int = 0
    first: int = 0  # the month with which the running period began
    span: int = 1  # the months of the running period
    owed: str = ""
    settled: str = ""  # the charge that paid the running period
    grace_from: date = date.min
    ends_on: date | None = None
    undo: bool = False
    next_level: str = ""
    next_months: int = 0
    asked: dict[str, int] = field(default_factory=dict)

    def boundary(self, month: int) -> date:
        """Return a monthly boundary of this turn."""
        return months_after(self.anchor, month)

    @property
    def prefix(self) -> str:
        """Return how this turn's grants and charges begin."""
        return self.name if self.turn == 1 else f"{self.name}.{self.turn}"


@dataclass
class Grant:
    """Tickets given."""

    name: str
    kind: str
    level: str
    units: int
    starts: datetime
    until: date
    used: int = 0
    expired: int = 0
    voided: int = 0
    over: str = ""
    lost: int = 0  # voided because the payment was taken back
    lost_by: str = ""

    @property
    def left(self) -> int:
        """Return the units that are left."""
        return self.units - self.used - self.expired - self.voided


@dataclass
class Charge:
    """Money asked for; `total` is what is asked after discounts."""

    name: str
    kind: str
    gross: int
    asked: datetime
    due_on: date
    level: str = ""
    discount: int = 0
    credited: int = 0
    written_off: int = 0
    open: bool = True
    times: int = 0  # paid
    void: bool = False
    parts: list[tuple[str, int]] = field(default_factory=list)  # the money that pays it
    lines: list[int] = field(default_factory=list)  # the IVA of each discount
    plan: str = ""  # of an upgrade
    upgrade_credit: int = 0
    excess: int = 0

    @property
    def total(self) -> int:
        """Return what is asked."""
        return 0 if self.void else self.gross - self.discount


@dataclass
class Money:
    """Money that came in, or the excess of an upgrade."""

    name: str
    at: datetime
    seq: int
    amount: int
    waiting: int = 0  # unapplied
    gone: int = 0  # refunded
    back: str = ""  # "" it stands; "hollow": the bank took it back, the plan does not know yet; "gone"
