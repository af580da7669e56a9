"""Random cases on paper: the ledger's own decisions on a case without a store, and the same told to the second clock.

Every instant, policy, calendar and date is drawn from a seed, often at an edge (a due instant, a microsecond before
it, the same instant as another fact, a day on which clocks jump). A command that the ledger refuses leaves no fact.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

from ledger import case_changes, policies, serving
from ledger import facts as f
from ledger import ticket as cases
from ledger.account import Asked
from ledger.catalogue import Catalogue, shipped
from ledger.catalogue_file import LimitsEntry, TargetsEntry
from ledger.errors import LedgerError, Refused
from ledger.rules import measures, segments, sla
from ledger.rules.calendars import Calendar
from ledger.rules.coverage import Decision
from ledger.rules.instants import to_iso
from ledger.store import Recorded
from ledger.ticket import Ticket
from tests import naive_clock as naive
from tests.naive_clock import DAYS, LEVELS, PRIORITIES, US

# Zones and days on which their clocks jump; Beirut, Havana, São Paulo and Guatemala at midnight.
JUMPS = {
    "America/Guatemala": ["2006-04-30", "2006-10-01", "2026-05-04"],
    "Europe/Rome": ["2026-03-29", "2026-10-25"],
    "America/New_York": ["2026-03-08", "2026-11-01"],
    "Australia/Lord_Howe": ["2026-04-05", "2026-10-04"],
    "America/Sao_Paulo": ["2018-11-04", "2018-02-18"],
    "America/Havana": ["2025-03-09", "2025-11-02"],
    "Asia/Beirut": ["2022-03-27", "2022-10-30"],
    "America/St_Johns": ["2006-04-02", "2006-10-29"],
    "UTC": ["2026-01-31"],
}
POLICIES = 240
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def random_hours(rng: random.Random, near: date) -> dict[str, Any]:
    """Draw opening hours: from none to four spans a day, holidays near `near`."""

    def spans() -> list[list[str]]:
        usual = [0, 1, 30, 60, 90, 120, 150, 180, 480, 720, 780, 1020, 1380, 1439, 1440]
        wanted = {rng.choice(usual) if rng.random() < 0.7 else rng.randrange(1441) for _ in range(rng.randrange(9))}
        texts = [f"{minute // 60:02d}:{minute % 60:02d}" for minute in sorted(wanted)]
        return [list(pair) for pair in zip(texts[::2], texts[1::2], strict=False)]

    week = {day: [["08:00", "17:00"]] if rng.random() < 0.4 else spans() for day in DAYS}
    week[rng.choice(DAYS)] = [["07:30", "12:00"], ["13:00", "18:15"]]  # open at all
    dates = {
        (near + timedelta(days=rng.randrange(-3, 12))).isoformat(): spans() if rng.random() < 0.5 else []
        for _ in range(rng.randrange(4))
    }
    return {"zone": rng.choice(list(JUMPS)), "week": week, "dates": dates}


@cache
def policy(number: int) -> tuple[Catalogue, naive.Policy, str, date]:
    """Return a catalogue, the same told to the second clock, an account's zone, and a day near which to open."""
    rng = random.Random(f"policy {number}")
    zone = rng.choice(list(JUMPS))
    near = date.fromisoformat(rng.choice(JUMPS[zone]))
    always = {"zone": "UTC", "week": {day: [["00:00", "24:00"]] for day in DAYS}, "dates": {}}
    data = [always, *(random_hours(rng, near) for _ in range(2))]
    units = {"h": 3600, "m": 60, "s": 1}
    limits = {
        (level, priority): rng.choice(["8h", "4h", "2h", "1h", "4h", "30m", "90m", "20h", "1s", "61m"])
        for level in LEVELS
        for priority in PRIORITIES
    }
    chosen = {cell: rng.choice([0, 0, 1, 2]) for cell in limits}
    row = {level: LimitsEntry(*(limits[level, priority] for priority in PRIORITIES)) for level in LEVELS}
    calendars = {level: {p: f"c{chosen[level, p]}" for p in PRIORITIES} for level in LEVELS}
    since = date(2000, 1, 1)
    entry = TargetsEntry("p", since, row["basic"], row["advanced"], row["corporate"], "c0", calendars)
    catalogue = dataclasses.replace(
        shipped(),
        _targets=[entry],
        _calendars={f"c{n}@1": Calendar.from_data(hours) for n, hours in enumerate(data)},
        _calendar_dates=[(since, f"c{n}", 1) for n in range(len(data))],
    )
    hours = [naive.Hours(one) for one in data]
    told = naive.Policy(
        {cell: timedelta(seconds=int(text[:-1]) * units[text[-1]]) for cell, text in limits.items()},
        {cell: hours[index] for cell, index in chosen.items()},
        {cell: f"c{index}@1" for cell, index in chosen.items()},
    )
    return catalogue, told, zone, near


