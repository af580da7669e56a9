"""Stored bytes to typed facts and back; older versions are upcast on the way in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ledger.errors import Unavailable
from ledger.facts import account, approvals, cards, changes, corrections, due, own_streams, ticket
from ledger.facts.base import Fact

_MODULES = (
    account,
    cards,
    changes,
    corrections,
    due,
    ticket,
    own_streams,
    approvals,
)  # importing them makes their facts known


def _leaves(cls: type[Fact]) -> list[type[Fact]]:
    return [leaf for sub in cls.__subclasses__() for leaf in ([sub] if sub.TOPIC else []) + _leaves(sub)]


FACTS: dict[str, type[Fact]] = {cls.TOPIC: cls for cls in _leaves(Fact)}
_DECODERS: dict[str, Callable[[bytes], Fact]] = {
    topic: msgspec.json.Decoder(cls).decode for topic, cls in FACTS.items() if cls.VERSION == 1
}
_BYTES = {bytes}
_encode = msgspec.json.Encoder().encode


class UnknownFact(Unavailable):
    """A stored row whose topic or content this version cannot read; names its position, topic and the cause."""

    def __init__(self, topic: str, cause: Exception, position: int) -> None:
        detail = str(cause) or type(cause).__name__
        super().__init__("unreadable_event", topic=topic, position=position, detail=detail)


def encode(fact: Fact) -> bytes:
    """Return the stored bytes of `fact`; `class_version` is written only above 1."""
    if fact.VERSION == 1:
        return _encode(fact)
    return _encode({**msgspec.to_builtins(fact), "class_version": fact.VERSION})


def decode(topic: str, state: bytes, position: int = 0) -> Fact:
    """Return the typed fact of the stored row at `position`, upcast where it is of an older version.

    Raises UnknownFact for a topic or content that this version does not know.
    """
    try:
        if type(state) is not bytes:  # a hand or a tool has made text of it: what else it made, nobody knows
            raise ValueError(f"{type(state).__name__} instead of bytes")
        fast = _DECODERS.get(topic)
        return fast(state) if fast is not None else _upcast(FACTS[topic], state)
    except (msgspec.MsgspecError, KeyError, ValueError) as error:
        raise UnknownFact(topic, error, position) from error


def decode_all(rows: Sequence[tuple[Any, ...]]) -> list[Fact]:
    """Return the typed facts of rows of the log (columns as in `ledger.store.Row`): `decode`, in one sweep."""
    decoders = _DECODERS
    try:
        if {type(row[5]) for row in rows} <= _BYTES:
            return [decoders[row[3]](row[5]) for row in rows]
    except (msgspec.MsgspecError, KeyError, ValueError):  # one to upcast, or one that cannot be read
        pass
    return [decode(row[3], row[5], row[0]) for row in rows]


def _upcast(cls: type[Fact], state: bytes) -> Fact:
    data: dict[str, Any] = msgspec.json.decode(state)
    for version in range(data.pop("class_version", 1), cls.VERSION):
        cls.UPCASTERS[version](data)
    return msgspec.convert(data, cls)
