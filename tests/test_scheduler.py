"""The jobs: run once by hand, at intervals under one leader, in batches; failing, killed, late, and told."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ledger import runs, sweeping
from ledger.account import Account
from ledger.cli import assemble
from ledger.errors import Malformed, NotFound
from ledger.rules.subscriptions import FAR
from ledger.store import IntegrityError
from projections import balances
from projections.projector import Projector
from scheduler import jobs, sweep
from tests.given import PANADERIA, Desk, iso
from tests.test_clock_advance import log, town
from tests.test_serve import command, environment, eventually, serving

START = "2026-01-31 10:00"
LATER = "2026-05-02 08:00"


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    made = Desk(store_url).at(START)
    yield made
    made.close()


@contextmanager
def projecting(desk: Desk) -> Iterator[Projector]:
    projector = Projector(desk.ledger.store, desk.ledger.catalogue)
    yield projector
    projector.close()


def swept(desk: Desk, at: str = "", **given: Any) -> dict[str, int]:
    with projecting(desk) as projector:
        now = iso(at) if at else desk.ledger.clock.now()
        return sweep.record_due(desk.ledger, projector, now=now, **given)


def unrecorded(desk: Desk, account: str) -> int:
    return int(desk.ask("balance", account=account)["not_yet_recorded"])


def cli(url: str, *words: str) -> Result:
    return CliRunner().invoke(assemble(), ["--database", url, "--lang", "en", *words])


# --- the sweep ----------------------------------------------------------------------------------------------------


def test_the_sweep_records_in_batches_what_one_by_one_would(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "BATCH", 7)
    told: list[int] = []
    summary = swept(town(desk, 20, cards=False).at(LATER), progress=told.append)
    one_by_one = town(Desk(f"sqlite:///{tmp_path / 'one.db'}").at(START), 20, cards=False).at(LATER)
    facts = [one_by_one.ledger.record_due(f"C-{n:03}") for n in range(20)]
    assert summary == {"accounts": sum(map(bool, facts)), "facts": sum(facts)}
    assert summary["accounts"] > 10
    assert told == sorted(set(told))
    found, expected = log(desk.ledger.store), log(one_by_one.ledger.store)
    for stream in expected:
        if stream.startswith("account/"):
            assert [row for row in found[stream] if "document" not in row[0]] == [
                row for row in expected[stream] if "document" not in row[0]
            ]
    assert {s: len(rows) for s, rows in found.items()} == {s: len(rows) for s, rows in expected.items()}
    assert swept(desk) == {"accounts": 0, "facts": 0}
    one_by_one.close()


def test_a_sweep_leaves_the_accounts_that_are_in_use_in_the_cache(desk: Desk) -> None:
    town(desk, 20, cards=False)
    kept = list(desk.ledger.accounts._kept)
    swept(desk.at(LATER))
    assert list(desk.ledger.accounts._kept) == kept


def test_another_writer_on_one_of_them_costs_no_fact(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    town(desk, 12, cards=False).at(LATER)
    original = sweeping.load

    def overtaken(ledger: Any, numbers: Any) -> Iterator[Account]:
        yield from original(ledger, numbers)
        desk.do("courtesy.grant", account="C-003", level="basic", units=1, reason="x")

    monkeypatch.setattr(sweeping, "load", overtaken)
    swept(desk)
    assert [unrecorded(desk, f"C-{n:03}") for n in range(12)] == [0] * 12


def test_nothing_is_lost_when_the_batch_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    town(desk, 12, cards=False).at(LATER)
    append = desk.ledger.append

    def refuses_many(rows: Any, *rest: Any) -> int:
        if len({row.originator_id for row in rows if row.originator_id.startswith("account/")}) > 1:
            raise IntegrityError("overtaken")
        return append(rows, *rest)

    monkeypatch.setattr(desk.ledger, "append", refuses_many)
    swept(desk)
    assert [unrecorded(desk, f"C-{n:03}") for n in range(12)] == [0] * 12


def test_what_fell_due_between_the_clock_and_the_lock_is_found(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command reads the clock just before midnight and is stamped just after it: another was faster."""
    desk.sell().at("2026-02-27 23:59:59.999999")
    append = desk.ledger.append

    def late(rows: Any, _now: str, *rest: Any) -> int:
        return append(rows, iso("2026-02-28 00:00:00.000001"), *rest)

    with monkeypatch.context() as faster:
        faster.setattr(desk.ledger, "append", late)
        desk.do("courtesy.grant", account=PANADERIA, level="basic", units=1, reason="x")
    desk.at("2026-02-28 00:01")
    assert unrecorded(desk, PANADERIA) > 0
    swept(desk)
    assert unrecorded(desk, PANADERIA) == 0


