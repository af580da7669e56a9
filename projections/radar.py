"""The radar: acts that are worth a look, with counts and cases. It accuses nobody: each act has honest reasons too.

Asked for one local month of opening. The cases of the month are read from their streams, a page at a time; an act is
judged by the promise that governed at its instant, in the calendar that governed it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from ledger import alerts
from ledger import facts as f
from ledger.application import Ledger
from ledger.catalogue import Catalogue
from ledger.rules import sla
from ledger.rules.instants import from_iso, show
from ledger.rules.subscriptions import FAR, local_day
from ledger.store import Store
from ledger.texts import text
from projections.projector import projector_of

LAST_TENTH = 90  # per cent of the limit that are used up
SECONDS_US = 60_000_000  # "seconds before the due instant", and "under a minute"
MOST_CASES = 500  # shown of each kind; the counts are whole
KINDS = ("lowered_late", "waited_late", "merged_late", "quick_answer", "excluded", "reopened")
_PAGE = 500

Row = dict[str, Any]


class Act(NamedTuple):
    """An act worth a look: of which kind, in which case, when, by whom; `left_us` of the limit then (-1: no matter)."""

    kind: str
    ticket: str
    account: str
    at: str
    actor: str
    left_us: int = -1
    other: str = ""


class Case(NamedTuple):
    """A case as it is looked at."""

    facts: Sequence[f.TicketFact]
    clock: sla.Clock
    spans: Sequence[alerts.Governed]
    catalogue: Catalogue

    def left(self, at: str) -> tuple[int, int] | None:
        """Return the counted microseconds left at an instant, and the whole limit; None where nothing runs then."""
        answered = self.clock.responded_at
        if answered and answered <= at:
            return None
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
    zone = ledger.catalogue.zone
    month = values.get("month") or local_day(now, zone).isoformat()[:7]
    acts: list[Act] = []
    answers: Counter[str] = Counter()
    for case in cases(ledger, projector_of(ledger).read, month):
        acts += acts_of(case)
        if case.clock.responded_at:
            answers[case.clock.responded_by] += 1
    acts.sort(key=lambda act: (KINDS.index(act.kind), act.at, act.ticket))
    quick = Counter(act.actor for act in acts if act.kind == "quick_answer")
    excluded = Counter((act.actor, act.other) for act in acts if act.kind == "excluded")
    return {
        "month": month,
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
        "cases": [_shown(act, zone) for kind in KINDS for act in [a for a in acts if a.kind == kind][:MOST_CASES]],
    }


def cases(ledger: Ledger, read: Store, month: str) -> Iterator[Case]:
    """Yield the cases opened in a local month, folded from their streams."""
    last, head = "", ledger.store.last_position()
    sql = "SELECT ticket, stream FROM r_tickets WHERE month = ? AND ticket > ? ORDER BY ticket LIMIT ?"
    while page := read.query(sql, [month, last, _PAGE]):
        last = page[-1][0]
        rows = ledger.store.rows_of_streams([stream for _ticket, stream in page], head)
        for _stream, group in groupby(rows, key=attrgetter("stream")):
            own = list(group)
            facts = [fact for fact in (f.decode(row.topic, row.state) for row in own) if isinstance(fact, f.TicketFact)]
            clock = sla.run(facts, FAR, [row.recorded_at for row in own])
            if clock is not None:
                policy = ledger.policy()
                yield Case(facts, clock, alerts.governed(facts, clock, policy), policy)


def acts_of(case: Case) -> Iterator[Act]:
    """Yield what is worth a look in one case."""
    for fact in sorted(case.facts, key=attrgetter("occurred_at")):
        match fact:
            case f.TicketPrioritised(direction="lower") if fact.due_at:
                yield from _late("lowered_late", case, fact)
            case f.TicketMerged():
                yield from _late("merged_late", case, fact)
            case f.TicketWaiting():
                found = case.left(fact.occurred_at)
                if found is not None and found[0] <= SECONDS_US:
                    yield _act("waited_late", fact, found[0])
            case f.TicketExcluded():
                yield _act("excluded", fact)._replace(actor=case.clock.responded_by, other=fact.approver)
    yield from _quick(case)
    yield from _reopened(case)


def _late(kind: str, case: Case, fact: f.TicketFact) -> Iterator[Act]:
    found = case.left(fact.occurred_at)
    if found is not None and found[0] * 100 <= found[1] * (100 - LAST_TENTH):
        yield _act(kind, fact, found[0])


def _quick(case: Case) -> Iterator[Act]:
    """Yield a first answer within a minute of the opening, where nobody wrote to anybody after it."""
    first = next((x for x in case.facts if isinstance(x, f.TicketResponded) and x.counts and not x.via), None)
    if first is None or first.occurred_at != case.clock.responded_at:
        return
    took = from_iso(first.occurred_at) - from_iso(case.clock.opened.occurred_at)
    later = any(_contact(fact) for fact in case.facts if fact is not first and fact.occurred_at >= first.occurred_at)
    if took.total_seconds() < 60 and not later:
        yield _act("quick_answer", first)


def _contact(fact: f.TicketFact) -> bool:
    """Whether somebody wrote to the other side: a resolution only with words."""
    if isinstance(fact, f.TicketResolved):
        return bool(fact.text)
    return isinstance(fact, f.TicketResponded | f.TicketMessage | f.TicketWaiting | f.TicketResumed)


def _reopened(case: Case) -> Iterator[Act]:
    """Yield each resolution that was taken back: by whom it was resolved, and who reopened it."""
    resolved: f.TicketResolved | None = None
    for fact in sorted(case.facts, key=attrgetter("occurred_at")):
        if isinstance(fact, f.TicketResolved):
            resolved = fact
        elif isinstance(fact, f.TicketReopened) and resolved is not None:
            yield _act("reopened", resolved)._replace(other=fact.by)
            resolved = None


def _act(kind: str, fact: f.TicketFact, left_us: int = -1) -> Act:
    return Act(kind, fact.ticket_no, fact.customer_no, fact.occurred_at, fact.by, left_us)


def _shown(act: Act, zone: str) -> Row:
    return {
        "act": act.kind,
        "ticket": act.ticket,
        "account": act.account,
        "at": show(act.at, zone),
        "actor": act.actor or None,
        "other": act.other or None,
        "left_seconds": act.left_us // 1_000_000 if act.left_us >= 0 else None,
    }
