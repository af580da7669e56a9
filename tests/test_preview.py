"""A preview says what money pays first: an older charge goes before the one that is looked ahead at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.given import PANADERIA, Desk


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url)
    desk.at("2026-03-12 10:00").sell(PANADERIA, "advanced")
    yield desk
    desk.close()


def test_what_is_owed_before_is_named_and_counted(desk: Desk) -> None:
    desk.do("addon.purchase", account=PANADERIA, level="basic")
    told = desk.ask("preview", account=PANADERIA, of="upgrade", level="corporate")
    assert (told["due"], told["owed_before"], told["discount"]) == ("900.00", "250.00", "600.00")
    assert [g["level"] for g in told["granted"]] == ["basic", "corporate"], "paying both grants both"
    position = desk.position
    asked = desk.do("plan.upgrade", account=PANADERIA, level="corporate")
    assert (asked["charge"], asked["due"]) == (told["charge"], told["due"])
    assert desk.position > position
    desk.pay(PANADERIA, "1150.00")
    balance = desk.balance(PANADERIA)
    assert (balance["level"], balance["cancel_by"]) == (told["level"], told["cancel_by"]) == ("corporate", "2026-04-07")
    assert sorted(g["units"] for g in balance["grants"]) == [5, 12, 30]


def test_nothing_is_owed_before_a_charge_that_comes_first(desk: Desk) -> None:
    desk.at("2026-04-08 10:00")
    desk.do("addon.purchase", account=PANADERIA, level="basic")
    told = desk.ask("preview", account=PANADERIA, of="renewal")
    assert (told["due"], told["owed_before"], told["on"]) == ("600.00", "0.00", "2026-04-12")


def test_a_preview_writes_nothing(desk: Desk) -> None:
    position = desk.position
    desk.ask("preview", account=PANADERIA, of="upgrade", level="corporate")
    desk.ask("preview", account=PANADERIA, of="addon", level="basic")
    desk.ask("preview", account=PANADERIA, of="renewal")
    desk.ask("preview", account=PANADERIA, of="cancel")
    assert desk.position == position
