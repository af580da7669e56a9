"""Rebuild: fold the whole log into new tables beside the live ones, then swap them in one transaction.

The log is read once, stream by stream, for all the models: a stream is decoded and folded once, memory stays constant.
What was appended meanwhile is caught up on the new tables before the swap. `check` builds the same way and compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from ledger.store import Store
from projections.model import PoisonedEvent, ReadModel, Stream
from projections.projector import Projector, named
from projections.tables import (
    Collected,
    collect,
    create_indexes,
    create_tables,
    drop_position,
    empty,
    set_error,
    set_position,
    write,
)

_NEW, _CHECK = "_new", "_check"
_BUFFER = 5000
Progress = Callable[[int], None]


def rebuild(projector: Projector, names: Sequence[str] = (), progress: Progress | None = None) -> dict[str, str]:
    """Rebuild the named models (all by default) and swap them in; return the error of each that stopped.

    Readers go on with the live tables until the swap. `progress` is called with the number of events folded.
    """
    projector.prepare()
    models = named(names)
    with projector.exclusive(wait=10.0):
        errors = _build(projector, models, _NEW, projector.store.last_position(), progress)
        for model in models:
            if model.name in errors:
                _discard(projector.read, model, _NEW, errors[model.name])
            else:
                projector.catch_up_to(model, projector.store.last_position(), _NEW)
                _swap(projector, model)
    return errors


class Compared(NamedTuple):
    """What a check compared of one model: how many rows, at which position; `difference` is "" where all agree."""

    name: str
    position: int
    rows: int
    difference: str


def check(projector: Projector, names: Sequence[str] = ()) -> dict[str, str]:
    """Compare as `compare`; return the first difference (or error) of each model that has one."""
    return differences(compare(projector, names))


def compare(projector: Projector, names: Sequence[str] = (), progress: Progress | None = None) -> list[Compared]:
    """Build the named models again at the position of the live ones, compare row by row; tell of each model.

    A model that has seen nothing of a log that holds something, or was made from another log, agrees with nothing.
    """
    projector.prepare()
    found: list[Compared] = []
    with projector.exclusive(wait=10.0):
        for number, model in enumerate(named(names)):
            told = progress and partial(_told_from, progress, number * projector.store.last_position())
            state = next(state for state in projector.states() if state.name == model.name)
            if state.foreign or (state.lag and not state.position):
                cause = (
                    "made from another log than this"
                    if state.foreign
                    else "it has seen nothing of the log: nothing was compared"
                )
                found.append(Compared(model.name, state.position, 0, cause))
                continue
            errors = _build(projector, [model], _CHECK, state.position, told)
            rows, difference = _difference(projector.read, model)
            found.append(Compared(model.name, state.position, rows, errors.get(model.name) or difference))
            _discard(projector.read, model, _CHECK, "")
    return found


def _told_from(progress: Progress, start: int, done: int) -> None:
    progress(start + done)


def differences(compared: Sequence[Compared]) -> dict[str, str]:
    """Return the first difference (or error) of each model that has one."""
    return {one.name: one.difference for one in compared if one.difference}


def _build(
    projector: Projector, models: Sequence[ReadModel], suffix: str, stop: int, progress: Progress | None
) -> dict[str, str]:
    read = projector.read
    for model in models:
        with read.transaction() as writer:
            create_tables(writer, model, suffix)
            set_position(writer, model, suffix, 0, mark="")
    mark = projector.store.mark(stop)
    errors: dict[str, str] = {}
    fed = {feeds: [model for model in models if model.feeds == feeds] for feeds in {m.feeds for m in models}}
    rows, size = empty(models), 0
    for feeds, stream in _streams(projector, sorted(fed), stop, progress):
        _add(rows, stream, fed[feeds], errors)
        size += len(stream.rows)
        if size >= _BUFFER:
            _flush(read, models, suffix, rows)
            rows, size = empty(models), 0
    _flush(read, models, suffix, rows)
    for model in models:
        with read.transaction() as writer:
            create_indexes(writer, model, suffix)
            set_position(writer, model, suffix, stop, mark=mark)
    return errors


def _streams(
    projector: Projector, prefixes: Sequence[str], stop: int, progress: Progress | None
) -> Iterator[tuple[str, Stream]]:
    """Yield the streams up to `stop` of each prefix, each whole, in constant memory: one scan a prefix.

    Streams that feed no model are left out: that of a series of documents is as long as all invoices.
    """
    done = 0

    def parts(prefix: str) -> Iterator[list[tuple[Any, ...]]]:
        nonlocal done
        for part in projector.store.scan(stop, prefix):
            yield part
            done += len(part)
            if progress is not None:
                progress(done)

    for prefix in prefixes:
        for stream in projector.streams(chain.from_iterable(parts(prefix))):
            yield prefix, stream


def _add(rows: Collected, stream: Stream, models: Sequence[ReadModel], errors: dict[str, str]) -> None:
    """Add what these models make of a stream; one that stopped before makes nothing any more."""
    for model in models:
        if model.name not in errors:
            try:
                collect(rows, model.rows_of(stream))
            except PoisonedEvent as error:
                errors[model.name] = str(error)


def _flush(read: Store, models: Sequence[ReadModel], suffix: str, rows: Collected) -> None:
    with read.transaction() as writer:
        for model in models:
            write(writer, model, suffix, rows)


def _swap(projector: Projector, model: ReadModel) -> None:
    """Put the new tables in the place of the live ones: readers see all of it or nothing."""
    position = projector.position(model.name + _NEW) or 0
    mark = projector.store.mark(position)
    with projector.read.transaction() as writer:
        for table in model.tables:
            writer.execute(f"DROP TABLE IF EXISTS {table.name}")
            writer.execute(f"ALTER TABLE {table.name}{_NEW} RENAME TO {table.name}")
        drop_position(writer, model, _NEW)
        set_position(writer, model, "", position, mark=mark)


def _discard(read: Store, model: ReadModel, suffix: str, error: str) -> None:
    with read.transaction() as writer:
        for table in model.tables:
            writer.execute(f"DROP TABLE IF EXISTS {table.name}{suffix}")
        drop_position(writer, model, suffix)
        if error:
            set_error(writer, model, "", error)


def _difference(read: Store, model: ReadModel) -> tuple[int, str]:
    """Return how many live rows were compared, and the first difference from those just built ("" for none)."""
    compared = 0
    for table in model.tables:
        columns = ", ".join(table.names)
        order = ", ".join(table.names)
        live = read.stream_query(f"SELECT {columns} FROM {table.name} ORDER BY {order}", [], 2000)
        built = read.stream_query(f"SELECT {columns} FROM {table.name}{_CHECK} ORDER BY {order}", [], 2000)
        for number, (a, b) in enumerate(_pairs(live, built), 1):
            if a != b:
                return compared, _describe(table.name, table.names, number, a, b)
            compared += 1
    return compared, ""


def _pairs(left: Any, right: Any) -> Any:
    from itertools import chain, zip_longest

    return zip_longest(chain.from_iterable(left), chain.from_iterable(right))


def _describe(table: str, names: Sequence[str], number: int, live: Any, built: Any) -> str:
    if live is None or built is None:
        where, row = ("live", live) if built is None else ("log", built)
        return f"{table}: row {number} stands only in the {where}: {dict(zip(names, row, strict=True))}"
    pairs = zip(names, live, built, strict=True)
    changed = {name: f"live {a!r}, log {b!r}" for name, a, b in pairs if a != b}
    return f"{table}: row {number} (stream {live[0]}): {changed}"
