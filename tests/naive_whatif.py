"""What-if told naively, with no line of the project's code: random cases as raw rows, and their fold under any promise.

Instants are whole microseconds since 1970. The business hours are those of Guatemala (UTC-6), span by span. A clock
that stands still while waiting on the customer is told in datetimes: every open span, less every wait, piece by piece.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests import naive_clock
from tests.naive_clock import EVER, Hours

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
        answered = min((e["at"] for e in self.events if e["kind"] in ("respond", "resolve", "elsewhere")), default=None)
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
                level = event["to"] if runs else level
                new = due(level, priority, at)
                if runs and new < told.due:  # type: ignore[operator]
                    told.due, told.cell = new, (level, priority)
            elif event["kind"] == "leave":
                breached = told.due is not None and told.due <= at and not (answered and answered < told.due)
                told.due = told.due if breached else None
            elif event["kind"] == "join":
                level = event["level"]
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
                level = event["to"] if runs else level
                more |= {"level": event["to"], "due_at": iso(present(event["to"], priority, at))}
            elif event["kind"] == "leave":
                more |= {"request": "administrative"}
            elif event["kind"] == "join":
                level = event["level"]
                first_due = iso(present(self.level, self.priority, self.start))
                more |= {"request": "general", "level": level, "due_at": first_due}
            elif event["kind"] in ("respond", "elsewhere"):
                more |= {"channel": "platform", "counts": True, "via": "R-0" * (event["kind"] == "elsewhere")}
            elif event["kind"] == "merge":
                more |= {"into": "R-0"}
            topic = {
                "priority": "prioritised", "upgrade": "plan_upgraded", "leave": "reclassified", "join": "reclassified",
                "respond": "responded", "resolve": "resolved", "wait": "waiting", "resume": "resumed",
                "message": "message_received", "merge": "merged", "elsewhere": "responded",
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
            event |= {"level": level}
        case.events.append(event)
    if chance.random() < 0.85:
        spans = (HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 20 * HOUR, 70 * HOUR)
        answered = case.start + chance.choice(spans) + chance.choice((0, 0, 1, -1))
        case.events.append({"at": answered, "kind": chance.choice(("respond", "resolve"))})
        case.events.sort(key=lambda e: e["at"])
    return case


# --- pausing ------------------------------------------------------------------------------------------------------

Wait = tuple[datetime, datetime]  # from when until when; EVER while it lasts
Instant = tuple[datetime, int, str]  # of a fact: when, its place in the log, its kind


def waits(facts: Iterable[Instant]) -> list[Wait]:
    """Return the waits on the customer: from an asking until they write, we go on, or it is resolved."""
    found: list[Wait] = []
    begins: datetime | None = None
    for at, _place, kind in sorted(facts):
        if kind in ("wait", "ask") and begins is None:
            begins = at
        elif kind in ("resume", "message", "resolve") and begins is not None:
            found.append((begins, at))
            begins = None
    return found if begins is None else [*found, (begins, EVER)]


def without(span: Wait, pauses: list[Wait]) -> list[Wait]:
    """Return what of a span lies outside every pause."""
    pieces = [span]
    for begins, ends in pauses:
        cut = [side for opens, closes in pieces for side in ((opens, min(closes, begins)), (max(opens, ends), closes))]
        pieces = sorted(side for side in cut if side[0] < side[1])
    return pieces


def paused(hours: Hours, start: datetime, limit: timedelta, pauses: list[Wait]) -> datetime:
    """Return when `limit` has been counted from `start` outside the pauses; EVER while one of them lasts."""
    left, day = limit, start.astimezone(hours.zone).date() - timedelta(days=1)
    while True:
        morning = hours.wall(day, "00:00")
        for span in hours.within(day, start, EVER):
            for opens, closes in without(span, pauses):
                if closes - opens >= left:
                    return opens + left
                left -= closes - opens
        if any(ends == EVER and begins <= morning for begins, ends in pauses):
            return EVER
        day += timedelta(days=1)


@dataclass(frozen=True)
class Supposed(naive_clock.Policy):
    """Other limits and opening hours, under which the clock of one case stands still in its pauses."""

    pauses: list[Wait] = field(default_factory=list)

    def due(self, start: datetime, level: str, priority: str) -> datetime:
        """Return when the limit of a level and priority is used up."""
        return paused(self.hours[level, priority], start, self.limits[level, priority], self.pauses)


def supposed(
    case: naive_clock.Case, at: datetime, known: datetime, policy: Supposed, *, pause: bool
) -> naive_clock.Told:
    """Return what the second clock says of a case under another policy.

    It is told by what came before the verdict was final, under its own policy or the other: whichever was later.
    """

    def under(kept: list[naive_clock.Fact]) -> naive_clock.Case:
        happened = [(fact.at, fact.position, fact.kind) for fact in kept]
        return replace(case, policy=replace(policy, pauses=waits(happened) if pause else []))

    own, kept = case.counted(known), list[naive_clock.Fact]()
    for fact in sorted(case.facts, key=lambda f: f.position):
        # An upgrade is not written into a case whose own verdict is final.
        if fact.kind != "revise" and (fact.kind != "upgrade" or fact in own):
            other = under(kept)
            final = other.final(other.story(kept))
            if fact.recorded > known or (final is not None and fact.recorded >= final):
                break
            kept.append(fact)
    kept = max(kept, own, key=len)
    other = under([fact for fact in kept if fact.at <= at])
    story = other.story(kept, at)
    if not story.target or story.due is None:
        return naive_clock.Told(None, "none", "none", None, story.answered, None)
    late = story.due <= at if story.answered is None else story.answered >= story.due
    raw = "breached" if late else "open" if story.answered is None else "met"
    verdict = "excluded" if story.excluded else raw
    for fact in sorted(case.facts, key=lambda f: (f.at, f.position)):
        if fact.kind == "revise" and fact.at <= at and fact.recorded <= known:
            verdict = fact.value
    return naive_clock.Told(story.due, raw, verdict, story.governs, story.answered, None)


def moment(us: int) -> datetime:
    """Return the instant of microseconds since 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)


