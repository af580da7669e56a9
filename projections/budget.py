"""The error budget: how many more answers may be late this month before the share of those in time is lost.

A level keeps its share while late / counted <= 1 - share, where `counted` are the month's cases less those excluded:
so the budget grows with every case that is opened. All of it is whole numbers: the share is in hundredths of a per
cent, and a fraction of a case is no case.
"""

from __future__ import annotations

from typing import Any

from ledger.rules.grants import LEVELS
from ledger.rules.subscriptions import local_day
from ledger.store import Store
from projections import compliance

DEFAULT_SHARE = 9500  # of 10,000: 95 %
_WHOLE = 10_000


def budget(read: Store, zone: str, *, now: str, share: int) -> list[dict[str, Any]]:
    """Return one row a level that has cases in the local month of `now`: allowed, late, and what is left of it.

    `left` is negative once the share is lost: by so many.
    """
    month = local_day(now, zone).isoformat()[:7]
    sql = (
        "SELECT verdict_level, verdict, count(*) FROM (SELECT verdict_level,"
        f" {compliance.verdict_sql(raw=False)} AS verdict FROM r_tickets WHERE month = ? AND due_at <> '') AS judged"
        " GROUP BY verdict_level, verdict"
    )
    counts = {(level, verdict): int(count) for level, verdict, count in read.query(sql, [now, month])}
    rows = []
    for level in LEVELS:
        of = {verdict: counts.get((level, verdict), 0) for verdict in compliance.VERDICTS}
        counted = of["met"] + of["breached"] + of["open"]
        if counted or of["excluded"]:
            allowed = allowance(counted, share)
            late = of["breached"]
            rows.append(
                {
                    "level": level,
                    "month": month,
                    "share": shown(share),
                    "counted": counted,
                    "late": late,
                    "open": of["open"],
                    "allowed": allowed,
                    "left": allowed - late,
                }
            )
    return rows


def allowance(counted: int, share: int) -> int:
    """Return how many of `counted` cases may be late while the share (of 10,000) is kept."""
    return counted * (_WHOLE - share) // _WHOLE


def shown(share: int) -> str:
    """Return a share as text: 9500 is "95", 9950 is "99.5"."""
    whole, rest = divmod(share, 100)
    return f"{whole}.{rest:02d}".rstrip("0") if rest else str(whole)
