"""Laws of explanations: on random cases, and for every ticket of a random desk, in both stores."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger import facts as f
from ledger.catalogue import Catalogue
from ledger.errors import LedgerError
from ledger.explaining import PolicyOf, explanation
from ledger.rules import sla
from ledger.rules.instants import from_iso, to_iso
from ledger.store import Recorded
from ledger.ticket import Ticket
from tests.explained import US, explain, hold, when
from tests.given import ANA, BEATRIZ, FERRETERIA, LUIS, PANADERIA, Desk
from tests.sla_desk import OFFICE, catalogue

CASES = 400
ACTS = ("raise", "lower", "upgrade", "kind", "respond", "wait", "message", "exclude", "late")
ZONES = ("America/Guatemala", "Europe/Rome", "America/New_York", "Australia/Lord_Howe")
# Each level and priority in one of three calendars: night and day, a desk's hours, hours in a zone whose clocks jump.
MIXED = """
[[calendars]]
name = "roma"
version = 1
from = "2026-01-01"
zone = "Europe/Rome"
[calendars.week]
mon = [["00:30", "03:30"], ["09:00", "18:00"]]
wed = [["09:00", "18:00"]]
fri = [["09:00", "24:00"]]
sat = [["00:00", "04:00"]]
sun = [["01:00", "05:00"]]
[[targets]]
version = "mixed"
from = "2026-02-01"
basic = { low = "8h", medium = "7h", high = "2h" }
advanced = { low = "4h", medium = "5h", high = "1h" }
corporate = { low = "2h", medium = "3h", high = "30m" }
calendar = "24x7"
calendars = { basic = { low = "gt-business", medium = "roma" }, advanced = { low = "oficina", high = "gt-business" }, corporate = { low = "roma", medium = "oficina" } }
"""  # noqa: E501


@pytest.fixture(name="known")
def _known(tmp_path: Path) -> Catalogue:
    return catalogue(tmp_path, OFFICE, MIXED)


class Maker:
    """Makes one random case: facts as the decisions record them, some dated back, some recorded after the final."""

    def __init__(self, seed: int, known: Catalogue) -> None:
        self.random, self.known = random.Random(seed), known
        self.facts: list[f.TicketFact] = []
        self.recorded: list[str] = []
        self.now = datetime(2026, 3, 20, tzinfo=UTC) + timedelta(minutes=self.random.randrange(0, 15 * 1440))
        self.base = {"customer_no": "C-1", "by": "ana", "source": "console", "ticket_no": "T-1"}

    def case(self) -> Ticket:
        self._open()
        for _ in range(self.random.randrange(0, 7)):
            self.now += timedelta(microseconds=int(10 ** self.random.uniform(0, 11.6)))
            self._act()
        rows = zip(self.facts, self.recorded, strict=True)
        return Ticket("T-1", [Recorded("ticket/T-1", n, x, recorded_at=at) for n, (x, at) in enumerate(rows, 1)])

    def _add(self, kind: type[Any], **fields: Any) -> None:
        self.facts.append(kind(**{**self.base, "occurred_at": to_iso(self.now), **fields}))
        self.recorded.append(to_iso(self.now))

    def _target(self, level: str, priority: str, start: str) -> dict[str, Any]:
        target = self.known.target(level, priority, self.day)
        due = self.known.calendar(target.calendar).due(from_iso(start), target.limit_us)
        return {
            "policy": target.policy, "calendar": target.calendar, "limit_us": target.limit_us, "due_at": to_iso(due),
        }  # fmt: skip

    def _open(self) -> None:
        level, priority = self.random.choice(("basic", "advanced")), self.random.choice(sla.PRIORITIES)
        self.day = self.now.date()
        common = {"zone": self.random.choice(ZONES), "priority": priority}
        if self.random.random() < 0.15:
            self._add(f.TicketOpened, request="administrative", **common)
        else:
            promise = self._target(level, priority, to_iso(self.now))
            self._add(f.TicketOpened, request="general", level=level, **common, **promise)

    def _act(self) -> None:
        clock = sla.run(self.facts, to_iso(self.now))
        assert clock is not None
        at = to_iso(self.now)
        runs = bool(clock.due_at) and not clock.responded_at and at < clock.due_at
        match self.random.choice(
            ("raise", "lower", "upgrade", "kind", "respond", "wait", "message", "exclude", "late")
        ):
            case "raise" | "lower":
                self._prioritise(clock, at, runs)
            case "upgrade" if runs:
                due = self._target("corporate", clock.priority, at)["due_at"]
                self._add(f.TicketPlanUpgraded, level="corporate", due_at=due)
            case "kind":
                self._reclassify(clock, at)
            case "respond" if self.random.random() < 0.6:
                self._add(f.TicketResponded, channel="platform", counts=True)
            case "late" if self.random.random() < 0.3:
                self.now += timedelta(days=45)
                self._add(f.TicketResponded, channel="platform", counts=True, occurred_at=at)
            case "wait" if not clock.waiting_since:
                self._add(f.TicketWaiting)
            case "message":
                self._add(f.TicketMessage)
            case "exclude" if clock.due_at and not clock.excluded:
                self._add(f.TicketExcluded, approver="beatriz", reason="caída")

    def _prioritise(self, clock: sla.Clock, at: str, runs: bool) -> None:
        priority = self.random.choice([p for p in sla.PRIORITIES if p != clock.priority])
        way = sla.direction(clock.priority, priority)
        start = at if way == "raise" else clock.started_at
        due = self._target(clock.level, priority, start)["due_at"] if runs else ""
        self._add(f.TicketPrioritised, priority=priority, direction=way, due_at=due, agreed=True)

    def _reclassify(self, clock: sla.Clock, at: str) -> None:
        if clock.request != "administrative":
            self._add(f.TicketReclassified, request="administrative")
            return
        level = clock.level or "advanced"
        promise = self._target(level, clock.priority, at)
        if clock.first_due:
            promise["due_at"] = clock.first_due
        self._add(f.TicketReclassified, request="general", level=level, **promise)


def test_every_microsecond_is_told_once_and_the_due_instant_follows_in_400_cases(known: Catalogue) -> None:
    seen: Counter[str] = Counter()
    for seed in range(CASES):
        maker = Maker(seed, known)
        case = maker.case()
        for at in (to_iso(maker.now), to_iso(maker.now + timedelta(hours=maker.random.randrange(1, 99)))):
            told = explanation(case, known, at)
            hold(told, known)
            clock = case.clock(at)
            assert (told["raw"], told["verdict"]) == (clock.raw_verdict(at), clock.verdict(at)), seed
            _counted(told, known, seed)
            seen.update((told["raw"], *(one["cause"] for one in told["limits"]), *(s["why"] for s in told["segments"])))
            seen.update(one["kind"] for one in told["counterfactuals"])
    assert min(seen[word] for word in ("met", "breached", "open", "none")) >= 10, seen
    assert min(seen[word] for word in ("raised", "lowered", "upgraded", "left", "joined")) >= 10, seen
    assert min(seen[word] for word in ("night", "break", "weekend", "before_target", "without", "late_facts")) >= 5, (
        seen
    )


def _counted(told: Any, known: Catalogue, seed: int) -> None:
    """Where one calendar governed, the segments' sum is the calendar's; used + left is the limit, or it is late."""
    names = {one["calendar"] for one in told["segments"]}
    if len(names) == 1 and told["due_at"] and None not in names:
        calendar = known.calendar(names.pop())
        end = when(told["segments"][-1]["until"])
        assert told["elapsed_us"] == calendar.elapsed_us(when(told["opened_at"]), end), seed
    if told["due_at"]:
        over = max(told["used_us"] - told["limit_us"], 0)
        assert told["used_us"] + told["left_us"] == told["limit_us"] + over, seed
        assert over == (told["late_by_counted_us"] if told["until"] == "response" else 0), seed
        if told["responded_at"]:
            apart = (when(told["responded_at"]) - when(told["due_at"])) // US
            assert told["late_by_us"] - told["early_by_us"] == apart, seed


def test_what_would_have_been_is_what_is_when_nothing_is_taken_away(known: Catalogue) -> None:
    """Each counterfactual's own claim: answered before its due instant, and only then, it is met."""
    for seed in range(CASES, CASES + 100):
        maker = Maker(seed, known)
        case, at = maker.case(), to_iso(maker.now)
        told = explanation(case, known, at)
        for one in told["counterfactuals"]:
            if one["kind"] in ("answered_before", "late_facts") or one["due_at"] is None:
                continue
            if told["responded_at"]:
                met = when(told["responded_at"]) < when(one["due_at"])
                assert one["verdict"] == ("met" if met else "breached"), (seed, one)
            else:
                assert one["verdict"] == ("open" if when(told["at"]) < when(one["due_at"]) else "breached"), (seed, one)


