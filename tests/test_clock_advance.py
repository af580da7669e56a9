"""A test clock moved through time: each thing at its own instant, in whatever steps one gets there."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger import sweeping
from ledger import through_time as clocks
from ledger.apply import answers, move_clock
from ledger.errors import Malformed, Unavailable
from ledger.rules.durations import Span, add_span, parse_span
from ledger.rules.instants import from_iso
from ledger.store import Store
from projections import balances
from projections.projector import Projector
from projections.rebuild import check
from scheduler import advance as advancing
from scheduler import sweep
from scheduler.advance import advance
from tests.given import PANADERIA, ZONE, Desk, iso, local, when
from tests.test_serve import command, environment

START = "2026-01-31 10:00"
STEPS = ("15min", "2h", "1d", "6d", "1w", "13d", "1mo", "1mo2d", "45d", "3mo")


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    made = Desk(store_url).at(START)
    yield made
    made.close()


def moved(desk: Desk, span: str) -> dict[str, Any]:
    return move_clock(desk.ledger, span)


def log(store: Store) -> dict[str, list[tuple[str, bytes]]]:
    """Return each stream's facts as stored, in order; no positions, no times of recording."""
    streams: dict[str, list[tuple[str, bytes]]] = {}
    for row in store.rows(0, 1_000_000):
        streams.setdefault(row.stream, []).append((row.topic, row.state))
    return streams


def due_facts(store: Store) -> Counter[tuple[str, str, bytes]]:
    """Return the facts that followed from dates; no positions, no times, no order."""
    rows = store.rows(0, 1_000_000)
    return Counter((row.stream, row.topic, row.state) for row in rows if b'"source":"rule"' in row.state)


def town(desk: Desk, customers: int = 8, seed: int = 1, *, cards: bool = True) -> Desk:
    """Sell to many what differs: terms, payments ahead, add-ons, licences, courtesies, cancellations, tickets."""
    chance = random.Random(seed)
    kinds = ["monthly", "monthly", "yearly", "licence", "pending", *(["card"] if cards else [])]
    for n in range(customers):
        account = f"C-{n:03}"
        kind = chance.choice(kinds)
        if kind == "licence":
            desk.licence(account, until=f"2026-0{chance.randint(3, 9)}-15")
            continue
        if kind == "card":
            desk.open(account)
            desk.do("card.register", account=account, token="tok_ok")
            outcomes = chance.choices(
                ["ok", "declined", "declined_final", "timeout_before_charge", "timeout_after_charge", "late"], k=8
            )
            desk.do("gateway.script", account=account, outcomes=["ok", *outcomes])
            desk.sell(account, paid=0, pay_by="card")
            continue
        term = "yearly" if kind == "yearly" else "monthly"
        desk.sell(account, chance.choice(["basic", "advanced"]), term, paid=0 if kind == "pending" else 1)
        if kind == "monthly":
            for _ in range(chance.randint(0, 4)):
                desk.pay(account, f"{chance.randint(100, 700)}.00")
            if chance.random() < 0.3:
                desk.addon(account)
            if chance.random() < 0.2:
                desk.courtesy(account)
            if chance.random() < 0.2:
                desk.do("plan.cancel", account=account)
        for _ in range(chance.randint(0, 3) if kind != "pending" else 0):
            desk.ticket(account)
    return desk


# --- each thing at its own instant --------------------------------------------------------------------------------


def test_three_months_of_a_customer_who_pays_one_month_ahead(desk: Desk) -> None:
    desk.sell(paid=2)
    before = len(desk.ledger.store.rows(0, 1000))
    answer = moved(desk, "3mo")
    assert answer["now"] == local("2026-04-30 10:00")
    told = [(e["at"], e["event"].removeprefix("account.")) for e in desk.events() if e["source"] == "rule"]
    assert told[-4:] == [
        (local("2026-03-31"), "tickets_expired"),
        (local("2026-03-31"), "charge_raised"),
        (local("2026-04-06"), "plan_ended"),
        (local("2026-04-06"), "charge_voided"),
    ]
    assert (local("2026-02-28"), "plan_renewed") in told
    later = [e for e in desk.events() if e["at"] > local(START)]
    assert later
    assert all(e["recorded_at"] == e["at"] for e in later), "the clock stood at each instant"
    assert answer["instants"] == 3
    assert answer["facts"] == len(desk.ledger.store.rows(0, 1000)) - before


def test_what_was_due_before_happens_first_at_the_present_instant(desk: Desk) -> None:
    desk.sell().at("2026-03-20 08:00")  # the plain move: nothing was recorded
    assert desk.ask("balance", account=PANADERIA)["not_yet_recorded"] > 0
    moved(desk, "1d")
    late = [e for e in desk.events() if e["at"] > local(START)]
    assert late
    assert {e["recorded_at"] for e in late} == {local("2026-03-20 08:00")}
    assert desk.ask("balance", account=PANADERIA)["not_yet_recorded"] == 0


