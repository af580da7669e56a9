"""The connections of one process to one SQLite file: one a thread, opened anew when the file is no longer the same.

A connection goes on with the file it was opened on, though that was deleted or replaced since; and one that was opened
while the file could not be written stays so, and makes the others of its process so. Both are ended here: before each
use the file is looked at, and after a failed write every connection is given up.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from pathlib import Path

from ledger.errors import Unavailable

_BUSY_SECONDS = 10.0
File = tuple[int, int]  # the device and the number that a file has as long as somebody holds it open


class Held:
    """A thread's connection; `uses` are those that it is in now, one within the other."""

    __slots__ = ("closed", "connection", "file", "stale", "uses")

    def __init__(self, connection: sqlite3.Connection, file: File) -> None:
        self.connection = connection
        self.file = file
        self.uses = 0
        self.stale = self.closed = False


class Connections:
    """Thread-safe; a forked child leaves its parent's alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._forget()

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._local = threading.local()
        self._all: list[Held] = []
        self._guard = threading.Lock()

    def take(self) -> Held:
        """Return this thread's connection, to be given back by `release`; Unavailable where there is no file."""
        if self._pid != os.getpid():  # its locks and connections are the parent's
            self._forget()
        held: Held | None = getattr(self._local, "held", None)
        if held is not None and held.uses:
            held.uses += 1
            return held
        file = self.file()
        with self._guard:
            if held is not None and not held.closed and not held.stale and held.file == file:
                held.uses = 1
                return held
            if held is not None:
                self._close(held)
        held = self._local.held = Held(connect(self.path), file)
        with self._guard:
            held.uses = 1
            self._all.append(held)
        return held

    def release(self, held: Held) -> None:
        """Give a connection back; one that was given up meanwhile is closed."""
        with self._guard:
            held.uses -= 1
            if held.stale and not held.uses:
                self._close(held)

    def file(self) -> File:
        """Return which file stands at the path now; Unavailable `database_missing` where none does."""
        try:
            found = os.stat(self.path)
        except OSError:
            raise Unavailable("database_missing", path=str(self.path)) from None
        return found.st_dev, found.st_ino

    def give_up(self) -> None:
        """Close every connection that is in no use, and the others as soon as they are in none."""
        with self._guard:
            for held in list(self._all):
                held.stale = True
                if not held.uses:
                    self._close(held)

    def _close(self, held: Held) -> None:
        if not held.closed:
            held.closed = True
            self._all.remove(held)
            with contextlib.suppress(sqlite3.Error):
                held.connection.close()

    def close(self) -> None:
        """Close all connections of this process."""
        if self._pid == os.getpid():
            for held in self._all:
                held.connection.close()
        self._forget()


def connect(path: Path) -> sqlite3.Connection:
    """Open a connection to the file at `path`, which other threads may close."""
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -16384")
    return connection
