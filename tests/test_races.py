"""Races: exactly one wins, the others are told why, and nothing is done twice."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from ledger.application import Caller, Ledger
from ledger.errors import LedgerError
from ledger.store import open_store

PROCESS = """
import sys, json
from ledger.application import Caller, Ledger
from ledger.errors import LedgerError
from ledger.store import open_store
ledger = Ledger(open_store(sys.argv[1]))
ledger.ask("balance", {"account": "C-1"})
print("ready", flush=True)
sys.stdin.readline()
found = []
for n in range(8):
    given = {"account": "C-1", "ticket": f"{sys.argv[2]}-{n}", "request": "general", "priority": "low"}
    try:
        answer = ledger.execute("ticket.open", given, caller=Caller())
        found.append("ok" if answer["ok"] else answer["code"])
    except LedgerError as refused:
        found.append(refused.code)
print(json.dumps(found))
"""


@pytest.fixture(name="ledger")
def _ledger(store_url: str) -> Any:
    """A Basic plan with one ticket left."""
    ledger = Ledger(open_store(store_url))
    ledger.store.migrate(test_clock=True)
    ledger.clock.move(datetime.fromisoformat("2026-01-05T09:00:00-06:00"))
    do(ledger, "account.open", account="C-1", name="Panadería Ixchel")
    do(ledger, "plan.purchase", account="C-1", level="basic", term="monthly", channel="web")
    do(ledger, "payment.record", account="C-1", amount="250.00", method="cash", reference="R-1")
    for number in range(4):
        do(ledger, "ticket.open", account="C-1", ticket=f"T-{number}", request="general", priority="low")
    yield ledger
    ledger.close()


def do(ledger: Ledger, command: str, /, *, key: str = "", **given: str) -> dict[str, Any]:
    return ledger.execute(command, given, caller=Caller(), key=key)


def at_once(count: int, act: Callable[[int], dict[str, Any]]) -> Counter[str]:
    """Let `count` threads act at once; return how often each code came out ("ok" for done)."""
    found: Counter[str] = Counter()
    start = threading.Barrier(count)

    def run(number: int) -> None:
        start.wait()
        try:
            answer = act(number)
            found["ok" if answer["ok"] else answer["code"]] += 1
        except LedgerError as refused:
            found[refused.code] += 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize("own", [False, True], ids=["one ledger", "a ledger each"])
def test_of_32_threads_for_the_last_unit_one_wins(ledger: Ledger, store_url: str, own: bool) -> None:
    ledgers = [Ledger(open_store(store_url)) if own else ledger for _ in range(32)]
    found = at_once(
        32,
        lambda n: do(ledgers[n], "ticket.open", account="C-1", ticket=f"R-{n}", request="general", priority="low"),
    )
    assert found == {"ok": 1, "no_tickets_left": 31}
    balance = ledger.ask("balance", {"account": "C-1"})
    assert (balance["used"], balance["remaining"]) == (5, 0)
    for other in ledgers if own else []:
        other.close()


def test_of_four_processes_for_the_last_unit_one_wins(ledger: Ledger, store_url: str) -> None:
    command = [sys.executable, "-c", PROCESS, store_url]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes: list[Any] = [subprocess.Popen([*command, f"P{number}"], **pipes) for number in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    found = Counter(code for process in processes for code in json.loads(process.communicate(timeout=60)[0]))
    assert found == {"ok": 1, "no_tickets_left": 31}
    assert ledger.ask("balance", {"account": "C-1"})["used"] == 5


def test_one_ticket_number_opened_by_many_is_opened_once(ledger: Ledger) -> None:
    found = at_once(
        8, lambda _n: do(ledger, "ticket.open", account="C-1", ticket="SAME", request="general", priority="low")
    )
    assert found == {"ok": 1, "duplicate_ticket": 7}
    assert ledger.ask("balance", {"account": "C-1"})["used"] == 5


def test_an_account_opened_and_paid_at_once_is_opened_and_paid_once(ledger: Ledger) -> None:
    assert at_once(8, lambda _n: do(ledger, "account.open", account="C-2", name="x")) == {
        "ok": 1,
        "duplicate_account": 7,
    }
    plan = {"account": "C-2", "level": "basic", "term": "monthly", "channel": "web"}
    assert at_once(8, lambda _n: do(ledger, "plan.purchase", **plan)) == {"ok": 1, "already_subscribed": 7}
    payment = {"account": "C-2", "amount": "250.00", "method": "cash", "reference": "R-2"}
    assert at_once(8, lambda _n: do(ledger, "payment.record", **payment)) == {"ok": 1, "duplicate_reference": 7}
    assert ledger.ask("billing", {"account": "C-2"})["received"] == "250.00"


def test_a_reference_is_used_once_over_all_accounts(ledger: Ledger) -> None:
    for number in range(4):
        do(ledger, "account.open", account=f"D-{number}", name="x")
    found = at_once(
        4,
        lambda n: do(ledger, "payment.record", account=f"D-{n}", amount="1.00", method="cash", reference="ONE"),
    )
    assert found == {"ok": 1, "duplicate_reference": 3}


def test_one_key_at_once_has_one_effect_and_one_answer(ledger: Ledger) -> None:
    answers: list[Any] = []

    def act(_number: int) -> dict[str, Any]:
        answer = do(ledger, "addon.purchase", account="C-1", level="basic", key="once")
        answers.append({**answer, "replayed": True})
        return answer

    assert at_once(16, act) == {"ok": 16}
    assert all(answer == answers[0] for answer in answers)
    charges = ledger.ask("billing", {"account": "C-1"})["charges"]
    assert sum(charge["kind"] == "addon" for charge in charges) == 1


def test_sweeps_at_once_record_what_fell_due_once(ledger: Ledger, store_url: str) -> None:
    ledger.clock.move(datetime.fromisoformat("2026-03-05T09:00:00-06:00"))
    due = ledger.ask("balance", {"account": "C-1"})["not_yet_recorded"]
    assert due > 0
    before = len(ledger.store.rows(0, 1000))
    others = [Ledger(open_store(store_url)) for _ in range(4)]
    at_once(4, lambda n: {"ok": others[n].record_due("C-1") >= 0})
    assert len(ledger.store.rows(0, 1000)) == before + due
    for other in others:
        other.close()


KILLED = """
import sys
from ledger.application import Caller, Ledger
from ledger.store import open_store
ledger = Ledger(open_store(sys.argv[1]))
for n in range(10_000):
    for step in ("addon.purchase", "payment.record"):
        given = {"account": "C-1", "level": "advanced"}
        if step == "payment.record":
            given = {"account": "C-1", "amount": "600.00", "method": "cash", "reference": f"{sys.argv[2]}-{n}"}
        ledger.execute(step, given, caller=Caller(), key=f"{step}-{sys.argv[2]}-{n}")
    print(n, flush=True)
