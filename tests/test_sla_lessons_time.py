"""Lessons of other help desks, told as scenarios: zones, clocks that jump, holidays (each names its thread)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ledger.rules.calendars import WEEKDAYS, Calendar
from tests.given import ANA, FERRETERIA, ZONE, Desk, local
from tests.sla_desk import AGREED, DAY, OFFICE, act, assign, catalogue, opened, opened_desk

HOUR, MINUTE = 3_600_000_000, 60_000_000
NEW_YORK, ROME, BEIRUT = "America/New_York", "Europe/Rome", "Asia/Beirut"


@pytest.fixture(name="desk")
def _desk(sqlite_url: str) -> Iterator[Desk]:
    with opened_desk(sqlite_url) as desk:
        yield desk


@pytest.fixture(name="office")
def _office(sqlite_url: str, tmp_path: Path) -> Iterator[Desk]:
    """The same, where low counts in an office that closes for lunch."""
    with opened_desk(sqlite_url, catalogue(tmp_path, OFFICE)) as desk:
        assign(desk, "oficina")
        yield desk


def hours(zone: str, *spans: str, days: int = 5, **dates: Any) -> Calendar:
    week = {day: [span.split("-") for span in spans] for day in WEEKDAYS[:days]}
    named = {day.strip("_").replace("_", "-"): value for day, value in dates.items()}
    return Calendar.from_data({"zone": zone, "week": week, "dates": named})


def at(zone: str, text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


def due(calendar: Calendar, start: str, limit: int) -> str:
    zone = calendar.zone
    return calendar.due(at(zone, start), limit).astimezone(ZoneInfo(zone)).isoformat()


def test_fivetran_dbt_zendesk_25_an_offset_is_that_of_its_instant() -> None:
    """fivetran/dbt_zendesk #25: minutes of the past were counted with today's offset."""
    calendar = hours(NEW_YORK, "09:00-17:00")
    assert due(calendar, "2026-01-05T09:00", HOUR) == "2026-01-05T10:00:00-05:00"
    assert due(calendar, "2026-07-06T09:00", HOUR) == "2026-07-06T10:00:00-04:00"


@pytest.mark.parametrize("year", [2001, 2030, 2099, 2150])
def test_fivetran_dbt_zendesk_86_no_table_of_schedules_ends(year: int) -> None:
    """fivetran/dbt_zendesk #86: schedules ended with the last known change of clocks, and targets vanished."""
    start = at(NEW_YORK, f"{year}-12-01T00:00")
    end = hours(NEW_YORK, "09:00-17:00").due(start, 2000 * HOUR)
    assert timedelta(days=340) < end - start < timedelta(days=360)


