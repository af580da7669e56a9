"""One record of a file becomes rows of a case: what its cells say, by the mapping."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from ledger.errors import LedgerError, Malformed
from ledger.imports.cells import ATTRIBUTE, NEW_ID, WORDS, Cells, Place
from ledger.imports.lines import Record
from ledger.imports.mapping import Mapping, Meaning, OwnLimit, Theirs
from ledger.imports.rows import NOTHING_SAID, Broken, SourceRow, TheirWord

_UNREADABLE = re.compile("[\udc80-\udcff]")  # what a byte becomes that is not of the encoding
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_FAR = "9999"
_MOST_KNOWN = 20_000
_Value = TypeVar("_Value")


class _Step(NamedTuple):
    at: str
    means: Meaning
    label: str


class _Who(NamedTuple):
    """What a row says beside what happened."""

    account: str
    agent: str
    level: str
    priority: str
    stated: str
    channel: str
    said: tuple[str, str, str]  # agent, level and priority as the file has them


class Parser(Cells):
    """Reads the records of one file. `width`: how many cells each has; `dates`: what its instants look like."""

    def __init__(self, mapping: Mapping, now: str, header: Record, name: str) -> None:
        """Refused where the file lacks a column that the mapping names, or has it twice."""
        super().__init__(mapping, now, header, name)
        columns = mapping.columns
        self._account, self._agent = self._maybe(columns.account), self._maybe(columns.agent)
        self._level, self._priority = self._maybe(columns.level), self._maybe(columns.priority)
        self._channel, self._activity = self._maybe(columns.channel), self._maybe(columns.activity)
        self._time, self._opened = self._maybe(columns.time), self._maybe(columns.opened)
        self._sequence = self._maybe(columns.sequence)
        self._attributes = [(name, self._place(column)) for name, column in columns.kept().items()]
        self._steps = [(self._place(step.column), step.action) for step in mapping.steps]
        self._outcome = self._maybe(mapping.outcome.column if mapping.outcome is not None else None)
        theirs = mapping.theirs or Theirs()
        self._theirs = [self._maybe(cell) for cell in (theirs.verdict, theirs.due, theirs.responded)]
        who = (self._account, self._agent, self._level, self._priority, self._channel)
        self._who_at = [place.at for place in who if place is not None]
        self._known_who: dict[tuple[str, ...], _Who] = {}
        self._whole: dict[str, set[bytes]] = {}  # the lines of each case
        self._count: dict[str, int] = {}

    # --- a record ---------------------------------------------------------------------------------------------

    def rows(self, record: Record) -> list[SourceRow]:
        """Return what a record says of its case, in order of time; LedgerError where it cannot be recorded.

        Of a line that repeats another of its case in every cell, in the `cases` layout, nothing is returned.
        """
        cells = record.cells
        if record.error:
            raise Malformed("line", record.text.rstrip("\r\n"), "remedy_csv")
        case = self._number(cells, self._case, self.mapping.numbers.ticket, NEW_ID)
        # Counted before anything else is checked: by its place a row was known before 2026-11-25.
        ordinal = self._count[case] = self._count.get(case, 0) + 1
        if len(cells) != self.width:
            raise Malformed("line", len(cells), "remedy_columns", expected=self.width)
        if _UNREADABLE.search(record.text):
            raise Malformed("line", record.text, "remedy_encoding", encoding=self.mapping.encoding)
        who = self._who(cells)
        if self._time is None or self._activity is None:
            return self._line(record.line, case, str(ordinal), cells, who)
        at = self._instant(cells, self._time)
        means, label, unchanged = self._happened(cells, self._activity)
        return [
            SourceRow(
                line=record.line,
                ordinal=str(ordinal),
                key=_digest(at, label, *who.said).hex(),
                case=case,
                account=who.account,
                agent=who.agent,
                level=who.level,
                priority=who.priority,
                stated=who.stated,
                at=at,
                means=means,
                label=label,
                channel=who.channel,
                attributes=self._attributes_of(cells),
                whole=_digest(*cells),
                sequence=self._order(cells),
                opened=self._maybe_instant(cells, self._opened),
                theirs=self._theirs_of(cells),
                unchanged=unchanged,
            )
        ]

    def broken(self, record: Record) -> Broken | None:
        """Return what can be read of a record that was rejected; None where its case cannot."""
        cells = record.cells
        case = _attempt(lambda: self._number(cells, self._case, self.mapping.numbers.ticket, NEW_ID))
        if not case or record.error or len(cells) != self.width:
            return Broken(record.line, case) if case else None
        step = _attempt(lambda: self._lenient(cells))
        if step is None:
            return Broken(record.line, case)
        level = _attempt(lambda: self._known(cells, self._level, self.mapping.levels, self.mapping.defaults.level))
        told = _attempt(lambda: self._priorities(cells)) or ("", "")
        account = _attempt(lambda: self._account_of(cells)) or ""
        agent = _attempt(lambda: self._agent_of(cells)) or ""
        return Broken(record.line, case, step.at, step.means, step.label, agent, account, level or "", *told)

    def _lenient(self, cells: list[str]) -> _Step:
        """Return what happened in a row; an activity that nobody knows is a note."""
        if self._time is None or self._activity is None:
            return next(step for step in self._steps_of_a_line(cells) if step.means == "open")
        at = self._instant(cells, self._time)
        word = self._said(cells, self._activity)
        return _Step(at, self.mapping.activities.get(word, "note"), word[:200])

    # --- what a row says --------------------------------------------------------------------------------------

    def _who(self, cells: list[str]) -> _Who:
        """Return who did it for whom, of which level and priority: the same cells come again and again."""
        raw = tuple([cells[index] for index in self._who_at])
        found = self._known_who.get(raw)
        if found is None:
            level = self._known(cells, self._level, self.mapping.levels, self.mapping.defaults.level)
            priority, stated = self._priorities(cells)
            account, agent = self._account_of(cells), self._agent_of(cells)
            channel = self._known(cells, self._channel, self.mapping.channels, self.mapping.defaults.channel)
            said = (self._said(cells, self._agent), self._said(cells, self._level), self._said(cells, self._priority))
            found = _Who(account, agent, level, priority, stated, channel, said)
            if len(self._known_who) < _MOST_KNOWN:
                self._known_who[raw] = found
        return found

    def _account_of(self, cells: list[str]) -> str:
        default = self.mapping.defaults.account
        if self._account is None or (default and not self._said(cells, self._account)):
            return default
        return self._number(cells, self._account, self.mapping.numbers.account, NEW_ID)

    def _agent_of(self, cells: list[str]) -> str:
        """Return who did it: "" where nobody is named, which is no mistake (nobody was assigned yet)."""
        if self._agent is None or not self._said(cells, self._agent):
            return self.mapping.defaults.agent
        return self._number(cells, self._agent, self.mapping.numbers.agent)

    def _priorities(self, cells: list[str]) -> tuple[str, str]:
        """Return our priority and, where theirs has a limit of its own, their word for it."""
        said = self._said(cells, self._priority)
        default = self.mapping.defaults.priority
        if not said and default:
            return default, ""
        meant = self.mapping.priorities.get(said)
        if meant is None:
            raise self._unknown(said, self._priority, self.mapping.priorities)
        return (meant.priority, said) if isinstance(meant, OwnLimit) else (meant, "")

    def _theirs_of(self, cells: list[str]) -> TheirWord:
        verdict, due, responded = self._theirs
        theirs = self.mapping.theirs
        if theirs is None:
            return NOTHING_SAID
        word = self._said(cells, verdict)
        if word in theirs.ignored:
            word = ""
        if word and word not in theirs.values:
            raise self._unknown(word, verdict, [*theirs.values, *theirs.ignored])
        return TheirWord(
            theirs.values[word] if word else "",
            self._maybe_instant(cells, due, _FAR),  # a due instant may lie ahead
            self._maybe_instant(cells, responded),
        )

    def _attributes_of(self, cells: list[str]) -> dict[str, str]:
        return {name: self._parse(ATTRIBUTE, cells[place.at].strip(), place) for name, place in self._attributes}

    def _order(self, cells: list[str]) -> tuple[int, int, str]:
        """Return the place that the column of sequence gives a row among those of its instant: numbers first."""
        said = self._said(cells, self._sequence)
        return (0, int(said), "") if _NUMBER.fullmatch(said) else (1, 0, said)

    # --- what happened ----------------------------------------------------------------------------------------

    def _happened(self, cells: list[str], activity: Place) -> tuple[Meaning, str, bool]:
        """Return what a row means, the other system's word for it, and whether it says that nothing changed."""
        raw = cells[activity.at].strip()
        word = raw if raw in self.mapping.activities else self._said(cells, activity)
        means = self.mapping.activities.get(word)
        if means is None:
            if not word and self.mapping.only_on_change:
                return "note", "", True
            if self.mapping.other_activities == "reject":
                raise Malformed(activity.heading, word, "remedy_activity")
            means = "note"
        return means, self._parse(WORDS, word, activity), False

    def _line(self, line: int, case: str, ordinal: str, cells: list[str], who: _Who) -> list[SourceRow]:
        """Return the steps of a line. The opening and the last one show its priority, the last what theirs said."""
        whole = _digest(*cells)
        if whole in self._whole.setdefault(case, set()):
            return []
        self._whole[case].add(whole)
        steps = self._steps_of_a_line(cells)
        attributes, theirs = self._attributes_of(cells), self._theirs_of(cells)
        return [
            SourceRow(
                line=line,
                ordinal=ordinal,
                key=_digest(step.at, step.label).hex(),
                case=case,
                account=who.account,
                agent=who.agent,
                level=who.level,
                priority=who.priority if number in (0, len(steps) - 1) else "",
                stated=who.stated,
                at=step.at,
                means=step.means,
                label=step.label,
                channel=who.channel,
                attributes=attributes,
                whole=whole,
                theirs=theirs if number == len(steps) - 1 else NOTHING_SAID,
            )
            for number, step in enumerate(steps)
        ]

    def _steps_of_a_line(self, cells: list[str]) -> list[_Step]:
        steps = [
            _Step(self._instant(cells, place), action, place.heading)
            for place, action in self._steps
            if action == "open" or self._said(cells, place)
        ]
        opened = next(step for step in steps if step.means == "open")
        early = next((step for step in steps if step.at < opened.at), None)
        if early is not None:
            raise Malformed(early.label, early.at, "remedy_before_opening")
        found = sorted(steps, key=lambda step: (step.at, step.means != "open"))
        outcome, place = self.mapping.outcome, self._outcome
        if outcome is None or place is None:
            return found
        raw = cells[place.at].strip()
        word = raw if raw in outcome.values else self._said(cells, place)
        if not word or word in outcome.ignored:
            return found
        if word not in outcome.values:
            raise self._unknown(word, place, [*outcome.values, *outcome.ignored])
        return [*found, _Step(found[-1].at, outcome.values[word], word)]


def _digest(*said: str) -> bytes:
    """Return 8 bytes for some texts: whole rows would be most of what an import holds."""
    return hashlib.blake2b("\0".join(said).encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _attempt(read: Callable[[], _Value]) -> _Value | None:
    """Return what can be read of a row that is rejected anyway, None where it cannot."""
    try:
        return read()
    except LedgerError:
        return None
