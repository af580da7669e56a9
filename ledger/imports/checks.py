"""Loads a mapping and checks it: the first mistake stops with file, entry and reason, before any row is read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from ledger.errors import LedgerError
from ledger.fields import Id, NewId, Text
from ledger.imports.mapping import ANSWERS_AND_WAITS, ONE, Cell, Exclude, Mapping, OwnLimit, Pattern
from ledger.rules import instants
from ledger.rules.grants import LEVELS
from ledger.rules.money import CURRENCIES
from ledger.rules.responses import CHANNELS
from ledger.rules.sla import PRIORITIES
from ledger.texts import text

_SAMPLE = datetime(2013, 11, 28, 17, 46, 39)  # noqa: DTZ001 - day, month and year cannot be taken for each other
_LIMIT = re.compile(r"([1-9][0-9]{0,4})(h|m|s)", re.ASCII)
_SECONDS = {"h": 3600, "m": 60, "s": 1}
Mistake = tuple[str, str, dict[str, Any]]  # the entry, the text that says why, and what stands in it
_TOP = "top level"  # the entry of what stands above all tables


class MappingError(LedgerError):
    """The mapping has a mistake: `file`, `entry` and `why` (a text's key) name it. Nothing is imported with it."""

    def __init__(self, file: str, entry: str, why: str, **facts: Any) -> None:
        super().__init__("mapping_wrong", file=file, entry=entry, why=why, **facts)

    def message(self, lang: str = "es_GT") -> str:
        """Return the mistake in words of one language."""
        why = text(self.facts["why"], lang, **self.facts)
        entry = text("mapping_top", lang) if self.facts["entry"] == _TOP else self.facts["entry"]
        return text(self.code, lang, file=self.facts["file"], entry=entry, why=why)


def load_mapping(path: Path) -> Mapping:
    """Return the mapping of a TOML file; MappingError names file, entry and reason of the first mistake."""
    try:
        mapping = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Mapping)
    except FileNotFoundError as error:
        raise MappingError(path.name, "file", "mapping_no_file") from error
    except OSError as error:
        raise MappingError(path.name, "file", "mapping_unreadable", detail=error.strerror or str(error)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_toml(path.name, error) from error
    except msgspec.ValidationError as error:
        raise _no_mapping(path.name, error) from error
    for check in _CHECKS:
        for entry, why, facts in check(mapping):
            raise MappingError(path.name, entry, why, **facts)
    return mapping


def _no_toml(file: str, error: Exception) -> MappingError:
    place = re.search(r"line ([0-9]+), column ([0-9]+)", str(error))
    if place is None:
        return MappingError(file, "TOML", "mapping_no_toml")
    return MappingError(file, "TOML", "mapping_no_toml_at", line=place[1], column=place[2])


# What msgspec says, and the text that says it in words of ours; its groups are what stands in that.
_SAID = (
    (re.compile(r"Object missing required field `(?P<name>.*)`"), "mapping_missing"),
    (re.compile(r"Object contains unknown field `(?P<name>.*)`"), "mapping_unknown"),
    (re.compile(r"Invalid enum value '?(?P<name>.*?)'?"), "mapping_no_choice"),
)


def _no_mapping(file: str, error: msgspec.ValidationError) -> MappingError:
    said, _, place = str(error).partition(" - at ")
    entry = place.strip("`$.").removeprefix("[...].") or _TOP
    for pattern, why in _SAID:
        if found := pattern.fullmatch(said):
            return MappingError(file, entry, why, **found.groupdict())
    return MappingError(file, entry, "mapping_wrong_kind")


# --- what each entry may say ---------------------------------------------------------------------------------------


def _names(mapping: Mapping) -> Iterator[Mistake]:
    if not mapping.name or not all(c.isalnum() or c in "-_." for c in mapping.name) or len(mapping.name) > 32:
        yield "name", "mapping_name", {}
    for entry in ("ticket", "account", "agent"):
        template: str = getattr(mapping.numbers, entry)
        rest = template.replace(ONE, "", 1)
        if ONE not in template or "{" in rest or "}" in rest:
            yield f"numbers.{entry}", "mapping_template", {"one": ONE}
        elif not _accepted(NewId().parse, template.replace(ONE, "1")):
            yield f"numbers.{entry}", "mapping_id", {}


def _file(mapping: Mapping) -> Iterator[Mistake]:
    if len(mapping.delimiter) != 1 or mapping.delimiter in '"\r\n':
        yield "delimiter", "mapping_delimiter", {}
    try:
        b"".decode(mapping.encoding)
        "x".encode(mapping.encoding).decode(mapping.encoding, "surrogateescape")
    except (LookupError, ValueError):
        yield "encoding", "mapping_encoding", {"value": mapping.encoding}


def _times(mapping: Mapping) -> Iterator[Mistake]:
    for entry, zone in (("times.zone", mapping.times.zone), ("enrolment.zone", mapping.zone)):
        if not _accepted(instants.zone, zone):
            yield entry, "mapping_zone", {"value": zone}
    pattern = mapping.times.format
    if pattern == "iso":
        return
    try:
        read = datetime.strptime(_SAMPLE.strftime(pattern), pattern)  # noqa: DTZ007 - only its date is looked at
    except ValueError:
        yield "times.format", "mapping_format", {"value": pattern}
    else:
        if read.date() != _SAMPLE.date():
            yield "times.format", "mapping_format", {"value": pattern}


def _values(mapping: Mapping) -> Iterator[Mistake]:
    for value, word in mapping.levels.items():
        if word not in LEVELS:
            yield f"levels.{value}", "mapping_none_of", {"value": word, "words": ", ".join(LEVELS)}
    for value, meant in mapping.priorities.items():
        word = meant.priority if isinstance(meant, OwnLimit) else meant
        if word not in PRIORITIES:
            yield f"priorities.{value}", "mapping_none_of", {"value": word, "words": ", ".join(PRIORITIES)}
        if isinstance(meant, OwnLimit):
            yield from _limits(f"priorities.{value}.limit", meant.limit)
    for value, channel in mapping.channels.items():
        if channel not in CHANNELS:
            yield f"channels.{value}", "mapping_none_of", {"value": channel, "words": ", ".join(CHANNELS)}
    if mapping.enrolment.currency not in CURRENCIES:
        words = ", ".join(CURRENCIES)
        yield "enrolment.currency", "mapping_none_of", {"value": mapping.enrolment.currency, "words": words}
    if mapping.enrolment.salesperson and not _accepted(Text(64).parse, mapping.enrolment.salesperson):
        yield "enrolment.salesperson", "mapping_short_text", {}


def _limits(entry: str, limit: str | dict[str, str]) -> Iterator[Mistake]:
    by_level = limit if isinstance(limit, dict) else dict.fromkeys(LEVELS, limit)
    if set(by_level) != set(LEVELS):
        yield entry, "mapping_all_levels", {"words": ", ".join(LEVELS)}
    for one in by_level.values():
        if _LIMIT.fullmatch(one) is None:
            yield entry, "mapping_limit", {"value": one}


def limit_us(meant: OwnLimit, level: str) -> int:
    """Return the limit of a priority of theirs for one of our levels, in microseconds."""
    found = _LIMIT.fullmatch(meant.limit if isinstance(meant.limit, str) else meant.limit[level])
    assert found is not None  # it was checked
    return int(found[1]) * _SECONDS[found[2]] * 1_000_000


def _meanings(mapping: Mapping) -> Iterator[Mistake]:
    meanings = [(f"activities.{value}", means) for value, means in mapping.activities.items()]
    meanings += [(f"steps[{n}].action", step.action) for n, step in enumerate(mapping.steps, 1)]
    if mapping.outcome is not None:
        meanings += [(f"outcome.values.{value}", means) for value, means in mapping.outcome.values.items()]
        for value in mapping.outcome.ignored:
            if value in mapping.outcome.values:
                yield "outcome.ignored", "mapping_both", {"value": value, "words": "outcome.values"}
    for entry, means in meanings:
        if isinstance(means, Exclude) and not _accepted(Text(64).parse, means.exclude):
            yield f"{entry}.exclude", "mapping_short_text", {}
        if isinstance(means, tuple) and means != ANSWERS_AND_WAITS:
            yield entry, "mapping_two_meanings", {}


def _sources(mapping: Mapping) -> Iterator[Mistake]:
    """Check where values come from: their patterns, and the defaults of what has no column."""
    columns, defaults = mapping.columns, mapping.defaults
    cells: list[tuple[str, Cell | None]] = [
        (f"columns.{name}", getattr(columns, name))
        for name in ("case", "account", "agent", "level", "priority", "activity", "channel")
    ]
    if mapping.theirs is not None:
        cells.append(("theirs.verdict", mapping.theirs.verdict))
        if mapping.theirs.verdict is None and mapping.theirs.due is None and mapping.theirs.responded is None:
            yield "theirs", "mapping_missing", {"name": "verdict"}
        if mapping.theirs.verdict is not None and not mapping.theirs.values:
            yield "theirs.values", "mapping_empty", {}
    for entry, cell in cells:
        if isinstance(cell, Pattern) and not _compiles(cell.pattern):
            yield f"{entry}.pattern", "mapping_pattern", {"value": cell.pattern}
    known = {"level": LEVELS, "priority": PRIORITIES, "channel": CHANNELS}
    for name, words in known.items():
        value = getattr(defaults, name)
        if value and value not in words:
            yield f"defaults.{name}", "mapping_none_of", {"value": value, "words": ", ".join(words)}
    for name, table in (("level", mapping.levels), ("priority", mapping.priorities)):
        if getattr(columns, name) is None and not getattr(defaults, name):
            yield f"columns.{name}", "mapping_needs_default", {"name": name}
        if getattr(columns, name) is not None and not table:
            yield f"{'levels' if name == 'level' else 'priorities'}", "mapping_empty", {}
    if columns.account is None and not defaults.account:
        yield "columns.account", "mapping_needs_default", {"name": "account"}
    if columns.channel is not None and not mapping.channels:
        yield "channels", "mapping_empty", {}
    for name, kind in (("account", NewId()), ("agent", Id())):
        if getattr(defaults, name) and not _accepted(kind.parse, getattr(defaults, name)):
            yield f"defaults.{name}", "mapping_id", {}


def _layout(mapping: Mapping) -> Iterator[Mistake]:
    columns = mapping.columns
    if mapping.layout == "events":
        if columns.time is None or columns.activity is None:
            yield "columns", "mapping_events_need", {}
        if not mapping.activities:
            yield "activities", "mapping_empty", {}
        if mapping.steps or mapping.outcome is not None:
            yield "steps" if mapping.steps else "outcome", "mapping_cases_only", {}
        if mapping.second_lines != "reject":
            yield "second_lines", "mapping_cases_only", {}
        return
    if sum(step.action == "open" for step in mapping.steps) != 1:
        yield "steps", "mapping_one_open", {}
    if mapping.activities:
        yield "activities", "mapping_events_only", {}
    if mapping.only_on_change:
        yield "only_on_change", "mapping_events_only", {}
    for name in ("time", "activity", "opened", "sequence"):
        if getattr(columns, name) is not None:
            yield f"columns.{name}" if name in ("opened", "sequence") else "columns", "mapping_events_only", {}


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _accepted(parse: Callable[[str, str], object], value: str) -> bool:
    try:
        parse(value, "")
    except LedgerError:
        return False
    return True


_CHECKS = (_names, _file, _times, _values, _meanings, _sources, _layout)
