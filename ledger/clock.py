"""The ledger's clock: the machine's, or a test clock kept in the database and moved by command only.

Only edges read it; rules get instants passed in.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from ledger.errors import Refused
from ledger.rules.instants import from_iso, to_iso
from ledger.store import Store

_META = "test_clock"


class Clock:
    """`now()` as a canonical instant. A test clock is unset (the machine's), frozen at an instant, or running."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._state: str | None = None

    @property
    def is_test(self) -> bool:
        """Whether this ledger was made by `migrate --test-clock`."""
        return bool(self._read())

    @property
    def state(self) -> str:
        """How it goes: `real`, or of a test clock `unset` (the machine's time), `frozen` or `running`."""
        return self._read().partition(" ")[0] or "real"

    def now(self) -> str:
        """Return the ledger's now, UTC, to the microsecond."""
        state = self._read() if self._state is None or self._state else ""
        kind, _, rest = state.partition(" ")
        if kind == "frozen":
            return rest
        if kind == "running":
            instant, started = rest.split(" ")
            return to_iso(from_iso(instant) + timedelta(microseconds=time.time_ns() // 1000 - int(started)))
        return to_iso(datetime.now(UTC))

    def move(self, to: datetime) -> str:
        """Freeze the test clock at `to` (aware), and nothing else happens; Refused as `floor` says."""
        self.floor(to)
        return self.stand(to_iso(to))

    def floor(self, to: datetime) -> str:
        """Return from where it would be moved to `to`; Refused for a real ledger or a move back."""
        self._must_be_test()
        target = to_iso(to)
        floor = self.now() if self._state != "unset" else self._store.last_recorded_at()
        if target < floor:
            raise Refused("clock_moved_back", now=floor, to=target)
        return floor

    def stand(self, at: str) -> str:
        """Freeze it at canonical instant `at`, which the caller has checked; return that."""
        self._write(f"frozen {at}")
        return at

    def run(self) -> str:
        """Let the test clock run from where it stands; Refused for a real ledger."""
        self._must_be_test()
        now = self.now()
        self._write(f"running {now} {time.time_ns() // 1000}")
        return now

    def _must_be_test(self) -> None:
        if not self.is_test:
            raise Refused("no_test_clock")

    def _read(self) -> str:
        # Whether a ledger has a test clock never changes; where the clock stands may, in another process.
        if self._state != "":
            self._state = self._store.meta(_META)
        return self._state

    def _write(self, state: str) -> None:
        self._store.set_meta(_META, state)
        self._state = state
