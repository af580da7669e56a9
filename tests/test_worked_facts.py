"""DOMAIN.md's table of worked facts, row by row, on both stores (the upgrade's row comes with the upgrade)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from ledger.rules import terms
from ledger.rules.instants import local_date
from ledger.rules.money import show_amount, split
from tests.given import PANADERIA, ZONE, Desk, local


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url)
    yield desk
    desk.close()


def boundaries(anchor: str, months: int, count: int) -> list[str]:
    return [terms.boundary(date.fromisoformat(anchor), months * k).isoformat()[5:] for k in range(1, count + 1)]


def test_anchor_on_january_31_monthly() -> None:
    assert boundaries("2025-01-31", 1, 4) == ["02-28", "03-31", "04-30", "05-31"]
    assert terms.boundary(date(2025, 1, 31), 37) == date(2028, 2, 29)


def test_anchor_on_february_29_yearly() -> None:
    assert boundaries("2020-02-29", 12, 4) == ["02-28", "02-28", "02-28", "02-29"]


def test_a_plan_paid_on_january_31_renews_where_the_months_end(desk: Desk) -> None:
    desk.at("2025-01-31 10:00").sell().pay(PANADERIA, "750.00")
    until = [desk.balance(at=day)["period"]["until"][:10] for day in ("2025-02-01", "2025-03-01", "2025-04-01")]
    assert until == ["2025-02-28", "2025-03-31", "2025-04-30"]


def test_a_renewal_on_march_1_can_be_cancelled_through_february_24(desk: Desk) -> None:
    assert terms.last_cancel_day(date(2026, 3, 1)) == date(2026, 2, 24)
    desk.at("2026-02-01 10:00").sell()
    assert desk.balance()["cancel_by"] == "2026-02-24"
    desk.at("2026-02-24 23:59:59.999999").do("plan.cancel", account=PANADERIA)


def test_an_addon_paid_on_january_31_is_usable_through_march_2(desk: Desk) -> None:
    desk.at("2026-01-30 10:00").sell().at("2026-01-31 10:00").addon()
    assert desk.grants()["A1-t"]["until"] == local("2026-03-03")
    assert desk.grants(at="2026-03-02 23:59:59.999999")["A1-t"]["remaining"] == 5
    assert desk.grants(at="2026-03-03 00:00")["A1-t"]["expired"] == 5


@pytest.mark.parametrize(("instant", "day"), [("05:59", "2026-02-28"), ("06:00", "2026-03-01")])
def test_the_local_day_turns_at_six_utc(instant: str, day: str) -> None:
    assert local_date(datetime.fromisoformat(f"2026-03-01T{instant}+00:00").astimezone(UTC), ZONE).isoformat() == day


def test_grants_of_10_and_15_give_5_then_10(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").open()
    desk.courtesy(units=10)  # expires first
    desk.at("2026-05-02 10:00").courtesy(units=15)
    desk.tickets(5)
    assert [g["used"] for g in desk.grants().values()] == [5, 0]
    desk.tickets(10)
    assert [g["used"] for g in desk.grants().values()] == [10, 5]
    assert [g["remaining"] for g in desk.grants().values()] == [0, 10]


def test_of_10_granted_6_used_and_2_given_back_6_expire(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").open().courtesy(units=10)
    for ticket in desk.tickets(6)[:2]:
        desk.do("ticket.give_back", ticket=ticket, reason="duplicado")
    desk.at("2026-06-30 10:00")
    after = desk.balance()
    assert (after["used"], after["expired"], after["remaining"]) == (4, 6, 0)


def test_one_ticket_left_and_many_agents_at_once(desk: Desk) -> None:
    desk.at("2026-05-01 10:00").sell().tickets(4)
    gate = threading.Barrier(6)
    told = Counter[str]()

    def agent(number: int) -> None:
        gate.wait()
        answer = desk.ticket(ticket=f"AGENT-{number}")
        told["accepted" if answer["ok"] else answer["code"]] += 1

    agents = [threading.Thread(target=agent, args=[number]) for number in range(6)]
    for thread in agents:
        thread.start()
    for thread in agents:
        thread.join()
    assert told == {"accepted": 1, "no_tickets_left": 5}


@pytest.mark.parametrize(("answered", "verdict"), [("10:59:59.999999", "met"), ("11:00:00", "breached")])
def test_advanced_high_opened_at_10_is_met_before_11(desk: Desk, answered: str, verdict: str) -> None:
    desk.at("2026-05-01 10:00").sell(level="advanced")
    ticket = desk.ticket(priority="high")["ticket"]
    desk.at(f"2026-05-01 {answered}").do("ticket.respond", ticket=ticket)
    assert desk.clock(ticket)["verdict"] == verdict


@pytest.mark.parametrize(
    ("gross", "tax", "net"),
    [(25000, "26.79", "223.21"), (60000, "64.29", "535.71"), (38710, "41.48", "345.62")],
)
def test_iva_is_in_the_price(gross: int, tax: str, net: str) -> None:
    parts = split(gross)
    assert (show_amount(parts.tax), show_amount(parts.net)) == (tax, net)


def test_granted_is_used_expired_voided_and_remaining_at_every_instant(desk: Desk) -> None:
    desk.at("2026-01-31 10:00").sell().tickets(2)
    desk.at("2026-02-10 10:00").addon().tickets(4)
    desk.at("2026-02-20 10:00").courtesy(units=3)
    desk.at("2026-05-20 10:00")
    days = [date(2026, 2, 1) + timedelta(days=number) for number in range(105)]
    for day in days:
        for time in ("00:00", "10:00", "23:59:59.999999"):
            desk.balance(at=f"{day} {time}")  # which asserts the sums, grant by grant and in all
    assert desk.balance()["granted"] == 13
