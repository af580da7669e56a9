"""The one background thread of `serve --with-worker`: it keeps read models up, and says when it cannot."""

from __future__ import annotations

import logging
import threading
import time

from api.context import Services
from ledger.errors import LedgerError

_log = logging.getLogger("supportledger.worker")
_EVERY_SECONDS = 0.25
_STOPPED_SECONDS = 5.0  # a model that cannot read an event is tried again, though not four times a second


class Worker:
    """Catches up four times a second until stopped; `error` is "" while it goes well."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="read models", daemon=True)
        self._stopped: set[str] = set()
        self._again = 0.0
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
                self._catch_up()
                error = ""
            except LedgerError as refused:
                error = str(refused)
            except Exception as mistake:  # it must never die unseen: the error stays on /readyz until it goes on
                error = repr(mistake)
            if error != self.error:
                _log.log(logging.ERROR if error else logging.INFO, "read models: %s", error or "keeping up again")
            self.error = error

    def _catch_up(self) -> None:
        """Bring every model up; leave those alone for a while that an event has stopped."""
        projector = self._services.projector
        if self._stopped and time.monotonic() < self._again:
            going_on = [state.name for state in projector.states() if state.name not in self._stopped]
            if going_on:
                projector.catch_up(going_on)
            return
        stopped = {state.name: state.error for state in projector.catch_up() if state.error}
        for name in sorted(stopped.keys() - self._stopped):
            _log.error("read model %s has stopped: %s", name, stopped[name])
        self._stopped, self._again = set(stopped), time.monotonic() + _STOPPED_SECONDS