"""


def test_a_writer_killed_midway_leaves_whole_transactions(ledger: Ledger, store_url: str) -> None:
    for life in range(3):
        command = [sys.executable, "-c", KILLED, store_url, f"life{life}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(3 + life):
                assert writer.stdout.readline()
            writer.kill()
    if ledger.store.dialect == "sqlite":
        assert ledger.store.query("PRAGMA integrity_check") == [("ok",)]
    billing, balance = (ledger.ask(question, {"account": "C-1"}) for question in ("billing", "balance"))
    paid = [c for c in billing["charges"] if c["kind"] == "addon" and c["state"] == "paid"]
    addons = [g for g in balance["grants"] if g["kind"] == "addon"]
    assert len(paid) >= 12, "each life told of several"
    assert len(addons) == len(paid), "a payment and the tickets it brings are one transaction"
    assert balance["not_yet_recorded"] == 0
    assert do(ledger, "addon.purchase", account="C-1", level="basic")["ok"]


def test_invoices_of_payments_at_once_have_no_gap(ledger: Ledger) -> None:
    """32 customers pay at once: each gets an invoice, and the numbers are 1 to 33."""
    for number in range(32):
        do(ledger, "account.open", account=f"D-{number}", name="Cliente")
        do(ledger, "plan.purchase", account=f"D-{number}", level="basic", term="monthly", channel="web")

    def pay(number: int) -> dict[str, Any]:
        given = {"amount": "250.00", "method": "cash", "reference": f"P-{number}"}
        return do(ledger, "payment.record", account=f"D-{number}", **given)

    assert at_once(32, pay) == {"ok": 32}
    rows = ledger.store.select_events("series/F")
    assert [row.originator_version for row in rows] == list(range(1, 34))
    names = [ledger.ask("documents", {"account": f"D-{n}"})["documents"][0]["document"] for n in range(32)]
    assert len(set(names)) == 32
