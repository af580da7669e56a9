"""Billing's laws over random histories, on both stores, against the naive telling of `tests/naive_billing.py`.

Each history is a customer's year or two: purchases, cards with a scripted gateway, upgrades, downgrades, changes of
term, cancellations, add-ons, payments, chargebacks, refunds, discounts, voids, write-offs, credit notes, cases; many
dated back, the clock moving on through everything that falls due. After each step balance, billing and payments are
the naive ones; at the end past instants, documents, the gateway's books and the read models are held against them.
Played: 120 histories of 3 to 200 steps on SQLite, 25 on PostgreSQL, the same every time; each test asserts its counts.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from ledger.errors import LedgerError
from ledger.store import Store, open_store
from projections.projector import Projector
from projections.rebuild import check
from tests.billing_history import History, Step, drawn
from tests.billing_laws import agrees, closing
from tests.given import minor
from tests.naive_things import midnight

HISTORIES = {"sqlite": 120, "postgresql": 25}
LONG = 15  # every so manieth history has up to 200 steps


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


def play(store: Store, seed: int, counts: Counter[str], most: int = 40) -> History:
    """Play a history and hold it against the laws on the way and at its end."""
    start, steps = drawn(seed, most)
    history = History(store, start, counts)
    try:
        for step in steps:
            history.play(step)
            agrees(history, history.now)
        closing(history, seed)
    except AssertionError as error:
        raise AssertionError(f"history {seed} of {most}: {error}") from error
    counts["histories"] += 1
    counts["gateway asked"] += history.cashier.counts["attempts"]
    return history


def test_random_histories_keep_the_laws(store: Store) -> None:
    counts: Counter[str] = Counter()
    number = HISTORIES[store.dialect]
    for seed in range(number):
        play(store, seed, counts, 197 if seed % LONG == LONG - 1 else 40)
    print(dict(sorted(counts.items())))
    assert counts["histories"] == number
    assert counts["steps"] > 20 * number
    assert counts["answers compared"] > counts["steps"]
    wanted = ["plan.upgrade", "payment.reverse", "plan.cancel", "charge.credit", "gateway asked", "documents"]
    if store.dialect == "sqlite":
        wanted += ["plan.downgrade", "plan.change_term", "plan.pay_by", "payment.refund", "charge.discount"]
        wanted += [
            "charge.write_off",
            "charge.void",
            "plan.withdraw_change",
            "ticket.give_back",
            "payment.apply",
            "ended at once",
            "reversals told late",
            "instants with a refund owed",
            "instants between bank and recording",
        ]
    assert [name for name in wanted if not counts[name]] == [], "no history ever came to these"


# The smallest histories that once diverged offline, by seed. 6942: the law asked the gateway again at the end, whose
# answer was news to the naive telling. 4712: an end chosen while past due was lost at the process that took it. 12397:
# a discount on a renewal that in hindsight was never raised corrects nothing (the naive telling did not know).
ONCE: dict[int, list[Step]] = {
    6942: [
        ("card", 0), ("purchase", "advanced", 1, True, 0), ("wait", 24 * 62, False), ("wait", 24 * 56, True),
        ("script", ("declined", "timeout_before_charge", "declined_final", "ok")),
    ],
    4712: [
        ("purchase", "basic", 1, False, 0), ("pay_due", 0), ("wait", 24 * 23, True), ("reverse", 0, 0),
        ("cancel", 1, True, 0), ("wait", 24 * 28, False),
    ],
    12397: [
        ("purchase", "basic", 1, True, 0), ("pay_due", 0), ("wait", 24, True), ("reverse", 0, 20), ("pay_due", 400),
        ("upgrade", "advanced", 0, True), ("wait", 24 * 31, False), ("discount", 3, 3, 0), ("reverse", 3, 2),
    ],
}  # fmt: skip


@pytest.mark.parametrize("seed", ONCE)
def test_histories_that_diverged_once(store: Store, seed: int) -> None:
    history = History(store, drawn(seed)[0], Counter())
    for step in ONCE[seed]:
        history.play(step)
        agrees(history, history.now)
    closing(history, seed)


def test_read_models_say_what_the_ledger_says(store: Store) -> None:
    """One history of 100 to 200 steps a store: caught up after each step, it is each time what a rebuild would make."""
    counts: Counter[str] = Counter()
    start, steps = drawn(907, 190)
    history = History(store, start, counts)
    projector = Projector(store, history.ledger.catalogue)
    projector.prepare()
    for number, step in enumerate(steps):
        history.play(step)
        projector.catch_up()
        if number % 12 == 11:
            assert check(projector) == {}
            counts["checks"] += 1
    agrees(history, history.now)
    projector.close()
    assert counts["steps"] >= 100
    assert counts["checks"] >= 8


def test_jobs_of_one_instant_in_any_order_change_no_answer(sqlite: Store) -> None:
    """25 histories, played twice: the clock moves from midnight to midnight, the jobs run in another order each."""
    counts: Counter[str] = Counter()
    for seed in range(25):
        answers = [_by_days(sqlite, seed, order, counts) for order in ("due first", "cards first")]
        assert answers[0] == answers[1], f"history {seed}"
    assert counts["days"] > 1000


def _by_days(store: Store, seed: int, order: str, counts: Counter[str]) -> list[object]:
    start, steps = drawn(seed, 20)
    history = History(store, start, counts)
    history.blind, rng = True, random.Random(seed)
    answers: list[object] = []
    for step in steps:
        if step[0] == "wait":
            jobs: list[Callable[[str], object]] = [
                history.ledger.record_due, history.ledger.collect, history.ledger.record_due,
            ]  # fmt: skip
            for _day in range(rng.randint(1, 25)):
                history.now = midnight((history.now - timedelta(hours=6)).date() + timedelta(days=1))
                history.ledger.clock.move(history.now)
                for job in jobs if order == "due first" else jobs[1:]:
                    job(history.account)
                counts["days"] += 1
            continue
        history.play(step)
        answers += [{**history.ask(question), "not_yet_recorded": 0} for question in ("balance", "billing", "payments")]
    return answers


def test_an_upgrade_is_what_its_preview_said(sqlite: Store) -> None:
    """In 60 histories an upgrade is previewed, then asked for and paid: money, tickets and dates are as told."""
    counts: Counter[str] = Counter()
    for seed in range(60):
        start, steps = drawn(seed, 15)
        history = History(sqlite, start, counts)
        for step in steps:
            history.play(step)
        if minor(history.ask("billing")["due"]):
            continue
        before = history.ask("balance")
        given = {"account": history.account, "of": "upgrade", "level": "corporate"}
        position = sqlite.last_position()
        try:
            told = history.ledger.ask("preview", given)
        except LedgerError as refused:
            counts[refused.code] += 1
            with pytest.raises(LedgerError, match=refused.code):
                history.run("plan.upgrade", 0, level="corporate")
            continue
        assert sqlite.last_position() == position, "a preview writes nothing"
        history.run("plan.upgrade", 0, level="corporate")
        history._pay_due(0)
        after, billing = history.ask("balance"), history.ask("billing")
        (charge,) = [c for c in billing["charges"] if c["id"] == told["charge"]["id"]]
        assert (charge["gross"], charge["discount"], charge["state"]) == (
            told["charge"]["gross"],
            told["discount"],
            "paid",
        )
        assert minor(billing["credit"]) == minor(told["credit_after"])
        assert (after["level"], after["cancel_by"]) == (told["level"], told["cancel_by"])
        assert after["period"]["until"].startswith(told["renews_on"])
        new = {g["grant"] for g in after["grants"]} - {g["grant"] for g in before["grants"]}
        assert new == {g["grant"] for g in told["granted"]}
        assert after["voided"] - before["voided"] == sum(g["units"] for g in told["voided"])
        counts["previews"] += 1
    assert counts["previews"] > 15, counts
