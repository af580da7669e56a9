"""Stored bytes to typed facts and back; older versions are upcast on the way in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ledger.errors import Unavailable
from ledger.facts import account, cards, changes, corrections, due, own_streams, ticket
from ledger.facts.base import Fact

_MODULES = (account, cards, changes, corrections, due, ticket, own_streams)  # importing them makes their facts known


def _leaves(cls: type[Fact]) -> list[type[Fact]]:
    return [leaf for sub in cls.__subclasses__() for leaf in ([sub] if sub.TOPIC else []) + _leaves(sub)]


FACTS: dict[str, type[Fact]] = {cls.TOPIC: cls for cls in _leaves(Fact)}
_DECODERS: dict[str, Callable[[bytes], Fact]] = {
    topic: msgspec.json.Decoder(cls).decode for topic, cls in FACTS.items() if cls.VERSION == 1
}
_encode = msgspec.json.Encoder().encode


class UnknownFact(Unavailable):
    """A stored row whose topic or content this version cannot read; names the topic and the cause."""

    def __init__(self, topic: str, cause: Exception) -> None:
        super().__init__("unreadable_event", topic=topic, detail=str(cause) or type(cause).__name__)


def encode(fact: Fact) -> bytes:
    """Return the stored bytes of `fact`; `class_version` is written only above 1."""
    if fact.VERSION == 1:
        return _encode(fact)
    return _encode({**msgspec.to_builtins(fact), "class_version": fact.VERSION})


def decode(topic: str, state: bytes) -> Fact:
    """Return the typed fact of a stored row, upcast where it is of an older version.

    Raises UnknownFact for a topic or content that this version does not know.
    """
    try:
        fast = _DECODERS.get(topic)
        return fast(state) if fast is not None else _upcast(FACTS[topic], state)
    except (msgspec.MsgspecError, KeyError, ValueError) as error:
        raise UnknownFact(topic, error) from error


def decode_all(rows: Sequence[tuple[Any, ...]]) -> list[Fact]:
    """Return the typed facts of rows of the log (columns as in `ledger.store.Row`): `decode`, in one sweep."""
    decoders = _DECODERS
    try:
        return [decoders[row[3]](row[5]) for row in rows]
    except (msgspec.MsgspecError, KeyError, ValueError):  # one to upcast, or one that cannot be read
        return [decode(row[3], row[5]) for row in rows]


def _upcast(cls: type[Fact], state: bytes) -> Fact:
    data: dict[str, Any] = msgspec.json.decode(state)
    for version in range(data.pop("class_version", 1), cls.VERSION):
        cls.UPCASTERS[version](data)
    return msgspec.convert(data, cls)
