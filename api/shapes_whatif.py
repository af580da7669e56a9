"""The shape of a what-if's answer in JSON Schema."""

from __future__ import annotations

from api.shape_kinds import Schema, many, or_null, record

_SHARE: Schema = {"type": ["string", "null"], "pattern": r"^[0-9]{1,3}\.[0-9]{2}$", "examples": ["95.00"]}
_FIGURES = record(**dict.fromkeys(("total", "met", "breached", "open", "excluded"), "whole"), share=_SHARE)
_SIDE = record(level="level", priority="priority", limit="text", calendar="text", due_at="instant?", verdict="verdict")
_NAMED: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
_COUNTS: Schema = {"type": "object", "additionalProperties": {"type": "integer"}}
_FLIP = record(
    ticket="text",
    started_at="instant",
    responded_at="instant?",
    before=_SIDE,
    after=_SIDE,
    **{"explained?": or_null({"type": "object"})},
)
_SCENARIO = record(
    scenario="text",
    limits=_NAMED,
    calendars=_NAMED,
    holidays=many({"type": "string", "format": "date"}),
    zone="text?",
    pause={"type": "string", "enum": ["none", "waiting"]},
    rows=many(record(level="level", priority="priority", before=_FIGURES, after=_FIGURES)),
    totals=record(before=_FIGURES, after=_FIGURES),
    changed=_COUNTS,
    flips_total="whole",
    flips=many(_FLIP),
    warnings=many(record(code="text", calendar="text", years=many({"type": "integer"}))),
)

_AIM = record(
    aim="text",
    limit="text?",
    limit_seconds="whole?",
    share=_SHARE,
    met="whole",
    decided="whole",
    **{"for": "text"},
)
_CURVE = record(level="level", priority="priority", points=many(record(limit_seconds="whole", share=_SHARE)))
_MAY_BE: dict[str, str | Schema] = {"from": "date?", "to": "date?", "aim?": _AIM, "curves?": many(_CURVE)}

WHAT_IF: dict[str, Schema] = {
    "what_if": record(
        at="instant",
        position="whole",
        raw="flag",
        cases="whole",
        scenarios=many(_SCENARIO),
        **_MAY_BE,
    ),
}
