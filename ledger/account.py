"""Account: one customer's stream, its decisions. The consistency boundary of the balance.

`Account` holds the facts of the stream and the book folded from them. A decision checks and returns the facts
to append; it never changes anything itself. `Accounts` keeps recently used accounts in memory: each use reads
only what is newer, so a decision costs the same on an old account as on a young one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ledger import facts as f
from ledger.catalogue import Catalogue
from ledger.errors import NotFound
from ledger.facts.codec import decode_all
from ledger.rules.book import Book, fold
from ledger.store import Recorded, Store

QUESTION = "question"  # the source of an Asked that decides nothing
_KEPT = 2048
_STRIPES = 64


@dataclass(frozen=True, slots=True)
class Act:
    """The command that is being decided, so that it can wait for a second person and be decided anew.

    `states`: an operator records what others did, so it stands at once; `runner` is that operator. `request` is the
    request (R-1) that is being carried out, by act of `approver`; `alone`: they had asked for it themselves.
    """

    command: str
    values: dict[str, Any]
    states: bool
    runner: str
    request: str = ""
    approver: str = ""
    approver_role: str = ""
    approved_by: str = ""
    approved_why: str = ""
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, when it counts (`at`), when it is recorded (`now`), through what, and why.

    `stated_by`: the operator who records, as stated, what `by` did. Without an `act` nobody asked: it follows by rule.
    """

    at: str
    now: str
    by: str
    role: str
    source: str
    reason: str = ""
    stated_by: str = ""
    act: Act | None = None


def account_stream(account: str) -> str:
    """Return the id of an account's stream."""
    return f"account/{account}"


