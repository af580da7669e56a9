"""Plans: buying, months, grace, lapse, cancelling, licences, add-ons, courtesies (DOMAIN.md 1-7, 11, 12)."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from ledger.catalogue import load
from ledger.dating import Caller
from tests.given import ANA, BEATRIZ, FERRETERIA, MARTA, PANADERIA, UNITS, YEARLY, Desk, local


@pytest.fixture(name="desk")
def _desk(sqlite_url: str) -> Iterator[Desk]:
    desk = Desk(sqlite_url)
    yield desk
    desk.close()


def cancel(desk: Desk, **given: Any) -> dict[str, Any]:
    return desk.do("plan.cancel", account=PANADERIA, **given)


# --- buying --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", UNITS)
def test_a_month_costs_and_grants_what_the_catalogue_says(desk: Desk, level: str) -> None:
    desk.at("2026-05-01 10:00").sell(level=level)
    assert desk.balance()["remaining"] == UNITS[level]


@pytest.mark.parametrize("level", UNITS)
def test_a_year_costs_ten_months(desk: Desk, level: str) -> None:
    desk.at("2026-05-01 10:00").sell(level=level, term="yearly")
    assert desk.billing()["billed"] == YEARLY[level]


def test_no_payment_no_grant(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0)
    assert (desk.state(), desk.balance()["granted"]) == ("pending", 0)


def test_a_first_purchase_starts_when_it_is_paid(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0).at("2026-05-11 16:30").pay()
    assert desk.balance()["period"] == {"from": local("2026-05-11 16:30"), "until": local("2026-06-11")}


def test_the_first_period_begins_with_the_part_that_completes_the_payment(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0).pay(PANADERIA, "100.00")
    assert desk.state() == "pending"
    desk.at("2026-05-03 10:00").pay(PANADERIA, "150.00")
    assert desk.balance()["period"]["from"] == local("2026-05-03 10:00")


def test_a_purchase_can_still_be_paid_on_the_fifteenth_day(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0).at("2026-05-16 23:59:59.999999").pay()
    assert desk.state() == "in_force"


def test_a_purchase_unpaid_after_15_days_is_abandoned(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0).pay(PANADERIA, "100.00")
    desk.at("2026-05-17 00:00")
    assert desk.state() == "none"
    assert (desk.billing()["billed"], desk.billing()["credit"]) == ("0.00", "100.00")


def test_after_abandoning_the_plan_can_be_bought_and_the_part_paid_counts(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0).pay(PANADERIA, "100.00")
    desk.at("2026-05-20 10:00").sell(paid=0).pay(PANADERIA, "150.00")
    assert desk.state() == "in_force"


@pytest.mark.parametrize("paid", [1, 0])
def test_a_second_purchase_is_refused_and_names_upgrade_and_addon(desk: Desk, paid: int) -> None:
    desk.at("2026-05-01 10:00").sell(paid=paid)
    with desk.refused("already_subscribed") as told:
        desk.sell(level="advanced")
    assert "upgrade" in told.en
    assert "add-on" in told.en


def test_a_second_purchase_dated_before_the_first_is_refused_too(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").open().at("2026-05-10 10:00").sell()
    with desk.refused("already_subscribed"):
        desk.sell(at="2026-05-02 10:00", reason="olvidada")


def test_a_salesperson_is_kept_by_name(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").open()
    given: dict[str, Any] = {"account": PANADERIA, "level": "basic", "term": "monthly", "channel": "salesperson"}
    desk.do("plan.purchase", **given, salesperson="Rosa Ajú")
    assert desk.events(PANADERIA, "account.plan_purchased")[0]["salesperson"] == "Rosa Ajú"


def test_an_account_may_have_a_bought_plan_beside_a_licence(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").licence()
    desk.sell(level="advanced")
    assert desk.balance()["remaining"] == 5 + 12


# --- months and periods ----------------------------------------------------------------------------------------


def test_unused_tickets_expire_with_a_count_at_their_instant(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().tickets(2)
    desk.at("2026-06-20 10:00").ledger.record_due(PANADERIA)
    (expired,) = desk.events(PANADERIA, "account.tickets_expired")
    assert (expired["units"], expired["at"]) == (3, local("2026-06-01"))


def test_nothing_expires_where_nothing_is_left(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().tickets(5)
    desk.at("2026-06-20 10:00").ledger.record_due(PANADERIA)
    assert desk.events(PANADERIA, "account.tickets_expired") == []


def test_a_yearly_plan_grants_each_months_tickets_at_each_monthly_boundary(desk: Desk) -> None:
    desk.at("2024-02-29 10:00").sell(term="yearly")
    starts = [g["from"][:10] for g in desk.balance(at="2025-02-27 12:00")["grants"]]
    assert starts[:4] == ["2024-02-29", "2024-03-29", "2024-04-29", "2024-05-29"]
    assert starts[-1] == "2025-01-29"
    assert len(starts) == 12
    assert desk.balance()["period"]["until"] == local("2025-02-28")


def test_a_yearly_plan_goes_on_granting_after_it_was_cancelled_until_the_year_ends(desk: Desk) -> None:
    desk.at("2026-01-10 10:00").sell(term="yearly").at("2026-02-01 10:00")
    assert cancel(desk)["ends_on"] == "2027-01-10"
    assert desk.balance(at="2027-01-09 23:59")["granted"] == 60
    assert desk.state(at="2027-01-09 23:59") == "in_force"
    after = desk.balance(at="2027-01-10 00:00")
    assert (after["state"], after["granted"], after["remaining"]) == ("cancelled", 60, 0)


def test_a_prepaid_renewal_runs_from_boundary_to_boundary(desk: Desk) -> None:
    desk.at("2026-01-31 10:00").sell().pay()
    balance = desk.balance(at="2026-02-28 00:00")
    assert balance["period"] == {"from": local("2026-02-28"), "until": local("2026-03-31")}
    assert desk.grants(at="2026-02-28 00:00")["S1-m1"]["from"] == local("2026-02-28")


def test_the_month_before_ends_in_the_instant_in_which_the_next_begins(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().pay()
    before, after = (desk.grants(at=at) for at in ("2026-05-31 23:59:59.999999", "2026-06-01 00:00"))
    assert (before["S1-m0"]["remaining"], list(before)) == (5, ["S1-m0"])
    assert (after["S1-m0"]["remaining"], after["S1-m1"]["remaining"]) == (0, 5)


# --- grace and lapse -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "state"),
    [
        ("2026-05-31 23:59:59.999999", "in_force"),
        ("2026-06-01 00:00", "past_due"),
        ("2026-06-06 23:59:59.999999", "past_due"),
        ("2026-06-07 00:00", "lapsed"),
    ],
)
def test_grace_ends_with_the_local_day_boundary_plus_five(desk: Desk, at: str, state: str) -> None:
    desk.at("2026-05-01 10:00").sell()
    assert desk.state(at=at) == state


def test_paid_in_grace_renews_from_the_original_boundary(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-06-06 23:59:59.999999").pay()
    assert desk.balance()["period"] == {"from": local("2026-06-01"), "until": local("2026-07-01")}


def test_a_grant_paid_in_grace_is_usable_from_the_payment_and_expires_as_ever(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-06-04 10:00").pay()
    assert desk.grants()["S1-m1"]["from"] == local("2026-06-04 10:00")
    assert desk.grants()["S1-m1"]["until"] == local("2026-07-01")


def test_paid_at_the_instant_grace_ends_is_too_late(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-06-07 00:00").pay()
    assert desk.state() == "lapsed"
    assert desk.billing()["unapplied"] == "250.00"


def test_a_lapse_voids_its_charge_and_what_was_paid_of_it_is_credit(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-06-04 10:00").pay(PANADERIA, "100.00")
    desk.at("2026-06-07 00:00")
    (charge,) = [c for c in desk.billing()["charges"] if c["kind"] == "renewal"]
    assert (charge["state"], charge["cause"]) == ("voided", "lapsed")
    assert desk.billing()["credit"] == "100.00"


def test_a_card_plan_does_not_lapse_without_an_answered_attempt(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(pay_by="card")
    assert desk.state(at="2026-08-01 00:00") == "past_due"


def test_a_deposit_may_replace_the_card_long_after_grace(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(pay_by="card").at("2026-06-20 10:00").pay()
    assert desk.balance()["period"] == {"from": local("2026-06-01"), "until": local("2026-07-01")}


def test_after_a_lapse_the_plan_can_be_bought_again_with_a_new_anchor(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-06-10 09:00").sell()
    assert desk.balance()["period"]["until"] == local("2026-07-10")


def test_a_day_without_midnight_still_begins(desk: Desk) -> None:
    desk.at("2006-03-30 10:00").sell().pay()  # in 2006 Guatemala's April 30 began at 01:00
    assert desk.balance()["period"]["until"] == "2006-04-30T01:00:00-05:00"
    assert desk.state(at="2006-04-30 01:00") == "in_force"
    assert list(desk.grants(at="2006-04-30 01:00")) == ["S1-m0", "S1-m1"]


def test_boundaries_are_midnights_of_the_accounts_own_zone(desk: Desk) -> None:
    desk.at("2026-01-31 10:00").open(zone="America/New_York").sell()
    assert desk.balance()["period"]["until"] == "2026-02-28T00:00:00-05:00"


# --- prices that change ------------------------------------------------------------------------------------------


NEW_PRICES = """
[[prices]]
from = "2026-06-01"
published = "{published}"
[prices.GTQ]
basic = {{ tickets = 6, monthly = "300.00", yearly = "3000.00", addon = "300.00" }}
advanced = {{ tickets = 12, monthly = "700.00", yearly = "7000.00", addon = "700.00" }}
corporate = {{ tickets = 30, monthly = "1600.00", yearly = "16000.00", addon = "1600.00" }}
"""


def with_prices(url: str, folder: Path, published: str) -> Desk:
    shipped = files("ledger").joinpath("catalogue.toml").read_text("utf-8")
    catalogue = folder / "catalogue.toml"
    catalogue.write_text(shipped + NEW_PRICES.format(published=published), "utf-8")
    return Desk(url, load(catalogue))


@pytest.mark.parametrize(("published", "price"), [("2026-05-16", "300.00"), ("2026-05-17", "250.00")])
def test_a_new_price_reaches_the_first_boundary_30_days_after_publication(
    sqlite_url: str, tmp_path: Path, published: str, price: str
) -> None:
    desk = with_prices(sqlite_url, tmp_path, published)
    desk.at("2026-05-15 10:00").sell().at("2026-06-15 00:00")
    assert desk.billing()["due"] == price
    desk.close()


def test_a_purchase_gets_the_new_price_from_its_date(sqlite_url: str, tmp_path: Path) -> None:
    desk = with_prices(sqlite_url, tmp_path, "2026-05-31")
    desk.at("2026-06-01 00:00").sell(paid=0)
    assert desk.billing()["due"] == "300.00"
    desk.close()


def test_a_renewal_already_raised_keeps_the_terms_it_promised(sqlite_url: str, tmp_path: Path) -> None:
    old = Desk(sqlite_url)
    old.at("2026-05-15 10:00").sell().at("2026-06-15 10:00").ledger.record_due(PANADERIA)
    old.close()
    new = with_prices(sqlite_url, tmp_path, "2026-05-01")
    assert new.billing()["due"] == "250.00"
    new.close()


def test_a_currency_that_a_new_list_leaves_out_keeps_its_prices(sqlite_url: str, tmp_path: Path) -> None:
    desk = with_prices(sqlite_url, tmp_path, "2026-05-01")
    desk.at("2026-05-15 10:00").open(currency="USD").sell(paid=0).pay(PANADERIA, "32.50")
    assert desk.billing(at="2026-06-15 00:00")["due"] == "32.50"
    desk.close()


# --- cancelling ----------------------------------------------------------------------------------------------------


def test_the_last_day_to_cancel_is_inclusive(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-05-27 23:59:59.999999")
    assert cancel(desk)["ends_on"] == "2026-06-01"


def test_a_day_later_is_too_late_and_names_both_dates(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-05-28 00:00")
    with desk.refused("too_late") as told:
        cancel(desk)
    assert told.facts == {"cancel_by": "2026-05-27", "next_end": "2026-07-01"}


def test_the_next_end_may_be_chosen_instead(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-05-28 00:00")
    assert cancel(desk, ends="2026-07-01")["ends_on"] == "2026-07-01"
    desk.pay()
    assert desk.state(at="2026-06-30 23:59") == "in_force"
    assert desk.state(at="2026-07-01 00:00") == "cancelled"


@pytest.mark.parametrize("ends", ["2026-05-20", "2026-06-02", "2026-05-01"])
def test_a_plan_ends_only_where_a_period_ends(desk: Desk, ends: str) -> None:
    desk.at("2026-05-01 10:00").sell()
    with desk.refused("not_a_boundary"):
        cancel(desk, ends=ends)


def test_a_yearly_plan_does_not_end_at_a_monthly_boundary(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(term="yearly")
    with desk.refused("not_a_boundary") as told:
        cancel(desk, ends="2026-08-01")
    assert told.facts["next_end"] == "2027-05-01"


def test_tickets_left_stay_usable_until_the_paid_time_ends(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell()
    cancel(desk)
    desk.at("2026-05-31 23:59:59.999999")
    assert desk.ticket()["ok"]
    desk.at("2026-06-01 00:00")
    assert desk.ticket()["code"] == "no_plan"


def test_no_refund_of_a_running_term_and_prepaid_money_stays_credit(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().pay()
    cancel(desk)
    desk.at("2026-06-02 10:00")
    assert (desk.billing()["paid"], desk.billing()["credit"]) == ("250.00", "250.00")


def test_a_cancellation_can_be_withdrawn_before_it_takes_effect(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell()
    cancel(desk)
    desk.at("2026-05-31 23:00").do("plan.withdraw_cancellation", account=PANADERIA)
    assert desk.state(at="2026-06-01 00:00") == "past_due"


def test_a_cancellation_that_took_effect_cannot_be_withdrawn(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell()
    cancel(desk)
    desk.at("2026-06-01 00:00")
    with desk.refused("no_cancellation"):
        desk.do("plan.withdraw_cancellation", account=PANADERIA)


def test_nor_by_dating_the_withdrawal_back(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell()
    cancel(desk)
    desk.at("2026-06-01 10:00")
    with desk.refused("no_cancellation"):
        desk.do("plan.withdraw_cancellation", account=PANADERIA, at="2026-05-31 20:00")


def test_what_was_not_cancelled_cannot_be_withdrawn(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell()
    with desk.refused("no_cancellation"):
        desk.do("plan.withdraw_cancellation", account=PANADERIA)


def test_cancelling_twice_is_refused(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell()
    cancel(desk)
    with desk.refused("already_cancelled"):
        cancel(desk)


def test_without_a_plan_there_is_nothing_to_cancel(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").open()
    with desk.refused("nothing_to_cancel"):
        cancel(desk)


def test_a_manager_may_override_the_deadline_with_a_reason(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-05-30 10:00")
    assert cancel(desk, by=BEATRIZ, reason="cierra el negocio")["overridden"]
    assert desk.state(at="2026-06-01 00:00") == "cancelled"


@pytest.mark.parametrize("by", [ANA, MARTA])
def test_whoever_else_asks_for_it_waits_for_a_manager_and_keeps_the_date(desk: Desk, by: Any) -> None:
    desk.at("2026-05-01 10:00").sell(paid=2).at("2026-05-30 10:00")
    with desk.refused("too_late"):
        cancel(desk, by=by)
    assert cancel(desk, by=by, reason="lo pidió", override=True)["pending"] == "R-1"
    assert desk.state() == "in_force"
    assert desk.at("2026-06-02 10:00").do("approval.give", by=BEATRIZ, request="R-1")["effect"]["overridden"]
    assert (desk.state(), desk.billing()["credit"]) == ("cancelled", "250.00")
    assert desk.events(PANADERIA, "account.cancellation_scheduled")[0]["at"] == local("2026-05-30 10:00")


def test_not_without_a_reason(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-05-30 10:00")
    with desk.refused("reason_required"):
        cancel(desk, by=BEATRIZ, override=True)


def test_the_asking_decides_not_the_typing(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-05-28 09:00")
    assert cancel(desk, by=ANA, at="2026-05-27 23:00")["ends_on"] == "2026-06-01"


def test_an_asking_typed_after_a_prepaid_renewal_undoes_it(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=2).at("2026-06-03 10:00").ledger.record_due(PANADERIA)
    assert cancel(desk, by=BEATRIZ, at="2026-05-20 10:00", reason="carta")["undoes_renewal"]
    assert (desk.state(), desk.balance()["voided"], desk.billing()["credit"]) == ("cancelled", 5, "250.00")
    (voided,) = desk.events(PANADERIA, "account.tickets_voided")
    assert (voided["units"], voided["at"]) == (5, local("2026-06-01"))


def test_an_asking_typed_after_a_renewal_in_grace_undoes_it(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-06-03 10:00").pay()
    cancel(desk, by=BEATRIZ, at="2026-05-20 10:00", reason="carta")
    assert (desk.state(), desk.balance()["remaining"], desk.billing()["credit"]) == ("cancelled", 0, "250.00")


def test_it_ends_at_the_next_boundary_where_a_unit_was_used(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=2).at("2026-06-03 10:00").tickets(1)
    answer = cancel(desk, by=BEATRIZ, at="2026-05-20 10:00", reason="carta")
    assert (answer["ends_on"], answer["undoes_renewal"]) == ("2026-07-01", False)
    assert desk.balance()["remaining"] == 4


def test_past_due_cancelling_ends_it_at_the_unpaid_boundary(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-06-03 10:00")
    assert cancel(desk)["ends_on"] == "2026-06-01"
    assert (desk.state(), desk.billing()["due"]) == ("cancelled", "0.00")


def test_a_cancelled_past_due_plan_does_not_lapse_and_its_late_money_is_credit(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-06-03 10:00")
    cancel(desk)
    desk.at("2026-06-20 10:00").pay()
    assert (desk.state(), desk.billing()["credit"]) == ("cancelled", "250.00")


def test_asked_while_past_due_but_typed_after_a_unit_was_used_it_ends_at_the_next_boundary(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-06-02 10:00").pay()
    desk.tickets(1)
    desk.at("2026-06-02 12:00")
    assert cancel(desk, at="2026-06-01 13:00")["ends_on"] == "2026-07-01"
    assert desk.state(at="2026-07-01 00:00") == "cancelled"


def test_a_cancellation_outlives_money_that_turns_out_to_have_paid_the_boundary(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-06-04 10:00")
    cancel(desk)
    desk.at("2026-06-04 18:00").pay(at="2026-06-03 19:00")
    assert (desk.state(), desk.balance()["ends_on"]) == ("in_force", "2026-07-01")
    assert desk.state(at="2026-07-01 00:00") == "cancelled"


def test_a_cancellation_outlives_money_that_moves_the_boundaries(desk: Desk) -> None:
    desk.at("2026-03-01 10:00").sell(paid=0).at("2026-03-12 10:00").pay()
    desk.at("2026-03-13 10:00")
    assert cancel(desk)["ends_on"] == "2026-04-12"
    desk.pay(at="2026-03-10 10:00", by=BEATRIZ, reason="depósito anterior")
    assert desk.balance()["ends_on"] == "2026-04-10"
    assert desk.state(at="2026-04-10 00:00") == "cancelled"


def test_an_unpaid_purchase_can_be_cancelled(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0)
    cancel(desk)
    assert (desk.state(), desk.billing()["due"]) == ("cancelled", "0.00")


# --- add-ons -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [0, 5])
def test_an_addon_needs_a_plan_in_force_not_an_empty_one(desk: Desk, left: int) -> None:
    desk.at("2026-05-01 10:00").sell().tickets(5 - left)
    desk.addon()
    assert desk.balance()["remaining"] == left + 5


def test_an_addon_needs_a_plan(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").open()
    with desk.refused("no_plan"):
        desk.addon()


def test_no_addon_while_past_due(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-06-03 10:00")
    with desk.refused("payment_due") as told:
        desk.addon()
    assert told.facts["charge"] == "C-100-S1-r1"


def test_an_addon_is_of_any_level(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().addon(level="corporate")
    assert desk.grants()["A1-t"]["units"] == 30


def test_an_addon_counts_from_its_payment_not_from_its_purchase(desk: Desk) -> None:
    desk.at("2026-01-20 10:00").sell().addon(paid=False).at("2026-01-31 10:00").pay()
    assert desk.grants()["A1-t"]["until"] == local("2026-03-03")


def test_an_addon_outlives_its_plan(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-05-25 10:00").addon()
    cancel(desk)
    desk.at("2026-06-10 10:00")
    assert (desk.state(), desk.ticket()["ok"]) == ("cancelled", True)


def test_an_addon_unpaid_after_15_days_is_abandoned_and_the_plan_is_not(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().addon(paid=False).at("2026-05-17 00:00")
    assert (desk.state(), desk.billing()["due"], desk.balance()["granted"]) == ("in_force", "0.00", 5)


# --- courtesies --------------------------------------------------------------------------------------------------


def test_a_courtesy_is_usable_through_its_thirtieth_day(desk: Desk) -> None:
    desk.at("2026-01-31 10:00").open().courtesy(units=2)
    assert desk.grants()["K1"]["until"] == local("2026-03-03")


def test_a_courtesy_bridges_a_plan_that_is_past_due(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-06-03 10:00")
    assert desk.ticket()["code"] == "payment_due"
    desk.courtesy()
    assert desk.ticket()["ok"]


def test_a_courtesy_has_a_cap(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").open()
    desk.courtesy(units=30)
    asked: dict[str, Any] = {"account": PANADERIA, "level": "basic", "units": 31}
    assert desk.do("courtesy.grant", by=BEATRIZ, reason="nuestro error", **asked)["pending"] == "R-1"
    with desk.refused("approver_is_asker"):
        desk.do("approval.give", by=BEATRIZ, request="R-1")
    carmen = Caller("carmen", "manager", "console")
    assert desk.do("approval.give", by=carmen, request="R-1")["effect"]["grant"] == "C-100-K2"


def test_a_courtesy_needs_a_reason(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").open()
    with desk.refused("reason_required"):
        desk.courtesy(reason="")


@pytest.mark.parametrize("by", [ANA, MARTA])
def test_a_courtesy_is_a_managers(desk: Desk, by: Any) -> None:
    desk.at("2026-05-01 10:00").open()
    with desk.refused("role_not_allowed"):
        desk.courtesy(by=by)


# --- licences ----------------------------------------------------------------------------------------------------


def test_a_licences_plan_is_basic_and_free(desk: Desk) -> None:
    desk.at("2026-01-31 10:00")
    assert desk.licence()["charge"] is None
    assert (desk.balance()["level"], desk.state(), desk.billing()["billed"]) == ("basic", "in_force", "0.00")


def test_a_licences_plan_is_in_force_through_its_date_and_its_last_grant_ends_with_it(desk: Desk) -> None:
    desk.at("2026-01-31 10:00").licence(until="2026-03-15")
    assert desk.state(at="2026-03-15 23:59:59.999999") == "in_force"
    ended = desk.balance(at="2026-03-16 00:00")
    assert (ended["state"], ended["granted"], ended["expired"]) == ("lapsed", 10, 10)
    assert ended["grants"][-1]["until"] == local("2026-03-16")


def test_renewing_a_licence_moves_the_end_of_its_last_grant(desk: Desk) -> None:
    desk.at("2026-01-31 10:00").licence(until="2026-03-15")
    desk.at("2026-03-15 20:00").do("licence.renew", account=PANADERIA, licence_until="2026-06-30")
    assert desk.grants()["S1-m1"]["until"] == local("2026-03-31")
    assert desk.state(at="2026-06-30 23:59") == "in_force"
    assert desk.balance()["not_yet_recorded"] == 0


def test_a_renewal_typed_later_but_dated_before_another_does_not_move_it_back(desk: Desk) -> None:
    desk.at("2026-01-31 10:00").licence(until="2026-02-10")
    desk.at("2026-02-05 10:00").do("licence.renew", account=PANADERIA, licence_until="2026-02-20")
    desk.at("2026-02-05 12:00")
    desk.do("licence.renew", account=PANADERIA, licence_until="2026-05-20", at="2026-02-05 09:00")
    assert desk.state(at="2026-05-20 23:59") == "in_force"
    assert desk.grants()["S1-m0"]["until"] == local("2026-02-28")


def test_an_ended_licence_is_not_renewed(desk: Desk) -> None:
    desk.at("2026-01-31 10:00").licence(until="2026-03-15")
    desk.at("2026-03-16 00:00")
    with desk.refused("no_licence"):
        desk.do("licence.renew", account=PANADERIA, licence_until="2026-06-30")


def test_a_licence_moves_only_later(desk: Desk) -> None:
    desk.at("2026-01-31 10:00").licence(until="2026-03-15")
    with desk.refused("licence_not_later"):
        desk.do("licence.renew", account=PANADERIA, licence_until="2026-03-15")


def test_a_licence_brings_the_basic_plan_only(desk: Desk) -> None:
    desk.at("2026-01-31 10:00").open()
    with desk.refused("licence_is_basic"):
        desk.do(
            "plan.purchase",
            account=PANADERIA, level="advanced", term="monthly", channel="licence", licence_until="2026-03-15",
        )  # fmt: skip


def test_a_second_licence_is_refused(desk: Desk) -> None:
    desk.at("2026-01-31 10:00").licence()
    with desk.refused("already_subscribed"):
        desk.licence()


def test_a_licence_is_not_cancelled(desk: Desk) -> None:
    desk.at("2026-01-31 10:00").licence()
    with desk.refused("nothing_to_cancel"):
        cancel(desk)


# --- two customers -----------------------------------------------------------------------------------------------


def test_accounts_do_not_share_anything(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().sell(FERRETERIA, "corporate").tickets(3, FERRETERIA)
    assert (desk.balance()["remaining"], desk.balance(FERRETERIA)["remaining"]) == (5, 27)


def test_no_price_in_a_currency_is_said(sqlite_url: str, tmp_path: Path) -> None:
    shipped = files("ledger").joinpath("catalogue.toml").read_text("utf-8")
    start = shipped.index("[prices.USD]")
    catalogue = tmp_path / "quetzales.toml"
    catalogue.write_text(shipped[:start] + shipped[shipped.index("# Response targets", start) :], "utf-8")
    desk = Desk(sqlite_url, load(catalogue))
    desk.at("2026-05-01 10:00").open(currency="USD")
    with desk.refused("no_price"):
        desk.sell()
    desk.close()
