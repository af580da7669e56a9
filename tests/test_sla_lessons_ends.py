"""Lessons of other help desks, told as scenarios: reopening, merging, splitting, stopping, precision, units."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.rules.calendars import Calendar
from ledger.rules.sla import REOPEN_WITHIN
from tests.given import ANA, FERRETERIA, LUIS, PANADERIA, Desk, local, when
from tests.sla_desk import AGREED, DAY, STRICT, act, catalogue, late, opened, opened_desk, used


@pytest.fixture(name="desk")
def _desk(sqlite_url: str) -> Iterator[Desk]:
    with opened_desk(sqlite_url) as desk:
        yield desk


# --- reopening ------------------------------------------------------------------------------------------------------


def test_zammad_188_reopening_keeps_the_verdict(desk: Desk) -> None:
    """zammad #188: escalation was wrong for reopened cases."""
    ticket = opened(desk)
    act(desk, "resolve", ticket, "11:00")
    act(desk, "reopen", ticket, "15:00")
    clock = desk.clock(ticket)
    assert (clock["verdict"], clock["due_at"], clock["resolved_at"]) == ("met", local(f"{DAY} 14:00"), None)


def test_zammad_2579_a_resolving_is_known_at_once_and_again_after_reopening(desk: Desk) -> None:
    """zammad #2579, #4777: statistics of closing were missing, or there only after reopening."""
    ticket = opened(desk)
    act(desk, "resolve", ticket, "11:00")
    assert desk.clock(ticket)["resolved_at"] == local(f"{DAY} 11:00")
    act(desk, "reopen", ticket, "12:00")
    act(desk, "resolve", ticket, "16:00")
    assert desk.clock(ticket)["resolved_at"] == local(f"{DAY} 16:00")
    assert desk.clock(ticket, at=f"{DAY} 11:30")["resolved_at"] == local(f"{DAY} 11:00")


def test_osticket_5206_reopening_clears_no_breach(desk: Desk) -> None:
    """osTicket PR #5206: reopening cleared the fact that it had been overdue, and began the clock anew."""
    ticket = opened(desk)
    act(desk, "resolve", ticket, "15:00")
    act(desk, "reopen", ticket, "2026-05-05 10:00")
    act(desk, "respond", ticket, "2026-05-05 10:01")
    assert (desk.clock(ticket)["verdict"], desk.clock(ticket)["due_at"]) == ("breached", local(f"{DAY} 14:00"))


@pytest.mark.parametrize(("after", "allowed"), [("2026-05-11 11:00", True), ("2026-05-11 11:00:00.000001", False)])
def test_reopening_within_seven_days_consumes_nothing_later_it_is_a_new_ticket(
    desk: Desk, after: str, allowed: bool
) -> None:
    assert REOPEN_WITHIN.days == 7
    ticket = opened(desk)
    act(desk, "resolve", ticket, "11:00")
    desk.at(after)
    if allowed:
        act(desk, "reopen", ticket)
        assert used(desk) == 1
    else:
        with desk.refused("too_late_to_reopen"):
            act(desk, "reopen", ticket)
        assert desk.ticket()["ok"]
        assert used(desk) == 2


# --- merging --------------------------------------------------------------------------------------------------------


def merged(desk: Desk, at: str = "10:30", priority: str = "high") -> tuple[str, str]:
    """Merge a case into another of the same customer, opened with it; return both."""
    child, target = opened(desk), opened(desk, priority)
    act(desk, "merge", child, at, into=target)
    return child, target


def test_zammad_904_a_merged_case_keeps_its_own_due_and_is_answered_with_its_target(desk: Desk) -> None:
    """zammad #904: a merged case escalated though nobody could answer it any more."""
    child, target = merged(desk)
    assert desk.clock(child)["due_at"] == local(f"{DAY} 14:00")
    act(desk, "respond", target, "13:30")
    assert (desk.clock(child)["verdict"], desk.clock(child)["responded_at"]) == ("met", local(f"{DAY} 13:30"))
    assert desk.clock(target)["verdict"] == "breached"  # high, due at 11:00


