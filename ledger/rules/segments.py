"""The time of one response, cut into segments: each counted or not, and why (DOMAIN.md, "Response targets").

A case is governed by one limit after another: the opening's, that of a raise which came earlier, that of a lowering.
The last one gives the due instant, counted from its own start in its own calendar; the time before that start is told
by what governed then. So the segments fit together, and the due instant follows from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple, Protocol

from ledger import facts as f
from ledger.rules import instants
from ledger.rules.calendars import Calendar
from ledger.rules.instants import from_iso, to_iso
from ledger.rules.sla import Clock, Move

_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)

# Why a segment counts, or does not. Waiting on the customer stops the clock only under a policy that pauses.
OPEN = "open"
WAITING = "waiting"
CLOSED = ("night", "break", "weekend", "holiday", "special")
OUTSIDE = ("before_target", "left", "no_target")


class Terms(Protocol):
    """What the policy of a case's opening says: looked up by the caller, so that rules stay pure."""

    def target(self, level: str, priority: str, start: str = "") -> tuple[int, str]:
        """Return the limit in microseconds and the calendar (name@version) of a level and priority.

        `start`, the instant it is counted from, tells whether another system stated a limit of its own there.
        """

    def calendar(self, reference: str) -> Calendar:
        """Return the calendar that `name@version` names."""


class Limit(NamedTuple):
    """A limit that came to govern at `at` by `cause`: `limit_us` of `calendar`, counted from `start`.

    `calendar` is "" after the case left compliance: nothing is counted from then on.
    """

    cause: str
    at: str
    level: str
    priority: str
    limit_us: int
    calendar: str
    start: str
    due_at: str


class Segment(NamedTuple):
    """A stretch of time, from `start` up to `end` (UTC text): `counted` or not, and `why`.

    `day` is the local date of a holiday or of special hours, `limit` the place of the limit that governed (-1: none).
    """

    start: str
    end: str
    us: int
    counted: bool
    why: str
    day: str
    calendar: str
    limit: int


def limits(clock: Clock, facts: Sequence[f.TicketFact], terms: Terms, *, promised: bool = True) -> list[Limit]:
    """Return every limit that came to govern the case, in order: the last one gives its due instant.

    Where nothing of it was `promised` (another policy), also the limits that facts name are those of `terms`.
    """
    found: list[Limit] = []
    for move in clock.moves:
        if move.before == move.after:
            continue
        one = _governs(move, clock, facts, terms, found)
        if not promised and one.calendar:
            limit_us, calendar = terms.target(one.level, one.priority, one.start)
            one = one._replace(limit_us=limit_us, calendar=calendar)
        found.append(one)
    return found


def _governs(move: Move, clock: Clock, facts: Sequence[f.TicketFact], terms: Terms, before: list[Limit]) -> Limit:
    level, priority = move.level, move.priority
    if move.cause == "left":
        return Limit("left", move.at, before[-1].level, before[-1].priority, 0, "", move.at, "")
    if move.cause == "opened":
        opened = clock.opened
        return Limit("opened", move.at, level, priority, opened.limit_us, opened.calendar, move.at, move.after)
    if move.cause == "joined" and not move.before and before:  # back to what it left with; of old, to its first due
        first = next((one for one in before if one.due_at == clock.first_due and one.start == clock.started_at), None)
        left_with = (move.after, level, priority)
        back = next((x for x in reversed(before) if (x.due_at, x.level, x.priority) == left_with), first)
        if back is not None:
            return back._replace(cause="joined", at=move.at)
    if move.cause == "joined":
        fact = next(x for x in facts if isinstance(x, f.TicketReclassified) and x.occurred_at == move.at and x.due_at)
        return Limit("joined", move.at, level, priority, fact.limit_us, fact.calendar, move.at, move.after)
    limit_us, calendar = terms.target(level, priority)
    limit_us = _own_limit(facts, move) or limit_us
    start = clock.started_at if move.cause == "lowered" else move.at
    return Limit(move.cause, move.at, level, priority, limit_us, calendar, start, move.after)


def _own_limit(facts: Sequence[f.TicketFact], move: Move) -> int:
    """Return the limit that a change of priority brought by itself (an imported one of another system), else 0."""
    own = (x for x in facts if isinstance(x, f.TicketPrioritised) and x.limit_us and x.occurred_at == move.at)
    return next((x.limit_us for x in own if x.due_at == move.after), 0)


