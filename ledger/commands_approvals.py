"""Commands and questions on approvals: giving, refusing and withdrawing one; what waits for whom."""

from __future__ import annotations

import re
from typing import Any

from ledger.command import AT, CLERKS, KNOWN_AT, MONEY, Command, Question, may, need
from ledger.errors import Malformed
from ledger.fields import Choice, Id, Kind
from ledger.requests import STATES

_NUMBER = re.compile(r"R-[1-9][0-9]{0,8}", re.ASCII)
VIEWS = ("waiting", "mine", "all")


class RequestNumber(Kind):
    """The number of a request for approval, such as R-1."""

    about = "request_number"

    def parse(self, value: Any, field: str) -> str:
        if not isinstance(value, str) or _NUMBER.fullmatch(value) is None:
            raise Malformed(field, value, "remedy_request_number")
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^R-[1-9][0-9]{0,8}$", "examples": ["R-1"]}


# Commands that may have to wait for a second person (`ledger.needs` says when).
MAY_WAIT = frozenset(
    {
        *("charge.credit", "charge.discount", "charge.void", "charge.write_off", "payment.refund", "courtesy.grant"),
        *("plan.cancel", "ticket.exclude", "ticket.give_back", "ticket.reclassify", "ticket.revise"),
    }
)
_REQUEST = need("request", RequestNumber())

APPROVAL_COMMANDS = (
    Command("approval.give", (_REQUEST,), MONEY, "/approval-requests/{request}/approvals"),
    Command("approval.refuse", (_REQUEST,), MONEY, "/approval-requests/{request}/refusals"),
    Command("approval.withdraw", (_REQUEST,), CLERKS, "/approval-requests/{request}/withdrawals"),
)

APPROVAL_QUESTIONS = (
    Question(
        "approvals",
        (
            may("view", Choice(VIEWS)),
            may("status", Choice(STATES)),
            may("account", Id()),
            may("ticket", Id()),
            may("asked_by", Id()),
            AT,
            KNOWN_AT,
        ),
        CLERKS,
        "/approval-requests",
    ),
    Question("approval", (_REQUEST, AT, KNOWN_AT), CLERKS, "/approval-requests/{request}"),
)
