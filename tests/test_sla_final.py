"""Finality: a verdict is final from the latest of its three dates; what comes later is shown, never applied."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.desks import HEAD, MINI, bring_in, rows
from tests.given import ANA, BEATRIZ, FERRETERIA, LUIS, PANADERIA, Desk, local, when
from tests.sla_desk import DAY, act, late, opened, opened_desk

FINAL = "2026-06-01 00:00"  # the end of May, later than 72 h after anything on May 4


@pytest.fixture(name="desk")
def _desk(sqlite_url: str) -> Iterator[Desk]:
    with opened_desk(sqlite_url) as desk:
        yield desk


# --- excluding and revising -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at", "refused"), [("2026-05-31 23:59:59.999999", False), (FINAL, True)])
def test_an_exclusion_after_final_is_refused(desk: Desk, at: str, refused: bool) -> None:
    ticket = opened(desk)
    desk.at(at)
    if refused:
        with desk.refused("verdict_final") as told:
            act(desk, "exclude", ticket, by=BEATRIZ, reason="corte")
        assert told.facts["final_at"] == local(FINAL)
        assert desk.clock(ticket)["verdict"] == "breached"
    else:
        assert act(desk, "exclude", ticket, by=BEATRIZ, reason="corte")["verdict"] == "excluded"


def test_an_exclusion_dated_before_final_but_recorded_after_it_is_refused(desk: Desk) -> None:
    ticket = opened(desk)
    desk.at("2026-06-02 10:00")
    with desk.refused("verdict_final"):
        late(desk, "exclude", ticket, "2026-05-20 10:00")


@pytest.mark.parametrize(("at", "refused"), [("2026-05-31 23:59:59.999999", True), (FINAL, False)])
def test_a_revision_comes_only_after_final(desk: Desk, at: str, refused: bool) -> None:
    ticket = opened(desk)
    desk.at(at)
    if refused:
        with desk.refused("not_final") as told:
            act(desk, "revise", ticket, verdict="met", by=BEATRIZ, reason="la llamada consta")
        assert told.facts["final_at"] == local(FINAL)
    else:
        answer = act(desk, "revise", ticket, verdict="met", by=BEATRIZ, reason="la llamada consta")
        assert (answer["verdict"], answer["was"]) == ("met", "breached")


def test_a_revision_is_not_dated_before_the_verdict_was_final(desk: Desk) -> None:
    ticket = opened(desk)
    desk.at("2026-06-02 10:00")
    with desk.refused("not_final"):
        late(desk, "revise", ticket, "2026-05-20 10:00", verdict="met")
    act(desk, "revise", ticket, verdict="met", by=BEATRIZ, reason="consta")
    assert desk.clock(ticket, at="2026-06-02 09:59")["verdict"] == "breached"
    assert desk.clock(ticket, known_at="2026-06-02 09:59")["verdict"] == "breached"


def test_a_revision_may_be_revised_and_says_who_approved_it(desk: Desk) -> None:
    ticket = opened(desk)
    act(desk, "revise", ticket, "2026-06-02 10:00", verdict="met", by=BEATRIZ, reason="consta")
    act(desk, "revise", ticket, "2026-06-03 10:00", verdict="excluded", by=BEATRIZ, approver="carmen", reason="corte")
    assert desk.clock(ticket)["verdict"] == "excluded"
    approvers = [(entry["approver"], entry["reason"]) for entry in desk.events(PANADERIA, "ticket.revised")]
    assert approvers == [("beatriz", "consta"), ("carmen", "corte")]


def test_a_revision_to_the_same_verdict_is_none(desk: Desk) -> None:
    ticket = opened(desk)
    desk.at("2026-06-02 10:00")
    with desk.refused("same_verdict"):
        act(desk, "revise", ticket, verdict="breached", by=BEATRIZ, reason="x")


def test_the_answering_agent_approves_no_revision(desk: Desk) -> None:
    ticket = opened(desk)
    act(desk, "respond", ticket, "15:00")
    desk.at("2026-06-02 10:00")
    with desk.refused("approver_is_answerer"):
        act(desk, "revise", ticket, verdict="met", by=BEATRIZ, approver="ana", reason="x")


def test_an_agent_revises_nothing_alone(desk: Desk) -> None:
    ticket = opened(desk)
    desk.at("2026-06-02 10:00")
    before = desk.clock(ticket)
    assert act(desk, "revise", ticket, verdict="met", by=ANA, reason="x")["pending"] == "R-1"
    assert desk.clock(ticket)["verdict"] == before["verdict"]


def test_a_revision_needs_a_reason(desk: Desk) -> None:
    ticket = opened(desk)
    desk.at("2026-06-02 10:00")
    with desk.refused("reason_required"):
        act(desk, "revise", ticket, verdict="met", by=BEATRIZ)


def test_without_a_target_there_is_nothing_to_revise_or_exclude(desk: Desk) -> None:
    left = opened(desk)
    act(desk, "reclassify", left, "11:00", request="administrative")
    with desk.refused("no_target"):
        late(desk, "exclude", left, "10:30")  # it had one then
    desk.at("2026-06-02 10:00")
    with desk.refused("no_target"):
        act(desk, "revise", left, verdict="met", by=BEATRIZ, reason="x")


def test_a_case_is_not_excluded_again_by_dating_it_before(desk: Desk) -> None:
    ticket = opened(desk)
    act(desk, "exclude", ticket, "12:00", by=BEATRIZ, reason="corte")
    with desk.refused("already_excluded"):
        late(desk, "exclude", ticket, "11:00")


# --- late facts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("recorded", "verdict"), [("2026-05-31 23:59:59.999999", "met"), (FINAL, "breached")])
def test_a_late_answer_is_shown_and_applied_only_before_final(desk: Desk, recorded: str, verdict: str) -> None:
    ticket = opened(desk)
    desk.at(recorded)
    late(desk, "respond", ticket, "13:00", by=BEATRIZ)
    clock = desk.clock(ticket)
    assert (clock["verdict"], clock["responded_at"]) == (verdict, local(f"{DAY} 13:00"))


def test_a_late_raise_is_a_label(desk: Desk) -> None:
    ticket = opened(desk)
    act(desk, "respond", ticket, "12:00")
    desk.at("2026-06-02 10:00")
    late(desk, "prioritise", ticket, "10:30", priority="high")
    clock = desk.clock(ticket)
    assert (clock["verdict"], clock["due_at"], clock["priority"]) == ("met", local(f"{DAY} 14:00"), "high")
    assert desk.clock(ticket, at=f"{DAY} 10:45")["due_at"] == local(f"{DAY} 14:00")  # asked of any instant


def test_what_was_recorded_before_final_counts_though_the_answer_is_dated_later(desk: Desk) -> None:
    ticket = opened(desk)
    act(desk, "respond", ticket, "12:00")
    late(desk, "prioritise", ticket, "10:30", priority="high")
    assert desk.clock(ticket)["verdict"] == "breached"


def test_a_late_reclassification_leaves_the_verdict_and_gives_the_unit_back(desk: Desk) -> None:
    ticket = opened(desk)
    act(desk, "reclassify", ticket, "2026-06-02 10:00", request="administrative")
    assert (desk.clock(ticket)["verdict"], desk.clock(ticket)["request"]) == ("breached", "administrative")
    assert desk.grants(at="2026-05-20 10:00")["S1-m0"]["used"] == 1
    assert desk.clock(ticket)["grant"] is None


def test_an_earlier_answer_of_someone_else_recorded_after_final_does_not_cure(desk: Desk) -> None:
    ticket = opened(desk)
    act(desk, "respond", ticket, "15:00")
    desk.at("2026-06-02 10:00")
    late(desk, "respond", ticket, "13:00", by=BEATRIZ)
    assert desk.clock(ticket)["verdict"] == "breached"
    assert desk.clock(ticket)["final_at"] == local(FINAL)


def test_without_a_target_nothing_is_final_so_that_joining_late_is_judged(desk: Desk) -> None:
    ticket = opened(desk, request="administrative")
    act(desk, "respond", ticket, "10:30")
    desk.pay(amount="600.00")
    desk.at("2026-06-05 10:00")
    answer = act(desk, "reclassify", ticket, request="general")
    assert (answer["verdict"], answer["due_at"]) == ("met", local("2026-06-05 14:00"))


def test_restored_after_the_months_end_its_first_due_is_judged_and_final_at_once(desk: Desk) -> None:
    ticket = opened(desk)
    act(desk, "reclassify", ticket, "11:00", request="administrative")
    desk.pay(amount="600.00")
    desk.at("2026-06-05 10:00")
    assert act(desk, "reclassify", ticket, request="general")["verdict"] == "breached"
    late(desk, "respond", ticket, "10:30")
    assert desk.clock(ticket)["verdict"] == "breached"


# --- its three dates --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "opened_at", "final"),
    [
        ("America/Guatemala", "2026-05-10 12:00", "2026-06-01 06:00"),
        ("Asia/Tokyo", "2026-05-10 12:00", "2026-05-31 15:00"),
        ("Asia/Tokyo", "2026-05-31 15:00", "2026-06-30 15:00"),  # June there, May in Guatemala
        ("America/Guatemala", "2026-05-31 15:00", "2026-06-03 19:00"),  # 72 h after the due instant
        ("Asia/Beirut", "2026-03-10 12:00", "2026-03-31 21:00"),  # after its midnight gap of March 29
    ],
)
def test_the_months_end_is_the_accounts(sqlite_url: str, zone: str, opened_at: str, final: str) -> None:
    desk = Desk(sqlite_url, zone="UTC")
    desk.at("2026-03-01 00:00").open(FERRETERIA, zone=zone)
    desk.at(opened_at).sell(FERRETERIA, "advanced")
    assert datetime.fromisoformat(desk.clock(opened(desk, account=FERRETERIA))["final_at"]) == when(final, "UTC")
    desk.close()


@pytest.mark.parametrize(("at", "refused"), [("2026-05-07 09:59:59.999999", False), ("2026-05-07 10:00", True)])
def test_an_imported_batch_is_final_72_hours_after_its_recording(
    desk: Desk, tmp_path: Path, at: str, refused: bool
) -> None:
    lines = [HEAD, *rows("new", "memo", case="1"), *rows("new", case="2")]
    bring_in(desk.ledger, tmp_path, "\n".join(lines), MINI)
    assert {desk.clock(number)["final_at"] for number in "12"} == {local("2026-05-07 10:00")}
    desk.at(at)
    if refused:
        with desk.refused("verdict_final"):
            act(desk, "exclude", "1", by=BEATRIZ, reason="corte")
        late(desk, "respond", "2", "2026-03-02 09:30")
        assert desk.clock("2")["verdict"] == "breached"
    else:
        assert act(desk, "exclude", "1", by=LUIS, approver="beatriz", reason="corte")["verdict"] == "excluded"
        late(desk, "respond", "2", "2026-03-02 09:30")
        assert desk.clock("2")["verdict"] == "met"


def test_an_imported_case_of_this_month_waits_for_the_months_end(desk: Desk, tmp_path: Path) -> None:
    text = "\n".join([HEAD, "1|Ixchel|eva|02.05.2026 09:00|new|B|1"])
    bring_in(desk.ledger, tmp_path, text, MINI)
    assert desk.clock("1")["final_at"] == local(FINAL)
