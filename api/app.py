"""Wiring: the Flask application, its document, its headers and its log."""

from __future__ import annotations

import logging
import re
import secrets
import time
from pathlib import Path

from flask import Flask, Response, g, render_template, request

from api import lists, vocabulary
from api.context import Services
from api.describe import complete, only_our_problems
from api.errors import ProblemApi, problem, register
from api.health import health
from api.schemas import MAX_BODY, field_to_schema
from ledger.settings import Settings
from ledger.texts import text

_log = logging.getLogger("supportledger.access")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CSP = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"


def create_app(settings: Settings | None = None) -> Flask:
    """Return the application of `settings` (of the environment by default); nothing is opened yet."""
    app = Flask("api", root_path=str(Path(__file__).parent))
    app.config.update(
        API_TITLE="Support Ledger",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH="openapi.json",
        MAX_CONTENT_LENGTH=MAX_BODY,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["ledger"] = Services(settings or Settings.read())
    api = ProblemApi(app)
    api.ma_plugin.converter.add_attribute_function(field_to_schema)
    complete(api.spec)
    api.register_blueprint(vocabulary.blueprint())
    api.register_blueprint(lists.blueprint())
    only_our_problems(api.spec)
    app.register_blueprint(health)
    app.add_url_rule("/docs", "docs", lambda: render_template("docs.html"))
    app.add_url_rule("/problems/<code>", "problem_page", _problem_page)
    app.before_request(_begin)
    app.after_request(_finish)
    register(app)
    return app


def _problem_page(code: str) -> Response:
    """Say what a problem's code means, in both languages: `type` can be followed."""
    try:
        words = f"{text(code, 'es_GT')}\n{text(code, 'en')}\n"
    except KeyError:
        return problem(404, "no_such_resource", text("title_404", "es_GT"))
    return Response(words, mimetype="text/plain")


def _begin() -> Response | None:
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    g.started = time.perf_counter_ns()
    if request.content_length and not request.is_json:
        return problem(415, "unsupported_media_type", text("title_415", "es_GT"))
    return None


def _finish(response: Response) -> Response:
    headers = response.headers
    headers["X-Request-Id"] = g.get("request_id", "")
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    headers["Content-Security-Policy"] = _CSP
    if not request.path.startswith("/static/"):
        headers.setdefault("Cache-Control", "private, no-cache")
    if _log.isEnabledFor(logging.INFO):
        route = request.url_rule.rule if request.url_rule is not None else "-"
        elapsed = (time.perf_counter_ns() - g.get("started", time.perf_counter_ns())) / 1_000_000
        _log.info("%s %s %s %.1f ms %s", request.method, route, response.status_code, elapsed, g.get("request_id"))
    return response
