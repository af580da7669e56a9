"""The command line: what a person types, what comes out, and the exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ledger.cli import assemble, main
from ledger.commands import COMMANDS, QUESTIONS
from ledger.errors import LedgerError
from ledger.store import open_store

Cli = Callable[..., Result]


@pytest.fixture(name="cli")
def _cli(store_url: str) -> Cli:
    """Run commands on a fresh test-clock ledger whose clock stands at 2026-01-05 09:00 in Guatemala."""

    def run(*words: str, lang: str = "en", stdin: str = "") -> Result:
        return CliRunner().invoke(assemble(), ["--database", store_url, "--lang", lang, *words], input=stdin)

    assert run("migrate", "--test-clock").exit_code == 0
    assert run("clock", "set", "2026-01-05T09:00:00-06:00").exit_code == 0
    return run


def answer(result: Result) -> dict[str, Any]:
    """Return the JSON a command printed."""
    assert result.exit_code == 0, (result.output, result.exception)
    decoded: dict[str, Any] = json.loads(result.stdout)
    return decoded


def sold_and_paid(cli: Cli) -> None:
    """Panadería Ixchel buys a Basic plan and pays it."""
    assert cli("account", "open", "C-1", "--name", "Panadería Ixchel").exit_code == 0
    bought = answer(
        cli("plan", "purchase", "C-1", "--level", "basic", "--term", "monthly", "--channel", "web", "--json")
    )
    assert bought["charge"]["gross"] == "250.00"
    paid = ("payment", "record", "C-1", "--amount", "250.00", "--method", "cash", "--reference", "R-1", "--json")
    assert answer(cli(*paid))["applied"] == [{"charge": "C-1-S1-p", "amount": "250.00"}]


def test_a_clerk_sells_a_plan_and_an_agent_asks_what_is_left(cli: Cli) -> None:
    sold_and_paid(cli)
    opened = answer(cli("ticket", "open", "C-1", "T-1", "--request", "general", "--priority", "high", "--json"))
    assert opened["due_at"] == "2026-01-05T11:00:00-06:00"
    left = answer(cli("balance", "C-1", "--json"))
    assert (left["state"], left["granted"], left["used"], left["remaining"]) == ("in_force", 5, 1, 4)


def test_a_balance_for_people_speaks_spanish_first(cli: Cli) -> None:
    sold_and_paid(cli)
    shown = cli("balance", "C-1", lang="es_GT").stdout
    assert "vigente" in shown
    assert "quedan" in shown
    assert "Básico" in shown


def test_coverage_for_people_says_why_in_words(cli: Cli) -> None:
    sold_and_paid(cli)
    assert "Cubierto: consume un ticket." in cli("coverage", "C-1", "--request", "general", lang="es_GT").stdout
    assert "included from plan Advanced on" in cli("coverage", "C-1", "--request", "training").stdout


def test_people_read_their_own_language_alone_of_a_request_and_of_a_role(cli: Cli) -> None:
    sold_and_paid(cli)
    late = ("apply", "-")
    lines = [
        {"do": "ticket.open", "account": "C-1", "ticket": "T-1", "request": "general", "priority": "low"},
        {"do": "ticket.exclude", "ticket": "T-1", "reason": "corte", "role": "agent", "by": "ana"},
        {"do": "courtesy.grant", "account": "C-1", "level": "basic", "units": 1, "role": "agent", "by": "ana"},
    ]
    told = cli(*late, lang="es_GT", stdin="".join(f"{json.dumps(line)}\n" for line in lines)).stdout.splitlines()
    assert json.loads(told[1])["pending"] == "R-1"
    assert json.loads(told[2])["message"].endswith("gerente, operador.")
    assert json.loads(told[2])["roles"] == "manager, operator"
    spanish, english = (cli("approval", "list", lang=lang).stdout for lang in ("es_GT", "en"))
    assert "Excluir el caso T-1" in spanish
    assert "Exclude" not in spanish
    assert "Exclude case T-1" in english
    assert "Excluir" not in english


def test_history_for_people_is_in_words_with_money_as_in_guatemala(cli: Cli) -> None:
    sold_and_paid(cli)
    shown = cli("history", "C-1", lang="es_GT").stdout
    assert "Pago de Q250.00" in shown
    assert "5 tickets Básico asignados" in shown


def test_a_declined_request_exits_1_and_says_why(cli: Cli) -> None:
    cli("account", "open", "C-1", "--name", "Café Atitlán")
    declined = cli("ticket", "open", "C-1", "T-1", "--request", "general", "--priority", "low", "--json")
    assert declined.exit_code == 1
    assert json.loads(declined.stdout)["code"] == "no_plan"


def test_a_refusal_is_a_ledger_error_with_its_code(cli: Cli) -> None:
    refused = cli("balance", "C-404")
    assert isinstance(refused.exception, LedgerError)
    assert refused.exception.code == "unknown_account"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["balance", "C-404"], 1, "There is no account C-404"),
        (["payment", "record", "C-1", "--amount", "1.005", "--method", "cash", "--reference", "R"], 2, "'amount'"),
        (["balance"], 2, "Missing argument"),
        (["--lang", "fr", "status"], 2, "Valor incorrecto"),
    ],
    ids=["unknown account", "three decimals", "no account", "unknown language"],
)
def test_exit_codes(
    words: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LEDGER_DATABASE_URL", f"sqlite:///{tmp_path / 'ledger.db'}")
    monkeypatch.setenv("LEDGER_LANG", "en")
    with pytest.raises(SystemExit) as migrated:
        main(["migrate"])
    assert migrated.value.code == 0
    with pytest.raises(SystemExit) as exited:
        main(words)
    assert exited.value.code == code
    assert said in capsys.readouterr().err


def test_json_of_a_refusal_is_on_standard_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEDGER_DATABASE_URL", f"sqlite:///{tmp_path / 'missing.db'}")
    with pytest.raises(SystemExit) as exited:
        main(["status", "--json"])
    assert exited.value.code == 1
    assert json.loads(capsys.readouterr().out)["code"] == "database_missing"


def test_apply_goes_on_after_a_refusal_and_exits_2_only_for_malformed_lines(cli: Cli) -> None:
    lines = [
        '{"do": "account.open", "account": "C-1", "name": "Ferretería Tikal"}',
        '{"ask": "balance", "account": "C-2"}',
        '{"ask": "balance", "account": "C-1"}',
    ]
    done = cli("apply", stdin="\n".join(lines))
    assert [json.loads(line)["ok"] for line in done.stdout.splitlines()] == [True, False, True]
    assert done.exit_code == 0
    malformed = cli("apply", stdin='{"do": "account.open", "account": 7, "name": "x"}\n' + lines[2])
    answers = [json.loads(line) for line in malformed.stdout.splitlines()]
    assert (answers[0]["code"], answers[0]["field"]) == ("malformed", "account")
    assert answers[1]["ok"]
    assert malformed.exit_code == 2


def test_apply_help_names_every_command_and_question(cli: Cli) -> None:
    shown = cli("apply", "--help").output
    for name in (*COMMANDS, *QUESTIONS):
        assert f'"{name}"' in shown


def test_every_command_stands_on_the_command_line() -> None:
    root = assemble()
    for name in COMMANDS:
        noun, verb = name.split(".")
        group = root.commands[noun]
        assert verb.replace("_", "-") in group.commands  # type: ignore[attr-defined]


def test_projections_rebuild_check_and_report(cli: Cli) -> None:
    sold_and_paid(cli)
    cli("ticket", "open", "C-1", "T-1", "--request", "general", "--priority", "low")
    states = answer(cli("projections", "catch-up", "--json"))["projections"]
    assert [s["projection"] for s in states] == ["balances", "billing", "declines", "notices", "queue", "tickets"]
    assert all(s["lag"] == 0 for s in states)
    assert cli("projections", "rebuild").exit_code == 0
    checked = answer(cli("projections", "rebuild", "--check", "--json"))
    assert (checked["ok"], checked["differences"]) == (True, {})
    assert {one["position"] for one in checked["compared"]} == {checked["position"]}
    assert {one["projection"] for one in checked["compared"] if one["rows"]} >= {"balances", "billing", "tickets"}
    rows = answer(cli("sla", "report", "--json"))["rows"]
    counts = {"level": "basic", "priority": "low", "total": 1, "met": 0, "breached": 0, "open": 1, "excluded": 0}
    assert [{name: row[name] for name in counts} for row in rows] == [counts]


def test_the_sweep_records_what_fell_due_once(cli: Cli, store_url: str) -> None:
    sold_and_paid(cli)
    store = open_store(store_url)
    store.set_meta("test_clock", "frozen 2026-03-01T15:00:00.000000Z")  # unlike `clock set`, nothing happens
    store.close()
    before = answer(cli("balance", "C-1", "--json"))
    assert before["not_yet_recorded"] > 0
    swept = answer(cli("scheduler", "once", "--json"))
    assert (swept["accounts"], swept["facts"]) == (1, before["not_yet_recorded"])
    again = answer(cli("scheduler", "once", "--json"))
    assert (again["accounts"], again["facts"]) == (0, 0)
    after = answer(cli("balance", "C-1", "--json"))
    assert after == {**before, "not_yet_recorded": 0}


def test_a_token_is_shown_once_and_can_be_revoked(cli: Cli) -> None:
    made = answer(cli("token", "create", "--role", "agent", "--name", "ana", "--json"))
    listed = answer(cli("token", "list", "--json"))["tokens"]
    assert [(t["role"], t["name"], t["revoked_at"]) for t in listed] == [("agent", "ana", None)]
    assert made["token"] not in json.dumps(listed)
    assert answer(cli("token", "revoke", made["token"][:11], "--json"))["revoked"] == 1


def test_the_command_starts_as_a_module(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ledger.cli", "--database", f"sqlite:///{tmp_path / 'l.db'}", "migrate", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, json.loads(done.stdout)["migrated"]) == (0, True)
