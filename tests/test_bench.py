"""The benchmark: every part runs at a very small size, and each of its invariants notices a planted fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.application import Ledger
from projections.projector import Projector
from projections.rebuild import rebuild
from scripts import bench, bench_account, bench_append, bench_http, bench_import, bench_rebuild
from scripts.bench_common import DIALECTS, TINY, Broken, Ground, Row
from tests.postgres import Server

CASES = [(n, d) for n in bench.PARTS for d in DIALECTS if d == "postgresql" or n not in bench.ONLY_POSTGRESQL]


@pytest.fixture(scope="module")
def ground(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Give one ground for all parts, as in a real run."""
    ground = Ground(tmp_path_factory.mktemp("bench"), postgres, TINY)
    yield ground
    ground.close()


@pytest.mark.parametrize(("name", "dialect"), CASES)
def test_every_part_runs_and_its_invariants_hold(ground: Ground, name: str, dialect: str) -> None:
    for row in bench.PARTS[name](ground, dialect):
        assert not row.failed
        assert not row.skipped
        assert row.ours > 0 < row.peer
        assert row.as_json().keys() >= {"name", "ours", "peer", "ratio"}
        assert (row.floor is None) != (row.ceiling is None)


def test_a_lost_event_fails_the_appends(tmp_path: Path, postgres: Server) -> None:
    ground = Ground(tmp_path, postgres, TINY)
    bench_append.append(ground, "sqlite")
    store = ground.empty("sqlite", "append")
    written = TINY.appends * bench_append.turns(TINY)
    bench_append.check(store, written)
    store.execute("DELETE FROM ledger_requests WHERE position = 1")
    with pytest.raises(Broken, match="requests"):
        bench_append.check(store, written)
    store.execute("DELETE FROM ledger_events WHERE position = 1")
    with pytest.raises(Broken, match="streams with a hole"):
        bench_append.check(store, written - 1)
    ground.close()


@pytest.mark.parametrize(
    ("fault", "names"),
    [
        ("DELETE FROM r_balances WHERE account = 'B0000000'", "accounts"),
        ("UPDATE r_balances SET remaining = remaining + 1 WHERE account = 'B0000000'", "units left"),
        ("UPDATE r_balances SET used = used + 1 WHERE account = 'B0000000'", "used of B0000000"),
        ("UPDATE r_billing SET amount = amount + 1 WHERE entry = 'paid'", "paid"),
        ("UPDATE r_positions SET position = position - 1 WHERE name = 'tickets'", "positions"),
    ],
)
def test_a_wrong_read_model_fails_the_rebuild(ground: Ground, fault: str, names: str) -> None:
    store = ground.ledger("sqlite", 1)
    projector = Projector(store, ground.catalogue)
    rebuild(projector)
    log = bench_rebuild.tally(store)
    bench_rebuild.check(store, projector, log)
    projector.read.execute(fault)
    with pytest.raises(Broken, match=names):
        bench_rebuild.check(store, projector, log)
    rebuild(projector)
    projector.close()


def test_a_unit_the_runner_lost_is_noticed(ground: Ground) -> None:
    rows = bench_rebuild.slice_of(ground, ground.ledger("sqlite", 1))
    left = bench_rebuild.remaining(rows)
    assert left == bench_rebuild.remaining(list(rows))
    consumed = next(row for row in rows if row.topic == "account.ticket_consumed")
    rows.remove(consumed)
    assert left != bench_rebuild.remaining(rows)


def test_a_ticket_that_took_no_unit_fails_the_openings(ground: Ground) -> None:
    ledger = Ledger(ground.aged("sqlite"), ground.catalogue)
    now = bench_account.used(ledger, "B0000000")
    bench_account.check_opened(ledger, {"B0000000": now - 2}, 2)
    with pytest.raises(Broken, match="units used by B0000000"):
        bench_account.check_opened(ledger, {"B0000000": now - 1}, 2)


def test_balances_that_differ_between_copies_are_noticed() -> None:
    bench_account.check_alike({0: {(5, 1, 4)}}, {0: {(5, 1, 4)}})
    with pytest.raises(Broken, match="balances by life"):
        bench_account.check_alike({0: {(5, 1, 4)}}, {0: {(5, 2, 3)}})
    with pytest.raises(Broken, match="two balances"):
        bench_account.check_alike({0: {(5, 1, 4), (5, 2, 3)}}, {0: {(5, 1, 4), (5, 2, 3)}})


def test_a_wrong_or_missing_answer_over_http_is_noticed(ground: Ground) -> None:
    ledger = Ledger(ground.ledger("sqlite", 1), ground.catalogue)
    path = "/v1/accounts/B0000000/balance"
    said = ledger.ask("balance", {"account": "B0000000"})
    bench_http.check(ledger, ["B0000000"], {path: said})
    with pytest.raises(Broken, match="remaining of B0000000"):
        bench_http.check(ledger, ["B0000000"], {path: {**said, "remaining": said["remaining"] + 1}})
    with pytest.raises(Broken, match="granted of B0000000"):
        bench_http.check(ledger, ["B0000000"], {})


def test_rows_that_an_import_does_not_account_for_are_noticed(ground: Ground) -> None:
    store = ground.ledger("sqlite", 1)
    log = bench_rebuild.tally(store)
    said = {"rows": 9, "imported": 7, "skipped": 1, "rejected": 1}
    said |= {"tickets": log["ticket.opened"], "accounts": log["account.opened"]}
    bench_import.check(store, said, 9)
    for name in ("rows", "rejected", "tickets", "accounts"):
        with pytest.raises(Broken):
            bench_import.check(store, {**said, name: said[name] + 1}, 9)


def test_a_failed_part_is_a_row_of_its_own_and_the_exit_says_so(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def broken(_ground: Ground, _dialect: str) -> list[Row]:
        raise Broken("units left: 4 where 5 is due")

    rows = bench.measured(broken, ground, "rebuild", "sqlite")
    rows += [Row("slow", "x", 1.0, 2.0, floor=0.9), Row("late", "ms", 2.0, 1.0, ceiling=1.5)]
    assert [row.verdict for row in rows] == ["FAILED: units left: 4 where 5 is due", "below floor", "above ceiling"]
    monkeypatch.setattr(bench, "run", lambda _size, _only: rows)
    assert bench.main(["--json", str(tmp_path / "bench.json")]) == 1
    assert "below floor" in capsys.readouterr().out
    monkeypatch.setattr(bench, "run", lambda _size, _only: rows[1:])
    assert bench.main([]) == 0
    assert bench.main(["--strict"]) == 1
