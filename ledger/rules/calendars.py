"""Calendars: weekly opening hours in a zone, with dated exceptions; durations count physical time inside them.

A span is half-open wall time; its edges become instants by the zone's rules of that day (a gap moves forward, the
first of two counts), so a span over a DST change lasts what it really lasts. Where edges moved forward make spans
overlap, an instant counts once. A local date that a zone skipped has no hours. A limit used up exactly at closing is
due at closing. All arithmetic is in integer microseconds (DOMAIN.md, "Response targets").
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from calendar import isleap
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from ledger.errors import Malformed, Refused
from ledger.rules import instants

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 86_400
_DAY_US = _DAY * 1_000_000
MAX_LIMIT_US = 100 * 366 * _DAY_US
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?|24:00(?::00)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TWO_DAYS = timedelta(days=2)
_LAST_YEAR = 9990  # in which a due instant may lie
# After the last change that zones know in advance, a year is like any other of its length that begins on the same
# weekday: fourteen models serve every later year, so that a limit of a century costs no century of days.
_LAST_OWN_YEAR = 2100
_MODELS = {(isleap(year), date(year, 1, 1).weekday()): year for year in range(2101, 2129)}

Span = tuple[int, int]
Spans = tuple[Span, ...]


class _Year(NamedTuple):
    """The open spans of one local year: their instants in microseconds, and the time counted up to each end."""

    starts: array[int]
    ends: array[int]
    counted: array[int]

    @property
    def total(self) -> int:
        """The microseconds counted in the whole year."""
        return self.counted[-1] if self.counted else 0

    def counted_before(self, at: int) -> int:
        """Return the microseconds counted before instant `at`."""
        index = bisect_right(self.starts, at) - 1
        return self.counted[index] - max(self.ends[index] - at, 0) if index >= 0 else 0

    def when(self, count: int) -> int:
        """Return the earliest instant before which `count` microseconds have been counted; 0 < count <= total."""
        index = bisect_left(self.counted, count)
        return self.ends[index] - (self.counted[index] - count)


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
        at, left = _kept(start, "start"), limit_us
        if limit_us == 0 or self.always:
            return _instant(at + limit_us)
        for year in range(self._year_of(start), self._last_open_year + 1):
            spans, shift = self._year(year)
            before = spans.counted_before(at - shift)
            if spans.total - before >= left:
                return _instant(spans.when(before + left) + shift)
            left -= spans.total - before
        raise Refused("calendar_never_opens", zone=self.zone)

    def elapsed_us(self, start: datetime, end: datetime) -> int:
        """Return the microseconds counted from aware `start` to aware `end`.

        ValueError when the end lies before the start or one is naive, Malformed for years out of range.
        """
        first, last = _kept(start, "start"), _kept(end, "end")
        if last < first:
            raise ValueError("the end lies before the start")
        if self.always:
            return last - first
        total = 0
        for year in range(self._year_of(start), self._year_of(end) + 1):
            spans, shift = self._year(year)
            total += spans.counted_before(last - shift) - spans.counted_before(first - shift)
        return total

    def is_open(self, at: datetime) -> bool:
        """Whether it is open at aware instant `at`; spans are half-open. Errors as `due`."""
        moment = _kept(at, "at")
        if self.always:
            return True
        spans, shift = self._year(self._year_of(at))
        index = bisect_right(spans.starts, moment - shift) - 1
        return index >= 0 and moment - shift < spans.ends[index]

    def spans(self, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
        """Return the open spans between aware `start` and `end` in UTC, cut to them, in order; touching ones are one.

        Their lengths sum to `elapsed_us`. Errors as `elapsed_us`.
        """
        first, last = _kept(start, "start"), _kept(end, "end")
        if last < first:
            raise ValueError("the end lies before the start")
        if self.always:
            return [(_instant(first), _instant(last))] if first < last else []
        found: list[Span] = []
        for year in range(self._year_of(start), self._year_of(end) + 1):
            kept, shift = self._year(year)
            begin = max(bisect_right(kept.starts, first - shift) - 1, 0)
            for index in range(begin, bisect_left(kept.starts, last - shift)):
                opens, closes = max(kept.starts[index] + shift, first), min(kept.ends[index] + shift, last)
                if found and opens == found[-1][1] and opens < closes:
                    found[-1] = (found[-1][0], closes)
                elif opens < closes:
                    found.append((opens, closes))
        return [(_instant(opens), _instant(closes)) for opens, closes in found]

    @cached_property
    def _dated_years(self) -> frozenset[int]:
        return frozenset(day.year for day in self.dates)

    @cached_property
    def _last_open_year(self) -> int:
        if any(self.week):
            return _LAST_YEAR
        return max((day.year for day, spans in self.dates.items() if spans), default=0)

    def _year_of(self, at: datetime) -> int:
        """Return the year between whose local midnights `at` lies, also where a date is gone through twice."""
        moment = at.astimezone(UTC)
        if moment.month not in (1, 12):
            return moment.year
        early, late = moment - _TWO_DAYS, moment + _TWO_DAYS
        if early.year == late.year:
            return late.year
        return late.year if at >= instants.midnight(date(late.year, 1, 1), self.zone) else early.year

    def _year(self, year: int) -> tuple[_Year, int]:
        """Return the spans of local `year`, or of its model, with the microseconds to add to their instants."""
        if year <= _LAST_OWN_YEAR or year in self._dated_years:
            spans = self._years.get(year)
            if spans is None:
                spans = self._years[year] = self._build(year, self.dates)
            return spans, 0
        model = _MODELS[isleap(year), date(year, 1, 1).weekday()]
        spans = self._years.get(-model)  # negative: the model has no dates of its own
        if spans is None:
            spans = self._years[-model] = self._build(model, {})
        return spans, (date(year, 1, 1) - date(model, 1, 1)).days * _DAY_US

    def _build(self, year: int, dates: Mapping[date, Spans]) -> _Year:
        built = _Year(array("q"), array("q"), array("q"))
        last, total = 0, 0
        for start, end in self._instants(year, dates):
            opens = max(start, last) if built.ends else start  # what two spans share counts once
            if opens < end:
                total += end - opens
                last = end
                built.starts.append(opens)
                built.ends.append(end)
                built.counted.append(total)
        return built

    def _instants(self, year: int, dates: Mapping[date, Spans]) -> list[Span]:
        """Return the spans of `year` in microseconds, by their start; those that a gap turned round are left out."""
        midnights = _midnights(self.zone, year)
        first = date(year, 1, 1).toordinal()
        found: list[Span] = []
        for number, (begin, end) in enumerate(pairwise(midnights), first):
            spans = self.week[(number - 1) % 7]  # day 1 was a Monday
            if dates:
                spans = dates.get(date.fromordinal(number), spans)
            if end - begin == _DAY_US:  # no zone ever changed twice within three days: this day has one offset
                found.extend((begin + opens * 1_000_000, begin + closes * 1_000_000) for opens, closes in spans)
            elif begin < end:  # else the zone skipped this date
                found.extend(self._edges(date.fromordinal(number), span) for span in spans)
        # A gap at the very end of a year moves a closing into the next: that much of its last day is counted there.
        eve = date.fromordinal(first - 1)
        found.extend(self._edges(eve, span) for span in dates.get(eve, self.week[eve.weekday()]))
        whole = ((start, end) for start, end in found if start < end)
        clipped = ((max(start, midnights[0]), min(end, midnights[-1])) for start, end in whole)
        return sorted((start, end) for start, end in clipped if start < end)

    def _edges(self, day: date, span: Span) -> Span:
        """Return the two instants in microseconds of a span on a day on which the zone changed."""
        midnight = datetime.combine(day, time())
        opens, closes = (_micros(instants.wall(midnight + timedelta(seconds=edge), self.zone)) for edge in span)
        return opens, closes


ALWAYS = Calendar("UTC", (((0, _DAY),),) * 7)


def _only(data: dict[str, Any], known: tuple[str, ...], place: str) -> None:
    for key in data:
        if key not in known:
            raise Malformed(f"{place}.{key}", data[key], "remedy_unknown_field", known=", ".join(known))


@lru_cache(maxsize=1024)
def _midnights(zone: str, year: int) -> array[int]:
    """Return the instants in microseconds at which the days of local `year` begin, and the one at which it ends."""
    days = range(date(year, 1, 1).toordinal(), date(year + 1, 1, 1).toordinal() + 1)
    return array("q", (_micros(instants.midnight(date.fromordinal(day), zone)) for day in days))


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


def _kept(instant: datetime, name: str) -> int:
    """Return an aware instant in microseconds; Malformed for a year out of range, ValueError for a naive one."""
    if instant.utcoffset() is None:
        raise ValueError(f"{name} is naive: no instant")
    # An instant's year in another zone may be the one before or after.
    if not instants.FIRST_YEAR - 1 <= instant.year <= instants.LAST_YEAR + 1:
        raise Malformed(name, instant.isoformat(), "remedy_years", first=instants.FIRST_YEAR, last=instants.LAST_YEAR)
    return _micros(instant)


def _micros(instant: datetime) -> int:
    since = instant - _EPOCH  # its fields, not a division by a microsecond: half the time, asked for each due instant
    return (since.days * _DAY + since.seconds) * 1_000_000 + since.microseconds


def _instant(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
