"""Where explanations are asked for, saved and checked: command line, apply, HTTP; and what their hash is worth."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ledger.apply import answers
from ledger.cli import assemble
from ledger.explaining import UNHASHED, digest, first_difference
from tests.explained import drawn, explain
from tests.given import ANA, BEATRIZ, Desk
from tests.sla_desk import act, opened, opened_desk
from tests.test_api import Office

Cli = Callable[..., Result]
# What a printed explanation has on it: it may not change with the store, the process, or the next version.
HASH = "sha256:297501c5acdb1a7b59f198196e384a31f8e521ca24b7bb86bacbaaa1bc6d76bf"


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    """T-1: a raise, an answer late by eleven minutes and ten seconds."""
    with opened_desk(store_url) as desk:
        ticket = opened(desk)
        act(desk, "prioritise", ticket, "10:30", priority="high", reason="no puede facturar")
        act(desk, "respond", ticket, "11:41:10")
        yield desk


@pytest.fixture(name="cli")
def _cli(desk: Desk, store_url: str) -> Cli:
    assert desk.position

    def run(*words: str, lang: str = "en") -> Result:
        return CliRunner().invoke(assemble(), ["--database", store_url, "--lang", lang, "sla", *words])

    return run


def test_the_hash_is_the_same_on_both_stores_and_in_another_process(desk: Desk, store_url: str) -> None:
    told = explain(desk, "T-1")
    assert told["hash"] == HASH
    words = [sys.executable, "-m", "ledger.cli", "--database", store_url, "sla", "explain", "T-1", "--json"]
    shown = subprocess.run([*words, "--at", told["at"]], capture_output=True, text=True, check=True)
    assert json.loads(shown.stdout) == told


def test_any_change_of_the_data_changes_the_hash_and_no_change_of_words_does(desk: Desk) -> None:
    told = explain(desk, "T-1")
    for name, value in told.items():
        if name in UNHASHED:
            assert digest({**told, name: "x"}) == told["hash"]
        else:
            assert digest({**told, name: [value]}) != told["hash"], name
    assert digest(json.loads(json.dumps(told))) == told["hash"]
    assert digest(dict(reversed(told.items()))) == told["hash"]


def test_the_command_line_tells_it_in_both_languages_draws_it_and_prints_json(
    cli: Cli, desk: Desk, tmp_path: Path
) -> None:
    told = explain(desk, "T-1")
    for lang in ("es_GT", "en"):
        assert cli("explain", "T-1", lang=lang).output.splitlines()[:-1] == told["words"][lang]
    assert cli("explain", "T-1", "--lang", "es").output.splitlines()[0] == told["words"]["es_GT"][0]
    svg = tmp_path / "T-1.svg"
    shown = cli("explain", "T-1", "--svg", str(svg), "--json")
    assert json.loads(shown.output) == told
    assert svg.read_text("utf-8").startswith("<svg ")
    assert len(list(drawn(told))) > 10
    assert cli("explain", "T-1", "--svg", str(tmp_path / "none" / "x.svg")).exit_code != 0


def test_apply_tells_the_same(desk: Desk) -> None:
    told = explain(desk, "T-1")
    (line,) = answers(desk.ledger, [json.dumps({"ask": "explain", "ticket": "T-1"}).encode()], lang="en")
    assert {name: line[name] for name in told} == told
    (no,) = answers(desk.ledger, [json.dumps({"ask": "explain", "ticket": "T-1", "at": "soon"}).encode()], lang="en")
    assert (no["code"], no["field"]) == ("malformed", "at")


def test_an_agent_is_told_of_the_cases_they_answered_or_hold(desk: Desk) -> None:
    other = opened(desk)
    assert desk.ask("explain", ticket="T-1", agent="ana")["ticket"] == "T-1"
    for agent, ticket in (("luis", "T-1"), ("ana", other)):
        with desk.refused("not_your_case"):
            desk.ask("explain", ticket=ticket, agent=agent)
    desk.do("ticket.assign", ticket=other, to="luis", by=BEATRIZ)
    assert desk.ask("explain", ticket=other, agent="luis")["ticket"] == other
    desk.do("ticket.assign", ticket=other, to="ana", by=ANA)
    with desk.refused("not_your_case"):
        desk.ask("explain", ticket=other, agent="luis")


def test_over_http_an_agent_sees_their_own_finance_none_managers_all(store_url: str) -> None:
    office = Office(store_url)
    office.account()
    body: dict[str, Any] = {"ticket": "T-1", "request": "administrative", "priority": "low"}
    office.post("/v1/accounts/C-1/tickets", body)
    path = "/v1/tickets/T-1/explanation"
    statuses = {role: office.call("GET", path, None, role=role).status_code for role in ("agent", "finance", "manager")}
    assert statuses == {"agent": 403, "finance": 403, "manager": 200}
    assert office.get(f"{path}?agent=marta", role="agent").json["agent"] == "ana", "their own name, whatever they say"
    office.post("/v1/tickets/T-1/responses", role="agent")
    assert office.call("GET", path, None, role="agent").status_code == 200
    office.close()


# --- checking a saved one -------------------------------------------------------------------------------------------


def saved(cli: Cli, folder: Path, *words: str, **changes: Any) -> str:
    told = json.loads(cli("explain", "T-1", "--json", *words).output)
    file = folder / "explanation.json"
    file.write_text(json.dumps({**told, **changes}, indent=2), "utf-8")
    return str(file)


def test_a_saved_explanation_is_found_good_and_the_same_today(cli: Cli, tmp_path: Path) -> None:
    shown = cli("verify", saved(cli, tmp_path))
    assert (shown.exit_code, len(shown.output.splitlines())) == (0, 2)
    found = json.loads(cli("verify", saved(cli, tmp_path), "--json").output)
    assert (found["ok"], found["hash_is_its_own"], found["same_today"]) == (True, True, True)


def test_without_a_ledger_only_the_hash_is_checked(cli: Cli, tmp_path: Path) -> None:
    file = saved(cli, tmp_path)
    found = json.loads(CliRunner().invoke(assemble(), ["sla", "verify", file, "--json"]).output)
    assert found["ok"]
    assert "same_today" not in found


def test_a_supposition_is_checked_by_its_hash_alone(cli: Cli, desk: Desk, tmp_path: Path) -> None:
    [scenario] = desk.ask("what_if", limits="advanced/low=3h,advanced/high=2h", explain=True)["scenarios"]
    file = tmp_path / "after.json"
    file.write_text(json.dumps(scenario["flips"][0]["explained"]["after"]), "utf-8")
    shown = cli("verify", str(file))
    assert (shown.exit_code, len(shown.output.splitlines())) == (0, 2)
    assert "supposition" in shown.output
    assert "same_today" not in json.loads(cli("verify", str(file), "--json").output)


def test_changed_data_and_changed_words_are_found(cli: Cli, tmp_path: Path) -> None:
    shown = cli("verify", saved(cli, tmp_path, late_by_us=1))
    assert shown.exit_code == 1
    assert "not that of the content" in shown.output
    words = {"es_GT": ["Caso T-1: cumplido."], "en": ["Case T-1: met."]}
    shown = cli("verify", saved(cli, tmp_path, words=words))
    assert shown.exit_code == 1
    assert "words.es_GT" in shown.output


def test_what_the_ledger_answers_otherwise_today_is_named(cli: Cli, desk: Desk, tmp_path: Path) -> None:
    file = saved(cli, tmp_path)
    believed = saved_as(cli, tmp_path, "--known-at", "2026-05-04T11:41:10-06:00")
    desk.at("2026-05-04 12:00").do("ticket.respond", ticket="T-1", at="2026-05-04 11:29", by=ANA)
    found = json.loads(cli("verify", file, "--json").output)
    assert (found["ok"], found["hash_is_its_own"], found["same_today"]) == (False, True, False)
    assert (found["place"], found["saved"], found["found"]) == (
        "responded_at", "2026-05-04T11:41:10-06:00", "2026-05-04T11:29:00-06:00",
    )  # fmt: skip
    shown = cli("verify", file).output
    assert "first:" in shown
    assert "other versions" not in shown
    other = saved(
        cli, tmp_path, "--known-at", "2026-05-04T11:41:10-06:00", made_with={"engine": "0", "tzdata": "1999a"}
    )
    assert cli("verify", other).exit_code == 0, "other versions, the same answer"
    other = saved(cli, tmp_path, made_with={"engine": "0", "tzdata": "1999a"})
    desk.do("ticket.respond", ticket="T-1", at="2026-05-04 11:28", by=ANA)
    assert "engine 0, tzdata 1999a then" in cli("verify", other).output
    assert cli("verify", believed).exit_code == 0, "what was known then never changes"


def saved_as(cli: Cli, folder: Path, *words: str) -> str:
    file = folder / "believed.json"
    file.write_text(cli("explain", "T-1", "--json", *words).output, "utf-8")
    return str(file)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"hash": 1, "ticket": "T-1", "at": "x"}', "\x00", "[" * 9999])
def test_what_is_no_explanation_is_refused(cli: Cli, tmp_path: Path, content: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(content, "utf-8")
    assert getattr(cli("verify", str(file)).exception, "code", "") == "malformed"


def test_the_first_difference_is_named_by_its_place() -> None:
    assert first_difference({"a": 1}, {"a": 1}) is None
    assert first_difference({"b": 2, "a": [1, {"c": 3}]}, {"a": [1, {"c": 4}], "b": 0}) == ("a[1].c", 3, 4)
    assert first_difference({"a": [1]}, {"a": [1, 2]}) == ("a", [1], [1, 2])
    assert first_difference({"a": True}, {"a": 1}) == ("a", True, 1)
    assert first_difference({"a": None}, {}) is None
