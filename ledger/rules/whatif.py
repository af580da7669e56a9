"""Counting open time of many cases at once, and due instants of a clock that stands still while waiting.

A response came before the due instant exactly when the time counted up to it is less than the limit: so one count a
case and calendar tells the verdict under every limit.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from ledger import facts as f
from ledger.rules.calendars import Calendar
from ledger.rules.instants import from_iso
from ledger.rules.measures import asked

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BEFORE_ALL = -(1 << 62)


def micros(text: str) -> int:
    """Return the microseconds since 1970 of a canonical instant."""
    return (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND


def instant(us: int) -> datetime:
    """Return the UTC datetime of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=us)


class Counter:
    """The open time of a calendar between two instants, summed up once: then each case is two look-ups."""

    def __init__(self, calendar: Calendar, first: int, last: int) -> None:
        """`first` and `last` bound, in microseconds, every instant that will be asked about."""
        self._always = calendar.always
        self._opens, self._closes, self._counted = [_BEFORE_ALL], [_BEFORE_ALL], [0]
        if self._always or first >= last:
            return
        for opens, closes in calendar.spans(instant(first), instant(last)):
            start, end = (opens - _EPOCH) // _MICROSECOND, (closes - _EPOCH) // _MICROSECOND
            self._opens.append(start)
            self._closes.append(end)
            self._counted.append(self._counted[-1] + end - start)

    def elapsed(self, starts: Sequence[int], ends: Sequence[int]) -> list[int]:
        """Return the microseconds counted from each start to its end; not above 0 where the end comes first."""
        if self._always:
            return [end - start for start, end in zip(starts, ends, strict=True)]
        before, until = self._before(starts), self._before(ends)
        return [b - a for a, b in zip(before, until, strict=True)]

    def _before(self, instants: Sequence[int]) -> list[int]:
        opens, closes, counted = self._opens, self._closes, self._counted
        return [
            counted[i] - (closes[i] - at if closes[i] > at else 0)
            for at in instants
            for i in (bisect_right(opens, at) - 1,)
        ]


def pauses(facts: Sequence[f.TicketFact]) -> list[tuple[str, str]]:
    """Return the waits on the customer that facts tell of, half-open, in order; ("…", "") is one that still lasts."""
    return [(one.occurred_at, end) for one, end in asked(sorted(facts, key=attrgetter("occurred_at")))]


def stated_limits(facts: Sequence[f.TicketFact]) -> dict[tuple[str, str], int]:
    """Return, in microseconds, the limits that another system's priorities had of their own in an imported case.

    By the instant each is counted from, and our priority: only a row of that system brings one.
    """
    opened = {(x.occurred_at, x.priority): x.limit_us for x in facts if isinstance(x, f.TicketOpened) and x.stated}
    changed = ((x.occurred_at, x.priority, x.limit_us) for x in facts if isinstance(x, f.TicketPrioritised))
    return opened | {(at, priority): limit_us for at, priority, limit_us in changed if limit_us}


def paused_due(calendar: Calendar, start: str, limit_us: int, waits: Sequence[tuple[str, str]]) -> datetime | None:
    """Return when `limit_us` are counted from `start`, none of it inside `waits`; None while one of them has no end.

    `waits` are half-open, in order, ("…", "") one that still lasts.
    """
    at, left = from_iso(start), limit_us
    for begins, ends in waits:
        if ends and from_iso(ends) <= at:
            continue
        if from_iso(begins) > at:
            counted = calendar.elapsed_us(at, from_iso(begins))
            if counted >= left:
                break
            left -= counted
        if not ends:
            return None
        at = from_iso(ends)
    return calendar.due(at, left)
