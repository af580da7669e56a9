"""The clock's edges: what is recorded later but dated before, and what an import and an upgrade find."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from ledger import alerts
from ledger.account import Asked
from ledger.errors import Refused
from ledger.facts import TicketPlanUpgraded
from ledger.imports import Summary
from ledger.ticket import prioritise
from tests.bills import upgrade
from tests.desks import MINI, bring_in
from tests.given import ANA, BEATRIZ, LUIS, PANADERIA, Desk, iso, local
from tests.sla_desk import AGREED, DAY, OFFICE, act, assign, catalogue, late, opened, opened_desk

CARMEN = "carmen"


@pytest.fixture(name="desk")
def _desk(store_url: str, tmp_path: Path) -> Iterator[Desk]:
    with opened_desk(store_url, catalogue(tmp_path, OFFICE)) as desk:
        yield desk


def upgraded(desk: Desk, at: str) -> None:
    """Upgrade the plan to Corporate and pay the difference."""
    desk.at(f"{DAY} {at}")
    upgrade(desk, "corporate")
    desk.pay(amount=desk.ask("billing", account=PANADERIA)["due"])


def agree(desk: Desk, verdict: str, ticket: str) -> None:
    """Hold what every answer says of a case's verdict against one another: case, explanation, report, what-if."""
    explained = desk.ask("explain", ticket=ticket)
    report = desk.ask("report", by=["calendar"])
    changed = desk.ask("what_if", limits={"advanced/low": "4h"})["scenarios"][0]
    assert (desk.clock(ticket)["verdict"], explained["verdict"], changed["flips_total"]) == (verdict, verdict, 0)
    assert report["totals"][verdict] == changed["totals"]["after"][verdict] >= 1
    assert explained["reproduced"]


# --- an upgrade of a case that is late by what is known ---------------------------------------------------------------


def test_a_lowering_typed_after_an_upgrade_lets_the_case_run_until_it(desk: Desk) -> None:
    """High, due 11:00; upgraded at 11:30; at noon it is typed that the customer agreed at 10:30 to low: due 14:00.

    The plan was upgraded while it ran: 11:30 and 2 h of Corporate.
    """
    ticket = opened(desk, "high")
    upgraded(desk, "11:30")
    assert (desk.clock(ticket)["verdict"], desk.clock(ticket)["level"]) == ("breached", "advanced")
    desk.at(f"{DAY} 12:00")
    lowered = late(desk, "prioritise", ticket, "10:30", priority="low", agreed=True)
    assert (lowered["due_at"], lowered["level"]) == (local(f"{DAY} 13:30"), "corporate")
    clock = desk.clock(ticket)
    assert (clock["verdict"], clock["verdict_level"], clock["verdict_priority"]) == ("open", "corporate", "low")
    agree(desk, "open", ticket)
    (row,) = desk.ask("queue")["items"]
    assert (row["due_at"], row["level"]) == (local(f"{DAY} 13:30"), "corporate")
    assert desk.clock(ticket, known_at=f"{DAY} 11:45")["verdict"] == "breached"  # what was believed stays


def test_a_late_case_stays_late_and_keeps_its_limit_when_its_plan_is_upgraded(desk: Desk) -> None:
    ticket = opened(desk, "high")
    upgraded(desk, "11:30")
    clock = desk.clock(ticket)
    assert (clock["verdict"], clock["due_at"], clock["verdict_level"]) == (
        "breached",
        local(f"{DAY} 11:00"),
        "advanced",
    )
    assert [change["cause"] for change in desk.ask("explain", ticket=ticket)["changes"]] == ["opened"]


def test_a_note_by_chat_that_was_an_answer_lets_the_upgrade_count(desk: Desk) -> None:
    """High, answered by chat at 10:50; upgraded at 11:30; then it is typed that it was low from 10:30 on: a note."""
    ticket = opened(desk, "high")
    act(desk, "respond", ticket, "10:50", channel="chat")
    upgraded(desk, "11:30")
    assert desk.clock(ticket)["verdict"] == "met"
    desk.at(f"{DAY} 12:00")
    late(desk, "prioritise", ticket, "10:30", priority="low", agreed=True)
    clock = desk.clock(ticket)
    assert (clock["verdict"], clock["due_at"]) == ("open", local(f"{DAY} 13:30"))
    agree(desk, "open", ticket)


