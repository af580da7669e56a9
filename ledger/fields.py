"""The kinds of values a command or question takes: each parses strictly and describes itself.

One definition serves `apply`, the command line, HTTP and OpenAPI. `parse` returns a canonical value or raises
Malformed with field, value and remedy; `schema` is JSON Schema 2020-12.
"""

from __future__ import annotations

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from ledger.card_numbers import card_number
from ledger.errors import Malformed
from ledger.rules.instants import FIRST_YEAR, LAST_YEAR, parse_date, parse_instant, to_iso, zone
from ledger.rules.money import CURRENCIES, parse_amount

_MONTH = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_CONTROLS = r"\x00-\x1f\x7f-\x9f"
_UNSEEN = r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
_HIDDEN = re.compile(f"[{_UNSEEN}]")
_ID = re.compile(rf"[^\s/\\?#%{_CONTROLS}](?:[^/\\?#%{_CONTROLS}]{{0,62}}[^\s/\\?#%{_CONTROLS}])?")
# What a new id is written with: printable ASCII but for what parts a URL, and the letters of European languages in
# Latin script, less those that are read as another letter (dotless i, long s, letters with a dot or a quote beside).
_NEW = r"""[!"$&'()*+,\-.0-9:;<=>@A-Z\[\]^_`a-z{|}~À-ÖØ-öø-İĴ-ķĹ-ľŁ-ňŊ-ž]"""
_NEW_ID = re.compile(f"(?!\\.+$){_NEW}(?:(?:{_NEW}| (?! )){{0,62}}{_NEW})?")
# FIRST_YEAR to LAST_YEAR of ledger.rules.instants, with what follows there, as patterns.
_YEAR = "(?:(?:19|[2-8][0-9]|9[0-7])[0-9]{2}|98[0-8][0-9]|989[0-8])"
_DAY = _YEAR + "-[0-9]{2}-[0-9]{2}"
_TIME = r"[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
_ALIKE = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU")


class Kind(ABC):
    """A kind of value."""

    remedy = "remedy_text"
    about = ""  # what describes it in `ledger/texts`, where its field's name says something else

    @abstractmethod
    def parse(self, value: Any, field: str) -> Any:
        """Return the canonical value of `value`; Malformed when it is not of this kind."""

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of accepted values."""
        return {"type": "string"}


@dataclass(frozen=True)
class Text(Kind):
    """Free text of at most `most` characters: no control characters, no card number; blank only when `blank`."""

    most: int = 200
    blank: bool = False
    lines: bool = False
    seen: bool = False  # no sign that cannot be seen or turns the direction: it is printed on documents

    def parse(self, value: Any, field: str) -> str:
        if not isinstance(value, str):
            raise Malformed(field, value, "remedy_text")
        if len(value) > self.most:
            raise Malformed(field, value, "remedy_too_long", most=self.most)
        if seen := card_number(value):
            raise Malformed(field, seen, "remedy_card_number")
        allowed = "\n\t" if self.lines else ""
        if any(unicodedata.category(c) in ("Cc", "Cs") and c not in allowed for c in value):
            raise Malformed(field, value, "remedy_control")
        if self.seen and _HIDDEN.search(value):
            raise Malformed(field, value, "remedy_hidden")
        if not self.blank and not value.strip():
            raise Malformed(field, value, "remedy_blank")
        return unicodedata.normalize("NFC", value)

    def schema(self) -> dict[str, Any]:
        controls = r"\x00-\x08\x0b-\x1f\x7f-\x9f" if self.lines else _CONTROLS
        controls += _UNSEEN if self.seen else ""
        some = "" if self.blank else r"(?=[\s\S]*\S)"
        pattern = f"^{some}[^{controls}]*$"
        return {"type": "string", "maxLength": self.most, "minLength": 0 if self.blank else 1, "pattern": pattern}


@dataclass(frozen=True)
class Id(Kind):
    """A number or name that identifies: 1-64 characters, no slash, no control character, no blank at its ends."""

    def parse(self, value: Any, field: str) -> str:
        text = Text(64).parse(value, field)
        if _ID.fullmatch(text) is None:
            raise Malformed(field, value, "remedy_id")
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1, "maxLength": 64, "pattern": f"^{_ID.pattern}$"}


@dataclass(frozen=True)
class NewId(Id):
    """An id where it is made: no two look alike, and none is another path in a URL (DOMAIN.md, "Approvals").

    Latin letters, digits and ASCII signs; no `.` or `..`, no sign without width, no mark of direction, no letter of
    another script. What is recorded already goes on being asked for as an `Id`.
    """

    def parse(self, value: Any, field: str) -> str:
        text = super().parse(value, field)
        if _NEW_ID.fullmatch(text) is None:
            raise Malformed(field, value, "remedy_new_id")
        return text

    def schema(self) -> dict[str, Any]:
        return {**super().schema(), "pattern": f"^{_NEW_ID.pattern}$"}


@dataclass(frozen=True)
class Name(Id):
    """A person's name as an act is signed with it: nothing that cannot be seen, no two scripts that look alike."""

    def parse(self, value: Any, field: str) -> str:
        text = super().parse(value, field)
        if any(unicodedata.category(c) in ("Cf", "Co", "Cn", "Zl", "Zp") for c in text) or len(_scripts(text)) > 1:
            raise Malformed(field, value, "remedy_name")
        return text


