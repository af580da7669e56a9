"""The shapes of the live queue and of the radar in JSON Schema."""

from __future__ import annotations

from api.shape_kinds import Schema, many, record

_STATE: Schema = {"type": "string", "enum": ["overdue", "at_risk", "running"]}
_SHARE: Schema = {"type": "string", "examples": ["95", "99.5"]}

QUEUE: dict[str, Schema] = {
    "queue": record(
        **{
            "at": "instant",
            "minutes": "whole",
            "overdue": "whole",
            "at_risk": "whole",
            "items": many(
                record(
                    ticket="text",
                    account="text",
                    request="text",
                    subject="text?",
                    level="level",
                    priority="priority",
                    assigned_to="text?",
                    opened_at="instant",
                    due_at="instant",
                    calendar="text",
                    waiting_since="instant?",
                    merged_into="text?",
                    state=_STATE,
                    left_seconds="whole",
                    latest_at="instant",
                    closes_at="instant?",
                    opens_at="instant?",
                )
            ),
            "next": "text?",
            "budget?": many(
                record(
                    level="level",
                    month="month",
                    share=_SHARE,
                    **dict.fromkeys(("counted", "late", "open", "allowed", "left"), "whole"),
                )
            ),
        }
    ),
}
