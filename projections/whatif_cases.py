"""The cases that a what-if counts again, read without writing anything.

A plain case (its due instant could be moved by nothing) is told by its row in the read model, wherever that stands;
the others, and those with events behind the read model's position, are folded from their streams in memory. Without
read models, or as of another time, all are.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from ledger import facts as f
from ledger import patience
from ledger.application import Ledger
from ledger.catalogue import Catalogue
from ledger.errors import Unavailable
from ledger.rules import sla
from ledger.rules.calendars import Calendar
from ledger.rules.grants import LEVELS
from ledger.rules.subscriptions import FAR, local_day
from ledger.rules.whatif import Counter, micros
from projections.model import Stream
from projections.projector import Projector
from projections.tickets import MODEL

_PLAIN = """SELECT stream, ticket, policy, calendar, verdict_level, verdict_priority, started_at, due_at, counted_at,
    excluded, revised, opened_on, zone, plain FROM r_tickets WHERE started_at <> ''"""
_TICKETS = "stream >= 'ticket/' AND stream < 'ticket0'"
_NEWER = f"SELECT DISTINCT stream FROM ledger_events WHERE position > ? AND position <= ? AND {_TICKETS}"
_WAITED = f"SELECT DISTINCT stream FROM ledger_events WHERE topic = 'ticket.waiting' AND {_TICKETS}"
_ALL = (
    "SELECT position, stream, version, topic, recorded_at, state FROM ledger_events"
    f" WHERE position <= ? AND {_TICKETS} ORDER BY stream, version"
)


@dataclass(frozen=True)
class Scope:
    """Which cases count, and as of when: local dates of opening, both included; `at` is "" for as things stand."""

    now: str
    since: str = ""
    until: str = ""
    at: str = ""
    known_at: str = ""
    raw: bool = False
    waits: bool = False  # whether a scenario pauses: then cases that waited are not plain

    def has(self, day: str) -> bool:
        """Whether a case opened on local date `day` counts."""
        return (not self.since or self.since <= day) and (not self.until or day <= self.until)


@dataclass
class Group:
    """Plain cases that were promised the same: columns side by side, and what counting them in a calendar gave."""

    policy: str
    calendar: str
    level: str
    priority: str
    day: str = ""  # when the first of them was opened
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    settled: Tally[str] = field(default_factory=Tally)  # excluded or revised: the same under every policy
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    in_time: list[bool] = field(default_factory=list)
    before: Tally[str] = field(default_factory=Tally)
    years: set[int] = field(default_factory=set)  # from the first opening to the last response
    _elapsed: dict[Calendar, list[int]] = field(default_factory=dict)

    def close(self, now: str) -> None:
        """Compute what every scenario needs, once its rows are complete."""
        end = micros(now)
        self.starts = [micros(row[6]) for row in self.rows]
        self.ends = [micros(row[8]) if row[8] else end for row in self.rows]
        self.in_time = [(row[8] or now) < row[7] for row in self.rows]
        known = [row[6] for row in self.rows] + [row[8] for row in self.rows if row[8]]
        self.years = set(range(int(min(known, default=now)[:4]), int(max(known, default="0000")[:4]) + 1))
        self.before = self.settled + Tally(map(verdict, self.rows, self.in_time))

    def elapsed(self, calendar: Calendar) -> list[int]:
        """Return each case's time counted in `calendar` up to its response, or until now."""
        found = self._elapsed.get(calendar)
        if found is None:
            counter = Counter(calendar, min(self.starts, default=0), max(self.ends, default=0))
            found = self._elapsed[calendar] = counter.elapsed(self.starts, self.ends)
        return found


def verdict(row: tuple[Any, ...], in_time: bool) -> str:
    """Return the verdict of a plain case that is neither excluded nor revised."""
    return ("met" if row[8] else "open") if in_time else "breached"


@dataclass
class Moved:
    """A case that is folded again under each policy."""

    ticket: str
    zone: str
    day: str
    policy: str
    facts: list[f.TicketFact]
    recorded: list[str]
    clock: sla.Clock
    at: str
    cells: frozenset[tuple[str, str]]  # every level with every priority that it ever had

    def under(self, policy: sla.Policy) -> sla.Clock:
        """Return the case under another policy."""
        patience.check()
        found = sla.run(self.facts, self.at, self.recorded, policy)
        assert found is not None
        return found


@dataclass
class Cases:
    """All that count, and the position of the log that they speak of."""

    groups: list[Group]
    moved: list[Moved]
    position: int