class Paper:
    """One case, the case it may be merged into, and both clocks."""

    def __init__(self, seed: object) -> None:
        self.rng = rng = random.Random(f"case {seed}")
        self.catalogue, told, self.zone, near = policy(rng.randrange(POLICIES))
        start = datetime(near.year, near.month, near.day, tzinfo=UTC)
        self.opened = start + timedelta(days=rng.randrange(-2, 3), microseconds=rng.randrange(86_400_000_000))
        if rng.random() < 0.2:
            self.opened = self.opened.replace(minute=0, second=0, microsecond=0)
        imported = rng.random() < 0.1
        self.now = self.opened + (timedelta(days=rng.randrange(40)) if imported else timedelta(0))
        self.position = 0
        self.level, self.priority = rng.choice(LEVELS), rng.choice(PRIORITIES)
        target = rng.random() > 0.25
        self.case = naive.Case(
            self.opened, self.now, self.zone, self.level, self.priority, told, target=target, imported=imported
        )
        self.merged: naive.Fact | None = None
        self.elsewhere: list[naive.Fact] = []
        self.child = self._open("T", self.level if target else "", self.priority, imported=imported)
        self.there = [naive.Fact("priority", self.opened, self.now, 0, rng.choice(PRIORITIES))]
        self.target = self._open("U", "basic", self.there[0].value, imported=False)
        self.dates = [self.opened]
        self.reminded = self.ungrounded = 0  # lowerings by a reminder that were taken, and refused

    def _open(self, number: str, level: str, priority: str, *, imported: bool) -> list[Recorded]:
        at = to_iso(self.opened)
        source = "import:x" if imported else "api"
        promise = serving._promise(level, priority, at, self.catalogue, date(2026, 1, 1), at)
        fact = f.TicketOpened(
            customer_no="C", occurred_at=at, by="ana", source=source, ticket_no=number, priority=priority,
            request="general" if level else "administrative", zone=self.zone, level=level, **promise,
        )  # fmt: skip
        return [Recorded(cases.ticket_stream(number), 1, fact, to_iso(self.now))]

    # --- what happens -------------------------------------------------------------------------------------

    def ticket(self, known: str = "~") -> Ticket:
        """Return the case as the ledger knows it, or knew it."""
        return Ticket("T", [row for row in self.child if row.recorded_at <= known])

    def live(self, steps: int) -> None:
        """Let time pass and things happen."""
        for _ in range(steps):
            self.now += self._pause()
            at = self._date()
            act: Callable[[datetime], None] = self.rng.choice(_ACTS)
            with suppress(LedgerError):  # a refusal is no fault
                act(self, at)  # type: ignore[call-arg, arg-type]

    def _pause(self) -> timedelta:
        rng = self.rng
        if rng.random() < 0.15:
            return timedelta(0)
        told = self.case.told(self.now + 400 * DAY)
        if told.due and told.final_at and rng.random() < 0.25:  # to a very instant, or just before it
            edge = told.due if rng.random() < 0.7 else told.final_at
            gap = edge - self.now - rng.choice([0, 1]) * US
            if gap >= timedelta(0):
                return gap
        quick = [MINUTE, 10 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, HOUR]
        scale = rng.choice(quick if rng.random() < 0.8 else [4 * HOUR, DAY, 12 * DAY, 25 * DAY, 40 * DAY])
        return timedelta(microseconds=rng.randrange(scale // US))

    def _date(self) -> datetime:
        rng = self.rng
        if rng.random() < 0.5:
            return self.now
        if rng.random() < 0.4:
            return rng.choice(self.dates)
        return self.opened + timedelta(microseconds=rng.randrange((self.now - self.opened) // US + 1))

    def _asked(self, at: datetime, reason: str = "") -> Asked:
        return Asked(to_iso(at), to_iso(self.now), self.rng.choice(["ana", "luis"]), "manager", "api", reason)

    def _keep(
        self, rows: list[Recorded], kind: str, at: datetime, value: str = "", *, grounds: bool = True, by: str = ""
    ) -> None:
        for row in rows:
            row.recorded_at = to_iso(self.now)
            (self.child if row.originator_id == "ticket/T" else self.target).append(row)
        self.position += 1
        fact = naive.Fact(kind, at, self.now, self.position, value, grounds, by)
        if kind == "merge":
            self.merged = fact
        elif kind == "elsewhere":
            self.elsewhere.append(fact)
        elif kind == "there":
            self.there.append(fact)
        else:
            self.case = self.case.grown(fact)
        self.dates.append(at)

    def respond(self, at: datetime) -> None:
        channel, asked = self.rng.choice(["platform", "chat", "chat", "phone"]), self._asked(at)
        decided = cases.respond(self.ticket(), {"channel": channel}, asked)
        self._keep(decided.others, "respond", at, channel, by=asked.by)

    def resolve(self, at: datetime) -> None:
        asked = self._asked(at)
        decided = cases.remark("resolve", self.ticket(), {}, asked)
        self._keep(decided.others, "resolve", at, by=asked.by)

    def remark(self, at: datetime) -> None:
        verb, ticket, asked = self.rng.choice(_REMARKS), self.ticket(), self._asked(at)
        if verb == "ask":
            decided = cases.remark("wait", ticket, {"text": "¿Qué versión usa?"}, asked)
            self._keep(decided.others, verb, at, by=asked.by)
            return
        message = verb == "message"
        decided = case_changes.message(ticket, {}, asked) if message else cases.remark(verb, ticket, {}, asked)
        self._keep(decided.others, verb, at)

    def remind(self, at: datetime) -> None:
        """Remind the customer or call; often an hour goes by, and the priority is lowered for it."""
        channel, asked = self.rng.choice(["platform", "phone", "email"]), self._asked(at)
        self._keep(cases.remind(self.ticket(), {"channel": channel}, asked).others, "remind", at, channel)
        if self.rng.random() < 0.7:
            self.now += self.rng.choice([HOUR, HOUR, HOUR - US, 2 * HOUR])
            self.prioritise(self.now, agreed=False)

    def away_and_back(self, at: datetime) -> None:
        """Leave compliance, have its priority changed or another unit chosen meanwhile, and come back."""
        for act in (self.reclassify, self.prioritise, self.reclassify):
            act(at)
            at = self.now = max(at, self.now) + self.rng.randrange(20) * MINUTE

    def prioritise(self, at: datetime, priority: str = "", *, agreed: bool | None = None) -> None:
        agreed = bool(priority) or self.rng.random() < 0.7 if agreed is None else agreed
        priority = priority or self.rng.choice(PRIORITIES)
        wanted: dict[str, Any] = {"priority": priority, "agreed": agreed}
        reminders = [fact for fact in self.case.facts if fact.kind == "remind" or fact.value == "phone"]
        if reminders and not agreed:
            reminder = self.rng.choice(reminders).at + self.rng.choice([0, 0, 0, 1]) * US
            wanted |= {"reminder": to_iso(reminder)}
            agreed = self.case.grounded(at, reminder)
        try:
            decided = cases.prioritise(self.ticket(), wanted, self._asked(at, "motivo"), self.catalogue)
        except Refused as refused:
            if refused.code in _NO_GROUND and "reminder" in wanted:
                if agreed:
                    raise AssertionError("the reminder is a ground") from refused
                self.ungrounded += 1
            raise
        self.reminded += agreed and "reminder" in wanted
        self._keep(decided.others, "priority", at, priority, grounds=agreed)

    def upgrade(self, _at: datetime) -> None:
        """Upgrade its plan: told to the second clock whatever came before, unless it holds no unit."""
        above = LEVELS[LEVELS.index(self.level) + 1 :]
        if above and self.ticket().clock("~").request != "administrative":
            level = self.level = self.rng.choice(above)
            rows = case_changes.upgraded(self.ticket(), level, self._asked(self.now), self.catalogue)
            self._keep(rows, "upgrade", self.now, level)

    def lower_late(self, _at: datetime) -> None:
        """Upgrade a case that is late, then type what had been agreed before it was."""
        told = self.second(self.now, self.now)
        if told.due and self.opened < told.due <= self.now and told.answered is None:
            self.upgrade(self.now)
            self.now += self._pause()
            self.prioritise(self.opened + (told.due - self.opened) * self.rng.randrange(10) // 10, "low")

    def reclassify(self, at: datetime) -> None:
        """Go out of compliance and come in again: the part of the command that needs no account."""
        ticket, asked = self.ticket(), self._asked(at)
        clock = ticket.clock(asked.at)
        cases.check_order(ticket, asked)
        if clock.request == "administrative":
            self.level = self.rng.choice(LEVELS)
            fields = serving._joined(clock, Decision(True, "served", level=self.level), asked, self.catalogue)
            fact = f.TicketReclassified(**cases.ticket_fields(ticket, asked), request="general", **fields)
            self._keep(ticket.rows(fact), "in", at, self.level)
        else:
            fact = f.TicketReclassified(**cases.ticket_fields(ticket, asked), request="administrative")
            self._keep(ticket.rows(fact), "out", at)

    def exclude(self, at: datetime) -> None:
        approver = self.rng.choice(["ana", "beatriz"])
        decided = cases.exclude(self.ticket(), {"approver": approver}, self._asked(at, "corte"))
        self._keep(decided.others, "exclude", at, approver)

    def revise(self, at: datetime) -> None:
        verdict = self.rng.choice(["met", "breached", "excluded"])
        decided = case_changes.revise(self.ticket(), {"verdict": verdict, "approver": "beatriz"}, self._asked(at, "x"))
        self._keep(decided.others, "revise", at, verdict)

    def merge(self, at: datetime) -> None:
        decided = case_changes.merge(self.ticket(), Ticket("U", self.target), self._asked(at))
        self._keep(decided.others, "merge", at)

    def answer_there(self, at: datetime) -> None:
        """Answer or resolve the other case, at an instant of its own."""
        other, asked = Ticket("U", self.target), self._asked(at)
        if any(fact.at == at for fact in self.elsewhere):
            return
        channel = self.rng.choice(["platform", "chat", "chat"])
        if self.rng.random() < 0.2:
            channel, rows = "platform", cases.remark("resolve", other, {}, asked).others
        else:
            rows = cases.respond(other, {"channel": channel}, asked).others
        children = [self.ticket() for _ in case_changes.merged_cases(other, asked.at)]
        rows = [*rows, *case_changes.answered_through(other, children, rows[0].fact, asked)]
        self._keep(rows, "elsewhere", at, channel, by=asked.by)

    def talk_there(self, at: datetime) -> None:
        """Go over into the other case, be answered there, and learn of its priority later."""
        if self.merged is None:
            self.merge(at)
        self.now += self._pause()
        self.answer_there(self.now)
        self.now += self._pause()
        self.prioritise_there(self.rng.choice([self.opened, at, self.now]))

    def prioritise_there(self, at: datetime) -> None:
        """Change the priority of the other case: it may judge its answers anew."""
        other, priority, asked = Ticket("U", self.target), self.rng.choice(PRIORITIES), self._asked(at, "motivo")
        rows = cases.prioritise(other, {"priority": priority, "agreed": True}, asked, self.catalogue).others
        children = [self.ticket() for _ in case_changes.merged_cases(other, "~")]
        rows = [*rows, *case_changes.recounted(other, children, rows[0].fact, asked)]
        self._keep(rows, "there", at, priority)

    # --- what both clocks say -----------------------------------------------------------------------------

    def whole(self) -> naive.Case:
        """Return the case as told to the second clock, with the answers in the case it went over into."""
        if self.merged is None:
            return self.case
        found: list[naive.Fact] = []
        for fact in self.elsewhere:
            if (fact.at, fact.position) > (self.merged.at, self.merged.position):
                found += naive.told_there(fact, self.merged, self.there)
        return self.case.grown(*found)

    def first(self, at: datetime, known: datetime) -> naive.Told:
        """Return what the ledger's clock says, in the second clock's words."""
        ticket = self.ticket(to_iso(known))
        clock = sla.run(ticket.facts, to_iso(at), ticket.recorded)
        assert clock is not None

        def instant(text: str) -> datetime | None:
            return datetime.fromisoformat(text) if text else None

        moment, terms = to_iso(at), policies.Governing(clock, self.catalogue)
        found = [one for one in segments.limits(clock, ticket.facts, terms) if one.cause != "left"]
        counts = clock.due_at and clock.counted_at and clock.counted_at >= clock.started_at
        return naive.Told(
            instant(clock.due_at), clock.raw_verdict(moment), clock.verdict(moment),
            (clock.verdict_level, clock.verdict_priority) if clock.due_at else None,
            instant(clock.counted_at), instant(clock.final_at()),
            timedelta(microseconds=measures.counted(found, clock.counted_at, terms)) if counts else None,
            found[-1].calendar if clock.due_at else "",
        )  # fmt: skip

    def second(self, at: datetime, known: datetime) -> naive.Told:
        """Return what the second clock says."""
        return self.whole().told(at, known)

    def moments(self) -> list[tuple[datetime, datetime]]:
        """Return pairs of `at` and `known_at` worth asking about."""
        rng = self.rng
        edges = [*self.dates, self.now, self.now + 40 * DAY]
        told = self.second(edges[-1], edges[-1])
        edges += [one + step * US for one in (told.due, told.final_at) if one for step in (-1, 0, 1)]
        edges = [one for one in edges if one >= self.opened]
        known = [self.now, *(fact.recorded for fact in self.case.facts)]
        known = [max(one, self.case.recorded) for one in known]
        return [(rng.choice(edges), self.now) for _ in range(3)] + [(rng.choice(edges), rng.choice(known))]


_NO_GROUND = ("no_such_reminder", "reminder_answered", "reminder_too_young")
_REMARKS = ("reopen", "acknowledge", "wait", "resume", "note", "message", "ask")
_ACTS: list[Any] = [
    Paper.respond, Paper.respond, Paper.respond, Paper.resolve, Paper.remark,
    *[Paper.prioritise] * 4, Paper.upgrade, Paper.upgrade, Paper.reclassify, Paper.reclassify,
    Paper.exclude, Paper.revise, Paper.merge, Paper.answer_there, Paper.answer_there, Paper.prioritise_there,
    Paper.remind, Paper.remind, Paper.away_and_back, Paper.talk_there, Paper.talk_there, *[Paper.lower_late] * 3,
]  # fmt: skip
