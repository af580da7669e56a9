"""Decisions on a case beyond answering it: messages, merging, splitting, revising a final verdict."""

from __future__ import annotations

from collections.abc import Sequence

from ledger import facts as f
from ledger.account import Account, Asked
from ledger.catalogue import Catalogue
from ledger.errors import Refused
from ledger.plans import Answer, Decided
from ledger.rules.instants import show
from ledger.rules.subscriptions import FAR, local_day
from ledger.serving import open_ticket
from ledger.store import Recorded
from ledger.ticket import Ticket, due_instant, state, ticket_fields


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
    answers = [one for one in target.facts if _answers(one) and one.occurred_at > asked.at]
    new += [_through(child, one, {**ticket_fields(child, asked), "occurred_at": one.occurred_at}) for one in answers]
    after = child.after_all(new, asked.now)
    rows = [*child.rows(*new), *target.rows(back)]
    return Decided([], rows, lambda _book: {**state(child, after, asked), "into": target.number})


def _answers(fact: f.TicketFact) -> bool:
    return isinstance(fact, f.TicketResolved | f.TicketResponded)


def _through(child: Ticket, answer: f.TicketFact, fields: Answer) -> f.TicketResponded:
    """Return how an answer in the case it went over into is told in the child; resolving is one too."""
    told = answer if isinstance(answer, f.TicketResponded) else None
    return f.TicketResponded(
        **{**fields, "by": answer.by},
        channel=told.channel if told else "platform",
        counts=told.counts if told else True,
        text=told.text if told else "",
        via=answer.ticket_no,
    )


def merged_cases(target: Ticket, at: str) -> list[str]:
    """Return the numbers of the cases that had gone over into `target` by `at`."""
    return [x.child for x in target.facts if isinstance(x, f.TicketMergedIn) and x.occurred_at <= at]


def answered_through(children: Sequence[Ticket], response: f.Fact, asked: Asked) -> list[Recorded]:
    """Return the rows that let an answer stop the clocks of the cases merged into the one it was given in."""
    assert isinstance(response, f.TicketFact)
    rows: list[Recorded] = []
    for child in children:
        clock = child.clock(asked.at)
        # An answer by chat may yet turn out to be a note: when a priority dated before it is recorded later.
        if clock.merged_into == response.ticket_no and (not clock.responded_at or clock.channel == "chat"):
            rows += child.rows(_through(child, response, ticket_fields(child, asked)))
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
    approver = v.get("approver", asked.by)
    if approver == clock.responded_by:
        raise Refused("approver_is_answerer", ticket=ticket.number, approver=approver)
    if v["verdict"] == clock.verdict(asked.now):
        raise Refused("same_verdict", ticket=ticket.number, verdict=v["verdict"])
    fact = f.TicketRevised(**ticket_fields(ticket, asked), verdict=v["verdict"], approver=approver)
    after = ticket.after(fact, asked.now)
    return Decided(
        [], ticket.rows(fact), lambda _book: {**state(ticket, after, asked), "was": clock.verdict(asked.now)}
    )


def upgraded(ticket: Ticket, level: str, asked: Asked, catalogue: Catalogue) -> list[Recorded]:
    """Return the row by which an upgrade of its plan acts like a raise, now; none for a case that does not run."""
    clock = ticket.clock(FAR)
    if not clock.due_at or clock.responded_at or asked.now >= clock.due_at or clock.resolved_at:
        return []
    opened = clock.opened
    day = local_day(opened.occurred_at, opened.zone)
    policy = opened.policy or catalogue.target(clock.level, clock.priority, day, opened.occurred_at).policy
    target = catalogue.target_of(policy, level, clock.priority, day)
    fact = f.TicketPlanUpgraded(
        customer_no=opened.customer_no,
        occurred_at=asked.now,
        by=asked.by,
        source=asked.source,
        ticket_no=ticket.number,
        level=level,
        due_at=due_instant(catalogue, target, asked.now),
    )
    return ticket.rows(fact)
