"""Facts of an account that followed from dates or from a payment."""

from __future__ import annotations

from typing import ClassVar

from ledger.facts.base import Due


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


class ChargeReopened(Due, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A paid charge is owed again, in whole or in part: the payment that paid it was taken back."""

    TOPIC: ClassVar[str] = "account.charge_reopened"
    charge: str
    amount: int


class RefundOwed(Due, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """What of `payment` had been refunded is owed: the payment was taken back. A debt and no sale (DOMAIN.md 7)."""

    TOPIC: ClassVar[str] = "account.refund_owed"
    debt: str
    payment: str
    amount: int


class RefundRepaid(Due, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A refund that was owed has been paid in full at this instant."""

    TOPIC: ClassVar[str] = "account.refund_repaid"
    debt: str
    amount: int


class ChargeVoided(Due, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A charge fell away; money on it became credit.

    `cause`: abandoned, lapsed, cancelled, undone, quote_ended, unit_used, asked_anew, past_due or by_hand.
    """

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


class PlanChanged(Due, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The plan has another level or term from now on: `cause` is upgraded or renewed."""

    TOPIC: ClassVar[str] = "account.plan_changed"
    subscription: str
    level: str
    term: str
    cause: str


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
