"""Worked edge cases of money corrected and taken back, and of the documents that follow (DOMAIN.md 7, 9)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bills import charges, correct, documents, full, money, refund, reverse, reversed_before, states
from tests.given import BEATRIZ, MARTA, PANADERIA, Desk, local


@pytest.fixture(name="desk")
def _desk(sqlite_url: str) -> Iterator[Desk]:
    desk = Desk(sqlite_url)
    yield desk
    desk.close()


def may(desk: Desk) -> Desk:
    """Given Basic of May, paid by P1."""
    return desk.at("2026-05-01 10:00").sell()


def may_and_june(desk: Desk) -> Desk:
    """Given Basic of May paid by P1 and of June by P2, on June 2."""
    may(desk).at("2026-06-01 10:00").pay()
    return desk.at("2026-06-02 10:00")


# --- payments taken back -------------------------------------------------------------------------------------


def test_a_chargeback_in_the_running_period_makes_past_due_and_voids_what_is_left(desk: Desk) -> None:
    may(desk).at("2026-05-10 10:00").tickets(2)
    answer = reverse(desk, "P1")
    assert (answer["state"], answer["reopened"]) == ("past_due", [full("S1-p")])
    grant = desk.grants()["S1-m0"]
    assert (grant["used"], grant["voided"], grant["remaining"]) == (2, 3, 0)
    assert (money(desk)["due"], money(desk)["reversed"]) == ("250.00", "250.00")


def test_paid_again_as_many_are_granted_anew_as_were_voided(desk: Desk) -> None:
    may(desk).at("2026-05-10 10:00").tickets(2)
    reverse(desk, "P1")
    desk.at("2026-05-12 10:00").pay()
    grants = desk.grants()
    assert desk.state() == "in_force"
    assert (grants["S1-m0.2"]["units"], grants["S1-m0.2"]["until"]) == (3, local("2026-06-01"))
    assert documents(desk) == [("F-1", "S1-p", "250.00", "26.79")]  # the invoice stands; none is issued twice


def test_grace_counts_from_the_chargeback(desk: Desk) -> None:
    may(desk).at("2026-05-10 10:00")
    reverse(desk, "P1")
    assert desk.state(at="2026-05-15 23:59") == "past_due"
    desk.at("2026-05-16 00:00")
    assert (desk.state(), states(desk)) == ("lapsed", {"S1-p": "voided"})
    desk.ledger.record_due(PANADERIA)
    assert documents(desk)[-1] == ("NC-1", "S1-p", "250.00", "26.79")


def test_a_chargeback_of_an_ended_period_is_only_a_debt(desk: Desk) -> None:
    may_and_june(desk)
    reverse(desk, "P1")
    assert (desk.state(), desk.balance()["remaining"], money(desk)["due"]) == ("in_force", 5, "250.00")


def test_a_chargeback_dated_before_units_were_used_keeps_those_used(desk: Desk) -> None:
    may(desk).at("2026-05-12 10:00").tickets(2)
    desk.at("2026-05-13 10:00")
    reversed_before(desk, "P1", at="2026-05-10 10:00")
    then, now = desk.grants(at="2026-05-11 10:00")["S1-m0"], desk.grants()["S1-m0"]
    assert (then["voided"], then["remaining"]) == (3, 2)
    assert (now["voided"], now["used"], now["remaining"]) == (3, 2, 0)
    assert desk.state(at="2026-05-10 10:00") == "past_due"


def test_a_chargeback_of_money_that_became_credit_takes_what_the_credit_paid(desk: Desk) -> None:
    may(desk).at("2026-05-20 10:00").pay(amount="250.00")  # P2: prepays June
    desk.at("2026-06-10 10:00")
    answer = reverse(desk, "P2")
    assert (answer["reopened"], answer["state"]) == ([full("S1-r1")], "past_due")
    assert charges(desk)["S1-p"]["paid"] == "250.00"


def test_other_credit_pays_a_reopened_debt_at_once(desk: Desk) -> None:
    may(desk).at("2026-05-20 10:00").pay(amount="400.00")
    reverse(desk, "P1")
    assert (desk.state(), money(desk)["due"], money(desk)["credit"]) == ("in_force", "0.00", "150.00")
    assert desk.balance()["remaining"] == 5


def test_a_returned_cheque_while_past_due_adds_a_debt_only(desk: Desk) -> None:
    may(desk).at("2026-06-02 10:00").pay(amount="100.00", method="cheque")
    reverse(desk, "P2", "returned_cheque")
    assert (desk.state(), money(desk)["due"]) == ("past_due", "250.00")
    assert desk.state(at="2026-06-07 00:00") == "lapsed"  # grace still counts from the boundary


def test_a_chargeback_in_a_year_paid_again_after_a_monthly_boundary(desk: Desk) -> None:
    """The month that ended meanwhile is over: nothing is granted for it. (It used to be, already expired.)"""
    desk.at("2026-01-15 10:00").sell(term="yearly").at("2026-03-12 10:00").tickets(2)
    reverse(desk, "P1")
    desk.at("2026-03-16 10:00").pay(amount="2500.00")
    grants = desk.grants()
    assert list(grants) == ["S1-m0", "S1-m1", "S1-m2"]
    assert (grants["S1-m2"]["from"], grants["S1-m2"]["until"]) == (local("2026-03-16 10:00"), local("2026-04-15"))


def test_a_second_payment_taken_back_after_the_first_ones_debt_was_written_off(desk: Desk) -> None:
    """It reopens the charge, so that money can pay it. (It used to stay closed with a debt.)"""
    desk.at("2026-05-01 10:00").sell(paid=0).pay(amount="100.00")
    desk.pay(amount="150.00")
    desk.at("2026-06-01 10:00").pay()
    desk.at("2026-06-02 10:00")
    reverse(desk, "P1")
    correct(desk, "write_off", "S1-p")
    assert reverse(desk, "P2")["reopened"] == [full("S1-p")]
    assert desk.pay(amount="150.00")["applied"] == [{"charge": full("S1-p"), "amount": "150.00"}]


def test_a_chargeback_that_undoes_a_renewal_credits_its_invoice(desk: Desk) -> None:
    """P1 taken back on 05-20, typed in June: the plan lapsed on 05-26, June was never raised.

    (Its invoice used to stand, for a charge that nobody knew.)
    """
    may_and_june(desk)
    assert [d[0] for d in documents(desk)] == ["F-1", "F-2"]
    reversed_before(desk, "P1", at="2026-05-20 10:00")
    assert (desk.state(), list(charges(desk)), money(desk)["unapplied"]) == ("lapsed", ["S1-p"], "250.00")
    assert documents(desk)[2:] == [("NC-1", "S1-p", "250.00", "26.79"), ("NC-2", "S1-r1", "250.00", "26.79")]


def test_a_correction_of_a_renewal_that_never_was_corrects_nothing(desk: Desk) -> None:
    """What is left of the invoice is credited; the money is the customer's. (It used to break the account.)"""
    may_and_june(desk)
    correct(desk, "credit", "S1-r1", amount="100.00")
    reversed_before(desk, "P1", at="2026-05-20 10:00")
    assert documents(desk)[2:] == [
        ("NC-1", "S1-r1", "100.00", "10.71"), ("NC-2", "S1-p", "250.00", "26.79"), ("NC-3", "S1-r1", "150.00", "16.08"),
    ]  # fmt: skip
    assert (money(desk)["billed"], money(desk)["unapplied"]) == ("0.00", "250.00")


