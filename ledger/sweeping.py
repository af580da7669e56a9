"""Recording what has fallen due on many accounts at once: one reading and one append for up to two hundred of them.

The accounts are folded here and dropped again: a sweep over every account leaves those that are in use in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from ledger.account import Account, account_stream
from ledger.application import Ledger
from ledger.facts.codec import decode_all
from ledger.rules.cards import earliest
from ledger.store import IntegrityError, Recorded

BATCH = 200
_FEW = 4  # one by one through the cache: their streams need not be read anew


class Swept(NamedTuple):
    """What was appended on one account, and at what instants (FAR: never) something and its card fall due next."""

    facts: int
    next_due: str
    next_attempt: str


def record_due_many(ledger: Ledger, numbers: Sequence[str], *, now: str) -> tuple[int, int]:
    """Append what has fallen due by `now` on the accounts named; return counts of (accounts, facts).

    Like `Ledger.record_due` on each: doing it again, late or twice at once appends nothing more.
    """
    appended = [swept.facts for swept in sweep(ledger, numbers, now=now).values() if swept.facts]
    return len(appended), sum(appended)


def sweep(ledger: Ledger, numbers: Sequence[str], *, now: str) -> dict[str, Swept]:
    """Do the same; return by account what was appended and when something falls due next."""
    found: dict[str, Swept] = {}
    for start in range(0, len(numbers), BATCH):
        part = numbers[start : start + BATCH]
        together = {} if len(part) <= _FEW else _together(ledger, part, now)
        found |= {number: together.get(number) or one(ledger, number, now=now) for number in part}
    return found


def one(ledger: Ledger, number: str, *, now: str) -> Swept:
    """Record one account's due facts through the cache of accounts; NotFound when there is none."""
    facts = ledger.record_due(number, now=now)
    return standing(ledger, number, now=now)._replace(facts=facts)


def standing(ledger: Ledger, number: str, *, now: str) -> Swept:
    """Say when something falls due next on an account, as the log has it; NotFound when there is none."""
    with ledger.accounts.existing(number) as account:
        return _standing(account, 0, now)


def _together(ledger: Ledger, numbers: Sequence[str], now: str) -> dict[str, Swept]:
    """Append for all in one transaction; return nothing when another writer was faster on one of them."""
    accounts = list(_load(ledger, numbers))
    rows: list[Recorded] = []
    facts: dict[str, int] = {}
    for account in accounts:
        new = account.propose(account.unrecorded(now))
        facts[account.number] = len(new)
        rows += new
    try:
        if rows:
            # What is due by `now` may be written later: the stamp says when it was.
            ledger._append(rows, max(now, ledger.clock.now()), None, {})
    except IntegrityError:
        return {}
    return {account.number: _standing(account, facts[account.number], now) for account in accounts}


def _load(ledger: Ledger, numbers: Sequence[str]) -> Iterator[Account]:
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
    unanswered = [attempt.asked_at for attempt in book.unanswered()]
    attempt = min([earliest(book.due_attempts(now)), *unanswered])
    return Swept(facts, min([book.next_due(), *lacking]), attempt)
