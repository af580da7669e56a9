"""Clients that hang up: a thousand times under load, on each server. Nothing ends, nothing is lost."""

from __future__ import annotations

import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Gunicorn, server
from tests.test_api import Office
from tests.test_serve import Running, command, environment

HANG_UPS = 1000
_AT_ONCE = 8
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closed with a reset, so that the answer meets a connection that is gone


@pytest.fixture(name="local")
def _local(sqlite_url: str) -> Iterator[Office]:
    made = Office(sqlite_url)
    made.account()
    yield made
    made.close()


def hang_up(one: Running | Gunicorn, path: str, headers: dict[str, str], how: int) -> None:
    """Ask and leave: with a reset, quietly, or half-way through the request."""
    with socket.create_connection((one.host, one.port), timeout=10) as client:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode()
        client.sendall(request[: len(request) // 2] if how == 2 else request)
        if how == 0:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


@pytest.mark.parametrize("kind", ["waitress", "gunicorn"])
def test_clients_that_hang_up_harm_nobody(local: Office, kind: str) -> None:
    headers = local.headers("manager")
    with server(kind, local.url) as one:
        paths = ("/livez", "/v1/accounts/C-1/balance", "/openapi.json", "/v1/sla/report")
        failed: list[str] = []

        def leave(start: int) -> None:
            for turn in range(start, HANG_UPS, _AT_ONCE):
                try:
                    hang_up(one, paths[turn % len(paths)], headers, turn % 3)
                except OSError as error:
                    failed.append(repr(error))

        def stay() -> None:
            for _ in range(25):
                status, body = one.get("/v1/accounts/C-1/balance", headers)
                if (status, body.get("account")) != (200, "C-1"):
                    failed.append(f"{status} {body}")

        threads = [threading.Thread(target=leave, args=(start,)) for start in range(_AT_ONCE)]
        threads.append(threading.Thread(target=stay))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert one.process.poll() is None
        assert one.get("/v1/accounts/C-1/balance", headers)[0] == 200
        code, logged = one.stop()
    assert code == 0
    assert "Traceback" not in logged
    assert "was sent SIG" not in logged  # a worker of gunicorn that a signal killed


def test_a_command_whose_reader_leaves_ends_without_a_word(sqlite_url: str, tmp_path: Path) -> None:
    subprocess.run(command(sqlite_url, "migrate"), env=environment(), check=True, capture_output=True)
    script = tmp_path / "script.jsonl"
    script.write_text('{"ask": "account", "account": "C-1"}\n' * 2000)
    with subprocess.Popen(
        command(sqlite_url, "apply", str(script)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as asked:
        assert asked.stdout is not None
        assert asked.stderr is not None
        assert asked.stdout.readline().startswith(b'{"n": 1')
        asked.stdout.close()
        assert asked.stderr.read() == b""
        assert asked.wait(timeout=20) != 0
