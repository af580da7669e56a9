"""A test clock moved through time: whatever falls due on the way happens at its own instant, jobs included.

The clock stands at each instant at which something falls due while that instant's jobs run, so that is when it is
recorded. The accounts that come next, and the cases that are to be warned of, stand in a heap in memory: filled from
the read models (a short log is read itself), then kept up from the log, so that moving a clock on which nothing is due
costs a look at the log's end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from typing import Any
from weakref import WeakKeyDictionary

from ledger import alerts, sweeping
from ledger.application import Ledger
from ledger.errors import Unavailable
from ledger.rules.instants import to_iso
from ledger.rules.subscriptions import FAR
from ledger.settings import Settings
from ledger.store import Store
from ledger.sweeping import Swept
from projections import balances, notices, queue_model
from projections.projector import Projector
from scheduler import outbox

Progress = Callable[[int], None]

_AHEAD = timedelta(days=32)  # how far beyond the target accounts are kept in mind: a month of small moves
_FEW = 2000  # accounts that are looked at one by one; beyond, the read model is asked
_PAGE = 5000
# Accounts stand in the agenda by their number, which holds no slash; cases by the name of their stream.
_ACCOUNT, _CASE = "account/", "ticket/"


def advance(
    ledger: Ledger, to: datetime, *, projector: Projector | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Move the clock to `to` (aware); return counts of `instants`, `accounts`, `facts`, and of what the jobs did.

    Refused for a real ledger (`no_test_clock`) and for a move back (`clock_moved_back`); Unavailable (`clock_moving`)
    while another moves it. What has fallen due before and was not recorded happens first, at the present instant.
    """
    ledger.clock.floor(to)
    with ledger.store.locked("clock") as held:
        if not held:
            raise Unavailable("clock_moving")
        journey = _Journey(ledger, _agendas.setdefault(ledger, Agenda()), projector, progress)
        try:
            journey.move(ledger.clock.floor(to), to)
        except BaseException:
            del _agendas[ledger]  # who was taken out of it was not done with: the next move begins anew
            raise
        finally:
            journey.close()
    return dict(journey.done)


class Agenda:
    """Which account comes next, for one ledger: kept from one move of its clock to the next."""

    def __init__(self) -> None:
        self.seen = 0  # the log's position up to which this is right
        self.until = ""  # accounts whose next instant lies behind it are not kept
        self._next: dict[str, str] = {}
        self._heap: list[tuple[str, str]] = []
        self.told = -1  # the log's position whose notices are in the outbox
        self.tells = ""  # the instant of the next notice, FAR when there is none

    def fill(self, marks: Iterable[tuple[str, str]], *, until: str, seen: int) -> None:
        """Begin anew with (instant, account) pairs; the earliest of one account counts."""
        self.until, self.seen = until, seen
        self._next.clear()
        for instant, number in marks:
            self._next[number] = min(instant, self._next.get(number, FAR))
        self._heap = [(instant, number) for number, instant in self._next.items()]
        heapify(self._heap)

    def set(self, number: str, instant: str) -> None:
        """Keep the instant at which an account comes next."""
        if instant > self.until:
            self._next.pop(number, None)
        elif self._next.get(number) != instant:
            self._next[number] = instant
            heappush(self._heap, (instant, number))

    def first(self) -> str:
        """Return the next instant, FAR when none is kept."""
        while self._heap and self._next.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else FAR

    def take(self, by: str) -> list[str]:
        """Take out the accounts whose instant has come."""
        numbers = []
        while self.first() <= by:
            number = heappop(self._heap)[1]
            del self._next[number]
            numbers.append(number)
        return numbers


_agendas: WeakKeyDictionary[Ledger, Agenda] = WeakKeyDictionary()


