"""The sweep over what has fallen due: one idempotent command an account, found through the balances' read model."""

from __future__ import annotations

from collections.abc import Callable

from ledger.application import Ledger
from projections import balances
from projections.projector import Projector

_BATCH = 500


def record_due(ledger: Ledger, projector: Projector, progress: Callable[[int], None] | None = None) -> dict[str, int]:
    """Append what has fallen due by the ledger's now on every account; return counts of accounts and facts.

    Doing it again, late or twice at once appends nothing more: facts have natural keys.
    """
    now = ledger.clock.now()
    accounts = facts = 0
    seen: set[str] = set()
    while True:
        projector.catch_up(["balances"])
        due = [number for number in balances.due_by(projector.read, now, limit=_BATCH) if number not in seen]
        if not due:
            return {"accounts": accounts, "facts": facts}
        for number in due:
            seen.add(number)
            appended = ledger.record_due(number, now=now)
            accounts += appended > 0
            facts += appended
        if progress is not None:
            progress(len(seen))
