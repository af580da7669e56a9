"""Refusals of the ledger: three kinds, each with a stable code, the facts, and words in two languages.

The domain knows nothing of HTTP or exit codes; the edges map the three kinds once.
"""

from __future__ import annotations

import re
import reprlib
from typing import Any

from ledger.card_numbers import masked, masked_start
from ledger.texts import Typed, as_read, table, text

# Facts whose values are words of ours: people read them in their language, programs in `facts`.
_WORDS = {"level", "now", "term", "state", "method", "pay_by", "priority", "status", "role", "request", "verdict"}
_WORDS |= {"needed", "addon"}
_LISTS = {"roles": "role", "reminders": "reminder"}  # facts of several, and what each of them is
_CHOICES = {"value", "words"}  # what a role may give a field: our words where the refusal is about them
_INSTANT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{6})Z", re.ASCII)


class LedgerError(Exception):
    """Something the ledger will not do: `code` is stable, `facts` are what a program may read.

    `facts` must be JSON-native. The words are looked up by `code` in `ledger/texts`.
    """

    def __init__(self, code: str, **facts: Any) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts

    def message(self, lang: str = "es_GT") -> str:
        """Return the refusal in words: what is wrong, where, and what to do."""
        code = self.code
        if "due" not in self.facts and f"{code}_without_due" in table():  # kept from the role that is told
            code = f"{code}_without_due"
        facts = {name: _told(name, fact, lang) for name, fact in self.facts.items()}
        if code == "role_not_with":
            facts |= {name: _listed("state", self.facts[name], lang) for name in _CHOICES & set(facts)}
        return text(code, lang, **facts)

    def __str__(self) -> str:
        return f"{self.code}: {self.message('en')}"


class NotFound(LedgerError):
    """The account, ticket, grant or plan named does not exist."""


class Refused(LedgerError):
    """The rules say no; asking again changes nothing until the facts change."""


class Conflict(LedgerError):
    """It collides with something recorded before: a duplicate, or a key used for another body."""


class Malformed(LedgerError):
    """The input itself is wrong: always names `field`, `value` and `remedy`; a card number in them shows as stars."""

    def __init__(self, field: str, value: Any, remedy: str, **facts: Any) -> None:
        """`remedy` is the key of a text that says what would be accepted."""
        # Whatever was sent must be tellable: no nesting without end, no number or half character that JSON refuses.
        small = isinstance(value, int) and abs(value) < 2**53
        told = isinstance(value, (str, type(None))) or (small and masked(str(value)) == str(value))
        shown = value if told else _SHORT.repr(value)
        if isinstance(shown, str):
            shown = _printable(masked(shown) if len(shown) <= 80 else masked_start(shown, 77) + "...")
        facts = {name: masked(fact) if isinstance(fact, str) else fact for name, fact in facts.items()}
        super().__init__("malformed", field=_printable(masked_start(field, 64)), value=shown, remedy=remedy, **facts)

    def message(self, lang: str = "es_GT") -> str:
        facts = {k: Typed(v) if isinstance(v, str) else v for k, v in self.facts.items() if k != "remedy"}
        if self.facts["remedy"] == "remedy_missing":
            return text("malformed_missing", lang, **facts)
        return text("malformed", lang, **{**facts, "remedy": text(self.facts["remedy"], lang, **facts)})


class Unavailable(LedgerError):
    """The store cannot serve now: missing, locked, read-only, not migrated, newer, or gone."""


def _told(name: str, fact: Any, lang: str) -> Any:
    """Return a fact as people read it: our words in their language, an instant without its zeros."""
    if not isinstance(fact, str):
        return fact
    if name in _LISTS:
        return text("reminders_none", lang) if fact == "-" else _listed(_LISTS[name], fact, lang)
    if name == "command":
        return _act(fact, lang)
    for key in (f"value_{name}_{fact}", f"value_{fact}") if name in _WORDS else ():
        if key in table():
            return text(key, lang)
    if found := _INSTANT.fullmatch(fact):
        day, time, part = found.groups()
        shown = day if lang == "en" else as_read(day, lang)
        return f"{shown} {time}{part if part != '.000000' else ''} UTC"
    return fact


def _listed(name: str, fact: str, lang: str) -> str:
    return ", ".join(_dated(_told(name, one, lang), lang) for one in fact.split(", "))


def _dated(fact: str, lang: str) -> str:
    return fact if lang == "en" else as_read(fact, lang)


def _act(name: str, lang: str) -> str:
    """Return what a command or a question does, in a few words; a name that has no words stays as it is."""
    if f"act_{name}" in table():
        return text(f"act_{name}", lang)
    for kind, ends in (("do", r"[:;(]"), ("ask", r"[:;(,]")):
        if f"{kind}_{name}" in table():
            words = re.split(ends, text(f"{kind}_{name}", lang))[0].strip()
            words = words[:1].lower() + words[1:]
            return words if kind == "do" else text("ask_in_words", lang, what=words)
    return name


class _Short(reprlib.Repr):
    """Shows nested values in short; a card number is masked before it is cut, not to be seen in part."""

    def repr_str(self, x: str, level: int) -> str:
        return super().repr_str(masked_start(x, 100), level)

    def repr_int(self, x: int, level: int) -> str:
        return masked(super().repr_int(x, level))


_SHORT = _Short()


def _printable(words: str) -> str:
    return words.encode("utf-8", "backslashreplace").decode()
