"""Worked edge cases of facts that come to light late: what random histories found, shortest form (DOMAIN.md 7-9)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bills import charges, correct, documents, full, money, reverse, states, upgrade
from tests.given import BEATRIZ, Desk, local


@pytest.fixture(name="desk")
def _desk(sqlite_url: str) -> Iterator[Desk]:
    desk = Desk(sqlite_url)
    yield desk
    desk.close()


def may(desk: Desk) -> Desk:
    """Given Basic of May, paid by P1."""
    return desk.at("2026-05-01 10:00").sell()


def test_money_freed_from_a_quote_pays_the_reopened_period_and_the_plan_goes_on(desk: Desk) -> None:
    """(The plan used to stay past due on a charge that was paid, and lapsed.)"""
    may(desk).pay(amount="250.00")
    desk.at("2026-05-10 10:00")
    upgrade(desk, "corporate")  # P2's credit stands on the quote
    assert reverse(desk, "P1")["state"] == "in_force"
    assert states(desk) == {"S1-p": "paid", "U1": "voided"}
    assert desk.state(at="2026-05-20 10:00") == "in_force"
    assert desk.balance()["remaining"] == 5


def test_money_taken_back_does_not_pay_through_a_quote(desk: Desk) -> None:
    """(What it had paid on the quote used to pay the debt that it had just reopened.)"""
    may(desk)
    desk.at("2026-05-10 10:00")
    correct(desk, "credit", "S1-p", amount="125.00")
    upgrade(desk, "corporate")  # 125.00 of P1 stand on the quote
    reverse(desk, "P1")
    assert (money(desk)["reversed"], money(desk)["due"], desk.state()) == ("250.00", "125.00", "past_due")


def test_an_upgrade_asked_after_what_in_hindsight_was_a_chargeback_falls_away(desk: Desk) -> None:
    may(desk).at("2026-05-10 10:00")
    upgrade(desk, "advanced")
    reverse(desk, "P1", at="2026-05-09 10:00")
    desk.at("2026-05-10 11:00").pay(amount="600.00")
    assert (states(desk), desk.balance()["level"]) == ({"S1-p": "paid", "U1": "voided"}, "basic")
    assert money(desk)["credit"] == "350.00"


def test_an_upgrade_of_a_plan_that_in_hindsight_had_lapsed_does_not_start_it_again(desk: Desk) -> None:
    may(desk).at("2026-05-20 10:00")
    upgrade(desk, "advanced")
    desk.pay(amount="600.00")
    assert desk.balance()["level"] == "advanced"
    desk.at("2026-05-21 10:00")
    reverse(desk, "P1", at="2026-05-10 10:00")
    assert (desk.state(), states(desk)) == ("lapsed", {"S1-p": "voided", "U1": "voided"})
    assert money(desk)["unapplied"] == "600.00"
    assert [d[0] for d in documents(desk)] == ["F-1", "F-2", "NC-1", "NC-2"]
    assert {d[1] for d in documents(desk)[2:]} == {"S1-p", "U1"}


def test_a_correction_is_not_dated_before_its_charge(desk: Desk) -> None:
    """(It used to be accepted, and to do nothing.)"""
    may(desk).at("2026-05-10 10:00").addon(paid=False)
    with desk.refused("before_charge") as no:
        correct(desk, "discount", "A1", amount="10.00", at="2026-05-09 10:00")
    assert no.facts["charge"] == full("A1")


def test_a_write_off_is_not_dated_before_its_debt(desk: Desk) -> None:
    may(desk).at("2026-06-01 10:00").pay()
    desk.at("2026-06-10 10:00")
    reverse(desk, "P1")
    with desk.refused("nothing_due"):
        correct(desk, "write_off", "S1-p", at="2026-06-09 10:00")


def test_what_is_invoiced_anew_is_less_by_its_credit_notes(desk: Desk) -> None:
    """A lapse undone: the second invoice is for what was left. (It used to be for the whole.)"""
    may(desk)
    correct(desk, "credit", "S1-p", amount="100.00")
    desk.at("2026-05-10 10:00")
    reverse(desk, "P1")
    desk.at("2026-05-16 10:00").ledger.record_due("C-100")
    assert desk.state() == "lapsed"
    desk.pay(amount="150.00", at="2026-05-15 10:00", by=BEATRIZ, reason="depósito hallado")
    assert desk.state() == "in_force"
    assert documents(desk) == [
        ("F-1", "S1-p", "250.00", "26.79"), ("NC-1", "S1-p", "100.00", "10.71"),
        ("NC-2", "S1-p", "150.00", "16.08"), ("F-2", "S1-p", "150.00", "16.08"),
    ]  # fmt: skip


def test_a_charge_whose_invoice_stands_takes_no_discount(desk: Desk) -> None:
    """Paid in full once; in hindsight only in part: the invoice stands, so a credit note is the way."""
    may(desk).pay(amount="100.00")
    desk.at("2026-05-10 10:00").addon(paid=False).pay(amount="150.00")
    assert documents(desk)[-1][1] == "A1"
    reverse(desk, "P2", at="2026-05-09 10:00")
    assert charges(desk)["A1"]["state"] == "part_paid"
    with desk.refused("invoiced_already"):
        correct(desk, "discount", "A1", amount="50.00")


def test_discounts_down_to_nothing_leave_no_tax(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0)
    for amount in ("0.05", "0.05", "0.05", "249.85"):  # each line alone: 0.01 x 3 and 26.77
        correct(desk, "discount", "S1-p", amount=amount)
    assert (money(desk)["billed"], money(desk)["tax"], desk.state()) == ("0.00", "0.00", "in_force")


def test_a_cancellation_typed_after_a_renewal_over_a_chargeback_raises_no_renewal(desk: Desk) -> None:
    """(A renewal used to be raised and voided at the end, and the charge taken back stayed owed.)"""
    may(desk).pay(amount="250.00")
    desk.at("2026-06-02 10:00")
    desk.do("plan.cancel", account="C-100", at="2026-05-20 10:00", by=BEATRIZ, reason="lo pidió entonces")
    assert desk.state() == "cancelled"
    reverse(desk, "P1", at="2026-05-29 10:00")  # P2's credit pays it again
    reverse(desk, "P2", at="2026-05-29 11:00")
    assert (desk.state(), states(desk)) == ("cancelled", {"S1-p": "voided"})


def test_cancelled_after_the_end_of_a_period_taken_back_it_ends_at_once(desk: Desk) -> None:
    """(It used to stay past due until grace was over.)"""
    may(desk).at("2026-05-30 10:00")
    reverse(desk, "P1")
    desk.at("2026-06-01 10:00")
    desk.do("plan.cancel", account="C-100", ends="2026-06-01", by=BEATRIZ, reason="lo pidió")
    assert (desk.state(), states(desk)) == ("cancelled", {"S1-p": "voided"})


def test_a_quote_ends_before_the_money_of_an_abandoned_add_on_is_free(desk: Desk) -> None:
    """Both at one midnight: that money is of the next day."""
    desk.at("2026-05-01 10:00").sell(level="advanced").addon(level="corporate", paid=False).pay(amount="1000.00")
    desk.at("2026-05-16 10:00").tickets(12)  # nothing is left: no credit
    upgrade(desk, "corporate")
    desk.pay(amount="1500.00")  # 500.00 go to the add-on, due before
    assert (states(desk)["A1"], states(desk)["U1"]) == ("paid", "part_paid")
    desk.at("2026-05-17 10:00")
    assert (states(desk)["U1"], money(desk)["credit"]) == ("voided", "1000.00")
    assert desk.grants()["A1-t"]["until"] == local("2026-06-16")
