"""Wiring: the Flask application, its document, its headers and its log."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import secrets
import time
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, g, render_template, request

from api import clock, contact, document, lists, vocabulary
from api.addresses import Proxies, behind
from api.context import Services, identify, lang
from api.errors import ProblemApi, http_problem, problem, register
from api.gateway import gateway
from api.health import health
from api.operations import Operation
from api.schemas import MAX_BODY, check_no_query, field_to_schema
from ledger.card_numbers import card_number
from ledger.settings import Settings
from ledger.texts import table, text

_log = logging.getLogger("supportledger.access")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
        " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}


def create_app(settings: Settings | None = None) -> Flask:
    """Return the application of `settings` (of the environment by default); nothing is opened yet."""
    settings = settings or Settings.read()
    proxies = Proxies(settings.trusted_proxies)
    app = Flask("api", root_path=str(Path(__file__).parent))
    app.url_map.merge_slashes = False  # two slashes are another path, not a redirect to one that holds a blank id
    app.config.update(
        API_TITLE="Support Ledger",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX=None,  # the document is served by us, once it is complete
        MAX_CONTENT_LENGTH=MAX_BODY,
    )
    app.extensions["ledger"] = Services(settings)
    api = ProblemApi(app)
    api.ma_plugin.converter.add_attribute_function(field_to_schema)
    operations: list[Operation] = []
    known: set[str] = set()
    for blueprint in (vocabulary.blueprint(), contact.blueprint(), clock.blueprint(), lists.blueprint()):
        api.register_blueprint(blueprint)
        operations += blueprint.operations
        known |= {f"{blueprint.name}.{made.id}" for made in blueprint.operations}
    app.extensions["ledger_operations"] = frozenset(known)  # they look at their query themselves
    app.register_blueprint(health)
    app.register_blueprint(gateway)
    app.add_url_rule("/openapi.json", "openapi", _Document(api.spec, operations))
    app.add_url_rule("/docs", "docs", lambda: render_template("docs.html"))
    app.add_url_rule("/problems/<code>", "problem_page", _problem_page)
    app.before_request(_begin)
    app.after_request(_finish)
    register(app)
    app.wsgi_app = behind(app.wsgi_app, proxies)  # type: ignore[assignment,method-assign]
    return app


class _Document:
    """The view of the OpenAPI document: written at the first request, the same bytes from then on."""

    __name__ = "openapi"

    def __init__(self, spec: Any, operations: list[Operation]) -> None:
        self._spec, self._operations = spec, operations

    @cached_property
    def body(self) -> bytes:
        """The document as JSON."""
        known = deepcopy(self._spec.to_dict())
        return json.dumps(document.complete(known, self._operations), ensure_ascii=False).encode()

    def __call__(self) -> Response:
        response = Response(self.body, mimetype="application/json")
        response.set_etag(hashlib.sha256(self.body).hexdigest()[:24])
        response.make_conditional(request.environ)
        return response


def _problem_page(code: str) -> Response:
    """Say what a problem's code means, in both languages: `type` can be followed."""
    if code not in table():
        return http_problem(404)
    words = table()[code]
    return Response(f"{code}\n\n{words['es']}\n\n{words['en']}\n", mimetype="text/plain")


def _begin() -> Response | None:
    sent = request.headers.get("X-Request-Id", "")
    kept = _REQUEST_ID.fullmatch(sent) and not card_number(sent)  # it is logged
    g.request_id = sent if kept else secrets.token_hex(8)
    g.started = time.perf_counter_ns()
    if request.path.startswith("/v1/") and request.blueprint != gateway.name:  # whose messages are signed
        identify()
    if request.routing_exception is not None:
        return None  # no such resource, or not by this method: whatever body came with it
    if request.endpoint not in current_app.extensions["ledger_operations"]:
        check_no_query(request)
    if request.content_length or request.headers.get("Transfer-Encoding"):
        if request.method == "DELETE":
            return problem(400, "body_not_taken", text("body_not_taken", lang()))
        if not request.is_json:
            return http_problem(415)
    return None


def _finish(response: Response) -> Response:
    headers = response.headers
    headers["X-Request-Id"] = g.get("request_id", "")
    for name, value in _HEADERS.items():
        headers[name] = value
    if not request.path.startswith("/static/"):
        headers.setdefault("Cache-Control", "private, no-cache")
    if _log.isEnabledFor(logging.INFO):
        route = request.url_rule.rule if request.url_rule is not None else "-"
        elapsed = (time.perf_counter_ns() - g.get("started", time.perf_counter_ns())) / 1_000_000
        who = g.caller.by if "caller" in g else "-"
        _log.info(
            "%s %s %s %.1f ms %s by=%s from=%s",
            *(request.method, route, response.status_code, elapsed, g.get("request_id")),
            *(json.dumps(who, ensure_ascii=False) if " " in who else who, request.remote_addr or "-"),
        )
    return response
