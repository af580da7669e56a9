"""Terms: monthly boundaries on the original anchor, and the dates that hang on them (DOMAIN.md 2-7). Local dates."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from ledger.errors import Malformed

TERM_MONTHS = {"monthly": 1, "yearly": 12}
_NOTICE = timedelta(days=5)
_LAST_YEAR = 9998


@lru_cache(maxsize=8192)  # at a month's end, every account asks for the same few
def add_months(anchor: date, months: int) -> date:
    """Return `anchor` + `months`, the day clamped to the month's last."""
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + months, 12)
    return date(year, month + 1, min(anchor.day, monthrange(year, month + 1)[1]))


def boundary(anchor: date, number: int) -> date:
    """Return monthly boundary `number`, always counted from the original anchor (rule 2)."""
    return add_months(anchor, number)


def month_boundaries(anchor: date, count: int) -> list[date]:
    """Return monthly boundaries 1..count (rule 3: a month's tickets are granted at each)."""
    return [boundary(anchor, number) for number in range(1, count + 1)]


def month_index(anchor: date, day: date) -> int:
    """Return the n with boundary(n) <= day < boundary(n + 1)."""
    months = (day.year - anchor.year) * 12 + day.month - anchor.month
    return months if add_months(anchor, months) <= day else months - 1


def last_cancel_day(renewal: date) -> date:
    """Return the last local day on which the plan can be cancelled for `renewal` (rule 6)."""
    return renewal - _NOTICE


def grace_end(unpaid_boundary: date) -> date:
    """Return the local date at whose midnight grace is over: the day after boundary + 5 (rule 7)."""
    return unpaid_boundary + timedelta(days=6)


def unpaid_until(asked: date) -> date:
    """Return the local date at whose midnight an unpaid purchase is abandoned: the 15th day was its last."""
    return asked + timedelta(days=16)


def thirty_days_until(paid: date) -> date:
    """Return the local date at whose midnight an add-on or courtesy ends: the 30th day is its last (rule 4)."""
    return paid + timedelta(days=31)


def table(start: date, term: str, count: int) -> list[dict[str, Any]]:
    """Return boundaries 1..count of a term that starts on `start`, each with its last day to cancel.

    Malformed names `count` when the last one lies beyond the years that dates are kept in.
    """
    step = TERM_MONTHS[term]
    if start.year + count * step // 12 + 1 > _LAST_YEAR:
        raise Malformed("count", count, "remedy_years", first=start.year, last=_LAST_YEAR)
    days = [(k, boundary(start, k * step)) for k in range(1, count + 1)]
    return [{"k": k, "boundary": day.isoformat(), "cancel_by": last_cancel_day(day).isoformat()} for k, day in days]
