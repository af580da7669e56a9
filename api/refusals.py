"""Refusals that only HTTP has; `errors.py` maps them, and the ledger's own, to statuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ledger.errors import LedgerError, Malformed


class Unauthorised(LedgerError):
    """No token, or one that is not good."""


class TooManyBadTokens(LedgerError):
    """An address sent too many bad tokens; `seconds` until it is listened to again."""


class Unreadable(Malformed):
    """The body is no JSON object. `name` is the member where it goes wrong, "" for the body as a whole."""

    def __init__(self, name: str, value: Any, remedy: str, **facts: Any) -> None:
        super().__init__(name or "body", value, remedy, **facts)
        self.name = name


class UnknownParameter(Malformed):
    """A query parameter that the route does not read."""


class Unacceptable(Malformed):
    """One or more fields are wrong: the first speaks for them, `every` holds each."""

    def __init__(self, every: Sequence[Malformed]) -> None:
        facts: dict[str, Any] = dict(every[0].facts)
        super().__init__(facts.pop("field"), facts.pop("value"), facts.pop("remedy"), **facts)
        self.every = tuple(every)
