"""Every refusal as problem details (RFC 9457), mapped to HTTP in this one place."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

import msgspec
from flask import Flask, Response, g, request
from flask_smorest import Api
from werkzeug.exceptions import HTTPException

from api.context import lang, operator
from api.refusals import TooManyBadTokens, Unacceptable, Unauthorised, UnknownParameter, Unreadable
from ledger.errors import Conflict, LedgerError, Malformed, NotFound, Refused, Unavailable
from ledger.texts import table, text

_log = logging.getLogger("supportledger.api")
_RETRY_AFTER = "2"
_REALM = 'Bearer realm="supportledger"'
_SIGNED = 'Standard-Webhooks realm="supportledger"'
HTTP_CODES = {
    400: "bad_request",
    404: "no_such_resource",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
    500: "internal_error",
}
REFUSED_BY_ROLE = ("role_not_allowed", "role_not_with", "not_your_case", "paid_by_card")
_HARMLESS = {"name", "position", "wanted", "lag", "seconds", "most", "least"}  # facts of 503 that stand in open answers
_HEADERS = ("Idempotency-Key", "X-Position-At-Least")


def status_of(error: LedgerError) -> int:
    """Return the HTTP status of a refusal."""
    if isinstance(error, Unauthorised):
        return 401
    if isinstance(error, TooManyBadTokens):
        return 429
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, Unreadable):
        return 400
    if isinstance(error, Malformed):
        return 422
    if isinstance(error, Unavailable):
        return 503
    if error.code in REFUSED_BY_ROLE:
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
    answer = Response(msgspec.json.encode(body), status=status, mimetype="application/problem+json")
    answer.headers["Content-Language"] = lang().replace("_", "-")
    answer.headers["Vary"] = "Accept-Language"
    answer.headers["Cache-Control"] = "no-store"
    return answer


def http_problem(status: int) -> Response:
    """Return the problem of a status that HTTP itself gives: there is nothing more to tell."""
    code = HTTP_CODES.get(status, "http_error")
    return problem(status, code, text(code, lang()))


def refused(error: LedgerError) -> Response:
    """Return the problem of a refusal."""
    status = status_of(error)
    if status == 500:
        return _mistake(error)
    facts, detail = dict(error.facts), error.message(lang())
    if status == 503 and not _tells_nothing(error):
        _log.error("request %s unavailable: %s", g.get("request_id", ""), error)
        if not operator():
            facts = {name: fact for name, fact in facts.items() if name in _HARMLESS}
            detail = text("unavailable_detail", lang(), request_id=g.get("request_id", ""))
    if isinstance(error, Malformed):
        facts.pop("remedy")
        every = error.every if isinstance(error, Unacceptable) else (error,)
        facts["errors"] = [_error(one) for one in every]
    answer = problem(status, error.code, detail, facts)
    if status == 401:
        answer.headers["WWW-Authenticate"] = _challenge(error.code)
    if status == 429:
        answer.headers["Retry-After"] = str(error.facts["seconds"])
    if status == 503 and error.code != "question_too_long":
        answer.headers["Retry-After"] = _RETRY_AFTER
    return answer


def _tells_nothing(error: LedgerError) -> bool:
    """Whether a refusal may be told to anybody: it names no file, no server and nobody's account."""
    return error.facts.keys() <= _HARMLESS


def _challenge(code: str) -> str:
    if code.startswith("webhook_"):
        return _SIGNED
    return _REALM if code == "token_missing" else f'{_REALM}, error="invalid_token"'


def _error(error: Malformed) -> dict[str, Any]:
    """Return where a value stands, and what is wrong with it."""
    field = error.name if isinstance(error, Unreadable) else str(error.facts["field"])
    return {
        "pointer": f"#/{quote(field.replace('~', '~0').replace('/', '~1'), safe='~')}" if field else "#",
        "in": "query" if isinstance(error, UnknownParameter) else _place(field),
        "name": field,
        "value": error.facts["value"],
        "detail": error.message(lang()),
    }


def _place(field: str) -> str:
    if field in _HEADERS:
        return "header"
    if field in (request.view_args or {}):
        return "path"
    return "body" if request.method == "POST" else "query"


class ProblemApi(Api):
    """flask-smorest with problem details instead of its own errors."""

    def handle_http_exception(self, error: HTTPException) -> Response:
        """Return a problem for what Flask refuses by itself, keeping its headers (405's Allow)."""
        answer = http_problem(error.code or 500)
        for name, value in error.get_headers():
            if name.lower() not in ("content-type", "content-length"):
                answer.headers[name] = value
        return answer

    def _register_responses(self) -> None:
        """Leave out flask-smorest's own error responses: operations document problems themselves."""

    def _register_pagination_header(self) -> None:
        """Leave out flask-smorest's own pages: ours go by cursor."""


def register(app: Flask) -> None:
    """Map refusals and our own mistakes."""
    app.register_error_handler(LedgerError, refused)
    app.register_error_handler(Exception, _mistake)


def _mistake(error: Exception) -> Response:
    """Say nothing of our own mistake but the request's number, under which the log has it."""
    _log.error("request %s failed", g.get("request_id", ""), exc_info=error)
    return http_problem(500)
