"""The shapes of requests for approval in JSON Schema."""

from __future__ import annotations

from api.shape_kinds import Schema, many, record

_VALUE: Schema = {"type": ["string", "integer", "null"]}
_REQUEST = record(
    **dict.fromkeys(("request", "status", "rule", "command", "account", "asked_by", "role"), "text"),
    **dict.fromkeys(("ticket", "currency", "reason", "closed_by", "closed_reason"), "text?"),
    amount="money?",
    asked_at="instant",
    until="instant",
    closed_at="instant?",
    approvers=many({"type": "string"}),
    effects=many(record(what="text", before=_VALUE, after=_VALUE)),
    says=record(es_GT="text", en="text"),
    alone="flag",
)
_CLOSED: dict[str, str | Schema] = {"request": "text", "command": "text"}

APPROVALS: dict[str, Schema] = {
    "approval": _REQUEST,
    "approvals": record(view="text", at="instant", requests=many(_REQUEST), more="flag"),
}
APPROVAL_COMMANDS: dict[str, Schema] = {
    "approval.give": record(**_CLOSED, effect={"type": "object"}),
    "approval.refuse": record(**_CLOSED),
    "approval.withdraw": record(**_CLOSED),
}
PENDING: dict[str, Schema] = {"pending": record(pending="text", position="whole")}
