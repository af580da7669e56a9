"""Ticket: one case's stream, its decisions. What is allowed depends on the clock as it stood at the command's date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ledger import facts as f
from ledger import policies
from ledger.account import Asked
from ledger.catalogue import Catalogue, Target
from ledger.commands import MANAGERS
from ledger.errors import NotFound, Refused
from ledger.plans import Answer, Decided, common
from ledger.rules import sla
from ledger.rules.instants import from_iso, show, to_iso
from ledger.rules.responses import channel_counts, reminds
from ledger.rules.subscriptions import FAR
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
        self.recorded: list[str] = [e.recorded_at for e in events]

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
        clock = sla.run(self.facts, at, self.recorded)
        if clock is None:
            raise Refused("before_opening", opened_at=show(opened.occurred_at, opened.zone))
        return clock

    def after(self, fact: f.TicketFact, now: str) -> sla.Clock:
        """Return the clock with `fact` added, recorded `now`, and everything known, dated later or not."""
        return self.after_all([fact], now)

    def after_all(self, new: Sequence[f.TicketFact], now: str) -> sla.Clock:
        """Return the clock with several facts added."""
        stamps = [max(now, self.recorded[-1])] * len(new)
        clock = sla.run([*self.facts, *new], FAR, [*self.recorded, *stamps])
        assert clock is not None
        return clock

    def rows(self, *new: f.TicketFact) -> list[Recorded]:
        """Return `new` at their places in the stream."""
        return [Recorded(self.stream, self.version + 1 + i, fact) for i, fact in enumerate(new)]


def ticket_fields(ticket: Ticket, asked: Asked) -> dict[str, Any]:
    """Return the fields that every fact of this command on this case carries."""
    return {**common(ticket.opened.customer_no, asked), "ticket_no": ticket.number}


def remark(verb: str, ticket: Ticket, v: Answer, asked: Asked) -> Decided:
    """Acknowledge, note, wait, resume, resolve or reopen: checked against the clock at the command's date."""
    clock = ticket.clock(asked.at)
    _check_remark(verb, clock, asked)
    asking = {"answers": True} if verb == "wait" and asks(v) else {}
    fact = _REMARKS[verb](**ticket_fields(ticket, asked), text=v.get("text", ""), **asking)
    return Decided([], ticket.rows(fact), lambda _book: state(ticket, ticket.after(fact, asked.now), asked))


def asks(v: Answer) -> bool:
    """Whether a waiting asks the customer something, with its text: then it is a response (DOMAIN.md, the clock)."""
    return bool(v.get("text", "").strip())


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
    counts = channel_counts(channel, clock.priority)
    fact = f.TicketResponded(**ticket_fields(ticket, asked), channel=channel, counts=counts, text=v.get("text", ""))

    def answer(_book: object) -> Answer:
        return {**state(ticket, ticket.after(fact, asked.now), asked), "counts": counts}

    return Decided([], ticket.rows(fact), answer)


def remind(ticket: Ticket, v: Answer, asked: Asked) -> Decided:
    """Remind the customer, or call: it stops nothing; unanswered for an hour it is a ground for a lowering."""
    clock = ticket.clock(asked.at)
    if clock.resolved_at:
        raise Refused("ticket_resolved", ticket=ticket.number)
    channel, text = v.get("channel", "platform"), v.get("text", "")
    fact = f.TicketReminded(**ticket_fields(ticket, asked), channel=channel, text=text)
    return Decided([], ticket.rows(fact), lambda _book: state(ticket, ticket.after(fact, asked.now), asked))


def prioritise(ticket: Ticket, v: Answer, asked: Asked, catalogue: Catalogue) -> Decided:
    """Raise or lower: a raise may tighten the promise, a lowering with its grounds may loosen it."""
    clock = ticket.clock(asked.at)
    way = sla.direction(clock.priority, v["priority"])
    if not way:
        raise Refused("same_priority", ticket=ticket.number, priority=v["priority"])
    check_order(ticket, asked)
    if clock.resolved_at:
        raise Refused("ticket_resolved", ticket=ticket.number)
    runs = bool(clock.due_at) and not clock.responded_at and asked.at < clock.due_at
    if way == "lower" and runs:
        check_breach(ticket, asked, "ticket.prioritise")
        _check_grounds(ticket, clock, v, asked)
    if way == "lower" and "reminder" in v:
        _check_reminder(ticket, clock, v["reminder"], asked)
    due_at = ""
    if runs:
        start = asked.at if way == "raise" else clock.started_at
        due_at = promised(catalogue, clock, clock.level, v["priority"], start)
    fact = f.TicketPrioritised(
        **ticket_fields(ticket, asked),
        priority=v["priority"],
        direction=way,
        due_at=due_at,
        agreed=v.get("agreed", False),
        reminder=v.get("reminder", ""),
    )
    return Decided([], ticket.rows(fact), lambda _book: state(ticket, ticket.after(fact, asked.now), asked))


