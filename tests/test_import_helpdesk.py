"""The real help-desk log: everything accounted for, and the report equals an independent count in every cell."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.application import Ledger
from ledger.imports import import_file, load_mapping
from ledger.store import open_store
from projections import compliance
from projections.projector import Projector
from scripts.demo_log import write_log

ROOT = Path(__file__).resolve().parent.parent
_LOG = Path("shared") / "data" / "helpdesk_log.csv"
REAL = next((folder / _LOG for folder in ROOT.parents if (folder / _LOG).exists()), ROOT.parent / _LOG)
MAPPING = ROOT / "scripts" / "helpdesk_mapping.toml"

# --- the independent count: plain Python, no project code ------------------------------------------------------

LEVEL = {"Value 1": "basic", "Value 2": "advanced", "Value 3": "corporate", "Value 4": "corporate"}
PRIORITY = {"Value 1": "low", "Value 2": "medium", "Value 3": "high", "Value 4": "high"}
HOURS = {
    "basic": {"low": 8, "medium": 8, "high": 2},
    "advanced": {"low": 4, "medium": 4, "high": 1},
    "corporate": {"low": 2, "medium": 2, "high": 1},
}
ANSWERS = {"Take in charge ticket", "Resolve ticket", "RESOLVED"}


CUSTOMER = 8
PERCENTILES = (50, 90, 95, 100)
BY = (
    *(("level", "priority"), ("month",), ("agent",), ("customer",), ("level", "month"), ("priority", "agent")),
    ("level", "priority", "month", "agent", "customer"),
)


@dataclass(frozen=True)
class Case:
    """What a case is by DOMAIN.md; `took` is the time to the answer, in microseconds."""

    level: str
    priority: str
    month: str
    agent: str
    customer: str
    verdict: str
    took: int | None


def independent_cases(path: Path) -> Iterator[Case]:
    """Judge every case of the log by DOMAIN.md, without a line of the project's code."""
    cases: dict[str, list[list[str]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in list(csv.reader(file))[1:]:
            cases.setdefault(row[0], []).append(row)
    for rows in cases.values():
        times = [utc(datetime.strptime(row[3], "%Y/%m/%d %H:%M:%S.%f")) for row in rows]  # noqa: DTZ007
        level, priority = LEVEL[rows[0][12]], PRIORITY[rows[0][11]]
        answers = [(at, row[2]) for at, row in zip(times, rows, strict=True) if row[1] in ANSWERS]
        answered, agent = min(answers, key=lambda one: one[0], default=(None, ""))
        due, governs, label = times[0] + timedelta(hours=HOURS[level][priority]), priority, priority
        for at, row in zip(times[1:], rows[1:], strict=True):
            after = PRIORITY[row[11]]
            raised = ("low", "medium", "high").index(after) > ("low", "medium", "high").index(label)
            label = after
            sooner = at + timedelta(hours=HOURS[level][after])
            if raised and at < due and (answered is None or at < answered) and sooner < due:
                due, governs = sooner, after
        if any(row[1] in ("DUPLICATE", "INVALID") for row in rows):
            verdict = "excluded"
        else:
            verdict = "met" if answered is not None and answered < due else "breached"
        took = None if answered is None else (answered - times[0]) // timedelta(microseconds=1)
        month = rows[0][3][:7].replace("/", "-")
        yield Case(level, governs, month, agent, rows[0][CUSTOMER], verdict, took)


def independent_rows(cases: list[Case], by: tuple[str, ...]) -> dict[tuple[str, ...], tuple[Any, ...]]:
    """Return met, breached, excluded, and the percentiles of the times, by hand, for each combination of `by`."""
    groups: dict[tuple[str, ...], list[Case]] = {}
    for case in cases:
        groups.setdefault(tuple(getattr(case, name) for name in by), []).append(case)
    found = {}
    for key, group in groups.items():
        tally = Counter(case.verdict for case in group)
        taken = sorted(case.took for case in group if case.took is not None and case.verdict != "excluded")
        ranks = [next((t for n, t in enumerate(taken, 1) if n * 100 >= p * len(taken)), None) for p in PERCENTILES]
        found[key] = (tally["met"], tally["breached"], tally["excluded"], *ranks)
    return found


def utc(local: datetime) -> datetime:
    """Return UTC (naive) of Italian wall time: one hour behind, two in summer."""

    def last_sunday(month: int) -> datetime:
        day = datetime(local.year, month, 31)  # noqa: DTZ001
        return day - timedelta(days=(day.weekday() + 1) % 7)

    spring, autumn = last_sunday(3) + timedelta(hours=2), last_sunday(10) + timedelta(hours=3)
    # A wall time in the gap of that spring night moves forward by it: it is told by the offset before.
    return local - timedelta(hours=2 if spring + timedelta(hours=1) <= local < autumn else 1)


# --- the comparison ---------------------------------------------------------------------------------------------


@pytest.fixture(name="log")
def _log(tmp_path: Path) -> Path:
    return REAL if REAL.exists() else write_log(tmp_path / "log.csv", cases=2000)


def test_every_row_is_accounted_for_and_every_cell_agrees(log: Path, store_url: str) -> None:
    ledger = Ledger(open_store(store_url))
    ledger.store.migrate()
    mapping = load_mapping(MAPPING)
    counts = import_file(ledger, log, mapping).as_dict()
    with log.open(newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))[1:]
    assert counts["rows"] == counts["imported"] == len(lines)
    assert counts["tickets"] == len({row[0] for row in lines})
    if log == REAL:
        assert (counts["rows"], counts["accounts"], counts["tickets"]) == (21348, 394, 4580)

    projector = Projector(ledger.store, ledger.catalogue)
    projector.catch_up(["tickets"])
    cases = list(independent_cases(log))
    for by in BY:
        rows = compliance.report(projector.read, by, now=ledger.clock.now())
        columns = ("met", "breached", "excluded", "p50_us", "p90_us", "p95_us", "worst_us")
        found = {tuple(row[name] for name in by): tuple(row[name] for name in columns) for row in rows}
        assert found == independent_rows(cases, by), by
        assert sum(row["total"] for row in rows) == counts["tickets"]
        assert [row["open"] for row in rows if row["open"]] == []
    answer = ledger.ask("report", {"by": "month,level", "at": ledger.clock.now()})  # folded from the log
    assert answer["rows"] == compliance.report(projector.read, ("month", "level"), now=ledger.clock.now())

    # Told in the order of its dates, a history needs no correction.
    corrections = "SELECT count(*) FROM ledger_events WHERE topic = 'account.due_fact_withdrawn'"
    assert ledger.store.query(corrections) == [(0,)]
    position = ledger.store.last_position()
    again = import_file(ledger, log, mapping).as_dict()
    assert (again["imported"], again["skipped"]) == (0, len(lines))
    assert ledger.store.last_position() == position
    projector.close()
    ledger.close()
