"""Read models: any split of catch-up is a rebuild at every prefix, and a bad event stops only what it feeds."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from ledger.application import Ledger
from ledger.months import local_month
from ledger.rules.instants import to_iso
from ledger.rules.subscriptions import local_day
from ledger.store import open_store
from projections.projector import MODELS, Projector
from projections.rebuild import check, rebuild
from projections.tables import advance
from tests.given import FERRETERIA, PANADERIA, Desk
from tests.test_laws import History, drawn, play

BATCHES = (1, 7, 5000)


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url)
    desk.at("2026-05-01 10:00").sell().tickets(2)
    desk.sell(FERRETERIA, "advanced")
    yield desk
    desk.close()


@pytest.fixture(name="projector")
def _projector(desk: Desk) -> Iterator[Projector]:
    projector = Projector(desk.ledger.store, desk.ledger.catalogue)
    yield projector
    projector.close()


def contents(projector: Projector) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every read model, sorted."""
    tables = [table for model in MODELS.values() for table in model.tables]
    return {t.name: sorted(projector.read.query(f"SELECT {', '.join(t.names)} FROM {t.name}")) for t in tables}


@pytest.mark.parametrize("seed", [3, 11, 27])
def test_any_split_of_catch_up_is_a_rebuild_at_every_prefix(store_url: str, seed: int) -> None:
    store = open_store(store_url)
    store.migrate(test_clock=True)
    zone, start, steps, ago = drawn(seed)
    history = History(store, zone, start, Counter())
    play(history, steps[:25], ago)
    projector = Projector(store, history.ledger.catalogue)
    projector.prepare()
    head, found = store.last_position(), {}
    for batch in BATCHES:
        for model in MODELS.values():
            with projector.read.transaction() as writer:
                for table in model.tables:
                    writer.execute(f"DELETE FROM {table.name}")
                writer.execute("UPDATE r_positions SET position = 0 WHERE name = ?", [model.name])
        for prefix in range(1, head + 1):
            for model in MODELS.values():
                assert projector.catch_up_to(model, prefix, batch=batch)
            if batch == 1 and prefix % 5 == 0:
                assert check(projector) == {}, f"at prefix {prefix} of history {seed}"
        found[batch] = contents(projector)
    assert found[1] == found[7] == found[5000]
    rebuild(projector)
    assert contents(projector) == found[1]
    projector.close()
    store.close()


def test_a_row_says_what_the_account_itself_answers(desk: Desk, projector: Projector) -> None:
    projector.catch_up()
    for account in (PANADERIA, FERRETERIA):
        answer = desk.balance(account)
        columns = ("state", "level", "granted", "used", "expired", "voided", "remaining")
        sql = f"SELECT {', '.join(columns)} FROM r_balances WHERE account = ?"
        assert projector.read.query(sql, [account]) == [tuple(answer[column] for column in columns)]


def test_check_names_the_first_difference(desk: Desk, projector: Projector) -> None:
    projector.catch_up()
    projector.read.execute("UPDATE r_charges SET paid = paid - 1 WHERE account = ?", [PANADERIA])
    found = check(projector)
    assert list(found) == ["billing"]
    assert "r_charges" in found["billing"]
    assert "'paid': 'live 24999, log 25000'" in found["billing"]


@pytest.mark.parametrize("table", ["r_balances", "r_grants", "r_units", "r_charges", "r_billing", "r_tickets"])
def test_check_finds_a_row_that_is_missing(desk: Desk, projector: Projector, table: str) -> None:
    projector.catch_up()
    projector.read.execute(f"DELETE FROM {table} WHERE account = ?", [PANADERIA])
    assert any(table in difference for difference in check(projector).values())


def test_a_rebuild_mends_what_was_changed_by_hand(desk: Desk, projector: Projector) -> None:
    projector.catch_up()
    before = contents(projector)
    projector.read.execute("UPDATE r_balances SET remaining = 99")
    rebuild(projector)
    assert (contents(projector), check(projector)) == (before, {})


# A process that is killed after it wrote two batches of its new tables, or between two models' swaps.
KILLED = """
import os, signal, sys
from ledger.catalogue import load
from ledger.store import open_store
from projections import rebuild
from projections.projector import Projector

def killed_after(times, step):
    def counted(*given):
        nonlocal times
        if times == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        times -= 1
        step(*given)
    return counted

rebuild._BUFFER = 1
name, times = sys.argv[2:]
setattr(rebuild, name, killed_after(int(times), getattr(rebuild, name)))
rebuild.rebuild(Projector(open_store(sys.argv[1]), load()))
"""


