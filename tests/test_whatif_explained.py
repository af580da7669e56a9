"""Both sides of a flip are explained: the same verdicts, every microsecond told once, under any policy."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from openapi_schema_validator import OAS31Validator

from ledger.catalogue import load
from ledger.cli import assemble
from ledger.drawing import draw
from ledger.errors import Malformed
from ledger.explaining import digest, explanation
from ledger.rules.calendars import Calendar
from ledger.scenarios import parse_scenario
from projections.whatif_explained import under
from projections.whatif_policy import Policy
from tests import naive_whatif as naive
from tests.explained import when
from tests.given import ANA, BEATRIZ, Desk
from tests.sla_desk import former_catalogue
from tests.test_api import Office
from tests.test_whatif import NOW, SCENARIOS, fill

Answer = dict[str, Any]
CASES = 300
# What scenarios leave as it is: all but what they are called, and what is settled only in what happened.
APART = {"hash", "words", "final_at", "final", "under", "counterfactuals"}


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url)
    yield desk
    desk.close()


def tiles(told: Answer, calendar: Calendar) -> None:
    """Assert that segments fit together and that the due instant follows from what they count."""
    for before, after in pairwise(told["segments"]):
        assert when(before["until"]) == when(after["from"])
    assert sum(one["us"] for one in told["segments"]) == told["span_us"]
    assert sum(one["us"] for one in told["segments"] if one["counted"]) == told["elapsed_us"]
    assert told["reproduced"]
    if told["until"] == "due":  # the limit is used up there, and not before
        assert told["used_us"] == told["limit_us"]
    elif told["due_at"]:
        end = {"response": told["responded_at"], "at": told["at"]}[told["until"]]
        assert (told["used_us"] < told["limit_us"]) == (when(end) < when(told["due_at"]))
    for one in told["segments"]:
        if one["counted"]:
            assert calendar.elapsed_us(when(one["from"]), when(one["until"])) == one["us"]
            assert not any(
                max(when(w["from"]), when(one["from"])) < min(when(w["until"] or told["at"]), when(one["until"]))
                for w in (told["waits"] if told["under"]["pause"] == "waiting" else ())
            )
    assert told["hash"] == digest(told)
    for lang in ("es_GT", "en"):
        assert not any("{" in line for line in told["words"][lang])
        draw(told, lang)


def test_each_flip_is_explained_on_both_sides(desk: Desk) -> None:
    """200 random cases under five scenarios: the explanations have the flips' verdicts, limits and due instants."""
    chance = random.Random(41)
    desk.at(NOW)
    fill(desk.ledger.store, [naive.make(number, chance) for number in range(200)])
    answer = desk.ask("what_if", scenarios=SCENARIOS, flips=1000, explain=True)
    seen = 0
    for found in answer["scenarios"]:
        policy = Policy(parse_scenario(SCENARIOS[found["scenario"]], found["scenario"], "x"), desk.ledger.policy())
        for flip in found["flips"]:
            now, then = (flip["explained"][side] for side in ("before", "after"))
            assert now == desk.ask("explain", ticket=flip["ticket"])
            for side, told in (("before", now), ("after", then)):
                shown = flip[side]
                assert (told["verdict"], told["due_at"]) == (shown["verdict"], shown["due_at"]), (flip, told)
                if told["due_at"]:
                    assert (told["level"], told["priority"]) == (shown["level"], shown["priority"])
                    assert told["calendar"] == shown["calendar"]
            assert then["under"]["scenario"] == found["scenario"]
            assert (then["final_at"], then["final"]) == (None, False)
            if then["due_at"]:
                tiles(then, policy.calendar(then["calendar"]))
            assert then["inputs"] == now["inputs"]
            assert then["hash"] != now["hash"]
            seen += 1
    assert seen > 50


def test_under_the_present_policy_the_explanation_is_the_present_one(desk: Desk) -> None:
    """300 random cases, each explained twice: an empty scenario changes no limit, segment, due instant or verdict."""
    chance = random.Random(42)
    desk.at(NOW)
    cases = [naive.make(number, chance) for number in range(CASES)]
    fill(desk.ledger.store, cases)
    catalogue = desk.ledger.policy()
    policy = Policy(parse_scenario({}, "nothing", "x"), catalogue)
    at = desk.ledger.clock.now()
    for number in (case.number for case in cases):
        case = desk.ledger.ticket(number)
        told = explanation(case, catalogue, at)
        same = explanation(case, catalogue, at, under=under(case, catalogue, policy))
        assert {name: told[name] for name in told.keys() - APART} == {name: same[name] for name in told.keys() - APART}
        own = [one for one in told["counterfactuals"] if one["kind"] not in ("calendar", "level")]
        assert same["counterfactuals"] == own


