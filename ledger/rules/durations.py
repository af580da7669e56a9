"""Spans as people write them, `3mo` or `1mo2d`: years and months by the calendar of a zone, hours as hours pass."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from ledger.errors import Malformed
from ledger.rules.instants import LAST_YEAR, wall, zone
from ledger.rules.terms import add_months

_PARTS = (("y", 4), ("mo", 5), ("w", 6), ("d", 7), ("h", 8), ("min", 9))
PATTERN = "".join(f"(?:([0-9]{{1,{digits}}}){unit})?" for unit, digits in _PARTS)
_SPAN = re.compile(PATTERN)


class Span(NamedTuple):
    """Calendar months and days, then hours and minutes that pass."""

    months: int
    days: int
    minutes: int


def parse_span(value: Any, field: str) -> Span:
    """Return the span of text such as `3mo` or `1y2d12h`; Malformed for anything else, nothing too."""
    match = _SPAN.fullmatch(value) if isinstance(value, str) and value else None
    if match is None:
        raise Malformed(field, value, "remedy_duration")
    years, months, weeks, days, hours, minutes = (int(part or 0) for part in match.groups())
    return Span(years * 12 + months, weeks * 7 + days, hours * 60 + minutes)


def add_span(instant: datetime, span: Span, name: str, field: str) -> datetime:
    """Return aware `instant` + `span` in UTC: months and days on the wall clock of zone `name`, minutes as they pass.

    The day is clamped to its month's last. Malformed names `field` when that lies beyond the years that are kept.
    """
    local = instant.astimezone(zone(name, field)).replace(tzinfo=None)
    try:
        day = add_months(local.date(), span.months) + timedelta(days=span.days)
        moved = instant if day == local.date() else wall(datetime.combine(day, local.time()), name)
        result = moved.astimezone(UTC) + timedelta(minutes=span.minutes)
    except (ValueError, OverflowError):
        result = datetime.max.replace(tzinfo=UTC)
    if result.year > LAST_YEAR:
        raise Malformed(field, result.date().isoformat(), "remedy_years", first=instant.year, last=LAST_YEAR)
    return result


def is_span(text: str) -> bool:
    """Whether text is written as a span."""
    return bool(text) and _SPAN.fullmatch(text) is not None
