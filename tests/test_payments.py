"""Money: what a payment pays, by its value date; excess, credit, late money, references (DOMAIN.md 7, 9)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.given import ANA, BEATRIZ, FERRETERIA, MARTA, PANADERIA, Desk, local

METHODS = ("deposit", "transfer", "cash", "cheque", "retention")


@pytest.fixture(name="desk")
def _desk(sqlite_url: str) -> Iterator[Desk]:
    desk = Desk(sqlite_url)
    yield desk
    desk.close()


def applied(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(part["charge"].removeprefix(f"{PANADERIA}-"), part["amount"]) for part in answer["applied"]]


# --- what money pays ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_every_method_pays_a_retention_certificate_too(desk: Desk, method: str) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0).pay(method=method)
    assert desk.state() == "in_force"


def test_a_charge_shows_its_iva(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").open()
    charge = desk.do("plan.purchase", account=PANADERIA, level="basic", term="monthly", channel="web")["charge"]
    assert charge == {
        "id": "C-100-S1-p", "gross": "250.00", "net": "223.21", "tax": "26.79", "currency": "GTQ",
        "due_on": "2026-05-01",
    }  # fmt: skip


def test_lines_are_summed_after_each_was_rounded(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell()
    for _ in range(3):
        desk.addon()
    # 4 x 26.79; the sum's own tax would be 107.14
    assert desk.billing()["tax"] == "107.16"


def test_a_part_payment_leaves_the_rest_due(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0)
    assert applied(desk.pay(PANADERIA, "100.00")) == [("S1-p", "100.00")]
    (charge,) = desk.billing()["charges"]
    assert (charge["state"], charge["due"]) == ("part_paid", "150.00")


def test_what_is_over_is_credit(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0)
    assert desk.pay(PANADERIA, "300.00")["credit"] == "50.00"


def test_credit_pays_a_renewal_as_it_falls_due(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=2)
    after = desk.billing(at="2026-06-01 00:00")
    assert (after["billed"], after["paid"], after["credit"]) == ("500.00", "500.00", "0.00")


def test_credit_pays_a_part_of_a_renewal(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().pay(PANADERIA, "200.00")
    after = desk.billing(at="2026-06-01 00:00")
    assert (after["due"], after["credit"], desk.state(at="2026-06-01 00:00")) == ("50.00", "0.00", "past_due")


def test_credit_pays_a_purchase_at_once(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").open().pay(PANADERIA, "250.00")
    desk.at("2026-05-04 10:00").sell(paid=0)
    assert desk.balance()["period"]["from"] == local("2026-05-04 10:00")


def test_money_pays_a_past_due_renewal_before_older_charges(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-05-25 10:00").addon(paid=False)
    desk.at("2026-06-02 10:00")
    assert applied(desk.pay(PANADERIA, "400.00")) == [("S1-r1", "250.00"), ("A1", "150.00")]


def test_then_charges_by_their_due_date_then_by_id(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-05-02 10:00").addon(level="advanced", paid=False)
    desk.at("2026-05-03 10:00").addon(paid=False).addon(paid=False)
    assert applied(desk.pay(PANADERIA, "1000.00")) == [("A1", "600.00"), ("A2", "250.00"), ("A3", "150.00")]


def test_a_payment_counts_by_the_date_it_was_made(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0).at("2026-05-05 09:00").pay(by=MARTA, at="2026-05-02 15:00")
    assert desk.balance()["period"]["from"] == local("2026-05-02 15:00")


def test_earlier_money_found_later_moves_the_start_and_the_log_settles_at_once(desk: Desk) -> None:
    desk.at("2026-03-01 10:00").sell(paid=0).at("2026-03-12 10:00").pay()
    desk.at("2026-03-13 10:00").pay(at="2026-03-10 10:00", by=BEATRIZ, reason="boleta hallada")
    assert desk.grants()["S1-m0"]["from"] == local("2026-03-10 10:00")
    assert desk.balance()["not_yet_recorded"] == 0
    assert desk.ledger.record_due(PANADERIA) == 0


def test_money_never_takes_away_a_unit_that_was_used(desk: Desk) -> None:
    desk.at("2026-03-01 10:00").sell(paid=0).at("2026-03-12 10:00").pay()
    desk.at("2026-04-11 10:00").tickets(1)  # usable until 04-12; from 03-10 it would have ended on 04-10
    desk.pay(at="2026-03-10 10:00", by=BEATRIZ, reason="boleta hallada")
    assert desk.grants()["S1-m0"]["used"] == 1
    assert desk.billing()["unapplied"] == "250.00"


# --- late money ---------------------------------------------------------------------------------------------


def lapsed(desk: Desk) -> Desk:
    """Given a plan of May that lapsed on June 7."""
    return desk.at("2026-05-01 10:00").sell().at("2026-06-08 10:00")


def test_late_money_stays_unapplied(desk: Desk) -> None:
    answer = lapsed(desk).pay()
    assert (answer["applied"], answer["credit"], answer["unapplied"]) == ([], "0.00", "250.00")


def test_unapplied_money_pays_nothing_by_itself(desk: Desk) -> None:
    lapsed(desk).pay()
    desk.sell(paid=0)
    assert desk.state() == "pending"


def test_money_of_the_grace_undoes_the_lapse_as_of_its_instant(desk: Desk) -> None:
    lapsed(desk).ledger.record_due(PANADERIA)
    desk.at("2026-06-08 10:30").pay(by=BEATRIZ, at="2026-06-05 15:00", reason="boleta hallada")
    assert desk.state(at="2026-06-07 12:00") == "in_force"
    assert desk.state(at="2026-06-07 12:00", known_at="2026-06-08 10:00") == "lapsed"
    assert desk.balance()["period"] == {"from": local("2026-06-01"), "until": local("2026-07-01")}


def test_undoing_a_lapse_withdraws_what_was_recorded_of_it(desk: Desk) -> None:
    lapsed(desk).ledger.record_due(PANADERIA)
    desk.pay(by=BEATRIZ, at="2026-06-05 15:00", reason="boleta hallada")
    withdrawn = {entry["what"] for entry in desk.events(PANADERIA, "account.due_fact_withdrawn")}
    assert withdrawn == {"account.plan_ended", "account.charge_voided"}


def test_undoing_a_lapse_is_a_managers(desk: Desk) -> None:
    lapsed(desk)
    with desk.refused("lapse_undone_by_manager"):
        desk.pay(by=MARTA, at="2026-06-05 15:00", reason="boleta hallada")


def test_undoing_a_lapse_needs_a_reason_within_a_day_too(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-06-07 02:00")
    with desk.refused("lapse_undone_by_manager"):
        desk.pay(by=BEATRIZ, at="2026-06-06 15:00")


def test_a_part_of_the_money_does_not_undo_the_lapse(desk: Desk) -> None:
    lapsed(desk).pay(PANADERIA, "100.00", by=MARTA, at="2026-06-05 15:00")
    assert (desk.state(), desk.billing()["credit"]) == ("lapsed", "100.00")


def test_money_of_the_grace_stays_unapplied_where_the_plan_was_bought_again(desk: Desk) -> None:
    lapsed(desk).sell()
    desk.pay(by=BEATRIZ, at="2026-06-05 15:00", reason="boleta hallada")
    assert desk.billing()["unapplied"] == "250.00"
    assert desk.balance()["subscription"] == "C-100-S2"


def test_also_where_the_first_plan_would_have_lapsed_again_by_now(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-07-03 10:00").sell()
    before = desk.balance(at="2026-07-20 10:00")
    desk.at("2026-08-10 10:00").pay(at="2026-06-03 10:00", by=BEATRIZ, reason="boleta hallada")
    assert desk.billing()["unapplied"] == "250.00"
    assert desk.balance(at="2026-07-20 10:00")["grants"] == before["grants"]


def test_without_a_lapse_money_that_pays_nothing_is_credit(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").open()
    assert desk.pay()["credit"] == "250.00"


# --- references and currencies ------------------------------------------------------------------------------


def test_a_reference_is_used_once_over_all_accounts(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0).sell(FERRETERIA, paid=0).pay(reference="B-1")
    with desk.refused("duplicate_reference") as told:
        desk.pay(FERRETERIA, reference="B-1")
    assert told.facts == {"reference": "B-1", "account": PANADERIA, "payment": "C-100-P1"}


def test_capitals_do_not_make_another_reference(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").open().pay(reference="bol-7", bank="Banrural")
    with desk.refused("duplicate_reference"):
        desk.pay(reference="BOL-7", bank="BANRURAL")


@pytest.mark.parametrize(
    ("first", "second"),
    [(("", "B-1"), ("Banrural", "B-1")), (("a", "b/c"), ("a/b", "c")), (("a%2Fb", "c"), ("a", "b/c"))],
)
def test_each_bank_has_its_own_references(desk: Desk, first: tuple[str, str], second: tuple[str, str]) -> None:
    desk.at("2026-05-01 10:00").open()
    for bank, reference in (first, second):
        desk.pay(reference=reference, **({"bank": bank} if bank else {}))
    assert desk.billing()["received"] == "500.00"


def test_a_refused_payment_leaves_its_reference_free(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").open()
    with desk.refused("wrong_currency"):
        desk.pay(reference="B-1", currency="USD")
    desk.pay(reference="B-1")


def test_dollars_are_never_mixed_with_quetzales(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").open(currency="USD").sell(paid=0)
    with desk.refused("wrong_currency") as told:
        desk.pay(PANADERIA, "32.50", currency="GTQ")
    assert told.facts == {"currency": "GTQ", "expected": "USD"}
    assert desk.pay(PANADERIA, "32.50")["currency"] == "USD"
    assert (desk.billing()["paid"], desk.billing()["currency"]) == ("32.50", "USD")


# --- who may, and when --------------------------------------------------------------------------------------


def test_money_is_not_the_agents(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0)
    with desk.refused("role_not_allowed") as told:
        desk.pay(by=ANA)
    assert told.facts["roles"] == "finance, manager, operator"


@pytest.mark.parametrize("method", ["deposit", "transfer"])
@pytest.mark.parametrize(
    ("today", "value_date", "allowed"),
    [
        ("2026-05-15 18:00", "2026-05-08 00:00", True),  # Friday to Friday: five business days
        ("2026-05-15 18:00", "2026-05-07 23:59", False),
        ("2026-05-17 18:00", "2026-05-08 00:00", True),  # Sunday: still five
        ("2026-05-18 18:00", "2026-05-08 00:00", False),
        ("2026-05-18 18:00", "2026-05-09 00:00", False),  # a Saturday's deposit: six since then with Monday
    ],
)
def test_finance_dates_a_deposit_back_by_five_business_days(
    desk: Desk, method: str, today: str, value_date: str, allowed: bool
) -> None:
    desk.at("2026-05-01 10:00").open().at(today)
    if allowed:
        desk.pay(by=MARTA, at=value_date, method=method)
    else:
        with desk.refused("back_dated"):
            desk.pay(by=MARTA, at=value_date, method=method)


@pytest.mark.parametrize("method", ["cash", "cheque", "retention"])
def test_only_a_bank_proves_a_date(desk: Desk, method: str) -> None:
    desk.at("2026-05-01 10:00").open().at("2026-05-05 10:00")
    with desk.refused("back_dated"):
        desk.pay(by=MARTA, at="2026-05-04 09:00", method=method)


def test_a_manager_dates_back_as_far_as_the_account_goes_with_a_reason(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").open().at("2026-12-01 10:00")
    with desk.refused("reason_required"):
        desk.pay(by=BEATRIZ, at="2026-05-01 10:00", method="cash")
    desk.pay(by=BEATRIZ, at="2026-05-01 10:00", method="cash", reason="recibo de caja")
    with desk.refused("before_opening"):
        desk.pay(by=BEATRIZ, at="2026-05-01 09:59:59.999999", reason="recibo de caja")


@pytest.mark.parametrize(("at", "back"), [("2026-05-04 10:00", 0), ("2026-05-04 09:59:59.999999", 1)])
def test_people_date_back_by_24_hours(desk: Desk, at: str, back: int) -> None:
    desk.at("2026-05-01 10:00").open().at("2026-05-05 10:00")
    if not back:
        desk.pay(by=MARTA, at=at, method="cash")
    else:
        with desk.refused("back_dated"):
            desk.pay(by=MARTA, at=at, method="cash")


def test_nothing_lies_more_than_two_minutes_ahead(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").open()
    with desk.refused("in_the_future"):
        desk.pay(at="2026-05-01 10:02:00.000001")
    desk.pay(at="2026-05-01 10:02:00")


def test_what_is_dated_ahead_counts_only_from_then(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0).pay(at="2026-05-01 10:01")
    assert (desk.state(), desk.billing()["paid"]) == ("pending", "0.00")
    assert desk.state(at="2026-05-01 10:01") == "in_force"
    desk.at("2026-05-01 10:01")
    assert desk.state() == "in_force"


# --- identities ---------------------------------------------------------------------------------------------


def test_received_is_paid_and_credit_and_unapplied(desk: Desk) -> None:
    lapsed(desk).pay(PANADERIA, "70.00")
    desk.sell(FERRETERIA)
    desk.sell().addon(paid=False).pay(PANADERIA, "400.00")
    billing = desk.billing()  # which asserts the sums
    assert (billing["received"], billing["unapplied"], billing["credit"]) == ("970.00", "70.00", "150.00")


def test_history_tells_who_booked_what_and_why(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0).at("2026-05-05 09:00")
    desk.pay(by=BEATRIZ, at="2026-05-02 15:00", reason="boleta hallada", reference="B-9")
    (entry,) = desk.events(PANADERIA, "account.payment_recorded")
    assert (entry["by"], entry["source"], entry["reason"]) == ("beatriz", "console", "boleta hallada")
    assert (entry["at"], entry["recorded_at"]) == (local("2026-05-02 15:00"), local("2026-05-05 09:00"))
    assert (entry["amount"], entry["reference"]) == ("250.00", "B-9")
