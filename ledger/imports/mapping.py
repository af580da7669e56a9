"""The mapping file: the only thing that knows another system. TOML; README.md says how to write one.

Two layouts: `events` (one row an event of a case) and `cases` (one line a case, its instants in several columns).
`load_mapping` checks everything a mapping can get wrong by itself; the first mistake raises MappingError.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Column = str | Annotated[int, msgspec.Meta(ge=1)]  # a heading, or a position counted from 1
Word = Literal["open", "respond", "wait", "resume", "resolve", "close", "note"]
Verdict = Literal["met", "breached", "excluded"]
ONE = "{}"  # in a template of numbers: the other system's value
ANSWERS_AND_WAITS = ("respond", "wait")  # asked the customer: an answer, and waiting from then on


class Pattern(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A part of a column: the first group of a regular expression, all of what it finds where it has none."""

    column: Column
    pattern: str


Cell = Column | Pattern


class Exclude(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The case leaves the adjusted figures for reason `exclude`; `give_back`: its unit goes back as well."""

    exclude: str
    give_back: bool


Meaning = Word | Exclude | tuple[Word, ...]


class Columns(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which column holds what. `time`, `activity`, `opened` and `sequence` are of the `events` layout only.

    `opened` is the instant at which the case was opened, beside that of the event; `sequence` orders rows of one
    instant. What has no column has its value from `defaults`.
    """

    case: Cell
    account: Cell | None = None
    agent: Cell | None = None
    level: Cell | None = None
    priority: Cell | None = None
    time: Column | None = None
    activity: Cell | None = None
    opened: Column | None = None
    sequence: Column | None = None
    channel: Cell | None = None
    attributes: tuple[str, ...] | dict[str, Column] = ()

    def kept(self) -> dict[str, Column]:
        """Return the attributes to keep: name to column."""
        return self.attributes if isinstance(self.attributes, dict) else {name: name for name in self.attributes}


class Numbers(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How numbers here are made of theirs: a text with one `{}`, by default the value as it is."""

    ticket: str = ONE
    account: str = ONE
    agent: str = ONE


class Times(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`format`: "iso" or one of strptime's; `zone`: of times without an offset, and of the months of cases.

    `sure`: day and month of the format were looked at, however odd the file's dates are.
    """

    format: str
    zone: str
    sure: bool = False


class Defaults(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a row that says nothing means: our words for level, priority and channel, their numbers for the others.

    "" is none: such a row is rejected, but without an agent it is nobody's.
    """

    account: str = ""
    agent: str = ""
    level: str = ""
    priority: str = ""
    channel: str = "platform"


class OwnLimit(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A priority beyond our three: which of ours it is, and its own limit ("30m"), for all levels or for each."""

    priority: str
    limit: str | dict[str, str]


class Theirs(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What the other system held of a case: its verdict, its due instant, its response. Kept beside ours, compared.

    A blank verdict and those in `ignored` say nothing; any other that `values` has not rejects its row.
    """

    verdict: Cell | None = None
    values: dict[str, Verdict] = {}
    ignored: tuple[str, ...] = ()
    due: Column | None = None
    responded: Column | None = None


class Step(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """In the `cases` layout: the column of an instant and what happened then; blank cells mean it did not."""

    column: Column
    action: Meaning


class Outcome(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """In the `cases` layout: a column whose values mean something, dated by the line's last instant.

    A blank cell and the values in `ignored` mean nothing; any other value rejects its line.
    """

    column: Column
    values: dict[str, Meaning]
    ignored: tuple[str, ...] = ()


class Enrolment(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The plan each customer gets, dated by its first case, of that case's level. `zone` "" = that of the times."""

    term: Literal["monthly", "yearly"] = "monthly"
    pay: Literal["manual", "card"] = "manual"
    currency: str = "GTQ"
    zone: str = ""
    language: Literal["es_GT", "en"] = "es_GT"
    channel: Literal["web", "salesperson"] = "web"
    salesperson: str = ""


class Mapping(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A mapping. Values of levels, priorities and activities are looked up exactly as they stand.

    `blank` are the values that say nothing. `only_on_change`: an activity counts only where it differs from the one
    before it in its case. `second_lines`: what a second line of a case is, in the `cases` layout.
    """

    name: str
    layout: Literal["events", "cases"]
    columns: Columns
    times: Times
    levels: dict[str, str] = {}
    priorities: dict[str, str | OwnLimit] = {}
    channels: dict[str, str] = {}
    blank: tuple[str, ...] = ("", "?")
    defaults: Defaults = Defaults()
    encoding: str = "utf-8"
    delimiter: str = ","
    numbers: Numbers = Numbers()
    first_row: Literal["opens", "opens_and_acts"] = "opens_and_acts"
    activities: dict[str, Meaning] = {}
    other_activities: Literal["note", "reject"] = "reject"
    only_on_change: bool = False
    second_lines: Literal["reject", "last_instant"] = "reject"
    theirs: Theirs | None = None
    steps: tuple[Step, ...] = ()
    outcome: Outcome | None = None
    enrolment: Enrolment = Enrolment()

    @property
    def zone(self) -> str:
        """The zone of the accounts that are opened."""
        return self.enrolment.zone or self.times.zone

    def needed(self) -> tuple[Column, ...]:
        """Return every column that the file must have."""
        c = self.columns
        wanted: list[Cell | None] = [c.case, c.account, c.agent, c.level, c.priority, c.time, c.activity]
        wanted += [c.opened, c.sequence, c.channel, *c.kept().values()]
        wanted += [step.column for step in self.steps]
        if self.outcome is not None:
            wanted.append(self.outcome.column)
        if self.theirs is not None:
            wanted += [self.theirs.verdict, self.theirs.due, self.theirs.responded]
        return tuple(dict.fromkeys(column_of(cell) for cell in wanted if cell is not None))


def column_of(cell: Cell) -> Column:
    """Return the column in which a value stands."""
    return cell.column if isinstance(cell, Pattern) else cell
