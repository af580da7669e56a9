"""One caller cannot stall the rest: waits, long questions, slow clients, a database that is away; on real servers."""

from __future__ import annotations

import http.client
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from api.gate import Gate, Share
from ledger.errors import Malformed, Unavailable
from ledger.patience import check, patient
from tests.postgres import start_server
from tests.servers import Gunicorn, gunicorn, server
from tests.test_api import Office
from tests.test_serve import Running, eventually, serving

_QUICK = 3.0  # seconds in which anybody else must be answered, on a busy machine
_SLOW_CLIENTS = 200
KINDS = ["waitress", "gunicorn"]


@pytest.fixture(name="local")
def _local(sqlite_url: str) -> Iterator[Office]:
    made = Office(sqlite_url)
    made.account()
    yield made
    made.close()


def asked(one: Running | Gunicorn, path: str, headers: dict[str, str]) -> tuple[int, float]:
    """Return the status of an answer, and how long it took."""
    started = time.monotonic()
    status, _body = one.get(path, headers)
    return status, time.monotonic() - started


def together(one: Running | Gunicorn, count: int, path: str, headers: dict[str, str]) -> list[tuple[int, float]]:
    """Ask the same on so many connections at once."""
    found: list[tuple[int, float]] = []
    threads = [threading.Thread(target=lambda: found.append(asked(one, path, headers))) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def post(headers: dict[str, str], more: str) -> bytes:
    """Return the head of a POST that opens an account."""
    lines = ("POST /v1/accounts HTTP/1.1", "Host: x", f"Authorization: {headers['Authorization']}", more)
    return "\r\n".join((*lines, "Content-Type: application/json", "", "")).encode()


# --- waits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_position_that_is_far_off_is_refused_at_once(local: Office, kind: str) -> None:
    headers = local.headers("agent")
    with server(kind, local.url) as one:
        asked(one, "/v1/accounts", headers)
        for path in ("/v1/accounts", "/v1/accounts/C-1/balance"):
            found = together(one, 16, f"{path}?min_position=999999999", headers)
            assert {status for status, _ in found} == {503}
            assert max(seconds for _, seconds in found) < _QUICK
        assert asked(one, "/v1/accounts", headers)[0] == 200


# --- slow clients -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_two_hundred_slow_clients_hold_nobody_up(local: Office, kind: str) -> None:
    """A third has sent nothing, a third half of the head, a third the head and a little of the body."""
    headers = local.headers("agent")
    sent = (b"", b"GET /v1/accounts HTTP/1.1\r\nHost: x\r\nX-Slo", post(headers, "Content-Length: 100") + b"{")
    with server(kind, local.url) as one:
        slow = [socket.create_connection((one.host, one.port), timeout=10) for _ in range(_SLOW_CLIENTS)]
        try:
            for number, client in enumerate(slow):
                client.sendall(sent[number % 3])
            time.sleep(0.3)
            for path in ("/livez", "/v1/accounts/C-1/balance", "/v1/accounts"):
                status, seconds = asked(one, path, headers)
                assert status == 200
                assert seconds < _QUICK
            body = b'{"account": "C-2", "name": "Caf\xc3\xa9"}'
            head = post(headers, f"Content-Length: {len(body)}")
            with socket.create_connection((one.host, one.port), timeout=10) as late:
                for part in (head[:20], head[20:], body[:5], body[5:20], body[20:]):
                    late.sendall(part)
                    time.sleep(0.1)
                assert late.recv(12) == b"HTTP/1.1 201"  # slow, but whole in the end
        finally:
            for client in slow:
                client.close()
        assert one.stop()[0] == 0


def test_a_client_that_never_ends_its_request_is_left(local: Office) -> None:
    with gunicorn(local.url, "-w", "1", "--threads", "1") as one:
        with socket.create_connection((one.host, one.port), timeout=20) as client:
            client.sendall(b"GET /livez HTTP/1.1\r\nHost")
            with suppress(ConnectionResetError):  # what it had sent was not read
                assert client.recv(10) == b""
        assert one.get("/livez")[0] == 200


def test_requests_of_every_shape_pass_the_loop(local: Office) -> None:
    """Kept connections, two requests at once, chunks, a body that is too large, /livez by HEAD."""
    headers = local.headers("agent")
    with gunicorn(local.url, "-w", "1", "--threads", "2") as one:
        kept = http.client.HTTPConnection(one.host, one.port, timeout=10)
        for _ in range(3):
            kept.request("GET", "/v1/accounts/C-1", headers=headers)
            answer = kept.getresponse()
            assert (answer.status, b"C-1" in answer.read()) == (200, True)
        chunks = iter([b'{"account": ', b'"C-9", "name": "x"}'])
        kept.request("POST", "/v1/accounts", chunks, {**headers, "Content-Type": "application/json"})
        answer = kept.getresponse()
        assert (answer.status, answer.read() != b"") == (201, True)
        kept.close()
        alive = http.client.HTTPConnection(one.host, one.port, timeout=10)
        alive.request("HEAD", "/livez")
        assert alive.getresponse().status == 200
        alive.close()
        lines = f"GET /v1/accounts/C-1 HTTP/1.1\r\nHost: x\r\nAuthorization: {headers['Authorization']}\r\n"
        with socket.create_connection((one.host, one.port), timeout=10) as two:
            two.sendall((lines + "\r\n" + lines + "Connection: close\r\n\r\n").encode())
            told = b""
            while part := two.recv(65536):
                told += part
        assert told.count(b"HTTP/1.1 200") == 2
        # What is too large is not read to its end: the answer may meet a connection that was reset.
        with suppress(ConnectionResetError), socket.create_connection((one.host, one.port), timeout=10) as large:
            large.sendall(post(headers, "Content-Length: 300000") + b"x" * 300_000)
            assert large.recv(12) == b"HTTP/1.1 413"
        assert one.get("/v1/accounts/C-1", headers)[0] == 200


# --- long questions -----------------------------------------------------------------------------------------------


def busy_ledger(office: Office) -> str:
    """Sell a plan, open thirty cases; return a what-if that takes far longer than anybody waits."""
    plan = {"level": "corporate", "term": "monthly", "channel": "web"}
    assert office.post("/v1/accounts/C-1/subscriptions", plan).status_code == 201
    paid = {"amount": "1500.00", "method": "cash", "reference": "R-1"}
    assert office.post("/v1/accounts/C-1/payments", paid).status_code == 201
    for number in range(30):
        case = {"ticket": f"T-{number}", "request": "general", "priority": ("low", "medium", "high")[number % 3]}
        assert office.post("/v1/accounts/C-1/tickets", case).status_code == 201
    scenarios = "%3B".join(f"s{n}:corporate/high={n + 1}h" for n in range(90))
    return f"/v1/sla/what-if?scenarios={scenarios}&aim=95&curve=true&at=2026-01-05T15:00:00Z"


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_question_is_bounded_and_takes_only_its_share(
    local: Office, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEDGER_QUESTION_SECONDS", "1")
    path = busy_ledger(local)
    headers = local.headers("manager", Accept_Language="en")
    with server(kind, local.url) as one:
        codes: list[str] = []
        askers = [threading.Thread(target=lambda: codes.append(one.get(path, headers)[1]["code"])) for _ in range(12)]
        for asker in askers:
            asker.start()
        status, seconds = asked(one, "/v1/accounts/C-1/balance", headers)
        assert (status, seconds < _QUICK) == (200, True)
        assert asked(one, "/livez", {})[1] < _QUICK
        for asker in askers:
            asker.join()
        assert set(codes) == {"busy", "question_too_long"}
        assert codes.count("busy") >= 6


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_question_ends_when_its_caller_leaves(local: Office, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER_QUESTION_SECONDS", "600")
    path = busy_ledger(local)
    words = ("-w", "1") if kind == "gunicorn" else ()
    with server(kind, local.url, *words) as one:
        leaving = http.client.HTTPConnection(one.host, one.port, timeout=10)
        leaving.request("GET", path, headers=local.headers("manager"))
        time.sleep(0.4)
        assert one.get(path, local.headers("manager"))[1]["code"] == "busy"
        leaving.close()
        radar = "/v1/sla/radar?month=2026-01"  # it needs the same share
        eventually(lambda: one.get(radar, local.headers("manager"))[0] == 200)


def test_a_share_is_counted_by_caller_and_given_back() -> None:
    share = Share(2, 1)
    with share.taken("ana"):
        with pytest.raises(Unavailable, match="busy"), share.taken("ana"):
            pass
        with share.taken("luis"), pytest.raises(Unavailable, match="busy"), share.taken("eva"):
            pass
    with share.taken("eva"):
        pass


def test_patience_ends_by_time_or_when_the_caller_is_gone() -> None:
    check()  # nobody set a limit
    with patient(60, lambda: True), pytest.raises(Unavailable, match="caller_gone"):
        check()
    with patient(0, lambda: False), pytest.raises(Unavailable, match="question_too_long"):
        check()
    with pytest.raises(Malformed):
        Gate(8, "soon")


# --- a database that is away --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_it_lives_while_postgresql_is_stopped(kind: str) -> None:
    with start_server() as database:
        office = Office(database.create_database("away"))
        office.account()
        headers = office.headers("agent")
        with server(kind, office.url, *(("--without-worker",) if kind == "waitress" else ())) as one:
            assert asked(one, "/v1/accounts/C-1", headers)[0] == 200
            office.close()
            database.stop()
            asker = threading.Thread(target=together, args=(one, 24, "/v1/accounts/C-1", headers))
            asker.start()
            for _ in range(10):
                status, seconds = asked(one, "/livez", {})
                assert (status, seconds < 1.0) == (200, True)
                time.sleep(0.1)
            asker.join()
            found = together(one, 16, "/v1/accounts/C-1", headers)
            assert {status for status, _ in found} == {503}
            assert max(seconds for _, seconds in found) < 2 * _QUICK  # few wait for it any more
            assert one.stop()[0] == 0


def test_a_server_with_one_thread_lives_while_that_is_held(local: Office) -> None:
    holder = sqlite3.connect(local.url.removeprefix("sqlite:///"), isolation_level=None)
    with serving(local.url, "--threads", "1", "--without-worker") as one:
        holder.execute("BEGIN IMMEDIATE")
        waiting = one.connect()
        headers: dict[str, Any] = {**local.headers("agent"), "Content-Type": "application/json"}
        waiting.request("POST", "/v1/accounts", b'{"account": "C-3", "name": "x"}', headers)
        time.sleep(0.3)
        status, seconds = asked(one, "/livez", {})
        assert (status, seconds < 1.0) == (200, True)
        holder.execute("ROLLBACK")
        assert waiting.getresponse().status == 201
        waiting.close()
    holder.close()
