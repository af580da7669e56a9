"""Random histories by commands on both stores, back-dated by a manager: each case and report as the second clock tells.

Six weeks of three customers in two zones, an office with a lunch for some levels, an upgrade on the way; beyond the
month's end, so that verdicts become final. Imports aside.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ledger import alerts
from ledger.errors import LedgerError
from ledger.rules.instants import to_iso
from tests import naive_clock as naive
from tests.given import ANA, BEATRIZ, CAFETALERA, FERRETERIA, LUIS, PANADERIA, ZONE, Desk
from tests.naive_clock import LEVELS, PRIORITIES, US
from tests.sla_desk import OFFICE, catalogue

HOUR = timedelta(hours=1)
HOURS = {"basic": (8, 8, 2), "advanced": (4, 4, 1), "corporate": (2, 2, 1)}
CUSTOMERS = {PANADERIA: ("basic", ZONE), FERRETERIA: ("advanced", "Asia/Tokyo"), CAFETALERA: ("corporate", ZONE)}
OFFICE_CELLS = [("advanced", "low"), ("basic", "medium"), ("corporate", "high"), ("corporate", "low")]
REASON = "se registra tarde"


CELLS = [(level, priority) for level in LEVELS for priority in PRIORITIES]
SPANS = [["08:00", "12:00"], ["13:00", "17:00"]]
CALENDARS = {
    "oficina": naive.Hours({"zone": ZONE, "week": dict.fromkeys(naive.DAYS[:5], SPANS)}),
    "24x7": naive.Hours({"zone": "UTC", "week": {day: [["00:00", "24:00"]] for day in naive.DAYS}}),
}


def wall(instant: datetime) -> str:
    """Return an instant as a desk is told it."""
    return instant.astimezone(ZoneInfo(ZONE)).replace(tzinfo=None).isoformat(sep=" ")


class History:
    """What happens at a desk, told to both clocks."""

    def __init__(self, desk: Desk, seed: int) -> None:
        self.desk, self.rng = desk, random.Random(f"history {seed}")
        self.now = datetime(2026, 5, 4, 14, tzinfo=UTC)
        self.cases: dict[str, naive.Case] = {}
        self.grants: dict[str, str] = {}
        self.account: dict[str, str] = {}
        self.administrative: dict[str, bool] = {}
        self.merged: dict[str, tuple[str, naive.Fact]] = {}
        self.assigned: list[tuple[datetime, tuple[str, str], str]] = []  # since when, in the order of recording
        self.spoken: list[tuple[str, naive.Fact]] = []  # what was said in a case, whether it counted there or not
        self.position, self.upgraded, self.by = 0, False, ANA
        desk.ledger.clock.move(self.now)
        for cell in OFFICE_CELLS:
            self.assign(cell, "oficina", self.now)
        for account, (level, zone) in CUSTOMERS.items():
            desk.open(account, zone=zone).sell(account, level, paid=3)
            if account != FERRETERIA:  # its cases take units of the plan, so that the upgrade reaches them
                desk.courtesy(account, 30, level)

    def run(self, steps: int) -> None:
        """Let things happen; a refusal leaves no fact."""
        acts = [self.open] * 5 + [self.respond] * 5 + [self.prioritise] * 6 + [self.reclassify] * 3
        acts += [self.resolve, self.resolve, self.reopen, self.exclude, self.merge, self.merge, self.revise, self.other]
        acts += [self.plan, self.exclude, self.give_back, self.split, self.warn]
        for step in range(steps):
            scale = self.rng.choice([10, 60, 60, 240, 600, 1440 * 2])
            self.now += timedelta(microseconds=1 + self.rng.randrange(scale * 60_000_000))
            self.desk.ledger.clock.move(self.now)
            try:
                if step == 23 and not self.upgraded:
                    self.upgrade()
                else:
                    self.rng.choice(acts)()
            except LedgerError:
                continue

    def pick(self) -> tuple[str, datetime]:
        """Return a case, rather a recent one, and a date."""
        numbers = list(self.cases)[-12:] if self.rng.random() < 0.8 else list(self.cases)
        number = self.rng.choice(numbers) if numbers else "T-0"
        if number not in self.cases or self.rng.random() < 0.5:
            return number, self.now
        opened = self.cases[number].opened
        return number, opened + timedelta(microseconds=self.rng.randrange((self.now - opened) // US + 1))

    def do(self, verb: str, number: str, at: datetime, /, **given: Any) -> Any:
        self.by = given.pop("by", self.rng.choice([ANA, LUIS]) if at == self.now else BEATRIZ)
        if at == self.now:
            return self.desk.do(f"ticket.{verb}", ticket=number, by=self.by, **given)
        self.by = BEATRIZ
        return self.desk.do(f"ticket.{verb}", ticket=number, at=wall(at), by=BEATRIZ, **{"reason": REASON, **given})

    def keep(self, number: str, kind: str, at: datetime, value: str = "", *, grounds: bool = True) -> naive.Fact:
        self.position += 1
        fact = naive.Fact(kind, at, self.now, self.position, value, grounds, self.by.by)
        self.cases[number] = self.cases[number].grown(fact)
        return fact

    def policy(self, at: datetime) -> naive.Policy:
        """Return what was published by now for a case opened at an instant."""
        names = dict.fromkeys(CELLS, "24x7")
        for since, cell, name in sorted(self.assigned, key=lambda one: one[0]):
            if since <= at:
                names[cell] = name
        limits = {cell: HOURS[cell[0]][PRIORITIES.index(cell[1])] * HOUR for cell in CELLS}
        hours = {cell: CALENDARS[name] for cell, name in names.items()}
        return naive.Policy(limits, hours, {cell: f"{name}@1" for cell, name in names.items()})

    # --- what happens -------------------------------------------------------------------------------------

    def assign(self, cell: tuple[str, str], calendar: str, since: datetime) -> None:
        given = {"level": cell[0], "priority": cell[1], "calendar": calendar, "from": since.isoformat()}
        self.desk.do("calendar.assign", by=BEATRIZ, **given)
        self.assigned.append((since, cell, calendar))

    def plan(self) -> None:
        """Assign a calendar from now on, or plan one for later; a planned one blocks no other."""
        since = self.now + self.rng.choice([0, 0, 1, 30, 200]) * HOUR
        self.assign(self.rng.choice(CELLS), self.rng.choice(list(CALENDARS)), since)

    def open(self, account: str = "") -> None:
        account, priority = account or self.rng.choice(list(CUSTOMERS)), self.rng.choice(PRIORITIES)
        request = "administrative" if self.rng.random() < 0.15 else "general"
        number, at = f"T-{len(self.cases)}", self.now
        given: dict[str, Any] = {"by": ANA}
        if self.rng.random() < 0.3:
            at -= timedelta(microseconds=self.rng.randrange(24 * HOUR // US))
            given["at"] = wall(at)
        answer = self.desk.do(
            "ticket.open", account=account, ticket=number, priority=priority, request=request, **given
        )
        self.begin(number, account, at, answer, priority, target=request == "general")

    def begin(
        self, number: str, account: str, at: datetime, answer: Any, priority: str, *, target: bool = True
    ) -> None:
        if answer["ok"]:
            level, zone = answer["level"] or "basic", CUSTOMERS[account][1]
            self.cases[number] = naive.Case(at, self.now, zone, level, priority, self.policy(at), target=target)
            self.grants[number], self.account[number] = answer["grant"] or "", account
            self.administrative[number] = not target

    def split(self) -> None:
        (number, at), new, priority = self.pick(), f"T-{len(self.cases)}", self.rng.choice(PRIORITIES)
        answer = self.do("split", number, at, new=new, request="general", priority=priority)
        self.begin(new, self.account[number], at, answer, priority)

    def give_back(self) -> None:
        """Give a unit back: its case keeps its target, and no upgrade of the plan reaches it any more."""
        number, _at = self.pick()
        self.do("give_back", number, self.now, by=BEATRIZ, reason="duplicado")
        self.grants[number] = ""

    def warn(self) -> None:
        """Let the job record warnings: they move nothing."""
        alerts.sweep(self.desk.ledger, list(self.cases), now=to_iso(self.now))

    def respond(self) -> None:
        number, at = self.pick()
        channel = self.rng.choice(["platform", "chat", "phone"])
        self.do("respond", number, at, channel=channel)
        self.spoken.append((number, self.keep(number, "respond", at, channel)))

    def resolve(self) -> None:
        number, at = self.pick()
        self.do("resolve", number, at)
        self.spoken.append((number, self.keep(number, "resolve", at, "platform")))

    def reopen(self) -> None:
        number, at = self.pick()
        self.do("reopen", number, at)
        self.keep(number, "reopen", at)

    def other(self) -> None:
        number, at = self.pick()
        verb = self.rng.choice(["note", "acknowledge", "wait", "resume", "message", "assign"])
        self.do(verb, number, at, **({"to": "luis"} if verb == "assign" else {}))
        self.keep(number, "note", at)

    def prioritise(self) -> None:
        number, at = self.pick()
        wanted, agreed = self.rng.choice(PRIORITIES), self.rng.random() < 0.7
        self.do("prioritise", number, at, priority=wanted, agreed=agreed, reason="porque sí")
        self.keep(number, "priority", at, wanted, grounds=agreed)

    def reclassify(self) -> None:
        number, at = self.pick()
        out = not self.administrative.get(number, False)
        answer = self.do("reclassify", number, at, request="administrative" if out else "general", approver="gerencia")
        if answer["ok"]:
            self.administrative[number], self.grants[number] = out, answer["grant"] or ""
            if out:
                self.keep(number, "out", at)
            else:
                account = self.account[number]
                name = answer["grant"].removeprefix(f"{account}-")
                self.keep(number, "in", at, self.desk.grants(account)[name]["level"])

    def exclude(self) -> None:
        number, at = self.pick()
        approver = self.rng.choice(["carmen", "ana", "luis", "beatriz"])
        self.do("exclude", number, at, approver=approver, reason="corte")
        self.keep(number, "exclude", at, approver)

    def revise(self) -> None:
        number, _at = self.pick()
        verdict = self.rng.choice(["met", "breached", "excluded"])
        self.do("revise", number, self.now, by=BEATRIZ, verdict=verdict, approver="carmen", reason="consta")
        self.keep(number, "revise", self.now, verdict)

    def merge(self) -> None:
        number, at = self.pick()
        others = [one for one in self.cases if self.account[one] == self.account[number] and one != number]
        into = self.rng.choice(others[-4:] or [number])
        self.do("merge", number, at, into=into)
        self.merged[number] = into, self.keep(number, "merge", at)

    def upgrade(self) -> None:
        """Upgrade the Advanced plan to Corporate: a raise of its open cases, now."""
        self.upgraded = True
        for _ in range(6):
            self.open(FERRETERIA)
        self.now += timedelta(minutes=self.rng.randrange(1, 50))
        self.desk.ledger.clock.move(self.now)
        self.desk.do("plan.upgrade", account=FERRETERIA, level="corporate")
        due = self.desk.ask("billing", account=FERRETERIA)["due"]
        if due != "0.00":  # what was prepaid may have settled it
            self.desk.pay(FERRETERIA, due)
        for number, grant in self.grants.items():
            if grant.startswith(f"{FERRETERIA}-S1-"):
                self.keep(number, "upgrade", self.now, "corporate")

    # --- what both clocks say -----------------------------------------------------------------------------

    def told(self, number: str, at: datetime, known: datetime) -> naive.Told:
        case = self.cases[number]
        if number in self.merged:
            into, merge = self.merged[number]
            other = self.cases[into]
            first = naive.Fact("priority", other.opened, other.recorded, 0, other.priority)
            there = [first, *(fact for fact in other.facts if fact.kind == "priority")]
            for where, fact in self.spoken:
                if where == into and (fact.at, fact.position) > (merge.at, merge.position):
                    case = case.grown(*naive.told_there(fact, merge, there))
        return case.told(at, known)

    def compare(self, at: datetime, known: datetime) -> int:
        """Compare every case there was; return how many."""
        compared = 0
        for number, case in self.cases.items():
            if case.opened > at or case.recorded > known:
                continue
            clock = self.desk.clock(number, at=wall(at), known_at=wall(known))
            told = self.told(number, at, known)
            said = [clock["due_at"], clock["final_at"]]
            instants = [datetime.fromisoformat(one) if one else None for one in said]
            assert instants == [told.due, told.final_at], (number, at, known)
            assert clock["verdict"] == told.adjusted, (number, at, known)
            if told.governs:
                assert (clock["verdict_level"], clock["verdict_priority"]) == told.governs, number
            compared += 1
        return compared

    def figures(self, at: datetime, known: datetime, *, raw: bool) -> dict[tuple[str, ...], Counter[str]]:
        """Return what the second clock counts by level, priority and month."""
        found: dict[tuple[str, ...], Counter[str]] = {}
        for number, case in self.cases.items():
            if case.opened <= at and case.recorded <= known:
                told = self.told(number, at, known)
                if told.governs:
                    month = case.opened.astimezone(ZoneInfo(case.zone)).strftime("%Y-%m")
                    found.setdefault((*told.governs, month), Counter())[told.raw if raw else told.adjusted] += 1
        return found

    def everywhere(self) -> None:
        """Hold, as things stand, explanation, queue, report and what-if against the second clock."""
        told = {number: self.told(number, self.now, self.now) for number in self.cases}
        for number, one in told.items():
            explained = self.desk.ask("explain", ticket=number)
            assert (explained["verdict"], explained["raw"]) == (one.adjusted, one.raw), number
            assert explained["calendar"] == (one.calendar or None), number
            if one.took is not None:
                assert explained["elapsed_us"] == one.took // US, number
        queue = {row["ticket"]: row["calendar"] for row in self.desk.ask("queue", limit=200)["items"]}
        waiting = {
            number: one.calendar
            for number, one in told.items()
            if one.due and one.answered is None and not (one.adjusted == "excluded" or self.answered_late(number))
        }
        assert queue == {number: name for number, name in waiting.items() if number in queue}
        assert set(waiting) == set(queue)
        for row in self.desk.ask("report", by=["calendar"], raw=True)["rows"]:
            took = [one.took // US for one in told.values() if one.calendar == row["calendar"] and one.took is not None]
            assert row["worst_us"] == max(took, default=None), row
            assert row["total"] == sum(one.calendar == row["calendar"] for one in told.values())
        (present,) = self.desk.ask("what_if", limits={"basic/low": "8h"})["scenarios"]
        assert present["flips_total"] == 0
        assert present["totals"]["after"]["total"] == sum(one.due is not None for one in told.values())

    def answered_late(self, number: str) -> bool:
        """Whether somebody answered when the verdict was final."""
        return self.desk.clock(number)["responded_at"] is not None


@pytest.mark.parametrize("seed", range(3))
def test_a_random_history_is_judged_alike(store_url: str, tmp_path: Path, seed: int) -> None:
    desk = Desk(store_url, catalogue(tmp_path, OFFICE))
    history = History(desk, seed)
    history.run(70)
    middle = history.now
    history.run(140)
    now, rng = history.now, history.rng
    assert now > datetime(2026, 6, 5, tzinfo=UTC)
    begun = datetime(2026, 5, 4, 14, tzinfo=UTC)
    moments = [(now, now), (middle, middle), (middle, now)]
    for _ in range(3):
        known = begun + timedelta(microseconds=rng.randrange((now - begun) // US))
        moments.append((begun + timedelta(microseconds=rng.randrange((known - begun) // US)), known))
    compared = [history.compare(at, known) for at, known in moments]
    assert sum(compared) > 80
    kinds = {fact.kind for case in history.cases.values() for fact in case.facts}
    assert seed > 2 or kinds >= {"out", "in", "exclude", "upgrade"}
    history.everywhere()
    for at, known in moments[:4]:
        reports = {}
        for raw in (True, False):
            asked = {} if (at, known) == (now, now) else {"at": wall(at), "known_at": wall(known)}
            report = desk.ask("report", by=["level", "priority", "month"], raw=raw, **asked)
            rows = {(row["level"], row["priority"], row["month"]): row for row in report["rows"]}
            wanted = history.figures(at, known, raw=raw)
            names = ("met", "breached", "open", "excluded")
            assert {cell: {n: row[n] for n in names} for cell, row in rows.items()} == {
                cell: {n: count[n] for n in names} for cell, count in wanted.items()
            }, (at, known, raw)
            totals = reports[raw] = report["totals"]
            for name in ("total", *names):
                assert sum(row[name] for row in rows.values()) == totals[name]
            assert totals["total"] == sum(totals[name] for name in names)
        assert reports[True]["excluded"] == 0
        assert reports[True]["total"] == reports[False]["total"]
    desk.close()
