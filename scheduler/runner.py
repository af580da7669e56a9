"""The jobs at intervals, in one process of all that are started: the others wait, and take over when it dies.

APScheduler keeps the time; its jobs are code, so they stand in memory. One thread runs them, one after the other. The
leader looks twice a second whether it still leads; once it does not, or is told to stop, it ends after the batch at
hand.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from ledger.application import Ledger
from ledger.errors import LedgerError
from ledger.store.leadership import Leadership, leadership
from projections.projector import Projector
from scheduler import jobs

EVERY: dict[str, float] = {"due": 60, "cards": 60, "lookups": 60, "warnings": 60, "notices": 60}  # seconds
_LOOK_SECONDS = 0.5
_WAIT_SECONDS = 1.0
_log = logging.getLogger("supportledger.scheduler")


class Runner:
    """Runs jobs until `stop` is called, whenever this process leads."""

    def __init__(
        self, ledger: Ledger, projector: Projector, *, every: Mapping[str, float] | None = None, name: str = "scheduler"
    ) -> None:
        """`every`: seconds between two runs, by job."""
        self._ledger, self._projector = ledger, projector
        self._every = dict(every or EVERY)
        self._lead: Leadership = leadership(ledger.store, name)
        self._stop = threading.Event()
        self._lost = threading.Event()
        self._zone = ZoneInfo(ledger.catalogue.zone)

    def stop(self) -> None:
        """Ask it to end after the batch at hand; safe from a signal's handler."""
        self._stop.set()

    def run(self) -> None:
        """Lead, or wait until it may, until stopped."""
        waiting = False
        while not self._stop.is_set():
            if self._lead.take():
                waiting = False
                try:
                    self._leading()
                finally:
                    self._lead.leave()
            else:
                if not waiting:
                    _log.info("another process leads, or the database is away: waiting")
                waiting = True
                self._stop.wait(_WAIT_SECONDS)

    def _leading(self) -> None:
        _log.info("leading: %s", ", ".join(f"{job} every {seconds:g} s" for job, seconds in self._every.items()))
        self._lost.clear()
        clock = self._scheduled()
        clock.start()
        try:
            while not self._stop.wait(_LOOK_SECONDS):
                if not self._lead.holds():
                    self._lost.set()
                    _log.error("leadership lost: stopping what is under way")
                    return
        finally:
            clock.shutdown(wait=True)

    def _scheduled(self) -> BackgroundScheduler:
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # that a run is still under way is no news
        clock = BackgroundScheduler(
            jobstores={"default": MemoryJobStore()},
            executors={"default": ThreadPoolExecutor(1)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone=self._zone,
        )
        now = datetime.now(self._zone)
        for place, (name, seconds) in enumerate(self._every.items()):
            # A few milliseconds apart: those due together run in this order.
            clock.add_job(
                self._run,
                IntervalTrigger(seconds=seconds, timezone=self._zone),
                args=[name],
                id=name,
                next_run_time=now + timedelta(milliseconds=5 * place),
            )
        return clock

    def _run(self, name: str) -> None:
        if self._stop.is_set() or self._lost.is_set():
            return
        started = time.monotonic()
        try:
            now = self._ledger.clock.now()
            outcome = jobs.run(name, self._ledger, self._projector, now=now, progress=self._after_a_batch)
        except jobs.Stopped:
            _log.info("%s: stopped after a batch", name)
            return
        except LedgerError as refused:  # the database is away: not even the run can be kept
            _log.error("%s: %s", name, refused)
            return
        if outcome.error:
            _log.error("%s: %s", name, outcome.error)
        elif did := [f"{word} {count}" for word, count in outcome.summary.items() if count]:
            _log.info("%s: %s in %.1f s", name, ", ".join(did), time.monotonic() - started)

    def _after_a_batch(self, _done: int) -> None:
        if self._stop.is_set() or self._lost.is_set():
            raise jobs.Stopped


class Background:
    """The jobs in a thread of another process: what `serve --with-worker` runs beside the read models."""

    def __init__(self, ledger: Ledger, projector: Projector) -> None:
        self._runner = Runner(ledger, projector)
        self._thread = threading.Thread(target=self._runner.run, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin, in this process."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch at hand."""
        self._runner.stop()
        self._thread.join(timeout=30)


def intervals(seconds: float | None, names: Sequence[str] = (), *, projections: bool = False) -> dict[str, float]:
    """Return the seconds between runs: of the jobs named (the usual ones by default), all `seconds` apart if given."""
    chosen = list(dict.fromkeys(jobs.in_order(names)))
    if projections:
        chosen.append("projections")
    return {name: seconds or EVERY.get(name, 5) for name in dict.fromkeys(chosen)}
