"""Commands on response targets: messages, merging and splitting, revisions of final verdicts, calendars."""

from __future__ import annotations

from ledger.command import AGENTS, APPROVER, LEVEL, MANAGERS, Command, may, need
from ledger.fields import Choice, Id, Since, Text
from ledger.rules.coverage import REQUESTS
from ledger.rules.sla import PRIORITIES

_TICKET = need("ticket", Id())
_TEXT = may("text", Text(4000, blank=True, lines=True))
REVISIONS = ("met", "breached", "excluded")

SLA_COMMANDS = (
    Command("ticket.message", (_TICKET, _TEXT), AGENTS, "/tickets/{ticket}/messages"),
    Command("ticket.merge", (_TICKET, need("into", Id())), AGENTS, "/tickets/{ticket}/merges"),
    Command(
        "ticket.split",
        (
            _TICKET,
            need("new", Id()),
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
        MANAGERS,
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
)
