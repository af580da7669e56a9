"""Another system's verdicts beside ours, ticket by ticket, and why they differ.

Imported cases keep what the other system held of them (`TicketJudgedElsewhere`). Where its verdict is not ours, each
thing that the two may count differently is tried: what would make our verdict theirs is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ledger import facts as f
from ledger.application import Ledger
from ledger.catalogue import Catalogue
from ledger.explaining import PolicyOf
from ledger.rules.instants import from_iso, show, to_iso
from ledger.rules.segments import Limit, span_us
from ledger.rules.subscriptions import local_day
from ledger.rules.whatif import paused_due, pauses
from projections.compliance import VERDICTS, basis_points
from projections.model import Case
from projections.projector import Projector, projector_of

Row = dict[str, Any]
THEIR_VERDICTS = ("met", "breached", "excluded")
# Why two verdicts differ, in the order in which they are tried and told.
CAUSES = (
    *("excluded", "revised", "they_exclude", "same_limit", "their_due", "their_response", "pauses", "policy_limit"),
    *("calendar", "opening_limit", "last_limit", "any_answer", "resolution", "unknown"),
)
COLUMNS = (
    *("ticket", "customer", "agent", "level", "priority", "stated", "system", "opened_at", "verdict", "their_verdict"),
    *("agrees", "due_at", "their_due_at", "responded_at", "their_responded_at", "why", "why_calendar"),
)
_PAGE = 500
_OTHER_DUE = ("pauses", "policy_limit", "opening_limit", "last_limit")  # with "calendar"
_MINUTE_US = 60_000_000


class _Both(NamedTuple):
    """A case with what the other system held of it, as of one instant."""

    case: Case
    theirs: f.TicketJudgedElsewhere
    at: str

    @property
    def ours(self) -> str:
        return self.case.clock.verdict(self.at)


def answer(ledger: Ledger, values: Row, at: str, now: str) -> Row:
    """Answer question `compare`: totals over all that the other system judged, and each ticket, differing ones first.

    `differing` lists those alone; `most` cuts the list, never the totals.
    """
    found = list(compared(ledger, values, at))
    listed = [row for row in found if row["agrees"] is False or not values.get("differing")]
    listed.sort(key=lambda row: (row["agrees"] is not False, row["ticket"]))
    zone = ledger.catalogue.zone
    return {
        "at": show(at, zone),
        "known_at": show(values["known_at"], zone) if "known_at" in values else None,
        "totals": totals(found),
        "causes": _causes(found),
        "tickets": listed[: values.get("most", len(listed))],
    }


def totals(rows: Iterable[Mapping[str, Any]]) -> Row:
    """Return how many tickets were judged by both, agree, differ; each one's verdicts; each one's share met."""
    rows = list(rows)
    judged = [row for row in rows if row["agrees"] is not None]
    ours = {verdict: sum(row["verdict"] == verdict for row in judged) for verdict in VERDICTS}
    theirs = {verdict: sum(row["their_verdict"] == verdict for row in judged) for verdict in THEIR_VERDICTS}
    return {
        "tickets": len(rows),
        "judged": len(judged),
        "agree": sum(row["agrees"] for row in judged),
        "differ": sum(not row["agrees"] for row in judged),
        **{f"ours_{verdict}": count for verdict, count in ours.items()},
        **{f"theirs_{verdict}": count for verdict, count in theirs.items()},
        "ours_met_bp": basis_points(ours["met"], ours["breached"]),
        "theirs_met_bp": basis_points(theirs["met"], theirs["breached"]),
    }


def _causes(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Return how often each first cause is why two verdicts differ, in the order of CAUSES."""
    firsts = [row["why"][0] for row in rows if row["why"]]
    return [{"why": cause, "count": firsts.count(cause)} for cause in CAUSES if cause in firsts]


def compared(ledger: Ledger, values: Row, at: str) -> Iterator[Row]:
    """Yield each ticket that the other system judged, by number, as of `at` and known by `values["known_at"]`."""
    store, projector = ledger.store, projector_of(ledger)
    position = store.position_known_at(values["known_at"]) if "known_at" in values else store.last_position()
    sql = "SELECT DISTINCT stream FROM ledger_events WHERE topic = ? AND position <= ? ORDER BY stream"
    streams = [str(row[0]) for row in store.query(sql, [f.TicketJudgedElsewhere.TOPIC, position])]
    policy = ledger.policy()
    for start in range(0, len(streams), _PAGE):
        for both in _cases(projector, streams[start : start + _PAGE], at, position):
            if _wanted(both, values):
                yield _row(both, policy)


