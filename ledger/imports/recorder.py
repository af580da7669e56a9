"""Records another desk's history: enrolment, payments, cases and what they took, in chronological batches.

A batch is one transaction; a case's opening and its consumption stand in the same one. What a stream has already is
read first, so a file may be imported again, grown or after a kill: it ends the same.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ledger import facts as f
from ledger.account import Account, account_stream
from ledger.application import Ledger
from ledger.errors import Unavailable
from ledger.imports.cases import SourceCase, Telling, by_account
from ledger.imports.mapping import Mapping
from ledger.imports.reader import Rejected, read
from ledger.rules import terms
from ledger.rules.grants import usable, why
from ledger.rules.money import split
from ledger.rules.subscriptions import local_day, midnight
from ledger.store import FactMapper, IntegrityError, Recorded
from ledger.store.base import MAX_BYTES, MAX_EVENTS
from ledger.ticket import ticket_stream

_TRIES = 5
Progress = Callable[[int], None]


@dataclass
class Summary:
    """What an import did; imported + skipped + len(rejected) = rows."""

    rows: int = 0
    imported: int = 0
    skipped: int = 0
    accounts: int = 0
    tickets: int = 0
    rejected: list[Rejected] = field(default_factory=list)

    def as_dict(self) -> dict[str, int]:
        """Return the counts."""
        return {
            "rows": self.rows,
            "imported": self.imported,
            "skipped": self.skipped,
            "rejected": len(self.rejected),
            "accounts": self.accounts,
            "tickets": self.tickets,
        }


def import_file(
    ledger: Ledger, path: Path, mapping: Mapping, *, dry_run: bool = False, progress: Progress | None = None
) -> Summary:
    """Import `path`; return the counts and the rejected lines. `dry_run` counts and writes nothing.

    `progress` is called with the number of rows done. Raises Refused for a file that cannot be read.
    """
    contents = read(path, mapping, ledger.clock.now())
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    importer = _Importer(ledger, mapping, f"import:{mapping.name}:{digest[:12]}", dry_run)
    importer.summary.rows, importer.summary.rejected = contents.rows, contents.rejected
    importer.run(by_account(SourceCase.of(rows) for rows in contents.cases.values()), progress)
    return importer.summary


class _Batch:
    """Events of one or more accounts, appended in one transaction when it is full."""

    def __init__(self, append: Callable[[list[Any], list[str]], None]) -> None:
        self._append = append
        self._mapper = FactMapper()
        self._events: list[Any] = []
        self._accounts: list[str] = []
        self._size = 0

    def add(self, rows: list[Recorded]) -> None:
        """Add rows that belong in one transaction; what was collected before goes first where they do not fit."""
        stored = [self._mapper.to_stored_event(row) for row in rows]
        size = sum(len(event.state) for event in stored)
        if self._events and (len(self._events) + len(stored) > MAX_EVENTS or self._size + size > MAX_BYTES):
            self.flush()
        self._events += stored
        self._accounts += [row.fact.customer_no for row in rows]
        self._size += size

    def flush(self) -> None:
        """Append what was collected; IntegrityError when somebody wrote one of the streams meanwhile."""
        events, accounts = self._events, self._accounts
        self._events, self._accounts, self._size = [], [], 0
        if events:
            self._append(events, accounts)


class _Importer:
    def __init__(self, ledger: Ledger, mapping: Mapping, source: str, dry_run: bool) -> None:
        self.ledger = ledger
        self.catalogue = ledger.catalogue
        self.mapping = mapping
        self.source = source
        self.dry_run = dry_run
        self.summary = Summary()
        self.batch = _Batch(self._append)
        self._unsaved: list[str] = []  # customers with events in the batch, the present one last
        self._counted: set[str] = set()

    def run(self, accounts: dict[str, list[SourceCase]], progress: Progress | None) -> None:
        """Record every customer's history; those that another writer got in the way of are read again."""
        queue = deque(accounts)
        tries: Counter[str] = Counter()
        done = len(self.summary.rejected)
        while queue:
            number = queue.popleft()
            self._unsaved.append(number)
            try:
                self._record(number, accounts[number])
                if not queue:
                    self.batch.flush()
                done += sum(len(case.rows) for case in accounts[number])
                if progress is not None:
                    progress(min(done, self.summary.rows))
            except IntegrityError:
                tries.update(self._unsaved)
                if max(tries.values()) > _TRIES:
                    raise Unavailable("too_busy") from None
                queue.extendleft(reversed(self._unsaved))
                self._unsaved.clear()

    def _record(self, number: str, cases: list[SourceCase]) -> None:
        history = _History(self, number, cases)
        if number not in self._counted:
            self._counted.add(number)
            history.count(self.summary)
        for rows in history.batches():
            self.batch.add(rows)

    def _append(self, events: list[Any], accounts: list[str]) -> None:
        if not self.dry_run:
            self.ledger.store.append(events, accounts, now=self.ledger.clock.now(), request=None)
        del self._unsaved[:-1]  # the present customer may have more to come; the others are done


