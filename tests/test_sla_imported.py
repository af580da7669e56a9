"""Imported cases beside assignments of calendars, against the second clock: 300 cases in fifteen files, both stores.

Between the files calendars are assigned, from now on or planned, and every file repeats all earlier rows.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from projections.projector import projector_of
from projections.rebuild import check
from tests import naive_clock as naive
from tests.desks import MINI, bring_in
from tests.given import BEATRIZ, ZONE, Desk
from tests.naive_clock import PRIORITIES
from tests.sla_desk import OFFICE, catalogue
from tests.test_sla_histories import CALENDARS, CELLS, HOURS

HOUR = timedelta(hours=1)
PLANS = {"basic": "B", "advanced": "A"}
HEAD = "id|who|by|when|what|plan|prio"


class Import:
    """What the other desk lived through, and what was assigned here meanwhile."""

    def __init__(self, desk: Desk, seed: int) -> None:
        self.desk, self.rng = desk, random.Random(f"imported {seed}")
        self.now = datetime(2026, 5, 4, 14, tzinfo=UTC)
        desk.ledger.clock.move(self.now)
        self.assigned: list[tuple[datetime, tuple[str, str], str]] = []
        self.lines: list[str] = []
        self.cases: dict[str, naive.Case] = {}

    def policy(self, at: datetime) -> naive.Policy:
        """Return what held at an instant."""
        names = dict.fromkeys(CELLS, "24x7")
        for since, cell, name in sorted(self.assigned, key=lambda one: one[0]):
            if since <= at:
                names[cell] = name
        limits = {cell: HOURS[cell[0]][PRIORITIES.index(cell[1])] * HOUR for cell in CELLS}
        return naive.Policy(limits, {cell: CALENDARS[names[cell]] for cell in CELLS}, names)

    def assign(self) -> None:
        (level, priority), name = self.rng.choice(CELLS), self.rng.choice(list(CALENDARS))
        since = self.now + self.rng.choice([0, 0, 3, 40]) * HOUR
        given = {"level": level, "priority": priority, "calendar": name, "from": since.isoformat()}
        self.desk.do("calendar.assign", by=BEATRIZ, **given)
        self.assigned.append((since, (level, priority), name))

    def live(self, hours: int) -> None:
        """Let cases of the last hours be opened, changed and answered there, told by the minute."""
        begun, self.now = self.now, self.now + hours * HOUR
        self.desk.ledger.clock.move(self.now)
        for _ in range(20):
            at = begun + timedelta(minutes=self.rng.randrange(hours * 60 - 1))
            level, priority, number = self.rng.choice(list(PLANS)), self.rng.choice(PRIORITIES), f"C{len(self.cases)}"
            facts: list[naive.Fact] = []
            self.tell(number, at, "new", level, priority)
            opened, policy, first = at, self.policy(at), priority
            for position in range(1, self.rng.randrange(1, 5)):
                at += timedelta(minutes=self.rng.randrange(1, 200))
                if at >= self.now:
                    break
                if self.rng.random() < 0.6:
                    priority = self.rng.choice(PRIORITIES)
                    facts.append(naive.Fact("priority", at, self.now, position, priority, grounds=False))
                    self.tell(number, at, "memo", level, priority)
                else:
                    facts.append(naive.Fact("respond", at, self.now, position, "platform"))
                    self.tell(number, at, "answer", level, priority)
            self.cases[number] = naive.Case(
                opened, self.now, ZONE, level, first, policy, imported=True, facts=tuple(facts)
            )

    def tell(self, number: str, at: datetime, what: str, level: str, priority: str) -> None:
        local = at.astimezone(ZoneInfo(ZONE)).strftime("%d.%m.%Y %H:%M")
        self.lines.append(f"{number}|W{number}|eva|{local}|{what}|{PLANS[level]}|{PRIORITIES.index(priority) + 1}")


def test_an_imported_case_is_judged_by_the_calendars_of_its_opening(store_url: str, tmp_path: Path) -> None:
    desk = Desk(store_url, catalogue(tmp_path, OFFICE))
    other = Import(desk, 0)
    for _ in range(15):
        for _ in range(other.rng.randrange(3)):
            other.assign()
        other.live(other.rng.randrange(3, 60))
        before = len(other.lines)
        summary = bring_in(desk.ledger, tmp_path, "\n".join([HEAD, *other.lines]), MINI)
        assert (summary.rows, summary.rejected) == (before, [])
    assert bring_in(desk.ledger, tmp_path, "\n".join([HEAD, *other.lines]), MINI).imported == 0
    moved = 0
    for number, case in other.cases.items():
        told, clock = case.told(other.now), desk.clock(number)
        assert datetime.fromisoformat(clock["due_at"]) == told.due, number
        assert (clock["verdict"], clock["verdict_priority"]) == (told.raw, told.governs and told.governs[1]), number
        moved += told.governs != (case.level, case.priority)
    assert len(other.cases) == 300
    assert moved > 20
    rows = desk.ask("report", by=["calendar"])["rows"]
    assert sum(row["total"] for row in rows) == 300
    assert {row["calendar"] for row in rows} == {"24x7@1", "oficina@1"}
    assert check(projector_of(desk.ledger)) == {}  # caught up file by file, or built at once
    desk.close()
