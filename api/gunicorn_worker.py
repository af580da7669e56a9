"""gunicorn's threads, for `gunicorn -c python:api.gunicorn_settings api.wsgi:app`: slow clients hold none of them.

gunicorn gives a connection to a thread when it opens, and the thread waits for the request: sixteen slow clients stop
two workers of eight. Here the loop that accepts looks at what has come, without taking it, until the request is whole;
only then a thread takes it. `/livez` the loop answers itself, so that it lives also when every thread waits.
"""

from __future__ import annotations

import re
import selectors
import socket
import struct
import time
from collections import deque
from functools import partial
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

from api.schemas import MAX_BODY

_WHOLE_SECONDS = 10.0  # from the first look at a connection until its request must be there
_SEND_SECONDS = 10  # a client that takes nothing of its answer for so long is left
_HEAD_MOST = 64 * 1024
_MOST = _HEAD_MOST + MAX_BODY
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,12})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n", re.IGNORECASE)
_LIVE = re.compile(rb"(GET|HEAD) /livez HTTP/1\.[01]\r\n")
_ALIVE = b'{"live":true}'


class PatientWorker(ThreadWorker):
    """Threads that are given whole requests."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._coming: deque[TConn] = deque()  # in the order in which their time is up

    def load_wsgi(self) -> None:
        """Load the application, and tell it how many threads there are to share."""
        super().load_wsgi()
        self.wsgi.extensions["ledger"].share_among(self.cfg.threads)

    def accept(self, listener: Any) -> None:
        """Take a new connection and look at it from the loop."""
        try:
            client, address = listener.accept()
        except OSError:  # gone again, or another worker was first
            return
        self.nr_conns += 1
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_SECONDS, 0))
        self._look_at(TConn(self.cfg, client, address, listener.getsockname()))

    def on_client_socket_readable(self, conn: TConn, client: Any) -> None:
        """Look at the next request of a connection that was kept."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._look_at(conn)

    def _look_at(self, conn: TConn) -> None:
        conn.timeout = time.monotonic() + _WHOLE_SECONDS
        self._coming.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._more, conn))

    def _more(self, conn: TConn, _client: Any) -> None:
        """See what a connection has sent so far: a whole request, a part, or its end."""
        try:
            seen = conn.sock.recv(_MOST + 1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            self._drop(conn)
            return
        if not seen:
            self._drop(conn)
            return
        head = _LIVE.match(seen)
        wanted = _wanted(seen)
        if wanted <= len(seen):
            _wake_at(conn, 1)
            if head is not None:
                self._answer_alive(conn, len(seen), body=head[1] == b"GET")
                return
            self._forget(conn)
            conn.data_ready = True
            self.enqueue_req(conn)
        else:
            _wake_at(conn, wanted)  # the loop is not told again before that much has come, or its end

    def _answer_alive(self, conn: TConn, size: int, *, body: bool) -> None:
        lines = (
            "HTTP/1.1 200 OK",
            "Content-Type: application/json",
            f"Content-Length: {len(_ALIVE)}",
            "Cache-Control: private, no-cache",
            "X-Content-Type-Options: nosniff",
            "Connection: close",
        )
        try:
            conn.sock.recv(size)  # else closing would reset the connection under the answer
            conn.sock.send("\r\n".join(lines).encode() + b"\r\n\r\n" + (_ALIVE if body else b""))
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self._drop(conn)

    def _forget(self, conn: TConn) -> None:
        self.poller.unregister(conn.sock)
        self._coming.remove(conn)

    def _drop(self, conn: TConn) -> None:
        self._forget(conn)
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """Close connections whose request did not come in time; once told to stop, those that have sent nothing."""
        super().murder_pending()
        now = time.monotonic()
        for conn in [one for one in self._coming if one.timeout <= now or not self.alive]:
            self._drop(conn)


def _wanted(seen: bytes) -> int:
    """Return how many bytes must have come before a thread takes over: all of a request, as far as that can be told."""
    end = seen.find(b"\r\n\r\n")
    if end < 0:
        return len(seen) + 1 if len(seen) < _HEAD_MOST else len(seen)
    head = seen[: end + 2]
    length = _LENGTH.search(head)
    if length is not None:
        return min(end + 4 + int(length[1]), _MOST)  # what is longer is refused without being read
    if _CHUNKED.search(head) is not None and not seen.endswith(b"0\r\n\r\n"):
        return min(len(seen) + 1, _MOST)
    return end + 4


def _wake_at(conn: TConn, size: int) -> None:
    """Have the system wake the loop only once `size` bytes have come, so that a part costs nothing."""
    if hasattr(socket, "SO_RCVLOWAT"):
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
