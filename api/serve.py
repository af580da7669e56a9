"""waitress with a drain: on SIGTERM or SIGINT no new connection is taken, requests in flight are answered."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

from flask import Flask
from waitress import wasyncore
from waitress.server import create_server

_DRAIN_SECONDS = 30.0
_CALM_SECONDS = 0.15


def serve(app: Flask, *, host: str, port: int, threads: int) -> None:
    """Serve until told to stop; returns when what was in flight has been answered. OSError: the port is taken."""
    server: Any = create_server(app, host=host, port=port, threads=threads, ident="supportledger")
    stop = threading.Event()

    def asked_to_stop(*_: object) -> None:
        stop.set()
        server.pull_trigger()

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, asked_to_stop)
    while not stop.is_set():
        _turn(server, 1.0)
    _quiet(server)  # who was let in by the system before the signal is still served
    wasyncore.dispatcher.close(server)  # the listening socket alone: channels and trigger go on
    _quiet(server)
    server.task_dispatcher.shutdown(cancel_pending=True, timeout=1)


def _quiet(server: Any) -> None:
    """Serve on until nothing has been under way for a moment, at most half a minute."""
    deadline = time.monotonic() + _DRAIN_SECONDS
    calm = time.monotonic() + _CALM_SECONDS
    while time.monotonic() < min(calm, deadline):
        _turn(server, 0.02)
        if _busy(server):
            calm = time.monotonic() + _CALM_SECONDS


def _turn(server: Any, seconds: float) -> None:
    wasyncore.loop(timeout=seconds, map=server._map, count=1, use_poll=server.adj.asyncore_use_poll)


def _busy(server: Any) -> bool:
    dispatcher = server.task_dispatcher
    channels = list(server.active_channels.values())
    return bool(
        dispatcher.active_count
        or dispatcher.queue
        or any(c.requests or c.request or c.total_outbufs_len for c in channels)
    )