@pytest.mark.parametrize("step", ["_flush", "_swap"])
def test_a_killed_rebuild_leaves_live_tables_and_the_next_one_is_whole(
    desk: Desk, projector: Projector, step: str
) -> None:
    projector.catch_up()
    before, states = contents(projector), projector.states()
    url = desk.ledger.store.url
    done = subprocess.run([sys.executable, "-c", KILLED, url, step, "2"], check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (contents(projector), projector.states()) == (before, states)
    desk.ticket()
    projector.catch_up()
    assert (rebuild(projector), check(projector)) == ({}, {})
    after = contents(projector)
    assert len(after["r_tickets"]) == len(before["r_tickets"]) + 1
    assert {name: rows for name, rows in after.items() if not rows} == {"r_declines": []}


def test_a_rebuild_in_many_batches_is_the_same(
    desk: Desk, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild(projector)
    before = contents(projector)
    for events in (1, 2, 7):
        monkeypatch.setattr("projections.rebuild._BUFFER", events)
        rebuild(projector)
        assert contents(projector) == before


def test_a_rebuild_reads_only_streams_that_feed_a_model(
    desk: Desk, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.do("ticket.open", account=PANADERIA, ticket="T-99", request="terminal", priority="low")
    projector.catch_up()
    store, read = desk.ledger.store, list[str]()
    scan = store.scan

    def heard(*given: Any) -> Iterator[list[tuple[Any, ...]]]:
        for part in scan(*given):
            read.extend(row[1] for row in part)
            yield part

    monkeypatch.setattr(store, "scan", heard)
    rebuild(projector)
    assert Counter(read) == Counter(
        row.stream for row in store.rows(0, 1000) if row.stream.split("/")[0] in ("account", "decline", "ticket")
    )
    assert len(read) < len(store.rows(0, 1000)), "nor the references of deposits, nor a series of documents"


def test_a_position_moves_only_from_where_it_was_read(desk: Desk, projector: Projector) -> None:
    projector.catch_up()
    model, head = MODELS["balances"], desk.position
    with projector.read.transaction() as writer:
        mark = projector.store.mark(head)
        assert not advance(writer, model, "", (head - 1, mark), (head + 5, mark))
        assert not advance(writer, model, "", (head, "of another log"), (head, mark))
        assert advance(writer, model, "", (head, mark), (head, mark))


POISON = {
    "unknown topic": ("topic", "account.from_the_future"),
    "no JSON": ("state", b"{"),
    "a field of another kind": ("state", b'{"customer_no": 7}'),
    "no instant": (
        "state",
        b'{"customer_no":"C-100","occurred_at":"2026-13-99","by":"x","source":"y","charge":"C-100-A1","level":"basic",'
        b'"units":5,"gross":1,"net":1,"tax":0,"due_on":"2026-05-01"}',
    ),
}


@pytest.mark.parametrize("poison", POISON)
def test_a_poisoned_event_stops_its_models_loudly_and_the_others_go_on(
    desk: Desk, projector: Projector, poison: str
) -> None:
    desk.addon(paid=False)
    (position,) = (e["position"] for e in desk.events(PANADERIA, "account.addon_purchased"))
    column, value = POISON[poison]
    desk.ledger.store.execute(f"UPDATE ledger_events SET {column} = ? WHERE position = ?", [value, position])
    ticket = desk.ticket(FERRETERIA)
    states = {state.name: state for state in projector.catch_up()}
    for name in ("balances", "billing"):
        assert states[name].position < position
        assert states[name].lag > 0
        assert f"position {position}" in states[name].error
        assert f"account/{PANADERIA}" in states[name].error
    for name in ("tickets", "declines"):
        assert (states[name].lag, states[name].error) == (0, "")
    assert projector.read.query("SELECT count(*) FROM r_tickets WHERE ticket = ?", [ticket["ticket"]]) == [(1,)]
    assert set(rebuild(projector)) == {"balances", "billing", "notices"}


def test_a_stopped_model_goes_on_once_the_event_can_be_read(desk: Desk, projector: Projector) -> None:
    desk.addon(paid=False)
    (entry,) = desk.events(PANADERIA, "account.addon_purchased")
    where = "WHERE position = ?"
    ((state,),) = desk.ledger.store.query(f"SELECT state FROM ledger_events {where}", [entry["position"]])
    desk.ledger.store.execute(f"UPDATE ledger_events SET state = ? {where}", [b"{", entry["position"]])
    assert any(found.error for found in projector.catch_up())
    desk.ledger.store.execute(f"UPDATE ledger_events SET state = ? {where}", [bytes(state), entry["position"]])
    assert all((found.lag, found.error) == (0, "") for found in projector.catch_up())
    assert check(projector) == {}


@pytest.mark.parametrize(
    "zone", ["Pacific/Kiritimati", "Etc/GMT+12", "America/Guatemala", "Asia/Manila", "Africa/Monrovia"]
)
def test_the_month_of_billing_is_the_local_one(zone: str) -> None:
    """4,800 instants over all zones: every 90 minutes of the six days around a month's end, in old years too."""
    cases = 0
    for year, month in product((1844, 1900, 1971, 2006, 2026), (1, 3)):
        edge = datetime(year, month, 1, tzinfo=UTC)
        for half_hours in range(-144, 144, 3):
            at = to_iso(edge + timedelta(minutes=30 * half_hours, microseconds=-1))
            assert local_month(at, zone) == local_day(at, zone).isoformat()[:7]
            cases += 1
    assert cases == 960


def test_text_is_compared_byte_by_byte_whatever_the_databases_locale(pg_url: str) -> None:
    """The tests' own server has the locale C, so it is the columns that are asked."""
    ledger = Ledger(open_store(pg_url))
    ledger.store.migrate()
    projector = Projector(ledger.store, ledger.catalogue)
    rebuild(projector)
    sql = (
        "SELECT table_name, column_name, collation_name FROM information_schema.columns"
        " WHERE table_name LIKE 'r\\_%' AND table_name <> 'r_positions' AND data_type = 'text'"
    )
    columns = projector.read.query(sql.replace("%", "%%") + " AND table_schema = ?", ["public"])
    assert len(columns) > 40
    assert {collation for _table, _column, collation in columns} == {"C"}
    projector.close()
    ledger.close()