@pytest.mark.parametrize(("verb", "given"), [("respond", {}), ("resolve", {})])
def test_an_answer_that_stays_one_leaves_nothing_to_an_upgrade(desk: Desk, verb: str, given: dict[str, str]) -> None:
    ticket = opened(desk)
    act(desk, verb, ticket, "10:30", **given)
    upgraded(desk, "11:00")
    assert desk.events(PANADERIA, "ticket.plan_upgraded") == []


# --- an answer in the case that it was merged into --------------------------------------------------------------------


def merged(desk: Desk, child: str = "low", target: str = "low") -> tuple[str, str]:
    """Open two cases and merge the first into the second at 10:10."""
    one, other = opened(desk, child), opened(desk, target)
    act(desk, "merge", one, "10:10", into=other)
    return one, other


@pytest.mark.parametrize(("child", "target", "verdict"), [("low", "high", "met"), ("high", "low", "open")])
def test_the_priority_where_it_was_answered_decides_whatever_the_childs(
    desk: Desk, child: str, target: str, verdict: str
) -> None:
    ticket, other = merged(desk, child, target)
    act(desk, "respond", other, "10:20", channel="chat")
    assert desk.clock(ticket)["verdict"] == verdict
    if child == "low":
        act(desk, "prioritise", ticket, "10:30", priority="medium")
        assert desk.clock(ticket)["responded_at"] == local(f"{DAY} 10:20")


def test_a_raise_there_dated_before_a_chat_makes_it_a_response_here(desk: Desk) -> None:
    ticket, other = merged(desk)
    act(desk, "respond", other, "10:20", channel="chat")
    assert desk.clock(ticket)["verdict"] == "open"
    desk.at(f"{DAY} 12:00")
    late(desk, "prioritise", other, "10:15", priority="high")
    clock = desk.clock(ticket)
    assert (clock["verdict"], clock["responded_at"], clock["responded_by"]) == ("met", local(f"{DAY} 10:20"), "ana")
    assert desk.ask("queue")["items"] == []
    agree(desk, "met", ticket)
    assert desk.clock(ticket, known_at=f"{DAY} 11:59")["verdict"] == "open"


def test_a_lowering_there_dated_before_a_chat_takes_the_response_away_here(desk: Desk) -> None:
    ticket, other = merged(desk, target="high")
    act(desk, "respond", other, "10:20", channel="chat")
    desk.at(f"{DAY} 12:00")
    late(desk, "prioritise", other, "10:15", priority="low", agreed=True)
    for one in (ticket, other):
        assert (desk.clock(one)["verdict"], desk.clock(one)["responded_at"]) == ("open", None)
    act(desk, "respond", other, "12:30", by=LUIS)
    assert desk.clock(ticket)["responded_by"] == "luis"


def test_merged_after_the_chat_there_was_judged_anew_it_is_judged_so_here(desk: Desk) -> None:
    """The merge is typed last: the answer's own words (a note then) are not what counts."""
    ticket, other = opened(desk), opened(desk)
    act(desk, "respond", other, "10:20", channel="chat")
    desk.at(f"{DAY} 12:00")
    late(desk, "prioritise", other, "10:15", priority="high")
    late(desk, "merge", ticket, "10:05", into=other)
    assert desk.clock(ticket)["responded_at"] == local(f"{DAY} 10:20")


def test_the_next_response_begins_behind_an_answer_that_is_one_by_the_priority_of_its_instant(desk: Desk) -> None:
    ticket = opened(desk)
    act(desk, "respond", ticket, "10:20", channel="chat")
    act(desk, "message", ticket, "11:00")
    desk.at(f"{DAY} 12:00")
    assert desk.ask("explain", ticket=ticket)["next_responses"] == []
    late(desk, "prioritise", ticket, "10:15", priority="high")
    (found,) = desk.ask("explain", ticket=ticket)["next_responses"]
    assert (found["from"], found["until"]) == (local(f"{DAY} 11:00"), None)


# --- an approver who becomes the answering agent ----------------------------------------------------------------------


def test_an_exclusion_does_not_stand_once_its_approver_has_answered(desk: Desk) -> None:
    ticket = opened(desk, "high")
    act(desk, "exclude", ticket, "10:30", by=BEATRIZ, reason="corte de energía")
    agree(desk, "excluded", ticket)
    assert act(desk, "respond", ticket, "11:30", by=BEATRIZ)["verdict"] == "breached"
    assert desk.clock(ticket, at=f"{DAY} 11:29")["verdict"] == "excluded"
    agree(desk, "breached", ticket)
    (row,) = desk.ask("radar")["exclusions"]
    assert (row["agent"], row["approver"], row["count"]) == ("beatriz", "beatriz", 1)
    again = act(desk, "exclude", ticket, "11:40", by=LUIS, approver=CARMEN, reason="corte de energía")
    assert again["verdict"] == "excluded"
    agree(desk, "excluded", ticket)


