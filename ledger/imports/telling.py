"""A case's rows become its facts. What the rows mean is the mapping's; what follows from their order is here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ledger import facts as f
from ledger.catalogue import Catalogue, Target
from ledger.imports.cases import Kept, SourceCase, Told
from ledger.imports.checks import limit_us
from ledger.imports.mapping import ANSWERS_AND_WAITS, Exclude, Mapping, Meaning, OwnLimit
from ledger.imports.rows import NOTHING_SAID, SourceRow, TheirWord
from ledger.rules import sla
from ledger.rules.instants import from_iso, to_iso
from ledger.rules.responses import channel_counts
from ledger.rules.subscriptions import local_day

APPROVER = "import"


@dataclass
class Telling:
    """Tells one case as facts: each carries the name of its row, so that a row is recorded once.

    Rows that are `kept` are not told again; they are only remembered, for what follows from them. `catalogue` is the
    one with the calendars assigned so far: a case is promised what held when it was opened, as any other.
    """

    case: SourceCase
    account: str
    catalogue: Catalogue
    mapping: Mapping
    source: str
    grant: str
    why: str
    kept: Kept | None = None
    facts: list[f.TicketFact] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)  # of the rows that are told for the first time
    _known_as: str = ""
    _opened: f.TicketOpened | None = None
    _waiting: bool = False
    _resolved: bool = False
    _excluded: bool = False
    _given_back: bool = False
    _priority: str = ""
    _stated: str = ""
    _theirs: TheirWord = NOTHING_SAID

    def tell(self) -> list[f.TicketFact]:
        """Return every fact that the ledger lacks, in the order of the rows."""
        told: dict[str, Told] = {}
        if self.kept is not None:
            self._opened, told = self.kept.opened, self.kept.told(self.case.rows)
            self._priority, self._stated = self._opened.priority, self._opened.stated
        for row in self.case.rows:
            if row.name in told:
                self._known_as = told[row.name].row
                self._remember(row, told[row.name].facts)
                self._hear(row)
                continue
            self._known_as = row.name
            self.lines[row.name] = row.line
            if self._opened is None:
                self._open(row)
            elif row.means == "open" and row.line == 0:
                continue  # the opening is recorded already, by an export that had no column of its own for it
            elif row.repeats or row.at < self._opened.occurred_at:
                # A row mended later may lie before the opening that was recorded without it: the promise stands.
                self._add(f.TicketNoted, row, text=row.label)
            else:
                self._step(row)
                self._change_priority(row)
            self._hear(row)
        return self.facts

    # --- rows that are new ------------------------------------------------------------------------------------

    def _open(self, row: SourceRow) -> None:
        day = local_day(row.at, self.mapping.times.zone)
        target = self.catalogue.target(row.level, row.priority, day, row.at)
        limit = self._limit(target, row.level, row.stated)
        due = self.catalogue.calendar(target.calendar).due(from_iso(row.at), limit)
        self._priority, self._stated = row.priority, row.stated
        self._opened = self._add(
            f.TicketOpened,
            row,
            request="general",
            priority=row.priority,
            stated=row.stated,
            zone=self.mapping.times.zone,
            level=row.level,
            grant=self.grant,
            why=self.why,
            policy=target.policy,
            calendar=target.calendar,
            limit_us=limit,
            due_at=to_iso(due),
            attributes=row.attributes,
        )
        if row.means not in ("open", "note"):
            self._act(row, row.means)

    def _limit(self, target: Target, level: str, stated: str) -> int:
        """Return the limit of a priority: its own where the mapping gives it one, else the policy's."""
        meant = self.mapping.priorities.get(stated) if stated else None
        return limit_us(meant, level) if isinstance(meant, OwnLimit) else target.limit_us

    def _step(self, row: SourceRow) -> None:
        if self._nothing_new(row):
            self._add(f.TicketNoted, row, text=row.label)
            return
        if self._waiting and row.means != "resume":
            self._waiting = False
            self._add(f.TicketResumed, row)
        if self._resolved and row.means != "close":
            self._resolved = False
            self._add(f.TicketReopened, row)
        self._act(row, row.means)

    def _nothing_new(self, row: SourceRow) -> bool:
        """Whether a row only says again in which state its case is, where the mapping counts changes alone."""
        if not self.mapping.only_on_change:
            return False
        return (
            row.unchanged
            or (self._resolved and row.means in ("resolve", "close"))
            or (self._waiting and row.means == "wait")
        )

    def _act(self, row: SourceRow, means: Meaning) -> None:
        match means:
            case "respond":
                self._respond(row)
            case "wait":
                self._wait(row)
            case tuple() if means == ANSWERS_AND_WAITS:
                self._ask(row)
            case "resume":
                self._waiting = False
                self._add(f.TicketResumed, row)
            case "resolve":
                self._resolved = True
                self._add(f.TicketResolved, row)
            case Exclude():
                self._exclude(row, means)
            case _:
                self._add(f.TicketNoted, row, text=row.label)

    def _respond(self, row: SourceRow) -> None:
        counts = channel_counts(row.channel, self._priority)
        self._add(f.TicketResponded, row, channel=row.channel, counts=counts)

    def _wait(self, row: SourceRow, *, answers: bool = False) -> None:
        self._waiting = True
        self._add(f.TicketWaiting, row, text=row.label if answers else "", answers=answers)

    def _ask(self, row: SourceRow) -> None:
        """Record a question to the customer: it answers, as on the platform; elsewhere it is an answer there."""
        if row.channel == "platform":
            self._wait(row, answers=True)
        else:
            self._respond(row)
            self._wait(row)

    def _exclude(self, row: SourceRow, exclusion: Exclude) -> None:
        before = len(self.facts)
        if not self._excluded:
            self._excluded = True
            self._add(f.TicketExcluded, row, reason=exclusion.exclude, approver=APPROVER)
        if exclusion.give_back and self.grant and not self._given_back:
            self._given_back = True
            self._add(f.TicketGivenBack, row, reason=exclusion.exclude, grant=self.grant, approver=APPROVER)
        if len(self.facts) == before:
            self._add(f.TicketNoted, row, text=row.label)

    def _change_priority(self, row: SourceRow) -> None:
        """A change between rows: a raise counts from its row, a lowering changes the label only.

        From one of theirs to another that is the same of ours, the shorter limit is the higher.
        """
        if not row.priority or (row.priority, row.stated) == (self._priority, self._stated):
            return
        opened = self._opened
        assert opened is not None
        day = local_day(opened.occurred_at, self.mapping.times.zone)
        target = self.catalogue.target_of(opened.policy, opened.level, row.priority, day)
        limit = self._limit(target, opened.level, row.stated)
        way = sla.direction(self._priority, row.priority)
        if not way:
            way = "raise" if limit < self._limit(target, opened.level, self._stated) else "lower"
        due_at = ""
        if way == "raise":
            due_at = to_iso(self.catalogue.calendar(target.calendar).due(from_iso(row.at), limit))
        own = limit if row.stated and due_at else 0
        self._priority, self._stated = row.priority, row.stated
        self._add(
            f.TicketPrioritised,
            row,
            priority=row.priority,
            direction=way,
            due_at=due_at,
            stated=row.stated,
            limit_us=own,
        )

    def _hear(self, row: SourceRow) -> None:
        """Keep what the other system said of the case, once for each thing it said."""
        said = row.theirs
        if said is NOTHING_SAID or self._opened is None:
            return
        whole = TheirWord(*(new or before for new, before in zip(said, self._theirs, strict=True)))
        if whole != self._theirs:
            self._theirs = whole
            self._add(
                f.TicketJudgedElsewhere,
                row,
                system=self.mapping.name,
                verdict=whole.verdict,
                due_at=whole.due_at,
                responded_at=whole.responded_at,
            )

    # --- rows that are kept already ---------------------------------------------------------------------------

    def _remember(self, row: SourceRow, told: Sequence[f.TicketFact]) -> None:
        """Take up what a recorded row did, and add what it does to rows before it that came in later."""
        kinds = {type(fact) for fact in told}
        if told and not row.repeats and not self._nothing_new(row):
            if self._waiting and f.TicketResumed not in kinds:
                self._add(f.TicketResumed, row)
            if self._resolved and f.TicketReopened not in kinds and row.means != "close":
                self._add(f.TicketReopened, row)
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
                    self._priority, self._stated = fact.priority, fact.stated
                case f.TicketJudgedElsewhere():
                    self._theirs = TheirWord(fact.verdict, fact.due_at, fact.responded_at)

    def _add(self, kind: type[Any], row: SourceRow, **fields: Any) -> Any:
        fact = kind(
            customer_no=self.account,
            ticket_no=self.case.number,
            occurred_at=row.at,
            by=row.agent,
            source=self.source,
            row=self._known_as,
            **fields,
        )
        self.facts.append(fact)
        return fact
