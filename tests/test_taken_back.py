"""Payments taken back: the money from the bank's date, the plan from the recording, refunds owed (DOMAIN.md 7)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from ledger import facts as f
from projections.projector import Projector
from tests.bills import charges, correct, documents, full, money, refund, reverse, reversed_before, states, upgrade
from tests.given import BEATRIZ, PANADERIA, Desk, local, minor


@pytest.fixture(name="desk")
def _desk(sqlite_url: str) -> Iterator[Desk]:
    desk = Desk(sqlite_url)
    yield desk
    desk.close()


def may(desk: Desk, amount: str = "250.00") -> Desk:
    """Given Basic of May, paid by cheque P1."""
    desk.at("2026-05-01 10:00").sell(paid=0).pay(amount=amount, method="cheque")
    return desk


# --- two dates ----------------------------------------------------------------------------------------------------


def test_past_due_from_the_recording_with_grace_from_then(desk: Desk) -> None:
    may(desk).at("2026-05-12 10:00").tickets(2)
    desk.at("2026-05-20 10:00")
    assert reverse(desk, "P1", at="2026-05-05 12:00")["state"] == "past_due"
    assert desk.state(at="2026-05-20 09:59") == "in_force"
    grant = desk.grants()["S1-m0"]
    assert (grant["used"], grant["voided"], grant["remaining"]) == (2, 3, 0), "what was served stays served"
    assert desk.grants(at="2026-05-20 09:59")["S1-m0"]["remaining"] == 3
    assert (desk.state(at="2026-05-25 23:59"), desk.state(at="2026-05-26 00:00")) == ("past_due", "lapsed")
    told = {
        at: (money(desk, at=at)["reversed"], money(desk, at=at)["due"])
        for at in ("2026-05-05 11:59", "2026-05-05 12:00")
    }
    assert told == {"2026-05-05 11:59": ("0.00", "0.00"), "2026-05-05 12:00": ("250.00", "250.00")}
    assert charges(desk, at="2026-05-10 10:00")["S1-p"]["state"] == "open"


def test_paid_again_as_many_are_granted_anew(desk: Desk) -> None:
    may(desk).at("2026-05-12 10:00").tickets(2)
    desk.at("2026-05-20 10:00")
    reverse(desk, "P1", at="2026-05-05 12:00")
    desk.at("2026-05-22 10:00").pay()
    grants = desk.grants()
    assert (grants["S1-m0.2"]["units"], grants["S1-m0.2"]["until"]) == (3, local("2026-06-01"))
    assert (desk.state(), [d[0] for d in documents(desk)]) == ("in_force", ["F-1"])


def test_a_credit_note_and_a_refund_between_the_banks_date_and_the_recording_stand(desk: Desk) -> None:
    """They were given in good faith: what was refunded is owed, nothing is refused. (It used to break the history.)"""
    may(desk, "400.00").at("2026-05-06 10:00")
    refund(desk, "P1", "150.00")
    correct(desk, "credit", "S1-p", amount="100.00")
    desk.at("2026-05-20 10:00")
    reverse(desk, "P1", at="2026-05-05 12:00")
    now = money(desk)
    assert (now["reversed"], now["refunded"], now["refund_owed"], now["due"]) == (
        "400.00",
        "150.00",
        "150.00",
        "300.00",
    )
    assert (now["billed"], now["credited"], now["paid"], now["credit"]) == ("250.00", "100.00", "0.00", "0.00")
    assert money(desk, at="2026-05-05 12:00")["due"] == "250.00"
    assert money(desk, at="2026-05-07 10:00")["refund_owed"] == "150.00"
    topics = [(e["event"], e["at"], e["amount"]) for e in desk.events(PANADERIA, "account.refund_owed")]
    assert topics == [("account.refund_owed", local("2026-05-06 10:00"), "150.00")]
    with desk.refused("refund_debt_stays"):
        correct(desk, "write_off", "P1-d")


def test_a_renewal_that_the_returned_cheque_prepaid_is_past_due_from_the_recording(desk: Desk) -> None:
    may(desk, "500.00").at("2026-06-20 10:00")
    answer = reverse(desk, "P1", at="2026-05-05 12:00")
    assert (answer["reopened"], answer["state"]) == ([full("S1-p"), full("S1-r1")], "past_due")
    assert (money(desk)["due"], money(desk, at="2026-05-31 10:00")["due"]) == ("500.00", "250.00")
    assert money(desk, at="2026-06-01 10:00")["due"] == "500.00"
    assert desk.state(at="2026-06-20 09:59") == "in_force"
    reopened = {e["charge"]: e["at"] for e in desk.events(PANADERIA, "account.charge_reopened")}
    assert reopened == {full("S1-p"): local("2026-05-05 12:00"), full("S1-r1"): local("2026-06-01 00:00")}
    assert desk.ledger.record_due(PANADERIA) == 0


def test_money_for_it_that_came_before_it_was_told_pays_it_then(desk: Desk) -> None:
    may(desk).at("2026-05-08 10:00").pay(method="cash")  # good money for the cheque: credit until the return is typed
    desk.at("2026-05-09 10:00")
    reverse(desk, "P1", at="2026-05-05 12:00")
    assert (desk.state(), money(desk)["due"], money(desk)["credit"]) == ("in_force", "0.00", "0.00")
    assert desk.balance()["remaining"] == 5


def test_an_upgrade_dated_before_it_was_told_is_refused_once_it_was(desk: Desk) -> None:
    """Nothing is credited for money that is gone."""
    may(desk).at("2026-05-20 10:00")
    reverse(desk, "P1", at="2026-05-05 12:00")
    with desk.refused("payment_due"):
        upgrade(desk, "advanced", at="2026-05-19 10:00", by=BEATRIZ, reason="lo pidió entonces")


def test_an_add_on_paid_with_it_is_voided_from_the_recording(desk: Desk) -> None:
    may(desk).addon(paid=False).pay(amount="250.00", method="cheque")
    desk.at("2026-05-20 10:00")
    reverse(desk, "P2", at="2026-05-05 12:00")
    assert (desk.state(), desk.grants()["A1-t"]["remaining"], desk.grants()["A1-t"]["voided"]) == ("in_force", 0, 5)
    assert desk.grants(at="2026-05-20 09:59")["A1-t"]["remaining"] == 5


def test_a_unit_used_just_ahead_stays_used(desk: Desk) -> None:
    """The void takes the least remaining then and ever after: a case dated a minute ahead is one of them."""
    may(desk)
    desk.ticket(at="2026-05-01 10:01")
    reverse(desk, "P1")
    grant = desk.grants(at="2026-05-01 10:01")["S1-m0"]
    assert (grant["used"], grant["voided"], grant["remaining"]) == (1, 4, 0)


def test_of_an_ended_plan_it_is_only_a_debt(desk: Desk) -> None:
    may(desk).at("2026-06-08 10:00")  # lapsed: nobody paid June
    assert desk.state() == "lapsed"
    reverse(desk, "P1", at="2026-05-05 12:00")
    assert (desk.state(), states(desk)["S1-p"], money(desk)["due"]) == ("lapsed", "open", "250.00")
    assert desk.pay()["applied"] == [{"charge": full("S1-p"), "amount": "250.00"}]


# --- refunds owed -------------------------------------------------------------------------------------------------


def test_a_refund_owed_is_paid_in_the_order_of_due_dates_and_is_no_sale(desk: Desk) -> None:
    may(desk, "400.00")
    refund(desk, "P1", "150.00")
    desk.at("2026-06-01 09:00").pay()
    desk.at("2026-06-02 10:00")
    reverse(desk, "P1")  # May is over: only a debt
    desk.addon(paid=False)
    assert money(desk)["due"] == "650.00"
    applied = [(a["charge"].removeprefix("C-100-"), a["amount"]) for a in desk.pay(amount="500.00")["applied"]]
    assert applied == [("S1-p", "250.00"), ("A1", "250.00")], "by due date, then by id: A1 before P1-d"
    desk.pay(amount="150.00")
    assert (money(desk)["due"], money(desk)["refund_owed"], money(desk)["billed"]) == ("0.00", "0.00", "750.00")
    assert {d[1] for d in documents(desk)} == {"S1-p", "S1-r1", "A1"}
    assert [e["debt"] for e in desk.events(PANADERIA, "account.refund_repaid")] == [full("P1-d")]


def test_a_refund_the_gateway_refuses_after_the_chargeback_is_owed_no_more(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").open()
    desk.do("card.register", account=PANADERIA, token="tok_ok")
    desk.do("plan.purchase", account=PANADERIA, level="basic", term="monthly", channel="web", pay_by="card")
    correct(desk, "credit", "S1-p", amount="100.00")
    now = desk.ledger.clock.now()
    common: Any = {"customer_no": PANADERIA, "occurred_at": now, "by": "gateway", "source": "gateway"}
    asked = f.RefundAsked(
        **common, refund=full("R1"), payment=full("P1"), amount=10_000, method="card", approver="beatriz"
    )
    desk.ledger.record(PANADERIA, lambda _account: [asked], now)
    reverse(desk, "P1")
    assert (money(desk)["refund_owed"], money(desk)["due"]) == ("100.00", "250.00")
    refused = f.RefundRefused(**common, refund=full("R1"), code="closed_card")
    desk.ledger.record(PANADERIA, lambda _account: [refused], now)
    assert (money(desk)["refunded"], money(desk)["refund_owed"], money(desk)["due"]) == ("0.00", "0.00", "150.00")


def test_a_refund_owed_stops_no_plan_and_a_preview_counts_it(desk: Desk) -> None:
    """Of a lapsed plan: no plan, and nothing past due. (It used to end in a KeyError: the debt is no charge.)"""
    may(desk, "400.00")
    refund(desk, "P1", "150.00")
    desk.at("2026-06-08 10:00")
    reverse(desk, "P1")
    desk.pay(amount="250.00")
    assert money(desk)["refund_owed"] == money(desk)["due"] == "150.00"
    assert desk.ticket()["code"] == "no_plan"
    told = desk.ask("preview", account=PANADERIA, of="purchase", level="basic", term="monthly")
    assert (told["owed_before"], told["due"]) == ("150.00", "250.00")
    desk.sell(paid=0).pay(amount="400.00")
    assert (desk.state(), money(desk)["due"], money(desk)["credit"]) == ("in_force", "0.00", "0.00")


def test_assumed_money_is_not_given_back(desk: Desk) -> None:
    """Nobody saw it. Billing tells it apart; no credit note frees it to pay for what we would have to invoice."""
    desk.at("2026-05-01 10:00").sell(paid=0)
    fields: Any = {"customer_no": PANADERIA, "by": "import", "source": "import:desk:1", "payment": full("I0")}
    assumed = f.PaymentRecorded(
        **fields, occurred_at=desk.ledger.clock.now(), amount=25_000, currency="GTQ", method="transfer", reference="r"
    )
    desk.ledger.record(PANADERIA, lambda _account: [assumed], desk.ledger.clock.now())
    told = money(desk, assumed=True)
    assert (told["paid"], told["paid_assumed"], told["received"], told["assumed"]) == (
        "0.00",
        "250.00",
        "0.00",
        "250.00",
    )
    with desk.refused("assumed_not_refunded"):
        refund(desk, "I0", "1.00")
    with desk.refused("invoiced_elsewhere"):
        desk.do("charge.credit", account=PANADERIA, charge="C-100-S1-p", amount="250.00", reason="x")
    reverse(desk, "I0", "mistake")
    told = money(desk)
    assert (told["assumed"], told["reversed"], told["due"], desk.state()) == ("0.00", "0.00", "250.00", "past_due")
    desk.pay()
    assert (money(desk)["paid"], money(desk)["received"], desk.state()) == ("250.00", "250.00", "in_force")


# --- as it is told --------------------------------------------------------------------------------------------------


def test_a_reversal_tells_its_amount_in_history_and_in_the_billing_entries(desk: Desk) -> None:
    may(desk, "400.00")
    refund(desk, "P1", "150.00")
    desk.pay(amount="70.00")
    desk.at("2026-05-05 10:00")
    reversed_before(desk, "P1", at="2026-05-04 10:00")
    reverse(desk, "P2", "mistake")
    told = [(e["payment"], e["amount"]) for e in desk.events(PANADERIA, "account.payment_reversed")]
    assert told == [(full("P1"), "250.00"), (full("P2"), "70.00")], "before: what had not been refunded; now: all"
    projector = Projector(desk.ledger.store, desk.ledger.catalogue)
    projector.catch_up()
    rows = projector.read.query("SELECT subject, amount FROM r_billing WHERE entry = 'reversed' ORDER BY position")
    projector.close()
    assert [tuple(row) for row in rows] == [(full("P1"), 25000), (full("P2"), 7000)]
    assert (money(desk)["reversed"], money(desk)["refund_owed"]) == ("320.00", "0.00")


def test_a_reversal_of_before_keeps_its_meaning(desk: Desk) -> None:
    """Recorded when there was one date only, it acts on the plan from the bank's date, as it always did."""
    may(desk).at("2026-05-20 10:00")
    reversed_before(desk, "P1", at="2026-05-05 12:00")
    instants = ("2026-05-05 11:59", "2026-05-05 12:00", "2026-05-10 23:59", "2026-05-11 00:00")
    assert [desk.state(at=at) for at in instants] == ["in_force", "past_due", "past_due", "lapsed"]
    assert desk.ledger.record_due(PANADERIA) == 0


def test_replayed_from_the_log_it_is_the_same_at_every_instant_and_prefix(desk: Desk) -> None:
    """Known then: nothing of it. Known since: from the bank's date. A ledger that starts anew says the same."""
    may(desk, "500.00").at("2026-05-20 10:00")
    reverse(desk, "P1", at="2026-05-05 12:00")
    desk.at("2026-06-03 10:00")
    for day, known in itertools.product(("05-04", "05-10", "05-20", "05-21", "06-02"), ("05-19", "05-20", "06-03")):
        at, known_at = f"2026-{day} 10:00", f"2026-{known} 10:00"
        answer = money(desk, at=at, known_at=known_at)
        gone = known >= "05-20" and day >= "05-10"
        assert answer["reversed"] == ("500.00" if gone else "0.00"), (at, known_at)
        assert minor(answer["due"]) == (minor(answer["billed"]) if gone else 0), (at, known_at)
        fresh = type(desk.ledger)(desk.ledger.store)
        assert fresh.ask("billing", {"account": PANADERIA, "at": local(at)}) == desk.ask(
            "billing", account=PANADERIA, at=at
        )
