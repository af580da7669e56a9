"""Lessons of other help desks, told as scenarios: waiting, priorities, policies, plans (each names its thread)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bills import upgrade
from tests.given import FERRETERIA, LUIS, PANADERIA, Desk, local
from tests.sla_desk import AGREED, DAY, OFFICE, STRICT, act, assign, catalogue, late, opened, opened_desk, used


@pytest.fixture(name="desk")
def _desk(sqlite_url: str) -> Iterator[Desk]:
    with opened_desk(sqlite_url) as desk:
        yield desk


@pytest.fixture(name="strict")
def _strict(sqlite_url: str, tmp_path: Path) -> Iterator[Desk]:
    """The same, where from the next day on stricter targets hold, and there is an office with a lunch."""
    with opened_desk(sqlite_url, catalogue(tmp_path, OFFICE, STRICT)) as desk:
        yield desk


# --- waiting --------------------------------------------------------------------------------------------------------


def test_glpi_10594_waiting_over_a_weekend_changes_no_first_response(strict: Desk) -> None:
    """glpi #10594, PR #14937: waiting over a weekend was counted as calendar time against a target in days."""
    assign(strict, "oficina")
    strict.at("2026-05-04 16:30")
    ticket = opened(strict)
    act(strict, "wait", ticket, "2026-05-04 17:00")
    act(strict, "resume", ticket, "2026-05-05 08:00")
    assert strict.clock(ticket)["due_at"] == local("2026-05-05 11:30")


def test_glpi_6902_a_wait_is_not_forgotten_when_the_priority_changes(desk: Desk) -> None:
    """glpi #6902, #15605, PR #16383: a changed priority forgot the waiting so far; ours is in the facts."""
    ticket = opened(desk)
    act(desk, "wait", ticket, "10:10")
    act(desk, "prioritise", ticket, "10:30", priority="high")
    assert desk.clock(ticket)["waiting_since"] == local(f"{DAY} 10:10")
    act(desk, "resume", ticket, "10:40")
    assert [(one["from"], one["until"]) for one in desk.ask("explain", ticket=ticket)["waits"]] == [
        (local(f"{DAY} 10:10"), local(f"{DAY} 10:40"))
    ]
    assert desk.clock(ticket)["due_at"] == local(f"{DAY} 11:30")


@pytest.mark.parametrize(("at", "verdict"), [("13:59:59.999999", "open"), ("14:00", "breached")])
def test_glpi_24481_the_verdict_while_waiting_is_the_contracts(desk: Desk, at: str, verdict: str) -> None:
    """glpi #24481: breached while pending; asking the customer is the response here, waiting without asking is not."""
    ticket = opened(desk)
    act(desk, "wait", ticket, "10:10")
    desk.at(f"{DAY} {at}")
    assert desk.clock(ticket)["verdict"] == verdict


def test_frappe_helpdesk_2449_a_hold_never_extends_the_first_response(desk: Desk) -> None:
    """frappe/helpdesk PR #2449: the time on hold was added to the creation."""
    ticket = opened(desk, "high")
    act(desk, "wait", ticket, "10:05")
    act(desk, "resume", ticket, "10:55")
    clock = desk.clock(ticket)
    assert (clock["opened_at"], clock["due_at"]) == (local(f"{DAY} 10:00"), local(f"{DAY} 11:00"))


def test_frappe_helpdesk_1554_what_is_said_to_wait_says_since_when(desk: Desk) -> None:
    """frappe/helpdesk #1554: shown as paused, but ticking."""
    ticket = opened(desk)
    act(desk, "wait", ticket, "10:05")
    assert (desk.clock(ticket)["waiting_since"], desk.clock(ticket)["due_at"]) == (
        local(f"{DAY} 10:05"), local(f"{DAY} 14:00"),
    )  # fmt: skip


def test_frappe_helpdesk_1542_a_response_resolves_nothing(desk: Desk) -> None:
    """frappe/helpdesk #1542: one status satisfied the response and the resolution."""
    ticket = opened(desk)
    act(desk, "respond", ticket, "10:30")
    assert (desk.clock(ticket)["verdict"], desk.clock(ticket)["resolved_at"]) == ("met", None)


def test_nosdesk_181_nothing_breaks_when_the_waiting_ends(desk: Desk) -> None:
    """Nosdesk PR #181: the pause froze the flag but subtracted nothing: breached the moment work went on."""
    ticket = opened(desk)
    act(desk, "wait", ticket, "10:05")
    before = desk.clock(ticket, at=f"{DAY} 13:30")
    act(desk, "message", ticket, "13:30")
    after = desk.clock(ticket)
    assert after["waiting_since"] is None
    assert (before["verdict"], before["due_at"]) == (after["verdict"], after["due_at"]) == ("open", after["due_at"])


