"""The books: what closing a month closes, and the closing itself (DOMAIN.md 9). Months: `ledger.months`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ledger import facts as f
from ledger import requests, sweeping
from ledger.account import Asked
from ledger.errors import Conflict, Refused
from ledger.months import OWN, Closing, booked_in, closings, local_month
from ledger.plans import Answer, common
from ledger.progress import long_work
from ledger.recording import Recording
from ledger.rules.money import show_amount
from ledger.rules.subscriptions import local_day
from ledger.store import Recorded, Store

_UNRECORDED = 2**62


def close(ledger: Recording, v: Answer, asked: Asked) -> tuple[Recorded, Answer]:
    """Record what has fallen due on every account, then return the row that closes the month, and what it closes.

    Months close in order, and not before they are over: Refused or Conflict otherwise, before anything is recorded.
    """
    zone = ledger.catalogue.zone
    closed = _check(ledger.store, v["month"], asked, zone)
    accounts, facts = _record_due(ledger, asked.now)
    fact = f.MonthClosed(**common("", asked), month=v["month"], late=OWN)
    answer = {"month": v["month"], "recorded": {"accounts": accounts, "facts": facts}}
    answer |= _contents(_issued(ledger), v["month"], closed, zone) | _approved_alone(ledger.store, closed)
    return Recorded("books", len(closed) + 1, fact), answer


def rehearse(ledger: Recording, v: Answer, asked: Asked) -> Answer:
    """Return what `close` would record first and what it would close; nothing is written."""
    zone = ledger.catalogue.zone
    closed = _check(ledger.store, v["month"], asked, zone)
    accounts = facts = done = 0
    ahead: list[_Paper] = []
    with long_work("work_close") as tick:
        for numbers in sweeping.pages(ledger.store):
            for account in sweeping.load(ledger, numbers):
                entry = ledger.entry(asked.now)
                entry.due(account)
                rows = entry.complete()
                accounts, facts = accounts + bool(rows), facts + len(rows)
                made = [row.fact for row in rows if isinstance(row.fact, f.DocumentIssued)]
                ahead += [_Paper(paper, _UNRECORDED, asked.now, account.zone_at(paper.occurred_at)) for paper in made]
            done += len(numbers)
            tick(done)
    answer: Answer = {"month": v["month"], "dry_run": True, "to_record": {"accounts": accounts, "facts": facts}}
    answer |= _contents([*_issued(ledger), *ahead], v["month"], closed, zone)
    return answer | _approved_alone(ledger.store, closed)


def _approved_alone(store: Store, closed: list[Closing]) -> Answer:
    """Return what the one person who may approve approved alone since the last closing; nothing where there is none."""
    found = requests.alone_since(store, closed[-1].position if closed else 0)
    return {"approved_alone": found} if found else {}


def _check(store: Store, month: str, asked: Asked, zone: str) -> list[Closing]:
    closed = closings(store)
    if month >= local_day(asked.now, zone).isoformat()[:7]:
        raise Refused("month_not_over", month=month)
    if closed and month <= closed[-1].month:
        raise Conflict("month_closed", month=month, closed_through=closed[-1].month)
    return closed


def _record_due(ledger: Recording, now: str) -> tuple[int, int]:
    accounts = facts = done = 0
    with long_work("work_close") as tick:
        for numbers in sweeping.pages(ledger.store):
            appended = sweeping.record_due_many(ledger, numbers, now=now)
            accounts, facts, done = accounts + appended[0], facts + appended[1], done + len(numbers)
            tick(done)
    return accounts, facts


class _Paper(NamedTuple):
    fact: f.DocumentIssued
    position: int
    recorded_at: str
    zone: str


def _issued(ledger: Recording) -> Iterator[_Paper]:
    """Yield every document of the log with its account's zone on its value date."""
    zones: dict[str, str] = {}
    moved = set()
    for row in ledger.store.rows_of_topics([f.AccountOpened.TOPIC, f.AccountChanged.TOPIC]):
        fact = f.decode(row.topic, row.state, row.position)
        if isinstance(fact, f.AccountOpened):
            zones[fact.customer_no] = fact.zone
        elif isinstance(fact, f.AccountChanged) and fact.zone is not None:
            moved.add(fact.customer_no)
    for row in ledger.store.rows_of_topics([f.DocumentIssued.TOPIC]):
        paper = f.decode(row.topic, row.state, row.position)
        assert isinstance(paper, f.DocumentIssued)
        zone = zones[paper.customer_no]
        if paper.customer_no in moved:
            with ledger.accounts.existing(paper.customer_no) as account:
                zone = account.zone_at(paper.occurred_at)
        yield _Paper(paper, row.position, row.recorded_at, zone)


def _contents(papers: Iterable[_Paper], through: str, closed: list[Closing], zone: str) -> Answer:
    """Return the open months up to `through`, and the documents booked in each, summed by series."""
    since = closed[-1].month if closed else ""
    sums: dict[tuple[str, str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for fact, position, recorded_at, own in papers:
        month = booked_in(local_month(fact.occurred_at, own), position, recorded_at, closed, zone)
        if since < month <= through:
            key = (month, fact.series, fact.kind, fact.currency)
            sums[key] = [a + b for a, b in zip(sums[key], (1, fact.gross, fact.net, fact.tax), strict=True)]
    documents = [
        {
            "month": month,
            "series": series,
            "kind": kind,
            "count": count,
            "gross": show_amount(gross),
            "net": show_amount(net),
            "tax": show_amount(tax),
            "currency": currency,
        }
        for (month, series, kind, currency), (count, gross, net, tax) in sorted(sums.items())
    ]
    months = sorted({through, *(key[0] for key in sums)})
    return {"months": months, "documents": documents}
