"""The log in one SQLite file: WAL, synchronous=FULL, one writing connection per process.

A second writing process waits for the file's lock (10 s), then is refused with `database_locked`.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eventsourcing.persistence import IntegrityError, StoredEvent

from ledger.errors import Unavailable
from ledger.store.base import Store, Writer
from ledger.store.files import exclusive
from ledger.store.rows import NEXT, Request
from ledger.store.tables import SCHEMA_VERSION, upgrades_from

_BUSY_SECONDS = 10.0
_WAL_RESET_FIXED = (3, 51, 3)
_INSERT = "INSERT INTO ledger_events (stream, version, topic, account, recorded_at, state) VALUES (?, ?, ?, ?, ?, ?)"
# The stamp in the same statement: one less, in what every command waits for.
_INSERT_ONE = (
    "INSERT INTO ledger_events (stream, version, topic, account, recorded_at, state) VALUES (?, ?, ?, ?,"
    " max(?, coalesce((SELECT recorded_at FROM ledger_events ORDER BY position DESC LIMIT 1), '')), ?)"
)
_LAST = "SELECT position, recorded_at FROM ledger_events ORDER BY position DESC LIMIT 1"
_HIGHEST = "SELECT coalesce(max(version), 0) FROM ledger_events WHERE stream = ?"
_REQUEST = "INSERT INTO ledger_requests (key, fields, outcome, position) VALUES (?, ?, ?, ?)"


class SqliteStore(Store):
    """A file on this machine; readers never block the writer."""

    dialect = "sqlite"

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.url = f"sqlite:///{path}"
        self._local = threading.local()
        self._write_lock = threading.Lock()
        self._all: list[sqlite3.Connection] = []
        self._pid = os.getpid()

    # --- connections ------------------------------------------------------------------------------------

    def _connection(self) -> sqlite3.Connection:
        pid = os.getpid()
        if self._pid != pid:  # a forked child must not touch its parent's connections or locks
            self._pid, self._all, self._write_lock = pid, [], threading.Lock()
            self._local = threading.local()
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect(create=False)
            self._all.append(connection)
        return connection

    def _connect(self, *, create: bool) -> sqlite3.Connection:
        if not create and not self.path.exists():
            raise Unavailable("database_missing", path=str(self.path))
        with _translated(self.path):
            connection = sqlite3.connect(
                self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA cache_size = -16384")
        return connection

    def close(self) -> None:
        if self._pid == os.getpid():
            for connection in self._all:
                connection.close()
        self._all, self._local = [], threading.local()

    # --- reading ------------------------------------------------------------------------------------------

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with _translated(self.path):
            return self._connection().execute(sql, params).fetchall()

    def stream_query(self, sql: str, params: Sequence[Any], size: int) -> Iterator[list[tuple[Any, ...]]]:
        connection = self._connect(create=False)  # its own: the snapshot stays open while others read
        with contextlib.closing(connection), _translated(self.path):
            cursor = connection.execute(sql, params)
            while rows := cursor.fetchmany(size):
                yield rows

    # --- writing ------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield this thread's connection inside BEGIN IMMEDIATE; one writer of this process at a time."""
        connection = self._connection()
        with self._write_lock, _translated(self.path):
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def transaction(self) -> Iterator[Writer]:
        with self._transaction() as connection:
            yield _SqliteWriter(connection)

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        with self._transaction() as connection:
            return connection.execute(sql, params).rowcount

    def write(
        self, events: Sequence[StoredEvent], accounts: Sequence[str], *, now: str, request: Request | None
    ) -> list[int]:
        rows = [
            [e.originator_id, e.originator_version, e.topic, account, now, e.state]
            for e, account in zip(events, accounts, strict=True)
        ]
        with self._transaction() as connection:
            if len(rows) == 1 and rows[0][1] != NEXT:
                end = connection.execute(_INSERT_ONE, rows[0]).lastrowid or 0
            else:
                end = _insert_many(connection, rows)
            if request is not None:
                connection.execute(_REQUEST, (request.key, request.fields, request.outcome, end))
        # One writer at a time, so the positions of one transaction follow each other.
        return list(range(end - len(rows) + 1, end + 1))

    @contextmanager
    def locked(self, name: str) -> Iterator[bool]:
        with exclusive(self.path.with_name(f"{self.path.name}.{name}.lock")) as held:
            yield held

    # --- set-up -------------------------------------------------------------------------------------------

    def schema_version(self) -> int:
        names = self.query("SELECT name FROM sqlite_master WHERE name = 'ledger_meta'")
        return int(self.meta("schema_version") or 0) if names else 0

    def migrate(self, *, test_clock: bool = False) -> bool:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = self._connect(create=True)
        with contextlib.closing(connection), _translated(self.path):
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            exists = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'ledger_meta'").fetchone()
            if not exists:
                for statement in _SCHEMA:
                    connection.execute(statement)
                connection.execute("INSERT INTO ledger_meta VALUES ('schema_version', '1')")
                if test_clock:
                    connection.execute("INSERT INTO ledger_meta VALUES ('test_clock', 'unset')")
            found = connection.execute("SELECT value FROM ledger_meta WHERE name = 'schema_version'").fetchone()[0]
            if int(found) < SCHEMA_VERSION:
                for statement in upgrades_from(int(found), text="TEXT", number="INTEGER"):
                    connection.execute(statement)
                update = "UPDATE ledger_meta SET value = ? WHERE name = 'schema_version'"
                connection.execute(update, [str(SCHEMA_VERSION)])
            connection.execute("COMMIT")
        self.check()
        return int(found) < SCHEMA_VERSION

    def ensure_file(self) -> None:
        if not self.path.exists():
            connection = self._connect(create=True)
            with contextlib.closing(connection), _translated(self.path):
                connection.execute("PRAGMA journal_mode = WAL")

    def warnings(self) -> list[str]:
        return ["sqlite_wal_reset"] if sqlite3.sqlite_version_info < _WAL_RESET_FIXED else []


