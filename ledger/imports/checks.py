"""Loads a mapping and checks it: the first mistake stops with file, entry and reason, before any row is read."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from ledger.errors import LedgerError
from ledger.fields import NewId, Text
from ledger.imports.mapping import ONE, Exclude, Mapping
from ledger.rules import instants
from ledger.rules.grants import LEVELS
from ledger.rules.money import CURRENCIES
from ledger.rules.sla import PRIORITIES

_SAMPLE = datetime(2013, 11, 28, 17, 46, 39)  # noqa: DTZ001 - day, month and year cannot be taken for each other
Mistake = tuple[str, str]


class MappingError(LedgerError):
    """The mapping has a mistake: `file`, `entry` and `why` name it. Nothing is imported with it."""

    def __init__(self, file: str, entry: str, why: str) -> None:
        super().__init__("mapping_wrong", file=file, entry=entry, why=why)


def load_mapping(path: Path) -> Mapping:
    """Return the mapping of a TOML file; MappingError names file, entry and reason of the first mistake."""
    try:
        mapping = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Mapping)
    except OSError as error:
        raise MappingError(path.name, "file", error.strerror or str(error)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MappingError(path.name, "TOML", str(error)) from error
    except msgspec.ValidationError as error:
        why, _, place = str(error).partition(" - at ")
        raise MappingError(path.name, place.strip("`$.") or "top level", why) from error
    for check in _CHECKS:
        for entry, why in check(mapping):
            raise MappingError(path.name, entry, why)
    return mapping


def _names(mapping: Mapping) -> Iterator[Mistake]:
    if not mapping.name or not all(c.isalnum() or c in "-_." for c in mapping.name) or len(mapping.name) > 32:
        yield "name", "must be a word of at most 32 letters, digits, '-', '_' or '.'"
    for entry in ("ticket", "account", "agent"):
        template: str = getattr(mapping.numbers, entry)
        rest = template.replace(ONE, "", 1)
        if ONE not in template or "{" in rest or "}" in rest:
            yield f"numbers.{entry}", f"must hold {ONE} once, for the value of the column"
        elif not _accepted(NewId().parse, template.replace(ONE, "1")):
            yield f"numbers.{entry}", "must be without / \\ ? # % and control characters"


def _file(mapping: Mapping) -> Iterator[Mistake]:
    if len(mapping.delimiter) != 1 or mapping.delimiter in '"\r\n':
        yield "delimiter", 'must be one character, neither " nor a line break'
    try:
        b"".decode(mapping.encoding)
        "x".encode(mapping.encoding).decode(mapping.encoding, "surrogateescape")
    except (LookupError, ValueError):
        yield "encoding", f"{mapping.encoding!r} is not known"


def _times(mapping: Mapping) -> Iterator[Mistake]:
    for entry, zone in (("times.zone", mapping.times.zone), ("enrolment.zone", mapping.zone)):
        if not _accepted(instants.zone, zone):
            yield entry, f"{zone!r} is no IANA zone"
    pattern = mapping.times.format
    if pattern == "iso":
        return
    try:
        read = datetime.strptime(_SAMPLE.strftime(pattern), pattern)  # noqa: DTZ007 - only its date is looked at
    except ValueError as error:
        yield "times.format", f"{pattern!r}: {error}"
    else:
        if read.date() != _SAMPLE.date():
            yield "times.format", f'{pattern!r} tells no year, month and day; "iso" or such as "%d.%m.%Y %H:%M"'


def _values(mapping: Mapping) -> Iterator[Mistake]:
    for table, known in (("levels", LEVELS), ("priorities", PRIORITIES)):
        values: dict[str, str] = getattr(mapping, table)
        if not values:
            yield table, "must not be empty"
        for value, word in values.items():
            if word not in known:
                yield f"{table}.{value}", f"{word!r} is none of {', '.join(known)}"
    meanings = [(f"activities.{value}", means) for value, means in mapping.activities.items()]
    meanings += [(f"steps[{n}].action", step.action) for n, step in enumerate(mapping.steps, 1)]
    if mapping.outcome is not None:
        meanings += [(f"outcome.values.{value}", means) for value, means in mapping.outcome.values.items()]
        for value in mapping.outcome.ignored:
            if value in mapping.outcome.values:
                yield "outcome.ignored", f"{value!r} stands in outcome.values too"
    for entry, means in meanings:
        if isinstance(means, Exclude) and not _accepted(Text(64).parse, means.exclude):
            yield f"{entry}.exclude", "must be a reason of 1 to 64 characters"
    if mapping.enrolment.currency not in CURRENCIES:
        yield "enrolment.currency", f"{mapping.enrolment.currency!r} is none of {', '.join(CURRENCIES)}"
    if mapping.enrolment.salesperson and not _accepted(Text(64).parse, mapping.enrolment.salesperson):
        yield "enrolment.salesperson", "must be a name of 1 to 64 characters"


def _layout(mapping: Mapping) -> Iterator[Mistake]:
    if mapping.layout == "events":
        if mapping.columns.time is None or mapping.columns.activity is None:
            yield "columns", "the events layout needs `time` and `activity`"
        if not mapping.activities:
            yield "activities", "must not be empty: what answers, what resolves?"
        if mapping.steps or mapping.outcome is not None:
            yield "steps" if mapping.steps else "outcome", "goes with the cases layout"
        return
    if sum(step.action == "open" for step in mapping.steps) != 1:
        yield "steps", "the cases layout needs exactly one step whose action is open"
    if mapping.activities:
        yield "activities", "go with the events layout"
    if mapping.columns.time is not None or mapping.columns.activity is not None:
        yield "columns", "`time` and `activity` go with the events layout"


def _accepted(parse: Callable[[str, str], object], value: str) -> bool:
    try:
        parse(value, "")
    except LedgerError:
        return False
    return True


_CHECKS = (_names, _file, _times, _values, _layout)
