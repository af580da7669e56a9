"""Commands and questions on response targets: messages, merging, splitting, revisions, calendars, reports."""

from __future__ import annotations

from ledger.command import (
    AGENTS,
    APPROVER,
    AT,
    CLERKS,
    KNOWN_AT,
    LEVEL,
    MANAGERS,
    MONEY,
    Command,
    Question,
    may,
    need,
)
from ledger.fields import Choice, Date, Flag, Id, Month, Names, NewId, Since, Text, Whole
from ledger.rules.coverage import REQUESTS
from ledger.rules.sla import PRIORITIES

_TICKET = need("ticket", Id())
_TEXT = may("text", Text(4000, blank=True, lines=True))
REVISIONS = ("met", "breached", "excluded")
REPORT_BY = ("level", "priority", "month", "agent", "customer", "calendar", "channel")

SLA_COMMANDS = (
    Command("ticket.message", (_TICKET, _TEXT), AGENTS, "/tickets/{ticket}/messages"),
    Command("ticket.merge", (_TICKET, need("into", Id())), AGENTS, "/tickets/{ticket}/merges"),
    Command(
        "ticket.split",
        (
            _TICKET,
            need("new", NewId()),
            need("request", Choice(REQUESTS)),
            need("priority", Choice(PRIORITIES)),
            may("grant", Text(100)),
            may("subject", Text(300)),
        ),
        AGENTS,
        "/tickets/{ticket}/splits",
    ),
    Command(
        "ticket.revise",
        (_TICKET, need("verdict", Choice(REVISIONS)), APPROVER),
        AGENTS,
        "/tickets/{ticket}/revisions",
    ),
    Command(
        "calendar.assign",
        (
            need("level", LEVEL),
            need("priority", Choice(PRIORITIES)),
            need("calendar", Text(60)),
            may("from", Since()),
        ),
        MANAGERS,
        "/calendars/assignments",
    ),
    Command(
        "report.publish",
        (need("month", Month()), may("provisional", Flag())),
        MANAGERS,
        "/sla/reports",
    ),
)

SLA_QUESTIONS = (
    Question(
        "report",
        (
            may("by", Names(REPORT_BY)),
            may("from", Date()),
            may("to", Date()),
            AT,
            KNOWN_AT,
            may("raw", Flag()),
            may("breaches", Flag()),
            may("explain", Flag()),
            may("most", Whole(1, 10_000)),
            may("cursor", Text(200)),
            may("times", Flag()),
            may("level", LEVEL),
            may("priority", Choice(PRIORITIES)),
            may("customer", Id()),
            may("agent", Id()),
        ),
        CLERKS,
        "/sla/report",
        own="agent",
    ),
    Question(
        "compare",
        (
            may("from", Date()),
            may("to", Date()),
            AT,
            KNOWN_AT,
            may("differing", Flag()),
            may("most", Whole(1, 10_000)),
            may("level", LEVEL),
            may("priority", Choice(PRIORITIES)),
            may("customer", Id()),
            may("agent", Id()),
        ),
        CLERKS,
        "/sla/comparison",
        own="agent",
    ),
    Question("imports", (), MANAGERS, "/imports"),
    Question("published", (need("month", Month()), AT, KNOWN_AT), MONEY, "/sla/reports/{month}"),
)
