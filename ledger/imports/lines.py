"""A CSV file as records with their line numbers, so read that one broken line costs one line.

A stray quote makes a CSV reader take the lines after it for one long cell. Where a record runs over several lines,
cannot be used, and would have hidden lines that are whole by themselves, reading goes on at its second line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import NamedTuple


class Record(NamedTuple):
    """One record: the number of its first line, its cells, its text; `error`: why it is none ("" = it is one)."""

    line: int
    cells: list[str]
    text: str
    error: str = ""


class Records:
    """The records of `text`. After one that cannot be used, call `reread` and take the next from where it says."""

    def __init__(self, text: str, delimiter: str) -> None:
        self._lines = list(io.StringIO(text, newline=""))
        self._delimiter = delimiter
        self._next = 0
        self._start = 0
        self._reader = csv.reader(_Feed(self), delimiter=delimiter, strict=True)

    def __iter__(self) -> Iterator[Record]:
        """Yield every record; blank lines are none."""
        while True:
            self._start = self._next
            try:
                cells = next(self._reader, None)
                error = ""
            except csv.Error as reason:
                cells, error = [], str(reason)
            if cells is None:
                return
            if cells or error:
                yield Record(self._start + 1, cells, "".join(self._lines[self._start : self._next]), error)

    def reread(self, width: int) -> str | None:
        """Go back behind the first line of the last record if it hid lines of `width` cells; return that line."""
        hidden = self._lines[self._start + 1 : self._next]
        if not any(len(cells) == width for cells in self._alone(hidden)):
            return None
        self._next = self._start + 1
        return self._lines[self._start]

    def line(self, number: int) -> str:
        """Return line `number`, counted from 1, without its end."""
        return self._lines[number - 1].rstrip("\r\n")

    def take(self) -> str:
        """Return the next line; StopIteration behind the last one."""
        if self._next >= len(self._lines):
            raise StopIteration
        self._next += 1
        return self._lines[self._next - 1]

    def _alone(self, lines: list[str]) -> Iterator[list[str]]:
        for line in lines:
            try:
                yield next(csv.reader([line], delimiter=self._delimiter, strict=True), [])
            except csv.Error:
                continue


class _Feed:
    """Gives the reader its lines. A generator would not do: it ends for good, and reading may go back from the end."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        return self._records.take()
