"""The breaches of a report one by one, each with the explanation of its verdict: as of the report's time, and of no
more of the log than the report knew. They are worked out page by page as they are taken, so that a list of any length
takes the memory of a page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.application import Ledger
from ledger.catalogue import Catalogue
from ledger.errors import Malformed
from ledger.explaining import explanation
from ledger.explaining_words import change_lines, rule_lines, sentence, verdict_lines
from ledger.rules.instants import from_iso, show
from ledger.store import Recorded
from ledger.ticket import Ticket, ticket_stream
from projections.compliance import BY, Row
from projections.projector import Projector

TOLD = ("ticket", "account", "agent", "verdict_level", "verdict_priority", "month", "calendar")
LATE = (*TOLD, "zone", "due_at", "counted_at")
WHY_LINES = ("why_verdict", "why_rule", "why_changes")
WHY = (*WHY_LINES, "why_at", "why_known_at", "why_hash")
_ALWAYS = "24x7@1"
_PAGE = 200
_NAMES = {column: name for name, column in BY.items()}


@dataclass(frozen=True)
class Breaches:
    """`late` are the breached cases (columns LATE) in the order of their due instants, up to position `position`.

    `at` is the instant of the report, `known_at` what was asked for ("": everything known).
    """

    ledger: Ledger
    projector: Projector
    late: Sequence[Row]
    at: str
    known_at: str
    position: int
    explain: bool

    def __len__(self) -> int:
        return len(self.late)

    def __iter__(self) -> Iterator[Row]:
        """Yield each breach as it is listed, with `explanation` where they are explained."""
        catalogue = self.ledger.policy()
        for start in range(0, len(self.late), _PAGE):
            page = self.late[start : start + _PAGE]
            told = self._explanations(page, catalogue) if self.explain else {}
            for case in page:
                row = _listed(case, self.at, catalogue)
                yield {**row, "explanation": told[case["ticket"]]} if self.explain else row

    def _explanations(self, page: Sequence[Row], catalogue: Catalogue) -> dict[str, Row]:
        """Return the explanations of a page's cases by their number: one reading for all of them."""
        store, streams = self.ledger.store, sorted(ticket_stream(case["ticket"]) for case in page)
        found = {}
        for stream in self.projector.streams(store.rows_of_streams(streams, self.position)):
            rows = zip(stream.rows, stream.facts, strict=True)
            events = [Recorded(row[1], row[2], fact, row[4], row[0]) for row, fact in rows]
            case = Ticket(stream.id.removeprefix(ticket_stream("")), events)
            found[case.number] = explanation(case, catalogue, self.at, known_at=self.known_at)
        return found

    def behind(self, cursor: str, most: int | None) -> tuple[Breaches, str | None]:
        """Return those behind a cursor, at most `most`, and the cursor of the next ones; Malformed for a wrong one."""
        due_at, _, ticket = cursor.partition("/")
        if cursor and not ticket:
            raise Malformed("cursor", cursor, "remedy_cursor")
        rest = [case for case in self.late if (case["due_at"], case["ticket"]) > (due_at, ticket)]
        page = rest if most is None else rest[:most]
        last = page[-1] if len(page) < len(rest) else None
        part = Breaches(self.ledger, self.projector, page, self.at, self.known_at, self.position, self.explain)
        return part, f"{last['due_at']}/{last['ticket']}" if last else None


def _listed(case: Row, at: str, catalogue: Catalogue) -> Row:
    """Return a breach as it is listed; `late_us` is counted time past the due instant, so far where unanswered."""
    calendar = catalogue.calendar(case["calendar"] or _ALWAYS)
    end = case["counted_at"] or at
    late = calendar.elapsed_us(from_iso(case["due_at"]), from_iso(end)) if end > case["due_at"] else 0
    return {
        **{_NAMES.get(name, name): case[name] or None for name in TOLD},
        "due_at": show(case["due_at"], catalogue.zone),
        "responded_at": show(case["counted_at"], catalogue.zone) if case["counted_at"] else None,
        "late_us": late,
    }


def in_columns(row: Row, lang: str) -> Row:
    """Return a listed breach with why as columns: the verdict, the rule, what moved the due instant, the hash.

    `sla explain` as of `why_at` and `why_known_at` gives the whole, and the same hash.
    """
    if "explanation" not in row:
        return row
    told = row["explanation"]
    told_lines = (lines(told, lang) for lines in (verdict_lines, rule_lines, change_lines))
    why: list[Any] = [" ".join(map(sentence, part)) for part in told_lines]
    why += [told["at"], told["known_at"], told["hash"]]
    return {n: v for n, v in row.items() if n != "explanation"} | dict(zip(WHY, why, strict=True))
