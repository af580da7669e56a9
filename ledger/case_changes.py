"""Decisions on a case beyond answering it: messages, merging, splitting, revising a final verdict."""

from __future__ import annotations

from collections.abc import Sequence

from ledger import facts as f
from ledger.account import Account, Asked
from ledger.catalogue import Catalogue
from ledger.errors import Refused
from ledger.plans import Answer, Decided
from ledger.rules.instants import show
from ledger.rules.responses import answers, channel_of, for_good, responses
from ledger.rules.sla import PRIORITIES
from ledger.rules.subscriptions import FAR
from ledger.serving import open_ticket
from ledger.store import Recorded
from ledger.ticket import Ticket, promised, state, ticket_fields


def message(ticket: Ticket, v: Answer, asked: Asked) -> Decided:
    """The customer wrote: our waiting ends, and the next response is awaited."""
    ticket.clock(asked.at)
    fact = f.TicketMessage(**ticket_fields(ticket, asked), text=v.get("text", ""))
    return Decided([], ticket.rows(fact), lambda _book: state(ticket, ticket.after(fact, asked.now), asked))


def merge(child: Ticket, target: Ticket, asked: Asked) -> Decided:
    """Let a case go on in another of the same customer; it keeps its own due (DOMAIN.md, "Response targets")."""
    clock, into = child.clock(asked.at), target.clock(asked.at)
    # A case goes over once, dated later or not, and none into one that goes on elsewhere.
    gone = [fact for fact in (*child.facts, *target.facts) if isinstance(fact, f.TicketMerged)]
    if child.number == target.number or target.opened.customer_no != child.opened.customer_no:
        raise Refused("merge_needs_two_of_one", ticket=child.number, into=target.number)
    for one in gone:
        raise Refused("merged_already", ticket=one.ticket_no, into=one.into)
    if clock.resolved_at or into.resolved_at:
        raise Refused("ticket_resolved", ticket=child.number if clock.resolved_at else target.number)
    if any(isinstance(fact, f.TicketMergedIn) for fact in child.facts):
        raise Refused("has_merged_cases", ticket=child.number)
    fact = f.TicketMerged(**ticket_fields(child, asked), into=target.number)
    back = f.TicketMergedIn(**ticket_fields(target, asked), child=child.number)
    new: list[f.TicketFact] = [fact]
    # What was answered there after the merge, but recorded before it, stops this one too.
    counted = _counted(target.facts)
    new += [
        _through(one, one in counted, {**ticket_fields(child, asked), "occurred_at": one.occurred_at})
        for one in target.facts
        if answers(one) and one.occurred_at > asked.at
    ]
    after = child.after_all(new, asked.now)
    rows = [*child.rows(*new), *target.rows(back)]
    return Decided([], rows, lambda _book: {**state(child, after, asked), "into": target.number})


def _counted(facts: Sequence[f.TicketFact]) -> list[f.TicketFact]:
    """Return the answers of a case that are responses, by all that is known of its priorities."""
    opened = next(fact for fact in facts if isinstance(fact, f.TicketOpened))
    return list(responses(sorted(facts, key=lambda fact: fact.occurred_at), opened.priority))


def _through(answer: f.TicketFact, counts: bool, fields: Answer, *, corrects: bool = False) -> f.TicketResponded:
    """Return how an answer in the case it went over into is told in the child; asking and resolving are ones too.

    It is by who answered; what `corrects` it is by who changed the priority there.
    """
    told = answer if isinstance(answer, f.TicketResponded | f.TicketWaiting) else None
    return f.TicketResponded(
        **(fields if corrects else {**fields, "by": answer.by}),
        channel=channel_of(answer) or "platform",
        counts=counts,
        text=told.text if told and not corrects else "",
        via=answer.ticket_no,
        corrects=corrects,
    )


def merged_cases(target: Ticket, at: str) -> list[str]:
    """Return the numbers of the cases that had gone over into `target` by `at`."""
    return [x.child for x in target.facts if isinstance(x, f.TicketMergedIn) and x.occurred_at <= at]


