"""Laws of the books over random histories, on both stores, through commands.

Documents follow from charges exactly as rule 9 says; their numbers have no gap; their sums are those of the taxed
charges; a month is the same whether or not jobs ran. To the steps of `tests/billing_history.py` come cases that consume
nothing, declined requests, notes, months that are closed, changes of the customer, invoices issued again, and waits in
which no job runs. Played: 90 histories of 3 to 40 steps on SQLite, 20 on PostgreSQL; 60 more twice, with and without
jobs. The same ones every time; each test asserts its counts.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from ledger.books_check import check
from ledger.store import Store, open_store
from tests.billing_history import History, Step, drawn
from tests.billing_laws import agrees, documents_stand
from tests.given import Answer, minor

HISTORIES = {"sqlite": 90, "postgresql": 20}
ADDED = ["admin", "decline", "note", "close", "change", "reissue", "quiet", "quiet"]


@pytest.fixture(name="store")
def _store(store_url: str) -> Iterator[Store]:
    store = open_store(store_url)
    store.migrate(test_clock=True)
    yield store
    store.close()


@pytest.fixture(name="sqlite")
def _sqlite(sqlite_url: str) -> Iterator[Store]:
    store = open_store(sqlite_url)
    store.migrate(test_clock=True)
    yield store
    store.close()


def steps_of(seed: int, most: int = 40) -> tuple[datetime, list[Step]]:
    """Return a history's steps with those of the books among them."""
    start, steps = drawn(seed, most)
    rng = random.Random(f"books {seed}")
    mixed: list[Step] = []
    for step in steps:
        mixed.append(step)
        if rng.random() < 0.5:
            mixed.append((rng.choice(ADDED), rng.randrange(1000)))
    return start, mixed


class Books(History):
    """A history with the steps of the books. `on_time`: nothing is dated back; `jobs`: they run while it waits."""

    on_time = False
    jobs = True

    def at(self, hours: int) -> datetime:
        return self.now if self.on_time else super().at(hours)

    def _wait(self, hours: int, to_midnight: bool) -> None:
        if self.jobs or self.cashier.active:
            super()._wait(hours, to_midnight)
        else:
            self._quiet(hours)

    def _quiet(self, hours: int) -> None:
        """Let time pass and no job run; histories with a card go by the clock that moves with its jobs."""
        if self.cashier.active:
            return
        to = self.now + timedelta(hours=hours % 1000)
        self.ledger.clock.move(to)
        self.now = to
        if self.jobs:
            self.counts["quiet"] += 1

    def _admin(self, number: int) -> None:
        self.run("ticket.open", 0, ticket=f"A-{self.numbers['admin']}", request="administrative", priority="low")
        self.numbers["admin"] += 1
        self.counts["admin"] += 1

    def _decline(self, number: int) -> None:
        answer = self.run("ticket.open", 0, ticket=f"D-{number}", request="terminal", priority="low")
        assert answer["code"] == "sales_case"
        self.counts["decline"] += 1

    def _note(self, index: int) -> None:
        if self.tickets:
            given = {"ticket": self.tickets[index % len(self.tickets)], "text": "llamó"}
            self.ledger.execute("ticket.note", given, caller=self.caller())
            self.counts["note"] += 1

    def _close(self, months: int) -> None:
        month = self.now - timedelta(days=32 * (1 + months % 2))
        self.run_books("books.close", month=f"{month:%Y-%m}")

    def run_books(self, command: str, **given: Any) -> Answer:
        answer = self.ledger.execute(command, given, caller=self.caller(), reason="cierre")
        self.counts[command] += 1
        return answer

    def _change(self, number: int) -> None:
        self.run("account.change", 0, nit=f"{number}-{self.numbers['nit']}", name=f"Panadería {number}")
        self.numbers["nit"] += 1

    def _reissue(self, index: int) -> None:
        invoices = [one["document"] for one in self.ask("documents")["documents"] if one["kind"] == "invoice"]
        if invoices:
            before = self.ask("billing")
            answer = self.run("document.reissue", 0, document=invoices[-1 - index % min(2, len(invoices))])
            assert self.ask("billing") == before, "it moves no money"
            nit = self.ask("account")["nit"]
            assert (answer["nit"], self.ask("documents")["documents"][-1]["nit"]) == (nit, nit)

    def caller(self) -> Any:
        from tests.given import OPERATOR

        return OPERATOR


