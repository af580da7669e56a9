"""Counting every case's verdict under a policy: plain cases by their counted time, the others folded again."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass, field

from ledger import facts as f
from ledger import patience
from ledger.rules.sla import Clock, Promise
from ledger.rules.whatif import pauses, stated_limits
from ledger.scenarios import CELLS, Cell
from projections.whatif_cases import Cases, Group, Moved, Scope, verdict
from projections.whatif_policy import Policy, Terms

Counts = dict[Cell, Tally[str]]


@dataclass
class Outcome:
    """What one scenario makes of all cases."""

    policy: Policy
    after: Counts = field(default_factory=dict)
    plain: list[tuple[Group, Terms, Terms, list[int]]] = field(default_factory=list)  # with the places of its flips
    moved: list[tuple[Moved, Clock]] = field(default_factory=list)
    kinds: Tally[str] = field(default_factory=Tally)
    touched: dict[str, set[int]] = field(default_factory=dict)  # calendars with the years that cases touch


def counts_before(cases: Cases, scope: Scope) -> Counts:
    """Return the verdicts as they are, by the level and priority whose limit governed."""
    found: Counts = {}
    for group in cases.groups:
        _add(found, (group.level, group.priority), group.before)
    for moved in cases.moved:
        _count(found, moved.clock, scope)
    return {cell: found[cell] for cell in CELLS if cell in found}


def judged(clock: Clock, scope: Scope) -> str:
    """Return a case's verdict as the scope asks for it."""
    return clock.raw_verdict(scope.now) if scope.raw else clock.verdict(scope.now)


def _add(counts: Counts, cell: Cell, more: Tally[str]) -> None:
    counts.setdefault(cell, Tally()).update(more)


def _count(counts: Counts, clock: Clock, scope: Scope) -> str:
    found = judged(clock, scope)
    if found != "none":
        _add(counts, (clock.verdict_level, clock.verdict_priority), Tally((found,)))
    return found


def evaluate(cases: Cases, policy: Policy, scope: Scope) -> Outcome:
    """Return what `policy` makes of the cases."""
    outcome = Outcome(policy)
    for group in cases.groups:
        patience.check()
        _plain(group, outcome, scope.now)
    for moved in cases.moved:
        _folded(moved, outcome, scope)
    return outcome


def _plain(group: Group, outcome: Outcome, now: str) -> None:
    own, new = terms_of(group, outcome.policy)
    flips: list[int] = []
    # A limit that is named also stands in the place of one that another system stated, which no row tells.
    named = (group.level, group.priority) in outcome.policy.scenario.limits
    if named or (new.limit_us, new.calendar) != (own.limit_us, own.calendar):
        pairs = zip(group.elapsed(new.calendar), group.in_time, strict=True)
        flips = [i for i, (elapsed, before) in enumerate(pairs) if (elapsed < new.limit_us) != before]
    change = Tally(group.before)
    for i in flips:
        before = group.in_time[i]
        was, becomes = verdict(group.rows[i], before), verdict(group.rows[i], not before)
        outcome.kinds[f"{was}_to_{becomes}"] += 1
        change[was] -= 1
        change[becomes] += 1
    _add(outcome.after, (group.level, group.priority), change)
    outcome.plain.append((group, own, new, flips))
    touched = outcome.touched.setdefault(new.name, set())
    touched.update(group.years)
    if not new.calendar.always:  # an unanswered case touches what lies before its due instant
        touched.update(int(min(new.due(row[6], []), now)[:4]) for row in group.rows if not row[8])


def terms_of(group: Group, policy: Policy) -> tuple[Terms, Terms]:
    """Return what plain cases were promised, and what the policy promises instead."""
    own = policy.own(group.policy, group.level, group.priority, group.day, group.calendar)
    return own, policy.instead(own, group.level, group.priority)


def clock_under(moved: Moved, policy: Policy) -> Clock:
    """Return a case folded under a policy."""

    def of(facts: Sequence[f.TicketFact]) -> Promise:
        waits, own = pauses(facts) if policy.scenario.pause else [], stated_limits(facts)

        def promise(level: str, priority: str, start: str) -> str:
            stated = own.get((start, priority), 0)
            return policy.terms(moved.policy, level, priority, moved.day, stated).due(start, waits)

        return promise

    return moved.under(of)


def _folded(moved: Moved, outcome: Outcome, scope: Scope) -> None:
    clock = clock_under(moved, outcome.policy)
    was, becomes = judged(moved.clock, scope), _count(outcome.after, clock, scope)
    if was != becomes:
        outcome.kinds[f"{was}_to_{becomes}"] += 1
        outcome.moved.append((moved, clock))
    name = moved_terms(moved, clock, outcome.policy).name
    until = min(clock.counted_at or clock.due_at or scope.now, scope.now)
    outcome.touched.setdefault(name, set()).update(range(int(clock.started_at[:4]), int(until[:4]) + 1))


def moved_terms(moved: Moved, clock: Clock, policy: Policy) -> Terms:
    """Return what `policy` promises a case folded under it; one that left compliance: what it began with."""
    level, priority = clock.verdict_level or clock.first_limit[0], clock.verdict_priority or clock.first_limit[1]
    return policy.terms(moved.policy, level, priority, moved.day)
