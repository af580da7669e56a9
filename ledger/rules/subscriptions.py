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

    `month` is the index of the monthly boundary last reached (0 at the start), `period_month` that of the boundary at
    which the running (or unpaid) period begins; it runs for `months`. An upgrade begins a new `turn` with a new
    anchor. `ends_on` is a local date as text, "" when no end is scheduled.
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
    turn: int = 1
    month: int = 0
    period: int = 0
    period_month: int = 0
    period_from: str = ""
    period_until: str = ""
    ends_on: str = ""
    undoes: bool = False
    next_level: str = ""
    next_term: str = ""
    quote: str = ""  # the open charge of an upgrade asked for
    settled_by: str = ""  # the charge that pays for the running period, "" when it was free
    licence_until: str = ""
    unpaid: str = ""
    grace_until: str = ""
    next_zone: str = ""  # the account's new one, from the next period on
    zone_before: str = ""  # the one in which the boundaries up to `zone_since` were promised
    zone_since: int = -1
    ended_at: str = ""

    @property
    def months(self) -> int:
        """The term's length in months."""
        return terms.TERM_MONTHS[self.term]

    @property
    def months_next(self) -> int:
        """The length in months of the periods after the next renewal."""
        return terms.TERM_MONTHS[self.next_term or self.term]

    @property
    def prefix(self) -> str:
        """What the names of its grants and charges begin with: each turn has its own."""
        return self.id if self.turn == 1 else f"{self.id}.{self.turn}"

    @property
    def live(self) -> bool:
        """Whether it still binds the account: pending, in force or past due."""
        return self.state in ("pending", "in_force", "past_due")

    @property
    def awaits_renewal(self) -> bool:
        """Whether it is past due on a renewal that was never paid: its new period has not begun."""
        return self.state == "past_due" and self.unpaid != self.settled_by

    def place(self, month: int) -> int:
        """Return a number that names monthly boundary `month` of this turn: what was due in another is not."""
        return self.turn << 16 | month

    def boundary(self, month: int) -> date:
        """Return the local date of monthly boundary `month`, counted from the original anchor."""
        return terms.boundary(self.anchor, month)

    def boundary_at(self, month: int) -> str:
        """Return the instant of monthly boundary `month`; the first one is the start itself."""
        return midnight(self.boundary(month), self.zone if month > self.zone_since else self.zone_before)

    def adopt_zone(self, zone: str, since: int) -> None:
        """Count the boundaries after monthly boundary `since` in another zone; those up to it stay as promised."""
        self.zone_before, self.zone_since = self.zone, since
        self.zone, self.next_zone = zone, ""

    def next_renewal(self) -> date:
        """Return the local date on which the running (or the unpaid) period gives way to the next."""
        if self.awaits_renewal:
            return self.boundary(self.month)
        return self.boundary(self.period_month + self.months)

    def _past_renewal(self, month: int) -> int:
        """Return how many months `month` lies past the next renewal's, negative before it."""
        return month - self.period_month - (0 if self.awaits_renewal else self.months)

    def renewals_after(self, day: date) -> date:
        """Return the period boundary that follows the period boundary `day`."""
        return self.boundary(terms.month_index(self.anchor, day) + self.months_next)

    def period_end(self, day: date) -> date:
        """Return the last period boundary up to `day`, the next renewal when that lies behind."""
        month = terms.month_index(self.anchor, day)
        past = self._past_renewal(month)
        return self.next_renewal() if past < 0 else self.boundary(month - past % self.months_next)

    def is_period_boundary(self, day: date) -> bool:
        """Whether `day` is the next renewal or a boundary after it at which a period ends."""
        month = terms.month_index(self.anchor, day)
        past = self._past_renewal(month)
        return past >= 0 and self.boundary(month) == day and past % self.months_next == 0

    def licence_end(self) -> str:
        """Return the instant at which a licence's plan is over: the midnight after its recorded date."""
        if not self.licence_until:
            return FAR
        return midnight(date.fromisoformat(self.licence_until) + timedelta(days=1), self.zone)
