"""Routes of every command and question, made from the table in `ledger/commands.py`."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from flask import Response, request

from api.context import caller, lang, services
from api.errors import problem
from api.operations import LedgerBlueprint, Operation, given
from api.responses import MOST_POSITION, as_json, conditional, wanted_position
from ledger.approving import PENDING
from ledger.command import APPROVER
from ledger.commands import AT, COMMANDS, QUESTIONS, Command, Question
from ledger.errors import LedgerError, Malformed, Unavailable
from ledger.fields import Field, Text, Whole
from ledger.texts import text

REASON = Field("reason", Text(500), required=False)
MIN_POSITION = Field("min_position", Whole(0, MOST_POSITION), required=False)
# A token, or a string of RFC 9651 (structured fields), whose escapes nobody needs in a key.
KEY = re.compile(r'"([\x21\x23-\x5b\x5d-\x7e]{1,200})"|([\x21\x23-\x7e]{1,200})')
_CREATES = {
    *("account.open", "plan.purchase", "payment.record", "addon.purchase", "courtesy.grant", "ticket.open"),
    *("plan.upgrade", "card.register", "payment.refund", "charge.discount", "charge.credit", "books.close"),
    *("report.publish", "document.reissue"),
}
# What a client may then GET; the other creations are told by the account.
_LOCATIONS = {"account.open": "account", "ticket.open": "ticket"}


def blueprint() -> LedgerBlueprint:
    """Return the blueprint of all commands and questions under /v1."""
    blp = LedgerBlueprint("ledger")
    for command in COMMANDS.values():
        _add_command(blp, command)
    for question in QUESTIONS.values():
        _add_question(blp, question)
    return blp


def _add_command(blp: LedgerBlueprint, command: Command) -> None:
    operation = Operation(
        id=command.name.replace(".", "_"),
        name=command.name,
        method=command.method,
        path=command.path,
        # Who approves acts by themselves: a name in a body is no approval.
        fields=(*(field for field in command.fields if field.name != APPROVER.name), AT, REASON),
        roles=command.roles,
        tag=_tag(command.path),
        answer=command.name,
        summary=text(f"do_{command.name}", "en"),
        only=command.only,
        status=201 if command.name in _CREATES else 200,
    )

    def view(values: dict[str, Any], **path: str) -> Response:
        return _execute(operation, given(values) | path)

    blp.operation(operation, view)


def _execute(operation: Operation, values: dict[str, Any]) -> Response:
    who = caller()
    at, reason = values.pop("at", None), values.pop("reason", None)
    answer = services().ledger.execute(
        operation.name,
        values,
        caller=who,
        at=None if at is None else AT.kind.parse(at, "at"),
        reason="" if reason is None else REASON.kind.parse(reason, "reason"),
        key=_key(who.by),
    )
    replayed = answer.pop("replayed", False)
    if answer.pop("ok"):
        response = as_json(answer, 202 if PENDING in answer else operation.status)
        if PENDING in answer:
            response.headers["Location"] = f"/v1/approval-requests/{answer[PENDING]}"
        elif noun := _LOCATIONS.get(operation.name):
            response.headers["Location"] = f"/v1/{noun}s/{quote(values[noun], safe='')}"
    else:
        code = answer.pop("code")
        response = problem(409, code, LedgerError(code, **answer).message(lang()), answer)
    response.headers["Cache-Control"] = "no-store"
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def _key(by: str) -> str:
    """Return the idempotency key of this caller, "" when none was given; Malformed for an unusable one."""
    sent = request.headers.get("Idempotency-Key")
    if sent is None:
        return ""
    match = KEY.fullmatch(sent.strip())
    if match is None:
        raise Malformed("Idempotency-Key", sent, "remedy_key")
    key = Text(200).parse(match[1] or match[2], "Idempotency-Key")  # it is kept, so it may be no card number
    return f"{by}/{key}"  # no name holds a slash, so nobody can meet another's key


def _add_question(blp: LedgerBlueprint, question: Question) -> None:
    operation = Operation(
        id=f"ask_{question.name}",
        name=question.name,
        method="GET",
        path=question.path,
        fields=(*question.fields, MIN_POSITION),
        roles=question.roles,
        tag=_tag(question.path),
        answer=question.name,
        summary=text(f"ask_{question.name}", "en"),
        only=question.only,
    )

    def view(values: dict[str, Any], **path: str) -> Response:
        _reached(values.pop("min_position", None))
        asked = given(values) | path
        answer = services().ledger.ask(question.name, asked, caller=caller())
        if "at" in answer and "at" not in asked:
            return conditional(answer, {name: value for name, value in answer.items() if name != "at"})
        return conditional(answer)

    blp.operation(operation, view)


def _reached(position: int | None) -> None:
    """Raise Unavailable unless the log, from which accounts and cases are folded, has what the reader must see."""
    wanted = wanted_position(position)
    if wanted is not None and (last := services().ledger.store.last_position()) < wanted:
        raise Unavailable("behind", name="log", position=last, wanted=wanted)


def _tag(path: str) -> str:
    return path.split("/")[1]
