"""Laws over random histories, on both stores, against the naive telling of `tests/naive.py`.

Each history is a customer's year or two: purchases, payments, add-ons, courtesies, cancellations, cases, many of
them dated back, with the clock moving on. The same histories are played every time.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ledger import facts as f
from ledger.application import Ledger
from ledger.clock import Clock
from ledger.errors import LedgerError
from ledger.facts import decode
from ledger.rules.instants import to_iso
from ledger.store import Store, open_store
from projections.projector import MODELS, Projector
from tests.given import OPERATOR, Answer, minor
from tests.naive import Told, decide, tell

LEVELS, TERMS = ["basic", "advanced"], ["monthly", "monthly", "yearly"]
HISTORIES = {"sqlite": 150, "postgresql": 50}
PLACES = [  # where and when a history begins: month ends, a leap day, a change of clocks at midnight
    ("America/Guatemala", "2026-01-31T15:00:00+00:00"),
    ("America/Guatemala", "2024-02-29T05:59:59.999999+00:00"),
    ("America/Guatemala", "2006-03-30T16:00:00+00:00"),
    ("America/New_York", "2025-10-03T04:00:00+00:00"),
    ("UTC", "2025-12-31T23:30:00+00:00"),
]

WEIGHTS = {
    "wait": 26, "pay_due": 14, "pay": 5, "purchase": 7, "open": 12, "open_many": 5, "addon": 6, "courtesy": 3,
    "cancel": 6, "withdraw": 2, "give_back": 5, "reclassify": 5, "licence": 2, "renew_licence": 2, "retry": 4,
}  # fmt: skip
Step = tuple[Any, ...]


def drawn(seed: int) -> tuple[str, datetime, list[Step], list[int]]:
    """Return a history's zone, start and steps, and hours ago at which to ask; the same for the same seed."""
    rng = random.Random(seed)
    zone, start = rng.choice(PLACES)
    names, weights = list(WEIGHTS), list(WEIGHTS.values())
    steps = [("purchase", rng.choice(LEVELS), rng.choice(TERMS), rng.random() < 0.2, 0), ("pay_due", 0)]
    if rng.random() < 0.15:  # a lapse, often bought again, then money from its grace
        steps += [("wait", 24 * 31), ("wait", 24 * 13), *steps[: rng.choice([0, 2])], ("pay", 60_000, 300)]
    if rng.random() < 0.15:
        steps += [("licence", 45, 0), ("wait", 24 * 20), ("renew_licence", 90, 0)]
    for name in rng.choices(names, weights, k=rng.randint(5, 45)):
        steps.append(step(rng, name))
        if name == "wait" and rng.random() < 0.6:  # most customers pay, many a little late
            steps.append(("pay_due", rng.choice([0, 0, 20, 60])))
    ago = [rng.randrange(500 * 24) for _ in range(3)]
    return zone, datetime.fromisoformat(start).astimezone(UTC), steps, ago


def step(rng: random.Random, name: str) -> Step:
    """Return a step with its words: often now, at times dated back."""
    back = rng.choice([0, 0, 0, 0, 1, 30, 90, 300, 800, 2000])
    words: dict[str, Callable[[], Step]] = {
        "wait": lambda: (rng.choice([1, 5, 24, 24 * 4, 24 * 6, 24 * 13, 24 * 25, 24 * 28, 24 * 30, 24 * 31, 24 * 95]),),
        "pay_due": lambda: (back,),
        "pay": lambda: (rng.choice([9_000, 25_000, 60_000, 75_000, 250_000]), back),
        "purchase": lambda: (rng.choice(LEVELS), rng.choice(TERMS), rng.random() < 0.2, back),
        "open": lambda: (rng.choice(["general", "general", "training", "administrative", "terminal"]), back),
        "open_many": lambda: (rng.randint(2, 6),),
        "addon": lambda: (rng.choice(LEVELS), back),
        "courtesy": lambda: (rng.choice(LEVELS), rng.randint(1, 3), back),
        "cancel": lambda: (rng.choice([0, 0, 1, 2]), rng.random() < 0.5, back),
        "withdraw": lambda: (back,),
        "give_back": lambda: (rng.randrange(30), back),
        "reclassify": lambda: (rng.randrange(30), rng.choice(["administrative", "general", "training"]), back),
        "licence": lambda: (rng.choice([0, 20, 45, 100]), back),
        "renew_licence": lambda: (rng.choice([10, 40, 90]), back),
        "retry": lambda: (),
    }
    return (name, *words[name]())


