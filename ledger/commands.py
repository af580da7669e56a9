"""Every command and question by name: its fields, who may call it, where it stands in the API.

The names of COMMANDS.md are fixed. `apply`, the command line, HTTP and OpenAPI all read this table.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.fields import CURRENCY, Amount, Choice, Date, Field, Flag, Id, Instant, Kind, Text, Whole, Zone
from ledger.rules.coverage import REQUESTS
from ledger.rules.grants import LEVELS
from ledger.rules.sla import CHANNELS, PRIORITIES

ROLES = ("agent", "finance", "manager", "operator")
AGENTS = frozenset({"agent", "manager", "operator"})
MONEY = frozenset({"finance", "manager", "operator"})
CLERKS = AGENTS | MONEY
MANAGERS = frozenset({"manager", "operator"})

METHODS = ("deposit", "transfer", "cash", "cheque", "retention")
LANGUAGES = ("es_GT", "en")


@dataclass(frozen=True)
class Command:
    """One way to change the ledger. `path` is its resource under /v1, with `account` or `ticket` in braces."""

    name: str
    fields: tuple[Field, ...]
    roles: frozenset[str]
    path: str
    method: str = "POST"


@dataclass(frozen=True)
class Question:
    """One way to ask the ledger about an account or a ticket; answers are folded from its streams."""

    name: str
    fields: tuple[Field, ...]
    roles: frozenset[str]
    path: str


def _need(name: str, kind: Kind) -> Field:
    return Field(name, kind)


def _may(name: str, kind: Kind) -> Field:
    return Field(name, kind, required=False)


ACCOUNT = _need("account", Id())
TICKET = _need("ticket", Id())
LEVEL = Choice(LEVELS)
PRIORITY = Choice(PRIORITIES)
REQUEST = Choice(REQUESTS)
TEXT = _may("text", Text(4000, blank=True, lines=True))
AT = _may("at", Instant())
KNOWN_AT = _may("known_at", Instant())

# What every command may carry beside its own fields. HTTP takes `by`, `role` and `key` from token and header.
COMMON = (
    AT,
    _may("by", Id()),
    _may("role", Choice(ROLES)),
    _may("reason", Text(500)),
    _may("key", Text(200)),
    _may("source", Id()),
)

COMMANDS = {
    command.name: command
    for command in (
        Command(
            "account.open",
            (
                ACCOUNT,
                _need("name", Text(200)),
                _may("nit", Text(20)),
                _may("address", Text(300)),
                _may("zone", Zone()),
                _may("currency", CURRENCY),
                _may("language", Choice(LANGUAGES)),
            ),
            CLERKS,
            "/accounts",
        ),
        Command(
            "plan.purchase",
            (
                ACCOUNT,
                _need("level", LEVEL),
                _need("term", Choice(("monthly", "yearly"))),
                _need("channel", Choice(("web", "salesperson", "licence"))),
                _may("salesperson", Text(100)),
                _may("licence_until", Date()),
                _may("pay_by", Choice(("manual", "card"))),
            ),
            CLERKS,
            "/accounts/{account}/subscriptions",
        ),
        Command(
            "licence.renew",
            (ACCOUNT, _need("licence_until", Date())),
            CLERKS,
            "/accounts/{account}/licence-renewals",
        ),
        Command(
            "payment.record",
            (
                ACCOUNT,
                _need("amount", Amount()),
                _may("currency", CURRENCY),
                _need("method", Choice(METHODS)),
                _need("reference", Text(100)),
                _may("bank", Text(60)),
            ),
            MONEY,
            "/accounts/{account}/payments",
        ),
        Command("addon.purchase", (ACCOUNT, _need("level", LEVEL)), CLERKS, "/accounts/{account}/add-ons"),
        Command(
            "courtesy.grant",
            (ACCOUNT, _need("level", LEVEL), _need("units", Whole(1, 10_000))),
            MANAGERS,
            "/accounts/{account}/courtesies",
        ),
        Command(
            "plan.cancel",
            (ACCOUNT, _may("ends", Date()), _may("override", Flag())),
            CLERKS,
            "/accounts/{account}/cancellation",
        ),
        Command(
            "plan.withdraw_cancellation",
            (ACCOUNT,),
            CLERKS,
            "/accounts/{account}/cancellation",
            method="DELETE",
        ),
        Command(
            "ticket.open",
            (
                ACCOUNT,
                TICKET,
                _need("request", REQUEST),
                _may("product", Text(100)),
                _need("priority", PRIORITY),
                _may("grant", Text(100)),
                _may("subject", Text(300)),
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
            (TICKET, _may("channel", Choice(CHANNELS)), TEXT),
            AGENTS,
            "/tickets/{ticket}/responses",
        ),
        Command(
            "ticket.prioritise",
            (TICKET, _need("priority", PRIORITY), _may("agreed", Flag()), _may("reminder", Instant())),
            AGENTS,
            "/tickets/{ticket}/priorities",
        ),
        Command("ticket.assign", (TICKET, _need("to", Id())), AGENTS, "/tickets/{ticket}/assignments"),
        Command(
            "ticket.reclassify",
            (TICKET, _need("request", REQUEST)),
            AGENTS,
            "/tickets/{ticket}/reclassifications",
        ),
        Command("ticket.give_back", (TICKET, _may("approver", Id())), AGENTS, "/tickets/{ticket}/give-backs"),
        Command("ticket.exclude", (TICKET, _may("approver", Id())), AGENTS, "/tickets/{ticket}/exclusions"),
    )
}

QUESTIONS = {
    question.name: question
    for question in (
        Question("account", (ACCOUNT, AT, KNOWN_AT), CLERKS, "/accounts/{account}"),
        Question("balance", (ACCOUNT, AT, KNOWN_AT), CLERKS, "/accounts/{account}/balance"),
        Question(
            "coverage",
            (ACCOUNT, _need("request", REQUEST), _may("product", Text(100)), _may("priority", PRIORITY), AT),
            CLERKS,
            "/accounts/{account}/coverage",
        ),
        Question("ticket", (TICKET, AT, KNOWN_AT), CLERKS, "/tickets/{ticket}"),
        Question("billing", (ACCOUNT, AT, KNOWN_AT), CLERKS, "/accounts/{account}/billing"),
        Question("history", (ACCOUNT, AT, KNOWN_AT), CLERKS, "/accounts/{account}/history"),
    )
}

# Commands that need a reason whatever their date (DOMAIN.md 12, "Response targets").
NEED_REASON = frozenset({"courtesy.grant", "ticket.give_back", "ticket.exclude"})
