"""The live queue: open cases by the time that is left to answer them, counted in the calendar that governs each.

Within one calendar the order of due instants is the order of time left, so a page is merged from one run of an index
per calendar: what it costs does not depend on how many cases are open. A cursor keeps the instant its first page
was counted at, and how far each calendar was read: pages neither overlap nor leave out.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from datetime import datetime, timedelta
from heapq import merge
from itertools import islice
from typing import Any

import msgspec

from ledger.application import Ledger
from ledger.catalogue import Catalogue
from ledger.errors import Malformed
from ledger.rules.instants import from_iso, show, to_iso
from ledger.store import Store
from projections import budget
from projections.projector import projector_of
from projections.queue_model import QUEUE

DEFAULT_MINUTES = 60
DEFAULT_LIMIT = 50
_MOST_COUNTED = 1000
_CHUNK = 64
_MINUTE_US = 60_000_000
_MICROSECOND = timedelta(microseconds=1)
_NAMES = QUEUE.names[1:]
_INSTANTS = ("opened_at", "due_at", "waiting_since")

Row = dict[str, Any]
Place = tuple[str, str]  # the due instant and number of the last case that was shown of a calendar


class Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Where the next page begins: counted at instant `at`, behind a place in each calendar."""

    at: str
    behind: dict[str, Place]

    def text(self) -> str:
        """Return it as it is handed out."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    @classmethod
    def of(cls, text: str | None, now: str) -> Cursor:
        """Return the cursor of `text`, a new one without; Malformed for one that is not ours."""
        if text is None:
            return cls(now, {})
        try:
            found = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=cls)
            if to_iso(from_iso(found.at)) == found.at <= now:
                return found
        except (binascii.Error, msgspec.MsgspecError, ValueError, OverflowError):
            pass
        raise Malformed("cursor", text, "remedy_cursor")


def answer(ledger: Ledger, values: dict[str, Any], _at: str, now: str) -> dict[str, Any]:
    """Answer question `queue`: a page of open cases, how many are overdue and at risk, and the month's budget."""
    read = projector_of(ledger).read
    cursor = Cursor.of(values.get("cursor"), now)
    found = page(
        read,
        ledger.catalogue,
        cursor,
        agent=values.get("agent") or "",
        level=values.get("level") or "",
        minutes=values.get("minutes") or DEFAULT_MINUTES,
        limit=values.get("limit") or DEFAULT_LIMIT,
    )
    if values.get("budget"):
        share = values.get("share") or budget.DEFAULT_SHARE
        found["budget"] = budget.budget(read, ledger.catalogue.zone, now=now, share=share)
    return found


def page(
    read: Store, catalogue: Catalogue, cursor: Cursor, *, agent: str, level: str, minutes: int, limit: int
) -> dict[str, Any]:
    """Return the answer; `agent` leaves those that another holds out, `level` those of other levels."""
    wanted = _Wanted(read, catalogue, cursor.at, agent, level, minutes)
    calendars = wanted.calendars()
    runs = [wanted.run(name, holder, cursor.behind.get(f"{name}/{holder}")) for name, holder in calendars]
    taken = list(islice(merge(*runs), limit + 1))
    behind = dict(cursor.behind)
    for _left, due_at, ticket, place, _row in taken[:limit]:
        behind[place] = (due_at, ticket)
    return {
        "at": show(cursor.at, catalogue.zone),
        "zone": catalogue.zone,
        "minutes": minutes,
        **wanted.counts(calendars),
        "items": [wanted.shown(row, left) for left, _due_at, _ticket, _place, row in taken[:limit]],
        "next": Cursor(cursor.at, behind).text() if len(taken) > limit else None,
    }


Ranked = tuple[int, str, str, str, Row]  # microseconds left, due instant, case, where it was read, the row


