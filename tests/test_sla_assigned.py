"""calendar.assign: from now on or from a date, never the past; and the bad input of the replay."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.catalogue import Assignment, shipped
from ledger.catalogue_error import CatalogueError
from ledger.rules.instants import to_iso
from tests.given import ANA, BEATRIZ, FERRETERIA, PANADERIA, Desk, local
from tests.naive_clock import LEVELS, PRIORITIES
from tests.sla_desk import AGREED, DAY, OFFICE, STRICT, act, assign, catalogue, opened, opened_desk


@pytest.fixture(name="desk")
def _desk(sqlite_url: str, tmp_path: Path) -> Iterator[Desk]:
    with opened_desk(sqlite_url, catalogue(tmp_path, OFFICE)) as desk:
        yield desk


def test_from_now_on_the_next_case_counts_in_it(desk: Desk) -> None:
    answer = assign(desk, "oficina")
    assert (answer["from"], answer["calendar"]) == (local(f"{DAY} 10:00"), "oficina")
    assert desk.ticket()["due_at"] == local(f"{DAY} 15:00")  # with an hour of lunch
    assert desk.ticket(priority="high")["due_at"] == local(f"{DAY} 11:00")  # another cell


def test_a_case_of_the_microsecond_before_does_not(desk: Desk) -> None:
    desk.at(f"{DAY} 10:00:00.000001")
    assign(desk, "oficina")
    early = desk.ticket(at=f"{DAY} 10:00")
    assert early["due_at"] == local(f"{DAY} 14:00")
    assert desk.clock(early["ticket"])["due_at"] == local(f"{DAY} 14:00")


@pytest.mark.parametrize(("at", "due"), [("2026-05-05 23:59:59.999999", "2026-05-06 03:59:59.999999"),
                                         ("2026-05-06 00:00", "2026-05-06 12:00")])  # fmt: skip
def test_from_a_date_it_begins_at_its_local_midnight(desk: Desk, at: str, due: str) -> None:
    assert assign(desk, "oficina", **{"from": "2026-05-06"})["from"] == local("2026-05-06")
    assert desk.at(at).ticket()["due_at"] == local(due)


@pytest.mark.parametrize("since", [local(f"{DAY} 09:59:59.999999"), DAY, "2026-05-03", "1999-01-01"])
def test_the_past_is_refused(desk: Desk, since: str) -> None:
    with desk.refused("in_the_past"):
        assign(desk, "oficina", **{"from": since})
    assert desk.ticket()["due_at"] == local(f"{DAY} 14:00")


def test_dating_the_command_back_opens_no_way_into_the_past(desk: Desk) -> None:
    desk.at(f"{DAY} 11:00")
    assert assign(desk, "oficina", at=f"{DAY} 10:00")["from"] == local(f"{DAY} 11:00")
    assert desk.ticket(at=f"{DAY} 10:30")["due_at"] == local(f"{DAY} 14:30")
    with desk.refused("in_the_past"):
        assign(desk, "24x7", at=f"{DAY} 10:00", **{"from": local(f"{DAY} 10:30")})


def test_one_planned_for_a_level_leaves_the_others_free(desk: Desk) -> None:
    assert assign(desk, "oficina", level="basic", **{"from": "2026-06-01"})["until"] is None
    assert assign(desk, "oficina", **{"from": "2026-05-05"})["from"] == local("2026-05-05")
    assign(desk, "oficina", priority="high")
    assert desk.ticket()["due_at"] == local(f"{DAY} 14:00")
    later = desk.at("2026-05-05 11:30").ticket(priority="high")
    assert later["due_at"] == local("2026-05-05 13:30")
    (entry,) = desk.events(PANADERIA, "ticket.opened")[1:]
    assert entry["policy"] == "2000-01+0,2,3"
    desk.at("2026-06-02 10:00").pay(amount="600.00")
    desk.ticket()
    assert desk.events(PANADERIA, "ticket.opened")[-1]["policy"] == "2000-01+3"


def test_one_may_hold_before_another_that_was_planned_first(desk: Desk) -> None:
    assign(desk, "24x7", **{"from": "2026-05-07"})
    assert assign(desk, "oficina")["until"] == local("2026-05-07")
    first = desk.at(f"{DAY} 11:00").ticket()["ticket"]
    second = desk.at("2026-05-07 11:00").ticket()["ticket"]
    assert [desk.clock(one)["due_at"] for one in (first, second)] == [local(f"{DAY} 16:00"), local("2026-05-07 15:00")]
    assert [row["calendar"] for row in desk.ask("queue")["items"]] == ["oficina@1", "24x7@1"]


def test_a_planned_one_is_put_right_by_another_from_the_same_instant(desk: Desk) -> None:
    assign(desk, "oficina", **{"from": "2026-05-07"})
    assert assign(desk, "24x7", **{"from": "2026-05-07"})["until"] is None
    assert desk.at("2026-05-07 11:00").ticket()["due_at"] == local("2026-05-07 15:00")


def test_an_open_case_keeps_its_promise_and_its_raise_uses_the_openings_policy(desk: Desk) -> None:
    ticket = opened(desk)
    for priority in ("low", "medium", "high"):
        assign(desk, "oficina", priority=priority)
    desk.at(f"{DAY} 11:30")
    assert desk.clock(ticket)["due_at"] == local(f"{DAY} 14:00")
    assert act(desk, "prioritise", ticket, priority="high")["due_at"] == local(f"{DAY} 12:30")
    assert act(desk, "prioritise", ticket, priority="low", **AGREED)["due_at"] == local(f"{DAY} 14:00")
    new = opened(desk)
    assert desk.clock(new)["due_at"] == local(f"{DAY} 16:30")
    assert act(desk, "prioritise", new, priority="high")["due_at"] == local(f"{DAY} 13:30")


def test_a_case_opened_between_two_assignments_keeps_the_first_for_life(desk: Desk) -> None:
    assign(desk, "oficina", priority="high")
    ticket = opened(desk)
    desk.at(f"{DAY} 11:30")
    assign(desk, "24x7", priority="high")
    assert act(desk, "prioritise", ticket, priority="high")["due_at"] == local(f"{DAY} 13:30")


def test_an_administrative_case_that_joins_is_governed_by_its_opening(desk: Desk) -> None:
    ticket = opened(desk, request="administrative")
    desk.at(f"{DAY} 10:00:00.000001")
    assign(desk, "oficina")
    desk.at(f"{DAY} 11:00")
    assert act(desk, "reclassify", ticket, request="general")["due_at"] == local(f"{DAY} 15:00")


def test_a_case_that_joins_is_measured_in_the_calendar_it_joined_under(desk: Desk) -> None:
    assign(desk, "oficina")
    ticket = desk.at(f"{DAY} 11:00").ticket(request="administrative")["ticket"]
    act(desk, "reclassify", ticket, "11:30", request="general")
    act(desk, "respond", ticket, "13:30")
    (row,) = desk.ask("report", by=["calendar"])["rows"]
    assert (row["calendar"], row["worst_us"]) == ("oficina@1", 3_600_000_000)  # two hours less the lunch


def test_an_upgrade_counts_in_the_calendar_of_its_level_under_the_openings_policy(desk: Desk) -> None:
    assign(desk, "oficina", level="corporate")
    ticket = opened(desk)
    desk.at(f"{DAY} 11:30").do("plan.upgrade", account=PANADERIA, level="corporate")
    desk.pay(amount=desk.ask("billing", account=PANADERIA)["due"])
    assert desk.clock(ticket)["due_at"] == local(f"{DAY} 14:00")  # 11:30 + 2 h with the lunch is 14:30


def test_another_open_ledger_learns_of_it(desk: Desk, sqlite_url: str, tmp_path: Path) -> None:
    other = Desk(sqlite_url, catalogue(tmp_path, OFFICE), migrate=False)
    assert other.ask("coverage", account=PANADERIA, request="general", priority="low")["calendar"] == "24x7@1"
    assign(desk, "oficina")
    asked = other.ask("coverage", account=PANADERIA, request="general", priority="low")
    assert asked["calendar"] == "oficina@1"
    other.close()


def test_who_may_assign_and_what(desk: Desk) -> None:
    with desk.refused("unknown_calendar"):
        assign(desk, "verano")
    with desk.refused("role_not_allowed"):
        desk.do("calendar.assign", level="basic", priority="low", calendar="oficina", by=ANA)
    for wrong in ({"level": "gold"}, {"priority": "urgent"}, {"from": "2026-02-30"}, {"from": "mañana"}):
        with desk.refused("malformed"):
            desk.do("calendar.assign", by=BEATRIZ, **{"level": "basic", "priority": "low", "calendar": "24x7", **wrong})


# --- what a policy names ---------------------------------------------------------------------------------------------


def assigned(rng: random.Random, start: datetime) -> Iterator[tuple[datetime, list[Assignment]]]:
    """Yield instants, each with what had been assigned by then: from that instant on or later, in any order."""
    now, log = start, list[Assignment]()
    for _ in range(rng.randrange(1, 14)):
        now += timedelta(hours=rng.choice([0, 1, 5, 30]))
        if rng.random() < 0.6:
            since = now + timedelta(hours=rng.choice([0, 0, 0, 1, 5, 30, 200]))
            cell = rng.choice(LEVELS), rng.choice(PRIORITIES)
            log.append(Assignment(to_iso(since), *cell, rng.choice(["24x7", "gt-business"])))
        yield now, list(log)


def test_a_policys_name_tells_which_calendars_held_at_an_opening_whatever_is_assigned_later() -> None:
    """2,000 logs of assignments; each opening's name is read again for every level and priority at the log's end."""
    named = unordered = 0
    day, cells = date(2026, 3, 2), [(level, priority) for level in LEVELS for priority in PRIORITIES]
    for seed in range(2000):
        rng = random.Random(f"assigned {seed}")
        promised: list[tuple[str, dict[tuple[str, str], str]]] = []
        log: list[Assignment] = []
        for now, log in assigned(rng, datetime(2026, 3, 2, tzinfo=UTC)):
            at = now - timedelta(hours=rng.choice([0, 0, 1, 7]))
            then = replace(shipped(), assignments=tuple(log))
            held = {
                (one.level, one.priority): f"{one.calendar}@1"
                for one in sorted(log, key=lambda one: one.since)
                if one.since <= to_iso(at)
            }
            asked = rng.choice(cells)
            target = then.target(*asked, day, to_iso(at))
            assert target.calendar == held.get(asked, "24x7@1")
            promised.append((target.policy, held))
        known = replace(shipped(), assignments=tuple(log))
        for policy, held in promised:
            told = {cell: known.target_of(policy, *cell, day).calendar for cell in cells}
            assert told == {cell: held.get(cell, "24x7@1") for cell in cells}, (seed, policy)
            assert known.target_of(policy, *cells[0], day).policy == policy
            named, unordered = named + ("+" in policy), unordered + ("," in policy)
    assert named > 4000
    assert unordered > 500


def test_the_name_of_an_old_case_means_what_it_meant(tmp_path: Path) -> None:
    """Before, assignments followed in the order of their dates, and a name counted them."""
    known = replace(
        catalogue(tmp_path, OFFICE),
        assignments=(
            Assignment("2026-05-01T00:00:00.000000Z", "basic", "low", "oficina"),
            Assignment("2026-05-02T00:00:00.000000Z", "basic", "high", "oficina"),
            Assignment("2026-05-02T00:00:00.000000Z", "basic", "low", "24x7"),
        ),
    )
    for policy, low, high in (
        ("2000-01", "24x7@1", "24x7@1"),
        ("2000-01+1", "oficina@1", "24x7@1"),
        ("2000-01+2", "oficina@1", "oficina@1"),
        ("2000-01+3", "24x7@1", "oficina@1"),
    ):
        told = [known.target_of(policy, "basic", priority, date(2026, 5, 4)) for priority in ("low", "high")]
        assert [target.calendar for target in told] == [low, high]
        assert {target.policy for target in told} == {policy}


# --- bad input ------------------------------------------------------------------------------------------------------


def with_line(line: str, old: str = 'mon = [["08:00", "12:00"], ["13:00", "17:00"]]') -> str:
    assert old in OFFICE
    return OFFICE.replace(old, line)


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        (with_line('mon = [["08:00", "12:00"], ["11:59", "17:00"]]'), "week.mon[1]"),
        (with_line('mon = [["17:00", "08:00"]]'), "week.mon[0]"),
        (with_line('mon = [["08:00", "08:00"]]'), "week.mon[0]"),
        (with_line('mon = [["08:00", "24:01"]]'), "week.mon[0]"),
        (with_line('lunes = [["08:00", "12:00"]]'), "week.lunes"),
        (with_line('zone = "America/Guatemala_City"', 'zone = "America/Guatemala"'), "zone"),
        (with_line('zone = "-06:00"', 'zone = "America/Guatemala"'), "zone"),
    ],
)
def test_a_calendar_with_a_mistake_is_named_and_the_ledger_does_not_start(
    tmp_path: Path, text: str, entry: str
) -> None:
    with pytest.raises(CatalogueError) as caught:
        catalogue(tmp_path, text)
    assert entry in caught.value.facts["entry"]


@pytest.mark.parametrize(
    ("wrong", "entry"),
    [
        ('advanced = { low = "30m", high = "10m" }', "targets[1].advanced"),
        ('advanced = { low = "30m", medium = "0m", high = "10m" }', "targets[2].advanced.medium"),
        ('advanced = { low = "30m", medium = "-5m", high = "10m" }', "targets[2].advanced.medium"),
        ("", "targets[1]"),
    ],
)
def test_a_policy_that_leaves_out_a_level_or_a_priority_is_refused(tmp_path: Path, wrong: str, entry: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        catalogue(tmp_path, STRICT.replace('advanced = { low = "30m", medium = "30m", high = "10m" }', wrong))
    assert caught.value.facts["entry"].startswith(entry)


def test_bad_answers_approvers_and_numbers_write_nothing(desk: Desk) -> None:
    ticket = opened(desk)
    other = desk.sell(FERRETERIA, "advanced").ticket(FERRETERIA)["ticket"]
    act(desk, "respond", ticket, "10:30")
    refusals: list[tuple[str, str, str, dict[str, Any]]] = [
        ("before_opening", "respond", ticket, {"at": f"{DAY} 09:59:59.999999"}),
        ("approver_is_answerer", "exclude", ticket, {"by": BEATRIZ, "approver": "ana", "reason": "x"}),
        ("reason_required", "exclude", ticket, {"by": ANA}),
        ("unknown_ticket", "respond", "T-404", {}),
        ("unknown_ticket", "merge", ticket, {"into": "T-404"}),
        ("unknown_ticket", "revise", "T-404", {"verdict": "met", "by": BEATRIZ, "reason": "x"}),
        ("unknown_ticket", "split", "T-404", {"new": "T-5", "request": "general", "priority": "low"}),
        ("malformed", "respond", ticket, {"channel": "fax"}),
        ("malformed", "revise", ticket, {"verdict": "none", "by": BEATRIZ, "reason": "x"}),
        ("merge_needs_two_of_one", "merge", ticket, {"into": other}),
        ("not_final", "revise", ticket, {"verdict": "breached", "by": BEATRIZ, "reason": "x"}),
    ]
    for code, verb, number, given in refusals:
        with desk.refused(code):
            desk.do(f"ticket.{verb}", ticket=number, **{"by": ANA, **given})