class History:
    """Plays steps on a ledger, tells what was accepted to the naive account, and compares."""

    def __init__(self, store: Store, zone: str, start: datetime, counts: Counter[str]) -> None:
        self.store, self.zone, self.start, self.now, self.counts = store, zone, start, start, counts
        for statement in ("DELETE FROM ledger_events", "DELETE FROM ledger_requests"):
            store.execute(statement)
        store.set_meta("test_clock", "unset")
        self.ledger = Ledger(store)
        self.ledger.clock = Clock(store)
        self.ledger.clock.move(start)
        self.told: list[Told] = []
        self.numbers: Counter[str] = Counter()
        self.tickets: list[str] = []
        self.last: tuple[str, Answer, str, str, Answer] | None = None
        self.beliefs: list[tuple[str, Answer, Answer]] = []
        self.run("account.open", self.now, name="Panadería Ixchel", zone=zone)

    # --- steps ------------------------------------------------------------------------------------------

    def play(self, step: Step) -> None:
        """Play one step; a refusal must leave the log as it was."""
        before = self.store.last_position()
        try:
            getattr(self, f"_{step[0]}")(*step[1:])
        except LedgerError as refused:
            self.counts[f"refused {refused.code}"] += 1
            assert self.store.last_position() == before, "a refused command leaves the log as it was"

    def run(self, command: str, at: datetime, **given: Any) -> Answer:
        """Execute a command dated `at` under a fresh key; a decline is an answer."""
        given = given if command.startswith("ticket.") and command != "ticket.open" else {"account": "C", **given}
        self.numbers["key"] += 1
        key, dated = f"K-{self.numbers['key']}", to_iso(max(at, self.start))
        answer = self.ledger.execute(command, given, caller=OPERATOR, at=dated, reason="se encontró", key=key)
        self.last = (command, given, dated, key, answer)
        self.counts[command if answer["ok"] else f"declined {answer['code']}"] += 1
        return answer

    def tell(self, at: datetime, what: str, **words: Any) -> None:
        """Tell the naive account what was accepted."""
        self.told.append(Told(max(at, self.start), what, words))

    def back(self, hours: int) -> datetime:
        """Return the instant so many hours ago."""
        return self.now - timedelta(hours=hours)

    def _wait(self, hours: int) -> None:
        self.believe()
        self.now += timedelta(hours=hours)
        self.ledger.clock.move(self.now)

    def _purchase(self, level: str, term: str, card: bool, hours: int) -> None:
        pay_by = "card" if card else "manual"
        answer = self.run("plan.purchase", self.back(hours), level=level, term=term, channel="web", pay_by=pay_by)
        name = answer["subscription"].removeprefix("C-")
        self.tell(self.back(hours), "purchase", name=name, level=level, term=term, card=card)

    def _licence(self, days: int, hours: int) -> None:
        until = (self.now + timedelta(days=days)).date()
        given = {"level": "basic", "term": "monthly", "channel": "licence", "licence_until": until.isoformat()}
        answer = self.run("plan.purchase", self.back(hours), **given)
        self.tell(self.back(hours), "licence", name=answer["subscription"].removeprefix("C-"), until=until)

    def _renew_licence(self, days: int, hours: int) -> None:
        until = (self.now + timedelta(days=days)).date()
        answer = self.run("licence.renew", self.back(hours), licence_until=until.isoformat())
        self.tell(self.back(hours), "renew_licence", name=answer["subscription"].removeprefix("C-"), until=until)

    def _pay(self, amount: int, hours: int) -> None:
        self.numbers["pay"] += 1
        shown, reference = f"{amount // 100}.{amount % 100:02d}", f"BOLETA-{self.numbers['pay']}"
        answer = self.run("payment.record", self.back(hours), amount=shown, method="deposit", reference=reference)
        entries = self.ledger.ask("history", {"account": "C"})["entries"]
        unapplied = any(e.get("payment") == answer["payment"] and e.get("unapplied") for e in entries)
        self.counts["unapplied"] += unapplied
        self.tell(self.back(hours), "pay", amount=amount, unapplied=unapplied)

    def _pay_due(self, hours: int) -> None:
        due = minor(self.ledger.ask("billing", {"account": "C"})["due"])
        if due:
            self._pay(due, hours)

    def _addon(self, level: str, hours: int) -> None:
        answer = self.run("addon.purchase", self.back(hours), level=level)
        self.tell(self.back(hours), "addon", name=answer["charge"]["id"].removeprefix("C-"), level=level)

    def _courtesy(self, level: str, units: int, hours: int) -> None:
        answer = self.run("courtesy.grant", self.back(hours), level=level, units=units)
        name = answer["grant"].removeprefix("C-")
        self.tell(self.back(hours), "courtesy", name=name, level=level, units=units)

    def _cancel(self, later: int, override: bool, hours: int) -> None:
        given: Answer = {"override": True} if override else {}
        period = self.ledger.ask("balance", {"account": "C", "at": to_iso(max(self.back(hours), self.start))})["period"]
        if later and period is not None:
            until = datetime.fromisoformat(period["until"]).date()
            given["ends"] = (until if later == 1 else until + timedelta(days=31)).isoformat()
        answer = self.run("plan.cancel", self.back(hours), **given)
        self.tell(
            self.back(hours), "cancel", name=answer["subscription"].removeprefix("C-"),
            ends_on=date.fromisoformat(answer["ends_on"]), undo=answer["undoes_renewal"],
        )  # fmt: skip
        self.counts["renewal undone"] += answer["undoes_renewal"]

    def _withdraw(self, hours: int) -> None:
        answer = self.run("plan.withdraw_cancellation", self.back(hours))
        self.tell(self.back(hours), "withdraw", name=answer["subscription"].removeprefix("C-"))

    def _open(self, request: str, hours: int) -> None:
        self.numbers["ticket"] += 1
        at = max(self.back(hours), self.start)
        expected = decide(self.told, request, at, self.now, self.zone)
        ticket = f"T-{self.numbers['ticket']}"
        answer = self.run("ticket.open", at, ticket=ticket, request=request, priority="low")
        found = (answer["code"], "") if not answer["ok"] else ("covered", (answer["grant"] or "").removeprefix("C-"))
        if answer["ok"] and answer["grant"] is None:
            found = (answer["why"], "")
        assert found == expected, (at, self.told)
        if answer["ok"]:
            self.tickets.append(ticket)
        if found[1]:
            self.tell(at, "take", ticket=ticket, grant=found[1])

    def _open_many(self, number: int) -> None:
        for _ in range(number):
            self._open("general", 0)

    def _give_back(self, index: int, hours: int) -> None:
        if self.tickets:
            ticket = self.tickets[index % len(self.tickets)]
            self.run("ticket.give_back", self.back(hours), ticket=ticket)
            self.tell(self.back(hours), "give_back", ticket=ticket)

    def _reclassify(self, index: int, request: str, hours: int) -> None:
        if not self.tickets:
            return
        ticket = self.tickets[index % len(self.tickets)]
        answer = self.run("ticket.reclassify", self.back(hours), ticket=ticket, request=request)
        if not answer["ok"]:
            return
        held = tell(self.told, self.now, self.zone).units_of.get(ticket)
        taken = (answer["grant"] or "").removeprefix("C-")
        if held and held != taken:
            self.tell(self.back(hours), "give_back", ticket=ticket)
        if taken and held != taken:
            self.tell(self.back(hours), "take", ticket=ticket, grant=taken)

    def _retry(self) -> None:
        if self.last is None:
            return
        command, given, dated, key, answer = self.last
        before = self.store.last_position()
        again = self.ledger.execute(command, given, caller=OPERATOR, at=dated, reason="se encontró", key=key)
        assert again == {**answer, "replayed": True}
        assert self.store.last_position() == before, "a retried command changes nothing"
        self.counts["retried"] += 1

    # --- laws -------------------------------------------------------------------------------------------

    def agrees(self, at: datetime) -> Answer:
        """Assert that the ledger's answers at `at` are the naive ones, and that their sums hold."""
        at = max(at, self.start)
        asked = {"account": "C", "at": to_iso(at)}
        balance, billing = self.ledger.ask("balance", asked), self.ledger.ask("billing", asked)
        naive = tell(self.told, at, self.zone)
        where = (self.zone, at, self.now, self.told)
        assert {name: balance[name] for name in naive.sums()} == naive.sums(), where
        assert (balance["state"], balance["level"]) == naive.shown(), where
        found = {g["grant"].removeprefix("C-"): g for g in balance["grants"]}
        assert found.keys() == naive.grants.keys(), where
        for name, grant in found.items():
            told = naive.grants[name]
            assert (grant["used"], grant["expired"], grant["voided"]) == (told.used, told.expired, told.voided), where
            assert min(grant["used"], grant["expired"], grant["voided"], grant["remaining"]) >= 0, where
            assert grant["units"] == told.units == told.used + told.expired + told.voided + grant["remaining"], where
            assert datetime.fromisoformat(grant["until"]) == naive.midnight(told.until), where
        money = {name: minor(billing[name]) for name in naive.money()}
        assert money == naive.money(), where
        assert money["billed"] == money["paid"] + money["due"]
        assert minor(billing["received"]) == money["paid"] + money["credit"] + money["unapplied"]
        charges = {c["id"].removeprefix("C-"): minor(c["due"]) for c in billing["charges"]}
        assert charges == {name: c.due for name, c in naive.charges.items()}, where
        self.counts["answers compared"] += 1
        return {"balance": {**balance, "not_yet_recorded": 0}, "billing": billing}

    def believe(self) -> None:
        """Keep what is believed now, to ask for it again when more is known."""
        for question in ("balance", "billing", *(["ticket"] if self.tickets else [])):
            subject = {"ticket": self.tickets[-1]} if question == "ticket" else {"account": "C"}
            given = {**subject, "known_at": to_iso(self.now)}
            self.beliefs.append((question, given, self.ledger.ask(question, given)))

    def beliefs_stand(self) -> None:
        """Assert that what was believed at a past instant is still what was believed then."""
        for question, given, answer in self.beliefs:
            assert self.ledger.ask(question, given) == answer, given
            self.counts["beliefs asked again"] += 1

    def recording_changes_nothing(self) -> None:
        """Assert that recording what fell due changes no answer, and that doing it again adds nothing."""
        instants = [self.now - timedelta(hours=hours) for hours in (0, 24 * 20, 24 * 70)]
        before = [self.agrees(at) for at in instants]
        self.counts["due facts recorded"] += self.ledger.record_due("C")
        assert self.ledger.record_due("C") == 0, "running it again adds nothing"
        assert [self.agrees(at) for at in instants] == before
        assert self.ledger.ask("balance", {"account": "C"})["not_yet_recorded"] == 0

    def log_adds_up(self) -> None:
        """Assert that the recorded due facts alone, net of corrections, come to the balance and the money."""
        standing: dict[str, f.Due] = {}
        units: Counter[tuple[str, str]] = Counter()
        for row in self.store.rows_of_account("C"):
            fact = decode(row.topic, row.state)
            if isinstance(fact, (f.TicketsExpired, f.TicketsVoided)):
                units[fact.TOPIC, fact.grant] += fact.units
            elif isinstance(fact, f.DueFactWithdrawn):
                del standing[fact.key]
            elif isinstance(fact, f.Due):
                assert fact.key not in standing, "one natural key, one fact"
                standing[fact.key] = fact
        balance, billing = (self.ledger.ask(name, {"account": "C"}) for name in ("balance", "billing"))
        granted = {fact.grant: fact.units for fact in standing.values() if isinstance(fact, f.TicketsGranted)}
        shown = [g for g in balance["grants"] if g["kind"] != "courtesy"]
        assert granted == {g["grant"]: g["units"] for g in shown}
        for grant in balance["grants"]:
            assert units["account.tickets_expired", grant["grant"]] == grant["expired"]
            assert units["account.tickets_voided", grant["grant"]] == grant["voided"]
        paid = {x.charge for x in standing.values() if isinstance(x, f.ChargePaid)}
        voided = {x.charge for x in standing.values() if isinstance(x, f.ChargeVoided)}
        assert paid - voided == {c["id"] for c in billing["charges"] if c["state"] == "paid"}
        assert voided == {c["id"] for c in billing["charges"] if c["state"] == "voided"}

    def fresh_process_agrees(self) -> None:
        """Assert that a ledger without this one's memory answers the same."""
        fresh = Ledger(open_store(self.store.url))
        for question in ("balance", "billing"):
            assert fresh.ask(question, {"account": "C"}) == self.ledger.ask(question, {"account": "C"})
        fresh.close()


