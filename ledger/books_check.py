"""Looking for what the books lack: documents that were lost or doubled, gaps in numbers, sums that do not agree.

Documents follow from charges by rule 9, so what is missing is what the recording would issue today for a charge that
it looked at (`documents.lacking`). A repair records just that: issued today, dated as what called for it, in the
accounting month that rule 9 says.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from msgspec.structs import replace

from ledger import documents, requests, sweeping
from ledger import facts as f
from ledger.account import Account
from ledger.errors import Unavailable
from ledger.progress import long_work
from ledger.recording import RETRY_SECONDS, Recording, pause
from ledger.rules.book import Book
from ledger.rules.money import show_amount
from ledger.store import IntegrityError
from ledger.texts import text

SOURCE = "repair"


class Trouble(NamedTuple):
    """One thing that is wrong: its kind (`trouble_…` in texts), where it is, and whether a repair can mend it."""

    kind: str
    mends: bool
    account: str = ""
    charge: str = ""
    document: str = ""
    amount: int = 0
    currency: str = ""

    def shown(self, lang: str) -> dict[str, Any]:
        """Return it for an answer, `what` in words."""
        found = self._asdict() | {"amount": show_amount(self.amount)}
        return {**found, "what": text(f"trouble_{self.kind}", lang, **found)}


class Checked(NamedTuple):
    """What was looked at and what was found; `issued` are the documents a repair made."""

    accounts: int
    documents: int
    found: list[Trouble]
    issued: list[f.DocumentIssued]


def check(ledger: Recording, *, repair: bool = False, by: str = "") -> Checked:
    """Look at every account and every series; `repair` issues what is missing (`by` whom), and leaves the rest.

    Writes nothing without `repair`.
    """
    now = ledger.clock.now()
    accounts = papers = 0
    found: list[Trouble] = []
    issued: list[f.DocumentIssued] = []
    with long_work("work_books") as tick:
        for numbers in sweeping.pages(ledger.store):
            taken = _taken(ledger, numbers)
            for account in sweeping.load(ledger, numbers):
                papers += sum(map(len, account.papers.values()))
                wrong = [*_documents(account, now, ledger.catalogue.currency), *_numbers(account, taken)]
                found += wrong
                if repair and any(trouble.mends for trouble in wrong):
                    issued += _repair(ledger, account.number, by)
            accounts += len(numbers)
            tick(accounts)
    found += _gaps(ledger)
    return Checked(accounts, papers, found, issued)


def lost(account: Account, book: Book, home: str) -> list[f.DocumentIssued]:
    """Return the documents that recorded facts of an account call for and that are not there.

    What has fallen due and is not recorded yet brings its own with it: that is not lost.
    """
    charges = dict.fromkeys([*book.charges, *account.papers])
    return [
        document
        for charge in charges
        if _settled(book, charge)
        for document in documents.lacking(account, book, charge, home)
    ]


def _settled(book: Book, charge: str) -> bool:
    """Whether the log has of a charge all that follows by rule: then its documents should be there."""
    journal = book.journal
    keys = [f"{what}:{charge}" for what in ("charge", "paid", "void")]
    return all(journal.derived.get(key) == journal.recorded.get(key) for key in keys)


def _documents(account: Account, now: str, home: str) -> Iterator[Trouble]:
    book = account.whole(now)
    for document in lost(account, book, home):
        kind = f"missing_{document.kind}"
        if document.subject.endswith("-double"):
            kind = "doubled_invoice"
        elif document.subject.endswith("-void") and document.charge in book.charges:
            kind = "sum_differs" if not book.charges[document.charge].voided_at else kind
        yield Trouble(kind, True, account.number, document.charge, "", document.gross, document.currency)
    for papers in account.papers.values():
        for paper in papers:
            if paper.net != paper.gross - paper.tax:
                yield Trouble("net_differs", False, account.number, paper.charge, "", paper.gross, paper.currency)


def _taken(ledger: Recording, numbers: list[str]) -> dict[tuple[str, str, str], list[str]]:
    """Return the names of documents by account, series and subject, as the series have them."""
    taken: dict[tuple[str, str, str], list[str]] = {}
    for row in ledger.store.rows_of_accounts(numbers, f.NumberTaken.TOPIC):
        fact = f.decode(row.topic, row.state, row.position)
        assert isinstance(fact, f.NumberTaken)
        if fact.series == requests.SERIES:  # the number of a request for approval is no document's
            continue
        name = f"{fact.series}-{row.version}"
        taken.setdefault((fact.customer_no, fact.series, fact.subject), []).append(name)
    return taken


def _numbers(account: Account, taken: dict[tuple[str, str, str], list[str]]) -> Iterator[Trouble]:
    issued = Counter((x.series, x.subject) for papers in account.papers.values() for x in papers)
    of_charge = {(x.series, x.subject): x for papers in account.papers.values() for x in papers}
    for key, count in issued.items():
        paper = of_charge[key]
        for _ in range(count - len(taken.get((account.number, *key), ()))):
            yield Trouble("number_missing", True, account.number, paper.charge, "", paper.gross, paper.currency)
    for (number, series, subject), names in taken.items():
        if number == account.number:
            for name in names[issued.get((series, subject), 0) :]:
                yield Trouble("number_unused", False, number, "", name)


def _gaps(ledger: Recording) -> Iterator[Trouble]:
    for stream, versions in ledger.store.holes("series/"):
        for version in versions:
            yield Trouble("number_gap", False, document=f"{stream.removeprefix('series/')}-{version}")


def _repair(ledger: Recording, number: str, by: str) -> list[f.DocumentIssued]:
    """Issue what an account lacks, in one transaction with what has fallen due on it."""
    deadline = time.monotonic() + RETRY_SECONDS
    while True:
        try:
            with ledger.accounts.existing(number) as account:
                now = ledger.clock.now()
                entry = ledger.entry(now)
                missing = lost(account, account.whole(now), ledger.catalogue.currency)
                made = [
                    replace(x, by=by, source=SOURCE, reason=x.reason or text("repair_reason", "es_GT")) for x in missing
                ]
                entry.renumber(_unnumbered(ledger, account))
                entry.papers(account, made)
                entry.due(account)
                if entry.complete():
                    entry.save()
                return made
        except IntegrityError as conflict:
            if time.monotonic() > deadline:
                raise Unavailable("too_busy") from conflict
            pause()


def _unnumbered(ledger: Recording, account: Account) -> list[f.DocumentIssued]:
    """Return the documents on record that no series knows."""
    taken = Counter({key[1:]: len(names) for key, names in _taken(ledger, [account.number]).items()})
    missing = []
    for papers in account.papers.values():
        for paper in papers:
            key = (paper.series, paper.subject)
            if taken[key] > 0:
                taken[key] -= 1
            else:
                missing.append(paper)
    return missing
