"""Every command and question by name: its fields, who may call it, where it stands in the API.

The names of COMMANDS.md are fixed. `apply`, the command line, HTTP and OpenAPI all read this table.
"""

from __future__ import annotations

from ledger.command import (
    ACCOUNT,
    AGENTS,
    APPROVER,
    AT,
    CHANNEL,
    CLERKS,
    KNOWN_AT,
    LEVEL,
    MANAGERS,
    MONEY,
    NEW_ACCOUNT,
    PAY_BY,
    REFERENCE,
    ROLES,
    TERM,
    Command,
    Only,
    Question,
    by_name,
    may,
    need,
)
from ledger.commands_approvals import APPROVAL_COMMANDS, APPROVAL_QUESTIONS
from ledger.commands_billing import BILLING_COMMANDS, BILLING_QUESTIONS, CORRECTIONS
from ledger.commands_explain import EXPLAIN_QUESTIONS
from ledger.commands_queue import QUEUE_QUESTIONS
from ledger.commands_sla import SLA_COMMANDS, SLA_QUESTIONS
from ledger.commands_whatif import WHATIF_QUESTIONS
from ledger.fields import (
    CURRENCY,
    OWN_CURRENCY,
    Amount,
    Choice,
    Date,
    Flag,
    Id,
    Instant,
    Name,
    NewId,
    Text,
    Whole,
    Zone,
)
from ledger.rules.coverage import REQUESTS
from ledger.rules.responses import CHANNELS
from ledger.rules.sla import PRIORITIES

__all__ = ["ASKER", "AT", "CLERKS", "COMMANDS", "COMMON", "MANAGERS", "MONEY", "NEED_REASON", "QUESTIONS", "ROLES"]
__all__ += ["Command", "Question"]

METHODS = ("deposit", "transfer", "cash", "cheque", "retention")
LANGUAGES = ("es_GT", "en")

TICKET = need("ticket", Id())
PRIORITY = Choice(PRIORITIES)
REQUEST = Choice(REQUESTS)
TEXT = may("text", Text(4000, blank=True, lines=True))

# What every command may carry beside its own fields. HTTP takes `by`, `role` and `key` from token and header.
COMMON = (
    AT,
    may("by", Name()),
    may("role", Choice(ROLES)),
    may("reason", Text(500)),
    may("key", Text(200)),
    may("source", Id()),
)

# What a question's line may carry beside its fields in `apply`: as whom it is asked. HTTP takes both from the token.
ASKER = (may("role", Choice(ROLES)), may("as", Name()))

