"""The radar: acts that are worth a look, with counts and cases. It accuses nobody: each act has honest reasons too.

Asked for one local month of opening. The rows of the month's cases say which of them may have such an act; only those
are read from their streams, a page at a time. An act is judged by the promise that governed at its instant, in the
calendar that governed it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence, Sized
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from ledger import alerts
from ledger import facts as f
from ledger.application import Ledger
from ledger.catalogue import Catalogue
from ledger.rules import measures, sla
from ledger.rules.instants import from_iso, show
from ledger.rules.responses import first_response
from ledger.rules.segments import span_us
from ledger.rules.subscriptions import FAR, local_day
from ledger.store import Store
from ledger.texts import text
from projections.projector import projector_of

LAST_TENTH = 90  # per cent of the limit that are used up
SECONDS_US = 60_000_000  # "seconds before the due instant", and "under a minute"
COLUMNS = ("act", "ticket", "account", "at", "actor", "other", "left_seconds", "later_at")
MOST_CASES = 500  # shown of each kind; the counts are whole
KINDS = (
    "lowered_late",
    "waited_late",
    "merged_late",
    "dated_back",
    "quick_answer",
    "excluded",
    "reopened",
    "given_back",
)
_PAGE = 500
_ACTS = tuple(
    kind.TOPIC
    for kind in (
        f.TicketGivenBack,
        f.TicketPrioritised,
        f.TicketMerged,
        f.TicketWaiting,
        f.TicketExcluded,
        f.TicketReopened,
    )
)
_UNANSWERED = (f.TicketMerged.TOPIC, f.TicketWaiting.TOPIC)  # most come after the answer, and are none then
_ANSWERS = (f.TicketResponded.TOPIC, f.TicketResolved.TOPIC, f.TicketWaiting.TOPIC)
_LINES = (
    "SELECT ticket, stream, opened_at, due_at, responded_at, agent FROM r_tickets"
    " WHERE month = ? AND ticket > ? ORDER BY ticket LIMIT ?"
)

Row = dict[str, Any]


class Act(NamedTuple):
    """An act worth a look: of which kind, in which case, when, by whom; `left_us` of the limit then (-1: no matter).

    `later` is the instant that makes it one: of the reopening, or of the recording of what was dated back.
    """

    kind: str
    ticket: str
    account: str
    at: str
    actor: str
    left_us: int = -1
    other: str = ""
    later: str = ""


class Line(NamedTuple):
    """What a case's row says of it."""

    ticket: str
    stream: str
    opened_at: str
    due_at: str
    responded_at: str
    agent: str


class Case(NamedTuple):
    """A case as it is looked at: its facts by their dates, each with the instant of its recording."""

    facts: Sequence[tuple[f.TicketFact, str]]
    clock: sla.Clock
    spans: Sequence[alerts.Governed]
    catalogue: Catalogue

    def runs(self, at: str) -> bool:
        """Whether no response had come by an instant."""
        return not self.clock.responded_at or at < self.clock.responded_at

    def left(self, at: str) -> tuple[int, int] | None:
        """Return the counted microseconds left at an instant, and the whole limit; None where no promise ran then."""
        for span in self.spans:
            # A change ends the promise that it found: so its own instant belongs to that one still.
            if span.since < at <= span.until and at < span.due_at:
                calendar = self.catalogue.calendar(span.calendar)
                due = from_iso(span.due_at)
                whole = calendar.elapsed_us(from_iso(span.start), due)
                return calendar.elapsed_us(from_iso(at), due), whole
        return None


def answer(ledger: Ledger, values: Row, at: str, now: str) -> Row:
    """Answer question `radar`: counts and cases of one month, the present one by default."""
    return told(ledger, values.get("month"), now, MOST_CASES)