def test_it_stands_again_when_an_earlier_answer_by_another_comes_to_light(desk: Desk) -> None:
    ticket = opened(desk, "high")
    act(desk, "exclude", ticket, "10:30", by=BEATRIZ, reason="corte de energía")
    act(desk, "respond", ticket, "11:30", by=BEATRIZ)
    desk.at(f"{DAY} 12:00")
    desk.do("ticket.respond", ticket=ticket, at=f"{DAY} 11:10", by=ANA)
    clock = desk.clock(ticket)
    assert (clock["verdict"], clock["responded_by"]) == ("excluded", "ana")


def test_an_answer_in_the_case_it_was_merged_into_counts_as_the_approvers_too(desk: Desk) -> None:
    ticket, other = merged(desk, "high", "high")
    act(desk, "exclude", ticket, "10:30", by=BEATRIZ, reason="corte de energía")
    act(desk, "respond", other, "10:40", by=BEATRIZ)
    assert desk.clock(ticket)["verdict"] == "met"
    assert desk.clock(ticket)["excluded"] is None


def test_a_final_exclusion_stands_whoever_answers_later(desk: Desk) -> None:
    ticket = opened(desk, "high")
    act(desk, "exclude", ticket, "10:30", by=BEATRIZ, reason="corte de energía")
    desk.at("2026-06-01 00:00")
    act(desk, "respond", ticket, by=BEATRIZ)
    assert desk.clock(ticket)["verdict"] == "excluded"


# --- which calendar governs -------------------------------------------------------------------------------------------


def test_a_raise_into_another_calendar_is_told_by_it_everywhere(desk: Desk) -> None:
    """Opened at eleven in the office's hours, raised at 12:30 to an hour on the clock, answered at 13:15."""
    assign(desk, "oficina")
    desk.at(f"{DAY} 11:00")
    ticket = opened(desk)
    act(desk, "prioritise", ticket, "12:30", priority="high")
    (row,) = desk.ask("queue")["items"]
    assert (row["calendar"], row["left_seconds"]) == ("24x7@1", 3600)
    act(desk, "respond", ticket, "13:15")
    (cell,) = desk.ask("report", by=["calendar"])["rows"]
    explained = desk.ask("explain", ticket=ticket)
    assert cell["calendar"] == explained["calendar"] == "24x7@1"
    # An hour until lunch, half an hour of it that does not count, then 45 minutes of all hours.
    assert cell["worst_us"] == explained["elapsed_us"] == 105 * 60_000_000
    agree(desk, "met", ticket)


def test_a_raise_into_an_assigned_calendar_is_told_by_it_though_its_due_would_be_the_same_in_another(
    desk: Desk,
) -> None:
    assign(desk, "oficina", priority="high")
    ticket = opened(desk)
    act(desk, "prioritise", ticket, "10:10", priority="high")  # 11:10 on the clock as well
    assert [row["calendar"] for row in desk.ask("queue")["items"]] == ["oficina@1"]
    act(desk, "respond", ticket, "10:20")
    assert [row["calendar"] for row in desk.ask("report", by=["calendar"])["rows"]] == ["oficina@1"]
    assert desk.ask("explain", ticket=ticket)["calendar"] == "oficina@1"


# --- imported cases ---------------------------------------------------------------------------------------------------


def case(day: str, hour: str, prio: str = "1") -> str:
    return f"C{day}{hour}|Ixchel|eva|{day}.05.2026 {hour}|new|A|{prio}"


def imported(desk: Desk, folder: Path, *lines: str) -> Summary:
    return bring_in(desk.ledger, folder, "\n".join(["id|who|by|when|what|plan|prio", *lines]), MINI)


