"""The open spans of a calendar between two instants: what is counted, piece by piece."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings

from ledger.rules.calendars import ALWAYS, Calendar
from tests.test_calendars import BUSINESS, US, Case, Naive, cases, every_day


def test_spans_sum_to_elapsed_and_are_open_inside_and_closed_between_in_400_cases() -> None:
    ran = 0

    @settings(max_examples=400, deadline=None)
    @given(cases())
    def law(case: Case) -> None:
        nonlocal ran
        ran += 1
        data, start, end = case
        calendar, naive = Calendar.from_data(data), Naive.of(data, start, end)
        spans = calendar.spans(start, end)
        assert sum((closes - opens) // US for opens, closes in spans) == naive.elapsed(start, end)
        assert all(start <= opens < closes <= end for opens, closes in spans)
        for opens, closes in spans:
            middle = opens + (closes - opens) // 2
            assert all(naive.is_open(at) for at in (opens, middle, closes - US))
        for (_opens, closes), (opens, _closes) in pairwise(spans):
            assert closes < opens, "spans that touch are one"
            assert not naive.is_open(closes)
            assert not naive.is_open(opens - US)

    law()
    assert ran >= 400


def test_years_are_walked_through_without_a_seam() -> None:
    start, end = datetime(2095, 6, 1, tzinfo=UTC), datetime(2108, 6, 1, tzinfo=UTC)
    whole = Calendar.from_data(every_day("America/Guatemala", ["00:00", "24:00"], dates={"2099-12-31": []}))
    assert len(whole.spans(start, end)) == 2
    hours = Calendar.from_data(BUSINESS)
    assert sum((closes - opens) // US for opens, closes in hours.spans(start, end)) == hours.elapsed_us(start, end)


def test_always_open_is_one_span_and_nothing_is_none() -> None:
    start = datetime(2026, 5, 4, tzinfo=UTC)
    assert ALWAYS.spans(start, start) == []
    assert ALWAYS.spans(start, start + timedelta(days=9)) == [(start, start + timedelta(days=9))]
    for calendar in (ALWAYS, Calendar.from_data(BUSINESS)):
        with pytest.raises(ValueError, match="end lies before"):
            calendar.spans(start + US, start)