def test_merging_hides_no_breach(desk: Desk) -> None:
    child, target = merged(desk, "14:30", "low")
    act(desk, "respond", target, "14:31")
    assert desk.clock(child)["verdict"] == "breached"


def test_an_answer_in_the_target_before_the_merge_stops_nothing(desk: Desk) -> None:
    child, target = opened(desk), opened(desk)
    act(desk, "respond", target, "10:10")
    act(desk, "merge", child, "10:30", into=target)
    assert desk.clock(child)["verdict"] == "open"
    act(desk, "respond", target, "13:00")
    assert desk.clock(child)["responded_at"] == local(f"{DAY} 13:00")


def test_an_answer_recorded_after_the_merge_but_dated_before_it_stops_nothing(desk: Desk) -> None:
    child, target = merged(desk)
    late(desk, "respond", target, "10:20")
    assert (desk.clock(child)["verdict"], desk.clock(target)["verdict"]) == ("open", "met")


def test_an_answer_recorded_before_a_merge_that_is_dated_ahead_of_it_counts(desk: Desk) -> None:
    child, target = opened(desk), opened(desk)
    act(desk, "respond", target, "11:00", by=LUIS)
    desk.at(f"{DAY} 12:00")
    late(desk, "merge", child, "10:30", into=target)
    clock = desk.clock(child)
    assert (clock["verdict"], clock["responded_at"], clock["responded_by"]) == ("met", local(f"{DAY} 11:00"), "luis")
    assert desk.clock(child, known_at=f"{DAY} 11:59")["verdict"] == "open"


def test_resolving_the_target_is_a_response_to_the_merged_case(desk: Desk) -> None:
    child, target = opened(desk), opened(desk)
    act(desk, "respond", target, "10:10")
    act(desk, "merge", child, "10:30", into=target)
    act(desk, "resolve", target, "13:00")
    assert (desk.clock(child)["verdict"], desk.clock(child)["resolved_at"]) == ("met", None)


def test_a_note_in_the_target_stops_neither(desk: Desk) -> None:
    child, target = merged(desk, priority="low")
    act(desk, "respond", target, "11:00", channel="phone")
    assert [desk.clock(one)["verdict"] for one in (child, target)] == ["open", "open"]


def test_what_may_not_be_merged(desk: Desk) -> None:
    desk.sell(FERRETERIA, "advanced")
    other = desk.ticket(FERRETERIA)["ticket"]
    child, target = merged(desk)
    third, done = opened(desk), opened(desk)
    act(desk, "resolve", done)
    for one, into, code in (
        (third, third, "merge_needs_two_of_one"),
        (third, other, "merge_needs_two_of_one"),
        (child, third, "merged_already"),
        (third, child, "merged_already"),
        (target, third, "has_merged_cases"),
        (third, done, "ticket_resolved"),
        (third, "T-99", "unknown_ticket"),
    ):
        with desk.refused(code):
            act(desk, "merge", one, into=into)


def test_no_case_is_merged_behind_a_later_merge_of_its_target(desk: Desk) -> None:
    third = opened(desk)
    child, _target = merged(desk, "12:00")
    desk.at(f"{DAY} 13:00")
    with desk.refused("merged_already"):
        late(desk, "merge", third, "11:00", into=child)


# --- splitting ------------------------------------------------------------------------------------------------------


def test_splitting_consumes_again_and_promises_anew(desk: Desk) -> None:
    ticket = opened(desk)
    desk.at(f"{DAY} 11:00")
    answer = act(desk, "split", ticket, new="T-50", request="general", priority="high")
    assert (answer["ok"], used(desk), answer["due_at"]) == (True, 2, local(f"{DAY} 12:00"))
    assert desk.events(PANADERIA, "ticket.opened")[-1]["split_from"] == ticket
    assert desk.clock(ticket)["due_at"] == local(f"{DAY} 14:00")


def test_splitting_without_a_unit_left_is_declined_and_recorded(sqlite_url: str) -> None:
    with opened_desk(sqlite_url, level="basic") as desk:
        ticket = desk.tickets(5)[0]
        answer = act(desk, "split", ticket, new="T-50", request="general", priority="low")
        assert (answer["ok"], answer["code"], used(desk)) == (False, "no_tickets_left", 5)
        with desk.refused("unknown_ticket"):
            desk.clock("T-50")


