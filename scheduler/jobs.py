"""The jobs by name, and running them: each on its own, so that one that fails is told and stops no other.

A job takes the instant that it runs at as `now`; doing it twice, late or in any order leaves the same log. The last
run of each is kept in `ledger_jobs`, for `status` and `/metrics`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ledger import runs
from ledger.application import Ledger
from ledger.errors import LedgerError, Malformed
from projections.projector import Projector
from scheduler import cards, outbox, sweep
from scheduler.warnings import record_warnings

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
    return outbox.fill_and_send(ledger, projector, now=now, progress=progress)


JOBS: dict[str, Job] = {
    "due": sweep.record_due,
    "cards": cards.collect,
    "lookups": cards.collect,  # one command an account does both: it asks again about what has no answer yet
    "warnings": record_warnings,
    "notices": notices,
    "projections": catch_up,
}
# An answer of the gateway may let a plan lapse or renew: so what is due is recorded again behind the cards.
ORDER = ("due", "cards", "lookups", "due", "warnings", "notices")


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
    runs.begun(ledger.store, name, ledger.clock.now())
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
    if outcome.error:
        runs.failed(ledger.store, name, outcome.error)
    else:
        runs.went_well(ledger.store, name, ledger.clock.now(), outcome.summary)
    return outcome
