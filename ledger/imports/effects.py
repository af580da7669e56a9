"""What rejected rows change: a ticket that is missing, one that opens late, a verdict that would be another.

Judged from the file alone: each case as its accepted rows tell it, beside the case with what can be read of the
rejected ones.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Any, NamedTuple

from ledger.catalogue import Catalogue
from ledger.imports.cases import SourceCase
from ledger.imports.mapping import Mapping
from ledger.imports.reader import Contents
from ledger.imports.rows import Broken, SourceRow
from ledger.imports.telling import Telling
from ledger.rules import sla
from ledger.rules.instants import show

KINDS = ("missing", "verdict_flipped", "opened_late", "unclear")


class Effect(NamedTuple):
    """What the rejected `lines` of one ticket change. Verdicts and instants are "" where there is none.

    `effect` is one of KINDS: the ticket is missing; its verdict would be `would_be`; it would open at `would_open_at`;
    or it cannot be told, since the time of a rejected row cannot be read.
    """

    ticket: str
    effect: str
    lines: list[int]
    opened_at: str = ""
    would_open_at: str = ""
    verdict: str = ""
    would_be: str = ""

    def as_dict(self, zone: str) -> dict[str, Any]:
        """Return it as answers have it: instants in one zone, None where there is nothing."""
        shown: dict[str, Any] = {name: value or None for name, value in self._asdict().items()}
        for name in ("opened_at", "would_open_at"):
            shown[name] = show(shown[name], zone) if shown[name] else None
        return shown


class _Judged(NamedTuple):
    opened_at: str
    verdict: str


def effects(
    contents: Contents, mapping: Mapping, catalogue: Catalogue, now: str, known: Container[str]
) -> Iterator[Effect]:
    """Yield what the rejected rows of each case change; `known` are the tickets that the ledger has already."""
    for number in sorted(contents.broken.keys() | contents.aside.keys()):
        broken, aside = contents.broken.get(number, []), contents.aside.get(number, [])
        rows = contents.cases.get(number, [])
        lines = sorted({one.line for one in broken} | {row.line for row in aside})
        if not rows:
            if number not in known:
                yield Effect(number, "missing", lines)
            continue
        readable = [one for one in broken if one.at] if mapping.layout == "events" else []
        found = _compared(contents, mapping, catalogue, now, rows, [*aside, *_filled(readable, rows)])
        if found is not None:
            yield found._replace(lines=lines)
        elif len(readable) < len(broken):
            yield Effect(number, "unclear", lines)


def _compared(
    contents: Contents, mapping: Mapping, catalogue: Catalogue, now: str, rows: list[SourceRow], more: list[SourceRow]
) -> Effect | None:
    if not more:
        return None
    own = _judged(SourceCase.of(rows, mapping, newest_first=contents.newest_first), mapping, catalogue, now)
    # Where the file stands is where the rejected rows stood: both are in the order of their lines.
    whole_rows = sorted([*rows, *more], key=lambda row: row.line) if mapping.layout == "events" else [*rows, *more]
    whole = _judged(SourceCase.of(whole_rows, mapping, newest_first=contents.newest_first), mapping, catalogue, now)
    kind = "verdict_flipped" if own.verdict != whole.verdict else "opened_late"
    if own == whole:
        return None
    return Effect(rows[0].case, kind, [], own.opened_at, whole.opened_at, own.verdict, whole.verdict)


def _judged(case: SourceCase, mapping: Mapping, catalogue: Catalogue, now: str) -> _Judged:
    facts = Telling(case, case.account, catalogue, mapping, "import", "", "").tell()
    clock = sla.run(facts, now)
    return _Judged(case.opened_at, clock.verdict(now) if clock is not None else "")


def _filled(broken: Sequence[Broken], rows: Sequence[SourceRow]) -> list[SourceRow]:
    """Return the rejected rows with what could not be read of them taken from the case's first row."""
    first = rows[0]
    return [
        SourceRow(
            line=one.line,
            ordinal="",
            key=f"rejected.{one.line}",
            case=one.case,
            account=one.account or first.account,
            agent=one.agent,
            level=one.level or first.level,
            priority=one.priority or first.priority,
            stated=one.stated if one.priority else first.stated,
            at=one.at,
            means=one.means or "note",
            label=one.label,
            channel=first.channel,
            attributes={},
            whole=str(one.line).encode(),
        )
        for one in broken
    ]
