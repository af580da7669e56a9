"""Published reports: a month's figures frozen by a fact, beside what is known now, and why each case differs.

What was published is the fact's; how long a response took is not in it, and is folded from the prefix that it names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ledger import facts as f
from ledger.application import Ledger
from ledger.errors import NotFound
from ledger.publishing import publications
from ledger.rules.instants import show
from ledger.ticket import ticket_stream
from projections import folded
from projections.compliance import Row, Scope, Tally, rows_of, totals, verdict_of
from projections.exports import duration
from projections.model import Stream
from projections.projector import Projector, projector_of
from projections.reports import DEFAULT_BY, going_on

CAUSES = (
    *("imported", "typed_late", "revision", "exclusion", "reclassified", "target_moved", "merged"),
    *("late_answer", "answered", "breach_came_due", "recounted"),
)
_RESPONSES = (f.TicketResponded, f.TicketResolved, f.TicketWaiting)
# The facts of which the newest recorded since the publication brought the cause.
_BROUGHT: Mapping[str, tuple[type[f.TicketFact], ...]] = {
    "imported": (f.TicketOpened,),
    "typed_late": (f.TicketOpened,),
    "revision": (f.TicketRevised,),
    "exclusion": (f.TicketExcluded,),
    "reclassified": (f.TicketReclassified,),
    "target_moved": (f.TicketPrioritised, f.TicketPlanUpgraded),
    "merged": (f.TicketMerged,),
    "late_answer": _RESPONSES,
    "answered": _RESPONSES,
}


@dataclass
class Month:
    """A month's cases that have a target or not, by number, as of one instant and prefix of the log; their figures."""

    cases: dict[str, Row]
    tally: Tally
    at: str

    def rows(self) -> list[Row]:
        """Return the rows by level and priority."""
        return rows_of(self.tally.cells(), DEFAULT_BY)

    def totals(self) -> Row:
        """Return the figures over all of them."""
        return totals(self.tally.cells())

    def final_from(self) -> str:
        """Return the instant from which every verdict of the month is final, as it is known; "" without one."""
        return max((case["final_at"] for case in self.cases.values() if case["due_at"]), default="")

    def cell(self, ticket: str) -> list[str] | None:
        """Return a case's level, priority and verdict, None where it does not count."""
        case = self.cases.get(ticket)
        if case is None or not case["due_at"]:
            return None
        return [case["verdict_level"], case["verdict_priority"], verdict_of(case, self.at, raw=False)]

    def took(self, ticket: str) -> int | None:
        """Return the counted microseconds of a counting case's response, None without one that figures have."""
        cell = self.cell(ticket)
        elapsed = self.cases[ticket]["elapsed_us"] if cell and cell[2] in ("met", "breached") else -1
        return elapsed if elapsed >= 0 else None


def month_of(projector: Projector, month: str, at: str, position: int) -> Month:
    """Return a month's cases, folded from the log up to `position`.

    The read model tells which cases are of the month, which never changes.
    """
    going_on(projector)
    streams = [row[0] for row in projector.read.query("SELECT stream FROM r_tickets WHERE month = ?", [month])]
    tally, cases = Tally(DEFAULT_BY, at, raw=False, scope=Scope()), {}
    for case in folded.cases(projector, at, position, streams):
        tally.add(case)
        cases[case["ticket"]] = case
    return Month(cases, tally, at)


def figures(ledger: Ledger, values: dict[str, Any], at: str, _now: str) -> Row:
    """Return what `report.publish` freezes of a month: rows by level and priority, totals, and each verdict's cases.

    As of instant `at`, known up to the log's present `position`: the same can be folded from that prefix for ever.
    `final_from` is the instant from which all of these verdicts are final, "" without cases; it is not kept.
    """
    position = ledger.store.last_position()
    found = month_of(projector_of(ledger), values["month"], at, position)
    cases: dict[str, list[str]] = {}
    for ticket in sorted(found.cases):
        if cell := found.cell(ticket):
            cases.setdefault("/".join(cell), []).append(ticket)
    kept = {"position": position, "figures": found.rows(), "totals": found.totals(), "cases": cases}
    return {**kept, "final_from": found.final_from()}


def answer(ledger: Ledger, values: dict[str, Any], at: str, _now: str) -> Row:
    """Answer question `published`: a month as it was published last, as it is known now, and each case that differs.

    Where it was published as provisional before, `earlier` are those reports; `final_from` is when it can be for good.

    "Now" is `at` and `known_at` where they are asked for; NotFound when it was not yet published then.
    """
    month, zone, known = values["month"], ledger.catalogue.zone, values.get("known_at")
    position = ledger.store.last_position() if known is None else ledger.store.position_known_at(known)
    reports = [one for one in publications(ledger.store, month, position) if one.occurred_at <= at]
    if not reports:
        raise NotFound("not_published", month=month)
    report = reports[-1]
    projector = projector_of(ledger)
    was = month_of(projector, month, report.occurred_at, report.position)
    now = month_of(projector, month, at, position)
    return {
        "month": month,
        "zone": zone,
        "published_at": show(report.occurred_at, zone),
        "actor": report.by,
        "provisional": report.provisional,
        "reason": report.reason or None,
        "final_from": show(final_from, zone) if report.provisional and (final_from := now.final_from()) else None,
        "earlier": [_earlier(one, zone) for one in reports[:-1]],
        "digest": report.digest,
        "known_up_to": report.position,
        "at": show(at, zone),
        "known_at": None if known is None else show(known, zone),
        "published": report.figures,
        "now": now.rows(),
        "totals": {"published": report.totals or None, "now": now.totals()},
        "differences": _differences(projector, report, was, now, position, zone),
    }


