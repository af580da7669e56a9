"""Calendars: counted time to the microsecond, against a second implementation that shares nothing with the first."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from threading import Barrier
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ledger.errors import Malformed, Refused
from ledger.rules import calendars
from ledger.rules.calendars import ALWAYS, WEEKDAYS, Calendar

GUATEMALA = "America/Guatemala"
HOUR, MINUTE, SECOND = 3_600_000_000, 60_000_000, 1_000_000
US = timedelta(microseconds=1)
Data = dict[str, Any]


def weekdays(zone: str, *spans: list[str], dates: Data | None = None) -> Data:
    return {"zone": zone, "week": {day: list(spans) for day in WEEKDAYS[:5]}, "dates": dates or {}}


def every_day(zone: str, *spans: list[str], dates: Data | None = None) -> Data:
    return {"zone": zone, "week": {day: list(spans) for day in WEEKDAYS}, "dates": dates or {}}


def local(zone: str, text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def due(data: Data, start: str, limit_us: int) -> str:
    """Return the local wall time at which `limit_us` is used up, from local `start`."""
    zone = data["zone"]
    found = Calendar.from_data(data).due(local(zone, start), limit_us)
    return found.astimezone(ZoneInfo(zone)).isoformat()


BUSINESS = weekdays(GUATEMALA, ["08:00", "17:00"], dates={"2026-05-01": [], "2026-12-24": [["08:00", "12:00"]]})
LUNCH = weekdays(GUATEMALA, ["08:00", "12:00"], ["13:00", "17:00"])


# --- a second implementation: edges by trying offsets, time by cutting at every edge --------------------


class Naive(NamedTuple):
    """The open spans of a calendar near some instants, as pairs of UTC instants; they may overlap."""

    spans: list[tuple[datetime, datetime]]

    @classmethod
    def of(cls, data: Data, first: datetime, last: datetime) -> Naive:
        zone, spans = ZoneInfo(data["zone"]), []
        day = first.date() - timedelta(days=3)
        while day <= last.date() + timedelta(days=3):
            wanted = data["dates"].get(day.isoformat(), data["week"].get(WEEKDAYS[day.weekday()], []))
            if any(lived(zone, day, hour) for hour in (0, 6, 12, 18, 23)):
                spans += [(at_wall(zone, day, opens), at_wall(zone, day, closes)) for opens, closes in wanted]
            day += timedelta(days=1)
        return cls([(opens, closes) for opens, closes in spans if opens < closes])

    def is_open(self, at: datetime) -> bool:
        return any(opens <= at < closes for opens, closes in self.spans)

    def elapsed(self, start: datetime, end: datetime) -> int:
        edges = sorted({start, end, *(edge for span in self.spans for edge in span if start < edge < end)})
        return sum((until - since) // US for since, until in pairwise(edges) if self.is_open(since))

    def due(self, start: datetime, limit: int) -> datetime | None:
        """Return when the limit is used up, by going from edge to edge; None beyond the spans known."""
        at = start
        for edge in sorted({edge for span in self.spans for edge in span if edge > start}):
            if self.is_open(at):
                if (edge - at) // US >= limit:
                    return at + limit * US
                limit -= (edge - at) // US
            at = edge
        return None


def candidates(zone: ZoneInfo, wall: datetime) -> list[datetime]:
    """Return every UTC instant at which the clocks of `zone` show `wall`, found by trying offsets."""
    as_utc = wall.replace(tzinfo=UTC)
    offsets = {zone.utcoffset((as_utc + timedelta(hours=h)).astimezone(zone)) for h in (-40, -15, 15, 40)}
    found = (as_utc - offset for offset in offsets if offset is not None)
    return sorted(at for at in found if at.astimezone(zone).replace(tzinfo=None, fold=0) == wall)


def lived(zone: ZoneInfo, day: date, hour: int) -> bool:
    return bool(candidates(zone, datetime(day.year, day.month, day.day, hour, 59)))  # noqa: DTZ001


def at_wall(zone: ZoneInfo, day: date, text: str) -> datetime:
    """Return the first instant of a wall time, or where it would have been under the offset before the gap."""
    hours, minutes, *rest = map(int, text.split(":"))
    wall = datetime(day.year, day.month, day.day) + timedelta(hours=hours, minutes=minutes, seconds=sum(rest))  # noqa: DTZ001
    found = candidates(zone, wall)
    if found:
        return found[0]
    before = zone.utcoffset((wall.replace(tzinfo=UTC) - timedelta(hours=40)).astimezone(zone))
    assert before is not None
    return wall.replace(tzinfo=UTC) - before


# --- random calendars, mostly near a day on which the zone's clocks jump ------------------------------

JUMPS = {
    GUATEMALA: ["2006-04-30", "2006-10-01", "2026-03-01"],
    "Europe/Rome": ["2026-03-29", "2026-10-25", "2027-01-01"],
    "America/New_York": ["2026-03-08", "2026-11-01", "2024-02-29"],
    "Australia/Lord_Howe": ["2026-04-05", "2026-10-04", "2025-12-31"],
    "Pacific/Apia": ["2011-12-30", "2011-09-24", "2012-04-01"],
    "America/Sao_Paulo": ["2018-11-04", "2019-02-17", "2018-02-18"],
    "America/Havana": ["2025-03-09", "2025-11-02"],
    "America/St_Johns": ["2006-04-02", "2006-10-29"],  # at one minute past midnight
    "Asia/Singapore": ["1982-01-01"],  # the first half hour of the year did not exist
    "Africa/Casablanca": ["2026-02-15", "2026-03-22"],
    "America/Toronto": ["1919-03-31"],  # a gap on both sides of midnight
    "UTC": ["2026-01-01"],
}


USUAL = [0, 1, 30, 60, 90, 105, 119, 120, 135, 150, 180, 210, 480, 720, 1020, 1380, 1410, 1440]  # minutes of a day


@st.composite
def day_spans(draw: st.DrawFn) -> list[list[str]]:
    """Draw the spans of a day: from none to four, often at the hours at which clocks jump."""
    minutes = sorted(draw(st.sets(st.sampled_from(USUAL) | st.integers(0, 1440), max_size=8)))
    texts = [f"{minute // 60:02d}:{minute % 60:02d}" for minute in minutes]
    return [list(pair) for pair in zip(texts[::2], texts[1::2], strict=False)]


class Case(NamedTuple):
    data: Data
    start: datetime
    end: datetime


@st.composite
def cases(draw: st.DrawFn, most_days: int = 6) -> Case:
    """Draw a calendar with two instants near a jump of its zone."""
    zone = draw(st.sampled_from(sorted(JUMPS)))
    middle = date.fromisoformat(draw(st.sampled_from(JUMPS[zone])))
    kinds = [draw(day_spans()) for _ in range(3)]  # of day: drawing ten would take most of the tests' time
    which = draw(st.integers(0, 3**10 - 1))
    days = [kinds[which // 3**n % 3] for n in range(10)]
    data: Data = {"zone": zone, "week": dict(zip(WEEKDAYS, days[:7], strict=True)), "dates": {}}
    for spans, offset in zip(days[7:], draw(st.sets(st.integers(-3, 4), max_size=3)), strict=False):
        data["dates"][(middle + timedelta(days=offset)).isoformat()] = spans
    noon = datetime(middle.year, middle.month, middle.day, 12, tzinfo=UTC)
    micros = st.integers(-most_days * 12 * HOUR, most_days * 12 * HOUR) | st.integers(
        -most_days * 24, most_days * 24
    ).map(lambda half_hours: half_hours * 30 * MINUTE)
    start, end = sorted(noon + draw(micros) * US for _ in range(2))
    return Case(data, start, end)


# A span within the gap, before one right after it: moved forward, they change places and meet.
TURNED = Case(
    every_day("Europe/Rome", ["02:15", "02:45"], ["03:00", "03:30"]),
    datetime(2026, 3, 28, tzinfo=UTC),
    datetime(2026, 3, 30, tzinfo=UTC),
)


def test_elapsed_open_and_due_agree_with_the_second_implementation_in_500_cases() -> None:
    ran = 0

    @settings(max_examples=500, deadline=None)
    @example(TURNED, 1)
    @given(cases(), st.integers(1, 40 * HOUR))
    def law(case: Case, limit: int) -> None:
        nonlocal ran
        ran += 1
        data, start, end = case
        calendar, naive = Calendar.from_data(data), Naive.of(data, start, end + timedelta(days=7))
        assert calendar.elapsed_us(start, end) == naive.elapsed(start, end)
        for at in (start, end, *(edge for span in naive.spans for edge in span if start <= edge <= end)):
            for moment in (at - US, at, at + US):
                assert calendar.is_open(moment) == naive.is_open(moment), moment
        expected = naive.due(start, limit)
        if expected is not None:
            assert calendar.due(start, limit) == expected

    law()
    assert ran >= 500


def test_due_is_the_inverse_of_elapsed_in_500_cases() -> None:
    ran = 0

    @settings(max_examples=500, deadline=None)
    @given(cases(), st.integers(1, 200 * HOUR))
    def law(case: Case, limit: int) -> None:
        nonlocal ran
        calendar = Calendar.from_data(case.data)
        assume(any(calendar.week))
        ran += 1
        found = calendar.due(case.start, limit)
        assert calendar.elapsed_us(case.start, found) == limit
        assert calendar.elapsed_us(case.start, found - US) == limit - 1
        assert calendar.is_open(found - US)

    law()
    assert ran >= 500


def test_elapsed_adds_up_over_any_split_in_300_cases() -> None:
    ran = 0

    @settings(max_examples=300, deadline=None)
    @given(cases(), st.lists(st.integers(0, 10**6), max_size=5))
    def law(case: Case, shares: list[int]) -> None:
        nonlocal ran
        ran += 1
        data, start, end = case
        calendar, span = Calendar.from_data(data), (end - start) // US
        cuts = [start, *(start + (span * share // 10**6) * US for share in sorted(shares)), end]
        parts = [(calendar.elapsed_us(since, until), (until - since) // US) for since, until in pairwise(cuts)]
        assert sum(counted for counted, _ in parts) == calendar.elapsed_us(start, end)
        assert all(0 <= counted <= physical for counted, physical in parts)

    law()
    assert ran >= 300


def test_a_limit_in_two_halves_is_due_when_the_whole_is_in_300_cases() -> None:
    ran = 0

    @settings(max_examples=300, deadline=None)
    @given(cases(), st.integers(0, 60 * HOUR), st.integers(0, 60 * HOUR))
    def law(case: Case, one: int, other: int) -> None:
        nonlocal ran
        calendar = Calendar.from_data(case.data)
        assume(any(calendar.week))
        ran += 1
        halfway = calendar.due(case.start, one)
        assert case.start <= halfway
        if other:  # a further 0 is due at once, wherever the first limit ended
            assert calendar.due(halfway, other) == calendar.due(case.start, one + other)

    law()
    assert ran >= 300


def test_minute_by_minute_the_wall_clock_says_the_same_where_no_clock_jumps_in_100_cases() -> None:
    ran = 0

    @settings(max_examples=100, deadline=None)
    @given(cases(most_days=1), st.integers(0, 1439))
    def law(case: Case, first: int) -> None:
        nonlocal ran
        ran += 1
        data, zone = case.data, ZoneInfo(case.data["zone"])
        begin = case.start.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=20, minutes=first)
        counted = 0
        for minute in range(360):
            wall = (begin + timedelta(minutes=minute)).astimezone(zone)
            spans = data["dates"].get(wall.date().isoformat(), data["week"][WEEKDAYS[wall.weekday()]])
            counted += any(opens <= f"{wall:%H:%M}" < closes for opens, closes in spans)
        assert Calendar.from_data(data).elapsed_us(begin, begin + timedelta(hours=6)) == counted * MINUTE

    law()
    assert ran >= 100


def test_second_by_second_over_both_changes_of_rome() -> None:
    calendar = Calendar.from_data(every_day("Europe/Rome", ["00:00:30", "01:59:59"], ["03:00", "03:00:01"]))
    zone = ZoneInfo("Europe/Rome")
    for day in (date(2026, 3, 29), date(2026, 3, 30)):
        start = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
        walls = ((start + timedelta(seconds=n)).astimezone(zone).strftime("%H:%M:%S") for n in range(4 * 3600))
        seconds = sum("00:00:30" <= wall < "01:59:59" or wall == "03:00:00" for wall in walls)
        assert calendar.elapsed_us(start, start + timedelta(hours=4)) == seconds * SECOND


# --- the lessons of other engines (their threads are named) -------------------------------------------


@pytest.mark.parametrize("zone", ["Europe/Rome", "America/New_York", "America/Sao_Paulo"])
def test_b1_and_b5_each_instant_has_the_offset_of_its_own_day(zone: str) -> None:
    calendar = Calendar.from_data(weekdays(zone, ["09:00", "17:00"]))  # dbt_zendesk 25, chatwoot 2882
    for start in ("2018-07-02T10:00", "2018-12-03T10:00"):
        assert calendar.due(local(zone, start), 2 * HOUR) == local(zone, start) + timedelta(hours=2)
        assert calendar.is_open(local(zone, start[:11] + "09:00"))
        assert not calendar.is_open(local(zone, start[:11] + "08:59:59.999999"))


@pytest.mark.parametrize("year", [1905, 1950, 2040, 2100, 2101, 2400, 5000, 9890])
def test_b2_there_is_no_horizon_beyond_which_hours_vanish(year: int) -> None:
    data = weekdays("Europe/Rome", ["09:00", "17:00"])  # dbt_zendesk 86
    start = datetime(year, 3, 20, 22, 30, tzinfo=UTC)
    end = start + timedelta(days=20)
    naive = Naive.of(data, start, end)
    calendar = Calendar.from_data(data)
    assert calendar.elapsed_us(start, end) == naive.elapsed(start, end) > 0
    assert calendar.due(start, 30 * HOUR) == naive.due(start, 30 * HOUR)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-08", 23), ("2026-11-01", 25), ("2026-06-07", 24)])
def test_b3_a_day_lasts_what_it_physically_lasts(day: str, hours: int) -> None:
    zone = "America/New_York"  # dbt_zendesk 144, 154
    data: Data = {"zone": zone, "week": {"sun": [["00:00", "24:00"]]}}
    start = local(zone, f"{day}T00:00") - timedelta(hours=3)
    assert Calendar.from_data(data).elapsed_us(start, start + timedelta(hours=60)) == hours * HOUR
    assert due(every_day(zone, ["00:00", "24:00"], dates={"2000-01-01": []}), "2026-03-08T00:00", 24 * HOUR) == (
        "2026-03-09T01:00:00-04:00"
    )


def test_b4_a_holiday_is_half_open_and_local() -> None:
    data = every_day(GUATEMALA, ["00:00", "24:00"], dates={"2026-05-01": []})  # dbt_zendesk 114, 126
    calendar = Calendar.from_data(data)
    first, after = local(GUATEMALA, "2026-05-01T00:00"), local(GUATEMALA, "2026-05-02T00:00")
    assert [calendar.is_open(at) for at in (first - US, first, after - US, after)] == [True, False, False, True]
    assert calendar.elapsed_us(first - US, after + US) == 2


@pytest.mark.parametrize(
    ("zone", "start", "expected"),
    [
        (GUATEMALA, "2006-04-29T23:00", "2006-04-30T02:00:00-05:00"),  # midnight did not exist
        ("America/Sao_Paulo", "2018-11-03T23:00", "2018-11-04T02:00:00-02:00"),
        (GUATEMALA, "2006-09-30T23:30", "2006-10-01T00:30:00-06:00"),  # 23:00 to 24:00 was lived twice
        ("Pacific/Apia", "2011-12-29T23:00", "2011-12-31T01:00:00+14:00"),  # no 30 December
    ],
)
def test_b6_gaps_at_midnight_lose_and_double_nothing(zone: str, start: str, expected: str) -> None:
    limit = 2 * HOUR  # zendesk/biz 26, 36, 37
    assert due(every_day(zone, ["00:00", "24:00"]), start, limit) == expected
    walked = every_day(zone, ["00:00", "24:00"], dates={"2000-01-01": []})  # not 24x7: day by day
    assert due(walked, start, limit) == expected


def test_b7_a_limit_used_up_exactly_at_closing_is_due_at_closing() -> None:
    assert due(BUSINESS, "2026-03-02T15:00", 2 * HOUR) == "2026-03-02T17:00:00-06:00"  # zendesk/biz 139
    assert due(BUSINESS, "2026-03-02T15:00", 2 * HOUR + 1) == "2026-03-03T08:00:00.000001-06:00"
    assert due(BUSINESS, "2026-03-02T15:00", 2 * HOUR - 1) == "2026-03-02T16:59:59.999999-06:00"
    assert due(LUNCH, "2026-03-02T08:00", 4 * HOUR) == "2026-03-02T12:00:00-06:00"
    assert due(BUSINESS, "2026-03-06T17:00", 9 * HOUR) == "2026-03-09T17:00:00-06:00"


def test_b7_the_last_closing_of_a_year_and_of_all_is_due_too() -> None:
    data: Data = {"zone": GUATEMALA, "week": {}, "dates": {"2026-12-31": [["20:00", "24:00"]]}}
    assert due(data, "2026-01-01T00:00", 4 * HOUR) == "2027-01-01T00:00:00-06:00"
    with pytest.raises(Refused) as refused:
        due(data, "2026-01-01T00:00", 4 * HOUR + 1)
    assert refused.value.code == "calendar_never_opens"
    assert GUATEMALA in refused.value.message("es_GT")


def test_b8_answers_do_not_depend_on_the_zone_an_instant_is_written_in() -> None:
    calendar = Calendar.from_data(BUSINESS)  # business_time 159, 50, 70, 36
    start, end = local(GUATEMALA, "2026-04-30T16:00"), local(GUATEMALA, "2026-05-04T09:00")
    zones = [ZoneInfo(name) for name in ("UTC", "Asia/Tokyo", "Pacific/Apia", GUATEMALA)]
    answers = {
        (
            calendar.elapsed_us(start.astimezone(one), end.astimezone(other)),
            calendar.due(start.astimezone(one), 2 * HOUR),
            calendar.is_open(end.astimezone(other)),
        )
        for one in zones
        for other in zones
    }
    assert answers == {(2 * HOUR, end.astimezone(UTC), True)}


def test_b9_an_hour_over_the_doubled_hour_is_an_hour() -> None:
    start = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30 in Rome, the first time; moment-business-time 58
    for data in (every_day("Europe/Rome", ["00:00", "24:00"]), every_day("Europe/Rome", ["00:00", "23:00"])):
        assert Calendar.from_data(data).due(start, HOUR) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_b10_and_b11_a_promise_never_lies_before_what_it_starts_from() -> None:
    calendar = Calendar.from_data(BUSINESS)  # erpnext 38745, glpi 15429
    for hour in range(0, 24 * 8, 5):
        start = local(GUATEMALA, "2026-04-28T00:00") + timedelta(hours=hour)
        assert calendar.due(start, 0) == start
        assert calendar.due(start, 1) > start
        assert calendar.due(start, HOUR) >= start + timedelta(hours=1)


def test_b12_a_limit_that_crosses_a_night_goes_on_in_the_morning() -> None:
    assert due(BUSINESS, "2026-03-02T16:30", HOUR) == "2026-03-03T08:30:00-06:00"  # glpi 22678
    assert due(BUSINESS, "2026-03-02T22:00", HOUR) == "2026-03-03T09:00:00-06:00"
    assert due(BUSINESS, "2026-03-06T16:59:59.999999", 2) == "2026-03-09T08:00:00.000001-06:00"


def test_a_microsecond_before_and_after_an_edge_is_told_apart() -> None:
    calendar = Calendar.from_data(BUSINESS)
    opens, closes = local(GUATEMALA, "2026-03-02T08:00"), local(GUATEMALA, "2026-03-02T17:00")
    for start, end, counted in (
        (opens - US, closes + US, 9 * HOUR),
        (opens, closes, 9 * HOUR),
        (opens + US, closes - US, 9 * HOUR - 2),
        (closes - US, closes + US, 1),
        (opens - US, opens + US, 1),
        (closes, closes + US, 0),
        (closes + US, closes + 2 * US, 0),
        (opens - US, opens, 0),
    ):
        assert calendar.elapsed_us(start, end) == counted
    for start, limit in ((closes - US, 2), (closes, 1), (closes + US, 1)):
        assert calendar.due(start, limit) == local(GUATEMALA, "2026-03-03T08:00:00.000001")


def test_b13_only_the_dates_of_this_calendar_are_holidays() -> None:
    assert due(BUSINESS, "2026-04-30T15:00", 4 * HOUR) == "2026-05-04T10:00:00-06:00"  # zammad 390
    assert due(weekdays(GUATEMALA, ["08:00", "17:00"]), "2026-04-30T15:00", 4 * HOUR) == "2026-05-01T10:00:00-06:00"
    assert due(BUSINESS, "2026-12-24T11:00", 2 * HOUR) == "2026-12-25T09:00:00-06:00"  # a short day, its own hours


def test_b14_odd_weeks_and_lunch_breaks_are_plain_spans() -> None:
    tuesdays: Data = {"zone": GUATEMALA, "week": {"tue": [["08:00", "12:00"]]}}  # osTicket 6739, 6847
    assert due(tuesdays, "2026-03-02T09:00", 5 * HOUR) == "2026-03-10T09:00:00-06:00"
    assert due(LUNCH, "2026-03-02T11:30", HOUR) == "2026-03-02T13:30:00-06:00"
    assert due(LUNCH, "2026-03-02T12:15", HOUR) == "2026-03-02T14:00:00-06:00"


# --- where clocks jump --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spans", "minutes"),
    [
        ([["01:00", "04:00"]], 120),
        ([["02:00", "03:00"]], 0),  # both are 03:00
        ([["01:30", "02:30"]], 60),  # until 03:30
        ([["02:15", "02:45"]], 30),  # from 03:15 to 03:45
        ([["02:30", "03:15"]], 0),  # turned round: it opens at 03:30
        ([["02:30", "03:30"]], 0),
        ([["01:00", "02:30"], ["03:00", "04:00"]], 120),  # 03:00 to 03:30 counts once
        ([["02:15", "02:45"], ["03:00", "03:30"]], 45),
    ],
)
def test_a_gap_moves_edges_forward_and_counts_nothing_twice(spans: list[list[str]], minutes: int) -> None:
    calendar = Calendar.from_data({"zone": "Europe/Rome", "week": {"sun": spans}})
    start = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert calendar.elapsed_us(start, start + timedelta(days=2)) == minutes * MINUTE


@pytest.mark.parametrize(
    ("span", "minutes"),
    [(["01:00", "04:00"], 240), (["02:00", "03:00"], 120), (["02:15", "02:45"], 30), (["02:30", "03:00"], 90)],
)
def test_a_doubled_hour_starts_and_ends_at_its_first_occurrence(span: list[str], minutes: int) -> None:
    calendar = Calendar.from_data({"zone": "Europe/Rome", "week": {"sun": [span]}})
    start = datetime(2026, 10, 24, 12, tzinfo=UTC)
    assert calendar.elapsed_us(start, start + timedelta(days=2)) == minutes * MINUTE


def test_a_skipped_date_has_no_hours() -> None:
    calendar = Calendar.from_data(weekdays("Pacific/Apia", ["08:00", "17:00"]))  # Friday 30 December 2011 was not
    assert (
        due(weekdays("Pacific/Apia", ["08:00", "17:00"]), "2011-12-29T16:00", 2 * HOUR) == "2012-01-02T09:00:00+14:00"
    )
    assert not calendar.is_open(local("Pacific/Apia", "2011-12-31T10:00"))


def test_later_years_are_like_their_models_in_every_zone() -> None:
    years = [2101, 2130, 2200, 2399, 2400, 3333, 9889]
    models = {year: calendars._MODELS[_leap(year), date(year, 1, 1).weekday()] for year in years}
    assert len(calendars._MODELS) == 14
    for name in sorted(available_timezones() - {"localtime"})[::7]:
        zone = ZoneInfo(name)
        for year, model in models.items():
            for month in range(1, 13):
                for day in (1, 9, 17, 25):
                    offsets = {datetime(y, month, day, 12, tzinfo=zone).utcoffset() for y in (year, model)}
                    assert len(offsets) == 1, (name, year, month, day)


def _leap(year: int) -> bool:
    return (date(year, 3, 1) - date(year, 2, 1)).days == 29


def test_a_date_in_a_far_year_is_kept_there_and_not_in_other_years() -> None:
    data = every_day("Europe/Rome", ["08:00", "09:00"], dates={"2110-07-01": [], "4000-07-01": [["08:00", "18:00"]]})
    calendar = Calendar.from_data(data)
    for year, hours in ((2109, 3), (2110, 2), (2121, 3), (4000, 12), (4006, 3)):
        start = datetime(year, 6, 29, 22, tzinfo=UTC)
        assert calendar.elapsed_us(start, start + timedelta(days=3)) == hours * HOUR


def test_dates_of_the_years_that_serve_as_models_stay_there() -> None:
    """Fourteen of the years from 2101 to 2128 are the models of all that follow."""
    closed: Data = {f"{year}-07-01": [] for year in range(2101, 2129)}
    calendar = Calendar.from_data(every_day("Europe/Rome", ["08:00", "09:00"], dates=closed))
    for year in (2101, 2128, *range(2129, 2170), 2400):
        start = datetime(year, 6, 29, 22, tzinfo=UTC)
        assert calendar.elapsed_us(start, start + timedelta(days=3)) == (2 if year < 2129 else 3) * HOUR


# --- always open, never open, and limits ----------------------------------------------------------------


def test_24x7_is_plain_addition_in_any_zone() -> None:
    start = local(GUATEMALA, "2006-04-29T23:59:59.999999").astimezone(UTC)
    for zone in JUMPS:
        calendar = Calendar.from_data(every_day(zone, ["00:00", "24:00"]))
        assert calendar.always
        assert calendar.due(start, 8 * HOUR) == start + timedelta(hours=8)
        assert calendar.elapsed_us(start, start + timedelta(days=900)) == 900 * 24 * HOUR
        assert calendar.is_open(start)
    assert ALWAYS.always
    assert ALWAYS.due(start, calendars.MAX_LIMIT_US) == start + timedelta(days=36_600)
    assert Calendar.from_data(every_day("UTC", ["00:00", "24:00"])) == ALWAYS


def test_24x7_walked_day_by_day_is_the_same_in_300_cases() -> None:
    ran = 0

    @settings(max_examples=300, deadline=None)
    @given(cases(most_days=900), st.integers(0, 20_000 * HOUR))
    def law(case: Case, limit: int) -> None:
        nonlocal ran
        ran += 1
        zone, start, end = case.data["zone"], case.start, case.end
        walked = Calendar.from_data(every_day(zone, ["00:00", "24:00"], dates={"1950-01-01": []}))
        assert not walked.always
        assert walked.elapsed_us(start, end) == (end - start) // US
        assert walked.due(start, limit) == start + limit * US

    law()
    assert ran >= 300


@pytest.mark.parametrize(
    "data",
    [
        {"zone": "UTC", "week": {}},
        {"zone": "UTC", "week": {"mon": []}, "dates": {"2030-01-01": []}},
        {"zone": "UTC", "week": {}, "dates": {"2020-01-01": [["00:00", "24:00"]]}},  # gone by
        {"zone": "UTC", "week": {}, "dates": {"2030-01-01": [["00:00", "00:00:01"]]}},  # too little
        {"zone": "Europe/Rome", "week": {"mon": [["08:00", "08:00:01"]]}},  # a century would take 60,000 years
    ],
)
def test_a_calendar_that_does_not_open_enough_is_refused_at_once(data: Data) -> None:
    calendar, began = Calendar.from_data(data), time.perf_counter()
    with pytest.raises(Refused) as refused:
        calendar.due(datetime(2026, 1, 1, tzinfo=UTC), calendars.MAX_LIMIT_US)
    assert refused.value.code == "calendar_never_opens"
    assert time.perf_counter() - began < 3


def test_five_years_of_holidays_take_microseconds_once_warm() -> None:
    holidays: Data = {f"{year}-{day}": [] for year in range(2020, 2030) for day in ("01-01", "05-01", "09-15", "12-25")}
    calendar = Calendar.from_data(weekdays(GUATEMALA, ["08:00", "12:00"], ["13:00", "17:00"], dates=holidays))
    start = local(GUATEMALA, "2021-03-01T10:00")
    limit = 5 * 2000 * HOUR
    found = calendar.due(start, limit)
    assert calendar.elapsed_us(start, found) == limit
    began = time.perf_counter()
    for _ in range(200):
        calendar.due(start, limit)
    assert (time.perf_counter() - began) / 200 < 0.001  # a tenth of that on an idle machine


def test_a_century_of_counted_time_is_exact() -> None:
    calendar = Calendar.from_data(weekdays("Europe/Rome", ["08:00", "12:00"]))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    found = calendar.due(start, calendars.MAX_LIMIT_US)
    assert calendar.elapsed_us(start, found) == calendars.MAX_LIMIT_US
    assert calendar.elapsed_us(start, found - US) == calendars.MAX_LIMIT_US - 1


@pytest.mark.parametrize("limit", [-1, calendars.MAX_LIMIT_US + 1])
def test_a_limit_out_of_range_is_refused(limit: int) -> None:
    for calendar in (ALWAYS, Calendar.from_data(BUSINESS)):
        with pytest.raises(Malformed) as refused:
            calendar.due(datetime(2026, 1, 1, tzinfo=UTC), limit)
        assert refused.value.facts["remedy"] == "remedy_limit"


@pytest.mark.parametrize("year", [1, 1898, 9900, 9999])
def test_a_year_out_of_range_is_refused_not_an_overflow(year: int) -> None:
    at = datetime(year, 6, 1, tzinfo=UTC)
    for calendar in (ALWAYS, Calendar.from_data(BUSINESS)):
        asks: list[Callable[[Calendar], object]] = [
            lambda c: c.due(at, 1),
            lambda c: c.elapsed_us(at, at),
            lambda c: c.is_open(at),
        ]
        for ask in asks:
            with pytest.raises(Malformed) as refused:
                ask(calendar)
            assert refused.value.facts["remedy"] == "remedy_years"


def test_the_first_and_the_last_year_can_be_asked() -> None:
    for calendar in (ALWAYS, Calendar.from_data(BUSINESS)):
        for at in (datetime(1900, 1, 1, tzinfo=UTC), datetime(9898, 12, 31, 23, 59, 59, tzinfo=UTC)):
            assert calendar.elapsed_us(at, calendar.due(at, HOUR)) == HOUR
    assert Calendar.from_data(LUNCH).due(datetime(9898, 12, 31, tzinfo=UTC), 10_000 * HOUR).year == 9903
    # Written in another zone, an instant of these years may show the one before or after.
    calendar, west, east = Calendar.from_data(BUSINESS), ZoneInfo("Etc/GMT+12"), ZoneInfo("Etc/GMT-14")
    for at, zone, year in (
        (datetime(1900, 1, 1, tzinfo=UTC), west, 1899),
        (datetime(9898, 12, 31, 23, tzinfo=UTC), east, 9899),
    ):
        assert at.astimezone(zone).year == year
        assert calendar.due(at.astimezone(zone), HOUR) == calendar.due(at, HOUR)


def test_naive_instants_and_a_span_turned_round_are_programming_errors() -> None:
    naive, aware = datetime.fromisoformat("2026-01-01"), datetime(2026, 1, 1, tzinfo=UTC)
    asks: list[Callable[[Calendar], object]] = [
        lambda c: c.due(naive, 0),
        lambda c: c.is_open(naive),
        lambda c: c.elapsed_us(aware, naive),
    ]
    for calendar in (ALWAYS, Calendar.from_data(BUSINESS)):
        for ask in asks:
            with pytest.raises(ValueError, match="naive"):
                ask(calendar)
        with pytest.raises(ValueError, match="before"):
            calendar.elapsed_us(aware, aware - US)


# --- data -------------------------------------------------------------------------------------------------


def week(**days: Any) -> Data:
    return {"zone": "UTC", "week": days}


@pytest.mark.parametrize(
    ("data", "place", "remedy"),
    [
        (None, "calendar", "remedy_calendar"),
        ([], "calendar", "remedy_calendar"),
        ({"week": {}}, "calendar.zone", "remedy_zone"),
        ({"zone": "GT", "week": {}}, "calendar.zone", "remedy_zone"),
        ({"zone": "../UTC", "week": {}}, "calendar.zone", "remedy_zone"),
        ({"zone": "UTC"}, "calendar.week", "remedy_week"),
        ({"zone": "UTC", "week": [["08:00", "12:00"]]}, "calendar.week", "remedy_week"),
        ({"zone": "UTC", "week": {}, "holidays": []}, "calendar.holidays", "remedy_unknown_field"),
        ({"zone": "UTC", "week": {}, "dates": []}, "calendar.dates", "remedy_calendar"),
        ({"zone": "UTC", "week": {}, "dates": {"2026-02-29": []}}, "calendar.dates", "remedy_date"),
        ({"zone": "UTC", "week": {}, "dates": {"05-01": []}}, "calendar.dates", "remedy_date"),
        ({"zone": "UTC", "week": {}, "dates": {"2026-05-01": None}}, "calendar.dates.2026-05-01", "remedy_spans"),
        (week(lunes=[]), "calendar.week.lunes", "remedy_unknown_field"),
        (week(Mon=[]), "calendar.week.Mon", "remedy_unknown_field"),
        (week(mon=None), "calendar.week.mon", "remedy_spans"),
        (week(mon="08:00-17:00"), "calendar.week.mon", "remedy_spans"),
        (week(mon=["08:00", "12:00"]), "calendar.week.mon[0]", "remedy_spans"),
        (week(mon=[["08:00"]]), "calendar.week.mon[0]", "remedy_spans"),
        (week(mon=[["08:00", "12:00", "13:00"]]), "calendar.week.mon[0]", "remedy_spans"),
        (week(mon=[["08:00", "12:00"], ["11:59", "13:00"]]), "calendar.week.mon[1]", "remedy_span_overlap"),
        (week(mon=[["13:00", "17:00"], ["08:00", "13:01"]]), "calendar.week.mon[0]", "remedy_span_overlap"),
        (week(mon=[["08:00", "12:00"], ["08:00", "12:00"]]), "calendar.week.mon[1]", "remedy_span_overlap"),
        (week(tue=[["12:00", "08:00"]]), "calendar.week.tue[0]", "remedy_span_order"),
        (week(tue=[["22:00", "06:00"]]), "calendar.week.tue[0]", "remedy_span_order"),
        (week(tue=[["08:00", "08:00"]]), "calendar.week.tue[0]", "remedy_span_order"),
        (week(tue=[["24:00", "24:00"]]), "calendar.week.tue[0]", "remedy_span_order"),
        *(
            (week(wed=[["08:00", wrong]]), "calendar.week.wed[0]", "remedy_time")
            for wrong in ("8:00", "17", "17:60", "24:01", "24:00:01", "25:00", "17:00:60", "17:00Z", "", 17, None)
        ),
    ],
)  # fmt: skip
def test_a_mistake_in_a_calendar_is_named_by_its_place(data: Any, place: str, remedy: str) -> None:
    with pytest.raises(Malformed) as refused:
        Calendar.from_data(data)
    assert (refused.value.facts["field"], refused.value.facts["remedy"]) == (place, remedy)
    assert refused.value.message("en") != refused.value.message("es_GT")


def test_spans_may_stand_in_any_order_and_touching_ones_are_one() -> None:
    calendar = Calendar.from_data(week(mon=[["13:00", "17:00"], ["08:00", "13:00"], ["18:00:30", "24:00:00"]]))
    assert calendar.week[0] == ((8 * 3600, 17 * 3600), (18 * 3600 + 30, 86_400))
    halves = {day: [["12:00", "24:00"], ["00:00", "12:00"]] for day in WEEKDAYS}
    assert Calendar.from_data(week(**halves)).always


def test_a_calendar_is_a_value_that_writes_itself_down_in_200_cases() -> None:
    ran = 0

    @settings(max_examples=200, deadline=None)
    @given(cases())
    def law(case: Case) -> None:
        nonlocal ran
        ran += 1
        calendar = Calendar.from_data(case.data)
        calendar.elapsed_us(case.start, case.end)  # what it has worked out is no part of the value
        again = Calendar.from_data(calendar.to_data())
        assert again == calendar
        assert hash(again) == hash(calendar)
        assert again.to_data() == calendar.to_data()

    law()
    assert ran >= 200


def test_a_closing_that_a_gap_at_new_year_moves_into_january_counts_there() -> None:
    """Singapore went from 23:30 on 1981-12-31 straight to midnight: closing at 23:32 became 00:02."""
    calendar = Calendar.from_data({"zone": "Asia/Singapore", "week": {"thu": [["20:00", "23:32"]]}})
    closing = datetime(1981, 12, 31, 16, 2, tzinfo=UTC)
    assert calendar.is_open(closing - timedelta(microseconds=1))
    assert not calendar.is_open(closing)
    opening = datetime(1981, 12, 31, 12, 30, tzinfo=UTC)
    assert calendar.elapsed_us(opening, closing + timedelta(hours=9)) == (3 * 3600 + 32 * 60) * 1_000_000
    assert calendar.due(opening, (3 * 3600 + 32 * 60) * 1_000_000) == closing
    only_that_day = Calendar.from_data(
        {"zone": "Asia/Singapore", "week": {}, "dates": {"1981-12-31": [["20:00", "23:32"]]}}
    )
    assert only_that_day.due(opening, (3 * 3600 + 32 * 60) * 1_000_000) == closing
    with pytest.raises(Refused):
        only_that_day.due(opening, (3 * 3600 + 32 * 60) * 1_000_000 + 1)


def test_a_skipped_last_day_of_a_year_has_no_hours_on_the_next_either() -> None:
    """The Line Islands had no 1994-12-31, a Saturday; what it would have opened is not open on Sunday, New Year."""
    calendar = Calendar.from_data({"zone": "Pacific/Kiritimati", "week": {"sat": [["08:00", "17:00"]]}})
    assert calendar.spans(datetime(1994, 12, 26, tzinfo=UTC), datetime(1995, 1, 6, tzinfo=UTC)) == []
    start = local("Pacific/Kiritimati", "1994-12-30T08:00")
    assert calendar.due(start, HOUR) == local("Pacific/Kiritimati", "1995-01-07T09:00")


# --- years: none is worked out twice or in an order that matters ----------------------------------------


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", GUATEMALA, "Australia/Lord_Howe"])
@pytest.mark.parametrize("year", [1994, 2010, 2100, 2128, 2129, 2400])
def test_around_new_year_the_local_year_counts_whatever_zone_an_instant_is_written_in(zone: str, year: int) -> None:
    dates: Data = {f"{year - 1}-12-31": [["22:00", "24:00"]], f"{year}-01-01": [["00:00", "01:00"], ["03:00", "05:00"]]}
    data = every_day(zone, ["08:00", "12:00"], dates=dates)
    new_year = datetime(year, 1, 1, tzinfo=UTC)
    naive = Naive.of(data, new_year - timedelta(days=3), new_year + timedelta(days=3))
    calendar, end = Calendar.from_data(data), new_year + timedelta(days=2)
    for half_hours in range(-72, 72):
        at = new_year + timedelta(minutes=30 * half_hours)
        for written in (at, at.astimezone(ZoneInfo("Pacific/Kiritimati")), at.astimezone(ZoneInfo("Pacific/Niue"))):
            assert calendar.is_open(written) == naive.is_open(at)
            assert calendar.due(written, 3 * HOUR) == naive.due(at, 3 * HOUR)
            assert calendar.elapsed_us(written, end) == naive.elapsed(at, end)


def test_threads_that_ask_at_once_are_all_answered_right() -> None:
    starts = [datetime(year, 12, 30, 20, tzinfo=UTC) for year in (*range(1990, 2030), 2128, 2129, 2500, 9000)]
    expected = [Calendar.from_data(BUSINESS).due(start, 3000 * HOUR) for start in starts]
    for _ in range(5):
        calendar, gate = Calendar.from_data(BUSINESS), Barrier(8)
        calendars._midnights.cache_clear()

        def ask(shift: int, calendar: Calendar = calendar, gate: Barrier = gate) -> list[datetime]:
            gate.wait()
            turned = starts[shift:] + starts[:shift]
            found = [calendar.due(start, 3000 * HOUR) for start in turned]
            return found[len(starts) - shift :] + found[: len(starts) - shift]

        with ThreadPoolExecutor(8) as pool:
            assert all(found == expected for found in pool.map(ask, range(0, 40, 5)))
