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
LANGUAGES = ("es_GT", "en")


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
    if lang == "en":
        return table()[key]["en"].format_map(_Shown(facts))
    shown = {name: as_read(value, lang) if isinstance(value, str) else value for name, value in facts.items()}
    return table()[key]["es"].format_map(_Shown(shown))


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
