"""What-if against a second telling, mostly with a clock that stands still while waiting on the customer.

Cases on paper, each under a scenario of its own: other limits, calendars in zones whose clocks jump, holidays, zones,
with waits begun and ended where it hurts. 5,600 cases in a run of the suite, each asked at four pairs of `at` and
`known_at`. More: `python -m tests.test_whatif_paused 200000` (with a first seed behind it if you like).
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from eventsourcing.persistence import StoredEvent

from ledger import case_changes
from ledger import ticket as cases
from ledger.errors import LedgerError
from ledger.explaining import explanation
from ledger.rules.calendars import Calendar
from ledger.rules.instants import to_iso
from ledger.rules.sla import Clock
from ledger.rules.subscriptions import FAR
from ledger.scenarios import CELLS, Scenario
from ledger.store import Store
from projections.projector import Projector
from projections.whatif_cases import moved_case
from projections.whatif_count import clock_under
from projections.whatif_explained import under
from projections.whatif_policy import Policy
from tests import naive_clock, naive_whatif
from tests.given import Desk
from tests.naive_clock import EVER, US, Hours, Told
from tests.naive_whatif import Case, Supposed, Wait, iso, moment, supposed, us
from tests.sla_paper import DAY, HOUR, JUMPS, MINUTE, POLICIES, Paper, policy, random_hours
from tests.test_whatif import EVERY, Answer, cells, content

CASES, PARTS, VARIANTS = 5_600, 8, 2
LIMITS = [timedelta(seconds=1), 20 * MINUTE, HOUR, 2 * HOUR, 5 * HOUR, 9 * HOUR, 30 * HOUR, 200 * HOUR]


@cache
def scenario(number: int, variant: int) -> tuple[Policy, Supposed, Policy]:
    """Return a scenario over policy `number` of the papers, the same told to the second clock, and a stricter one."""
    catalogue, told, _zone, near = policy(number)
    rng = random.Random(f"scenario {number} {variant}")
    limits = {cell: rng.choice(LIMITS) for cell in CELLS if rng.random() < 0.6}
    defined = random_hours(rng, near)
    named = {cell: rng.choice(["c0", "c1", "c2", "d", "c1@1"]) for cell in CELLS if rng.random() < 0.5}
    holidays = rng.sample([near + n * DAY for n in range(-2, 4)], rng.choice([0, 0, 1, 2]))
    zone = rng.choice(["", "", *JUMPS])
    supposed = Scenario(
        "s",
        limits={cell: limit // US for cell, limit in limits.items()},
        calendars=named,
        define={"d": Calendar.from_data(defined)} if "d" in named.values() else {},
        holidays=tuple(holidays),
        zone=zone,
        pause=rng.random() < 0.85,
    )
    own = {name: Hours(catalogue.calendar(f"{name}@1").to_data()) for name in ("c0", "c1", "c2")}
    hours = {**own, "c1@1": own["c1"], "d": Hours(defined)}

    @cache
    def changed(found: Hours) -> Hours:
        if all(spans == [["00:00", "24:00"]] for spans in found.week.values()) and not found.dates:
            return found
        dates = {**found.dates, **{day.isoformat(): [] for day in holidays}}
        return Hours({"zone": zone or found.zone.key, "week": found.week, "dates": dates})

    opened = {cell: changed(hours[named[cell]] if cell in named else told.hours[cell]) for cell in CELLS}
    whole = {**told.limits, **limits}
    less = {cell: max(limit // US // rng.choice([1, 2, 7]) - rng.choice([0, 1]), 1) for cell, limit in whole.items()}
    return Policy(supposed, catalogue), Supposed(whole, opened), Policy(replace(supposed, limits=less), catalogue)


class Waited(Paper):
    """A case under its own policy, beside a scenario; it waits on the customer at instants that matter to it."""

    def __init__(self, seed: object) -> None:
        super().__init__(f"what-if {seed}")
        number = next(n for n in range(POLICIES) if policy(n)[0] is self.catalogue)
        self.policy, self.supposed, self.stricter = scenario(number, self.rng.randrange(VARIANTS))
        self.pauses = self.policy.scenario.pause
        self.same = Policy(Scenario("same"), self.catalogue)

    def live(self, steps: int) -> None:
        """Let things happen, waits the most."""
        for _ in range(steps):
            if self.rng.random() < 0.5:
                super().live(1)
            else:
                self._let_wait()

    def _let_wait(self) -> None:
        rng = self.rng
        due = self.other(self.now + 400 * DAY, self.now).due
        if due and due != EVER and rng.random() < 0.4:
            wanted = due + rng.choice([-1, 0, 0, 1]) * US
            self.now = max(self.now, wanted if wanted < self.opened + 50 * DAY else self.now)
        else:
            self.now += timedelta(microseconds=rng.randrange(rng.choice([MINUTE, HOUR, 5 * HOUR, DAY]) // US))
        at = self.now if rng.random() < 0.7 else self._date()
        clock = self.ticket().clock(to_iso(at))
        verb = rng.choice(["resume", "resume", "message", "note"]) if clock.waiting_since else "wait"
        with suppress(LedgerError):  # a refusal is no fault
            if verb == "message":
                rows = case_changes.message(self.ticket(), {}, self._asked(at)).others
            else:
                rows = cases.remark(verb, self.ticket(), {}, self._asked(at)).others
            self._keep(rows, verb, at)

    def other(self, at: datetime, known: datetime) -> Told:
        """Return what the second clock says under the scenario."""
        return supposed(self.whole(), at, known, self.supposed, pause=self.pauses)

    def under(self, policy: Policy, at: datetime, known: datetime) -> Told:
        """Return what what-if says under a scenario."""
        ticket, moment = self.ticket(to_iso(known)), to_iso(at)
        case = moved_case(ticket.facts, ticket.recorded, self.catalogue, moment)
        return in_words(clock_under(case, policy) if case else ticket.clock(moment), moment)

    def explained(self, at: datetime, known: datetime) -> tuple[datetime | None, str]:
        """Return the due instant and the verdict that the scenario's explanation tells."""
        ticket, moment = self.ticket(to_iso(known)), to_iso(at)
        told = explanation(ticket, self.catalogue, moment, under=under(ticket, self.catalogue, self.policy, moment))
        return instant(told["due_at"] or ""), told["verdict"]


