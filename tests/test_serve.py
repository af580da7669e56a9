"""`supportledger serve` as a process: its address, its worker, its drain; and a store that is not there."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from api import create_app
from api.worker import Worker
from ledger.settings import Settings
from ledger.store import open_store
from tests.postgres import Server
from tests.test_api import Office

ROOT = Path(__file__).resolve().parent.parent
_SECONDS = 20.0


@pytest.fixture(name="local")
def _local(sqlite_url: str) -> Iterator[Office]:
    made = Office(sqlite_url)
    yield made
    made.close()


@pytest.fixture(name="office")
def _office(store_url: str) -> Iterator[Office]:
    made = Office(store_url)
    yield made
    made.close()


def command(url: str, *words: str) -> list[str]:
    return [sys.executable, "-m", "ledger.cli", "--database", url, "--lang", "en", *words]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Running:
    """A server of the command line on a free port; what it logs is kept."""

    def __init__(self, url: str, *words: str, port: int = 0) -> None:
        self.process = subprocess.Popen(
            command(url, "serve", "--port", str(port), *words),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        found = re.search(r"http://(\S+):(\d+)/v1 ", self.said)
        assert found, self.process.communicate()
        self.host, self.port = found[1], int(found[2])

    def connect(self, timeout: float = 15.0) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        connection = self.connect()
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        body = json.loads(response.read())
        connection.close()
        return response.status, body

    def listens(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=2).close()
        except OSError:
            return False
        return True

    def stop(self, *signals: signal.Signals) -> tuple[int, str]:
        """Send the signals; return the exit code and what was logged."""
        for name in signals or (signal.SIGTERM,):
            self.process.send_signal(name)
        _out, logged = self.process.communicate(timeout=_SECONDS)
        return self.process.returncode, logged


@contextmanager
def serving(url: str, *words: str) -> Iterator[Running]:
    """Serve while it is asked; whatever happens, leave no process behind."""
    running = Running(url, *words)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()
        for pipe in (running.process.stdout, running.process.stderr):
            assert pipe is not None
            pipe.close()


# --- the process --------------------------------------------------------------------------------------------------


def test_it_says_where_it_is_keeps_models_up_and_logs_a_line_a_request(local: Office) -> None:
    local.account("C-77")
    with serving(local.url) as server:
        assert server.get("/livez") == (200, {"live": True})
        eventually(lambda: all(p["lag"] == 0 for p in server.get("/readyz")[1]["projections"]))  # no reader did it
        assert server.get("/v1/accounts")[0] == 401
        status, page = server.get("/v1/accounts", local.headers("agent"))
        assert (status, page["items"][0]["account"]) == (200, "C-77")
        code, logged = server.stop(signal.SIGINT)
    assert code == 0
    assert re.search(
        r"supportledger\.access GET /v1/accounts 200 [0-9.]+ ms [0-9a-f]{16} by=ana from=127.0.0.1$",
        logged,
        re.MULTILINE,
    )
    assert local.tokens["agent"] not in logged
    assert "C-77" not in logged


def test_a_request_under_way_is_answered_before_it_ends(local: Office) -> None:
    holder = sqlite3.connect(local.url.removeprefix("sqlite:///"), isolation_level=None)
    with serving(local.url, "--without-worker") as server:
        holder.execute("BEGIN IMMEDIATE")  # whoever writes now waits
        slow = server.connect()
        headers = {**local.headers("agent"), "Content-Type": "application/json"}
        slow.request("POST", "/v1/accounts", json.dumps({"account": "C-1", "name": "Hotel Xelajú"}), headers)
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: not server.listens())
        time.sleep(1.5)
        assert server.process.poll() is None
        holder.execute("ROLLBACK")
        answer = slow.getresponse()
        assert (answer.status, answer.headers["Connection"]) == (201, "close")
        assert json.loads(answer.read())["account"] == "C-1"
        assert server.process.wait(timeout=5) == 0
        slow.close()
    holder.close()
    assert local.get("/v1/accounts/C-1").status_code == 200


def test_clients_that_keep_their_connection_do_not_hold_it_up(local: Office) -> None:
    with serving(local.url) as server:
        closed = threading.Event()

        def ask_without_end() -> None:
            connection = server.connect()
            while True:
                connection.request("GET", "/livez")
                answer = connection.getresponse()
                answer.read()
                if answer.headers.get("Connection") == "close":
                    closed.set()
                    return

        client = threading.Thread(target=ask_without_end, daemon=True)
        client.start()
        time.sleep(0.2)
        started = time.monotonic()
        assert server.stop()[0] == 0
        assert time.monotonic() - started < 3.0
        assert closed.wait(2.0)


def test_a_second_signal_ends_it_at_once(local: Office) -> None:
    holder = sqlite3.connect(local.url.removeprefix("sqlite:///"), isolation_level=None)
    with serving(local.url, "--without-worker") as server:
        holder.execute("BEGIN IMMEDIATE")
        slow = server.connect()
        headers = {**local.headers("agent"), "Content-Type": "application/json"}
        slow.request("POST", "/v1/accounts", json.dumps({"account": "C-1", "name": "x"}), headers)
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: not server.listens())
        started = time.monotonic()
        assert server.stop()[0] == 0
        assert time.monotonic() - started < 3.0
        slow.close()
    holder.close()


def test_every_socket_of_a_name_answers(local: Office) -> None:
    families = {info[0] for info in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)}
    assert families
    with serving(local.url, "--host", "localhost", "--without-worker") as server:
        assert server.get("/livez")[0] == 200
        assert server.stop()[0] == 0


def test_it_does_not_start_where_it_could_not_serve(local: Office, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        sqlite3.connect(tmp_path / "empty.db").close()
        for url, words, said in (
            (local.url, ("--port", port), "Choose another port with --port"),
            (local.url, ("--host", "no.such.host.invalid"), "no address of this machine"),
            (f"sqlite:///{tmp_path / 'none.db'}", (), "Create it with 'supportledger migrate'"),
            (f"sqlite:///{tmp_path / 'empty.db'}", (), "Run 'supportledger migrate'"),
        ):
            done = subprocess.run(
                command(url, "serve", *words), capture_output=True, text=True, env=environment(), check=False
            )
            assert (done.returncode, done.stdout) == (1, "")
            assert said in done.stderr
            assert "Traceback" not in done.stderr


def test_the_worker_tells_what_stopped_a_model_and_goes_on_with_the_others(local: Office) -> None:
    local.account()
    local.post("/v1/accounts/C-1/tickets", {"ticket": "T-1", "request": "administrative", "priority": "low"})
    local.ledger.store.execute("UPDATE ledger_events SET topic = 'ticket.unheard_of' WHERE topic = 'ticket.opened'")
    with serving(local.url) as server:
        eventually(lambda: server.get("/readyz")[0] == 503)
        local.account("C-2")
        eventually(lambda: {p["name"]: p["lag"] for p in server.get("/readyz")[1]["projections"]}["balances"] == 0)
        full = server.get("/readyz", local.headers("operator"))[1]
        assert "ticket.unheard_of" in " ".join(full["problems"])
        assert "unheard_of" not in str(server.get("/readyz"))
        code, logged = server.stop()
    assert code == 0
    assert len(re.findall("read model tickets has stopped", logged)) == 1


def test_a_stopped_model_is_tried_again_and_told_once(local: Office, caplog: pytest.LogCaptureFixture) -> None:
    local.account()
    local.ledger.store.execute("UPDATE ledger_events SET topic = 'account.unheard_of'")
    worker = Worker(local.app.extensions["ledger"])
    for _ in range(2):
        worker._again = 0.0
        worker._catch_up()
    told = [record.getMessage().split(":")[0] for record in caplog.records if record.name == "supportledger.worker"]
    assert told == [f"read model {name} has stopped" for name in ("balances", "billing", "notices")]


def test_an_application_for_other_servers_opens_nothing_when_it_is_imported(tmp_path: Path) -> None:
    words = "import api.wsgi, threading; print(api.wsgi.app.name, threading.active_count())"
    settings = {"LEDGER_DATABASE_URL": f"sqlite:///{tmp_path / 'ledger.db'}"}
    done = subprocess.run(
        [sys.executable, "-c", words], capture_output=True, text=True, env={**environment(), **settings}, check=True
    )
    assert done.stdout.split() == ["api", "1"]
    assert list(tmp_path.iterdir()) == []


def test_readers_beside_each_other_see_their_own_writes(office: Office) -> None:
    other = create_app(Settings(database_url=office.url))
    failed: list[Any] = []

    def write_and_read(worker: int) -> None:
        client: Any = (office.app, other)[worker % 2].test_client()
        for step in range(5):
            number = f"C-{worker}-{step}"
            made = client.post("/v1/accounts", json={"account": number, "name": "x"}, headers=office.headers("agent"))
            headers = office.headers("agent", X_Position_At_Least=str(made.json["position"]))
            page = client.get("/v1/accounts?limit=200", headers=headers)
            if page.status_code != 200 or number not in [item["account"] for item in page.json["items"]]:
                failed.append((number, made.json, page.status_code, page.json))

    threads = [threading.Thread(target=write_and_read, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.extensions["ledger"].close()
    assert failed == []


# --- the store ----------------------------------------------------------------------------------------------------


def test_nothing_is_opened_until_it_is_asked_for(tmp_path: Path) -> None:
    app = create_app(Settings(database_url=f"sqlite:///{tmp_path / 'none' / 'ledger.db'}"))
    client: Any = app.test_client()
    assert client.get("/livez").status_code == 200
    assert client.get("/openapi.json").status_code == 200
    assert app.extensions["ledger"]._made is None
    ready = client.get("/readyz", headers={"Accept-Language": "en"})
    assert (ready.status_code, ready.json["problems"]) == (503, ["database_missing"])
    assert str(tmp_path) not in ready.text
    refused = client.get("/v1/accounts", headers={"Authorization": "Bearer sl_x"})
    assert (refused.status_code, refused.json["code"]) == (503, "database_missing")
    assert str(tmp_path) not in refused.text
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_not_migrated_or_newer_is_not_served(sqlite_url: str) -> None:
    sqlite3.connect(sqlite_url.removeprefix("sqlite:///")).close()
    client: Any = create_app(Settings(database_url=sqlite_url)).test_client()
    assert client.get("/readyz").json["problems"] == ["not_migrated"]
    store = open_store(sqlite_url)
    store.migrate()
    store.set_meta("schema_version", "99")
    assert client.get("/readyz", headers={"Accept-Language": "en"}).status_code == 503
    store.close()


def test_a_locked_file_is_unavailable_and_nothing_is_written(local: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.store.connections._BUSY_SECONDS", 0.2)
    holder = sqlite3.connect(local.url.removeprefix("sqlite:///"), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    refused = local.post("/v1/accounts", {"account": "C-1", "name": "x"})
    assert (refused.status_code, refused.json["code"]) == (503, "database_locked")
    assert int(refused.headers["Retry-After"]) > 0
    assert local.get("/v1/accounts/C-1").status_code == 404  # readers go on
    holder.execute("ROLLBACK")
    holder.close()
    local.account()


def test_a_server_that_goes_away_and_comes_back(pg_url: str, postgres: Server) -> None:
    office = Office(pg_url)
    office.account()
    assert office.get("/v1/accounts/C-1").status_code == 200
    name = psycopg.conninfo.conninfo_to_dict(pg_url)["dbname"]
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        gone = office.get("/v1/accounts/C-1")
        assert (gone.status_code, gone.json["code"]) == (503, "database_unreachable")
        assert office.client.get("/readyz").status_code == 503
        assert office.client.get("/livez").status_code == 200
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    deadline = time.monotonic() + 20
    while office.get("/v1/accounts/C-1").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert office.client.get("/readyz").json["ready"] is True
    office.close()
