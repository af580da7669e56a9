"""A catalogue that would change the past is refused; one that goes on is taken, and kept from then on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from ledger.catalogue import Catalogue, load
from ledger.catalogue_guard import guard
from ledger.errors import Unavailable
from tests.given import Desk
from tests.sla_desk import former_catalogue

SHIPPED = files("ledger").joinpath("catalogue.toml").read_text("utf-8")
DEARER = """
[[prices]]
from = "{since}"
published = "{since}"
[prices.GTQ]
basic = {{ tickets = 5, monthly = "{price}", yearly = "2800.00", addon = "280.00" }}
advanced = {{ tickets = 12, monthly = "600.00", yearly = "6000.00", addon = "600.00" }}
corporate = {{ tickets = 30, monthly = "1500.00", yearly = "15000.00", addon = "1500.00" }}
"""


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url)
    desk.at("2026-05-04 10:00").open()
    used(desk, load())
    yield desk
    desk.close()


def used(desk: Desk, catalogue: Catalogue) -> None:
    """Use a ledger with a catalogue: the first append keeps its entries."""
    guard(desk.ledger.store, catalogue)
    desk.open(f"C-{desk.position}")


def test_the_former_calendars_are_taken_for_the_first_version_and_nothing_else(desk: Desk, tmp_path: Path) -> None:
    """A ledger of before the first release goes on; cases that name the second version are counted in the first."""
    former = changed(tmp_path, former_catalogue())
    assert former.calendars == {"24x7@1", "gt-business@1", "gt-business@2"}
    desk.ledger.store.set_meta("catalogue", json.dumps(former.published))
    guard(desk.ledger.store, former)  # its own file goes on too
    guard(desk.ledger.store, load())
    used(desk, load())
    guard(desk.ledger.store, load())
    with pytest.raises(Unavailable, match="catalogue_changed"):  # nor back
        guard(desk.ledger.store, former)
    other = changed(tmp_path, former_catalogue().replace('fri = [["08:00", "17:00"]]', 'fri = [["08:00", "16:00"]]'))
    desk.ledger.store.set_meta("catalogue", json.dumps(other.published))
    with pytest.raises(Unavailable, match="catalogue_changed"):
        guard(desk.ledger.store, load())


def changed(tmp_path: Path, text: str) -> Catalogue:
    file = tmp_path / "catalogue.toml"
    file.write_text(text, "utf-8")
    return load(file)


@pytest.mark.parametrize("old", ['monthly = "250.00"', 'low = "8h"', 'from = "2000-01-01"\npublished'])
def test_an_entry_that_was_published_cannot_change(desk: Desk, tmp_path: Path, old: str) -> None:
    new = {'monthly = "250.00"': 'monthly = "251.00"', 'low = "8h"': 'low = "9h"'}
    edited = changed(tmp_path, SHIPPED.replace(old, new.get(old, 'from = "1999-01-01"\npublished'), 1))
    with pytest.raises(Unavailable, match="catalogue_changed"):
        guard(desk.ledger.store, edited)
    guard(desk.ledger.store, load())  # the refusal has left nothing behind


def test_an_entry_that_was_published_cannot_go(desk: Desk, tmp_path: Path) -> None:
    used(desk, changed(tmp_path, SHIPPED + DEARER.format(since="2026-05-05", price="280.00")))
    with pytest.raises(Unavailable, match="catalogue_changed") as told:
        guard(desk.ledger.store, load())
    assert told.value.facts == {"section": "prices", "number": 2, "since": "2026-05-05"}


def test_a_new_entry_begins_after_what_is_on_record(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="catalogue_in_the_past"):
        guard(desk.ledger.store, changed(tmp_path, SHIPPED + DEARER.format(since="2026-05-04", price="280.00")))
    for _start in range(2):
        used(desk, changed(tmp_path, SHIPPED + DEARER.format(since="2026-05-05", price="280.00")))
    with pytest.raises(Unavailable, match="catalogue_changed"):
        guard(desk.ledger.store, changed(tmp_path, SHIPPED + DEARER.format(since="2026-05-05", price="290.00")))


def test_looking_on_keeps_nothing(desk: Desk, tmp_path: Path) -> None:
    for price in ("280.00", "290.00"):  # as long as nothing is recorded under it, a future entry may be edited
        guard(desk.ledger.store, changed(tmp_path, SHIPPED + DEARER.format(since="2026-05-05", price=price)))
