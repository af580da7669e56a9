"""The compliance report: what people may ask of it, from the read model as things stand or from the log as of then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.application import Ledger
from ledger.catalogue import Catalogue
from ledger.errors import Unavailable
from ledger.rules.instants import from_iso, show
from ledger.store import Store
from projections import folded
from projections.compliance import BY, Cells, Row, Scope, Tally, read_cells, rows_of, totals, verdict_sql, without_times
from projections.projector import Projector, projector_of

DEFAULT_BY = ["level", "priority"]
_ALWAYS = "24x7@1"
_TOLD = ("ticket", "account", "agent", "verdict_level", "verdict_priority", "month", "calendar")
_LATE = (*_TOLD, "zone", "due_at", "counted_at")


def answer(ledger: Ledger, values: dict[str, Any], at: str, now: str) -> Row:
    """Answer question `report`: rows, totals, and the breaches where they are asked for.

    With `at` (true then) or `known_at` (known then) every case is folded from the log; else the read model tells.
    """
    by, raw, times = values.get("by") or DEFAULT_BY, bool(values.get("raw")), values.get("times", True)
    scope = _scope(values)
    projector = projector_of(ledger)
    if "at" in values or "known_at" in values:
        known = values.get("known_at")
        position = ledger.store.last_position() if known is None else ledger.store.position_known_at(known)
        cells, late = _folded(projector, by, at, position, raw, scope)
    else:
        going_on(projector)
        cells = read_cells(projector.read, by, now=at, raw=raw, scope=scope, times=times)
        late = _late(projector.read, at, raw, scope) if values.get("breaches") else []
    zone = ledger.catalogue.zone
    found: Row = {"at": show(at, zone), "known_at": None, "by": by, "raw": raw, **_echo(values)}
    if "known_at" in values:
        found["known_at"] = show(values["known_at"], zone)
    rows, last = rows_of(cells, by), totals(cells)
    if not times:
        rows, last = [without_times(row) for row in rows], without_times(last)
    found |= {"rows": rows, "totals": last}
    if values.get("breaches"):
        found["breaches"] = [_breach(case, at, ledger.catalogue) for case in late]
    return found


def going_on(projector: Projector) -> None:
    """Raise Unavailable where the tickets' read model stopped at a row it cannot read: it would tell half of it."""
    for state in projector.states():
        if state.name == "tickets" and state.error:
            raise Unavailable("read_model_stopped", name=state.name, position=state.position, lag=state.lag)


def _scope(values: Mapping[str, Any]) -> Scope:
    named = {name: values.get(name) or "" for name in ("level", "priority", "customer", "agent")}
    return Scope(values.get("from") or "", values.get("to") or "", **named)


def _echo(values: Mapping[str, Any]) -> Row:
    """Return what narrows the report: an agent who asks sees that these are their own figures."""
    return {name: values[name] for name in ("from", "to", "level", "priority", "customer", "agent") if name in values}


def _folded(
    projector: Projector, by: list[str], at: str, position: int, raw: bool, scope: Scope
) -> tuple[Cells, list[Row]]:
    tally, late = Tally(by, at, raw, scope), []
    for case in folded.cases(projector, at, position):
        if tally.add(case) == "breached":
            late.append({name: case[name] for name in _LATE})
    return tally.cells(), sorted(late, key=lambda case: (case["due_at"], case["ticket"]))


def _late(read: Store, at: str, raw: bool, scope: Scope) -> list[Row]:
    where, given = scope.where()
    sql = f"""
        SELECT {", ".join(_LATE)} FROM (SELECT {", ".join(_LATE)}, {verdict_sql(raw)} AS verdict
        FROM r_tickets WHERE {where}) AS judged WHERE verdict = 'breached' ORDER BY due_at, ticket"""
    return [dict(zip(_LATE, row, strict=True)) for row in read.query(sql, [at, *given])]


def _breach(case: Row, at: str, catalogue: Catalogue) -> Row:
    """Return a breach as it is listed; `late_us` is counted time past the due instant, so far where unanswered."""
    calendar = catalogue.calendar(case["calendar"] or _ALWAYS)
    end = case["counted_at"] or at
    late = calendar.elapsed_us(from_iso(case["due_at"]), from_iso(end)) if end > case["due_at"] else 0
    names = {column: name for name, column in BY.items()}
    told = {names.get(name, name): case[name] or None for name in _TOLD}
    return {
        **told,
        "due_at": show(case["due_at"], case["zone"]),
        "responded_at": show(case["counted_at"], case["zone"]) if case["counted_at"] else None,
        "late_us": late,
    }
