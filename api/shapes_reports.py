"""The shapes of compliance reports in JSON Schema: times in whole microseconds, shares in hundredths of a per cent."""

from __future__ import annotations

from api.shape_kinds import Schema, many, or_null, record
from api.shapes_explain import EXPLAIN
from ledger.commands_sla import REPORT_BY
from projections import compare
from projections.compliance import VERDICTS
from projections.published import CAUSES

_FIGURES: dict[str, str | Schema] = {
    **dict.fromkeys(("total", "met", "breached", "open", "excluded"), "whole"),
    "met_bp": "whole?",
    **dict.fromkeys(("p50_us?", "p90_us?", "p95_us?", "worst_us?"), "whole?"),
}
_CELL: dict[str, str | Schema] = {
    "level": "level",
    "priority": "priority",
    "verdict": "verdict",
    "elapsed_us": "whole?",
}
_WHY: dict[str, str | Schema] = {"explanation?": EXPLAIN["explain"]}
_PUBLISHED_ROWS = many(record(level="level", priority="priority", **_FIGURES))

_CAUSE: Schema = {"type": "string", "enum": list(compare.CAUSES)}

PUBLISH = record(month="month", published_at="instant", provisional="flag", cases="whole", digest="text")
REPORTS: dict[str, Schema] = {
    "report": record(
        at="instant",
        zone="text",
        known_at="instant?",
        by=many({"type": "string", "enum": list(REPORT_BY)}),
        raw="flag",
        **{"from?": "date", "to?": "date", "level?": "level", "priority?": "priority"},
        **{"customer?": "text", "agent?": "text"},
        rows=many(record(**dict.fromkeys((f"{name}?" for name in REPORT_BY), "text"), **_FIGURES)),
        totals=record(**_FIGURES),
        **{"next?": "text?"},
        **{
            "breaches?": many(
                record(
                    ticket="text",
                    customer="text",
                    agent="text?",
                    level="level",
                    priority="priority",
                    month="month",
                    calendar="text?",
                    due_at="instant",
                    responded_at="instant?",
                    late_us="whole",
                    **_WHY,
                )
            ),
        },
    ),
    "compare": record(
        at="instant",
        known_at="instant?",
        totals=record(
            **dict.fromkeys(("tickets", "judged", "agree", "differ"), "whole"),
            **{f"ours_{verdict}": "whole" for verdict in VERDICTS},
            **{f"theirs_{verdict}": "whole" for verdict in compare.THEIR_VERDICTS},
            ours_met_bp="whole?",
            theirs_met_bp="whole?",
        ),
        causes=many(record(why=_CAUSE, count="whole")),
        tickets=many(
            record(
                **dict.fromkeys(("ticket", "customer", "system"), "text"),
                **dict.fromkeys(("agent", "stated", "why_calendar"), "text?"),
                level="level?",
                priority="priority",
                opened_at="instant",
                verdict="verdict",
                their_verdict={"enum": [*compare.THEIR_VERDICTS, None]},
                agrees="flag?",
                **dict.fromkeys(("due_at", "their_due_at", "responded_at", "their_responded_at"), "instant?"),
                why=many(_CAUSE),
            )
        ),
    ),
    "imports": record(
        imports=many(
            record(
                at="instant",
                **dict.fromkeys(("by", "source", "file", "mapping", "mapping_digest", "digest"), "text"),
                stated_by="text?",
                **dict.fromkeys(("rows", "rejected"), "whole"),
            )
        )
    ),
    "published": record(
        month="month",
        published_at="instant",
        actor="text",
        provisional="flag",
        reason="text?",
        final_from="instant?",
        zone="text",
        earlier=many(
            record(
                published_at="instant",
                actor="text",
                reason="text?",
                digest="text",
                known_up_to="whole",
                published=_PUBLISHED_ROWS,
                totals=or_null(record(**_FIGURES)),
            )
        ),
        digest="text",
        known_up_to="whole",
        at="instant",
        known_at="instant?",
        published=_PUBLISHED_ROWS,
        now=_PUBLISHED_ROWS,
        totals=record(published=or_null(record(**_FIGURES)), now=record(**_FIGURES)),
        differences=many(
            record(
                ticket="text",
                was=or_null(record(**_CELL)),
                cause={"type": "string", "enum": list(CAUSES)},
                fact=or_null(record(event="text", at="instant", recorded_at="instant", by="text", reason="text?")),
                **{"is": or_null(record(**_CELL))},
            )
        ),
    ),
}
