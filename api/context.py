"""What a request works with: the process's ledger and projector, who is calling, in which language."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from flask import current_app, g, request

from api.knocking import Knocking
from api.refusals import Unauthorised
from api.token_use import TokenUse
from ledger import tokens
from ledger.application import Caller, Ledger
from ledger.catalogue import load
from ledger.catalogue_guard import guard
from ledger.errors import Unavailable
from ledger.settings import Settings, language
from ledger.store import open_store
from projections.projector import Projector, require_whole
from projections.tables import State

_TOKEN_SECONDS = 2.0
_KNOWN_TOKENS = 1024
_LANGUAGES = ("es", "es-GT", "en")


@dataclass
class Services:
    """The ledger and the projector of this process, made at the first use; a forked child makes its own."""

    settings: Settings
    _made: tuple[int, Ledger, Projector] | None = None
    _lock: Any = field(default_factory=threading.Lock)
    _callers: dict[str, tuple[float, Caller]] = field(default_factory=dict)
    _use: TokenUse = field(default_factory=TokenUse)
    knocking: Knocking = field(default_factory=Knocking)

    def _get(self) -> tuple[int, Ledger, Projector]:
        made = self._made
        if made is not None and made[0] == os.getpid():
            return made
        with self._lock:
            if self._made is None or self._made[0] != os.getpid():
                store = open_store(self.settings.database_url)
                ledger = Ledger(store, load(self.settings.catalogue), self.settings.gateway)
                guard(store, ledger.catalogue)
                self._made = (os.getpid(), ledger, Projector(ledger.store, ledger.catalogue))
            return self._made

    @property
    def ledger(self) -> Ledger:
        """The ledger of this process."""
        return self._get()[1]

    @property
    def projector(self) -> Projector:
        """The projector of this process."""
        return self._get()[2]

    def caller(self, secret: str, address: str) -> Caller | None:
        """Return who a token speaks for; a good one is remembered for two seconds, so revoking works soon.

        A bad one is counted for its `address`: TooManyBadTokens when that has sent too many.
        """
        now = time.monotonic()
        known = self._callers.get(secret)
        if known is not None and known[0] > now:
            return known[1]
        self.knocking.check(address, secret, self.ledger.store)
        found = tokens.caller(self.ledger.store, secret)
        if found is None:
            self._callers.pop(secret, None)
            self.knocking.bad(address)
            return None
        if len(self._callers) >= _KNOWN_TOKENS:
            self._callers.clear()
        self._callers[secret] = (now + _TOKEN_SECONDS, found)
        self._use.note(self.ledger.store, secret)
        return found

    def close(self) -> None:
        """Close what this process has opened."""
        self._use.close()
        made, self._made = self._made, None
        if made is not None and made[0] == os.getpid():
            made[2].close()
            made[1].close()


def services() -> Services:
    """Return the services of the application that serves this request."""
    found: Services = current_app.extensions["ledger"]
    return found


def lang() -> str:
    """Return the language of the answer: es_GT unless the client prefers English."""
    return language(request.accept_languages.best_match(_LANGUAGES, default="es") or "es")


def identify() -> None:
    """Find out who is calling; Unauthorised without a good bearer token."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthorised("token_missing")
    found = services().caller(secret.strip(), request.remote_addr or "")
    if found is None:
        raise Unauthorised("token_unknown")
    g.caller = found


def operator() -> bool:
    """Whether it is known that an operator is calling: they may be told of files and servers."""
    return "caller" in g and caller().role == "operator"


def caller() -> Caller:
    """Return who is calling, once `identify` has run."""
    found: Caller = g.caller
    return found


def fresh(position: int | None, names: tuple[str, ...]) -> Projector:
    """Return the projector once the named models have what the reader must see.

    A reader brings them up itself where no worker does; another process at it does not hold it up. Unavailable:
    `behind` after two seconds, `read_model_stopped` where a model could not read the log any further, and
    `read_models_anew` while it is being made from the start.
    """
    projector = services().projector
    try:
        states = projector.catch_up(names)
    except Unavailable as busy:
        if busy.code not in ("projector_busy", "database_locked"):
            raise
        states = [state for state in projector.states() if state.name in names]
    _going_on(states)
    require_whole(states)
    if position is not None:
        projector.wait_for(position, names)
    return projector


def _going_on(states: list[State]) -> None:
    for state in states:
        if state.error:
            raise Unavailable("read_model_stopped", name=state.name, position=state.position, lag=state.lag)
