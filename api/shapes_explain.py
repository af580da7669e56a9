"""The shape of an explanation in JSON Schema."""

from __future__ import annotations

from api.shape_kinds import Schema, many, or_null, record
from ledger.rules.explain import UNCOUNTED
from ledger.rules.segments import CLOSED, OPEN, OUTSIDE, WAITING
from ledger.scenarios import PAUSES

_CAUSE: Schema = {"type": "string", "enum": ["opened", "raised", "lowered", "upgraded", "left", "joined"]}
_WHY: Schema = {"type": "string", "enum": [OPEN, *CLOSED, *OUTSIDE, WAITING]}
_KIND: Schema = {"type": "string", "enum": ["answered_before", "without", "calendar", "level", "late_facts"]}
_UNTIL: Schema = {"type": "string", "enum": ["response", "due", "at"]}
_UNCOUNTED: Schema = {"type": "string", "enum": list(UNCOUNTED)}
_HASH: Schema = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}
_CYCLES = many(
    record(**{"from": "instant", "until": "instant?", "plain_us": "whole", "counted_us": "whole", "paused_us": "whole"})
)
_APPROVED: dict[str, str | Schema] = {
    "at": "instant",
    "by": "text",
    "approver": "text",
    "reason": "text?",
    "stands": "flag",
}
_LINES = many({"type": "string"})

_NAMED: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
# What a scenario of a what-if is called, and what it changes.
SUPPOSED: dict[str, str | Schema] = {
    "scenario": "text",
    "limits": _NAMED,
    "calendars": _NAMED,
    "holidays": many({"type": "string", "format": "date"}),
    "zone": "text?",
    "pause": {"type": "string", "enum": list(PAUSES)},
}

EXPLAIN: dict[str, Schema] = {
    "explain": record(
        **dict.fromkeys(("ticket", "account", "zone", "request"), "text"),
        **dict.fromkeys(("at", "opened_at"), "instant"),
        **dict.fromkeys(
            ("known_at", "recorded_at", "due_at", "responded_at", "response_recorded_at", "final_at"), "instant?"
        ),
        **dict.fromkeys(
            ("policy", "calendar", "calendar_zone", "responded_by", "channel", "answered_in", "merged_into"), "text?"
        ),
        level="level?",
        priority="priority?",
        limit_us="whole?",
        **{"stated?": "text"},
        raw="verdict",
        verdict="verdict",
        until=_UNTIL,
        **dict.fromkeys(("late_by_us", "late_by_counted_us", "early_by_us"), "whole"),
        **dict.fromkeys(("span_us", "elapsed_us", "used_us", "left_us"), "whole"),
        asked="flag",
        reproduced="flag",
        final="flag",
        limits=many(
            record(
                cause=_CAUSE,
                at="instant",
                level="text",
                priority="text",
                limit_us="whole",
                calendar="text?",
                due_at="instant?",
                **{"from": "instant"},
            )
        ),
        segments=many(
            record(
                us="whole",
                counted="flag",
                why=_WHY,
                day="date?",
                holiday="text?",
                calendar="text?",
                limit="whole?",
                **{"from": "instant", "until": "instant"},
            )
        ),
        unpublished=many(record(calendar="text", years=many({"type": "integer"}))),
        changes=many(
            record(
                at="instant",
                recorded_at="instant",
                made_at="instant",
                cause=_CAUSE,
                to="text",
                before="instant?",
                after="instant?",
                level="level?",
                priority="priority?",
                by="text",
                reason="text?",
                agreed="flag?",
                reminder="instant?",
                reminder_by="text?",
            )
        ),
        uncounted=many(
            record(event="text", at="instant", recorded_at="instant", by="text", channel="text?", why=_UNCOUNTED)
        ),
        late_facts=many(record(event="text", at="instant", recorded_at="instant", by="text", reason="text?")),
        excluded=or_null(record(**_APPROVED)),
        revised=or_null(record(**_APPROVED, verdict="verdict")),
        waits=many(record(**{"from": "instant", "until": "instant?", "us": "whole", "by": "text", "text": "text?"})),
        next_responses=_CYCLES,
        resolutions=_CYCLES,
        counterfactuals=many(record(kind=_KIND, of="text?", at="instant?", due_at="instant?", verdict="verdict")),
        inputs=record(stream="text", versions=many({"type": "integer"}), hash=_HASH),
        **{"under?": record(**SUPPOSED)},
        hash=_HASH,
        made_with=record(engine="text", tzdata="text"),
        words=record(es_GT=_LINES, en=_LINES),
    )
}