def make_waiting(number: int, chance: random.Random) -> Case:
    """Return a random case that waits on the customer, at hours that matter or any; now and then it is merged.

    `late` events come to the log when the case's own verdict is long final.
    """
    case = make(number, chance)
    edges = [case.start + limit for limit in PRESENT.values()] + [e["at"] for e in case.events]
    begins = case.start
    for _ in range(chance.choice((1, 1, 2, 3))):
        begins = max(begins, chance.choice(edges) if chance.random() < 0.5 else begins + chance.randrange(9 * HOUR))
        lasts = chance.choice((0, 1, HOUR // 3, HOUR, 5 * HOUR, 15 * HOUR, 66 * HOUR, chance.randrange(DAY)))
        late = chance.random() < 0.15
        case.events.append({"at": begins, "kind": "wait", "late": late})
        if chance.random() < 0.9:
            begins += lasts
            case.events.append({"at": begins, "kind": chance.choice(("resume", "message")), "late": late})
        begins += chance.choice((0, 0, 1, HOUR))
    if chance.random() < 0.15:
        merged = case.start + chance.randrange(10 * HOUR)
        answered = merged + chance.choice((0, 1, HOUR, 20 * HOUR))
        case.events += [{"at": merged, "kind": "merge"}, {"at": answered, "kind": "elsewhere"}]
    case.events.sort(key=lambda e: e["at"])
    case.events.sort(key=lambda e: e.get("late", False))
    return case


def as_of(case: Case, at: int) -> Case:
    """Return what had happened of a case at an instant."""
    return replace(
        case,
        events=[event for event in case.events if event["at"] <= at],
        excluded=case.excluded and case.start + 60 * HOUR <= at,
    )


def pauses(case: Case) -> list[Wait]:
    """Return its waits on the customer."""
    return waits((moment(event["at"]), place, event["kind"]) for place, event in enumerate(case.events))


def in_time(case: Case, dues: Callable[[list[Wait]], Due], late: int) -> Case:
    """Return a case without what came to the log, at `late`, when its verdict under `dues` was final."""
    kept = replace(case, events=[event for event in case.events if not event.get("late")])
    for event in case.events[len(kept.events) :]:  # those that came late are the last
        told = kept.tell(dues(pauses(kept)))
        if told.due is not None and min(told.due, told.answered or told.due) + 72 * HOUR <= late:
            break
        kept.events.append(event)
    return kept
