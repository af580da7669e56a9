"""Calendars: weekly opening hours in a zone, with dated exceptions; durations count physical time inside them.

A span is half-open wall time; its edges become instants by the zone's rules of that day (a gap moves forward, the
first of two counts), so a span over a DST change lasts what it really lasts. Where edges moved forward make spans
overlap, an instant counts once. A local date that a zone skipped has no hours. A limit used up exactly at closing is
due at closing (DOMAIN.md, "Response targets"). Inside, instants are UTC datetimes and durations timedeltas: both are
exact to the microsecond, and comparing and adding them takes a fraction of what turning them into integers does.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from calendar import isleap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

from ledger.errors import Malformed, Refused
from ledger.rules import instants

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 86_400  # seconds
MAX_LIMIT_US = 100 * 366 * _DAY * 1_000_000
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?|24:00(?::00)?")
_NOTHING, _MICROSECOND, _SECOND, _WHOLE_DAY = timedelta(), timedelta(microseconds=1), timedelta(seconds=1), timedelta(1)
# An instant's year in another zone may be the one before or after.
_FIRST_YEAR, _FINAL_YEAR = instants.FIRST_YEAR - 1, instants.LAST_YEAR + 1
_LAST_YEAR = 9990  # in which a due instant may lie
# After the last change that zones know in advance, a year is like any other of its length that begins on the same
# weekday: fourteen models serve every later year, so that a limit of a century costs no century of days.
_MODELS = {(isleap(year), date(year, 1, 1).weekday()): year for year in range(2101, 2129)}
_LAST_OWN_YEAR = 2128

Span = tuple[int, int]
Spans = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class _Year:
    """A local year, from its first midnight until the next year's, with its open spans in order.

    The spans' edges are durations since `first`, so that years alike share them; `counted` is the time counted up to
    each closing, `total` that of the whole year.
    """

    number: int
    first: datetime
    until: datetime
    opens: list[timedelta]
    closes: list[timedelta]
    counted: list[timedelta]
    total: timedelta

    def counted_before(self, at: datetime) -> timedelta:
        """Return the time counted from the year's beginning until `at`, which lies in it."""
        since = at - self.first
        index = bisect_right(self.opens, since) - 1
        if index < 0:
            return _NOTHING
        left = self.closes[index] - since
        return self.counted[index] - left if left > _NOTHING else self.counted[index]

    def when(self, count: timedelta) -> datetime:
        """Return the earliest instant before which `count` has been counted; 0 < count <= total."""
        index = bisect_left(self.counted, count)
        return self.first + (self.closes[index] - (self.counted[index] - count))


