"""An XES file as records, so that the mapping of a CSV file reads it too: one record an event.

Columns are the keys of the events' attributes as they stand, and those of their trace with `case:` before them
(`case:concept:name`). It is parsed as a stream, twice: for its columns, then for its events. A document type is
refused, so no entity is ever expanded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.parsers import expat

from ledger.errors import Refused
from ledger.imports.lines import Record

_VALUES = frozenset({"string", "date", "int", "float", "boolean", "id"})
_CHUNK = 65_536
_MOST_DEPTH = 64

Event = tuple[int, dict[str, str]]  # the line on which it begins, and its attributes with those of its trace


class XesRecords:
    """The events of an XES file; the first record is the heading."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._columns = list(dict.fromkeys(key for _line, event in self._events() for key in event))

    def __iter__(self) -> Iterator[Record]:
        """Yield the heading, then every event in the order of the file; nothing where there is no event."""
        if not self._columns:
            return
        yield Record(1, list(self._columns), "")
        for line, event in self._events():
            cells = [event.get(column, "") for column in self._columns]
            yield Record(line, cells, "; ".join(f"{key}={value}" for key, value in event.items()))

    def reread(self, width: int) -> str | None:
        """Say that no event hides another."""
        return None

    def line(self, number: int) -> str:
        """Return line `number` of the file, counted from 1, without its end."""
        with self._path.open(encoding="utf-8", errors="surrogateescape") as lines:
            return next((line.rstrip("\r\n") for n, line in enumerate(lines, 1) if n == number), "")

    def _events(self) -> Iterator[Event]:
        """Yield every event; Refused for a file that is no XES."""
        reader = _Reader()
        try:
            with self._path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    reader.parser.Parse(chunk, False)
                    yield from reader.taken()
                reader.parser.Parse(b"", True)
            yield from reader.taken()
        except OSError as error:
            raise Refused("import_unreadable", file=self._path.name, why=error.strerror or str(error)) from error
        except expat.ExpatError as error:
            raise Refused("import_unreadable", file=self._path.name, why=str(error)) from error
        except _NotXes as error:
            raise Refused("import_unreadable", file=self._path.name, why=str(error)) from error


class _NotXes(Exception):
    pass


class _Reader:
    """Collects the events of each trace as it ends."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self._stack: list[str] = []
        self._trace: dict[str, str] = {}
        self._own: list[Event] = []
        self._done: list[Event] = []

    def taken(self) -> list[Event]:
        """Return the events of the traces that have ended since."""
        done, self._done = self._done, []
        return done

    def _doctype(self, *_: object) -> None:
        raise _NotXes("a document type (DOCTYPE) is not accepted")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        parent = self._stack[-1] if self._stack else ""
        if not self._stack and name != "log":
            raise _NotXes(f"<{name}> is no <log>")
        if len(self._stack) >= _MOST_DEPTH:
            raise _NotXes("its elements are nested too deep")
        self._stack.append(name)
        if name == "trace":
            self._trace, self._own = {}, []
        elif name == "event" and parent == "trace":
            self._own.append((self.parser.CurrentLineNumber, {}))
        elif name in _VALUES and "key" in attributes:
            value = attributes.get("value", "")
            if self._stack[-3:-1] == ["trace", "event"]:
                self._own[-1][1][attributes["key"]] = value
            elif parent == "trace":
                self._trace[f"case:{attributes['key']}"] = value

    def _end(self, _tag: str) -> None:
        if self._stack.pop() == "trace":
            self._done += [(line, {**self._trace, **event}) for line, event in self._own]
            self._own = []
