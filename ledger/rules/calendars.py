"""Calendars: weekly opening hours in a zone, with dated exceptions; durations count physical time inside them.

A span is half-open wall time; its edges become instants by the zone's rules of that day (a gap moves forward, the
first of two counts), so a span over a DST change lasts what it really lasts. A limit used up exactly at closing is
due at closing. All arithmetic is in integer microseconds (DOMAIN.md, "Response targets").
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from ledger.errors import Malformed, Refused
from ledger.rules import instants

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_LIMIT_US = 100 * 366 * 86_400 * 1_000_000
_DAY = 86_400
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?|24:00(?::00)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LAST_YEAR = 9990

Span = tuple[int, int]
Spans = tuple[Span, ...]


class _Year(NamedTuple):
    """The open spans of one local year: their instants in microseconds, and the time counted up to each end."""

    starts: list[int]
    ends: list[int]
    counted: list[int]


@dataclass(frozen=True)
class Calendar:
    """Opening hours: `week` by weekday (Monday first), `dates` replace the weekday's spans; in wall seconds."""

    zone: str
    week: tuple[Spans, ...]
    dates: Mapping[date, Spans] = field(default_factory=dict)
    _years: dict[int, _Year] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_data(cls, data: Any, place: str = "calendar") -> Calendar:
        """Return the calendar of `{"zone", "week": {"mon": [["08:00", "12:00"], …], …}, "dates": {…}}`.

        Malformed names the place of the first mistake: unknown key or zone, wrong time, reversed or overlapping
        spans. Spans that touch are one.
        """
        if not isinstance(data, dict):
            raise Malformed(place, data, "remedy_calendar")
        for key in data:
            if key not in ("zone", "week", "dates"):
                raise Malformed(f"{place}.{key}", data[key], "remedy_unknown_field", known="zone, week, dates")
        instants.zone(data.get("zone"), f"{place}.zone")
        week, dates = data.get("week"), data.get("dates", {})
        if not isinstance(week, dict) or not set(week) <= set(WEEKDAYS):
            raise Malformed(f"{place}.week", week, "remedy_week", days=", ".join(WEEKDAYS))
        if not isinstance(dates, dict):
            raise Malformed(f"{place}.dates", dates, "remedy_calendar")
        return cls(
            zone=data["zone"],
            week=tuple(_spans(week.get(day, []), f"{place}.week.{day}") for day in WEEKDAYS),
            dates={
                instants.parse_date(day, f"{place}.dates"): _spans(spans, f"{place}.dates.{day}")
                for day, spans in dates.items()
            },
        )

    @property
    def always(self) -> bool:
        """Whether it is open at every instant: then counting is plain subtraction."""
        return not self.dates and all(spans == ((0, _DAY),) for spans in self.week)

    def due(self, start: datetime, limit_us: int) -> datetime:
        """Return the earliest instant at which `limit_us` microseconds have been counted from aware `start`.

        Refused (`calendar_never_opens`) when it is not open long enough, Malformed for a limit out of range.
        """
        if not 0 <= limit_us <= MAX_LIMIT_US:
            raise Malformed("limit", limit_us, "remedy_limit")
        if limit_us == 0 or self.always:
            return start.astimezone(UTC) + timedelta(microseconds=limit_us)
        at, left = _micros(start), limit_us
        year = self._local_year(start)
        while year <= _LAST_YEAR and self._opens_from(year):
            spans = self._year(year)
            before = _counted(spans, at)
            total = spans.counted[-1] if spans.counted else 0
            if total - before >= left:
                index = bisect_left(spans.counted, before + left)
                return _instant(spans.ends[index] - (spans.counted[index] - before - left))
            left -= total - before
            year += 1
        raise Refused("calendar_never_opens", zone=self.zone)

    def elapsed_us(self, start: datetime, end: datetime) -> int:
        """Return the microseconds counted from aware `start` to aware `end`; ValueError when end lies before."""
        if end < start:
            raise ValueError("the end lies before the start")
        first, last = _micros(start), _micros(end)
        if self.always:
            return last - first
        years = range(self._local_year(start), self._local_year(end) + 1)
        return sum(_counted(spans, last) - _counted(spans, first) for spans in map(self._year, years))

    def is_open(self, at: datetime) -> bool:
        """Whether it is open at aware instant `at`; spans are half-open."""
        if self.always:
            return True
        spans, moment = self._year(self._local_year(at)), _micros(at)
        index = bisect_right(spans.starts, moment) - 1
        return index >= 0 and moment < spans.ends[index]

    def _local_year(self, at: datetime) -> int:
        return instants.local_date(at, self.zone).year

    def _opens_from(self, year: int) -> bool:
        return any(self.week) or any(day.year >= year and spans for day, spans in self.dates.items())

    def _year(self, year: int) -> _Year:
        spans = self._years.get(year)
        if spans is None:
            spans = self._years[year] = self._build(year)
        return spans

    def _build(self, year: int) -> _Year:
        starts: list[int] = []
        ends: list[int] = []
        counted: list[int] = []
        total = 0
        day, last = date(year, 1, 1), date(year, 12, 31)
        while True:
            wanted = self.dates.get(day, self.week[day.weekday()])
            # A local date that a zone skipped altogether has no hours.
            if wanted and instants.local_date(instants.midnight(day, self.zone), self.zone) == day:
                for opens, closes in wanted:
                    start, end = self._edge(day, opens), self._edge(day, closes)
                    start = max(start, ends[-1]) if ends else start  # a gap must not count twice
                    if start < end:
                        total += end - start
                        starts.append(start)
                        ends.append(end)
                        counted.append(total)
            if day == last:
                return _Year(starts, ends, counted)
            day += timedelta(days=1)

    def _edge(self, day: date, second: int) -> int:
        if second == _DAY:
            return _micros(instants.midnight(day + timedelta(days=1), self.zone))
        local = datetime.combine(day, time(second // 3600, second // 60 % 60, second % 60))
        return _micros(instants.wall(local, self.zone))


def _spans(given: Any, place: str) -> Spans:
    """Return the spans of one day, sorted and with touching ones joined."""
    if not isinstance(given, list):
        raise Malformed(place, given, "remedy_spans")
    spans = []
    for number, pair in enumerate(given):
        where = f"{place}[{number}]"
        if not isinstance(pair, list) or len(pair) != 2:
            raise Malformed(where, pair, "remedy_spans")
        opens, closes = (_second(text, where) for text in pair)
        if opens >= closes:
            raise Malformed(where, f"{pair[0]}-{pair[1]}", "remedy_span_order")
        spans.append((opens, closes, where, pair))
    spans.sort()
    joined: list[Span] = []
    for opens, closes, where, pair in spans:
        if joined and opens < joined[-1][1]:
            raise Malformed(where, f"{pair[0]}-{pair[1]}", "remedy_span_overlap")
        if joined and opens == joined[-1][1]:
            joined[-1] = (joined[-1][0], closes)
        else:
            joined.append((opens, closes))
    return tuple(joined)


def _second(text: Any, place: str) -> int:
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise Malformed(place, text, "remedy_time")
    if match[1] is None:
        return _DAY
    return int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3] or 0)


def _counted(spans: _Year, at: int) -> int:
    """Return the microseconds counted in a year's spans before instant `at`."""
    index = bisect_right(spans.starts, at) - 1
    if index < 0:
        return 0
    return spans.counted[index] - max(spans.ends[index] - at, 0)


def _micros(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def _instant(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
