"""What a ticket may be for: every row of the table, their order, both languages; which grant pays (DOMAIN.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from ledger.apply import answers
from ledger.catalogue import load
from ledger.rules.coverage import REQUESTS
from ledger.texts import table
from tests.given import PANADERIA, Desk, local

SCOPE = "INVEX ERP"
OUTSIDE = "SAP"
BASIC = ("general", "question")
ADVANCED = ("fel", "training", "induction", "advice")
ROWS = (
    "administrative", "before_plans_required", "sales_case", "out_of_scope", "payment_due", "no_plan",
    "plan_too_low", "no_tickets_left", "covered",
)  # fmt: skip


@pytest.fixture(name="desk")
def _desk(sqlite_url: str) -> Iterator[Desk]:
    desk = Desk(sqlite_url)
    desk.at("2026-05-01 10:00")
    yield desk
    desk.close()


# --- customers in each situation --------------------------------------------------------------------------


def nothing(desk: Desk) -> None:
    desk.open()


def pending(desk: Desk) -> None:
    desk.sell(paid=0)


def unpaid_since_yesterday(desk: Desk) -> None:
    desk.sell(paid=0).at("2026-05-02 00:00")


def basic(desk: Desk) -> None:
    desk.sell()


def advanced(desk: Desk) -> None:
    desk.sell(level="advanced")


def corporate(desk: Desk) -> None:
    desk.sell(level="corporate")


def used_up(desk: Desk) -> None:
    desk.sell().tickets(5)


def advanced_used_up(desk: Desk) -> None:
    desk.sell(level="advanced").tickets(12)


def past_due(desk: Desk) -> None:
    desk.sell().at("2026-06-02 10:00")


def lapsed(desk: Desk) -> None:
    desk.sell().at("2026-06-08 10:00")


def past_due_with_addon(desk: Desk) -> None:
    desk.sell().at("2026-05-25 10:00").addon().at("2026-06-02 10:00")


def addon_alone(desk: Desk) -> None:
    desk.sell().at("2026-05-25 10:00").addon().do("plan.cancel", account=PANADERIA)
    desk.at("2026-06-02 10:00")


def basic_with_advanced_addon(desk: Desk) -> None:
    desk.sell().addon(level="advanced")


def advanced_courtesy_alone(desk: Desk) -> None:
    desk.open().courtesy(level="advanced")


def advanced_with_basic_addon_left(desk: Desk) -> None:
    desk.sell(level="advanced").addon().tickets(12, request="training")


Situation = Callable[[Desk], None]
TABLE: list[tuple[Situation, str, str, str]] = [
    # whoever it is, administrative comes first, then Sales, then the list of products
    *((who, "administrative", OUTSIDE, "administrative") for who in (nothing, past_due, lapsed, used_up)),
    *((who, "terminal", OUTSIDE, "sales_case") for who in (nothing, corporate, past_due)),
    *((who, "general", OUTSIDE, "out_of_scope") for who in (nothing, corporate, past_due, used_up)),
    *((who, "training", OUTSIDE, "out_of_scope") for who in (basic, lapsed)),
    # nothing in force and nothing usable
    *((past_due, request, SCOPE, "payment_due") for request in (*BASIC, *ADVANCED)),
    (unpaid_since_yesterday, "general", SCOPE, "payment_due"),
    (pending, "general", SCOPE, "no_plan"),
    *((nothing, request, SCOPE, "no_plan") for request in (*BASIC, *ADVANCED)),
    (lapsed, "general", SCOPE, "no_plan"),
    # past due or ended, but an add-on or a courtesy is usable
    (past_due_with_addon, "general", SCOPE, "covered"),
    (past_due_with_addon, "training", SCOPE, "plan_too_low"),
    (addon_alone, "question", SCOPE, "covered"),
    (addon_alone, "fel", SCOPE, "plan_too_low"),
    (advanced_courtesy_alone, "advice", SCOPE, "covered"),
    # levels
    *((basic, request, SCOPE, "plan_too_low") for request in ADVANCED),
    *((advanced, request, SCOPE, "covered") for request in (*BASIC, *ADVANCED)),
    *((corporate, request, SCOPE, "covered") for request in (*BASIC, *ADVANCED)),
    (basic_with_advanced_addon, "induction", SCOPE, "covered"),
    # units
    *((used_up, request, SCOPE, "no_tickets_left") for request in BASIC),
    *((used_up, request, SCOPE, "plan_too_low") for request in ADVANCED),
    *((advanced_used_up, request, SCOPE, "no_tickets_left") for request in (*BASIC, *ADVANCED)),
    (advanced_with_basic_addon_left, "training", SCOPE, "no_tickets_left"),
    (advanced_with_basic_addon_left, "general", SCOPE, "covered"),
    *((basic, request, SCOPE, "covered") for request in BASIC),
]


@pytest.mark.parametrize(
    ("situation", "request_", "product", "code"), TABLE, ids=[f"{t[0].__name__}-{t[1]}-{t[2]}" for t in TABLE]
)
def test_the_first_row_that_applies_decides(
    desk: Desk, situation: Situation, request_: str, product: str, code: str
) -> None:
    situation(desk)
    served = code in ("administrative", "covered")
    before = desk.balance()["used"]
    asked = desk.ask("coverage", account=PANADERIA, request=request_, product=product)
    assert (asked["code"], asked["outcome"]) == (code, "served" if served else "declined")
    answer = desk.ticket(request=request_, product=product)
    assert answer["ok"] == served
    assert served or answer["code"] == code
    assert answer.get("grant") == asked["grant"]
    assert desk.balance()["used"] - before == (code == "covered") == asked["consumes"]


def test_the_table_above_names_every_row_but_the_one_with_a_date() -> None:
    assert {code for _who, _request, _product, code in TABLE} == set(ROWS) - {"before_plans_required"}


def test_every_row_has_words_in_both_languages() -> None:
    for row in ROWS:
        assert table()[row]["es"] != table()[row]["en"]


def test_every_request_of_the_commands_is_in_the_table() -> None:
    assert {request for _who, request, _product, _code in TABLE} == set(REQUESTS)


@pytest.mark.parametrize(
    ("situation", "request_", "words"),
    [
        (nothing, "terminal", {"en": "sales adviser", "es_GT": "asesor de ventas"}),
        (past_due, "general", {"en": "charge C-100-S1-r1 is past due (250.00 GTQ)", "es_GT": "cargo C-100-S1-r1"}),
        (nothing, "general", {"en": "A plan must be bought", "es_GT": "Debe contratarse un plan"}),
        (basic, "training", {"en": "from plan Advanced on", "es_GT": "el plan Avanzado o superior"}),
        (used_up, "general", {"en": "Basic would help: 5 tickets for 250.00 GTQ", "es_GT": "5 tickets por 250.00 GTQ"}),
        (
            advanced_used_up,
            "training",
            {"en": "Advanced would help: 12 tickets for 600.00 GTQ", "es_GT": "adicional Avanzado"},
        ),
    ],
)
def test_a_decline_says_what_to_do_in_both_languages(
    desk: Desk, situation: Situation, request_: str, words: dict[str, str]
) -> None:
    situation(desk)
    line = f'{{"do": "ticket.open", "account": "C-100", "ticket": "T-X", "request": "{request_}", "priority": "low"}}'
    for lang, part in words.items():
        (answer,) = answers(desk.ledger, [line.encode()], lang=lang)
        assert part in answer["message"]
        assert "?" not in answer["message"]


def test_a_decline_is_recorded_with_who_asked_for_what_and_why_not(desk: Desk) -> None:
    nothing(desk)
    position = desk.position
    answer = desk.ticket(request="training", priority="high", product=SCOPE, ticket="T-1")
    assert answer["position"] == position + 1
    (decline,) = desk.events(PANADERIA, "decline.recorded")
    told = {name: decline[name] for name in ("ticket_no", "request", "priority", "product", "code", "by", "at")}
    assert told == {
        "ticket_no": "T-1", "request": "training", "priority": "high", "product": SCOPE, "code": "no_plan",
        "by": "operator", "at": local("2026-05-01 10:00"),
    }  # fmt: skip


def test_a_declined_number_may_be_used_when_the_request_is_accepted_later(desk: Desk) -> None:
    nothing(desk)
    desk.ticket(ticket="T-1")
    desk.at("2026-05-02 10:00").sell()
    answer = desk.ticket(ticket="T-1")
    assert (answer["ok"], answer["due_at"]) == (True, local("2026-05-02 18:00"))


@pytest.mark.parametrize("product", ["invex pos", "INVEX RUTEO/VENTAS", "Invex Erp R3/R4", "SISNOVA"])
def test_products_are_known_in_any_case(desk: Desk, product: str) -> None:
    basic(desk)
    assert desk.ticket(product=product)["ok"]


def test_a_request_dated_in_the_unpaid_days_is_declined_also_in_hindsight(desk: Desk) -> None:
    past_due(desk)
    desk.at("2026-06-02 12:00").pay()
    answer = desk.ticket(at="2026-06-02 11:00")
    assert (answer["code"], answer["charge"]) == ("payment_due", "C-100-S1-r1")
    assert desk.ticket(at="2026-06-02 12:00")["ok"]


# --- before plans were required -----------------------------------------------------------------------------


@pytest.fixture(name="early")
def _early(sqlite_url: str, tmp_path: Path) -> Iterator[Desk]:
    """A desk whose customers need a plan from July 1 2026 on."""
    shipped = files("ledger").joinpath("catalogue.toml").read_text("utf-8")
    catalogue = tmp_path / "catalogue.toml"
    line = '# plans_required_from = "2000-07-01"'
    assert line in shipped
    catalogue.write_text(shipped.replace(line, 'plans_required_from = "2026-07-01"'), "utf-8")
    desk = Desk(sqlite_url, load(catalogue))
    desk.at("2026-06-30 10:00")
    yield desk
    desk.close()


def test_before_that_date_everybody_is_served_and_consumes_nothing(early: Desk) -> None:
    early.open()
    answer = early.ticket(request="training")
    assert (answer["ok"], answer["why"], answer["grant"], answer["due_at"]) == (
        True,
        "before_plans_required",
        None,
        None,
    )


def test_with_a_plan_it_has_a_target_and_still_consumes_nothing(early: Desk) -> None:
    early.sell(level="advanced")
    answer = early.ticket(priority="high")
    assert (answer["due_at"], answer["grant"]) == (local("2026-06-30 11:00"), None)
    assert early.balance()["used"] == 0


@pytest.mark.parametrize(("request_", "product"), [("terminal", SCOPE), ("general", OUTSIDE)])
def test_it_comes_before_sales_and_scope(early: Desk, request_: str, product: str) -> None:
    early.open()
    assert early.ticket(request=request_, product=product)["why"] == "before_plans_required"


def test_but_after_administrative(early: Desk) -> None:
    early.open()
    assert early.ticket(request="administrative")["why"] == "administrative"


@pytest.mark.parametrize(("at", "ok"), [("2026-06-30 23:59:59.999999", True), ("2026-07-01 00:00", False)])
def test_the_local_date_decides(early: Desk, at: str, ok: bool) -> None:
    early.open().at(at)
    assert early.ticket()["ok"] is ok


def test_a_case_of_that_time_is_judged_by_its_opening_when_it_is_reclassified(early: Desk) -> None:
    early.open()
    ticket = early.ticket()["ticket"]
    early.at("2026-07-02 10:00")
    assert early.do("ticket.reclassify", ticket=ticket, request="training")["ok"]


# --- which grant pays ---------------------------------------------------------------------------------------


def takes(desk: Desk, request: str = "general", **given: Any) -> tuple[str, str]:
    answer = desk.ticket(request=request, **given)
    return answer["grant"].removeprefix(f"{PANADERIA}-"), answer["why"]


def test_the_only_grant(desk: Desk) -> None:
    basic(desk)
    assert takes(desk) == ("S1-m0", "only_grant")


def test_soonest_expiry_first(desk: Desk) -> None:
    basic(desk)
    desk.courtesy()  # until June 1 as well: 30 days after May 1
    desk.at("2026-05-20 10:00").addon()
    assert takes(desk)[0] == "S1-m0"
    assert desk.tickets(4)
    assert takes(desk) == ("K1", "soonest_expiry")
    assert takes(desk) == ("A1-t", "only_grant")


def test_an_addon_that_expires_before_the_plan_pays_first(desk: Desk) -> None:
    desk.at("2026-05-31 10:00").sell(term="yearly").at("2026-06-01 10:00").addon()
    assert desk.grants()["A1-t"]["until"] == local("2026-07-02")
    desk.at("2026-06-30 12:00")
    assert takes(desk) == ("A1-t", "soonest_expiry")


def test_at_one_expiry_plan_before_addon_before_courtesy(desk: Desk) -> None:
    desk.sell().addon().courtesy()
    assert {g["until"] for g in desk.grants().values()} == {local("2026-06-01")}
    found = [takes(desk) for _ in range(11)]
    assert found[:5] == [("S1-m0", "plan_before_addon_before_courtesy")] * 5
    assert found[5:10] == [("A1-t", "plan_before_addon_before_courtesy")] * 5
    assert found[10] == ("K1", "only_grant")


def test_at_one_expiry_and_kind_the_earliest_granted(desk: Desk) -> None:
    desk.open().courtesy()
    desk.at("2026-05-01 11:00").courtesy()
    assert takes(desk) == ("K1", "earliest_granted")


def test_at_one_instant_the_id(desk: Desk) -> None:
    desk.open().courtesy()
    desk.courtesy()
    assert takes(desk)[0] == "K1"


def test_a_grant_of_a_lower_level_is_passed_over(desk: Desk) -> None:
    desk.sell().addon(level="advanced")
    assert takes(desk, "training") == ("A1-t", "only_grant")


def test_the_customer_may_name_another(desk: Desk) -> None:
    desk.sell().addon()
    assert takes(desk, grant="C-100-A1-t") == ("A1-t", "named_by_customer")


def test_a_named_grant_must_be_usable_for_the_request(desk: Desk) -> None:
    desk.sell().addon(level="advanced")
    with desk.refused("grant_not_usable"):
        desk.ticket(request="training", grant="C-100-S1-m0")


def test_a_named_grant_must_have_a_unit(desk: Desk) -> None:
    desk.sell().addon().tickets(5)
    with desk.refused("grant_not_usable"):
        desk.ticket(grant="C-100-S1-m0")


def test_a_named_grant_must_exist(desk: Desk) -> None:
    basic(desk)
    with desk.refused("unknown_grant"):
        desk.ticket(grant="C-100-S9-m0")


def test_another_accounts_grant_is_unknown(desk: Desk) -> None:
    basic(desk)
    desk.sell("C-200")
    with desk.refused("unknown_grant"):
        desk.ticket(grant="C-200-S1-m0")


def test_the_consumption_names_its_grant_and_says_why(desk: Desk) -> None:
    basic(desk)
    desk.ticket(ticket="T-1")
    (consumed,) = desk.events(PANADERIA, "account.ticket_consumed")
    assert (consumed["ticket_no"], consumed["grant"], consumed["why"]) == ("T-1", "C-100-S1-m0", "only_grant")


# --- dated back -----------------------------------------------------------------------------------------------


def test_a_case_dated_before_a_recorded_expiry_takes_one_from_it(desk: Desk) -> None:
    desk.sell(paid=2).at("2026-06-01 10:00").ledger.record_due(PANADERIA)
    assert takes(desk, at="2026-05-31 22:00") == ("S1-m0", "only_grant")
    assert [e["units"] for e in desk.events(PANADERIA, "account.tickets_expired")] == [5, -1]
    assert {e["at"] for e in desk.events(PANADERIA, "account.tickets_expired")} == {local("2026-06-01")}
    assert (desk.grants()["S1-m0"]["expired"], desk.balance()["not_yet_recorded"]) == (4, 0)


def test_a_case_dated_back_must_leave_later_cases_their_unit(desk: Desk) -> None:
    basic(desk)
    desk.at("2026-05-01 12:00").tickets(5)
    desk.at("2026-05-01 13:00")
    assert desk.ticket(at="2026-05-01 11:00")["code"] == "no_tickets_left"


def test_a_unit_given_back_later_does_not_pay_for_an_earlier_case(desk: Desk) -> None:
    basic(desk)
    first = desk.tickets(5)[0]
    desk.at("2026-05-01 12:00").do("ticket.give_back", ticket=first, reason="duplicado")
    assert desk.ticket(at="2026-05-01 11:00")["code"] == "no_tickets_left"
    assert desk.ticket()["ok"]


def test_a_grant_dated_back_never_reroutes_a_consumption(desk: Desk) -> None:
    desk.sell().at("2026-05-01 12:00").tickets(1)
    desk.at("2026-05-02 09:00").courtesy(at="2026-05-01 11:00")
    assert desk.grants()["S1-m0"]["used"] == 1
    assert desk.grants()["K1"]["used"] == 0


def test_a_question_about_a_past_instant_is_answered_as_of_then(desk: Desk) -> None:
    used_up(desk)
    desk.at("2026-05-03 10:00").addon()
    asked = desk.ask("coverage", account=PANADERIA, request="general", at="2026-05-02 10:00")
    assert asked["code"] == "no_tickets_left"


def test_a_question_about_the_future_counts_what_falls_due_until_then(desk: Desk) -> None:
    desk.sell(paid=2).tickets(5)
    asked = desk.ask("coverage", account=PANADERIA, request="general", at="2026-06-01 00:00")
    assert asked["grant"] == "C-100-S1-m1"


@pytest.mark.parametrize(("priority", "seconds"), [("low", 14400), ("medium", 14400), ("high", 3600)])
def test_coverage_names_the_target(desk: Desk, priority: str, seconds: int) -> None:
    advanced(desk)
    asked = desk.ask("coverage", account=PANADERIA, request="general", priority=priority)
    assert (asked["limit_seconds"], asked["level"]) == (seconds, "advanced")


def test_coverage_writes_nothing(desk: Desk) -> None:
    past_due(desk)
    position = desk.position
    desk.ask("coverage", account=PANADERIA, request="general")
    assert desk.position == position


def test_a_question_before_the_opening_finds_no_account(desk: Desk) -> None:
    basic(desk)
    with desk.refused("unknown_account"):
        desk.ask("coverage", account=PANADERIA, request="general", at="2026-04-30 10:00")
