"""Facts that have a stream each: a declined request, a bank reference that was used."""

from __future__ import annotations

from typing import ClassVar

from ledger.facts.base import Fact


class RequestDeclined(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A request was declined: what was asked, and the code of the row of the table that said no."""

    TOPIC: ClassVar[str] = "decline.recorded"
    ticket_no: str
    request: str
    code: str
    priority: str = ""
    product: str = ""
    charge: str = ""
    hint: str = ""


class ReferenceClaimed(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A bank's reference was used by a payment; its stream makes it unique over all accounts."""

    TOPIC: ClassVar[str] = "reference.claimed"
    bank: str
    reference: str
    payment: str


class NumberTaken(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A document took the next number of its series: its place in the series' stream, without gaps (DOMAIN.md 9)."""

    TOPIC: ClassVar[str] = "series.number_taken"
    series: str
    kind: str
    subject: str


class MonthClosed(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """An accounting month (YYYY-MM) was closed, with all before it.

    `late` is where facts of closed months are booked that are recorded after it: in their recording's `own` month; in
    the `first_open` one by closings from before rule 9 said so.
    """

    TOPIC: ClassVar[str] = "books.month_closed"
    month: str
    late: str = "first_open"


class CalendarAssigned(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """From instant `since` on, cases of this level and priority are counted in another calendar of the catalogue."""

    TOPIC: ClassVar[str] = "policy.calendar_assigned"
    level: str
    priority: str
    calendar: str
    since: str


class ReportPublished(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A compliance report was published with these figures: they stay, whatever comes to light.

    `month` is YYYY-MM; `figures` are rows by level and priority as of `occurred_at`, known up to `position` of the log.
    `totals` are those over all of them (none in reports published before they were kept). `cases` are each verdict's
    cases, under "level/priority/verdict": short, so that thousands fit. `digest` is the hash of all of it.

    `provisional`: before its verdicts were final, with a reason; the month can be published again.
    """

    TOPIC: ClassVar[str] = "report.published"
    month: str
    position: int
    digest: str
    figures: list[dict[str, str | int | None]]
    cases: dict[str, list[str]]
    totals: dict[str, int | None] = {}  # noqa: RUF012 - msgspec copies it for each fact
    provisional: bool = False


class HistoryImported(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A file of another system was recorded by `by`: the batch that the `source` of its facts names.

    `mapping` is the mapping's name, `mapping_digest` and `digest` the SHA-256 of mapping and file. `rows` stand in the
    file, `rejected` of them were set aside.
    """

    TOPIC: ClassVar[str] = "import.recorded"
    mapping: str
    mapping_digest: str
    file: str
    digest: str
    rows: int
    rejected: int = 0
