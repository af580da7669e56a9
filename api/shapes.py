"""The shapes of answers in JSON Schema, for the document; the tests hold real answers against them.

Answers are made by the ledger and sent as they are: this only describes them. A member is required unless its name
ends in `?`; a kind that ends in `?` may be null.
"""

from __future__ import annotations

from api.shape_kinds import Schema, many, or_null, record
from api.shapes_approvals import APPROVAL_COMMANDS, APPROVALS, PENDING
from api.shapes_books import BOOKS, DOCUMENTS
from api.shapes_explain import EXPLAIN
from api.shapes_lists import CASE, CLOCK, COUNTS, LABELS, LISTS
from api.shapes_queue import QUEUE
from api.shapes_reports import PUBLISH, REPORTS
from api.shapes_whatif import WHAT_IF
from ledger.commands import COMMANDS

_SPAN = record(**{"from": "instant", "until": "instant"})
_PLAN: dict[str, str | Schema] = {
    "state": "state",
    "level": "level?",
    "subscription": "text?",
    "period": or_null(_SPAN),
    "cancel_by": "date?",
    "ends_on": "date?",
    "charge?": "text",
}
_STANDING: Schema = {"type": "string", "enum": ["up_to_date", "pending"]}
_NET: dict[str, str | Schema] = {"gross": "money", "net": "money", "tax": "money"}
_ASKED: dict[str, str | Schema] = {"id": "text", **_NET, "currency": "text", "due_on": "date"}
_CHARGE = record(**_ASKED)
_GRANT = record(
    grant="text",
    kind="text",
    level="level",
    units="whole",
    **{name: of for name, of in COUNTS.items() if name != "granted"},
    taken_by=many(record(at="instant", ticket="text", units="whole")),
    **{"from": "instant", "until": "instant?"},
)
_GIVEN: dict[str, str | Schema] = {"grant": "text", "kind": "text", "level": "level", "units": "whole"}
_OPENED = record(ticket="text", grant="text?", why="text?", level="level?", due_at="instant?", limit_seconds="whole?")
_SUMS = (
    *("billed", "net", "tax", "paid", "paid_assumed", "credited", "written_off", "due", "refund_owed", "credit"),
    *("unapplied", "received", "assumed", "unused_assumed", "refunded", "reversed", "upgrade_excess"),
)
_CARD: dict[str, str | Schema] = {"card_charge?": record(attempt="text", charge="text", outcome="text", code="text?")}
_LEFT: dict[str, str | Schema] = {
    "charge": "text",
    "state": "text",
    "due": "money",
    "credit_balance": "money",
    "currency": "text",
}
_PURSE: dict[str, str | Schema] = {"credit": "money", "unapplied": "money", "currency": "text"}
_SCHEDULED = record(**{"subscription": "text", "level?": "level", "term?": "text", "effective_on": "date"})

_QUESTIONS: dict[str, Schema] = {
    "account": record(
        account="text",
        name="text",
        nit="text?",
        address="text?",
        zone="text",
        currency="text",
        language="text",
        opened_at="instant",
        at="instant",
        **_PLAN,
        standing=_STANDING,
        remaining="whole",
    ),
    "balance": record(account="text", at="instant", **_PLAN, **COUNTS, grants=many(_GRANT), not_yet_recorded="whole"),
    "coverage": record(
        True,
        account="text",
        outcome="outcome",
        code="text",
        consumes="flag",
        grant="text?",
        why="text?",
        level="level?",
        limit_seconds="whole?",
        calendar="text?",
    ),
    "ticket": record(
        account="text",
        **CASE,
        **LABELS,
        **{name: "instant?" for name in CLOCK if name != "due_at"},
        responded_by="text?",
        given_back="flag",
    ),
    "billing": record(
        account="text",
        at="instant",
        currency="text",
        standing=_STANDING,
        **dict.fromkeys(_SUMS, "money"),
        charges=many(
            record(
                kind="text",
                **_ASKED,
                **dict.fromkeys(("discount", "credited", "written_off", "paid", "paid_assumed", "due"), "money"),
                state="text",
                cause="text?",
            )
        ),
        refund_debts=many(record(id="text", payment="text", amount="money", due_on="date", paid="money", due="money")),
    ),
    "preview": record(
        account="text",
        of="text",
        at="instant",
        on="date",
        **{"ends_on?": "date", "effective_on?": "date"},
        charge=or_null(_CHARGE),
        **dict.fromkeys(("discount", "from_credit", "due", "owed_before", "credit_after"), "money"),
        currency="text",
        granted=many(record(**{**_GIVEN, "from": "instant", "until": "instant?"})),
        voided=many(record(grant="text", units="whole")),
        level="level?",
        term="text?",
        renews_on="date?",
        cancel_by="date?",
    ),
    "documents": DOCUMENTS,
    "payments": record(
        account="text",
        at="instant",
        currency="text",
        payments=many(
            record(
                payment="text",
                value_date="instant",
                amount="money",
                method="text",
                reference="text",
                slip_total="money?",
                pays=many(record(charge="text", amount="money")),
                available="money",
                refunded="money",
                reversed="flag",
                reversed_amount="money",
                assumed="flag",
            )
        ),
        attempts=many(
            record(attempt="text", charge="text", amount="money", asked_at="instant", state="text", code="text?")
        ),
    ),
    "history": record(
        account="text",
        name="text",
        currency="text",
        entries=many(
            record(
                True,
                position="whole",
                at="instant",
                recorded_at="instant",
                event="text",
                by="text",
                source="text",
                reason="text?",
            )
        ),
    ),
}


