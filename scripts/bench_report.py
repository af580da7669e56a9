"""The compliance report by level and month over many cases: against a plain count over the same read table."""

from __future__ import annotations

import time
from collections import Counter
from random import Random
from typing import Any

from ledger.application import Ledger
from ledger.rules.grants import LEVELS
from ledger.rules.sla import PRIORITIES
from projections.projector import Projector
from projections.tickets import TICKETS
from scripts.bench_common import Ground, Row, must_equal, take_turns

_PLAIN = "SELECT verdict_level, month, count(*) FROM r_tickets WHERE due_at <> '' GROUP BY verdict_level, month"
_PART = 5000


def report(ground: Ground, dialect: str) -> list[Row]:
    """Measure the question as it is asked, totals included, in milliseconds: counts and shares, then with the times."""
    ledger = Ledger(ground.empty(dialect, "report"), ground.catalogue)
    projector = Projector(ledger.store, ground.catalogue)
    projector.prepare()
    expected = fill(projector, ground.size.reported)

    def asked(*, times: bool) -> float:
        started = time.perf_counter()
        answer = ledger.ask("report", {"by": ["level", "month"], "times": times})
        seconds = time.perf_counter() - started
        check(answer, expected)
        return seconds * 1000

    def plain() -> float:
        started = time.perf_counter()
        found = projector.read.query(_PLAIN)
        seconds = time.perf_counter() - started
        must_equal("cases counted", sum(row[2] for row in found), ground.size.reported)
        return seconds * 1000

    counts, times, peers = take_turns(ground.size.repeats, lambda: asked(times=False), lambda: asked(times=True), plain)
    projector.close()
    return [
        Row(f"report-{dialect}", "ms", counts, peers, ceiling=3),
        Row(f"report-times-{dialect}", "ms", times, peers, ceiling=3),
    ]


def fill(projector: Projector, cases: int) -> Counter[tuple[str, str, str]]:
    """Put so many cases of four years into the read table; return them counted by level, month and verdict."""
    rng, found = Random(5), Counter[tuple[str, str, str]]()  # noqa: S311 - it guards nothing
    rows = [_case(rng, number, found) for number in range(cases)]
    with projector.read.transaction() as writer:
        for start in range(0, cases, _PART):
            writer.insert(TICKETS.name, TICKETS.names, rows[start : start + _PART])
    projector.read.execute("ANALYZE r_tickets")  # as a database does by itself, in time
    return found


def _case(rng: Random, number: int, found: Counter[tuple[str, str, str]]) -> list[Any]:
    day = f"{rng.randrange(2010, 2014)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}"
    level, priority = rng.choice(LEVELS), rng.choice(PRIORITIES)
    took = rng.randrange(1, 12 * 3600)
    excluded = "duplicate" if rng.random() < 0.02 else ""
    verdict = "excluded" if excluded else "met" if took < 8 * 3600 else "breached"
    found[level, day[:7], verdict] += 1
    answered = f"{day}T{6 + took // 3600:02d}:{took // 60 % 60:02d}:{took % 60:02d}.000000Z"
    values: dict[str, Any] = {
        **{name: "" for name, kind in TICKETS.columns if kind == "text"},
        **{name: 0 for name, kind in TICKETS.columns if kind != "text"},
        "stream": f"ticket/R-{number}",
        "ticket": f"R-{number}",
        "account": f"B{number % 400}",
        "request": "general",
        "level": level,
        "priority": priority,
        "grant_id": f"B{number % 400}-S1-m1",
        "verdict_level": level,
        "verdict_priority": priority,
        "agent": f"agent {number % 22}",
        "opened_at": f"{day}T06:00:00.000000Z",
        "started_at": f"{day}T06:00:00.000000Z",
        "opened_on": day,
        "month": day[:7],
        "due_at": f"{day}T14:00:00.000000Z",
        "responded_at": answered,
        "counted_at": answered,
        "channel": "platform",
        "policy": "2000-01-01",
        "calendar": "24x7@1",
        "zone": "America/Guatemala",
        "elapsed_us": took * 1_000_000,
        "excluded": excluded,
        "final_at": f"{day}T14:00:00.000000Z",
    }
    return [values[name] for name in TICKETS.names]


def check(answer: dict[str, Any], expected: Counter[tuple[str, str, str]]) -> None:
    """Raise Broken unless every cell is what was put in, and the rows' sums are the totals."""
    found: Counter[tuple[str, str, str]] = Counter()
    for row in answer["rows"]:
        for verdict in ("met", "breached", "open", "excluded"):
            if row[verdict]:
                found[row["level"], row["month"], verdict] = row[verdict]
    must_equal("cells of the report", found, expected)
    must_equal("totals", answer["totals"]["total"], expected.total())
