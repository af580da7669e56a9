"""References: nobody's money is booked twice, a mistake gives its reference back, a slip has parts (DOMAIN.md 7)."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from ledger import facts as f
from ledger.errors import LedgerError
from ledger.references import reference_stream
from ledger.store import Recorded
from tests.given import BEATRIZ, FERRETERIA, MARTA, PANADERIA, Answer, Desk, minor

WHY: Answer = {"by": BEATRIZ, "reason": "revisado con la boleta"}
SLIP = {"reference": "778899", "bank": "BI"}


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url)
    desk.at("2026-05-01 10:00").open().open(FERRETERIA)
    yield desk
    desk.close()


def back(desk: Desk, payment: str, kind: str = "mistake") -> Answer:
    """Take a payment back."""
    account = payment.rpartition("-")[0]
    return desk.do("payment.reverse", account=account, payment=payment, kind=kind, **WHY)


# --- mistakes -----------------------------------------------------------------------------------------------------


def test_a_mistake_gives_its_reference_back_once(desk: Desk) -> None:
    first = desk.pay(reference="B-1")["payment"]
    back(desk, first)
    assert desk.pay(FERRETERIA, reference="b-1")["payment"] == f"{FERRETERIA}-P1"
    with desk.refused("duplicate_reference") as told:
        desk.pay(reference="B-1")
    assert told.facts == {"reference": "B-1", "account": FERRETERIA, "payment": f"{FERRETERIA}-P1"}


@pytest.mark.parametrize("kind", ["returned_cheque", "chargeback"])
def test_a_deposit_that_was_returned_keeps_its_reference(desk: Desk, kind: str) -> None:
    """The slip was real: what comes instead has a slip of its own."""
    back(desk, desk.pay(reference="B-1")["payment"], kind)
    with desk.refused("duplicate_reference"):
        desk.pay(FERRETERIA, reference="B-1")


def test_a_mistake_recorded_before_gave_no_word_of_it_and_gives_its_reference_back_too(desk: Desk) -> None:
    first = desk.pay(reference="B-1")["payment"]
    now = desk.ledger.clock.now()
    old = f.PaymentReversed(
        customer_no=PANADERIA, occurred_at=now, by="marta", source="api", reason="?", payment=first, kind="mistake",
        approver="marta",
    )  # fmt: skip
    desk.ledger.record(PANADERIA, lambda _account: [old], now)
    assert desk.pay(FERRETERIA, reference="B-1")["ok"]


# --- cheques ------------------------------------------------------------------------------------------------------


def test_a_cheque_of_before_holds_its_number_for_its_customer_alone(desk: Desk) -> None:
    """Cheques used to claim their number over all accounts: what they claim still is what the customer deposited."""
    paid = desk.pay(method="cheque", reference="1001", bank="Banrural")["payment"]
    now = desk.ledger.clock.now()
    claim = f.ReferenceClaimed(
        customer_no=PANADERIA,
        occurred_at=now,
        by="marta",
        source="api",
        bank="Banrural",
        reference="1001",
        payment=paid,
    )
    rows = [Recorded(reference_stream("Banrural", "1001"), 1, claim)]
    desk.ledger.append(rows, now, None, {})
    with desk.refused("duplicate_cheque") as told:
        desk.pay(method="cheque", reference="1001", bank="banrural")
    assert told.facts["payment"] == paid
    desk.pay(FERRETERIA, method="cheque", reference="1001", bank="Banrural")
    desk.pay(FERRETERIA, method="deposit", reference="1001", bank="Banrural")
    with desk.refused("duplicate_reference"):
        desk.pay(method="transfer", reference="1001", bank="Banrural")


@pytest.mark.parametrize(("kind", "free"), [("returned_cheque", True), ("mistake", True), ("chargeback", False)])
def test_a_returned_cheque_may_be_deposited_again_under_its_number(desk: Desk, kind: str, free: bool) -> None:
    back(desk, desk.pay(method="cheque", reference="7", bank="BI")["payment"], kind)
    if not free:
        with desk.refused("duplicate_cheque"):
            desk.pay(method="cheque", reference="7", bank="BI")
        return
    desk.pay(method="cheque", reference="7", bank="BI")
    with desk.refused("duplicate_cheque"):
        desk.pay(method="cheque", reference="7", bank="BI")


# --- slips --------------------------------------------------------------------------------------------------------


def test_a_part_that_does_not_fit_names_what_is_taken_and_where(desk: Desk) -> None:
    desk.pay(amount="120.00", slip_total="500.00", **SLIP)
    desk.pay(FERRETERIA, amount="80.00", slip_total="500.00", **SLIP)
    with desk.refused("slip_used_up") as told:
        desk.pay(amount="300.01", slip_total="500.00", **SLIP, by=MARTA)
    assert (told.facts["taken"], told.facts["left"]) == ("200.00", "300.00")
    assert told.facts["where"] == "C-100 120.00 (C-100-P1), C-200 80.00 (C-200-P1)"
    assert "C-200 80.00" in told.es
    assert "300.00" in told.es


def test_a_slip_is_of_one_currency(desk: Desk) -> None:
    desk.open("C-USD", currency="USD").pay(amount="100.00", slip_total="500.00", **SLIP)
    with desk.refused("slip_total_differs"):
        desk.pay("C-USD", amount="100.00", slip_total="500.00", **SLIP)


def test_history_and_payments_say_what_the_whole_slip_was(desk: Desk) -> None:
    desk.pay(amount="120.00", slip_total="500.00", **SLIP)
    (entry,) = desk.events(PANADERIA, "account.payment_recorded")
    assert (entry["amount"], entry["slip_total"]) == ("120.00", "500.00")
    assert desk.ask("payments", account=PANADERIA)["payments"][0]["slip_total"] == "500.00"


# --- at once ------------------------------------------------------------------------------------------------------

PROCESS = """
import sys, json
from ledger.application import Caller, Ledger
from ledger.errors import LedgerError
from ledger.store import open_store
ledger = Ledger(open_store(sys.argv[1]))
account, given = sys.argv[2], json.loads(sys.argv[3])
ledger.ask("balance", {"account": account})
print("ready", flush=True)
sys.stdin.readline()
found = []
for n in range(8):
    try:
        ledger.execute("payment.record", {"account": account, **given}, caller=Caller())
        found.append("ok")
    except LedgerError as refused:
        found.append(refused.code)
