"""The compliance report: what people may ask of it, from the read model as things stand or from the log as of then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.application import Caller, Ledger
from ledger.command import AUDITORS, MANAGERS
from ledger.commands import QUESTIONS
from ledger.errors import Unavailable
from ledger.fields import parse_fields
from ledger.rules.instants import show
from projections import folded
from projections.breaches import LATE, Breaches
from projections.compliance import Cells, Row, Scope, Tally, read_cells, rows_of, totals, verdict_sql, without_times
from projections.projector import Projector, projector_of

WHOLE_REPORT = MANAGERS | AUDITORS
DEFAULT_BY = ["level", "priority"]
_TRIES = 5
_MODEL = "tickets"


def answer(ledger: Ledger, values: dict[str, Any], at: str, now: str) -> Row:
    """Answer question `report`: rows, totals, and the breaches where they are asked for."""
    found, breaches = prepared(ledger, values, at, now)
    return found if breaches is None else {**found, "breaches": list(breaches)}


def asked(
    ledger: Ledger, given: Mapping[str, Any], caller: Caller | None = None
) -> tuple[Row, Breaches | list[Row] | None]:
    """Return what `ledger.ask("report", given)` answers, its breaches apart and still to be worked out.

    A caller who may not see all of it gets what they may, the breaches worked out already.
    """
    if caller is not None and caller.role not in WHOLE_REPORT:
        found = ledger.ask("report", given, caller=caller)
        return found, found.pop("breaches", None)
    values = parse_fields(given, QUESTIONS["report"].fields)
    now = ledger.clock.now()
    return prepared(ledger, values, values.get("at") or values.get("known_at") or now, now)


def prepared(ledger: Ledger, values: dict[str, Any], at: str, _now: str) -> tuple[Row, Breaches | None]:
    """Return the report but for its breaches, and these, still to be worked out, where they are asked for.

    With `at` (true then) or `known_at` (known then) every case is folded from the log; else the read model tells.
    """
    by, raw, times = values.get("by") or DEFAULT_BY, bool(values.get("raw")), values.get("times", True)
    listed = values.get("breaches", values.get("explain", False))
    scope, projector = _scope(values), projector_of(ledger)
    late, position = list[Row](), 0
    if "at" in values or "known_at" in values:
        known = values.get("known_at")
        position = ledger.store.last_position() if known is None else ledger.store.position_known_at(known)
        cells, late = _folded(projector, by, at, position, raw, scope)
    elif listed:
        cells, late, position = _as_it_stands(projector, by, at, raw, scope)
    else:
        going_on(projector)
        cells = read_cells(projector.read, by, now=at, raw=raw, scope=scope, times=times)
    zone = ledger.catalogue.zone
    found: Row = {"at": show(at, zone), "zone": zone, "known_at": None, "by": by, "raw": raw, **_echo(values)}
    if "known_at" in values:
        found["known_at"] = show(values["known_at"], zone)
    rows, last = rows_of(cells, by), totals(cells)
    if not times:
        rows, last = [without_times(row) for row in rows], without_times(last)
    found |= {"rows": rows, "totals": last}
    if not listed:
        return found, None
    explain = values.get("explain", True)
    breaches = Breaches(ledger, projector, late, at, values.get("known_at", ""), position, explain)
    if "most" in values or "cursor" in values:
        breaches, found["next"] = breaches.behind(values.get("cursor", ""), values.get("most"))
    return found, breaches


def going_on(projector: Projector) -> None:
    """Raise Unavailable where the tickets' read model stopped at a row it cannot read: it would tell half of it."""
    for state in projector.states():
        if state.name == _MODEL and state.error:
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
            late.append({name: case[name] for name in LATE})
    return tally.cells(), sorted(late, key=lambda case: (case["due_at"], case["ticket"]))


def _as_it_stands(
    projector: Projector, by: list[str], at: str, raw: bool, scope: Scope
) -> tuple[Cells, list[Row], int]:
    """Return the cells, the breached cases and the position of the log that both are of.

    Two statements see two states of the read model where another process moves it: then once more, at last the log.
    """
    read = projector.read
    for _ in range(_TRIES):
        going_on(projector)
        before = projector.position(_MODEL) or 0
        cells = read_cells(read, by, now=at, raw=raw, scope=scope)
        where, given = scope.where()
        sql = f"""
            SELECT {", ".join(LATE)} FROM (SELECT {", ".join(LATE)}, {verdict_sql(raw)} AS verdict
            FROM r_tickets WHERE {where}) AS judged WHERE verdict = 'breached' ORDER BY due_at, ticket"""
        late = [dict(zip(LATE, row, strict=True)) for row in read.query(sql, [at, *given])]
        if any(case["counted_at"] > at for case in late):
            break  # an answer dated a moment ahead is not true yet: only the log tells that
        if projector.position(_MODEL) == before:
            return cells, late, before
    position = projector.store.last_position()
    return *_folded(projector, by, at, position, raw, scope), position
