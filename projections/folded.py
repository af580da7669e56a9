"""Cases as of any instant, from any prefix of the log: folded from their streams, with no read model between.

They have the columns of the tickets' read model, so that one definition of a verdict serves both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from projections.projector import Projector
from projections.tickets import MODEL, TICKETS, row_at

Case = dict[str, Any]


def cases(projector: Projector, at: str, position: int, streams: Iterable[str] | None = None) -> Iterator[Case]:
    """Yield each case as it was at instant `at`, known up to `position`; of some streams only where they are named.

    In constant memory: one scan of the log, a stream at a time.
    """
    rows: Iterable[Any]
    if streams is None:
        rows = chain.from_iterable(projector.store.scan(position, MODEL.feeds))
    else:
        rows = projector.store.rows_of_streams(sorted(streams), position)
    names = TICKETS.names
    for stream in projector.streams(rows):
        row = row_at(stream, at)
        if row is not None:
            yield dict(zip(names, row, strict=True))
