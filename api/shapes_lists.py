"""The shapes of lists in JSON Schema, and what a customer and a case are told with everywhere."""

from __future__ import annotations

from api.shape_kinds import Schema, many, record

COUNTS: dict[str, str | Schema] = dict.fromkeys(("granted", "used", "expired", "voided", "remaining"), "whole")
CASE: dict[str, str | Schema] = {
    "ticket": "text",
    "request": "text",
    "priority": "priority",
    "level": "level?",
    "grant": "text?",
    "due_at": "instant?",
    "verdict": "verdict",
}
CLOCK = ("opened_at", "due_at", "responded_at", "waiting_since", "resolved_at", "final_at")
LABELS: dict[str, str | Schema] = {
    "subject": "text?",
    "why": "text?",
    "assigned_to": "text?",
    "verdict_level": "level?",
    "verdict_priority": "priority?",
    "excluded": "text?",
}


def _page(item: Schema) -> Schema:
    return record(items=many(item), next="text?")


LISTS: dict[str, Schema] = {
    "list_accounts": _page(
        record(
            account="text",
            name="text",
            state="state",
            level="level?",
            period_until="instant?",
            ends_on="date?",
            **COUNTS,
            at="instant",
            next_due="instant?",
        )
    ),
    "list_tickets": _page(
        record(
            account="text",
            **dict.fromkeys(("channel", "approver", "merged_into", "policy", "calendar"), "text?"),
            revised="verdict?",
            **{name: of for name, of in CASE.items() if name != "verdict"},
            **LABELS,
            **{name: "instant?" for name in CLOCK if name != "due_at"},
            opened_on="date",
            month="month",
            agent="text?",
        )
    ),
    "list_declines": _page(
        record(
            position="whole",
            account="text",
            ticket="text",
            request="text",
            priority="priority?",
            product="text?",
            code="text",
            declined_at="instant",
            actor="text",
            charge="text?",
        )
    ),
    "list_billing_entries": _page(
        record(
            account="text",
            month="month",
            booked_in="month",
            occurred_at="instant",
            recorded_at="instant",
            position="whole",
            entry="text",
            subject="text",
            amount="money",
            assumed="money",
            units="whole",
            currency="text",
            actor="text",
            source="text",
            reason="text?",
        )
    ),
}
