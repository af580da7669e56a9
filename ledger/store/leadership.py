"""Leadership over all processes of one ledger: held by one, taken over when its holder dies.

On PostgreSQL an advisory lock of a connection of its own, on SQLite a lock on a file: both are released by the system
when their holder dies. It spares two processes the same work; that nothing is done twice is for natural keys to see.
"""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import psycopg

from ledger.store.base import Store
from ledger.store.files import OWNER_ONLY, try_lock

_LOCK = 7_239_462  # beside the store's own locks
# A peer that vanished with its machine is noticed by either side within nine seconds.
_KEEPALIVES: dict[str, Any] = {
    "keepalives_idle": 3, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 9000,
}  # fmt: skip
# The server's side of that, and no limit by which it would end a session that only holds a lock.
_SERVER_SIDE = """SELECT set_config(name, wanted, false) FROM pg_settings JOIN (VALUES
        ('tcp_keepalives_idle', '3'), ('tcp_keepalives_interval', '2'), ('tcp_keepalives_count', '3'),
        ('idle_session_timeout', '0'), ('statement_timeout', '5s')
    ) AS settings (setting_name, wanted) ON name = setting_name"""


class Leadership(ABC):
    """One process's claim to lead. Not for two threads at once."""

    @abstractmethod
    def take(self) -> bool:
        """Take the lead if nobody has it; return whether this process has it now."""

    @abstractmethod
    def holds(self) -> bool:
        """Look whether this process still has the lead; once it has not, it must stop working at once."""

    @abstractmethod
    def leave(self) -> None:
        """Give the lead up."""


def leadership(store: Store, name: str) -> Leadership:
    """Return this process's claim to be the one that does `name` on the ledger of `store`."""
    if store.dialect == "sqlite":
        path = Path(store.url.removeprefix("sqlite:///"))
        return _ByFile(path.with_name(f"{path.name}.{name}.lock"))
    return _ByConnection(store.url, name)


class _ByFile(Leadership):
    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = -1

    def take(self) -> bool:
        if self.holds():
            return True
        self.leave()
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, OWNER_ONLY)
        if not try_lock(handle):
            os.close(handle)
            return False
        self._handle = handle
        if not self.holds():  # somebody took the file away meanwhile: the next try finds another
            self.leave()
        return self._handle >= 0

    def holds(self) -> bool:
        """Whether the file that is locked is still the one that others would lock."""
        if self._handle < 0:
            return False
        try:
            found, own = os.stat(self._path), os.fstat(self._handle)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)

    def leave(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


class _ByConnection(Leadership):
    def __init__(self, url: str, name: str) -> None:
        self._url, self._name = url, name
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    def take(self) -> bool:
        if self._connection is not None and self.holds():
            return True
        self.leave()
        try:
            self._connection = connection = psycopg.connect(
                self._url, autocommit=True, connect_timeout=3, application_name=f"supportledger {self._name}",
                **_KEEPALIVES,
            )  # fmt: skip
            connection.execute(_SERVER_SIDE)
            row = connection.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", [_LOCK, self._name]).fetchone()
        except psycopg.Error:
            self.leave()
            return False
        if not (row and row[0]):
            self.leave()
            return False
        return True

    def holds(self) -> bool:
        """Whether the connection that has the lock is alive: with it the lock is gone, and another may lead."""
        if self._connection is None:
            return False
        try:
            self._connection.execute("SELECT 1")
        except psycopg.Error:
            self.leave()
            return False
        return True

    def leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                connection.close()
