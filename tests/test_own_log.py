"""Read models beside another log than theirs, files that break while a server is at them, a disk that fills up."""

from __future__ import annotations

import ctypes
import json
import logging
import os
import random
import re
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import Unavailable
from ledger.store import Store
from projections.projector import MODELS, Projector, projector_of
from projections.rebuild import check, compare, rebuild
from tests.desks import command
from tests.given import CAFETALERA, FERRETERIA, PANADERIA, Desk
from tests.test_api import Office
from tests.test_projections import contents
from tests.test_serve import Running, eventually, serving

_CAP_DAC_OVERRIDE, _PR_CAPBSET_DROP = 1, 24


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url)
    desk.at("2026-05-01 10:00").sell().tickets(2)
    yield desk
    desk.close()


@pytest.fixture(name="local")
def _local(sqlite_url: str) -> Iterator[Office]:
    made = Office(sqlite_url)
    made.account("C-1")
    yield made
    made.close()


def cut_off(store: Store, position: int) -> None:
    """Make the log what a backup of `position` holds: the next row takes the place of the first that is gone."""
    store.execute("DELETE FROM ledger_events WHERE position > ?", [position])
    store.execute("DELETE FROM ledger_requests")
    if store.dialect == "sqlite":
        store.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'ledger_events'", [position])
    else:
        store.execute(f"ALTER TABLE ledger_events ALTER COLUMN position RESTART WITH {position + 1}")


