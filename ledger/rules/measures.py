"""What is measured without a contracted target: next responses, resolutions, what was asked of the customer.

Paused while waiting on the customer (DOMAIN.md, "Response targets"); the first response is paused by nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ledger import facts as f
from ledger.rules.calendars import ALWAYS, Calendar
from ledger.rules.instants import from_iso
from ledger.rules.responses import responses
from ledger.rules.segments import Limit, Terms, span_us


class Wait(NamedTuple):
    """What was asked of the customer, from when until when ("" = still); `text` is the asking's."""

    start: str
    end: str
    us: int
    by: str
    text: str


class Cycle(NamedTuple):
    """One next response or resolution, from `start` to `end` ("" = still awaited), without its pauses.

    `plain_us` is physical time, `counted_us` that of the case's calendar.
    """

    start: str
    end: str
    plain_us: int
    counted_us: int
    paused_us: int


def waits(facts: Sequence[f.TicketFact], at: str) -> list[Wait]:
    """Return the waits on the customer as of `at`; `facts` in the order of their dates."""
    return [
        Wait(one.occurred_at, end, span_us(one.occurred_at, end or at), one.by, one.text) for one, end in asked(facts)
    ]


def asked(facts: Iterable[f.TicketFact]) -> Iterator[tuple[f.TicketWaiting, str]]:
    """Yield each asking of the customer with the instant at which its wait ended ("" = still); `facts` by date."""
    asking: f.TicketWaiting | None = None
    for fact in facts:
        if isinstance(fact, f.TicketWaiting):
            asking = asking or fact
        elif asking is not None and isinstance(fact, (f.TicketMessage, f.TicketResumed, f.TicketResolved)):
            yield asking, fact.occurred_at
            asking = None
    if asking is not None:
        yield asking, ""


def next_responses(facts: Sequence[f.TicketFact], at: str, calendar: Calendar, pauses: Sequence[Wait]) -> list[Cycle]:
    """Return each exchange after the first response: from the customer's first unanswered message to our answer."""
    found: list[Cycle] = []
    answered, since = False, ""
    priority = next((x.priority for x in facts if isinstance(x, f.TicketOpened)), "")
    answers = {id(fact) for fact in responses(facts, priority)}
    for fact in facts:
        if isinstance(fact, f.TicketMessage):
            since = since or (fact.occurred_at if answered else "")
        elif id(fact) in answers or isinstance(fact, f.TicketMerged):
            answered = answered or id(fact) in answers
            if since:  # merged, it is awaited in the other case
                found.append(_cycle(since, fact.occurred_at, at, calendar, pauses))
                since = ""
    if since:
        found.append(_cycle(since, "", at, calendar, pauses))
    return found


def told_again(facts: Sequence[f.TicketFact]) -> set[int]:
    """Return the identities of reopenings that never were, with the resolution after each; `facts` by their dates.

    An imported row that says again that a case is resolved was read as reopening and resolving it in one instant: only
    a change of state counts.
    """
    found: set[int] = set()
    reopened: f.TicketReopened | None = None
    for fact in facts:
        if isinstance(fact, f.TicketReopened):
            reopened = fact
        elif reopened is not None and isinstance(fact, f.TicketResolved):
            if fact.row and (fact.row, fact.occurred_at) == (reopened.row, reopened.occurred_at):
                found |= {id(reopened), id(fact)}
            reopened = None
    return found


def resolutions(
    opened_at: str, facts: Sequence[f.TicketFact], at: str, calendar: Calendar, pauses: Sequence[Wait]
) -> list[Cycle]:
    """Return each way to a resolution: from the opening, then from each reopening."""
    found: list[Cycle] = []
    since, again = opened_at, told_again(facts)
    for fact in facts:
        if id(fact) in again:
            continue
        if isinstance(fact, f.TicketResolved) and since:
            found.append(_cycle(since, fact.occurred_at, at, calendar, pauses))
            since = ""
        elif isinstance(fact, f.TicketReopened) and not since:
            since = fact.occurred_at
    if since:
        found.append(_cycle(since, "", at, calendar, pauses))
    return found


def _cycle(start: str, end: str, at: str, calendar: Calendar, pauses: Sequence[Wait]) -> Cycle:
    until = end or at
    inside = [(max(p.start, start), min(p.end or at, until)) for p in pauses]
    inside = [(since, to) for since, to in inside if since < to]
    paused = sum(span_us(since, to) for since, to in inside)
    counted = elapsed(calendar, start, until) - sum(elapsed(calendar, since, to) for since, to in inside)
    return Cycle(start, end, span_us(start, until) - paused, counted, paused)


def elapsed(calendar: Calendar, start: str, end: str) -> int:
    """Return the counted microseconds between two canonical instants; 0 where the end lies before the start."""
    return calendar.elapsed_us(from_iso(start), from_iso(end)) if start < end else 0


def counted(found: Sequence[Limit], end: str, terms: Terms) -> int:
    """Return the counted microseconds up to `end` of limits that came to govern one after the other, each in its own.

    The time before the start of one is told by those before it, as in `segments`; a case that left compliance for a
    while was counted all along, for its first due instant was.
    """
    total, until = 0, end
    for limit in reversed(found):
        since = min(limit.start, until)
        total += elapsed(terms.calendar(limit.calendar) if limit.calendar else ALWAYS, since, until)
        until = since
    return total