def _cases(projector: Projector, streams: list[str], at: str, position: int) -> Iterator[_Both]:
    for stream in projector.streams(projector.store.rows_of_streams(streams, position)):
        case = stream.case_at(at)
        said = [x for x in stream.facts if isinstance(x, f.TicketJudgedElsewhere) and x.occurred_at <= at]
        if case is not None and said:
            yield _Both(case, said[-1], at)


def _wanted(both: _Both, values: Row) -> bool:
    clock, opened = both.case.clock, both.case.clock.opened
    day = local_day(opened.occurred_at, opened.zone).isoformat()
    if day < (values.get("from") or "") or day > (values.get("to") or "9999"):
        return False
    shown = {"level": clock.verdict_level or clock.level, "priority": clock.verdict_priority or clock.priority}
    shown |= {"customer": opened.customer_no, "agent": clock.responded_by or clock.assigned_to}
    return all(values[name] == value for name, value in shown.items() if values.get(name))


def _row(both: _Both, policy: Catalogue) -> Row:
    clock, theirs = both.case.clock, both.theirs
    opened, zone = clock.opened, clock.opened.zone
    verdict, judged = both.ours, theirs.verdict or _by_instants(theirs)
    agrees = None if not judged else judged == verdict
    why = [] if agrees is not False else list(_why(both, judged, policy)) or [("unknown", "")]
    return {
        "ticket": opened.ticket_no,
        "customer": opened.customer_no,
        "agent": clock.responded_by or clock.assigned_to or None,
        "level": clock.verdict_level or clock.level or None,
        "priority": clock.verdict_priority or clock.priority,
        "stated": opened.stated or None,
        "system": theirs.system,
        "opened_at": show(opened.occurred_at, zone),
        "verdict": verdict,
        "their_verdict": judged or None,
        "agrees": agrees,
        "due_at": show(clock.due_at, zone) if clock.due_at else None,
        "their_due_at": show(theirs.due_at, zone) if theirs.due_at else None,
        "responded_at": show(clock.counted_at, zone) if clock.counted_at else None,
        "their_responded_at": show(theirs.responded_at, zone) if theirs.responded_at else None,
        "why": [cause for cause, _detail in why],
        "why_calendar": next((detail for _cause, detail in why if detail), None),
    }


def _by_instants(theirs: f.TicketJudgedElsewhere) -> str:
    """Return the verdict that their instants make, where they told no word for it; "" where they do not tell it."""
    if not (theirs.due_at and theirs.responded_at):
        return ""
    return "met" if theirs.responded_at <= theirs.due_at else "breached"


# --- why -------------------------------------------------------------------------------------------------------------


def _why(both: _Both, judged: str, policy: Catalogue) -> Iterator[tuple[str, str]]:
    """Yield each cause that alone makes our verdict theirs, with the calendar where it is one."""
    clock = both.case.clock
    raw = clock.raw_verdict(both.at)
    if clock.revised and judged == ("excluded" if clock.excluded else raw):
        yield "revised", ""
        return
    if both.ours == "excluded" and not clock.revised and raw == judged:
        yield "excluded", ""
        return
    if judged == "excluded":
        yield "they_exclude", ""
    if judged not in ("met", "breached") or not clock.due_at:
        return
    same_due = both.theirs.due_at == clock.due_at  # what supposes another one is no cause then: they tell ours
    for cause, made in _TRIED.items():
        if not (same_due and cause in _OTHER_DUE) and made(both, judged):
            yield cause, ""
    if not same_due:
        yield from _calendars(both, judged, policy)
    for cause, made in _TRIED_LAST.items():
        if not (same_due and cause in _OTHER_DUE) and made(both, judged):
            yield cause, ""


def _verdict(responded_at: str, due_at: str, at: str) -> str:
    if responded_at:
        return "met" if responded_at < due_at else "breached"
    return "open" if at < due_at else "breached"


def _same_limit(both: _Both, judged: str) -> bool:
    """Whether the response came so near to the due instant that rounding to minutes, or "at most", tells."""
    clock = both.case.clock
    if not clock.counted_at:
        return False
    near = span_us(*sorted((clock.counted_at, clock.due_at))) < _MINUTE_US
    return near and judged == ("met" if clock.counted_at >= clock.due_at else "breached")