def test_the_policy_of_the_opening_is_asked_for(known: Catalogue) -> None:
    maker = Maker(1, known)
    maker.case()
    opened = maker.facts[0]
    assert isinstance(opened, f.TicketOpened)
    policy = PolicyOf(opened, known)
    assert policy.target("corporate", "low") == (7_200_000_000, "roma@1")
    assert policy.alternatives("2026-11-30T00:00:00.000000Z") == ["24x7@1", "gt-business@1"]
    assert policy.alternatives("2026-12-02T00:00:00.000000Z") == ["24x7@1", "gt-business@1"]
    with pytest.raises(LedgerError, match="unknown_calendar"):
        policy.calendar("luna@1")


# --- a desk -----------------------------------------------------------------------------------------------------------


@pytest.fixture(name="busy")
def _busy(store_url: str, known: Catalogue) -> Iterator[Desk]:
    """Two customers, forty cases, whatever staff do with them; what is refused is refused."""
    desk, chance = Desk(store_url, known), random.Random(5)
    desk.at("2026-05-01 08:00").sell(level="advanced").sell(FERRETERIA, "corporate")
    now = datetime(2026, 5, 4, 8)  # noqa: DTZ001 - a local time
    for _ in range(160):
        now += timedelta(minutes=chance.randrange(1, 90), microseconds=chance.randrange(10**6))
        desk.at(now.isoformat(sep=" "))
        try:
            _something(desk, chance)
        except LedgerError:
            continue
    yield desk
    desk.close()


