"""A balance over HTTP against a route of the same server that returns a constant, many clients at once."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from ledger import tokens
from ledger.application import Ledger
from ledger.rules.instants import to_iso
from projections import balances
from projections.projector import Projector
from scripts.bench_common import ROOT, Broken, Ground, Row, must_equal, take_turns

_CONSTANT = "/livez"
_START_SECONDS, _STOP_SECONDS = 20.0, 15.0


def balance(ground: Ground, dialect: str) -> list[Row]:
    """Measure the 99th percentile of a balance, and of the constant route."""
    row = Row(f"http-balance-p99-{dialect}", "ms", ceiling=3.0)
    if not (ROOT / "api" / "cli.py").exists():
        row.skipped = "not yet: api/"
        return [row]
    store = ground.ledger(dialect, ground.size.copies)
    token = tokens.create(store, role="operator", name="bench", now=to_iso(datetime.now(UTC)))
    projector = Projector(store, ground.catalogue)
    projector.catch_up(["balances"])
    accounts = [found["account"] for found in balances.accounts(projector.read, limit=ground.size.clients * 16)]
    paths = [f"/v1/accounts/{account}/balance" for account in accounts]
    projector.close()
    bodies: dict[str, Any] = {}
    with served(store.url) as port:
        crowd = Crowd(port, token, ground.size.clients)
        crowd.ask(paths, len(paths) // ground.size.clients + 1, bodies)  # every account is warm
        row.ours, row.peer = take_turns(
            2 * ground.size.repeats - 1,
            lambda: crowd.ask(paths, ground.size.requests, bodies),
            lambda: crowd.ask([_CONSTANT], ground.size.requests, {}),
        )
        crowd.close()
    check(Ledger(store, ground.catalogue), accounts, bodies)
    return [row]


def check(ledger: Ledger, accounts: Sequence[str], bodies: dict[str, Any]) -> None:
    """Raise Broken unless each account was answered, and with what the ledger itself says."""
    for account in accounts:
        said = bodies.get(f"/v1/accounts/{account}/balance", {})
        known = ledger.ask("balance", {"account": account})
        for name in ("granted", "used", "expired", "voided", "remaining"):
            must_equal(f"{name} of {account}", said.get(name), known[name])


class Crowd:
    """So many clients, each with a connection that is kept."""

    def __init__(self, port: int, token: str, clients: int) -> None:
        self.headers = {"Authorization": f"Bearer {token}"}
        self.connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=10) for _ in range(clients)]
        self.pool = ThreadPoolExecutor(clients)

    def ask(self, paths: Sequence[str], requests: int, bodies: dict[str, Any]) -> float:
        """Let every client ask `requests` times; return the 99th percentile in milliseconds."""

        def one(client: int) -> list[float]:
            mine = (paths[(client + step * len(self.connections)) % len(paths)] for step in range(1_000_000))
            return [self._once(self.connections[client], path, bodies) for path in islice(mine, requests)]

        spent = sorted(ms for found in self.pool.map(one, range(len(self.connections))) for ms in found)
        return spent[min(int(len(spent) * 0.99), len(spent) - 1)]

    def _once(self, connection: http.client.HTTPConnection, path: str, bodies: dict[str, Any]) -> float:
        started = time.perf_counter()
        connection.request("GET", path, headers=self.headers)
        response = connection.getresponse()
        body = response.read()
        spent = (time.perf_counter() - started) * 1e3
        if response.status != 200:
            raise Broken(f"{path}: status {response.status}: {body[:200]!r}")
        if path != _CONSTANT and path not in bodies:
            bodies[path] = json.loads(body)
        return spent

    def close(self) -> None:
        """Close the connections."""
        for connection in self.connections:
            connection.close()
        self.pool.shutdown()


@contextmanager
def served(url: str) -> Iterator[int]:
    """Serve a ledger on a free port of this machine; stop it as an operator would."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    environment = {**os.environ, "LEDGER_DATABASE_URL": url}
    command = [sys.executable, "-m", "ledger.cli", "serve", "--port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(lambda: server.poll() is not None or _answers(port))
        must_equal("exit code of the server", server.poll(), None)
        yield port
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(_STOP_SECONDS)


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not until():
        if time.monotonic() > deadline:
            raise Broken("the server did not start")
        time.sleep(0.05)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", _CONSTANT)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
