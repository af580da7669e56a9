"""Records another desk's history, customer by customer, in transactions of at most 500 events and 256 KiB.

What the ledger has already is read first, so a file may be imported again, grown, mended or after a kill: it ends
the same. Small customers share a transaction; when another writer gets in the way, theirs are read and told again.
"""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ledger import facts as f
from ledger.application import Ledger
from ledger.errors import Conflict, Refused, Unavailable
from ledger.imports.batch import Batch, Summary
from ledger.imports.cases import SourceCase, by_account, sort
from ledger.imports.customer import Customer, Desk, Part, streams
from ledger.imports.effects import effects
from ledger.imports.mapping import Mapping
from ledger.imports.reader import Contents, Progress, read
from ledger.imports.rows import Rejected
from ledger.store import FactMapper, IntegrityError, Row
from ledger.store.base import MAX_BYTES, MAX_EVENTS
from ledger.ticket import ticket_stream

_TRIES = 10
_STREAMS_AT_ONCE = 400
_EVENTS, _BYTES = MAX_EVENTS - 1, MAX_BYTES - 4096  # who ran it stands in the same transaction as the first of it


class Import:
    """A file that has been read, about to be recorded by `by`. `dry_run`: counted, nothing written."""

    def __init__(
        self,
        ledger: Ledger,
        path: Path,
        mapping: Mapping,
        *,
        dry_run: bool = False,
        by: str = "operator",
        stated_by: str = "",
        reading: Progress | None = None,
    ) -> None:
        """Refused for a file that cannot be read, NotFound where the catalogue has no price to enrol with.

        Refused too where the format of times seems to take day and month for each other, unless the mapping is sure.
        `by` runs it; `stated_by` is the operator who says so of another. `reading` is called with the number of rows
        read.
        """
        now = ledger.clock.now()
        contents = read(path, mapping, now, reading)
        doubt = _doubt(contents, path, mapping)
        if doubt is not None and not dry_run and not mapping.times.sure:
            raise doubt
        source = f"import:{mapping.name}:{contents.digest[:12]}"
        self.rows = contents.rows
        summary = Summary(contents.rows, rejected=list(contents.rejected), source=source, by=by)
        summary.zone, summary.doubt = mapping.zone, None if mapping.times.sure else doubt
        summary.effects = list(effects(contents, mapping, ledger.policy(), now, _known(ledger, contents)))
        desk = Desk(ledger, mapping, source)
        batch = Batch(source, mapping, path.name, contents.digest, by, stated_by)
        self._recorder = _Recorder(desk, contents, summary, None if dry_run else batch)

    def run(self, progress: Progress | None = None) -> Summary:
        """Record it and return the counts; `progress` is called with the number of rows done."""
        return self._recorder.run(progress)


def import_file(
    ledger: Ledger, path: Path, mapping: Mapping, *, dry_run: bool = False, by: str = "operator"
) -> Summary:
    """Import `path`; return the counts and the rejected records."""
    return Import(ledger, path, mapping, dry_run=dry_run, by=by).run()


def _doubt(contents: Contents, path: Path, mapping: Mapping) -> Refused | None:
    found = contents.dates.doubt() if contents.dates is not None else None
    return None if found is None else Refused(found.why, file=path.name, format=mapping.times.format, **found._asdict())


def _known(ledger: Ledger, contents: Contents) -> set[str]:
    """Return the tickets that the ledger has, of those whose rows were all rejected."""
    missing = [number for number in contents.broken if number not in contents.cases]
    names = {ticket_stream(number): number for number in missing}
    found = ledger.store.rows_of_streams(list(names), ledger.store.last_position()) if names else ()
    return {names[row.stream] for row in found}


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
        if len(self._events) + len(stored) > _EVENTS or self._size + size > _BYTES:
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
            if isinstance(row.fact, f.TicketFact):
                self._counts[row.fact.TOPIC] += 1

    def flush(self) -> None:
        """Append what was collected; IntegrityError when somebody wrote one of the streams meanwhile."""
        events, accounts, counts = self._events, self._accounts, self._counts
        self._clear()
        if events:
            self._append(events, accounts, counts)


class _Recorder:
    def __init__(self, desk: Desk, contents: Contents, summary: Summary, run: Batch | None) -> None:
        """`run` is None where nothing is to be written."""
        self.desk = desk
        self.run_by = run
        self.summary = summary
        self.batch = _Batch(self._append)
        newest = contents.newest_first
        self._cases = by_account(
            SourceCase.of(rows, desk.mapping, newest_first=newest) for rows in contents.cases.values()
        )
        self._line = contents.records.line
        contents.cases.clear()
        for cases in self._cases.values():
            desk.price(cases[0])
        self._queue = deque(self._cases)
        self._unsaved: list[str] = []  # customers with events in the batch, the present one last
        self._tries: Counter[str] = Counter()
        self._told_who = False
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
            done += sum(len({row.line for row in case.rows}) for case in self._cases[number])
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
            lines = sorted({row.line for row in case.rows if row.line})
            self.summary.rejected += [Rejected(line, reason, self._line(line)) for line in lines]
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
        ledger, summary = self.desk.ledger, self.summary
        if self.run_by is not None:
            now = ledger.clock.now()
            if not self._told_who:  # with the first of it: a run that is killed has told who ran it
                row = self.run_by.row(now, summary.rows, len(summary.rejected))
                events, accounts = [FactMapper().to_stored_event(row), *events], ["", *accounts]
            ledger.append_stored(events, accounts, now)
            self._told_who = True
        del self._unsaved[:-1]  # the present customer may have more to come; the others are done
        summary.imported += counts.pop("imported", 0)
        summary.accounts += counts.pop("accounts", 0)
        summary.tickets += counts.pop("tickets", 0)
        summary.facts += counts
