"""A test clock moved through time: what falls due on the way happens, each at its own instant.

By whoever stands behind the entry points `supportledger.clock`: the scheduler, which stands above the ledger.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from ledger.application import Ledger


@cache
def _through_time() -> Callable[..., dict[str, Any]]:
    for point in entry_points(group="supportledger.clock"):
        found: Callable[..., dict[str, Any]] = point.load()
        return found
    return _plainly


def _plainly(ledger: Ledger, to: datetime, *, progress: Callable[[int], None] | None = None) -> dict[str, Any]:
    ledger.clock.move(to)
    return {}


def advance(ledger: Ledger, to: datetime, *, progress: Callable[[int], None] | None = None) -> dict[str, Any]:
    """Move the test clock to `to` (aware) through everything that falls due until then; return counts of it.

    Refused for a real ledger (`no_test_clock`) or a move back (`clock_moved_back`); Unavailable while another process
    moves it. `progress` is told how many accounts were looked at.
    """
    return _through_time()(ledger, to, progress=progress)
