"""The one place that records: what has fallen due, what was decided, what follows, with the documents for all of it.

Rows of an account are made by an `Entry` alone, so they are complete whoever asks for them: a command on the account
or on one of its cases, a decline, a sweep, a card's answer, an import, a repair. The store takes rows of accounts and
of series from nobody else (`Store.append`).
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ledger import case_changes, documents
from ledger import facts as f
from ledger.account import Account, Asked
from ledger.errors import Unavailable
from ledger.questions import Answer, Questions
from ledger.store import IntegrityError, Recorded, Request, of_account

RETRY_SECONDS = 10.0


def pause() -> None:
    """Wait a moment before deciding again: the one who won is out of the way then."""
    time.sleep(random.uniform(0.001, 0.02))  # noqa: S311 - it only spreads the retries


class Complete(list[Recorded]):
    """Rows that an `Entry` made: those of accounts come with their documents and numbers."""


class Entry:
    """What one transaction appends: nothing of an account leaves it without the documents that it calls for."""

    def __init__(self, ledger: Recording, asked: Asked) -> None:
        """`asked.now` is the instant of recording: what has fallen due by then is recorded too."""
        self._ledger, self._asked = ledger, asked
        self._accounts: dict[str, Account] = {}
        self._rows: dict[str, list[Recorded]] = {}
        self._done: dict[str, int] = {}  # rows of an account whose documents are made
        self._others: list[Recorded] = []

    def due(self, account: Account) -> None:
        """Append what has fallen due on an account and is not recorded yet; again: nothing more."""
        self._put(account, account.unrecorded(self._asked.now) if account.exists else [])

    def decided(self, account: Account, facts: Sequence[f.Fact]) -> None:
        """Append what has fallen due, then what was decided, then what follows from it."""
        self.due(account)
        if facts:
            self._put(account, facts)
            self._put(account, account.unrecorded(self._asked.now))

    def papers(self, account: Account, issued: Sequence[f.DocumentIssued]) -> None:
        """Append documents that follow from no new fact (a repair, a document issued again), with their numbers."""
        self._document(account)
        self._issue(account, issued)

    def renumber(self, issued: Sequence[f.DocumentIssued]) -> None:
        """Let documents that are on record and have no number take the next of their series (a repair)."""
        self._others += documents.numbers(issued)

    def numbered(self) -> list[str]:
        """Give the documents their numbers now and return their names, in the order of their issue.

        Should another writer take one first, the append fails as any that was overtaken does.
        """
        for account in self._accounts.values():
            self._document(account)
        last: dict[str, int] = {}
        names = []
        for rows in self._rows.values():
            for place, row in enumerate(rows):
                if isinstance(row.fact, f.NumberTaken):
                    stream = str(row.originator_id)
                    if stream not in last:
                        last[stream] = self._ledger.store.last_version(stream)
                    last[stream] += 1
                    rows[place] = Recorded(stream, last[stream], row.fact)
                    names.append(f"{row.fact.series}-{last[stream]}")
        return names

    def others(self, rows: Iterable[Recorded]) -> None:
        """Append rows of streams that are no account's; ValueError for an account's."""
        rows = list(rows)
        for row in rows:
            if of_account(row.originator_id):
                raise ValueError(f"rows of {row.originator_id} are made by an Entry from facts")
        self._others += rows

    def complete(self) -> Complete:
        """Return all rows, each account's with its documents, their numbers, and what an upgrade means to its cases."""
        for account in self._accounts.values():
            self._document(account)
        own = [row for rows in self._rows.values() for row in rows]
        return Complete([*own, *self._others])

    def count(self, number: str) -> int:
        """Return how many rows there are of account `number`."""
        return len(self._rows.get(number, ()))

    def save(self, request: Request | None = None, answer: Answer | None = None, stamp: str = "") -> int:
        """Append it all in one transaction, with the request's row; return the last position.

        `stamp` is when it is written, where that is later than what it is recorded as of.
        """
        position = self._ledger.append(self.complete(), stamp or self._asked.now, request, answer or {})
        for account in self._accounts.values():
            account.unsaved = False
        return position

    def _put(self, account: Account, facts: Sequence[f.Fact]) -> None:
        self._accounts[account.number] = account
        self._rows.setdefault(account.number, []).extend(account.propose(facts))

    def _document(self, account: Account) -> None:
        rows = self._rows.setdefault(account.number, [])
        new = rows[self._done.get(account.number, 0) :]
        facts = [row.fact for row in new]
        if any(isinstance(fact, documents.CAUSES) for fact in facts):
            book = account.whole(self._asked.now)
            self._issue(account, documents.issue(account, facts, book, self._ledger.catalogue.currency))
        rows += self._raised_by_upgrade(account, new)
        self._done[account.number] = len(rows)

    def _issue(self, account: Account, issued: Sequence[f.DocumentIssued]) -> None:
        self._put(account, issued)
        self._rows[account.number] += documents.numbers(issued)
        self._done[account.number] = len(self._rows[account.number])

    def _raised_by_upgrade(self, account: Account, new: Sequence[Recorded]) -> list[Recorded]:
        """Return what an upgrade that is about to be recorded means to open cases of its plan: a raise, now."""
        upgrades = {
            row.fact.subscription: row.fact.level
            for row in new
            if isinstance(row.fact, f.PlanChanged) and row.fact.cause == "upgraded"
        }
        if not upgrades:
            return []
        ledger, raised = self._ledger, list[Recorded]()
        book = account.whole(self._asked.now)
        for number, grant in book.uses.items():
            level = upgrades.get(book.grants[grant].source)
            if level is not None:
                raised += case_changes.upgraded(ledger.ticket(number), level, self._asked, ledger.policy())
        return raised


class Recording(Questions):
    """A ledger that records what dates decide."""

    def record_due(self, number: str, *, now: str | None = None) -> int:
        """Append what has fallen due on an account and is not recorded yet; return how many rows that was."""
        return self.record(number, lambda _account: [], now or self.clock.now())

    def record(self, number: str, decide: Callable[[Account], list[f.Fact]], now: str) -> int:
        """Append what has fallen due on an account, what `decide` says, and what follows; return how many rows."""
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                with self.accounts.existing(number) as account:
                    entry = self.entry(now)
                    entry.due(account)
                    entry.decided(account, decide(account))
                    if rows := len(entry.complete()):
                        # A job may run as if it were earlier: the stamp says when it was written.
                        entry.save(stamp=max(now, self.clock.now()))
                    account.unsaved = False
                    return rows
            except IntegrityError as conflict:
                if time.monotonic() > deadline:
                    raise Unavailable("too_busy") from conflict
                pause()

    def entry(self, now: str) -> Entry:
        """Return an entry for what follows by rule, recorded as of `now`."""
        return Entry(self, Asked(now, now, "ledger", "operator", "rule"))

    def append(self, rows: Sequence[Recorded], now: str, request: Request | None, answer: Answer) -> int:
        """Append rows in one transaction; those of accounts only as an `Entry` made them (ValueError otherwise)."""
        stored = request._replace(outcome=json.dumps(answer)) if request is not None else None
        accounts = [row.fact.customer_no for row in rows]
        complete = isinstance(rows, Complete)
        recordings = self.events.put(rows, accounts=accounts, now=now, request=stored, complete=complete)
        return max(int(recording.notification.id) for recording in recordings)

    def append_stored(self, events: Sequence[Any], accounts: Sequence[str], now: str) -> None:
        """Append rows that entries made (`Entry.complete`), encoded already: an import's batch of many."""
        self.store.append(events, accounts, now=now, request=None, complete=True)
