"""A second telling of when a card is charged and what a scripted gateway answers, over `tests/naive_billing.py`.

Attempts and answers are facts: once made they stay told. They are worked out here before the ledger is asked.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from tests.naive_billing import Story
from tests.naive_billing_acts import tell
from tests.naive_things import RETRIES, Charge, Told, local, midnight

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Cashier:
    """Charges cards as DOMAIN.md 7 says: at the boundary, 1, 3 and 5 days later, at once for what is bought."""

    def __init__(self, told: list[Told]) -> None:
        self.told = told
        self.script: list[str] = []
        self.payments = 0
        self.active = False  # whether a card was ever spoken of
        self.taken = 0
        self.late: dict[str, tuple[datetime, datetime]] = {}  # attempt -> (answered at, told from)
        self.asked: dict[str, datetime] = {}
        self.counts: Counter[str] = Counter()

    def tell(self, at: datetime, what: str, **words: object) -> None:
        """Add a fact."""
        self.told.append(Told(at, what, dict(words), len(self.told)))

    def pass_time(self, since: datetime, to: datetime) -> None:
        """Let attempts and look-ups happen on the way: each local midnight, and each look at what has no answer."""
        now = since
        if self.active and self._due_now(now):
            self.collect(now)  # what became due without a command that asks the gateway
        while True:
            looks = [look for look in (self._next_look(name, now) for name in self._open(now)) if look <= to]
            day = midnight(local(now) + DAY)
            now = min([*looks, day])
            if now > to:
                return
            if self.active:
                self.collect(now)

    def collect(self, now: datetime, *, at_once: bool = False) -> None:
        """Make the attempts that are due, then ask or ask again about all that has no answer.

        A command (`at_once`) leaves it to the jobs to note that there is no card (ledger/cashier.py).
        """
        story = tell(self.told, now)
        for charge, at in self._all_due(story, now):
            if at <= now and (story.card or not at_once):
                attempt = f"{charge.name} {len(self.asked)}"
                self.asked[attempt] = now
                self.tell(at, "attempt", name=attempt, charge=charge.name, amount=story.due(charge))
                self.counts["attempts"] += 1
                if not story.card:
                    self.tell(at, "refused", name=attempt, final=True)
        for attempt in self._open(now):
            self._ask(attempt, now)

    def _open(self, now: datetime) -> list[str]:
        return [name for name, made in tell(self.told, now).attempts.items() if made["outcome"] == "open"]

    def awaits(self, now: datetime) -> bool:
        """Whether the gateway owes an answer."""
        return bool(self._open(now))

    def _next_look(self, attempt: str, now: datetime) -> datetime:
        at, pause = self._asked_at(attempt), MINUTE
        while (at := at + pause) <= now:
            pause = min(pause * 2, DAY)
        return at

    def _asked_at(self, attempt: str) -> datetime:
        return next(t.at for t in self.told if t.what == "attempt" and t.words["name"] == attempt)

    def _due_now(self, now: datetime) -> bool:
        return any(at <= now for _charge, at in self._all_due(tell(self.told, now), now))

    def _all_due(self, story: Story, now: datetime) -> list[tuple[Charge, datetime]]:
        found = [(charge, self._due(story, charge, now)) for charge in story.charges.values()]
        return [(charge, at) for charge, at in found if at is not None]

    def _due(self, story: Story, charge: Charge, now: datetime) -> datetime | None:
        """Return when the next attempt on a charge is due by `now`; None for none."""
        plan = story.bought() if charge.kind == "addon" else story.plan_of(charge)
        if plan is None or not plan.card or plan.state not in ("pending", "in_force", "past_due"):
            return None
        if not charge.open or charge.times:
            return None
        own = [made for made in story.attempts.values() if made["charge"] == charge.name]
        if any(made["outcome"] == "open" for made in own):
            return None
        if own and all(made["card"] != story.card for made in own) and own[-1]["at"] <= story.card_since:
            return max(story.card_since, charge.asked)  # a new card may replace it at once
        if any(made["final"] for made in own if made["card"] == story.card):
            return None
        if charge.kind != "renewal":
            return max(story.card_since, charge.asked) if story.card and not own else None
        days = [max(midnight(charge.due_on + timedelta(days=n)), charge.asked) for n in RETRIES]
        last = max((made["at"] for made in own), default=None)
        left = [day for day in days if last is None or day > last]
        come = [day for day in left if day <= now]
        return max(come[-1], story.card_since) if come else None

    def _ask(self, attempt: str, now: datetime) -> None:
        made = tell(self.told, now).attempts[attempt]
        if attempt in self.late:
            answered, visible = self.late[attempt]
            if now >= visible:
                self._pay(attempt, answered, made)
            return
        outcome = self.script.pop(0) if self.script else "ok"
        self.counts[f"gateway {outcome}"] += 1
        if outcome in ("declined", "declined_final"):
            self.tell(now, "refused", name=attempt, final=outcome == "declined_final")
        elif outcome == "timeout_after_charge":
            self.late[attempt] = (now, now)
        elif outcome == "late":
            self.late[attempt] = (now + HOUR, now + HOUR)
        elif outcome != "timeout_before_charge":
            self._pay(attempt, now, made)

    def _pay(self, attempt: str, at: datetime, made: dict[str, object]) -> None:
        self.payments += 1
        amount = made["amount"]
        assert isinstance(amount, int)
        self.taken += amount
        self.tell(at, "pay", name=f"P{self.payments}", amount=amount, attempt=attempt)
