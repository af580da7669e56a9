"""Tickets: each case with its clock, as the facts recorded so far tell it. What depends on now is left to queries."""

from __future__ import annotations

from typing import Any

from ledger import facts as f
from ledger.alerts import ALWAYS
from ledger.rules import measures
from ledger.rules.subscriptions import FAR, local_day
from ledger.store import Store
from projections.model import Case, ReadModel, Rows, Stream, Table

TICKETS = Table(
    "r_tickets",
    (
        ("ticket", "text"),
        ("account", "text"),
        ("request", "text"),
        ("subject", "text"),
        ("level", "text"),
        ("priority", "text"),
        ("grant_id", "text"),
        ("why", "text"),
        ("opened_at", "text"),
        ("opened_on", "text"),
        ("month", "text"),
        ("due_at", "text"),
        ("responded_at", "text"),
        ("counted_at", "text"),
        ("channel", "text"),
        ("agent", "text"),
        ("assigned_to", "text"),
        ("waiting_since", "text"),
        ("resolved_at", "text"),
        ("verdict_level", "text"),
        ("verdict_priority", "text"),
        ("excluded", "text"),
        ("approver", "text"),
        ("revised", "text"),
        ("merged_into", "text"),
        ("policy", "text"),
        ("calendar", "text"),
        ("started_at", "text"),
        ("elapsed_us", "bigint"),
        ("plain", "bigint"),
        ("final_at", "text"),
        ("zone", "text"),
    ),
    (("ticket",), ("account", "ticket"), ("month",)),
)


def rows(stream: Stream) -> Rows:
    """Return the row of one case."""
    row = row_at(stream, FAR)
    return {} if row is None else {TICKETS.name: [row]}


def row_at(stream: Stream, at: str) -> tuple[Any, ...] | None:
    """Return the row of one case as of instant `at`, None when it was not open yet."""
    case = stream.case if at == FAR else stream.case_at(at)
    if case is None:
        return None
    clock, opened = case.clock, case.clock.opened
    day = local_day(opened.occurred_at, opened.zone).isoformat()
    calendar, elapsed_us = _counted(case)
    return (
        stream.id, opened.ticket_no, opened.customer_no, clock.request, opened.subject, clock.level,
        clock.priority, clock.grant, opened.why, opened.occurred_at, day, day[:7], clock.due_at,
        clock.responded_at, clock.counted_at, clock.channel, clock.responded_by or clock.assigned_to,
        clock.assigned_to, clock.waiting_since, clock.resolved_at, clock.verdict_level, clock.verdict_priority,
        clock.excluded, clock.approver, clock.revised, clock.merged_into,
        clock.policy or opened.policy, calendar, clock.started_at, elapsed_us, int(_plain(case)), clock.final_at(),
        opened.zone,
    )  # fmt: skip


def _counted(case: Case) -> tuple[str, int]:
    """Return the calendar of the limit that governs, and the counted microseconds from the start to the response.

    Each limit counts in its own calendar, as the explanation tells it. "" where it never had a target; -1 without a
    target or a response that counts, or where that came before the start.
    """
    clock = case.clock
    found = [one for one in case.limits if one.cause != "left"]
    calendar = (found[-1].calendar or ALWAYS) if found else ""
    if not (clock.due_at and clock.counted_at) or clock.counted_at < clock.started_at:
        return calendar, -1
    return calendar, measures.counted(found, clock.counted_at, case.terms)


def _plain(case: Case) -> bool:
    """Whether the due instant is the opening's, whatever the policy: then its row alone tells it under any other.

    A change after the due instant moved nothing, but would have under a longer limit: only an earlier response ends
    what may move it. A case may leave compliance also after its response, unless it was breached by then.
    """
    clock = case.clock
    if len(clock.moves) != 1 or clock.late or clock.started_at != clock.opened.occurred_at:
        return False
    answered = clock.responded_at or FAR
    moving = [fact for fact in case.facts if type(fact) in _MOVING]
    return not any(isinstance(fact, f.TicketReclassified) or fact.occurred_at < answered for fact in moving)


_MOVING = frozenset({f.TicketPrioritised, f.TicketPlanUpgraded, f.TicketReclassified})


_INTERNAL = ("plain", "elapsed_us", "started_at", "counted_at")
MODEL = ReadModel("tickets", 6, "ticket/", (TICKETS,), rows)


def tickets(
    read: Store, *, account: str = "", holder: str = "", after: str = "", limit: int = 50
) -> list[dict[str, Any]]:
    """Return cases in order of their number, from behind `after`, of one account or of all.

    `holder`: only those that they hold or answered, and those that nobody does yet.
    """
    names = [name for name in TICKETS.names[1:] if name not in _INTERNAL]
    where, given = ["ticket > ?"], [after]
    if account:
        where.append("account = ?")
        given.append(account)
    if holder:
        where.append("(agent IN ('', ?) OR assigned_to = ?)")
        given += [holder, holder]
    sql = f"SELECT {', '.join(names)} FROM r_tickets WHERE {' AND '.join(where)} ORDER BY ticket LIMIT ?"
    return [dict(zip(names, row, strict=True)) for row in read.query(sql, [*given, limit])]
