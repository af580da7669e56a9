"""How long an answer may take, and whether anybody still waits for it: looked at wherever work goes on and on.

A door that has others waiting sets it (HTTP does, the command line does not); loops over cases call `check`. It is
cooperative: nothing is cut in the middle of a write, and what was brought up on the way stays brought up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ledger.errors import Unavailable

_LOOK_SECONDS = 0.2


class Patience:
    """The patience of one caller."""

    def __init__(self, seconds: float, gone: Callable[[], bool]) -> None:
        """`seconds` from now on; `gone` tells whether the caller has left (asked a few times a second)."""
        self._seconds = seconds
        self._gone = gone
        self._end = time.monotonic() + seconds
        self._look = 0.0

    def check(self) -> None:
        """Raise Unavailable: `question_too_long` when time is up, `caller_gone` when nobody waits any more."""
        now = time.monotonic()
        if now >= self._end:
            raise Unavailable("question_too_long", seconds=int(self._seconds))
        if now >= self._look:
            self._look = now + _LOOK_SECONDS
            if self._gone():
                raise Unavailable("caller_gone")


_held: ContextVar[Patience | None] = ContextVar("patience", default=None)


@contextmanager
def patient(seconds: float, gone: Callable[[], bool]) -> Iterator[None]:
    """Give what is done inside so many seconds, as long as the caller is there."""
    token = _held.set(Patience(seconds, gone))
    try:
        yield
    finally:
        _held.reset(token)


def check() -> None:
    """Raise Unavailable when the caller's patience has ended; nothing where there is no such caller."""
    held = _held.get()
    if held is not None:
        held.check()
