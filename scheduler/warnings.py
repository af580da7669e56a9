"""The job `warnings`: records that so much of a case's limit was used up without an answer, in order, once each.

What they are follows from the cases (`ledger/alerts.py`); here is only who lacks one, found by the read model.
"""

from __future__ import annotations

from collections.abc import Callable

from ledger import alerts
from ledger.application import Ledger
from ledger.errors import Unavailable
from projections import queue_model
from projections.projector import Projector

_PAGE = 500


def record_warnings(
    ledger: Ledger, projector: Projector, *, now: str, progress: Callable[[int], None] | None = None
) -> dict[str, int]:
    """Record the warnings due by canonical instant `now`, seven days ago at most; return their count.

    Unavailable `read_model_stopped` when the cases cannot be read.
    """
    for state in projector.catch_up([queue_model.MODEL.name]):
        if state.error:
            raise Unavailable("read_model_stopped", name=state.name, position=state.position, lag=state.lag)
    mark = (alerts.oldest(now), "\U0010ffff")  # behind whatever was due at that very instant
    count = 0
    while page := queue_model.warnings_by(projector.read, now, after=mark, limit=_PAGE):
        numbers = list(dict.fromkeys(ticket for _at, ticket in page))
        count += sum(warned.facts for warned in alerts.sweep(ledger, numbers, now=now).values())
        mark = page[-1]
        if progress is not None:
            progress(count)
    return {"warnings": count}