def test_a_pause_is_told_as_waiting_and_the_due_instant_moves_by_it(desk: Desk) -> None:
    desk.at("2026-08-03 09:00").sell()
    number = desk.ticket()["ticket"]
    desk.at("2026-08-03 10:00").do("ticket.wait", ticket=number, by=ANA)
    desk.at("2026-08-03 15:00").do("ticket.resume", ticket=number, by=ANA)
    desk.at("2026-08-03 18:00").do("ticket.respond", ticket=number, by=ANA)
    [found] = desk.ask("what_if", pause="waiting", explain=True)["scenarios"]
    [flip] = found["flips"]
    before, after = flip["explained"]["before"], flip["explained"]["after"]
    hour = 3_600_000_000
    assert [(one["why"], one["us"]) for one in before["segments"]] == [("open", 9 * hour)]
    assert [(one["why"], one["counted"], one["us"]) for one in after["segments"]] == [
        ("open", True, hour), ("waiting", False, 5 * hour), ("open", True, 3 * hour),
    ]  # fmt: skip
    assert (after["due_at"], after["used_us"], after["left_us"]) == ("2026-08-03T22:00:00-06:00", 4 * hour, 4 * hour)
    words = "\n".join(after["words"]["es_GT"])
    for part in ("Supuesto, no lo ocurrido", "en espera del cliente 5 h", "eso detiene el plazo"):
        assert part in words
    assert "eso no detiene" in "\n".join(before["words"]["es_GT"])
    assert "definitivo" not in words


