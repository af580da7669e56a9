"""Published reports: a month's figures frozen by a fact, beside what is known now, and why each case differs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ledger import facts as f
from ledger.application import Ledger
from ledger.errors import NotFound
from ledger.publishing import published
from ledger.rules import sla
from ledger.rules.instants import show
from projections import folded
from projections.compliance import Row, Scope, Tally, rows_of
from projections.projector import Projector, projector_of
from projections.reports import DEFAULT_BY, going_on

CAUSES = (
    *("typed_late", "revision", "exclusion", "reclassified", "target_moved"),
    *("late_answer", "answered", "breach_came_due"),
)


def figures(ledger: Ledger, values: dict[str, Any], at: str, _now: str) -> Row:
    """Return what `report.publish` freezes of a month: rows by level and priority, and each verdict's cases.

    As of instant `at`, known up to the log's present `position`: the same can be folded from that prefix for ever.
    """
    position = ledger.store.last_position()
    rows, verdicts = _month(projector_of(ledger), values["month"], at, position)
    cases: dict[str, list[str]] = {}
    for ticket in sorted(verdicts):
        cases.setdefault("/".join(verdicts[ticket]), []).append(ticket)
    return {"position": position, "figures": rows, "cases": cases}


def answer(ledger: Ledger, values: dict[str, Any], _at: str, now: str) -> Row:
    """Answer question `published`: a month as it was published, as it is known now, and each case that differs."""
    month, zone = values["month"], ledger.catalogue.zone
    report = published(ledger.store, month)
    if report is None:
        raise NotFound("not_published", month=month)
    position = ledger.store.last_position()
    rows, verdicts = _month(projector_of(ledger), month, now, position)
    before = {ticket: key.split("/") for key, tickets in report.cases.items() for ticket in tickets}
    changed = [t for t in sorted(before.keys() | verdicts.keys()) if before.get(t) != verdicts.get(t)]
    differences = [
        {
            "ticket": t,
            "was": _cell(before.get(t)),
            "is": _cell(verdicts.get(t)),
            "cause": _cause(ledger, t, report, now),
        }
        for t in changed
    ]
    return {
        "month": month,
        "published_at": show(report.occurred_at, zone),
        "actor": report.by,
        "digest": report.digest,
        "known_up_to": report.position,
        "published": report.figures,
        "now": rows,
        "differences": differences,
    }


def _month(projector: Projector, month: str, at: str, position: int) -> tuple[list[Row], dict[str, list[str]]]:
    """Return the rows of a month's cases and, by case, its level, priority and verdict.

    The read model tells which cases are of the month, which never changes; what they are is folded to `position`.
    """
    going_on(projector)
    streams = [row[0] for row in projector.read.query("SELECT stream FROM r_tickets WHERE month = ?", [month])]
    tally, verdicts = Tally(DEFAULT_BY, at, raw=False, scope=Scope()), {}
    for case in folded.cases(projector, at, position, streams):
        if verdict := tally.add(case):
            verdicts[case["ticket"]] = [case["verdict_level"], case["verdict_priority"], verdict]
    return rows_of(tally.cells(), DEFAULT_BY), verdicts


def _cell(cell: list[str] | None) -> Row | None:
    return None if cell is None else dict(zip(("level", "priority", "verdict"), cell, strict=True))


def _cause(ledger: Ledger, ticket: str, report: f.ReportPublished, now: str) -> str:
    """Return why a case's verdict or cell is another than the published one: the first cause that applies."""
    is_ = _clock(ledger, ticket, now, None)
    was = _clock(ledger, ticket, report.occurred_at, report.position)
    if was is None or is_ is None:
        return "typed_late"
    if is_.revised != was.revised:
        return "revision"
    if is_.excluded != was.excluded:
        return "exclusion"
    if bool(is_.due_at) != bool(was.due_at) or is_.request != was.request:
        return "reclassified"
    if is_.due_at != was.due_at:
        return "target_moved"
    if is_.counted_at != was.counted_at and is_.counted_at < is_.due_at:
        return "late_answer" if is_.counted_at <= report.occurred_at else "answered"
    if was.raw_verdict(report.occurred_at) == "open":
        return "breach_came_due"
    return "late_answer"


def _clock(ledger: Ledger, ticket: str, at: str, position: int | None) -> sla.Clock | None:
    case = ledger.ticket(ticket, must_exist=False, position=position)
    return sla.run(case.facts, at, case.recorded) if case.facts else None


def differing(answer_: Mapping[str, Any]) -> Iterable[Row]:
    """Return the differences as flat rows: case, cause, and the cell before and now."""
    for one in answer_["differences"]:
        sides = {f"{side}_{name}": value for side in ("was", "is") for name, value in (one[side] or {}).items()}
        yield {"ticket": one["ticket"], "cause": one["cause"], **sides}
