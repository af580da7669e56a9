"""Ticket: one case's stream, its decisions. What is allowed depends on the clock as it stood at the command's date."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from ledger import facts as f
from ledger.account import Account, Asked
from ledger.catalogue import Catalogue, Target
from ledger.commands import MANAGERS
from ledger.errors import Conflict, Malformed, NotFound, Refused
from ledger.plans import Answer, Decided, common
from ledger.rules import sla
from ledger.rules.coverage import Case, Decision, decide, level_needed
from ledger.rules.instants import from_iso, show, to_iso
from ledger.rules.money import show_amount
from ledger.rules.subscriptions import FAR, local_day
from ledger.store import Recorded

_REMARKS: dict[str, type[Any]] = {
    "acknowledge": f.TicketAcknowledged,
    "note": f.TicketNoted,
    "wait": f.TicketWaiting,
    "resume": f.TicketResumed,
    "resolve": f.TicketResolved,
    "reopen": f.TicketReopened,
}


def ticket_stream(number: str) -> str:
    """Return the id of a ticket's stream."""
    return f"ticket/{number}"


class Ticket:
    """One case's facts, in the order of the log."""

    def __init__(self, number: str, events: Sequence[Recorded]) -> None:
        self.number = number
        self.stream = ticket_stream(number)
        self.version = events[-1].originator_version if events else 0
        self.facts: list[f.TicketFact] = [e.fact for e in events if isinstance(e.fact, f.TicketFact)]
        self.recorded_at = events[0].recorded_at if events else ""

    @property
    def opened(self) -> f.TicketOpened:
        """The opening; NotFound when the case does not exist."""
        for fact in self.facts:
            if isinstance(fact, f.TicketOpened):
                return fact
        raise NotFound("unknown_ticket", ticket=self.number)

    def clock(self, at: str) -> sla.Clock:
        """Return the clock as of instant `at`; Refused when the case was not open yet."""
        opened = self.opened
        clock = sla.run(self.facts, at, self.recorded_at)
        if clock is None:
            raise Refused("before_opening", opened_at=show(opened.occurred_at, opened.zone))
        return clock

    def after(self, fact: f.TicketFact) -> sla.Clock:
        """Return the clock with `fact` added and everything known, dated later or not."""
        clock = sla.run([*self.facts, fact], FAR, self.recorded_at)
        assert clock is not None
        return clock

    def rows(self, *new: f.TicketFact) -> list[Recorded]:
        """Return `new` at their places in the stream."""
        return [Recorded(self.stream, self.version + 1 + i, fact) for i, fact in enumerate(new)]


def _common(ticket: Ticket, asked: Asked) -> dict[str, Any]:
    return {**common(ticket.opened.customer_no, asked), "ticket_no": ticket.number}


# --- opening ------------------------------------------------------------------------------------------------


def open_ticket(account: Account, ticket: Ticket, v: Answer, asked: Asked, catalogue: Catalogue) -> Decided:
    """Decide coverage; accept with its consumption and its promise, or decline and keep that on record."""
    if ticket.facts:
        raise Conflict("duplicate_ticket", ticket=ticket.number)
    case = _case(account, v["request"], asked, catalogue, product=v.get("product", ""), named=v.get("grant", ""))
    if case.named and case.named not in case.book.grants:
        raise NotFound("unknown_grant", grant=case.named, account=account.number)
    decision = decide(case)
    if not decision.served:
        return decline(account.number, ticket.number, v, asked, decision, catalogue, account)
    if case.named and decision.consumes and decision.grant != case.named:
        raise Refused("grant_not_usable", grant=case.named, account=account.number)
    day = local_day(asked.at, case.book.zone)
    promise = _promise(decision.level, v, asked, catalogue, day)
    opened = f.TicketOpened(
        **common(account.number, asked),
        ticket_no=ticket.number,
        request=v["request"],
        priority=v["priority"],
        zone=case.book.zone,
        level=decision.level,
        grant=decision.grant,
        why=decision.why or decision.code,
        product=v.get("product", ""),
        subject=v.get("subject", ""),
        confirmed=catalogue.confirmation(day),
        **promise,
    )
    taken = _consumption(account, ticket.number, decision, asked)
    answer = {
        "ticket": ticket.number,
        "grant": decision.grant or None,
        "why": opened.why,
        "level": decision.level or None,
        "due_at": show(opened.due_at, opened.zone) if opened.due_at else None,
        "limit_seconds": opened.limit_us // 1_000_000 if opened.due_at else None,
    }
    return Decided(taken, ticket.rows(opened), lambda _book: answer)