class _Journey:
    """One move of the clock."""

    def __init__(self, ledger: Ledger, agenda: Agenda, projector: Projector | None, progress: Progress | None) -> None:
        self.done: Counter[str] = Counter(instants=0, accounts=0, facts=0)
        self._ledger, self._agenda = ledger, agenda
        self._given, self._own = projector, projector is None
        self._progress = progress
        self._now = ""
        self._written: dict[str, int] = {}  # the versions of streams whose place in the agenda is right
        self._tells = False  # whether anybody wants to be told: without, read models are left alone

    def close(self) -> None:
        """Close what was opened for this move."""
        if self._own and self._given is not None:
            self._given.close()

    @property
    def _projector(self) -> Projector:
        if self._given is None:  # most moves need none
            self._given = Projector(self._ledger.store, self._ledger.catalogue)
        return self._given

    def move(self, floor: str, to: datetime) -> None:
        target, self._now = to_iso(to), floor
        desk = floor and Settings.read().mail_desk  # a clock that never stood anywhere has nothing to tell
        self._tells = bool(desk) or _has_readers(self._ledger.store)
        self._refresh(target, to)
        self._notice()
        while (instant := self._first()) <= target:
            self._stand(max(instant, self._now))
            self._work(self._agenda.take(self._now))
            self._notice()
            self._refresh(target, to)  # what others have written meanwhile
        self._ledger.clock.stand(target)

    def _first(self) -> str:
        return min(self._agenda.first(), self._agenda.tells if self._tells else FAR)

    def _stand(self, at: str) -> None:
        self._now = self._ledger.clock.stand(at)
        self.done["instants"] += 1

    def _notice(self) -> None:
        """Tell what is to be told by now, and find out when there is something to tell next."""
        agenda, head = self._agenda, self._ledger.store.last_position() if self._tells else 0
        if not self._tells or (agenda.told == head and agenda.tells > self._now):
            return
        counts = outbox.fill_and_send(self._ledger, self._projector, now=self._now)
        self.done.update({f"notices_{name}": count for name, count in counts.items() if count})
        agenda.told = head
        agenda.tells = notices.next_at(self._projector.read, self._now) or FAR

    # --- one instant --------------------------------------------------------------------------------------

    def _work(self, keys: list[str]) -> None:
        """Let what is due on these happen now: due facts, the cards, what their answers made due; then the warnings."""
        numbers = [key for key in keys if not key.startswith(_CASE)]
        cases = [key.removeprefix(_CASE) for key in keys if key.startswith(_CASE)]
        for start in range(0, len(numbers), sweeping.BATCH):
            part = numbers[start : start + sweeping.BATCH]
            for number, swept in sweeping.sweep(self._ledger, part, now=self._now).items():
                self.done["facts"] += swept.facts
                after = self._collect(number, swept)
                self._written[number] = after.version
                # An attempt that is still due was not made: there is nobody to ask.
                attempt = after.next_attempt if after.next_attempt > self._now else FAR
                self._agenda.set(number, min(after.next_due, attempt, after.next_look))
            self.done["accounts"] += len(part)
            if self._progress is not None:
                self._progress(self.done["accounts"])
        for number, warned in alerts.sweep(self._ledger, cases, now=self._now).items():
            self.done.update({"warnings": warned.facts} if warned.facts else {})
            self._written[f"{_CASE}{number}"] = warned.version
            self._agenda.set(f"{_CASE}{number}", warned.next_at)

    def _collect(self, number: str, swept: Swept) -> Swept:
        if swept.next_attempt > self._now and swept.next_look == FAR:
            return swept
        for _ in range(2):  # an answer that was awaited may let a newer card be tried at once
            self.done.update(self._ledger.collect(number, now=self._now))
            # What the answers made due is on record with them; were it not, the account would come again at once.
            swept = sweeping.standing(self._ledger, number, now=self._now)
            if swept.next_attempt > self._now:
                break
        return swept

    # --- who comes next -------------------------------------------------------------------------------------

    def _refresh(self, target: str, to: datetime) -> None:
        """Bring the agenda to the end of the log, and beyond the target."""
        agenda, store = self._agenda, self._ledger.store
        if target > agenda.until:
            agenda.fill((), until=to_iso(to + _AHEAD), seen=0)
        head = store.last_position()
        if head == agenda.seen:
            return
        changed = self._changed(head) if agenda.seen or head <= _FEW else None
        if changed is None or len(changed) > _FEW:
            self._load()
            return
        for number in changed:
            self._look_at(number)
        agenda.seen = head

    def _changed(self, head: int) -> list[str]:
        """Return the accounts and cases written to since the agenda was right, but for what this move wrote itself."""
        sql = (
            "SELECT stream, max(version) FROM ledger_events WHERE position > ? AND position <= ?"
            " AND (substr(stream, 1, 8) = ? OR substr(stream, 1, 7) = ?) GROUP BY stream ORDER BY stream"
        )
        rows = self._ledger.store.query(sql, [self._agenda.seen, head, _ACCOUNT, _CASE])
        latest = ((stream.removeprefix(_ACCOUNT), version) for stream, version in rows)
        return [key for key, version in latest if self._written.get(key) != version]

    def _look_at(self, number: str) -> None:
        if number.startswith(_CASE):
            warned = alerts.standing(self._ledger, number.removeprefix(_CASE), now=self._now)
            self._agenda.set(number, warned.next_at)
            return
        standing = sweeping.standing(self._ledger, number, now=self._now)
        self._agenda.set(number, min(standing.next_due, standing.next_attempt, standing.next_look))

    def _load(self) -> None:
        states = self._projector.catch_up(["balances", "queue"])
        for state in states:
            if state.error:
                raise Unavailable("read_model_stopped", name=state.name, position=state.position, lag=state.lag)
        read, until = self._projector.read, self._agenda.until
        marks = list(_marks(balances.attempts_by, read, until))
        # Whoever owes an answer has no instant in the read model: it is looked at, each time later.
        ahead = [mark for mark in marks if mark[0] > self._now]
        cases = [(at, f"{_CASE}{ticket}") for at, ticket in self._warnings(read, until)]
        seen = min(state.position for state in states)
        self._agenda.fill([*_marks(balances.due_by, read, until), *ahead, *cases], until=until, seen=seen)
        for _at, number in marks[: len(marks) - len(ahead)]:
            self._look_at(number)

    def _warnings(self, read: Store, until: str) -> Iterable[queue_model.Mark]:
        """Yield the warnings that are to come, but for those that are too old to be recorded."""
        return _marks(queue_model.warnings_by, read, until, alerts.oldest(self._now))


def _marks(
    query: Callable[..., list[balances.Mark]], read: Store, until: str, after: str = ""
) -> Iterable[balances.Mark]:
    mark = (after, "")
    while page := query(read, until, after=mark, limit=_PAGE):
        yield from page
        mark = page[-1]


def _has_readers(store: Store) -> bool:
    """Whether a notice has anywhere to go."""
    sql = (
        "SELECT EXISTS (SELECT 1 FROM ledger_contacts) OR EXISTS (SELECT 1 FROM ledger_endpoints WHERE stopped_at = '')"
    )
    return bool(store.query(sql)[0][0])
