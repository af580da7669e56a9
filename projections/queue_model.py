"""The queue's read model: the cases whose promise still runs, and the warnings of every case.

A case stands in `r_queue` while a due instant governs it and nobody has answered, resolved or excluded it (nor revised
its verdict to excluded): so the table is as small as the queue, however long the history. `r_warnings` holds what is
still to be warned of and what was recorded within the last week, for the job, for a moved test clock and for whoever
is to be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ledger import alerts
from ledger import facts as f
from ledger.rules import sla
from ledger.rules.subscriptions import FAR
from ledger.store import Store
from ledger.ticket import ticket_stream
from projections.model import Case, ReadModel, Rows, Stream, Table
from projections.notices import Notice

QUEUE = Table(
    "r_queue",
    (
        ("ticket", "text"),
        ("account", "text"),
        ("request", "text"),
        ("subject", "text"),
        ("level", "text"),
        ("priority", "text"),
        ("assigned_to", "text"),
        ("opened_at", "text"),
        ("due_at", "text"),
        ("calendar", "text"),
        ("waiting_since", "text"),
        ("merged_into", "text"),
        ("zone", "text"),
    ),
    (
        ("calendar", "due_at", "ticket"),
        ("assigned_to", "calendar", "due_at", "ticket"),
        ("level", "calendar", "due_at", "ticket"),
    ),
)
WARNINGS = Table(
    "r_warnings",
    (
        ("ticket", "text"),
        ("account", "text"),
        ("key", "text"),
        ("at", "text"),
        ("until", "text"),
        ("recorded", "bigint"),
        ("percent", "bigint"),
        ("due_at", "text"),
        ("level", "text"),
        ("priority", "text"),
        ("assigned_to", "text"),
        ("language", "text"),
    ),
    (("recorded", "at", "ticket"), ("key",)),
)


def rows(stream: Stream) -> Rows:
    """Return the row of one case, where its promise still runs, and its warnings."""
    case = stream.case
    if case is None or not case.clock.due_at:
        return {}
    clock, governed = case.clock, alerts.governed_by(case.limits)
    found: dict[str, list[tuple[Any, ...]]] = {WARNINGS.name: _warnings(stream, case, governed)}
    if not clock.responded_at and clock.verdict(FAR) != "excluded":
        opened = clock.opened
        calendar = governed[-1].calendar
        found[QUEUE.name] = [
            (
                stream.id, opened.ticket_no, opened.customer_no, clock.request, opened.subject, clock.verdict_level,
                clock.verdict_priority, clock.assigned_to, opened.occurred_at, clock.due_at, calendar,
                clock.waiting_since, clock.merged_into, opened.zone,
            )
        ]  # fmt: skip
    return found


def _warnings(stream: Stream, case: Case, governed: Sequence[alerts.Governed]) -> list[tuple[Any, ...]]:
    clock = case.clock
    warnings = alerts.warnings(case.facts, clock, governed, stream.catalogue)
    if not warnings:  # most cases: answered before half of their limit was used up
        return []
    since = alerts.oldest(stream.as_of)
    recorded = {fact.key for fact in case.facts if isinstance(fact, f.TicketWarned)}
    return [
        (
            stream.id, x.ticket_no, x.customer_no, _key(x), x.occurred_at, _until(x, clock), int(x.key in recorded),
            x.percent, x.due_at, clock.verdict_level, clock.verdict_priority, clock.assigned_to, "es_GT",
        )
        for x in warnings
        if x.occurred_at > since
    ]  # fmt: skip


def _until(warned: f.TicketWarned, clock: sla.Clock) -> str:
    """Return until when it makes sense to be told: a breach stays one, a warning is no use once it was answered."""
    return FAR if warned.percent == 100 else min(warned.due_at, clock.responded_at or FAR)


MODEL = ReadModel("queue", 3, "ticket/", (QUEUE, WARNINGS), rows)

Mark = tuple[str, str]  # the instant of a warning that is not recorded, and its case
START: Mark = ("", "")


def warnings_by(read: Store, instant: str, *, after: Mark = START, limit: int) -> list[Mark]:
    """Return which cases lack a warning that is due by `instant`, soonest first, from behind `after`."""
    sql = (
        "SELECT at, ticket FROM r_warnings WHERE recorded = 0 AND at <= ? AND (at, ticket) > (?, ?)"
        " ORDER BY at, ticket LIMIT ?"
    )
    return [(at, ticket) for at, ticket in read.query(sql, [instant, *after, limit])]


# --- what our people are told -----------------------------------------------------------------------------------------


def due(read: Store, *, after: str, now: str, behind: Mark = START, limit: int = 500) -> list[Notice]:
    """Return recorded warnings to be told at instant `now` that were due later than `after`, from behind `behind`."""
    sql = (
        "SELECT key, account, at, until, language, ticket, percent, due_at, level, priority, assigned_to"
        " FROM r_warnings WHERE recorded = 1 AND at > ? AND at <= ? AND until > ? AND (at, key) > (?, ?)"
        " ORDER BY at, key LIMIT ?"
    )
    return [_notice(row) for row in read.query(sql, [after, now, now, *behind, limit])]


def standing(read: Store, keys: list[str], now: str) -> set[str]:
    """Return which of `keys` are still true at instant `now`."""
    found: set[str] = set()
    for start in range(0, len(keys), 500):
        part = keys[start : start + 500]
        marks = ",".join("?" * len(part))
        sql = f"SELECT key FROM r_warnings WHERE key IN ({marks}) AND recorded = 1 AND until > ?"
        found.update(row[0] for row in read.query(sql, [*part, now]))
    return found


def running(read: Store, tickets: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return by number those of `tickets` whose promise still runs, each as its row of the queue."""
    found: dict[str, dict[str, Any]] = {}
    names = QUEUE.names[1:]
    for start in range(0, len(tickets), 500):
        part = [ticket_stream(ticket) for ticket in tickets[start : start + 500]]
        marks = ",".join("?" * len(part))
        for row in read.query(f"SELECT {', '.join(names)} FROM r_queue WHERE stream IN ({marks})", part):
            found[row[0]] = dict(zip(names, row, strict=True))
    return found


def _kind(percent: int) -> str:
    return "sla_breached" if percent == 100 else "sla_warning"


def _key(warned: f.TicketWarned) -> str:
    """Return the key of what is told of it: a warning is told once, as it is recorded once."""
    return f"{_kind(warned.percent)}:{warned.key}"


def _notice(row: tuple[Any, ...]) -> Notice:
    key, account, at, until, language, ticket, percent, due_at, level, priority, assigned_to = row
    data = {
        "ticket": ticket, "account": account, "percent": percent, "due_at": due_at, "level": level,
        "priority": priority, "assigned_to": assigned_to,
    }  # fmt: skip
    return Notice(key, account, _kind(percent), at, until, language, data)
