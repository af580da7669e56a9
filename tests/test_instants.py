"""Instants and zones: canonical text, what is refused, and wall times where clocks jump."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import Malformed
from ledger.rules import instants

GUATEMALA = "America/Guatemala"
ZONES = (GUATEMALA, "Europe/Rome", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu", "UTC")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


def refused(parse: Any, value: Any, remedy: str) -> None:
    """Assert that `parse` names field, value and remedy, in both languages."""
    with pytest.raises(Malformed) as caught:
        parse(value, "the_field")
    assert caught.value.code == "malformed"
    assert caught.value.facts["field"] == "the_field"
    assert caught.value.facts["remedy"] == remedy
    assert "the_field" in caught.value.message("en")
    assert "the_field" in caught.value.message("es_GT")


# --- the worked facts of DOMAIN.md --------------------------------------------------------------------


def test_a_utc_evening_is_the_local_day_before_until_midnight_in_guatemala() -> None:
    assert instants.local_date(utc(2026, 3, 1, 5, 59), GUATEMALA) == date(2026, 2, 28)
    assert instants.local_date(utc(2026, 3, 1, 6, 0), GUATEMALA) == date(2026, 3, 1)


def test_an_add_on_paid_on_the_31st_of_january_2026_ends_as_the_3rd_of_march_begins() -> None:
    assert instants.show(instants.midnight(date(2026, 3, 3), GUATEMALA), GUATEMALA) == "2026-03-03T00:00:00-06:00"


# --- canonical text -----------------------------------------------------------------------------------


def test_canonical_text_is_utc_with_six_decimals() -> None:
    local = datetime(2026, 3, 1, 8, 0, tzinfo=timezone(timedelta(hours=-6)))
    assert instants.to_iso(local) == "2026-03-01T14:00:00.000000Z"
    assert instants.from_iso("2026-03-01T14:00:00.000001Z") == utc(2026, 3, 1, 14, 0, 0, 1)


def test_a_naive_datetime_has_no_canonical_text() -> None:
    with pytest.raises(ValueError, match="naive"):
        instants.to_iso(datetime(2026, 3, 1))  # noqa: DTZ001


def test_a_zone_that_knows_no_offset_counts_as_naive() -> None:
    class Nowhere(tzinfo):
        def utcoffset(self, when: datetime | None) -> None:
            return None

        def dst(self, when: datetime | None) -> None:
            return None

        def tzname(self, when: datetime | None) -> None:
            return None

    with pytest.raises(ValueError, match="naive"):
        instants.to_iso(datetime(2026, 3, 1, tzinfo=Nowhere()))


offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1900, 1, 2), datetime(9898, 12, 30), timezones=offsets)  # noqa: DTZ001


def test_the_order_of_canonical_texts_is_the_order_of_time_in_500_pairs() -> None:
    ran = 0

    @settings(max_examples=500, deadline=None)
    @given(moments, moments)
    def law(one: datetime, other: datetime) -> None:
        nonlocal ran
        ran += 1
        first, second = instants.to_iso(one), instants.to_iso(other)
        assert len(first) == len(second) == 27
        assert (first < second) == (one < other)
        assert instants.from_iso(first) == one

    law()
    assert ran >= 500


def test_what_is_shown_in_any_zone_is_read_back_as_the_same_instant_in_500_cases() -> None:
    ran = 0

    @settings(max_examples=500, deadline=None)
    @given(moments, st.sampled_from(ZONES))
    def law(moment: datetime, zone: str) -> None:
        nonlocal ran
        ran += 1
        assert instants.parse_instant(instants.show(moment, zone), "at") == moment
        assert instants.show(instants.to_iso(moment), zone) == instants.show(moment, zone)

    law()
    assert ran >= 500


def test_decimals_are_shown_only_when_there_are_any() -> None:
    assert instants.show("2026-03-03T06:00:00.000000Z", GUATEMALA) == "2026-03-03T00:00:00-06:00"
    assert instants.show("2026-03-03T06:00:00.000001Z", GUATEMALA) == "2026-03-03T00:00:00.000001-06:00"
    assert instants.show("2026-03-03T06:00:00.500000Z", "UTC") == "2026-03-03T06:00:00.500000+00:00"


def test_an_offset_that_rfc_3339_cannot_write_is_shown_in_utc() -> None:
    # Guatemala's clocks stood at -06:02:04 until 1918.
    assert instants.show("1905-01-01T00:00:00.000000Z", GUATEMALA) == "1905-01-01T00:00:00+00:00"


# --- what people write --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-01T14:00:00Z", utc(2026, 3, 1, 14)),
        ("2026-03-01t14:00:00z", utc(2026, 3, 1, 14)),
        ("2026-03-01 14:00:00Z", utc(2026, 3, 1, 14)),
        ("2026-03-01T08:00:00-06:00", utc(2026, 3, 1, 14)),
        ("2026-03-01T08:00:00.5-06:00", utc(2026, 3, 1, 14, 0, 0, 500_000)),
        ("2026-03-01T08:00:00.000001-06:00", utc(2026, 3, 1, 14, 0, 0, 1)),
        ("2026-03-01T05:45:00+05:45", utc(2026, 3, 1)),
        ("2026-03-01T00:00:00-00:00", utc(2026, 3, 1)),
        ("1900-01-01T00:00:00+14:00", utc(1899, 12, 31, 10)),
        ("9898-12-31T23:59:59-12:00", utc(9899, 1, 1, 11, 59, 59)),
    ],
)
def test_rfc_3339_with_an_offset_is_read(text: str, instant: datetime) -> None:
    read = instants.parse_instant(text, "at")
    assert read == instant
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-01T08:00:00",
        "2026-03-01",
        "2026-03-01T08:00Z",
        "2026-03-01T24:00:00Z",
        "2026-03-01T23:60:00Z",
        "2026-03-01T23:59:60Z",
        "2026-02-29T08:00:00Z",
        "2026-13-01T08:00:00Z",
        "2026-03-01T08:00:00.1234567Z",
        "2026-03-01T08:00:00.Z",
        "2026-03-01T08:00:00,5Z",
        "2026-03-01T08:00:00-0600",
        "2026-03-01T08:00:00-06",
        "2026-03-01T08:00:00-06:00:00",
        "2026-03-01T08:00:00+24:00",
        "2026-03-01T08:00:00-06:60",
        "20260301T080000Z",
        "2026-W09-7T08:00:00Z",
        " 2026-03-01T08:00:00Z",
        "2026-03-01T08:00:00Z\n",
        "2026-03-01T08:00:00Z\0",
        "٢٠٢٦-03-01T08:00:00Z",
        "now",
        "",
        None,
        True,
        1_772_352_000,
        1_772_352_000.5,
        ["2026-03-01T08:00:00Z"],
        b"2026-03-01T08:00:00Z",
        utc(2026, 3, 1),
    ],
)
def test_anything_else_is_no_instant(value: Any) -> None:
    refused(instants.parse_instant, value, "remedy_instant")


@pytest.mark.parametrize("year", ["0000", "0001", "1899", "9899", "9999"])
def test_years_that_arithmetic_could_leave_are_refused(year: str) -> None:
    refused(instants.parse_instant, f"{year}-06-15T08:00:00Z", "remedy_years")
    refused(instants.parse_date, f"{year}-06-15", "remedy_years")


def test_dates_are_read_strictly() -> None:
    assert instants.parse_date("2028-02-29", "on") == date(2028, 2, 29)
    for value in ("2026-02-29", "2026-3-1", "20260301", "2026-03-01T00:00:00Z", "01/03/2026", "", " 2026-03-01", None):
        refused(instants.parse_date, value, "remedy_date")
    for other in (20260301, date(2026, 3, 1), True, "2026-03-01\n", "２０２６-03-01"):
        refused(instants.parse_date, other, "remedy_date")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "GT",
        "Guatemala",
        "America/Guatemala\0",
        "America/guatemala/",
        "../etc/passwd",
        "America/../UTC",
        "/usr/share/zoneinfo/UTC",
        "America",
        "localtime",
        "posixrules",
        "Factory",
        "right/UTC",
        "posix/UTC",
        "tzdata.zi",
        "leapseconds",
        "UTC ",
        "A" * 500,
        "America/" + "A" * 500,
        None,
        -6,
        True,
        ["UTC"],
    ],
)
def test_what_is_no_iana_zone_is_refused(name: Any) -> None:
    refused(instants.zone, name, "remedy_zone")


@pytest.mark.parametrize("name", [*ZONES, "America/Argentina/Buenos_Aires", "Etc/GMT+6", "EST5EDT"])
def test_iana_zones_are_known(name: str) -> None:
    assert instants.zone(name, "zone").key == name
    assert instants.zone(name, "zone") is instants.zone(name, "zone")


# --- where clocks jump --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "wall", "instant"),
    [
        # Guatemala 2006: midnight did not exist on 30 April, the last hour of 30 September was lived twice.
        (GUATEMALA, "2006-04-30T00:30", utc(2006, 4, 30, 6, 30)),
        (GUATEMALA, "2006-09-30T23:30", utc(2006, 10, 1, 4, 30)),
        (GUATEMALA, "2006-10-01T00:00", utc(2006, 10, 1, 6, 0)),
        ("Europe/Rome", "2026-03-29T02:30", utc(2026, 3, 29, 1, 30)),
        ("Europe/Rome", "2026-10-25T02:30", utc(2026, 10, 25, 0, 30)),
        ("Australia/Lord_Howe", "2025-10-05T02:15", utc(2025, 10, 4, 15, 45)),
        ("Australia/Lord_Howe", "2026-04-05T01:45", utc(2026, 4, 4, 14, 45)),
        ("Pacific/Apia", "2011-12-30T08:00", utc(2011, 12, 30, 18, 0)),
    ],
)
def test_a_gap_moves_forward_by_the_gap_and_an_ambiguous_time_is_its_first(
    zone: str, wall: str, instant: datetime
) -> None:
    local = datetime.fromisoformat(wall)
    assert instants.wall(local, zone) == instant
    assert instants.wall(local.replace(fold=1), zone) == instant  # a fold brought along changes nothing


@pytest.mark.parametrize(
    ("zone", "day", "shown"),
    [
        (GUATEMALA, date(2006, 4, 30), "2006-04-30T01:00:00-05:00"),
        (GUATEMALA, date(2006, 10, 1), "2006-10-01T00:00:00-06:00"),
        (GUATEMALA, date(2026, 4, 30), "2026-04-30T00:00:00-06:00"),
        ("America/Sao_Paulo", date(2018, 11, 4), "2018-11-04T01:00:00-02:00"),
        ("America/Havana", date(2025, 11, 2), "2025-11-02T00:00:00-04:00"),  # twice: the first
        ("Pacific/Apia", date(2011, 12, 30), "2011-12-31T00:00:00+14:00"),  # there was no such day
    ],
)
def test_a_local_day_begins_at_its_first_instant(zone: str, day: date, shown: str) -> None:
    assert instants.show(instants.midnight(day, zone), zone) == shown


def test_midnights_rise_day_by_day_and_each_day_is_its_own_in_500_cases() -> None:
    ran = 0

    @settings(max_examples=500, deadline=None)
    @given(st.dates(date(1901, 1, 1), date(2200, 1, 1)), st.sampled_from(ZONES))
    def law(day: date, zone: str) -> None:
        nonlocal ran
        ran += 1
        begin = instants.midnight(day, zone)
        end = instants.midnight(day + timedelta(days=1), zone)
        assert begin <= end
        if begin < end:
            assert instants.local_date(begin, zone) == day
            assert instants.local_date(end - timedelta(microseconds=1), zone) == day

    law()
    assert ran >= 500