_COMMANDS: dict[str, Schema] = {
    "account.open": record(account="text"),
    "plan.purchase": record(subscription="text", charge=or_null(_CHARGE), **_CARD),
    "plan.upgrade": record(
        subscription="text",
        charge=_CHARGE,
        **dict.fromkeys(("credit", "excess", "due"), "money"),
        effective="flag",
        **_CARD,
    ),
    "plan.downgrade": _SCHEDULED,
    "plan.change_term": _SCHEDULED,
    "plan.withdraw_change": _SCHEDULED,
    "plan.pay_by": record(subscription="text", pay_by="text", **_CARD),
    "card.register": record(card="text", **_CARD),
    "card.charge": record(charge="text", attempt="text", **_CARD),
    "payment.apply": record(applied=many(record(payment="text", amount="money")), **_PURSE),
    "payment.refund": record(refund="text", amount="money", **_PURSE, state="text"),
    "payment.reverse": record(
        payment="text",
        amount="money",
        reopened=many({"type": "string"}),
        refund_owed="money",
        state="text",
        credit="money",
        currency="text",
    ),
    "charge.discount": record(discount="text", **_LEFT),
    "charge.void": record(**_LEFT),
    "charge.write_off": record(amount="money", **_LEFT),
    "charge.credit": record(note="text", **_NET, **_LEFT),
    "document.certify": record(document="text", uuid="text"),
    **BOOKS,
    "gateway.script": record(outcomes=many({"type": "string"})),
    "licence.renew": record(subscription="text", licence_until="date"),
    "payment.record": record(
        payment="text",
        applied=many(record(charge="text", amount="money")),
        credit="money",
        unapplied="money",
        currency="text",
    ),
    "addon.purchase": record(charge=_CHARGE, **_CARD),
    "courtesy.grant": record(grant="text"),
    "plan.cancel": record(subscription="text", ends_on="date", overridden="flag", undoes_renewal="flag"),
    "plan.withdraw_cancellation": record(subscription="text", renews_on="date"),
    "ticket.open": _OPENED,
    "ticket.assign": record(ticket="text", assigned_to="text"),
    "ticket.give_back": record(ticket="text", grant="text"),
    "ticket.respond": record(**CASE, counts="flag"),
    "ticket.merge": record(**CASE, into="text"),
    "ticket.split": _OPENED,
    "ticket.revise": record(**CASE, was="verdict"),
    "report.publish": PUBLISH,
    "calendar.assign": record(
        level="level", priority="priority", calendar="text", **{"from": "instant", "until": "instant?"}
    ),
}


_CLOCK_STATE: Schema = {"type": "string", "enum": ["real", "unset", "frozen", "running"]}
_BESIDE: dict[str, Schema] = {
    "clock_show": record(now="instant", test_clock="flag", state=_CLOCK_STATE),
    "clock_move": record(
        True, now="instant", position="whole", **dict.fromkeys(("instants", "accounts", "facts"), "whole")
    ),
    "contact": record(account="text", email="text", name="text?", changed_at="instant"),
    "contact_forget": record(account="text", forgotten="whole"),
}


def shapes() -> dict[str, Schema]:
    """Return the schema of every answer by the name operations give it; a command's has the log's position too."""
    position = {"type": "integer", "description": "The log's position after it: give it as min_position to read it"}
    found: dict[str, Schema] = {}
    for name in COMMANDS:
        shape = (_COMMANDS | APPROVAL_COMMANDS).get(name) or record(**CASE)
        found[name] = {
            **shape,
            "properties": {**shape["properties"], "position": position},
            "required": [*shape["required"], "position"],
        }
    return found | PENDING | _QUESTIONS | APPROVALS | EXPLAIN | LISTS | _BESIDE | REPORTS | QUEUE | WHAT_IF