def segments(
    opened_at: str, end: str, found: Sequence[Limit], terms: Terms, pauses: Sequence[tuple[str, str]] = ()
) -> list[Segment]:
    """Return the segments from the opening to `end`, every microsecond in exactly one, in order.

    `pauses` (in order, apart, half-open, "" = without an end) are not counted: what is open in them is waiting.
    """
    pieces: list[tuple[str, str, int]] = []
    until = end
    for number in range(len(found) - 1, -1, -1):
        since = min(found[number].start, until)
        if since < until:
            pieces.append((since, until, number))
        until = since
    if opened_at < until:
        why = "before_target" if found else "no_target"
        outside = [Segment(opened_at, until, span_us(opened_at, until), False, why, "", "", -1)]
    else:
        outside = []
    inside = (one for piece in reversed(pieces) for one in _piece(*piece, found, terms))
    return outside + [part for one in inside for part in _without(one, pauses)]


def _without(one: Segment, pauses: Sequence[tuple[str, str]]) -> Iterator[Segment]:
    """Yield a segment cut by pauses: what is closed stays so."""
    at = one.start
    for begins, ends in pauses if one.counted else ():
        since, until = max(begins, at), min(ends or one.end, one.end)
        if since < until:
            if at < since:
                yield _part(one, at, since)
            yield _part(one, since, until)._replace(counted=False, why=WAITING)
            at = until
    if at < one.end:
        yield _part(one, at, one.end)


def _part(one: Segment, start: str, end: str) -> Segment:
    return one._replace(start=start, end=end, us=span_us(start, end))


def _piece(start: str, end: str, number: int, found: Sequence[Limit], terms: Terms) -> Iterator[Segment]:
    reference = found[number].calendar
    if not reference:
        yield Segment(start, end, span_us(start, end), False, "left", "", "", number)
        return
    calendar = terms.calendar(reference)
    for since, until, why, day in _stretches(calendar, from_iso(start), from_iso(end)):
        us = (until - since) // _MICROSECOND
        yield Segment(to_iso(since), to_iso(until), us, why == OPEN, why, day, reference, number)


def counting(found: Sequence[Limit], cut: Sequence[Segment]) -> list[Limit]:
    """Return the limits that some segment was told by, and the last one: others were overtaken without counting."""
    told = {one.limit for one in cut} | {len(found) - 1}
    return [limit for number, limit in enumerate(found) if number in told]


def span_us(start: str, end: str) -> int:
    """Return the physical microseconds from one canonical instant to another."""
    return (from_iso(end) - from_iso(start)) // _MICROSECOND


_Stretch = tuple[datetime, datetime, str, str]


def _stretches(calendar: Calendar, start: datetime, end: datetime) -> Iterator[_Stretch]:
    """Yield (from, until, why, day) over the whole span: open, or closed for one reason."""
    at = start
    for opens, closes in calendar.spans(start, end):
        yield from _closed(calendar, at, opens)
        yield opens, closes, OPEN, ""
        at = closes
    yield from _closed(calendar, at, end)


def _closed(calendar: Calendar, start: datetime, end: datetime) -> Iterator[_Stretch]:
    """Yield a closed span, cut at the midnights between which its reason changes."""
    kept: _Stretch | None = None
    at = start
    while at < end:
        day = instants.local_date(at, calendar.zone)
        midnight = instants.midnight(day + _DAY, calendar.zone)
        while midnight <= at:  # a date gone through twice, or skipped
            day += _DAY
            midnight = instants.midnight(day + _DAY, calendar.zone)
        until = min(midnight, end)
        why, named = _reason(calendar, day, at)
        if kept is not None and kept[2:] == (why, named):
            kept = (kept[0], until, why, named)
        else:
            if kept is not None:
                yield kept
            kept = (at, until, why, named)
        at = until
    if kept is not None:
        yield kept


def _reason(calendar: Calendar, day: date, at: datetime) -> tuple[str, str]:
    """Return why the calendar is closed at `at` on local `day`, with the date where one is to be named."""
    usual = calendar.week[day.weekday()]
    spans = calendar.dates.get(day, usual)
    if not spans:
        return ("holiday", day.isoformat()) if usual else ("weekend", "")
    if spans != usual:
        return "special", day.isoformat()
    wall = at.astimezone(instants.zone(calendar.zone, "zone"))
    second = wall.hour * 3600 + wall.minute * 60 + wall.second
    between = any(closes <= second for _opens, closes in spans) and any(opens > second for opens, _closes in spans)
    return ("break" if between else "night"), ""
