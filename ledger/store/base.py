"""What both stores share: the rows of the log, request keys, tokens, the test clock, and their SQL.

Statements are written once with `?`; a store gives them its connection. Positions rise in the order of commits
(appends hold one lock until they are committed) but may have holes: never count on them being dense.
`recorded_at` is stamped under that lock and never decreases, so "known at" is a prefix of the log.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from eventsourcing.persistence import (
    ApplicationRecorder,
    Notification,
    StoredEvent,
    Subscription,
)

from ledger.errors import Unavailable
from ledger.store.books_rows import BooksRows
from ledger.store.identity import MARK_OF_LOG, mark_of
from ledger.store.rows import COLUMNS as _COLUMNS
from ledger.store.rows import LoggedEvent, Request, Row, of_account
from ledger.store.tables import SCHEMA_VERSION
from ledger.store.token_table import TokenTable

MAX_EVENTS = 500
MAX_BYTES = 256 * 1024


class Writer(Protocol):
    """What a read model writes through, inside one transaction.

    `text` is the SQL type of its text columns: compared byte by byte, whatever the database's locale.
    """

    text: str

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one statement; return the number of rows it touched."""

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert many rows in the fastest way the store has."""


class Store(ApplicationRecorder, BooksRows, TokenTable):
    """A log of facts over one database. Thread-safe; raises Unavailable when the database cannot serve."""

    dialect: str
    url: str

    before_append: Callable[[], None] | None = None

    def announce(self) -> None:
        """Do once, before the first append of this process, what was left for then (`before_append`)."""
        first, self.before_append = self.before_append, None
        if first is not None:
            first()

    # --- given by each store ----------------------------------------------------------------------------

    @abstractmethod
    def query(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one reading statement and return all its rows."""

    @abstractmethod
    def stream_query(self, sql: str, params: Sequence[Any], size: int) -> Iterator[list[tuple[Any, ...]]]:
        """Run one reading statement and yield its rows in lists of `size`, in constant memory, one snapshot."""

    @abstractmethod
    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one writing statement in its own transaction; return the number of rows it touched."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Writer]:
        """Yield a writer; committed at the end, rolled back on any exception."""

    @abstractmethod
    def write(
        self, events: Sequence[StoredEvent], accounts: Sequence[str], *, now: str, request: Request | None
    ) -> list[int]:
        """Do what `append` does, whatever the rows are."""

    @abstractmethod
    def migrate(self, *, test_clock: bool = False) -> bool:
        """Create or upgrade the tables; return whether anything was to do."""

    def ensure_file(self) -> None:
        """Create the empty database of read models where it is a file of its own."""

    def discard(self) -> bool:
        """Take away a damaged database of read models that is a file of its own; return whether it was."""
        return False

    @abstractmethod
    def locked(self, name: str) -> AbstractContextManager[bool]:
        """Hold a lock named `name` over all processes; yields False at once when another holds it."""

    @abstractmethod
    def owned(self) -> bool:
        """Whether this database belongs to whoever runs this process: its file, or its tables."""

    @abstractmethod
    def warnings(self) -> list[str]:
        """Return text keys of what an operator should know of this database."""

    @abstractmethod
    def close(self) -> None:
        """Close every connection of this process."""

    def append(
        self,
        events: Sequence[StoredEvent],
        accounts: Sequence[str],
        *,
        now: str,
        request: Request | None,
        complete: bool = False,
    ) -> list[int]:
        """Append rows and the request's row in one transaction; return their positions.

        A row of version NEXT takes the next place of its stream: a series of documents has no gaps, whoever writes.
        Rows of accounts and of series are taken only as `complete`: made by `ledger.recording.Entry`, so that no fact
        is recorded without its documents. ValueError for others; the library's IntegrityError when a stream's version
        or the request's key exists already.
        """
        if not complete and (loose := next((e for e in events if of_account(str(e.originator_id))), None)) is not None:
            raise ValueError(f"rows of {loose.originator_id} are appended through ledger.recording.Entry")
        self.announce()
        return self.write(events, accounts, now=now, request=request)

    # --- the library's recorder interface ----------------------------------------------------------------

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int]:
        """Append rows; `accounts`, `now` and `request` come from `Ledger.save` through the event store."""
        return self.append(
            stored_events,
            kwargs["accounts"],
            now=kwargs["now"],
            request=kwargs.get("request"),
            complete=kwargs.get("complete", False),
        )

    def select_events(
        self,
        originator_id: Any,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[LoggedEvent]:
        """Return a stream's rows in order of version."""
        sql = f"SELECT {_COLUMNS} FROM ledger_events WHERE stream = ? AND version > ?"
        params: list[Any] = [originator_id, gt or 0]
        if lte is not None:
            sql += " AND version <= ?"
            params.append(lte)
        sql += f" ORDER BY version {'DESC' if desc else 'ASC'}"
        if limit is not None:
            sql += " LIMIT ?"
            params.append(limit)
        return [LoggedEvent(r[1], r[2], r[3], r[5], r[0], r[4]) for r in self.query(sql, params)]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Return rows in the order of the log, for the library's notification log."""
        after = (start or 0) - (1 if inclusive_of_start else 0)
        rows = [r for r in self.rows(after, limit, stop) if not topics or r.topic in topics]
        return [Notification(r.stream, r.version, r.topic, r.state, r.position) for r in rows]

    def max_notification_id(self) -> int:
        """Return the last position, 0 for an empty log."""
        return self.last_position()

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        """Not offered: read models pull (DESIGN 5)."""
        raise NotImplementedError("read models pull: use projections.projector")

    # --- reading the log ----------------------------------------------------------------------------------

    def rows(self, after: int, limit: int, stop: int | None = None) -> list[Row]:
        """Return up to `limit` rows with position > `after` (and <= `stop`), in the order of the log."""
        sql = f"SELECT {_COLUMNS} FROM ledger_events WHERE position > ?"
        params: list[Any] = [after]
        if stop is not None:
            sql += " AND position <= ?"
            params.append(stop)
        return self._rows(sql + " ORDER BY position LIMIT ?", [*params, limit])

    def rows_of_account(self, account: str, stop: int | None = None) -> list[Row]:
        """Return every row that names `account`, its tickets' and declines' too, in the order of the log."""
        sql = f"SELECT {_COLUMNS} FROM ledger_events WHERE account = ?"
        params: list[Any] = [account]
        if stop is not None:
            sql += " AND position <= ?"
            params.append(stop)
        return self._rows(sql + " ORDER BY position", params)

    def rows_of_stream(self, stream: str, after: int = 0) -> list[tuple[Any, ...]]:
        """Return the plain rows (columns as in Row) of a stream with version > `after`, in order."""
        sql = f"SELECT {_COLUMNS} FROM ledger_events WHERE stream = ? AND version > ? ORDER BY version"
        return self.query(sql, [stream, after])

    def rows_of_streams(self, streams: Sequence[str], stop: int) -> Iterator[Row]:
        """Yield the rows of `streams` up to position `stop`, stream by stream, in order of version."""
        for start in range(0, len(streams), 500):
            part = streams[start : start + 500]
            marks = ",".join("?" * len(part))
            sql = (
                f"SELECT {_COLUMNS} FROM ledger_events WHERE stream IN ({marks}) AND position <= ?"
                " ORDER BY stream, version"
            )
            yield from self._rows(sql, [*part, stop])

    def scan(self, stop: int, prefix: str = "", size: int = 2000) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the log up to `stop` in lists of plain rows (columns as in Row), stream by stream.

        Only streams whose names begin with `prefix`: as a range, which the index of streams serves.
        """
        sql = f"SELECT {_COLUMNS} FROM ledger_events WHERE position <= ?"
        params: list[Any] = [stop]
        if prefix:
            sql += " AND stream >= ? AND stream < ?"
            params += [prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1)]
        return self.stream_query(sql + " ORDER BY stream, version", params, size)

    def _rows(self, sql: str, params: Sequence[Any]) -> list[Row]:
        return [Row(*row) for row in self.query(sql, params)]

    def last_position(self) -> int:
        """Return the position of the newest row, 0 for an empty log."""
        return int(self.query("SELECT coalesce(max(position), 0) FROM ledger_events")[0][0])

    def mark(self, position: int) -> str:
        """Return a hash that this log has at `position` and no other: not one restored, cut off, or gone on since.

        "" where the log has no row at `position`. It costs one look at a few rows.
        """
        return mark_of(position, self.query(MARK_OF_LOG, [position])) if position else ""

    def last_recorded_at(self) -> str:
        """Return when the newest row was recorded, "" for an empty log."""
        rows = self.query("SELECT recorded_at FROM ledger_events ORDER BY position DESC LIMIT 1")
        return str(rows[0][0]) if rows else ""

    def position_known_at(self, instant: str) -> int:
        """Return the last position recorded by `instant`: the prefix that was known then.

        Binary search over positions: recorded_at never decreases, and no index on it has to be kept.
        """
        low, high = 0, self.last_position()
        sql = "SELECT position, recorded_at FROM ledger_events WHERE position <= ? ORDER BY position DESC LIMIT 1"
        while low < high:
            middle = (low + high + 1) // 2
            rows = self.query(sql, [middle])
            if not rows or rows[0][1] <= instant:
                low = middle
            else:
                high = rows[0][0] - 1
        return low

    # --- requests, settings of this database -------------------------------------------------------

    def request(self, key: str) -> Request | None:
        """Return what was answered to idempotency key `key` before."""
        sql = "SELECT key, fields, outcome, position FROM ledger_requests WHERE key = ?"
        rows = self.query(sql, [key])
        return Request(*rows[0]) if rows else None

    def amend_request(self, key: str, outcome: str, position: int) -> None:
        """Complete the answer kept for `key` with what came of it outside the transaction (a card's charge)."""
        sql = "UPDATE ledger_requests SET outcome = ?, position = ? WHERE key = ?"
        self.execute(sql, [outcome, position, key])

    def meta(self, name: str) -> str:
        """Return a setting of this database, "" when it has none."""
        rows = self.query("SELECT value FROM ledger_meta WHERE name = ?", [name])
        return str(rows[0][0]) if rows else ""

    def set_meta(self, name: str, value: str) -> None:
        """Write a setting of this database."""
        sql = (
            "INSERT INTO ledger_meta (name, value) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        )
        self.execute(sql, [name, value])

    def check(self) -> None:
        """Raise Unavailable unless this database has been migrated to the version this code knows."""
        version = self.schema_version()
        if version == 0:
            raise Unavailable("not_migrated")
        if version > SCHEMA_VERSION:
            raise Unavailable("newer_schema", found=version, known=SCHEMA_VERSION)
        if version < SCHEMA_VERSION:
            raise Unavailable("older_schema", found=version, known=SCHEMA_VERSION)

    @abstractmethod
    def schema_version(self) -> int:
        """Return the version of the tables, 0 when there are none."""


def chunks(events: Sequence[StoredEvent]) -> Iterator[slice]:
    """Yield slices of at most MAX_EVENTS rows and MAX_BYTES of state (one row may exceed it alone)."""
    start = size = 0
    for index, event in enumerate(events):
        if index > start and (index - start >= MAX_EVENTS or size + len(event.state) > MAX_BYTES):
            yield slice(start, index)
            start, size = index, 0
        size += len(event.state)
    if start < len(events):
        yield slice(start, len(events))
