"""Warnings on a case: half, three quarters, nine tenths of the limit are used up, and all of it, without an answer.

They follow from the case's facts by rule, each dated at its own instant, so they are the same whether a job ran on
time or not; recording them is what lets somebody be told. Imported history gets none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from ledger import facts as f
from ledger import policies
from ledger.application import Ledger
from ledger.catalogue import Catalogue
from ledger.rules import segments, sla
from ledger.rules.instants import from_iso, to_iso
from ledger.rules.subscriptions import FAR
from ledger.store import IntegrityError, Recorded
from ledger.ticket import Ticket, ticket_stream

PERCENTS = (50, 75, 90, 100)
TOO_OLD = timedelta(days=7)  # what was due longer ago is history, and no news to anybody
BATCH = 200
ALWAYS = "24x7@1"


def oldest(now: str) -> str:
    """Return the instant up to which warnings are too old to be recorded at `now`."""
    return to_iso(from_iso(now) - TOO_OLD)


class Governed(NamedTuple):
    """A due instant, from when until when it was the promise, and what it was counted from and in."""

    since: str
    until: str
    start: str
    due_at: str
    calendar: str


def governed(facts: Sequence[f.TicketFact], clock: sla.Clock, catalogue: Catalogue) -> list[Governed]:
    """Return every due instant that a case has had, in the order in which they governed."""
    return governed_by(segments.limits(clock, facts, policies.Governing(clock, catalogue)))


def governed_by(limits: Sequence[segments.Limit]) -> list[Governed]:
    """Return the due instants that the limits of a case gave, in the order in which they governed."""
    spans: list[Governed] = []
    for limit in limits:
        if spans and spans[-1].until == FAR:
            spans[-1] = spans[-1]._replace(until=limit.at)
        if limit.cause != "left":
            spans.append(Governed(limit.at, FAR, limit.start, limit.due_at, limit.calendar or ALWAYS))
    return spans


def warnings(
    facts: Sequence[f.TicketFact], clock: sla.Clock, spans: Sequence[Governed], catalogue: Catalogue
) -> list[f.TicketWarned]:
    """Return the warnings of a case, past and to come, in order; none once it was answered, resolved or excluded.

    `spans` are its due instants (`governed`).
    An exclusion that its approver undid by answering kept it out until then, when nobody could act any more.
    """
    if clock.opened.source.startswith("import"):
        return []
    excluded = (x.occurred_at for x in facts if isinstance(x, f.TicketExcluded))
    left = min(excluded, default=FAR)
    answered = clock.responded_at or FAR
    found: list[f.TicketWarned] = []
    for span in spans:
        until = min(span.until, left)
        for percent, at in _instants(span, catalogue):
            if at >= until or at > answered:  # nor do those after it count: they are not worked out
                break
            # An answer at the due instant itself is a breach.
            if at >= span.since and (at < answered or percent == 100):
                found.append(_warned(clock.opened, span.due_at, percent, at))
    return found


def _warned(opened: f.TicketOpened, due_at: str, percent: int, at: str) -> f.TicketWarned:
    return f.TicketWarned(
        customer_no=opened.customer_no,
        ticket_no=opened.ticket_no,
        occurred_at=at,
        by="ledger",
        source="rule",
        key=f"{opened.ticket_no}:{due_at}:{percent}",
        percent=percent,
        due_at=due_at,
    )


def _instants(span: Governed, catalogue: Catalogue) -> Iterator[tuple[int, str]]:
    """Yield when each share of a limit is used up, one after the other."""
    calendar, start = catalogue.calendar(span.calendar), from_iso(span.start)
    total = calendar.elapsed_us(start, from_iso(span.due_at))
    for percent in PERCENTS:
        share = -(-total * percent // 100)
        yield percent, span.due_at if percent == 100 else to_iso(calendar.due(start, share))


# --- recording -------------------------------------------------------------------------------------------------------


class Warned(NamedTuple):
    """What was appended on one case, its stream's version, and the instant of its next warning (FAR: none)."""

    version: int
    facts: int
    next_at: str


def sweep(ledger: Ledger, numbers: Sequence[str], *, now: str) -> dict[str, Warned]:
    """Append the warnings that these cases lack and that fell due by `now`, in order; return what comes next on each.

    Nothing that was due more than seven days ago. Again, late or twice at once: nothing more is appended.
    """
    found: dict[str, Warned] = {}
    for start in range(0, len(numbers), BATCH):
        part = numbers[start : start + BATCH]
        try:
            found |= _together(ledger, part, now)
        except IntegrityError:  # another writer was faster on one of them
            for number in part:
                found |= _alone(ledger, number, now)
    return found


def standing(ledger: Ledger, number: str, *, now: str) -> Warned:
    """Say when the next warning on a case is due, or is lacking, as the log has it."""
    case, catalogue = ledger.ticket(number, must_exist=False), ledger.policy()
    return Warned(case.version, 0, _next(_lacking(case, catalogue), now))


def _alone(ledger: Ledger, number: str, now: str) -> Mapping[str, Warned]:
    while True:
        try:
            return _together(ledger, [number], now)
        except IntegrityError:
            continue  # whoever won has written: each turn sees more of it


def _together(ledger: Ledger, numbers: Sequence[str], now: str) -> dict[str, Warned]:
    since, cases = oldest(now), list(_load(ledger, numbers))
    catalogue = ledger.policy()  # after the cases: it has whatever was assigned before they were opened
    found: dict[str, Warned] = {}
    rows: list[Recorded] = []
    for case in cases:
        lacking = _lacking(case, catalogue)
        new = [fact for fact in lacking if since < fact.occurred_at <= now]
        rows += case.rows(*new)
        rest = [fact for fact in lacking if fact.occurred_at > now]
        found[case.number] = Warned(case.version + len(new), len(new), _next(rest, now))
    if rows:
        rows.sort(key=lambda row: row.fact.occurred_at)
        # A job may run as if it were earlier: the stamp says when it was written.
        ledger.append(rows, max(now, ledger.clock.now()), None, {})
    return found


def _load(ledger: Ledger, numbers: Sequence[str]) -> Iterator[Ticket]:
    streams = {ticket_stream(number): number for number in numbers}
    rows = ledger.store.rows_of_streams(list(streams), ledger.store.last_position())
    for stream, group in groupby(rows, key=attrgetter("stream")):
        facts = [(row, f.decode(row.topic, row.state, row.position)) for row in group]
        events = [Recorded(row.stream, row.version, fact, row.recorded_at, row.position) for row, fact in facts]
        yield Ticket(streams[stream], events)


def _lacking(case: Ticket, catalogue: Catalogue) -> list[f.TicketWarned]:
    clock = sla.run(case.facts, FAR, case.recorded)
    if clock is None:
        return []
    recorded = {fact.key for fact in case.facts if isinstance(fact, f.TicketWarned)}
    due = warnings(case.facts, clock, governed(case.facts, clock, catalogue), catalogue)
    return [fact for fact in due if fact.key not in recorded]


def _next(lacking: Sequence[f.TicketWarned], now: str) -> str:
    since = oldest(now)
    return min((fact.occurred_at for fact in lacking if fact.occurred_at > since), default=FAR)
