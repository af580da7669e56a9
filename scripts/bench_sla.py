"""What-if over a help desk's log twenty times over, and one due instant against the peers that get it right.

`businesstimedelta` and `workclock` are right on these instants (compared one by one here); the second is a native
engine and the fastest that was found.
"""

from __future__ import annotations

import time as timing
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from importlib import import_module
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from eventsourcing.persistence import StoredEvent

from ledger import facts as f
from ledger.application import Ledger
from ledger.imports import import_file, load_mapping
from ledger.rules.calendars import Calendar
from ledger.store import Store
from projections.projector import Projector
from projections.rebuild import rebuild
from scripts.bench_common import ROOT, Ground, Row, must_equal, take_turns
from scripts.demo_log import write_log

_LOG = ROOT.parent / "shared" / "data" / "helpdesk_log.csv"
_MAPPING = ROOT / "scripts" / "helpdesk_mapping.toml"
_COPIES = 20
_BATCH = 500
_TICKETS = (
    "SELECT position, stream, version, topic, recorded_at, state FROM ledger_events"
    " WHERE stream >= 'ticket/' AND stream < 'ticket0' ORDER BY stream, version"
)
ONE = {"business": "calendar=gt-business,basic/low=4h,advanced/high=2h"}
TEN = {
    **ONE,
    **{f"limit{hours}": f"basic/low={hours}h,advanced/low={hours}h,corporate/high={hours}h" for hours in (1, 3, 6, 12)},
    "sooner": "calendar=gt-business,basic/low=1h,advanced/medium=1h",
    "rome": "calendar=gt-business,zone=Europe/Rome",
    "tokyo": "calendar=gt-business,zone=Asia/Tokyo",
    "holidays": "calendar=gt-business,holiday=2012-12-24,holiday=2012-12-31",
    "some": "calendar.basic/low=gt-business,calendar.advanced/low=gt-business",
}


def what_if(ground: Ground, dialect: str) -> list[Row]:
    """Measure one scenario in events a second against reading and decoding the same rows, and ten against one."""
    ledger = Ledger(ground.empty(dialect, "whatif"), ground.catalogue)
    log = _LOG
    if not log.exists() or ground.size.cases < 1000:
        log = write_log(ground.folder / "whatif.csv", ground.size.cases)
    import_file(ledger, log, load_mapping(_MAPPING))
    base = ask(ledger, TEN)[1]
    events = copy_tickets(ledger.store, _COPIES)
    projector = Projector(ledger.store, ground.catalogue)
    must_equal("errors of the rebuild", rebuild(projector, ["tickets"]), {})
    projector.close()
    spent: dict[str, list[float]] = {"one": [], "ten": []}

    def run(name: str, scenarios: dict[str, str]) -> Callable[[], float]:
        def once() -> float:
            seconds, answer = ask(ledger, scenarios)
            check(answer, base, _COPIES)
            spent[name].append(seconds)
            return events / seconds

        return once

    def reading() -> float:
        decode, found = f.decode, 0
        started = timing.perf_counter()
        for part in ledger.store.stream_query(_TICKETS, [], 2000):
            for row in part:
                decode(row[3], row[5])
            found += len(part)
        seconds = timing.perf_counter() - started
        must_equal("events read", found, events)
        return events / seconds

    rate, rate_ten, peers = take_turns(ground.size.repeats, run("one", ONE), run("ten", TEN), reading)
    return [
        Row(f"what-if-{dialect}", "events/s", rate, peers, floor=0.2),
        Row(f"what-if-ten-{dialect}", "ms", events / rate_ten * 1000, events / rate * 1000, ceiling=4),
    ]


def ask(ledger: Ledger, scenarios: dict[str, str]) -> tuple[float, dict[str, Any]]:
    """Ask for scenarios with their first twenty flips; return the seconds and the answer."""
    words = ";".join(f"{name}:{text}" for name, text in scenarios.items())
    started = timing.perf_counter()
    answer = ledger.ask("what_if", {"scenarios": words})
    return timing.perf_counter() - started, answer


def check(answer: dict[str, Any], base: dict[str, Any], copies: int) -> None:
    """Raise Broken unless every figure is that of the log once, so many times over."""
    must_equal("cases", answer["cases"], base["cases"] * copies)
    once = {scenario["scenario"]: scenario for scenario in base["scenarios"]}
    for scenario in answer["scenarios"]:
        name = scenario["scenario"]
        changed = {kind: count * copies for kind, count in once[name]["changed"].items()}
        must_equal(f"flips of {name}", scenario["changed"], changed)
        after = {kind: count * copies for kind, count in once[name]["totals"]["after"].items() if kind != "share"}
        must_equal(f"totals of {name}", {**scenario["totals"]["after"], "share": None}, {**after, "share": None})


