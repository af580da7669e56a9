"""Which limit would give a share, and the share over the limit: one level and priority at a time, the rest as it is."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ledger import patience
from ledger.scenarios import Cell, show_limit
from projections.compliance import percent
from projections.whatif_cases import Cases, Group, Scope
from projections.whatif_count import clock_under, judged, terms_of
from projections.whatif_policy import Policy

_SECOND = 1_000_000
_MOST_SECONDS = 366 * 86_400
# Where a curve is drawn: from five minutes to two weeks, evenly on a logarithmic scale.
GRID = tuple(sorted({round(300 * (14 * 288) ** (step / 47)) for step in range(48)}))

_TRIED = (1, 60, *GRID, _MOST_SECONDS)  # where an aim is looked for first


@dataclass
class _Sorted:
    """Plain cases of a level and priority in the order of their counted time, answered or not."""

    settled: Tally[str]
    answered: list[int] = field(default_factory=list)
    open: list[int] = field(default_factory=list)

    def met_and_breached(self, limit_us: int) -> tuple[int, int]:
        met = bisect_left(self.answered, limit_us)
        late = len(self.open) - bisect_left(self.open, limit_us)
        breached = len(self.answered) - met + late
        return met + self.settled["met"], breached + self.settled["breached"]


class Search:
    """The cases under a scenario in which one limit is moved."""

    def __init__(self, cases: Cases, scope: Scope, policy: Policy) -> None:
        self._cases, self._scope, self._policy = cases, scope, policy
        self._sorted: dict[Cell, list[_Sorted]] = {}

    def share(self, cell: Cell, seconds: int) -> tuple[int, int]:
        """Return how many are met, and how many are decided, where `cell` has a limit of `seconds`."""
        patience.check()
        limit_us = seconds * _SECOND
        met = breached = 0
        for part in self._parts(cell):
            more, fewer = part.met_and_breached(limit_us)
            met, breached = met + more, breached + fewer
        policy = self._policy
        limits = {**policy.scenario.limits, cell: limit_us}
        moved = Policy(replace(policy.scenario, limits=limits), policy.catalogue)
        for case in self._cases.moved:
            if cell in case.cells:
                clock = clock_under(case, moved)
                if (clock.verdict_level, clock.verdict_priority) == cell:
                    verdict = judged(clock, self._scope)
                    met, breached = met + (verdict == "met"), breached + (verdict == "breached")
        return met, met + breached

    def aim(self, cell: Cell, aim: int) -> dict[str, Any]:
        """Return the limit, in whole seconds, that gives `aim` hundredths of a per cent, and a second less does not.

        None may: then the figures are those of the best one tried. Raises and upgrades move cases to other cells, so a
        longer limit may give less: it is looked for from short to long, and need not be the shortest one between two
        points that are tried.
        """
        found: dict[str, Any] = {"for": "/".join(cell), "aim": percent(aim), "limit": None, "limit_seconds": None}
        low, high, best = 0, 0, (0, 0)
        for high in _TRIED:
            met, decided = tried = self.share(cell, high)
            if _reaches(tried, aim):
                break
            if not best[1] or met * best[1] > best[0] * decided:
                best = tried
            low = high
        else:
            met, decided = best
            return {**found, "share": share_of(met, decided), "met": met, "decided": decided}
        while high - low > 1:
            middle = (low + high) // 2
            if _reaches(self.share(cell, middle), aim):
                high = middle
            else:
                low = middle
        met, decided = self.share(cell, high)
        found |= {"limit": show_limit(high * _SECOND), "limit_seconds": high}
        return {**found, "share": share_of(met, decided), "met": met, "decided": decided}

    def curves(self, cells: Sequence[Cell]) -> list[dict[str, Any]]:
        """Return, for each level and priority, the share met over the limit."""
        return [
            {
                "level": cell[0],
                "priority": cell[1],
                "points": [
                    {"limit_seconds": seconds, "share": share_of(*self.share(cell, seconds))} for seconds in GRID
                ],
            }
            for cell in cells
        ]

    def _parts(self, cell: Cell) -> list[_Sorted]:
        found = self._sorted.get(cell)
        if found is None:
            groups = [g for g in self._cases.groups if (g.level, g.priority) == cell]
            found = self._sorted[cell] = [self._sort(group) for group in groups]
        return found

    def _sort(self, group: Group) -> _Sorted:
        _own, new = terms_of(group, self._policy)
        part = _Sorted(group.settled)
        for row, elapsed in zip(group.rows, group.elapsed(new.calendar), strict=True):
            (part.answered if row[8] else part.open).append(elapsed)
        part.answered.sort()
        part.open.sort()
        return part


def _reaches(counts: tuple[int, int], aim: int) -> bool:
    """Whether met of decided is at least `aim` hundredths of a per cent; nothing decided reaches nothing."""
    met, decided = counts
    return decided > 0 and met * 10_000 >= aim * decided


def share_of(met: int, decided: int) -> str | None:
    """Return the share met in per cent, cut to hundredths: 100.00 only where all are; None where none is decided."""
    return percent(met * 10_000 // decided) if decided else None
