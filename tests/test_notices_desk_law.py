"""Mail to the desk over random histories: nothing false, nothing twice but after a death, nothing missed.

16 histories on SQLite and 4 on PostgreSQL, 100 steps each: cases under two calendars are opened, assigned, answered
(some dated back), raised, lowered, resolved, merged, excluded, taken out of compliance and back; jobs run now and
then, sometimes not for days. In half of them the mail server refuses or the sender dies right after a mail left.
What must hold is said from the ledger's own answers and from plain arithmetic, not from the rule of warnings.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger import facts as f
from ledger.errors import LedgerError
from ledger.rules.instants import to_iso
from projections.projector import projector_of
from projections.rebuild import check
from scheduler.desk import CHANNEL
from scheduler.mails import message_name
from scheduler.rows import Entry, entries
from scheduler.undelivered import Undelivered
from scheduler.warnings import record_warnings
from tests.given import ANA, BEATRIZ, LUIS, when
from tests.mailbox import Mailbox, PostDesk, words

STEPS = 100
LIMITS = {("basic", "low"): 8, ("basic", "high"): 2, ("corporate", "high"): 1}  # hours, round the clock
OFFICE = ("corporate", "low")  # two hours of office
US = timedelta(microseconds=1)


class Moody(Mailbox):
    """A mail server that now and then refuses, and a sender that now and then dies right after a mail left."""

    def __init__(self, rng: random.Random, calm: bool) -> None:
        super().__init__()
        self.rng, self.calm = rng, calm
        self.deaths: Counter[str] = Counter()

    def send(self, mail: Any) -> None:
        mood = 1.0 if self.calm else self.rng.random()
        if mood < 0.2:
            raise Undelivered("SMTPDataError 451", down=mood < 0.1)
        super().send(mail)
        if mood < 0.35:
            self.deaths[str(mail["Message-ID"])] += 1
            raise KeyboardInterrupt


class Story:
    """One desk's random weeks."""

    def __init__(self, desk: PostDesk, seed: int) -> None:
        self.desk, self.rng = desk, random.Random(seed)
        self.calm = seed % 2 == 0
        self.box = desk.box = Moody(self.rng, self.calm)
        desk.people = "mesa@invex.example"
        self.now = when("2026-03-02 09:00")  # a Monday
        desk.at("2026-03-02 09:00")
        for number in range(8):
            desk.sell(f"C-{500 + number}", "basic", term="yearly")
        for number in range(2):
            desk.sell(f"C-{600 + number}", "corporate", term="yearly")
        desk.do("calendar.assign", by=BEATRIZ, level=OFFICE[0], priority=OFFICE[1], calendar="gt-business")
        self.asked = 0
        self.cases: dict[str, tuple[str, str, datetime]] = {}
        self.moved: set[str] = set()  # whose promise somebody changed, or may have
        self.runs: list[datetime] = []
        self.mails: dict[str, Counter[str]] = {}  # Message-ID -> cases listed

    def step(self) -> None:
        hours = self.rng.choice((0.1, 0.3, 0.5, 0.5, 1, 2, 5, 30 if self.rng.random() < 0.2 else 1))
        self.now += timedelta(microseconds=int(hours * 3_600_000_000) + self.rng.choice((0, 0, 1, 333_333)))
        self.desk.ledger.clock.move(self.now)
        acts = (
            self.open,
            self.open,
            self.open,
            self.assign,
            self.answer,
            self.answer,
            self.prioritise,
            self.reclassify,
        )
        with contextlib.suppress(LedgerError):  # refused: that is life too
            self.rng.choice((*acts, self.resolve, self.merge, self.exclude))()
        if self.rng.random() < 0.7:
            self.run()

    # --- what people do ---

    def open(self) -> None:
        for _ in range(self.rng.choice((1, 1, 3))):
            self.asked += 1
            number, level = f"T-{self.asked}", self.rng.choice(("basic", "basic", "corporate"))
            account = f"C-{500 + self.rng.randrange(8)}" if level == "basic" else f"C-{600 + self.rng.randrange(2)}"
            priority = self.rng.choice(("low", "high"))
            if self.desk.ticket(account, priority=priority, ticket=number)["ok"]:
                self.cases[number] = (level, priority, self.now)

    def some(self) -> str:
        return self.rng.choice(list(self.cases)[-6:]) if self.cases else "T-0"

    def assign(self) -> None:
        self.desk.do("ticket.assign", by=ANA, ticket=self.some(), to=self.rng.choice(("ana", "luis")))

    def answer(self) -> None:
        back = timedelta(hours=self.rng.choice((0, 0, 0, 1, 3)))
        number = self.some()
        at = max(self.now - back, self.cases[number][2]) if number in self.cases else self.now
        self.moved |= {number} if back else set()
        given = {"ticket": number, "channel": self.rng.choice(("platform", "platform", "phone"))}
        self.desk.ledger.execute("ticket.respond", given, caller=LUIS, at=to_iso(at))

    def prioritise(self) -> None:
        number = self.some()
        self.moved.add(number)
        given: dict[str, Any] = {"priority": self.rng.choice(("low", "high")), "agreed": True}
        self.desk.do("ticket.prioritise", by=ANA, ticket=number, reason="lo pidió", **given)

    def reclassify(self) -> None:
        number = self.some()
        self.moved.add(number)
        request = self.rng.choice(("administrative", "general"))
        self.desk.do("ticket.reclassify", by=ANA, ticket=number, request=request)

    def resolve(self) -> None:
        self.desk.do("ticket.resolve", by=ANA, ticket=self.some())

    def merge(self) -> None:
        number, into = self.some(), self.some()
        self.moved |= {number, into}
        self.desk.do("ticket.merge", by=ANA, ticket=number, into=into)

    def exclude(self) -> None:
        self.desk.do("ticket.exclude", by=BEATRIZ, ticket=self.some(), reason="corte de luz")

    # --- what is told ---

    def run(self) -> None:
        """Let the jobs run, and hold what went out against what the ledger answers now."""
        before = len(self.box.mails)
        record_warnings(self.desk.ledger, projector_of(self.desk.ledger), now=self.desk.now)
        with contextlib.suppress(KeyboardInterrupt):
            counts = self.desk.post()
            assert not self.calm or counts["failed"] == counts["given_up"] == 0
        self.runs.append(self.now)
        for mail in self.box.mails[before:]:
            told = words(mail).split("\n\n")
            listed = Counter(part.split(" ·")[0] for part in told if part.startswith("T-"))
            assert set(listed.values()) == {1}, "a case stands in a mail once"
            self.mails.setdefault(str(mail["Message-ID"]), Counter()).update(listed)
            rows = [row for row in self.rows() if _mail_of(row) == mail["Message-ID"]]
            for ticket in listed:
                self.true(ticket, [json.loads(row.body) for row in rows])

    def true(self, ticket: str, bodies: list[dict[str, Any]]) -> None:
        """Assert that what a mail says of a case holds at its instant."""
        answer = self.desk.clock(ticket)
        assert answer["responded_at"] is None, f"{ticket} was answered"
        assert answer["verdict"] in ("open", "breached"), answer
        told = [body for body in bodies if body["data"]["ticket"] == ticket]
        assert told
        for body in told:
            assert to_iso(datetime.fromisoformat(answer["due_at"])) == body["data"]["due_at"]
            assert body["at"] <= self.desk.now, "never before its instant"

    def rows(self) -> list[Entry]:
        return [row for row in entries(self.desk.ledger.store, limit=10_000) if row.channel == CHANNEL]


