"""Money: exact minor units, IVA by the line, and nothing that is not an amount."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import Malformed
from ledger.rules import money


def refused(value: Any, remedy: str) -> None:
    with pytest.raises(Malformed) as caught:
        money.parse_amount(value, "amount")
    assert (caught.value.facts["field"], caught.value.facts["remedy"]) == ("amount", remedy)
    assert caught.value.message("en") != caught.value.message("es_GT")


# --- the worked facts of DOMAIN.md --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gross", "tax", "net"),
    [("250.00", "26.79", "223.21"), ("600.00", "64.29", "535.71"), ("387.10", "41.48", "345.62")],
)
def test_iva_is_within_the_price(gross: str, tax: str, net: str) -> None:
    line = money.split(money.parse_amount(gross, "gross"))
    assert tuple(map(money.show_amount, line)) == (gross, net, tax)


# --- amounts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("250.00", 25_000),
        ("250.5", 25_050),
        ("250", 25_000),
        ("0.01", 1),
        ("0.1", 10),
        ("0250.00", 25_000),
        ("1.15", 115),  # 114.99999999999999 by a float
        ("1234567.89", 123_456_789),
        ("999999999999.99", 99_999_999_999_999),
    ],
)
def test_text_with_at_most_two_decimals_is_an_amount(text: str, minor: int) -> None:
    assert money.parse_amount(text, "amount") == minor


@pytest.mark.parametrize(
    "value",
    [
        "1.005", "250.000", "-1.00", "+1.00", "", ".", ".50", "5.", "1,234.50", "1.234,50", "Q250.00", "250.00 ",
        " 250.00", "250.00\n", "2 50", "1e3", "1E3", "0x10", "1_000", "٢٥٠.00", "２５０", "²", "NaN", "Infinity",
        "1000000000000", "1.0\0", None, True, False, 250, -1, ["250.00"], {"amount": "250.00"}, b"250.00",
    ],
)  # fmt: skip
def test_anything_else_is_no_amount(value: Any) -> None:
    refused(value, "remedy_amount")


@pytest.mark.parametrize("value", [250.0, 0.1, float("nan"), float("inf")])
def test_a_float_is_told_to_be_text(value: float) -> None:
    refused(value, "remedy_amount_float")


def test_zero_needs_to_be_allowed() -> None:
    refused("0", "remedy_amount_zero")
    refused("0.00", "remedy_amount_zero")
    assert money.parse_amount("0.00", "price", allow_zero=True) == 0


def test_amounts_read_back_as_written_in_500_cases() -> None:
    ran = 0

    @settings(max_examples=500, deadline=None)
    @given(st.integers(1, 99_999_999_999_999))
    def law(minor: int) -> None:
        nonlocal ran
        ran += 1
        assert money.parse_amount(money.show_amount(minor), "amount") == minor
        assert money.show_amount(-minor) == "-" + money.show_amount(minor)

    law()
    assert ran >= 500


def test_corrections_are_shown_with_their_sign() -> None:
    assert [money.show_amount(minor) for minor in (-100, -1, 0, 1, 123_450)] == [
        "-1.00", "-0.01", "0.00", "0.01", "1234.50",
    ]  # fmt: skip


def test_the_currencies_are_quetzal_and_dollar() -> None:
    assert [money.parse_currency(code, "currency") for code in money.CURRENCIES] == ["GTQ", "USD"]
    for value in ("gtq", "EUR", "", "GTQ ", None, 1, True, ["GTQ"], "Q"):
        with pytest.raises(Malformed) as caught:
            money.parse_currency(value, "currency")
        assert caught.value.facts["remedy"] == "remedy_choice"
        assert "GTQ, USD" in caught.value.message("en")


# --- rounding -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numerator", "denominator", "rounded"),
    [(1, 2, 1), (-1, 2, -1), (3, 2, 2), (-3, 2, -2), (5, 10, 1), (4, 10, 0), (-4, 10, 0), (0, 7, 0), (14, 4, 4)],
)
def test_a_half_goes_away_from_zero(numerator: int, denominator: int, rounded: int) -> None:
    assert money.half_up(numerator, denominator) == rounded


def test_a_denominator_is_positive() -> None:
    for denominator in (0, -2):
        with pytest.raises(ValueError, match="positive"):
            money.half_up(1, denominator)


amounts = st.integers(-(10**15), 10**15)


def test_rounding_is_the_nearest_and_its_sign_is_a_mirror_in_1000_cases() -> None:
    ran = 0

    @settings(max_examples=1000, deadline=None)
    @given(amounts, st.integers(1, 10**6))
    def law(numerator: int, denominator: int) -> None:
        nonlocal ran
        ran += 1
        exact, rounded = Fraction(numerator, denominator), money.half_up(numerator, denominator)
        assert abs(exact - rounded) <= Fraction(1, 2)
        if abs(exact - rounded) == Fraction(1, 2):
            assert abs(rounded) > abs(exact)
        assert money.half_up(-numerator, denominator) == -rounded

    law()
    assert ran >= 1000


def test_net_and_tax_make_the_gross_and_corrections_mirror_it_in_1000_cases() -> None:
    ran = 0

    @settings(max_examples=1000, deadline=None)
    @given(amounts)
    def law(gross: int) -> None:
        nonlocal ran
        ran += 1
        line = money.split(gross)
        assert line.gross == gross == line.net + line.tax
        assert 2 * abs(line.tax * 112 - gross * 12) <= 112
        assert money.split(-gross) == (-line.gross, -line.net, -line.tax)

    law()
    assert ran >= 1000


def test_whole_quetzals_up_to_10000_round_as_exact_fractions_do() -> None:
    for gross in range(0, 1_000_001, 100):
        assert money.split(gross).tax == int(Fraction(gross * 12, 112) + Fraction(1, 2))


# --- for people ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["es_GT", "en"])
def test_people_see_each_currency_as_at_home(lang: str) -> None:
    assert money.pretty(123_450, "GTQ", lang) == "Q1,234.50"
    assert money.pretty(123_450, "USD", lang) == "$1,234.50"
    assert money.pretty(-100, "GTQ", lang) == "-Q1.00"
    assert money.pretty(0, "USD", lang) == "$0.00"
    assert money.pretty(99_999_999_999_999, "GTQ", lang) == "Q999,999,999,999.99"