class Account:
    """One account's facts, in the order of the log, and its book as of the last use."""

    def __init__(self, number: str, prices: Catalogue) -> None:
        self.number = number
        self.stream = account_stream(number)
        self.version = 0
        self.facts: list[f.Fact] = []
        self.prices = prices
        self._book = Book(prices)
        self.unsaved = False
        self.invoiced: set[str] = set()  # charges whose invoice stands
        self.papers: dict[str, list[f.DocumentIssued]] = {}  # by charge, in the order of their issue
        self.credit_notes: list[f.CreditNoted] = []

    @property
    def exists(self) -> bool:
        """Whether the account has been opened."""
        return bool(self.facts)

    @property
    def opening(self) -> f.AccountOpened:
        """The fact that opened it."""
        first = self.facts[0]
        assert isinstance(first, f.AccountOpened)
        return first

    def extend(self, events: Sequence[Recorded]) -> None:
        """Take in rows newer than `version`, in order."""
        if events:
            self.version = events[-1].originator_version
            self.take([event.fact for event in events])

    def read(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Take in rows of the log newer than `version`, in order; columns as in `ledger.store.Row`."""
        if rows:
            self.version = rows[-1][2]
            self.take(decode_all(rows))

    def take(self, new: Sequence[f.Fact]) -> None:
        """Fold new facts of the stream: in place where their dates allow, else the whole stream anew."""
        self.facts.extend(new)
        for fact in new:
            if isinstance(fact, f.Due):
                self._book.journal.note(fact)
            elif isinstance(fact, f.DocumentIssued):
                self._paper(fact)
            elif isinstance(fact, f.CreditNoted):
                self.credit_notes.append(fact)
        decided = sorted((x for x in new if not isinstance(x, (f.Due, *f.PAPERS))), key=lambda x: x.occurred_at)
        if decided and decided[0].occurred_at < self._book.last_change:
            self._refold(max(self._book.last_change, decided[-1].occurred_at))
            return
        for fact in decided:
            self._book.apply(fact)

    @property
    def attempted(self) -> list[str]:
        """The charges that a card was asked for, in the order of the log."""
        return [fact.charge for fact in self.facts if isinstance(fact, f.ChargeAttempted)]

    def twin(self) -> Account:
        """Return the account anew from its facts: what is tried on it is never saved."""
        twin = Account(self.number, self.prices)
        twin.version = self.version
        twin.facts = list(self.facts)
        twin.invoiced = set(self.invoiced)
        twin.papers = {charge: list(papers) for charge, papers in self.papers.items()}
        twin.credit_notes = list(self.credit_notes)
        twin._refold(self._book.last_change)
        return twin

    def _paper(self, fact: f.DocumentIssued) -> None:
        self.papers.setdefault(fact.charge, []).append(fact)
        if fact.kind == "invoice":
            self.invoiced.add(fact.charge)
        elif fact.subject.endswith("-void"):
            self.invoiced.discard(fact.charge)

    def propose(self, new: Sequence[f.Fact]) -> list[Recorded]:
        """Fold facts that are about to be saved; return them at their places in the stream."""
        self.unsaved = True
        self.take(new)
        first = self.version + 1
        self.version += len(new)
        return [Recorded(self.stream, first + i, fact) for i, fact in enumerate(new)]

    def _refold(self, to: str) -> None:
        self._book = fold(self.prices, self.facts, to)

    def whole(self, now: str) -> Book:
        """Return the book with everything known, and what has fallen due by `now`."""
        self._book.advance(now)
        return self._book

    def at(self, instant: str, now: str) -> Book:
        """Return the book as it stood at `instant`: the whole one when nothing has happened since, nor will by `now`.

        The whole book moves on with `whole(now)`; one that would change under its reader is folded anew.
        """
        if instant >= now:
            self._book.advance(now)
        if self._book.last_change <= instant and max(instant, now) < self._book.next_due():
            return self._book
        return fold(self.prices, self.facts, instant)

    def zone_at(self, at: str) -> str:
        """Return the account's zone as it was at instant `at`."""
        return self._book.zone_at(at)

    def unrecorded(self, now: str) -> list[f.Due]:
        """Return the due facts up to `now` that the log lacks, and the corrections it needs."""
        return self.whole(now).journal.missing(now)


class Accounts:
    """Loads accounts from the log; keeps the last ones used, one lock for each stripe of them."""

    def __init__(self, store: Store, prices: Catalogue) -> None:
        self._store = store
        self._prices = prices
        self._kept: OrderedDict[str, Account] = OrderedDict()
        self._lock = threading.Lock()
        self._stripes = [threading.RLock() for _ in range(_STRIPES)]

    @contextmanager
    def using(self, number: str) -> Iterator[Account]:
        """Yield the account as the log has it now, locked for this process."""
        with self._stripes[hash(number) % _STRIPES]:
            with self._lock:
                account = self._kept.pop(number, None)
            account = self._as_logged(account or Account(number, self._prices))
            try:
                yield account
            finally:
                # What was folded but not saved must not be seen by anyone: such an account is dropped.
                if account.exists and not account.unsaved:
                    self._keep(account)

    def _as_logged(self, account: Account) -> Account:
        """Return the account with all that the log has of it; made anew where the log no longer has what it stands on.

        An older log may be put in the place of the one that was read, while this process runs.
        """
        if account.exists:
            rows = self._store.rows_of_stream(account.stream, account.version - 1)
            if rows and decode_all(rows[:1]) == account.facts[-1:]:
                account.read(rows[1:])
                return account
            account = Account(account.number, self._prices)
        account.read(self._store.rows_of_stream(account.stream, account.version))
        return account

    @contextmanager
    def existing(self, number: str) -> Iterator[Account]:
        """Like `using`; NotFound when there is no such account."""
        with self.using(number) as account:
            if not account.exists:
                raise NotFound("unknown_account", account=number)
            yield account

    def as_known(self, number: str, position: int) -> Account:
        """Return the account from the prefix of the log up to `position`; NotFound when not opened by then."""
        account = Account(number, self._prices)
        account.read([row for row in self._store.rows_of_stream(account.stream) if row[0] <= position])
        if not account.exists:
            raise NotFound("unknown_account", account=number)
        return account

    def _keep(self, account: Account) -> None:
        with self._lock:
            self._kept[account.number] = account
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
