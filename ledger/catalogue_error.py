"""What is wrong with a catalogue that somebody wrote, in the reader's language."""

from __future__ import annotations

import re

from ledger.errors import LedgerError
from ledger.texts import table, text

# What msgspec says of a wrong form, and the text that says it; the groups go into it.
_FORMS = (
    (re.compile(r"Expected `(?P<wanted>\w+)[^`]*`, got `(?P<given>\w+)[^`]*`"), "wrong_kind"),
    (re.compile(r"Object missing required field `(?P<name>[^`]+)`"), "field_missing"),
    (re.compile(r"Object contains unknown field `(?P<name>[^`]+)`"), "field_unknown"),
)
_KINDS = frozenset({"str", "int", "float", "bool", "array", "object", "null", "datetime", "date"})


class CatalogueError(LedgerError):
    """The catalogue has a mistake: `file`, `entry` and `why` name it. The ledger does not start with it."""

    def __init__(self, file: str, entry: str, why: str | LedgerError, **facts: str) -> None:
        """`why` is the key of a text without its `catalogue_` (`facts` go into it), or the refusal of a value."""
        self._why, self._facts = why, facts
        super().__init__("catalogue_wrong", file=file, entry=entry, why=self._said("en"))

    def message(self, lang: str = "es_GT") -> str:
        return text(self.code, lang, **{**self.facts, "why": self._said(lang)})

    def _said(self, lang: str) -> str:
        if isinstance(self._why, LedgerError):
            return self._why.message(lang)
        named = {name: text(fact, lang) if fact in table() else fact for name, fact in self._facts.items()}
        return text(f"catalogue_{self._why}", lang, **named)


def form_of(said: str) -> tuple[str, dict[str, str]]:
    """Return the text, and what goes into it, for what msgspec says of a wrong form."""
    for pattern, key in _FORMS:
        if match := pattern.fullmatch(said):
            kinds = {name: f"kind_{found}" if found in _KINDS else found for name, found in match.groupdict().items()}
            return key, kinds
    return "wrong_form", {"detail": said}