def answered_through(target: Ticket, children: Sequence[Ticket], response: f.Fact, asked: Asked) -> list[Recorded]:
    """Return the rows that let an answer stop the clocks of the cases merged into the one it was given in.

    Each answer, not only the first: a customer may write in any of them, and is answered there.
    """
    assert isinstance(response, f.TicketFact)
    counts = response in _counted([*target.facts, response])
    rows: list[Recorded] = []
    for child in children:
        rows += child.rows(_through(response, counts, ticket_fields(child, asked)))
    return rows


def recounted(target: Ticket, children: Sequence[Ticket], change: f.Fact, asked: Asked) -> list[Recorded]:
    """Return the rows that tell merged cases which answers a change of priority, dated before them, judges anew."""
    assert isinstance(change, f.TicketFact)
    before, after = _counted(target.facts), _counted([*target.facts, change])
    changed = [one for one in target.facts if answers(one) and (one in before) != (one in after)]
    rows: list[Recorded] = []
    for child in children:
        told = {x.occurred_at for x in child.facts if isinstance(x, f.TicketResponded) and x.via == target.number}
        fields = ticket_fields(child, asked)
        new = [
            _through(one, one in after, {**fields, "occurred_at": one.occurred_at}, corrects=True)
            for one in changed
            if one.occurred_at in told
        ]
        rows += child.rows(*new)
    return rows


def split(account: Account, ticket: Ticket, new: Ticket, v: Answer, asked: Asked, catalogue: Catalogue) -> Decided:
    """Open another case out of this one: coverage is decided again, and it consumes again."""
    ticket.clock(asked.at)
    wanted = {**v, "ticket": new.number, "product": ticket.opened.product}
    decided = open_ticket(account, new, wanted, asked, catalogue, split_from=ticket.number)
    if decided.declined:
        return decided
    note = f.TicketNoted(**ticket_fields(ticket, asked), text=f"→ {new.number}")
    return Decided(decided.facts, [*decided.others, *ticket.rows(note)], decided.answer)


def revise(ticket: Ticket, v: Answer, asked: Asked) -> Decided:
    """Let an approved revision stand beside a final verdict, with its reason."""
    clock = ticket.clock(FAR)
    final_at = clock.final_at()
    if not clock.due_at:
        raise Refused("no_target", ticket=ticket.number)
    if min(asked.at, asked.now) < final_at:  # nor dated before it was: then it would change what was true
        raise Refused("not_final", ticket=ticket.number, final_at=show(final_at, clock.opened.zone))
    if v["verdict"] == clock.verdict(asked.now):
        raise Refused("same_verdict", ticket=ticket.number, verdict=v["verdict"])
    fact = f.TicketRevised(**ticket_fields(ticket, asked), verdict=v["verdict"], approver=v.get("approver", ""))
    after = ticket.after(fact, asked.now)
    return Decided(
        [], ticket.rows(fact), lambda _book: {**state(ticket, after, asked), "was": clock.verdict(asked.now)}
    )


def upgraded(ticket: Ticket, level: str, asked: Asked, catalogue: Catalogue) -> list[Recorded]:
    """Return the row by which an upgrade of its plan acts like a raise, now; none for a case that it cannot reach.

    Also where the due instant has passed, or an answer by chat was given: what is recorded later, but dated before,
    may let it run until now after all. So the fact tells what each priority would be promised.
    """
    clock, opened = ticket.clock(FAR), ticket.opened
    answered = any(for_good(fact) and fact.occurred_at <= asked.now for fact in ticket.facts)
    if not clock.due_at or answered or not opened.occurred_at <= asked.now < clock.final_at():
        return []
    dues = {priority: promised(catalogue, clock, level, priority, asked.now) for priority in PRIORITIES}
    fact = f.TicketPlanUpgraded(
        customer_no=opened.customer_no,
        occurred_at=asked.now,
        by=asked.by,
        source=asked.source,
        ticket_no=ticket.number,
        level=level,
        due_at=dues[clock.priority],
        dues=dues,
    )
    return ticket.rows(fact)
