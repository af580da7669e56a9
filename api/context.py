"""What a request works with: the process's ledger and projector, who is calling, in which language."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from flask import current_app, g, request

from api.gate import Gate
from api.knocking import Knocking
from api.refusals import Unauthorised
from api.token_use import TokenUse
from ledger import tokens
from ledger.application import Caller, Ledger
from ledger.catalogue import load
from ledger.catalogue_guard import guard
from ledger.errors import Unavailable
from ledger.rules.approvals import parse_settings
from ledger.settings import Settings, language
from ledger.store import open_store
from projections.projector import Projector, require_whole
from projections.tables import State

DEFAULT_WORKERS = 8
_WAIT_SECONDS = 1.0
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
    catching: Any = field(default_factory=threading.Lock)  # one request at a time brings read models up
    gate: Gate = field(init=False)
    _failed: tuple[float, Unavailable | None] = (0.0, None)

    def __post_init__(self) -> None:
        self.share_among(DEFAULT_WORKERS)

    def share_among(self, workers: int) -> None:
        """Say how many requests this process answers at once: long ones get a share of them."""
        self.gate = Gate(workers, self.settings.question_seconds)

    def _get(self) -> tuple[int, Ledger, Projector]:
        made = self._made
        if made is not None and made[0] == os.getpid():
            return made
        with self._lock:
            if self._made is None or self._made[0] != os.getpid():
                self._made = self._open()
            return self._made

    def _open(self) -> tuple[int, Ledger, Projector]:
        """Open the ledger; where that has just failed, say so again at once: those who wait for it would add up."""
        until, why = self._failed
        if why is not None and time.monotonic() < until:
            raise Unavailable(why.code, **why.facts)
        store = open_store(self.settings.database_url)
        try:
            approvals = parse_settings(self.settings.approval_limits, self.settings.sole_approver)
            ledger = Ledger(store, load(self.settings.catalogue), self.settings.gateway, approvals)
            guard(store, ledger.catalogue)
            made = (os.getpid(), ledger, Projector(ledger.store, ledger.catalogue))
        except Unavailable as error:
            store.close()
            if error.code == "database_unreachable":
                self._failed = (time.monotonic() + _TOKEN_SECONDS, error)
            raise
        return made

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

    A reader brings them up itself where no worker does; another at it does not hold it up. Unavailable: `behind` at
    once where the log itself is not there yet, after a second of waiting where the models are not (few may wait, one
    of each caller; others are refused at once), `read_model_stopped` where a model could not read the log any further,
    and `read_models_anew` while it is being made from the start.
    """
    made, projector = services(), services().projector
    if position is not None and (last := projector.store.last_position()) < position:
        raise Unavailable("behind", name="log", position=last, wanted=position)
    states = _brought_up(made, projector, names, 0.0)
    _going_on(states)
    if position is not None and any(state.position < position for state in states):
        with made.gate.waits.taken(caller().by):
            states = _brought_up(made, projector, names, _WAIT_SECONDS)
            _going_on(states)
            require_whole(states)
            projector.wait_for(position, names, _WAIT_SECONDS)
    require_whole(states)
    return projector


def _brought_up(made: Services, projector: Projector, names: tuple[str, ...], seconds: float) -> list[State]:
    """Bring the named models up, unless another is at it for longer than `seconds`; return where they stand."""
    if made.catching.acquire(timeout=seconds):
        try:
            return projector.catch_up(names)
        except Unavailable as busy:
            if busy.code not in ("projector_busy", "database_locked"):
                raise
        finally:
            made.catching.release()
    try:
        return [state for state in projector.states() if state.name in names]
    except Unavailable as unmade:
        if unmade.code != "not_migrated":  # their tables: another is making them
            raise
        raise Unavailable("projector_busy") from None


def _going_on(states: list[State]) -> None:
    for state in states:
        if state.error:
            raise Unavailable("read_model_stopped", name=state.name, position=state.position, lag=state.lag)
