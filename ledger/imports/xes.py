"""An XES file as records, so that the mapping of a CSV file reads it too: one record an event.

Columns are the keys of the events' attributes as they stand, and those of their trace with `case:` before them
(`case:concept:name`). It is parsed as a stream, twice: for its columns, then for its events. A file that is no XES
is refused whole, with its line: a document type (so no entity is ever expanded), elements where none may stand or
nested without end, a key twice, a value that is missing, over-long or not of its type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from xml.parsers import expat

from ledger.errors import Refused
from ledger.imports.lines import Record
from ledger.texts import text

_WHOLE = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_REAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?INF|NaN", re.ASCII)
_TRUTH = re.compile(r"true|false|0|1", re.ASCII)
_FORMS = {"int": _WHOLE, "float": _REAL, "boolean": _TRUTH}
_VALUES = frozenset({"string", "date", "id", *_FORMS})
_CHUNK = 65_536
_MOST_DEPTH = 64
_MOST_COLUMNS = 2000
_MOST_ELEMENT = 1 << 20  # bytes of one element with its attributes

Event = tuple[int, dict[str, str]]  # the line on which it begins, and its attributes with those of its trace


class XesRecords:
    """The events of an XES file; the first record is the heading."""

    def __init__(self, path: Path) -> None:
        self._path = path
        columns: dict[str, None] = {}
        for line, event in self._events():
            columns.update(dict.fromkeys(event))
            if len(columns) > _MOST_COLUMNS:
                raise XesRefused(self._path.name, line, "xes_columns", most=_MOST_COLUMNS)
        self._columns = list(columns)

    def __iter__(self) -> Iterator[Record]:
        """Yield the heading, then every event in the order of the file; nothing where there is no event."""
        if not self._columns:
            return
        yield Record(1, list(self._columns), "")
        for line, event in self._events():
            yield Record(line, [event.get(column, "") for column in self._columns], _text(event))

    def reread(self, width: int) -> str | None:
        """Say that no event hides another."""
        return None

    def line(self, number: int) -> str:
        """Return the event that begins on line `number` of the file, counted from 1."""
        return self._texts.get(number, "")

    @cached_property
    def _texts(self) -> dict[int, str]:
        """The events by their first lines: read once more, for the few imports that set rows aside late."""
        return {line: _text(event) for line, event in self._events()}

    def _events(self) -> Iterator[Event]:
        """Yield every event; Refused for a file that is no XES."""
        reader = _Reader()
        read = 0
        try:
            with self._path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    read += len(chunk)
                    reader.parser.Parse(chunk, False)
                    yield from reader.taken()
                    if read - reader.parser.CurrentByteIndex > _MOST_ELEMENT:
                        raise _NotXes("xes_element", most=_MOST_ELEMENT)
                reader.parser.Parse(b"", True)
            yield from reader.taken()
        except OSError as error:
            raise Refused("import_unreadable", file=self._path.name, why=error.strerror or str(error)) from error
        except _NotXes as error:
            line = reader.parser.CurrentLineNumber
            raise XesRefused(self._path.name, line, error.why, **error.facts) from error
        # A name of an encoding that the parser cannot take is a ValueError or a LookupError.
        except (expat.ExpatError, ValueError, LookupError) as error:
            raise XesRefused(self._path.name, reader.parser.CurrentLineNumber, "xes_xml", detail=str(error)) from error


def _text(event: dict[str, str]) -> str:
    return "; ".join(f"{key}={value}" for key, value in event.items())


class XesRefused(Refused):
    """A file that is no XES: on which line, and why (the key of a text). `facts["why"]` says it in English."""

    def __init__(self, file: str, line: int, why: str, **facts: Any) -> None:
        self._why, self._of = why, {"line": line, **facts}
        super().__init__("import_unreadable", file=file, why=self._told("en"))

    def _told(self, lang: str) -> str:
        return text("xes_line", lang, line=self._of["line"], why=text(self._why, lang, **self._of))

    def message(self, lang: str = "es_GT") -> str:
        """Return it in words of one language."""
        return text(self.code, lang, file=self.facts["file"], why=self._told(lang))


class _NotXes(Exception):
    def __init__(self, why: str, **facts: Any) -> None:
        super().__init__(why)
        self.why, self.facts = why, facts


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
        raise _NotXes("xes_doctype")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        parent = self._stack[-1] if self._stack else ""
        if not self._stack and name != "log":
            raise _NotXes("xes_no_log", name=name)
        if len(self._stack) >= _MOST_DEPTH:
            raise _NotXes("xes_deep")
        if (name == "trace" and parent != "log") or (name == "event" and parent not in ("log", "trace")):
            raise _NotXes("xes_inside", name=name, parent=parent)
        self._stack.append(name)
        if name == "trace":
            self._trace, self._own = {}, []
        elif name == "event":  # outside a trace it has no case: its row says so
            self._own.append((self.parser.CurrentLineNumber, {}))
        elif name in _VALUES:
            value = _checked(name, attributes)
            if parent == "event":
                self._add(self._own[-1][1], attributes["key"], value)
            elif parent == "trace":
                self._add(self._trace, f"case:{attributes['key']}", value)

    def _add(self, component: dict[str, str], key: str, value: str) -> None:
        if key in component:
            raise _NotXes("xes_twice", key=key[:100])
        component[key] = value

    def _end(self, _tag: str) -> None:
        name = self._stack.pop()
        if name == "trace":
            for line, event in self._own:
                if twice := self._trace.keys() & event.keys():
                    raise _NotXes("xes_trace_key", event=line, key=min(twice)[:100])
                self._done.append((line, {**self._trace, **event}))
        elif name == "event" and self._stack[-1] == "log":
            self._done += self._own
        else:
            return
        self._own = []


def _checked(name: str, attributes: dict[str, str]) -> str:
    """Return the value of an attribute; _NotXes unless it has a key and a value of its type."""
    key, value = attributes.get("key"), attributes.get("value")
    if not key or value is None:
        raise _NotXes("xes_no_value" if key else "xes_no_key", name=name)
    form = _FORMS.get(name)
    if (form is not None and not form.fullmatch(value.strip())) or (name == "date" and not _is_date(value.strip())):
        raise _NotXes("xes_type", value=value[:100], name=name, key=key[:100])
    return value


def _is_date(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return "T" in value
