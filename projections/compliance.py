"""Compliance: how many responses were met, breached, open or excluded, and how long they took, by seven dimensions.

Every report is made of cells, one a combination of values; they come from the read model (`read_cells`, as things
stand) or from cases folded one by one (`Tally`, as of any instant). total = met + breached + open +
excluded (DOMAIN.md). Cases without a target are not counted.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ledger.commands_sla import REPORT_BY
from ledger.errors import Malformed
from ledger.rules.grants import LEVELS
from ledger.rules.sla import PRIORITIES
from ledger.store import Store
from projections.percentiles import nearest_ranks

_COLUMNS = ("verdict_level", "verdict_priority", "month", "agent", "account", "calendar", "channel")
BY = dict(zip(REPORT_BY, _COLUMNS, strict=True))
VERDICTS = ("met", "breached", "open", "excluded")
MEASURES = ("met_bp", "p50_us", "p90_us", "p95_us", "worst_us")
_PERCENTILES = {"p50_us": 50, "p90_us": 90, "p95_us": 95, "worst_us": 100}
_ORDER: dict[str, Sequence[str]] = {"level": LEVELS, "priority": PRIORITIES}

Key = tuple[str, ...]
Row = dict[str, Any]


@dataclass
class Cell:
    """How many cases have each verdict, and the counted microseconds of the responses of those met or breached."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VERDICTS, 0))
    times: list[int] = field(default_factory=list)


Cells = dict[Key, Cell]  # by the values of the dimensions


@dataclass(frozen=True)
class Scope:
    """Which cases count: local dates of opening (YYYY-MM-DD, both included), and the rest by equality; "" is all."""

    since: str = ""
    until: str = ""
    level: str = ""
    priority: str = ""
    customer: str = ""
    agent: str = ""

    def holds(self, case: Mapping[str, Any]) -> bool:
        """Whether a case of the read model's columns counts."""
        if not case["due_at"] or case["opened_on"] < self.since or (self.until and case["opened_on"] > self.until):
            return False
        return all(case[column] == value for column, value in self._equal())

    def where(self) -> tuple[str, list[str]]:
        """Return the same as a condition of SQL and its values."""
        dated = [(f"opened_on {sign} ?", day) for sign, day in ((">=", self.since), ("<=", self.until)) if day]
        parts = [*dated, *((f"{column} = ?", value) for column, value in self._equal())]
        return " AND ".join(["due_at <> ''", *(part for part, _ in parts)]), [value for _, value in parts]

    def _equal(self) -> Iterable[tuple[str, str]]:
        named = (("level", self.level), ("priority", self.priority), ("customer", self.customer), ("agent", self.agent))
        return [(BY[name], value) for name, value in named if value]


def check_by(by: Sequence[str]) -> None:
    """Raise Malformed for an unknown dimension, or one named twice."""
    for name in by:
        if name not in BY or list(by).count(name) > 1:
            raise Malformed("by", ",".join(by), "remedy_choice", words=", ".join(BY))


# --- the verdict, in SQL and in Python -------------------------------------------------------------------------------


def verdict_sql(raw: bool) -> str:
    """Return the verdict as an expression with one parameter, the instant of which it speaks."""
    # Adjusted: an approved revision stands for the verdict, then an exclusion; raw ignores both.
    return f"""CASE {"" if raw else "WHEN revised <> '' THEN revised WHEN excluded <> '' THEN 'excluded'"}
        WHEN counted_at <> '' THEN CASE WHEN counted_at < due_at THEN 'met' ELSE 'breached' END
        WHEN due_at <= ? THEN 'breached' ELSE 'open' END"""


def verdict_of(case: Mapping[str, Any], at: str, raw: bool) -> str:
    """Return the verdict of a case of the read model's columns, as of instant `at`."""
    if not raw and (case["revised"] or case["excluded"]):
        return str(case["revised"] or "excluded")
    if case["counted_at"]:
        return "met" if case["counted_at"] < case["due_at"] else "breached"
    return "breached" if case["due_at"] <= at else "open"


# --- cells -----------------------------------------------------------------------------------------------------------


