"""The mapping file: the only thing that knows another system. TOML, checked on load.

Two layouts: `events` (one row an event of a case) and `cases` (one line a case, its instants in several columns).
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from ledger.errors import LedgerError
from ledger.rules import instants
from ledger.rules.grants import LEVELS
from ledger.rules.money import CURRENCIES
from ledger.rules.sla import PRIORITIES

Action = Literal["open", "respond", "wait", "resume", "resolve", "close", "duplicate", "invalid", "note"]


class MappingError(LedgerError):
    """The mapping has a mistake: `file`, `entry` and `why` name it. Nothing is imported with it."""

    def __init__(self, file: str, entry: str, why: str) -> None:
        super().__init__("mapping_wrong", file=file, entry=entry, why=why)


class Columns(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which column holds what, by its heading. `time` and `activity` are of the `events` layout only."""

    case: str
    account: str
    agent: str
    level: str
    priority: str
    time: str = ""
    activity: str = ""
    attributes: tuple[str, ...] = ()


class Times(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`format`: "iso" or one of strptime's; `zone`: of times without an offset, and of the accounts."""

    format: str
    zone: str


class Step(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """In the `cases` layout: the column of an instant and what happened then; blank cells mean it did not."""

    column: str
    action: Action


class Outcome(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """In the `cases` layout: a column whose values mean an action, dated by the line's last instant."""

    column: str
    values: dict[str, Action]


class Enrolment(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The plan each customer gets, dated by its first case, of that case's level."""

    term: Literal["monthly"] = "monthly"
    currency: str = "GTQ"
    language: Literal["es_GT", "en"] = "es_GT"


class Mapping(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A checked mapping. Values of levels, priorities and activities are looked up exactly as they stand."""

    name: str
    layout: Literal["events", "cases"]
    columns: Columns
    times: Times
    levels: dict[str, str]
    priorities: dict[str, str]
    encoding: str = "utf-8"
    delimiter: str = ","
    activities: dict[str, Action] = {}
    other_activities: Literal["note", "reject"] = "reject"
    steps: tuple[Step, ...] = ()
    outcome: Outcome | None = None
    enrolment: Enrolment = Enrolment()

    def needed(self) -> tuple[str, ...]:
        """Return every heading that the file must have."""
        c = self.columns
        names = [c.case, c.account, c.agent, c.level, c.priority, *c.attributes]
        if self.layout == "events":
            names += [c.time, c.activity]
        names += [step.column for step in self.steps]
        if self.outcome is not None:
            names.append(self.outcome.column)
        return tuple(dict.fromkeys(names))


def load_mapping(path: Path) -> Mapping:
    """Return the mapping of a TOML file; MappingError names file, entry and reason of the first mistake."""
    try:
        mapping = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Mapping)
    except OSError as error:
        raise MappingError(path.name, "file", error.strerror or str(error)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MappingError(path.name, "TOML", str(error)) from error
    except msgspec.ValidationError as error:
        why, _, place = str(error).partition(" - at ")
        raise MappingError(path.name, place.strip("`$.") or "top level", why) from error
    for entry, why in _mistakes(mapping):
        raise MappingError(path.name, entry, why)
    return mapping


def _mistakes(mapping: Mapping) -> list[tuple[str, str]]:
    wrong = []
    if not mapping.name.strip() or any(c in mapping.name for c in ":/ "):
        wrong.append(("name", "must be a word without blank, colon or slash"))
    try:
        instants.zone(mapping.times.zone, "times.zone")
    except LedgerError:
        wrong.append(("times.zone", f"{mapping.times.zone!r} is no IANA zone"))
    if mapping.times.format != "iso" and "%" not in mapping.times.format:
        wrong.append(("times.format", 'must be "iso" or a format such as "%Y-%m-%d %H:%M:%S"'))
    for table, known in (("levels", LEVELS), ("priorities", PRIORITIES)):
        values: dict[str, str] = getattr(mapping, table)
        if not values:
            wrong.append((table, "must not be empty"))
        wrong += [(f"{table}.{k}", f"{v!r} is none of {', '.join(known)}") for k, v in values.items() if v not in known]
    if mapping.enrolment.currency not in CURRENCIES:
        wrong.append(("enrolment.currency", f"{mapping.enrolment.currency!r} is none of {', '.join(CURRENCIES)}"))
    if len(mapping.delimiter) != 1:
        wrong.append(("delimiter", "must be one character"))
    try:
        "".encode(mapping.encoding)
    except LookupError:
        wrong.append(("encoding", f"{mapping.encoding!r} is not known"))
    return wrong + _layout_mistakes(mapping)


def _layout_mistakes(mapping: Mapping) -> list[tuple[str, str]]:
    if mapping.layout == "events":
        if not (mapping.columns.time and mapping.columns.activity):
            return [("columns", "the events layout needs `time` and `activity`")]
        return [("steps", "go with the cases layout")] if mapping.steps else []
    opening = [step for step in mapping.steps if step.action == "open"]
    if len(opening) != 1:
        return [("steps", "the cases layout needs exactly one step whose action is open")]
    return [("activities", "go with the events layout")] if mapping.activities else []
