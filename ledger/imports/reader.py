"""Reads another system's file into rows that can be recorded; what cannot is set aside with line and reason."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from ledger.card_numbers import masked_start
from ledger.errors import LedgerError, Malformed, Refused
from ledger.fields import Id, Kind, NewId, Text
from ledger.imports.lines import Record, Records
from ledger.imports.mapping import ONE, Column, Mapping, Meaning
from ledger.imports.xes import XesRecords
from ledger.rules import instants

_AHEAD = timedelta(minutes=2)
_UNREADABLE = re.compile("[\udc80-\udcff]")  # what a byte becomes that is not of the encoding
_ID, _NEW_ID, _WORDS, _ATTRIBUTE = Id(), NewId(), Text(200), Text(200, blank=True)
_TEXT_KEPT = 4000


class Step(NamedTuple):
    """One thing that happened in a case, at canonical instant `at`; `label` is the other system's word."""

    at: str
    means: Meaning
    label: str


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One record of the file: the `ordinal`-th of its case, with what happened."""

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

    @property
    def at(self) -> str:
        """When the row happened: its first step."""
        return self.steps[0].at


class Rejected(NamedTuple):
    """A record that was not imported, and why (a LedgerError with words in both languages)."""

    line: int
    reason: LedgerError
    text: str


@dataclass(slots=True)
class Contents:
    """A file's rows by case, in the file's order, and its rejected records; `digest`: the SHA-256 of its bytes."""

    digest: str
    records: Records | XesRecords
    rows: int = 0
    cases: dict[str, list[SourceRow]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)


def read(path: Path, mapping: Mapping, now: str) -> Contents:
    """Read all of `path`; Refused when it is missing, empty, undecodable or lacks a column the mapping names."""
    digest, records = _opened(path, mapping)
    contents = Contents(digest, records)
    stream = iter(records)
    header = next(stream, None)
    if header is None:
        raise Refused("import_empty", file=path.name)
    parser = _Parser(mapping, now, header, path.name)
    for record in stream:
        contents.rows += 1
        try:
            row = parser.row(record)
        except LedgerError as reason:
            text = records.reread(parser.width) or record.text
            contents.rejected.append(Rejected(record.line, reason, masked_start(text.rstrip("\r\n"), _TEXT_KEPT)))
        else:
            contents.cases.setdefault(row.case, []).append(row)
    return contents


def _opened(path: Path, mapping: Mapping) -> tuple[str, Records | XesRecords]:
    """Return the SHA-256 of a file and its records: those of XES where it is called so, else of CSV."""
    try:
        if path.suffix.lower() == ".xes":
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest(), XesRecords(path)
        content = path.read_bytes()
        # A byte that is not of the encoding becomes a surrogate, which no row accepts: one row is lost, not the file.
        text = content.decode(mapping.encoding, "surrogateescape").removeprefix("\ufeff")
    except OSError as error:
        raise Refused("import_unreadable", file=path.name, why=error.strerror or str(error)) from error
    except UnicodeError as error:
        raise Refused("import_unreadable", file=path.name, why=str(error)) from error
    return hashlib.sha256(content).hexdigest(), Records(text, mapping.delimiter)


class _Parser:
    def __init__(self, mapping: Mapping, now: str, header: Record, name: str) -> None:
        self.mapping = mapping
        self.latest = instants.to_iso(instants.from_iso(now) + _AHEAD)
        self.header = [cell.strip() for cell in header.cells]
        self.width = len(self.header)
        self.at = {column: self._find(column, name) for column in mapping.needed()}
        self.attributes = list(mapping.columns.kept().items())
        self.seen: dict[str, set[bytes]] = {}  # digests: whole rows would be most of what an import holds
        self.count: dict[str, int] = {}
        self._parsed: dict[Kind, dict[str, str]] = {_ID: {}, _NEW_ID: {}, _WORDS: {}, _ATTRIBUTE: {}}

    def _find(self, column: Column, name: str) -> int:
        if isinstance(column, int):
            if column > self.width:
                raise Refused("import_position", file=name, position=column, columns=self.width)
            return column - 1
        if column not in self.header:
            raise Refused("import_column", file=name, column=column)
        if self.header.count(column) > 1:
            raise Refused("import_column_twice", file=name, column=column)
        return self.header.index(column)

    def row(self, record: Record) -> SourceRow:
        columns, numbers, cells = self.mapping.columns, self.mapping.numbers, record.cells
        if record.error:
            raise Malformed("line", record.error, "remedy_csv")
        case = self._number(cells, columns.case, numbers.ticket, _NEW_ID)
        # Counted before anything else is checked: a row that is mended later keeps its place.
        ordinal = self.count[case] = self.count.get(case, 0) + 1
        if len(cells) != self.width:
            raise Malformed("line", len(cells), "remedy_columns", expected=self.width)
        if _UNREADABLE.search(record.text):
            raise Malformed("line", record.text, "remedy_encoding", encoding=self.mapping.encoding)
        seen = self.seen.setdefault(case, set())
        whole = hashlib.blake2b(repr(cells).encode(), digest_size=16).digest()
        row = SourceRow(
            line=record.line,
            ordinal=str(ordinal),
            case=case,
            account=self._number(cells, columns.account, numbers.account, _NEW_ID),
            agent=self._number(cells, columns.agent, numbers.agent),
            level=self._value(cells, columns.level, self.mapping.levels),
            priority=self._value(cells, columns.priority, self.mapping.priorities),
            steps=tuple(self._steps(cells)),
            attributes={
                name: self._parse(_ATTRIBUTE, self._cell(cells, column), column) for name, column in self.attributes
            },
            repeats=whole in seen,
        )
        seen.add(whole)
        return row

    # --- cells ------------------------------------------------------------------------------------------------

    def _cell(self, cells: list[str], column: Column) -> str:
        index = self.at[column]
        return cells[index].strip() if index < len(cells) else ""

    def _heading(self, column: Column) -> str:
        return self.header[self.at[column]]

    def _number(self, cells: list[str], column: Column, template: str, kind: Kind = _ID) -> str:
        text = self._cell(cells, column)
        return self._parse(kind, text if template == ONE or not text else template.replace(ONE, text), column)

    def _parse(self, kind: Kind, text: str, column: Column) -> str:
        parsed = self._parsed[kind]  # values come again and again, and their check is slow
        found = parsed.get(text)
        if found is None:
            found = parsed[text] = kind.parse(text, self._heading(column))
        return found

    def _value(self, cells: list[str], column: Column, known: dict[str, str]) -> str:
        value = self._cell(cells, column)
        if value not in known:
            raise Malformed(self._heading(column), value, "remedy_choice", words=", ".join(known))
        return known[value]

    # --- what happened ----------------------------------------------------------------------------------------

    def _steps(self, cells: list[str]) -> Iterator[Step]:
        time, activity = self.mapping.columns.time, self.mapping.columns.activity
        if time is None or activity is None:
            yield from self._steps_of_a_line(cells)
            return
        word = self._cell(cells, activity)
        means = self.mapping.activities.get(word)
        if means is None:
            if self.mapping.other_activities == "reject":
                raise Malformed(self._heading(activity), word, "remedy_activity")
            means = "note"
        yield Step(self._instant(cells, time), means, self._parse(_WORDS, word, activity))

    def _steps_of_a_line(self, cells: list[str]) -> Iterator[Step]:
        steps = [
            Step(self._instant(cells, step.column), step.action, self._heading(step.column))
            for step in self.mapping.steps
            if step.action == "open" or self._cell(cells, step.column)
        ]
        opened = next(step for step in steps if step.means == "open")
        early = next((step for step in steps if step.at < opened.at), None)
        if early is not None:
            raise Malformed(early.label, early.at, "remedy_before_opening")
        yield from sorted(steps, key=lambda step: (step.at, step.means != "open"))
        outcome = self.mapping.outcome
        word = self._cell(cells, outcome.column) if outcome is not None else ""
        if outcome is None or not word or word in outcome.ignored:
            return
        if word not in outcome.values:
            known = ", ".join([*outcome.values, *outcome.ignored])
            raise Malformed(self._heading(outcome.column), word, "remedy_choice", words=known)
        yield Step(max(step.at for step in steps), outcome.values[word], word)

    def _instant(self, cells: list[str], column: Column) -> str:
        text = self._cell(cells, column)
        times = self.mapping.times
        try:
            local = datetime.fromisoformat(text) if times.format == "iso" else _strptime(text, times.format)
            aware = local if local.tzinfo is not None else instants.wall(local, times.zone)
            at = instants.to_iso(aware)
        except (ValueError, OverflowError):
            raise Malformed(self._heading(column), text, "remedy_time_format", format=times.format) from None
        if at < "1900" or at > self.latest:
            raise Malformed(self._heading(column), text, "remedy_future_row")
        return at


def _strptime(text: str, pattern: str) -> datetime:
    return datetime.strptime(text, pattern)  # noqa: DTZ007 - its zone is the mapping's, or in the text
