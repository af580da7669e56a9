"""A case of the file: its rows in the order of their time, and which of them the ledger has already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ledger import facts as f
from ledger.imports.mapping import Exclude, Mapping
from ledger.imports.rows import SourceRow

OPENING = "opening"  # the key of an opening that has a column of its own


@dataclass(frozen=True, slots=True)
class SourceCase:
    """One case: its rows in order of their time, the account of the first, the level and priority of its opening."""

    number: str
    rows: Sequence[SourceRow]

    @classmethod
    def of(cls, rows: Sequence[SourceRow], mapping: Mapping, *, newest_first: bool = False) -> SourceCase:
        """Return the case of `rows`, in order of time: those of one instant by their sequence, then as the file stands.

        `newest_first`: the file stands the other way round.
        """
        if mapping.layout == "cases":
            return cls(rows[0].case, _line_by_line(rows))
        ordered = sorted(reversed(rows) if newest_first else rows, key=lambda row: (row.at, row.sequence))
        _name(ordered)
        if mapping.only_on_change:
            ordered = list(_changes(ordered))
        first = ordered[0]
        opened = min((row.opened for row in rows if row.opened), default="")
        if opened and opened < first.at:
            # The opening shows what the first row shows, which then happens by itself.
            ordered.insert(0, replace(first, line=0, name=OPENING, at=opened, means="open", label="", repeats=False))
        elif mapping.first_row == "opens":
            ordered[0] = replace(first, means="note")
        return cls(first.case, ordered)

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
            counts = row.at >= since and not row.repeats and not row.unchanged
            if counts and isinstance(row.means, Exclude) and row.means.give_back:
                return row.at, row.means.exclude
        return "", ""


def _name(rows: Sequence[SourceRow]) -> None:
    """Give rows in order the names by which they are known, and say which of them repeat one before."""
    equal: dict[str, int] = {}
    wholes: set[bytes] = set()
    for row in rows:
        number = equal[row.key] = equal.get(row.key, 0) + 1
        row.name, row.repeats = f"{row.key}.{number}", row.whole in wholes
        wholes.add(row.whole)


def _changes(rows: Iterable[SourceRow]) -> Iterator[SourceRow]:
    """Yield rows; those whose activity is that of the row before them are marked: nothing changed."""
    before: str | None = None
    for row in rows:
        yield replace(row, unchanged=True) if row.label == before and not row.unchanged else row
        if not row.unchanged:
            before = row.label


def _line_by_line(rows: Sequence[SourceRow]) -> list[SourceRow]:
    """Return the steps of a case's lines in order of time; what several lines have is of the first one.

    A later line shows its priority and what the other system said at its last step alone.
    """
    first = rows[0].line
    seen: set[str] = set()
    found: list[SourceRow] = []
    for number, row in enumerate(rows):
        if row.key in seen:
            continue
        seen.add(row.key)
        row.name = f"{row.key}.1"
        last = number + 1 == len(rows) or rows[number + 1].line != row.line
        found.append(row if row.line == first or last else replace(row, priority=""))
    return sorted(found, key=lambda row: row.at)


class Told(NamedTuple):
    """The facts that a row was told as, and the name that they know it by."""

    row: str
    facts: Sequence[f.TicketFact]


@dataclass
class Kept:
    """What the ledger has of a case already: its opening, and its facts by the name of their row.

    `old` are those of batches that knew rows by their place in the case: by that ordinal and their instant.
    """

    opened: f.TicketOpened
    version: int = 0
    rows: dict[str, list[f.TicketFact]] = field(default_factory=dict)
    old: dict[tuple[str, str], list[f.TicketFact]] = field(default_factory=dict)

    def add(self, fact: f.TicketFact) -> None:
        """Take up a fact of the case's stream."""
        if fact.row.isdigit():
            self.old.setdefault((fact.row, fact.occurred_at), []).append(fact)
        else:
            self.rows.setdefault(fact.row, []).append(fact)

    def told(self, rows: Sequence[SourceRow]) -> dict[str, Told]:
        """Return what was told of each of these rows that was, by its name.

        A row of a batch that went by ordinals is the one of its place and instant; else, since a file may stand the
        other way round by now, one of its instant and agent; else, since it may have been mended, that of its place.
        """
        found = {row.name: Told(row.name, self.rows[row.name]) for row in rows if row.name in self.rows}
        if not self.old:
            return found
        open_ = dict(self.old)
        waiting = [row for row in rows if row.name not in found]
        for match in (_by_place, _by_instant, _by_ordinal):
            rest = []
            for row in waiting:
                place = match(row, open_)
                if place is None:
                    rest.append(row)
                else:
                    found[row.name] = Told(place[0], open_.pop(place))
            waiting = rest
            if match is _by_place:  # the steps of a line that share an instant were told together
                together = {(row.ordinal, row.at) for row in rows if row.name in found}
                shared = together & self.old.keys()
                found |= {row.name: Told(row.ordinal, ()) for row in waiting if (row.ordinal, row.at) in shared}
                waiting = [row for row in waiting if row.name not in found]
        return found


_Places = dict[tuple[str, str], list[f.TicketFact]]


def _by_place(row: SourceRow, old: _Places) -> tuple[str, str] | None:
    place = row.ordinal, row.at
    return place if place in old else None


def _by_instant(row: SourceRow, old: _Places) -> tuple[str, str] | None:
    return next((place for place, told in old.items() if place[1] == row.at and told[0].by == row.agent), None)


def _by_ordinal(row: SourceRow, old: _Places) -> tuple[str, str] | None:
    return next((place for place in old if place[0] == row.ordinal), None)


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