def _something(desk: Desk, chance: random.Random) -> None:
    verbs = ("open", "open", "respond", "prioritise", "exclude", "reclassify", "resolve", "merge", "wait", "message")
    verb, numbers = chance.choice(verbs), tickets(desk)
    who = chance.choice((ANA, LUIS))
    if verb == "open" or not numbers:
        account, request = chance.choice((PANADERIA, FERRETERIA)), chance.choice(("general", "question", "training"))
        desk.ticket(account, request, chance.choice(sla.PRIORITIES), by=who)
        return
    given: dict[str, Any] = {"ticket": chance.choice(numbers), "by": who}
    more: dict[str, dict[str, Any]] = {
        "prioritise": {"priority": chance.choice(sla.PRIORITIES), "agreed": True, "reason": "acordado"},
        "exclude": {"by": BEATRIZ, "reason": "caída"},
        "reclassify": {"request": chance.choice(("administrative", "general"))},
        "merge": {"into": chance.choice(numbers)},
    }
    desk.do(f"ticket.{verb}", **{**given, **more.get(verb, {})})


def tickets(desk: Desk) -> list[str]:
    """Return the numbers of all cases."""
    events = [*desk.events(PANADERIA, "ticket.opened"), *desk.events(FERRETERIA, "ticket.opened")]
    return [event["ticket_no"] for event in events]


def test_the_explanations_verdict_is_the_tickets_and_the_reports_for_every_ticket(busy: Desk) -> None:
    told = [explain(busy, number) for number in tickets(busy)]
    assert len(told) >= 25
    for raw, name in ((False, "verdict"), (True, "raw")):
        counted = Counter((t["level"], t["priority"], t[name]) for t in told if t["due_at"])
        (*_, report) = [busy.ask("report", by=["level", "priority"], raw=raw)]
        cells = {
            (row["level"], row["priority"], verdict): row[verdict]
            for row in report["rows"]
            for verdict in ("met", "breached", "open", "excluded")
            if row[verdict]
        }
        assert cells == dict(counted)
    assert {t["verdict"] for t in told} >= {"met", "breached", "excluded"}
