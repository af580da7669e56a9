"""The tests' own PostgreSQL: it starts, it stops, and whatever happens to us it is not left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.postgres import Server, find_programs, start_server

HOLDER = """
import time
from tests.postgres import start_server
print(start_server().dsn("postgres"), flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _started_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEDGER_TEST_PG_DSN", raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with start_server() as server:
        yield server


def folder_of(url: str) -> Path:
    return Path(str(conninfo_to_dict(url)["host"]))


def server_of(url: str) -> int:
    return int((folder_of(url) / "data" / "postmaster.pid").read_text().splitlines()[0])


def runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_databases_are_created_copied_and_dropped(server: Server) -> None:
    first = server.create_database("first")
    with psycopg.connect(first) as connection:
        connection.execute("CREATE TABLE t AS SELECT 42 AS answer")
    copy = server.create_database("a copy?", template="first")
    with psycopg.connect(copy) as connection:
        assert connection.execute("SELECT answer FROM t").fetchone() == (42,)
        server.drop_database("a copy?")  # although somebody is connected
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(copy)


def test_stop_ends_the_server_and_removes_its_folder() -> None:
    server = start_server()
    url = server.dsn("postgres")
    process = server_of(url)
    server.stop()
    server.stop()
    assert not runs(process)
    assert not folder_of(url).exists()


def test_two_servers_at_once_know_nothing_of_each_other(server: Server) -> None:
    with start_server() as other:
        server.create_database("mine")
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            psycopg.connect(other.dsn("mine"))


def test_a_holder_that_is_killed_leaves_nothing_behind() -> None:
    root = Path(__file__).parent.parent
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as holder:
        assert holder.stdout is not None
        url = holder.stdout.readline().strip()
        process = server_of(url)
        holder.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while (runs(process) or folder_of(url).exists()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not runs(process)
    assert not folder_of(url).exists()


def test_durability_is_kept_for_measurements_and_dropped_for_tests(server: Server) -> None:
    with start_server(fsync=True) as durable:
        for each, expected in ((server, "off"), (durable, "on")):
            with psycopg.connect(each.dsn("postgres")) as connection:
                assert connection.execute("SHOW fsync").fetchone() == (expected,)


def test_a_named_server_is_used_and_not_stopped(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    host = folder_of(server.dsn("postgres"))
    monkeypatch.setenv("LEDGER_TEST_PG_DSN", f"host={host} port=5432 user=ledger dbname=postgres")
    with start_server() as named:
        named.create_database("named")
    with psycopg.connect(server.dsn("named")) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_no_programs_is_said_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEDGER_PG_BIN", str(tmp_path))
    with pytest.raises(RuntimeError, match="LEDGER_TEST_PG_DSN"):
        find_programs()


def test_a_server_that_cannot_start_says_its_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    programs = tmp_path / "postgresql" / "bin"
    programs.mkdir(parents=True)
    for program in ("initdb", "postgres"):
        (programs / program).write_text("#!/bin/sh\necho the disk is tired\nexit 3\n")
        (programs / program).chmod(0o755)
    monkeypatch.setenv("LEDGER_PG_BIN", str(programs))
    with pytest.raises(RuntimeError, match="the disk is tired"):
        start_server()
