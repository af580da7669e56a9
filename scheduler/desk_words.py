"""The words of a mail to our own desk: cases whose limit is used up by and by, the most urgent first.

Each with who it is for, who holds it, until when it is to be answered, what is left in counted time, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ledger.catalogue import Catalogue
from ledger.explaining_words import day_of, span
from ledger.rules.instants import from_iso, show
from ledger.texts import text
from scheduler.mails import Mail, made_of, one_line

_LATE = timedelta(minutes=10)  # a warning sent longer after its instant says so
_SECTIONS = ("overdue", "90", "75", "50")


class Case(NamedTuple):
    """A case as its row of the queue has it, its customer's name, and its warnings: (percent, instant), in order."""

    row: Mapping[str, Any]
    name: str
    warned: tuple[tuple[int, str], ...]

    def section(self, now: str) -> str:
        """Return where it stands in the mail: overdue, or the share of its limit that it was warned of."""
        return "overdue" if self.row["due_at"] <= now else str(self.warned[-1][0])


def mail_of(cases: Sequence[Case], catalogue: Catalogue, *, now: str, lang: str, company: str) -> Mail:
    """Return the mail about `cases`, at least one, as things stand at canonical instant `now`."""
    paragraphs = [text("desk_intro", lang)]
    for section in _SECTIONS:
        found = [case for case in cases if case.section(now) == section]
        if found:
            paragraphs.append(text(f"desk_do_{section}", lang, count=len(found)))
            paragraphs += ["\n".join(_lines(case, catalogue, now, lang)) for case in found]
    paragraphs += [text("desk_how", lang), one_line(company)]
    return made_of(_subject(cases, now, lang), paragraphs, lang)


def _subject(cases: Sequence[Case], now: str, lang: str) -> str:
    overdue = sum(case.section(now) == "overdue" for case in cases)
    if len(cases) == 1:
        [case] = cases
        kind = "overdue" if overdue else "one"
        due = _moment(case.row["due_at"], case.row["zone"], now, lang)
        return text(f"desk_subject_{kind}", lang, ticket=case.row["ticket"], percent=case.warned[-1][0], due=due)
    kind = "many_overdue" if overdue else "many"
    return text(f"desk_subject_{kind}", lang, count=len(cases), overdue=overdue)


def _lines(case: Case, catalogue: Catalogue, now: str, lang: str) -> Iterator[str]:
    row, zone = case.row, case.row["zone"]
    who, about = f"{one_line(case.name)} ({row['account']})", one_line(row["subject"])
    yield " · ".join(filter(None, (row["ticket"], who, about)))
    level, priority = (text(f"value_{row[name]}", lang) for name in ("level", "priority"))
    holder = text("desk_held" if row["assigned_to"] else "desk_free", lang, who=one_line(row["assigned_to"]))
    yield text("desk_case", lang, level=level, priority=priority, holder=holder)
    yield from _time(row, catalogue, now, lang)
    if row["merged_into"]:
        yield text("desk_merged", lang, ticket=row["merged_into"])
    used = ", ".join(f"{percent} %: {_moment(at, zone, now, lang)}" for percent, at in case.warned)
    late = from_iso(now) - from_iso(case.warned[-1][1])
    yield text("desk_used_late" if late > _LATE else "desk_used", lang, used=used)


def _time(row: Mapping[str, Any], catalogue: Catalogue, now: str, lang: str) -> Iterator[str]:
    """Yield until when it is to be answered, what is left in counted time (rounded down), when the office is closed."""
    calendar, at, due = catalogue.calendar(row["calendar"]), from_iso(now), from_iso(row["due_at"])
    when = _moment(row["due_at"], row["zone"], now, lang)
    if due <= at:
        past = span(calendar.elapsed_us(due, at) // 1_000_000 * 1_000_000)
        yield text("desk_due_past", lang, due=when, past=past, calendar=row["calendar"])
        return
    left = span(calendar.elapsed_us(at, due) // 1_000_000 * 1_000_000)
    yield text("desk_due", lang, due=when, left=left, calendar=row["calendar"])
    if calendar.always:
        return
    begin, end = calendar.spans(at, due)[0]
    if begin > at:
        yield text("desk_opens", lang, at=_moment(begin, row["zone"], now, lang))
    elif end < due:
        yield text("desk_closes", lang, at=_moment(end, row["zone"], now, lang))


def _moment(at: str | datetime, zone: str, now: str, lang: str) -> str:
    """Return a local time, to the second where there are some; with its day unless it is today's."""
    local, today = show(at, zone), show(now, zone)
    time = local[11:16] if local[17:19] == "00" else local[11:19]
    return time if local[:10] == today[:10] else text("desk_other_day", lang, time=time, day=day_of(local, lang))
