"""Rows of the outbox, what is kept of each sending: to whom, how often it was tried, what came of it.

No row holds an address: a customer's is looked up when it is sent, the desk's stands in the settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from ledger.rules.instants import from_iso, to_iso
from ledger.store import Store

RETRIES = tuple(timedelta(minutes=m) for m in (1, 5, 30, 120, 720))
# A run ends long before its first claims run out: `now` stands still in it.
CLAIM = timedelta(minutes=10)


class Entry(NamedTuple):
    """A row of the outbox. `key` is its target and the notice's key; `sent_at` and `given_up_at` are "" until then."""

    key: str
    channel: str
    target: str
    account: str
    kind: str
    body: str
    created_at: str
    tries: int
    next_try_at: str
    sent_at: str
    given_up_at: str
    error: str

    @property
    def notice(self) -> str:
        """The key of its notice."""
        return notice_of(self.key)

    @property
    def state(self) -> str:
        """waiting, sent or given_up."""
        if self.sent_at:
            return "sent"
        return "given_up" if self.given_up_at else "waiting"


COLUMNS = ", ".join(Entry._fields)
WAITING = "sent_at = '' AND given_up_at = ''"


def mark_sent(store: Store, keys: Sequence[str], now: str) -> None:
    """Note that what these rows tell went out: all of them, or none."""
    sql = "UPDATE ledger_outbox SET sent_at = ?, error = '' WHERE key = ? AND sent_at = ''"
    with store.transaction() as writer:
        for key in keys:
            writer.execute(sql, [now, key])


def mark_failed(store: Store, entry: Entry, now: str, reason: str) -> str:
    """Note that a claimed row did not arrive: it is tried again later (failed), or not any more (given_up)."""
    if entry.tries >= len(RETRIES):
        give_up(store, entry.key, reason, now)
        return "given_up"
    sql = f"UPDATE ledger_outbox SET next_try_at = ?, error = ? WHERE key = ? AND tries = ? AND {WAITING}"
    store.execute(sql, [moved(now, RETRIES[entry.tries]), reason, entry.key, entry.tries + 1])
    return "failed"


def give_up(store: Store, key: str, reason: str, now: str) -> int:
    """Note that a row will not be sent; return how many rows that was."""
    sql = f"UPDATE ledger_outbox SET given_up_at = ?, error = ? WHERE key = ? AND {WAITING}"
    return store.execute(sql, [now, reason, key])


def entries(store: Store, account: str = "", limit: int = 200) -> list[Entry]:
    """Return the newest rows of the outbox, of one account where it is named, newest first."""
    sql = f"SELECT {COLUMNS} FROM ledger_outbox WHERE account = ? OR ? = '' ORDER BY created_at DESC, key LIMIT ?"
    return [Entry(*row) for row in store.query(sql, [account, account, limit])]


def notice_of(key: str) -> str:
    """Return the notice's key in a row's."""
    return key.partition(":")[2]


def moved(at: str, by: timedelta) -> str:
    """Return a canonical instant so much later."""
    return to_iso(from_iso(at) + by)
