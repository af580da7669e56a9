"""Whether it lives, and whether it can serve: for probes and people, without a token."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from typing import Any
from weakref import WeakSet

import msgspec
from flask import Blueprint, Response, current_app, request

from api.context import identify, lang, operator, services
from ledger.errors import LedgerError
from ledger.texts import text
from projections import standing
from projections.projector import BATCH, Projector
from projections.tables import State

health = Blueprint("health", __name__)

_log = logging.getLogger("supportledger.api")
_STOPPED = "read_model_stopped"


@health.get("/livez")
def livez() -> Response:
    """Answer without touching anything."""
    return Response(b'{"live":true}', mimetype="application/json")


@health.get("/readyz")
def readyz() -> Response:
    """Answer 200 when the store serves and no read model has stopped, else 503 with what is wrong.

    Anybody may ask, so it names no file, no account and no server: only what kind of thing is wrong. An operator's
    token is told all of it, and so is the log.
    """
    made, full = services(), _asks_as_operator()
    answer: dict[str, Any] = {"ready": True, "problems": []}
    worker = current_app.extensions.get("ledger_worker")
    try:
        store = made.ledger.store
        store.check()
        answer["position"] = store.last_position()
        answer["warnings"] = [text(key, lang()) for key in store.warnings()]
        states = _looked_at(made.projector, alone=worker is None)
        answer["projections"] = [
            {"name": s.name, "position": s.position, "lag": s.lag, "error": _error(s, full)} for s in states
        ]
        answer["problems"] = [f"{s.name}: {_error(s, full)}" for s in states if s.error]
        making = [s for s in states if not s.whole and not s.error]
        answer["problems"] += [text("read_models_anew", lang(), name=s.name, lag=s.lag) for s in making]
    except LedgerError as error:
        answer["problems"] = [error.message(lang()) if full else error.code]
        _log.error("not ready: %s", error)
    if worker is not None and worker.error:  # the worker has logged it
        answer["problems"].append(worker.error if full else "worker_failing")
    answer["ready"] = not answer["problems"]
    return Response(msgspec.json.encode(answer), 200 if answer["ready"] else 503, mimetype="application/json")


def _looked_at(projector: Projector, *, alone: bool) -> list[State]:
    """Return where the read models stand; one that is being made goes on by itself, where no worker does it.

    So a server that gets no requests until it is ready becomes ready.
    """
    states = projector.states()
    making = [state for state in states if not state.whole and not state.error]
    if not making:
        return states
    if max(state.lag for state in making) <= BATCH:
        return projector.catch_up()
    if alone and projector not in _making:
        _making.add(projector)
        threading.Thread(target=_make, args=(projector,), name="read models", daemon=True).start()
    return states


_making: WeakSet[Projector] = WeakSet()


def _make(projector: Projector) -> None:
    try:
        projector.catch_up()
    except LedgerError as error:  # the next look tells it, and begins again
        _log.warning("read models: %s", error)
    finally:
        _making.discard(projector)


def _error(state: State, full: bool) -> str | None:
    return (state.error if full else _STOPPED) if state.error else None


def _asks_as_operator() -> bool:
    """Whether a good operator's token came with the question; a bad one is as none."""
    if "Authorization" in request.headers:
        with suppress(LedgerError):
            identify()
    return operator()


@health.get("/metrics")
def metrics() -> Response:
    """Answer with metrics as Prometheus reads them: read models, jobs, what waits. 503 when the store cannot serve."""
    made = services()
    try:
        return Response(standing.metrics(made.ledger, made.projector), mimetype="text/plain; version=0.0.4")
    except LedgerError as error:
        return Response(f"# {error.code}\n", 503, mimetype="text/plain; version=0.0.4")
