"""The live queue's first page with many open cases, against a hundredth of them: its cost must not grow with them."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ledger.catalogue import Catalogue
from ledger.rules.instants import to_iso
from ledger.store import Store
from projections.projector import Projector
from projections.queue import Cursor, page
from projections.queue_model import QUEUE
from scripts.bench_common import Ground, Row, count, must_equal, take_turns

_CALENDARS = ("24x7@1", "gt-business@1")
_PAGE = 50
_TURN = 20
_NOW = datetime(2026, 3, 4, 16, tzinfo=UTC)  # a Wednesday morning of Guatemala


def first_page(ground: Ground, dialect: str) -> list[Row]:
    """Measure milliseconds a page of fifty, with the counts beside it."""
    many = max(ground.size.idle // 2, 2 * _PAGE)  # 50,000
    runs = []
    for cases in (many, max(many // 100, _PAGE)):
        store = ground.empty(dialect, f"queue{cases}")
        projector = Projector(store, ground.catalogue)
        projector.prepare()
        fill(projector.read, ground.catalogue, cases)
        must_equal("open cases", count(projector.read, "r_queue"), cases)
        runs.append(timed(projector.read, ground.catalogue))
    ours, peer = take_turns(ground.size.repeats, *runs)
    return [Row(f"queue-{dialect}", "ms a page", ours, peer, ceiling=2)]


def timed(read: Store, catalogue: Catalogue) -> Callable[[], float]:
    """Return a run that gives milliseconds a first page."""
    cursor = Cursor(to_iso(_NOW), {})

    def run() -> float:
        started = time.perf_counter()
        for _ in range(_TURN):
            found = page(read, catalogue, cursor, agent="", level="", minutes=60, limit=_PAGE)
        seconds = time.perf_counter() - started
        check([item["left_seconds"] for item in found["items"]])
        return seconds * 1000 / _TURN

    return run


def check(left: list[int]) -> None:
    """Raise Broken unless a page is whole and in order."""
    must_equal("cases on a page", len(left), _PAGE)
    must_equal("the order of time left", left, sorted(left))


def fill(read: Store, catalogue: Catalogue, cases: int) -> None:
    """Let so many cases be open, from an hour overdue to eight counted hours left, in two calendars."""
    rows = []
    span = 9 * 3_600_000_000
    for number in range(cases):
        name = _CALENDARS[number % 2]
        calendar = catalogue.calendar(name)
        due = to_iso(calendar.due(_NOW - timedelta(hours=1), number * span // cases))
        ticket = f"Q{number:07d}"
        rows.append(
            (
                f"ticket/{ticket}", ticket, f"A{number % 997}", "general", "", "basic", "low", f"agent{number % 20}",
                to_iso(_NOW - timedelta(days=3)), due, name, "", "", "America/Guatemala",
            )
        )  # fmt: skip
    with read.transaction() as writer:
        writer.insert(QUEUE.name, QUEUE.names, rows)
    if read.dialect == "postgresql":
        read.execute(f"ANALYZE {QUEUE.name}")