# --- another log ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_read_models_say_what_the_log_says_that_stands_beside_them(
    store_url: str, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Cut off anywhere, gone on by any number of rows, on a clock that stands still: as if they had been made anew."""
    rng = random.Random(seed)
    desk = Desk(store_url)
    desk.at("2026-05-01 10:00").sell().tickets(rng.randrange(1, 4))
    projector = Projector(desk.ledger.store, desk.ledger.catalogue)
    projector.catch_up()
    backup = desk.position - rng.randrange(0, 3)
    desk.sell(FERRETERIA, "advanced")
    desk.tickets(rng.randrange(0, 5), FERRETERIA)
    projector.catch_up()
    desk.close()
    cut_off(desk.ledger.store, backup)
    restored = Desk(store_url, migrate=False)
    restored._references = count(50)
    for account in rng.sample([FERRETERIA, CAFETALERA], rng.randrange(3)):
        restored.sell(account, rng.choice(["basic", "corporate"]))
    with caplog.at_level(logging.WARNING):
        again = Projector(restored.ledger.store, restored.ledger.catalogue)
        assert all(state.foreign and not state.whole for state in again.states())
        assert set(check(again)) == set(MODELS), "nothing is compared with another log's rows"
        states = again.catch_up()
    assert all(state.whole and not state.foreign and not state.lag for state in states)
    assert "made from another log" in caplog.text
    found = contents(again)
    rebuild(again)
    assert contents(again) == found
    caplog.clear()
    again.catch_up()
    assert not caplog.text, "once is enough"
    restored.close()


def test_read_models_of_another_ledger_are_made_anew(tmp_path: Path) -> None:
    for name, accounts in (("one", [PANADERIA, FERRETERIA]), ("two", [CAFETALERA, PANADERIA])):
        desk = Desk(f"sqlite:///{tmp_path / name}.db")
        for account in accounts:
            desk.at("2026-05-01 10:00").sell(account)
        projector_of(desk.ledger).close()
        desk.close()
    shutil.copy(tmp_path / "one.db.read", tmp_path / "two.db.read")
    url = f"sqlite:///{tmp_path / 'two.db'}"
    states = json.loads(command(url, "projections", "status", "--json").stdout or "{}")["projections"]
    assert all("another log" in state["error"] for state in states)
    done = command(url, "projections", "catch-up", "--json")
    assert done.returncode == 0, done.stderr
    assert "made anew" in done.stderr
    assert command(url, "projections", "rebuild", "--check").returncode == 0
    rows = sqlite3.connect(tmp_path / "two.db.read").execute("SELECT account FROM r_balances ORDER BY 1").fetchall()
    assert rows == [(PANADERIA,), (CAFETALERA,)]


def test_a_restored_file_is_seen_while_it_is_served(local: Office, tmp_path: Path) -> None:
    file, headers = tmp_path / "ledger.db", local.headers("manager")
    backup = sqlite3.connect(tmp_path / "backup.db")
    sqlite3.connect(file).backup(backup)
    backup.close()
    with serving(local.url) as server:
        local.account("C-2")
        eventually(lambda: accounts(server, headers) == ["C-1", "C-2"])
        local.ledger.close()
        for old in tmp_path.glob("ledger.db-*"):
            old.unlink()
        os.replace(tmp_path / "backup.db", file)
        eventually(lambda: accounts(server, headers) == ["C-1"])
        eventually(lambda: server.get("/readyz")[0] == 200)
        _code, logged = server.stop()
    assert "made from another log" in logged


def accounts(server: Running, headers: dict[str, str]) -> list[str]:
    status, page = server.get("/v1/accounts", headers)
    return [item["account"] for item in page["items"]] if status == 200 else [str(page["code"])]


# --- read models that have seen nothing -------------------------------------------------------------------------------


def test_a_check_says_what_it_compared(desk: Desk) -> None:
    projector = Projector(desk.ledger.store, desk.ledger.catalogue)
    assert {one.name for one in compare(projector) if one.difference} == set(MODELS), "they have seen nothing"
    states = projector.states()
    assert not any(state.whole for state in states)
    projector.catch_up()
    told = {one.name: one for one in compare(projector)}
    assert not any(one.difference for one in told.values())
    assert told["tickets"].rows == 2
    assert {one.position for one in told.values()} == {desk.position}
    projector.close()


def test_a_server_is_ready_once_its_read_models_have_seen_the_log(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office.__new__(Office)
    from api.app import create_app
    from ledger.settings import Settings

    office.app = create_app(Settings(database_url=desk.ledger.store.url))
    monkeypatch.setattr("api.health.BATCH", 0)  # a long log
    client = office.app.test_client()
    first = client.get("/readyz")
    assert (first.status_code, first.get_json()["ready"]) == (503, False)
    assert "registros" in first.get_json()["problems"][0]
    eventually(lambda: client.get("/readyz").status_code == 200)
    office.app.extensions["ledger"].close()


# --- files that break while a server is at them -----------------------------------------------------------------------


def garbage(file: Path) -> None:
    with file.open("r+b") as sink:
        sink.seek(0)
        sink.write(b"\xff" * 30_000)


BREAKS: dict[str, Callable[[Path], None]] = {
    "gone": lambda file: file.unlink(),
    "cut off": lambda file: os.truncate(file, 5_000),
    "empty": lambda file: os.truncate(file, 0),
    "overwritten": garbage,
}


@pytest.mark.parametrize("fault", list(BREAKS))
@pytest.mark.parametrize("worker", ["--with-worker", "--without-worker"])
def test_broken_read_models_heal_while_they_are_served(local: Office, tmp_path: Path, fault: str, worker: str) -> None:
    headers = local.headers("manager")
    with serving(local.url, worker) as server:
        eventually(lambda: accounts(server, headers) == ["C-1"])
        checkpoint = sqlite3.connect(tmp_path / "ledger.db.read")
        checkpoint.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        checkpoint.close()
        BREAKS[fault](tmp_path / "ledger.db.read")
        local.account("C-2")
        eventually(lambda: accounts(server, headers) == ["C-1", "C-2"])
        eventually(lambda: server.get("/readyz")[0] == 200)
        assert server.stop()[0] == 0


@pytest.mark.parametrize("fault", list(BREAKS))
def test_broken_read_models_heal_at_the_command_line(local: Office, tmp_path: Path, fault: str) -> None:
    assert command(local.url, "sla", "report").returncode == 0
    BREAKS[fault](tmp_path / "ledger.db.read")
    for words in (("projections", "status"), ("sla", "report"), ("projections", "rebuild", "--check")):
        done = command(local.url, *words)
        assert done.returncode == 0, (words, done.stderr)
        assert "Traceback" not in done.stderr


def post(server: Running, headers: dict[str, str], account: str) -> tuple[int, str]:
    connection = server.connect()
    body = json.dumps({"account": account, "name": "Panadería Ixchel"})
    connection.request("POST", "/v1/accounts", body, {**headers, "Content-Type": "application/json"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, str(answer.get("code", ""))


def test_a_full_disk_is_written_again_once_there_is_room(local: Office, tmp_path: Path) -> None:
    headers = local.headers("manager")
    with serving(local.url) as server:
        assert post(server, headers, "C-2")[0] == 201
        pid, (_soft, hard) = server.process.pid, resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, hard))  # no file may grow: what a full disk does
        status, code = post(server, headers, "C-3")
        assert (status, code) in [(503, "database_full"), (503, "database_failed")]
        assert server.get("/v1/accounts/C-2", headers)[0] == 200
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
        assert post(server, headers, "C-3")[0] == 201
        assert post(server, headers, "C-4")[0] == 201
        assert server.stop()[0] == 0


def as_anybody() -> None:
    """Let permissions count for this process, also where it is root's."""
    if os.geteuid() == 0:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, 0, 0, 0)


