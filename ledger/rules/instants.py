"""Instants: aware datetimes at the edges, canonical text inside events and folds, wall times by IANA zone.

Canonical text is `YYYY-MM-DDTHH:MM:SS.ffffffZ`: UTC, always six decimals, so its order is the order of time. A wall
time in a gap moves forward by the gap, an ambiguous one is its first occurrence (RFC 5545, 3.3.5).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ledger.errors import Malformed

_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(\.[0-9]{1,6})?"
    r"([Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,30}(/[A-Za-z0-9_+-]{1,30}){0,2}")
# In the system's folder of zones, but no IANA zone: they differ by machine, or count leap seconds.
_NO_ZONE = re.compile(r"localtime|posixrules|Factory|(posix|right)/.*")
# Beyond these years, adding a century of microseconds could leave the range of datetime.
FIRST_YEAR, LAST_YEAR = 1900, 9898


def to_iso(instant: datetime) -> str:
    """Return the canonical text of an aware datetime; ValueError for a naive one."""
    if instant.tzinfo is not UTC:  # most are in UTC already
        if instant.utcoffset() is None:
            raise ValueError("a naive datetime is no instant")
        instant = instant.astimezone(UTC)
    return instant.isoformat(timespec="microseconds")[:-6] + "Z"


def from_iso(text: str) -> datetime:
    """Return the UTC datetime of canonical text."""
    return datetime.fromisoformat(text)


def parse_instant(value: Any, field: str) -> datetime:
    """Return the UTC datetime of RFC 3339 text with an offset; Malformed for anything else."""
    match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Malformed(field, value, "remedy_instant")
    if not FIRST_YEAR <= int(match[1]) <= LAST_YEAR:
        raise Malformed(field, value, "remedy_years", first=FIRST_YEAR, last=LAST_YEAR)
    try:
        return datetime.fromisoformat(value.upper().replace(" ", "T")).astimezone(UTC)
    except ValueError:
        raise Malformed(field, value, "remedy_instant") from None


def parse_date(value: Any, field: str) -> date:
    """Return the date of `YYYY-MM-DD`; Malformed for anything else."""
    if not isinstance(value, str) or _DATE.fullmatch(value) is None:
        raise Malformed(field, value, "remedy_date")
    if not FIRST_YEAR <= int(value[:4]) <= LAST_YEAR:
        raise Malformed(field, value, "remedy_years", first=FIRST_YEAR, last=LAST_YEAR)
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise Malformed(field, value, "remedy_date") from None


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def zone(name: Any, field: str) -> ZoneInfo:
    """Return the zone of IANA `name`; Malformed when there is none."""
    if isinstance(name, str) and _ZONE.fullmatch(name) and not _NO_ZONE.fullmatch(name):
        try:
            return _zone(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    raise Malformed(field, name, "remedy_zone")


def wall(local: datetime, name: str) -> datetime:
    """Return the UTC instant of naive wall time `local` in zone `name`: gaps forward, the first of two."""
    # fold=0 uses the offset before a gap (which moves forward by the gap) and the first of two occurrences.
    return local.replace(tzinfo=_zone(name), fold=0).astimezone(UTC)


def midnight(day: date, name: str) -> datetime:
    """Return the UTC instant at which local `day` begins in zone `name`."""
    return wall(datetime.combine(day, time()), name)


def local_date(instant: datetime, name: str) -> date:
    """Return the local date of an aware datetime in zone `name`."""
    return instant.astimezone(_zone(name)).date()


def show(instant: datetime | str, name: str) -> str:
    """Return RFC 3339 text with the offset of zone `name`, decimals only when there are any.

    RFC 3339 has no seconds in an offset, as local mean times did: such an instant is shown in UTC.
    """
    moment = from_iso(instant) if isinstance(instant, str) else instant
    shown = moment.astimezone(_zone(name)).isoformat()
    return shown if shown[-6] in "+-" else moment.astimezone(UTC).isoformat()