def test_fivetran_dbt_zendesk_144_the_week_of_the_change_counts_physical_seconds_once() -> None:
    """fivetran/dbt_zendesk #144, PR #154: the week in which clocks change gave double events and a wrong elapsed."""
    calendar = hours(NEW_YORK, "00:00-24:00", days=7)
    days = [at(NEW_YORK, f"2026-03-{day:02d}T00:00") for day in range(2, 17)]
    each = [calendar.elapsed_us(a, b) // HOUR for a, b in pairwise(days)]
    assert each == [24] * 6 + [23] + [24] * 7
    assert sum(each) == calendar.elapsed_us(days[0], days[-1]) // HOUR


def test_fivetran_dbt_zendesk_114_a_holiday_is_half_open() -> None:
    """fivetran/dbt_zendesk PR #114: a holiday ended at 23:59:59, both ends included."""
    calendar = hours(ZONE, "00:00-24:00", days=7, _2026_05_01=[])
    last = at(ZONE, "2026-04-30T23:59:59.999999")
    assert calendar.elapsed_us(last, at(ZONE, "2026-05-02T00:00")) == 1
    assert due(calendar, "2026-05-01T23:59:59.999999", 1) == "2026-05-02T00:00:00.000001-06:00"


def test_fivetran_dbt_zendesk_126_a_holiday_is_a_local_date() -> None:
    """fivetran/dbt_zendesk #126: holidays were not converted, and closed another day's evening."""
    calendar = hours(ZONE, "00:00-24:00", days=7, _2026_05_01=[])
    assert calendar.is_open(at("UTC", "2026-05-01T05:59"))  # still April there
    assert not calendar.is_open(at("UTC", "2026-05-01T06:00"))
    assert not calendar.is_open(at("UTC", "2026-05-02T05:59"))


def test_chatwoot_2882_summer_time_is_not_the_zones_winter_offset() -> None:
    """chatwoot #2882: the offset was taken from the zone without a date."""
    calendar = hours(ROME, "09:00-18:00")
    assert calendar.is_open(at("UTC", "2026-07-06T07:00"))
    assert not calendar.is_open(at("UTC", "2026-01-05T07:00"))


@pytest.mark.parametrize(
    ("zone", "day"), [(BEIRUT, "2022-03-27"), (ZONE, "2006-04-30"), ("America/Havana", "2025-03-09")]
)
def test_zendesk_biz_37_a_midnight_gap_is_no_open_hour(zone: str, day: str) -> None:
    """zendesk/biz PR #36 and #37: midnights that do not exist."""
    calendar = hours(zone, "00:00-24:00", days=7)
    start = at(zone, f"{day}T00:00")
    assert calendar.elapsed_us(start, at(zone, f"{day}T12:00")) == 11 * HOUR


def test_zendesk_biz_26_a_span_inside_a_gap_moves_with_it() -> None:
    """zendesk/biz PR #26: an opening at an hour that the clocks skip."""
    calendar = hours(NEW_YORK, "02:30-04:00", days=7)
    assert due(calendar, "2026-03-08T00:00", 15 * MINUTE) == "2026-03-08T03:45:00-04:00"
    assert calendar.elapsed_us(at(NEW_YORK, "2026-03-08T00:00"), at(NEW_YORK, "2026-03-08T12:00")) == 30 * MINUTE


def test_zendesk_biz_139_a_limit_used_up_at_closing_is_due_at_closing(office: Desk) -> None:
    """zendesk/biz PR #139: the treatment of the end changed the due instant by a night."""
    office.at("2026-05-04 13:00")
    ticket = opened(office)
    assert office.clock(ticket)["due_at"] == local("2026-05-04 17:00")
    assert act(office, "respond", ticket, "2026-05-04 17:00")["verdict"] == "breached"


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", ZONE])
def test_bokmann_business_time_159_one_end_in_another_zone_is_the_same_instant(zone: str) -> None:
    """bokmann/business_time #159, #50: sums depended on the zone in which an end was written."""
    calendar = hours(ROME, "09:00-18:00", _2026_05_01=[])
    start, end = at(ROME, "2026-04-30T17:00"), at(ROME, "2026-05-04T10:00")
    assert calendar.elapsed_us(start.astimezone(ZoneInfo(zone)), end) == 2 * HOUR
    assert calendar.elapsed_us(start, end.astimezone(ZoneInfo(zone))) == 2 * HOUR


def test_bokmann_business_time_36_a_holiday_holds_wherever_one_asks(office: Desk) -> None:
    """bokmann/business_time #36, PR #70: another zone of the application let holidays be ignored."""
    office.do("account.open", account=FERRETERIA, name="F", zone="Asia/Tokyo")
    office.sell(FERRETERIA, "advanced").at("2026-05-04 16:00")
    ticket = office.ticket(FERRETERIA)
    assert datetime.fromisoformat(ticket["due_at"]) == at(ZONE, "2026-05-05T11:00")


def test_lennym_moment_business_time_58_the_repeated_hour_goes_on() -> None:
    """lennym/moment-business-time #58: an hour added in the repeated hour gave the same instant."""
    calendar = hours(NEW_YORK, "00:00-24:00", days=7)
    first, second = (at(NEW_YORK, "2026-11-01T01:30", fold).astimezone(UTC) for fold in (0, 1))
    assert calendar.due(first, HOUR) == second
    assert calendar.elapsed_us(first, second) == HOUR
    assert due(calendar, "2026-11-01T00:30", 2 * HOUR) == "2026-11-01T01:30:00-05:00"


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu"])
def test_frappe_erpnext_38745_no_case_has_failed_when_it_is_opened(desk: Desk, zone: str) -> None:
    """frappe/erpnext PR #38745: a target shown as failed just after creation, by a mixture of zones."""
    desk.do("account.open", account=FERRETERIA, name="F", zone=zone)
    desk.sell(FERRETERIA, "advanced")
    clock = desk.clock(opened(desk, account=FERRETERIA))
    assert clock["verdict"] == "open"
    assert datetime.fromisoformat(clock["due_at"]) == at(ZONE, f"{DAY}T14:00")


def test_glpi_15429_a_case_in_a_calendar_is_not_late_at_once(office: Desk) -> None:
    """glpi #15429: cases escalated at creation with every calendar but 24/7."""
    office.at("2026-05-09 22:00")  # a Saturday night
    ticket = opened(office)
    assert (office.clock(ticket)["verdict"], office.clock(ticket)["due_at"]) == ("open", local("2026-05-11 12:00"))


def test_glpi_22678_a_share_of_the_limit_is_reached_in_open_hours() -> None:
    """glpi PR #22678: a warning before a due instant on the next morning fired at midnight."""
    calendar = hours(ZONE, "08:00-17:00")
    shares = [due(calendar, "2026-05-04T16:00", 2 * HOUR * percent // 100) for percent in (50, 75, 90, 100)]
    assert shares == [
        "2026-05-04T17:00:00-06:00",
        "2026-05-05T08:30:00-06:00",
        "2026-05-05T08:48:00-06:00",
        "2026-05-05T09:00:00-06:00",
    ]


HOLIDAY = """
[[calendars]]
name = "oficina"
version = 2
from = "2026-05-05"
zone = "America/Guatemala"
dates = { "2026-05-05" = [] }
[calendars.week]
mon = [["08:00", "17:00"]]
tue = [["08:00", "17:00"]]
wed = [["08:00", "17:00"]]
"""


def test_zammad_390_a_holiday_published_later_moves_no_promise(sqlite_url: str, tmp_path: Path) -> None:
    """zammad #390: an automatic feed of holidays moved a due instant from four days to six."""
    with opened_desk(sqlite_url, catalogue(tmp_path, OFFICE)) as desk:
        assign(desk, "oficina")
        desk.at("2026-05-04 16:00")
        ticket = opened(desk)
        desk.ledger.catalogue = catalogue(tmp_path, OFFICE, HOLIDAY)
        desk.ledger._policy = None
        assert desk.clock(ticket)["due_at"] == local("2026-05-05 11:00")
        assert act(desk, "prioritise", ticket, priority="high")["due_at"] == local("2026-05-04 17:00")
        lowered = act(desk, "prioritise", ticket, priority="low", **AGREED)
        assert lowered["due_at"] == local("2026-05-05 11:00")  # the hours of its opening, also for a later change
        desk.at("2026-05-05 10:00")
        assert desk.clock(opened(desk))["due_at"] == local("2026-05-06 12:00")


@pytest.mark.parametrize(
    ("week", "start", "wanted"),
    [
        ({"tue": [["09:00", "17:00"]], "wed": [["09:00", "17:00"]]}, "2026-05-07T12:00", "2026-05-12T10:00:00-06:00"),
        ({"sun": [["22:00", "24:00"]]}, "2026-05-04T12:00", "2026-05-10T23:00:00-06:00"),
        ({"mon": [["22:00", "24:00"]], "tue": [["00:00", "02:00"]]}, "2026-05-04T23:30", "2026-05-05T00:30:00-06:00"),
    ],
)
def test_osticket_6739_a_week_may_have_any_days(week: dict[str, Any], start: str, wanted: str) -> None:
    """osTicket #6739: schedules without Monday to Thursday gave wrong due instants."""
    assert due(Calendar.from_data({"zone": ZONE, "week": week}), start, HOUR) == wanted


def test_osticket_6847_lunch_is_no_holiday() -> None:
    """osTicket #6847: a lunch break kept as a holiday gave wrong due instants."""
    calendar = hours(ZONE, "08:00-12:00", "13:00-17:00")
    assert due(calendar, "2026-05-04T11:00", 2 * HOUR) == "2026-05-04T14:00:00-06:00"
    assert due(calendar, "2026-05-04T12:30", HOUR) == "2026-05-04T14:00:00-06:00"
    assert due(calendar, "2026-05-04T11:00", HOUR) == "2026-05-04T12:00:00-06:00"


@pytest.mark.parametrize("opened_at", ["12:00", "12:30", "13:00"])
def test_frappe_helpdesk_2212_lunch_does_not_count(office: Desk, opened_at: str) -> None:
    """frappe/helpdesk #2212, chatwoot #14009: one span a day cannot tell a lunch."""
    office.at(f"{DAY} {opened_at}")
    assert office.clock(opened(office))["due_at"] == local(f"{DAY} 17:00")


# --- defects found by reading ---------------------------------------------------------------------------------------


def test_glpi_calendar_the_repeated_hours_day_is_counted_once() -> None:
    """glpi src/Calendar.php steps 86,400 s: a clock started in the first hour of a day of 25 counted it twice."""
    calendar = hours(ROME, "09:00-18:00", days=7)
    assert due(calendar, "2026-10-25T00:30", 9 * HOUR) == "2026-10-25T18:00:00+01:00"
    assert due(calendar, "2026-10-25T00:30", 10 * HOUR) == "2026-10-26T10:00:00+01:00"


def test_glpi_calendar_the_day_of_the_skipped_hour_is_not_skipped() -> None:
    """glpi src/Calendar.php steps 86,400 s: a clock started at 23:30 before a day of 23 hours skipped that day."""
    calendar = hours(ROME, "09:00-18:00", days=7)
    assert due(calendar, "2026-03-28T23:30", HOUR) == "2026-03-29T10:00:00+02:00"


def test_glpi_calendar_a_closing_across_new_year_holds() -> None:
    """glpi: a yearly closing that crosses New Year never matched."""
    closed: dict[str, Any] = {day: [] for day in ("_2026_12_30", "_2026_12_31", "_2027_01_01")}
    assert due(hours(ZONE, "08:00-17:00", **closed), "2026-12-29T16:30", HOUR) == "2027-01-04T08:30:00-06:00"


def test_erpnext_an_answer_wholly_outside_the_hours_is_not_one_second(office: Desk) -> None:
    """ERPNext stored a response wholly outside working hours as 1.0 s: it took none of the counted time."""
    office.at("2026-05-04 18:00")
    ticket = opened(office)
    assert act(office, "respond", ticket, "2026-05-04 22:00")["verdict"] == "met"
    calendar = office.ledger.catalogue.calendar("oficina@1")
    assert calendar.elapsed_us(at(ZONE, "2026-05-04T18:00"), at(ZONE, "2026-05-04T22:00")) == 0


def test_erpnext_now_is_no_ones_wall_clock(desk: Desk) -> None:
    """ERPNext took "now" in the zone of the case's owner and made it naive; ours is an instant, however it is told."""
    ticket = opened(desk)
    desk.ledger.execute("ticket.respond", {"ticket": ticket}, caller=ANA, at="2026-05-04T16:00:00.000000Z")
    assert desk.clock(ticket)["responded_at"] == local(f"{DAY} 10:00")


def test_dbt_zendesk_a_second_is_no_hundredth_of_a_minute(desk: Desk) -> None:
    """dbt_zendesk's DECISIONLOG wrote 25 s as 0.25 minutes: nothing here is a fraction of anything."""
    ticket = opened(desk, "high")
    assert act(desk, "respond", ticket, "10:59:59.999999")["verdict"] == "met"
    other = opened(desk, "high")
    assert desk.clock(other)["due_at"] == local(f"{DAY} 11:59:59.999999")
