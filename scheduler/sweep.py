"""The sweep over what has fallen due: accounts found through the balances' read model, recorded in batches.

It goes through them once, in the order of their instants, and keeps none in mind: memory does not grow with them.
"""

from __future__ import annotations

from collections.abc import Callable

from ledger.application import Ledger
from ledger.sweeping import BATCH, record_due_many
from projections import balances
from projections.projector import Projector

Progress = Callable[[int], None]


def record_due(ledger: Ledger, projector: Projector, *, now: str, progress: Progress | None = None) -> dict[str, int]:
    """Append what has fallen due by canonical instant `now` on every account; return counts of accounts and facts.

    Doing it again, late or twice at once appends nothing more: facts have natural keys. `progress` is told how many
    accounts are done, after each batch; what it raises ends the sweep there, and the next one goes on.
    """
    projector.catch_up(["balances"])
    accounts = facts = done = 0
    mark = balances.START
    while page := balances.due_by(projector.read, now, after=mark, limit=BATCH):
        appended = record_due_many(ledger, [number for _at, number in page], now=now)
        accounts, facts, done, mark = accounts + appended[0], facts + appended[1], done + len(page), page[-1]
        if progress is not None:
            progress(done)
    return {"accounts": accounts, "facts": facts}