def check_breach(ticket: Ticket, asked: Asked, command: str) -> None:
    """Refuse to loosen by a date before the due instant what had been breached by now, unless a manager says why.

    "A breach that has happened stays", and leaves compliance by an exclusion only (DOMAIN.md, "Response targets").
    """
    known = ticket.clock(asked.now)
    if asked.at < known.due_at and known.breached_by(asked.now):
        if asked.role not in MANAGERS:
            raise Refused("breach_stays", ticket=ticket.number, due_at=show(known.due_at, known.opened.zone))
        if not asked.reason:
            raise Refused("reason_required", command=command)


def check_order(ticket: Ticket, asked: Asked) -> None:
    """Refuse to move a target behind a later move: what was decided later stands on what was before.

    An upgrade of the plan decided nothing on the case: it says what every priority would be promised.
    """
    for fact in ticket.facts:
        decided = isinstance(fact, (f.TicketPrioritised, f.TicketReclassified))
        if fact.occurred_at > asked.at and (decided or (isinstance(fact, f.TicketPlanUpgraded) and not fact.dues)):
            at = show(fact.occurred_at, ticket.opened.zone)
            raise Refused("behind_later_change", ticket=ticket.number, at=at)


def _check_grounds(ticket: Ticket, clock: sla.Clock, v: Answer, asked: Asked) -> None:
    """Refuse a lowering without a reason, and one with neither an agreement nor a reminder."""
    if not asked.reason:
        raise Refused("reason_required", command="ticket.prioritise")
    if not v.get("agreed") and "reminder" not in v:
        raise Refused("lowering_needs_grounds", ticket=ticket.number, reminders=_told(_reminders(ticket, asked), clock))


def _check_reminder(ticket: Ticket, clock: sla.Clock, reminder: str, asked: Asked) -> None:
    """Refuse a reminder that nobody recorded, that was answered, or is not an hour old: also where only a label moves.

    What a lowering names stays on record as its ground, and what-if may find the case running where it was not.
    """
    zone, sent = clock.opened.zone, _reminders(ticket, asked)
    at = show(reminder, zone)
    if all(one.occurred_at != reminder for one in sent):
        raise Refused("no_such_reminder", ticket=ticket.number, reminder=at, reminders=_told(sent, clock))
    if clock.heard_at > reminder:
        raise Refused("reminder_answered", ticket=ticket.number, reminder=at)
    if from_iso(asked.at) - from_iso(reminder) < sla.REMINDER_AGE:
        raise Refused("reminder_too_young", ticket=ticket.number, reminder=at)


def _reminders(ticket: Ticket, asked: Asked) -> list[f.TicketFact]:
    return [fact for fact in ticket.facts if reminds(fact) and fact.occurred_at <= asked.at]


def _told(sent: Sequence[f.TicketFact], clock: sla.Clock) -> str:
    return ", ".join(show(one.occurred_at, clock.opened.zone) for one in sent) or "-"


def assign(ticket: Ticket, v: Answer, asked: Asked) -> Decided:
    """Hand the case to an agent."""
    ticket.clock(asked.at)
    fact = f.TicketAssigned(**ticket_fields(ticket, asked), to=v["to"])
    answer = {"ticket": ticket.number, "assigned_to": v["to"]}
    return Decided([], ticket.rows(fact), lambda _book: answer)


def exclude(ticket: Ticket, v: Answer, asked: Asked) -> Decided:
    """Leave the adjusted figures: with a reason; an approver is needed always (`ledger.approving`)."""
    clock = ticket.clock(asked.at)
    if not clock.due_at:
        raise Refused("no_target", ticket=ticket.number)
    known = ticket.clock(FAR)
    if not known.due_at:
        raise Refused("no_target", ticket=ticket.number)
    if known.excluded:
        raise Refused("already_excluded", ticket=ticket.number)
    final_at = known.final_at()
    if asked.now >= final_at:
        raise Refused("verdict_final", ticket=ticket.number, final_at=show(final_at, clock.opened.zone))
    fact = f.TicketExcluded(**ticket_fields(ticket, asked), approver=v.get("approver", ""))
    return Decided([], ticket.rows(fact), lambda _book: state(ticket, ticket.after(fact, asked.now), asked))


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


def promised(catalogue: Catalogue, clock: sla.Clock, level: str, priority: str, start: str) -> str:
    """Return the due instant of a level and priority counted from `start`, under the policy that governs the case."""
    return due_instant(catalogue, policies.target(catalogue, clock, level, priority), start)


def due_instant(catalogue: Catalogue, target: Target, start: str) -> str:
    """Return the canonical instant at which `target` is used up when counted from `start`."""
    return to_iso(catalogue.calendar(target.calendar).due(from_iso(start), target.limit_us))