def read(ledger: Ledger, scope: Scope) -> Cases:
    """Read the cases of `scope`; nothing is written, whatever state the read models are in."""
    store = ledger.store
    projector = Projector(store, ledger.catalogue)
    try:
        if scope.at or scope.known_at:
            end = store.position_known_at(scope.known_at) if scope.known_at else store.last_position()
            return Cases([], _folded(projector, ledger.policy(), scope, end, None), end)
        known = _position(projector)
        rows = projector.read.query(_PLAIN + _dates(scope), _given(scope)) if known else []
        end = store.last_position()  # after the rows: what they lack lies between, and is folded
        again = {stream for (stream,) in store.query(_NEWER, [known, end])}
        if scope.waits:
            again |= {stream for (stream,) in store.query(_WAITED)}
        again |= {row[0] for row in rows if not row[13]}
        groups = _grouped(rows, again, scope)
        return Cases(groups, _folded(projector, ledger.policy(), scope, end, again if known else None), end)
    finally:
        projector.close()


def _position(projector: Projector) -> int:
    """Return how far the tickets' rows go, 0 where there are none of this version."""
    try:
        states = projector.states()
    except Unavailable:
        return 0
    return next((s.position for s in states if s.name == MODEL.name and s.version == MODEL.version), 0)


def _dates(scope: Scope) -> str:
    return " AND opened_on >= ?" * bool(scope.since) + " AND opened_on <= ?" * bool(scope.until)


def _given(scope: Scope) -> list[str]:
    return [day for day in (scope.since, scope.until) if day]


def _grouped(rows: Iterable[tuple[Any, ...]], again: set[str], scope: Scope) -> list[Group]:
    groups: dict[tuple[str, ...], Group] = {}
    raw = scope.raw
    for row in rows:
        if row[0] in again:
            continue
        key = row[2:6]
        group = groups.get(key)
        if group is None:
            group = groups[key] = Group(row[2], row[3], row[4], row[5], row[11])
        if raw or not (row[9] or row[10]):
            group.rows.append(row)
        else:
            group.settled[row[10] or "excluded"] += 1
    for group in groups.values():
        group.close(scope.now)
    return list(groups.values())


def _folded(
    projector: Projector, catalogue: Catalogue, scope: Scope, end: int, streams: set[str] | None
) -> list[Moved]:
    """Return the cases of `streams` up to position `end`; `catalogue` was asked for after that."""
    rows: Iterable[Any]
    if streams is None:
        rows = chain.from_iterable(projector.store.stream_query(_ALL, [end], 2000))
    else:
        rows = projector.store.rows_of_streams(sorted(streams), end)
    return list(_moved(projector.streams(rows), catalogue, scope))


def _moved(streams: Iterable[Stream], catalogue: Catalogue, scope: Scope) -> Iterator[Moved]:
    for stream in streams:
        facts = [fact for fact in stream.facts if isinstance(fact, f.TicketFact)]
        case = moved_case(facts, [row[4] for row in stream.rows], catalogue, scope.at or FAR)
        if case is not None and scope.has(case.day):
            yield case


def moved_case(facts: list[f.TicketFact], recorded: list[str], catalogue: Catalogue, at: str) -> Moved | None:
    """Return a case as of instant `at`; None where it was not open yet, or never had a target."""
    clock = sla.run(facts, at, recorded)
    if clock is None or not clock.started_at:
        return None
    opened, (policy, day) = clock.opened, policy_of(clock, catalogue)
    return Moved(opened.ticket_no, opened.zone, day, policy, facts, recorded, clock, at, _cells(facts))


def policy_of(clock: sla.Clock, catalogue: Catalogue) -> tuple[str, str]:
    """Return the version of the policy that governs a case, and the local date (YYYY-MM-DD) of its opening."""
    opened = clock.opened
    day = local_day(opened.occurred_at, opened.zone)
    # Where none is named it is that of its opening, for every level and priority.
    version = clock.policy or catalogue.target(LEVELS[0], clock.priority, day, opened.occurred_at).policy
    return version, day.isoformat()


def _cells(facts: Sequence[f.TicketFact]) -> frozenset[tuple[str, str]]:
    levels = {level for fact in facts if (level := getattr(fact, "level", ""))}
    priorities = {priority for fact in facts if (priority := getattr(fact, "priority", ""))}
    return frozenset((level, priority) for level in levels for priority in priorities)
