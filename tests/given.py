"""Given, when, then: a desk with a test clock, and a named cast to tell facts about.

desk.at("2026-01-31 10:00")                          # the clock moves, local time of Guatemala
desk.sell(PANADERIA, "basic")                        # given
desk.do("ticket.open", …)                            # when
assert desk.balance(PANADERIA)["remaining"] == 4     # then
with desk.refused("too_late") as no: …               # or: refused, and the log stays as it was
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import count
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ledger.application import Ledger
from ledger.apply import refusal
from ledger.catalogue import Catalogue
from ledger.clock import Clock
from ledger.dating import Caller
from ledger.errors import LedgerError
from ledger.rules.instants import to_iso
from ledger.store import open_store

Answer = dict[str, Any]

ZONE = "America/Guatemala"

# Customers.
PANADERIA = "C-100"
FERRETERIA = "C-200"
CAFETALERA = "C-300"
NAMES = {PANADERIA: "Panadería Ixchel", FERRETERIA: "Ferretería Tikal", CAFETALERA: "Cafetalera Atitlán, S.A."}

# Staff, each with the role their work needs.
ANA = Caller("ana", "agent", "console")
LUIS = Caller("luis", "agent", "console")
MARTA = Caller("marta", "finance", "console")
BEATRIZ = Caller("beatriz", "manager", "console")
OPERATOR = Caller("operator", "operator", "apply")

PRICES = {"basic": "250.00", "advanced": "600.00", "corporate": "1500.00"}
YEARLY = {"basic": "2500.00", "advanced": "6000.00", "corporate": "15000.00"}
UNITS = {"basic": 5, "advanced": 12, "corporate": 30}


def when(text: str, zone: str = ZONE) -> datetime:
    """Return the aware datetime of "2026-01-31 10:00" (seconds and microseconds may follow) in `zone`."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def iso(text: str, zone: str = ZONE) -> str:
    """Return the canonical instant of a local time."""
    return to_iso(when(text, zone))