def test_a_card_is_charged_at_the_boundary_and_again_one_three_and_five_days_later(desk: Desk) -> None:
    desk.open()
    desk.do("card.register", account=PANADERIA, token="tok_ok")
    desk.do("gateway.script", account=PANADERIA, outcomes=["ok", "declined", "declined", "declined", "ok"])
    desk.sell(paid=0, pay_by="card")
    answer = moved(desk, "2mo")
    tried = [e["at"] for e in desk.events(PANADERIA, "account.charge_attempted")]
    days = ["2026-02-28", "2026-03-01", "2026-03-03", "2026-03-05", "2026-03-31"]
    assert tried[1:] == [local(day) for day in days]
    assert (answer["paid"], answer["refused"]) == (2, 3)
    assert desk.state() == "in_force"
    assert all(e["recorded_at"] == e["at"] for e in desk.events() if e["at"] > local(START))


def test_an_answer_that_is_late_is_looked_up_ever_less_often(desk: Desk) -> None:
    desk.open()
    desk.do("card.register", account=PANADERIA, token="tok_ok")
    desk.do("gateway.script", account=PANADERIA, outcomes=["ok", "late"])
    desk.sell(paid=0, pay_by="card")
    answer = moved(desk, "2mo")
    assert answer["unanswered"] > 0
    assert answer["paid"] == 2
    assert answer["instants"] < 40
    assert desk.state() == "in_force"


def test_the_read_models_agree_with_the_log_afterwards(desk: Desk) -> None:
    moved(town(desk), "5mo")
    projector = Projector(desk.ledger.store, desk.ledger.catalogue)
    projector.catch_up()
    assert check(projector) == {}
    now = desk.ledger.clock.now()
    assert balances.due_by(projector.read, now, limit=10) == [], "nothing is left that is due"
    projector.close()


