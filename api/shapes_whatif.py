"""The shape of a what-if's answer in JSON Schema."""

from __future__ import annotations

from api.shape_kinds import Schema, many, record
from api.shapes_explain import SUPPOSED

_SHARE: Schema = {"type": ["string", "null"], "pattern": r"^[0-9]{1,3}\.[0-9]{2}$", "examples": ["95.00"]}
_FIGURES = record(**dict.fromkeys(("total", "met", "breached", "open", "excluded"), "whole"), share=_SHARE)
_SIDE = record(level="level", priority="priority", limit="text", calendar="text", due_at="instant?", verdict="verdict")
_COUNTS: Schema = {"type": "object", "additionalProperties": {"type": "integer"}}
_EXPLANATION: Schema = {"$ref": "#/components/schemas/explain_answer"}
_FLIP = record(
    ticket="text",
    started_at="instant",
    responded_at="instant?",
    before=_SIDE,
    after=_SIDE,
    **{"explained?": record(before=_EXPLANATION, after=_EXPLANATION)},
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
_SCENARIO = record(
    **SUPPOSED,
    rows=many(record(level="level", priority="priority", before=_FIGURES, after=_FIGURES)),
    totals=record(before=_FIGURES, after=_FIGURES),
    changed=_COUNTS,
    flips_total="whole",
    flips=many(_FLIP),
    **{"aims?": many(_AIM), "curves?": many(_CURVE)},
    warnings=many(record(code="text", calendar="text", years=many({"type": "integer"}))),
)
_MAY_BE: dict[str, str | Schema] = {"from": "date?", "to": "date?"}

WHAT_IF: dict[str, Schema] = {
    "what_if": record(
        at="instant",
        zone="text",
        position="whole",
        raw="flag",
        cases="whole",
        scenarios=many(_SCENARIO),
        **_MAY_BE,
    ),
}
