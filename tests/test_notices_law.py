"""Notices against what the ledger itself answers: random lives, nothing false told, nothing twice, nothing missed."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import LedgerError
from projections.rebuild import check
from scheduler.advance import advance
from scheduler.outbox import entries, fill
from tests.given import BEATRIZ, FERRETERIA, PANADERIA, when
from tests.mailbox import PostDesk

STEPS = 60


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[PostDesk]:
    desk = PostDesk(store_url)
    desk.at("2026-01-30 10:00")
    desk.endpoint()
    desk.sell()
    yield desk
    desk.close()


class Life:
    """One customer's random life: what it does is drawn, what it was told is held against what the ledger says then."""

    def __init__(self, desk: PostDesk, seed: int) -> None:
        self.desk, self.random = desk, random.Random(seed)
        self.now = when("2026-01-30 10:00")
        self.payers = (self.pay, self.pay) if seed % 2 else ()  # the others pay only what they must to go on
        self.told: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()

    def step(self) -> None:
        self.now += timedelta(hours=self.random.choice((1, 5, 20, 30, 60)))
        self.desk.ledger.clock.move(self.now)
        act = self.random.choice((self.ticket, self.ticket, *self.payers, self.addon, self.plan, self.wait, self.wait))
        with contextlib.suppress(LedgerError):  # refused: that is life too
            act()
        before = len(self.desk.hooks.got)
        counts = self.desk.post()
        assert counts["failed"] == counts["given_up"] == 0
        for _url, _headers, body in self.desk.hooks.got[before:]:
            kind, data = body["type"].removeprefix("notice."), body["data"]
            self.told[data["key"]] += 1
            self.kinds[kind] += 1
            getattr(self, f"holds_{kind}")(data)

    # --- what it does ---

    def ticket(self) -> None:
        for _ in range(self.random.randint(1, 4)):
            self.desk.ticket()

    def pay(self) -> None:
        due = self.desk.billing()["due"]
        self.desk.pay(amount=due if due != "0.00" else self.random.choice(("250.00", "100.00")))

    def addon(self) -> None:
        self.desk.addon(paid=self.random.random() < 0.7)

    def plan(self) -> None:
        command = self.random.choice(("plan.cancel", "plan.withdraw_cancellation", "plan.purchase"))
        given: dict[str, Any] = {"level": "basic", "term": "monthly", "channel": "web"}
        self.desk.do(command, account=PANADERIA, **(given if command == "plan.purchase" else {}))
        if command == "plan.purchase":
            self.desk.pay()

    def wait(self) -> None:
        self.now += timedelta(days=self.random.randint(1, 3))
        self.desk.ledger.clock.move(self.now)

    # --- what must hold when it is told ---

    def holds_renewal_upcoming(self, data: dict[str, Any]) -> None:
        now = self.desk.balance()
        assert (now["state"], now["cancel_by"]) == ("in_force", data["cancel_by"])
        assert now["ends_on"] is None or now["ends_on"] > data["renews_on"]
        days = date.fromisoformat(data["cancel_by"]) - self.now.date()
        assert timedelta(0) <= days <= timedelta(days=7)

    def holds_grace_ends(self, data: dict[str, Any]) -> None:
        assert self.desk.state() == "past_due"
        days = date.fromisoformat(data["last_day"]) - self.now.date()
        assert timedelta(0) <= days <= timedelta(days=1)
        [charge] = [c for c in self.desk.billing()["charges"] if c["id"] == data["charge"]]
        assert charge["due"] == data["amount"]

    def holds_lapsed(self, data: dict[str, Any]) -> None:
        assert self.desk.state() == "lapsed"

    def holds_tickets_low(self, data: dict[str, Any]) -> None:
        [grant] = [g for g in self.desk.balance()["grants"] if g["grant"] == data["grant"]]
        assert (grant["used"], grant["remaining"]) == (4, 1) == (data["used"], data["remaining"])

    def holds_tickets_used_up(self, data: dict[str, Any]) -> None:
        [grant] = [g for g in self.desk.balance()["grants"] if g["grant"] == data["grant"]]
        assert (grant["used"], grant["remaining"]) == (5, 0)

    def holds_addon_expiring(self, data: dict[str, Any]) -> None:
        [grant] = [g for g in self.desk.balance()["grants"] if g["grant"] == data["grant"]]
        assert grant["remaining"] == data["remaining"] > 0
        assert timedelta(0) <= date.fromisoformat(data["last_day"]) - self.now.date() <= timedelta(days=7)

    def holds_receipt(self, data: dict[str, Any]) -> None:
        [charge] = [c for c in self.desk.billing()["charges"] if c["id"] == data["charge"]]
        assert (charge["state"], charge["gross"]) == ("paid", data["amount"])


