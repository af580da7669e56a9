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
from ledger.store import files
from ledger.store.base import Store, Writer
from ledger.store.connections import Connections, connect
from ledger.store.files import exclusive
from ledger.store.identity import NAME_LOG, new_log_id
from ledger.store.rows import NEXT, Request
from ledger.store.tables import SCHEMA_VERSION, upgrades_from

_WAL_RESET_FIXED = (3, 51, 3)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
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
    """A file on this machine; readers never block the writer.

    A `disposable` one holds nothing that cannot be made anew: what is wrong with it is `read_models_damaged`.
    """

    dialect = "sqlite"

    def __init__(self, path: str, *, disposable: bool = False) -> None:
        self.path = Path(path)
        self.url = f"sqlite:///{path}"
        self.disposable = disposable
        self._connections = Connections(self.path)
        self._write_lock = threading.Lock()
        self._pid = os.getpid()

    # --- connections ------------------------------------------------------------------------------------

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn SQLite's errors into the library's conflict or into Unavailable with a code."""
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise IntegrityError(str(error)) from error
        except sqlite3.DatabaseError as error:
            failed = self._failed(error)
            if failed.code not in ("database_locked", "not_migrated"):
                self._connections.give_up()  # what they know of the file may be wrong by now
            raise failed from error

    def _failed(self, error: sqlite3.DatabaseError) -> Unavailable:
        message, path = str(error), str(self.path)
        kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return Unavailable("database_locked", path=path)
        if kind == sqlite3.SQLITE_READONLY:
            return Unavailable("database_read_only", path=path)
        unknown = "no such table" in message or "no such column" in message
        if self.disposable and (unknown or kind in _DAMAGED):
            return Unavailable("read_models_damaged")
        if unknown:
            return Unavailable("not_migrated")
        if kind == sqlite3.SQLITE_FULL:
            return Unavailable("database_full", path=path)
        return Unavailable("database_failed", path=path, detail=message)

    def _connect(self) -> sqlite3.Connection:
        """Return a connection beside those of the threads."""
        try:
            self._connections.file()
        except Unavailable:
            raise self._gone() from None
        with self._translated():
            return connect(self.path)

    def _gone(self) -> Unavailable:
        return Unavailable("read_models_damaged" if self.disposable else "database_missing", path=str(self.path))

    @contextmanager
    def _held(self) -> Iterator[sqlite3.Connection]:
        with self._translated():
            try:
                held = self._connections.take()
            except Unavailable:
                raise self._gone() from None
            try:
                yield held.connection
            finally:
                self._connections.release(held)

    def close(self) -> None:
        self._connections.close()

    # --- reading ------------------------------------------------------------------------------------------

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._held() as connection:
            return connection.execute(sql, params).fetchall()

    def stream_query(self, sql: str, params: Sequence[Any], size: int) -> Iterator[list[tuple[Any, ...]]]:
        connection = self._connect()  # its own: the snapshot stays open while others read
        with contextlib.closing(connection), self._translated():
            cursor = connection.execute(sql, params)
            while rows := cursor.fetchmany(size):
                yield rows

    # --- writing ------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield this thread's connection inside BEGIN IMMEDIATE; one writer of this process at a time."""
        if self._pid != os.getpid():  # a forked child must not wait for its parent's lock
            self._pid, self._write_lock = os.getpid(), threading.Lock()
        with self._held() as connection, self._write_lock:
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
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._create()
        connection = self._connect()
        with contextlib.closing(connection), self._translated():
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
            named = connection.execute(NAME_LOG, [new_log_id()]).rowcount
            connection.execute("COMMIT")
        self.check()
        tightened = files.tighten(self.path)
        return int(found) < SCHEMA_VERSION or named > 0 or tightened

    def ensure_file(self) -> None:
        if not self.path.exists():
            self._create()
            with contextlib.closing(self._connect()) as connection, self._translated():
                connection.execute("PRAGMA journal_mode = WAL")

    def _create(self) -> None:
        """Make the file empty where there is none: for its owner alone, which SQLite hands on to what it adds."""
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, files.OWNER_ONLY))
        except OSError as error:
            why = error.strerror or str(error)
            raise Unavailable("database_failed", path=str(self.path), detail=why) from error

    def discard(self) -> bool:
        """Take a disposable file away unless it is sound; return whether it was. Nobody else may be at it."""
        if self.path.exists() and self._is_sound():
            return False
        for name in files.belonging(self.path):
            name.unlink(missing_ok=True)
        self._connections.give_up()
        return True

    def _is_sound(self) -> bool:
        try:
            with contextlib.closing(self._connect()) as connection:
                return list(connection.execute("PRAGMA integrity_check(1)")) == [("ok",)]
        except (sqlite3.DatabaseError, Unavailable):
            return False

    def owned(self) -> bool:
        """Whether this user owns the file, or may do anything on this machine; where files have no owner, all do."""
        if os.name != "posix":
            return True
        return os.geteuid() in (0, self.path.stat().st_uid)

    def warnings(self) -> list[str]:
        old = ["sqlite_wal_reset"] if sqlite3.sqlite_version_info < _WAL_RESET_FIXED else []
        return old + files.warnings(self.path)


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
