"""The clock of a case: its promise, what moves it, its verdict (DOMAIN.md, "Response targets")."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from ledger import facts as f
from ledger.catalogue import load
from ledger.rules import sla
from ledger.rules.subscriptions import FAR
from tests.given import ANA, BEATRIZ, FERRETERIA, LUIS, PANADERIA, Desk, iso, local
from tests.sla_desk import opened

DAY = "2026-05-04"


@pytest.fixture(name="desk")
def _desk(sqlite_url: str) -> Iterator[Desk]:
    """An Advanced plan on a Monday: low and medium within 4 h, high within 1 h."""
    desk = Desk(sqlite_url)
    desk.at(f"{DAY} 08:00").sell(level="advanced").at(f"{DAY} 10:00")
    yield desk
    desk.close()


def respond(desk: Desk, ticket: str, at: str = "", **given: Any) -> Any:
    if at:
        desk.at(f"{DAY} {at}")
    return desk.do("ticket.respond", ticket=ticket, **{"by": ANA, **given})


def prioritise(desk: Desk, ticket: str, priority: str, at: str = "", **given: Any) -> str:
    """Change the priority; return the new due time."""
    if at:
        desk.at(f"{DAY} {at}")
    answer = desk.do("ticket.prioritise", ticket=ticket, priority=priority, **given)
    return str(answer["due_at"])


# --- the promise ----------------------------------------------------------------------------------------------

TARGETS = {
    ("basic", "low"): 8, ("basic", "medium"): 8, ("basic", "high"): 2,
    ("advanced", "low"): 4, ("advanced", "medium"): 4, ("advanced", "high"): 1,
    ("corporate", "low"): 2, ("corporate", "medium"): 2, ("corporate", "high"): 1,
}  # fmt: skip


@pytest.mark.parametrize(("level", "priority"), TARGETS)
def test_the_faqs_table(desk: Desk, level: str, priority: str) -> None:
    desk.sell(FERRETERIA, level)
    answer = desk.ticket(FERRETERIA, priority=priority)
    hours = TARGETS[level, priority]
    assert (answer["limit_seconds"], answer["due_at"]) == (hours * 3600, local(f"{DAY} {10 + hours}:00"))


def test_the_level_is_that_of_the_grant_consumed(desk: Desk) -> None:
    desk.addon(level="corporate")
    answer = desk.ticket(priority="low", grant="C-100-A1-t")
    assert (answer["level"], answer["due_at"]) == ("corporate", local(f"{DAY} 12:00"))


def test_the_opening_keeps_the_promise_its_versions_and_the_text_confirmed(desk: Desk) -> None:
    opened(desk, "high")
    (entry,) = desk.events(PANADERIA, "ticket.opened")
    assert (entry["policy"], entry["calendar"], entry["limit_us"], entry["confirmed"]) == (
        "2000-01", "24x7@1", 3_600_000_000, "2000-01",
    )  # fmt: skip


def test_an_administrative_case_has_no_target(desk: Desk) -> None:
    ticket = opened(desk, request="administrative")
    assert (desk.clock(ticket)["due_at"], desk.clock(ticket)["verdict"]) == (None, "none")


@pytest.mark.parametrize(
    ("answered", "verdict"),
    [("13:59:59.999999", "met"), ("14:00:00", "breached"), ("14:00:00.000001", "breached")],
)
def test_met_only_strictly_before_the_due_instant(desk: Desk, answered: str, verdict: str) -> None:
    ticket = opened(desk)
    assert respond(desk, ticket, answered)["verdict"] == verdict
    assert desk.clock(ticket)["verdict"] == verdict


@pytest.mark.parametrize(("at", "verdict"), [("13:59:59.999999", "open"), ("14:00:00", "breached")])
def test_unanswered_it_is_open_until_the_due_instant(desk: Desk, at: str, verdict: str) -> None:
    ticket = opened(desk)
    assert desk.clock(ticket, at=f"{DAY} {at}")["verdict"] == verdict


def test_a_microsecond_of_the_opening_counts(desk: Desk) -> None:
    desk.at(f"{DAY} 10:00:00.000001")
    ticket = opened(desk, "high")
    assert respond(desk, ticket, "11:00:00")["verdict"] == "met"


# --- what stops the clock -------------------------------------------------------------------------------------


@pytest.mark.parametrize("priority", ["low", "medium", "high"])
@pytest.mark.parametrize("channel", ["platform", "chat", "phone", "email"])
def test_low_and_medium_are_answered_on_the_platform_high_by_chat_too(desk: Desk, priority: str, channel: str) -> None:
    ticket = opened(desk, priority)
    counts = channel == "platform" or (channel == "chat" and priority == "high")
    answer = respond(desk, ticket, "10:30", channel=channel)
    assert (answer["counts"], answer["verdict"]) == (counts, "met" if counts else "open")
    assert desk.clock(ticket)["responded_at"] == (local(f"{DAY} 10:30") if counts else None)


@pytest.mark.parametrize("verb", ["acknowledge", "note", "remind", "wait"])
def test_no_acknowledgement_note_reminder_or_wait_stops_it(desk: Desk, verb: str) -> None:
    ticket = opened(desk)
    given: dict[str, Any] = {} if verb == "wait" else {"text": "recibido"}
    desk.do(f"ticket.{verb}", ticket=ticket, **given)
    assert desk.clock(ticket)["verdict"] == "open"


def test_a_question_to_the_customer_is_a_response_as_on_the_platform(desk: Desk) -> None:
    low, high = opened(desk), opened(desk, "high")
    for ticket in (low, high):
        told = desk.at(f"{DAY} 10:30").do("ticket.wait", ticket=ticket, by=ANA, text="¿Qué versión usa?")
        assert told["verdict"] == "met"
        clock = desk.clock(ticket)
        assert (clock["responded_at"], clock["responded_by"]) == (local(f"{DAY} 10:30"), "ana")
        assert clock["waiting_since"] == local(f"{DAY} 10:30")


def test_a_question_recorded_before_questions_answered_is_no_response(desk: Desk) -> None:
    """Its row has no `answers`: it means what it meant."""
    both: dict[str, Any] = {"customer_no": PANADERIA, "ticket_no": opened(desk), "by": "ana", "source": "api"}
    (entry,) = desk.events(PANADERIA, "ticket.opened")
    opening = f.TicketOpened(
        **both, occurred_at=iso(f"{DAY} 10:00"), request="general", priority="low", zone="America/Guatemala",
        level="advanced", due_at=iso(f"{DAY} 14:00"), policy=entry["policy"],
    )  # fmt: skip
    old = {**both, "occurred_at": iso(f"{DAY} 10:30"), "text": "¿Qué versión usa?"}
    for more, verdict in (({}, "open"), ({"answers": True}, "met")):
        asked = f.decode("ticket.waiting", json.dumps({**old, **more}).encode())
        clock = sla.run([opening, asked], FAR)  # type: ignore[list-item]
        assert clock is not None
        assert clock.verdict(iso(f"{DAY} 12:00")) == verdict


def test_a_question_in_the_case_it_was_merged_into_answers_it(desk: Desk) -> None:
    target, child = opened(desk), opened(desk, "high")
    desk.do("ticket.merge", ticket=child, into=target)
    desk.at(f"{DAY} 10:30").do("ticket.wait", ticket=target, by=ANA, text="¿Qué versión usa?")
    assert [desk.clock(one)["verdict"] for one in (target, child)] == ["met", "met"]
    assert desk.clock(child)["responded_by"] == "ana"


def test_an_exclusion_approved_by_who_asked_the_customer_does_not_stand(desk: Desk) -> None:
    ticket = opened(desk)
    desk.at(f"{DAY} 10:30").do("ticket.wait", ticket=ticket, by=BEATRIZ, text="¿Qué versión usa?")
    with desk.refused("approver_is_answerer"):
        desk.do("ticket.exclude", ticket=ticket, by=ANA, approver="beatriz", reason="corte")


def test_the_first_response_is_not_paused_by_waiting(desk: Desk) -> None:
    ticket = opened(desk, "high")
    desk.do("ticket.wait", ticket=ticket)
    desk.at(f"{DAY} 10:50").do("ticket.resume", ticket=ticket)
    assert desk.clock(ticket)["due_at"] == local(f"{DAY} 11:00")
    assert respond(desk, ticket, "11:05")["verdict"] == "breached"


def test_resolving_counts_when_nothing_came_before(desk: Desk) -> None:
    ticket = opened(desk)
    assert desk.at(f"{DAY} 11:00").do("ticket.resolve", ticket=ticket, by=LUIS)["verdict"] == "met"
    assert desk.clock(ticket)["responded_by"] == "luis"


def test_only_the_first_response_counts(desk: Desk) -> None:
    ticket = opened(desk)
    respond(desk, ticket, "11:00")
    respond(desk, ticket, "15:00", by=LUIS)
    assert (desk.clock(ticket)["responded_by"], desk.clock(ticket)["verdict"]) == ("ana", "met")


def test_reopening_never_restarts_it(desk: Desk) -> None:
    ticket = opened(desk)
    desk.at(f"{DAY} 11:00").do("ticket.resolve", ticket=ticket, by=LUIS)
    desk.at("2026-05-11 11:00").do("ticket.reopen", ticket=ticket)
    assert (desk.clock(ticket)["verdict"], desk.clock(ticket)["due_at"]) == ("met", local(f"{DAY} 14:00"))


# --- raising ----------------------------------------------------------------------------------------------------


def test_a_raise_counts_the_new_limit_from_itself(desk: Desk) -> None:
    ticket = opened(desk)
    assert prioritise(desk, ticket, "high", "10:30") == local(f"{DAY} 11:30")
    clock = desk.clock(ticket)
    assert (clock["priority"], clock["verdict_priority"]) == ("high", "high")


def test_a_raise_never_loosens_and_the_earlier_limit_keeps_the_label(desk: Desk) -> None:
    ticket = opened(desk)
    assert prioritise(desk, ticket, "high", "13:30") == local(f"{DAY} 14:00")
    assert desk.clock(ticket)["verdict_priority"] == "low"


def test_on_a_tie_the_earlier_limit_governs(desk: Desk) -> None:
    ticket = opened(desk)
    assert prioritise(desk, ticket, "high", "13:00") == local(f"{DAY} 14:00")
    assert desk.clock(ticket)["verdict_priority"] == "low"


def test_a_raise_after_the_response_changes_only_the_label(desk: Desk) -> None:
    ticket = opened(desk)
    respond(desk, ticket, "10:30")
    assert prioritise(desk, ticket, "high", "10:40") == local(f"{DAY} 14:00")
    assert desk.clock(ticket)["verdict"] == "met"


def test_a_raise_in_the_instant_of_the_response_comes_after_it(desk: Desk) -> None:
    ticket = opened(desk)
    respond(desk, ticket, "10:30")
    assert prioritise(desk, ticket, "high") == local(f"{DAY} 14:00")


def test_a_raise_at_the_due_instant_moves_nothing(desk: Desk) -> None:
    ticket = opened(desk)
    assert prioritise(desk, ticket, "high", "14:00") == local(f"{DAY} 14:00")
    assert desk.clock(ticket)["verdict"] == "breached"


def test_a_raise_may_turn_an_answer_into_a_breach(desk: Desk) -> None:
    ticket = opened(desk)
    prioritise(desk, ticket, "high", "10:30")
    assert respond(desk, ticket, "11:30")["verdict"] == "breached"


def test_the_same_priority_is_no_change(desk: Desk) -> None:
    ticket = opened(desk)
    with desk.refused("same_priority"):
        prioritise(desk, ticket, "low")


# --- lowering ---------------------------------------------------------------------------------------------------

AGREED: dict[str, Any] = {"agreed": True, "reason": "el cliente está de acuerdo"}


def test_lowering_counts_the_new_limit_from_the_opening(desk: Desk) -> None:
    ticket = opened(desk, "high")
    assert prioritise(desk, ticket, "low", "10:30", **AGREED) == local(f"{DAY} 14:00")
    assert desk.clock(ticket)["verdict_priority"] == "low"


def test_lowering_never_tightens(desk: Desk) -> None:
    desk.sell(FERRETERIA, "corporate")
    ticket = desk.ticket(FERRETERIA, priority="low")["ticket"]
    assert prioritise(desk, ticket, "high", "11:00") == local(f"{DAY} 12:00")  # a tie: both limits end there
    assert prioritise(desk, ticket, "medium", "11:30", **AGREED) == local(f"{DAY} 12:00")


def test_lowering_needs_a_reason(desk: Desk) -> None:
    ticket = opened(desk, "high")
    with desk.refused("reason_required"):
        prioritise(desk, ticket, "low", agreed=True)


def test_lowering_needs_agreement_or_a_reminder(desk: Desk) -> None:
    ticket = opened(desk, "high")
    with desk.refused("lowering_needs_grounds"):
        prioritise(desk, ticket, "low", reason="no contesta")


@pytest.mark.parametrize(("at", "allowed"), [("11:09:59.999999", False), ("11:10", True)])
@pytest.mark.parametrize("verb", ["remind", "respond"])
def test_an_unanswered_reminder_or_call_must_be_an_hour_old(desk: Desk, verb: str, at: str, allowed: bool) -> None:
    desk.sell(FERRETERIA)  # Basic: high within two hours
    ticket = desk.ticket(FERRETERIA, priority="high")["ticket"]
    desk.at(f"{DAY} 10:10").do(f"ticket.{verb}", ticket=ticket, channel="phone", by=ANA)
    desk.at(f"{DAY} {at}")
    given = {"reason": "no contesta", "reminder": local(f"{DAY} 10:10")}
    if allowed:
        assert prioritise(desk, ticket, "low", **given) == local(f"{DAY} 18:00")
    else:
        with desk.refused("reminder_too_young"):
            prioritise(desk, ticket, "low", **given)


def test_a_reminder_that_was_answered_is_no_ground(desk: Desk) -> None:
    desk.sell(FERRETERIA)
    ticket = desk.ticket(FERRETERIA, priority="high")["ticket"]
    desk.at(f"{DAY} 10:15").do("ticket.remind", ticket=ticket, by=ANA)
    desk.at(f"{DAY} 10:20").do("ticket.message", ticket=ticket, text="ya lo vi")
    with desk.refused("reminder_answered"):
        prioritise(desk, ticket, "low", "11:30", reason="no contesta", reminder=local(f"{DAY} 10:15"))


def test_a_reminder_that_nobody_sent_is_no_ground_and_what_there_is_is_named(desk: Desk) -> None:
    desk.sell(FERRETERIA)
    ticket = desk.ticket(FERRETERIA, priority="high")["ticket"]
    desk.at(f"{DAY} 10:05").do("ticket.acknowledge", ticket=ticket)
    desk.do("ticket.respond", ticket=ticket, channel="email", by=ANA)
    given = {"reason": "no contesta", "reminder": local(f"{DAY} 10:05")}
    with desk.refused("no_such_reminder") as no:
        prioritise(desk, ticket, "low", "11:15", **given)
    assert no.facts["reminders"] == "-"
    desk.do("ticket.remind", ticket=ticket, by=ANA, at=f"{DAY} 10:12")
    with desk.refused("no_such_reminder") as no:
        prioritise(desk, ticket, "low", **given)
    assert no.facts["reminders"] == local(f"{DAY} 10:12")
    assert prioritise(desk, ticket, "low", **{**given, "reminder": local(f"{DAY} 10:12")}) == local(f"{DAY} 18:00")


def test_a_resolved_case_is_not_reminded_of(desk: Desk) -> None:
    ticket = opened(desk)
    desk.do("ticket.resolve", ticket=ticket)
    with desk.refused("ticket_resolved"):
        desk.do("ticket.remind", ticket=ticket)


def test_after_the_response_only_the_label_changes(desk: Desk) -> None:
    ticket = opened(desk, "high")
    respond(desk, ticket, "10:30")
    assert prioritise(desk, ticket, "low", "10:40") == local(f"{DAY} 11:00")
    clock = desk.clock(ticket)
    assert (clock["priority"], clock["verdict_priority"], clock["verdict"]) == ("low", "high", "met")


def test_a_breach_that_has_happened_stays(desk: Desk) -> None:
    ticket = opened(desk, "high")
    assert prioritise(desk, ticket, "low", "11:00", **AGREED) == local(f"{DAY} 11:00")
    assert respond(desk, ticket, "11:01")["verdict"] == "breached"


def test_raised_and_lowered_again(desk: Desk) -> None:
    ticket = opened(desk)
    assert prioritise(desk, ticket, "high", "10:30") == local(f"{DAY} 11:30")
    assert prioritise(desk, ticket, "medium", "11:00", **AGREED) == local(f"{DAY} 14:00")
    assert prioritise(desk, ticket, "high", "12:30") == local(f"{DAY} 13:30")


# --- facts recorded late, out of order ----------------------------------------------------------------------------


def test_an_answer_recorded_late_counts_by_its_date(desk: Desk) -> None:
    ticket = opened(desk)
    desk.at(f"{DAY} 15:00")
    assert desk.clock(ticket)["verdict"] == "breached"
    assert desk.do("ticket.respond", ticket=ticket, by=ANA, at=f"{DAY} 13:00")["verdict"] == "met"
    assert desk.clock(ticket, known_at=f"{DAY} 14:59")["verdict"] == "breached"


def test_an_earlier_answer_recorded_later_is_the_first(desk: Desk) -> None:
    ticket = opened(desk)
    respond(desk, ticket, "14:30")
    desk.do("ticket.respond", ticket=ticket, by=LUIS, at=f"{DAY} 13:00")
    assert (desk.clock(ticket)["verdict"], desk.clock(ticket)["responded_by"]) == ("met", "luis")


def test_an_answer_dated_before_a_recorded_raise_leaves_it_a_label(desk: Desk) -> None:
    ticket = opened(desk)
    assert prioritise(desk, ticket, "high", "10:30") == local(f"{DAY} 11:30")
    desk.at(f"{DAY} 12:00").do("ticket.respond", ticket=ticket, by=ANA, at=f"{DAY} 10:20")
    assert desk.clock(ticket)["due_at"] == local(f"{DAY} 14:00")


def test_a_raise_dated_before_a_recorded_answer_tightens(desk: Desk) -> None:
    ticket = opened(desk)
    respond(desk, ticket, "12:00")
    desk.do("ticket.prioritise", ticket=ticket, priority="high", at=f"{DAY} 10:30")
    assert (desk.clock(ticket)["due_at"], desk.clock(ticket)["verdict"]) == (local(f"{DAY} 11:30"), "breached")


def test_nothing_happens_before_the_opening(desk: Desk) -> None:
    ticket = opened(desk)
    with desk.refused("before_opening"):
        desk.do("ticket.respond", ticket=ticket, at=f"{DAY} 09:59:59.999999")
    with desk.refused("unknown_ticket"):
        desk.clock(ticket, at=f"{DAY} 09:59")


# --- reclassifying ------------------------------------------------------------------------------------------------


def reclassify(desk: Desk, ticket: str, request: str, at: str = "", **given: Any) -> Any:
    if at:
        desk.at(f"{DAY} {at}")
    return desk.do("ticket.reclassify", ticket=ticket, request=request, **given)


def test_to_administrative_gives_the_unit_back_and_leaves_compliance(desk: Desk) -> None:
    ticket = opened(desk)
    assert reclassify(desk, ticket, "administrative", "11:00")["verdict"] == "none"
    assert (desk.balance()["used"], desk.clock(ticket)["grant"], desk.clock(ticket)["due_at"]) == (0, None, None)


def test_once_breached_it_leaves_only_by_an_exclusion(desk: Desk) -> None:
    ticket = opened(desk)
    assert reclassify(desk, ticket, "administrative", "14:00")["verdict"] == "breached"
    assert desk.balance()["used"] == 0
    desk.do("ticket.exclude", ticket=ticket, reason="era de cobros", by=BEATRIZ)
    assert desk.clock(ticket)["verdict"] == "excluded"


def test_an_answer_in_time_recorded_late_lets_it_leave(desk: Desk) -> None:
    ticket = opened(desk)
    reclassify(desk, ticket, "administrative", "14:30")
    desk.do("ticket.respond", ticket=ticket, by=ANA, at=f"{DAY} 13:00")
    assert desk.clock(ticket)["verdict"] == "none"


def test_from_administrative_the_clock_starts_then(desk: Desk) -> None:
    ticket = opened(desk, request="administrative")
    assert reclassify(desk, ticket, "general", "12:00")["due_at"] == local(f"{DAY} 16:00")
    assert (desk.balance()["used"], desk.clock(ticket)["verdict_level"]) == (1, "advanced")


def test_from_administrative_an_earlier_answer_counts(desk: Desk) -> None:
    ticket = opened(desk, request="administrative")
    respond(desk, ticket, "11:00")
    assert reclassify(desk, ticket, "general", "12:00")["verdict"] == "met"


def test_there_and_back_restores_the_due_it_left_with(desk: Desk) -> None:
    ticket = opened(desk)
    reclassify(desk, ticket, "administrative", "11:00")
    assert reclassify(desk, ticket, "general", "13:00")["due_at"] == local(f"{DAY} 14:00")


def test_there_and_back_after_its_first_due_is_a_breach(desk: Desk) -> None:
    ticket = opened(desk)
    reclassify(desk, ticket, "administrative", "13:59")
    assert reclassify(desk, ticket, "general", "15:00")["verdict"] == "breached"


def test_a_restored_due_names_the_limit_that_gave_it(desk: Desk) -> None:
    ticket = opened(desk)
    prioritise(desk, ticket, "high", "10:30")
    reclassify(desk, ticket, "administrative")
    reclassify(desk, ticket, "general")
    clock = desk.clock(ticket)
    assert (clock["due_at"], clock["priority"], clock["verdict_priority"]) == (local(f"{DAY} 11:30"), "high", "high")


def test_a_raise_meanwhile_acts_at_the_return(desk: Desk) -> None:
    ticket = opened(desk)
    reclassify(desk, ticket, "administrative", "10:30")
    prioritise(desk, ticket, "high", "11:00")
    assert reclassify(desk, ticket, "general", "12:00")["due_at"] == local(f"{DAY} 13:00")
    assert desk.clock(ticket)["verdict_priority"] == "high"


def test_a_lowering_meanwhile_moves_a_label_and_one_taken_back_nothing(desk: Desk) -> None:
    lowered, both = opened(desk, "high"), opened(desk)
    for ticket in (lowered, both):
        reclassify(desk, ticket, "administrative", "10:10")
    prioritise(desk, lowered, "low", "10:20")
    prioritise(desk, both, "high")
    prioritise(desk, both, "low")
    assert reclassify(desk, lowered, "general", "10:30")["due_at"] == local(f"{DAY} 11:00")
    assert reclassify(desk, both, "general")["due_at"] == local(f"{DAY} 14:00")


def test_a_raise_meanwhile_comes_too_late_for_an_earlier_answer_and_for_a_due_that_passed(desk: Desk) -> None:
    answered, passed = opened(desk), opened(desk, "medium")
    for ticket in (answered, passed):
        reclassify(desk, ticket, "administrative")
        prioritise(desk, ticket, "high")
    respond(desk, answered, "11:00")
    assert reclassify(desk, answered, "general", "11:30")["due_at"] == local(f"{DAY} 14:00")
    told = reclassify(desk, passed, "general", "14:00")
    assert (told["due_at"], told["verdict"]) == (local(f"{DAY} 14:00"), "breached")


def test_an_upgrade_meanwhile_acts_at_the_return_as_a_raise(desk: Desk) -> None:
    desk.sell(FERRETERIA)
    ticket = desk.ticket(FERRETERIA)["ticket"]
    reclassify(desk, ticket, "administrative", "10:30")
    charge = desk.at(f"{DAY} 11:00").do("plan.upgrade", account=FERRETERIA, level="advanced")["charge"]
    desk.do("payment.record", account=FERRETERIA, amount=charge["gross"], method="cash", reference="U-1")
    assert reclassify(desk, ticket, "general", "12:00")["due_at"] == local(f"{DAY} 16:00")
    clock = desk.clock(ticket)
    assert (clock["level"], clock["verdict_level"]) == ("advanced", "advanced")


def test_a_return_recorded_before_returns_were_told_restores_the_first_due(desk: Desk) -> None:
    """Its row has no `returns`, and carries the first due instant: it means what it meant."""
    both: dict[str, Any] = {"customer_no": PANADERIA, "ticket_no": opened(desk), "by": "ana", "source": "api"}
    facts: list[f.TicketFact] = [
        f.TicketOpened(
            **both, occurred_at=iso(f"{DAY} 10:00"), request="general", priority="low", zone="America/Guatemala",
            level="advanced", due_at=iso(f"{DAY} 14:00"), policy="2000-01",
        ),
        f.TicketPrioritised(
            **both, occurred_at=iso(f"{DAY} 10:30"), priority="high", direction="raise", due_at=iso(f"{DAY} 11:30")
        ),
        f.TicketReclassified(**both, occurred_at=iso(f"{DAY} 10:40"), request="administrative"),
        f.TicketReclassified(
            **both, occurred_at=iso(f"{DAY} 10:50"), request="general", level="advanced", due_at=iso(f"{DAY} 14:00")
        ),
    ]  # fmt: skip
    clock = sla.run(facts, FAR)
    assert clock is not None
    assert (clock.due_at, clock.verdict_priority) == (iso(f"{DAY} 14:00"), "low")


def test_lowering_a_case_that_joined_counts_from_where_its_clock_started(desk: Desk) -> None:
    ticket = opened(desk, "high", request="administrative")
    assert reclassify(desk, ticket, "general", "12:00")["due_at"] == local(f"{DAY} 13:00")
    assert prioritise(desk, ticket, "low", "12:30", **AGREED) == local(f"{DAY} 16:00")


def test_a_question_that_becomes_training_must_be_covered(desk: Desk) -> None:
    desk.sell(FERRETERIA)
    ticket = desk.ticket(FERRETERIA, request="question")["ticket"]
    answer = reclassify(desk, ticket, "training")
    assert (answer["ok"], answer["code"]) == (False, "plan_too_low")
    assert desk.clock(ticket)["request"] == "question"
    assert desk.balance(FERRETERIA)["used"] == 1


def test_it_takes_a_unit_of_a_level_that_covers_it_and_gives_the_other_back(desk: Desk) -> None:
    desk.sell(FERRETERIA).addon(FERRETERIA, "advanced")
    ticket = desk.ticket(FERRETERIA, request="question", grant="C-200-S1-m0")["ticket"]
    assert reclassify(desk, ticket, "training", "10:30")["grant"] == "C-200-A1-t"
    grants = desk.grants(FERRETERIA)
    assert (grants["S1-m0"]["used"], grants["A1-t"]["used"]) == (0, 1)


def test_a_unit_of_a_level_that_covers_it_is_kept(desk: Desk) -> None:
    ticket = opened(desk, request="question")
    assert reclassify(desk, ticket, "training")["grant"] == "C-100-S1-m0"
    assert desk.balance()["used"] == 1


@pytest.mark.parametrize("detour", [[], ["administrative", "general"]])
def test_a_unit_given_back_pays_for_no_training(desk: Desk, detour: list[str]) -> None:
    desk.sell(FERRETERIA)
    ticket = desk.ticket(FERRETERIA)["ticket"]
    desk.do("ticket.give_back", ticket=ticket, reason="nuestro error")
    for request in detour:
        reclassify(desk, ticket, request)
    assert reclassify(desk, ticket, "training")["code"] == "plan_too_low"


def test_to_a_terminal_is_a_sales_case(desk: Desk) -> None:
    ticket = opened(desk)
    assert reclassify(desk, ticket, "terminal")["code"] == "sales_case"
    assert desk.clock(ticket)["request"] == "general"


def test_the_same_request_is_no_change(desk: Desk) -> None:
    ticket = opened(desk)
    with desk.refused("same_request"):
        reclassify(desk, ticket, "general")


def test_nobody_reclassifies_behind_a_later_reclassification(desk: Desk) -> None:
    ticket = opened(desk)
    reclassify(desk, ticket, "training", "12:00")
    desk.at(f"{DAY} 13:00")
    with desk.refused("behind_later_change"):
        desk.do("ticket.reclassify", ticket=ticket, request="administrative", at=f"{DAY} 11:00")


# --- exclusions ---------------------------------------------------------------------------------------------------


def exclude(desk: Desk, ticket: str, **given: Any) -> Any:
    return desk.do("ticket.exclude", ticket=ticket, **{"reason": "corte de energía", **given})


def test_an_exclusion_carries_a_reason_and_an_approver(desk: Desk) -> None:
    ticket = opened(desk)
    assert exclude(desk, ticket, by=ANA, approver="beatriz")["verdict"] == "excluded"
    assert desk.clock(ticket)["excluded"] == "corte de energía"
    (entry,) = desk.events(PANADERIA, "ticket.excluded")
    assert (entry["by"], entry["approver"]) == ("ana", "beatriz")


def test_a_manager_approves_by_doing_it(desk: Desk) -> None:
    ticket = opened(desk)
    exclude(desk, ticket, by=BEATRIZ)
    assert desk.events(PANADERIA, "ticket.excluded")[0]["approver"] == "beatriz"


def test_an_agents_exclusion_waits_for_a_manager(desk: Desk) -> None:
    ticket = opened(desk)
    assert exclude(desk, ticket, by=ANA)["pending"] == "R-1"
    assert desk.clock(ticket)["excluded"] is None


def test_the_answering_agent_does_not_approve(desk: Desk) -> None:
    ticket = opened(desk)
    respond(desk, ticket, "10:30")
    with desk.refused("approver_is_answerer"):
        exclude(desk, ticket, by=LUIS, approver="ana")


def test_nor_by_dating_the_exclusion_before_the_answer(desk: Desk) -> None:
    ticket = opened(desk)
    respond(desk, ticket, "10:30")
    with desk.refused("approver_is_answerer"):
        exclude(desk, ticket, by=LUIS, approver="ana", at=f"{DAY} 10:15")


def test_an_exclusion_needs_a_reason(desk: Desk) -> None:
    ticket = opened(desk)
    with desk.refused("reason_required"):
        exclude(desk, ticket, by=BEATRIZ, reason="")


def test_a_case_is_excluded_once(desk: Desk) -> None:
    ticket = opened(desk)
    exclude(desk, ticket)
    with desk.refused("already_excluded"):
        exclude(desk, ticket)


def test_a_case_without_a_target_is_not_excluded(desk: Desk) -> None:
    ticket = opened(desk, request="administrative")
    with desk.refused("no_target"):
        exclude(desk, ticket)


def test_excluding_gives_no_unit_back_and_giving_back_excludes_nothing(desk: Desk) -> None:
    first, second = opened(desk), opened(desk)
    exclude(desk, first)
    desk.do("ticket.give_back", ticket=second, reason="duplicado")
    assert desk.balance()["used"] == 1
    assert (desk.clock(first)["verdict"], desk.clock(second)["verdict"]) == ("excluded", "open")


# --- other policies and calendars -----------------------------------------------------------------------------------

POLICY = """
[[targets]]
version = "2026-05"
from = "2026-05-04"
basic = { low = "8h", medium = "6h", high = "2h" }
advanced = { low = "3h", medium = "3h", high = "30m" }
corporate = { low = "2h", medium = "2h", high = "20m" }
calendar = "24x7"
calendars = { basic = { low = "gt-business", medium = "gt-business" } }

