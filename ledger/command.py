"""What a command and a question are: names, fields, who may ask, where it stands in the API.

`ledger/commands.py` gathers them all; those on changes, cards and money stand in `commands_billing.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from ledger.errors import Refused
from ledger.fields import Choice, Field, Id, Instant, Kind, Name, NewId, Text
from ledger.rules.grants import LEVELS

ROLES = ("agent", "finance", "manager", "operator", "auditor")
AUDITORS = frozenset({"auditor"})
AGENTS = frozenset({"agent", "manager", "operator"})
MONEY = frozenset({"finance", "manager", "operator"})
CLERKS = AGENTS | MONEY
MANAGERS = frozenset({"manager", "operator"})
OPERATORS = frozenset({"operator"})


class Only(NamedTuple):
    """A role may give a field no other values than these."""

    role: str
    field: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Command:
    """One way to change the ledger. `path` is its resource under /v1, with `account` or `ticket` in braces.

    `only` narrows what some of the `roles` may ask of it. Auditors change nothing.
    """

    name: str
    fields: tuple[Field, ...]
    roles: frozenset[str]
    path: str
    method: str = "POST"
    only: tuple[Only, ...] = ()


@dataclass(frozen=True)
class Question:
    """One way to ask the ledger about an account, a ticket, or all of them.

    `own` is the field that is always the caller's own name where an agent asks. Auditors ask everything.
    """

    name: str
    fields: tuple[Field, ...]
    roles: frozenset[str]
    path: str
    own: str = ""
    only: tuple[Only, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "roles", self.roles | AUDITORS)


def permit(entry: Command | Question, role: str) -> None:
    """Raise Refused unless a role may call this at all (DOMAIN.md, "Least privilege")."""
    if role not in entry.roles:
        raise Refused("role_not_allowed", role=role, command=entry.name, roles=", ".join(sorted(entry.roles)))


def permit_values(entry: Command | Question, values: Mapping[str, Any], role: str) -> None:
    """Raise Refused where a role may call this, but not with such a value."""
    for only in entry.only:
        value = values.get(only.field)
        if only.role == role and value is not None and value not in only.words:
            raise Refused("role_not_with", role=role, command=entry.name, value=value, words=", ".join(only.words))


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
