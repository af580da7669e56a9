"""Card charges, retries and look-ups: one idempotent command an account, found through the balances' read model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from ledger.application import Ledger
from ledger.sweeping import BATCH
from projections import balances
from projections.projector import Projector


def collect(
    ledger: Ledger, projector: Projector, *, now: str, progress: Callable[[int], None] | None = None
) -> dict[str, int]:
    """Make the attempts that are due by `now` and look up those without an answer; return what that came to."""
    if ledger.gateway.name == "none":  # there is nobody to ask, every minute anew
        return {}
    projector.catch_up(["balances"])
    done: Counter[str] = Counter()
    accounts = 0
    mark = balances.START
    while page := balances.attempts_by(projector.read, now, after=mark, limit=BATCH):
        for _at, number in page:
            done.update(ledger.collect(number, now=now))
            accounts += 1
            if progress is not None:
                progress(accounts)
        mark = page[-1]
    return {"accounts": accounts, **done}
