"""Routes of every command and question, made from the table in `ledger/commands.py`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec
from flask import Response, request
from flask_smorest import Blueprint

from api.context import caller, lang, services
from api.describe import PROBLEMS, answered, command_parameters, question_parameters
from api.errors import problem
from api.schemas import StrictParser, schema
from ledger.application import Caller
from ledger.commands import AT, COMMANDS, QUESTIONS, Command, Question
from ledger.errors import LedgerError, Malformed, Refused, Unavailable
from ledger.fields import Field, Text, Whole
from ledger.rules.instants import parse_instant, to_iso
from ledger.texts import text

_PATH = re.compile(r"{(\w+)}")
_KEY = re.compile(r'"?([\x21\x23-\x7e]{1,150})"?')
REASON = Field("reason", Text(500), required=False)
MIN_POSITION = Field("min_position", Whole(0, 2**53), required=False)
_CREATES = {"account.open", "plan.purchase", "payment.record", "addon.purchase", "courtesy.grant", "ticket.open"}


class LedgerBlueprint(Blueprint):
    """A blueprint whose bodies are read strictly."""

    ARGUMENTS_PARSER = StrictParser()


def blueprint() -> LedgerBlueprint:
    """Return the blueprint of all commands and questions under /v1."""
    blp = LedgerBlueprint("ledger", __name__, url_prefix="/v1", description="Commands and questions")
    for command in COMMANDS.values():
        _add_command(blp, command)
    for question in QUESTIONS.values():
        _add_question(blp, question)
    return blp


def flask_path(path: str) -> str:
    """Return a path template as Flask writes it."""
    return _PATH.sub(r"<\1>", path)


def _add_command(blp: LedgerBlueprint, command: Command) -> None:
    in_path = _PATH.findall(command.path)
    body = (*(f for f in command.fields if f.name not in in_path), AT, REASON)
    location = "json" if command.method == "POST" else "query"
    name = command.name.replace(".", "_")

    def view(values: dict[str, Any], **path: str) -> Response:
        who = caller()
        common = {k: v for k in ("at", "reason") if (v := values.pop(k, None)) is not None}
        given = {k: v for k, v in values.items() if v is not None} | path
        return _execute(command, given, common, who)

    view.__doc__ = text(f"do_{command.name}", "en")
    decorated = blp.arguments(schema(f"{name}_body", body, from_text=location == "query"), location=location)(view)
    status = 201 if command.name in _CREATES else 200
    decorated = blp.doc(
        operationId=name,
        parameters=command_parameters(),
        responses={str(status): answered("What was decided, why, and the log's position after it"), **PROBLEMS},
        security=[{"bearer": []}],
    )(decorated)
    blp.route(flask_path(command.path), methods=[command.method], endpoint=name)(decorated)


def _execute(command: Command, given: dict[str, Any], common: dict[str, Any], who: Caller) -> Response:
    at = to_iso(parse_instant(common["at"], "at")) if "at" in common else None
    reason = Text(500).parse(common["reason"], "reason") if "reason" in common else ""
    answer = services().ledger.execute(command.name, given, caller=who, at=at, reason=reason, key=_key(who))
    replayed = answer.pop("replayed", False)
    if answer.pop("ok"):
        response = _json(answer, 201 if command.name in _CREATES else 200)
        for noun in ("ticket", "account"):
            if command.name in _CREATES and noun in given:
                response.headers["Location"] = f"/v1/{noun}s/{quote(given[noun], safe='')}"
                break
    else:
        code = answer.pop("code")
        response = problem(409, code, LedgerError(code, **answer).message(lang()), answer)
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def _key(who: Caller) -> str:
    """Return the idempotency key of this caller, "" when none was given; Malformed for an unusable one."""
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return ""
    match = _KEY.fullmatch(given.strip())
    if match is None:
        raise Malformed("Idempotency-Key", given, "remedy_key")
    return f"{who.by}:{match[1]}"


def _add_question(blp: LedgerBlueprint, question: Question) -> None:
    in_path = _PATH.findall(question.path)
    query = (*(f for f in question.fields if f.name not in in_path), MIN_POSITION)

    def view(values: dict[str, Any], **path: str) -> Response:
        who = caller()
        allow(who, question.roles, question.name)
        reached(values.pop("min_position", None))
        given = {k: v for k, v in values.items() if v is not None} | path
        return conditional(services().ledger.ask(question.name, given))

    view.__doc__ = text(f"ask_{question.name}", "en")
    decorated = blp.arguments(schema(f"{question.name}_query", query, from_text=True), location="query")(view)
    decorated = blp.doc(
        operationId=f"ask_{question.name}",
        parameters=question_parameters(),
        responses={"200": answered("The answer, as of the instant asked"), **PROBLEMS},
        security=[{"bearer": []}],
    )(decorated)
    blp.route(flask_path(question.path), methods=["GET"], endpoint=f"ask_{question.name}")(decorated)


def allow(who: Caller, roles: frozenset[str], name: str) -> None:
    """Raise Refused unless the caller's role may ask this."""
    if who.role not in roles:
        raise Refused("role_not_allowed", role=who.role, command=name, roles=", ".join(sorted(roles)))


def wanted_position(given: int | None) -> int | None:
    """Return the position a reader must see at least: the query's, else the header's."""
    header = request.headers.get("X-Position-At-Least")
    if given is None and header is not None:
        if not (header.isascii() and header.isdigit() and len(header) < 16):
            raise Malformed("X-Position-At-Least", header, "remedy_whole", least=0, most=2**53)
        return int(header)
    return given


def reached(given: int | None) -> None:
    """Raise Unavailable unless the log, from which accounts and cases are folded, has what the reader must see."""
    position = wanted_position(given)
    if position is not None and (last := services().ledger.store.last_position()) < position:
        raise Unavailable("behind", name="log", position=last, wanted=position)


def _json(answer: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(answer), status=status, mimetype="application/json")


def conditional(answer: Any) -> Response:
    """Return an answer with its ETag; 304 when the client has it (compared weakly, RFC 9110 13.1.2)."""
    body = msgspec.json.encode(answer)
    tag = hashlib.sha256(body).hexdigest()[:32]
    if request.if_none_match.contains_weak(tag):
        response = Response(status=304)
    else:
        response = Response(body, mimetype="application/json")
    response.set_etag(tag)
    return response


View = Callable[..., Response]