print(json.dumps(found))
"""


def at_once(store_url: str, accounts: list[str], given: Answer) -> Counter[str]:
    """Let a process each record the same eight times at once; return how often each code came out."""
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes: list[Any] = [
        subprocess.Popen([sys.executable, "-c", PROCESS, store_url, account, json.dumps(given)], **pipes)
        for account in accounts
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    return Counter(code for process in processes for code in json.loads(process.communicate(timeout=60)[0]))


def test_processes_take_no_more_of_a_slip_than_there_is(desk: Desk, store_url: str) -> None:
    given = {"amount": "100.00", "method": "deposit", "slip_total": "500.00", **SLIP}
    found = at_once(store_url, [PANADERIA, FERRETERIA, PANADERIA], given)
    assert found == {"ok": 5, "slip_used_up": 19}
    received = [minor(desk.billing(account)["received"]) for account in (PANADERIA, FERRETERIA)]
    assert sum(received) == 50_000


def test_processes_use_what_a_mistake_gave_back_once(desk: Desk, store_url: str) -> None:
    back(desk, desk.pay(reference="B-1")["payment"])
    given = {"amount": "100.00", "method": "transfer", "reference": "B-1"}
    assert at_once(store_url, [PANADERIA, FERRETERIA], given) == {"ok": 1, "duplicate_reference": 15}


def test_processes_deposit_a_cheque_once(desk: Desk, store_url: str) -> None:
    given = {"amount": "100.00", "method": "cheque", "reference": "7", "bank": "BI"}
    assert at_once(store_url, [PANADERIA, PANADERIA], given) == {"ok": 1, "duplicate_cheque": 15}


# --- the law ------------------------------------------------------------------------------------------------------


class Holders:
    """Who holds what, told from DOMAIN.md: a plain list of payments that stand."""

    def __init__(self) -> None:
        self.stand: dict[str, Answer] = {}

    def allows(self, new: Answer) -> bool:
        """Whether a payment may be recorded."""
        if new["method"] == "cheque":
            same = ("account", "method", "bank", "reference")
            return not any(all(old[name] == new[name] for name in same) for old in self.stand.values())
        held = [
            old
            for old in self.stand.values()
            if old["method"] != "cheque" and (old["bank"], old["reference"]) == (new["bank"], new["reference"])
        ]
        whole = new.get("slip_total")
        if whole is None:
            return not held
        one_slip = all(old.get("slip_total") == whole for old in held)
        return one_slip and sum(minor(old["amount"]) for old in [*held, new]) <= minor(whole)


def test_references_are_held_as_the_rule_says(desk: Desk) -> None:
    """60 histories of 40 steps: three accounts, two banks, three references, mistakes, returned cheques."""
    counts: Counter[str] = Counter()
    desk.open("C-300")
    for seed in range(60 if desk.ledger.store.dialect == "sqlite" else 12):
        rng, holders = random.Random(seed), Holders()
        for _step in range(40):
            if rng.random() < 0.25 and holders.stand:
                payment = rng.choice(sorted(holders.stand))
                cheque = holders.stand[payment]["method"] == "cheque"
                kind = rng.choice(["mistake", "returned_cheque"] if cheque else ["mistake"])
                back(desk, payment, kind)
                del holders.stand[payment]
                counts[kind] += 1
                continue
            new: Answer = {
                "account": rng.choice([PANADERIA, FERRETERIA, "C-300"]),
                "method": rng.choice(["deposit", "deposit", "transfer", "cheque"]),
                "bank": rng.choice(["BI", "Banrural"]),
                "reference": f"{seed}-{rng.randrange(3)}",
                "amount": rng.choice(["50.00", "100.00", "200.01"]),
            }
            if new["method"] != "cheque" and rng.random() < 0.7:
                new["slip_total"] = rng.choice(["300.00", "300.00", "300.00", "400.00"])
            answer: Answer = {}
            try:
                answer = desk.do("payment.record", **new)
            except LedgerError as refused:
                counts[refused.code] += 1
            assert bool(answer) == holders.allows(new), (seed, new, answer)
            if answer:
                holders.stand[answer["payment"]] = new
                counts["slip parts" if "slip_total" in new else new["method"]] += 1
    wanted = {"mistake", "returned_cheque", "duplicate_reference", "duplicate_cheque", "slip_used_up", "slip parts"}
    wanted |= {"slip_total_differs", "slip_total_missing", "cheque", "deposit", "transfer"}
    assert {name for name in wanted if counts[name] < 5} == set(), counts
