"""Accounting months: which one something is booked in (DOMAIN.md 9).

The accounting month is the value date's where that is open at the recording, else the recording's own. It follows
from the log's order alone. Closings recorded before this rule said "the first open month" instead: what was recorded
under one of them keeps that month, so no figure of a closed month moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ledger import facts as f
from ledger.rules.subscriptions import local_day
from ledger.store import Store

OWN, FIRST_OPEN = "own", "first_open"  # where late facts are booked: in their recording's month, in the first open one


class Closing(NamedTuple):
    """An accounting month that was closed, with all before it, at a position of the log; where late facts go since."""

    month: str
    position: int
    recorded_at: str = ""
    late: str = FIRST_OPEN


def closings(store: Store) -> list[Closing]:
    """Return the closed months in the order of their closing; everything up to the last one is closed."""
    return [
        Closing(fact.month, row.position, row.recorded_at, fact.late)
        for row in store.rows_of_streams(["books"], store.last_position())
        if isinstance(fact := f.decode(row.topic, row.state, row.position), f.MonthClosed)
    ]


def following(month: str) -> str:
    """Return the month after `month` (YYYY-MM)."""
    year, number = int(month[:4]), int(month[5:])
    return f"{year + number // 12:04d}-{number % 12 + 1:02d}"


def local_month(at: str, zone: str) -> str:
    """Return the local month (YYYY-MM) of an instant; no zone is a whole day from UTC, so few need to be asked."""
    return at[:7] if "02" <= at[8:10] <= "27" else local_day(at, zone).isoformat()[:7]


def booked_in(month: str, position: int, recorded_at: str, closed: Sequence[Closing], zone: str) -> str:
    """Return the accounting month of what is dated in `month` and was recorded at `position`, at `recorded_at`.

    `zone` is the books': the recording's own month is told in it.
    """
    before = [closing for closing in closed if closing.position < position]
    if not before or month > before[-1].month:
        return month
    first_open = following(before[-1].month)
    return first_open if before[-1].late == FIRST_OPEN else max(first_open, local_month(recorded_at, zone))
