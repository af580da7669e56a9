"""Why a response was met or breached: each segment of its time, each change of its due, and what else could have been.

All of it follows from a case's facts with their recorded instants, the policy of its opening, and the instant asked
about (DOMAIN.md, "Response targets"; notes/peers-sla.md, D7). Instants are canonical text, durations microseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from ledger import facts as f
from ledger.errors import Refused
from ledger.rules import sla
from ledger.rules.calendars import ALWAYS, Calendar
from ledger.rules.grants import LEVELS
from ledger.rules.instants import to_iso
from ledger.rules.measures import Cycle, Wait, elapsed, next_responses, resolutions, waits
from ledger.rules.responses import answers, first_response, reminds, responses
from ledger.rules.segments import Limit, Segment, Terms, counting, limits, segments, span_us
from ledger.rules.subscriptions import FAR
from ledger.rules.whatif import paused_due, pauses

T = TypeVar("T", bound=f.TicketFact)
Stops = Sequence[tuple[str, str]]  # in which the clock stands still: as `ledger.rules.whatif.pauses` gives them


class Late(NamedTuple):
    """A fact that a verdict could stand on, recorded after it was final: shown, not applied."""

    fact: f.TicketFact
    recorded_at: str


class Uncounted(NamedTuple):
    """What might be taken for an answer and stopped no clock: `why` is one of `UNCOUNTED`."""

    fact: f.TicketFact
    recorded_at: str
    why: str


class Other(NamedTuple):
    """What would have been: `kind` is answered_before, without, calendar, level or late_facts.

    `of` names it (the cause taken away, the calendar, the level), `at` the change taken away. `verdict` is raw.
    """

    kind: str
    of: str
    at: str
    due_at: str
    verdict: str


@dataclass(frozen=True)
class Explanation:
    """A verdict with all it stands on. `end` is where the segments end: `until` says whether the response, due or `at`.

    `elapsed_us` are the counted segments from the opening, `used_us` those of the limit that governs (`limits[-1]`),
    `left_us` what was left of it. `late_us` and `early_us` are physical, from the due instant; one of them is 0.
    """

    clock: sla.Clock
    at: str
    raw: str
    verdict: str
    end: str
    until: str
    limits: Sequence[Limit]
    segments: Sequence[Segment]
    span_us: int
    elapsed_us: int
    used_us: int
    left_us: int
    late_us: int
    early_us: int
    reproduced: bool
    late: Sequence[Late]
    uncounted: Sequence[Uncounted]
    reminders: Mapping[str, f.TicketFact]  # what a lowering may name, by its instant
    others: Sequence[Other]
    exclusion: f.TicketExcluded | None
    revision: f.TicketRevised | None
    response: f.TicketFact | None
    waits: Sequence[Wait]
    next_responses: Sequence[Cycle]
    resolutions: Sequence[Cycle]


def explain(
    facts: Sequence[f.TicketFact],
    recorded: Sequence[str],
    at: str,
    terms: Terms,
    alternatives: Sequence[str] = (),
    newest: Sequence[str] = (),
    *,
    pausing: bool | None = None,
) -> Explanation | None:
    """Explain a case as of instant `at`; None when it was not open yet.

    `facts` in the order of the log, `recorded` when each was. `alternatives`: calendars to try, unused ones `newest`.
    With `pausing` (whether the clock stands still in waits) `terms` and verdict are those of another policy.
    """
    clock = sla.run(facts, at, recorded, None if pausing is None else _policy(terms, pausing))
    if clock is None:
        return None
    known = _known(facts, recorded, at)
    standing = [fact for fact, _when in known[: len(known) - len(clock.late)]]  # what the verdict stands on
    everything, stops = sorted((fact for fact, _when in known), key=_date), pauses(standing) if pausing else ()
    found = limits(clock, standing, terms, promised=pausing is None)
    end, until = _end(clock, at)
    cut = segments(clock.opened.occurred_at, end, found, terms, stops)
    governing = found[-1] if found and found[-1].calendar else None
    used = sum(one.us for one in cut if one.counted and one.start >= governing.start) if governing else 0
    calendar, asked_of_them, reached = _calendar(clock, governing, terms), waits(everything, at), clock.counted_at or at
    tried = _but_used(alternatives, newest, counting(found, cut))
    return Explanation(
        clock=clock,
        at=at,
        raw=clock.raw_verdict(at),
        verdict=clock.verdict(at),
        end=end,
        until=until,
        limits=found,
        segments=cut,
        span_us=span_us(clock.opened.occurred_at, end),
        elapsed_us=sum(one.us for one in cut if one.counted),
        used_us=used,
        left_us=max(governing.limit_us - used, 0) if governing else 0,
        late_us=_beyond(clock.due_at, reached),
        early_us=_beyond(reached, clock.due_at),
        reproduced=governing is None or _due(terms, governing, stops) == clock.due_at,
        late=[Late(fact, when) for fact, when in known[len(standing) :] if _could_matter(fact, clock, everything)],
        uncounted=list(_uncounted(clock, standing, known)),
        reminders={fact.occurred_at: fact for fact in everything if reminds(fact)},
        others=list(_others(clock, standing, known, at, terms, tried, pausing)),
        exclusion=_exclusion(clock, standing),
        revision=_last(everything, f.TicketRevised),
        response=first_response(sorted(standing, key=_date), clock.opened.priority),
        waits=asked_of_them,
        next_responses=next_responses(everything, at, calendar, asked_of_them),
        resolutions=resolutions(clock.opened.occurred_at, everything, at, calendar, asked_of_them),
    )


def _known(facts: Sequence[f.TicketFact], recorded: Sequence[str], at: str) -> list[tuple[f.TicketFact, str]]:
    """Return the facts of a case that happened by `at`, each with when it was recorded; a warning tells nothing."""
    pairs = zip(facts, recorded, strict=True)
    return [(fact, when) for fact, when in pairs if fact.occurred_at <= at and not isinstance(fact, f.TicketWarned)]


def _date(fact: f.TicketFact) -> str:
    return fact.occurred_at


def _end(clock: sla.Clock, at: str) -> tuple[str, str]:
    """Return where the segments end and why: at the response, else at the due instant once it has passed, else `at`."""
    if clock.counted_at:
        return clock.counted_at, "response"
    if clock.due_at and clock.due_at <= at:
        return clock.due_at, "due"
    return at, "at"


def _calendar(clock: sla.Clock, governing: Limit | None, terms: Terms) -> Calendar:
    reference = governing.calendar if governing else clock.opened.calendar
    return terms.calendar(reference) if reference else ALWAYS


def _beyond(start: str, end: str) -> int:
    return span_us(start, end) if start and start < end else 0


def _due(terms: Terms, limit: Limit, stops: Stops) -> str:
    return _counted_out(terms.calendar(limit.calendar), limit.start, limit.limit_us, stops)


def _counted_out(calendar: Calendar, start: str, limit_us: int, stops: Stops) -> str:
    """Return the due instant; the far end of time while a pause has no end."""
    due = paused_due(calendar, start, limit_us, stops)
    return FAR if due is None else to_iso(due)


def _could_matter(fact: f.TicketFact, clock: sla.Clock, everything: Sequence[f.TicketFact]) -> bool:
    """Whether a late fact is one that the verdict could have stood on."""
    if answers(fact):
        counts = any(fact is one for one in responses(everything, clock.opened.priority))
        return counts and (not clock.counted_at or fact.occurred_at < clock.counted_at)
    if isinstance(fact, (f.TicketPrioritised, f.TicketPlanUpgraded)):
        return bool(fact.due_at) and not (clock.counted_at and clock.counted_at <= fact.occurred_at)
    return isinstance(fact, (f.TicketReclassified, f.TicketExcluded))


# Why an answer did not count: its channel, by the priority of its instant, ours or that of the case it was given in; a
# question recorded before questions were said to answer; no answer at all; recorded when the verdict was final.
UNCOUNTED = ("phone", "email", "chat", "elsewhere", "question", "reminder", "automatic", "after_final")


def _uncounted(
    clock: sla.Clock, standing: Sequence[f.TicketFact], known: Sequence[tuple[f.TicketFact, str]]
) -> Iterator[Uncounted]:
    """Yield, by date, what came before the response (or without one) and stopped no clock, each with why."""
    everything = sorted((fact for fact, _when in known), key=_date)
    counted = {id(fact) for fact in responses(everything, clock.opened.priority)}
    late = {id(fact) for fact, _when in known[len(standing) :]}
    stamps = {id(fact): when for fact, when in known}
    for fact in everything:
        if clock.counted_at and fact.occurred_at >= clock.counted_at:
            return
        if id(fact) in counted:
            why = "after_final" if id(fact) in late else ""
        else:
            why = _why_not(fact)
        if why:
            yield Uncounted(fact, stamps[id(fact)], why)


def _why_not(fact: f.TicketFact) -> str:
    match fact:
        case f.TicketResponded(corrects=False):
            return "elsewhere" if fact.via else fact.channel
        case f.TicketWaiting():
            return "question" if fact.text.strip() else ""
        case f.TicketReminded():
            return "reminder"
        case f.TicketAcknowledged():
            return "automatic"
    return ""


def _last(facts: Sequence[f.TicketFact], kind: type[T]) -> T | None:
    return next((fact for fact in reversed(facts) if isinstance(fact, kind)), None)


def _exclusion(clock: sla.Clock, standing: Sequence[f.TicketFact]) -> f.TicketExcluded | None:
    """Return the exclusion that stands, else the last one that does not."""
    all_of_them = [fact for fact in standing if isinstance(fact, f.TicketExcluded)]
    return _last([fact for fact in all_of_them if fact.approver == clock.approver] or all_of_them, f.TicketExcluded)


# --- what would have been ---------------------------------------------------------------------------------------

_TAKEN_AWAY = ("raised", "lowered", "upgraded")


def _but_used(alternatives: Sequence[str], newest: Sequence[str], found: Sequence[Limit]) -> list[str]:
    """Leave out what every limit was counted in; of calendars that none was counted in, take the newest version."""
    used = {limit.calendar for limit in found if limit.calendar}
    names = {_name(one) for one in used}
    tried = [one for one in alternatives if _name(one) in names and used != {one}]
    return [*tried, *(one for one in newest if _name(one) not in names)]


def _name(reference: str) -> str:
    return reference.partition("@")[0]


def _others(
    clock: sla.Clock,
    standing: Sequence[f.TicketFact],
    known: Sequence[tuple[f.TicketFact, str]],
    at: str,
    terms: Terms,
    alternatives: Sequence[str],
    pausing: bool | None,
) -> Iterator[Other]:
    """Yield what else could have been, nothing for a case without a target; finality aside.

    Under another policy neither calendars nor levels are tried: it is a trial itself.
    """
    if not clock.due_at:
        return
    policy, everything = _policy(terms, bool(pausing)), sorted((fact for fact, _when in known), key=_date)
    yield Other("answered_before", "", "", clock.due_at, "met")
    for move in clock.moves:
        back = isinstance(move.fact, f.TicketReclassified)  # it came back on the unit of a higher plan
        if move.cause in _TAKEN_AWAY and move.before != move.after and not back:
            rest = [x for x in standing if x is not move.fact]
            # Counted anew: what was promised after the change was promised to what it had made of the case.
            yield _other("without", move.cause, move.at, sla.run(rest, at, (), policy), at)
    for reference in alternatives:
        yield from _promised("calendar", reference, standing, at, _promise(terms, calendar=reference))
    higher = LEVELS[LEVELS.index(clock.verdict_level) + 1 :] if clock.verdict_level else ()
    for level in higher[:1] if pausing is None else ():
        yield from _promised("level", level, standing, at, _promise(terms, level=level))
    if any(_could_matter(fact, clock, everything) for fact, _when in known[len(standing) :]):
        all_known = sla.run([fact for fact, _when in known], at, (), None if pausing is None else policy)
        yield _other("late_facts", "", "", all_known, at)


def _policy(terms: Terms, pausing: bool) -> sla.Policy:
    """Return the policy of `terms`."""
    return lambda facts: _promise(terms, stops=pauses(facts) if pausing else ())


def _promise(terms: Terms, calendar: str = "", level: str = "", stops: Stops = ()) -> sla.Promise:
    """Return what would be promised in `calendar` ("": the policy's), and at `level` for any below it."""

    def due(of: str, priority: str, start: str) -> str:
        limit_us, reference = terms.target(max(of, level, key=_rank), priority, start)
        return _counted_out(terms.calendar(calendar or reference), start, limit_us, stops)

    return due


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else -1


def _promised(kind: str, of: str, standing: Sequence[f.TicketFact], at: str, promise: sla.Promise) -> Iterator[Other]:
    try:
        yield _other(kind, of, "", sla.run(standing, at, (), lambda _facts: promise), at)
    except Refused:  # a calendar that does not open long enough promises nothing
        return


def _other(kind: str, of: str, change: str, clock: sla.Clock | None, at: str) -> Other:
    assert clock is not None  # the opening is never taken away
    return Other(kind, of, change, clock.due_at, clock.raw_verdict(at))


def counted_late_us(told: Explanation, terms: Terms) -> int:
    """Return by how much it was late in counted time, in the calendar that governed."""
    if not told.late_us or not told.limits:
        return 0
    return elapsed(terms.calendar(told.limits[-1].calendar), told.clock.due_at, told.clock.counted_at or told.at)
