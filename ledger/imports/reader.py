"""Reads another system's file into rows that can be recorded; what cannot is set aside with line and reason."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from ledger.errors import LedgerError, Malformed, Refused
from ledger.fields import Id
from ledger.imports.mapping import Action, Mapping
from ledger.rules import instants

_AHEAD = timedelta(minutes=2)
_ID = Id()


class Step(NamedTuple):
    """One thing that happened in a case, at canonical instant `at`; `label` is the other system's word."""

    at: str
    action: Action
    label: str


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One line of the file: the `ordinal`-th of its case, with what happened."""

    line: int
    ordinal: str
    case: str
    account: str
    agent: str
    level: str
    priority: str
    steps: tuple[Step, ...]
    attributes: dict[str, str]
    repeats: bool


class Rejected(NamedTuple):
    """A line that was not imported, and why (a LedgerError with words in both languages)."""

    line: int
    reason: LedgerError
    text: str


@dataclass(slots=True)
class Contents:
    """A file's rows by case, in the file's order, and its rejected lines."""

    rows: int = 0
    cases: dict[str, list[SourceRow]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)


def read(path: Path, mapping: Mapping, now: str) -> Contents:
    """Read all of `path`; Refused when it is missing, empty or lacks a column the mapping names."""
    contents = Contents()
    try:
        # A byte that is not of the encoding becomes a surrogate, which no value accepts: one row is lost, not the file.
        with path.open(newline="", encoding=mapping.encoding, errors="surrogateescape") as file:
            _read(csv.reader(file, delimiter=mapping.delimiter), _Parser(mapping, now), contents, path.name)
    except OSError as error:
        raise Refused("import_unreadable", file=path.name, why=error.strerror or str(error)) from error
    return contents


def _read(reader: Any, parser: _Parser, contents: Contents, name: str) -> None:
    header = next(reader, None)
    if header is None:
        raise Refused("import_empty", file=name)
    parser.take_header(header, name)
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            contents.rows += 1
            contents.rejected.append(Rejected(reader.line_num, Malformed("line", str(error), "remedy_csv"), ""))
            continue
        if cells is None:
            return
        if not cells:
            continue
        contents.rows += 1
        try:
            row = parser.row(cells, reader.line_num)
        except LedgerError as reason:
            contents.rejected.append(Rejected(reader.line_num, reason, parser.shown(cells)))
        else:
            contents.cases.setdefault(row.case, []).append(row)


class _Parser:
    def __init__(self, mapping: Mapping, now: str) -> None:
        self.mapping = mapping
        self.latest = instants.to_iso(instants.from_iso(now) + _AHEAD)
        self.at: dict[str, int] = {}
        self.width = 0
        self.seen: dict[str, set[tuple[str, ...]]] = {}
        self.count: dict[str, int] = {}

    def take_header(self, header: list[str], name: str) -> None:
        header = [cell.lstrip("\ufeff") for cell in header]
        self.width = len(header)
        for heading in self.mapping.needed():
            if heading not in header:
                raise Refused("import_column", file=name, column=heading)
            if header.count(heading) > 1:
                raise Refused("import_column_twice", file=name, column=heading)
            self.at[heading] = header.index(heading)

    def shown(self, cells: list[str]) -> str:
        text = self.mapping.delimiter.join(cells)
        return text.encode("utf-8", "replace").decode("utf-8")[:2000]

    def row(self, cells: list[str], line: int) -> SourceRow:
        columns = self.mapping.columns
        case = _ID.parse(self._cell(cells, columns.case), columns.case)
        # Counted before anything else is checked: a row that is mended later keeps its place.
        ordinal = self.count[case] = self.count.get(case, 0) + 1
        if len(cells) != self.width:
            raise Malformed("line", len(cells), "remedy_columns", expected=self.width)
        steps = tuple(self._steps(cells))
        level = self._value(cells, columns.level, self.mapping.levels)
        priority = self._value(cells, columns.priority, self.mapping.priorities)
        attributes = {name: self._cell(cells, name) for name in columns.attributes}
        for name, value in attributes.items():
            if len(value) > 200 or not value.isprintable():
                raise Malformed(name, value, "remedy_control")
        row = SourceRow(
            line=line,
            ordinal=str(ordinal),
            case=case,
            account=_ID.parse(self._cell(cells, columns.account), columns.account),
            agent=_ID.parse(self._cell(cells, columns.agent), columns.agent),
            level=level,
            priority=priority,
            steps=steps,
            attributes=attributes,
            repeats=tuple(cells) in self.seen.setdefault(case, set()),
        )
        self.seen[case].add(tuple(cells))
        return row

    def _cell(self, cells: list[str], heading: str) -> str:
        index = self.at[heading]
        return cells[index].strip() if index < len(cells) else ""

    def _value(self, cells: list[str], heading: str, known: dict[str, str]) -> str:
        value = self._cell(cells, heading)
        if value not in known:
            raise Malformed(heading, value, "remedy_choice", words=", ".join(known))
        return known[value]

    def _steps(self, cells: list[str]) -> Iterator[Step]:
        mapping = self.mapping
        if mapping.layout == "events":
            activity = self._cell(cells, mapping.columns.activity)
            action = mapping.activities.get(activity)
            if action is None:
                if mapping.other_activities == "reject":
                    raise Malformed(mapping.columns.activity, activity, "remedy_activity")
                action = "note"
            yield Step(self._instant(cells, mapping.columns.time), action, activity)
            return
        steps = [
            Step(self._instant(cells, step.column), step.action, step.column)
            for step in mapping.steps
            if step.action == "open" or self._cell(cells, step.column)
        ]
        opened = next(step for step in steps if step.action == "open")
        early = next((step for step in steps if step.at < opened.at), None)
        if early is not None:
            raise Malformed(early.label, early.at, "remedy_before_opening")
        yield from sorted(steps, key=lambda step: (step.at, step.action != "open"))
        if mapping.outcome is not None:
            word = self._cell(cells, mapping.outcome.column)
            if word in mapping.outcome.values:
                yield Step(max(step.at for step in steps), mapping.outcome.values[word], word)

    def _instant(self, cells: list[str], heading: str) -> str:
        text = self._cell(cells, heading)
        times = self.mapping.times
        try:
            local = datetime.fromisoformat(text) if times.format == "iso" else _strptime(text, times.format)
            aware = local if local.tzinfo is not None else instants.wall(local, times.zone)
            at = instants.to_iso(aware)
        except (ValueError, OverflowError):
            raise Malformed(heading, text, "remedy_time_format", format=times.format) from None
        if not at[:4] >= "1900" or at > self.latest:
            raise Malformed(heading, text, "remedy_future_row")
        return at


def _strptime(text: str, pattern: str) -> datetime:
    return datetime.strptime(text, pattern)  # noqa: DTZ007 - its zone is the mapping's, or in the text
