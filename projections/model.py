"""What a read model is: its tables, which streams feed it, and the rows one stream becomes.

The rows of a stream depend on nothing but the stream's facts up to a position. So any split of catch-up, at every
prefix, leaves the same rows as a rebuild.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple, cast

from ledger import facts as f
from ledger import policies
from ledger.catalogue import Catalogue
from ledger.facts.codec import decode_all
from ledger.rules import segments, sla
from ledger.rules.book import Book, fold
from ledger.rules.subscriptions import FAR

_DATE = attrgetter("occurred_at")


@dataclass(frozen=True)
class Table:
    """A table of a read model. Its first column is `stream`; `columns` are (name, SQL type) after it."""

    name: str
    columns: tuple[tuple[str, str], ...]
    indexes: tuple[tuple[str, ...], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All column names, `stream` first."""
        return ("stream", *(name for name, _type in self.columns))

    def create(self, suffix: str, text: str) -> str:
        """Return the statement that creates it as `name + suffix`; `text` is the store's type of text columns."""
        columns = (("stream", "text"), *self.columns)
        typed = ", ".join(f"{name} {text if kind == 'text' else kind} NOT NULL" for name, kind in columns)
        return f"CREATE TABLE {self.name}{suffix} ({typed})"

    def create_indexes(self, suffix: str) -> list[str]:
        """Return the statements that index it, under names never used before: a swapped table keeps its own."""
        every = (("stream",), *self.indexes)
        once = secrets.token_hex(4)
        return [
            f"CREATE INDEX {self.name}_{once}_{number} ON {self.name}{suffix} ({', '.join(columns)})"
            for number, columns in enumerate(every)
        ]


class Case(NamedTuple):
    """A case as of an instant: all its facts in the order of the log, its clock, and the limits that governed it."""

    facts: Sequence[f.TicketFact]
    clock: sla.Clock
    terms: segments.Terms
    limits: Sequence[segments.Limit]


class Stream:
    """One stream's facts up to a position: decoded once, and folded once for all models it feeds, when first asked."""

    # No `cached_property`: until Python 3.12 it takes a lock, which costs as much as the smaller folds.
    __slots__ = ("_as_of", "_book", "_case", "_facts", "catalogue", "id", "rows")

    def __init__(self, rows: Sequence[tuple[Any, ...]], catalogue: Catalogue) -> None:
        """`rows` are the stream's rows in order of version, columns as in `ledger.store.Row`."""
        self.id: str = rows[0][1]
        self.rows = rows
        self.catalogue = catalogue
        self._facts: list[f.Fact] | None = None
        self._as_of = ""
        self._book: Book | None = None
        self._case: Case | None = None

    @property
    def facts(self) -> list[f.Fact]:
        """The facts in the order of the log; a row that cannot be read raises, naming its position."""
        if self._facts is None:
            self._facts = self._decoded()
        return self._facts

    def _decoded(self) -> list[f.Fact]:
        try:
            return decode_all(self.rows)
        except f.UnknownFact:
            for row in self.rows:
                try:
                    f.decode(row[3], row[5], row[0])
                except f.UnknownFact as error:
                    raise PoisonedEvent(f"position {row[0]}, stream {self.id}: {error}") from error
            raise

    @property
    def recorded_at(self) -> str:
        """When the newest row was recorded."""
        return str(self.rows[-1][4])

    @property
    def as_of(self) -> str:
        """The instant the rows speak of: the newest recording, or a fact dated just ahead of it."""
        if not self._as_of:
            self._as_of = max(self.recorded_at, *map(_DATE, self.facts))
        return self._as_of

    @property
    def book(self) -> Book:
        """An account's book as of `as_of`."""
        if self._book is None:
            self._book = fold(self.catalogue, self.facts, self.as_of)
        return self._book

    @property
    def case(self) -> Case | None:
        """The case with everything known; None before its opening."""
        if self._case is None:
            self._case = self.case_at(FAR)
        return self._case

    def case_at(self, at: str) -> Case | None:
        """Return the case as of instant `at`; None when it was not open yet."""
        facts = cast(list[f.TicketFact], self.facts)  # its stream has no others
        clock = sla.run(facts, at, [row[4] for row in self.rows])
        if clock is None:
            return None
        terms = policies.Governing(clock, self.catalogue)
        return Case(facts, clock, terms, segments.limits(clock, facts, terms))


class PoisonedEvent(ValueError):
    """A row of the log that this version cannot read; the model stops before it."""


Rows = Mapping[str, Sequence[Sequence[Any]]]


@dataclass(frozen=True)
class ReadModel:
    """`feeds`: the prefix of the streams it follows; `rows`: a stream to rows by table name, `stream` first."""

    name: str
    version: int
    feeds: str
    tables: tuple[Table, ...]
    rows: Callable[[Stream], Rows]

    def rows_of(self, stream: Stream) -> Rows:
        """Return the rows of `stream`; PoisonedEvent also where its facts decode but cannot be folded."""
        try:
            return self.rows(stream)
        except PoisonedEvent:
            raise
        except Exception as error:  # whatever it is: it must stop this model and no other
            cause = f"{type(error).__name__}: {error}"
            raise PoisonedEvent(f"position {stream.rows[-1][0]}, stream {stream.id}: {cause}") from error