def _scripts(text: str) -> set[str]:
    """Return which of the scripts whose letters look alike stand in a text, in whatever width they are written."""
    names = (unicodedata.name(c, "") for c in unicodedata.normalize("NFKC", text) if c.isalpha())
    return {script for name in names for script in _ALIKE if name.startswith(script)}


@dataclass(frozen=True)
class Choice(Kind):
    """One of a few words."""

    words: tuple[str, ...]

    def parse(self, value: Any, field: str) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise Malformed(field, value, "remedy_choice", words=", ".join(self.words))
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.words)}


class Amount(Kind):
    """Money as text with at most two decimals, above zero; parsed to integer minor units."""

    def parse(self, value: Any, field: str) -> int:
        return parse_amount(value, field)

    def schema(self) -> dict[str, Any]:
        above = r"(?!0+(\.0{1,2})?$)"
        return {"type": "string", "pattern": rf"^{above}[0-9]{{1,12}}(\.[0-9]{{1,2}})?$", "examples": ["250.00"]}


class Instant(Kind):
    """An RFC 3339 instant with an offset; parsed to the canonical UTC text."""

    def parse(self, value: Any, field: str) -> str:
        return to_iso(parse_instant(value, field))

    def schema(self) -> dict[str, Any]:
        return {
            "type": "string",
            "format": "date-time",
            "pattern": f"^{_DAY}{_TIME}$",
            "examples": ["2026-03-01T00:00:00-06:00"],
        }


class Date(Kind):
    """A local date, YYYY-MM-DD."""

    def parse(self, value: Any, field: str) -> str:
        return parse_date(value, field).isoformat()

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "date", "pattern": f"^{_DAY}$", "examples": ["2026-03-01"]}


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number from `least` to `most`; no floats, no booleans, no text."""

    least: int
    most: int

    def parse(self, value: Any, field: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not self.least <= value <= self.most:
            raise Malformed(field, value, "remedy_whole", least=self.least, most=self.most)
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


class Flag(Kind):
    """true or false."""

    def parse(self, value: Any, field: str) -> bool:
        if not isinstance(value, bool):
            raise Malformed(field, value, "remedy_flag")
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class Zone(Kind):
    """The name of an IANA time zone."""

    def parse(self, value: Any, field: str) -> str:
        zone(value, field)
        return str(value)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "examples": ["America/Guatemala"]}


class Since(Kind):
    """An RFC 3339 instant with an offset, or a local date; parsed to canonical UTC text or to the date's text."""

    def parse(self, value: Any, field: str) -> str:
        if isinstance(value, str) and len(value) == len("2026-03-01"):
            return Date().parse(value, field)
        return Instant().parse(value, field)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "examples": ["2026-03-01", "2026-03-01T00:00:00-06:00"]}


