"""Whether two names are one person's: nobody approves themselves by writing their name otherwise.

`same` is how names are compared since approvals are acts. `spelt_same` is how facts from before were, and still are:
what they mean does not change.
"""

from __future__ import annotations

import tomllib
import unicodedata
from functools import cache
from importlib.resources import files

_DIGITS = str.maketrans("01", "ol")  # as people mistake them


def same(one: str, other: str) -> bool:
    """Return whether two names look like one person's; "" is nobody's.

    Case, width, accents, blanks, punctuation, characters that do not show (zero width, direction marks) and those that
    look alike in other scripts (UTS 39) make no difference.
    """
    return bool(one and other) and (one == other or bool(_keys(one) & _keys(other)))


def spelt_same(one: str, other: str) -> bool:
    """Return whether two names are the same but for case, width of characters and blanks around."""
    return bool(one) and _plain(one) == _plain(other)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _keys(name: str) -> frozenset[str]:
    """Return the ways a name may be read: as small letters, and as it stands (a capital I looks like a small l)."""
    shown = unicodedata.normalize("NFKC", name)
    readings = (_letters(shown.casefold()), _letters(_letters(shown).casefold()))
    return frozenset(reading.translate(_DIGITS) for reading in readings if reading) or frozenset({_plain(name)})


def _letters(name: str) -> str:
    """Return the letters and digits of a name without accents, each as the one of ASCII that it looks like."""
    known = _lookalikes()
    return "".join(known.get(c, c) for c in unicodedata.normalize("NFD", name) if c.isalnum())


@cache
def _lookalikes() -> dict[str, str]:
    """Return by character the letters or digits of ASCII that it can be mistaken for."""
    table: dict[str, str] = tomllib.loads((files(__package__) / "lookalikes.toml").read_text("utf-8"))
    return {one: stands_for for stands_for, all_of_them in table.items() for one in all_of_them}