def copy_tickets(store: Store, copies: int) -> int:
    """Append each case's rows again under other numbers, until there are so many; return their events."""
    rows = [row for part in store.stream_query(_TICKETS, [], 5000) for row in part]
    now = store.last_recorded_at()
    for copy in range(1, copies):
        events = []
        for _position, stream, version, topic, _recorded_at, state in rows:
            number = stream.removeprefix("ticket/")
            old, new = (f'"ticket_no":"{text}"'.encode() for text in (number, f"x{copy}-{number}"))
            must_equal("numbers in a row", bytes(state).count(old), 1)
            events.append(StoredEvent(f"ticket/x{copy}-{number}", version, topic, bytes(state).replace(old, new)))
        for start in range(0, len(events), _BATCH):
            part = events[start : start + _BATCH]
            store.append(part, ["C"] * len(part), now=now, request=None)
    if store.dialect == "postgresql":
        store.execute("ANALYZE ledger_events")
    return len(rows) * copies


# --- one due instant ----------------------------------------------------------------------------------------------

_ZONE = "America/Guatemala"
_STARTS = datetime(2022, 1, 3, tzinfo=UTC)
_HOURS = 3_600_000_000
_EIGHT, _FIVE = time(8), time(17)


def due_instant(ground: Ground, dialect: str) -> list[Row]:
    """Measure microseconds of the processor for a due instant with five years' holidays, beside each peer's."""
    published = ground.catalogue.calendar("gt-business@1")
    days = [day for day, spans in published.dates.items() if 2022 <= day.year <= 2026 and not spans]
    calendar = Calendar(published.zone, published.week, dict.fromkeys(days, ()))  # half days are beyond the peers
    rng = Random(7)  # noqa: S311 - it guards nothing
    span = int(4.5 * 365 * 24 * _HOURS)
    cases = [
        (_STARTS + timedelta(microseconds=rng.randrange(span)), rng.choice((1, 2, 4, 8, 40)) * _HOURS)
        for _ in range(ground.size.asked * 5)
    ]
    expected = [calendar.due(*case) for case in cases]

    def timed(name: str, ask: Callable[[datetime, int], datetime], part: int = 1) -> Callable[[], float]:
        def once() -> float:
            some = cases[::part]
            started = timing.process_time()  # nothing here waits: what else the machine does is left out
            found = [ask(start, limit) for start, limit in some]
            seconds = timing.process_time() - started
            must_equal(f"due instants by {name}", found, expected[::part])
            return seconds / len(some) * 1e6

        return once

    peers = (timed("businesstimedelta", _slow_peer(days), 5), timed("workclock", _fast_peer(days)))
    ours, slow, fast = take_turns(ground.size.repeats, timed("the ledger", calendar.due), *peers)
    return [
        Row(f"due-businesstimedelta-{dialect}", "µs", ours, slow, ceiling=0.5),
        Row(f"due-workclock-{dialect}", "µs", ours, fast, ceiling=0.5),
    ]


def _slow_peer(days: list[date]) -> Callable[[datetime, int], datetime]:
    peer, zone = import_module("businesstimedelta"), import_module("pytz").timezone(_ZONE)
    work = peer.WorkDayRule(start_time=_EIGHT, end_time=_FIVE, working_days=[0, 1, 2, 3, 4], tz=zone)
    rules = peer.Rules([work, peer.HolidayRule(dict.fromkeys(days, "holiday"), tz=zone)])

    def ask(start: datetime, limit: int) -> datetime:
        due: datetime = start + peer.BusinessTimeDelta(rules, timedelta=timedelta(microseconds=limit))
        return due

    return ask


def _fast_peer(days: list[date]) -> Callable[[datetime, int], datetime]:
    peer = import_module("workclock")
    schedule = peer.Schedule([peer.WorkDay(_EIGHT, _FIVE), peer.Holidays(days)], time_zone=ZoneInfo(_ZONE))

    def ask(start: datetime, limit: int) -> datetime:
        due: datetime = schedule.add(start, timedelta(microseconds=limit))
        return due

    return ask