def _case(
    account: Account, request: str, asked: Asked, catalogue: Catalogue, product: str = "", named: str = ""
) -> Case:
    book = account.at(asked.at, asked.now)
    return Case(
        request,
        asked.at,
        book,
        account.whole(asked.now),
        in_scope=catalogue.covers_product(product),
        plan_needed=catalogue.plan_needed(local_day(asked.at, book.zone)),
        named=named,
    )


def coverage(account: Account, v: Answer, asked: Asked, catalogue: Catalogue) -> tuple[Decision, Target | None]:
    """Return what would be decided for a request at `asked.at`, and the target it would have; writes nothing."""
    case = _case(account, v["request"], asked, catalogue, product=v.get("product", ""))
    decision = decide(case)
    day = local_day(asked.at, case.book.zone)
    has_target = decision.served and decision.level and v.get("priority")
    return decision, catalogue.target(decision.level, v["priority"], day) if has_target else None


def _promise(level: str, v: Answer, asked: Asked, catalogue: Catalogue, day: date) -> Answer:
    if not level:
        return {}
    target = catalogue.target(level, v["priority"], day)
    return {
        "policy": target.policy,
        "calendar": target.calendar,
        "limit_us": target.limit_us,
        "due_at": _due(catalogue, target, asked.at),
    }


def _due(catalogue: Catalogue, target: Target, start: str) -> str:
    return to_iso(catalogue.calendar(target.calendar).due(from_iso(start), target.limit_us))


def _consumption(account: Account, ticket_no: str, decision: Decision, asked: Asked) -> list[f.Fact]:
    if not decision.consumes:
        return []
    return [
        f.TicketConsumed(
            **common(account.number, asked), ticket_no=ticket_no, grant=decision.grant, why=decision.why
        )
    ]


def decline(
    account_no: str,
    ticket_no: str,
    v: Answer,
    asked: Asked,
    decision: Decision,
    catalogue: Catalogue,
    account: Account,
) -> Decided:
    """Record who asked for what, when, and why not; the answer names the remedy."""
    facts: Answer = {"account": account_no, **decision.facts}
    opening = account.opening
    if "addon" in facts:
        day = local_day(asked.at, opening.zone)
        units, gross = catalogue.price(facts["addon"], "addon", day, opening.currency)
        facts |= {"addon_units": units, "addon_gross": show_amount(gross), "currency": opening.currency}
    if "charge" in facts:
        charge = account.whole(asked.now).charges[facts["charge"]]
        facts |= {"due": show_amount(charge.due or charge.gross), "currency": opening.currency}
    if "hint" in facts:
        facts["hint"] = decision.facts["hint"]
    fact = f.RequestDeclined(
        **common(account_no, asked),
        ticket_no=ticket_no,
        request=v["request"],
        code=decision.code,
        priority=v.get("priority", ""),
        product=v.get("product", ""),
        charge=decision.facts.get("charge", ""),
        hint=decision.facts.get("hint", ""),
    )
    # The library's id of this one event: a decline belongs to no stream that could conflict.
    stream = f"decline/{account_no}/{ticket_no}/{asked.at}/{asked.now}"
    return Decided([], [Recorded(stream, 1, fact)], lambda _book: facts, declined=decision.code)


# --- while it is open ---------------------------------------------------------------------------------------


def remark(verb: str, ticket: Ticket, v: Answer, asked: Asked) -> Decided:
    """Acknowledge, note, wait, resume, resolve or reopen: checked against the clock at the command's date."""
    clock = ticket.clock(asked.at)
    _check_remark(verb, clock, asked)
    fact = _REMARKS[verb](**_common(ticket, asked), text=v.get("text", ""))
    return Decided([], ticket.rows(fact), lambda _book: state(ticket, ticket.after(fact), asked))


