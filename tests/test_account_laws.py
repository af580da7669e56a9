"""Laws of one account over random histories, on both stores, against the naive second telling."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.application import Caller, Ledger
from ledger.errors import LedgerError
from ledger.rules.instants import to_iso
from ledger.store import open_store
from projections.projector import Projector, named
from projections.rebuild import check, rebuild
from tests.naive_account import Told, tell

START = datetime(2026, 1, 31, 15, 0, tzinfo=UTC)
CASES = Counter[str]()
EXAMPLES = {"sqlite": 400, "postgres": 60}

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("clock"), st.sampled_from([1, 3, 24 * 5, 24 * 12, 24 * 27, 24 * 31, 24 * 40]), st.just("")),
        st.tuples(st.just("purchase"), st.sampled_from(["basic", "advanced"]), st.sampled_from(["monthly", "yearly"])),
        st.tuples(
            st.just("pay"), st.sampled_from([10000, 25000, 60000, 250000, 700000]), st.sampled_from([0, 0, 0, 30, 90])
        ),
        st.tuples(st.just("addon"), st.sampled_from(["basic", "advanced"]), st.just("")),
        st.tuples(
            st.just("open"), st.sampled_from(["general", "general", "training"]), st.sampled_from([0, 0, 0, 2, 50, 200])
        ),
        st.tuples(st.just("give_back"), st.integers(0, 50), st.just("")),
        st.tuples(st.just("cancel"), st.just(""), st.just("")),
    ),
    min_size=8,
    max_size=40,
)


class History:
    """Plays steps on a ledger and tells the accepted ones to the naive account."""

    def __init__(self, ledger: Ledger, account: str) -> None:
        self.ledger, self.account = ledger, account
        self.now = START
        self.told: list[Told] = []
        self.numbers: Counter[str] = Counter()
        self.held: list[str] = []
        self.names: dict[str, str] = {}
        ledger.execute("account.open", {"account": account, "name": "Ixchel"}, caller=Caller())

    def play(self, step: tuple[str, Any, Any]) -> None:
        kind, first, second = step
        if kind == "clock":
            self.now += timedelta(hours=first)
            self.ledger.clock.move(self.now)
            return
        at = self.now - timedelta(hours=second) if isinstance(second, int) else self.now
        before = self.ledger.store.last_position()
        try:
            answer = getattr(self, f"_{kind}")(first, second, max(at, START))
        except LedgerError as refused:
            CASES[f"refused {refused.code}"] += 1
            assert self.ledger.store.last_position() == before, "a refused command leaves the log as it was"
            return
        CASES[kind if answer["ok"] else f"declined {answer['code']}"] += 1

    def _do(self, name: str, body: dict[str, Any], at: datetime, key: str = "") -> dict[str, Any]:
        body = {"account": self.account, **body} if not name.startswith("ticket.give") else body
        return self.ledger.execute(name, body, caller=Caller(), at=to_iso(at), reason="a slip that lay about", key=key)

    def _purchase(self, level: str, term: str, at: datetime) -> dict[str, Any]:
        answer = self._do("plan.purchase", {"level": level, "term": term, "channel": "web"}, at)
        self.numbers["purchase"] += 1
        self.told.append(Told(at, "purchase", {"level": level, "term": term, "number": self.numbers["purchase"]}))
        return answer

    def _pay(self, amount: int, _hours: int, at: datetime) -> dict[str, Any]:
        self.numbers["pay"] += 1
        shown = f"{amount // 100}.{amount % 100:02d}"
        body = {"amount": shown, "method": "cash", "reference": f"{self.account}-{self.numbers['pay']}"}
        key = f"{self.account}-pay-{self.numbers['pay']}"
        answer = self._do("payment.record", body, at, key)
        again = self._do("payment.record", body, at, key)
        assert again == {**answer, "replayed": True}, "a retried command changes nothing"
        if not self._was_unapplied(answer["payment"]):
            self.told.append(Told(at, "pay", {"amount": amount}))
        else:
            self.numbers["unapplied"] += amount
        return answer

    def _was_unapplied(self, payment: str) -> bool:
        entries = self.ledger.ask("history", {"account": self.account})["entries"]
        return any(e.get("payment") == payment and e.get("unapplied") for e in entries)

    def _addon(self, level: str, _second: str, at: datetime) -> dict[str, Any]:
        answer = self._do("addon.purchase", {"level": level}, at)
        self.numbers["addon"] += 1
        self.told.append(Told(at, "addon", {"level": level, "number": self.numbers["addon"]}))
        return answer

    def _open(self, request: str, _hours: int, at: datetime) -> dict[str, Any]:
        self.numbers["ticket"] += 1
        ticket = f"{self.account}-T{self.numbers['ticket']}"
        answer = self._do("ticket.open", {"ticket": ticket, "request": request, "priority": "low"}, at)
        if answer["ok"]:
            self.held.append(ticket)
            self.told.append(Told(at, "take", {"ticket": ticket, "grant": self._naive_name(answer["grant"])}))
        return answer

    def _naive_name(self, grant: str) -> str:
        tail = grant.removeprefix(f"{self.account}-")
        if tail.startswith("A"):
            return f"a{tail[1:].removesuffix('-t')}"
        number, month = tail[1:].split("-m")
        return f"m{number}-{month}"

    def _give_back(self, index: int, _second: str, at: datetime) -> dict[str, Any]:
        ticket = self.held[index % len(self.held)] if self.held else "none"
        answer = self._do("ticket.give_back", {"ticket": ticket}, at)
        self.held.remove(ticket)
        self.told.append(Told(at, "give_back", {"ticket": ticket}))
        return answer

    def _cancel(self, _first: str, _second: str, at: datetime) -> dict[str, Any]:
        answer = self.ledger.execute("plan.cancel", {"account": self.account}, caller=Caller(role="finance"))
        self.told.append(Told(at, "cancel", {"ends_on": date.fromisoformat(answer["ends_on"])}))
        return answer

    def agrees_at(self, at: datetime) -> dict[str, Any]:
        """Assert that balance and billing at `at` are what the naive telling says; return the balance."""
        asked = {"account": self.account, "at": at.isoformat()}
        balance, billing = self.ledger.ask("balance", asked), self.ledger.ask("billing", asked)
        naive = tell(self.told, at)
        found = {k: balance["granted" if k == "units" else k] for k in naive.totals()}
        assert found == naive.totals(), (at, self.told)
        money = {k: minor(billing[k]) for k in naive.money()}
        assert money == naive.money(), (at, self.told)
        assert minor(billing["credit"]) == naive.credit
        state = naive.plan.get("state", "none")
        assert balance["state"] == ("none" if state == "abandoned" else state)
        for grant in balance["grants"]:
            assert grant["units"] == grant["used"] + grant["expired"] + grant["voided"] + grant["remaining"]
            assert min(grant["used"], grant["expired"], grant["voided"], grant["remaining"]) >= 0
        assert minor(billing["billed"]) == minor(billing["paid"]) + minor(billing["due"])
        received = minor(billing["paid"]) + minor(billing["credit"]) + minor(billing["unapplied"])
        assert minor(billing["received"]) == received
        return balance


def minor(amount: str) -> int:
    """Return the minor units of an amount's text."""
    return int(amount.replace(".", ""))