def test_an_imported_case_is_promised_the_calendar_assigned_when_it_was_opened(desk: Desk, tmp_path: Path) -> None:
    assign(desk, "oficina", **{"from": "2026-05-05"})
    desk.at("2026-05-06 09:00")
    lines = [case("04", "11:00"), case("05", "11:00"), case("05", "16:30", "3"), case("05", "16:31")]
    raised = "C0516:31|Ixchel|eva|06.05.2026 08:10|memo|A|3"
    assert imported(desk, tmp_path, *lines, raised).imported == 5
    told = {line: desk.clock(line)["due_at"] for line in ("C0411:00", "C0511:00", "C0516:30", "C0516:31")}
    assert told == {
        "C0411:00": local("2026-05-04 15:00"),
        "C0511:00": local("2026-05-05 16:00"),  # with the lunch
        "C0516:30": local("2026-05-05 17:30"),  # high counts all hours
        "C0516:31": local("2026-05-06 09:10"),  # raised: an hour from then
    }
    assert imported(desk, tmp_path, *lines, raised).imported == 0
    assign(desk, "24x7", **{"from": "2026-05-07"})
    assert imported(desk, tmp_path, *lines, raised, case("06", "08:00")).imported == 1
    assert desk.clock("C0608:00")["due_at"] == local("2026-05-06 12:00")
    assert {line: desk.clock(line)["due_at"] for line in told} == told
    rows = desk.ask("report", by=["calendar"])["rows"]
    assert [(row["calendar"], row["total"]) for row in rows] == [("24x7@1", 3), ("oficina@1", 2)]


def test_a_lowering_by_agreement_counts_in_the_calendar_of_the_opening(desk: Desk) -> None:
    assign(desk, "oficina")
    ticket = opened(desk, "high")
    assign(desk, "24x7")
    lowered = act(desk, "prioritise", ticket, "10:30", priority="low", **AGREED)
    assert lowered["due_at"] == local(f"{DAY} 15:00")
    assert [row["calendar"] for row in desk.ask("queue")["items"]] == ["oficina@1"]


def test_a_final_verdict_revised_to_excluded_leaves_the_queue(desk: Desk) -> None:
    ticket = opened(desk, "high")
    desk.at("2026-06-01 00:00")
    assert [row["ticket"] for row in desk.ask("queue")["items"]] == [ticket]
    act(desk, "revise", ticket, by=BEATRIZ, verdict="excluded", approver=CARMEN, reason="corte de energía")
    assert desk.ask("queue")["items"] == []
    agree(desk, "excluded", ticket)


def test_a_customer_who_writes_in_a_merged_case_is_answered_where_it_goes_on(desk: Desk) -> None:
    ticket, other = opened(desk), opened(desk)
    act(desk, "respond", ticket, "10:05")
    act(desk, "merge", ticket, "10:10", into=other)
    act(desk, "message", ticket, "11:00")
    act(desk, "respond", other, "11:30")
    (found,) = desk.ask("explain", ticket=ticket)["next_responses"]
    assert (found["until"], found["plain_us"]) == (local(f"{DAY} 11:30"), 30 * 60_000_000)
    assert desk.clock(ticket)["responded_at"] == local(f"{DAY} 10:05")


def test_the_history_tells_what_each_priority_was_promised_by_an_upgrade(desk: Desk) -> None:
    opened(desk, "high")
    upgraded(desk, "11:30")
    (entry,) = desk.events(PANADERIA, "ticket.plan_upgraded")
    assert entry["due_at"] == local(f"{DAY} 12:30")
    assert entry["dues"] == {
        "low": local(f"{DAY} 13:30"), "medium": local(f"{DAY} 13:30"), "high": local(f"{DAY} 12:30")
    }  # fmt: skip


def test_behind_an_upgrade_of_old_that_names_one_due_instant_nothing_is_dated(desk: Desk) -> None:
    """Such a fact counts the limit of the priority known then: another one dated before it would make it wrong."""
    ticket = opened(desk)
    upgraded(desk, "11:30")
    case = desk.ledger.ticket(ticket)
    asked = Asked(iso(f"{DAY} 11:00"), iso(f"{DAY} 12:00"), "beatriz", "manager", "console", "se registra tarde")
    assert prioritise(case, {"priority": "high"}, asked, desk.ledger.policy()).others
    case.facts = [structs.replace(x, dues={}) if isinstance(x, TicketPlanUpgraded) else x for x in case.facts]
    with pytest.raises(Refused):
        prioritise(case, {"priority": "high"}, asked, desk.ledger.policy())


def test_a_warning_falls_due_in_the_calendar_assigned_before_the_opening(desk: Desk) -> None:
    assign(desk, "oficina", priority="high")
    ticket = opened(desk)
    act(desk, "prioritise", ticket, "11:30", priority="high")  # due 13:30: half of it is used up at noon
    desk.at(f"{DAY} 13:10")
    alerts.sweep(desk.ledger, [ticket], now=desk.ledger.clock.now())
    warned = desk.events(PANADERIA, "ticket.warned")
    assert [(entry["percent"], entry["at"]) for entry in warned][-1] == (50, local(f"{DAY} 12:00"))
