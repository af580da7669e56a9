"""Whether two names are one person's: nobody approves themselves by writing their name otherwise."""

from __future__ import annotations

import unicodedata


def same(one: str, other: str) -> bool:
    """Return whether two names are the same but for case, width of characters and blanks around; "" is nobody's."""
    return bool(one) and _plain(one) == _plain(other)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()
