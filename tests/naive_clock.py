"""A second clock for the first response, written from DOMAIN.md alone: plain datetime and zoneinfo, day by day.

It shares no code with the ledger. `Hours` counts time in a calendar span by span; `Story` tells a case's facts
one after the other; `Case.told` answers as of an instant (`at`) and as known at an instant (`known`), leaving out
whatever was recorded when the verdict was already final.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

US = timedelta(microseconds=1)
GRACE = timedelta(hours=72)
LEVELS = ("basic", "advanced", "corporate")
PRIORITIES = ("low", "medium", "high")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVER = datetime(9000, 1, 1, tzinfo=UTC)

Spans = list[tuple[datetime, datetime]]


class Hours:
    """Opening hours: `{"zone": …, "week": {"mon": [["08:00", "17:00"]]}, "dates": {"2026-05-01": []}}`."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.zone = ZoneInfo(data["zone"])
        self.week = data["week"]
        self.dates = data.get("dates", {})
        self._days: dict[date, Spans] = {}
        self._around: dict[date, tuple[datetime, datetime, Spans]] = {}

    def wall(self, day: date, text: str) -> datetime:
        """Return the instant of a wall time; fold 0 is the first of two, and goes forward over a gap."""
        hours, minutes = map(int, text.split(":"))
        if hours == 24:
            day, hours = day + timedelta(days=1), 0
        return datetime.combine(day, time(hours, minutes), self.zone).astimezone(UTC)

    def lived(self, day: date) -> bool:
        """Whether the day had a noon: Samoa's 2011-12-30 had none."""
        noon = datetime.combine(day, time(12), self.zone)
        return noon.astimezone(UTC).astimezone(self.zone).date() == day

    def spans(self, day: date) -> Spans:
        """Return the open spans of a local day, as instants."""
        if day not in self._days:
            wanted = self.dates.get(day.isoformat(), self.week.get(DAYS[day.weekday()], []))
            spans = [(self.wall(day, opens), self.wall(day, closes)) for opens, closes in wanted]
            self._days[day] = [s for s in spans if s[0] < s[1]] if self.lived(day) else []
        return self._days[day]

    def around(self, day: date) -> Spans:
        """Return the open spans of a day and those beside it, without overlap (a gap may push one into another)."""
        found: Spans = []
        near = [span for n in (-1, 0, 1) for span in self.spans(day + timedelta(days=n))]
        for opens, closes in sorted(near):
            if found and opens <= found[-1][1]:
                found[-1] = (found[-1][0], max(found[-1][1], closes))
            else:
                found.append((opens, closes))
        return found

    def within(self, day: date, start: datetime, end: datetime) -> Spans:
        """Return the open spans of the physical time of a local day, between two instants."""
        if day not in self._around:
            self._around[day] = self.wall(day, "00:00"), self.wall(day, "24:00"), self.around(day)
        first, last, spans = self._around[day]
        cut = [(max(opens, first, start), min(closes, last, end)) for opens, closes in spans]
        return [span for span in cut if span[0] < span[1]]

    def elapsed(self, start: datetime, end: datetime) -> timedelta:
        """Return the counted time between two instants."""
        total, day = timedelta(), start.astimezone(self.zone).date() - timedelta(days=1)
        while day <= end.astimezone(self.zone).date() + timedelta(days=1):
            total += sum((closes - opens for opens, closes in self.within(day, start, end)), timedelta())
            day += timedelta(days=1)
        return total

    def due(self, start: datetime, limit: timedelta) -> datetime:
        """Return the earliest instant at which the counted time from `start` equals `limit`."""
        left, day = limit, start.astimezone(self.zone).date() - timedelta(days=1)
        for _ in range(4000):
            for opens, closes in self.within(day, start, EVER):
                if closes - opens >= left:
                    return opens + left
                left -= closes - opens
            day += timedelta(days=1)
        raise AssertionError("these hours never open")


@dataclass(frozen=True)
class Fact:
    """Something that happened at `at`, came to the ledger at `recorded`, and stands at `position` in the log."""

    kind: (
        str  # respond, resolve, ask, elsewhere (where it was merged into), priority, upgrade, out, in, exclude, revise
    )
    at: datetime
    recorded: datetime
    position: int
    value: str = ""  # a channel, priority, level or verdict; of an exclusion who approved it
    grounds: bool = True  # what a lowering needs: without them it is a label; what an answer elsewhere is: a response
    by: str = ""


@dataclass(frozen=True)
class Policy:
    """The limits and opening hours published when a case was opened."""

    limits: dict[tuple[str, str], timedelta]
    hours: dict[tuple[str, str], Hours]
    names: dict[tuple[str, str], str] = field(default_factory=dict)

    def due(self, start: datetime, level: str, priority: str) -> datetime:
        """Return when the limit of a level and priority is used up."""
        return _due(self.hours[level, priority], start, self.limits[level, priority])