@pytest.mark.parametrize("seed", range(8))
def test_what_is_told_is_true_then_is_told_once_and_nothing_is_missed(desk: PostDesk, seed: int) -> None:
    life = Life(desk, seed)
    desk.post()
    first = Counter(body["data"]["key"] for _url, _headers, body in desk.hooks.got)
    for _ in range(STEPS):
        life.step()
    told = life.told + first
    assert set(told.values()) == {1}
    paid = {c["id"] for c in desk.billing()["charges"] if c["state"] == "paid"}
    assert {f"receipt:C-100/{charge.removeprefix('C-100-')}" for charge in paid} <= set(told)
    ended = {e["subscription"] for e in desk.events(PANADERIA, "account.plan_ended") if e["cause"] == "lapsed"}
    lapses = {key.split("/")[1].split(":")[0] for key in told if key.startswith("lapsed:")}
    assert lapses <= {sub.removeprefix("C-100-") for sub in ended}
    assert check(desk.projector, ["notices"]) == {}
    assert fill(desk.ledger, desk.projector, desk.now) == {"queued": 0, "withdrawn": 0}


def test_the_lives_have_seen_every_kind_that_needs_no_card(sqlite_url: str, tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for seed in range(8):
        desk = PostDesk(f"sqlite:///{tmp_path / f'{seed}.db'}")
        desk.at("2026-01-30 10:00")
        desk.endpoint()
        desk.sell()
        life = Life(desk, seed)
        for _ in range(STEPS):
            life.step()
        seen += life.kinds
        desk.close()
    kinds = {"renewal_upcoming", "grace_ends", "lapsed", "tickets_low", "tickets_used_up", "addon_expiring", "receipt"}
    assert kinds <= set(seen), seen


def test_a_clock_moved_at_once_or_day_by_day_tells_the_same(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A year with a card that is refused, a plan paid by hand that lapses, and tickets: each notice at its instant."""
    found = []
    for name, days in (("once", 330), ("daily", 1), ("weekly", 7)):
        monkeypatch.setenv("LEDGER_MAIL_DIR", str(tmp_path / name))
        desk = PostDesk(f"sqlite:///{tmp_path / f'{name}.db'}")
        _two_customers(desk)
        start = when("2026-01-30 10:00")
        for passed in range(days, 331, days):
            advance(desk.ledger, start + timedelta(days=passed), projector=desk.projector)
        rows = entries(desk.ledger.store, limit=1000)
        assert {entry.state for entry in rows} == {"sent"}
        assert len(list((tmp_path / name).iterdir())) == len(rows)
        found.append(sorted((entry.key, entry.sent_at) for entry in rows))
        desk.close()
    kinds = Counter(key.split(":")[1] for key, _at in found[0])
    assert kinds["payment_failed"] == 2
    assert kinds["lapsed"] == 1
    assert kinds["receipt"] >= 12
    assert found[0] == found[1] == found[2]


def _two_customers(desk: PostDesk) -> None:
    desk.at("2026-01-30 10:00")
    desk.open()
    desk.contact()
    desk.do("card.register", account=PANADERIA, token="tok_1")
    desk.do("plan.purchase", account=PANADERIA, level="basic", term="monthly", channel="web", pay_by="card")
    outcomes = ["ok", "ok", "declined", "declined", "ok"]
    desk.do("gateway.script", account=PANADERIA, outcomes=outcomes)
    desk.sell(FERRETERIA)
    desk.contact(FERRETERIA)
    desk.addon(FERRETERIA).tickets(4, FERRETERIA)
    desk.do("courtesy.grant", account=FERRETERIA, level="basic", units=1, by=BEATRIZ, reason="nuestro error")