def _mail_of(row: Entry) -> str:
    return f"<{message_name(json.loads(row.body).get('mail', ''))}@example.com>"


@pytest.mark.parametrize("part", range(4))
def test_what_is_mailed_is_true_once_and_nothing_is_missed(store_url: str, tmp_path: Path, part: int) -> None:
    seeds = range(part * 4, part * 4 + 4)
    seen: Counter[str] = Counter()
    if store_url.startswith("sqlite"):
        for seed in seeds:
            play(f"sqlite:///{tmp_path / f'{seed}.db'}", seed, seen)
        assert seen["expected"] > 20, seen
    else:
        play(store_url, 100 + part, seen)
    print(dict(seen))
    assert min(seen[what] for what in ("mails", "mailed", "warnings")) > 10


def play(url: str, seed: int, seen: Counter[str]) -> None:
    """Play one history and hold it against the laws."""
    desk = PostDesk(url)
    story = Story(desk, seed)
    for _ in range(STEPS):
        story.step()
    for pause in (1, 11, 40, 200):  # what waits is tried again
        story.now += timedelta(minutes=pause)
        desk.ledger.clock.move(story.now)
        story.run()
    for name, listed in story.mails.items():
        assert max(listed.values()) <= 1 + story.box.deaths[name], "twice only after a death"
    warned = {ticket: _recorded(desk, ticket) for ticket in story.cases}
    seen.update(warnings=sum(map(len, warned.values())), mails=len(story.mails), deaths=story.box.deaths.total())
    seen.update(row.state if not row.error else row.error for row in story.rows())
    seen["mailed"] += sum(listed.total() for listed in story.mails.values())
    if story.calm:
        seen["expected"] += _nothing_missed(story)
    assert check(desk.projector, ["queue"]) == {}
    desk.close()


def _recorded(desk: PostDesk, ticket: str) -> list[f.TicketWarned]:
    """Return the warnings on record of a case: each (percent, due) once, in time, none after the answer."""
    case = desk.ledger.ticket(ticket)
    pairs = [(x, at) for x, at in zip(case.facts, case.recorded, strict=True) if isinstance(x, f.TicketWarned)]
    assert len({(x.percent, x.due_at) for x, _at in pairs}) == len(pairs)
    for fact, recorded in pairs:
        assert fact.occurred_at <= recorded
        known = desk.ledger.ask("ticket", {"ticket": ticket, "at": recorded, "known_at": recorded})["responded_at"]
        assert known is None or fact.occurred_at <= to_iso(datetime.fromisoformat(known))
    return [fact for fact, _at in pairs]


def _nothing_missed(story: Story) -> int:
    """Assert that each share of a limit nobody moved was mailed by the first run after it, if news; return how many."""
    told = {row.notice for row in story.rows() if row.state == "sent"}
    expected = 0
    for ticket, (level, priority, opened) in story.cases.items():
        if ticket in story.moved or (level, priority) == OFFICE:
            continue
        limit = timedelta(hours=LIMITS[level, priority])
        answer = story.desk.clock(ticket)
        left = [datetime.fromisoformat(at) for at in (answer["responded_at"], _excluded(story, ticket)) if at]
        gone = min(left, default=None)
        due = opened + limit
        for percent in (50, 75, 90, 100):
            at = opened - US * (-(limit // US) * percent // 100)
            first = next((run for run in story.runs if run >= at), None)
            news = first is not None and (gone is None or gone > first) and (percent == 100 or first < due)
            if news and first is not None and first - at < timedelta(days=7):
                kind = "sla_breached" if percent == 100 else "sla_warning"
                assert f"{kind}:{ticket}:{to_iso(due)}:{percent}" in told, (ticket, percent, at, first)
                expected += 1
    return expected


def _excluded(story: Story, ticket: str) -> str:
    facts = story.desk.ledger.ticket(ticket).facts
    return next((x.occurred_at for x in facts if isinstance(x, f.TicketExcluded)), "")
