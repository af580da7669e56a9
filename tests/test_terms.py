"""Terms: boundaries on the original anchor, notice, grace, and the days that end things."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import Malformed
from ledger.rules import instants, terms


def days(*texts: str) -> list[date]:
    return [date.fromisoformat(text) for text in texts]


# --- the worked facts of DOMAIN.md --------------------------------------------------------------------


def test_monthly_boundaries_of_the_31st_of_january_come_back_to_the_31st() -> None:
    anchor = date(2025, 1, 31)
    assert terms.month_boundaries(anchor, 4) == days("2025-02-28", "2025-03-31", "2025-04-30", "2025-05-31")
    assert terms.boundary(anchor, 37) == date(2028, 2, 29)


def test_yearly_boundaries_of_a_leap_day_come_back_to_the_leap_day() -> None:
    anchor = date(2020, 2, 29)
    yearly = [terms.boundary(anchor, number * terms.TERM_MONTHS["yearly"]) for number in (1, 2, 3, 4)]
    assert yearly == days("2021-02-28", "2022-02-28", "2023-02-28", "2024-02-29")


def test_the_last_day_to_cancel_is_five_days_before_renewal() -> None:
    assert terms.last_cancel_day(date(2026, 3, 1)) == date(2026, 2, 24)
    assert terms.last_cancel_day(date(2024, 3, 1)) == date(2024, 2, 25)


def test_an_add_on_paid_on_the_31st_of_january_is_usable_through_the_2nd_of_march() -> None:
    assert terms.thirty_days_until(date(2026, 1, 31)) == date(2026, 3, 3)


def test_grace_for_the_first_of_june_is_over_as_the_seventh_begins() -> None:
    assert terms.grace_end(date(2026, 6, 1)) == date(2026, 6, 7)


def test_an_unpaid_purchase_has_until_the_end_of_the_fifteenth_day_after() -> None:
    assert terms.unpaid_until(date(2026, 1, 1)) == date(2026, 1, 17)


# --- laws ---------------------------------------------------------------------------------------------


def month_walked(anchor: date, number: int) -> date:
    """Add months one by one, without arithmetic on months: walk day by day and clamp at the end."""
    first = anchor.replace(day=1)
    for _ in range(number):
        first = (first + timedelta(days=31)).replace(day=1)
    day = first
    while day.day < anchor.day and (day + timedelta(days=1)).month == first.month:
        day += timedelta(days=1)
    return day


anchors = st.dates(date(1900, 1, 1), date(2200, 12, 31))


def test_boundaries_agree_with_a_walk_through_the_months_in_300_cases() -> None:
    ran = 0

    @settings(max_examples=300, deadline=None)
    @given(anchors, st.integers(0, 150))
    def law(anchor: date, number: int) -> None:
        nonlocal ran
        ran += 1
        assert terms.boundary(anchor, number) == month_walked(anchor, number)

    law()
    assert ran >= 300


def test_every_day_lies_in_exactly_one_month_of_an_anchor_in_1000_cases() -> None:
    ran = 0

    @settings(max_examples=1000, deadline=None)
    @given(anchors, anchors)
    def law(anchor: date, day: date) -> None:
        nonlocal ran
        ran += 1
        number = terms.month_index(anchor, day)
        assert terms.boundary(anchor, number) <= day < terms.boundary(anchor, number + 1)

    law()
    assert ran >= 1000


def test_every_anchor_of_four_years_has_the_boundaries_of_a_walk_and_they_begin_their_months() -> None:
    for anchor in (date(2024, 1, 1) + timedelta(days=n) for n in range(4 * 365 + 1)):
        for number in range(14):
            boundary = terms.boundary(anchor, number)
            assert boundary == month_walked(anchor, number)
            assert terms.month_index(anchor, boundary) == number
            assert terms.month_index(anchor, boundary - timedelta(days=1)) == number - 1


def test_twelve_months_are_a_year_and_months_never_drift() -> None:
    for day in range(28, 32):
        anchor = date(2024, 1, day)
        assert all(terms.add_months(anchor, 12 * n) == anchor.replace(year=2024 + n) for n in range(30))
    assert terms.add_months(date(2024, 3, 31), -1) == date(2024, 2, 29)


# --- the table of `supportledger terms` ---------------------------------------------------------------


def test_the_table_of_a_monthly_term_names_each_last_day_to_cancel() -> None:
    assert terms.table(date(2025, 1, 31), "monthly", 2) == [
        {"k": 1, "boundary": "2025-02-28", "cancel_by": "2025-02-23"},
        {"k": 2, "boundary": "2025-03-31", "cancel_by": "2025-03-26"},
    ]


def test_the_table_of_a_yearly_term_goes_by_twelve_months() -> None:
    assert terms.table(date(2020, 2, 29), "yearly", 4)[3] == {
        "k": 4,
        "boundary": "2024-02-29",
        "cancel_by": "2024-02-24",
    }


@pytest.mark.parametrize(("term", "count"), [("monthly", 12_000), ("yearly", 1_000)])
def test_a_table_beyond_the_years_kept_is_refused_not_an_overflow(term: str, count: int) -> None:
    last = date(instants.LAST_YEAR, 12, 31)
    assert terms.table(last, term, 12)[-1]["k"] == 12
    with pytest.raises(Malformed) as caught:
        terms.table(last, term, count)
    assert (caught.value.facts["field"], caught.value.facts["remedy"]) == ("count", "remedy_years")
