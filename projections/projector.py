"""The pull loop that keeps read models up: batches of the log, rows and position in one transaction.

A position advances only together with its rows, and only from where this projector read it: two projectors may run
at once. A row that cannot be read stops its model just before it, loudly; the other models go on.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any
from weakref import WeakKeyDictionary

from ledger import policies
from ledger.application import Ledger
from ledger.catalogue import Catalogue
from ledger.errors import Malformed, Unavailable
from ledger.store import Store, Writer, open_read_store
from projections import balances, billing, declines, notices, queue_model, tickets
from projections.model import PoisonedEvent, ReadModel, Rows, Stream

_MODULES = (balances, billing, tickets, queue_model, declines, notices)
MODELS: dict[str, ReadModel] = {module.MODEL.name: module.MODEL for module in _MODULES}
BATCH = 2000
_POLL_SECONDS = 0.02
_POSITIONS = "r_positions"


@dataclass(frozen=True)
class State:
    """Where a model stands: `lag` in events behind the log; `error` is "" while it goes on."""

    name: str
    version: int
    position: int
    lag: int
    error: str


def named(names: Sequence[str]) -> list[ReadModel]:
    """Return the models of `names` (all when empty); Malformed for an unknown one."""
    for name in names:
        if name not in MODELS:
            raise Malformed("name", name, "remedy_choice", words=", ".join(MODELS))
    return [MODELS[name] for name in names or MODELS]


class Projector:
    """Keeps the read models of one ledger's store."""

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self.store = store
        self.catalogue = catalogue
        self.read = open_read_store(store)
        self._prepared = False

    def close(self) -> None:
        """Close the read models' own connections."""
        if self.read is not self.store:
            self.read.close()

    # --- set-up -------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Create what is missing: the table of positions, and each model's tables in its present version."""
        if self._prepared or self._is_prepared():
            self._prepared = True
            return
        self.read.ensure_file()
        with self.exclusive(wait=10.0):
            with self.read.transaction() as writer:
                writer.execute(
                    f"CREATE TABLE IF NOT EXISTS {_POSITIONS} (name text PRIMARY KEY, version bigint NOT NULL,"
                    " position bigint NOT NULL, error text NOT NULL)"
                )
            known = {s.name: s.version for s in self.states()}
            for model in MODELS.values():
                if known.get(model.name) != model.version:
                    with self.read.transaction() as writer:
                        create_tables(writer, model, "")
                        for table in model.tables:
                            for statement in table.create_indexes(""):
                                writer.execute(statement)
                        set_position(writer, model, "", 0)
        self._prepared = True

    def _is_prepared(self) -> bool:
        """Whether every model has its tables in its present version: then no lock is needed."""
        try:
            versions = {s.name: s.version for s in self.states()}
        except Unavailable:
            return False
        return versions == {m.name: m.version for m in MODELS.values()}

    @contextmanager
    def exclusive(self, wait: float = 0.0) -> Iterator[None]:
        """Hold the projectors' lock over all processes; Unavailable when another holds it past `wait` seconds."""
        deadline = time.monotonic() + wait
        while True:
            with self.read.locked("projector") as held:
                if held:
                    yield
                    return
            if time.monotonic() > deadline:
                raise Unavailable("projector_busy")
            time.sleep(_POLL_SECONDS)

    # --- where it stands ----------------------------------------------------------------------------------

    def states(self) -> list[State]:
        """Return where each model stands."""
        head = self.store.last_position()
        rows = self.read.query(f"SELECT name, version, position, error FROM {_POSITIONS} ORDER BY name")
        return [State(n, v, p, max(head - p, 0), e) for n, v, p, e in rows if n in MODELS]

    def position(self, key: str) -> int | None:
        """Return the position of a model's tables (`key` is name + suffix), None when it has none."""
        rows = self.read.query(f"SELECT position FROM {_POSITIONS} WHERE name = ?", [key])
        return int(rows[0][0]) if rows else None

    def wait_for(self, position: int, names: Sequence[str] = (), seconds: float = 2.0) -> None:
        """Return once the named models have reached `position`; Unavailable (`behind`) after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            behind = [s for s in self.states() if (not names or s.name in names) and s.position < position]
            if not behind:
                return
            if time.monotonic() > deadline:
                raise Unavailable("behind", name=behind[0].name, position=behind[0].position, wanted=position)
            time.sleep(_POLL_SECONDS)

    # --- catching up --------------------------------------------------------------------------------------

    def catch_up(self, names: Sequence[str] = ()) -> list[State]:
        """Bring the named models (all by default) to the end of the log as it is now; return their states."""
        self.prepare()
        head = self.store.last_position()
        states = self.states()  # one reading tells of all of them, and mostly that there is nothing to do
        there = {s.name for s in states if s.position >= head}
        behind = [model for model in named(names) if model.name not in there]
        for model in behind:
            self.catch_up_to(model, head)
        return [s for s in (self.states() if behind else states) if not names or s.name in names]

    def catch_up_to(self, model: ReadModel, head: int, suffix: str = "", batch: int = BATCH) -> bool:
        """Bring one model's tables to position `head`; False when an event it cannot read stopped it."""
        limit = batch
        while True:
            position = self.position(model.name + suffix)
            if position is None or position >= head:
                return True
            rows = self.store.rows(position, limit, head)
            if not rows:
                return True
            try:
                self._apply(model, suffix, position, rows)
                limit = batch
            except PoisonedEvent as error:
                if limit == 1:
                    with self.read.transaction() as writer:
                        set_error(writer, model, suffix, str(error))
                    return False
                limit = max(limit // 10, 1)  # come as near to it as can be

    def _apply(self, model: ReadModel, suffix: str, position: int, rows: Sequence[Any]) -> None:
        end = rows[-1].position
        dirty = sorted({row.stream for row in rows if row.stream.startswith(model.feeds)})
        new = empty([model])
        for stream in self.streams(self.store.rows_of_streams(dirty, end)):
            collect(new, model.rows_of(stream))
        with self.read.transaction() as writer:
            if advance(writer, model, suffix, position, end):
                for table in model.tables:
                    for start in range(0, len(dirty), 500):
                        part = dirty[start : start + 500]
                        marks = ",".join("?" * len(part))
                        writer.execute(f"DELETE FROM {table.name}{suffix} WHERE stream IN ({marks})", part)
                write(writer, model, suffix, new)

    def streams(self, rows: Iterable[Any]) -> Iterator[Stream]:
        """Group rows that come stream by stream; a case's policy names calendars that were assigned before it."""
        self.catalogue = policies.current(self.store, self.catalogue)
        for _stream, group in groupby(rows, key=itemgetter(1)):
            yield Stream(list(group), self.catalogue)


_of_ledger: WeakKeyDictionary[Ledger, Projector] = WeakKeyDictionary()


def projector_of(ledger: Ledger) -> Projector:
    """Return the projector of a ledger, caught up: for questions that are asked of it outside a server."""
    projector = _of_ledger.get(ledger)
    if projector is None:
        projector = _of_ledger[ledger] = Projector(ledger.store, ledger.catalogue)
    projector.catch_up()
    return projector


def create_tables(writer: Writer, model: ReadModel, suffix: str) -> None:
    """Create a model's tables anew, dropping those of that suffix."""
    for table in model.tables:
        writer.execute(f"DROP TABLE IF EXISTS {table.name}{suffix}")
        writer.execute(table.create(suffix, writer.text))


Collected = dict[str, list[Sequence[Any]]]  # the rows of many streams, by table


def empty(models: Iterable[ReadModel]) -> Collected:
    """Return room for the rows of these models."""
    return {table.name: [] for model in models for table in model.tables}


def collect(collected: Collected, rows: Rows) -> None:
    """Add the rows of one stream to those of others."""
    for name, own in rows.items():
        collected[name].extend(own)


def write(writer: Writer, model: ReadModel, suffix: str, collected: Collected) -> None:
    """Insert the rows of many streams, table by table."""
    for table in model.tables:
        if collected[table.name]:
            writer.insert(f"{table.name}{suffix}", table.names, collected[table.name])


def set_position(writer: Writer, model: ReadModel, suffix: str, position: int) -> None:
    """Write a model's position, clearing its error."""
    writer.execute(f"DELETE FROM {_POSITIONS} WHERE name = ?", [model.name + suffix])
    writer.execute(f"INSERT INTO {_POSITIONS} VALUES (?, ?, ?, '')", [model.name + suffix, model.version, position])


def set_error(writer: Writer, model: ReadModel, suffix: str, error: str) -> None:
    """Keep why a model stopped."""
    writer.execute(f"UPDATE {_POSITIONS} SET error = ? WHERE name = ?", [error, model.name + suffix])


def drop_position(writer: Writer, model: ReadModel, suffix: str) -> None:
    """Forget a model's position."""
    writer.execute(f"DELETE FROM {_POSITIONS} WHERE name = ?", [model.name + suffix])


def advance(writer: Writer, model: ReadModel, suffix: str, before: int, after: int) -> bool:
    """Move a position from where it was read; False when another projector has moved it meanwhile."""
    sql = f"UPDATE {_POSITIONS} SET position = ?, error = '' WHERE name = ? AND position = ?"
    return writer.execute(sql, [after, model.name + suffix, before]) == 1
