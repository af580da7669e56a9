"""What a read model is: its tables, which streams feed it, and the rows one stream becomes.

The rows of a stream depend on nothing but the stream's facts up to a position. So any split of catch-up, at every
prefix, leaves the same rows as a rebuild.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ledger import facts as f
from ledger.catalogue import Catalogue
from ledger.facts.codec import decode_all
from ledger.rules import sla
from ledger.rules.book import Book, fold
from ledger.rules.subscriptions import FAR


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


class Stream:
    """One stream's facts up to a position, decoded once and folded once for all models it feeds."""

    def __init__(self, rows: Sequence[tuple[Any, ...]], catalogue: Catalogue) -> None:
        """`rows` are the stream's rows in order of version, columns as in `ledger.store.Row`."""
        self.id: str = rows[0][1]
        self.rows = rows
        self.catalogue = catalogue

    @cached_property
    def facts(self) -> list[f.Fact]:
        """The facts in the order of the log; a row that cannot be read raises, naming its position."""
        try:
            return decode_all(self.rows)
        except f.UnknownFact:
            for row in self.rows:
                try:
                    f.decode(row[3], row[5])
                except f.UnknownFact as error:
                    raise PoisonedEvent(f"position {row[0]}, stream {self.id}: {error}") from error
            raise

    @property
    def recorded_at(self) -> str:
        """When the newest row was recorded."""
        return str(self.rows[-1][4])

    @cached_property
    def as_of(self) -> str:
        """The instant the rows speak of: the newest recording, or a fact dated just ahead of it."""
        return max(self.recorded_at, max(fact.occurred_at for fact in self.facts))

    @cached_property
    def book(self) -> Book:
        """An account's book as of `as_of`."""
        return fold(self.catalogue, self.facts, self.as_of)

    @cached_property
    def case_facts(self) -> list[f.TicketFact]:
        """A case's facts."""
        return [fact for fact in self.facts if isinstance(fact, f.TicketFact)]

    @cached_property
    def clock(self) -> sla.Clock | None:
        """A case's clock with everything known; None before its opening."""
        return sla.run(self.case_facts, FAR, [row[4] for row in self.rows])


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
