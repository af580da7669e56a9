"""What-if told naively, with no line of the project's code: random cases as raw rows, and their fold under any promise.

Instants are whole microseconds since 1970. The business hours are those of Guatemala (UTC-6), span by span.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
LEVELS, PRIORITIES = ("basic", "advanced", "corporate"), ("low", "medium", "high")
PRESENT = {
    **{("basic", p): 8 * HOUR for p in ("low", "medium")},
    **{("advanced", p): 4 * HOUR for p in ("low", "medium")},
    **{("corporate", p): 2 * HOUR for p in ("low", "medium")},
    ("basic", "high"): 2 * HOUR,
    ("advanced", "high"): HOUR,
    ("corporate", "high"): HOUR,
}
MONDAY = int(datetime(2026, 8, 3, 6, tzinfo=UTC).timestamp()) * SECOND  # its midnight in Guatemala: no holiday follows
Due = Callable[[str, str, int], int]


def present(level: str, priority: str, start: int) -> int:
    return start + PRESENT[level, priority]


def business(start: int, limit: int) -> int:
    """Return when `limit` is used up from Monday to Friday, eight to five."""
    at, left = start, limit
    while True:
        days = (at - MONDAY) // DAY
        opens, closes = MONDAY + days * DAY + 8 * HOUR, MONDAY + days * DAY + 17 * HOUR
        if days % 7 < 5 and at < closes:
            begin = max(at, opens)
            if left <= closes - begin:
                return begin + left
            left -= closes - begin
        at = MONDAY + (days + 1) * DAY


def iso(us: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def us(text: str) -> int:
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@dataclass
class Told:
    """A case under a promise: `due` is None where it has no target."""

    due: int | None
    cell: tuple[str, str]
    answered: int | None

    def verdict(self, now: int, excluded: bool) -> str:
        if self.due is None:
            return "none"
        if excluded:
            return "excluded"
        if self.answered is not None:
            return "met" if self.answered < self.due else "breached"
        return "open" if now < self.due else "breached"


@dataclass
class Case:
    number: str
    level: str
    priority: str
    start: int
    events: list[dict[str, Any]] = field(default_factory=list)
    excluded: bool = False

    def tell(self, due: Due) -> Told:
        """Fold it under `due`."""
        answered = min((e["at"] for e in self.events if e["kind"] in ("respond", "resolve")), default=None)
        level, priority = self.level, self.priority
        told = Told(due(level, priority, self.start), (level, priority), answered)
        first, first_cell = told.due, told.cell
        for event in self.events:
            at, runs = event["at"], told.due is not None and event["at"] < told.due
            runs = runs and not (answered is not None and answered <= at)
            if event["kind"] == "priority":
                raised = PRIORITIES.index(event["to"]) > PRIORITIES.index(priority)
                priority = event["to"]
                new = due(level, priority, at if raised else self.start)
                if runs and (new < told.due if raised else event["agreed"] and new > told.due):  # type: ignore[operator]
                    told.due, told.cell = new, (level, priority)
            elif event["kind"] == "upgrade":
                level = event["to"]
                new = due(level, priority, at)
                if runs and new < told.due:  # type: ignore[operator]
                    told.due, told.cell = new, (level, priority)
            elif event["kind"] == "leave":
                breached = told.due is not None and told.due <= at and not (answered and answered < told.due)
                told.due = told.due if breached else None
            elif event["kind"] == "join":
                new = due(level, priority, at)
                if told.due is None:
                    told.due, told.cell = first, first_cell
                elif runs and new < told.due:
                    told.due, told.cell = new, (level, priority)
        return told

    def rows(self) -> list[tuple[str, bytes]]:
        """Return its rows as a ledger under the present policy would have written them: (topic, JSON)."""
        both = {"customer_no": "C-1", "by": "ana", "source": "console", "ticket_no": self.number}
        opened = {
            "occurred_at": iso(self.start), "request": "general", "priority": self.priority, "level": self.level,
            "zone": "America/Guatemala", "grant": "G", "policy": "2000-01", "calendar": "24x7@1",
            "limit_us": PRESENT[self.level, self.priority],
            "due_at": iso(present(self.level, self.priority, self.start)),
        }  # fmt: skip
        found = [("ticket.opened", json.dumps(both | opened).encode())]
        level, priority, seen = self.level, self.priority, Case(self.number, self.level, self.priority, self.start)
        for event in self.events:
            before = seen.tell(present)
            at = event["at"]
            runs = before.due is not None and at < before.due and not (before.answered and before.answered <= at)
            more: dict[str, Any] = {"occurred_at": iso(at)}
            if event["kind"] == "priority":
                raised = PRIORITIES.index(event["to"]) > PRIORITIES.index(priority)
                priority = event["to"]
                due_at = iso(present(level, priority, at if raised else self.start)) if runs else ""
                more |= {"priority": priority, "direction": "raise" if raised else "lower", "due_at": due_at}
                more |= {"agreed": event["agreed"]}
            elif event["kind"] == "upgrade":
                level = event["to"]
                more |= {"level": level, "due_at": iso(present(level, priority, at))}
            elif event["kind"] == "leave":
                more |= {"request": "administrative"}
            elif event["kind"] == "join":
                more |= {
                    "request": "general",
                    "level": level,
                    "due_at": iso(present(self.level, self.priority, self.start)),
                }
            elif event["kind"] == "respond":
                more |= {"channel": "platform", "counts": True}
            topic = {
                "priority": "prioritised", "upgrade": "plan_upgraded", "leave": "reclassified", "join": "reclassified",
                "respond": "responded", "resolve": "resolved", "wait": "waiting", "resume": "resumed",
            }[event["kind"]]  # fmt: skip
            found.append((f"ticket.{topic}", json.dumps(both | more).encode()))
            seen.events.append(event)
        if self.excluded:
            more = {"occurred_at": iso(self.start + 60 * HOUR), "approver": "beatriz", "reason": "outage"}
            found.append(("ticket.excluded", json.dumps(both | more).encode()))
        return found


def make(number: int, chance: random.Random) -> Case:
    """Return a random case of four weeks: changes close to due instants, ties included."""
    start = MONDAY + chance.randrange(25 * 24) * HOUR + chance.choice((0, 0, 1, -1, chance.randrange(HOUR)))
    case = Case(f"R-{number}", chance.choice(LEVELS), chance.choice(PRIORITIES), max(start, MONDAY))
    case.excluded = chance.random() < 0.1
    level, priority, served = case.level, case.priority, True
    at = case.start
    for _ in range(chance.choice((0, 0, 1, 2, 3, 5))):
        at += chance.choice((1, HOUR // 2, HOUR, 2 * HOUR, 4 * HOUR, 9 * HOUR)) - chance.choice((0, 0, 1))
        kinds = ["priority", "priority", "wait"] + (["upgrade"] if level != "corporate" else [])
        kind = chance.choice([*kinds, "leave" if served else "join"])
        event: dict[str, Any] = {"at": at, "kind": kind}
        if kind == "priority":
            priority = chance.choice([p for p in PRIORITIES if p != priority])
            runs = case.tell(present)
            event |= {"to": priority, "agreed": chance.random() < 0.5 or bool(runs.due and at < runs.due)}
        elif kind == "upgrade":
            level = chance.choice(LEVELS[LEVELS.index(level) + 1 :])
            event |= {"to": level}
        elif kind in ("leave", "join"):
            served = not served
        case.events.append(event)
    if chance.random() < 0.85:
        spans = (HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 20 * HOUR, 70 * HOUR)
        answered = case.start + chance.choice(spans) + chance.choice((0, 0, 1, -1))
        case.events.append({"at": answered, "kind": chance.choice(("respond", "resolve"))})
        case.events.sort(key=lambda e: e["at"])
    return case
