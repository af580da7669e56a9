"""Every refusal as problem details (RFC 9457), mapped to HTTP in this one place."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from flask import Flask, Response, g
from flask_smorest import Api
from werkzeug.exceptions import HTTPException

from api.context import Unauthorised, lang
from ledger.errors import Conflict, LedgerError, Malformed, NotFound, Refused, Unavailable
from ledger.texts import table, text

_log = logging.getLogger("supportledger.api")
_RETRY_AFTER = "2"
_HTTP_CODES = {
    400: "bad_request",
    404: "no_such_resource",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
    500: "internal_error",
}


def status_of(error: LedgerError) -> int:
    """Return the HTTP status of a refusal."""
    if isinstance(error, Unauthorised):
        return 401
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, Malformed):
        return 400 if error.facts["field"] in ("body", "line") else 422
    if isinstance(error, Unavailable):
        return 503
    if error.code == "role_not_allowed":
        return 403
    return 409 if isinstance(error, (Conflict, Refused)) else 500


def problem(status: int, code: str, detail: str, facts: dict[str, Any] | None = None) -> Response:
    """Return a problem: `type` and `code` are stable, `detail` is for people, facts for programs."""
    title = text(f"title_{status}", lang()) if f"title_{status}" in table() else code
    # Members of RFC 9457 come last: no fact of the same name may stand in their place.
    body = {
        **(facts or {}),
        "type": f"/problems/{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": g.get("request_id", ""),
    }
    return Response(msgspec.json.encode(body), status=status, mimetype="application/problem+json")


def refused(error: LedgerError) -> Response:
    """Return the problem of a refusal."""
    status = status_of(error)
    facts = dict(error.facts)
    if isinstance(error, Malformed):
        facts.pop("remedy")
        facts["errors"] = [{"pointer": f"#/{facts['field']}", "detail": error.message(lang())}]
    answer = problem(status, error.code, error.message(lang()), facts)
    if status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="supportledger"'
    if status == 503:
        answer.headers["Retry-After"] = _RETRY_AFTER
    return answer


class ProblemApi(Api):
    """flask-smorest with problem details instead of its own errors."""

    def handle_http_exception(self, error: HTTPException) -> Response:
        """Return a problem for what Flask refuses by itself, keeping its headers (405's Allow)."""
        status = error.code or 500
        code = _HTTP_CODES.get(status, "http_error")
        detail = text(f"title_{status}", lang()) if f"title_{status}" in table() else error.name
        answer = problem(status, code, detail)
        for name, value in error.get_headers():
            if name.lower() not in ("content-type", "content-length"):
                answer.headers[name] = value
        return answer

    def _register_responses(self) -> None:
        """Leave out flask-smorest's own error responses: operations document problems themselves."""


def register(app: Flask) -> None:
    """Map refusals and our own mistakes."""
    app.register_error_handler(LedgerError, refused)
    app.register_error_handler(Exception, _mistake)


def _mistake(error: Exception) -> Response:
    _log.error("request %s failed", g.get("request_id", ""), exc_info=error)
    return problem(500, "internal_error", text("title_500", lang()))
