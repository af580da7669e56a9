"""Plays random steps on a ledger, tells what was accepted to the naive account, and holds the two together."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ledger import through_time
from ledger.application import Ledger
from ledger.clock import Clock
from ledger.errors import LedgerError
from ledger.gateways.sandbox import Sandbox
from ledger.rules.instants import to_iso
from ledger.store import Store
from tests.given import OPERATOR, Answer, minor
from tests.naive_billing_acts import taken_back, tell, upgrade_credit
from tests.naive_cashier import Cashier
from tests.naive_things import Told, local, midnight

LEVELS = ["basic", "advanced", "corporate"]
AT_ONCE = {"plan.purchase", "addon.purchase", "plan.upgrade", "plan.pay_by", "card.register", "payment.refund"}
WEIGHTS = {
    "wait": 30, "pay_due": 14, "pay": 6, "purchase": 7, "open": 10, "addon": 4, "courtesy": 1, "give_back": 4,
    "cancel": 5, "withdraw": 2, "upgrade": 9, "downgrade": 4, "term": 4, "withdraw_change": 2, "pay_by": 3, "card": 5,
    "script": 6, "reverse": 9, "refund": 4, "discount": 4, "void": 2, "write_off": 7, "credit": 5, "apply": 3,
}  # fmt: skip
STARTS = [
    "2026-01-31T15:00:00+00:00",
    "2024-02-29T05:59:59+00:00",
    "2025-12-31T23:30:00+00:00",
    "2026-05-01T16:00:00+00:00",
]
HOURS = [1, 5, 24, 24, 24 * 2, 24 * 4, 24 * 6, 24 * 9, 24 * 20, 24 * 28, 24 * 31, 24 * 31, 24 * 62]
OUTCOMES = [
    "ok",
    "declined",
    "declined",
    "declined_final",
    "timeout_before_charge",
    "timeout_after_charge",
    "late",
    "twice",
]
Step = tuple[Any, ...]


def drawn(seed: int, most: int = 60) -> tuple[datetime, list[Step]]:
    """Return a history's start and steps; the same for the same seed."""
    rng = random.Random(seed)
    names, weights = list(WEIGHTS), list(WEIGHTS.values())
    card = rng.random() < 0.4
    steps: list[Step] = [("card", 0)] if card and rng.random() < 0.8 else []
    steps += [("purchase", rng.choice(LEVELS[:2]), rng.choice([1, 1, 12]), card, 0), ("pay_due", 0)]
    if rng.random() < 0.12:  # a month paid, the one before taken back, given up in part, an add-on voided
        steps += [("wait", 24 * 31, False), ("pay_due", 0), ("reverse", 1, 0), ("write_off", 0, 2, 0)]
        steps += [("addon", "basic", 0), ("void", 1, 0)]
    for name in rng.choices(names, weights, k=rng.randint(3, most)):
        back = rng.choice([0, 0, 0, 0, 0, 2, 20, 50, 120, 400])
        words: dict[str, Step] = {
            "wait": (rng.choice(HOURS), rng.random() < 0.3),
            "pay": (rng.choice([5_000, 10_000, 25_000, 60_000, 90_000, 700_000]), back),
            "purchase": (rng.choice(LEVELS), rng.choice([1, 1, 12]), rng.random() < 0.3, back),
            "open": (rng.randint(1, 4), back),
            "addon": (rng.choice(LEVELS[:2]), back),
            "courtesy": (rng.randint(1, 3),),
            "give_back": (rng.randrange(30), back),
            "cancel": (rng.choice([0, 0, 1]), rng.random() < 0.5, back),
            "upgrade": (rng.choice(LEVELS[1:]), rng.choice([0, 0, 0, back]), rng.random() < 0.7),
            "downgrade": (rng.choice(LEVELS[:2]), back),
            "term": (rng.choice([1, 12]), back),
            "pay_by": (rng.random() < 0.5, back),
            "script": (tuple(rng.choice(OUTCOMES) for _ in range(rng.randint(1, 4))),),
            "reverse": (rng.randrange(4), back),
            "refund": (rng.randrange(4), rng.choice([1, 2]), back),
            "discount": (rng.randrange(4), rng.choice([1, 3]), back),
            "void": (rng.randrange(4), back),
            "write_off": (rng.randrange(4), rng.choice([1, 2]), back),
            "credit": (rng.randrange(9), rng.choice([1, 2, 3]), back),
        }
        steps.append((name, *words.get(name, (back,))))
        if name == "wait" and rng.random() < 0.6:
            steps.append(("pay_due", rng.choice([0, 0, 20, 60])))
    return datetime.fromisoformat(STARTS[seed % len(STARTS)]).astimezone(UTC), steps