def test_a_night_within_a_wait_stays_a_night(desk: Desk) -> None:
    """Under opening hours that pause: what is closed keeps its reason, what is open in a wait is waiting."""
    desk.at("2026-08-03 16:00").sell()  # a Monday; closed from five to eight
    number = desk.ticket()["ticket"]
    desk.at("2026-08-03 16:30").do("ticket.wait", ticket=number, by=ANA)
    desk.at("2026-08-04 09:00").do("ticket.resume", ticket=number, by=ANA)
    desk.at("2026-08-04 10:00").do("ticket.respond", ticket=number, by=ANA)
    [found] = desk.ask("what_if", calendars="gt-business@1", pause="waiting", explain=True)["scenarios"]
    [flip] = found["flips"]
    after = flip["explained"]["after"]
    minute = 60_000_000
    assert [(one["why"], one["counted"], one["us"] // minute) for one in after["segments"]] == [
        ("open", True, 30), ("waiting", False, 30), ("night", False, 900), ("waiting", False, 60), ("open", True, 60),
    ]  # fmt: skip
    assert (after["due_at"], after["verdict"]) == ("2026-08-04T16:30:00-06:00", "met")


def test_a_wait_that_was_recorded_too_late_stops_nothing(desk: Desk) -> None:
    desk.at("2026-05-04 10:00").sell()
    number = desk.ticket()["ticket"]
    desk.at("2026-05-04 19:00").do("ticket.respond", ticket=number, by=ANA)
    desk.at("2026-06-02 09:00")
    for dated, act in (("2026-05-04 11:00", "wait"), ("2026-05-04 12:30", "resume")):
        desk.do(f"ticket.{act}", ticket=number, at=dated, by=BEATRIZ, reason="consta")
    [found] = desk.ask("what_if", limits="basic/low=10h", pause="waiting", explain=True)["scenarios"]
    [flip] = found["flips"]
    after = flip["explained"]["after"]
    assert (after["due_at"], after["reproduced"]) == ("2026-05-04T20:00:00-06:00", True)
    assert [one["why"] for one in after["segments"]] == ["open"]


def test_while_the_customer_is_waited_for_a_paused_clock_has_no_due_instant(desk: Desk) -> None:
    desk.at("2026-08-03 09:00").sell()
    number = desk.ticket()["ticket"]
    desk.at("2026-08-03 10:00").do("ticket.wait", ticket=number, by=ANA)
    desk.at("2026-08-04 09:00")
    [found] = desk.ask("what_if", pause="waiting", explain=True)["scenarios"]
    [flip] = found["flips"]
    after = flip["explained"]["after"]
    assert (flip["before"]["verdict"], flip["after"]["verdict"], after["verdict"]) == ("breached", "open", "open")
    assert (after["due_at"], after["limit_us"], after["used_us"]) == (None, 8 * 3_600_000_000, 3_600_000_000)
    assert "clock stands still" in "\n".join(after["words"]["en"])
    assert [one["why"] for one in after["segments"]] == ["open", "waiting"]
    assert "no target" not in "\n".join(after["words"]["en"])
    draw(after, "en")


def test_the_scenarios_own_calendar_holidays_and_missing_years_are_told(store_url: str, tmp_path: Path) -> None:
    file = tmp_path / "catalogue.toml"
    file.write_text(former_catalogue(), "utf-8")
    desk = Desk(store_url, load(file))
    desk.at("2026-06-28 09:00").do("calendar.assign", level="basic", priority="low", calendar="gt-business", by=BEATRIZ)
    desk.at("2026-06-29 09:00").sell()  # the Army's day is kept on this Monday
    number = desk.ticket()["ticket"]
    desk.at("2026-06-30 09:00").do("ticket.respond", ticket=number, by=ANA)
    [found] = desk.ask("what_if", calendars="gt-business@2", explain=True)["scenarios"]
    [flip] = found["flips"]
    before, after = flip["explained"]["before"], flip["explained"]["after"]
    assert before["unpublished"] == [{"calendar": "gt-business@1", "years": [2026]}]
    assert "no tiene asuetos publicados para 2026" in "\n".join(before["words"]["es_GT"])
    assert after["unpublished"] == []
    assert (after["segments"][0]["why"], after["segments"][0]["holiday"]) == ("holiday", "Día del Ejército")
    assert "asueto lunes 29 de junio (Día del Ejército)" in "\n".join(after["words"]["es_GT"])
    desk.close()


def test_what_was_recorded_too_late_would_have_counted_under_the_scenario(desk: Desk) -> None:
    desk.at("2026-05-04 10:00").sell(level="advanced")
    number = desk.ticket()["ticket"]
    desk.at("2026-05-04 12:00").do("ticket.respond", ticket=number, by=ANA)
    desk.at("2026-06-02 09:00").do(
        "ticket.prioritise", ticket=number, priority="high", by=BEATRIZ, at="2026-05-04 10:30", reason="consta"
    )
    [found] = desk.ask("what_if", limits="advanced/low=1h,advanced/high=10m", explain=True)["scenarios"]
    [flip] = found["flips"]
    late = {
        side: [one["due_at"] for one in told["counterfactuals"] if one["kind"] == "late_facts"]
        for side, told in flip["explained"].items()
    }
    assert late == {"before": ["2026-05-04T11:30:00-06:00"], "after": ["2026-05-04T10:40:00-06:00"]}


def test_it_is_explained_as_it_was_known(desk: Desk) -> None:
    desk.at("2026-08-03 09:00").sell()
    number = desk.ticket()["ticket"]
    desk.at("2026-08-03 15:00").do("ticket.respond", ticket=number, by=ANA)
    known = desk.at("2026-08-03 16:00").ledger.clock.now()
    desk.at("2026-08-04 09:00").do("ticket.respond", ticket=number, by=ANA, at="2026-08-03 10:00")
    for given, answered in (({"known_at": known}, "15:00"), ({}, "10:00")):
        [found] = desk.ask("what_if", limits="basic/low=30m", explain=True, **given)["scenarios"]
        before = found["flips"][0]["explained"]["before"]
        assert before == desk.ask("explain", ticket=number, **given)
        assert before["responded_at"] == f"2026-08-03T{answered}:00-06:00"
        assert found["flips"][0]["explained"]["after"]["known_at"] == before["known_at"]


def test_each_scenario_has_aims_and_curves_of_its_own(desk: Desk) -> None:
    desk.at(NOW)
    chance = random.Random(43)
    fill(desk.ledger.store, [naive.make(number, chance) for number in range(100)])
    asked: Answer = {"aim": "60", "for": "basic/low", "curve": True, "flips": 0}
    chosen = {name: SCENARIOS[name] for name in ("present", "business")}
    together = desk.ask("what_if", scenarios=chosen, **asked)["scenarios"]
    apart = [desk.ask("what_if", scenarios={name: given}, **asked)["scenarios"][0] for name, given in chosen.items()]
    assert together == apart
    assert together[0]["curves"] != together[1]["curves"]


def test_over_http_and_on_the_command_line(store_url: str, tmp_path: Path) -> None:
    office = Office(store_url)
    document = office.client.get("/openapi.json").json
    desk = Desk(store_url)
    desk.at("2026-03-02 09:00").sell()
    number = desk.ticket()["ticket"]
    desk.at("2026-03-02 12:00").do("ticket.respond", ticket=number, by=ANA)
    answer = office.get("/v1/sla/what-if?limits=basic/low=1h&explain=true&aim=100&curve=true").json
    schema = {**document["components"]["schemas"]["what_if_answer"], "components": document["components"]}
    assert [error.message for error in OAS31Validator(schema).iter_errors(answer)] == []
    [scenario] = answer["scenarios"]
    sides = scenario["flips"][0]["explained"]
    assert [sides[side]["verdict"] for side in ("before", "after")] == ["met", "breached"]
    assert scenario["aims"][0]["limit_seconds"] == 3 * 3600 + 1
    words = ["--database", store_url, "--lang", "es", "sla", "what-if", "--limit", "basic/low=1h", "--explain"]
    shown = CliRunner().invoke(assemble("es_GT"), words, catch_exceptions=False).output
    for side in sides.values():
        for line in side["words"]["es_GT"][:3]:
            assert line in shown
    assert "\n  total " in shown
    assert "Cambia un caso (1 de cumplido a incumplido); mostrados: 1." in shown
    chart = tmp_path / "chart.svg"
    drawn = CliRunner().invoke(assemble("es_GT"), [*words, "--chart", str(chart)], catch_exceptions=False).output
    assert str(chart) in drawn
    assert "<title>1h: " in chart.read_text("utf-8"), "the dot stands at the scenario's limit"
    nowhere = CliRunner().invoke(assemble("es_GT"), [*words, "--chart", str(tmp_path / "no" / "x.svg")])
    assert getattr(nowhere.exception, "code", "") == "export_unwritable"
    both = CliRunner().invoke(assemble("es_GT"), [*words, "--scenario", "b:calendar=gt-business"]).exception
    assert isinstance(both, Malformed)
    assert both.message("en").startswith("Field 'limits' is not valid (basic/low): ")
    told = json.loads(CliRunner().invoke(assemble("es_GT"), [*words, "--json"], catch_exceptions=False).output)
    assert told["scenarios"][0]["flips"][0]["explained"]["after"]["under"]["limits"] == {"basic/low": "1h"}
    desk.close()
    office.close()


def test_a_limit_is_not_looked_for_where_nothing_is_decided(sqlite_url: str) -> None:
    """An excluded case and an open one are neither met nor breached under any limit: no share is told of them."""
    desk = Desk(sqlite_url)
    desk.at("2026-03-02 09:00").sell()
    for ticket, priority in (("T-OUT", "high"), ("T-OPEN", "low"), ("T-MET", "medium")):
        desk.ticket(ticket=ticket, priority=priority)
    desk.at("2026-03-02 09:30")
    desk.do("ticket.exclude", ticket="T-OUT", by=BEATRIZ, reason="prueba")
    desk.do("ticket.respond", ticket="T-MET", by=ANA)
    desk.close()
    words = ["--database", sqlite_url, "--lang", "en", "sla", "what-if", "--limit", "basic/low=2h", "--aim", "100"]
    shown = CliRunner().invoke(assemble("en"), words, catch_exceptions=False).output
    assert "basic/high: it has neither met nor breached cases" in shown
    assert "does not apply the limits that were found" in shown
    assert "No case's verdict changes" not in shown
    assert "None" not in shown


def test_an_aim_is_found_though_a_longer_limit_hands_its_cases_to_another_cell(desk: Desk) -> None:
    """Raised at nine, answered at ten: with a long limit for `high` the low one governs, and `high` has no case."""
    desk.at("2026-05-04 08:00").sell()
    number = desk.ticket()["ticket"]
    desk.at("2026-05-04 09:00").do("ticket.prioritise", ticket=number, priority="high", reason="urge", by=ANA)
    desk.at("2026-05-04 10:00").do("ticket.respond", ticket=number, by=ANA)
    [found] = desk.ask("what_if", aim="95")["scenarios"]
    [aim] = found["aims"]
    assert (aim["for"], aim["limit_seconds"], aim["share"], aim["decided"]) == ("basic/high", 3601, "100.00", 1)
    late = desk.ticket(priority="medium")["ticket"]
    desk.at("2026-05-06 10:00")
    aims = {one["for"]: one for one in desk.ask("what_if", aim="95")["scenarios"][0]["aims"]}
    unanswered = aims["basic/medium"]  # breached or open: never met
    assert (unanswered["limit"], unanswered["share"], unanswered["decided"]) == (None, "0.00", 1), late


def test_a_calendar_that_was_overtaken_without_counting_is_not_spoken_of(desk: Desk) -> None:
    """Raised into opening hours, then lowered with the customer's agreement: those hours never counted."""
    desk.at("2026-05-04 08:00").do(
        "calendar.assign", level="basic", priority="high", calendar="gt-business", by=BEATRIZ
    )
    desk.sell()
    number = desk.ticket()["ticket"]
    desk.at("2026-05-04 08:30").do("ticket.prioritise", ticket=number, priority="high", reason="urge", by=ANA)
    raised = desk.ask("explain", ticket=number)
    assert [one["calendar"] for one in raised["limits"]] == ["24x7@1", "gt-business@1"]
    desk.at("2026-05-04 09:00").do("ticket.prioritise", ticket=number, priority="low", agreed=True, reason="x", by=ANA)
    told = desk.ask("explain", ticket=number)
    assert (told["calendar"], told["unpublished"]) == ("24x7@1", [])
    assert [one["of"] for one in told["counterfactuals"] if one["kind"] == "calendar"] == ["gt-business@1"]