[[calendars]]
name = "gt-business"
version = 99
from = "2026-05-11"
zone = "America/Guatemala"
[calendars.week]
mon = [["09:00", "10:00"]]
"""


@pytest.fixture(name="changed")
def _changed(sqlite_url: str, tmp_path: Path) -> Iterator[Desk]:
    """A desk whose policy changes on Monday May 4, and its opening hours a week later."""
    catalogue = tmp_path / "catalogue.toml"
    catalogue.write_text(files("ledger").joinpath("catalogue.toml").read_text("utf-8") + POLICY, "utf-8")
    desk = Desk(sqlite_url, load(catalogue))
    yield desk
    desk.close()


def test_the_policy_published_at_the_opening_governs_for_life(changed: Desk) -> None:
    changed.at("2026-05-03 23:59:59").sell(level="advanced")
    ticket = opened(changed)
    assert changed.clock(ticket)["due_at"] == local("2026-05-04 03:59:59")
    changed.at("2026-05-04 00:30")
    assert prioritise(changed, ticket, "high") == local("2026-05-04 01:30")  # the old hour, not the new half


def test_a_case_opened_from_its_date_on_gets_the_new_policy(changed: Desk) -> None:
    changed.at("2026-05-04 00:00").sell(level="advanced")
    assert changed.ticket(priority="high")["due_at"] == local("2026-05-04 00:30")


def test_only_open_hours_count_in_the_calendar_of_the_level_and_priority(changed: Desk) -> None:
    changed.at("2026-05-08 15:00").sell()  # a Friday
    assert changed.ticket(priority="low")["due_at"] == local("2026-05-11 14:00")
    assert changed.ticket(priority="high")["due_at"] == local("2026-05-08 17:00")


def test_a_limit_used_up_at_closing_is_due_at_closing(changed: Desk) -> None:
    changed.at("2026-05-08 09:00").sell()
    assert changed.ticket(priority="low")["due_at"] == local("2026-05-08 17:00")


def test_a_raise_counts_in_the_new_prioritys_calendar_a_lowering_in_its_own(changed: Desk) -> None:
    changed.at("2026-05-08 16:00").sell()
    ticket = opened(changed)
    changed.at("2026-05-08 20:00")
    assert prioritise(changed, ticket, "high") == local("2026-05-08 22:00")
    assert prioritise(changed, ticket, "medium", **AGREED) == local("2026-05-11 13:00")


def test_opening_hours_published_later_do_not_move_a_promise(changed: Desk) -> None:
    changed.at("2026-05-10 12:00").sell()
    assert changed.ticket(priority="low")["due_at"] == local("2026-05-11 16:00")
    ticket = opened(changed, "high")
    changed.at("2026-05-10 13:00")
    assert prioritise(changed, ticket, "low", **AGREED) == local("2026-05-11 16:00")


# --- final --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opened_at", "answered", "final"),
    [
        ("2026-05-04 10:00", "2026-05-04 10:30", "2026-06-01 00:00"),  # the month's end is later than 72 h
        ("2026-05-31 10:00", "2026-05-31 10:30", "2026-06-03 10:30"),  # 72 h after the response
        ("2026-05-31 10:00", "2026-05-31 20:00", "2026-06-03 14:00"),  # 72 h after the due instant, the earlier
        ("2026-05-31 23:59:59", "", "2026-06-04 03:59:59"),
    ],
)
def test_a_verdict_is_final_from_the_latest_of_its_dates(desk: Desk, opened_at: str, answered: str, final: str) -> None:
    if not opened_at.startswith(DAY):
        desk.at("2026-05-30 10:00").sell(FERRETERIA, "advanced")
    else:
        desk.sell(FERRETERIA, "advanced")
    desk.at(opened_at)
    ticket = desk.ticket(FERRETERIA)["ticket"]
    if answered:
        desk.at(answered).do("ticket.respond", ticket=ticket)
    assert desk.clock(ticket)["final_at"] == local(final)


def test_without_a_target_nothing_is_final(desk: Desk) -> None:
    assert desk.clock(opened(desk, request="administrative"))["final_at"] is None
