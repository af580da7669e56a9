"""gunicorn as a process, beside `supportledger serve` of tests/test_serve.py; both answer to one shape."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tests.test_serve import Running, environment, serving

_SECONDS = 20.0
_SETTINGS = ("-c", "python:api.gunicorn_settings")


class Gunicorn:
    """gunicorn with this repository's settings on a free port; what it logs is kept in a file."""

    def __init__(self, url: str, log: IO[bytes], *words: str, **more: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.host, self.port = "127.0.0.1", int(free.getsockname()[1])
        self._log = log
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *_SETTINGS, *words, "--bind", f"127.0.0.1:{self.port}", "api.wsgi:app"],
            stdout=log,
            stderr=log,
            env={**environment(), "LEDGER_DATABASE_URL": url, **more},
        )
        deadline = time.monotonic() + _SECONDS
        while True:
            try:
                if self.get("/livez")[0] == 200:
                    return
            except OSError:
                pass
            assert self.process.poll() is None, self.logged()
            assert time.monotonic() < deadline, self.logged()
            time.sleep(0.05)

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=15)
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        body = json.loads(response.read())
        connection.close()
        return response.status, body

    def logged(self) -> str:
        self._log.flush()
        return Path(self._log.name).read_text()

    def stop(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40), self.logged()


@contextmanager
def gunicorn(url: str, *words: str, **more: str) -> Iterator[Gunicorn]:
    """Serve with gunicorn while it is asked; whatever happens, leave no process behind."""
    with tempfile.NamedTemporaryFile(prefix="gunicorn") as log:
        running = Gunicorn(url, log, *words, **more)
        try:
            yield running
        finally:
            if running.process.poll() is None:
                running.process.terminate()  # its workers end with it
                try:
                    running.process.wait(timeout=40)
                except subprocess.TimeoutExpired:
                    os.kill(running.process.pid, signal.SIGKILL)
                    running.process.wait()


@contextmanager
def server(kind: str, url: str, *words: str) -> Iterator[Running | Gunicorn]:
    """Serve with `waitress` (the installed command) or `gunicorn`, eight threads in all."""
    if kind == "waitress":
        with serving(url, *words) as one:
            yield one
    else:
        with gunicorn(url, "-w", "2", "--threads", "4", *words) as other:
            yield other
