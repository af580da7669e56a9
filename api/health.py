"""Whether it lives, and whether it can serve: for probes and people, without a token."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response, current_app

from api.context import lang, services
from ledger.errors import LedgerError
from ledger.texts import text
from projections import standing

health = Blueprint("health", __name__)


@health.get("/livez")
def livez() -> Response:
    """Answer without touching anything."""
    return Response(b'{"live":true}', mimetype="application/json")


@health.get("/readyz")
def readyz() -> Response:
    """Answer 200 when the store serves and no read model has stopped, else 503 with what is wrong."""
    made = services()
    answer: dict[str, Any] = {"ready": True, "problems": []}
    try:
        store = made.ledger.store
        store.check()
        made.projector.prepare()
        answer["position"] = store.last_position()
        answer["warnings"] = [text(key, lang()) for key in store.warnings()]
        states = made.projector.states()
        answer["projections"] = [
            {"name": s.name, "position": s.position, "lag": s.lag, "error": s.error or None} for s in states
        ]
        answer["problems"] = [f"{s.name}: {s.error}" for s in states if s.error]
    except LedgerError as error:
        answer["problems"] = [error.message(lang())]
    worker = current_app.extensions.get("ledger_worker")
    if worker is not None and worker.error:
        answer["problems"].append(worker.error)
    answer["ready"] = not answer["problems"]
    return Response(msgspec.json.encode(answer), 200 if answer["ready"] else 503, mimetype="application/json")


@health.get("/metrics")
def metrics() -> Response:
    """Answer with metrics as Prometheus reads them: read models, jobs, what waits. 503 when the store cannot serve."""
    made = services()
    try:
        return Response(standing.metrics(made.ledger, made.projector), mimetype="text/plain; version=0.0.4")
    except LedgerError as error:
        return Response(f"# {error.code}\n", 503, mimetype="text/plain; version=0.0.4")
