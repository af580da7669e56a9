"""Facts of an account about its card: the gateway's token and references, never a number (DOMAIN.md 7)."""

from __future__ import annotations

from typing import ClassVar

from ledger.facts.base import Fact


class CardRegistered(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The customer's card at the gateway, by its token; it replaces the one before."""

    TOPIC: ClassVar[str] = "account.card_registered"
    card: str
    token: str


class ChargeAttempted(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The card is about to be charged: recorded before the gateway is asked, dated by its rule.

    `attempt` is a natural key and the gateway's idempotency key; `token` is what was asked with.
    """

    TOPIC: ClassVar[str] = "account.charge_attempted"
    attempt: str
    charge: str
    amount: int
    currency: str
    token: str


class AttemptRefused(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The gateway refused an attempt, at its own instant. `final`: this card is not to be tried again."""

    TOPIC: ClassVar[str] = "account.attempt_refused"
    attempt: str
    code: str
    final: bool = False


class AttemptContradicted(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The gateway said something else about an attempt that it had settled; the first answer stands."""

    TOPIC: ClassVar[str] = "account.attempt_contradicted"
    attempt: str
    said: str
    reference: str = ""
