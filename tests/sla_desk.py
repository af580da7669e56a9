"""Sentences for scenarios of response targets, over `tests/given.py`: one Advanced customer on a Monday at ten."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from ledger.catalogue import Catalogue, load
from tests.given import ANA, BEATRIZ, PANADERIA, Desk

DAY = "2026-05-04"  # a Monday
AGREED: dict[str, Any] = {"agreed": True, "reason": "el cliente está de acuerdo"}
MANAGER: dict[str, Any] = {"by": BEATRIZ, "reason": "se registra tarde"}

# A policy of another office: opening hours with a lunch, dated versions, from Monday May 4 on.
OFFICE = """
[[calendars]]
name = "oficina"
version = 1
from = "2026-01-01"
zone = "America/Guatemala"
[calendars.week]
mon = [["08:00", "12:00"], ["13:00", "17:00"]]
tue = [["08:00", "12:00"], ["13:00", "17:00"]]
wed = [["08:00", "12:00"], ["13:00", "17:00"]]
thu = [["08:00", "12:00"], ["13:00", "17:00"]]
fri = [["08:00", "12:00"], ["13:00", "17:00"]]
"""
STRICT = """
[[targets]]
version = "2026-05"
from = "2026-05-05"
basic = { low = "1h", medium = "1h", high = "30m" }
advanced = { low = "30m", medium = "30m", high = "10m" }
corporate = { low = "20m", medium = "20m", high = "5m" }
calendar = "24x7"
"""


def catalogue(folder: Path, *more: str) -> Catalogue:
    """Return the shipped catalogue with more entries below it."""
    path = folder / "catalogue.toml"
    path.write_text(files("ledger").joinpath("catalogue.toml").read_text("utf-8") + "".join(more), "utf-8")
    return load(path)


@contextmanager
def opened_desk(url: str, known: Catalogue | None = None, level: str = "advanced") -> Iterator[Desk]:
    """Give a desk on a Monday at ten, with one customer."""
    desk = Desk(url, known)
    desk.at(f"{DAY} 08:00").sell(level=level).at(f"{DAY} 10:00")
    yield desk
    desk.close()


def clocked(text: str) -> str:
    """Return the local time that "10:30" means on the Monday."""
    return text if "-" in text else f"{DAY} {text}"


def opened(desk: Desk, priority: str = "low", **given: Any) -> str:
    """Open a case; return its number."""
    return str(desk.ticket(priority=priority, **given)["ticket"])


def act(desk: Desk, verb: str, ticket: str, at: str = "", **given: Any) -> Any:
    """Move the clock and run a command on a case."""
    if at:
        desk.at(clocked(at))
    return desk.do(f"ticket.{verb}", ticket=ticket, **{"by": ANA, **given})


def late(desk: Desk, verb: str, ticket: str, dated: str, **given: Any) -> Any:
    """Let a manager record now what happened before."""
    return desk.do(f"ticket.{verb}", ticket=ticket, at=clocked(dated), **{**MANAGER, **given})


def assign(desk: Desk, calendar: str, level: str = "advanced", priority: str = "low", **given: Any) -> Any:
    """Assign a calendar to a level and priority."""
    return desk.do("calendar.assign", level=level, priority=priority, calendar=calendar, by=BEATRIZ, **given)


def used(desk: Desk) -> int:
    """Return how many units the customer has used."""
    return int(desk.balance(PANADERIA)["used"])


def former_catalogue() -> str:
    """Return the catalogue of before the first release: gt-business with holidays from December 2026 on only."""
    shipped = files("ledger").joinpath("catalogue.toml").read_text("utf-8")
    start = shipped.index('[[calendars]]\nname = "gt-business"')
    first, dates = shipped[start:].split("[calendars.dates]")
    second = first.replace("version = 1", "version = 2").replace('from = "2000-01-01"', 'from = "2026-12-01"')
    return f"{shipped[:start]}{first}\n{second}[calendars.dates]{dates}"