def test_erpnext_all_waits_are_kept_not_only_the_last(desk: Desk) -> None:
    """ERPNext `handle_hold_time` extended the due instant by the last hold only."""
    ticket = opened(desk)
    for start, end in (("10:01", "10:02"), ("10:03", "10:07"), ("10:08", "10:09")):
        act(desk, "wait", ticket, start)
        act(desk, "resume", ticket, end)
    waits = desk.ask("explain", ticket=ticket)["waits"]
    assert [one["us"] // 60_000_000 for one in waits] == [1, 4, 1]
    assert desk.clock(ticket)["due_at"] == local(f"{DAY} 14:00")


def test_zammad_two_waits_in_one_minute_are_two_to_the_microsecond(desk: Desk) -> None:
    """Zammad cut the edges of pauses to minutes, and two that began in one minute shared a key."""
    ticket = opened(desk)
    edges = ["10:05:10.000001", "10:05:20", "10:05:30", "10:05:40.5"]
    for verb, at in zip(("wait", "resume", "wait", "resume"), edges, strict=True):
        act(desk, verb, ticket, at)
    assert [one["us"] for one in desk.ask("explain", ticket=ticket)["waits"]] == [9_999_999, 10_500_000]


def test_freeitsm_the_first_change_of_state_is_no_response(desk: Desk) -> None:
    """FreeITSM: any first change of state, even into waiting, was the first response."""
    ticket = opened(desk)
    for verb, given in (("wait", {}), ("resume", {}), ("assign", {"to": "luis"}), ("acknowledge", {"text": "ok"})):
        act(desk, verb, ticket, **given)
    act(desk, "prioritise", ticket, "10:30", priority="medium")
    assert (desk.clock(ticket)["responded_at"], desk.clock(ticket)["verdict"]) == (None, "open")


# --- policies and priorities -----------------------------------------------------------------------------------------


def test_jira_j2_rebuilding_under_other_targets_changes_no_verdict(strict: Desk) -> None:
    """Jira KB "resolve wrong or missing SLAs": answered in 2.5 h of 4 h, reconstructed under 2 h, it was breached."""
    ticket = opened(strict)
    act(strict, "respond", ticket, "12:30")
    strict.at("2026-05-06 10:00")
    assert strict.clock(ticket)["verdict"] == "met"
    assert strict.clock(opened(strict))["due_at"] == local("2026-05-06 10:30")


def test_fivetran_dbt_zendesk_252_the_priority_is_that_of_the_event(desk: Desk) -> None:
    """fivetran/dbt_zendesk PR #252, #262: the current priority was taken for every instant, then not."""
    ticket = opened(desk)
    act(desk, "respond", ticket, "13:00")
    act(desk, "prioritise", ticket, "13:10", priority="high")
    assert desk.clock(ticket)["verdict_priority"] == "low"
    assert desk.clock(ticket, at=f"{DAY} 13:05")["priority"] == "low"


def test_fivetran_dbt_zendesk_171_several_changes_in_a_day_do_not_collapse(desk: Desk) -> None:
    """fivetran/dbt_zendesk PR #171: of several changes in one day only the last was kept."""
    ticket = opened(desk)
    steps = [
        ("10:30", "high", "11:30"),
        ("10:45", "low", "14:00"),
        ("12:00", "high", "13:00"),
        ("12:30", "low", "14:00"),
    ]
    for at, priority, due in steps:
        answer = act(desk, "prioritise", ticket, at, priority=priority, **(AGREED if priority == "low" else {}))
        assert answer["due_at"] == local(f"{DAY} {due}")
    for at, _priority, due in steps:
        assert desk.clock(ticket, at=f"{DAY} {at}")["due_at"] == local(f"{DAY} {due}")


def test_fivetran_dbt_zendesk_171_calendars_assigned_twice_in_a_day_both_hold(strict: Desk) -> None:
    """The same thread: a schedule that was replaced within the day was lost to the cases opened under it."""
    strict.at(f"{DAY} 11:30")
    assign(strict, "oficina")
    first = opened(strict)
    strict.at(f"{DAY} 11:45")
    assign(strict, "24x7")
    second = opened(strict)
    assert [strict.clock(one)["due_at"] for one in (first, second)] == [local(f"{DAY} 16:30"), local(f"{DAY} 15:45")]


@pytest.mark.parametrize("verb", ["note", "assign", "acknowledge", "message"])
def test_zendesk_d1_touching_a_case_applies_no_new_policy(strict: Desk, verb: str) -> None:
    """Zendesk 4408885881498: policies were ignored until a case was touched, and applied then."""
    strict.at("2026-05-04 23:00")
    ticket = opened(strict)
    act(strict, verb, ticket, "2026-05-05 00:10", **({"to": "luis"} if verb == "assign" else {}))
    assert strict.clock(ticket)["due_at"] == local("2026-05-05 03:00")


def test_zammad_534_a_calendar_assigned_later_moves_no_open_case(strict: Desk) -> None:
    """zammad #534, #4353: changed calendars and deleted policies left open cases with something else."""
    ticket = opened(strict)
    assign(strict, "oficina", priority="high")
    assign(strict, "oficina")
    assert strict.clock(ticket)["due_at"] == local(f"{DAY} 14:00")
    strict.at(f"{DAY} 11:30")
    assert act(strict, "prioritise", ticket, priority="high")["due_at"] == local(f"{DAY} 12:30")  # by the opening's


def test_frappe_helpdesk_2214_a_case_shows_its_own_target(strict: Desk) -> None:
    """frappe/helpdesk #2214: an edited target was not shown; here each case shows the one it was promised."""
    strict.at("2026-05-04 23:59:59.999999")
    old = strict.ticket()
    new = strict.at("2026-05-05 00:00").ticket()
    assert (old["limit_seconds"], new["limit_seconds"]) == (4 * 3600, 1800)


def test_servicenow_n5_a_replay_uses_the_values_of_its_instant(desk: Desk) -> None:
    """ServiceNow "repair SLAs": the replay used only the final value of the fields it referred to."""
    ticket = opened(desk, "high")
    act(desk, "prioritise", ticket, "10:30", priority="low", **AGREED)
    before, after = (desk.clock(ticket, at=f"{DAY} {at}") for at in ("10:29", "10:31"))
    assert (before["priority"], before["due_at"]) == ("high", local(f"{DAY} 11:00"))
    assert (after["priority"], after["due_at"]) == ("low", local(f"{DAY} 14:00"))


def test_servicenow_kb0522964_a_part_of_the_log_gives_no_false_breach(desk: Desk) -> None:
    """ServiceNow KB0522964: a missing shard of history gave false breaches; a prefix here is what was known then."""
    ticket = opened(desk)
    act(desk, "respond", ticket, "12:00")
    desk.at("2026-05-05 10:00")
    assert desk.clock(ticket, known_at=f"{DAY} 11:59")["verdict"] == "open"
    assert desk.clock(ticket, known_at=f"{DAY} 12:00")["verdict"] == "met"


def test_blog_soton_2015_a_superseded_target_leaves_no_second_verdict(desk: Desk) -> None:
    """blog.soton.ac.uk 2015: superseded targets were listed as completed."""
    ticket = opened(desk)
    act(desk, "prioritise", ticket, "10:30", priority="high")
    act(desk, "respond", ticket, "11:45")
    clock = desk.clock(ticket)
    assert (clock["verdict"], clock["verdict_level"], clock["verdict_priority"]) == ("breached", "advanced", "high")


@pytest.mark.parametrize("given", [AGREED, {"reason": "no contesta", "reminder": local(f"{DAY} 10:30")}])
def test_zammad_and_frappe_lowering_after_a_breach_cures_nothing(desk: Desk, given: dict[str, object]) -> None:
    """Frappe and Zammad counted the target from the opening by the present priority: a breach went away."""
    ticket = opened(desk, "high")
    act(desk, "remind", ticket, "10:30")
    assert act(desk, "prioritise", ticket, "12:00", priority="low", **given)["verdict"] == "breached"
    late(desk, "prioritise", opened(desk, "high"), "12:00", priority="low", reason="x", agreed=True)
    assert desk.clock(ticket)["due_at"] == local(f"{DAY} 11:00")


def test_zammad_no_name_decides_which_target_holds(strict: Desk) -> None:
    """Zammad chose among matching policies by their names' alphabet: here level and priority name exactly one."""
    assign(strict, "oficina", level="basic")
    assert strict.ticket()["due_at"] == local(f"{DAY} 14:00")
    (entry,) = strict.events(PANADERIA, "ticket.opened")
    assert (entry["policy"], entry["calendar"]) == ("2000-01+1", "24x7@1")


# --- upgrades and downgrades with an open case -----------------------------------------------------------------------


def upgraded(desk: Desk, at: str, level: str = "corporate") -> None:
    """Upgrade the plan and pay the difference."""
    desk.at(f"{DAY} {at}")
    upgrade(desk, level)
    due = desk.ask("billing", account=PANADERIA)["due"]
    desk.pay(amount=due)
    assert desk.balance()["level"] == level


@pytest.mark.parametrize(("at", "due", "level"), [("11:00", "13:00", "corporate"), ("12:00", "14:00", "advanced")])
def test_an_upgrade_acts_like_a_raise_when_it_is_recorded(desk: Desk, at: str, due: str, level: str) -> None:
    ticket = opened(desk)
    upgraded(desk, at)
    clock = desk.clock(ticket)
    assert (clock["due_at"], clock["verdict_level"], clock["level"]) == (local(f"{DAY} {due}"), level, "corporate")


def test_after_an_upgrade_that_did_not_tighten_a_raise_counts_the_new_levels_limit(sqlite_url: str) -> None:
    with opened_desk(sqlite_url, level="basic") as desk:  # low within 8 h, high within 2 h
        ticket = opened(desk)
        upgraded(desk, "16:00", "advanced")  # 16:00 + 4 h is later than 18:00
        assert desk.clock(ticket)["due_at"] == local(f"{DAY} 18:00")
        assert act(desk, "prioritise", ticket, "16:30", priority="high")["due_at"] == local(f"{DAY} 17:30")
        assert desk.clock(ticket)["verdict_level"] == "advanced"


def test_after_a_raise_that_did_not_tighten_an_upgrade_counts_the_new_prioritys_limit(sqlite_url: str) -> None:
    with opened_desk(sqlite_url, level="basic") as desk:
        ticket = opened(desk)
        assert act(desk, "prioritise", ticket, "16:15", priority="high")["due_at"] == local(f"{DAY} 18:00")
        upgraded(desk, "16:30", "advanced")
        clock = desk.clock(ticket)
        assert (clock["due_at"], clock["verdict_priority"]) == (local(f"{DAY} 17:30"), "high")


def test_an_upgrade_touches_only_open_cases_of_its_plan(desk: Desk) -> None:
    desk.addon(level="advanced")
    other = opened(desk, grant="C-100-A1-t")
    answered, breached, left = opened(desk), opened(desk, "high"), opened(desk)
    act(desk, "respond", answered, "10:30")
    act(desk, "reclassify", left, "10:40", request="administrative")
    dues = {one: desk.clock(one)["due_at"] for one in (other, answered, breached, left)}
    upgraded(desk, "11:00")
    assert {one: desk.clock(one)["due_at"] for one in dues} == dues
    assert dues[breached] == local(f"{DAY} 11:00")


def test_a_downgrade_never_loosens_an_open_case(desk: Desk) -> None:
    ticket = opened(desk)
    desk.do("plan.downgrade", account=PANADERIA, level="basic")
    desk.pay(amount="250.00")
    desk.at("2026-06-05 10:00")
    assert (desk.clock(ticket)["due_at"], desk.balance()["level"]) == (local(f"{DAY} 14:00"), "basic")


def test_the_second_case_under_another_customer_is_untouched_by_an_upgrade(desk: Desk) -> None:
    desk.sell(FERRETERIA, "advanced")
    ticket = desk.ticket(FERRETERIA)["ticket"]
    upgraded(desk, "11:00")
    assert desk.clock(ticket)["due_at"] == local(f"{DAY} 14:00")
    act(desk, "respond", ticket, "13:30", by=LUIS)
    assert desk.clock(ticket)["verdict"] == "met"
    assert used(desk) == 0


def test_an_answer_by_chat_counts_by_the_priority_of_its_instant_whenever_that_was_recorded(desk: Desk) -> None:
    ticket = opened(desk)
    assert act(desk, "respond", ticket, "10:50", channel="chat")["counts"] is False
    desk.at(f"{DAY} 12:00")
    late(desk, "prioritise", ticket, "10:30", priority="high")
    clock = desk.clock(ticket)
    assert (clock["verdict"], clock["responded_at"], clock["due_at"]) == (
        "met", local(f"{DAY} 10:50"), local(f"{DAY} 11:30"),
    )  # fmt: skip
    explained = desk.ask("explain", ticket=ticket)
    assert (explained["raw"], explained["channel"], explained["responded_by"]) == ("met", "chat", "ana")


def test_no_priority_is_dated_behind_a_later_one(desk: Desk) -> None:
    ticket = opened(desk)
    act(desk, "prioritise", ticket, "11:00", priority="high")
    desk.at(f"{DAY} 11:30")
    with desk.refused("behind_later_change"):
        late(desk, "prioritise", ticket, "10:30", priority="medium")