def test_money_cannot_be_taken_back_twice_or_before_it_came(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0).at("2026-05-03 10:00").pay()
    with desk.refused("before_payment"):
        reverse(desk, "P1", at="2026-05-03 09:59")
    reverse(desk, "P1")
    with desk.refused("reversed_already"):
        reverse(desk, "P1")


# --- credit notes, discounts, voids, write-offs -----------------------------------------------------------------


def test_the_last_credit_note_takes_the_remainder_of_the_tax(desk: Desk) -> None:
    may(desk)
    notes = [correct(desk, "credit", "S1-p", amount=amount) for amount in ("83.33", "83.33", "83.34")]
    assert [note["tax"] for note in notes] == ["8.93", "8.93", "8.93"]
    desk.at("2026-05-02 10:00").addon()
    # 26.79 = 0.11 * 243 + 0.06: many small ones, and the last makes up for their rounding
    taxes = [correct(desk, "credit", "A1", amount=a)["tax"] for a in ("1.04", "1.04", "1.04", "246.88")]
    assert taxes == ["0.11", "0.11", "0.11", "26.46"]
    assert (money(desk)["credited"], money(desk)["credit"]) == ("500.00", "500.00")


def test_the_last_credit_note_leaves_the_tax_of_what_was_written_off(desk: Desk) -> None:
    """(It used to take the whole tax of the invoice: 26.79 of 150.00.)"""
    may_and_june(desk)
    reverse(desk, "P1")
    correct(desk, "write_off", "S1-p", amount="100.00")
    assert correct(desk, "credit", "S1-p", amount="150.00")["tax"] == "16.07"


