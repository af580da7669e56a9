"""One leader: of several processes one runs the jobs, another takes over when it dies, and none goes on without it."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ledger.errors import Unavailable
from ledger.store import open_store
from ledger.store.leadership import leadership
from scheduler import jobs
from scheduler.runner import Runner
from tests.given import PANADERIA, Desk
from tests.test_clock_advance import town
from tests.test_scheduler import LATER, START, projecting, unrecorded
from tests.test_serve import command, environment, eventually


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    made = Desk(store_url).at(START)
    yield made
    made.close()


class Process:
    """`scheduler run` as a process of its own; what it logs goes to a file."""

    def __init__(self, url: str, file: Path) -> None:
        self.file = file
        with file.open("w") as out:
            words = command(url, "scheduler", "run", "--every", "0.2", "--job", "due")
            self.process = subprocess.Popen(words, stdout=out, stderr=out, env=environment())

    def says(self, words: str) -> bool:
        assert self.process.poll() is None, self.file.read_text()
        return words in self.file.read_text()


@contextmanager
def started(url: str, folder: Path, *names: str) -> Iterator[list[Process]]:
    with ExitStack() as stack:
        found = []
        for name in names:
            found.append(Process(url, folder / f"{name}.log"))
            stack.callback(found[-1].process.wait)
            stack.callback(found[-1].process.kill)
        yield found


def test_of_two_one_leads_and_the_other_takes_over_within_ten_seconds_of_a_kill(desk: Desk, tmp_path: Path) -> None:
    desk.sell()
    with started(desk.ledger.store.url, tmp_path, "a", "b") as pair:
        eventually(lambda: any(one.says("leading") for one in pair) and any(one.says("waiting") for one in pair))
        first = next(one for one in pair if one.says("leading"))
        second = next(one for one in pair if one is not first)
        time.sleep(1.5)
        assert not second.says("leading")
        desk.at("2026-03-01 10:00")
        eventually(lambda: unrecorded(desk, PANADERIA) == 0)
        first.process.kill()
        killed = time.monotonic()
        first.process.wait()
        desk.at("2026-03-10 10:00")
        eventually(lambda: unrecorded(desk, PANADERIA) == 0)
        assert time.monotonic() - killed < 10
        assert second.says("leading")
        second.process.send_signal(signal.SIGTERM)
        assert second.process.wait(timeout=10) == 0


def test_three_processes_and_no_fact_twice(desk: Desk, tmp_path: Path) -> None:
    town(desk, 30, cards=False)
    with started(desk.ledger.store.url, tmp_path, "a", "b", "c"):
        for at in ("2026-03-02 08:00", "2026-04-02 08:00", LATER):
            desk.at(at)
            eventually(lambda: not any(unrecorded(desk, f"C-{n:03}") for n in range(30)))
    keys = desk.ledger.store.query("SELECT state FROM ledger_events WHERE topic = 'account.plan_renewed'")
    found = [json.loads(bytes(state))["key"] for (state,) in keys]
    assert len(found) == len(set(found)) > 30


def test_a_connection_that_breaks_means_that_the_lead_is_lost(pg_url: str) -> None:
    store = open_store(pg_url)
    store.migrate()
    first, second = leadership(store, "scheduler"), leadership(store, "scheduler")
    assert first.take()
    assert first.take(), "it has it already"
    assert not second.take()
    other = leadership(store, "other")
    assert other.take()
    other.leave()
    with psycopg.connect(pg_url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'supportledger scheduler'"
        )
        assert not first.holds()
        eventually(second.take)
        assert not first.take()
        second.leave()
        assert first.take()
        first.leave()
    store.close()


def test_a_lock_file_that_was_taken_away_means_that_the_lead_is_lost(sqlite_url: str) -> None:
    store = open_store(sqlite_url)
    store.migrate()
    first, second = leadership(store, "scheduler"), leadership(store, "scheduler")
    assert first.take()
    assert not second.take()
    Path(f"{sqlite_url.removeprefix('sqlite:///')}.scheduler.lock").unlink()
    assert not first.holds()
    assert second.take()
    assert not first.holds(), "another file stands there now"
    assert not first.take()
    second.leave()
    assert first.take()
    assert first.take(), "it has it already"
    first.leave()
    assert not second.holds()
    store.close()


def test_without_a_database_nobody_leads() -> None:
    gone = open_store("postgresql://nobody@127.0.0.1:1/none")
    assert not leadership(gone, "scheduler").take()


def test_who_loses_the_lead_stops_at_once_and_may_lead_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "supportledger.scheduler")
    begun, let_go = threading.Event(), threading.Event()

    def long_job(
        ledger: Any, projector: Any, *, now: str, progress: Callable[[int], None] | None = None
    ) -> dict[str, int]:
        assert progress is not None
        begun.set()
        for batch in range(2000):
            let_go.wait(0.01)
            progress(batch)
        return {}

    monkeypatch.setitem(jobs.JOBS, "due", long_job)
    with projecting(desk) as projector:
        runner = Runner(desk.ledger, projector, every={"due": 60})
        holds: Callable[[], bool] = runner._lead.holds
        thread = threading.Thread(target=runner.run)
        thread.start()
        assert begun.wait(10)
        begun.clear()
        monkeypatch.setattr(runner._lead, "holds", lambda: False)
        eventually(lambda: "leadership lost" in caplog.text)
        monkeypatch.setattr(runner._lead, "holds", holds)
        assert begun.wait(10), "it leads again"
        runner.stop()
        thread.join(10)
        assert not thread.is_alive()
    assert caplog.text.count("stopped after a batch") == 2


def test_a_database_that_goes_away_does_not_end_it(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "supportledger.scheduler")
    desk.sell().at("2026-03-01 10:00")
    clock = desk.ledger.clock.now

    def away() -> str:
        raise Unavailable("database_unreachable")

    with projecting(desk) as projector:
        runner = Runner(desk.ledger, projector, every={"due": 0.2})
        desk.ledger.clock.now = away  # type: ignore[method-assign]
        thread = threading.Thread(target=runner.run)
        thread.start()
        eventually(lambda: "database_unreachable" in caplog.text)
        desk.ledger.clock.now = clock  # type: ignore[method-assign]
        eventually(lambda: "facts 2" in caplog.text)
        runner.stop()
        thread.join(10)
        assert not thread.is_alive()
