"""What-if scenarios as people write them: other limits, calendars, holidays, a zone, pausing; text, JSON or TOML.

`basic/high=1h,calendar=gt-business,holiday=2026-12-24` or {"limits": {"basic/high": "1h"}, "calendars": "gt-business"}.
The first mistake raises Malformed with its place and what would be accepted.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from ledger.errors import Malformed
from ledger.fields import Kind
from ledger.rules.calendars import MAX_LIMIT_US, Calendar
from ledger.rules.grants import LEVELS
from ledger.rules.instants import parse_date, zone
from ledger.rules.sla import PRIORITIES

Cell = tuple[str, str]
CELLS: tuple[Cell, ...] = tuple((level, priority) for level in LEVELS for priority in PRIORITIES)
PAUSES = ("none", "waiting")
MOST = 100  # scenarios in one question
UNNAMED = "what-if"  # the one that a question makes of its own fields
_LIMIT = re.compile(r"(?=[0-9])(?:([0-9]{1,5})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,8})s)?", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,59}", re.ASCII)
_MEMBERS = ("limits", "calendars", "holidays", "zone", "pause", "define")


@dataclass(frozen=True)
class Scenario:
    """What is to be otherwise; what it leaves out stays as it was promised to each case."""

    name: str = ""
    limits: Mapping[Cell, int] = field(default_factory=dict)  # in microseconds
    calendars: Mapping[Cell, str] = field(default_factory=dict)  # name, or name@version
    define: Mapping[str, Calendar] = field(default_factory=dict)
    holidays: tuple[date, ...] = ()
    zone: str = ""
    pause: bool = False


def parse_limit(value: Any, place: str) -> int:
    """Return the microseconds of 8h, 30m, 45s or 1h30m; Malformed for anything else and for nothing."""
    match = _LIMIT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Malformed(place, value, "remedy_limit_text")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    micros = (hours * 3600 + minutes * 60 + seconds) * 1_000_000
    if not 0 < micros <= MAX_LIMIT_US:
        raise Malformed(place, value, "remedy_limit_text")
    return micros


def show_limit(micros: int) -> str:
    """Return a limit of whole seconds as `parse_limit` reads it."""
    seconds = micros // 1_000_000
    parts = ((seconds // 3600, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number)


def parse_cell(value: Any, place: str) -> Cell:
    """Return level and priority of `basic/high`."""
    level, slash, priority = value.partition("/") if isinstance(value, str) else ("", "", "")
    if not slash or level not in LEVELS or priority not in PRIORITIES:
        raise Malformed(place, value, "remedy_cell", levels=", ".join(LEVELS), priorities=", ".join(PRIORITIES))
    return level, priority


def _pairs(value: Any, place: str) -> dict[str, Any]:
    """Return the members of an object, or of text such as `basic/high=1h,basic/low=4h`."""
    if isinstance(value, Mapping):
        return {str(name): given for name, given in value.items()}
    if not isinstance(value, str) or not value.strip():
        raise Malformed(place, value, "remedy_pairs")
    if value.lstrip().startswith("{"):
        return _object(value, place)
    found: dict[str, Any] = {}
    for part in value.split(","):
        name, equals, given = (text.strip() for text in part.partition("="))
        if not equals:
            raise Malformed(place, part, "remedy_pairs")
        if name in found:
            raise Malformed(f"{place}.{name}", given, "remedy_twice")
        found[name] = given
    return found


def parse_limits(value: Any, place: str) -> dict[Cell, int]:
    """Return the limits of an object or text by level and priority."""
    pairs = _pairs(value, place)
    return {parse_cell(name, place): parse_limit(given, f"{place}.{name}") for name, given in pairs.items()}


def parse_calendars(value: Any, place: str) -> dict[Cell, str]:
    """Return calendars by level and priority; one name alone counts for all that are not named."""
    everywhere: list[str] = []
    if isinstance(value, str) and not value.lstrip().startswith("{"):
        parts = [part.strip() for part in value.split(",")]
        everywhere = [_named(part, place) for part in parts if "=" not in part]
        value = ",".join(part for part in parts if "=" in part)
        if len(everywhere) > 1:
            raise Malformed(place, everywhere[1], "remedy_twice")
    pairs = _pairs(value, place) if value or not everywhere else {}
    found = {parse_cell(name, place): _named(given, f"{place}.{name}") for name, given in pairs.items()}
    return dict.fromkeys(CELLS, everywhere[0]) | found if everywhere else found


def _named(value: Any, place: str) -> str:
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise Malformed(place, value, "remedy_calendar_name")
    return value


def parse_holidays(value: Any, place: str) -> tuple[date, ...]:
    """Return the dates of a list, or of text with commas between."""
    days = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if not isinstance(days, (list, tuple)) or not days:
        raise Malformed(place, value, "remedy_date")
    texts = (day.isoformat() if isinstance(day, date) else day for day in days)
    return tuple(sorted({parse_date(day, f"{place}[{number}]") for number, day in enumerate(texts)}))


def parse_define(value: Any, place: str) -> dict[str, Calendar]:
    """Return calendars of the scenario's own by name: {"rome": {"zone", "week", "dates"}}, or its JSON text."""
    return {
        _named(name, place): Calendar.from_data(given, f"{place}.{name}")
        for name, given in _object(value, place).items()
    }


