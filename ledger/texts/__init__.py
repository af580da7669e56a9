"""User-facing words in Spanish (es_GT, first) and English, one table a subject area.

Each `*.toml` beside this file holds `[key]` tables with `es` and `en`; keys are unique across files.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

_WHEN = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d:\d\d)(:\d\d)\S*)?", re.ASCII)
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)
_COLUMNS = ("es", "en")
PEOPLE = frozenset({"actor", "agent", "approver", "assigned_to", "by", "responded_by", "to"})  # who did something
MONTHS = frozenset({"month", "closed_through"})  # told as "enero de 2026"
LANGUAGES = ("es_GT", "en")


class Typed(str):
    """What somebody wrote: it is shown as written, a date too, beside the form that is asked for."""

    __slots__ = ()


@cache
def table() -> dict[str, dict[str, str]]:
    """Return every text by key; raise ValueError when a key stands in two files."""
    texts: dict[str, dict[str, str]] = {}
    for file in sorted(files(__package__).iterdir(), key=lambda f: f.name):
        if file.name.endswith(".toml"):
            for key, words in tomllib.loads(file.read_text("utf-8")).items():
                if key in texts:
                    raise ValueError(f"text {key!r} stands twice, again in {file.name}")
                texts[key] = words
    return texts


def text(key: str, lang: str, /, **facts: Any) -> str:
    """Return text `key` in `lang` ("es_GT" or "en") with `{name}` replaced from `facts`.

    A fact that is missing shows as "?"; an unknown key is a programming error (KeyError). Dates and instants among
    the facts are written as people write them in Spanish; English keeps them as they were given.
    """
    if str(facts.get("units")) == "1" and f"{key}_one" in table():
        key = f"{key}_one"
    shown = {name: _said(name, value, lang) if isinstance(value, str) else value for name, value in facts.items()}
    if (how := f"how_{facts.get('channel')}") in table():
        shown["how"] = table()[how][_COLUMNS[lang == "en"]]
    return table()[key][_COLUMNS[lang == "en"]].format_map(_Shown(shown))


def _said(name: str, value: str, lang: str) -> str:
    """Return a fact as people read it: who is no person by a word of theirs, dates in Spanish as written there."""
    if name in PEOPLE and f"value_by_{value}" in table():
        return table()[f"value_by_{value}"][_COLUMNS[lang == "en"]]
    if lang == "en" or isinstance(value, Typed):
        return value
    if name in MONTHS and (month := _MONTH.fullmatch(value)):
        return f"{table()['explain_months']['es'].split(',')[int(month[2]) - 1]} de {month[1]}"
    return as_read(value, lang)


def as_read(value: str, lang: str, *, seconds: bool = True) -> str:
    """Return a date (YYYY-MM-DD) or an RFC 3339 instant as people read it, other text as it is.

    Spanish: 20/01/2026 09:00; English: 2026-01-20 09:00. The offset is left out: the answer names its zone. Whole
    seconds are shown where there are any, unless `seconds` is False.
    """
    match = _WHEN.fullmatch(value)
    if match is None:
        return value
    year, month, day, time, after = match.groups()
    date = f"{year}-{month}-{day}" if lang == "en" else f"{day}/{month}/{year}"
    if not time:
        return date
    return f"{date} {time}{after if seconds and after != ':00' else ''}"


class _Shown(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"
