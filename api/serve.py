"""waitress with a drain: on SIGTERM or SIGINT no new connection is taken, requests in flight are answered.

By itself waitress cuts them. Once told to stop, every answer says `Connection: close`, so that clients which keep
their connection do not hold the server up; a second signal ends it at once.
"""

from __future__ import annotations

import select
import signal
import threading
import time
from typing import Any

from flask import Flask
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, create_server
from waitress.task import ThreadedTaskDispatcher, WSGITask

_DRAIN_SECONDS = 30.0
_CALM_SECONDS = 0.15
_POLL = hasattr(select, "poll")  # not on Windows; select() ends at 1,024 descriptors
_IDLE_SECONDS = 60  # a connection on which nothing comes and nothing is being answered
_LIVE = "/livez"
_MOST_BODY = 8 * 1024 * 1024  # the application refuses far smaller ones in its own words; this guards memory


class Server:
    """The application on one address, which may be several sockets (IPv4 and IPv6)."""

    def __init__(self, app: Flask, *, host: str, port: int, threads: int) -> None:
        """Listen; OSError when the port is taken, ValueError when there is no such address."""
        self._map: dict[int, Any] = {}
        self._stop = threading.Event()
        self._signals = 0
        self._dispatcher = _Dispatcher()
        create_server(
            app,
            self._map,
            _dispatcher=self._dispatcher,
            host=host,
            port=port,
            threads=threads,
            ident="supportledger",
            connection_limit=1000,
            asyncore_use_poll=_POLL,
            max_request_body_size=_MOST_BODY,
            channel_timeout=_IDLE_SECONDS,
            cleanup_interval=10,
            channel_request_lookahead=1,  # so that it is seen when whoever asked has left
        )
        self._sockets = [one for one in self._map.values() if isinstance(one, BaseWSGIServer)]
        for one in self._sockets:
            one.channel_class = _channel_of(self._stop)
        self._dispatcher.set_thread_count(threads)
        self.port = int(self._sockets[0].effective_port)

    def heed_signals(self) -> None:
        """Let SIGTERM and SIGINT end `run`, from before anybody is told that it serves."""
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._asked_to_stop)

    def run(self) -> bool:
        """Serve until a signal, then answer what is in flight; False when some of that was given up."""
        while not self._stop.is_set():
            self._turn(1.0)
        let_in = time.monotonic() + _CALM_SECONDS
        while time.monotonic() < let_in:  # who was let in by the system before the signal is still served
            self._turn(0.02)
        for one in self._sockets:
            wasyncore.dispatcher.close(one)  # the listening socket alone: channels and trigger go on
        self._quiet()
        self._dispatcher.shutdown(cancel_pending=True, timeout=1)
        return not self._dispatcher.threads

    def _asked_to_stop(self, *_: object) -> None:
        self._signals += 1
        self._stop.set()
        self._sockets[0].pull_trigger()

    def _quiet(self) -> None:
        """Serve on until nothing has been under way for a moment, at most half a minute."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        calm = time.monotonic() + _CALM_SECONDS
        while time.monotonic() < min(calm, deadline) and self._signals < 2:
            self._turn(0.02)
            if self._busy():
                calm = time.monotonic() + _CALM_SECONDS

    def _turn(self, seconds: float) -> None:
        wasyncore.loop(timeout=seconds, map=self._map, count=1, use_poll=_POLL)

    def _busy(self) -> bool:
        channels = [one for one in self._map.values() if isinstance(one, HTTPChannel)]
        return bool(
            self._dispatcher.active_count
            or self._dispatcher.queue
            or self._dispatcher.live.queue
            or any(c.requests or c.request or c.total_outbufs_len for c in channels)
        )


class _Dispatcher(ThreadedTaskDispatcher):
    """The workers, and one thread beside them for `/livez` alone: it answers also when every worker waits."""

    def __init__(self) -> None:
        super().__init__()
        self.live = ThreadedTaskDispatcher()
        self.live.set_thread_count(1)

    def add_task(self, task: Any) -> None:
        """Queue a connection whose next request is complete."""
        if task.requests and getattr(task.requests[0], "path", "") == _LIVE:
            self.live.add_task(task)
        else:
            super().add_task(task)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """End the threads once they are idle, at most after `timeout` seconds."""
        self.live.shutdown(cancel_pending, timeout)
        return bool(super().shutdown(cancel_pending, timeout))


def _channel_of(stop: threading.Event) -> type[Any]:
    """Return the class of connections whose answers say `Connection: close` once `stop` is set."""

    class Task(WSGITask):
        def build_response_header(self) -> Any:
            if stop.is_set():
                self.set_close_on_finish()
            return super().build_response_header()

    class Channel(HTTPChannel):
        task_class = Task

    return Channel
