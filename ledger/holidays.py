"""The names of Guatemala's national holidays (`holidays_gt.toml`), for people: no verdict asks for them."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

_ZONE = "America/Guatemala"


def name_of(day: str, zone: str) -> str:
    """Return the name of the holiday on `day` (YYYY-MM-DD) in a calendar of `zone`; "" where none is known."""
    return _names().get(day, "") if zone == _ZONE else ""


@cache
def _names() -> dict[str, str]:
    data = tomllib.loads(files("ledger").joinpath("holidays_gt.toml").read_text("utf-8"))
    years = (entries for year, entries in data.items() if year.isdigit())
    return {day: entry["name"] for entries in years for day, entry in entries.items()}