class _History:
    """One customer: what its streams have, and what the file adds."""

    def __init__(self, importer: _Importer, number: str, cases: list[SourceCase]) -> None:
        self.importer = importer
        self.number = number
        self.cases = cases
        self.account = Account(number, importer.catalogue)
        self.known: dict[str, set[str]] = {}
        self.versions: dict[str, int] = {}
        self.grants: dict[str, tuple[str, str]] = {}
        self._load()

    def _load(self) -> None:
        store = self.importer.ledger.store
        streams = [account_stream(self.number), *(ticket_stream(case.number) for case in self.cases)]
        own: list[Recorded] = []
        for row in store.rows_of_streams(streams, store.last_position()):
            fact = f.decode(row.topic, row.state)
            if not isinstance(fact, f.TicketFact):
                own.append(Recorded(row.stream, row.version, fact, row.recorded_at, row.position))
                continue
            self.known.setdefault(fact.ticket_no, set()).add(fact.row)
            self.versions[fact.ticket_no] = row.version
            if isinstance(fact, f.TicketOpened):
                self.grants[fact.ticket_no] = (fact.grant, fact.why)
        self.account.extend(own)

    def count(self, summary: Summary) -> None:
        """Add what this customer's rows will come to."""
        summary.accounts += not self.account.exists
        for case in self.cases:
            known = self.known.get(case.number, set())
            skipped = sum(row.ordinal in known for row in case.rows)
            summary.skipped += skipped
            summary.imported += len(case.rows) - skipped
            summary.tickets += case.number not in self.versions

    def batches(self) -> Iterator[list[Recorded]]:
        """Yield rows that belong in one transaction, in order of their dates; at last what fell due by now."""
        for at, _order, _name, act in sorted(self._agenda(), key=lambda item: item[:3]):
            yield act(at)
        due = self.account.unrecorded(self.importer.ledger.clock.now())
        for start in range(0, len(due), MAX_EVENTS):
            yield self.account.propose(due[start : start + MAX_EVENTS])

    def _agenda(self) -> Iterator[tuple[str, int, str, Callable[[str], list[Recorded]]]]:
        """Yield (instant, order at one instant, name, what to do): enrolment, payments, give-backs, openings."""
        first, last = self.cases[0], self.cases[-1]
        if not self.account.exists:
            yield first.opened_at, 0, "", self._enrol
        for number, boundary in self._boundaries(first.opened_at, last.opened_at):
            yield boundary, 1, "", partial(self._pay, number=number)
        for case in self.cases:
            yield case.opened_at, 3, case.number, partial(self._case, case=case)
            back = case.given_back_at()
            if back:
                yield back, 2 if back > case.opened_at else 4, case.number, partial(self._give_back, case=case)

    def _boundaries(self, first: str, last: str) -> Iterator[tuple[int, str]]:
        """Yield (number, instant) of the renewals up to the last case that no imported payment has paid yet."""
        enrolled = next((x for x in self.account.facts if isinstance(x, f.PlanPurchased)), None)
        if self.account.exists and (enrolled is None or not enrolled.source.startswith("import")):
            return  # its plan is its own: the other desk's cases are recorded, its plan is left alone
        zone = self.importer.mapping.times.zone
        anchor = local_day(enrolled.occurred_at if enrolled is not None else first, zone)
        paid = {x.reference for x in self.account.facts if isinstance(x, f.PaymentRecorded)}
        number = 1
        while (at := midnight(terms.boundary(anchor, number), zone)) <= last:
            if self._reference(number) not in paid:
                yield number, at
            number += 1

    def _reference(self, number: int) -> str:
        return f"{self.importer.mapping.name}:{self.number}:{number}"

    def _common(self, at: str) -> dict[str, Any]:
        return {"customer_no": self.number, "occurred_at": at, "by": "import", "source": self.importer.source}

    def _fold(self, at: str, *facts: f.Fact) -> list[Recorded]:
        """Return `facts` with what fell due before them and what follows from them, up to instant `at`."""
        account = self.account
        rows = account.propose(account.unrecorded(at)) if account.exists else []
        rows += account.propose(facts)
        return rows + account.propose(account.unrecorded(at))

    def _enrol(self, at: str) -> list[Recorded]:
        mapping = self.importer.mapping
        enrolment, zone = mapping.enrolment, mapping.times.zone
        day, level = local_day(at, zone), self.cases[0].rows[0].level
        units, gross = self.importer.catalogue.price(level, enrolment.term, day, enrolment.currency)
        parts = split(gross)
        subscription = f"{self.number}-S1"
        opened = f.AccountOpened(
            **self._common(at), name=self.number, zone=zone, currency=enrolment.currency, language=enrolment.language
        )
        bought = f.PlanPurchased(
            **self._common(at), subscription=subscription, level=level, term=enrolment.term, channel="web",
            pay_by="manual", units=units, gross=parts.gross, net=parts.net, tax=parts.tax, due_on=day.isoformat(),
            charge=f"{subscription}-p" if gross else "",
        )  # fmt: skip
        rows = self._fold(at, opened) + self._fold(at, bought)
        return rows + (self._fold(at, self._payment(at, 0, gross)) if gross else [])

    def _payment(self, at: str, number: int, amount: int) -> f.PaymentRecorded:
        return f.PaymentRecorded(
            **self._common(at),
            payment=f"{self.number}-I{number}",
            amount=amount,
            currency=self.account.opening.currency,
            method="transfer",
            reference=self._reference(number),
        )

    def _pay(self, at: str, *, number: int) -> list[Recorded]:
        enrolled = next(x for x in self.account.facts if isinstance(x, f.PlanPurchased))
        day = local_day(at, self.importer.mapping.times.zone)
        currency = self.account.opening.currency
        _units, gross = self.importer.catalogue.renewal_price(enrolled.level, enrolled.term, day, currency)
        return self._fold(at, self._payment(at, number, gross)) if gross else []

    def _case(self, at: str, *, case: SourceCase) -> list[Recorded]:
        """Open the case with what it takes, and tell the rest of it: the rows its stream has not got yet."""
        rows: list[Recorded] = []
        taken = self.grants.get(case.number)
        if taken is None:
            taken, rows = self._take(at, case)
        telling = Telling(case, self.importer.catalogue, self.importer.mapping.times.zone, self.importer.source, *taken)
        known = self.known.get(case.number, set())
        new = [fact for fact in telling.tell() if fact.row not in known]
        version = self.versions.get(case.number, 0)
        stream = ticket_stream(case.number)
        return rows + [Recorded(stream, version + i, fact) for i, fact in enumerate(new, 1)]

    def _take(self, at: str, case: SourceCase) -> tuple[tuple[str, str], list[Recorded]]:
        """Return ((grant, why), rows): the unit a case takes where a usable one covers it, else none."""
        if at < self.account.opening.occurred_at:
            return ("", "uncovered"), []
        then, whole = self.account.at(at, at), self.account.whole(at)
        candidates = usable((whole.grants[g] for g in then.live if g in whole.grants), at)
        if not candidates:
            return ("", "uncovered"), []
        grant, reason = candidates[0].id, why(candidates[0], candidates, named=False)
        fact = f.TicketConsumed(**self._common(at), ticket_no=case.number, grant=grant, why=reason)
        return (grant, reason), self._fold(at, fact)

    def _give_back(self, at: str, *, case: SourceCase) -> list[Recorded]:
        grant = self.account.whole(at).uses.get(case.number)
        if grant is None:
            return []
        return self._fold(at, f.UnitGivenBack(**self._common(at), ticket_no=case.number, grant=grant))