class Month(Kind):
    """A month, YYYY-MM."""

    def parse(self, value: Any, field: str) -> str:
        if not isinstance(value, str) or _MONTH.fullmatch(value) is None:
            raise Malformed(field, value, "remedy_month")
        if not FIRST_YEAR <= int(value[:4]) <= LAST_YEAR:
            raise Malformed(field, value, "remedy_years", first=FIRST_YEAR, last=LAST_YEAR)
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{_YEAR}-(0[1-9]|1[0-2])$", "examples": ["2026-03"]}


class Uuid(Kind):
    """A UUID, such as a certifier's authorisation; parsed to capital letters with dashes."""

    def parse(self, value: Any, field: str) -> str:
        if not isinstance(value, str) or _UUID.fullmatch(value) is None:
            raise Malformed(field, value, "remedy_uuid")
        return value.upper()

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "uuid"}


@dataclass(frozen=True)
class Words(Kind):
    """A list of words out of a few, at least one, at most a hundred."""

    words: tuple[str, ...]

    def parse(self, value: Any, field: str) -> list[str]:
        if not isinstance(value, list) or not 1 <= len(value) <= 100:
            raise Malformed(field, value, "remedy_words", words=", ".join(self.words))
        return [Choice(self.words).parse(word, field) for word in value]

    def schema(self) -> dict[str, Any]:
        items = {"type": "string", "enum": list(self.words)}
        return {"type": "array", "items": items, "minItems": 1, "maxItems": 100}


@dataclass(frozen=True)
class Names(Kind):
    """Some of a few words, none twice: a list of them, or one text with commas between."""

    words: tuple[str, ...]

    def parse(self, value: Any, field: str) -> list[str]:
        names = [name.strip() for name in value.split(",")] if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(name, str) and name in self.words for name in names):
            raise Malformed(field, value, "remedy_names", words=", ".join(self.words))
        if len(set(names)) != len(names):
            raise Malformed(field, value, "remedy_twice")
        return names

    def schema(self) -> dict[str, Any]:
        one = "|".join(self.words)
        return {"type": "string", "pattern": f"^({one})(,({one}))*$", "examples": [",".join(self.words[:2])]}


CURRENCY = Choice(CURRENCIES)


class OwnCurrency(Choice):
    """The currency an account is opened in: nothing is there yet that it could take it from."""

    about = "own_currency"


OWN_CURRENCY = OwnCurrency(CURRENCIES)


@dataclass(frozen=True)
class Field:
    """A named value of a command or question; its words stand in `ledger/texts/commands.toml`."""

    name: str
    kind: Kind
    required: bool = True


def unknown(name: str, value: Any, known: Iterable[str]) -> Malformed:
    """Return the refusal of a name that is none of `known`; it says the nearest one where there is one."""
    names = list(known)
    if not names:
        return Malformed(name, value, "remedy_no_fields")
    near = get_close_matches(name[:64], names, n=1)
    if near:
        return Malformed(name, value, "remedy_nearest_field", nearest=near[0], known=", ".join(names))
    return Malformed(name, value, "remedy_unknown_field", known=", ".join(names))


def parse_fields(given: Mapping[str, Any], fields: tuple[Field, ...]) -> dict[str, Any]:
    """Return the canonical values of `given`; Malformed for the first unknown, missing or wrong field.

    null counts as left out for an optional field.
    """
    known = {field.name: field for field in fields}
    for name in given:
        if name not in known:
            raise unknown(str(name), given[name], known)
    values = {}
    for field in fields:
        value = given.get(field.name)
        if value is not None:
            values[field.name] = field.kind.parse(value, field.name)
        elif field.required:
            raise Malformed(field.name, None, "remedy_missing")
    return values