def told(ledger: Ledger, month: str | None, now: str, most: int | None) -> Row:
    """Return counts and cases of one month (YYYY-MM; that of instant `now` by default), at most `most` of each kind."""
    zone = ledger.catalogue.zone
    month = month or local_day(now, zone).isoformat()[:7]
    acts, answers = look(ledger, month)
    quick = Counter(act.actor for act in acts if act.kind == "quick_answer")
    excluded = Counter((act.actor, act.other) for act in acts if act.kind == "excluded")
    return {
        "month": month,
        "zone": zone,
        "note": f"{text('radar_note', 'es_GT')} · {text('radar_note', 'en')}",
        "found": [{"act": kind, "count": sum(act.kind == kind for act in acts)} for kind in KINDS],
        "answers": [
            {
                "agent": agent,
                "answers": count,
                "under_a_minute": quick[agent],
                "share_bp": quick[agent] * 10_000 // count,
            }
            for agent, count in sorted(answers.items())
        ],
        "exclusions": [
            {"agent": agent or None, "approver": approver, "count": count}
            for (agent, approver), count in sorted(excluded.items())
        ],
        "cases": [shown(act, zone) for kind in KINDS for act in [a for a in acts if a.kind == kind][:most]],
    }


def look(ledger: Ledger, month: str) -> tuple[list[Act], Counter[str]]:
    """Return every act in the cases opened in a local month, by kind and date, and how many each agent answered.

    Answers of cases without a promise are not counted.
    """
    read, head, policy = projector_of(ledger).read, ledger.store.last_position(), ledger.policy()
    acts: list[Act] = []
    answers: Counter[str] = Counter()
    last = ""
    while page := [Line(*row) for row in read.query(_LINES, [month, last, _PAGE])]:
        last = page[-1].ticket
        answers.update(line.agent for line in page if line.due_at and line.responded_at)
        for case in _cases(ledger.store, sorted(_worth(ledger.store, page, head)), policy, head):
            acts += acts_of(case)
    acts.sort(key=lambda act: (KINDS.index(act.kind), act.at, act.ticket))
    return acts, answers


def _worth(store: Store, page: Sequence[Line], head: int) -> set[str]:
    """Return the streams that may have an act: by their topics, by how soon the answer came, when it was recorded."""
    lines = {line.stream: line for line in page}
    found = {line.stream for line in page if line.due_at and line.responded_at and _soon(line)}
    sql = (
        f"SELECT position, stream, topic, recorded_at, state FROM ledger_events WHERE stream IN ({_marks(lines)})"
        f" AND topic IN ({_marks(_ACTS + _ANSWERS)}) AND position <= ?"
    )
    for position, stream, topic, recorded_at, state in store.query(sql, [*lines, *_ACTS, *_ANSWERS, head]):
        line = lines[stream]
        late = line.responded_at < line.due_at <= recorded_at
        # The response is the answer of that date: it stands in the fact as the row has it.
        if topic in _ANSWERS and late and line.responded_at in str(state):
            found.add(stream)
        elif topic in _UNANSWERED:
            answered = line.responded_at and f.decode(topic, state, position).occurred_at >= line.responded_at
            if not answered:
                found.add(stream)
        elif topic in _ACTS:
            found.add(stream)
    return found


def _marks(values: Sized) -> str:
    return ",".join("?" * len(values))


def _soon(line: Line) -> bool:
    return span_us(line.opened_at, line.responded_at) < SECONDS_US


def _cases(store: Store, streams: Sequence[str], policy: Catalogue, head: int) -> Iterator[Case]:
    """Yield cases folded from their streams."""
    for _stream, group in groupby(store.rows_of_streams(streams, head), key=attrgetter("stream")):
        rows = list(group)
        facts = [
            fact
            for fact in (f.decode(row.topic, row.state, row.position) for row in rows)
            if isinstance(fact, f.TicketFact)
        ]
        recorded = [row.recorded_at for row in rows]
        clock = sla.run(facts, FAR, recorded)
        if clock is not None:
            dated = sorted(zip(facts, recorded, strict=True), key=lambda pair: pair[0].occurred_at)
            yield Case(dated, clock, alerts.governed(facts, clock, policy), policy)


def acts_of(case: Case) -> Iterator[Act]:
    """Yield what is worth a look in one case."""
    for fact, recorded_at in case.facts:
        match fact:
            case f.TicketPrioritised(direction="lower"):
                yield from _lowered(case, fact, recorded_at)
            case f.TicketMerged() if case.runs(fact.occurred_at):
                yield from _late("merged_late", case, fact)
            case f.TicketWaiting() if case.runs(fact.occurred_at):
                found = case.left(fact.occurred_at)
                if found is not None and found[0] <= SECONDS_US:
                    yield _act("waited_late", fact, found[0])
            case f.TicketGivenBack():
                yield _act("given_back", fact)._replace(other=fact.approver)
            case f.TicketExcluded():
                agent = case.clock.responded_by or case.clock.assigned_to
                yield _act("excluded", fact)._replace(actor=agent, other=fact.approver)
    yield from _answered(case)
    yield from _reopened(case)


