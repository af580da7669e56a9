"""The share met over the limit, drawn as SVG: a row a scenario, a panel a level, a kind of line a priority.

It prints in black. No font is embedded and nothing is measured, so the same figures are always the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import log
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from ledger.rules.grants import LEVELS
from ledger.rules.sla import PRIORITIES
from ledger.scenarios import show_limit
from ledger.texts import text

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 300, 260, 62, 104, 28
_ROW = _HEIGHT + 108  # from one scenario's panels to the next
_DASHES = dict(zip(PRIORITIES, ("1.5 4", "8 4", ""), strict=True))
_TICKS = (900, 3600, 4 * 3600, 86_400, 4 * 86_400, 14 * 86_400)
_SPANS = ((86_400, "d"), (3600, "h"), (60, "m"))


class Row(NamedTuple):
    """A scenario's curves, with its limits in seconds: each is marked by a dot on its line."""

    name: str
    curves: Sequence[Mapping[str, Any]]
    limits: Mapping[tuple[str, str], int]


def draw(rows: Sequence[Row], lang: str) -> str:
    """Return the SVG of one row of panels a scenario."""
    levels = [level for level in LEVELS if any(c["level"] == level for row in rows for c in row.curves)]
    width = _LEFT + len(levels) * (_WIDTH + _GAP) + 12
    height = _TOP + len(rows) * _ROW
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        ' font-family="sans-serif" font-size="12" fill="#000" role="img">',
        f"<title>{escape(text('chart_title', lang))}</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="22" font-size="15">{escape(text("chart_title", lang))}</text>',
        *_legend(lang),
    ]
    for number, row in enumerate(rows):
        lines += [f'<g transform="translate(0 {number * _ROW})">', *_row(row, levels, width, lang), "</g>"]
    return "\n".join([*lines, "</svg>", ""])


def _row(row: Row, levels: Sequence[str], width: int, lang: str) -> Iterator[str]:
    middle = _TOP + _HEIGHT // 2
    yield f'<text x="{_LEFT}" y="{_TOP - 26}" font-weight="bold">{escape(row.name)}</text>'
    yield (
        f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">'
        f"{escape(text('chart_y', lang))}</text>"
    )
    yield (
        f'<text x="{(width + _LEFT) // 2}" y="{_TOP + _HEIGHT + 44}" text-anchor="middle">'
        f"{escape(text('chart_x', lang))}</text>"
    )
    for number, level in enumerate(levels):
        left = _LEFT + number * (_WIDTH + _GAP)
        own = [curve for curve in row.curves if curve["level"] == level]
        if own:
            yield from _panel(left, text(f"value_{level}", lang), own[0]["points"], first=number == 0)
        for curve in own:
            yield from _line(left, curve, row.limits.get((level, curve["priority"])))


def _legend(lang: str) -> list[str]:
    lines = []
    for number, priority in enumerate(PRIORITIES):
        x = _LEFT + number * 130
        lines.append(f'<path d="M{x} 42h34" stroke="#000" stroke-width="2" stroke-dasharray="{_DASHES[priority]}"/>')
        lines.append(f'<text x="{x + 40}" y="46">{escape(text(f"value_{priority}", lang))}</text>')
    return lines


def _panel(left: int, title: str, points: Sequence[Mapping[str, Any]], *, first: bool) -> list[str]:
    bottom = _TOP + _HEIGHT
    lines = [f'<text x="{left + _WIDTH // 2}" y="{_TOP - 8}" text-anchor="middle">{escape(title)}</text>']
    for share in range(0, 101, 20):
        y = _y(share * 100)
        lines.append(f'<path d="M{left} {y:.1f}h{_WIDTH}" stroke="#ccc"/>')
        if first:
            lines.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{share}</text>')
    for seconds in _TICKS:
        x = _x(left, seconds, points)
        lines.append(f'<path d="M{x:.1f} {_TOP}v{_HEIGHT + 5}" stroke="#ccc"/>')
        lines.append(f'<text x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{_tick(seconds)}</text>')
    return [*lines, f'<rect x="{left}" y="{_TOP}" width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#000"/>']


def _line(left: int, curve: Mapping[str, Any], present: int | None) -> list[str]:
    points = [point for point in curve["points"] if point["share"] is not None]
    if not points:
        return []
    corners = [(_x(left, p["limit_seconds"], curve["points"]), _y(_hundredths(p["share"]))) for p in points]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in corners)
    dashes = _DASHES[curve["priority"]]
    lines = [f'<path d="M{path}" fill="none" stroke="#000" stroke-width="2" stroke-dasharray="{dashes}"/>']
    if present is not None:
        nearest = min(points, key=lambda p: (abs(p["limit_seconds"] - present), p["limit_seconds"]))
        x, y = _x(left, present, curve["points"]), _y(_hundredths(nearest["share"]))
        words = f"{show_limit(present * 1_000_000)}: {nearest['share']} %"
        lines.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{words}</title></circle>')
    return lines


def _x(left: int, seconds: int, points: Sequence[Mapping[str, Any]]) -> float:
    low, high = (log(points[end]["limit_seconds"]) for end in (0, -1))
    return left + min(max((log(seconds) - low) / (high - low), 0.0), 1.0) * _WIDTH


def _y(hundredths: int) -> float:
    return _TOP + _HEIGHT * (1 - hundredths / 10_000)


def _hundredths(share: str) -> int:
    return int(share.replace(".", ""))


def _tick(seconds: int) -> str:
    unit, letter = next((unit, letter) for unit, letter in _SPANS if seconds % unit == 0)
    return f"{seconds // unit} {letter}"
