"""The state of one account: what it bought, owes, holds and used, and the agenda of what falls due next."""

from __future__ import annotations

from datetime import date
from heapq import heappush
from typing import Any, Protocol

from ledger import facts as f
from ledger.rules.cards import Attempt
from ledger.rules.charges import Charge, Purse, pay_order
from ledger.rules.grants import Grant
from ledger.rules.journal import Journal
from ledger.rules.subscriptions import Subscription

# At one instant: what ends, then what is given up, then what begins (facts of people come after all of them).
EXPIRE, LICENCE_END, QUOTE_END, ABANDON, LAPSE, BOUNDARY = range(6)


class Prices(Protocol):
    """What the book asks of the catalogue: the terms of a renewal at a boundary."""

    def renewal_price(self, level: str, term: str, boundary: date, currency: str) -> tuple[int, int]:
        """Return (units a month, gross in minor units) of the period that starts at `boundary`."""


class State:
    """Plain data with the movements of units; `Lifecycle` and `Book` give it its rules."""

    def __init__(self, prices: Prices) -> None:
        self.prices = prices
        self.account: f.AccountOpened | None = None  # with what was changed since, but the zone
        self.zones: list[tuple[str, str]] = []  # (since when, zone), the opening's first
        self.subscriptions: dict[str, Subscription] = {}
        self.charges: dict[str, Charge] = {}
        self.grants: dict[str, Grant] = {}
        self.live: dict[str, Grant] = {}
        self.open: dict[str, Charge] = {}
        self.purse = Purse()
        self.payments: dict[str, f.PaymentRecorded] = {}
        self.refunds: dict[str, f.RefundAsked] = {}
        self.settled_refunds: set[str] = set()
        self.refused_refunds: set[str] = set()
        self.assumed: set[str] = set()  # payments that an import supposed
        self.assumed_in: dict[str, int] = {}  # key of a `ChargePaid` -> what of it such payments paid
        self.reversed: dict[str, int] = {}  # payment -> what of it was taken back
        self.hollow: dict[str, f.PaymentReversed] = {}  # taken back, and not yet gone for the plan
        self.debts: dict[str, Charge] = {}  # what was refunded of payments that were taken back: no sales
        self.told_again: set[tuple[str, str, int]] = set()  # (charge, payment, times paid) told as owed again
        self.card = ""  # the token of the card at the gateway, and the fact that registered it
        self.card_id = ""
        self.card_since = ""
        self.attempts: dict[str, Attempt] = {}
        self.uses: dict[str, str] = {}  # ticket -> grant of its unit, while not given back
        self.broken: list[str] = []  # tickets whose unit (or refunds whose money) was not there, because of a late fact
        self.journal = Journal()
        self.agenda: list[tuple[str, int, str, int]] = []
        self.last_change = ""

    @property
    def zone(self) -> str:
        """The account's zone."""
        return self.zones[-1][1]

    def zone_at(self, at: str) -> str:
        """Return the account's zone as it was at instant `at`; the first one before its opening."""
        return next((zone for since, zone in reversed(self.zones) if since <= at), self.zones[0][1])

    @property
    def currency(self) -> str:
        """The account's currency."""
        assert self.account is not None
        return self.account.currency

    def bought(self) -> Subscription | None:
        """Return the latest bought subscription, live or not; None when there never was one.

        One that was never paid hides none before it: nothing was bought again.
        """
        latest = None
        for sub in reversed(self.subscriptions.values()):
            if sub.kind == "bought":
                if sub.state != "abandoned":
                    return sub
                latest = latest or sub
        return latest

    def licence(self) -> Subscription | None:
        """Return the latest licence's subscription, live or not."""
        return next((s for s in reversed(self.subscriptions.values()) if s.kind == "licence"), None)

    def past_due(self) -> set[str]:
        """Return the charges on which a plan is past due: money pays them first."""
        return {s.unpaid for s in self.subscriptions.values() if s.state == "past_due"}

    def owed(self, first: str = "") -> list[Charge]:
        """Return the open charges in the order in which money pays them (`first`: the one a card was asked for)."""
        charges = [charge for charge in self.open.values() if charge.due > 0]
        charges += [debt for debt in self.debts.values() if debt.due > 0]
        return pay_order(charges, self.past_due(), first) if len(charges) > 1 else charges

    def in_force(self) -> list[Subscription]:
        """Return the subscriptions whose current period is paid (or free with a licence)."""
        return [s for s in self.subscriptions.values() if s.state == "in_force"]

    def _grant(self, grant: Grant, due: bool = False) -> None:
        self.grants[grant.id] = self.live[grant.id] = grant
        heappush(self.agenda, (grant.until, EXPIRE, grant.id, 0))
        if due:
            self.journal.emit(self._granted(grant))

    def _granted(self, grant: Grant) -> f.TicketsGranted:
        granted: f.TicketsGranted = self._due(
            f.TicketsGranted, f"grant:{grant.id}", grant.starts, grant=grant.id, kind=grant.kind,
            level=grant.level, units=grant.units, until=grant.until,
        )  # fmt: skip
        return granted

    def _finish(self, grant: Grant, ended: str, at: str) -> None:
        self.live.pop(grant.id, None)
        grant.ended = ended
        if grant.remaining > 0:
            self._drop(grant, grant.remaining, at)

    def _drop(self, grant: Grant, units: int, at: str) -> None:
        kind: Any
        if grant.ended == "voided":
            grant.voided += units
            kind, key = f.TicketsVoided, f"void-units:{grant.id}:{at}"
        else:
            grant.expired += units
            kind, key = f.TicketsExpired, f"expire:{grant.id}:{at}"
        self.journal.emit(self._due(kind, key, at, grant=grant.id, units=units))

    def _due(self, fact: type[Any], key: str, at: str, /, **fields: Any) -> Any:
        assert self.account is not None
        return fact(
            customer_no=self.account.customer_no,
            occurred_at=at,
            by="ledger",
            source="rule",
            key=key,
            **fields,
        )
