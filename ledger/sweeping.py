"""Recording what has fallen due on many accounts at once: one reading and one append for up to two hundred of them.

The accounts are folded here and dropped again: a sweep over every account leaves those that are in use in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from ledger.account import Account, account_stream
from ledger.facts.codec import decode_all
from ledger.recording import Recording
from ledger.rules.book import Book
from ledger.rules.cards import earliest
from ledger.rules.instants import from_iso, to_iso
from ledger.rules.subscriptions import FAR
from ledger.store import IntegrityError, Store

BATCH = 200
_FIRST_LOOK, _LAST_LOOK = timedelta(minutes=1), timedelta(days=1)
_FEW = 4  # one by one through the cache: their streams need not be read anew


class Swept(NamedTuple):
    """What was appended on one account, and what comes next on it, each at an instant (FAR: never).

    `next_attempt`: its card is to be charged; `next_look`: the gateway is to be asked about what it has not answered.
    `version` is its stream's.
    """

    version: int
    facts: int
    next_due: str
    next_attempt: str
    next_look: str


def record_due_many(ledger: Recording, numbers: Sequence[str], *, now: str) -> tuple[int, int]:
    """Append what has fallen due by `now` on the accounts named; return counts of (accounts, facts).

    Like `Ledger.record_due` on each: doing it again, late or twice at once appends nothing more.
    """
    appended = [swept.facts for swept in sweep(ledger, numbers, now=now).values() if swept.facts]
    return len(appended), sum(appended)


def sweep(ledger: Recording, numbers: Sequence[str], *, now: str) -> dict[str, Swept]:
    """Do the same; return by account what was appended and when something falls due next."""
    found: dict[str, Swept] = {}
    for start in range(0, len(numbers), BATCH):
        part = numbers[start : start + BATCH]
        together = {} if len(part) <= _FEW else _together(ledger, part, now)
        found |= {number: together.get(number) or one(ledger, number, now=now) for number in part}
    return found


def one(ledger: Recording, number: str, *, now: str) -> Swept:
    """Record one account's due facts through the cache of accounts; NotFound when there is none."""
    facts = ledger.record_due(number, now=now)
    return standing(ledger, number, now=now)._replace(facts=facts)


def standing(ledger: Recording, number: str, *, now: str) -> Swept:
    """Say when something falls due next on an account, as the log has it; NotFound when there is none."""
    with ledger.accounts.existing(number) as account:
        return _standing(account, 0, now)


def _together(ledger: Recording, numbers: Sequence[str], now: str) -> dict[str, Swept]:
    """Append for all in one transaction; return nothing when another writer was faster on one of them."""
    accounts = list(load(ledger, numbers))
    entry = ledger.entry(now)
    for account in accounts:
        entry.due(account)
    try:
        if entry.complete():
            # What is due by `now` may be written later: the stamp says when it was.
            entry.save(stamp=max(now, ledger.clock.now()))
    except IntegrityError:
        return {}
    return {account.number: _standing(account, entry.count(account.number), now) for account in accounts}


def pages(store: Store) -> Iterator[list[str]]:
    """Yield the numbers of all accounts, in lists that are swept at once."""
    after = ""
    while numbers := store.accounts(after, BATCH):
        yield numbers
        after = numbers[-1]


def load(ledger: Recording, numbers: Sequence[str]) -> Iterator[Account]:
    """Yield accounts folded from the log, none of them kept."""
    streams = {account_stream(number): number for number in numbers}
    rows = ledger.store.rows_of_streams(list(streams), ledger.store.last_position())
    for stream, group in groupby(rows, key=attrgetter("stream")):
        own = list(group)
        account = Account(streams[stream], ledger.catalogue)
        account.version = own[-1].version
        account.take(decode_all(own))
        yield account


def _standing(account: Account, facts: int, now: str) -> Swept:
    lacking = [fact.occurred_at for fact in account.unrecorded(now)]
    book = account.whole(now)
    looks = min((_look(asked_at, now) for asked_at in _waiting(book)), default=FAR)
    return Swept(account.version, facts, min([book.next_due(), *lacking]), earliest(book.due_attempts(now)), looks)


def next_attempt(book: Book, now: str) -> str:
    """Return the instant at which the gateway is to be asked next, FAR for never.

    A card that is to be charged; an attempt or a refund to a card that has no answer: at once, so in the past.
    """
    return min([earliest(book.due_attempts(now)), *_waiting(book)])


def _waiting(book: Book) -> list[str]:
    """Return since when the gateway owes answers."""
    refunds = (x for x in book.refunds.values() if x.method == "card" and x.refund not in book.settled_refunds)
    return [*(attempt.asked_at for attempt in book.unanswered()), *(refund.occurred_at for refund in refunds)]


def _look(asked_at: str, now: str) -> str:
    """Return the first instant after `now` at which to look: 1, 3, 7, 15 … minutes after it was asked, then daily.

    They follow from the asking alone, so it makes no difference in how many moves a clock gets there.
    """
    at, pause = from_iso(asked_at), _FIRST_LOOK
    while to_iso(at := at + pause) <= now:
        pause = min(2 * pause, _LAST_LOOK)
    return to_iso(at)
