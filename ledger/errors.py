"""Refusals of the ledger: three kinds, each with a stable code, the facts, and words in two languages.

The domain knows nothing of HTTP or exit codes; the edges map the three kinds once.
"""

from __future__ import annotations

from typing import Any

from ledger.texts import text


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
        return text(self.code, lang, **self.facts)

    def __str__(self) -> str:
        return f"{self.code}: {self.message('en')}"


class NotFound(LedgerError):
    """The account, ticket, grant or plan named does not exist."""


class Refused(LedgerError):
    """The rules say no; asking again changes nothing until the facts change."""


class Conflict(LedgerError):
    """It collides with something recorded before: a duplicate, or a key used for another body."""


class Malformed(LedgerError):
    """The input itself is wrong: always names `field`, `value` and `remedy`."""

    def __init__(self, field: str, value: Any, remedy: str, **facts: Any) -> None:
        """`remedy` is the key of a text that says what would be accepted."""
        shown = value if isinstance(value, (str, int, bool, type(None))) else repr(value)
        if isinstance(shown, str) and len(shown) > 80:
            shown = shown[:77] + "..."
        super().__init__("malformed", field=field, value=shown, remedy=remedy, **facts)

    def message(self, lang: str = "es_GT") -> str:
        facts = {k: v for k, v in self.facts.items() if k != "remedy"}
        return text("malformed", lang, **{**facts, "remedy": text(self.facts["remedy"], lang, **facts)})


class Unavailable(LedgerError):
    """The store cannot serve now: missing, locked, read-only, not migrated, newer, or gone."""