def _object(value: Any, place: str) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value, object_pairs_hook=_once)
        except (ValueError, RecursionError):
            raise Malformed(place, value, "remedy_json_object") from None
    if not isinstance(value, Mapping):
        raise Malformed(place, value, "remedy_json_object")
    return dict(value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def parse_pause(value: Any, place: str) -> bool:
    """Whether the clock stands still while we wait on the customer: `waiting` or `none`."""
    if value not in PAUSES:
        raise Malformed(place, value, "remedy_choice", words=", ".join(PAUSES))
    return bool(value == "waiting")


def _zone(value: Any, place: str) -> str:
    zone(value, place)
    return str(value)


_PARSERS: dict[str, Any] = dict(
    zip(
        _MEMBERS,
        (parse_limits, parse_calendars, parse_holidays, _zone, parse_pause, parse_define),
        strict=True,
    )
)


def parse_scenario(data: Any, name: str, place: str) -> Scenario:
    """Return the scenario of an object; null and absent members leave things as they are."""
    given = {key: value for key, value in _object(data, place).items() if value is not None}
    for key in given:
        if key not in _MEMBERS:
            raise Malformed(f"{place}.{key}", given[key], "remedy_unknown_field", known=", ".join(_MEMBERS))
    members: dict[str, Any] = {key: _PARSERS[key](value, f"{place}.{key}") for key, value in given.items()}
    return Scenario(name, **members)


def parse_text(text: str, name: str, place: str) -> Scenario:
    """Return the scenario of `basic/high=1h,calendar=gt-business,calendar.basic/low=24x7,holiday=…,zone=…,pause=…`."""
    data: dict[str, Any] = {}
    for part in text.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise Malformed(place, part, "remedy_scenario_text")
        if key == "holiday":
            data.setdefault("holidays", []).append(value)
        elif key == "calendar":
            data["calendars"] = dict.fromkeys(map("/".join, CELLS), value) | data.get("calendars", {})
        elif key.startswith("calendar."):
            data.setdefault("calendars", {})[key.removeprefix("calendar.")] = value
        elif key in ("zone", "pause"):
            data[key] = value
        elif "/" in key:
            data.setdefault("limits", {})[key] = value
        else:
            raise Malformed(place, part, "remedy_scenario_text")
    return parse_scenario(data, name, place)


def parse_scenarios(value: Any, place: str) -> list[Scenario]:
    """Return the scenarios of {"name": {…}, …}, of its JSON text, or of `NAME:basic/high=1h;NAME:…`."""
    if isinstance(value, list) and all(isinstance(one, Scenario) for one in value):  # the command line has read them
        found = value
        if len({one.name for one in found}) < len(found):
            raise Malformed(place, ", ".join(one.name for one in found), "remedy_twice")
    elif isinstance(value, str) and not value.lstrip().startswith("{"):
        parts = [part.partition(":") for part in value.split(";") if part.strip()]
        if len({name.strip() for name, _colon, _text in parts}) < len(parts):
            raise Malformed(place, value, "remedy_twice")
        found = [parse_text(text, _called(name.strip(), place), f"{place}.{name.strip()}") for name, _c, text in parts]
    else:
        data = _object(value, place)
        found = [parse_scenario(given, _called(name, place), f"{place}.{name}") for name, given in data.items()]
    if not 1 <= len(found) <= MOST:
        raise Malformed(place, len(found), "remedy_scenario_text")
    return found


def _called(name: str, place: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise Malformed(place, name, "remedy_scenario_text")
    return name


# --- a policy's file ------------------------------------------------------------------------------------------


def load_file(path: Path) -> list[Scenario]:
    """Return the scenarios of a TOML file: one at its top level, or a table each under `scenarios`.

    A scenario has the members above, or a whole policy as the catalogue writes it: `basic`, `advanced` and `corporate`
    with a limit for every priority, `calendar`, `calendars`. Malformed names file and place of the first mistake.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Malformed(path.name, str(error), "remedy_toml") from error
    except OSError as error:
        raise Malformed("policy", path.name, "remedy_policy_file", detail=error.strerror or str(error)) from error
    tables = data.pop("scenarios", None)
    if tables is None:
        return [_of_file(data, path.stem, path.name)]
    if not isinstance(tables, dict) or not 1 <= len(tables) <= MOST:
        raise Malformed(f"{path.name}: scenarios", tables, "remedy_json_object")
    shared = {"define": data.pop("define", None)}
    for key, value in data.items():
        raise Malformed(f"{path.name}: {key}", value, "remedy_unknown_field", known="scenarios, define")
    return [_of_file(shared | table, name, f"{path.name}: scenarios.{name}") for name, table in tables.items()]


def _of_file(table: Any, name: str, place: str) -> Scenario:
    """Return a scenario of a TOML table: a whole policy in the catalogue's words becomes limits and calendars."""
    given = _object(table, place)
    levels = {level: given.pop(level) for level in LEVELS if level in given}
    if levels:
        if "limits" in given:
            raise Malformed(f"{place}: limits", "limits", "remedy_limits_or_levels")
        given["limits"] = _whole_policy(levels, place)
    everywhere, chosen = given.pop("calendar", None), given.get("calendars")
    if isinstance(chosen, list):  # as the catalogue writes its calendars
        raise Malformed(f"{place}: calendars", "[[calendars]]", "remedy_define_calendar")
    if isinstance(chosen, dict):
        chosen = {
            f"{key}/{inner}" if isinstance(value, dict) else key: text
            for key, value in chosen.items()
            for inner, text in (value.items() if isinstance(value, dict) else (("", value),))
        }
        given["calendars"] = chosen
    if everywhere is not None:
        parse_calendars(everywhere, f"{place}: calendar")
        given["calendars"] = dict.fromkeys(map("/".join, CELLS), everywhere) | (chosen or {})
    return parse_scenario(given, name, place)


def _whole_policy(levels: Mapping[str, Any], place: str) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    for level in LEVELS:
        if level not in levels:
            raise Malformed(f"{place}: {level}", None, "remedy_whole_policy", levels=", ".join(LEVELS))
        row = _object(levels[level], f"{place}: {level}")
        for priority in (*PRIORITIES, *row):
            if priority not in row or priority not in PRIORITIES:
                words = ", ".join(PRIORITIES)
                raise Malformed(f"{place}: {level}.{priority}", row.get(priority), "remedy_exactly", words=words)
            limits[f"{level}/{priority}"] = row[priority]
    return limits


# --- fields of the question -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part(Kind):
    """One member of a scenario, as a field of the question: an object in JSON, or its text."""

    member: str
    example: str

    def parse(self, value: Any, field: str) -> Any:
        return SCENARIO_PARTS[self.member](value, field)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "examples": [self.example]}


class InCell(Kind):
    """A level and a priority: `basic/high`."""

    def parse(self, value: Any, field: str) -> Cell:
        return parse_cell(value, field)

    def schema(self) -> dict[str, Any]:
        one, other = "|".join(LEVELS), "|".join(PRIORITIES)
        return {"type": "string", "pattern": f"^({one})/({other})$", "examples": ["basic/high"]}


class Share(Kind):
    """A share in per cent, above 0 and at most 100, with at most two decimals; parsed to hundredths of a per cent."""

    def parse(self, value: Any, field: str) -> int:
        text = str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
        match = re.fullmatch(r"([0-9]{1,3})(?:\.([0-9]{1,2}))?", text, re.ASCII) if isinstance(text, str) else None
        parts = 0 if match is None else int(match[1]) * 100 + int((match[2] or "0").ljust(2, "0"))
        if not 0 < parts <= 10_000:
            raise Malformed(field, value, "remedy_share")
        return parts

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^[0-9]{1,3}(\.[0-9]{1,2})?$", "examples": ["95"]}


SCENARIO_PARTS = {**_PARSERS, "scenarios": parse_scenarios}
