"""Shares of the workers: long questions, and readers that wait, never take all of them; nor does one caller a share.

Whoever comes when a share is taken is refused at once (503 `busy`, Retry-After): waiting would hold a worker too.
"""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from ledger.errors import Malformed, Unavailable
from ledger.fields import Whole
from ledger.patience import patient

DEFAULT_SECONDS = 20
# Over all cases, or over time: what they cost grows with the ledger.
QUESTIONS = frozenset({"report", "published", "queue", "radar", "what_if", "report.publish", "books.close"})
LONG = frozenset({"what_if", "radar", "report.publish", "books.close", "clock.move"})


class Share:
    """At most `most` at once, of one caller at most `own`. Thread-safe."""

    def __init__(self, most: int, own: int) -> None:
        self._most, self._own = most, own
        self._inside: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, who: str) -> Iterator[None]:
        """Hold one of the share for `who`; Unavailable `busy` at once where there is none left."""
        with self._lock:
            if self._inside.total() >= self._most or self._inside[who] >= self._own:
                raise Unavailable("busy", most=self._own)
            self._inside[who] += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside[who] -= 1
                if not self._inside[who]:
                    del self._inside[who]


class Gate:
    """The shares of one process with so many workers."""

    def __init__(self, workers: int, seconds: str = "") -> None:
        """`seconds`: LEDGER_QUESTION_SECONDS; Malformed when that is no whole number from 1 to 3600."""
        quarter = max(1, workers // 4)
        self._questions = Share(max(1, workers // 2), quarter)
        self._long = Share(quarter, 1)
        self.waits = Share(quarter, max(2, quarter // 2))
        try:
            self.seconds = Whole(1, 3600).parse(int(seconds or DEFAULT_SECONDS), "LEDGER_QUESTION_SECONDS")
        except ValueError:
            raise Malformed("LEDGER_QUESTION_SECONDS", seconds, "remedy_whole", least=1, most=3600) from None

    @contextmanager
    def open(self, name: str, who: str, *, asks: bool, environ: dict[str, Any]) -> Iterator[None]:
        """Let one command or question through; one that only asks has a time limit and ends when its caller leaves."""
        with ExitStack() as held:
            if name in QUESTIONS:
                held.enter_context(self._questions.taken(who))
            if name in LONG:
                held.enter_context(self._long.taken(who))
            if asks:
                held.enter_context(patient(self.seconds, _gone(environ)))
            yield


def _gone(environ: dict[str, Any]) -> Callable[[], bool]:
    """Return what tells whether the client of this request has left; never, where the server cannot tell."""
    told: Callable[[], bool] | None = environ.get("waitress.client_disconnected")
    if told is not None:
        return told
    return lambda: _closed(environ.get("gunicorn.socket"))


def _closed(sock: Any) -> bool:
    """Whether the other side of a connection has closed it, looked at without taking what it may have sent."""
    if sock is None:
        return False
    try:
        return bool(sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"")
    except (BlockingIOError, ValueError):  # nothing to read; TLS, which takes no flags
        return False
    except OSError:
        return True
