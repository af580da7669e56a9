"""User-facing words in Spanish (es_GT, first) and English, one table a subject area.

Each `*.toml` beside this file holds `[key]` tables with `es` and `en`; keys are unique across files.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

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

    A fact that is missing shows as "?"; an unknown key is a programming error (KeyError).
    """
    words = table()[key]["en" if lang == "en" else "es"]
    return words.format_map(_Shown(facts))


class _Shown(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"
