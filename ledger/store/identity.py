"""Which log this is: what is derived from a log keeps it, and sees when it stands beside another.

A log has a name, drawn when its tables are made. A copy that was restored has the same name, and so has a log that was
cut off and went on: these are told by what their rows hold. `recorded_at` is among it, to the microsecond.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

NAME_LOG = "INSERT INTO ledger_meta (name, value) VALUES ('log_id', ?) ON CONFLICT (name) DO NOTHING"
_WINDOW = 8  # rows: a clock for tests may stand still, and then one row alone may be told twice in the same words
MARK_OF_LOG = (
    "SELECT (SELECT value FROM ledger_meta WHERE name = 'log_id'), position, stream, version, topic, recorded_at, state"
    f" FROM ledger_events WHERE position <= ? ORDER BY position DESC LIMIT {_WINDOW}"
)


def new_log_id() -> str:
    """Return a name that no other log has."""
    return secrets.token_hex(16)


def mark_of(position: int, rows: Sequence[tuple[Any, ...]]) -> str:
    """Return what the rows of MARK_OF_LOG tell of a log up to `position`; "" where there is no row at `position`."""
    if not rows or rows[0][1] != position:
        return ""
    digest = hashlib.sha256(str(rows[0][0]).encode())
    for _name, *plain, state in rows:
        content = state.encode("utf-8", "surrogatepass") if isinstance(state, str) else bytes(state or b"")
        digest.update(repr((*plain, len(content))).encode() + content)
    return digest.hexdigest()[:40]