@lru_cache(maxsize=1024)  # a case is told again and again
def _due(hours: Hours, start: datetime, limit: timedelta) -> datetime:
    return hours.due(start, limit)


@dataclass(frozen=True)
class Stood:
    """How a case stood when it left compliance: that is what it comes back to."""

    start: datetime
    due: datetime
    governs: tuple[str, str]
    counted: list[tuple[datetime, tuple[str, str]]]
    level: str
    priority: str


@dataclass
class Story:
    """How a case stands while its facts are told in order."""

    policy: Policy
    level: str
    priority: str
    target: bool = False
    start: datetime | None = None
    due: datetime | None = None
    governs: tuple[str, str] | None = None
    stood: Stood | None = None
    answered: datetime | None = None
    answerer: str = ""
    excluded: bool = False
    counted: list[tuple[datetime, tuple[str, str]]] = field(default_factory=list)  # from when, in whose hours
    dues: list[tuple[datetime, datetime]] = field(default_factory=list)

    def begin(self, at: datetime) -> None:
        """Start the clock."""
        self.target, self.start, self.governs = True, at, (self.level, self.priority)
        self.due = self.policy.due(at, self.level, self.priority)
        self.counted = [(self.start, self.governs)]

    def leave(self, at: datetime) -> None:
        """Leave compliance, unless it was breached; keep how it stood."""
        if not self.target or self.breached(at):
            return
        assert self.start is not None
        assert self.due is not None
        assert self.governs is not None
        self.stood = Stood(self.start, self.due, self.governs, self.counted, self.level, self.priority)
        self.target = False

    def come_back(self, at: datetime, level: str) -> None:
        """Restore what it left with; where priority or level were raised meanwhile, that acts now, as a raise."""
        stood = self.stood
        assert stood is not None
        self.target, self.level = True, level
        self.start, self.due, self.governs, self.counted = stood.start, stood.due, stood.governs, stood.counted
        raised = PRIORITIES.index(self.priority) > PRIORITIES.index(stood.priority)
        upgraded = LEVELS.index(level) > LEVELS.index(stood.level)
        if (raised or upgraded) and at < self.due and at < (self.answered or EVER):
            self.set(min(self.due, self.policy.due(at, level, self.priority)), at)

    def breached(self, at: datetime) -> bool:
        """Whether the due instant has passed at `at` without an answer before it."""
        assert self.due is not None
        return at >= self.due and (self.answered is None or self.answered >= self.due)

    def set(self, due: datetime, start: datetime) -> None:
        """Take a new due instant, counted from `start`; on a tie the earlier limit governs."""
        if due != self.due:
            self.due, self.governs = due, (self.level, self.priority)
            self.counted = [one for one in self.counted if one[0] < start] + [(start, self.governs)]

    def took(self) -> timedelta | None:
        """Return the time counted from the start to the answer, each stretch in the hours that governed it."""
        if not self.target or self.answered is None or self.start is None or self.answered < self.start:
            return None
        ends = [*(start for start, _cell in self.counted[1:]), self.answered]
        stretches = [
            self.policy.hours[cell].elapsed(start, min(end, self.answered))
            for (start, cell), end in zip(self.counted, ends, strict=True)
            if start < self.answered
        ]
        return sum(stretches, timedelta())

    def tell(self, fact: Fact) -> None:
        """Tell one fact; the answer is known beforehand."""
        if fact.kind == "out":
            self.leave(fact.at)
        elif fact.kind == "in":
            if self.target:  # a breach stayed: only what it consumes is another unit
                self.level = fact.value
            elif self.stood is not None:
                self.come_back(fact.at, fact.value)
            else:
                self.level = fact.value
                self.begin(fact.at)
        elif fact.kind == "exclude":
            self.excluded = self.excluded or fact.value != self.answerer
        elif fact.kind in ("priority", "upgrade"):
            self._change(fact)
        if self.target and self.due is not None:
            self.dues.append((fact.at, self.due))

    def _change(self, fact: Fact) -> None:
        runs = self.target and self.due is not None and fact.at < self.due and fact.at < (self.answered or EVER)
        before = self.priority
        if fact.kind == "priority":
            self.priority = fact.value
        elif runs:
            self.level = fact.value
        if not runs:
            return
        assert self.due is not None
        assert self.start is not None
        if fact.kind == "upgrade" or PRIORITIES.index(self.priority) > PRIORITIES.index(before):
            self.set(min(self.due, self.policy.due(fact.at, self.level, self.priority)), fact.at)
        elif self.priority != before and fact.grounds:
            self.set(max(self.due, self.policy.due(self.start, self.level, self.priority)), self.start)


@dataclass(frozen=True)
class Told:
    """What the second clock says of a case."""

    due: datetime | None
    raw: str  # none, met, breached, open
    adjusted: str
    governs: tuple[str, str] | None
    answered: datetime | None
    final_at: datetime | None
    took: timedelta | None = None
    calendar: str = ""


