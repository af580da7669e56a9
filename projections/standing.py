"""What operators watch: how far the read models are, the jobs' last runs, and what waits to be done."""

from __future__ import annotations

import json
from typing import Any

from ledger.application import Ledger
from ledger.rules.instants import from_iso, show
from ledger.runs import last_runs
from ledger.store import Store
from projections import balances
from projections.projector import Projector

# Prometheus metrics: name, type, help.
_METRICS = {
    "position": ("gauge", "Position of the newest row of the log"),
    "read_model_lag_events": ("gauge", "Events that a read model has yet to fold"),
    "read_model_stopped": ("gauge", "1 while an event it cannot read holds a read model up"),
    "job_runs_total": ("counter", "Runs of a job"),
    "job_failures_total": ("counter", "Runs of a job that failed"),
    "job_failing": ("gauge", "1 when the last run of a job failed"),
    "job_last_success_timestamp_seconds": ("gauge", "When a job last went well, by the ledger's clock"),
    "waiting": ("gauge", "What waits: accounts with due facts to record or a card to ask, notices by state"),
}


def waiting(ledger: Ledger, read: Store) -> dict[str, int]:
    """Return counts of what waits, as far as the read models know.

    `due_accounts`: something fell due and is not recorded; `card_accounts`: a card is to be charged, or has not
    answered; `notices_waiting` and `notices_given_up` of the outbox.
    """
    due, cards = balances.waiting(read, ledger.clock.now())
    sql = "SELECT count(*) FROM ledger_outbox WHERE sent_at = '' AND given_up_at"
    waits, given_up = (ledger.store.query(f"{sql} {state} ''")[0][0] for state in ("=", "<>"))
    return {"due_accounts": due, "card_accounts": cards, "notices_waiting": waits, "notices_given_up": given_up}


def standing(ledger: Ledger) -> dict[str, Any]:
    """Return what `supportledger status` says beside the log: what waits, and the jobs' last runs."""
    projector = Projector(ledger.store, ledger.catalogue)
    zone = ledger.catalogue.zone
    try:
        projector.catch_up([balances.MODEL.name])
        waits = waiting(ledger, projector.read)
    finally:
        projector.close()
    runs = [
        {
            "job": run.job,
            "started_at": show(run.started_at, zone),
            "finished_at": show(run.finished_at, zone) if run.finished_at else None,
            "runs": run.runs,
            "failures": run.failures,
            "summary": json.loads(run.summary or "{}"),
            "error": run.error or None,
        }
        for run in last_runs(ledger.store)
    ]
    return {"waiting": waits, "jobs": runs}


def metrics(ledger: Ledger, projector: Projector) -> str:
    """Return the same as Prometheus text, with the read models' lag; LedgerError when the store cannot serve."""
    samples: dict[str, list[tuple[str, float]]] = {name: [] for name in _METRICS}
    samples["position"].append(("", ledger.store.last_position()))
    projector.prepare()
    for state in projector.states():
        label = f'{{model="{state.name}"}}'
        samples["read_model_lag_events"].append((label, state.lag))
        samples["read_model_stopped"].append((label, bool(state.error)))
    for run in last_runs(ledger.store):
        label = f'{{job="{run.job}"}}'
        samples["job_runs_total"].append((label, run.runs))
        samples["job_failures_total"].append((label, run.failures))
        samples["job_failing"].append((label, bool(run.error)))
        if run.finished_at:
            samples["job_last_success_timestamp_seconds"].append((label, from_iso(run.finished_at).timestamp()))
    samples["waiting"] = [(f'{{what="{k}"}}', v) for k, v in waiting(ledger, projector.read).items()]
    return "".join(_lines(name, found) for name, found in samples.items() if found)


def _lines(name: str, samples: list[tuple[str, float]]) -> str:
    kind, meaning = _METRICS[name]
    head = f"# HELP supportledger_{name} {meaning}\n# TYPE supportledger_{name} {kind}\n"
    return head + "".join(f"supportledger_{name}{label} {float(value):.17g}\n" for label, value in samples)
