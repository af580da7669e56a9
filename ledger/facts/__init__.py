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
from ledger.facts.codec import FACTS, UnknownFact, decode, encode
from ledger.facts.due import (
    COUNTS,
    ChargePaid,
    ChargeRaised,
    ChargeVoided,
    DueFactWithdrawn,
    PlanEnded,
    PlanRenewed,
    TicketsExpired,
    TicketsGranted,
    TicketsVoided,
)
from ledger.facts.own_streams import ReferenceClaimed, RequestDeclined
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

__all__ = [
    "COUNTS",
    "FACTS",
    "AccountOpened",
    "AddonPurchased",
    "CancellationScheduled",
    "CancellationWithdrawn",
    "ChargePaid",
    "ChargeRaised",
    "ChargeVoided",
    "CourtesyGranted",
    "Due",
    "DueFactWithdrawn",
    "Fact",
    "LicenceRenewed",
    "PaymentRecorded",
    "PlanEnded",
    "PlanPurchased",
    "PlanRenewed",
    "ReferenceClaimed",
    "RequestDeclined",
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
    "decode",
    "encode",
]
