"""Long work tells people how far it is: on standard error, after a second, whether or not a terminal is there to see.

Whoever does the work names it and counts; the command line says where that goes (`tell_on`). A server tells nobody.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TextIO

from ledger.texts import text

_AFTER_SECONDS = 1.0
_EVERY_SECONDS = 5.0  # a line, where lines stay; on a terminal one line is written over
_EVERY_SHOWN = 0.2

Tick = Callable[[int], None]


class Listener:
    """Where a call's long work is told, and in which language."""

    def __init__(self, stream: TextIO, lang: str) -> None:
        self.stream, self.lang = stream, lang
        self.over = stream.isatty()

    def say(self, words: str, *, last: bool = False) -> None:
        """Show a line; on a terminal in the place of the one before."""
        with suppress(OSError, ValueError):  # whoever listened has gone: the work goes on
            self.stream.write(f"\r\x1b[2K{words}{chr(10) if last else ''}" if self.over else f"{words}\n")
            self.stream.flush()


_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


def tell_on(stream: TextIO, lang: str) -> None:
    """Tell the long work of this call on `stream` from now on, in `lang`."""
    _listener.set(Listener(stream, lang))


@contextmanager
def long_work(key: str, total: int | None = None) -> Iterator[Tick]:
    """Yield a function to be called with how much of `total` is done (None: nobody knows how much there is).

    `key` is the text that names the work. Nothing is told of what takes less than a second.
    """
    listener = _listener.get()
    if listener is None or total == 0:
        yield lambda done: None
        return
    work = _Work(listener, key, total)
    alarm = threading.Timer(_AFTER_SECONDS, work.tell)  # also for what does not count
    alarm.daemon = True
    alarm.start()
    try:
        yield work.tick
        work.end()
    finally:
        alarm.cancel()


class _Work:
    def __init__(self, listener: Listener, key: str, total: int | None) -> None:
        self._listener, self._key, self._total = listener, key, total
        self._started = time.monotonic()
        self._done, self._next = 0, self._started + _AFTER_SECONDS
        self._told = self._ended = False
        self._guard = threading.Lock()

    def tick(self, done: int) -> None:
        self._done = done
        if time.monotonic() >= self._next:
            self.tell()

    def tell(self) -> None:
        with self._guard:
            if self._ended:
                return
            self._next = time.monotonic() + (_EVERY_SHOWN if self._listener.over else _EVERY_SECONDS)
            self._told = True
            self._listener.say(self._words("progress"))

    def end(self) -> None:
        with self._guard:
            self._ended = True
            if self._told:
                self._listener.say(self._words("progress_done"), last=True)

    def _words(self, key: str) -> str:
        lang = self._listener.lang
        facts = {"work": text(self._key, lang), "seconds": int(time.monotonic() - self._started)}
        if not self._done or (key == "progress_done" and not self._total):
            return text(f"{key}_alone", lang, **facts)
        if self._total is None:
            return text(f"{key}_count", lang, done=f"{self._done:,}", **facts)
        done = self._total if key == "progress_done" else min(self._done, self._total)
        return text(key, lang, done=f"{done:,}", total=f"{self._total:,}", **facts)
