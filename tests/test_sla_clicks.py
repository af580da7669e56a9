"""Nobody turns a breach into a success by clicking (issue 5): what is typed after it needs a manager, and is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ledger.rules import people
from tests.given import ANA, BEATRIZ, LUIS, Desk, local
from tests.sla_desk import AGREED, DAY, act, late, opened, opened_desk


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    """An Advanced plan on a Monday at ten: low and medium within 4 h, high within 1 h."""
    with opened_desk(store_url) as desk:
        yield desk


def typed(desk: Desk, verb: str, ticket: str, dated: str, **given: Any) -> Any:
    """Let Luis record now what he dates back."""
    return desk.do(f"ticket.{verb}", ticket=ticket, by=LUIS, at=f"{DAY} {dated}", **given)


def test_an_agent_does_not_lower_a_breached_case_by_an_earlier_date(desk: Desk) -> None:
    ticket = opened(desk, "high")
    desk.at(f"{DAY} 11:00")  # the very instant of the breach
    before = desk.position
    with desk.refused("breach_stays"):
        typed(desk, "prioritise", ticket, "10:59:59.999999", priority="low", **AGREED)
    assert desk.position == before
    assert desk.clock(ticket)["verdict"] == "breached"


def test_a_microsecond_before_the_breach_an_agent_may_still_lower(desk: Desk) -> None:
    ticket = opened(desk, "high")
    desk.at(f"{DAY} 10:59:59.999999")
    told = typed(desk, "prioritise", ticket, "10:59", priority="low", **AGREED)
    assert (told["due_at"], told["verdict"]) == (local(f"{DAY} 14:00"), "open")


def test_a_manager_records_it_with_a_reason(desk: Desk) -> None:
    ticket = opened(desk, "high")
    desk.at(f"{DAY} 11:30")
    with desk.refused("reason_required"):
        desk.do("ticket.prioritise", ticket=ticket, by=BEATRIZ, priority="low", at=f"{DAY} 10:50", agreed=True)
    told = late(desk, "prioritise", ticket, "10:50", priority="low", agreed=True)
    assert (told["due_at"], told["verdict"]) == (local(f"{DAY} 14:00"), "open")


def test_dated_after_the_breach_a_lowering_moves_the_label_only(desk: Desk) -> None:
    ticket = opened(desk, "high")
    told = act(desk, "prioritise", ticket, "11:30", by=LUIS, priority="low", reason="ya no urge")
    assert (told["priority"], told["due_at"], told["verdict"]) == ("low", local(f"{DAY} 11:00"), "breached")


def test_an_agent_does_not_make_a_breached_case_administrative_by_an_earlier_date(desk: Desk) -> None:
    ticket = opened(desk, "high")
    desk.at(f"{DAY} 11:30")
    with desk.refused("breach_stays"):
        typed(desk, "reclassify", ticket, "10:30", request="administrative", reason="trámite")
    assert act(desk, "reclassify", ticket, by=LUIS, request="administrative", reason="trámite")["verdict"] == "breached"
    assert desk.ask("report", raw=True)["totals"]["breached"] == 1


def test_once_answered_in_time_nothing_stays_to_be_undone(desk: Desk) -> None:
    ticket = opened(desk, "high")
    act(desk, "respond", ticket, "10:30")
    desk.at(f"{DAY} 11:30")
    told = typed(desk, "prioritise", ticket, "10:20", priority="low", **AGREED)
    assert told["verdict"] == "met"


@pytest.mark.parametrize("approver", ["luis", "Luis", "LUIS", "ｌｕｉｓ"])
def test_an_agent_approves_no_exclusion_of_their_own(desk: Desk, approver: str) -> None:
    ticket = opened(desk, "high")
    desk.at(f"{DAY} 11:30")
    with desk.refused("approver_is_asker"):
        act(desk, "exclude", ticket, by=LUIS, approver=approver, reason="corte")
    assert act(desk, "exclude", ticket, by=LUIS, approver="beatriz", reason="corte")["verdict"] == "excluded"


@pytest.mark.parametrize("approver", ["ana", "Ana", "ANA"])
def test_who_answered_approves_neither_exclusion_nor_revision(desk: Desk, approver: str) -> None:
    ticket = opened(desk, "high")
    act(desk, "respond", ticket, "11:30", by=ANA)
    with desk.refused("approver_is_answerer"):
        act(desk, "exclude", ticket, by=BEATRIZ, approver=approver, reason="corte")
    desk.at("2026-06-10 10:00")
    with desk.refused("approver_is_answerer"):
        act(desk, "revise", ticket, by=BEATRIZ, verdict="met", approver=approver, reason="corte")


def test_nobodys_name_is_nobodys() -> None:
    assert not people.same("", "")
    assert people.same("Ana", "ANA")


def test_an_exclusion_does_not_stand_once_its_approver_answers_under_whatever_spelling(desk: Desk) -> None:
    ticket = opened(desk, "high")
    assert act(desk, "exclude", ticket, "11:30", by=LUIS, approver="ANA", reason="corte")["verdict"] == "excluded"
    act(desk, "respond", ticket, "11:40", by=ANA)
    assert desk.clock(ticket)["verdict"] == "breached"