def _check_remark(verb: str, clock: sla.Clock, asked: Asked) -> None:
    number = clock.opened.ticket_no
    if verb in ("wait", "resume", "resolve") and clock.resolved_at:
        raise Refused("ticket_resolved", ticket=number)
    if verb == "wait" and clock.waiting_since:
        raise Refused("already_waiting", ticket=number)
    if verb == "resume" and not clock.waiting_since:
        raise Refused("not_waiting", ticket=number)
    if verb == "reopen":
        if not clock.resolved_at:
            raise Refused("not_resolved", ticket=number)
        if from_iso(asked.at) - from_iso(clock.resolved_at) > sla.REOPEN_WITHIN:
            raise Refused("too_late_to_reopen", ticket=number, resolved_at=show(clock.resolved_at, clock.opened.zone))


def respond(ticket: Ticket, v: Answer, asked: Asked) -> Decided:
    """Answer the customer; only a channel that counts for the priority stops the clock (FAQ)."""
    clock = ticket.clock(asked.at)
    channel = v.get("channel", "platform")
    counts = sla.channel_counts(channel, clock.priority)
    fact = f.TicketResponded(**_common(ticket, asked), channel=channel, counts=counts, text=v.get("text", ""))
    return Decided([], ticket.rows(fact), lambda _book: {**state(ticket, ticket.after(fact), asked), "counts": counts})


def prioritise(ticket: Ticket, v: Answer, asked: Asked, catalogue: Catalogue) -> Decided:
    """Raise or lower: a raise may tighten the promise, a lowering with its grounds may loosen it."""
    clock = ticket.clock(asked.at)
    way = sla.direction(clock.priority, v["priority"])
    if not way:
        raise Refused("same_priority", ticket=ticket.number, priority=v["priority"])
    if clock.resolved_at:
        raise Refused("ticket_resolved", ticket=ticket.number)
    runs = bool(clock.due_at) and not clock.responded_at and asked.at < clock.due_at
    if way == "lower" and runs:
        _check_grounds(clock, v, asked)
    due_at = ""
    if runs:
        opened = clock.opened
        day = local_day(opened.occurred_at, opened.zone)
        policy = opened.policy or catalogue.target(clock.level, v["priority"], day).policy
        target = catalogue.target_of(policy, clock.verdict_level, v["priority"], day)
        due_at = _due(catalogue, target, asked.at if way == "raise" else opened.occurred_at)
    fact = f.TicketPrioritised(
        **_common(ticket, asked),
        priority=v["priority"],
        direction=way,
        due_at=due_at,
        agreed=v.get("agreed", False),
        reminder=v.get("reminder", ""),
    )
    return Decided([], ticket.rows(fact), lambda _book: state(ticket, ticket.after(fact), asked))


def _check_grounds(clock: sla.Clock, v: Answer, asked: Asked) -> None:
    number = clock.opened.ticket_no
    if not asked.reason:
        raise Refused("reason_required", command="ticket.prioritise")
    if v.get("agreed"):
        return
    reminder = v.get("reminder")
    if reminder is None:
        raise Refused("lowering_needs_grounds", ticket=number)
    if reminder < clock.opened.occurred_at or clock.heard_at > reminder:
        raise Refused("reminder_answered", ticket=number, reminder=show(reminder, clock.opened.zone))
    if from_iso(asked.at) - from_iso(reminder) < sla.REMINDER_AGE:
        raise Refused("reminder_too_young", ticket=number, reminder=show(reminder, clock.opened.zone))


def assign(ticket: Ticket, v: Answer, asked: Asked) -> Decided:
    """Hand the case to an agent."""
    ticket.clock(asked.at)
    fact = f.TicketAssigned(**_common(ticket, asked), to=v["to"])
    answer = {"ticket": ticket.number, "assigned_to": v["to"]}
    return Decided([], ticket.rows(fact), lambda _book: answer)


# --- decisions that touch the account too -------------------------------------------------------------------