@pytest.mark.parametrize("accounts", [1, 9])
def test_as_if_it_ran_earlier_it_records_what_was_due_then_and_says_when_it_did(desk: Desk, accounts: int) -> None:
    numbers = [f"C-{n}" for n in range(accounts)]
    for number in numbers:
        desk.sell(number)
    desk.at(LATER)
    swept(desk, "2026-03-01 12:00")
    for number in numbers:
        told = [(e["at"][:10], e["recorded_at"][:10]) for e in desk.events(number) if e["source"] == "rule"][-2:]
        assert told == [("2026-02-28", "2026-05-02")] * 2
        assert unrecorded(desk, number) > 0
    assert swept(desk) == {"accounts": accounts, "facts": 2 * accounts}, "the rest is still found"
    assert not any(unrecorded(desk, number) for number in numbers)


def test_an_account_that_is_not_there_is_told(desk: Desk) -> None:
    with pytest.raises(NotFound):
        sweeping.record_due_many(desk.ledger, ["C-404"], now=iso(LATER))
    assert sweeping.standing(desk.open().ledger, PANADERIA, now=iso(LATER)) == (1, 0, FAR, FAR, FAR)


def test_a_progress_that_raises_ends_it_after_the_batch_at_hand(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "BATCH", 5)
    town(desk, 20, cards=False).at(LATER)

    def stop(_done: int) -> None:
        raise jobs.Stopped

    with projecting(desk) as projector, pytest.raises(jobs.Stopped):
        jobs.run("due", desk.ledger, projector, now=desk.ledger.clock.now(), progress=stop)
    left = sum(unrecorded(desk, f"C-{n:03}") > 0 for n in range(20))
    assert 5 < left < 20
    swept(desk)
    assert not any(unrecorded(desk, f"C-{n:03}") for n in range(20))


def test_a_killed_sweep_leaves_nothing_half_written(store_url: str, tmp_path: Path) -> None:
    """kill -9 of a sweep over 60 accounts, 5 times; each account's facts are recorded whole or not at all."""
    calm = town(Desk(f"sqlite:///{tmp_path / 'calm.db'}").at(START), 60, cards=False).at(LATER)
    swept(calm)
    expected = log(calm.ledger.store)
    calm.close()
    desk = town(Desk(store_url).at(START), 60, cards=False).at(LATER)
    whole = {f"C-{n:03}": unrecorded(desk, f"C-{n:03}") for n in range(60)}
    chance = random.Random(5)
    # Batches of four accounts: there is something to be killed between.
    words = "import scheduler.sweep as s; s.BATCH = 4; from ledger.cli import main; main()"
    once = [*command(store_url, "scheduler", "once", "--job", "due")]
    once[1:3] = ["-c", words]
    for _ in range(5):
        before = desk.position
        process = subprocess.Popen(once, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and desk.position == before:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.02))
        process.kill()
        process.wait()
        assert all(unrecorded(desk, account) in (0, facts) for account, facts in whole.items())
    assert subprocess.run(once, env=environment(), stdout=subprocess.DEVNULL, check=False).returncode == 0
    found = log(desk.ledger.store)
    assert found.keys() == expected.keys()
    for stream, rows in expected.items():
        assert len(found[stream]) == len(rows)
        if stream.startswith("account/"):
            assert [row for row in found[stream] if "document" not in row[0]] == [
                row for row in rows if "document" not in row[0]
            ]
    desk.close()


# --- jobs ---------------------------------------------------------------------------------------------------------


def test_jobs_run_in_their_fixed_order_whatever_order_they_are_named_in() -> None:
    assert jobs.in_order([]) == ["due", "cards", "lookups", "due", "warnings", "notices"]
    assert jobs.in_order(["notices", "due"]) == ["due", "notices"]
    assert jobs.in_order(["cards", "due"]) == ["due", "cards", "due"]
    assert jobs.in_order(["projections", "lookups"]) == ["lookups", "projections"]
    with pytest.raises(Malformed) as refused:
        jobs.in_order(["due", "laundry"])
    assert refused.value.facts["value"] == "laundry"