def test_splitting_off_an_administrative_case_consumes_nothing(desk: Desk) -> None:
    answer = act(desk, "split", opened(desk), new="T-50", request="administrative", priority="low")
    assert (answer["due_at"], used(desk)) == (None, 1)


# --- stopping, overdue cases ------------------------------------------------------------------------------------------


def test_chatwoot_10178_nothing_runs_after_resolving(desk: Desk) -> None:
    """chatwoot #10178: the clock of the next response ran on after resolving."""
    ticket = opened(desk)
    act(desk, "respond", ticket, "10:30")
    act(desk, "wait", ticket, "10:40")
    act(desk, "resolve", ticket, "11:00")
    assert desk.clock(ticket)["waiting_since"] is None
    assert desk.clock(ticket, at="2026-06-30 10:00")["verdict"] == "met"


def test_libredesk_70_a_resolved_case_is_not_breached_later(desk: Desk) -> None:
    """abhinavxd/libredesk #70: mails of breaches for closed cases."""
    ticket = opened(desk)
    act(desk, "resolve", ticket, "13:59:59.999999")
    desk.at("2026-05-09 10:00")
    assert desk.clock(ticket)["verdict"] == "met"


@pytest.mark.parametrize("verb", ["message", "note", "assign"])
def test_zammad_3140_after_the_answer_nothing_overrules_it(desk: Desk, verb: str) -> None:
    """zammad #3140, #5177, #2082: another clock ran after the answer and overruled the first response."""
    ticket = opened(desk)
    act(desk, "respond", ticket, "10:30")
    act(desk, verb, ticket, "15:00", **({"to": "luis"} if verb == "assign" else {}))
    assert (desk.clock(ticket)["verdict"], desk.clock(ticket)["due_at"]) == ("met", local(f"{DAY} 14:00"))


def test_osticket_4078_an_overdue_case_keeps_its_target(desk: Desk) -> None:
    """osTicket #4078: an overdue case lost the reference to its SLA."""
    ticket = opened(desk)
    desk.at("2026-05-20 10:00")
    clock = desk.clock(ticket)
    assert (clock["verdict_level"], clock["verdict_priority"]) == ("advanced", "low")
    assert (clock["due_at"], clock["verdict"]) == (local(f"{DAY} 14:00"), "breached")


def test_glpi_4150_the_clock_starts_at_the_customers_submission(desk: Desk) -> None:
    """glpi #4150: the clock had started when the form was opened."""
    desk.at(f"{DAY} 11:00")
    answer = desk.ticket(at=f"{DAY} 10:20")
    assert answer["due_at"] == local(f"{DAY} 14:20")


@pytest.mark.parametrize(("dated", "accepted"), [("10:02", True), ("10:02:00.000001", False)])
def test_glpi_16058_an_opening_in_the_future_is_refused(desk: Desk, dated: str, accepted: bool) -> None:
    """glpi #16058: opening dates in the future were accepted."""
    if accepted:
        assert desk.ticket(at=f"{DAY} {dated}")["ok"]
    else:
        with desk.refused("in_the_future"):
            desk.ticket(at=f"{DAY} {dated}")


def test_glpi_12167_a_response_has_an_instant_and_a_person(desk: Desk) -> None:
    """glpi #12167: "taken into account" had a duration, but no instant."""
    ticket = opened(desk)
    act(desk, "respond", ticket, "10:30:00.123456", by=LUIS)
    clock = desk.clock(ticket)
    assert (clock["responded_at"], clock["responded_by"]) == (local(f"{DAY} 10:30:00.123456"), "luis")


# --- precision --------------------------------------------------------------------------------------------------------


def test_fivetran_dbt_zendesk_116_the_breach_is_at_the_due_instant(desk: Desk) -> None:
    """fivetran/dbt_zendesk #116, #142: the time of the breach was the latest over all segments."""
    ticket = opened(desk)
    act(desk, "prioritise", ticket, "10:30", priority="high")
    act(desk, "respond", ticket, "13:00")
    verdicts = [desk.clock(ticket, at=f"{DAY} {at}")["verdict"] for at in ("11:29:59.999999", "11:30")]
    assert verdicts == ["open", "breached"]