@dataclass(frozen=True)
class Calendar:
    """Opening hours: `week` by weekday (Monday first), `dates` replace the weekday's spans; in wall seconds."""

    zone: str
    week: tuple[Spans, ...]
    dates: Mapping[date, Spans] = field(default_factory=dict, hash=False)
    _years: dict[int, _Year] = field(default_factory=dict, init=False, compare=False, repr=False)

    @classmethod
    def from_data(cls, data: Any, place: str = "calendar") -> Calendar:
        """Return the calendar of `{"zone", "week": {"mon": [["08:00", "12:00"], …], …}, "dates": {…}}`.

        Malformed names the place of the first mistake: unknown key or zone, wrong time, reversed or overlapping
        spans. Spans that touch are one.
        """
        if not isinstance(data, dict):
            raise Malformed(place, data, "remedy_calendar")
        _only(data, ("zone", "week", "dates"), place)
        instants.zone(data.get("zone"), f"{place}.zone")
        week, dates = data.get("week"), data.get("dates", {})
        if not isinstance(week, dict):
            raise Malformed(f"{place}.week", week, "remedy_week", days=", ".join(WEEKDAYS))
        _only(week, WEEKDAYS, f"{place}.week")
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

    def to_data(self) -> dict[str, Any]:
        """Return what `from_data` reads: JSON-native, days without hours left out of the week."""
        return {
            "zone": self.zone,
            "week": {day: _texts(spans) for day, spans in zip(WEEKDAYS, self.week, strict=True) if spans},
            "dates": {day.isoformat(): _texts(spans) for day, spans in sorted(self.dates.items())},
        }

    @cached_property
    def always(self) -> bool:
        """Whether it is open at every instant: then counting is plain subtraction."""
        return not self.dates and all(spans == ((0, _DAY),) for spans in self.week)

    def due(self, start: datetime, limit_us: int) -> datetime:
        """Return the earliest UTC instant at which `limit_us` microseconds have been counted from aware `start`.

        A limit of 0 is due at the start. Refused (`calendar_never_opens`) when it is not open long enough, Malformed
        for a limit or a start out of range, ValueError for a naive start.
        """
        if not 0 <= limit_us <= MAX_LIMIT_US:
            raise Malformed("limit", limit_us, "remedy_limit")
        at, limit = _utc(start, "start"), _MICROSECOND * limit_us
        if limit_us == 0 or self.always:
            return at + limit
        year = self._year_at(at)
        count = year.counted_before(at) + limit
        while count > year.total:
            if year.number >= self._last_open_year:
                raise Refused("calendar_never_opens", zone=self.zone)
            count -= year.total
            year = self._year(year.number + 1)
        return year.when(count)

    def elapsed_us(self, start: datetime, end: datetime) -> int:
        """Return the microseconds counted from aware `start` to aware `end`.

        ValueError when the end lies before the start or one is naive, Malformed for years out of range.
        """
        first, last = _utc(start, "start"), _utc(end, "end")
        if last < first:
            raise ValueError("the end lies before the start")
        if self.always:
            return (last - first) // _MICROSECOND
        year = self._year_at(first)
        total = -year.counted_before(first)
        while last >= year.until:
            total += year.total
            year = self._year(year.number + 1)
        return (total + year.counted_before(last)) // _MICROSECOND

    def is_open(self, at: datetime) -> bool:
        """Whether it is open at aware instant `at`; spans are half-open. Errors as `due`."""
        moment = _utc(at, "at")
        if self.always:
            return True
        year = self._year_at(moment)
        since = moment - year.first
        index = bisect_right(year.opens, since) - 1
        return index >= 0 and since < year.closes[index]

    def spans(self, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
        """Return the open spans between aware `start` and `end` in UTC, cut to them, in order; touching ones are one.

        Their lengths sum to `elapsed_us`. Errors as `elapsed_us`.
        """
        first, last = _utc(start, "start"), _utc(end, "end")
        if last < first:
            raise ValueError("the end lies before the start")
        if self.always:
            return [(first, last)] if first < last else []
        found: list[tuple[datetime, datetime]] = []
        year = self._year_at(first)
        while year.first < last:
            begin = max(bisect_right(year.opens, first - year.first) - 1, 0)
            for index in range(begin, bisect_left(year.opens, last - year.first)):
                opens, closes = max(year.first + year.opens[index], first), min(year.first + year.closes[index], last)
                if found and opens == found[-1][1] and opens < closes:
                    found[-1] = (found[-1][0], closes)
                elif opens < closes:
                    found.append((opens, closes))
            year = self._year(year.number + 1)
        return found

    @cached_property
    def _dated_years(self) -> frozenset[int]:
        return frozenset(day.year for day in self.dates)

    @cached_property
    def _last_open_year(self) -> int:
        if any(self.week):
            return _LAST_YEAR
        # The next year too: its first moments may belong to the eve.
        return max((day.year + 1 for day, spans in self.dates.items() if spans), default=0)

    @cached_property
    def _undated(self) -> Calendar:
        return replace(self, dates={}) if self.dates else self

    def _year_at(self, at: datetime) -> _Year:
        """Return the year between whose local midnights `at` (UTC) lies, also where a date is gone through twice."""
        year = self._year(at.year)
        if at < year.first:
            return self._year(year.number - 1)
        return year if at < year.until else self._year(year.number + 1)

    def _year(self, number: int) -> _Year:
        year = self._years.get(number)
        if year is None:  # two threads that both work it out put the same there
            year = self._years[number] = self._worked_out(number)
        return year

    def _worked_out(self, number: int) -> _Year:
        if number <= _LAST_OWN_YEAR or number in self._dated_years:
            return self._build(number)
        start = date(number, 1, 1)
        model = self._undated._year(_MODELS[isleap(number), start.weekday()])
        later = start - date(model.number, 1, 1)
        return replace(model, number=number, first=model.first + later, until=model.until + later)

    def _build(self, number: int) -> _Year:
        midnights = _midnights(self.zone, number)
        first, until = midnights[1], midnights[-1]
        opens, closes, counted = [], [], []
        last, total = first, _NOTHING
        for start, end in sorted(self._instants(number, midnights)):
            begin, end = max(start, last), min(end, until)  # what two spans share counts once
            if begin < end:
                last = end
                total += end - begin
                opens.append(begin - first)
                closes.append(end - first)
                counted.append(total)
        return _Year(number, first, until, opens, closes, counted, total)

    def _instants(self, year: int, midnights: tuple[datetime, ...]) -> Iterator[tuple[datetime, datetime]]:
        """Yield the spans of a year's eve and of its days; a gap may have turned one round."""
        for number, (begin, end) in enumerate(pairwise(midnights), date(year, 1, 1).toordinal() - 1):
            spans = self.week[(number - 1) % 7]  # day 1 was a Monday
            if self.dates:
                spans = self.dates.get(date.fromordinal(number), spans)
            if end - begin == _WHOLE_DAY:  # no zone ever changed twice within three days: this day has one offset
                for opens, closes in spans:
                    yield begin + opens * _SECOND, begin + closes * _SECOND
            elif begin < end:  # else the zone skipped this date
                for span in spans:
                    yield self._edges(date.fromordinal(number), span)

    def _edges(self, day: date, span: Span) -> tuple[datetime, datetime]:
        """Return the two instants of a span on a day on which the zone changed."""
        midnight = datetime.combine(day, time())
        opens, closes = (instants.wall(midnight + edge * _SECOND, self.zone) for edge in span)
        return opens, closes


ALWAYS = Calendar("UTC", (((0, _DAY),),) * 7)


def _only(data: dict[str, Any], known: tuple[str, ...], place: str) -> None:
    for key in data:
        if key not in known:
            raise Malformed(f"{place}.{key}", data[key], "remedy_unknown_field", known=", ".join(known))


@lru_cache(maxsize=512)
def _midnights(zone: str, year: int) -> tuple[datetime, ...]:
    """Return the instants at which the eve of local `year` and its days begin, and the one at which it ends.

    The eve, because a gap at the end of a year moves a closing into the next.
    """
    days = range(date(year, 1, 1).toordinal() - 1, date(year + 1, 1, 1).toordinal() + 1)
    return tuple(instants.midnight(date.fromordinal(day), zone) for day in days)


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


def _texts(spans: Spans) -> list[list[str]]:
    return [[_time_text(second) for second in span] for span in spans]


def _time_text(second: int) -> str:
    hours, minutes, seconds = second // 3600, second // 60 % 60, second % 60
    return f"{hours:02d}:{minutes:02d}" + (f":{seconds:02d}" if seconds else "")


def _utc(instant: datetime, name: str) -> datetime:
    """Return an aware instant in UTC; Malformed for a year out of range, ValueError for a naive one."""
    if instant.tzinfo is not UTC and instant.utcoffset() is None:
        raise ValueError(f"{name} is naive: no instant")
    if not _FIRST_YEAR <= instant.year <= _FINAL_YEAR:
        raise Malformed(name, instant.isoformat(), "remedy_years", first=instants.FIRST_YEAR, last=instants.LAST_YEAR)
    return instant.astimezone(UTC)
