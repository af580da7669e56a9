"""A limit for bad tokens: so many a minute from one address, then 429 until the minute has passed.

It never locks out a good token, though it comes from the same address (an office behind one proxy): an address over its
limit is still looked up, but among the good tokens held in memory, read anew at most once a second. So however many
knock, the database is asked once a second, and memory is bounded. Each process counts for itself.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from api.refusals import TooManyBadTokens
from ledger import tokens
from ledger.store import Store

MOST_BAD = 20  # in a minute, from one address
WINDOW_SECONDS = 60.0
_MOST_ADDRESSES = 4096  # remembered; who knocked longest ago is forgotten first
_GOOD_SECONDS = 1.0


class Knocking:
    """How many bad tokens each address has sent in the last minute. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds that only rise."""
        self._clock = clock
        self._bad: OrderedDict[str, deque[float]] = OrderedDict()
        self._good: tuple[float, frozenset[str]] | None = None
        self._lock = threading.Lock()
        self._reading = threading.Lock()

    def check(self, address: str, secret: str, store: Store) -> None:
        """Raise TooManyBadTokens where an address is over its limit and the token is none of the good ones."""
        wait = self._wait(address)
        if wait and tokens.digest(secret) not in self._known(store):
            raise TooManyBadTokens("too_many_bad_tokens", seconds=wait)

    def bad(self, address: str) -> None:
        """Count one bad token from an address."""
        with self._lock:
            sent = self._bad.setdefault(network(address), deque(maxlen=MOST_BAD))
            sent.append(self._clock())
            self._bad.move_to_end(network(address))
            while len(self._bad) > _MOST_ADDRESSES:
                self._bad.popitem(last=False)

    def _wait(self, address: str) -> int:
        """Return the whole seconds until an address may send another bad token, 0 when it may now."""
        with self._lock:
            sent = self._bad.get(network(address))
            if sent is None or len(sent) < MOST_BAD:
                return 0
            left = sent[0] + WINDOW_SECONDS - self._clock()
            return 0 if left <= 0 else int(left) + 1

    def _known(self, store: Store) -> frozenset[str]:
        """Return the hashes of the good tokens; while one thread reads them anew the others go by those of before."""
        known = self._good
        if (known is None or known[0] <= self._clock()) and self._reading.acquire(blocking=known is None):
            try:
                at = tokens.machine_now()
                good = frozenset(t.hash for t in store.tokens() if tokens.state(t, at) == "good")
                known = self._good = (self._clock() + _GOOD_SECONDS, good)
            finally:
                self._reading.release()
        return known[1] if known is not None else frozenset()


def network(address: str) -> str:
    """Return whom an address stands for: itself, or of IPv6 the /64 that one line has to itself."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((int(found) >> 64 << 64, 64)))
    return str(found)
