"""What a command and a question are: names, fields, who may ask, where it stands in the API.

`ledger/commands.py` gathers them all; those on changes, cards and money stand in `commands_billing.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from ledger.fields import Choice, Field, Id, Instant, Kind, Name, NewId, Text
from ledger.rules.grants import LEVELS

ROLES = ("agent", "finance", "manager", "operator")
AGENTS = frozenset({"agent", "manager", "operator"})
MONEY = frozenset({"finance", "manager", "operator"})
CLERKS = AGENTS | MONEY
MANAGERS = frozenset({"manager", "operator"})


@dataclass(frozen=True)
class Command:
    """One way to change the ledger. `path` is its resource under /v1, with `account` or `ticket` in braces."""

    name: str
    fields: tuple[Field, ...]
    roles: frozenset[str]
    path: str
    method: str = "POST"


@dataclass(frozen=True)
class Question:
    """One way to ask the ledger about an account, a ticket, or all of them.

    `own` is the field that is always the caller's own name where an agent asks over HTTP.
    """

    name: str
    fields: tuple[Field, ...]
    roles: frozenset[str]
    path: str
    own: str = ""


Entry = TypeVar("Entry", Command, Question)


def by_name(entries: Iterable[Entry]) -> dict[str, Entry]:
    """Return entries by their names; RuntimeError where two have one name or one route: one would never be reached."""
    named: dict[str, Entry] = {}
    routes: dict[tuple[str, str], str] = {}
    for entry in entries:
        route = (getattr(entry, "method", "GET"), entry.path)
        if entry.name in named:
            raise RuntimeError(f"two commands or questions are named {entry.name!r}")
        if route in routes:
            raise RuntimeError(f"{entry.name!r} and {routes[route]!r} have one route: {' '.join(route)}")
        named[entry.name] = entry
        routes[route] = entry.name
    return named


def need(name: str, kind: Kind) -> Field:
    """Return a field that must be given."""
    return Field(name, kind)


def may(name: str, kind: Kind) -> Field:
    """Return a field that may be left out."""
    return Field(name, kind, required=False)


ACCOUNT = need("account", Id())
NEW_ACCOUNT = need("account", NewId())
LEVEL = Choice(LEVELS)
AT = may("at", Instant())
KNOWN_AT = may("known_at", Instant())
TERM = Choice(("monthly", "yearly"))
PAY_BY = Choice(("manual", "card"))
CHANNEL = Choice(("web", "salesperson", "licence"))
APPROVER = may("approver", Name())
REFERENCE = Text(100)
