"""The card gateway's port: charge, refund, look up by our reference. Behind it stands a company, or the sandbox.

The ledger records an attempt before it asks. Its natural key is `reference`, which is the gateway's idempotency key
too: asking again under it is answered as before and takes no second payment. When a call ends without an answer the
outcome is unknown: it is looked up. Money is integer minor units; instants are canonical UTC text
(`rules/instants.py`). Never call a gateway inside a transaction of the store: it may take seconds, or never answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ledger.errors import Unavailable

if TYPE_CHECKING:
    from ledger.store import Store

GATEWAYS = ("none", "sandbox")
OUTCOMES = ("succeeded", "refused", "pending", "unknown")


@dataclass(frozen=True, slots=True)
class GatewayRequest:
    """What is asked of a gateway. `reference` is our natural key; `amount` is above zero, in minor units.

    `at` is when it is asked; `token` is the gateway's name for the card (of no use for a refund).
    """

    reference: str
    account: str
    token: str
    amount: int
    currency: str
    at: str

    def __post_init__(self) -> None:
        if self.amount <= 0:
            raise ValueError("a charge or a refund is an amount above zero")


@dataclass(frozen=True, slots=True)
class GatewayAnswer:
    """What a gateway says of `reference`. `at` is the gateway's instant of what it says.

    `outcome`: "succeeded"; "refused" (`code` says why; `final`: this card is not to be tried again); "pending"
    (look it up later); "unknown" (it never heard of it: asking again under the same reference is safe).
    """

    reference: str
    outcome: str
    at: str
    gateway_reference: str = ""
    code: str = ""
    final: bool = False


class GatewayTimeout(Exception):
    """No answer came: the payment was taken or was not. Look it up; never ask under another reference."""


class Gateway(Protocol):
    """A card gateway. Any call may raise GatewayTimeout, or Unavailable when there is no asking at all."""

    name: str

    def charge(self, request: GatewayRequest) -> GatewayAnswer:
        """Take a payment. The same reference again is answered as before: never a second payment."""

    def refund(self, request: GatewayRequest, of: str) -> GatewayAnswer:
        """Give back (part of) the payment whose `gateway_reference` is `of`. Idempotent by reference as well."""

    def look_up(self, reference: str, at: str) -> GatewayAnswer:
        """Say what became of `reference`, as of `at` (now, by the ledger's clock)."""

    def check_token(self, token: str) -> bool:
        """Whether `token` names a card here. It takes nothing."""


class NoGateway:
    """No gateway: cards are not charged. It knows no token, and refuses the rest as Unavailable `no_gateway`."""

    name = "none"

    def charge(self, request: GatewayRequest) -> GatewayAnswer:
        raise Unavailable("no_gateway")

    def refund(self, request: GatewayRequest, of: str) -> GatewayAnswer:
        raise Unavailable("no_gateway")

    def look_up(self, reference: str, at: str) -> GatewayAnswer:
        raise Unavailable("no_gateway")

    def check_token(self, token: str) -> bool:
        return False


def gateway_of(name: str, store: Store) -> Gateway:
    """Return the gateway called `name` (one of GATEWAYS); Unavailable `gateway_unknown` for another.

    The sandbox keeps its books in tables of `store`, apart from the log.
    """
    if name == "sandbox":
        from ledger.gateways.sandbox import Sandbox  # here: it knows this module

        return Sandbox(store)
    if name == "none":
        return NoGateway()
    raise Unavailable("gateway_unknown", name=name, known=", ".join(GATEWAYS))
