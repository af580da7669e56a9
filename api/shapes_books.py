"""Shapes of answers on the books: documents, closed months, who the customer is."""

from __future__ import annotations

from api.shape_kinds import Schema, many, record

_NET: dict[str, str | Schema] = {"gross": "money", "net": "money", "tax": "money"}
_SWEPT: Schema = {f"{name}?": record(accounts="whole", facts="whole") for name in ("recorded", "to_record")}

_ALONE = record(
    **dict.fromkeys(("request", "rule", "command", "account", "asked_by"), "text"),
    **dict.fromkeys(("ticket", "reason"), "text?"),
    amount="money?",
)

BOOKS: dict[str, Schema] = {
    "document.reissue": record(
        document="text",
        charge="text",
        **_NET,
        currency="text",
        name="text",
        nit="text?",
        address="text?",
        credit_note="text",
        invoice="text",
    ),
    "account.change": record(
        account="text", changed=many(record(field="text", before="text?", after="text?")), zone_from="date?"
    ),
    "books.close": record(
        month="month",
        months=many({"type": "string"}),
        documents=many(record(month="month", series="text", kind="text", count="whole", **_NET, currency="text")),
        **_SWEPT,
        **{"dry_run?": "flag"},
        **{"approved_alone?": many(_ALONE)},
    ),
}

DOCUMENTS = record(
    account="text",
    documents=many(
        record(
            document="text",
            kind="text",
            charge="text",
            issued_at="instant",
            value_date="instant",
            booked_in="month",
            **_NET,
            currency="text",
            name="text",
            nit="text?",
            address="text?",
            uuid="text?",
            certified_as="text?",
        )
    ),
)
