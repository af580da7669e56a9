"""The jobs by name, and running them: each on its own, so that one that fails is told and stops no other.

A job takes the instant that it runs at as `now`; doing it twice, late or in any order leaves the same log. The last
run of each is kept in `ledger_jobs`, for `status` and `/metrics`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from ledger.application import Ledger
from ledger.errors import LedgerError, Malformed
from ledger.store import Store
from projections.projector import Projector
from scheduler import cards, sweep

Progress = Callable[[int], None]
_log = logging.getLogger("supportledger.scheduler")


class Job(Protocol):
    """What a job is: it acts on what is due at canonical instant `now` and returns counts of what it did.

    `progress` is told after each batch how many are done; what it raises ends the job there.
    """

    def __call__(
        self, ledger: Ledger, projector: Projector, *, now: str, progress: Progress | None = None
    ) -> dict[str, int]:
        """Do what is due."""


def catch_up(ledger: Ledger, projector: Projector, *, now: str, progress: Progress | None = None) -> dict[str, int]:
    """Bring every read model to the end of the log; LedgerError when an event has stopped one."""
    states = projector.catch_up()
    for state in states:
        if state.error:
            raise LedgerError("read_model_stopped", name=state.name, position=state.position, lag=state.lag)
    return {}


def notices(ledger: Ledger, projector: Projector, *, now: str, progress: Progress | None = None) -> dict[str, int]:
    """Put what is to be told into the outbox and send it."""
    from scheduler.outbox import fill_and_send  # here: mail and TLS are for those who send

    return fill_and_send(ledger, projector, now=now, progress=progress)


JOBS: dict[str, Job] = {
    "due": sweep.record_due,
    "cards": cards.collect,
    "lookups": cards.collect,  # one command an account does both: it asks again about what has no answer yet
    "notices": notices,
    "projections": catch_up,
}
# An answer of the gateway may let a plan lapse or renew: so what is due is recorded again behind the cards.
ORDER = ("due", "cards", "lookups", "due", "notices")


class Stopped(Exception):
    """Raised by a `progress`: the work is to end after the batch at hand. Nothing is half done."""


@dataclass
class Outcome:
    """One run of one job: what it did, and why it failed ("" when it went well)."""

    job: str
    summary: dict[str, int] = field(default_factory=dict)
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as the command line prints it."""
        return {"job": self.job, **self.summary, "error": self.error or None}


def in_order(names: Sequence[str]) -> list[str]:
    """Return the jobs named, in the fixed order (the usual ones when none is named); Malformed for an unknown one."""
    for name in names:
        if name not in JOBS:
            raise Malformed("job", name, "remedy_choice", words=", ".join(JOBS))
    chosen = [name for name in (*ORDER, "projections") if name in (names or ORDER) and name in JOBS]
    again = {"cards", "lookups"} & set(chosen)
    return chosen if again else list(dict.fromkeys(chosen))


def run(name: str, ledger: Ledger, projector: Projector, *, now: str, progress: Progress | None = None) -> Outcome:
    """Run one job and keep what became of it; only Stopped goes through."""
    started = ledger.clock.now()
    _begun(ledger.store, name, started)
    outcome = Outcome(name)
    try:
        outcome.summary = JOBS[name](ledger, projector, now=now, progress=progress)
    except Stopped:
        raise
    except LedgerError as refused:
        outcome.error = str(refused)
    except Exception as mistake:  # whatever it is, the other jobs must go on
        _log.exception("job %s", name)
        outcome.error = repr(mistake)
    _ended(ledger.store, outcome, ledger.clock.now())
    return outcome


def _begun(store: Store, name: str, at: str) -> None:
    store.execute(
        "INSERT INTO ledger_jobs VALUES (?, ?, '', 1, 0, '', '') ON CONFLICT (job)"
        " DO UPDATE SET started_at = excluded.started_at, runs = ledger_jobs.runs + 1",
        [name, at],
    )


def _ended(store: Store, outcome: Outcome, at: str) -> None:
    """Keep the outcome; `finished_at` stays that of the last run that went well."""
    if outcome.error:
        sql = "UPDATE ledger_jobs SET failures = failures + 1, error = ? WHERE job = ?"
        store.execute(sql, [outcome.error, outcome.job])
    else:
        sql = "UPDATE ledger_jobs SET finished_at = ?, summary = ?, error = '' WHERE job = ?"
        store.execute(sql, [at, json.dumps(outcome.summary), outcome.job])


class LastRun(NamedTuple):
    """What is kept of a job: `finished_at` ("" for never) and `summary` are of its last run that went well."""

    job: str
    started_at: str
    finished_at: str
    runs: int
    failures: int
    summary: str
    error: str


def last_runs(store: Store) -> list[LastRun]:
    """Return the last run of each job that has ever run, in the order of their names."""
    return [LastRun(*row) for row in store.query("SELECT * FROM ledger_jobs ORDER BY job")]
