"""Both explanations of a case whose verdict flips: of the verdict as it is, and of the one that would have been."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ledger.application import Ledger
from ledger.catalogue import Catalogue
from ledger.explaining import Under, explanation
from ledger.rules import sla
from ledger.rules.calendars import Calendar
from ledger.rules.subscriptions import FAR
from ledger.rules.whatif import stated_limits
from ledger.ticket import Ticket
from projections.whatif_cases import policy_of
from projections.whatif_policy import Policy

Answer = dict[str, Any]


class _Supposed:
    """A scenario's terms for one case, as the rules ask for them."""

    def __init__(self, policy: Policy, version: str, day: str, stated: Mapping[tuple[str, str], int]) -> None:
        self._policy, self._version, self._day, self._stated = policy, version, day, stated

    def target(self, level: str, priority: str, start: str = "") -> tuple[int, str]:
        """Return the limit in microseconds and the calendar's name that the scenario has for a level and priority."""
        stated = self._stated.get((start, priority), 0)
        found = self._policy.terms(self._version, level, priority, self._day, stated)
        return found.limit_us, found.name

    def calendar(self, reference: str) -> Calendar:
        """Return the calendar of that name, with the holidays and the zone of the scenario."""
        return self._policy.calendar(reference)


def explain_flips(
    ledger: Ledger, flips: Iterable[Answer], policy: Policy, *, at: str, known_at: str, position: int
) -> None:
    """Put both explanations into each flip, as of instant `at` and the log up to `position`."""
    catalogue = policy.catalogue
    for flip in flips:
        case = ledger.ticket(flip["ticket"], position=position)
        flip["explained"] = {
            "before": explanation(case, catalogue, at, known_at=known_at),
            "after": explanation(case, catalogue, at, known_at=known_at, under=under(case, catalogue, policy, at)),
        }


def under(case: Ticket, catalogue: Catalogue, policy: Policy, at: str = FAR) -> Under:
    """Return what explains a case under a scenario, as of instant `at`."""
    clock = sla.run(case.facts, at, case.recorded)
    assert clock is not None  # it has an opening
    version, day = policy_of(clock, catalogue)
    told = {"scenario": policy.scenario.name, **policy.changes()}
    return Under(_Supposed(policy, version, day, stated_limits(case.facts)), policy.scenario.pause, told)
