"""Writes when a token was last used, beside the requests: nobody waits for it, and nothing fails with it."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from queue import SimpleQueue

from ledger import tokens
from ledger.errors import Unavailable
from ledger.store import Store

_SECONDS = tokens.USE_NOTED.total_seconds()
_MOST = 1024
_CLOSING_SECONDS = 2.0


class TokenUse:
    """One thread a process, made at the first use. It is no reason to go on when the process ends."""

    def __init__(self) -> None:
        self._noted: dict[str, float] = {}
        self._running: tuple[int, SimpleQueue[str | None], threading.Thread] | None = None

    def note(self, store: Store, secret: str) -> None:
        """Have it written that a token is used now, unless that was done some minutes ago."""
        now = time.monotonic()
        token_hash = tokens.digest(secret)
        if self._noted.get(token_hash, 0.0) > now:
            return
        if len(self._noted) >= _MOST:
            self._noted.clear()
        self._noted[token_hash] = now + _SECONDS
        if self._running is None or self._running[0] != os.getpid():
            waiting: SimpleQueue[str | None] = SimpleQueue()
            thread = threading.Thread(target=_write, args=(store, waiting), name="token-use", daemon=True)
            thread.start()
            self._running = (os.getpid(), waiting, thread)
        self._running[1].put(token_hash)

    def close(self) -> None:
        """Write what is waiting, as long as that takes a moment."""
        running, self._running = self._running, None
        if running is not None and running[0] == os.getpid():
            running[1].put(None)
            running[2].join(_CLOSING_SECONDS)


def _write(store: Store, waiting: SimpleQueue[str | None]) -> None:
    while (token_hash := waiting.get()) is not None:
        with contextlib.suppress(Unavailable):  # a store that cannot be written now is told of a later use
            tokens.note_use(store, token_hash, tokens.machine_now())
