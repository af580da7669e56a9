"""A subscription's dates: monthly boundaries on the original anchor, periods of one or twelve months."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from ledger.rules import instants, terms

FAR = "9999-12-31T23:59:59.999999Z"


@lru_cache(maxsize=8192)
def midnight(day: date, zone: str) -> str:
    """Return the canonical instant at which local `day` begins in `zone`."""
    return instants.to_iso(instants.midnight(day, zone))


@lru_cache(maxsize=2048)  # instants seldom come twice, but those of one command or stream do
def local_day(at: str, zone: str) -> date:
    """Return the local date of canonical instant `at` in `zone`."""
    return instants.local_date(instants.from_iso(at), zone)


@dataclass(slots=True)
class Subscription:
    """One plan bought or licensed. `state`: pending, in_force, past_due, lapsed, cancelled or abandoned.

    `month` is the index of the monthly boundary last reached (0 at the start); a period begins at every
    `months`-th boundary. `ends_on` is a local date as text, "" when no end is scheduled.
    """

    id: str
    kind: str  # "bought" or "licence"
    level: str
    term: str
    pay_by: str
    zone: str
    charge: str
    state: str = "pending"
    units: int = 0
    anchor: date = date.min
    month: int = 0
    period_from: str = ""
    period_until: str = ""
    ends_on: str = ""
    undoes: bool = False
    licence_until: str = ""
    unpaid: str = ""
    ended_at: str = ""

    @property
    def months(self) -> int:
        """The term's length in months."""
        return terms.TERM_MONTHS[self.term]

    @property
    def live(self) -> bool:
        """Whether it still binds the account: pending, in force or past due."""
        return self.state in ("pending", "in_force", "past_due")

    def boundary(self, month: int) -> date:
        """Return the local date of monthly boundary `month`, counted from the original anchor."""
        return terms.boundary(self.anchor, month)

    def boundary_at(self, month: int) -> str:
        """Return the instant of monthly boundary `month`; the first one is the start itself."""
        return midnight(self.boundary(month), self.zone)

    def next_renewal(self) -> date:
        """Return the local date on which the running (or the unpaid) period gives way to the next."""
        if self.state == "past_due":
            return self.boundary(self.month)
        return self.boundary((self.month // self.months + 1) * self.months)

    def renewals_after(self, day: date) -> date:
        """Return the period boundary that follows the period boundary `day`."""
        return self.boundary(terms.month_index(self.anchor, day) + self.months)

    def period_end(self, day: date) -> date:
        """Return the last period boundary up to `day`, the next renewal when that lies behind."""
        month = terms.month_index(self.anchor, day)
        return max(self.next_renewal(), self.boundary(month - month % self.months))

    def is_period_boundary(self, day: date) -> bool:
        """Whether `day` is a boundary at which a period ends."""
        month = terms.month_index(self.anchor, day)
        return month > 0 and self.boundary(month) == day and month % self.months == 0

    def licence_end(self) -> str:
        """Return the instant at which a licence's plan is over: the midnight after its recorded date."""
        if not self.licence_until:
            return FAR
        return midnight(date.fromisoformat(self.licence_until) + timedelta(days=1), self.zone)
