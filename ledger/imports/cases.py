"""A case's rows become its facts. What the rows mean is the mapping's; what follows from their order is here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ledger import facts as f
from ledger.catalogue import Catalogue
from ledger.imports.reader import SourceRow, Step
from ledger.rules import sla
from ledger.rules.instants import from_iso, to_iso
from ledger.rules.subscriptions import local_day

_UNIT_BACK = ("duplicate", "invalid")


@dataclass(frozen=True, slots=True)
class SourceCase:
    """One case: its rows in order of their time, the account of the first, the level and priority of its opening."""

    number: str
    rows: Sequence[SourceRow]

    @classmethod
    def of(cls, rows: Sequence[SourceRow]) -> SourceCase:
        """Return the case of `rows`, in order of time, then of the file."""
        ordered = sorted(rows, key=lambda row: row.steps[0].at)
        return cls(ordered[0].case, ordered)

    @property
    def account(self) -> str:
        """The customer of the first row, whatever later rows say."""
        return self.rows[0].account

    @property
    def opened_at(self) -> str:
        """When the first row happened: whatever its activity, it opens the case."""
        return self.rows[0].steps[0].at

    def given_back_at(self) -> str:
        """Return when it turned out to be a duplicate or invalid ("" = it did not)."""
        return next((s.at for row in self.rows if not row.repeats for s in row.steps if s.action in _UNIT_BACK), "")


@dataclass
class Telling:
    """Tells one case as facts: each carries the ordinal of its row, so that a row is recorded once."""

    case: SourceCase
    catalogue: Catalogue
    zone: str
    source: str
    grant: str
    why: str
    facts: list[f.TicketFact] = field(default_factory=list)
    _waiting: bool = False
    _resolved: bool = False
    _excluded: bool = False
    _priority: str = ""

    def tell(self) -> list[f.TicketFact]:
        """Return every fact of the case, in the order of its rows."""
        for index, row in enumerate(self.case.rows):
            if index == 0:
                self._open(row)
            elif row.repeats:
                self._add(f.TicketNoted, row, row.steps[0].at, text=row.steps[0].label)
            else:
                for step in row.steps:
                    self._step(row, step)
                self._change_priority(row)
        return self.facts

    def _open(self, row: SourceRow) -> None:
        first, *rest = row.steps
        self._priority = row.priority
        day = local_day(first.at, self.zone)
        target = self.catalogue.target(row.level, row.priority, day)
        due = self.catalogue.calendar(target.calendar).due(from_iso(first.at), target.limit_us)
        self._add(
            f.TicketOpened,
            row,
            first.at,
            request="general",
            priority=row.priority,
            zone=self.zone,
            level=row.level,
            grant=self.grant,
            why=self.why,
            policy=target.policy,
            calendar=target.calendar,
            limit_us=target.limit_us,
            due_at=to_iso(due),
            attributes=row.attributes,
        )
        if first.action not in ("open", "note"):
            self._act(row, first)
        for step in rest:
            self._step(row, step)

    def _step(self, row: SourceRow, step: Step) -> None:
        if self._waiting and step.action != "wait":
            self._waiting = False
            if step.action != "resume":
                self._add(f.TicketResumed, row, step.at)
        if self._resolved and step.action != "close":
            self._resolved = False
            self._add(f.TicketReopened, row, step.at)
        self._act(row, step)

    def _act(self, row: SourceRow, step: Step) -> None:
        match step.action:
            case "respond":
                self._add(f.TicketResponded, row, step.at, channel="platform", counts=True)
            case "wait" if not self._waiting:
                self._waiting = True
                self._add(f.TicketWaiting, row, step.at)
            case "resume":
                self._add(f.TicketResumed, row, step.at)
            case "resolve":
                self._resolved = True
                self._add(f.TicketResolved, row, step.at)
            case "duplicate" | "invalid" if not self._excluded:
                self._excluded = True
                self._add(f.TicketExcluded, row, step.at, reason=step.action, approver="import")
                if self.grant:
                    self._add(f.TicketGivenBack, row, step.at, reason=step.action, grant=self.grant, approver="import")
            case _:
                self._add(f.TicketNoted, row, step.at, text=step.label)

    def _change_priority(self, row: SourceRow) -> None:
        """A change between rows: a raise counts from its row, a lowering changes the label only."""
        way = sla.direction(self._priority, row.priority)
        if not way:
            return
        self._priority = row.priority
        at = row.steps[0].at
        due_at = ""
        if way == "raise":
            opened = self.facts[0]
            assert isinstance(opened, f.TicketOpened)
            day = local_day(opened.occurred_at, self.zone)
            target = self.catalogue.target_of(opened.policy, opened.level, row.priority, day)
            due_at = to_iso(self.catalogue.calendar(target.calendar).due(from_iso(at), target.limit_us))
        self._add(f.TicketPrioritised, row, at, priority=row.priority, direction=way, due_at=due_at)

    def _add(self, kind: type[Any], row: SourceRow, at: str, **fields: Any) -> None:
        self.facts.append(
            kind(
                customer_no=self.case.account,
                ticket_no=self.case.number,
                occurred_at=at,
                by=row.agent,
                source=self.source,
                row=row.ordinal,
                **fields,
            )
        )


def by_account(cases: Iterator[SourceCase]) -> dict[str, list[SourceCase]]:
    """Return the cases of each account in order of their opening."""
    accounts: dict[str, list[SourceCase]] = {}
    for case in cases:
        accounts.setdefault(case.account, []).append(case)
    for owned in accounts.values():
        owned.sort(key=lambda case: (case.opened_at, case.number))
    return accounts
