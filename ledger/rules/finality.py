"""When a verdict becomes final (DOMAIN.md, "Response targets"). Instants are canonical UTC text."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

from ledger import facts as f
from ledger.rules import instants
from ledger.rules.subscriptions import FAR, local_day, midnight

_AFTER = timedelta(hours=72)


def settled(at: str) -> str:
    """Return 72 hours after `at`: the earlier of response and due, or an imported batch's recording; FAR stays FAR."""
    if at == FAR:  # due only once a wait has ended, under a policy that pauses
        return FAR
    return instants.to_iso(instants.from_iso(at) + _AFTER)


def final(earlier: str, opened: f.TicketOpened, recorded_at: str) -> str:
    """Return from when a verdict is final: the latest of the three; `earlier` is that of response and due instant."""
    least = floor(opened, recorded_at)
    return least if earlier <= _days_before(least) else settled(earlier)


def floor(opened: f.TicketOpened, recorded_at: str) -> str:
    """Return the end of the opening's local month; for an imported case 72 h after its recording, if that is later."""
    day = local_day(opened.occurred_at, opened.zone)
    month_end = _month_end(day.year, day.month, opened.zone)
    if opened.source.startswith("import") and recorded_at:
        return max(month_end, settled(recorded_at))
    return month_end


@lru_cache(maxsize=4096)  # of few instants: the ends of months
def _days_before(at: str) -> str:
    return instants.to_iso(instants.from_iso(at) - _AFTER)


@lru_cache(maxsize=4096)  # asked for each case of a rebuild, and a desk has few months
def _month_end(year: int, month: int, zone: str) -> str:
    return midnight(date(year + month // 12, month % 12 + 1, 1), zone)