def read_models(projector: Projector) -> dict[str, list[Any]]:
    """Return every row of every read model, sorted."""
    tables = [table for model in named([]) for table in model.tables]
    return {t.name: sorted(projector.read.query(f"SELECT {', '.join(t.names)} FROM {t.name}")) for t in tables}


def test_random_histories_keep_the_laws(store_url: str) -> None:
    ledger = Ledger(open_store(store_url))
    ledger.store.migrate(test_clock=True)
    ledger.clock.move(START)
    projector = Projector(ledger.store, ledger.catalogue)
    kind = "sqlite" if store_url.startswith("sqlite") else "postgres"
    played = Counter[str]()

    @settings(max_examples=EXAMPLES[kind], deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(steps=STEPS)
    def run(steps: list[tuple[str, Any, Any]]) -> None:
        played["histories"] += 1
        ledger.store.execute("UPDATE ledger_meta SET value = ? WHERE name = 'test_clock'", [f"frozen {to_iso(START)}"])
        history = History(ledger, f"C-{played['histories']}")
        for number, step in enumerate(steps):
            history.play(step)
            played["steps"] += 1
            if number % 5 == 4:
                history.agrees_at(history.now)
        balance = history.agrees_at(history.now)
        for back in (1, 20, 45, 80):
            past = history.now - timedelta(days=back)
            if past >= START:
                history.agrees_at(past)
        ledger.record_due(history.account)
        assert ledger.record_due(history.account) == 0, "running it again adds nothing"
        assert history.agrees_at(history.now) == {**balance, "not_yet_recorded": 0}

    run()
    assert played["histories"] >= EXAMPLES[kind]
    assert played["steps"] > 5 * EXAMPLES[kind]
    for wanted in ("purchase", "pay", "open", "addon", "give_back", "cancel"):
        assert CASES[wanted] > 0, f"no history ever got to {wanted}"

    for model in named([]):
        projector.prepare()
        assert projector.catch_up_to(model, ledger.store.last_position() // 2, batch=7)
    projector.catch_up()
    caught_up = read_models(projector)
    assert check(projector) == {}
    rebuild(projector)
    assert read_models(projector) == caught_up
    projector.close()
    ledger.close()


@pytest.mark.parametrize("batch", [1, 7, 5000])
def test_any_split_of_catch_up_at_every_prefix_is_a_rebuild(store_url: str, batch: int) -> None:
    ledger = Ledger(open_store(store_url))
    ledger.store.migrate(test_clock=True)
    ledger.clock.move(START)
    history = History(ledger, "C-1")
    steps: list[tuple[str, Any, Any]] = [
        ("purchase", "basic", "monthly"), ("pay", 25000, 0), ("open", "general", 0), ("open", "training", 0),
        ("clock", 24 * 31, ""), ("pay", 10000, 0), ("clock", 24 * 12, ""), ("open", "general", 0),
        ("pay", 25000, 240), ("give_back", 0, ""), ("addon", "advanced", ""),
        ("pay", 60000, 0), ("open", "training", 2),
    ]  # fmt: skip
    for step in steps:
        history.play(step)
    head = ledger.store.last_position()
    projector = Projector(ledger.store, ledger.catalogue)
    projector.prepare()
    for prefix in range(1, head + 1):
        for model in named([]):
            projector.catch_up_to(model, prefix, batch=batch)
        if prefix % 3 == 0 or prefix == head:
            assert check(projector) == {}
    position = ledger.store.last_position()
    known = ledger.ask("balance", {"account": "C-1", "known_at": history.now.isoformat()})
    ledger.clock.move(history.now + timedelta(days=60))
    ledger.record_due("C-1")
    assert ledger.store.last_position() > position
    later = ledger.ask("balance", {"account": "C-1", "known_at": history.now.isoformat()})
    assert {**later, "not_yet_recorded": 0} == {**known, "not_yet_recorded": 0}, "what was known then does not change"
    projector.close()
    ledger.close()


def test_a_tampered_row_is_named(sqlite_url: str) -> None:
    ledger = Ledger(open_store(sqlite_url))
    ledger.store.migrate(test_clock=True)
    ledger.clock.move(START)
    history = History(ledger, "C-1")
    for step in (("purchase", "basic", "monthly"), ("pay", 25000, 0), ("open", "general", 0)):
        history.play(step)
    projector = Projector(ledger.store, ledger.catalogue)
    projector.catch_up()
    projector.read.execute("UPDATE r_balances SET remaining = remaining + 1")
    found = check(projector, ["balances"])
    assert "r_balances" in found["balances"]
    assert "remaining" in found["balances"]
    projector.close()
    ledger.close()


def test_two_projectors_at_once_apply_a_batch_once(store_url: str) -> None:
    ledger = Ledger(open_store(store_url))
    ledger.store.migrate(test_clock=True)
    ledger.clock.move(START)
    history = History(ledger, "C-1")
    for step in (("purchase", "basic", "monthly"), ("pay", 25000, 0), ("open", "general", 0)):
        history.play(step)
    slow, quick = (Projector(ledger.store, ledger.catalogue) for _ in range(2))
    slow.prepare()
    model = named(["balances"])[0]
    rows = ledger.store.rows(0, 3)  # what the slow one had read before the quick one came by
    quick.catch_up()
    slow._apply(model, "", 0, rows)
    assert slow.position("balances") == ledger.store.last_position(), "a position never moves back"
    assert check(slow) == {}
    slow.close()
    quick.close()
    ledger.close()