@dataclass(frozen=True)
class Case:
    """A case as it was opened, and everything recorded of it since."""

    opened: datetime
    recorded: datetime
    zone: str
    level: str
    priority: str
    policy: Policy
    target: bool = True
    imported: bool = False
    facts: tuple[Fact, ...] = ()

    def story(self, facts: list[Fact], at: datetime = EVER) -> Story:
        """Tell what of `facts` had happened at `at`, by date, then position."""
        told = sorted((fact for fact in facts if fact.at <= at), key=lambda f: (f.at, f.position))
        answer = next(iter(self.answers(told)), None)
        story = Story(self.policy, self.level, self.priority)
        story.answered, story.answerer = (answer.at, answer.by) if answer else (None, "")
        if self.target:
            story.begin(self.opened)
        for fact in told:
            story.tell(fact)
        return story

    def answers(self, told: list[Fact]) -> list[Fact]:
        """Return the answers: on the platform, by chat when the priority is high then, by asking, or by resolving.

        One in the case it was merged into is one where it is one there (`grounds`), as was told last.
        """
        found, priority = [], self.priority
        for fact in told:
            channels = ("platform", "chat") if priority == "high" else ("platform",)
            there = [f for f in told if f.kind in ("elsewhere", "recount") and (f.at, f.value) == (fact.at, fact.value)]
            if (
                fact.kind in ("resolve", "ask")
                or (fact.kind == "respond" and fact.value in channels)
                or (fact.kind == "elsewhere" and there[-1].grounds)
            ):
                found.append(fact)
            priority = fact.value if fact.kind == "priority" else priority
        return found

    def grounded(self, at: datetime, reminder: datetime) -> bool:
        """Whether a reminder or a call of that instant was made, is an hour old at `at`, and had no reply by then."""
        made = [x for x in self.facts if x.kind == "remind" or (x.kind, x.value) == ("respond", "phone")]
        if all(one.at != reminder for one in made) or at - reminder < timedelta(hours=1):
            return False
        return not any(x.kind in ("message", "resume") and reminder < x.at <= at for x in self.facts)

    def final(self, story: Story) -> datetime | None:
        """Return from when the verdict is final."""
        if not story.target or story.due is None:
            return None
        local = self.opened.astimezone(ZoneInfo(self.zone))
        month = date(local.year + local.month // 12, local.month % 12 + 1, 1)
        end = datetime.combine(month, time(), ZoneInfo(self.zone)).astimezone(UTC)
        earlier = min(story.answered or EVER, story.due)
        latest = max(earlier + GRACE, end) if earlier < EVER else EVER
        return max(latest, self.recorded + GRACE) if self.imported else latest

    def counted(self, known: datetime = EVER) -> list[Fact]:
        """Return what was recorded by `known` and before the verdict was final."""
        kept: list[Fact] = []
        for fact in sorted(self.facts, key=lambda f: f.position):
            if fact.kind == "revise":
                continue
            final = self.final(self.story(kept))
            if fact.recorded > known or (final is not None and fact.recorded >= final):
                break
            kept.append(fact)
        return kept

    def told(self, at: datetime, known: datetime = EVER) -> Told:
        """Return due, verdicts and what governed them: as of `at`, as known at `known`."""
        story = self.story(self.counted(known), at)
        if not story.target or story.due is None:
            return Told(None, "none", "none", None, story.answered, None)
        if story.answered is not None and story.answered < story.due:
            raw = "met"
        else:
            raw = "breached" if story.answered is not None or story.due <= at else "open"
        adjusted = "excluded" if story.excluded else raw
        for fact in sorted(self.facts, key=lambda f: (f.at, f.position)):
            if fact.kind == "revise" and fact.at <= at and fact.recorded <= known:
                adjusted = fact.value
        name = self.policy.names.get(story.governs, "") if story.governs else ""
        return Told(story.due, raw, adjusted, story.governs, story.answered, self.final(story), story.took(), name)

    def grown(self, *facts: Fact) -> Case:
        """Return the case with more facts."""
        return replace(self, facts=(*self.facts, *facts))


def told_there(answer: Fact, merged: Fact, there: Sequence[Fact]) -> Iterator[Fact]:
    """Yield what a merged case learns of an answer in the case it went over into, as that one's priority is told."""

    def counts(known: int) -> bool:
        before = [x for x in there if x.position <= known and (x.at, x.position) < (answer.at, answer.position)]
        last = max(before, key=lambda fact: (fact.at, fact.position))
        return answer.value == "platform" or (answer.value == "chat" and last.value == "high")

    later = max(answer, merged, key=lambda one: one.position)
    now = counts(later.position)
    yield replace(answer, kind="elsewhere", recorded=later.recorded, position=later.position, grounds=now)
    for change in sorted(there, key=lambda fact: fact.position):
        if change.position > later.position and counts(change.position) != now:
            now = not now
            yield Fact("recount", answer.at, change.recorded, change.position, answer.value, now)