def _insert_many(connection: sqlite3.Connection, rows: list[list[Any]]) -> int:
    """Insert rows under one stamp, never before the last; return the last one's position."""
    last = connection.execute(_LAST).fetchone()
    places: dict[str, int] = {}
    for row in rows:
        row[4] = max(row[4], last[1]) if last else row[4]
        if row[1] == NEXT:
            before = places.get(row[0]) or connection.execute(_HIGHEST, [row[0]]).fetchone()[0]
            row[1] = places[row[0]] = before + 1
    connection.executemany(_INSERT, rows)
    return int(connection.execute(_LAST).fetchone()[0]) if rows else 0


class _SqliteWriter:
    text = "text"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        return self._connection.execute(sql, params).rowcount

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        marks = ",".join("?" * len(columns))
        self._connection.executemany(f"INSERT INTO {table} ({','.join(columns)}) VALUES ({marks})", rows)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into the library's conflict or into Unavailable with a code."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise IntegrityError(str(error)) from error
    except sqlite3.OperationalError as error:
        message = str(error)
        if "locked" in message or "busy" in message:
            raise Unavailable("database_locked", path=str(path)) from error
        if "readonly" in message:
            raise Unavailable("database_read_only", path=str(path)) from error
        if "no such table" in message or "no such column" in message:
            raise Unavailable("not_migrated") from error
        raise Unavailable("database_failed", path=str(path), detail=message) from error
    except sqlite3.DatabaseError as error:
        raise Unavailable("database_failed", path=str(path), detail=str(error)) from error


_SCHEMA = (
    """CREATE TABLE ledger_events (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        stream TEXT NOT NULL,
        version INTEGER NOT NULL,
        topic TEXT NOT NULL,
        account TEXT NOT NULL,
        recorded_at TEXT NOT NULL,
        state BLOB NOT NULL
    )""",
    "CREATE UNIQUE INDEX ledger_events_stream ON ledger_events (stream, version)",
    "CREATE INDEX ledger_events_account ON ledger_events (account)",
    """CREATE TABLE ledger_requests (
        key TEXT PRIMARY KEY, fields TEXT NOT NULL, outcome TEXT NOT NULL, position INTEGER NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE ledger_tokens (
        hash TEXT PRIMARY KEY, prefix TEXT NOT NULL, role TEXT NOT NULL, name TEXT NOT NULL,
        created_at TEXT NOT NULL, revoked_at TEXT NOT NULL
    )""",
    "CREATE TABLE ledger_meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
)
