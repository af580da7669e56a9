"""The catalogue: dated data, checked on load; a wrong one stops with file, entry and reason."""

from __future__ import annotations

from datetime import date
from importlib.resources import files
from pathlib import Path

import pytest

from ledger.catalogue import load
from ledger.catalogue_error import CatalogueError

SHIPPED = files("ledger").joinpath("catalogue.toml").read_text("utf-8")
NEW_PRICES = """
[[prices]]
from = "2026-03-01"
published = "2026-03-10"
[prices.GTQ]
basic = { tickets = 6, monthly = "280.00", yearly = "2800.00", addon = "280.00" }
advanced = { tickets = 12, monthly = "650.00", yearly = "6500.00", addon = "650.00" }
corporate = { tickets = 30, monthly = "1600.00", yearly = "16000.00", addon = "1600.00" }

# Response targets"""

OLD_POLICY = """
[[targets]]
version = "2000-01"
from = "2026-01-01"
basic = { low = "8h", medium = "8h", high = "2h" }
advanced = { low = "4h", medium = "4h", high = "1h" }
corporate = { low = "2h", medium = "2h", high = "1h" }
calendar = "24x7"

# What the customer"""


def written(folder: Path, *changes: tuple[str, str]) -> Path:
    text = SHIPPED
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    (folder / "mine.toml").write_text(text, "utf-8")
    return folder / "mine.toml"


def test_a_changed_price_reaches_a_renewal_thirty_days_after_it_was_published(tmp_path: Path) -> None:
    catalogue = load(written(tmp_path, ("\n# Response targets", NEW_PRICES)))
    assert catalogue.price("basic", "monthly", date(2026, 2, 28), "GTQ") == (5, 25000)
    assert catalogue.price("basic", "monthly", date(2026, 3, 1), "GTQ") == (6, 28000)
    assert catalogue.renewal_price("basic", "monthly", date(2026, 4, 8), "GTQ") == (5, 25000)
    assert catalogue.renewal_price("basic", "monthly", date(2026, 4, 9), "GTQ") == (6, 28000)


def test_targets_are_those_of_the_faq() -> None:
    catalogue = load()
    hours = {
        (level, priority): catalogue.target(level, priority, date(2026, 1, 1)).limit_us // 3_600_000_000
        for level in ("basic", "advanced", "corporate")
        for priority in ("low", "medium", "high")
    }
    assert list(hours.values()) == [8, 8, 2, 4, 4, 1, 2, 2, 1]


def test_plans_are_required_from_the_date_the_catalogue_gives(tmp_path: Path) -> None:
    changed = written(tmp_path, ('# plans_required_from = "2000-07-01"', "plans_required_from = 2026-07-01"))
    catalogue = load(changed)
    assert [catalogue.plan_needed(day) for day in (date(2026, 6, 30), date(2026, 7, 1))] == [False, True]
    assert load().plan_needed(date(2000, 1, 1))


@pytest.mark.parametrize(
    ("change", "entry"),
    [
        (("schema = 1", "schema = 2"), "schema"),
        (('currency = "GTQ"', 'currency = "EUR"'), "currency"),
        (('currency = "GTQ"', 'currency = "GTQ"\nplans_required_from = "soon"'), "plans_required_from"),
        (('zone = "America/Guatemala"\ncurrency', 'zone = "America/Tikal"\ncurrency'), "zone"),
        (('monthly = "250.00"', "monthly = 250.0"), "prices"),
        (('monthly = "250.00"', 'monthly = "250.005"'), "prices[1].GTQ.basic.monthly"),
        (("tickets = 5", "tickets = 0"), "prices[1].GTQ.basic.tickets"),
        (('low = "8h"', 'low = "8 hours"'), "targets[1].basic.low"),
        (('calendar = "24x7"', 'calendar = "weekdays"'), "targets[1].basic.low"),
        (('zone = "America/Guatemala"\n[calendars', 'zone = "America/Tikal"\n[calendars'), "calendars[2].zone"),
        (('["08:00", "17:00"]', '["17:00", "08:00"]'), "calendars[2].week.mon"),
        (
            ('calendar = "24x7"', 'calendar = "24x7"\ncalendars = { gold = { low = "24x7" } }'),
            "targets[1].calendars.gold",
        ),
        (
            ('calendar = "24x7"', 'calendar = "24x7"\ncalendars = { basic = { lo = "24x7" } }'),
            "targets[1].calendars.basic",
        ),
        (('high = "I confirm', 'hi = "I confirm'), "confirmations[1].en"),
        (("\n# What the customer", OLD_POLICY), "targets[2].version"),
        (("max_units = 30", "max_units = 0"), "courtesy.max_units"),
        (('version = "2000-01"', 'version = "2000-01"\nsurprise = 1'), "targets"),
        (("[products]", "[products"), "TOML"),
    ],
)
def test_a_mistake_stops_with_file_entry_and_reason(tmp_path: Path, change: tuple[str, str], entry: str) -> None:
    with pytest.raises(CatalogueError) as refused:
        load(written(tmp_path, change))
    facts = refused.value.facts
    assert facts["file"] == "mine.toml"
    assert facts["entry"].startswith(entry)
    assert facts["why"]
    spanish = refused.value.message("es_GT")
    assert "mine.toml" in spanish
    assert facts["why"] not in spanish  # what is wrong is said in Spanish too
    for english in ("Expected", "none of", "must", "Object", "stands", "such as"):
        assert english not in spanish


def test_a_currency_left_out_keeps_its_prices(tmp_path: Path) -> None:
    catalogue = load(written(tmp_path, ("\n# Response targets", NEW_PRICES)))
    assert catalogue.price("basic", "monthly", date(2026, 3, 1), "USD") == (5, 3250)


def test_before_its_first_entries_the_first_govern() -> None:
    assert load().price("basic", "monthly", date(1999, 1, 1), "GTQ") == (5, 25000)
    assert load().target("basic", "low", date(1999, 1, 1)).calendar == "24x7@1"


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"nowhere\.toml"):
        load(tmp_path / "nowhere.toml")
