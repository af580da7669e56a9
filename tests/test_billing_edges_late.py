"""Worked edge cases of facts that come to light late: what random histories found, shortest form (DOMAIN.md 7-9)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ledger.application import Ledger
from tests.bills import charges, correct, documents, full, money, reverse, reversed_before, states, upgrade
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
    reversed_before(desk, "P1", at="2026-05-10 10:00")
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
    reversed_before(desk, "P1", at="2026-05-29 10:00")  # P2's credit pays it again
    reversed_before(desk, "P2", at="2026-05-29 11:00")
    assert (desk.state(), states(desk)) == ("cancelled", {"S1-p": "voided"})


def test_cancelled_after_the_end_of_a_period_taken_back_it_ends_at_once(desk: Desk) -> None:
    """(It used to stay past due until grace was over.)"""
    may(desk).at("2026-05-30 10:00")
    reverse(desk, "P1")
    desk.at("2026-06-01 10:00")
    desk.do("plan.cancel", account="C-100", ends="2026-06-01", by=BEATRIZ, reason="lo pidió")
    assert (desk.state(), states(desk)) == ("cancelled", {"S1-p": "voided"})


def test_past_due_on_a_chargeback_cancelling_ends_it_at_once(desk: Desk) -> None:
    """On the last day to cancel and after it. (The 5-day rule used to refuse it, or to let it wait for the renewal.)"""
    may(desk).tickets(2)
    desk.at("2026-05-29 09:00")
    reverse(desk, "P1")
    desk.at("2026-05-29 10:00")
    answer = desk.do("plan.cancel", account="C-100")
    assert (answer["ends_on"], answer["overridden"], answer["undoes_renewal"]) == ("2026-05-29", False, False)
    assert (desk.state(at="2026-05-29 09:59"), desk.state(at="2026-05-29 10:00")) == ("past_due", "cancelled")
    assert (states(desk), money(desk)["due"]) == ({"S1-p": "voided"}, "0.00")
    assert [d[0] for d in documents(desk)] == ["F-1", "NC-1"]
    assert {g: (v["used"], v["voided"], v["remaining"]) for g, v in desk.grants().items()} == {"S1-m0": (2, 3, 0)}
    desk.at("2026-05-29 10:01").pay()  # nothing is left to pay
    assert (desk.state(), money(desk)["credit"]) == ("cancelled", "250.00")


def test_past_due_on_a_chargeback_a_later_end_may_still_be_chosen(desk: Desk) -> None:
    """Whoever means to pay again and not to renew: it goes on if it is paid, and lapses if it is not."""
    may(desk).at("2026-05-20 10:00")
    reverse(desk, "P1")
    assert desk.do("plan.cancel", account="C-100", ends="2026-06-01")["ends_on"] == "2026-06-01"
    assert desk.state() == "past_due"
    desk.at("2026-05-22 10:00").pay()
    assert (desk.state(), desk.balance()["ends_on"]) == ("in_force", "2026-06-01")
    assert desk.state(at="2026-06-01 00:00") == "cancelled"


def test_an_end_chosen_while_past_due_comes_also_where_the_book_was_looked_at_before(desk: Desk) -> None:
    """The end comes before grace is over. (Seed 4712: lapsed at the process that took it, cancelled at any other.)"""
    may(desk).at("2026-05-28 10:00")
    reverse(desk, "P1")
    assert desk.state() == "past_due"  # looked at: no boundary is to come of it
    desk.do("plan.cancel", account="C-100", ends="2026-06-01", by=BEATRIZ, reason="lo pidió")
    desk.at("2026-06-10 10:00").ledger.record_due("C-100")
    assert desk.state() == "cancelled"
    assert [e["cause"] for e in desk.events("C-100", "account.plan_ended")] == ["cancelled"]
    fresh = Ledger(desk.ledger.store)
    assert fresh.ask("balance", {"account": "C-100"}) == desk.balance()


@pytest.mark.parametrize(
    ("used", "ends_on", "state", "credit"),
    [(0, "2026-05-10", "cancelled", "250.00"), (1, "2026-06-01", "in_force", "0.00")],
)
def test_an_asking_while_past_due_typed_after_it_was_paid_again(
    desk: Desk, used: int, ends_on: str, state: str, credit: str
) -> None:
    """Unused: it ended when it was asked, the money is credit. Used: it ends at the next boundary."""
    may(desk).at("2026-05-10 10:00")
    reverse(desk, "P1")
    desk.at("2026-05-10 12:00").pay()
    desk.tickets(used)
    answer = desk.do("plan.cancel", account="C-100", at="2026-05-10 11:00")
    assert (answer["ends_on"], desk.state(), money(desk)["credit"]) == (ends_on, state, credit)
    assert desk.state(at="2026-06-01 00:00") == "cancelled"


def test_a_renewal_that_in_hindsight_came_before_a_change_of_term_costs_the_old_terms_price(desk: Desk) -> None:
    """Recorded as a year's, it was a month's: the price goes with its term. (It used to ask a year's for the month.)"""
    may(desk).at("2026-06-01 10:00")
    reversed_before(desk, "P1", at="2026-05-31 14:00")
    desk.do("plan.change_term", account="C-100", term="yearly")
    desk.pay()  # it goes on, and renews at once, for a year
    assert charges(desk)["S1-r1"]["gross"] == "2500.00"
    desk.pay(amount="2500.00", at="2026-05-29 22:00", by=BEATRIZ, reason="depósito hallado")
    assert (charges(desk)["S1-r1"]["gross"], states(desk)["S1-r1"]) == ("250.00", "paid")
    assert (desk.balance()["period"]["until"], money(desk)["credit"]) == (local("2026-07-01"), "2250.00")
    desk.at("2026-07-01 10:00").ledger.record_due("C-100")
    assert (charges(desk)["S1-r2"]["gross"], states(desk)["S1-r2"]) == ("2500.00", "part_paid")


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
