"""Reads another system's file into rows that can be recorded; what cannot is set aside with line and reason."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from ledger.card_numbers import masked_start
from ledger.errors import Conflict, LedgerError, Refused
from ledger.imports.dates import Dates
from ledger.imports.lines import Records
from ledger.imports.mapping import Mapping
from ledger.imports.parser import Parser
from ledger.imports.rows import Broken, Rejected, SourceRow
from ledger.imports.xes import XesRecords

_TEXT_KEPT = 4000
_EVERY = 500  # rows between two tellings of how far the reading is
Progress = Callable[[int], None]


@dataclass(slots=True)
class Contents:
    """A file's rows by case, in the file's order, and its rejected records; `digest`: the SHA-256 of its bytes.

    `newest_first`: its rows stand so, case by case. Of the rejected rows `broken` are those of which at least the case
    is known, `aside` those of which everything is.
    """

    digest: str
    records: Records | XesRecords
    rows: int = 0
    cases: dict[str, list[SourceRow]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    broken: dict[str, list[Broken]] = field(default_factory=dict)
    aside: dict[str, list[SourceRow]] = field(default_factory=dict)
    newest_first: bool = False
    dates: Dates | None = None

    def reject(self, line: int, reason: LedgerError, text: str, broken: Broken | None) -> None:
        """Set a record aside: its line, why, its own text, and what can be read of it."""
        self.rejected.append(Rejected(line, reason, masked_start(text.rstrip("\r\n"), _TEXT_KEPT)))
        if broken is not None:
            self.broken.setdefault(broken.case, []).append(broken)


def read(path: Path, mapping: Mapping, now: str, progress: Progress | None = None) -> Contents:
    """Read all of `path`; Refused when it is missing, empty, undecodable or lacks a column the mapping names."""
    digest, records = _opened(path, mapping)
    contents = Contents(digest, records)
    stream = iter(records)
    header = next(stream, None)
    if header is None:
        raise Refused("import_empty", file=path.name)
    parser = Parser(mapping, now, header, path.name)
    contents.dates = parser.dates
    for record in stream:
        contents.rows += 1
        if progress is not None and not contents.rows % _EVERY:
            progress(contents.rows)
        try:
            for row in parser.rows(record):
                contents.cases.setdefault(row.case, []).append(row)
        except LedgerError as reason:
            text = records.reread(parser.width) or record.text
            contents.reject(record.line, reason, text, parser.broken(record))
    contents.newest_first = _newest_first(contents.cases)
    if mapping.layout == "cases":
        _lines_of_one_case(contents, mapping)
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
    except FileNotFoundError as error:
        raise Refused("import_no_file", file=path.name) from error
    except OSError as error:
        raise Refused("import_unreadable", file=path.name, why=error.strerror or str(error)) from error
    except UnicodeError as error:
        raise Refused("import_undecodable", file=path.name, encoding=mapping.encoding) from error
    return hashlib.sha256(content).hexdigest(), Records(text, mapping.delimiter)


def _newest_first(cases: dict[str, list[SourceRow]]) -> bool:
    """Whether the rows of the cases stand newest first; where no case tells, whether the cases do."""
    rising = falling = 0
    for rows in cases.values():
        for before, after in pairwise(rows):
            rising += before.at < after.at
            falling += before.at > after.at
    if rising == falling:
        firsts = [rows[0].at for rows in cases.values()]
        for first, second in pairwise(firsts):
            rising += first < second
            falling += first > second
    return falling > rising


def _lines_of_one_case(contents: Contents, mapping: Mapping) -> None:
    """Put several lines of a case in order of their last instants; the later ones are refused where none is wanted.

    A later line shows the case's priority at its last instant, and of its steps only what no line before it had.
    """
    for case, rows in contents.cases.items():
        lines = list(_by_line(rows))
        if len(lines) > 1:
            lines.sort(key=_last)
            if mapping.second_lines == "reject":
                for line in lines[1:]:
                    reason = Conflict("import_second_line", ticket=case, line=lines[0][0].line)
                    contents.reject(line[0].line, reason, contents.records.line(line[0].line), None)
                    contents.aside.setdefault(case, []).extend(line)
                lines = lines[:1]
        contents.cases[case] = [row for line in lines for row in line]


def _by_line(rows: list[SourceRow]) -> Iterator[list[SourceRow]]:
    lines: dict[int, list[SourceRow]] = {}
    for row in rows:
        lines.setdefault(row.line, []).append(row)
    yield from lines.values()


def _last(line: list[SourceRow]) -> tuple[str, int, str, str, str, str]:
    """Return what puts lines of a case in order, whatever their order in the file."""
    last = line[-1]
    return last.at, len(line), last.label, last.priority, last.level, last.account
