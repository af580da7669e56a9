"""Notices a format of times that takes day and month for each other, before anything is recorded.

Only formats that could: `%d` and `%m`, both numbers, the year not first. The file's own dates tell: read the other
way round, those that cannot be read, lie ahead or run back and forth in their case become right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from ledger.imports.mapping import Times
from ledger.rules import instants

_MOST = 4000  # texts of the beginning that are kept; as many of the end
_LARGE, _LONG = 100, 90  # texts, and days between the first and the last of them
_TWELVE = 12


class Doubt(NamedTuple):
    """Why a format is doubted (the key of a text), the format that would be right, and how many texts tell so."""

    why: str
    other: str
    odd: int
    of: int


class _Look(NamedTuple):
    """How texts look when read by one format: unreadable, ahead of now, and in a case now up, now down."""

    unreadable: int
    ahead: int
    mixed: int
    pairs: int
    read: list[datetime]


class Dates:
    """The texts of a file's instants, the first and the last ones, with their cases."""

    def __init__(self, times: Times, now: str) -> None:
        self._format = times.format
        # A day is allowed for zones: what a swapped month brings lies further ahead.
        self._latest = instants.from_iso(now).replace(tzinfo=None) + timedelta(days=1)
        self._first: list[tuple[str, int, str]] = []
        self._last: list[tuple[str, int, str]] = []

    def see(self, case: str, column: int, text: str) -> None:
        """Take up the text of one instant of a case."""
        if len(self._first) < _MOST:
            self._first.append((case, column, text))
        else:
            self._last.append((case, column, text))
            if len(self._last) > 2 * _MOST:
                del self._last[:_MOST]

    def doubt(self) -> Doubt | None:
        """Return why the format is doubted; None where nothing speaks against it."""
        texts = [*self._first, *self._last]
        other = swapped(self._format)
        if not texts:
            return None
        own, else_ = self._look(texts, self._format), self._look(texts, other)
        count = len(texts)
        few = max(3, count // 50)
        wrong, wrong_else = own.unreadable + own.ahead, else_.unreadable + else_.ahead
        if wrong >= few and wrong_else * 10 < wrong:
            return Doubt("dates_ahead" if own.ahead > own.unreadable else "dates_unreadable", other, wrong, count)
        if not wrong_else and own.mixed >= max(3, own.pairs // 20) and else_.mixed * 4 < own.mixed:
            return Doubt("dates_back_and_forth", other, own.mixed, own.pairs)
        early = not wrong and count >= _LARGE and all(at.day <= _TWELVE for at in own.read)
        if early and (max(own.read) - min(own.read)).days >= _LONG:
            return Doubt("dates_all_early", other, count, count)
        return None

    def _look(self, texts: Iterable[tuple[str, int, str]], pattern: str) -> _Look:
        unreadable = ahead = 0
        read: list[datetime] = []
        last: dict[tuple[str, int], datetime] = {}
        ways: dict[tuple[str, int], list[int]] = {}
        for case, column, text in texts:
            try:
                at = datetime.strptime(text, pattern).replace(tzinfo=None)  # noqa: DTZ007 - a day is allowed for
            except ValueError:
                unreadable += bool(text)
                continue
            ahead += at > self._latest
            read.append(at)
            before = last.get((case, column))
            if before is not None and before != at:
                ways.setdefault((case, column), [0, 0])[at > before] += 1
            last[case, column] = at
        return _Look(unreadable, ahead, sum(map(min, ways.values())), sum(map(sum, ways.values())), read)


def ambiguous(pattern: str) -> bool:
    """Whether a format has day and month as numbers, the year not before both."""
    parts = re.findall("%[dmyY]", pattern)
    return "%d" in parts and "%m" in parts and parts[0] in ("%d", "%m")


def swapped(pattern: str) -> str:
    """Return a format with day and month in each other's place."""
    return re.sub("%[dm]", lambda part: "%m" if part[0] == "%d" else "%d", pattern)
