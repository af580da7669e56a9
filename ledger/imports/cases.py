"""A case's rows become its facts. What the rows mean is the mapping's; what follows from their order is here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ledger import facts as f
from ledger.catalogue import Catalogue
from ledger.imports.mapping import Exclude, Mapping
from ledger.imports.reader import SourceRow, Step
from ledger.rules import sla
from ledger.rules.instants import from_iso, to_iso
from ledger.rules.subscriptions import local_day

APPROVER = "import"


@dataclass(frozen=True, slots=True)
class SourceCase:
    """One case: its rows in order of their time, the account of the first, the level and priority of its opening."""

    number: str
    rows: Sequence[SourceRow]

    @classmethod
    def of(cls, rows: Iterable[SourceRow], mapping: Mapping) -> SourceCase:
        """Return the case of `rows`, in order of time, then of the file."""
        first, *rest = sorted(rows, key=lambda row: row.at)
        if mapping.layout == "events" and mapping.first_row == "opens":
            first = replace(first, steps=tuple(step._replace(means="note") for step in first.steps))
        return cls(first.case, [first, *rest])

    @property
    def account(self) -> str:
        """The customer of the first row, whatever later rows say."""
        return self.rows[0].account

    @property
    def opened_at(self) -> str:
        """When the first row happened: whatever its activity, it opens the case."""
        return self.rows[0].at

    def given_back(self, since: str) -> tuple[str, str]:
        """Return when (not before `since`) and why its unit goes back; ("", "") when it does not."""
        for row in self.rows:
            if row.at >= since and not row.repeats:
                for step in row.steps:
                    if isinstance(step.means, Exclude) and step.means.give_back:
                        return step.at, step.means.exclude
        return "", ""


@dataclass
class Kept:
    """What the ledger has of a case already: its opening, and its facts by the ordinal of their row."""

    opened: f.TicketOpened
    version: int = 0
    rows: dict[str, list[f.TicketFact]] = field(default_factory=dict)


@dataclass
class Telling:
    """Tells one case as facts: each carries the ordinal of its row, so that a row is recorded once.

    Rows that are `kept` are not told again; they are only remembered, for what follows from them. `catalogue` is the
    one with the calendars assigned so far: a case is promised what held when it was opened, as any other.
    """

    case: SourceCase
    account: str
    catalogue: Catalogue
    zone: str
    source: str
    grant: str
    why: str
    kept: Kept | None = None
    facts: list[f.TicketFact] = field(default_factory=list)
    _opened: f.TicketOpened | None = None
    _waiting: bool = False
    _resolved: bool = False
    _excluded: bool = False
    _given_back: bool = False
    _priority: str = ""

    def tell(self) -> list[f.TicketFact]:
        """Return every fact that the ledger lacks, in the order of the rows."""
        told: dict[str, list[f.TicketFact]] = {}
        if self.kept is not None:
            self._opened, told = self.kept.opened, self.kept.rows
            self._priority = self._opened.priority
        for row in self.case.rows:
            if row.ordinal in told:
                self._remember(row, told[row.ordinal])
            elif self._opened is None:
                self._open(row)
            elif row.repeats or row.at < self._opened.occurred_at:
                # A row mended later may lie before the opening that was recorded without it: the promise stands.
                self._add(f.TicketNoted, row, row.at, text=row.steps[0].label)
            else:
                for step in row.steps:
                    self._step(row, step)
                self._change_priority(row)
        return self.facts

    # --- rows that are new ------------------------------------------------------------------------------------

    def _open(self, row: SourceRow) -> None:
        first, *rest = row.steps
        day = local_day(first.at, self.zone)
        target = self.catalogue.target(row.level, row.priority, day, first.at)
        due = self.catalogue.calendar(target.calendar).due(from_iso(first.at), target.limit_us)
        self._priority = row.priority
        self._opened = self._add(
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
        if first.means not in ("open", "note"):
            self._act(row, first)
        for step in rest:
            self._step(row, step)

    def _step(self, row: SourceRow, step: Step) -> None:
        if self._waiting and step.means != "resume":
            self._waiting = False
            self._add(f.TicketResumed, row, step.at)
        if self._resolved and step.means != "close":
            self._resolved = False
            self._add(f.TicketReopened, row, step.at)
        self._act(row, step)

    def _act(self, row: SourceRow, step: Step) -> None:
        match step.means:
            case "respond":
                self._add(f.TicketResponded, row, step.at, channel="platform", counts=True)
            case "wait":
                self._waiting = True
                self._add(f.TicketWaiting, row, step.at)
            case "resume":
                self._waiting = False
                self._add(f.TicketResumed, row, step.at)
            case "resolve":
                self._resolved = True
                self._add(f.TicketResolved, row, step.at)
            case Exclude() as exclusion:
                self._exclude(row, step, exclusion)
            case _:
                self._add(f.TicketNoted, row, step.at, text=step.label)

    def _exclude(self, row: SourceRow, step: Step, exclusion: Exclude) -> None:
        before = len(self.facts)
        if not self._excluded:
            self._excluded = True
            self._add(f.TicketExcluded, row, step.at, reason=exclusion.exclude, approver=APPROVER)
        if exclusion.give_back and self.grant and not self._given_back:
            self._given_back = True
            self._add(f.TicketGivenBack, row, step.at, reason=exclusion.exclude, grant=self.grant, approver=APPROVER)
        if len(self.facts) == before:
            self._add(f.TicketNoted, row, step.at, text=step.label)

    def _change_priority(self, row: SourceRow) -> None:
        """A change between rows: a raise counts from its row, a lowering changes the label only."""
        way = sla.direction(self._priority, row.priority)
        if not way:
            return
        self._priority = row.priority
        due_at = ""
        if way == "raise":
            opened = self._opened
            assert opened is not None
            day = local_day(opened.occurred_at, self.zone)
            target = self.catalogue.target_of(opened.policy, opened.level, row.priority, day)
            due_at = to_iso(self.catalogue.calendar(target.calendar).due(from_iso(row.at), target.limit_us))
        self._add(f.TicketPrioritised, row, row.at, priority=row.priority, direction=way, due_at=due_at)

    # --- rows that are kept already ---------------------------------------------------------------------------

    def _remember(self, row: SourceRow, told: Sequence[f.TicketFact]) -> None:
        """Take up what a recorded row did, and add what it does to rows before it that came in later."""
        kinds = {type(fact) for fact in told}
        if not row.repeats:
            if self._waiting and f.TicketResumed not in kinds:
                self._add(f.TicketResumed, row, row.at)
            if self._resolved and f.TicketReopened not in kinds and row.steps[0].means != "close":
                self._add(f.TicketReopened, row, row.at)
                self._resolved = False
            self._waiting = False
        for fact in told:
            match fact:
                case f.TicketWaiting():
                    self._waiting = True
                case f.TicketResumed():
                    self._waiting = False
                case f.TicketResolved():
                    self._resolved = True
                case f.TicketReopened():
                    self._resolved = False
                case f.TicketExcluded():
                    self._excluded = True
                case f.TicketGivenBack():
                    self._given_back = True
                case f.TicketPrioritised():
                    self._priority = fact.priority

    def _add(self, kind: type[Any], row: SourceRow, at: str, **fields: Any) -> Any:
        fact = kind(
            customer_no=self.account,
            ticket_no=self.case.number,
            occurred_at=at,
            by=row.agent,
            source=self.source,
            row=row.ordinal,
            **fields,
        )
        self.facts.append(fact)
        return fact


def by_account(cases: Iterable[SourceCase]) -> dict[str, list[SourceCase]]:
    """Return the cases of each account in order of their opening."""
    accounts: dict[str, list[SourceCase]] = {}
    for case in cases:
        accounts.setdefault(case.account, []).append(case)
    for owned in accounts.values():
        sort(owned)
    return accounts


def sort(cases: list[SourceCase]) -> None:
    """Put cases in order of their opening."""
    cases.sort(key=lambda case: (case.opened_at, case.number))
