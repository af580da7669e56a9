"""Between typed facts and stored rows: the one place that gives a fact its stream, version and bytes."""

from __future__ import annotations

from typing import Any, cast

from eventsourcing.persistence import JSONTranscoder, Mapper, StoredEvent

from ledger import facts


class Recorded:
    """A fact at its place in a stream: what the library calls a domain event."""

    __slots__ = ("fact", "originator_id", "originator_version", "position", "recorded_at")

    def __init__(
        self, originator_id: str, version: int, fact: facts.Fact, recorded_at: str = "", position: int = 0
    ) -> None:
        self.originator_id = originator_id
        self.originator_version = version
        self.fact = fact
        self.recorded_at = recorded_at
        self.position = position


class FactMapper(Mapper[str]):
    """Maps with msgspec instead of the library's transcoder: no compression, no cipher, plain JSON rows."""

    def __init__(self) -> None:
        super().__init__(JSONTranscoder())

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """Return the row of a Recorded fact."""
        event = cast(Recorded, domain_event)
        return StoredEvent(event.originator_id, event.originator_version, event.fact.TOPIC, facts.encode(event.fact))

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """Return the Recorded fact of a row; facts.UnknownFact when this version cannot read it."""
        row = stored_event
        return Recorded(
            cast(str, row.originator_id),
            row.originator_version,
            facts.decode(row.topic, row.state, getattr(row, "position", 0)),
            getattr(row, "recorded_at", ""),
            getattr(row, "position", 0),
        )