def instant(text: str) -> datetime | None:
    return EVER if text == FAR else datetime.fromisoformat(text) if text else None


def in_words(clock: Clock, at: str) -> Told:
    """Return a clock in the second clock's words."""
    governs = (clock.verdict_level, clock.verdict_priority) if clock.due_at else None
    due, answered = instant(clock.due_at), instant(clock.counted_at)
    return Told(due, clock.raw_verdict(at), clock.verdict(at), governs, answered, None)


def lived(seed: object) -> Waited:
    case = Waited(seed)
    case.live(case.rng.randrange(1, 13))
    return case


def compare(first: int, last: int) -> Counter[str]:
    """Compare what-if with the second telling on the cases of seeds `first` to `last`; return what was met with.

    Beside it: under the present policy nothing changes, shorter limits make no breach undone, and of one case in twenty
    the explanation says the same.
    """
    seen: Counter[str] = Counter()
    for seed in range(first, last):
        case = lived(seed)
        seen["cases"] += 1
        seen.update(fact.kind for fact in case.whole().facts)
        for at, known in case.moments():
            one, other = case.under(case.policy, at, known), case.other(at, known)
            assert one == other, f"case {seed} at {at}, known at {known}"
            before = case.first(at, known)
            seen["asked"] += 1
            seen["flips"] += before.adjusted != other.adjusted
            seen[f"{before.raw} to {other.raw}"] += 1
            seen["never due"] += other.due == EVER
            seen["moved"] += other.due != before.due
            if seed % 20 == 0 and at >= case.opened:
                due = None if other.due == EVER else other.due  # which is told as none
                assert case.explained(at, known) == (due, other.adjusted), f"case {seed} at {at}, known at {known}"
                seen["explained"] += 1
            strict = case.under(case.stricter, at, known)
            assert other.raw != "breached" or strict.raw == "breached", f"case {seed} at {at}, known at {known}"
            seen["stricter breached"] += (other.raw, strict.raw) == ("met", "breached")
            again = case.under(case.same, at, known)
            assert (again.due, again.raw, again.adjusted, again.governs) == (
                before.due, before.raw, before.adjusted, before.governs,
            ), f"case {seed} at {at}, known at {known}"  # fmt: skip
    return seen