COMMANDS = by_name(
    (
        Command(
            "account.open",
            (
                NEW_ACCOUNT,
                need("name", Text(200, seen=True)),
                may("nit", Text(20, seen=True)),
                may("address", Text(300, seen=True)),
                may("zone", Zone()),
                may("currency", OWN_CURRENCY),
                may("language", Choice(LANGUAGES)),
            ),
            CLERKS,
            "/accounts",
        ),
        Command(
            "account.change",
            (
                ACCOUNT,
                may("name", Text(200, seen=True)),
                may("nit", Text(20, seen=True)),
                may("address", Text(300, seen=True)),
                may("zone", Zone()),
                may("language", Choice(LANGUAGES)),
            ),
            MONEY,
            "/accounts/{account}/changes",
        ),
        Command(
            "plan.purchase",
            (
                ACCOUNT,
                need("level", LEVEL),
                need("term", TERM),
                need("channel", CHANNEL),
                may("salesperson", Text(100)),
                may("licence_until", Date()),
                may("pay_by", PAY_BY),
            ),
            CLERKS,
            "/accounts/{account}/subscriptions",
            only=(Only("agent", "channel", ("web", "salesperson")), Only("agent", "pay_by", ("manual",))),
        ),
        Command(
            "licence.renew",
            (ACCOUNT, need("licence_until", Date())),
            MONEY,
            "/accounts/{account}/licence-renewals",
        ),
        Command(
            "payment.record",
            (
                ACCOUNT,
                need("amount", Amount()),
                may("currency", CURRENCY),
                need("method", Choice(METHODS)),
                need("reference", REFERENCE),
                may("bank", Text(60)),
                may("slip_total", Amount()),
            ),
            MONEY,
            "/accounts/{account}/payments",
        ),
        Command("addon.purchase", (ACCOUNT, need("level", LEVEL)), CLERKS, "/accounts/{account}/add-ons"),
        Command(
            "courtesy.grant",
            (ACCOUNT, need("level", LEVEL), need("units", Whole(1, 10_000)), APPROVER),
            MANAGERS,
            "/accounts/{account}/courtesies",
        ),
        Command(
            "plan.cancel",
            (ACCOUNT, may("ends", Date()), may("override", Flag()), APPROVER),
            CLERKS,
            "/accounts/{account}/cancellation",
        ),
        Command(
            "plan.withdraw_cancellation",
            (ACCOUNT,),
            MONEY,
            "/accounts/{account}/cancellation",
            method="DELETE",
        ),
        Command(
            "ticket.open",
            (
                ACCOUNT,
                need("ticket", NewId()),
                need("request", REQUEST),
                may("product", Text(100)),
                need("priority", PRIORITY),
                may("grant", Text(100)),
                may("subject", Text(300)),
            ),
            AGENTS,
            "/accounts/{account}/tickets",
        ),
        *(
            Command(f"ticket.{verb}", (TICKET, TEXT), AGENTS, f"/tickets/{{ticket}}/{noun}")
            for verb, noun in (
                ("acknowledge", "acknowledgements"),
                ("note", "notes"),
                ("wait", "waits"),
                ("resume", "resumptions"),
                ("resolve", "resolutions"),
                ("reopen", "reopenings"),
            )
        ),
        Command(
            "ticket.respond",
            (TICKET, may("channel", Choice(CHANNELS)), TEXT),
            AGENTS,
            "/tickets/{ticket}/responses",
        ),
        Command(
            "ticket.remind",
            (TICKET, may("channel", Choice(CHANNELS)), TEXT),
            AGENTS,
            "/tickets/{ticket}/reminders",
        ),
        Command(
            "ticket.prioritise",
            (TICKET, need("priority", PRIORITY), may("agreed", Flag()), may("reminder", Instant())),
            AGENTS,
            "/tickets/{ticket}/priorities",
        ),
        Command("ticket.assign", (TICKET, need("to", Name())), AGENTS, "/tickets/{ticket}/assignments"),
        Command(
            "ticket.reclassify",
            (TICKET, need("request", REQUEST), APPROVER),
            AGENTS,
            "/tickets/{ticket}/reclassifications",
        ),
        Command("ticket.give_back", (TICKET, APPROVER), AGENTS, "/tickets/{ticket}/give-backs"),
        Command("ticket.exclude", (TICKET, APPROVER), AGENTS, "/tickets/{ticket}/exclusions"),
        *SLA_COMMANDS,
        *BILLING_COMMANDS,
        *APPROVAL_COMMANDS,
    )
)

QUESTIONS = by_name(
    (
        Question("account", (ACCOUNT, AT, KNOWN_AT), CLERKS, "/accounts/{account}"),
        Question("balance", (ACCOUNT, AT, KNOWN_AT), CLERKS, "/accounts/{account}/balance"),
        Question(
            "coverage",
            (ACCOUNT, need("request", REQUEST), may("product", Text(100)), may("priority", PRIORITY), AT),
            CLERKS,
            "/accounts/{account}/coverage",
        ),
        Question("ticket", (TICKET, AT, KNOWN_AT), CLERKS, "/tickets/{ticket}"),
        Question("billing", (ACCOUNT, AT, KNOWN_AT), CLERKS, "/accounts/{account}/billing"),
        Question("history", (ACCOUNT, AT, KNOWN_AT), CLERKS, "/accounts/{account}/history"),
        *BILLING_QUESTIONS,
        *APPROVAL_QUESTIONS,
        *EXPLAIN_QUESTIONS,
        *QUEUE_QUESTIONS,
        *SLA_QUESTIONS,
        *WHATIF_QUESTIONS,
    )
)

# Commands that need a reason whatever their date (DOMAIN.md 9, 12, "Response targets").
NEED_REASON = (
    frozenset({"document.reissue", "courtesy.grant", "ticket.give_back", "ticket.exclude", "ticket.revise"})
    | CORRECTIONS
)
