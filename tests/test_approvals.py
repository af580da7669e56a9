"""Two people: what needs a second one changes nothing until they act, and nobody approves themselves."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ledger import facts as f
from ledger import requests
from ledger.application import Caller
from ledger.errors import LedgerError
from ledger.rules import people
from ledger.rules.approvals import Settings
from tests.given import ANA, BEATRIZ, LUIS, MARTA, PANADERIA, Desk

CARMEN = Caller("carmen", "finance", "console")
PROGRAM = Path(sys.executable).with_name("supportledger")


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    made = Desk(store_url)
    made.at("2026-05-04 10:00").sell(PANADERIA, "advanced")
    yield made
    made.close()


def credit(desk: Desk, amount: str, by: Caller = MARTA) -> dict[str, Any]:
    asked = {"account": PANADERIA, "charge": "C-100-S1-p", "amount": amount}
    return desk.do("charge.credit", by=by, reason="precio", **asked)


def test_finance_alone_credits_up_to_the_limit_and_not_in_small_parts_beyond_it(desk: Desk) -> None:
    assert credit(desk, "250.00")["note"]
    assert credit(desk, "0.01")["pending"] == "R-1"
    assert desk.ask("billing", account=PANADERIA)["credited"] == "250.00"
    for who, code in ((MARTA, "approver_is_asker"), (ANA, "role_not_allowed")):
        with desk.refused(code):
            desk.do("approval.give", by=who, request="R-1")
    assert desk.do("approval.give", by=CARMEN, request="R-1")["effect"]["gross"] == "0.01"
    with desk.refused("request_closed"):
        desk.do("approval.give", by=BEATRIZ, request="R-1")
    assert desk.ask("billing", account=PANADERIA)["credited"] == "250.01"


def test_a_managers_own_above_the_limit_waits_too(desk: Desk) -> None:
    assert credit(desk, "250.01", by=BEATRIZ)["pending"] == "R-1"
    assert desk.do("approval.give", by=MARTA, request="R-1")["ok"]


@pytest.mark.parametrize("name", ["ana", "\u0430na", "A\u200bNA", "Aná"])
def test_an_agent_does_not_exclude_their_own_late_case_by_any_name(desk: Desk, name: str) -> None:
    ticket = desk.ticket(by=ANA)["ticket"]
    desk.at("2026-05-05 10:00").do("ticket.respond", ticket=ticket, by=ANA)
    with pytest.raises(LedgerError) as told:
        desk.ledger.execute("ticket.exclude", {"ticket": ticket, "approver": name}, caller=ANA, reason="corte")
    assert told.value.code in ("approver_not_taken", "malformed")  # no name is written in two scripts
    assert desk.do("ticket.exclude", ticket=ticket, by=ANA, reason="corte")["pending"] == "R-1"
    with desk.refused("approver_is_asker"):
        desk.do("approval.give", by=Caller(name, "manager", "console"), request="R-1")
    assert desk.clock(ticket)["verdict"] == "breached"
    assert desk.do("approval.give", by=BEATRIZ, request="R-1")["effect"]["verdict"] == "excluded"


def test_an_agent_alone_gives_two_units_back_a_month(desk: Desk) -> None:
    answers = [desk.do("ticket.give_back", ticket=desk.ticket(by=ANA)["ticket"], by=ANA, reason="x") for _ in range(4)]
    assert ["pending" in answer for answer in answers] == [False, False, True, True]
    assert desk.balance()["used"] == 2
    waiting = desk.ledger.ask("approvals", {}, caller=BEATRIZ)["requests"]
    assert [one["request"] for one in waiting] == ["R-2", "R-1"]
    desk.do("approval.refuse", by=BEATRIZ, request="R-1")
    desk.do("approval.withdraw", by=ANA, request="R-2")
    assert desk.ledger.ask("approvals", {}, caller=BEATRIZ)["requests"] == []


def test_a_request_ends_after_thirty_days(desk: Desk) -> None:
    credit(desk, "300.00")
    desk.at("2026-06-04 00:00")
    with desk.refused("request_closed"):
        desk.do("approval.give", by=BEATRIZ, request="R-1")


def test_approved_when_the_verdict_is_final_an_exclusion_is_a_revision(desk: Desk) -> None:
    ticket = desk.ticket(by=LUIS)["ticket"]
    desk.do("ticket.exclude", ticket=ticket, by=ANA, reason="corte")
    desk.at("2026-06-02 10:00").do("approval.give", by=BEATRIZ, request="R-1")
    (revised,) = desk.events(PANADERIA, "ticket.revised")
    assert (revised["by"], revised["approver"], revised["approval"]) == ("ana", "beatriz", "R-1")


def test_two_approvers_at_once_have_one_effect(desk: Desk) -> None:
    credit(desk, "300.00")

    def give(who: Caller) -> str:
        try:
            return str(desk.do("approval.give", by=who, request="R-1")["ok"])
        except LedgerError as no:
            return no.code

    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(give, [CARMEN, BEATRIZ, CARMEN, BEATRIZ]))
    assert sorted(told) == ["True", "request_closed", "request_closed", "request_closed"]
    assert desk.ask("billing", account=PANADERIA)["credited"] == "300.00"


@pytest.mark.parametrize("seed", range(6))
def test_no_history_reaches_an_effect_without_two_people(desk: Desk, seed: int) -> None:
    rng = random.Random(seed)
    staff = [Caller(n, r, "console") for n in ("ana", "luis", "rosa") for r in ("agent", "finance", "manager")]
    tickets = [desk.ticket(by=rng.choice(staff[::3]))["ticket"] for _ in range(6)]
    for _ in range(60):
        who, ticket = rng.choice(staff), rng.choice(tickets)
        one = f"R-{rng.randrange(1, 8)}"
        amount = f"{rng.randrange(1, 120)}.00"
        acts: list[tuple[str, dict[str, Any]]] = [
            ("ticket.exclude", {"ticket": ticket}),
            ("ticket.give_back", {"ticket": ticket}),
            ("ticket.respond", {"ticket": ticket}),
            ("charge.credit", {"account": PANADERIA, "charge": "C-100-S1-p", "amount": amount}),
            ("approval.give", {"request": one}),
            ("approval.refuse", {"request": one}),
        ]
        name, given = rng.choice(acts)
        try:
            desk.do(name, by=who, reason="x", **given)
        except LedgerError:
            continue
    free = credited = 0
    facts = [f.decode(row.topic, row.state) for row in desk.ledger.store.rows(0, 10_000)]
    for fact in facts:
        if isinstance(fact, (f.TicketExcluded, f.TicketGivenBack, f.CreditNoted)):
            if fact.approval.startswith("R-"):
                found = requests.find(desk.ledger.store, fact.approval)
                assert found is not None
                assert isinstance(found.closed, f.ApprovalGiven)
                assert not people.same(found.asked.by, found.closed.by)
            elif isinstance(fact, f.TicketGivenBack):
                free += fact.approval == ""
            elif isinstance(fact, f.CreditNoted):
                credited += fact.gross
            else:
                assert fact.approval == "own"
    assert free <= 2
    assert credited <= 25_000


def test_what_the_one_approver_did_alone_is_listed_at_the_closing(desk: Desk) -> None:
    desk.ledger.approval_settings = Settings(alone="beatriz")
    assert credit(desk, "300.00", by=BEATRIZ)["note"]
    assert credit(desk, "300.00", by=MARTA)["pending"] == "R-2"
    desk.at("2026-06-02 10:00")
    (one,) = desk.do("books.close", month="2026-05")["approved_alone"]
    assert (one["request"], one["amount"], one["asked_by"]) == ("R-1", "300.00", "beatriz")


def run(folder: Path, *words: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    around = {**os.environ, "LEDGER_DATABASE_URL": f"sqlite:///{folder}/l.db", "HOME": str(folder), **env}
    around.pop("XDG_CONFIG_HOME", None)
    return subprocess.run([PROGRAM, *words], capture_output=True, text=True, input=stdin, env=around, check=False)


def test_ones_own_token_says_who_acts_at_the_command_line(tmp_path: Path) -> None:
    run(tmp_path, "migrate", "--test-clock")
    assert '"operator"' in run(tmp_path, "whoami", "--json").stdout
    made = run(tmp_path, "token", "create", "--role", "agent", "--name", "ana", "--json").stdout
    secret = made.split('"token": "')[1].split('"')[0]
    run(tmp_path, "account", "open", "C-1", "--name", "Uno")
    assert run(tmp_path, "login", stdin=secret).returncode == 0
    file = tmp_path / ".config" / "supportledger" / "token"
    assert file.stat().st_mode & 0o777 == 0o600
    assert '"agent"' in run(tmp_path, "whoami", "--json").stdout
    line = '{"do": "account.open", "account": "C-2", "name": "Dos", "by": "luis"}'
    assert "by_is_the_operators" in run(tmp_path, "apply", stdin=line).stdout
    file.chmod(0o644)
    refused = run(tmp_path, "whoami")
    assert (refused.returncode, "chmod 600" in refused.stderr) == (1, True)
