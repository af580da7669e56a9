"""Money: integer minor units with a currency; IVA by the line, rounded half up. No float anywhere."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ledger.errors import Malformed

CURRENCIES = ("GTQ", "USD")
_AMOUNT = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,2}))?")
IVA = (12, 112)  # the share of a gross amount: prices include IVA 12 % (DOMAIN.md)


class Split(NamedTuple):
    """A gross amount with its net and its tax, in minor units: gross = net + tax."""

    gross: int
    net: int
    tax: int


def parse_amount(value: Any, field: str, *, allow_zero: bool = False) -> int:
    """Return the minor units of text such as "250.00"; Malformed for floats, signs, three decimals, zero."""
    if isinstance(value, float):
        raise Malformed(field, value, "remedy_amount_float")
    match = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Malformed(field, value, "remedy_amount")
    minor = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))
    if minor == 0 and not allow_zero:
        raise Malformed(field, value, "remedy_amount_zero")
    return minor


def parse_currency(value: Any, field: str) -> str:
    """Return the ISO 4217 code; Malformed for one that is not kept."""
    if value not in CURRENCIES:
        raise Malformed(field, value, "remedy_choice", words=", ".join(CURRENCIES))
    return str(value)


def show_amount(minor: int) -> str:
    """Return minor units as text with two decimals, such as "1234.50" or "-1.00"."""
    return f"{'-' if minor < 0 else ''}{abs(minor) // 100}.{abs(minor) % 100:02d}"


def half_up(numerator: int, denominator: int) -> int:
    """Return numerator / denominator rounded half away from zero (DOMAIN.md 9); ValueError unless denominator > 0."""
    if denominator <= 0:
        raise ValueError("the denominator must be positive")
    quotient = (2 * abs(numerator) + denominator) // (2 * denominator)
    return -quotient if numerator < 0 else quotient


def split(gross_minor: int) -> Split:
    """Return gross, net and tax of one line: tax = half up(gross x 12/112) (DOMAIN.md 9)."""
    tax = half_up(gross_minor * IVA[0], IVA[1])
    return Split(gross_minor, gross_minor - tax, tax)


def pretty(minor: int, currency: str, lang: str) -> str:
    """Return an amount for people, each currency as at home, in both languages: Q1,234.50, $1,234.50."""
    from decimal import Decimal

    from babel.numbers import format_currency

    # Babel's es_GT writes USD1,234.50, its en writes GTQ1,234.50.
    abroad = "en_US" if lang == "en" else "es_US"
    locale = "es_GT" if currency == "GTQ" else abroad
    return str(format_currency(Decimal(minor) / 100, currency, locale=locale))
