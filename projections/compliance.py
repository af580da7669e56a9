"""Compliance: how many responses were met, breached, open or excluded, and how long they took, by seven dimensions.

Every report is made of cells, one a combination of values and verdict; they come from the read model (`read_cells`,
as things stand) or from cases folded one by one (`Tally`, as of any instant). total = met + breached + open +
excluded (DOMAIN.md). Cases without a target are not counted.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
# By the values of the dimensions and the verdict: how many cases, and the counted microseconds of their responses.
Cells = dict[tuple[Key, str], tuple[int, list[int]]]


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


def verdict_sql(raw: bool, *, numbered: bool = False) -> str:
    """Return the verdict as an expression with one parameter, the instant of which it speaks.

    `numbered`: its place in VERDICTS. PostgreSQL hashes groups by it, where it would sort them by words of any length.
    """
    met, breached, open_, excluded = range(4) if numbered else (f"'{verdict}'" for verdict in VERDICTS)
    revised = f"CASE revised WHEN 'met' THEN {met} WHEN 'breached' THEN {breached} ELSE {excluded} END"
    # Adjusted: an approved revision stands for the verdict, then an exclusion; raw ignores both.
    return f"""CASE {"" if raw else f"WHEN revised <> '' THEN {revised} WHEN excluded <> '' THEN {excluded}"}
        WHEN counted_at <> '' THEN CASE WHEN counted_at < due_at THEN {met} ELSE {breached} END
        WHEN due_at <= ? THEN {breached} ELSE {open_} END"""


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
    columns = [BY[name] for name in by]
    where, given = (scope or Scope()).where()
    listed = ", ".join([*columns, "verdict"])
    taken = f"{_GATHER[read.dialect]} FILTER (WHERE elapsed_us >= 0)" if times else "NULL"
    # The fence has the verdict computed once a case, and its groups estimated as few.
    fence = "OFFSET 0" if read.dialect == "postgresql" else ""
    sql = f"""
        SELECT {listed}, count(*), {taken}
        FROM (SELECT {"".join(f"{column}, " for column in columns)} elapsed_us,
                {verdict_sql(raw, numbered=True)} AS verdict FROM r_tickets WHERE {where} {fence}) AS judged
        GROUP BY {listed}"""
    return {
        (tuple(key), VERDICTS[verdict]): (int(count), _times(gathered))
        for *key, verdict, count, gathered in read.query(sql, [now, *given])
    }


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
        self._counts: dict[tuple[Key, str], int] = {}
        self._times: dict[tuple[Key, str], list[int]] = {}

    def add(self, case: Mapping[str, Any]) -> str:
        """Count a case; return its verdict, "" when it does not count."""
        if not self._scope.holds(case):
            return ""
        verdict = verdict_of(case, self._at, self._raw)
        cell = (tuple(case[column] for column in self._columns), verdict)
        self._counts[cell] = self._counts.get(cell, 0) + 1
        times = self._times.setdefault(cell, [])
        if case["elapsed_us"] >= 0:
            times.append(case["elapsed_us"])
        return verdict

    def cells(self) -> Cells:
        """Return what was counted."""
        return {cell: (count, self._times[cell]) for cell, count in self._counts.items()}


# --- rows ------------------------------------------------------------------------------------------------------------


def rows_of(cells: Cells, by: Sequence[str]) -> list[Row]:
    """Return one row a combination of `by`, in the order of levels, priorities and names; without any, one row."""
    grouped: dict[Key, Cells] = {} if by else {(): {}}
    for (key, verdict), cell in cells.items():
        grouped.setdefault(key, {})[key, verdict] = cell
    rows = [{**dict(zip(by, key, strict=True)), **totals(part)} for key, part in grouped.items()]
    return sorted(rows, key=lambda row: [_rank(name, row[name]) for name in by])


def totals(cells: Cells) -> Row:
    """Return the figures over all of these cells: counts, the share met, percentiles of the responses' times."""
    counts = dict.fromkeys(VERDICTS, 0)
    runs: list[list[int]] = []
    for (_key, verdict), (count, taken) in cells.items():
        counts[verdict] += count
        if verdict in ("met", "breached"):
            taken.sort()  # in place: the totals find them sorted by the rows
            runs.append(taken)
    shown = dict(zip(_PERCENTILES, nearest_ranks(runs, list(_PERCENTILES.values())), strict=True))
    share = basis_points(counts["met"], counts["breached"])
    return {"total": sum(counts.values()), **counts, "met_bp": share, **shown}


def without_times(row: Row) -> Row:
    """Return a row without its percentiles."""
    return {name: value for name, value in row.items() if name not in _PERCENTILES}


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