class Desk:
    """A ledger on a test clock, spoken to as people speak: local times, named staff."""

    def __init__(self, url: str, catalogue: Catalogue | None = None, *, zone: str = ZONE, migrate: bool = True) -> None:
        self.ledger = Ledger(open_store(url), catalogue)
        self.zone = zone
        self._references = count(1)
        self._tickets = count(1)
        if migrate:
            self.ledger.store.migrate(test_clock=True)
            self.ledger.clock = Clock(self.ledger.store)

    def close(self) -> None:
        """Close the store's connections."""
        self.ledger.close()

    # --- when -------------------------------------------------------------------------------------------

    def at(self, text: str) -> Desk:
        """Move the clock forward to a local time."""
        self.ledger.clock.move(when(text, self.zone))
        return self

    def do(
        self, command: str, /, *, by: Caller = OPERATOR, at: str = "", reason: str = "", key: str = "", **given: Any
    ) -> Answer:
        """Run a command; `at` is local time. A refusal raises, a decline is an answer.

        An `approver` beside it: the operator records what `by` did and who approved it, as stated.
        """
        dated = iso(at, self.zone) if at else None
        if "approver" in given:
            by = replace(by, role="operator", stated_by="operator")
        return self.ledger.execute(command, given, caller=by, at=dated, reason=reason, key=key)

    def ask(self, question: str, /, *, at: str = "", known_at: str = "", **given: Any) -> Answer:
        """Answer a question; `at` and `known_at` are local times."""
        for field, text in (("at", at), ("known_at", known_at)):
            if text:
                given[field] = iso(text, self.zone)
        return self.ledger.ask(question, given)

    @contextmanager
    def refused(self, code: str) -> Iterator[SimpleNamespace]:
        """Expect a refusal with `code`, told in both languages, that leaves the log as it was."""
        before = self.ledger.store.last_position()
        told = SimpleNamespace(facts={}, en="", es="")
        with pytest.raises(LedgerError) as caught:
            yield told
        error = caught.value
        assert error.code == code, str(error)
        told.facts = error.facts
        told.en, told.es = (refusal(error, lang)["message"] for lang in ("en", "es_GT"))
        assert told.en != told.es
        assert "?" not in told.en.replace("? # %", ""), f"a fact is missing: {told.en}"
        assert self.ledger.store.last_position() == before, "a refused command leaves the log as it was"

    # --- given: sentences that many tests begin with ------------------------------------------------------

    def open(self, account: str = PANADERIA, **given: Any) -> Desk:
        """Open an account."""
        self.do("account.open", account=account, name=NAMES.get(account, account), **given)
        return self

    def sell(
        self, account: str = PANADERIA, level: str = "basic", term: str = "monthly", *, paid: int = 1, **given: Any
    ) -> Desk:
        """Open the account if need be, sell it a plan, and book `paid` payments: 0 leaves it pending, 2 prepays."""
        if not self.exists(account):
            self.open(account)
        self.do("plan.purchase", account=account, level=level, term=term, channel="web", **given)
        for _ in range(paid):
            self.pay(account, (YEARLY if term == "yearly" else PRICES)[level])
        return self

    def licence(self, account: str = PANADERIA, until: str = "2026-12-31", **given: Any) -> Answer:
        """Record a licence with its Basic plan."""
        if not self.exists(account):
            self.open(account)
        return self.do(
            "plan.purchase",
            account=account, level="basic", term="monthly", channel="licence", licence_until=until, **given,
        )  # fmt: skip

    def pay(self, account: str = PANADERIA, amount: str = "250.00", **given: Any) -> Answer:
        """Book money by deposit under a fresh reference."""
        given.setdefault("method", "deposit")
        given.setdefault("reference", f"BOLETA-{next(self._references)}")
        return self.do("payment.record", account=account, amount=amount, **given)

    def addon(self, account: str = PANADERIA, level: str = "basic", *, paid: bool = True, **given: Any) -> Desk:
        """Sell an add-on and book its payment."""
        self.do("addon.purchase", account=account, level=level, **given)
        if paid:
            self.pay(account, PRICES[level], **given)
        return self

    def courtesy(self, account: str = PANADERIA, units: int = 1, level: str = "basic", **given: Any) -> str:
        """Grant a courtesy; return its grant."""
        given = {"by": BEATRIZ, "reason": "nuestro error", **given}
        return str(self.do("courtesy.grant", account=account, level=level, units=units, **given)["grant"])

    def ticket(self, account: str = PANADERIA, request: str = "general", priority: str = "low", **given: Any) -> Answer:
        """Open a case under a fresh number; the answer carries it as `ticket` also when declined."""
        number = given.pop("ticket", f"T-{next(self._tickets)}")
        answer = self.do("ticket.open", account=account, ticket=number, request=request, priority=priority, **given)
        return {"ticket": number, **answer}

    def tickets(self, number: int, account: str = PANADERIA, **given: Any) -> list[str]:
        """Open several cases, all served; return their numbers."""
        opened = [self.ticket(account, **given) for _ in range(number)]
        assert all(answer["ok"] for answer in opened)
        return [answer["ticket"] for answer in opened]

    # --- then -------------------------------------------------------------------------------------------

    def exists(self, account: str) -> bool:
        """Whether the account was opened."""
        return bool(self.ledger.store.rows_of_account(account))

    def balance(self, account: str = PANADERIA, **given: Any) -> Answer:
        """Ask for the balance; its sum holds at whatever instant is asked."""
        answer = self.ask("balance", account=account, **given)
        for part in (answer, *answer["grants"]):
            whole = part["granted"] if "granted" in part else part["units"]
            assert whole == part["used"] + part["expired"] + part["voided"] + part["remaining"], part
            assert min(part["used"], part["expired"], part["voided"], part["remaining"]) >= 0, part
        return answer

    def grants(self, account: str = PANADERIA, **given: Any) -> dict[str, Answer]:
        """Return the balance's grants by the end of their name: m0, A1-t, K1."""
        found = self.balance(account, **given)["grants"]
        return {g["grant"].removeprefix(f"{account}-"): g for g in found}

    def billing(self, account: str = PANADERIA, **given: Any) -> Answer:
        """Ask for the billing; its sums hold at whatever instant is asked."""
        answer = self.ask("billing", account=account, **given)
        part = {name: minor(answer[name]) for name in ("billed", "net", "tax", "paid", "due", "credit", "unapplied")}
        assert part["billed"] == part["paid"] + part["due"] == part["net"] + part["tax"], answer
        assert minor(answer["received"]) == part["paid"] + part["credit"] + part["unapplied"], answer
        return answer

    def state(self, account: str = PANADERIA, **given: Any) -> str:
        """Return the state of the account's plan."""
        return str(self.balance(account, **given)["state"])

    def clock(self, ticket: str, **given: Any) -> Answer:
        """Ask for a case."""
        return self.ask("ticket", ticket=ticket, **given)

    def events(self, account: str = PANADERIA, *topics: str, **given: Any) -> list[Answer]:
        """Return the account's history, of `topics` only where any is named."""
        entries = self.ask("history", account=account, **given)["entries"]
        return [entry for entry in entries if not topics or entry["event"] in topics]

    @property
    def position(self) -> int:
        """The log's last position."""
        return self.ledger.store.last_position()


def minor(amount: str) -> int:
    """Return the minor units of an amount's text."""
    return int(amount.replace(".", ""))


def local(text: str) -> str:
    """Return how an answer shows a local time of Guatemala: "2026-03-03" is its midnight."""
    return when(text).isoformat()
