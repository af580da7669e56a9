"""What is measured beside the first response, against a second telling: exchanges, resolutions and their pauses.

6,000 random cases in a run of the suite, each asked at four pairs of `at` and `known_at`, to the microsecond.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta

import pytest

from ledger.errors import LedgerError
from ledger.rules import measures
from ledger.rules.calendars import ALWAYS
from ledger.rules.instants import to_iso
from tests import naive_clock as naive
from tests.naive_clock import US
from tests.sla_paper import Paper

Stretch = tuple[datetime, datetime | None, timedelta]  # from, until (None = still), without its pauses

CASES, PARTS = 6000, 4


def told(paper: Paper, at: datetime, known: datetime) -> tuple[naive.Case, list[naive.Fact]]:
    """Return a case and what had happened at `at`, known at `known`, finality aside; its merging too."""
    case = paper.whole()
    facts = [*case.facts, *([paper.merged] if paper.merged else [])]
    facts = [fact for fact in facts if fact.at <= at and fact.recorded <= known]
    return case, sorted(facts, key=lambda fact: (fact.at, fact.position))


def pauses(facts: Iterable[naive.Fact], at: datetime) -> list[tuple[datetime, datetime]]:
    """Return when we waited on the customer: until they wrote, we went on, or it was resolved."""
    found, since = [], None
    for fact in facts:
        if fact.kind in ("wait", "ask"):
            since = since or fact.at
        elif since and fact.kind in ("message", "resume", "resolve"):
            found.append((since, fact.at))
            since = None
    return [*found, *([(since, at)] if since else [])]


def stretch(since: datetime, until: datetime | None, at: datetime, waits: list[tuple[datetime, datetime]]) -> Stretch:
    end = until or at
    paused = sum((max(min(b, end) - max(a, since), timedelta()) for a, b in waits), timedelta())
    return since, until, end - since - paused


def second(paper: Paper, at: datetime, known: datetime) -> tuple[list[Stretch], list[Stretch]]:
    """Return the exchanges after the first response, and the ways to a resolution."""
    case, facts = told(paper, at, known)
    answers, waits = case.answers(facts), pauses(facts, at)
    exchanges: list[Stretch] = []
    ways: list[Stretch] = []
    answered, asked = False, None
    begun: datetime | None = case.opened
    for fact in facts:
        if fact.kind == "message" and answered:
            asked = asked or fact.at
        if asked and (fact in answers or fact.kind == "merge"):
            exchanges.append(stretch(asked, fact.at, at, waits))
            asked = None
        answered = answered or fact in answers
        if fact.kind == "resolve" and begun:
            ways.append(stretch(begun, fact.at, at, waits))
            begun = None
        elif fact.kind == "reopen":
            begun = begun or fact.at
    exchanges += [stretch(asked, None, at, waits)] if asked else []
    ways += [stretch(begun, None, at, waits)] if begun else []
    return exchanges, ways


def first(paper: Paper, at: datetime, known: datetime) -> tuple[list[Stretch], list[Stretch]]:
    """Return what the ledger measures, in the second one's words."""
    facts = [fact for fact in paper.ticket(to_iso(known)).facts if fact.occurred_at <= to_iso(at)]
    facts.sort(key=lambda fact: fact.occurred_at)
    moment, start = to_iso(at), to_iso(paper.opened)
    waits = measures.waits(facts, moment)

    def words(cycles: list[measures.Cycle]) -> list[Stretch]:
        for one in cycles:
            assert one.counted_us == one.plain_us  # at all hours
        ends = [datetime.fromisoformat(one.end) if one.end else None for one in cycles]
        return [
            (datetime.fromisoformat(one.start), end, one.plain_us * US) for one, end in zip(cycles, ends, strict=True)
        ]

    return (
        words(measures.next_responses(facts, moment, ALWAYS, waits)),
        words(measures.resolutions(start, facts, moment, ALWAYS, waits)),
    )


@pytest.mark.parametrize("part", range(PARTS))
def test_exchanges_and_resolutions_are_told_alike(part: int) -> None:
    seen: Counter[str] = Counter()
    for seed in range(part * CASES // PARTS, (part + 1) * CASES // PARTS):
        paper = Paper(f"measures {seed}")
        paper.live(paper.rng.randrange(6, 16))
        for _ in range(4):  # talk, so that there is something to measure
            paper.now += timedelta(minutes=paper.rng.randrange(1, 90))
            with suppress(LedgerError):
                paper.remark(paper.now) if paper.rng.random() < 0.6 else paper.respond(paper.now)
        for at, known in paper.moments():
            one, other = first(paper, at, known), second(paper, at, known)
            assert one == other, f"case {seed} at {at}, known at {known}"
            seen["exchanges"] += len(other[0])
            seen["resolutions"] += sum(until is not None for _since, until, _took in other[1])
            seen["paused"] += sum(took < (until or at) - since for since, until, took in [*other[0], *other[1]])
    assert seen["exchanges"] > 300, seen
    assert seen["resolutions"] > 300, seen
    assert seen["paused"] > 30, seen
