"""The last run of each job, kept beside the log for `status` and `/metrics`."""

from __future__ import annotations

import json
from typing import NamedTuple

from ledger.store import Store


class LastRun(NamedTuple):
    """What is kept of a job. `finished_at` ("" for never) and `summary`, JSON text, are of its last good run.

    `error` is the last run's, "" when it went well; instants are canonical, by the ledger's clock.
    """

    job: str
    started_at: str
    finished_at: str
    runs: int
    failures: int
    summary: str
    error: str


def begun(store: Store, job: str, at: str) -> None:
    """Keep that a run has begun."""
    store.execute(
        "INSERT INTO ledger_jobs VALUES (?, ?, '', 1, 0, '', '') ON CONFLICT (job)"
        " DO UPDATE SET started_at = excluded.started_at, runs = ledger_jobs.runs + 1",
        [job, at],
    )


def went_well(store: Store, job: str, at: str, summary: dict[str, int]) -> None:
    """Keep that the run has ended, and what it did."""
    sql = "UPDATE ledger_jobs SET finished_at = ?, summary = ?, error = '' WHERE job = ?"
    store.execute(sql, [at, json.dumps(summary), job])


def failed(store: Store, job: str, error: str) -> None:
    """Keep why the run has failed."""
    store.execute("UPDATE ledger_jobs SET failures = failures + 1, error = ? WHERE job = ?", [error, job])


def last_runs(store: Store) -> list[LastRun]:
    """Return the last run of each job that has ever run, in the order of their names."""
    sql = "SELECT job, started_at, finished_at, runs, failures, summary, error FROM ledger_jobs ORDER BY job"
    return [LastRun(*row) for row in store.query(sql)]
