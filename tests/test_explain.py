"""Explanations: why a response was met or breached, told from the facts (issue 5, point 2; peers-sla.md, D7)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from ledger import facts as f
from ledger.application import Caller
from ledger.catalogue import load, shipped
from ledger.explaining import explanation
from ledger.rules.instants import to_iso
from ledger.store import Recorded
from ledger.ticket import Ticket
from tests.desks import HEAD, MINI, bring_in, rows
from tests.explained import Answer, explain
from tests.given import ANA, BEATRIZ, FERRETERIA, LUIS, Desk, local
from tests.sla_desk import AGREED, DAY, act, assign, former_catalogue, late, opened, opened_desk

MINUTE, HOUR = 60_000_000, 3_600_000_000


@pytest.fixture(name="desk")
def _desk(sqlite_url: str) -> Iterator[Desk]:
    """An Advanced plan on a Monday at ten: low and medium within 4 h, high within 1 h."""
    with opened_desk(sqlite_url) as desk:
        yield desk


def others(told: Answer) -> dict[tuple[str, str | None], tuple[str, str]]:
    """Return what else could have been, by kind and name."""
    return {(one["kind"], one["of"]): (one["due_at"], one["verdict"]) for one in told["counterfactuals"]}


def whys(told: Answer) -> list[tuple[str, str | None, int]]:
    return [(one["why"], one["day"], one["us"]) for one in told["segments"]]


def causes(told: Answer) -> list[tuple[str, str | None, str | None]]:
    return [(one["cause"], one["before"], one["after"]) for one in told["changes"]]


# --- met, breached, open ----------------------------------------------------------------------------------------------


def test_met(desk: Desk) -> None:
    ticket = opened(desk, "high")
    act(desk, "respond", ticket, "10:59:59")
    told = explain(desk, ticket)
    assert (told["policy"], told["calendar"], told["level"], told["priority"], told["limit_us"]) == (
        "2000-01", "24x7@1", "advanced", "high", HOUR,
    )  # fmt: skip
    assert (told["verdict"], told["early_by_us"], told["left_us"]) == ("met", 1_000_000, 1_000_000)
    assert whys(told) == [("open", None, HOUR - 1_000_000)]
    assert (told["responded_by"], told["channel"]) == ("ana", "platform")
    assert "cumplido" in told["words"]["es_GT"][0]


def test_breached_by_nothing_at_all_and_met_by_a_microsecond(desk: Desk) -> None:
    sharp, met = opened(desk, "high"), opened(desk, "high")
    act(desk, "respond", met, "10:59:59.999999")
    act(desk, "respond", sharp, "11:00:00")
    told = explain(desk, sharp)
    assert (told["verdict"], told["late_by_us"], told["early_by_us"]) == ("breached", 0, 0)
    assert "instante mismo" in told["words"]["es_GT"][0]
    told = explain(desk, met)
    assert (told["verdict"], told["early_by_us"]) == ("met", 1)
    assert "1 µs" in told["words"]["en"][0]
    assert "10:59:59.999999" in " ".join(told["words"]["en"])


def test_breached_by_a_microsecond(desk: Desk) -> None:
    ticket = opened(desk, "high")
    act(desk, "respond", ticket, "11:00:00.000001")
    told = explain(desk, ticket)
    assert (told["verdict"], told["late_by_us"], told["late_by_counted_us"]) == ("breached", 1, 1)
    assert (told["elapsed_us"], told["left_us"]) == (HOUR + 1, 0)
    assert others(told)["answered_before", None] == (local(f"{DAY} 11:00"), "met")
    assert others(told)["level", "corporate"] == (local(f"{DAY} 11:00"), "breached")
    assert "11:00:00.000001" in " ".join(told["words"]["es_GT"])


def test_unanswered_it_is_open_until_due_and_breached_from_then_on(desk: Desk) -> None:
    ticket = opened(desk, "high")
    told = explain(desk, ticket, at=f"{DAY} 10:20")
    assert (told["verdict"], told["until"], told["left_us"]) == ("open", "at", 40 * MINUTE)
    told = explain(desk, ticket, at=f"{DAY} 11:30")
    assert (told["verdict"], told["until"], told["elapsed_us"]) == ("breached", "due", HOUR)
    assert told["late_by_us"] == 30 * MINUTE
    assert "hace 30 min" in told["words"]["es_GT"][0]


def test_without_a_target_there_is_nothing_to_count(desk: Desk) -> None:
    ticket = opened(desk, request="administrative")
    told = explain(desk, ticket, at=f"{DAY} 12:00")
    assert (told["verdict"], told["limits"], whys(told)) == ("none", [], [("no_target", None, 2 * HOUR)])
    assert told["counterfactuals"] == []
    with desk.refused("unknown_ticket"):
        desk.ask("explain", ticket=ticket, at=f"{DAY} 09:59")
    with desk.refused("unknown_ticket"):
        desk.ask("explain", ticket="T-404")


# --- opening hours ----------------------------------------------------------------------------------------------------


def test_gt_business_over_a_weekend_and_a_holiday(desk: Desk) -> None:
    """Noon on the 24th, Christmas on a Friday."""
    assign(desk, "gt-business")
    desk.at("2026-12-23 08:00").do("plan.purchase", account="C-100", level="advanced", term="monthly", channel="web")
    desk.pay(amount="600.00")
    desk.at("2026-12-24 11:00")
    ticket = opened(desk)
    act(desk, "respond", ticket, "2026-12-28 11:11:10")
    told = explain(desk, ticket)
    assert told["calendar"] == "gt-business@1"
    assert whys(told) == [
        ("open", None, HOUR),
        ("special", "2026-12-24", 12 * HOUR),
        ("holiday", "2026-12-25", 24 * HOUR),
        ("weekend", None, 48 * HOUR),
        ("night", None, 8 * HOUR),
        ("open", None, 3 * HOUR + 11 * MINUTE + 10_000_000),
    ]
    assert (told["due_at"], told["late_by_us"]) == (local("2026-12-28 11:00"), 11 * MINUTE + 10_000_000)
    assert others(told)["calendar", "24x7@1"] == (local("2026-12-24 15:00"), "breached")
    spoken = " ".join(told["words"]["es_GT"])
    assert "asueto viernes 25 de diciembre" in spoken
    assert "horario especial jueves 24 de diciembre" in spoken


def test_a_nights_rest_is_one_segment_and_a_limit_used_up_at_closing_is_due_then(desk: Desk) -> None:
    assign(desk, "gt-business")
    desk.at(f"{DAY} 13:00")
    ticket = opened(desk)
    act(desk, "respond", ticket, "2026-05-05 08:00")
    told = explain(desk, ticket)
    assert whys(told) == [("open", None, 4 * HOUR), ("night", None, 15 * HOUR)]
    assert (told["due_at"], told["verdict"]) == (local(f"{DAY} 17:00"), "breached")
    assert (told["late_by_us"], told["late_by_counted_us"]) == (15 * HOUR, 0)


# --- what moves the due instant ---------------------------------------------------------------------------------------


def test_raised_before_due_into_another_calendar(desk: Desk) -> None:
    assign(desk, "gt-business")
    desk.at(f"{DAY} 16:00")
    ticket = opened(desk)
    act(desk, "prioritise", ticket, "20:00", priority="high", reason="no puede facturar", by=LUIS)
    act(desk, "respond", ticket, "21:30")
    told = explain(desk, ticket)
    assert causes(told)[1] == ("raised", local("2026-05-05 11:00"), local(f"{DAY} 21:00"))
    assert (told["changes"][1]["by"], told["changes"][1]["reason"]) == ("luis", "no puede facturar")
    assert whys(told) == [("open", None, HOUR), ("night", None, 3 * HOUR), ("open", None, 90 * MINUTE)]
    assert [one["calendar"] for one in told["segments"]] == ["gt-business@1", "gt-business@1", "24x7@1"]
    assert (told["elapsed_us"], told["used_us"]) == (150 * MINUTE, 90 * MINUTE)
    assert others(told)["without", "raised"] == (local("2026-05-05 11:00"), "met")
    assert others(told)["calendar", "gt-business@1"][1] == "met"


def test_raised_after_due_nothing_moves(desk: Desk) -> None:
    ticket = opened(desk)
    act(desk, "prioritise", ticket, "14:00", priority="high")
    told = explain(desk, ticket)
    assert (causes(told), len(told["limits"])) == ([("opened", None, local(f"{DAY} 14:00"))], 1)


def test_a_raise_that_comes_too_late_to_tighten_is_told_and_governs_nothing(desk: Desk) -> None:
    ticket = opened(desk)
    act(desk, "prioritise", ticket, "13:30", priority="high")
    told = explain(desk, ticket)
    assert causes(told)[1] == ("raised", local(f"{DAY} 14:00"), local(f"{DAY} 14:00"))
    assert (told["changes"][1]["to"], told["priority"]) == ("high", "low"), "asked for, and whose limit governs"
    assert ("without", "raised") not in others(told)
    assert others(told)["level", "corporate"] == (local(f"{DAY} 12:00"), "breached")
    assert any("subida a alta" in line for line in told["words"]["es_GT"])
    assert any("quedó igual" in line for line in told["words"]["es_GT"])


def test_lowered_with_grounds_it_counts_from_the_opening_in_the_new_calendar(desk: Desk) -> None:
    assign(desk, "gt-business")
    ticket = opened(desk, "high")
    act(desk, "prioritise", ticket, "10:30", priority="low", **AGREED)
    act(desk, "respond", ticket, "12:00")
    told = explain(desk, ticket)
    assert (told["due_at"], told["priority"], told["verdict"]) == (local(f"{DAY} 14:00"), "low", "met")
    assert {one["calendar"] for one in told["segments"]} == {"gt-business@1"}
    assert others(told)["without", "lowered"] == (local(f"{DAY} 11:00"), "breached")
    assert told["changes"][1]["reason"] == "el cliente está de acuerdo"


def test_without_an_upgrade_a_later_raise_would_have_been_of_the_old_level(sqlite_url: str) -> None:
    with opened_desk(sqlite_url, level="basic") as desk:
        ticket = opened(desk)
        desk.at(f"{DAY} 10:30").do("plan.upgrade", account="C-100", level="advanced")
        desk.pay(amount="600.00")
        act(desk, "prioritise", ticket, "11:00", priority="high", reason="no puede facturar")
        act(desk, "respond", ticket, "12:30")
        told = explain(desk, ticket)
        assert (told["due_at"], told["verdict"]) == (local(f"{DAY} 12:00"), "breached")
        assert others(told)["without", "upgraded"] == (local(f"{DAY} 13:00"), "met")
        assert others(told)["without", "raised"] == (local(f"{DAY} 14:30"), "met")


def test_an_upgrade_of_the_plan_acts_like_a_raise(desk: Desk) -> None:
    ticket = opened(desk)
    desk.at(f"{DAY} 11:00").do("plan.upgrade", account="C-100", level="corporate")
    desk.pay(amount="1500.00")
    told = explain(desk, ticket)
    assert causes(told)[1] == ("upgraded", local(f"{DAY} 14:00"), local(f"{DAY} 13:00"))
    assert (told["level"], told["limit_us"]) == ("corporate", 2 * HOUR)
    assert others(told)["without", "upgraded"] == (local(f"{DAY} 14:00"), "open")
    assert ("level", "corporate") not in others(told)


def test_reclassified_out_and_in_the_first_due_comes_back(desk: Desk) -> None:
    ticket = opened(desk)
    act(desk, "reclassify", ticket, "11:00", request="administrative")
    out = explain(desk, ticket, at=f"{DAY} 11:30")
    assert (out["verdict"], whys(out)) == ("none", [("open", None, HOUR), ("left", None, 30 * MINUTE)])
    act(desk, "reclassify", ticket, "12:00", request="general")
    told = explain(desk, ticket, at=f"{DAY} 12:00")
    assert [cause for cause, _before, _after in causes(told)] == ["opened", "left", "joined"]
    assert (told["due_at"], whys(told)) == (local(f"{DAY} 14:00"), [("open", None, 2 * HOUR)])


def test_time_before_it_joined_compliance_is_not_counted(desk: Desk) -> None:
    ticket = opened(desk, request="administrative")
    act(desk, "reclassify", ticket, "12:00", request="general")
    act(desk, "respond", ticket, "13:00")
    told = explain(desk, ticket)
    assert whys(told) == [("before_target", None, 2 * HOUR), ("open", None, HOUR)]
    assert (told["due_at"], told["left_us"]) == (local(f"{DAY} 16:00"), 3 * HOUR)


# --- what stands beside the verdict -----------------------------------------------------------------------------------


def test_excluded_with_its_approver_and_reason(desk: Desk) -> None:
    ticket = opened(desk, "high")
    act(desk, "respond", ticket, "11:30")
    act(desk, "exclude", ticket, by=BEATRIZ, reason="caída del proveedor")
    told = explain(desk, ticket)
    assert (told["raw"], told["verdict"]) == ("breached", "excluded")
    assert (told["excluded"]["approver"], told["excluded"]["reason"]) == ("beatriz", "caída del proveedor")
    assert "excluido" in told["words"]["es_GT"][1]


def test_revised_and_answered_late_after_it_was_final(desk: Desk) -> None:
    ticket = opened(desk, "high")
    desk.at("2026-06-02 09:00")
    late(desk, "respond", ticket, "10:30")
    told = explain(desk, ticket)
    assert (told["verdict"], told["final"], told["responded_at"]) == ("breached", True, None)
    (fact,) = told["late_facts"]
    assert (fact["event"], fact["at"], fact["recorded_at"]) == (
        "ticket.responded", local(f"{DAY} 10:30"), local("2026-06-02 09:00"),
    )  # fmt: skip
    assert others(told)["late_facts", None] == (local(f"{DAY} 11:00"), "met")
    desk.do("ticket.revise", ticket=ticket, verdict="met", approver="marta", reason="sí se respondió")
    told = explain(desk, ticket)
    assert (told["raw"], told["verdict"], told["revised"]["approver"]) == ("breached", "met", "marta")
    assert told["revised"]["reason"] == "sí se respondió"
    assert len(told["late_facts"]) == 1


def test_merged_it_is_answered_through_its_target(desk: Desk) -> None:
    target, child = opened(desk), opened(desk, "high")
    act(desk, "merge", child, "10:30", into=target)
    act(desk, "respond", target, "11:15")
    told = explain(desk, child)
    assert (told["merged_into"], told["answered_in"], told["late_by_us"]) == (target, target, 15 * MINUTE)
    assert any(target in line for line in told["words"]["es_GT"])


def test_what_was_asked_of_the_customer_is_told_and_pauses_nothing(desk: Desk) -> None:
    ticket = opened(desk, "high")
    act(desk, "wait", ticket, "10:10")
    act(desk, "message", ticket, "10:40", text="R4")
    act(desk, "respond", ticket, "11:05")
    told = explain(desk, ticket)
    assert (told["verdict"], told["elapsed_us"]) == ("breached", 65 * MINUTE)
    (wait,) = told["waits"]
    assert (wait["us"], wait["text"], wait["by"]) == (30 * MINUTE, None, "ana")
    assert any("una vez, 30 min" in line for line in told["words"]["es_GT"])


def test_a_question_to_the_customer_is_told_as_the_response(desk: Desk) -> None:
    ticket = opened(desk, "high")
    act(desk, "wait", ticket, "10:10", text="¿qué versión?")
    told = explain(desk, ticket)
    assert (told["verdict"], told["asked"], told["channel"], told["responded_by"]) == ("met", True, "platform", "ana")
    assert any("La pregunta de ana" in line for line in told["words"]["es_GT"])
    assert told["uncounted"] == []


def test_each_answer_that_did_not_count_is_told_with_why(desk: Desk) -> None:
    ticket = opened(desk)
    act(desk, "acknowledge", ticket, "10:01")
    for at, channel in (("10:10", "phone"), ("10:20", "email"), ("10:30", "chat")):
        act(desk, "respond", ticket, at, channel=channel)
    act(desk, "remind", ticket, "10:40", channel="phone")
    told = explain(desk, ticket, at=f"{DAY} 19:00")
    whys = ["automatic", "phone", "email", "chat", "reminder"]
    assert [one["why"] for one in told["uncounted"]] == whys
    assert told["verdict"] == "breached"
    for lang in ("es_GT", "en"):
        lines = [line for line in told["words"][lang] if "No cuenta" in line or "does not count" in line]
        assert len([line for line in lines if "ana" in line]) == 3
    desk.do("ticket.respond", ticket=ticket, by=ANA, at=f"{DAY} 10:35")
    assert [one["why"] for one in explain(desk, ticket)["uncounted"]] == whys[:-1]


def test_an_answer_after_the_verdict_was_final_is_told_as_one_that_does_not_count(desk: Desk) -> None:
    ticket = opened(desk)
    desk.at("2026-06-02 10:00").do("ticket.respond", ticket=ticket, by=BEATRIZ, at=f"{DAY} 10:30", reason="tarde")
    (one,) = explain(desk, ticket)["uncounted"]
    assert (one["why"], one["at"], one["recorded_at"]) == (
        "after_final",
        local(f"{DAY} 10:30"),
        local("2026-06-02 10:00"),
    )


def test_a_lowering_tells_the_reminder_it_stood_on(desk: Desk) -> None:
    desk.sell(FERRETERIA)
    ticket = desk.ticket(FERRETERIA, priority="high")["ticket"]
    act(desk, "remind", ticket, "10:10", channel="email")
    act(desk, "prioritise", ticket, "11:20", priority="low", reason="no contesta", reminder=local(f"{DAY} 10:10"))
    change = explain(desk, ticket)["changes"][-1]
    assert (change["agreed"], change["reminder"], change["reminder_by"]) == (False, local(f"{DAY} 10:10"), "ana")
    assert any("tras el recordatorio de ana" in line for line in explain(desk, ticket)["words"]["es_GT"])


def test_a_raise_made_while_administrative_acts_at_the_return_and_is_told(desk: Desk) -> None:
    ticket = opened(desk)
    act(desk, "reclassify", ticket, "10:30", request="administrative")
    act(desk, "prioritise", ticket, "10:40", priority="high")
    act(desk, "reclassify", ticket, "11:00", request="general")
    told = explain(desk, ticket)
    assert (told["due_at"], told["priority"]) == (local(f"{DAY} 12:00"), "high")
    change = told["changes"][-1]
    assert (change["cause"], change["at"], change["made_at"]) == (
        "raised",
        local(f"{DAY} 11:00"),
        local(f"{DAY} 10:40"),
    )
    (without,) = [one for one in told["counterfactuals"] if one["kind"] == "without"]
    assert (without["of"], without["due_at"]) == ("raised", local(f"{DAY} 14:00"))
    assert told["reproduced"]


def test_next_responses_and_resolutions_are_measured_without_their_waits(desk: Desk) -> None:
    assign(desk, "gt-business")
    ticket = opened(desk)
    act(desk, "message", ticket, "10:05", text="¿hay alguien?")  # the first response is still awaited
    act(desk, "respond", ticket, "10:30")
    act(desk, "message", ticket, "16:00", text="no funciona")
    act(desk, "message", ticket, "16:10", text="¿y?")
    act(desk, "wait", ticket, "16:30")
    act(desk, "resume", ticket, "16:45")
    act(desk, "respond", ticket, "2026-05-05 08:30")
    act(desk, "resolve", ticket, "2026-05-05 09:00")
    act(desk, "reopen", ticket, "2026-05-05 10:00")
    told = explain(desk, ticket, at="2026-05-05 11:00")
    (cycle,) = told["next_responses"]
    assert (cycle["from"], cycle["paused_us"]) == (local(f"{DAY} 16:00"), 15 * MINUTE)
    assert (cycle["plain_us"], cycle["counted_us"]) == (16 * HOUR + 15 * MINUTE, 75 * MINUTE)
    first, second = told["resolutions"]
    assert (first["plain_us"], first["counted_us"]) == (23 * HOUR - 15 * MINUTE, 8 * HOUR - 15 * MINUTE)
    assert (second["until"], second["plain_us"]) == (None, HOUR)


def test_known_at_tells_what_was_believed(desk: Desk) -> None:
    ticket = opened(desk, "high")
    desk.at(f"{DAY} 12:00").do("ticket.respond", ticket=ticket, by=ANA, at=f"{DAY} 10:30")
    assert explain(desk, ticket)["verdict"] == "met"
    told = explain(desk, ticket, known_at=f"{DAY} 11:59")
    assert (told["verdict"], told["responded_at"], told["known_at"]) == ("breached", None, local(f"{DAY} 11:59"))


def test_an_imported_case(desk: Desk, tmp_path: Path) -> None:
    lines = [HEAD, *rows("new", "memo/3", "answer", case="I-1")]
    bring_in(desk.ledger, tmp_path, "".join(f"{line}\n" for line in lines), MINI)
    told = explain(desk, "I-1")
    assert (told["raw"], told["opened_at"], told["recorded_at"]) == (
        "met", local("2026-03-02 09:00"), local(f"{DAY} 10:00"),
    )  # fmt: skip
    assert causes(told)[1] == ("raised", local("2026-03-02 17:00"), local("2026-03-02 11:01"))
    assert told["final_at"] == local("2026-05-07 10:00")


# --- what was recorded later, or at one instant -----------------------------------------------------------------------


def test_what_is_dated_back_says_when_it_was_recorded(desk: Desk) -> None:
    ticket = opened(desk, "high")
    desk.at(f"{DAY} 12:00").do("ticket.respond", ticket=ticket, by=ANA, at=f"{DAY} 10:59", channel="platform")
    late(desk, "prioritise", ticket, "10:30", priority="low", agreed=True)
    told = explain(desk, ticket)
    assert (told["responded_at"], told["response_recorded_at"]) == (local(f"{DAY} 10:59"), local(f"{DAY} 12:00"))
    assert [one["recorded_at"] for one in told["changes"]] == [local(f"{DAY} 10:00"), local(f"{DAY} 12:00")]
    said = [line for line in told["words"]["en"] if line.endswith("It was recorded on Monday 4 May 2026 at 12:00:00.")]
    assert len(said) == 2
    other = opened(desk)
    act(desk, "respond", other, "12:30")
    assert "recorded" not in "\n".join(explain(desk, other)["words"]["en"])


def test_of_two_changes_at_one_instant_each_is_taken_away_alone(desk: Desk) -> None:
    """Raised at 10:30, lowered and raised again at 10:40: without the last raise it would have been due at 14:00."""
    ticket = opened(desk)
    act(desk, "prioritise", ticket, "10:30", priority="high", reason="sube")
    act(desk, "prioritise", ticket, "10:40", priority="low", **AGREED)
    act(desk, "prioritise", ticket, priority="high", reason="sube otra vez")
    told = explain(desk, ticket)
    assert [(one["cause"], one["to"]) for one in told["changes"]] == [
        ("opened", "low"), ("raised", "high"), ("lowered", "low"), ("raised", "high"),
    ]  # fmt: skip
    assert told["due_at"] == local(f"{DAY} 11:40")
    without = [(one["at"], one["due_at"]) for one in told["counterfactuals"] if one["of"] in ("raised", "lowered")]
    assert without == [
        (local(f"{DAY} 10:30"), local(f"{DAY} 11:40")),
        (local(f"{DAY} 10:40"), local(f"{DAY} 11:30")),
        (local(f"{DAY} 10:40"), local(f"{DAY} 14:00")),
    ]


def test_a_void_exclusion_is_told_as_one(desk: Desk) -> None:
    ticket = opened(desk, "high")
    act(desk, "exclude", ticket, "11:10", by=LUIS, approver="ana", reason="corte")
    assert explain(desk, ticket)["excluded"]["stands"]
    act(desk, "respond", ticket, "11:20", by=ANA)
    told = explain(desk, ticket)
    assert (told["verdict"], told["excluded"]["stands"]) == ("breached", False)
    words = "\n".join(told["words"]["es_GT"])
    assert "no vale: la aprobó ana, que es quien respondió («corte»)" in words
    assert "Excluido del informe" not in words


def test_a_holiday_published_later_stands_beside_the_promise(sqlite_url: str, tmp_path: Path) -> None:
    """gt-business@2 is published from 1 December on; what was opened before keeps the first, and is told the other."""
    file = tmp_path / "catalogue.toml"
    file.write_text(former_catalogue(), "utf-8")
    desk = Desk(sqlite_url, load(file)).at(f"{DAY} 08:00")
    desk.do("calendar.assign", level="advanced", priority="low", calendar="gt-business", by=BEATRIZ)
    desk.at("2026-09-14 16:00")
    desk.sell(level="advanced")
    ticket = opened(desk)
    act(desk, "respond", ticket, "2026-09-15 12:00")  # Independence Day, which the first version does not know
    at = "2026-09-16 09:00"
    assert ("calendar", "gt-business@2") not in others(explain(desk, ticket, at=at))
    desk.at("2026-12-02 09:00")
    told = explain(desk, ticket)
    assert (told["calendar"], told["verdict"]) == ("gt-business@1", "breached")
    assert others(told)["calendar", "gt-business@2"] == (local("2026-09-16 11:00"), "met")
    desk.close()


def test_it_stands_on_the_events_up_to_its_instant_and_on_no_warning(desk: Desk) -> None:
    ticket = opened(desk, "high")
    act(desk, "note", ticket, "10:20")
    act(desk, "respond", ticket, "10:40")
    earlier = explain(desk, ticket, at=f"{DAY} 10:30")["inputs"]
    told = explain(desk, ticket, at=f"{DAY} 10:50")
    assert (earlier["versions"], told["inputs"]["versions"]) == ([1, 2], [1, 2, 3])
    assert earlier["stream"] == f"ticket/{ticket}"
    assert earlier["hash"] != told["inputs"]["hash"]
    case = desk.ledger.ticket(ticket)
    warned = f.TicketWarned(
        occurred_at=case.facts[-1].occurred_at, customer_no="C-100", by="ledger", source="scheduler", ticket_no=ticket,
        key="50", percent=50, due_at=case.opened.due_at,
    )  # fmt: skip
    case.facts.append(warned)
    case.recorded.append(case.recorded[-1])
    at = to_iso(datetime.fromisoformat(told["at"]))
    assert explanation(case, desk.ledger.policy(), at)["hash"] == told["hash"]


def test_the_year_in_which_it_falls_due_is_asked_for_its_holidays_too(sqlite_url: str) -> None:
    desk = Desk(sqlite_url)
    desk.at("2030-12-29 09:00").do("calendar.assign", level="basic", priority="low", calendar="gt-business", by=BEATRIZ)
    desk.at("2030-12-30 16:00").sell()
    ticket = opened(desk)  # on the 31st it is open until noon: due on a day of 2031, for which none is published
    act(desk, "respond", ticket, "2030-12-30 16:30")
    assert explain(desk, ticket)["unpublished"] == [{"calendar": "gt-business@1", "years": [2031]}]
    desk.close()


def told_of(*facts: f.TicketFact) -> Answer:
    """Explain facts as a ledger may hold them, each recorded when it happened."""
    case = Ticket("T-1", [Recorded("ticket/T-1", n, x, recorded_at=x.occurred_at) for n, x in enumerate(facts, 1)])
    return explanation(case, shipped(), "2026-05-05T00:00:00.000000Z")


def test_a_change_is_named_by_what_it_did_though_another_of_its_instant_did_nothing() -> None:
    """As imports tell it: lowered without grounds and raised at one instant; administrative and back, once breached."""
    both: Answer = {"customer_no": "C-100", "by": "ana", "source": "import:x", "ticket_no": "T-1"}
    opening = f.TicketOpened(
        **both, occurred_at="2026-05-04T16:00:00.000000Z", request="general", priority="medium", level="advanced",
        zone="America/Guatemala", policy="2000-01", calendar="24x7@1", limit_us=4 * HOUR,
        due_at="2026-05-04T20:00:00.000000Z",
    )  # fmt: skip
    then = {**both, "occurred_at": "2026-05-04T17:00:00.000000Z"}
    lowered = f.TicketPrioritised(**then, priority="low", direction="lower")
    raised = f.TicketPrioritised(**then, priority="high", direction="raise", due_at="2026-05-04T18:00:00.000000Z")
    changes = told_of(opening, lowered, raised)["changes"]
    assert [(one["cause"], one["to"]) for one in changes] == [("opened", "medium"), ("raised", "high")]
    then["occurred_at"] = "2026-05-04T21:00:00.000000Z"
    out = f.TicketReclassified(**then, request="administrative")
    back = f.TicketReclassified(
        **then, request="training", level="advanced", policy="2000-01", calendar="24x7@1", limit_us=4 * HOUR,
        due_at="2026-05-04T20:00:00.000000Z",
    )  # fmt: skip
    changes = told_of(opening, out, back)["changes"]
    assert [(one["cause"], one["to"]) for one in changes] == [("opened", "medium"), ("joined", "training")]


def test_a_late_call_by_phone_could_not_have_mattered(desk: Desk) -> None:
    ticket = opened(desk)
    desk.at("2026-06-10 09:00")
    late(desk, "respond", ticket, "2026-05-04 11:00", channel="phone")
    assert explain(desk, ticket)["late_facts"] == []
    late(desk, "respond", ticket, "2026-05-04 11:30", channel="platform")
    assert [one["at"] for one in explain(desk, ticket)["late_facts"]] == [local("2026-05-04 11:30")]


def test_of_a_calendar_that_did_not_govern_only_the_openings_version_is_tried(desk: Desk) -> None:
    ticket = opened(desk)
    desk.at("2026-12-02 09:00")
    tried = [name for kind, name in others(explain(desk, ticket)) if kind == "calendar"]
    assert tried == ["gt-business@1"]


def test_of_two_exclusions_the_one_that_stands_is_named(desk: Desk) -> None:
    """Carmen's fell with her answer; then Beatriz's stood, until it turned out that she had answered before."""
    ticket = opened(desk, "high")
    act(desk, "exclude", ticket, "11:10", by=LUIS, approver="carmen", reason="corte")
    act(desk, "respond", ticket, "11:20", by=Caller("carmen", "agent"))
    act(desk, "exclude", ticket, "11:30", by=LUIS, approver="beatriz", reason="corte")
    assert explain(desk, ticket)["excluded"]["approver"] == "beatriz"
    desk.at(f"{DAY} 11:40").do(
        "ticket.respond", ticket=ticket, by=BEATRIZ, at=f"{DAY} 11:15", reason="se registra tarde"
    )
    told = explain(desk, ticket)
    assert (told["verdict"], told["excluded"]["approver"], told["excluded"]["stands"]) == ("excluded", "carmen", True)
