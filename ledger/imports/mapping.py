"""The mapping file: the only thing that knows another system. TOML; README.md says how to write one.

Two layouts: `events` (one row an event of a case) and `cases` (one line a case, its instants in several columns).
`load_mapping` checks everything a mapping can get wrong by itself; the first mistake raises MappingError.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Column = str | Annotated[int, msgspec.Meta(ge=1)]  # a heading, or a position counted from 1
Word = Literal["open", "respond", "wait", "resume", "resolve", "close", "note"]
ONE = "{}"  # in a template of numbers: the other system's value


class Exclude(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The case leaves the adjusted figures for reason `exclude`; `give_back`: its unit goes back as well."""

    exclude: str
    give_back: bool


Meaning = Word | Exclude


class Columns(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which column holds what. `time` and `activity` are of the `events` layout only."""

    case: Column
    account: Column
    agent: Column
    level: Column
    priority: Column
    time: Column | None = None
    activity: Column | None = None
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
    """`format`: "iso" or one of strptime's; `zone`: of times without an offset, and of the months of cases."""

    format: str
    zone: str


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
    """A mapping. Values of levels, priorities and activities are looked up exactly as they stand."""

    name: str
    layout: Literal["events", "cases"]
    columns: Columns
    times: Times
    levels: dict[str, str]
    priorities: dict[str, str]
    encoding: str = "utf-8"
    delimiter: str = ","
    numbers: Numbers = Numbers()
    first_row: Literal["opens", "opens_and_acts"] = "opens_and_acts"
    activities: dict[str, Meaning] = {}
    other_activities: Literal["note", "reject"] = "reject"
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
        wanted = [c.case, c.account, c.agent, c.level, c.priority, c.time, c.activity, *c.kept().values()]
        wanted += [step.column for step in self.steps]
        if self.outcome is not None:
            wanted.append(self.outcome.column)
        return tuple(dict.fromkeys(column for column in wanted if column is not None))
