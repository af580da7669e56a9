"""What a store takes and gives: rows of the log, request keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from eventsourcing.persistence import StoredEvent

NEXT = 0
COLUMNS = "position, stream, version, topic, recorded_at, state"


def of_account(stream: str) -> bool:
    """Whether rows of a stream are an account's money: its own, or the numbers of its documents."""
    return stream.startswith(("account/", "series/"))


@dataclass(frozen=True)
class LoggedEvent(StoredEvent):
    """A stored row with its place in the log and the instant it was recorded."""

    position: int = 0
    recorded_at: str = ""


class Row(NamedTuple):
    """One row of the log as the read side takes it: no decoding yet."""

    position: int
    stream: str
    version: int
    topic: str
    recorded_at: str
    state: bytes


class Request(NamedTuple):
    """An idempotency key with a hash per top-level field and the first answer; all JSON text."""

    key: str
    fields: str
    outcome: str
    position: int = 0