def _late(kind: str, case: Case, fact: f.TicketFact) -> Iterator[Act]:
    found = case.left(fact.occurred_at)
    if found is not None and found[0] * 100 <= found[1] * (100 - LAST_TENTH):
        yield _act(kind, fact, found[0])


def _lowered(case: Case, fact: f.TicketFact, recorded_at: str) -> Iterator[Act]:
    """Yield a lowering that moved the due instant: shortly before it, or dated before it when it had passed."""
    moves = [move for move in case.clock.moves if move.cause == "lowered" and move.at == fact.occurred_at]
    if not any(move.before != move.after for move in moves):
        return
    yield from _late("lowered_late", case, fact)
    yield from _dated_back(case, fact, recorded_at, moves[0].before)


def _dated_back(case: Case, fact: f.TicketFact, recorded_at: str, due_at: str) -> Iterator[Act]:
    """Yield what kept a promise by its date, though it was recorded when the due instant had passed."""
    if fact.occurred_at < due_at <= recorded_at and not fact.source.startswith("import"):
        found = case.left(fact.occurred_at)
        yield _act("dated_back", fact, found[0] if found is not None else -1)._replace(later=recorded_at)


def _answered(case: Case) -> Iterator[Act]:
    """Yield the first response where it was dated back, or came within a minute and nobody wrote to anybody after it.

    Which answer is the first response is decided by the priority of its instant, not by what was recorded with it.
    """
    clock, facts = case.clock, [fact for fact, _recorded_at in case.facts]
    first = first_response(facts, clock.opened.priority)
    if first is None or not clock.due_at:
        return
    recorded_at = next(recorded for fact, recorded in case.facts if fact is first)
    yield from _dated_back(case, first, recorded_at, clock.due_at)
    if isinstance(first, f.TicketResolved) or (isinstance(first, f.TicketResponded) and first.via):
        return
    later = any(_contact(fact) for fact in facts if fact is not first and fact.occurred_at >= first.occurred_at)
    if span_us(clock.opened.occurred_at, first.occurred_at) < SECONDS_US and not later:
        yield _act("quick_answer", first)


def _contact(fact: f.TicketFact) -> bool:
    """Whether somebody wrote to the other side, or the case went on: a resolution only with words."""
    if isinstance(fact, f.TicketResolved):
        return bool(fact.text)
    return isinstance(fact, _CONTACTS)


_CONTACTS = (
    *(f.TicketResponded, f.TicketReminded, f.TicketMessage, f.TicketWaiting, f.TicketResumed, f.TicketReopened),
    f.TicketMerged,
)


def _reopened(case: Case) -> Iterator[Act]:
    """Yield each resolution that was taken back: by whom it was resolved, and who reopened it, when."""
    resolved: f.TicketResolved | None = None
    told_again = measures.told_again([fact for fact, _recorded_at in case.facts])
    for fact, _recorded_at in case.facts:
        if isinstance(fact, f.TicketResolved):
            resolved = fact
        elif isinstance(fact, f.TicketReopened) and resolved is not None and id(fact) not in told_again:
            yield _act("reopened", resolved)._replace(other=fact.by, later=fact.occurred_at)
            resolved = None


def _act(kind: str, fact: f.TicketFact, left_us: int = -1) -> Act:
    return Act(kind, fact.ticket_no, fact.customer_no, fact.occurred_at, fact.by, left_us)


def shown(act: Act, zone: str) -> Row:
    """Return an act as answers and files have it."""
    left = act.left_us // 1_000_000 if act.left_us >= 0 else None
    later = show(act.later, zone) if act.later else None
    values = (act.kind, act.ticket, act.account, show(act.at, zone), act.actor or None, act.other or None, left, later)
    return dict(zip(COLUMNS, values, strict=True))