def test_a_past_due_charge_of_which_nothing_is_owed_any_more_is_settled(desk: Desk) -> None:
    """Half paid again, half credited: the plan goes on. (It used to lapse with nothing due.)"""
    may(desk).at("2026-05-10 10:00")
    reverse(desk, "P1")
    desk.pay(amount="150.00")
    correct(desk, "credit", "S1-p", amount="100.00")
    assert (desk.state(), desk.balance()["remaining"]) == ("in_force", 5)
    assert desk.state(at="2026-05-20 10:00") == "in_force"


def test_a_discount_is_a_line_of_its_own(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0)
    correct(desk, "discount", "S1-p", amount="33.33")
    desk.pay(amount="216.67")
    assert documents(desk) == [("F-1", "S1-p", "216.67", "23.22")]  # 26.79 - 3.57
    assert (money(desk)["billed"], money(desk)["tax"]) == ("216.67", "23.22")


def test_a_discount_to_zero_starts_the_plan_without_an_invoice(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0).at("2026-05-03 10:00")
    correct(desk, "discount", "S1-p", amount="250.00")
    assert (desk.state(), desk.balance()["period"]["from"]) == ("in_force", local("2026-05-03 10:00"))
    assert documents(desk) == []


def test_a_discount_of_more_than_is_due_is_refused(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0).pay(amount="100.00")
    with desk.refused("more_than_left") as no:
        correct(desk, "discount", "S1-p", amount="150.01")
    assert no.facts["left"] == "150.00"


def test_a_discount_on_what_was_part_paid_pays_the_rest(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0).pay(amount="100.00")
    correct(desk, "discount", "S1-p", amount="150.00")
    assert (desk.state(), documents(desk)) == ("in_force", [("F-1", "S1-p", "100.00", "10.72")])  # 26.79 - 16.07


def test_a_voided_purchase_gives_up_its_plan_and_frees_its_money(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0).pay(amount="100.00")
    correct(desk, "void", "S1-p")
    assert (desk.state(), money(desk)["credit"], states(desk)) == ("none", "100.00", {"S1-p": "voided"})
    assert desk.pay(amount="150.00")["credit"] == "250.00"


def test_a_paid_charge_and_a_renewal_are_not_voided_by_hand(desk: Desk) -> None:
    may(desk)
    with desk.refused("nothing_due"):
        correct(desk, "void", "S1-p")
    desk.at("2026-06-02 10:00")
    with desk.refused("renewal_not_voided"):
        correct(desk, "void", "S1-r1")


def test_a_reopened_debt_is_written_off_in_parts(desk: Desk) -> None:
    may_and_june(desk)
    reverse(desk, "P1")
    correct(desk, "write_off", "S1-p", amount="100.00")
    assert money(desk)["due"] == "150.00"
    with desk.refused("more_than_left"):
        correct(desk, "write_off", "S1-p", amount="150.01")
    correct(desk, "write_off", "S1-p")
    assert (money(desk)["written_off"], money(desk)["due"], desk.state()) == ("250.00", "0.00", "in_force")


def test_a_debt_of_the_running_period_is_not_written_off(desk: Desk) -> None:
    may(desk)
    reverse(desk, "P1")
    with desk.refused("still_running"):
        correct(desk, "write_off", "S1-p")


# --- refunds --------------------------------------------------------------------------------------------------


def test_no_more_is_refunded_than_is_free(desk: Desk) -> None:
    may(desk).pay(amount="300.00")
    with desk.refused("more_than_left") as no:
        refund(desk, "P1", "0.01")
    assert no.facts["left"] == "0.00"
    refund(desk, "P2", "120.00")
    with desk.refused("more_than_left") as no:
        refund(desk, "P2", "180.01")
    assert no.facts["left"] == "180.00"
    assert (money(desk)["credit"], money(desk)["refunded"]) == ("180.00", "120.00")


def test_credited_money_can_be_refunded_and_its_payment_still_taken_back(desk: Desk) -> None:
    may(desk)
    correct(desk, "credit", "S1-p", amount="100.00")
    refund(desk, "P1", "100.00")
    desk.at("2026-05-05 10:00")
    reverse(desk, "P1")
    told = money(desk)
    assert (told["reversed"], told["refunded"], told["due"], told["refund_owed"]) == (
        "250.00",
        "100.00",
        "250.00",
        "100.00",
    )


def test_a_correction_needs_somebody_who_approves_it(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0)
    correct(desk, "discount", "S1-p", amount="1.00", by=MARTA)  # within the limit nobody else is needed
    with desk.refused("approver_is_asker"):
        correct(desk, "discount", "S1-p", amount="1.00", by=MARTA, approver="marta")
    correct(desk, "discount", "S1-p", amount="1.00", by=MARTA, approver=BEATRIZ.by)
