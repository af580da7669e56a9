"""Cases from opening to reopening; giving units back (DOMAIN.md, below the coverage table)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.given import ANA, BEATRIZ, FERRETERIA, LUIS, MARTA, PANADERIA, Desk, local


@pytest.fixture(name="desk")
def _desk(sqlite_url: str) -> Iterator[Desk]:
    desk = Desk(sqlite_url)
    desk.at("2026-05-01 10:00").sell()
    yield desk
    desk.close()


def opened(desk: Desk, **given: Any) -> str:
    return str(desk.ticket(**given)["ticket"])


def give_back(desk: Desk, ticket: str, **given: Any) -> Any:
    return desk.do("ticket.give_back", ticket=ticket, **{"reason": "duplicado", **given})


# --- opening -------------------------------------------------------------------------------------------------


def test_opening_consumes_and_promises_in_one_transaction(desk: Desk) -> None:
    before = desk.position
    answer = desk.ticket()
    assert [e["event"] for e in desk.events() if e["position"] > before] == [
        "account.ticket_consumed", "ticket.opened",
    ]  # fmt: skip
    assert answer["position"] == desk.position


def test_a_number_is_used_once_over_all_accounts(desk: Desk) -> None:
    desk.sell(FERRETERIA)
    opened(desk, ticket="T-1")
    with desk.refused("duplicate_ticket"):
        desk.ticket(FERRETERIA, ticket="T-1")
    assert desk.balance(FERRETERIA)["used"] == 0


def test_what_the_customer_wrote_is_kept(desk: Desk) -> None:
    ticket = opened(desk, subject="No imprime la factura — línea 2")
    assert desk.clock(ticket)["subject"] == "No imprime la factura — línea 2"


@pytest.mark.parametrize(
    ("verb", "given"),
    [
        *((verb, {}) for verb in ("acknowledge", "note", "wait", "resume", "resolve", "reopen", "respond")),
        *((verb, {"reason": "x"}) for verb in ("give_back", "exclude")),
        ("prioritise", {"priority": "high"}),
        ("assign", {"to": "luis"}),
        ("reclassify", {"request": "general"}),
    ],
)
def test_an_unknown_case_is_said(desk: Desk, verb: str, given: dict[str, Any]) -> None:
    with desk.refused("unknown_ticket"):
        desk.do(f"ticket.{verb}", ticket="T-99", **given)


def test_money_is_not_the_agents_and_cases_are_not_finances(desk: Desk) -> None:
    with desk.refused("role_not_allowed"):
        desk.ticket(by=MARTA)


def test_who_did_it_and_through_what_is_kept(desk: Desk) -> None:
    opened(desk, by=ANA)
    (entry,) = desk.events(PANADERIA, "ticket.opened")
    assert (entry["by"], entry["source"]) == ("ana", "console")


# --- the course of a case ------------------------------------------------------------------------------------


def test_it_is_handed_over(desk: Desk) -> None:
    ticket = opened(desk)
    desk.do("ticket.assign", ticket=ticket, to="luis")
    assert desk.clock(ticket)["assigned_to"] == "luis"


def test_it_waits_and_goes_on(desk: Desk) -> None:
    ticket = opened(desk)
    desk.do("ticket.wait", ticket=ticket)
    assert desk.clock(ticket)["waiting_since"] == local("2026-05-01 10:00")
    desk.at("2026-05-01 11:00").do("ticket.resume", ticket=ticket)
    assert desk.clock(ticket)["waiting_since"] is None


def test_it_waits_once(desk: Desk) -> None:
    ticket = opened(desk)
    desk.do("ticket.wait", ticket=ticket)
    with desk.refused("already_waiting"):
        desk.do("ticket.wait", ticket=ticket)


def test_what_does_not_wait_does_not_go_on(desk: Desk) -> None:
    ticket = opened(desk)
    with desk.refused("not_waiting"):
        desk.do("ticket.resume", ticket=ticket)


def test_resolving_ends_the_waiting(desk: Desk) -> None:
    ticket = opened(desk)
    desk.do("ticket.wait", ticket=ticket)
    desk.do("ticket.resolve", ticket=ticket)
    assert desk.clock(ticket)["waiting_since"] is None


@pytest.mark.parametrize("verb", ["wait", "resolve"])
def test_a_resolved_case_is_reopened_first(desk: Desk, verb: str) -> None:
    ticket = opened(desk)
    desk.do("ticket.resolve", ticket=ticket)
    with desk.refused("ticket_resolved"):
        desk.do(f"ticket.{verb}", ticket=ticket)


def test_a_resolved_case_keeps_its_priority(desk: Desk) -> None:
    ticket = opened(desk)
    desk.do("ticket.resolve", ticket=ticket)
    with desk.refused("ticket_resolved"):
        desk.do("ticket.prioritise", ticket=ticket, priority="high")


@pytest.mark.parametrize(("at", "allowed"), [("2026-05-08 12:00", True), ("2026-05-08 12:00:00.000001", False)])
def test_it_may_be_reopened_within_seven_days(desk: Desk, at: str, allowed: bool) -> None:
    ticket = opened(desk)
    desk.at("2026-05-01 12:00").do("ticket.resolve", ticket=ticket)
    desk.at(at)
    if allowed:
        assert desk.do("ticket.reopen", ticket=ticket)["ok"]
    else:
        with desk.refused("too_late_to_reopen") as told:
            desk.do("ticket.reopen", ticket=ticket)
        assert told.facts["resolved_at"] == local("2026-05-01 12:00")


def test_reopening_consumes_nothing(desk: Desk) -> None:
    ticket = opened(desk)
    desk.do("ticket.resolve", ticket=ticket)
    desk.do("ticket.reopen", ticket=ticket)
    assert (desk.balance()["used"], desk.clock(ticket)["resolved_at"]) == (1, None)


def test_what_is_not_resolved_is_not_reopened(desk: Desk) -> None:
    ticket = opened(desk)
    with desk.refused("not_resolved"):
        desk.do("ticket.reopen", ticket=ticket)


def test_the_seven_days_count_from_the_last_resolving(desk: Desk) -> None:
    ticket = opened(desk)
    desk.do("ticket.resolve", ticket=ticket)
    desk.at("2026-05-07 10:00").do("ticket.reopen", ticket=ticket)
    desk.do("ticket.resolve", ticket=ticket)
    assert desk.at("2026-05-14 10:00").do("ticket.reopen", ticket=ticket)["ok"]


def test_a_case_opened_under_a_plan_is_finished_after_the_plan_ended(desk: Desk) -> None:
    ticket = opened(desk)
    desk.at("2026-06-08 10:00")
    assert desk.state() == "lapsed"
    assert desk.do("ticket.respond", ticket=ticket)["ok"]
    assert desk.do("ticket.resolve", ticket=ticket)["ok"]


def test_a_late_fact_is_judged_by_how_the_case_stood_at_its_date(desk: Desk) -> None:
    ticket = opened(desk)
    desk.at("2026-05-01 12:00").do("ticket.resolve", ticket=ticket)
    desk.at("2026-05-01 13:00").do("ticket.wait", ticket=ticket, at="2026-05-01 11:00")
    with desk.refused("ticket_resolved"):
        desk.do("ticket.wait", ticket=ticket, at="2026-05-01 12:30")


# --- giving back ----------------------------------------------------------------------------------------------


def test_a_unit_returns_to_its_own_grant(desk: Desk) -> None:
    desk.addon()
    ticket = opened(desk, grant="C-100-A1-t")
    assert give_back(desk, ticket)["grant"] == "C-100-A1-t"
    assert desk.grants()["A1-t"]["remaining"] == 5


def test_a_unit_given_back_can_be_taken_again(desk: Desk) -> None:
    first = desk.tickets(5)[0]
    give_back(desk, first)
    assert desk.ticket()["ok"]
    assert desk.ticket()["code"] == "no_tickets_left"


def test_given_back_after_its_expiry_it_expires_again_in_the_same_instant(desk: Desk) -> None:
    ticket = opened(desk)
    desk.pay()
    desk.at("2026-06-10 10:00").ledger.record_due(PANADERIA)
    give_back(desk, ticket)
    assert (desk.grants()["S1-m0"]["used"], desk.grants()["S1-m0"]["expired"]) == (0, 5)
    rows = [(e["event"], e["at"], e.get("units")) for e in desk.events() if e["at"] == local("2026-06-10 10:00")]
    assert rows[:2] == [
        ("account.unit_given_back", local("2026-06-10 10:00"), None),
        ("account.tickets_expired", local("2026-06-10 10:00"), 1),
    ]


def test_what_holds_no_unit_gives_none_back(desk: Desk) -> None:
    ticket = opened(desk, request="administrative")
    with desk.refused("nothing_to_give_back"):
        give_back(desk, ticket)


def test_a_unit_is_given_back_once(desk: Desk) -> None:
    ticket = opened(desk)
    give_back(desk, ticket)
    with desk.refused("nothing_to_give_back"):
        give_back(desk, ticket)


def test_giving_back_needs_a_reason(desk: Desk) -> None:
    ticket = opened(desk)
    with desk.refused("reason_required"):
        give_back(desk, ticket, reason="")


def test_who_approved_it_is_kept(desk: Desk) -> None:
    ticket = opened(desk)
    give_back(desk, ticket, by=LUIS, approver="beatriz")
    (entry,) = desk.events(PANADERIA, "ticket.given_back")
    assert (entry["by"], entry["approver"], entry["reason"]) == ("luis", "beatriz", "duplicado")


def test_no_unit_is_given_back_before_it_was_taken(desk: Desk) -> None:
    ticket = opened(desk, request="administrative")
    desk.at("2026-05-01 11:00").do("ticket.reclassify", ticket=ticket, request="general")
    desk.at("2026-05-01 12:00")
    with desk.refused("would_break_history"):
        give_back(desk, ticket, at="2026-05-01 10:30")
    assert desk.balance(at="2026-05-01 10:45")["used"] == 0


def test_given_back_by_a_manager_long_after(desk: Desk) -> None:
    ticket = opened(desk)
    desk.at("2026-07-01 10:00")
    with desk.refused("back_dated"):
        give_back(desk, ticket, by=ANA, at="2026-05-02 10:00")
    give_back(desk, ticket, by=BEATRIZ, at="2026-05-02 10:00")
    assert desk.grants(at="2026-05-02 10:00")["S1-m0"]["remaining"] == 5
    assert desk.grants(at="2026-06-01 00:00")["S1-m0"]["expired"] == 5
