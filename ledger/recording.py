"""Appending to an account: what has fallen due first, then what was decided, then what follows, with its documents."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable

from ledger import case_changes, documents
from ledger import facts as f
from ledger.account import Account, Asked
from ledger.errors import Unavailable
from ledger.questions import Answer, Questions
from ledger.store import IntegrityError, Recorded, Request

RETRY_SECONDS = 10.0


def pause() -> None:
    """Wait a moment before deciding again: the one who won is out of the way then."""
    time.sleep(random.uniform(0.001, 0.02))  # noqa: S311 - it only spreads the retries


class Recording(Questions):
    """A ledger that records what dates decide."""

    def record_due(self, number: str, *, now: str | None = None) -> int:
        """Append what has fallen due on an account and is not recorded yet; return how many facts that was."""
        return self._append_to(number, lambda _account: [], now or self.clock.now())

    def _append_to(self, number: str, decide: Callable[[Account], list[f.Fact]], now: str) -> int:
        """Append what has fallen due on an account, what `decide` says, and what follows; return how many facts."""
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                with self.accounts.existing(number) as account:
                    rows = account.propose(account.unrecorded(now))
                    if new := decide(account):
                        rows += account.propose(new)
                        rows += account.propose(account.unrecorded(now))
                    rows += self._documents_of(account, rows, now)
                    rows += self._raised_by_upgrade(account, rows, Asked(now, now, "ledger", "operator", "rule"))
                    if rows:
                        # A job may run as if it were earlier: the stamp says when it was written.
                        self._append(rows, max(now, self.clock.now()), None, {})
                    account.unsaved = False
                    return len(rows)
            except IntegrityError as conflict:
                if time.monotonic() > deadline:
                    raise Unavailable("too_busy") from conflict
                pause()

    def _documents_of(self, account: Account, rows: list[Recorded], now: str) -> list[Recorded]:
        """Return the documents that facts about to be saved make due, and the numbers they take."""
        new = [row.fact for row in rows]
        if not any(isinstance(fact, documents.CAUSES) for fact in new):
            return []
        issued = documents.issue(account, new, account.whole(now), self.catalogue.currency)
        return account.propose(issued) + documents.numbers(issued)

    def _append(self, rows: list[Recorded], now: str, request: Request | None, answer: Answer) -> int:
        stored = request._replace(outcome=json.dumps(answer)) if request is not None else None
        accounts = [row.fact.customer_no for row in rows]
        recordings = self.events.put(rows, accounts=accounts, now=now, request=stored)
        return max(int(recording.notification.id) for recording in recordings)

    def _raised_by_upgrade(self, account: Account, rows: list[Recorded], asked: Asked) -> list[Recorded]:
        """Return what an upgrade that is about to be recorded means to open cases of its plan: a raise, now."""
        upgrades = {
            row.fact.subscription: row.fact.level
            for row in rows
            if isinstance(row.fact, f.PlanChanged) and row.fact.cause == "upgraded"
        }
        if not upgrades:
            return []
        book = account.whole(asked.now)
        raised: list[Recorded] = []
        for number, grant in book.uses.items():
            level = upgrades.get(book.grants[grant].source)
            if level is not None:
                raised += case_changes.upgraded(self.ticket(number), level, asked, self.policy())
        return raised