def reclassify(account: Account, ticket: Ticket, v: Answer, asked: Asked, catalogue: Catalogue) -> Decided:
    """Change what the request is; its unit follows, its clock as DOMAIN.md says (below the table)."""
    clock = ticket.clock(asked.at)
    request = v["request"]
    if request == clock.request:
        raise Refused("same_request", ticket=ticket.number, request=request)
    held = account.whole(asked.now).uses.get(ticket.number, "")
    grants = account.whole(asked.now).grants
    keeps = clock.given_back or (held and grants[held].covers(level_needed(request)))
    if request == "administrative":
        facts, fields = give_back_facts(account, ticket, asked, held), {}
    elif keeps and request not in ("terminal",) and clock.request != "administrative":
        facts, fields = [], {"level": clock.level, "grant": held}
    else:
        case = _case(account, request, asked, catalogue, product=clock.opened.product)
        decision = decide(case)
        if not decision.served:
            wanted = {"request": request, "priority": clock.priority, "product": clock.opened.product}
            return decline(account.number, ticket.number, wanted, asked, decision, catalogue, account)
        facts = give_back_facts(account, ticket, asked, held)
        facts += _consumption(account, ticket.number, decision, asked)
        fields = _joined(clock, decision, asked, catalogue)
    fact = f.TicketReclassified(**_common(ticket, asked), request=request, **fields)
    after = ticket.after(fact)
    return Decided(facts, ticket.rows(fact), lambda _book: state(ticket, after, asked))


def _joined(clock: sla.Clock, decision: Decision, asked: Asked, catalogue: Catalogue) -> Answer:
    """Return the promise of a case that joins compliance: its first due if it had one, else counted from now."""
    fields: Answer = {"level": decision.level, "grant": decision.grant, "why": decision.why or decision.code}
    if not decision.level:
        return fields
    day = local_day(clock.opened.occurred_at, clock.opened.zone)
    fields |= _promise(decision.level, {"priority": clock.priority}, asked, catalogue, day)
    if clock.request == "administrative" and clock.first_due:
        fields["due_at"] = clock.first_due
    return fields


def give_back_facts(account: Account, ticket: Ticket, asked: Asked, held: str) -> list[f.Fact]:
    """Return the movement that gives the unit of `held` back ([] when the case holds none)."""
    if not held:
        return []
    return [f.UnitGivenBack(**common(account.number, asked), ticket_no=ticket.number, grant=held)]


def give_back(account: Account, ticket: Ticket, v: Answer, asked: Asked, _catalogue: Catalogue) -> Decided:
    """Give the unit back to its own grant: a duplicate, an invalid case, our mistake; apart from the SLA."""
    ticket.clock(asked.at)
    held = account.whole(asked.now).uses.get(ticket.number, "")
    if not held:
        raise Refused("nothing_to_give_back", ticket=ticket.number)
    fact = f.TicketGivenBack(**_common(ticket, asked), grant=held, approver=v.get("approver", asked.by))
    facts = give_back_facts(account, ticket, asked, held)
    return Decided(facts, ticket.rows(fact), lambda _book: {"ticket": ticket.number, "grant": held})


def exclude(ticket: Ticket, v: Answer, asked: Asked) -> Decided:
    """Leave the adjusted figures: with a reason and an approver who is not the answering agent."""
    clock = ticket.clock(asked.at)
    if not clock.due_at:
        raise Refused("no_target", ticket=ticket.number)
    if clock.excluded:
        raise Refused("already_excluded", ticket=ticket.number)
    approver = v.get("approver")
    if approver is None:
        if asked.role not in MANAGERS:
            raise Malformed("approver", None, "remedy_missing")
        approver = asked.by
    if approver == clock.responded_by:
        raise Refused("approver_is_answerer", ticket=ticket.number, approver=approver)
    fact = f.TicketExcluded(**_common(ticket, asked), approver=approver)
    return Decided([], ticket.rows(fact), lambda _book: state(ticket, ticket.after(fact), asked))


def state(ticket: Ticket, clock: sla.Clock, asked: Asked) -> Answer:
    """Return how the case stands: what commands answer."""
    zone = clock.opened.zone
    return {
        "ticket": ticket.number,
        "request": clock.request,
        "priority": clock.priority,
        "level": clock.level or None,
        "grant": clock.grant or None,
        "due_at": show(clock.due_at, zone) if clock.due_at else None,
        "verdict": clock.verdict(max(asked.now, asked.at)),
    }
