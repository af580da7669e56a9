"""Two times: what was true at an instant, and what was known by an instant (DOMAIN.md, "Two times, one actor")."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.given import BEATRIZ, MARTA, PANADERIA, Desk


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url)
    yield desk
    desk.close()


def test_at_asks_what_was_true_known_at_what_was_believed(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-05-10 10:00").tickets(1)
    desk.at("2026-05-12 10:00").ticket(at="2026-05-05 10:00", by=BEATRIZ, reason="nota en papel")
    assert desk.balance(at="2026-05-06 00:00")["used"] == 1
    assert desk.balance(at="2026-05-06 00:00", known_at="2026-05-11 00:00")["used"] == 0
    assert desk.balance(known_at="2026-05-11 00:00")["used"] == 1
    assert desk.balance()["used"] == 2


def test_at_defaults_to_known_at(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-08-01 10:00")
    assert desk.balance(known_at="2026-05-20 10:00")["at"] == "2026-05-20T10:00:00-06:00"
    assert desk.state(known_at="2026-05-20 10:00") == "in_force"


def test_due_facts_derive_from_the_prefix_up_to_at(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-05-20 10:00").pay()
    assert desk.state(at="2026-06-07 00:00", known_at="2026-05-19 10:00") == "lapsed"
    assert desk.state(at="2026-06-07 00:00", known_at="2026-05-20 10:00") == "in_force"


def test_due_facts_are_marked_where_not_yet_recorded(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-06-01 00:00")
    assert desk.balance()["not_yet_recorded"] == 2  # an expiry and a charge
    desk.ledger.record_due(PANADERIA)
    assert desk.balance()["not_yet_recorded"] == 0
    assert desk.balance(at="2026-06-07 00:00")["not_yet_recorded"] == 2  # the lapse, to come


@pytest.mark.parametrize("at", ["2026-05-31 23:59", "2026-06-01 00:00", "2026-06-20 10:00", "2026-09-01 00:00"])
def test_an_answer_is_the_same_before_and_after_the_due_facts_are_recorded(desk: Desk, at: str) -> None:
    desk.at("2026-05-01 10:00").sell(term="yearly").addon().tickets(7)
    desk.at("2026-09-01 00:00")
    before = (desk.balance(at=at), desk.billing(at=at))
    assert desk.ledger.record_due(PANADERIA) > 5
    after = (desk.balance(at=at), desk.billing(at=at))
    for answer in (*before, *after):
        answer.pop("not_yet_recorded", None)
    assert before == after


def test_what_was_known_does_not_change_when_more_is_recorded(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell()
    ticket = desk.ticket()["ticket"]
    desk.at("2026-06-08 10:00").ledger.record_due(PANADERIA)
    asked = [("balance", {"account": PANADERIA}), ("billing", {"account": PANADERIA}), ("ticket", {"ticket": ticket})]
    asked += [("history", {"account": PANADERIA}), ("account", {"account": PANADERIA})]

    def believed() -> list[object]:
        return [desk.ask(question, known_at="2026-06-08 12:00", **given) for question, given in asked]

    desk.at("2026-06-08 12:00")
    before = believed()
    desk.at("2026-06-08 12:00:00.000001")
    desk.pay(by=BEATRIZ, at="2026-06-05 10:00", reason="boleta hallada")  # undoes the lapse
    desk.do("ticket.respond", ticket=ticket, at="2026-05-01 11:00", reason="correo hallado")
    desk.at("2026-12-01 10:00").ledger.record_due(PANADERIA)
    assert believed() == before


def test_the_last_row_recorded_by_then_was_known(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-05-10 10:00")
    granted = desk.do("courtesy.grant", account=PANADERIA, level="basic", units=3, by=BEATRIZ, reason="error nuestro")
    assert granted["position"] == desk.ledger.store.last_position()
    assert desk.balance(known_at="2026-05-10 10:00")["remaining"] == 8
    assert desk.balance(known_at="2026-05-10 09:59")["remaining"] == 5


def test_a_case_was_not_known_before_it_was_recorded(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-05-01 15:00")
    ticket = desk.ticket(at="2026-05-01 12:00")["ticket"]
    with desk.refused("unknown_ticket"):
        desk.clock(ticket, known_at="2026-05-01 14:00")
    assert desk.clock(ticket, at="2026-05-01 14:00")["verdict"] == "open"


def test_an_account_was_not_known_before_it_was_opened(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").open()
    for question in ("balance", "billing", "history", "account"):
        with desk.refused("unknown_account"):
            desk.ask(question, account=PANADERIA, known_at="2026-05-01 09:59:59.999999")
        with desk.refused("unknown_account"):
            desk.ask(question, account=PANADERIA, at="2026-05-01 09:59:59.999999")


def test_now_excludes_what_is_dated_later(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=0).pay(by=MARTA, at="2026-05-01 10:02")
    assert desk.state() == "pending"
    assert desk.state(known_at="2026-05-01 10:00") == "pending"
    assert desk.state(at="2026-05-01 10:02") == "in_force"
    assert len(desk.events(PANADERIA, "account.payment_recorded")) == 0


def test_what_is_asked_of_the_future_assumes_that_nothing_more_happens(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell(paid=3)
    states = [desk.state(at=f"2026-{month:02d}-08 00:00") for month in range(5, 10)]
    assert states == ["in_force", "in_force", "in_force", "lapsed", "lapsed"]


def test_a_fact_tells_both_its_times(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().at("2026-06-10 09:30").ledger.record_due(PANADERIA)
    (ended,) = desk.events(PANADERIA, "account.plan_ended")
    assert (ended["at"], ended["recorded_at"]) == ("2026-06-07T00:00:00-06:00", "2026-06-10T09:30:00-06:00")
    assert (ended["by"], ended["source"]) == ("ledger", "rule")
