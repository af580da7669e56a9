"""The live queue: counted time left across calendars, who sees what, pages that neither overlap nor leave out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ledger.rules.instants import from_iso
from projections import budget
from projections.cli_queue import hours
from projections.projector import projector_of
from tests.given import ANA, BEATRIZ, FERRETERIA, LUIS, PANADERIA, Desk, local
from tests.test_api import Office
from tests.test_clock_http import cli


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url).at("2026-03-02 09:00")  # a Monday
    desk.sell(PANADERIA, "corporate")
    desk.sell(FERRETERIA, "basic")
    yield desk
    desk.close()


def numbers(answer: dict[str, Any]) -> list[str]:
    return [item["ticket"] for item in answer["items"]]


def row(desk: Desk, ticket: str, **given: Any) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in desk.ask("queue", **given)["items"] if item["ticket"] == ticket)
    return found


def in_office_hours(desk: Desk, level: str = "corporate", priority: str = "low") -> None:
    desk.do("calendar.assign", by=BEATRIZ, level=level, priority=priority, calendar="gt-business")


# --- counted time, not the clock's ----------------------------------------------------------------------------------


def test_cases_in_two_calendars_stand_by_counted_time_left(desk: Desk) -> None:
    in_office_hours(desk)
    desk.at("2026-03-02 16:30")
    desk.ticket(PANADERIA, priority="low", ticket="OFFICE")  # 2 h of office hours: due Tuesday 09:30
    desk.ticket(FERRETERIA, priority="low", ticket="ROUND")  # 8 h round the clock: due Tuesday 00:30
    assert row(desk, "OFFICE")["due_at"] == local("2026-03-03 09:30")
    assert row(desk, "ROUND")["due_at"] == local("2026-03-03 00:30")
    assert numbers(desk.ask("queue")) == ["OFFICE", "ROUND"]  # 2 h against 8 h, though it is due later
    desk.at("2026-03-02 23:30")  # of the office's two hours half an hour was counted; round the clock one is left
    assert numbers(desk.ask("queue")) == ["ROUND", "OFFICE"]
    assert [item["left_seconds"] for item in desk.ask("queue")["items"]] == [3600, 5400]


def test_time_left_is_rounded_down_and_the_latest_moment_is_a_microsecond_before(desk: Desk) -> None:
    desk.ticket(FERRETERIA, priority="high", ticket="T")
    desk.at("2026-03-02 10:59:59.999999")
    found = row(desk, "T")
    assert (found["left_seconds"], found["state"]) == (0, "at_risk")
    assert found["latest_at"] == "2026-03-02T10:59:59.999999-06:00"
    desk.at("2026-03-02 11:00:00")
    assert (row(desk, "T")["left_seconds"], row(desk, "T")["state"]) == (0, "overdue")
    desk.at("2026-03-02 11:00:00.000001")
    assert row(desk, "T")["left_seconds"] == -1


def test_at_risk_is_counted_in_each_calendar(desk: Desk) -> None:
    in_office_hours(desk)
    desk.at("2026-03-02 16:30")
    desk.ticket(PANADERIA, priority="low", ticket="OFFICE")  # due Tuesday 09:30
    desk.at("2026-03-02 20:00")  # closed: an hour and a half of office hours is left all night
    assert (row(desk, "OFFICE", minutes=90)["state"], desk.ask("queue", minutes=90)["at_risk"]) == ("at_risk", 1)
    assert (row(desk, "OFFICE", minutes=89)["state"], desk.ask("queue", minutes=89)["at_risk"]) == ("running", 0)


def test_it_says_when_the_office_closes_first_and_when_it_opens(desk: Desk) -> None:
    in_office_hours(desk)
    desk.ticket(PANADERIA, priority="low", ticket="TODAY")  # due 11:00, the office is open until 17:00
    assert (row(desk, "TODAY")["closes_at"], row(desk, "TODAY")["opens_at"]) == (None, None)
    desk.at("2026-03-06 16:30")  # a Friday
    desk.ticket(PANADERIA, priority="low", ticket="WEEKEND")
    found = row(desk, "WEEKEND")
    assert (found["closes_at"], found["opens_at"]) == (local("2026-03-06 17:00"), None)
    desk.at("2026-03-07 10:00")
    found = row(desk, "WEEKEND")
    assert (found["closes_at"], found["opens_at"]) == (None, local("2026-03-09 08:00"))
    assert found["left_seconds"] == 5400


def test_a_limit_used_up_exactly_at_closing_is_no_warning_of_closing(desk: Desk) -> None:
    in_office_hours(desk)
    desk.at("2026-03-02 15:00")
    desk.ticket(PANADERIA, priority="low", ticket="T")
    assert row(desk, "T")["due_at"] == local("2026-03-02 17:00")
    assert row(desk, "T")["closes_at"] is None
    desk.at("2026-03-02 22:00")  # late by no counted second: overdue all the same
    assert (row(desk, "T")["left_seconds"], row(desk, "T")["state"]) == (0, "overdue")


# --- what stands in it ----------------------------------------------------------------------------------------------


def test_answered_resolved_excluded_and_administrative_cases_are_not_in_it(desk: Desk) -> None:
    for number in ("ANSWERED", "RESOLVED", "EXCLUDED", "LEFT", "STILL"):
        desk.ticket(PANADERIA, ticket=number)
    desk.ticket(PANADERIA, request="administrative", ticket="ADMIN")
    desk.do("ticket.respond", by=ANA, ticket="ANSWERED", channel="platform")
    desk.do("ticket.resolve", by=ANA, ticket="RESOLVED")
    desk.do("ticket.exclude", by=BEATRIZ, ticket="EXCLUDED", reason="corte de luz")
    desk.do("ticket.reclassify", by=ANA, ticket="LEFT", request="administrative")
    assert numbers(desk.ask("queue")) == ["STILL"]
    desk.do("ticket.respond", by=ANA, ticket="STILL", channel="phone")  # a note: it stops nothing
    assert numbers(desk.ask("queue")) == ["STILL"]


def test_it_says_who_holds_a_case_and_whether_we_wait_on_the_customer(desk: Desk) -> None:
    desk.ticket(PANADERIA, ticket="T", subject="No imprime")
    desk.do("ticket.assign", by=ANA, ticket="T", to="luis")
    desk.do("ticket.wait", by=LUIS, ticket="T")
    found = row(desk, "T")
    assert (found["assigned_to"], found["waiting_since"]) == ("luis", local("2026-03-02 09:00"))
    assert (found["account"], found["subject"], found["calendar"]) == (PANADERIA, "No imprime", "24x7@1")
    desk.do("ticket.message", by=ANA, ticket="T")
    assert row(desk, "T")["waiting_since"] is None


def test_an_agent_sees_their_own_and_nobodys(desk: Desk) -> None:
    for number, holder in (("A", "ana"), ("B", "luis"), ("C", "")):
        desk.ticket(PANADERIA, ticket=number)
        if holder:
            desk.do("ticket.assign", by=BEATRIZ, ticket=number, to=holder)
    assert numbers(desk.ask("queue")) == ["A", "B", "C"]
    assert numbers(desk.ask("queue", agent="ana")) == ["A", "C"]
    assert numbers(desk.ask("queue", agent="luis")) == ["B", "C"]
    assert desk.ask("queue", agent="ana", minutes=120)["at_risk"] == 2
    assert numbers(desk.ask("queue", level="basic")) == []


def test_a_raise_and_a_lowering_move_a_case_and_its_level_and_priority_are_those_that_govern(desk: Desk) -> None:
    desk.ticket(FERRETERIA, priority="low", ticket="T")
    desk.at("2026-03-02 10:00")
    desk.do("ticket.prioritise", by=ANA, ticket="T", priority="high")
    found = row(desk, "T")
    assert (found["due_at"], found["priority"], found["left_seconds"]) == (local("2026-03-02 12:00"), "high", 7200)
    desk.do("ticket.prioritise", by=ANA, ticket="T", priority="medium", agreed=True, reason="lo pidió")
    assert row(desk, "T")["due_at"] == local("2026-03-02 17:00")


def test_a_raise_into_another_calendar_is_counted_in_that_one(desk: Desk) -> None:
    """The row knows the calendar of the present due also where it was assigned by command."""
    desk.at("2026-03-06 15:00")  # a Friday
    in_office_hours(desk, "basic", "high")
    desk.ticket(FERRETERIA, priority="low", ticket="T")  # 24x7, 8 h: due 23:00
    desk.at("2026-03-06 16:30")
    desk.do("ticket.prioritise", by=ANA, ticket="T", priority="high")  # two hours of office hours: Monday 09:30
    assert (row(desk, "T")["due_at"], row(desk, "T")["calendar"]) == (local("2026-03-06 23:00"), "24x7@1")
    desk.do("calendar.assign", by=BEATRIZ, level="basic", priority="low", calendar="gt-business")
    desk.ticket(FERRETERIA, priority="low", ticket="U")  # due Monday 15:30
    desk.at("2026-03-06 16:45")
    desk.do("ticket.prioritise", by=ANA, ticket="U", priority="high")  # Monday 09:45
    found = row(desk, "U")
    assert (found["due_at"], found["calendar"]) == (local("2026-03-09 09:45"), "gt-business@1")
    assert found["left_seconds"] == 7200


# --- pages ----------------------------------------------------------------------------------------------------------


def test_pages_neither_overlap_nor_leave_out_while_time_passes_and_cases_are_answered(desk: Desk) -> None:
    in_office_hours(desk)
    desk.at("2026-03-02 09:01")
    for minute in range(12):
        desk.at(f"2026-03-02 {10 + minute // 3}:{minute % 3 * 20:02d}")
        desk.ticket(PANADERIA, priority=("low", "medium", "high")[minute % 3], ticket=f"T-{minute:02d}")
    whole = desk.ask("queue", limit=200)
    assert whole["next"] is None
    left = [item["left_seconds"] for item in whole["items"]]
    assert left == sorted(left)
    found, cursor = [], None
    while True:
        page = desk.ask("queue", limit=5, **({"cursor": cursor} if cursor else {}))
        found += numbers(page)
        assert page["at"] == whole["at"]
        cursor = page["next"]
        if cursor is None:
            break
        desk.at(f"2026-03-02 {20 + len(found) // 10}:{len(found):02d}")
        desk.do("ticket.respond", by=ANA, ticket=found[0], channel="platform")
    assert found == numbers(whole)


@pytest.mark.parametrize(
    "cursor", ["x", "WzFd", "W10", "WyIyMDI2LTAzLTAyIix7fV0", "WyI5OTk5LTAxLTAxVDAwOjAwOjAwLjAwMDAwMFoiLHt9XQ"]
)
def test_a_cursor_that_is_not_ours_is_refused(desk: Desk, cursor: str) -> None:
    with desk.refused("malformed"):
        desk.ask("queue", cursor=cursor)


@pytest.mark.parametrize(
    "given", [{"minutes": 0}, {"limit": 201}, {"level": "gold"}, {"share": "95,5"}, {"share": "101"}, {"share": 95}]
)
def test_bad_input_is_refused(desk: Desk, given: dict[str, Any]) -> None:
    with desk.refused("malformed"):
        desk.ask("queue", **given)


def test_asking_writes_nothing(desk: Desk) -> None:
    desk.ticket(PANADERIA)
    before = desk.position
    desk.ask("queue", budget=True)
    assert desk.position == before


# --- the error budget -----------------------------------------------------------------------------------------------


def test_the_budget_says_how_many_more_may_be_late(desk: Desk) -> None:
    for _ in range(4):
        desk.ticket(FERRETERIA)
    late = desk.ticket(FERRETERIA)["ticket"]
    desk.do("ticket.exclude", by=BEATRIZ, ticket=late, reason="corte de luz")
    rows = desk.ask("queue", budget=True, share="75")["budget"]
    assert rows == [
        {
            "level": "basic", "month": "2026-03", "share": "75", "counted": 4, "late": 0, "open": 4, "allowed": 1,
            "left": 1,
        }
    ]  # fmt: skip
    desk.at("2026-03-02 17:00")  # all four are late now
    (found,) = desk.ask("queue", budget=True, share="75")["budget"]
    assert (found["late"], found["left"]) == (4, -3)
    desk.at("2026-04-01 00:00")
    assert desk.ask("queue", budget=True)["budget"] == []  # another month


@pytest.mark.parametrize(
    ("counted", "share", "allowed"),
    [(19, 9500, 0), (20, 9500, 1), (39, 9500, 1), (40, 9500, 2), (200, 9950, 1), (199, 9950, 0),
     (7, 0, 7), (7, 10_000, 0)],
)  # fmt: skip
def test_one_more_late_than_allowed_loses_the_share(counted: int, share: int, allowed: int) -> None:
    assert budget.allowance(counted, share) == allowed
    assert (counted - allowed) * 10_000 >= share * counted
    if allowed < counted:
        assert (counted - allowed - 1) * 10_000 < share * counted


# --- against counting by hand -------------------------------------------------------------------------------------


def test_every_row_is_what_its_calendar_counts(desk: Desk) -> None:
    in_office_hours(desk)
    desk.at("2026-03-06 15:10")
    for number in range(8):
        desk.ticket(PANADERIA, priority=("low", "high")[number % 2], ticket=f"T-{number}")
        desk.at(f"2026-03-06 {15 + number // 2}:{30 + number}")
    now = from_iso(desk.ledger.clock.now())
    found = desk.ask("queue", limit=200)["items"]
    assert len(found) == 8
    for item in found:
        calendar = desk.ledger.catalogue.calendar(item["calendar"])
        due = from_iso(item["due_at"])
        left = calendar.elapsed_us(now, due) if due > now else -calendar.elapsed_us(due, now)
        assert item["left_seconds"] == left // 1_000_000


def test_the_table_holds_only_what_is_open(desk: Desk) -> None:
    for _ in range(3):
        desk.do("ticket.respond", by=ANA, ticket=desk.ticket(PANADERIA)["ticket"], channel="platform")
    desk.ticket(PANADERIA)
    read = projector_of(desk.ledger).read
    assert read.query("SELECT count(*) FROM r_queue")[0][0] == 1


# --- over HTTP ----------------------------------------------------------------------------------------------------


def test_over_http_an_agent_gets_their_own_and_a_manager_all(sqlite_url: str) -> None:
    office = Office(sqlite_url)
    office.account()
    office.post("/v1/accounts/C-1/subscriptions", {"level": "basic", "term": "monthly", "channel": "web"})
    office.post("/v1/accounts/C-1/payments", {"amount": "250.00", "method": "cash", "reference": "R-1"})
    for number, to in (("T-1", "somebody"), ("T-2", "agent")):
        office.post("/v1/accounts/C-1/tickets", {"ticket": number, "request": "general", "priority": "low"})
        office.post(f"/v1/tickets/{number}/assignments", {"to": to})
    office.post("/v1/accounts/C-1/tickets", {"ticket": "T-3", "request": "general", "priority": "low"})
    holders = {item["assigned_to"] for item in office.call("GET", "/v1/sla/queue", None, role="manager").json["items"]}
    assert holders == {"somebody", "agent", None}
    mine = office.call("GET", "/v1/sla/queue?agent=somebody", None, role="agent").json["items"]
    assert "somebody" not in {item["assigned_to"] for item in mine}
    assert "T-3" in {item["ticket"] for item in mine}
    assert office.call("GET", "/v1/sla/queue", None, role="finance").status_code == 403
    office.close()


# --- on the command line ------------------------------------------------------------------------------------------


def test_the_command_line_prints_it_for_people_in_both_languages(desk: Desk) -> None:
    desk.ticket(FERRETERIA, priority="high", ticket="T-1")
    desk.ticket(PANADERIA, ticket="T-2")
    url = desk.ledger.store.url
    shown = cli(url, "--lang", "en", "sla", "queue", "--limit", "1", "--budget", "--share", "90").stdout
    assert "T-1" in shown
    assert "T-2" not in shown
    assert "2:00:00" in shown
    assert "--cursor" in shown
    assert "queda" in cli(url, "--lang", "es", "sla", "queue").stdout
    assert "accuse nobody" in cli(url, "--lang", "en", "sla", "radar").stdout
    assert cli(url, "sla", "queue", "--share", "x").exit_code != 0


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00:00"), (3661, "1:01:01"), (-1, "-0:00:01"), (360_000, "100:00:00")]
)
def test_seconds_as_hours(seconds: int, shown: str) -> None:
    assert hours(seconds) == shown