class _Wanted:
    """The cases one question is about, as of one instant."""

    def __init__(self, read: Store, catalogue: Catalogue, at: str, agent: str, level: str, minutes: int) -> None:
        self.read, self.catalogue, self.at, self.agent, self.minutes = read, catalogue, at, agent, minutes
        self.now = from_iso(at)
        self.level = level

    def calendars(self) -> list[tuple[str, str]]:
        """Return where to read: each calendar in which a case is counted, with each holder ("*" = whoever it is)."""
        return [(name, holder) for holder in self._holders() for name in self._names(holder)]

    def _holders(self) -> list[str]:
        return ["", self.agent] if self.agent else ["*"]

    def _where(self, holder: str) -> tuple[str, list[Any]]:
        parts, given = [], []
        if holder != "*":
            parts.append("assigned_to = ?")
            given.append(holder)
        if self.level:
            parts.append("level = ?")
            given.append(self.level)
        return "".join(f"{part} AND " for part in parts), given

    def _names(self, holder: str) -> Iterator[str]:
        """Yield the calendars by skipping through the index: one look for each, however many cases there are."""
        where, given = self._where(holder)
        name = ""
        while True:
            sql = f"SELECT min(calendar) FROM r_queue WHERE {where}calendar > ?"
            found = self.read.query(sql, [*given, name])[0][0]
            if found is None:
                return
            name = str(found)
            yield name

    def run(self, name: str, holder: str, behind: Place | None) -> Iterator[Ranked]:
        """Yield the cases of one calendar and holder in the order of their due instants."""
        where, given = self._where(holder)
        last = behind or ("", "")
        while True:
            sql = (
                f"SELECT {', '.join(_NAMES)} FROM r_queue WHERE {where}calendar = ?"
                " AND (due_at, ticket) > (?, ?) AND opened_at <= ? ORDER BY due_at, ticket LIMIT ?"
            )
            rows = self.read.query(sql, [*given, name, *last, self.at, _CHUNK])
            for values in rows:
                row = dict(zip(_NAMES, values, strict=True))
                yield self._left(name, row["due_at"]), row["due_at"], row["ticket"], f"{name}/{holder}", row
            if len(rows) < _CHUNK:
                return
            last = rows[-1][_NAMES.index("due_at")], rows[-1][_NAMES.index("ticket")]

    def _left(self, name: str, due_at: str) -> int:
        """Return the counted microseconds until the due instant, negative behind it."""
        calendar, due = self.catalogue.calendar(name), from_iso(due_at)
        if due >= self.now:
            return calendar.elapsed_us(self.now, due)
        return -calendar.elapsed_us(due, self.now)

    def _risk_until(self, name: str) -> str:
        """Return the instant by which the next minutes have been counted in a calendar."""
        return to_iso(self.catalogue.calendar(name).due(self.now, self.minutes * _MINUTE_US))

    def counts(self, calendars: list[tuple[str, str]]) -> dict[str, int]:
        """Return how many are overdue and at risk, both counted up to a thousand: so many are "many"."""
        found = {"overdue": 0, "at_risk": 0}
        for name, holder in calendars:
            found["overdue"] += self._count(name, holder, "", self.at)
            found["at_risk"] += self._count(name, holder, self.at, self._risk_until(name))
        return {what: min(count, _MOST_COUNTED) for what, count in found.items()}

    def _count(self, name: str, holder: str, after: str, until: str) -> int:
        where, given = self._where(holder)
        sql = (
            "SELECT count(*) FROM (SELECT 1 FROM r_queue WHERE"
            f" {where}calendar = ? AND due_at > ? AND due_at <= ? LIMIT ?) AS counted"
        )
        return int(self.read.query(sql, [*given, name, after, until, _MOST_COUNTED])[0][0])

    def shown(self, row: Row, left: int) -> Row:
        """Return a case as it is answered: time left rounded down, and when its office closes before it is due."""
        name, zone = row["calendar"], self.catalogue.zone  # a list tells time in one zone, its own
        made = {
            key: (show(value, zone) if key in _INSTANTS else value) if value else None
            for key, value in row.items()
            if key != "zone"
        }
        return {
            **made,
            "state": "overdue" if left <= 0 else "at_risk" if left <= self.minutes * _MINUTE_US else "running",
            "left_seconds": left // 1_000_000,
            "latest_at": show(from_iso(row["due_at"]) - _MICROSECOND, zone),
            **{word: show(at, zone) if at else None for word, at in self._closing(name, row["due_at"]).items()},
        }

    def _closing(self, name: str, due_at: str) -> dict[str, datetime | None]:
        """Return when the office closes before the case is due (hand it over), or opens where it is closed now."""
        due, calendar = from_iso(due_at), self.catalogue.calendar(name)
        found: dict[str, datetime | None] = {"closes_at": None, "opens_at": None}
        if due > self.now and not calendar.always:
            begin, end = calendar.spans(self.now, due)[0]  # its last microsecond is one that counted
            if begin > self.now:
                found["opens_at"] = begin
            elif end < due:
                found["closes_at"] = end
        return found