def holds(history: Books, before: int, papers: list[Answer]) -> list[Answer]:
    """Assert after a step what must hold of the documents; return them."""
    documents: list[Answer] = history.ask("documents")["documents"]
    assert documents[: len(papers)] == papers, "a document never changes"
    numbers: dict[str, list[int]] = defaultdict(list)
    gross: Counter[str] = Counter()
    tax: Counter[str] = Counter()
    standing: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for one in documents:
        series, _, number = one["document"].rpartition("-")
        numbers[series].append(int(number))
        sign = 1 if one["kind"] == "invoice" else -1
        assert minor(one["gross"]) == minor(one["net"]) + minor(one["tax"]) > 0, one
        gross[one["charge"]] += sign * minor(one["gross"])
        tax[one["charge"]] += sign * minor(one["tax"])
        standing[one["charge"]] = max(0, standing[one["charge"]] + sign) if sign > 0 else standing[one["charge"]]
        lines[one["charge"]] += 1
    assert all(found == list(range(1, len(found) + 1)) for found in numbers.values()), numbers
    if history.store.last_position() == before:
        return documents
    # Something was recorded: then all that is due is, and its documents with it.
    if history.ask("balance")["not_yet_recorded"] == 0:
        for charge in history.ask("billing")["charges"]:
            asked = minor(charge["gross"]) - minor(charge["discount"]) - minor(charge["credited"])
            if charge["state"] == "voided":
                assert gross[charge["id"]] == tax[charge["id"]] == 0, charge
            elif charge["state"] == "paid":
                assert gross[charge["id"]] == asked, (charge, gross[charge["id"]])
            assert gross[charge["id"]] or not tax[charge["id"]], charge
            # Each line is rounded by itself, to half a unit at most.
            off = abs(tax[charge["id"]] * 112 - gross[charge["id"]] * 12)
            assert off <= 112 * (lines[charge["id"]] + 6), (charge, off)
        history.counts["moments"] += 1
    return documents


def test_documents_follow_from_charges_after_every_step(store: Store) -> None:
    counts: Counter[str] = Counter()
    for seed in range(HISTORIES[store.dialect]):
        start, steps = steps_of(seed)
        history = Books(store, start, counts)
        papers: list[Answer] = []
        try:
            for step in steps:
                before = store.last_position()
                history.play(step)
                papers = holds(history, before, papers)
                assert check(history.ledger).found == [], step
                if step[0] not in ("wait", "quiet", "script") and store.last_position() > before:
                    assert history.ask("balance")["not_yet_recorded"] == 0, (step, "a command records what is due")
            agrees(history, history.now)
            history.ledger.record_due(history.account)
            documents_stand(history)
        except AssertionError as error:
            raise AssertionError(f"history {seed}: {error}\n" + "\n".join(history.log[-30:])) from error
        counts["histories"] += 1
    print(dict(sorted(counts.items())))
    assert counts["histories"] == HISTORIES[store.dialect]
    wanted = ["admin", "decline", "note", "books.close", "account.change", "document.reissue", "quiet", "moments"]
    assert [name for name in wanted if not counts[name]] == []
    assert counts["moments"] > 5 * counts["histories"]


def test_a_month_is_the_same_whether_or_not_jobs_ran(sqlite: Store) -> None:
    """60 histories without cards, reissues and back-dating, played twice: jobs every night, or never."""
    counts: Counter[str] = Counter()
    for seed in range(60):
        start, steps = steps_of(seed, 30)
        plain = [step for step in steps if step[0] not in ("card", "pay_by", "script", "reissue")]
        plain = [(*step[:3], False, step[4]) if step[0] == "purchase" else step for step in plain]
        found = []
        for jobs in (True, False):
            history = Books(sqlite, start, counts)
            history.on_time, history.jobs = True, jobs
            for step in plain:
                if jobs and step[0] in ("wait", "quiet"):
                    _by_nights(history, step[1] % 1000)
                else:
                    history.play(step if step[0] != "wait" else ("wait", step[1], False))
            history.ledger.record_due(history.account)
            found.append(
                [
                    (one["document"], one["charge"], one["gross"], one["value_date"], one["booked_in"])
                    for one in history.ask("documents")["documents"]
                ]
            )
        assert found[0] == found[1], (f"history {seed}", set(found[0]) ^ set(found[1]))
        counts["documents"] += len(found[0])
        counts["histories"] += 1
    assert counts["histories"] == 60
    assert counts["documents"] > 100
    assert counts["books.close"] > 20


def _by_nights(history: Books, hours: int) -> None:
    to = history.now + timedelta(hours=hours)
    while history.now < to:
        history.now = min(to, history.now + timedelta(hours=24))
        history.ledger.clock.move(history.now)
        history.ledger.record_due(history.account)