def _their_due(both: _Both, judged: str) -> bool:
    clock, theirs = both.case.clock, both.theirs
    differs = bool(theirs.due_at) and theirs.due_at != clock.due_at
    return differs and _verdict(clock.counted_at, theirs.due_at, both.at) == judged


def _their_response(both: _Both, judged: str) -> bool:
    clock, theirs = both.case.clock, both.theirs
    differs = bool(theirs.responded_at) and theirs.responded_at != clock.counted_at
    return differs and _verdict(theirs.responded_at, clock.due_at, both.at) == judged


def _pauses(both: _Both, judged: str) -> bool:
    """Whether a clock that stands still while we wait on the customer gives their verdict."""
    found, waits = _governing(both), pauses(both.case.facts)
    if found is None or not waits:
        return False
    due = paused_due(both.case.terms.calendar(found.calendar), found.start, found.limit_us, waits)
    return _verdict(both.case.clock.counted_at, to_iso(due) if due is not None else "9999", both.at) == judged


def _policy_limit(both: _Both, judged: str) -> bool:
    """Whether our policy's limit gives it, in the place of the limit of its own that the mapping gave its priority."""
    found = _governing(both)
    if found is None:
        return False
    limit_us, calendar = both.case.terms.target(found.level, found.priority)
    if limit_us == found.limit_us:
        return False
    due = to_iso(both.case.terms.calendar(calendar).due(from_iso(found.start), limit_us))
    return _verdict(both.case.clock.counted_at, due, both.at) == judged


def _opening_limit(both: _Both, judged: str) -> bool:
    """Whether the due instant of the opening gives it: nothing moves it there."""
    clock = both.case.clock
    return clock.first_due != clock.due_at and _verdict(clock.counted_at, clock.first_due, both.at) == judged


def _last_limit(both: _Both, judged: str) -> bool:
    """Whether the limit of the last priority, counted from the opening, gives it."""
    clock, terms = both.case.clock, both.case.terms
    if clock.priority == clock.verdict_priority or not clock.level:
        return False
    limit_us, calendar = terms.target(clock.level, clock.priority)
    due = to_iso(terms.calendar(calendar).due(from_iso(clock.started_at), limit_us))
    return _verdict(clock.counted_at, due, both.at) == judged


def _any_answer(both: _Both, judged: str) -> bool:
    """Whether an answer that is none here (by its channel, or asking the customer) is one there."""
    kinds = (f.TicketResponded, f.TicketWaiting, f.TicketResolved)
    answers = [x.occurred_at for x in both.case.facts if isinstance(x, kinds) and x.occurred_at <= both.at]
    first, clock = min(answers, default=""), both.case.clock
    return first != clock.counted_at and bool(first) and _verdict(first, clock.due_at, both.at) == judged


def _resolution(both: _Both, judged: str) -> bool:
    """Whether they judge when the case was resolved, not when it was answered."""
    resolved = [x.occurred_at for x in both.case.facts if isinstance(x, f.TicketResolved) and x.occurred_at <= both.at]
    last, clock = max(resolved, default=""), both.case.clock
    return bool(last) and last != clock.counted_at and _verdict(last, clock.due_at, both.at) == judged


def _calendars(both: _Both, judged: str, policy: Catalogue) -> Iterator[tuple[str, str]]:
    """Yield the calendars in which the same limit gives their verdict."""
    found = _governing(both)
    if found is None:
        return
    terms = PolicyOf(both.case.clock.opened, policy)
    for reference in terms.alternatives(both.at):
        if reference == found.calendar:
            continue
        due = terms.calendar(reference).due(from_iso(found.start), found.limit_us)
        if _verdict(both.case.clock.counted_at, to_iso(due), both.at) == judged:
            yield "calendar", reference
            return


def _governing(both: _Both) -> Limit | None:
    """Return the limit that governs the due instant; None where none does."""
    limits = [one for one in both.case.limits if one.calendar]
    return limits[-1] if limits else None


_Made = Callable[[_Both, str], bool]
_TRIED: dict[str, _Made] = {
    "same_limit": _same_limit,
    "their_due": _their_due,
    "their_response": _their_response,
    "pauses": _pauses,
    "policy_limit": _policy_limit,
}
_TRIED_LAST: dict[str, _Made] = {
    "opening_limit": _opening_limit,
    "last_limit": _last_limit,
    "any_answer": _any_answer,
    "resolution": _resolution,
}
