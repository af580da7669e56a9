"""The pull loop that keeps read models up: batches of the log, rows and position in one transaction.

A position advances only together with its rows, and only from where this projector read it: two projectors may run
at once. A row that cannot be read stops its model just before it, loudly; the other models go on.

With its position each model keeps the log's mark there (`Store.mark`). Where the log has another one, the model was
made from another log, or from one that was restored or cut off since: it is made anew. So is what was damaged.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from ledger import patience, policies
from ledger.application import Ledger
from ledger.catalogue import Catalogue
from ledger.errors import Malformed, Unavailable
from ledger.progress import long_work
from ledger.store import Store, open_read_store
from projections import balances, billing, declines, notices, queue_model, tickets
from projections.model import PoisonedEvent, ReadModel, Stream
from projections.tables import (
    DAMAGED,
    State,
    advance,
    collect,
    create_indexes,
    create_tables,
    empty,
    has_tables,
    make_positions,
    position_of,
    set_error,
    set_position,
    states_of,
    write,
)

_MODULES = (balances, billing, tickets, queue_model, declines, notices)
MODELS: dict[str, ReadModel] = {module.MODEL.name: module.MODEL for module in _MODULES}
BATCH = 2000
_POLL_SECONDS = 0.02
_BUSY_SECONDS = 2.0
Found = TypeVar("Found")
_log = logging.getLogger("supportledger.projections")


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
        self._one = threading.Lock()

    def close(self) -> None:
        """Close the read models' own connections."""
        if self.read is not self.store:
            self.read.close()

    # --- set-up -------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Create what is missing: the table of positions, and each model's tables in its present version."""
        self._healing(self._prepare)

    def _prepare(self) -> None:
        if self._prepared or self._is_prepared():
            self._prepared = True
            return
        self.read.ensure_file()
        with self.exclusive(wait=10.0):
            make_positions(self.read)
            known = {s.name: s.version for s in self._states()}
            self._create([m for m in MODELS.values() if known.get(m.name) != m.version or not has_tables(self.read, m)])
        self._prepared = True

    def _is_prepared(self) -> bool:
        """Whether every model has its tables in its present version: then no lock is needed."""
        try:
            versions = {s.name: s.version for s in self._states()}
        except Unavailable:
            return False
        there = versions == {m.name: m.version for m in MODELS.values()}
        return there and all(has_tables(self.read, model) for model in MODELS.values())

    def _create(self, models: Iterable[ReadModel]) -> None:
        """Give these models empty tables, to be filled from the start of the log."""
        head = self.store.last_position()
        for model in models:
            with self.read.transaction() as writer:
                create_tables(writer, model, "")
                create_indexes(writer, model, "")
                set_position(writer, model, "", 0, mark="", whole_from=head)

    # --- made anew ------------------------------------------------------------------------------------------

    def _healing(self, work: Callable[[], Found]) -> Found:
        """Return what `work` does; where the read models themselves are damaged, make them anew and do it again."""
        try:
            return work()
        except Unavailable as error:
            if error.code not in DAMAGED:
                raise
            self.store.check()  # it is the log that is not there: nothing to heal here
        self._prepared = False
        self.read.ensure_file()
        with self.exclusive(wait=10.0):
            if self.read.discard():
                _log.warning("the read models were damaged or gone: they are made anew from the log")
            self.read.ensure_file()
        return work()

    def _begin_anew(self) -> None:
        """Empty what was made from another log, so that it is made from this one."""
        with self.exclusive(wait=_BUSY_SECONDS):
            foreign = [state.name for state in self._states() if state.foreign]
            if foreign:
                _log.warning("read models made from another log, or from rows it no longer has: %s are made anew from"
                             " this one", ", ".join(foreign))  # fmt: skip
                self._create(MODELS[name] for name in foreign)

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
        """Return where each model stands, without moving any."""
        return self._healing(self._look)

    def _look(self) -> list[State]:
        self._prepare()
        return self._states()

    def _states(self) -> list[State]:
        return [state for state in states_of(self.read, self.store) if state.name in MODELS]

    def position(self, key: str) -> int | None:
        """Return the position of a model's tables (`key` is name + suffix), None when it has none."""
        return position_of(self.read, key)

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
        """Bring the named models (all by default) to the end of the log as it is now; return their states.

        Unavailable `projector_busy` where another thread is long at it.
        """
        states = self._healing(lambda: self._catch_up(named(names)))
        return [s for s in states if not names or s.name in names]

    def _catch_up(self, models: Sequence[ReadModel]) -> list[State]:
        self._prepare()
        head = self.store.last_position()
        states = self._states()  # one reading tells of all of them, and mostly that there is nothing to do
        if not _behind(models, states, head):
            return states
        if not self._one.acquire(timeout=_BUSY_SECONDS):  # one thread is enough, and so is one copy of the log's rows
            raise Unavailable("projector_busy")
        try:
            if any(state.foreign for state in states):
                self._begin_anew()
            behind = _behind(models, self._states(), head)
            with long_work("work_read_models", sum(head - position for _model, position in behind)) as tick:
                done = 0
                for model, position in behind:
                    self.catch_up_to(model, head, tick=partial(_told_from, tick, done - position))
                    done += head - position
            return self._states()
        finally:
            self._one.release()

    def catch_up_to(
        self,
        model: ReadModel,
        head: int,
        suffix: str = "",
        batch: int = BATCH,
        tick: Callable[[int], None] = lambda at: None,
    ) -> bool:
        """Bring one model's tables to position `head`; False when an event it cannot read stopped it.

        `tick` is called with each position that it has reached.
        """
        limit = batch
        while True:
            position = self.position(model.name + suffix)
            if position is None or position >= head:
                return True
            rows = self.store.rows(position, limit, head)
            if not rows:
                return True
            try:
                if not self._apply(model, suffix, position, rows) and self.position(model.name + suffix) == position:
                    return False  # nobody else moved it: it was made from another log, which `states` tells
                tick(rows[-1].position)
                limit = batch
            except PoisonedEvent as error:
                if limit == 1:
                    with self.read.transaction() as writer:
                        set_error(writer, model, suffix, str(error))
                    return False
                limit = max(limit // 10, 1)  # come as near to it as can be

    def _apply(self, model: ReadModel, suffix: str, position: int, rows: Sequence[Any]) -> bool:
        end = rows[-1].position
        dirty = sorted({row.stream for row in rows if row.stream.startswith(model.feeds)})
        new = empty([model])
        for stream in self.streams(self.store.rows_of_streams(dirty, end)):
            collect(new, model.rows_of(stream))
        before, after = (position, self.store.mark(position)), (end, self.store.mark(end))
        with self.read.transaction() as writer:
            if moved := advance(writer, model, suffix, before, after):
                for table in model.tables:
                    for start in range(0, len(dirty), 500):
                        part = dirty[start : start + 500]
                        marks = ",".join("?" * len(part))
                        writer.execute(f"DELETE FROM {table.name}{suffix} WHERE stream IN ({marks})", part)
                write(writer, model, suffix, new)
        return moved

    def streams(self, rows: Iterable[Any]) -> Iterator[Stream]:
        """Group rows that come stream by stream; a case's policy names calendars that were assigned before it."""
        self.catalogue = policies.current(self.store, self.catalogue)
        for _stream, group in groupby(rows, key=itemgetter(1)):
            patience.check()
            yield Stream(list(group), self.catalogue)


_of_ledger: WeakKeyDictionary[Ledger, Projector] = WeakKeyDictionary()


def projector_of(ledger: Ledger) -> Projector:
    """Return the projector of a ledger, caught up: for questions that are asked of it outside a server."""
    projector = _of_ledger.get(ledger)
    if projector is None:
        projector = _of_ledger[ledger] = Projector(ledger.store, ledger.catalogue)
    require_whole(projector.catch_up())
    return projector


def require_whole(states: Iterable[State]) -> None:
    """Raise Unavailable `read_models_anew` while a model is being made: what it answers would be wrong."""
    for state in states:
        if not state.whole and not state.error:
            raise Unavailable("read_models_anew", name=state.name, position=state.position, lag=state.lag)


def _told_from(tick: Callable[[int], None], before: int, position: int) -> None:
    tick(before + position)


def _behind(models: Iterable[ReadModel], states: Iterable[State], head: int) -> list[tuple[ReadModel, int]]:
    """Return which models are to be caught up, and from where."""
    at = {state.name: state.position for state in states if state.foreign or state.position < head}
    return [(model, at[model.name]) for model in models if model.name in at]