@pytest.fixture(name="store")
def _store(store_url: str) -> Iterator[Store]:
    store = open_store(store_url)
    store.migrate(test_clock=True)
    yield store
    store.close()


def read_models(projector: Projector) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every read model, sorted."""
    tables = [table for model in MODELS.values() for table in model.tables]
    return {t.name: sorted(projector.read.query(f"SELECT {', '.join(t.names)} FROM {t.name}")) for t in tables}


def play(history: History, steps: list[Step], ago: list[int]) -> None:
    """Play a history, and hold it against the laws on the way and at its end."""
    history.counts["histories"] += 1
    for number, taken in enumerate(steps):
        history.play(taken)
        history.counts["steps"] += 1
        if number % 4 == 3:
            history.agrees(history.now)
    for hours in (0, *ago, -24 * 40, -24 * 400):  # past instants, and the future as it looks now
        history.agrees(history.now - timedelta(hours=hours))
    history.recording_changes_nothing()
    history.log_adds_up()
    history.beliefs_stand()
    history.fresh_process_agrees()


def test_random_histories_keep_the_laws(store: Store) -> None:
    counts: Counter[str] = Counter()

    for seed in range(HISTORIES[store.dialect]):
        zone, start, steps, ago = drawn(seed)
        try:
            play(History(store, zone, start, counts), steps, ago)
        except AssertionError as error:
            raise AssertionError(f"history {seed}: {error}") from error
    print(dict(sorted(counts.items())))
    assert counts["histories"] >= HISTORIES[store.dialect]
    for what in (
        "plan.purchase", "payment.record", "addon.purchase", "courtesy.grant", "plan.cancel", "licence.renew",
        "plan.withdraw_cancellation", "ticket.open", "ticket.give_back", "ticket.reclassify", "retried", "unapplied",
        "renewal undone", "due facts recorded", "beliefs asked again", "declined no_plan", "declined payment_due",
        "declined plan_too_low", "declined no_tickets_left",
    ):  # fmt: skip
        assert counts[what] > 0, f"no history ever came to {what}"
    assert counts["answers compared"] > 8 * counts["histories"]