def test_notices_are_put_in_the_outbox_at_their_instants_and_sent(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEDGER_MAIL_DIR", str(tmp_path / "mails"))
    monkeypatch.setenv("LEDGER_MAIL_FROM", "soporte@example.com")
    desk.sell(paid=1)
    desk.ledger.store.execute(
        "INSERT INTO ledger_contacts VALUES (?, ?, ?, ?)", [PANADERIA, "ixchel@example.com", "Ixchel", iso(START)]
    )
    moved(desk, "3mo")
    rows = desk.ledger.store.query("SELECT kind, sent_at, body FROM ledger_outbox ORDER BY sent_at")
    assert [kind for kind, _at, _body in rows][1:] == ["renewal_upcoming", "grace_ends", "lapsed"]
    for kind, sent_at, body in rows:
        assert f'"at": "{sent_at}"' in body, (kind, sent_at, body)


# --- the steps make no difference ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_in_one_go_in_many_steps_and_day_by_day_leave_the_same_log(store_url: str, tmp_path: Path, seed: int) -> None:
    """A town of 12 over seven months, cards and all, each way; day by day with a fresh process's memory each time."""
    goal = when("2026-08-31 10:00")
    first = town(Desk(store_url).at(START), 12, seed)
    advance(first.ledger, goal)
    expected = log(first.ledger.store)
    first.close()
    chance = random.Random(seed)

    def spans() -> Iterator[Span]:
        while True:
            yield parse_span(chance.choice(STEPS), "")

    def days() -> Iterator[Span]:
        while True:
            yield parse_span("1d", "")

    for name, steps in (("steps", spans()), ("days", days())):
        desk = town(Desk(f"sqlite:///{tmp_path / name}.db").at(START), 12, seed)
        while from_iso(desk.ledger.clock.now()) < goal:
            to = add_span(from_iso(desk.ledger.clock.now()), next(steps), ZONE, "")
            advance(desk.ledger, min(to, goal.astimezone(UTC)))
            if name == "days":
                url = desk.ledger.store.url
                desk.close()
                desk = Desk(url, migrate=False)
        found = log(desk.ledger.store)
        assert found.keys() == expected.keys()
        for stream, facts in expected.items():
            assert found[stream] == facts, (name, stream)
        desk.close()


@pytest.mark.parametrize("seed", range(3))
def test_sweeps_twice_late_by_a_month_or_now_and_then_leave_the_same_due_facts(
    store_url: str, tmp_path: Path, seed: int
) -> None:
    def told(desk: Desk, weeks: list[int], times: int) -> Counter[tuple[str, str, bytes]]:
        projector = Projector(desk.ledger.store, desk.ledger.catalogue)
        for week in range(30):
            desk.ledger.clock.move(when(START) + timedelta(weeks=week))
            for _ in range(times if week in weeks else 0):
                sweep.record_due(desk.ledger, projector, now=desk.ledger.clock.now())
        moved(desk, "1min")
        sweep.record_due(desk.ledger, projector, now=desk.ledger.clock.now())
        projector.close()
        found = due_facts(desk.ledger.store)
        desk.close()
        # Papers are numbered in the order in which they are written.
        return Counter({k: n for k, n in found.items() if "document" not in k[1] and not k[0].startswith("series")})

    def manual(url: str) -> Desk:
        desk = Desk(url).at(START)
        chance = random.Random(seed)
        for n in range(10):
            desk.sell(f"C-{n}", chance.choice(["basic", "advanced"]), chance.choice(["monthly", "yearly"]))
            for _ in range(chance.randint(0, 4)):
                desk.pay(f"C-{n}", f"{chance.randint(100, 900)}.00")
        return desk

    every_week = told(manual(store_url), list(range(30)), 1)
    chance = random.Random(seed)
    assert told(manual(f"sqlite:///{tmp_path}/late.db"), [29], 1) == every_week
    assert told(manual(f"sqlite:///{tmp_path}/twice.db"), list(range(0, 30, 4)), 2) == every_week
    assert told(manual(f"sqlite:///{tmp_path}/odd.db"), chance.sample(range(30), 5), 1) == every_week


# --- what it costs ------------------------------------------------------------------------------------------------


def test_a_move_on_which_nothing_is_due_asks_the_store_a_handful_of_times(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    town(desk)
    moved(desk, "1h")
    asked = Counter[str]()
    store = desk.ledger.store
    query = store.query

    def counted(sql: str, params: Any = ()) -> Any:
        asked[sql[:40]] += 1
        return query(sql, params)

    monkeypatch.setattr(store, "query", counted)
    for _ in range(10):
        moved(desk, "1min")
    assert sum(asked.values()) <= 120, asked


def test_a_long_log_is_asked_through_the_read_model(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = town(Desk(f"sqlite:///{tmp_path / 'short.db'}").at(START))
    moved(expected, "6mo")
    monkeypatch.setattr(advancing, "_FEW", 5)
    monkeypatch.setattr(advancing, "_PAGE", 3)
    moved(town(desk), "6mo")
    assert log(desk.ledger.store) == log(expected.ledger.store)
    expected.close()


# --- what is refused ----------------------------------------------------------------------------------------------


def test_a_real_ledger_is_not_moved(sqlite_url: str) -> None:
    desk = Desk(sqlite_url, migrate=False)
    desk.ledger.store.migrate()
    with desk.refused("no_test_clock"):
        advance(desk.ledger, when("2030-01-01 00:00"))
    (said,) = answers(desk.ledger, [b'{"clock": "3mo"}'], lang="en")
    assert said["code"] == "no_test_clock"
    desk.close()


def test_a_clock_is_not_moved_back(desk: Desk) -> None:
    desk.sell()
    with desk.refused("clock_moved_back"):
        advance(desk.ledger, when("2026-01-31 09:59"))
    assert desk.ledger.clock.now() == iso(START)


def test_two_do_not_move_it_at_once(desk: Desk) -> None:
    with desk.ledger.store.locked("clock") as held:
        assert held
        with pytest.raises(Unavailable) as busy:
            moved(desk, "1d")
    assert busy.value.code == "clock_moving"
    moved(desk, "1d")


def test_a_model_that_has_stopped_stops_the_clock_where_it_stands(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    town(desk)
    monkeypatch.setattr(advancing, "_FEW", 1)
    desk.ledger.store.execute("UPDATE ledger_events SET topic = 'account.unheard_of' WHERE stream = 'account/C-001'")
    with pytest.raises(Unavailable) as stopped:
        moved(desk, "1mo")
    assert stopped.value.code == "read_model_stopped"
    assert desk.ledger.clock.now() == iso(START)


def test_a_move_that_failed_on_the_way_is_made_good_by_the_next(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = town(Desk(f"sqlite:///{tmp_path / 'calm.db'}").at(START))
    moved(calm, "6mo")
    town(desk)
    moved(desk, "1h")
    many, calls = sweeping.sweep, iter(range(100))

    def failing(*given: Any, **named: Any) -> Any:
        if next(calls) == 2:
            raise Unavailable("database_locked", path="x")
        return many(*given, **named)

    with monkeypatch.context() as broken:
        broken.setattr(sweeping, "sweep", failing)
        with pytest.raises(Unavailable):
            moved(desk, "3mo")
    moved(desk, "1min")
    assert not any(desk.ask("balance", account=f"C-{n:03}")["not_yet_recorded"] for n in range(8))
    advance(desk.ledger, from_iso(calm.ledger.clock.now()))
    assert log(desk.ledger.store) == log(calm.ledger.store)
    calm.close()


def test_what_others_write_while_it_moves_is_taken_in(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before an account's turn, and after one with which nothing more was to come."""
    desk.sell()
    other = Desk(desk.ledger.store.url, migrate=False)
    many, calls = sweeping.sweep, iter(range(100))

    def buys(account: str, again: str = "") -> None:
        other.sell(account, paid=0)
        other.pay(account, reference=f"AGENCIA-{account}{again}")

    def beside(*given: Any, **named: Any) -> Any:
        if next(calls) == 0:
            buys("C-200")
            other.pay(PANADERIA, reference="AGENCIA")
        done = many(*given, **named)
        if other.state(PANADERIA) == "lapsed" and not bought:
            bought.append(PANADERIA)
            buys(PANADERIA, "-2")
        return done

    bought: list[str] = []
    monkeypatch.setattr(sweeping, "sweep", beside)
    moved(desk, "6mo")
    assert bought
    for account in (PANADERIA, "C-200"):
        assert desk.ask("balance", account=account)["not_yet_recorded"] == 0
        assert desk.state(account) == "lapsed"
        assert all(e["recorded_at"] == e["at"] for e in desk.events(account) if e["source"] == "rule")
    other.close()


def test_without_a_scheduler_the_clock_is_moved_plainly(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "_through_time", lambda: clocks._plainly)
    desk.sell()
    before = desk.position
    assert moved(desk, "3mo") == {"ok": True, "now": local("2026-04-30 10:00")}
    assert desk.position == before


# --- spans --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "span", "end"),
    [
        ("2026-01-31 10:00", "1mo", "2026-02-28 10:00"),
        ("2026-01-31 10:00", "1mo2d", "2026-03-02 10:00"),
        ("2024-02-29 23:00", "1y", "2025-02-28 23:00"),
        ("2026-01-31 10:00", "1y1mo1w1d1h1min", "2027-03-08 11:01"),
        ("2026-01-31 23:59", "90min", "2026-02-01 01:29"),
        ("2006-04-29 00:30", "1d", "2006-04-30 01:30"),  # the clocks jumped at that midnight
        ("2006-04-29 23:30", "1h", "2006-04-30 01:30"),
        ("2026-01-31 10:00", "0d", "2026-01-31 10:00"),
    ],
)
def test_spans_count_by_the_calendar_and_hours_as_they_pass(start: str, span: str, end: str) -> None:
    found = add_span(when(start), parse_span(span, "advance"), ZONE, "advance")
    assert found == when(end)
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "span",
    ["", "3", "mo", "3 mo", "-1d", "1d1mo", "1d1d", "1.5d", "3MO", "99999y", "1m", "٣mo", " 1d", "1d\n", None, 3, []],
)
def test_other_spans_are_malformed(span: Any) -> None:
    with pytest.raises(Malformed) as refused:
        parse_span(span, "advance")
    assert refused.value.facts["field"] == "advance"


def test_a_span_beyond_the_years_that_are_kept_is_malformed(desk: Desk) -> None:
    for span in ("9999y", "9999999d", "999999w99999999h"):
        with pytest.raises(Malformed):
            moved(desk, span)
    assert desk.ledger.clock.now() == iso(START)
    assert add_span(datetime(2026, 1, 1, tzinfo=UTC), parse_span("7000y", ""), ZONE, "").year == 9026


# --- killed on the way --------------------------------------------------------------------------------------------


def test_killed_on_the_way_it_goes_on_and_the_log_is_the_same(store_url: str, tmp_path: Path) -> None:
    """kill -9 of a clock advance over seven months, 6 times at random moments, then to the end."""
    calm = town(Desk(f"sqlite:///{tmp_path / 'calm.db'}").at(START), 30, 7, cards=False)
    advance(calm.ledger, when("2026-08-31 10:00"))
    expected = log(calm.ledger.store)
    calm.close()
    desk = town(Desk(store_url).at(START), 30, 7, cards=False)
    chance = random.Random(7)
    killed = 0
    words = command(store_url, "clock", "set", "2026-08-31T10:00:00-06:00")
    for _ in range(6):
        process = subprocess.Popen(words, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = desk.position
        while process.poll() is None and desk.position == before:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert subprocess.run(words, env=environment(), stdout=subprocess.DEVNULL, check=False).returncode == 0
    assert killed > 0
    found = log(desk.ledger.store)
    series = [stream for stream in expected if not stream.startswith("account/")]
    assert found.keys() == expected.keys()
    for stream, facts in expected.items():
        if stream not in series:
            assert found[stream] == facts, stream
    assert {s: len(found[s]) for s in series} == {s: len(expected[s]) for s in series}, "no number is lost or left out"
    desk.close()
