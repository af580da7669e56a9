"""Facts of an account that correct its money: each names what it corrects, and who approved (DOMAIN.md 9).

Amounts are integer minor units above zero; `reason` is never empty. `approval` says how `approver` approved, as in
`ledger.facts.approvals`.
"""

from __future__ import annotations

from typing import ClassVar

from ledger.facts.base import Fact


class DiscountGiven(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """Less is asked for on an open charge: a line of its own."""

    TOPIC: ClassVar[str] = "account.discount_given"
    discount: str
    charge: str
    gross: int
    net: int
    tax: int
    approver: str
    approval: str = ""


class ChargeCancelled(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """An open charge was voided by hand; what was paid on it became credit."""

    TOPIC: ClassVar[str] = "account.charge_cancelled"
    charge: str
    approver: str
    approval: str = ""


class DebtWrittenOff(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """What is still owed on a charge of an ended period is given up."""

    TOPIC: ClassVar[str] = "account.debt_written_off"
    charge: str
    amount: int
    approver: str
    approval: str = ""


class CreditNoted(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """Part of a paid charge was credited: the money is the customer's again. The last one takes the tax's remainder."""

    TOPIC: ClassVar[str] = "account.credit_noted"
    note: str
    charge: str
    gross: int
    net: int
    tax: int
    approver: str
    approval: str = ""


class RefundAsked(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """Money of `payment` that pays nothing goes back to the customer; through the gateway when `method` is card."""

    TOPIC: ClassVar[str] = "account.refund_asked"
    refund: str
    payment: str
    amount: int
    method: str
    approver: str
    reference: str = ""
    approval: str = ""


class RefundSettled(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The gateway gave the money back."""

    TOPIC: ClassVar[str] = "account.refund_settled"
    refund: str
    reference: str


class RefundRefused(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The gateway did not give the money back: it is credit again."""

    TOPIC: ClassVar[str] = "account.refund_refused"
    refund: str
    code: str


class PaymentReversed(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A payment was taken back: `kind` is returned_cheque, chargeback or mistake. What it paid is owed again.

    `rule` says which rule it follows (DOMAIN.md 7). 2: `amount` is the whole payment, owed from this date; on the plan
    it acts with the `ReversalTookEffect` recorded beside it. 1, before there was a second: all of it acts at this date,
    takes what had not been refunded, has no `amount`; `used_later` are the units by grant used after its date, as known
    when it was recorded: they stay used.
    """

    TOPIC: ClassVar[str] = "account.payment_reversed"
    payment: str
    kind: str
    approver: str
    reference: str = ""
    approval: str = ""
    used_later: dict[str, int] = {}  # noqa: RUF012 - msgspec copies it for each fact
    amount: int = 0
    rule: int = 1


class ReversalTookEffect(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """From here on the money of a reversed payment is gone for the plan too: dated when the reversal was recorded.

    `used_later`: units by grant that are used after this instant, as known when it was recorded: they stay used.
    """

    TOPIC: ClassVar[str] = "account.reversal_took_effect"
    payment: str
    used_later: dict[str, int] = {}  # noqa: RUF012 - msgspec copies it for each fact


class MoneyApplied(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """Unapplied money of `payment` became credit, which pays what is due."""

    TOPIC: ClassVar[str] = "account.money_applied"
    payment: str
    amount: int


class DocumentIssued(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A tax document was issued: `kind` is invoice (its charge was paid) or credit_note.

    `subject` is the charge or the credit note it was issued for. Its number stands in the series' stream
    (`NumberTaken`), taken in the same transaction. `name`, `nit` and `address` are the customer's on that day;
    documents from before they were kept say what the account's opening says.
    """

    TOPIC: ClassVar[str] = "account.document_issued"
    kind: str
    series: str
    subject: str
    charge: str
    gross: int
    net: int
    tax: int
    currency: str
    name: str = ""
    nit: str = ""
    address: str = ""


class DocumentCertified(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The certifier's authorisation of a document (FEL): its UUID, series and number, recorded once."""

    TOPIC: ClassVar[str] = "account.document_certified"
    document: str
    uuid: str
    series: str
    number: str
