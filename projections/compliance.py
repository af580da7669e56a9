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
    excluded = "0" if raw else "CASE WHEN excluded <> '' THEN 1 ELSE 0 END"
    counted = "TRUE" if raw else "excluded = ''"
    where, dates = ["due_at <> ''"], []
    for condition, value in (("opened_on >= ?", since), ("opened_on <= ?", until)):
        if value:
            where.append(condition)
            dates.append(value)
    sql = f"""
        SELECT {columns or "''"}, count(*),
            sum(CASE WHEN {counted} AND responded_at <> '' AND responded_at < due_at THEN 1 ELSE 0 END),
            sum(CASE WHEN {counted} AND (responded_at >= due_at OR (responded_at = '' AND due_at <= ?))
                THEN 1 ELSE 0 END),
            sum(CASE WHEN {counted} AND responded_at = '' AND due_at > ? THEN 1 ELSE 0 END),
            sum({excluded})
        FROM r_tickets WHERE {" AND ".join(where)} {f"GROUP BY {columns}" if by else ""}"""
    names = [*by, "total", "met", "breached", "open", "excluded"]
    skip = 0 if by else 1
    found = [dict(zip(names, row[skip:], strict=True)) for row in read.query(sql, [now, now, *dates])]
    found = [{k: int(v or 0) if k in names[-5:] else v for k, v in row.items()} for row in found]
    return sorted(found, key=lambda row: [_rank(name, row[name]) for name in by])


def _rank(name: str, value: str) -> tuple[int, str]:
    order = _ORDER.get(name, ())
    return (order.index(value) if value in order else len(order), value)
