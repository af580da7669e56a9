"""The cells of one file: where each value stands, what a cell says, and its instants."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from ledger.errors import Malformed, Refused
from ledger.fields import Id, Kind, NewId, Text
from ledger.imports.dates import Dates, ambiguous
from ledger.imports.lines import Record
from ledger.imports.mapping import ONE, Cell, Column, Mapping, Pattern, column_of
from ledger.rules import instants

ID, NEW_ID, WORDS, ATTRIBUTE = Id(), NewId(), Text(200), Text(200, blank=True)
_AHEAD = timedelta(minutes=2)


class Place(NamedTuple):
    """Where a value stands: its cell, its heading, and the pattern of the part of it that is meant."""

    at: int
    heading: str
    pattern: re.Pattern[str] | None


class Cells:
    """Reads the cells of records. `width`: how many each has; `dates`: what the file's instants look like."""

    def __init__(self, mapping: Mapping, now: str, header: Record, name: str) -> None:
        """Refused where the file lacks a column that the mapping names, or has it twice."""
        self.mapping = mapping
        self.latest = instants.to_iso(instants.from_iso(now) + _AHEAD)
        self.header = [cell.strip() for cell in header.cells]
        self.width = len(self.header)
        self.dates = Dates(mapping.times, now) if ambiguous(mapping.times.format) else None
        self._at = {column: self._find(column, name) for column in mapping.needed()}
        self._case = self._place(mapping.columns.case)
        self._blank = frozenset(mapping.blank)
        self._parsed: dict[Kind, dict[str, str]] = {ID: {}, NEW_ID: {}, WORDS: {}, ATTRIBUTE: {}}

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

    def _place(self, cell: Cell) -> Place:
        index = self._at[column_of(cell)]
        return Place(index, self.header[index], re.compile(cell.pattern) if isinstance(cell, Pattern) else None)

    def _maybe(self, cell: Cell | None) -> Place | None:
        return None if cell is None else self._place(cell)

    def _said(self, cells: list[str], place: Place | None) -> str:
        """Return what a cell says, or the part of it that is meant; "" where it says nothing."""
        if place is None:
            return ""
        said = cells[place.at].strip() if place.at < len(cells) else ""
        if said in self._blank:
            return ""
        if place.pattern is not None:
            found = place.pattern.search(said)
            said = (found[1 if place.pattern.groups else 0] or "").strip() if found else ""
        return said

    def _number(self, cells: list[str], place: Place, template: str, kind: Kind = ID) -> str:
        said = self._said(cells, place)
        return self._parse(kind, said if template == ONE or not said else template.replace(ONE, said), place)

    def _parse(self, kind: Kind, said: str, place: Place) -> str:
        parsed = self._parsed[kind]  # values come again and again, and their check is slow
        found = parsed.get(said)
        if found is None:
            found = parsed[said] = kind.parse(said, place.heading)
        return found

    def _known(self, cells: list[str], place: Place | None, known: dict[str, str], default: str) -> str:
        said = self._said(cells, place)
        if not said and default:
            return default
        if said not in known:
            raise self._unknown(said, place, known)
        return known[said]

    def _unknown(self, said: str, place: Place | None, known: Iterable[str]) -> Malformed:
        heading = place.heading if place is not None else ""
        return Malformed(heading, said, "remedy_choice", words=", ".join(known))

    # --- instants ---------------------------------------------------------------------------------------------

    def _maybe_instant(self, cells: list[str], place: Place | None, latest: str = "") -> str:
        """Return the instant of a cell, "" where it says nothing."""
        return self._instant(cells, place, latest) if place is not None and self._said(cells, place) else ""

    def _instant(self, cells: list[str], place: Place, latest: str = "") -> str:
        said = cells[place.at].strip() if place.at < len(cells) else ""
        times = self.mapping.times
        if self.dates is not None:
            self.dates.see(cells[self._case.at], place.at, said)
        try:
            local = datetime.fromisoformat(said) if times.format == "iso" else _strptime(said, times.format)
            aware = local if local.tzinfo is not None else instants.wall(local, times.zone)
            at = instants.to_iso(aware)
        except (ValueError, OverflowError):
            raise Malformed(place.heading, said, "remedy_time_format", format=times.format) from None
        if at < "1900" or at > (latest or self.latest):
            raise Malformed(place.heading, said, "remedy_future_row")
        return at


def _strptime(said: str, pattern: str) -> datetime:
    return datetime.strptime(said, pattern)  # noqa: DTZ007 - its zone is the mapping's, or in the text