def read_cells(
    read: Store, by: Sequence[str], *, now: str, raw: bool = False, scope: Scope | None = None, times: bool = True
) -> Cells:
    """Return the cells of the read model at canonical instant `now`: what is unanswered and due by then is breached.

    Without `times` it counts alone, for less than half the price.

    One pass: the times of a cell come as one value, which costs the database less than sorting them.
    """
    check_by(by)
    columns = "".join(f"{BY[name]}, " for name in by)
    where, given = (scope or Scope()).where()
    settled = "''" if raw else "CASE WHEN revised <> '' THEN revised WHEN excluded <> '' THEN 'excluded' ELSE '' END"
    taken = f"{_GATHER[read.dialect]} FILTER (WHERE elapsed_us >= 0)" if times else "NULL"
    # Grouped by the verdict itself, a database would expect a group a case, and neither hash nor share out the work.
    sql = f"""
        SELECT {columns} settled, count(*), count(*) FILTER (WHERE counted_at <> '' AND counted_at < due_at),
            count(*) FILTER (WHERE counted_at = '' AND due_at > ?), {taken}
        FROM (SELECT {columns} {settled} AS settled, counted_at, due_at, elapsed_us
              FROM r_tickets WHERE {where}) AS cases
        GROUP BY {columns} settled"""
    cells: Cells = {}
    for *key, verdict, total, met, still_open, gathered in read.query(sql, [now, *given]):
        cell = cells.setdefault(tuple(key), Cell())
        if verdict:
            cell.counts[verdict] += total
        else:
            for name, count in (("met", met), ("open", still_open), ("breached", total - met - still_open)):
                cell.counts[name] += count
        if verdict != "excluded":
            cell.times += _times(gathered)
    return cells


_GATHER = {"sqlite": "group_concat(elapsed_us)", "postgresql": "string_agg(int8send(elapsed_us), ''::bytea)"}
_WHOLE_NUMBERS = msgspec.json.Decoder(list[int])


def _times(gathered: str | bytes | None) -> list[int]:
    """Return the times that a database gathered: text with commas, or 8 bytes each, most significant first."""
    if gathered is None:
        return []
    if isinstance(gathered, str):
        return _WHOLE_NUMBERS.decode(f"[{gathered}]")
    times = array("q", gathered)
    if sys.byteorder == "little":
        times.byteswap()
    return times.tolist()


class Tally:
    """Counts cases that come one by one into cells: memory is a number a case, for the percentiles."""

    def __init__(self, by: Sequence[str], at: str, raw: bool, scope: Scope) -> None:
        check_by(by)
        self._columns = [BY[name] for name in by]
        self._at, self._raw, self._scope = at, raw, scope
        self._cells: Cells = {}

    def add(self, case: Mapping[str, Any]) -> str:
        """Count a case; return its verdict, "" when it does not count."""
        if not self._scope.holds(case):
            return ""
        verdict = verdict_of(case, self._at, self._raw)
        cell = self._cells.setdefault(tuple(case[column] for column in self._columns), Cell())
        cell.counts[verdict] += 1
        if verdict in ("met", "breached") and case["elapsed_us"] >= 0:
            cell.times.append(case["elapsed_us"])
        return verdict

    def cells(self) -> Cells:
        """Return what was counted."""
        return self._cells


# --- rows ------------------------------------------------------------------------------------------------------------


def rows_of(cells: Cells, by: Sequence[str]) -> list[Row]:
    """Return one row a combination of `by`, in the order of levels, priorities and names; without any, one row."""
    found = cells or ({} if by else {(): Cell()})
    rows = [{**dict(zip(by, key, strict=True)), **totals({key: cell})} for key, cell in found.items()]
    return sorted(rows, key=lambda row: [_rank(name, row[name]) for name in by])


def totals(cells: Cells) -> Row:
    """Return the figures over all of these cells: counts, the share met, percentiles of the responses' times."""
    counts = {verdict: sum(cell.counts[verdict] for cell in cells.values()) for verdict in VERDICTS}
    for cell in cells.values():
        cell.times.sort()  # in place: the totals find them sorted by the rows
    runs = [cell.times for cell in cells.values()]
    shown = dict(zip(_PERCENTILES, nearest_ranks(runs, list(_PERCENTILES.values())), strict=True))
    share = basis_points(counts["met"], counts["breached"])
    return {"total": sum(counts.values()), **counts, "met_bp": share, **shown}


def without_times(row: Row) -> Row:
    """Return a row without its percentiles."""
    return {name: value for name, value in row.items() if name not in _PERCENTILES}


def percent(hundredths: int) -> str:
    """Return hundredths of a per cent as text with two decimals: 9750 is 97.50."""
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def basis_points(met: int, breached: int) -> int | None:
    """Return the share met in hundredths of a per cent, None of nothing. Cut off: 100.00 means that none was late."""
    return met * 10_000 // (met + breached) if met + breached else None


def report(
    read: Store, by: Sequence[str], *, now: str, since: str = "", until: str = "", raw: bool = False
) -> list[Row]:
    """Return the read model's rows by `by` at canonical instant `now`. `raw` ignores exclusions and revisions."""
    return rows_of(read_cells(read, by, now=now, raw=raw, scope=Scope(since, until)), by)


def _rank(name: str, value: str) -> tuple[int, str]:
    order = _ORDER.get(name, ())
    return (order.index(value) if value in order else len(order), value)
