"""Guatemala's holidays: the data file says what the laws say, year by year, and the calendar copies it."""

from __future__ import annotations

import tomllib
from datetime import date, timedelta
from importlib.resources import files
from typing import Any

import holidays
import pytest

from ledger.catalogue import load
from ledger.rules.instants import from_iso
from tests.given import when

YEARS = range(2015, 2031)


@pytest.fixture(name="data", scope="module")
def _data() -> dict[str, Any]:
    return tomllib.loads(files("ledger").joinpath("holidays_gt.toml").read_text("utf-8"))


def days(data: dict[str, Any], year: int) -> dict[date, dict[str, str]]:
    return {date.fromisoformat(day): entry for day, entry in data[str(year)].items()}


def by_name(data: dict[str, Any], year: int) -> dict[str, str]:
    return {entry["name"]: day for day, entry in data[str(year)].items()}


# What newspapers and the Ministry of Labour told people in those years.
KNOWN = {
    2015: {"Día del Ejército": "2015-06-29", "Día de la Revolución": "2015-10-20", "Viernes Santo": "2015-04-03"},
    2018: {"Día de la Revolución": "2018-10-22", "Viernes Santo": "2018-03-30"},
    2019: {"Día del Trabajo": "2019-04-29", "Día del Ejército": "2019-07-01", "Día de la Revolución": "2019-10-21"},
    2021: {"Día del Trabajo": "2021-05-01", "Día del Ejército": "2021-06-28", "Día de la Revolución": "2021-10-20"},
    2022: {"Día del Ejército": "2022-07-04", "Jueves Santo": "2022-04-14"},
    2023: {"Día del Trabajo": "2023-05-01", "Día del Ejército": "2023-07-03", "Jueves Santo": "2023-04-06"},
    2024: {"Viernes Santo": "2024-03-29", "Día del Ejército": "2024-07-01"},
    2026: {"Día del Ejército": "2026-06-29", "Viernes Santo": "2026-04-03"},
}


@pytest.mark.parametrize("year", KNOWN)
def test_known_years(data: dict[str, Any], year: int) -> None:
    found = by_name(data, year)
    assert {name: found[name] for name in KNOWN[year]} == KNOWN[year]


@pytest.mark.parametrize("year", YEARS)
def test_every_year_names_the_days_of_the_labour_code_and_their_law(data: dict[str, Any], year: int) -> None:
    entries = days(data, year)
    assert list(entries) == sorted(entries)
    assert len(entries) == len(by_name(data, year)) == 12
    for day, entry in entries.items():
        assert day.year == year
        assert entry["law"] in data["laws"]
        assert (entry["law"] == "127") == ("moved_from" not in entry)
        assert ("from" in entry) == ((day.month, day.day) in ((12, 24), (12, 31)))
    assert by_name(data, year)["Navidad"] == f"{year}-12-25"


@pytest.mark.parametrize("year", YEARS)
def test_moved_days_follow_the_law_of_their_day(data: dict[str, Any], year: int) -> None:
    """From the weekday alone: Monday 0 … Sunday 6, days to add by each law."""
    old = {1: -1, 2: 2, 3: 1}
    new = {1: -1, 2: -2, 3: 4, 4: 3, 5: 2, 6: 1}
    for name, month, day in (("Día del Trabajo", 5, 1), ("Día del Ejército", 6, 30), ("Día de la Revolución", 10, 20)):
        fixed = date(year, month, day)
        if fixed >= date(2018, 10, 18):
            rule = new if month == 6 or fixed < date(2020, 4, 17) else {}
        else:
            rule = {} if month == 10 else old
        assert by_name(data, year)[name] == (fixed + timedelta(days=rule.get(fixed.weekday(), 0))).isoformat(), name


@pytest.mark.parametrize("year", YEARS)
def test_holy_week_is_before_the_sunday_after_the_first_full_moon_of_spring(data: dict[str, Any], year: int) -> None:
    """By the table of golden numbers, not by the formula that wrote the file."""
    moons = [
        (4, 14), (4, 3), (3, 23), (4, 11), (3, 31), (4, 18), (4, 8), (3, 28), (4, 16), (4, 5), (3, 25), (4, 13),
        (4, 2), (3, 22), (4, 10), (3, 30), (4, 17), (4, 7), (3, 27),
    ]  # fmt: skip
    moon = date(year, *moons[year % 19])
    easter = moon + timedelta(days=6 - moon.weekday() or 7)
    for name, before in (("Jueves Santo", 3), ("Viernes Santo", 2), ("Sábado Santo", 1)):
        assert by_name(data, year)[name] == (easter - timedelta(days=before)).isoformat()


def test_the_catalogue_copies_the_working_days_of_it(data: dict[str, Any]) -> None:
    calendar = load().calendar("gt-business@1")
    closed = {
        day: ((8 * 3600, 12 * 3600),) if "from" in entry else ()
        for year in YEARS
        for day, entry in days(data, year).items()
        if day.weekday() < 5
    }
    assert calendar.dates == closed
    assert load().calendar("gt-business@2") == calendar  # so it was called in cases opened before the first release


# What the library holidays does not know: the days that Decreto 42-2010 moved, until it was reformed in 2018.
MOVED_BY_42_2010 = {2015: {"06-29": "06-30"}, 2016: {"07-01": "06-30"}, 2018: {"04-30": "05-01"}}


@pytest.mark.parametrize("year", YEARS)
def test_the_days_are_those_that_a_library_computes(data: dict[str, Any], year: int) -> None:
    """But for 15 August, the capital's own feast, and for what one law moved; half days it does not know."""
    ours = {day for day, entry in days(data, year).items() if "from" not in entry}
    moved = {date.fromisoformat(f"{year}-{a}"): f"{year}-{b}" for a, b in MOVED_BY_42_2010.get(year, {}).items()}
    theirs = set(holidays.country_holidays("GT", years=year)) - {date(year, 8, 15)}
    assert ours - theirs == set(moved)
    assert theirs - ours == {date.fromisoformat(day) for day in moved.values()}
    assert all(data[str(year)][day.isoformat()]["law"] == "42-2010" for day in moved)


def test_a_limit_skips_them() -> None:
    calendar = load().calendar("gt-business@1")
    due = calendar.due(when("2026-12-24 11:00"), 2 * 3_600_000_000)
    assert due == when("2026-12-28 09:00")  # an hour until noon, then Monday
    assert calendar.elapsed_us(from_iso("2026-06-29T00:00:00Z"), from_iso("2026-06-30T00:00:00Z")) == 0
