"""The tables of read models, and where each model stands: its position with the log's mark there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.errors import Unavailable
from ledger.store import Store, Writer
from projections.model import ReadModel, Rows

_POSITIONS = "r_positions"
_TABLE = (
    f"CREATE TABLE {_POSITIONS} (name text PRIMARY KEY, version bigint NOT NULL, position bigint NOT NULL,"
    " error text NOT NULL, mark text NOT NULL, whole_from bigint NOT NULL)"
)
DAMAGED = ("read_models_damaged", "not_migrated")  # what a read says where its tables are not there, or not whole


@dataclass(frozen=True)
class State:
    """Where a model stands: `lag` in events behind the log; `error` is "" while it goes on.

    `foreign`: it was made from another log than this, and says nothing of it. `whole` is False while it is foreign, or
    is being made (anew): then it has not seen yet what it had to see from the start.
    """

    name: str
    version: int
    position: int
    lag: int
    error: str
    foreign: bool = False
    whole: bool = True


def states_of(read: Store, store: Store) -> list[State]:
    """Return where each model in `read` stands beside the log in `store`."""
    rows = read.query(f"SELECT name, version, position, error, mark, whole_from FROM {_POSITIONS} ORDER BY name")
    # The log is looked at after them: what they have seen stands in it.
    marks = {position: store.mark(position) for position in {row[2] for row in rows}}
    head = store.last_position()
    found = []
    for name, version, position, error, mark, whole_from in rows:
        foreign = bool(position) and mark != marks[position]
        whole = not foreign and position >= min(whole_from, head) and (position > 0 or not head)
        found.append(State(name, version, position, max(head - position, 0), error, foreign, whole))
    return found


def position_of(read: Store, key: str) -> int | None:
    """Return the position of a model's tables (`key` is name + suffix), None when it has none."""
    rows = read.query(f"SELECT position FROM {_POSITIONS} WHERE name = ?", [key])
    return int(rows[0][0]) if rows else None


def make_positions(read: Store) -> None:
    """Create the table of positions where there is none of this version."""
    if not _has(read, _POSITIONS, ("mark", "whole_from")):
        with read.transaction() as writer:
            writer.execute(f"DROP TABLE IF EXISTS {_POSITIONS}")
            writer.execute(_TABLE)


def has_tables(read: Store, model: ReadModel) -> bool:
    """Whether a model's tables are there, with their columns."""
    return all(_has(read, table.name, table.names) for table in model.tables)


def _has(read: Store, table: str, columns: Sequence[str]) -> bool:
    try:
        read.query(f"SELECT {', '.join(columns)} FROM {table} LIMIT 0")
    except Unavailable as error:
        if error.code in DAMAGED:
            return False
        raise
    return True


def create_tables(writer: Writer, model: ReadModel, suffix: str) -> None:
    """Create a model's tables anew, dropping those of that suffix."""
    for table in model.tables:
        writer.execute(f"DROP TABLE IF EXISTS {table.name}{suffix}")
        writer.execute(table.create(suffix, writer.text))


def create_indexes(writer: Writer, model: ReadModel, suffix: str) -> None:
    """Index a model's tables."""
    for table in model.tables:
        for statement in table.create_indexes(suffix):
            writer.execute(statement)


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


def set_position(
    writer: Writer, model: ReadModel, suffix: str, position: int, *, mark: str, whole_from: int = 0
) -> None:
    """Write a model's position, clearing its error; `mark` is the log's there, `whole_from` as in State."""
    writer.execute(f"DELETE FROM {_POSITIONS} WHERE name = ?", [model.name + suffix])
    row = [model.name + suffix, model.version, position, "", mark, whole_from]
    writer.execute(f"INSERT INTO {_POSITIONS} VALUES (?, ?, ?, ?, ?, ?)", row)


def set_error(writer: Writer, model: ReadModel, suffix: str, error: str) -> None:
    """Keep why a model stopped."""
    writer.execute(f"UPDATE {_POSITIONS} SET error = ? WHERE name = ?", [error, model.name + suffix])


def drop_position(writer: Writer, model: ReadModel, suffix: str) -> None:
    """Forget a model's position."""
    writer.execute(f"DELETE FROM {_POSITIONS} WHERE name = ?", [model.name + suffix])


def advance(writer: Writer, model: ReadModel, suffix: str, before: tuple[int, str], after: tuple[int, str]) -> bool:
    """Move a position with its mark from where it was read; False when it is another one meanwhile."""
    sql = (
        f"UPDATE {_POSITIONS} SET position = ?, mark = ?, error = ''"
        " WHERE name = ? AND position = ? AND (mark = ? OR position = 0)"
    )
    return writer.execute(sql, [*after, model.name + suffix, *before]) == 1