@pytest.mark.parametrize("part", range(PARTS))
def test_what_if_and_the_second_telling_say_the_same(part: int) -> None:
    share = CASES // PARTS
    seen = compare(part * share, (part + 1) * share)
    assert (seen["cases"], seen["asked"]) == (share, 4 * share)
    assert set(seen) >= {"wait", "resume", "message", "priority", "upgrade", "out", "in", "resolve", "elsewhere"}
    assert seen["explained"] > share // 10
    for kind in (
        "met to breached",
        "breached to met",
        "open to breached",
        "breached to open",
        "never due",
        "stricter breached",
    ):
        assert seen[kind] > 3, seen


# --- whole answers, from the log and from the read models ---------------------------------------------------------

FOREVER = (EVER - moment(0)) // US
# Cases of four weeks in which the clocks of Rome, Beirut, Havana, New York and Lord Howe jump.
WEEKS = 9 * 7 * DAY // US
FILLED, LATE, NOW = (f"2026-{day}T18:00:00.000000Z" for day in ("10-30", "12-04", "12-06"))
ALWAYS = Hours({"zone": "UTC", "week": {day: [["00:00", "24:00"]] for day in naive_clock.DAYS}})


def waiting(number: int, chance: random.Random) -> Case:
    case = naive_whatif.make_waiting(number, chance)
    events = [{**event, "at": event["at"] + WEEKS} for event in case.events]
    return replace(case, start=case.start + WEEKS, events=events)


def fill(store: Store, found: list[Case]) -> None:
    """Append the cases' rows: those that came late when every verdict was final."""
    places: Counter[str] = Counter()
    for late, now in ((False, FILLED), (True, LATE)):
        rows = []
        for case in found:
            told = case.rows()
            marks = [False, *(event.get("late", False) for event in case.events), *[False] * case.excluded]
            for (topic, state), mark in zip(told, marks, strict=True):
                if mark == late:
                    places[case.number] += 1
                    rows.append(StoredEvent(f"ticket/{case.number}", places[case.number], topic, state))
        for start in range(0, len(rows), 400):
            part = rows[start : start + 400]
            store.append(part, ["C-1"] * len(part), now=now, request=None)


def random_scenario(chance: random.Random) -> tuple[Answer, Callable[[list[Wait]], naive_whatif.Due]]:
    """Return a scenario as it is asked, and what gives its due instants for a case that waited so."""
    near = date(2026, 10, 25)
    defined = {name: random_hours(chance, near) for name in ("one", "two")}
    limits = {cell: chance.choice(LIMITS) for cell in CELLS if chance.random() < 0.7}
    named = {cell: chance.choice(["one", "two"]) for cell in CELLS if chance.random() < 0.5}
    holidays = [day.isoformat() for day in chance.sample([near + n * DAY for n in range(-12, 6)], 3)]
    zone, pause = chance.choice([None, *JUMPS]), chance.random() < 0.85
    given: Answer = {
        "limits": {"/".join(cell): f"{limit // (10**6 * US)}s" for cell, limit in limits.items()},
        "calendars": {"/".join(cell): name for cell, name in named.items()},
        "define": {name: data for name, data in defined.items() if name in named.values()},
        "holidays": holidays,
        "pause": "waiting" if pause else "none",
    }
    given |= {"zone": zone} if zone else {}
    closed: Answer = {day: [] for day in holidays}
    hours = {
        name: Hours({**data, "zone": zone or data["zone"], "dates": {**data["dates"], **closed}})
        for name, data in defined.items()
    }

    def dues(pauses: list[Wait]) -> naive_whatif.Due:
        def due(level: str, priority: str, start: int) -> int:
            cell = level, priority
            limit = limits.get(cell, naive_whatif.PRESENT[cell] * US)
            opened = hours[named[cell]] if cell in named else ALWAYS
            return (naive_whatif.paused(opened, moment(start), limit, pauses if pause else []) - moment(0)) // US

        return due

    return given, dues