def test_a_job_that_fails_is_told_and_the_others_go_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> dict[str, int]:
        raise ZeroDivisionError("by zero")

    desk.sell().at(LATER)
    monkeypatch.setitem(jobs.JOBS, "cards", broken)
    done = cli(desk.ledger.store.url, "scheduler", "once", "--json")
    assert done.exit_code == 1
    said = json.loads(done.stdout)
    assert [(job["job"], job["error"] is not None) for job in said["jobs"]] == [
        ("due", False), ("cards", True), ("lookups", False), ("due", False), ("warnings", False),
        ("notices", False),
    ]  # fmt: skip
    assert said["facts"] == 4
    kept = {run.job: run for run in runs.last_runs(desk.ledger.store)}
    assert (kept["cards"].runs, kept["cards"].failures, kept["cards"].finished_at) == (1, 1, "")
    assert "by zero" in kept["cards"].error
    assert (kept["due"].runs, kept["due"].failures, kept["due"].error) == (2, 0, "")
    assert kept["due"].finished_at == desk.ledger.clock.now()
    monkeypatch.undo()
    assert cli(desk.ledger.store.url, "scheduler", "once", "--job", "cards").exit_code == 0
    kept = {run.job: run for run in runs.last_runs(desk.ledger.store)}
    assert (kept["cards"].runs, kept["cards"].failures, kept["cards"].error) == (2, 1, "")


def test_a_read_model_that_has_stopped_fails_the_catch_up(desk: Desk) -> None:
    desk.sell()
    desk.ledger.store.execute("UPDATE ledger_events SET topic = 'account.unheard_of'")
    done = cli(desk.ledger.store.url, "scheduler", "once", "--job", "projections", "--json")
    assert done.exit_code == 1
    assert "read_model_stopped" in json.loads(done.stdout)["jobs"][0]["error"]


def test_status_and_metrics_say_what_waits(desk: Desk) -> None:
    desk.sell().sell("C-200").at(LATER)
    url = desk.ledger.store.url
    said = json.loads(cli(url, "status", "--json").stdout)
    assert said["waiting"]["due_accounts"] == 2
    assert said["jobs"] == []
    assert cli(url, "scheduler", "once").exit_code == 0
    said = json.loads(cli(url, "status", "--json").stdout)
    assert said["waiting"]["due_accounts"] == 0
    assert {job["job"] for job in said["jobs"]} == {"due", "cards", "lookups", "warnings", "notices"}
    for lang, word in (("en", "waiting"), ("es", "pendiente")):
        shown = CliRunner().invoke(assemble(), ["--database", url, "--lang", lang, "status"]).stdout
        assert word in shown


def test_only_up_to_now(desk: Desk) -> None:
    url = desk.ledger.store.url
    done = cli(url, "scheduler", "once", "--at", "2026-02-01T00:00:00-06:00")
    assert done.exception is not None
    assert getattr(done.exception, "code", "") == "ahead_of_now"
    assert cli(url, "scheduler", "once", "--at", "2026-01-31T10:00:00-06:00").exit_code == 0
    assert getattr(cli(url, "scheduler", "once", "--at", "yesterday").exception, "code", "") == "malformed"


def test_a_ledger_that_is_not_migrated_is_refused_in_words(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "empty.db").close()
    for name, said in (("empty.db", "Run 'supportledger migrate'"), ("none.db", "Create it with")):
        for words in (("scheduler", "once"), ("scheduler", "run"), ("clock", "advance", "1d")):
            done = subprocess.run(
                command(f"sqlite:///{tmp_path / name}", *words),
                capture_output=True,
                text=True,
                env=environment(),
                check=False,
            )
            assert (done.returncode, said in done.stderr + done.stdout, "Traceback" in done.stderr) == (1, True, False)


# --- beside the API -----------------------------------------------------------------------------------------------


def test_serve_runs_the_jobs_too_and_shows_metrics(desk: Desk) -> None:
    desk.sell().at("2026-03-01 10:00")
    with serving(desk.ledger.store.url) as server:
        eventually(lambda: unrecorded(desk, PANADERIA) == 0)
        connection = server.connect()
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert 'supportledger_job_runs_total{job="due"} ' in text
        assert 'supportledger_read_model_stopped{model="balances"} 0' in text
        assert server.stop()[0] == 0
    with serving(desk.ledger.store.url, "--without-worker") as server:
        before = {run.job: run.runs for run in runs.last_runs(desk.ledger.store)}
        time.sleep(1)
        assert {run.job: run.runs for run in runs.last_runs(desk.ledger.store)} == before
        assert server.stop()[0] == 0


def test_the_queries_of_the_sweep_page_by_a_mark(desk: Desk) -> None:
    town(desk, 20, cards=False).at(LATER)
    with projecting(desk) as projector:
        projector.catch_up()
        now = desk.ledger.clock.now()
        everything = balances.due_by(projector.read, now, limit=1000)
        assert everything == sorted(everything)
        paged: list[balances.Mark] = []
        while page := balances.due_by(projector.read, now, after=paged[-1] if paged else balances.START, limit=3):
            paged += page
        assert paged == everything
        assert balances.waiting(projector.read, now)[0] == len(everything)
