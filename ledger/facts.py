"""Every event of the ledger as a typed value: its stored name, its fields, its decoding. No behaviour.

Facts are past tense and never change. Values are JSON-native: money in integer minor units, instants as
canonical UTC strings (`ledger.rules.instants`), local dates as YYYY-MM-DD. The terms promised are copied in,
so that a later catalogue never rewrites a promise. `TOPIC` is the stored name: files and classes may move.

A fact is either *decided* (somebody asked, and the ledger agreed) or *due* (time passed: `Due`). Due facts
follow from the decided ones by rule; they are recorded so that they can be audited, and folds check them
instead of trusting them (DOMAIN.md, "Dates decide, events record").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec


class Fact(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """One stored event. `occurred_at` is business time; `by` and `source` say who and through what."""

    TOPIC: ClassVar[str] = ""
    VERSION: ClassVar[int] = 1
    UPCASTERS: ClassVar[dict[int, Callable[[dict[str, Any]], None]]] = {}

    customer_no: str
    occurred_at: str
    by: str
    source: str
    reason: str = ""


class Due(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A fact that followed from time passing or from a payment; `key` is its natural key."""

    key: str


# --- account: decided ---------------------------------------------------------------------------------


class AccountOpened(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A customer company got an account; zone, currency and language hold for its life."""

    TOPIC: ClassVar[str] = "account.opened"
    name: str
    zone: str
    currency: str
    language: str
    nit: str = ""
    address: str = ""


class PlanPurchased(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A plan was bought; it starts when its charge is paid (at once when `gross` is 0)."""

    TOPIC: ClassVar[str] = "account.plan_purchased"
    subscription: str
    level: str
    term: str
    channel: str
    pay_by: str
    units: int
    gross: int
    net: int
    tax: int
    due_on: str
    salesperson: str = ""
    licence_until: str = ""
    charge: str = ""


class LicenceRenewed(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The licence's recorded date moved; its plan is in force through `licence_until` (a local date)."""

    TOPIC: ClassVar[str] = "account.licence_renewed"
    subscription: str
    licence_until: str


class AddonPurchased(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """An add-on was bought; its tickets are granted when its charge is paid."""

    TOPIC: ClassVar[str] = "account.addon_purchased"
    charge: str
    level: str
    units: int
    gross: int
    net: int
    tax: int
    due_on: str


class CourtesyGranted(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A manager granted tickets to make good our own mistake; usable from `occurred_at` to `until`."""

    TOPIC: ClassVar[str] = "account.courtesy_granted"
    grant: str
    level: str
    units: int
    until: str


class PaymentRecorded(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """Money came in; `occurred_at` is its value date. `unapplied`: it pays nothing until it is applied."""

    TOPIC: ClassVar[str] = "account.payment_recorded"
    payment: str
    amount: int
    currency: str
    method: str
    reference: str
    bank: str = ""
    unapplied: bool = False


class CancellationScheduled(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The plan will end at local midnight of `ends_on`. `undoes`: the renewal at `ends_on` had already run."""

    TOPIC: ClassVar[str] = "account.cancellation_scheduled"
    subscription: str
    ends_on: str
    undoes: bool = False
    overridden: bool = False


class CancellationWithdrawn(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The scheduled end was taken back before it took effect."""

    TOPIC: ClassVar[str] = "account.cancellation_withdrawn"
    subscription: str


class TicketConsumed(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """One unit of `grant` pays for `ticket_no`; `why` says why this grant."""

    TOPIC: ClassVar[str] = "account.ticket_consumed"
    ticket_no: str
    grant: str
    why: str


class UnitGivenBack(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The unit that `ticket_no` had taken went back to its own grant."""

    TOPIC: ClassVar[str] = "account.unit_given_back"
    ticket_no: str
    grant: str


# --- account: due -------------------------------------------------------------------------------------


class ChargeRaised(Due, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A renewal fell due at its boundary, at these terms."""

    TOPIC: ClassVar[str] = "account.charge_raised"
    charge: str
    subscription: str
    level: str
    units: int
    gross: int
    net: int
    tax: int
    due_on: str


class ChargePaid(Due, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A charge was paid in full at this instant: the invoice is born here."""

    TOPIC: ClassVar[str] = "account.charge_paid"
    charge: str
    amount: int


class ChargeVoided(Due, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A charge fell away (`cause`: abandoned, lapsed, cancelled, undone); money on it became credit."""

    TOPIC: ClassVar[str] = "account.charge_voided"
    charge: str
    cause: str


class PlanRenewed(Due, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A period of the plan is paid: it runs from `starts` to `ends` (half-open)."""

    TOPIC: ClassVar[str] = "account.plan_renewed"
    subscription: str
    period: int
    starts: str
    ends: str


class PlanEnded(Due, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A plan stopped: `cause` is cancelled, lapsed, abandoned or licence_ended."""

    TOPIC: ClassVar[str] = "account.plan_ended"
    subscription: str
    cause: str


class TicketsGranted(Due, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A plan's month or a paid add-on gave tickets, usable from `occurred_at` to `until` (half-open)."""

    TOPIC: ClassVar[str] = "account.tickets_granted"
    grant: str
    kind: str
    level: str
    units: int
    until: str


class TicketsExpired(Due, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """Unused units expired with their grant; a negative count corrects an earlier record."""

    TOPIC: ClassVar[str] = "account.tickets_expired"
    grant: str
    units: int


class TicketsVoided(Due, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """Unused units were taken back with what they came from; a negative count corrects an earlier record."""

    TOPIC: ClassVar[str] = "account.tickets_voided"
    grant: str
    units: int


COUNTS = (TicketsExpired, TicketsVoided)


class DueFactWithdrawn(Due, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A recorded due fact no longer follows from the dates known now; `key` names it, `what` its topic."""

    TOPIC: ClassVar[str] = "account.due_fact_withdrawn"
    what: str


# --- ticket -------------------------------------------------------------------------------------------


class TicketFact(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A fact of one case. `row` is its place in an imported file ("" when it was not imported)."""

    ticket_no: str
    row: str = ""


class TicketOpened(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A request was accepted; the promise (limit, calendar, versions, due instant) is copied in.

    `due_at` is "" where no target is promised. `limit_us` is in physical microseconds inside open hours.
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
    attributes: dict[str, str] = {}


class TicketAcknowledged(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """An automatic acknowledgement or a reminder went out; it never stops the clock."""

    TOPIC: ClassVar[str] = "ticket.acknowledged"
    text: str = ""


class TicketResponded(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A person answered; `counts` says whether the channel is one that stops the clock."""

    TOPIC: ClassVar[str] = "ticket.responded"
    channel: str
    counts: bool
    text: str = ""


class TicketNoted(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """Something worth keeping on the timeline; it changes nothing."""

    TOPIC: ClassVar[str] = "ticket.noted"
    text: str = ""


class TicketWaiting(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """We wait on the customer; the first response is not paused by it."""

    TOPIC: ClassVar[str] = "ticket.waiting"
    text: str = ""


class TicketResumed(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The waiting ended."""

    TOPIC: ClassVar[str] = "ticket.resumed"
    text: str = ""


class TicketPrioritised(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The priority changed. `due_at` is the instant the new limit alone would give; `direction` raise or lower.

    A raise counts the new limit from `occurred_at`, a lowering from the opening; "" moves no target.
    """

    TOPIC: ClassVar[str] = "ticket.prioritised"
    priority: str
    direction: str
    due_at: str = ""
    agreed: bool = False
    reminder: str = ""


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
    """The request is of another kind. `leaves` compliance, or joins it with a target of its own."""

    TOPIC: ClassVar[str] = "ticket.reclassified"
    request: str
    level: str = ""
    grant: str = ""
    why: str = ""
    policy: str = ""
    calendar: str = ""
    limit_us: int = 0
    due_at: str = ""


class TicketGivenBack(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The unit of this case went back to its grant (the account's stream has the movement)."""

    TOPIC: ClassVar[str] = "ticket.given_back"
    grant: str = ""
    approver: str = ""


class TicketExcluded(TicketFact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The case leaves the adjusted figures, with a reason and an approver who did not answer it."""

    TOPIC: ClassVar[str] = "ticket.excluded"
    approver: str


# --- streams of their own -----------------------------------------------------------------------------


class RequestDeclined(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A request was declined: what was asked, and the code of the row of the table that said no."""

    TOPIC: ClassVar[str] = "decline.recorded"
    ticket_no: str
    request: str
    code: str
    priority: str = ""
    product: str = ""
    charge: str = ""
    hint: str = ""


class ReferenceClaimed(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A bank's reference was used by a payment; its stream makes it unique over all accounts."""

    TOPIC: ClassVar[str] = "reference.claimed"
    bank: str
    reference: str
    payment: str


# --- decoding -----------------------------------------------------------------------------------------


def _leaves(cls: type[Fact]) -> list[type[Fact]]:
    return [leaf for sub in cls.__subclasses__() for leaf in ([sub] if sub.TOPIC else []) + _leaves(sub)]


FACTS: dict[str, type[Fact]] = {cls.TOPIC: cls for cls in _leaves(Fact)}
_DECODERS: dict[str, Callable[[bytes], Fact]] = {
    topic: msgspec.json.Decoder(cls).decode for topic, cls in FACTS.items() if cls.VERSION == 1
}
_encode = msgspec.json.Encoder().encode


class UnknownFact(ValueError):
    """A stored row whose topic or content this version cannot read; names the topic and the cause."""


def encode(fact: Fact) -> bytes:
    """Return the stored bytes of `fact`; `class_version` is written only above 1."""
    if fact.VERSION == 1:
        return _encode(fact)
    return _encode({**msgspec.to_builtins(fact), "class_version": fact.VERSION})


def decode(topic: str, state: bytes) -> Fact:
    """Return the typed fact of a stored row, upcast where it is of an older version.

    Raises UnknownFact for a topic or content that this version does not know.
    """
    try:
        fast = _DECODERS.get(topic)
        return fast(state) if fast is not None else _upcast(FACTS[topic], state)
    except (msgspec.MsgspecError, KeyError, ValueError) as error:
        raise UnknownFact(f"cannot read a stored event of topic {topic!r}: {error}") from error


def _upcast(cls: type[Fact], state: bytes) -> Fact:
    data: dict[str, Any] = msgspec.json.decode(state)
    for version in range(data.pop("class_version", 1), cls.VERSION):
        cls.UPCASTERS[version](data)
    return msgspec.convert(data, cls)
