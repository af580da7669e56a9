"""Facts of one case."""

from __future__ import annotations

from typing import ClassVar

from ledger.facts.base import Fact


class TicketFact(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A fact of one case. `row` is by what its row of an imported file is known ("" when it was not imported)."""

    ticket_no: str
    row: str = ""


class TicketOpened(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A request was accepted; the promise (limit, calendar, versions, due instant) is copied in.

    `due_at` is "" where no target is promised. `limit_us` is in physical microseconds inside open hours. `stated` is
    another system's word for an imported case's priority where that had a limit of its own, which `limit_us` then is.
    """

    TOPIC: ClassVar[str] = "ticket.opened"
    request: str
    priority: str
    zone: str
    level: str = ""
    grant: str = ""
    why: str = ""
    product: str = ""
    subject: str = ""
    policy: str = ""
    calendar: str = ""
    limit_us: int = 0
    due_at: str = ""
    confirmed: str = ""
    split_from: str = ""
    stated: str = ""
    attributes: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it for each fact


class TicketAcknowledged(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """An automatic acknowledgement went out; it never stops the clock, and is no ground for a lowering."""

    TOPIC: ClassVar[str] = "ticket.acknowledged"
    text: str = ""


class TicketReminded(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A person reminded the customer, or called; it never stops the clock. Unanswered, a lowering may name it."""

    TOPIC: ClassVar[str] = "ticket.reminded"
    channel: str
    text: str = ""


class TicketResponded(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A person answered; `counts` says whether the channel is one that stops the clock, as was known then.

    `via` is the case that this one was merged into, where the answer was given: `counts` is true if it counts there.
    `corrects`: told anew of an answer of this instant and channel, since the priority there was another one.
    """

    TOPIC: ClassVar[str] = "ticket.responded"
    channel: str
    counts: bool
    text: str = ""
    via: str = ""
    corrects: bool = False


class TicketNoted(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """Something worth keeping on the timeline; it changes nothing."""

    TOPIC: ClassVar[str] = "ticket.noted"
    text: str = ""


class TicketWaiting(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """We wait on the customer; the first response is not paused by it.

    `answers`: a person asked the customer something, which is a response as on the platform. What was recorded before
    this was told, and what was imported without saying so, does not.
    """

    TOPIC: ClassVar[str] = "ticket.waiting"
    text: str = ""
    answers: bool = False


class TicketResumed(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The waiting ended."""

    TOPIC: ClassVar[str] = "ticket.resumed"
    text: str = ""


class TicketPrioritised(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The priority changed. `due_at` is the instant the new limit alone would give; `direction` raise or lower.

    A raise counts the new limit from `occurred_at`, a lowering from the clock's start; "" moves no target. `stated`
    and `limit_us` as in an opening: another system's priority with a limit of its own.
    """

    TOPIC: ClassVar[str] = "ticket.prioritised"
    priority: str
    direction: str
    due_at: str = ""
    agreed: bool = False
    reminder: str = ""
    stated: str = ""
    limit_us: int = 0


class TicketAssigned(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """An agent holds the case now."""

    TOPIC: ClassVar[str] = "ticket.assigned"
    to: str


class TicketResolved(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The case was resolved; it counts as the response when nothing came before."""

    TOPIC: ClassVar[str] = "ticket.resolved"
    text: str = ""


class TicketReopened(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The case came back within seven days; the first response is not asked for again."""

    TOPIC: ClassVar[str] = "ticket.reopened"
    text: str = ""


class TicketReclassified(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The request is of another kind. It leaves compliance, joins it with a target of its own, or comes back to it.

    Where it `returns` to compliance, `due_at` is the due instant it had when it left, and `raised_due` what the limit
    of its level and priority gives from now on: that acts if either was raised meanwhile. Facts recorded before this
    was told restore the first due instant.
    """

    TOPIC: ClassVar[str] = "ticket.reclassified"
    request: str
    level: str = ""
    grant: str = ""
    why: str = ""
    policy: str = ""
    calendar: str = ""
    limit_us: int = 0
    due_at: str = ""
    returns: bool = False
    raised_due: str = ""
    approver: str = ""
    approval: str = ""


class TicketGivenBack(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The unit of this case went back to its grant (the account's stream has the movement)."""

    TOPIC: ClassVar[str] = "ticket.given_back"
    grant: str = ""
    approver: str = ""
    approval: str = ""


class TicketExcluded(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The case leaves the adjusted figures, with a reason and an approver who did not answer it.

    `alone`: the one person who may approve did, whether or not they answered it (the settings say so).
    """

    TOPIC: ClassVar[str] = "ticket.excluded"
    approver: str
    approval: str = ""
    alone: bool = False


class TicketMessage(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The customer wrote: it ends our waiting and begins the next response, which has no contracted target."""

    TOPIC: ClassVar[str] = "ticket.message_received"
    text: str = ""


class TicketPlanUpgraded(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The plan whose unit it consumed was upgraded while it was unanswered: like a raise, when it was recorded.

    `due_at` is the instant the new level's limit alone would give for the priority known then, `dues` for each: a
    change of priority dated before it may be recorded later. It moves nothing where the due instant had passed.
    """

    TOPIC: ClassVar[str] = "ticket.plan_upgraded"
    level: str
    due_at: str
    dues: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it for each fact


class TicketMerged(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """It goes on in another case, and keeps its own due: the first response there, after this, stops it."""

    TOPIC: ClassVar[str] = "ticket.merged"
    into: str


class TicketMergedIn(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """Another case goes on in this one."""

    TOPIC: ClassVar[str] = "ticket.merged_in"
    child: str


class TicketRevised(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """An approved revision that stands beside a final verdict: `verdict` is met, breached or excluded."""

    TOPIC: ClassVar[str] = "ticket.revised"
    verdict: str
    approver: str
    approval: str = ""


class TicketWarned(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """So many per cent of the limit were used up (100: the due instant passed) without a response.

    It follows from the dates; `key` is natural: once a threshold and due instant.
    """

    TOPIC: ClassVar[str] = "ticket.warned"
    key: str
    percent: int
    due_at: str


class TicketJudgedElsewhere(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """What another system held of an imported case: kept beside ours to be compared, it moves nothing.

    `verdict` is met, breached, excluded or "" (not told); the instants are "" where they were not told.
    """

    TOPIC: ClassVar[str] = "ticket.judged_elsewhere"
    system: str
    verdict: str = ""
    due_at: str = ""
    responded_at: str = ""