class History:
    """One account on a ledger of its own, and what was told of it."""

    def __init__(self, store: Store, start: datetime, counts: Counter[str], account: str = "C") -> None:
        self.store, self.start, self.now, self.counts, self.account = store, start, start, counts, account
        for table in ("ledger_events", "ledger_requests", "sandbox_requests", "sandbox_script"):
            store.execute(f"DELETE FROM {table}")
        store.set_meta("test_clock", "unset")
        self.ledger = Ledger(store)
        self.ledger.clock = Clock(store)
        self.ledger.clock.move(start)
        self.told: list[Told] = []
        self.cashier = Cashier(self.told)
        self.numbers: Counter[str] = Counter()
        self.tickets: list[str] = []
        self.refunded_by_card = 0
        self.blind = False  # whether the naive account is not told how time passes, so that nothing is asked of it
        self.log: list[str] = []
        self.run("account.open", 0, name="Panadería Ixchel")

    # --- steps ------------------------------------------------------------------------------------------

    def play(self, step: Step) -> None:
        """Play one step; a refusal must leave the log as it was."""
        before = self.store.last_position()
        try:
            getattr(self, f"_{step[0]}")(*step[1:])
        except LedgerError as refused:
            self.counts[f"refused {refused.code}"] += 1
            assert self.store.last_position() == before, "a refused command leaves the log as it was"
        self.counts["steps"] += 1

    def at(self, hours: int) -> datetime:
        """Return the instant so many hours ago, not before the start."""
        return max(self.now - timedelta(hours=hours), self.start)

    def run(self, command: str, hours: int, **given: Any) -> Answer:
        """Execute a command dated so many hours ago."""
        if not command.startswith("ticket.give"):
            given = {"account": self.account, **given}
        answer = self.ledger.execute(command, given, caller=OPERATOR, at=to_iso(self.at(hours)), reason="se halló")
        self.log.append(f"{to_iso(self.now)} {command} {to_iso(self.at(hours))} {given}")
        if answer["ok"]:
            self.counts[command] += 1
        return answer

    def tell(self, hours: int, what: str, command: str = "", **words: Any) -> None:
        """Tell the naive account what was accepted, then let it charge cards where the command calls for it."""
        self.cashier.tell(self.at(hours), what, **words)
        if command in AT_ONCE and self.cashier.active:
            self.cashier.collect(self.now, at_once=True)

    def bare(self, name: str) -> str:
        """Return a name without its account."""
        return name.removeprefix(f"{self.account}-")

    def ask(self, question: str, at: datetime | None = None, **given: Any) -> Answer:
        """Ask the ledger."""
        given = {"account": self.account, **given}
        return self.ledger.ask(question, {**given, "at": to_iso(at)} if at is not None else given)

    def charge(self, index: int, *, due: bool) -> Answer | None:
        """Return a charge to correct."""
        found = [c for c in self.ask("billing")["charges"] if (minor(c["due"]) > 0 if due else c["state"] != "voided")]
        return found[index % len(found)] if found else None

    def _wait(self, hours: int, to_midnight: bool) -> None:
        to = self.now + timedelta(hours=hours)
        if to_midnight:
            to = midnight((to - timedelta(hours=6)).date() + timedelta(days=1))
        self.cashier.pass_time(self.now, to)
        through_time.advance(self.ledger, to)
        self.now = to

    def _purchase(self, level: str, months: int, card: bool, hours: int) -> None:
        answer = self.run(
            "plan.purchase", hours, level=level, term={1: "monthly", 12: "yearly"}[months], channel="web",
            pay_by="card" if card else "manual",
        )  # fmt: skip
        self.cashier.active |= card
        name = self.bare(answer["subscription"])
        self.tell(hours, "purchase", "plan.purchase", name=name, level=level, months=months, card=card)

    def _pay(self, amount: int, hours: int) -> None:
        self.numbers["reference"] += 1
        given = {"method": "cheque", "reference": f"B-{self.numbers['reference']}"}
        answer = self.run("payment.record", hours, amount=shown(amount), **given)
        self.cashier.payments += 1
        entries = self.ask("history")["entries"]
        unapplied = any(e.get("payment") == answer["payment"] and e.get("unapplied") for e in entries)
        self.counts["unapplied"] += unapplied
        self.tell(hours, "pay", name=self.bare(answer["payment"]), amount=amount, unapplied=unapplied)

    def _pay_due(self, hours: int) -> None:
        if due := minor(self.ask("billing")["due"]):
            self._pay(due, hours)

    def _addon(self, level: str, hours: int) -> None:
        answer = self.run("addon.purchase", hours, level=level)
        self.tell(hours, "addon", "addon.purchase", name=self.bare(answer["charge"]["id"]), level=level)

    def _courtesy(self, units: int) -> None:
        answer = self.run("courtesy.grant", 0, level="basic", units=units)
        self.tell(0, "courtesy", name=self.bare(answer["grant"]), level="basic", units=units)

    def _open(self, number: int, hours: int) -> None:
        for _ in range(number):
            self.numbers["ticket"] += 1
            ticket = f"T-{self.numbers['ticket']}"
            answer = self.run("ticket.open", hours, ticket=ticket, request="general", priority="low")
            if answer["ok"] and answer["grant"]:
                self.tickets.append(ticket)
                self.tell(hours, "take", ticket=ticket, grant=self.bare(answer["grant"]))

    def _give_back(self, index: int, hours: int) -> None:
        if self.tickets:
            ticket = self.tickets[index % len(self.tickets)]
            self.run("ticket.give_back", hours, ticket=ticket)
            self.tell(hours, "give_back", ticket=ticket)

    def _cancel(self, later: int, override: bool, hours: int) -> None:
        given: Answer = {"override": True} if override else {}
        period = self.ask("balance", self.at(hours))["period"]
        if later and period is not None:
            given["ends"] = datetime.fromisoformat(period["until"]).date().isoformat()
        at_once = "ends" not in given and taken_back(self.told, self.at(hours), self.now)
        answer = self.run("plan.cancel", hours, **given)
        ends, undo = date.fromisoformat(answer["ends_on"]), answer["undoes_renewal"]
        assert self.blind or not at_once or ends == local(self.at(hours)), ("ends at once", answer)
        self.counts["renewal undone"] += undo
        self.counts["ended at once"] += at_once
        name = self.bare(answer["subscription"])
        self.tell(hours, "cancel", name=name, ends_on=ends, undo=undo, at_once=at_once)

    def _withdraw(self, hours: int) -> None:
        self._on_plan("withdraw", "plan.withdraw_cancellation", hours)

    def _on_plan(self, what: str, command: str, hours: int, given: Answer | None = None, **words: Any) -> None:
        answer = self.run(command, hours, **(given or {}))
        self.tell(hours, what, command, name=self.bare(answer["subscription"]), **words)

    def _upgrade(self, level: str, hours: int, pay: bool) -> None:
        story, at = tell(self.told, self.at(hours)), self.at(hours)
        answer = self.run("plan.upgrade", hours, level=level)
        plan = self.bare(answer["subscription"])
        credit = 0 if self.blind else upgrade_credit(story, story.plan(plan), at)
        assert self.blind or minor(answer["credit"]) + minor(answer["excess"]) == credit, (at, answer, credit)
        name = self.bare(answer["charge"]["id"])
        self.tell(hours, "upgrade", "plan.upgrade", name=name, plan=plan, level=level, credit=credit)
        if pay:
            self._pay_due(hours)

    def _downgrade(self, level: str, hours: int) -> None:
        self._on_plan("downgrade", "plan.downgrade", hours, {"level": level}, level=level)

    def _term(self, months: int, hours: int) -> None:
        term = {1: "monthly", 12: "yearly"}[months]
        self._on_plan("term", "plan.change_term", hours, {"term": term}, months=months)

    def _withdraw_change(self, hours: int) -> None:
        self._on_plan("withdraw_change", "plan.withdraw_change", hours)

    def _pay_by(self, card: bool, hours: int) -> None:
        self.cashier.active |= card
        self._on_plan("pay_by", "plan.pay_by", hours, {"pay_by": "card" if card else "manual"}, card=card)

    def _card(self, _hours: int) -> None:
        if self.cashier.awaits(self.now):  # a moved clock tries it with its next instant only (scheduler/advance.py)
            return
        self.numbers["card"] += 1
        answer = self.run("card.register", 0, token=f"tok_ok{self.numbers['card']}")
        self.cashier.active = True
        self.tell(0, "card", "card.register", name=answer["card"])

    def _script(self, outcomes: tuple[str, ...]) -> None:
        self.run("gateway.script", 0, outcomes=list(outcomes))
        self.cashier.script += outcomes

    def _payment(self, index: int) -> Answer | None:
        found = self.ask("payments")["payments"]
        return found[-1 - index % len(found)] if found else None

    def _reverse(self, index: int, hours: int) -> None:
        if payment := self._payment(index):
            self.run("payment.reverse", hours, payment=payment["payment"], kind="chargeback")
            name, since = self.bare(payment["payment"]), self.at(hours)
            self.tell(hours, "reverse", name=name)
            self.tell(0, "reversal_told", name=name, since=since)
            self.counts["reversals told late"] += since < self.now

    def _refund(self, index: int, part: int, hours: int) -> None:
        payment = self._payment(index)
        if payment is None or not (amount := minor(payment["available"]) // part):
            return
        self.numbers["reference"] += 1
        method = {"method": "transfer", "reference": f"R-{self.numbers['reference']}"}
        if payment["method"] == "card":
            method = {"method": "card"}
        answer = self.run("payment.refund", hours, payment=payment["payment"], amount=shown(amount), **method)
        if payment["method"] == "card":
            assert answer["state"] == "settled"
            self.refunded_by_card += amount
        self.tell(hours, "refund", "payment.refund", payment=self.bare(payment["payment"]), amount=amount)

    def _correct(self, verb: str, what: str, index: int, part: int, hours: int) -> None:
        charge = self.charge(index, due=verb != "credit")
        if charge is None:
            return
        left = minor(charge["due"]) + (minor(charge["paid"]) if verb == "credit" else 0)
        if amount := left // part:
            self.run(f"charge.{verb}", hours, charge=charge["id"], amount=shown(amount))
            self.tell(hours, what, charge=self.bare(charge["id"]), amount=amount)

    def _discount(self, index: int, part: int, hours: int) -> None:
        self._correct("discount", "discount", index, part, hours)

    def _write_off(self, index: int, part: int, hours: int) -> None:
        self._correct("write_off", "write_off", index, part, hours)

    def _credit(self, index: int, part: int, hours: int) -> None:
        self._correct("credit", "credit_note", index, part, hours)

    def _void(self, index: int, hours: int) -> None:
        if charge := self.charge(index, due=True):
            self.run("charge.void", hours, charge=charge["id"])
            self.tell(hours, "void", charge=self.bare(charge["id"]))

    def _apply(self, _hours: int) -> None:
        answer = self.run("payment.apply", 0)
        for part in answer["applied"]:
            self.tell(0, "apply", payment=self.bare(part["payment"]))

    @property
    def sandbox(self) -> Sandbox:
        """The gateway."""
        assert isinstance(self.ledger.gateway, Sandbox)
        return self.ledger.gateway


def shown(amount: int) -> str:
    """Return the text of minor units."""
    return f"{amount // 100}.{amount % 100:02d}"
