"""What the books read of the log: rows by their topics, the numbers of series, every account."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from ledger.store.rows import COLUMNS, Row


class BooksRows(ABC):
    """Readings over a store's statements."""

    @abstractmethod
    def query(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one reading statement and return all its rows."""

    @abstractmethod
    def stream_query(self, sql: str, params: Sequence[Any], size: int) -> Iterator[list[tuple[Any, ...]]]:
        """Run one reading statement and yield its rows in lists of `size`, in constant memory, one snapshot."""

    def rows_of_topics(self, topics: Sequence[str], size: int = 2000) -> Iterator[Row]:
        """Yield every row of these topics in the order of the log, in constant memory."""
        sql = f"SELECT {COLUMNS} FROM ledger_events WHERE topic IN ({','.join('?' * len(topics))}) ORDER BY position"
        for rows in self.stream_query(sql, topics, size):
            yield from (Row(row[0], row[1], row[2], row[3], row[4], bytes(row[5])) for row in rows)

    def accounts(self, after: str, limit: int) -> list[str]:
        """Return the numbers of accounts after number `after`, in the order of their bytes, at most `limit`."""
        sql = (
            "SELECT stream FROM ledger_events WHERE stream > ? AND stream < 'account0' AND version = 1"
            " ORDER BY stream LIMIT ?"
        )
        return [str(row[0]).removeprefix("account/") for row in self.query(sql, [f"account/{after}", limit])]

    def rows_of_accounts(self, accounts: Sequence[str], topic: str) -> list[Row]:
        """Return the rows of one topic that name any of `accounts`, in the order of the log."""
        marks = ",".join("?" * len(accounts))
        sql = f"SELECT {COLUMNS} FROM ledger_events WHERE account IN ({marks}) AND topic = ? ORDER BY position"
        return [Row(r[0], r[1], r[2], r[3], r[4], bytes(r[5])) for r in self.query(sql, [*accounts, topic])]

    def holes(self, prefix: str) -> Iterator[tuple[str, list[int]]]:
        """Yield the streams whose names begin with `prefix` and that lack versions, with the versions they lack."""
        sql = (
            "SELECT stream, max(version) FROM ledger_events WHERE stream >= ? AND stream < ?"
            " GROUP BY stream HAVING count(*) <> max(version)"
        )
        for stream, last in self.query(sql, [prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1)]):
            has = {row[0] for row in self.query("SELECT version FROM ledger_events WHERE stream = ?", [stream])}
            yield str(stream), [version for version in range(1, last + 1) if version not in has]

    def last_version(self, stream: str) -> int:
        """Return the version of a stream's newest row, 0 when it has none."""
        sql = "SELECT coalesce(max(version), 0) FROM ledger_events WHERE stream = ?"
        return int(self.query(sql, [stream])[0][0])
