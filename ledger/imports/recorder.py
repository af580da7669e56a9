"""Records another desk's history, customer by customer, in transactions of at most 500 events and 256 KiB.

What the ledger has already is read first, so a file may be imported again, grown, mended or after a kill: it ends
the same. Small customers share a transaction; when another writer gets in the way, theirs are read and told again.
"""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger import facts as f
from ledger.application import Ledger
from ledger.errors import Conflict, Unavailable
from ledger.imports.cases import SourceCase, by_account, sort
from ledger.imports.customer import Customer, Desk, Part, streams
from ledger.imports.mapping import Mapping
from ledger.imports.reader import Contents, Rejected, read
from ledger.store import FactMapper, IntegrityError, Row
from ledger.store.base import MAX_BYTES, MAX_EVENTS

_TRIES = 10
_STREAMS_AT_ONCE = 400
Progress = Callable[[int], None]


@dataclass
class Summary:
    """What an import did: imported + skipped + rejected = rows."""

    rows: int = 0
    imported: int = 0
    accounts: int = 0
    tickets: int = 0
    rejected: list[Rejected] = field(default_factory=list)

    @property
    def skipped(self) -> int:
        """Rows that the ledger had before, from this run's rivals too."""
        return self.rows - self.imported - len(self.rejected)

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


class Import:
    """A file that has been read, about to be recorded. `dry_run`: counted, nothing written."""

    def __init__(self, ledger: Ledger, path: Path, mapping: Mapping, *, dry_run: bool = False) -> None:
        """Refused for a file that cannot be read, NotFound where the catalogue has no price to enrol with."""
        contents = read(path, mapping, ledger.clock.now())
        source = f"import:{mapping.name}:{contents.digest[:12]}"
        self.rows = contents.rows
        self._recorder = _Recorder(Desk(ledger, mapping, source), contents, dry_run)

    def run(self, progress: Progress | None = None) -> Summary:
        """Record it and return the counts; `progress` is called with the number of rows done."""
        return self._recorder.run(progress)


def import_file(ledger: Ledger, path: Path, mapping: Mapping, *, dry_run: bool = False) -> Summary:
    """Import `path`; return the counts and the rejected records."""
    return Import(ledger, path, mapping, dry_run=dry_run).run()


class _Batch:
    """Parts of one or more customers, appended in one transaction when it is full."""

    def __init__(self, append: Callable[[list[Any], list[str], Counter[str]], None]) -> None:
        self._append = append
        self._mapper = FactMapper()
        self._clear()

    def _clear(self) -> None:
        self._events: list[Any] = []
        self._accounts: list[str] = []
        self._counts: Counter[str] = Counter()
        self._size = 0

    def add(self, part: Part) -> None:
        """Add rows that belong in one transaction; what was collected before goes first where they do not fit."""
        stored = [self._mapper.to_stored_event(row) for row in part.rows]
        size = sum(len(event.state) for event in stored)
        if len(self._events) + len(stored) > MAX_EVENTS or self._size + size > MAX_BYTES:
            self.flush()
        self._events += stored
        self._accounts += [row.fact.customer_no for row in part.rows]
        self._size += size
        self._counts["imported"] += part.imported
        for row in part.rows:
            if isinstance(row.fact, f.AccountOpened):
                self._counts["accounts"] += 1
            elif isinstance(row.fact, f.TicketOpened):
                self._counts["tickets"] += 1

    def flush(self) -> None:
        """Append what was collected; IntegrityError when somebody wrote one of the streams meanwhile."""
        events, accounts, counts = self._events, self._accounts, self._counts
        self._clear()
        if events:
            self._append(events, accounts, counts)


class _Recorder:
    def __init__(self, desk: Desk, contents: Contents, dry_run: bool) -> None:
        self.desk = desk
        self.dry_run = dry_run
        self.summary = Summary(rows=contents.rows, rejected=list(contents.rejected))
        self.batch = _Batch(self._append)
        self._cases = by_account(SourceCase.of(rows, desk.mapping) for rows in contents.cases.values())
        self._line = contents.records.line
        contents.cases.clear()
        for cases in self._cases.values():
            desk.price(cases[0])
        self._queue = deque(self._cases)
        self._unsaved: list[str] = []  # customers with events in the batch, the present one last
        self._tries: Counter[str] = Counter()
        self._ahead: dict[str, list[Row]] = {}  # what the ledger has of the next customers in the queue

    def run(self, progress: Progress | None) -> Summary:
        """Record every customer's history; those that another writer got in the way of are read again."""
        done = len(self.summary.rejected)
        while self._queue:
            number = self._queue.popleft()
            try:
                self._record(number)
                if not self._queue:
                    self.batch.flush()
            except IntegrityError:
                self._put_back()
                continue
            done += sum(len(case.rows) for case in self._cases[number])
            if progress is not None:
                progress(min(done, self.summary.rows))
        self.summary.rejected.sort(key=lambda rejected: rejected.line)
        return self.summary

    def _record(self, number: str) -> None:
        self._unsaved.append(number)
        customer = Customer(self.desk, number, self._cases[number], self._rows(number))
        if customer.strays:
            self.batch.flush()  # may be contested: before anything is moved
        self._cases[number] = customer.cases
        for case in customer.taken:
            reason = Conflict("duplicate_ticket", ticket=case.number)
            self.summary.rejected += [Rejected(row.line, reason, self._line(row.line)) for row in case.rows]
        for owner, case in customer.strays:
            if owner not in self._queue:
                self._queue.append(owner)
                self._cases[owner] = []  # those it had are done
            self._cases[owner].append(case)
            sort(self._cases[owner])
            self._ahead.pop(owner, None)
        for part in customer.parts():
            self.batch.add(part)

    def _rows(self, number: str) -> list[Row]:
        """Return what the ledger has of a customer, read together with that of the next ones in the queue.

        What somebody writes in between is found out by the store: a version that exists already.
        """
        if number not in self._ahead:
            owners: dict[str, str] = {}
            for near in (number, *self._queue):
                wanted = streams(near, self._cases[near])
                if owners and len(owners) + len(wanted) > _STREAMS_AT_ONCE:
                    break
                owners.update(dict.fromkeys(wanted, near))
            self._ahead = {near: [] for near in owners.values()}
            store = self.desk.ledger.store
            for row in store.rows_of_streams(list(owners), store.last_position()):
                self._ahead[owners[row.stream]].append(row)
        return self._ahead.pop(number)

    def _put_back(self) -> None:
        self._tries.update(self._unsaved)
        if max(self._tries.values()) > _TRIES:
            raise Unavailable("too_busy") from None
        self._queue.extendleft(reversed(self._unsaved))
        self._unsaved.clear()
        time.sleep(random.uniform(0.001, 0.02))  # noqa: S311 - it only spreads the retries

    def _append(self, events: list[Any], accounts: list[str], counts: Counter[str]) -> None:
        ledger = self.desk.ledger
        if not self.dry_run:
            ledger.append_stored(events, accounts, ledger.clock.now())
        del self._unsaved[:-1]  # the present customer may have more to come; the others are done
        self.summary.imported += counts["imported"]
        self.summary.accounts += counts["accounts"]
        self.summary.tickets += counts["tickets"]
