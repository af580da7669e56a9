"""The library's own way to renew: its application, an aggregate a subscription, loaded and saved one by one."""

from __future__ import annotations

import time
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from psycopg.conninfo import conninfo_to_dict

from scripts.bench_common import Ground, must_equal


class Subscription(Aggregate):
    """A subscription with the facts that the ledger records of a renewal that is paid ahead."""

    @event("Opened")
    def __init__(self, account: str) -> None:
        self.account = account
        self.period = 0
        self.credit = 0
        self.units = 0
        self.invoices = 0

    @staticmethod
    def create_id(account: str) -> UUID:
        """Return the id of an account's subscription."""
        return uuid5(NAMESPACE_URL, f"account/{account}")

    @event("Paid")
    def pay(self, amount: int, reference: str) -> None:
        """Take money in."""
        self.credit += amount

    @event("Raised")
    def raise_charge(self, charge: str, gross: int, net: int, tax: int, due_on: str) -> None:
        """Ask for a period."""
        self.credit -= gross

    @event("Settled")
    def settle(self, charge: str, amount: int) -> None:
        """Pay a charge from credit."""

    @event("Renewed")
    def renew(self, period: int, starts: str, ends: str) -> None:
        """Begin a period."""
        self.period = period

    @event("Granted")
    def grant(self, name: str, level: str, units: int, until: str) -> None:
        """Give the month's tickets."""
        self.units += units

    @event("Expired")
    def expire(self, name: str, units: int) -> None:
        """Let what was not used expire."""
        self.units -= units

    @event("Invoiced")
    def invoice(self, series: str, number: int, charge: str) -> None:
        """Issue the invoice."""
        self.invoices += 1

    def month(self, number: int) -> None:
        """Do everything that a renewal is."""
        charge = f"{self.account}-S1-r{self.period + 1}"
        if self.units:
            self.expire(f"{self.account}-S1-m{self.period}", self.units)
        self.raise_charge(charge, 25000, 22321, 2679, "2026-02-05")
        self.settle(charge, 25000)
        self.renew(self.period + 1, "2026-02-05T06:00:00.000000Z", "2026-03-05T06:00:00.000000Z")
        self.grant(f"{self.account}-S1-m{self.period}", "basic", 5, "2026-03-05T06:00:00.000000Z")
        self.invoice("A", number, charge)


class Renewals(Application[UUID]):
    """The library's application."""

    name = "renewals"


class LibraryRenewals:
    """So many subscriptions in the library's application, renewed again and again."""

    def __init__(self, ground: Ground, dialect: str, subscriptions: int) -> None:
        self.numbers = [f"P{n:05d}" for n in range(subscriptions)]
        self._invoices = 0
        self.app = Renewals(self._environment(ground, dialect))
        for number in self.numbers:
            subscription = Subscription(number)
            for month in range(5):
                subscription.pay(25000, f"R-{number}-{month}")
            subscription.month(self._next())
            self.app.save(subscription)

    @staticmethod
    def _environment(ground: Ground, dialect: str) -> dict[str, str]:
        if dialect == "sqlite":
            return {
                "PERSISTENCE_MODULE": "eventsourcing.sqlite",
                "SQLITE_DBNAME": str(ground.folder / "renewals_peer.db"),
            }
        given = conninfo_to_dict(ground.database("renewals_peer"))
        return {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": str(given["dbname"]),
            "POSTGRES_HOST": str(given["host"]),
            "POSTGRES_PORT": str(given["port"]),
            "POSTGRES_USER": str(given["user"]),
            "POSTGRES_PASSWORD": str(given.get("password", "")),
        }

    def _next(self) -> int:
        self._invoices += 1
        return self._invoices

    def run(self) -> float:
        """Renew each; return renewals a second."""
        started = time.perf_counter()
        for number in self.numbers:
            subscription: Any = self.app.repository.get(Subscription.create_id(number))
            subscription.month(self._next())
            self.app.save(subscription)
        return len(self.numbers) / (time.perf_counter() - started)

    def check(self, turns: int) -> None:
        """Raise Broken unless each was renewed in each turn."""
        last: Any = self.app.repository.get(Subscription.create_id(self.numbers[-1]))
        must_equal(
            "periods of the library's subscription", (last.period, last.invoices, last.units), (turns + 1,) * 2 + (5,)
        )

    def close(self) -> None:
        """Close its connections."""
        self.app.close()
