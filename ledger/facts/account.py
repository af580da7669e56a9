"""Facts of an account that somebody decided."""

from __future__ import annotations

from typing import ClassVar

from ledger.facts.base import Fact

IMPORTER = "import"  # who records what comes from another desk; a batch's source begins with it


class AccountOpened(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A customer company got an account; its currency holds for its life."""

    TOPIC: ClassVar[str] = "account.opened"
    name: str
    zone: str
    currency: str
    language: str
    nit: str = ""
    address: str = ""


class AccountChanged(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """Who the customer is changed from `occurred_at` on: what is given here, the rest stays (None).

    A zone holds from the plan's next boundary; documents keep what they said (DOMAIN.md 9).
    """

    TOPIC: ClassVar[str] = "account.changed"
    name: str | None = None
    nit: str | None = None
    address: str | None = None
    zone: str | None = None
    language: str | None = None


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
    """A manager granted tickets to make good our own mistake; usable from `occurred_at` to `until`.

    `approver`, `approval` (`ledger.facts.approvals`): who approved one above the cap, and how.
    """

    TOPIC: ClassVar[str] = "account.courtesy_granted"
    grant: str
    level: str
    units: int
    until: str
    approver: str = ""
    approval: str = ""


class PaymentRecorded(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """Money came in; `occurred_at` is its value date. `unapplied`: it pays nothing until it is applied.

    `slip_total`: what the whole slip was, of which this is a part; 0 where it is the whole.
    By card: `attempt` names what was asked of the gateway, `charge` what it pays first, `reference` is the gateway's.
    """

    TOPIC: ClassVar[str] = "account.payment_recorded"
    payment: str
    amount: int
    currency: str
    method: str
    reference: str
    bank: str = ""
    unapplied: bool = False
    attempt: str = ""
    charge: str = ""
    slip_total: int = 0

    @property
    def assumed(self) -> bool:
        """Whether an import supposed it, since its customer went on being served: nobody saw the money."""
        return self.by == IMPORTER and self.source.startswith(f"{IMPORTER}:")


class CancellationScheduled(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The plan will end at local midnight of `ends_on`. `undoes`: the renewal at `ends_on` had already run.

    `at_once`: asked while past due on a payment taken back, so it ends when it is asked; `ends_on` is that day.
    `overridden`: asked for after the deadline; `approver`, `approval` (`ledger.facts.approvals`) let it be.
    """

    TOPIC: ClassVar[str] = "account.cancellation_scheduled"
    subscription: str
    ends_on: str
    undoes: bool = False
    overridden: bool = False
    at_once: bool = False
    approver: str = ""
    approval: str = ""


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