@pytest.mark.parametrize("seed", range(4))
def test_whole_answers_agree_in_every_cell_flip_and_due_instant(store_url: str, seed: int) -> None:
    """150 cases under five scenarios, as things stand, as known once, as of three instants: 3,750 a store and seed."""
    chance = random.Random(f"whole {seed}")
    desk = Desk(store_url)
    found = [waiting(number, chance) for number in range(150)]
    fill(desk.ledger.store, found)
    desk.at("2026-12-06 12:00")
    if seed % 2:  # else nothing is projected: all is folded from the log
        Projector(desk.ledger.store, desk.ledger.catalogue).catch_up(["tickets"])
    pairs = [random_scenario(chance) for _ in range(5)]
    scenarios = {f"s{number}": given for number, (given, _dues) in enumerate(pairs)}
    before = content(desk.ledger.store) if seed % 2 else {}
    known = "2026-11-20T00:00:00.000000Z"  # before anything came late
    pasts = [chance.choice([e["at"] for case in found for e in case.events]) for _ in range(3)]
    for asked in ({}, {"known_at": known}, *({"at": iso(at)} for at in pasts)):
        answer = desk.ledger.ask("what_if", {"scenarios": scenarios, "flips": EVERY, **asked})
        now = us(asked.get("at") or asked.get("known_at") or NOW)
        cases_known = [on_time(case) for case in found] if "known_at" in asked else found
        for told, (_given, dues) in zip(answer["scenarios"], pairs, strict=True):
            check(told, cases_known, dues, now)
        [same] = desk.ledger.ask("what_if", {"flips": EVERY, **asked})["scenarios"]
        assert (same["flips"], same["totals"]["before"]) == ([], same["totals"]["after"])
        alone = chance.choice(list(scenarios))
        one = desk.ledger.ask("what_if", {"scenarios": {alone: scenarios[alone]}, "flips": EVERY, **asked})
        assert one["scenarios"] == [answer["scenarios"][int(alone[1:])]]
    assert not seed % 2 or content(desk.ledger.store) == before, "it wrote"
    desk.close()


def on_time(case: Case) -> Case:
    return replace(case, events=[event for event in case.events if not event.get("late")])


def check(told: Answer, found: list[Case], dues: Callable[[list[Wait]], naive_whatif.Due], now: int) -> None:
    """Compare a scenario's cells, flips and due instants with the naive telling of each case."""
    sides: tuple[Counter[Any], Counter[Any]] = (Counter(), Counter())
    flips = {}
    for case in found:
        if case.start > now:
            continue
        happened = naive_whatif.as_of(case, now)
        both = []
        # What counts came before the verdict was final, under the case's own policy or the scenario's.
        counts = [naive_whatif.in_time(case, of, us(LATE)) for of in (lambda _pauses: naive_whatif.present, dues)]
        waited = naive_whatif.pauses(naive_whatif.as_of(max(counts, key=lambda one: len(one.events)), now))
        for due in (naive_whatif.present, dues(waited)):
            one = happened.tell(due)
            both.append((one.verdict(now, happened.excluded), one.due if one.due != FOREVER else None))
            if both[-1][0] != "none":
                sides[len(both) - 1][(*one.cell, both[-1][0])] += 1
        if both[0][0] != both[1][0]:
            flips[case.number] = both
    assert [cells(told, side) for side in ("before", "after")] == list(sides)
    assert {
        flip["ticket"]: [
            (side["verdict"], us(side["due_at"]) if side["due_at"] else None)
            for side in (flip["before"], flip["after"])
        ]
        for flip in told["flips"]
    } == flips


if __name__ == "__main__":
    count = int(sys.argv[1])
    begin = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    sys.stdout.write(f"{dict(compare(begin, begin + count))}\n")
