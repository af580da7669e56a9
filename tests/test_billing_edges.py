"""Worked edge cases of upgrades, changes at the boundary and cards, with exact amounts (DOMAIN.md 7, 8)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ledger import through_time
from ledger.gateways.sandbox import Sandbox
from tests.bills import attempts, card, charges, documents, money, script, states, upgrade
from tests.given import BEATRIZ, PANADERIA, Answer, Desk, local, when


@pytest.fixture(name="desk")
def _desk(sqlite_url: str) -> Iterator[Desk]:
    desk = Desk(sqlite_url)
    yield desk
    desk.close()


def live(desk: Desk, to: str) -> Desk:
    """Let time pass to a local time: whatever falls due on the way happens, cards included."""
    through_time.advance(desk.ledger, when(to))
    return desk


def march(desk: Desk) -> Desk:
    """Given Advanced of 03-12, paid, 7 of 12 used, on 03-23."""
    desk.at("2026-03-12 10:00").sell(level="advanced").tickets(7)
    return desk.at("2026-03-23 09:00")


# --- upgrades -------------------------------------------------------------------------------------------------


def test_the_worked_fact(desk: Desk) -> None:
    answer = upgrade(march(desk), "corporate")
    assert (answer["credit"], answer["due"], answer["effective"]) == ("250.00", "1250.00", False)
    desk.pay(amount="1250.00")
    grants = desk.grants()
    assert (grants["S1-m0"]["voided"], grants["S1.2-m0"]["units"]) == (5, 30)
    assert desk.balance()["period"]["until"] == local("2026-04-23")
    assert documents(desk)[1] == ("F-2", "U1", "1250.00", "133.92")  # 160.71 - 26.79


def test_days_decide_when_fewer_than_tickets(desk: Desk) -> None:
    desk.at("2026-03-12 10:00").sell(level="advanced").at("2026-03-23 09:00")
    assert upgrade(desk, "corporate")["credit"] == "387.10"  # 600 x 20/31


def test_a_year_in_its_middle(desk: Desk) -> None:
    desk.at("2026-01-15 10:00").sell(term="yearly").at("2026-05-20 10:00")
    answer = upgrade(desk, "advanced")
    assert (answer["credit"], answer["due"]) == ("1633.06", "4366.94")  # 2500 x (7 + 26/31) / 12


def test_a_year_whose_month_is_used_up(desk: Desk) -> None:
    desk.at("2026-01-15 10:00").sell(term="yearly").at("2026-05-20 10:00").tickets(5)
    assert upgrade(desk, "advanced")["credit"] == "1458.33"  # 2500 x 7 / 12


def test_nobody_upgrades_for_free_tickets(desk: Desk) -> None:
    desk.at("2026-03-12 10:00").sell(level="advanced").tickets(12)
    answer = upgrade(desk, "corporate")
    assert (answer["credit"], answer["due"]) == ("0.00", "1500.00")


def test_on_the_day_of_purchase_all_of_it_is_left(desk: Desk) -> None:
    desk.at("2026-03-12 10:00").sell(level="advanced")
    assert upgrade(desk, "corporate")["credit"] == "600.00"


def test_a_second_upgrade_counts_the_first_ones_credit(desk: Desk) -> None:
    desk.at("2026-03-12 10:00").sell()
    upgrade(desk, "advanced")
    desk.pay(amount="350.00")
    assert upgrade(desk, "corporate")["credit"] == "600.00"  # 250 of Basic's credit, 350 of money


def test_a_discount_is_no_credit(desk: Desk) -> None:
    desk.at("2026-03-12 10:00").sell(paid=0)
    desk.do("charge.discount", account=PANADERIA, charge="C-100-S1-p", amount="50.00", by=BEATRIZ, reason="promoción")
    desk.pay(amount="200.00")
    assert upgrade(desk, "advanced")["credit"] == "200.00"


def test_a_quote_dies_at_midnight(desk: Desk) -> None:
    upgrade(march(desk), "corporate")
    desk.at("2026-03-24 00:00")
    assert states(desk)["U1"] == "voided"
    assert desk.pay(amount="1250.00")["credit"] == "1250.00"
    assert desk.balance()["level"] == "advanced"


def test_a_deposit_of_that_day_typed_a_day_late_pays_the_quote(desk: Desk) -> None:
    upgrade(march(desk), "corporate")
    desk.at("2026-03-24 09:00").pay(amount="1250.00", at="2026-03-23 15:00")
    assert (desk.balance()["level"], desk.balance()["period"]["until"]) == ("corporate", local("2026-04-23"))


def test_a_used_ticket_ends_the_quote(desk: Desk) -> None:
    upgrade(march(desk), "corporate")
    desk.tickets(1)
    assert (states(desk)["U1"], desk.pay(amount="1250.00")["credit"]) == ("voided", "1250.00")
    assert upgrade(desk, "corporate")["credit"] == "200.00"  # 600 x 4/12, and the credit pays the rest at once
    assert (desk.balance()["level"], charges(desk)["U2"]["due"]) == ("advanced", "50.00")


def test_a_second_quote_replaces_the_first(desk: Desk) -> None:
    desk.at("2026-03-12 10:00").sell()
    upgrade(desk, "advanced")
    desk.pay(amount="100.00")
    answer = upgrade(desk, "corporate")
    assert (states(desk)["U1"], answer["credit"], answer["due"]) == ("voided", "250.00", "1150.00")


def test_credit_above_the_difference_upgrades_at_once(desk: Desk) -> None:
    march(desk).pay(amount="2000.00")
    answer = upgrade(desk, "corporate")
    assert (answer["effective"], money(desk)["credit"]) == (True, "750.00")


def test_an_upgrade_cancels_a_scheduled_end_and_a_downgrade(desk: Desk) -> None:
    march(desk).do("plan.downgrade", account=PANADERIA, level="basic")
    desk.do("plan.cancel", account=PANADERIA, ends="2026-05-12")
    upgrade(desk, "corporate")
    assert desk.balance()["ends_on"] == "2026-05-12"  # until it is paid
    desk.pay(amount="1250.00")
    assert desk.balance()["ends_on"] is None
    desk.at("2026-04-23 00:00").pay(amount="1500.00")
    assert desk.balance()["level"] == "corporate"


def test_past_due_there_is_no_upgrade(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-06-02 10:00")
    with desk.refused("payment_due"):
        upgrade(desk, "advanced")


# --- at the boundary ------------------------------------------------------------------------------------------


def test_a_downgrade_and_a_year_take_effect_at_the_boundary_and_the_anchor_stays(desk: Desk) -> None:
    desk.at("2026-01-31 10:00").sell(level="advanced")
    desk.do("plan.downgrade", account=PANADERIA, level="basic")
    desk.do("plan.change_term", account=PANADERIA, term="yearly")
    desk.at("2026-02-28 00:00").pay(amount="2500.00")
    balance = desk.balance()
    assert (balance["level"], balance["period"]["until"]) == ("basic", local("2027-02-28"))
    assert desk.grants(at="2026-03-31 00:00")["S1-m2"]["until"] == local("2026-04-30")


# --- cards ----------------------------------------------------------------------------------------------------


def test_a_soft_refusal_is_tried_again_after_1_3_and_5_days_then_the_plan_lapses(desk: Desk) -> None:
    card(desk.at("2026-05-01 10:00").open()).sell(paid=0, pay_by="card")
    script(desk, "declined", "declined", "declined", "declined")
    live(desk, "2026-06-06 23:59")
    days = [at for charge, at, _state in attempts(desk) if charge == "S1-r1"]
    assert days == ["2026-06-01 00:00", "2026-06-02 00:00", "2026-06-04 00:00", "2026-06-06 00:00"]
    assert (desk.state(), desk.state(at="2026-06-07 00:00")) == ("past_due", "lapsed")


def test_after_a_final_refusal_only_a_new_card_is_tried_at_once(desk: Desk) -> None:
    card(desk.at("2026-05-01 10:00").open()).sell(paid=0, pay_by="card")
    script(desk, "declined_final")
    live(desk, "2026-06-04 10:00")
    assert [a for a in attempts(desk) if a[0] == "S1-r1"] == [("S1-r1", "2026-06-01 00:00", "refused")]
    card(desk, token="tok_nueva")
    assert attempts(desk)[-1] == ("S1-r1", "2026-06-04 10:00", "paid")
    assert (desk.state(), desk.balance()["period"]["from"]) == ("in_force", local("2026-06-01"))


def test_without_an_answer_at_graces_end_it_stays_past_due_and_a_late_yes_renews(desk: Desk) -> None:
    card(desk.at("2026-05-01 10:00").open()).sell(paid=0, pay_by="card")
    script(desk, *["timeout_before_charge"] * 40)
    live(desk, "2026-06-09 10:00")
    assert (desk.state(), attempts(desk)[-1][2]) == ("past_due", "asked")
    live(desk, "2026-07-10 10:00")
    assert attempts(desk)[1] == ("S1-r1", "2026-06-01 00:00", "paid")
    assert charges(desk)["S1-r1"]["paid"] == "250.00"
    gateway = desk.ledger.gateway
    assert isinstance(gateway, Sandbox)
    assert gateway.taken() == {"GTQ": 25000 * len([a for a in attempts(desk) if a[2] == "paid"])}


def test_without_an_answer_at_graces_end_it_lapses_at_the_refusal_that_settles_it(desk: Desk) -> None:
    card(desk.at("2026-05-01 10:00").open()).sell(paid=0, pay_by="card")
    script(desk, *["timeout_before_charge"] * 18, *["declined"] * 40)
    live(desk, "2026-06-20 10:00")
    assert (desk.state(), desk.state(at="2026-06-07 00:00")) == ("lapsed", "past_due")
    assert [a for a in attempts(desk) if a[0] == "S1-r1"] == [("S1-r1", "2026-06-01 00:00", "refused")]


def test_a_job_that_comes_late_asks_the_card_once_for_all_that_it_missed(desk: Desk) -> None:
    """Due facts are those of a job on time; what was not asked then is not made up for: the last missed one stands."""
    card(desk.at("2026-05-01 10:00").open()).sell(paid=0, pay_by="card")
    script(desk, "declined", "ok")
    desk.at("2026-06-05 10:00").ledger.collect(PANADERIA)  # missed: 06-01, 06-02, 06-04
    assert [a for a in attempts(desk) if a[0] == "S1-r1"] == [("S1-r1", "2026-06-04 00:00", "refused")]
    [asked] = [e for e in desk.events(PANADERIA, "account.charge_attempted") if e["charge"].endswith("r1")]
    assert (asked["at"][:16], asked["recorded_at"][:16]) == ("2026-06-04T00:00", "2026-06-05T10:00")
    [raised] = desk.events(PANADERIA, "account.charge_raised")
    assert raised["at"] == local("2026-06-01")
    live(desk, "2026-06-06 00:00")  # the one that is left comes at its own instant
    assert [a[1:] for a in attempts(desk)[2:]] == [("2026-06-06 00:00", "paid")]
    assert (desk.state(), desk.balance()["period"]["from"]) == ("in_force", local("2026-06-01"))


@pytest.mark.parametrize(("outcome", "state"), [("ok", "in_force"), ("declined", "lapsed")])
def test_a_job_that_comes_after_grace_asks_once_and_its_answer_settles_the_plan(
    desk: Desk, outcome: str, state: str
) -> None:
    """A card that was never asked lets no plan lapse."""
    card(desk.at("2026-05-01 10:00").open()).sell(paid=0, pay_by="card")
    script(desk, outcome)
    desk.at("2026-06-20 10:00").ledger.record_due(PANADERIA)
    assert desk.state() == "past_due"
    desk.ledger.collect(PANADERIA)
    told = {"ok": "paid", "declined": "refused"}[outcome]
    assert [a for a in attempts(desk) if a[0] == "S1-r1"] == [("S1-r1", "2026-06-06 00:00", told)]
    assert (desk.state(at="2026-06-20 09:59"), desk.state()) == ("past_due", state)


def test_a_month_is_closed_once_and_not_before_it_is_over(desk: Desk) -> None:
    desk.at("2026-06-02 10:00").open()
    with desk.refused("month_not_over"):
        desk.do("books.close", month="2026-06")
    desk.do("books.close", month="2026-05")
    with desk.refused("month_closed"):
        desk.do("books.close", month="2026-05")


def test_a_certificate_is_recorded_once(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell()
    for number, uuid in enumerate(("123e4567-e89b-42d3-a456-426614174000", "123e4567-e89b-42d3-a456-426614174001")):
        given: Answer = {"account": PANADERIA, "document": "F-1", "series": "A1B2", "number": "77", "uuid": uuid}
        if not number:
            desk.do("document.certify", **given)
            continue
        with desk.refused("certified_already"):
            desk.do("document.certify", **given)
