"""Compliance: how many responses were met, breached, open or excluded, by level, priority, month or agent.

Counted from the tickets' read model at an instant: total = met + breached + open + excluded (DOMAIN.md). Cases
without a target are not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ledger.errors import Malformed
from ledger.rules.grants import LEVELS
from ledger.rules.sla import PRIORITIES
from ledger.store import Store

BY = {
    "level": "verdict_level",
    "priority": "verdict_priority",
    "month": "month",
    "agent": "agent",
}
_VERDICTS = ("met", "breached", "open", "excluded")
_ORDER: dict[str, Sequence[str]] = {"level": LEVELS, "priority": PRIORITIES}


def report(
    read: Store, by: Sequence[str], *, now: str, since: str = "", until: str = "", raw: bool = False
) -> list[dict[str, Any]]:
    """Return one row a combination of `by`, in the order of levels, priorities, months, names.

    `now` is a canonical instant: what is unanswered and due by then is breached. `since` and `until` are local
    dates of opening (YYYY-MM-DD), both included. `raw` ignores exclusions. Malformed for an unknown `by`.
    """
    for name in by:
        if name not in BY or list(by).count(name) > 1:
            raise Malformed("by", ",".join(by), "remedy_choice", words=", ".join(BY))
    columns = ", ".join(BY[name] for name in by)
    # Adjusted: an approved revision stands for the verdict, then an exclusion; raw ignores both.
    verdict = f"""CASE {"" if raw else "WHEN revised <> '' THEN revised WHEN excluded <> '' THEN 'excluded'"}
        WHEN counted_at <> '' THEN CASE WHEN counted_at < due_at THEN 'met' ELSE 'breached' END
        WHEN due_at <= ? THEN 'breached' ELSE 'open' END"""
    where, dates = ["due_at <> ''"], []
    for condition, value in (("opened_on >= ?", since), ("opened_on <= ?", until)):
        if value:
            where.append(condition)
            dates.append(value)
    counts = ", ".join(f"sum(CASE verdict WHEN '{name}' THEN 1 ELSE 0 END)" for name in _VERDICTS)
    sql = f"""
        SELECT {columns or "''"}, count(*), {counts}
        FROM (SELECT {columns or "due_at"}, {verdict} AS verdict FROM r_tickets WHERE {" AND ".join(where)}) AS judged
        {f"GROUP BY {columns}" if by else ""}"""
    names = [*by, "total", *_VERDICTS]
    skip = 0 if by else 1
    found = [dict(zip(names, row[skip:], strict=True)) for row in read.query(sql, [now, *dates])]
    found = [{k: int(v or 0) if k in names[-5:] else v for k, v in row.items()} for row in found]
    return sorted(found, key=lambda row: [_rank(name, row[name]) for name in by])


def _rank(name: str, value: str) -> tuple[int, str]:
    order = _ORDER.get(name, ())
    return (order.index(value) if value in order else len(order), value)