@pytest.mark.parametrize(("at", "verdict"), [("10:59:59.999999", "met"), ("11:00:00", "breached")])
def test_fivetran_dbt_zendesk_51_no_rounding_before_comparing(desk: Desk, at: str, verdict: str) -> None:
    """fivetran/dbt_zendesk #51: a breach where the desk itself said achieved; iTop compared in three ways."""
    ticket = opened(desk, "high")
    answer = act(desk, "respond", ticket, at)
    assert answer["verdict"] == desk.clock(ticket)["verdict"] == verdict
    assert desk.clock(ticket, at="2026-05-09 10:00")["verdict"] == verdict


def test_fivetran_dbt_zendesk_174_no_gap_lies_between_two_versions(sqlite_url: str, tmp_path: Path) -> None:
    """fivetran/dbt_zendesk PR #174: milliseconds between two versions of a policy left cases with none."""
    with opened_desk(sqlite_url, catalogue(tmp_path, STRICT)) as desk:
        limits = [
            desk.at(at).ticket()["limit_seconds"]
            for at in ("2026-05-04 23:59:59.999", "2026-05-04 23:59:59.999999", "2026-05-05 00:00")
        ]
    assert limits == [14400, 14400, 1800]


def test_fivetran_dbt_zendesk_217_minutes_are_not_rounded(desk: Desk) -> None:
    """fivetran/dbt_zendesk PR #217, FreeITSM: minutes were rounded, a segment at a time."""
    desk.at(f"{DAY} 10:00:59.999999")
    ticket = opened(desk, "high")
    assert act(desk, "respond", ticket, "11:00:59.999998")["verdict"] == "met"


@pytest.mark.parametrize("limit", [1, 3, 333_333, 1_000_001, 3_599_999_999])
def test_intrepidd_working_hours_27_no_residue_is_left(limit: int) -> None:
    """Intrepidd/working_hours #27, #44: residues of floats made endless loops."""
    spans = [["00:01", "00:02"], ["08:00", "12:00"], ["13:00", "17:00"], ["23:58", "24:00"]]
    calendar = Calendar.from_data({"zone": "America/Guatemala", "week": {"mon": spans, "wed": spans}})
    start = when(f"{DAY} 16:59:59.999999")
    due = calendar.due(start, limit)
    assert calendar.elapsed_us(start, due) == limit
    assert calendar.elapsed_us(start, due) - calendar.elapsed_us(start, due.replace(microsecond=0)) <= due.microsecond


# --- units ------------------------------------------------------------------------------------------------------------


def test_glpi_credit_82_what_fails_consumes_nothing(desk: Desk) -> None:
    """pluginsGLPI/credit PR #82: the credit was consumed though the follow-up failed."""
    ticket = opened(desk)
    for code, given in (("duplicate_ticket", {"ticket": ticket}), ("unknown_grant", {"grant": "X"})):
        with desk.refused(code):
            desk.ticket(**given)
    with desk.refused("duplicate_ticket"):
        act(desk, "split", ticket, new=ticket, request="general", priority="low")
    assert used(desk) == 1


def test_glpi_credit_222_a_case_that_consumes_nothing_is_told_so(desk: Desk) -> None:
    """pluginsGLPI/credit PR #222: a consumption of zero was shown."""
    answer = desk.ticket(request="administrative")
    assert (answer["grant"], used(desk)) == (None, 0)
    assert desk.events(PANADERIA, "account.ticket_consumed") == []


def test_glpi_credit_204_what_is_left_is_told_from_the_facts(desk: Desk) -> None:
    """pluginsGLPI/credit #204: what could be consumed stayed 0 after a migration."""
    desk.tickets(2)
    assert desk.balance()["remaining"] == 10
    act(desk, "prioritise", "T-1", priority="high")
    act(desk, "prioritise", "T-1", priority="low", by=ANA, **AGREED)
    assert desk.balance()["remaining"] == 10
