"""The one background thread of `serve --with-worker`: it keeps read models up, and says when it cannot."""

from __future__ import annotations

import logging
import threading

from api.context import Services
from ledger.errors import LedgerError

_log = logging.getLogger("supportledger.worker")
_EVERY_SECONDS = 0.25


class Worker:
    """Catches up four times a second until stopped; `error` is "" while it goes well."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="read models", daemon=True)
        self.error = ""

    def start(self) -> None:
        """Begin, in this process."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch at hand."""
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_SECONDS):
            try:
                self._services.projector.catch_up()
                error = ""
            except LedgerError as refused:
                error = str(refused)
            except Exception as mistake:  # it must never die unseen: the error stays on /readyz until it goes on
                error = repr(mistake)
            if error and error != self.error:
                _log.error("read models do not keep up: %s", error)
            self.error = error
