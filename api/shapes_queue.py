"""The shapes of the live queue and of the radar in JSON Schema."""

from __future__ import annotations

from api.shape_kinds import Schema, many, record

_STATE: Schema = {"type": "string", "enum": ["overdue", "at_risk", "running"]}
_SHARE: Schema = {"type": "string", "examples": ["95", "99.5"]}

_ITEM: dict[str, str | Schema] = {
    **dict.fromkeys(("ticket", "account", "request", "calendar"), "text"),
    **dict.fromkeys(("subject", "assigned_to", "merged_into"), "text?"),
    "level": "level",
    "priority": "priority",
    **dict.fromkeys(("opened_at", "due_at", "latest_at"), "instant"),
    **dict.fromkeys(("waiting_since", "closes_at", "opens_at"), "instant?"),
    "state": _STATE,
    "left_seconds": "whole",
}
_BUDGET: dict[str, str | Schema] = {
    "level": "level",
    "month": "month",
    "share": _SHARE,
    **dict.fromkeys(("counted", "late", "open", "allowed", "left"), "whole"),
}
_ANSWER: dict[str, str | Schema] = {
    "at": "instant",
    "zone": "text",
    **dict.fromkeys(("minutes", "overdue", "at_risk"), "whole"),
    "items": many(record(**_ITEM)),
    "next": "text?",
    "budget?": many(record(**_BUDGET)),
}
_ACT: dict[str, str | Schema] = {
    "act": "text",
    "ticket": "text",
    "account": "text",
    "at": "instant",
    "actor": "text?",
    "other": "text?",
    "left_seconds": "whole?",
    "later_at": "instant?",
}
_RADAR: dict[str, str | Schema] = {
    "month": "month",
    "zone": "text",
    "note": "text",
    "found": many(record(act="text", count="whole")),
    "answers": many(record(agent="text", **dict.fromkeys(("answers", "under_a_minute", "share_bp"), "whole"))),
    "exclusions": many(record(agent="text?", approver="text", count="whole")),
    "cases": many(record(**_ACT)),
}
QUEUE: dict[str, Schema] = {"queue": record(**_ANSWER), "radar": record(**_RADAR)}
