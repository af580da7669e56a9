"""Which calendar counts for which level and priority: the catalogue, and what was assigned since, by command.

An assignment holds from an instant on, never a past one: a case is governed for life by what held when it was opened.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from ledger import facts as f
from ledger.account import Asked
from ledger.catalogue import Assignment, Catalogue
from ledger.errors import NotFound, Refused
from ledger.plans import Answer, common
from ledger.rules.instants import midnight, show, to_iso
from ledger.store import Recorded, Store

STREAM = "policy"


def current(store: Store, known: Catalogue) -> Catalogue:
    """Return `known` with what was assigned since; the same object when nothing was."""
    events = store.select_events(STREAM, gt=len(known.assignments))
    if not events:
        return known
    found = list(known.assignments)
    for event in events:
        fact = f.decode(event.topic, event.state)
        assert isinstance(fact, f.CalendarAssigned)
        found.append(Assignment(fact.since, fact.level, fact.priority, fact.calendar))
    return replace(known, assignments=tuple(found))


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
    if before and since < before[-1].since:
        raise Refused("assigned_later", since=show(before[-1].since, catalogue.zone))
    fact = f.CalendarAssigned(
        **common("", asked), level=v["level"], priority=v["priority"], calendar=v["calendar"], since=since
    )
    answer = {
        "ok": True,
        "level": fact.level,
        "priority": fact.priority,
        "calendar": fact.calendar,
        "from": show(since, catalogue.zone),
    }
    return Recorded(STREAM, len(before) + 1, fact), answer
