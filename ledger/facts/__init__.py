"""Every event of the ledger as a typed value: its stored name, its fields, its decoding. No behaviour.

Facts are past tense and never change. Values are JSON-native: money in integer minor units, instants as
canonical UTC strings (`ledger.rules.instants`), local dates as YYYY-MM-DD. The terms promised are copied in,
so that a later catalogue never rewrites a promise. `TOPIC` is the stored name: files and classes may move.

A fact is either *decided* (somebody asked, and the ledger agreed) or *due* (time passed: `Due`). Due facts
follow from the decided ones by rule; they are recorded so that they can be audited, and folds check them
instead of trusting them (DOMAIN.md, "Dates decide, events record").
"""

from __future__ import annotations

from ledger.facts.account import (
    AccountOpened,
    AddonPurchased,
    CancellationScheduled,
    CancellationWithdrawn,
    CourtesyGranted,
    LicenceRenewed,
    PaymentRecorded,
    PlanPurchased,
    TicketConsumed,
    UnitGivenBack,
)
from ledger.facts.base import Due, Fact
from ledger.facts.cards import AttemptContradicted, AttemptRefused, CardRegistered, ChargeAttempted
from ledger.facts.changes import (
    ChangeWithdrawn,
    DowngradeScheduled,
    PayByChanged,
    TermChangeScheduled,
    UpgradeAsked,
)
from ledger.facts.codec import FACTS, UnknownFact, decode, encode
from ledger.facts.corrections import (
    ChargeCancelled,
    CreditNoted,
    DebtWrittenOff,
    DiscountGiven,
    DocumentCertified,
    DocumentIssued,
    MoneyApplied,
    PaymentReversed,
    RefundAsked,
    RefundRefused,
    RefundSettled,
)
from ledger.facts.due import (
    COUNTS,
    ChargePaid,
    ChargeRaised,
    ChargeReopened,
    ChargeVoided,
    DueFactWithdrawn,
    PlanChanged,
    PlanEnded,
    PlanRenewed,
    TicketsExpired,
    TicketsGranted,
    TicketsVoided,
)
from ledger.facts.own_streams import MonthClosed, NumberTaken, ReferenceClaimed, RequestDeclined
from ledger.facts.ticket import (
    TicketAcknowledged,
    TicketAssigned,
    TicketExcluded,
    TicketFact,
    TicketGivenBack,
    TicketNoted,
    TicketOpened,
    TicketPrioritised,
    TicketReclassified,
    TicketReopened,
    TicketResolved,
    TicketResponded,
    TicketResumed,
    TicketWaiting,
)

# Facts of an account that are papers about its money: they move nothing.
PAPERS = (DocumentIssued, DocumentCertified, AttemptContradicted)

__all__ = [
    "COUNTS",
    "FACTS",
    "PAPERS",
    "AccountOpened",
    "AddonPurchased",
    "AttemptContradicted",
    "AttemptRefused",
    "CancellationScheduled",
    "CancellationWithdrawn",
    "CardRegistered",
    "ChangeWithdrawn",
    "ChargeAttempted",
    "ChargeCancelled",
    "ChargePaid",
    "ChargeRaised",
    "ChargeReopened",
    "ChargeVoided",
    "CourtesyGranted",
    "CreditNoted",
    "DebtWrittenOff",
    "DiscountGiven",
    "DocumentCertified",
    "DocumentIssued",
    "DowngradeScheduled",
    "Due",
    "DueFactWithdrawn",
    "Fact",
    "LicenceRenewed",
    "MoneyApplied",
    "MonthClosed",
    "NumberTaken",
    "PayByChanged",
    "PaymentRecorded",
    "PaymentReversed",
    "PlanChanged",
    "PlanEnded",
    "PlanPurchased",
    "PlanRenewed",
    "ReferenceClaimed",
    "RefundAsked",
    "RefundRefused",
    "RefundSettled",
    "RequestDeclined",
    "TermChangeScheduled",
    "TicketAcknowledged",
    "TicketAssigned",
    "TicketConsumed",
    "TicketExcluded",
    "TicketFact",
    "TicketGivenBack",
    "TicketNoted",
    "TicketOpened",
    "TicketPrioritised",
    "TicketReclassified",
    "TicketReopened",
    "TicketResolved",
    "TicketResponded",
    "TicketResumed",
    "TicketWaiting",
    "TicketsExpired",
    "TicketsGranted",
    "TicketsVoided",
    "UnitGivenBack",
    "UnknownFact",
    "UpgradeAsked",
    "decode",
    "encode",
]
