"""Grants: tickets with a level and a validity; who is usable when, in which order they burn, what expires.

A grant is usable from `starts` to `until`, half-open (DOMAIN.md 2-5). `used` counts units given back no more;
units = used + expired + voided + remaining holds for each grant at every instant.
"""

from __future__ import annotations

from collections.abc import Iterable

LEVELS = ("basic", "advanced", "corporate")
RANK = {level: rank for rank, level in enumerate(LEVELS)}
KINDS = {"plan": 0, "addon": 1, "courtesy": 2}


class Grant:
    """N units of one level; `takes` is every movement (instant, ticket, +1 taken or -1 given back)."""

    __slots__ = (
        "ended",
        "expired",
        "id",
        "kind",
        "level",
        "lost",
        "source",
        "starts",
        "takes",
        "units",
        "until",
        "used",
        "voided",
    )

    def __init__(self, id: str, *, kind: str, level: str, units: int, starts: str, until: str, source: str) -> None:
        """`starts` and `until` are canonical instants; `source` is the subscription or charge behind it."""
        self.id = id
        self.kind = kind
        self.level = level
        self.units = units
        self.starts = starts
        self.until = until
        self.source = source
        self.used = self.expired = self.voided = 0
        self.lost = 0  # units voided because their payment was taken back: granted anew when it is paid again
        self.ended = ""  # "", "expired" or "voided": what happens to a unit that comes back
        self.takes: list[tuple[str, str, int]] = []

    @property
    def remaining(self) -> int:
        """Units neither used, expired nor voided."""
        return self.units - self.used - self.expired - self.voided

    def covers(self, level: str) -> bool:
        """Whether this grant's level is at least `level`."""
        return RANK[self.level] >= RANK[level]

    def spare_from(self, at: str) -> int:
        """Units that stay free at `at` and at every later instant, expiries aside (DOMAIN.md 5).

        Negative where a fact that came in late has left more uses than units.
        """
        used = peak = 0
        for instant, _ticket, change in self.takes:  # in order of their instants
            used += change
            peak = max(peak, used) if instant > at else used
        return self.units - peak

    def holds_at(self, at: str) -> bool:
        """Whether a unit that is left may be taken at `at`."""
        return self.starts <= at < self.until and self.remaining > 0

    def valid_at(self, at: str) -> bool:
        """Whether `at` lies in the validity and the units have not been taken back."""
        return self.starts <= at < self.until and self.ended != "voided"

    def order(self) -> tuple[str, int, str, str]:
        """The burn order: soonest expiry, then plan, add-on, courtesy, then earliest granted, then id."""
        return (self.until, KINDS[self.kind], self.starts, self.id)


def usable(grants: Iterable[Grant], at: str) -> list[Grant]:
    """Return the grants usable at `at`, in burn order: started, not expired, a unit free now and later."""
    return sorted((g for g in grants if g.valid_at(at) and g.spare_from(at) > 0), key=Grant.order)


def why(chosen: Grant, candidates: list[Grant], named: bool) -> str:
    """Return the reason code for taking `chosen`: the first rule of the burn order that told it apart."""
    if named:
        return "named_by_customer"
    others = [g for g in candidates if g is not chosen]
    if not others:
        return "only_grant"
    if all(chosen.until < g.until for g in others):
        return "soonest_expiry"
    tied = [g for g in others if g.until == chosen.until]
    if all(KINDS[chosen.kind] < KINDS[g.kind] for g in tied):
        return "plan_before_addon_before_courtesy"
    return "earliest_granted"