def _earlier(report: f.ReportPublished, zone: str) -> Row:
    """Return a provisional report that another followed."""
    return {
        "published_at": show(report.occurred_at, zone),
        "actor": report.by,
        "reason": report.reason or None,
        "digest": report.digest,
        "known_up_to": report.position,
        "published": report.figures,
        "totals": report.totals or None,
    }


# --- differences ------------------------------------------------------------------------------------------------------


def _differences(
    projector: Projector, report: f.ReportPublished, was: Month, now: Month, position: int, zone: str
) -> list[Row]:
    """Return each case whose cell, or whose response's time, is another than the published one."""
    frozen = {ticket: key.split("/") for key, tickets in report.cases.items() for ticket in tickets}
    differ = [
        ticket
        for ticket in sorted(frozen.keys() | now.cases.keys())
        if frozen.get(ticket) != now.cell(ticket) or was.took(ticket) != now.took(ticket)
    ]
    streams = projector.streams(projector.store.rows_of_streams(sorted(map(ticket_stream, differ)), position))
    found = {}
    for stream in streams:
        ticket = stream.id.removeprefix(ticket_stream(""))
        before = frozen.get(ticket)
        cause = "recounted" if before != was.cell(ticket) else _cause(stream, ticket, was, now)
        found[ticket] = {
            "ticket": ticket,
            "was": _cell(before, was.took(ticket)),
            "is": _cell(now.cell(ticket), now.took(ticket)),
            "cause": cause,
            "fact": _brought(stream, cause, report.position, now.cases[ticket], zone),
        }
    return [found[ticket] for ticket in differ]


def _cell(cell: list[str] | None, took: int | None) -> Row | None:
    if cell is None:
        return None
    return {**dict(zip(("level", "priority", "verdict"), cell, strict=True)), "elapsed_us": took}


def _cause(stream: Stream, ticket: str, before: Month, now: Month) -> str:
    """Return why a case's verdict, cell or time is another than the published one: the first cause that applies."""
    was, is_ = before.cases.get(ticket), now.cases[ticket]
    if was is None:
        opened = next(fact for fact in stream.facts if isinstance(fact, f.TicketOpened))
        return "imported" if opened.source.startswith("import:") else "typed_late"
    if is_["revised"] != was["revised"]:
        return "revision"
    if is_["excluded"] != was["excluded"]:
        return "exclusion"
    if bool(is_["due_at"]) != bool(was["due_at"]) or is_["request"] != was["request"]:
        return "reclassified"
    if is_["due_at"] != was["due_at"] or is_["verdict_priority"] != was["verdict_priority"]:
        return "target_moved"
    if is_["counted_at"] != was["counted_at"]:
        if is_["merged_into"] != was["merged_into"]:
            return "merged"
        return "late_answer" if is_["counted_at"] <= before.at else "answered"
    return "breach_came_due" if verdict_of(was, before.at, raw=True) == "open" else "recounted"


def _brought(stream: Stream, cause: str, known: int, case: Row, zone: str) -> Row | None:
    """Return the fact that brought the cause: when it happened and was recorded, by whom, why; None where time did."""
    kinds = _BROUGHT.get(cause, ())
    facts = [
        (fact, row[4])
        for row, fact in zip(stream.rows, stream.facts, strict=True)
        if isinstance(fact, kinds) and (kinds is not _RESPONSES or fact.occurred_at == case["counted_at"])
        if row[0] > known or kinds is _RESPONSES
    ]
    if not facts:
        return None
    fact, recorded_at = facts[-1]
    return {
        "event": fact.TOPIC,
        "at": show(fact.occurred_at, zone),
        "recorded_at": show(recorded_at, zone),
        "by": fact.by,
        "reason": fact.reason or None,
    }


def differing(answer_: Mapping[str, Any]) -> Iterable[Row]:
    """Return the differences as flat rows: case, cause, by whom and when recorded, the cell and time before and now."""
    for one in answer_["differences"]:
        fact = one["fact"] or {}
        row = {"ticket": one["ticket"], "cause": one["cause"]}
        row |= {name: fact.get(name) for name in ("at", "recorded_at", "by", "reason")}
        for side in ("was", "is"):
            cell = dict(one[side] or {})
            took = cell.pop("elapsed_us", None)
            row |= {f"{side}_{name}": cell.get(name) for name in ("level", "priority", "verdict")}
            row[f"{side}_took"] = None if took is None else duration(took)
        yield row