def test_a_file_that_was_read_only_is_written_again_without_a_restart(
    local: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers, file = local.headers("manager"), tmp_path / "ledger.db"
    popen: Any = subprocess.Popen
    local.ledger.close()
    local.app.extensions["ledger"].close()

    def unprivileged(*given: Any, **more: Any) -> Any:
        return popen(*given, preexec_fn=as_anybody, **more)

    for name in tmp_path.glob("ledger.db*"):
        name.chmod(0o444)
    monkeypatch.setattr(subprocess, "Popen", unprivileged)
    with serving(local.url, "--without-worker") as server:
        for number in range(12):  # on every thread of its pool, so that each has opened the file as it is now
            assert post(server, headers, f"C-{number + 10}") == (503, "database_read_only")
        for name in tmp_path.glob("ledger.db*"):
            name.chmod(0o600)
        eventually(lambda: post(server, headers, "C-2")[0] == 201)
        assert all(post(server, headers, f"C-{number + 30}")[0] == 201 for number in range(12))
        assert server.stop()[0] == 0
    assert file.stat().st_mode & 0o777 == 0o600


# --- a row that became text -------------------------------------------------------------------------------------------


def test_a_row_that_became_text_is_told_by_its_position(local: Office) -> None:
    store = local.ledger.store
    local.post("/v1/tickets", {"ticket": "T-1", "account": "C-1", "request": "administrative", "priority": "low"})
    (position,) = store.query("SELECT position FROM ledger_events WHERE stream = 'account/C-1' LIMIT 1")[0]
    store.execute("UPDATE ledger_events SET state = CAST(state AS TEXT) WHERE position = ?", [position])
    for words in (("balance", "C-1"), ("history", "C-1"), ("billing", "C-1"), ("projections", "rebuild")):
        done = command(local.url, *words)
        assert done.returncode == 1, words
        assert re.search(rf"position {position}\b", done.stderr), (words, done.stderr)
        assert "Traceback" not in done.stderr
    assert command(local.url, "projections", "status").returncode == 1
    with serving(local.url) as server:
        status, problem = server.get("/v1/accounts/C-1/balance", local.headers("manager"))
        assert (status, problem["code"], problem["position"]) == (503, "unreadable_event", position)
        operator = local.headers("operator")  # nobody else is told details
        eventually(lambda: f"position {position}" in str(server.get("/readyz", operator)[1]["problems"]))
    with pytest.raises(Unavailable, match=f"position {position}"):
        local.ledger.ask("balance", {"account": "C-1"})
