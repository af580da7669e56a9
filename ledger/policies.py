"""Which calendar counts for which level and priority: the catalogue, and what was assigned since, by command.

An assignment holds from an instant on, never a past one: a case is governed for life by what held when it was opened.
Dates decide, whatever the order of recording: of one level and priority the assignment with the latest instant that has
come holds, the last recorded of two with the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from ledger import facts as f
from ledger.account import Asked
from ledger.catalogue import Assignment, Catalogue, Target
from ledger.errors import NotFound, Refused
from ledger.plans import Answer, common
from ledger.rules import sla
from ledger.rules.calendars import Calendar
from ledger.rules.instants import midnight, show, to_iso
from ledger.rules.subscriptions import local_day
from ledger.store import Recorded, Store

STREAM = "policy"


def current(store: Store, known: Catalogue) -> Catalogue:
    """Return `known` with what was assigned since; the same object when nothing was."""
    events = store.select_events(STREAM, gt=len(known.assignments))
    if not events:
        return known
    found = list(known.assignments)
    for event in events:
        fact = f.decode(event.topic, event.state, event.position)
        assert isinstance(fact, f.CalendarAssigned)
        found.append(Assignment(fact.since, fact.level, fact.priority, fact.calendar))
    return replace(known, assignments=tuple(found))


def target(catalogue: Catalogue, clock: sla.Clock, level: str, priority: str) -> Target:
    """Return what the policy that governs a case for life promises a level and priority."""
    return target_of(catalogue, clock.opened, clock.policy, level, priority)


def target_of(catalogue: Catalogue, opened: f.TicketOpened, named: str, level: str, priority: str) -> Target:
    """Return what the policy version `named` promises a case; where none is named it is the one of its opening."""
    day = local_day(opened.occurred_at, opened.zone)
    version = named or catalogue.target(level, priority, day, opened.occurred_at).policy
    return catalogue.target_of(version, level, priority, day)


class Governing:
    """The policy that governs one case, as `ledger.rules.segments.limits` asks for it."""

    def __init__(self, clock: sla.Clock, catalogue: Catalogue) -> None:
        self._clock, self._catalogue = clock, catalogue

    def target(self, level: str, priority: str, start: str = "") -> tuple[int, str]:
        """Return the limit in microseconds and the calendar (name@version) of a level and priority."""
        found = target(self._catalogue, self._clock, level, priority)
        return found.limit_us, found.calendar

    def calendar(self, reference: str) -> Calendar:
        """Return the calendar that `name@version` names."""
        return self._catalogue.calendar(reference)


def assign(store: Store, catalogue: Catalogue, v: Answer, asked: Asked) -> tuple[Recorded, Answer]:
    """Return the row of an assignment and its answer; Refused for one that would change the past."""
    if v["calendar"] not in catalogue.calendar_names:
        raise NotFound("unknown_calendar", calendar=v["calendar"], known=", ".join(sorted(catalogue.calendar_names)))
    since = v.get("from", asked.now)
    if len(since) == len("2026-03-01"):
        since = to_iso(midnight(date.fromisoformat(since), catalogue.zone))
    before = current(store, replace(catalogue, assignments=())).assignments
    if since < asked.now:
        raise Refused("in_the_past", since=show(since, catalogue.zone), now=show(asked.now, catalogue.zone))
    fact = f.CalendarAssigned(
        **common("", asked), level=v["level"], priority=v["priority"], calendar=v["calendar"], since=since
    )
    answer = {
        "ok": True,
        "level": fact.level,
        "priority": fact.priority,
        "calendar": fact.calendar,
        "from": show(since, catalogue.zone),
        "until": _until(before, fact, catalogue.zone),
    }
    return Recorded(STREAM, len(before) + 1, fact), answer


def _until(before: Sequence[Assignment], fact: f.CalendarAssigned, zone: str) -> str | None:
    """Return the instant from which an assignment on record takes over; None where none does."""
    cell = fact.level, fact.priority
    later = (one.since for one in before if (one.level, one.priority) == cell and one.since > fact.since)
    since = min(later, default="")
    return show(since, zone) if since else None
