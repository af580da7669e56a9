"""The drawing of an explanation: one time bar in SVG, for the screen and for black-and-white paper.

Counted time is filled, closed hours are hatched, time without a target is white. The due instant is a line through the
bar, the response a diamond, raises and lowerings are triangles. What was late is a black edge above, what was waited on
the customer a dotted one below: it stops nothing. Made of integers and of the explanation alone, so the
same explanation gives the same bytes; no script, no reference to anything outside.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from html import escape
from typing import Any, NamedTuple

from ledger.explaining_words import clock_time, span
from ledger.rules import instants
from ledger.rules.segments import OUTSIDE
from ledger.texts import text

Answer = dict[str, Any]
_WIDTH, _LEFT, _BAR, _TOP, _HEIGHT = 1000, 20, 710, 96, 44  # labels reach to the right of the bar
_ROW, _CHAR = 17, 7  # a row of labels; the widest an average character of 12 px gets
_MICROSECOND = timedelta(microseconds=1)
_STYLE = (
    "text{font:12px sans-serif;fill:#000}.h{font-size:17px;font-weight:bold}.segment{stroke:#000;stroke-width:.5}"
    ".c{fill:#8a8a8a}.x{fill:url(#hatch)}.o{fill:#fff;stroke-dasharray:3 2}.l{stroke:#000;stroke-width:.6;fill:none}"
    ".due{stroke:#000;stroke-width:3}.m{fill:#000;stroke:#fff;stroke-width:1}"
    ".late{fill:#000}.wait{fill:url(#dots);stroke:#000;stroke-width:.5}"
)


class _Mark(NamedTuple):
    at: str
    kind: str  # opened, due, response, at, raised, lowered, upgraded, left or joined
    label: str


class _Scale(NamedTuple):
    """From instants to thousandths of a unit across: exact, so that neighbours share their edge."""

    start: datetime
    whole: int

    def x(self, at: str) -> int:
        us = (datetime.fromisoformat(at) - self.start) // _MICROSECOND
        return _LEFT * 1000 + _BAR * 1000 * us // self.whole


def draw(told: Answer, lang: str) -> str:
    """Return the SVG of an explanation (`ledger.explaining`) with words in `lang`, "es_GT" or "en"."""
    ends = _ends(told)
    marks = sorted(_marks(told, ends, lang), key=lambda mark: datetime.fromisoformat(mark.at))
    start = datetime.fromisoformat(told["opened_at"])
    last = max(datetime.fromisoformat(mark.at) for mark in marks)
    scale = _Scale(start, max((last - start) // _MICROSECOND, 1))
    labels, rows = _labels(marks, scale)
    height = _TOP + _HEIGHT + 24 + rows * _ROW + 34
    title = text("draw_title", lang, ticket=told["ticket"])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="100%" viewBox="0 0 {_WIDTH} {height}" role="img" '
        'aria-labelledby="t d">',
        f'<title id="t">{escape(title)}</title>',
        f'<desc id="d">{escape(" ".join(told["words"][lang]))}</desc>',
        f"<style>{_STYLE}</style>",
        '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<path d="M0 0V6" stroke="#000" stroke-width="1"/></pattern>'
        '<pattern id="dots" width="5" height="5" patternUnits="userSpaceOnUse"><path d="M0 0H5V5H0Z" fill="#fff"/>'
        '<circle cx="2.5" cy="2.5" r="1.2"/></pattern></defs>',
        f'<text class="h" x="{_LEFT}" y="24">{escape(title)}</text>',
        *_head(told, lang),
        *_days(told, scale, last, lang),
        f'<path class="l" d="M{_LEFT} {_TOP + _HEIGHT}H{_LEFT + _BAR}"/>',
        *(_segment(one, scale, lang) for one in told["segments"]),
        *_late(told, ends, scale, lang),
        *_waits(told, ends, scale, lang),
        *labels,
        *(_symbol(mark, _units(scale.x(mark.at))) for mark in marks),
        *_legend(height - 14, lang),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _units(thousandths: int) -> str:
    return f"{thousandths // 1000}.{thousandths % 1000:03d}"


def _head(told: Answer, lang: str) -> Iterator[str]:
    """Yield the first line of words, cut into rows of the drawing's width."""
    most = (_WIDTH - 2 * _LEFT) // _CHAR
    line = told["words"][lang][0]
    shown = line if len(line) <= most else line[: most - 1] + "…"
    yield f'<text x="{_LEFT}" y="46">{escape(shown)}</text>'


def _ends(told: Answer) -> str:
    """Return where the bar ends: at the response, else at the instant asked about.

    Long after the due instant it ends as long behind it as the whole of it was: what counts stays to be seen.
    """
    if told["responded_at"] or told["until"] != "due":
        return str(told["responded_at"] or (told["segments"][-1]["until"] if told["segments"] else told["at"]))
    opened, due, at = (datetime.fromisoformat(told[name]) for name in ("opened_at", "due_at", "at"))
    return instants.show(instants.to_iso(min(at, due + max(due - opened, timedelta(hours=1)))), told["zone"])


def _marks(told: Answer, ends: str, lang: str) -> Iterator[_Mark]:
    yield _mark(told["opened_at"], "opened", lang)
    for change in told["changes"]:
        if change["cause"] != "opened" and _within(change["at"], told):
            yield _mark(change["at"], change["cause"], lang, to=text(f"value_{change['to']}", lang))
    if told["due_at"]:
        yield _mark(told["due_at"], "due", lang, told)
    if told["responded_at"]:
        yield _mark(told["responded_at"], "response", lang, told)
    else:
        yield _mark(ends, "at" if ends == told["at"] or told["until"] != "due" else "unanswered", lang)


def _within(at: str, told: Answer) -> bool:
    """Whether a change came before the bar ends."""
    ends = [told["due_at"], told["responded_at"], *(one["until"] for one in told["segments"][-1:])]
    moment = datetime.fromisoformat(at)
    return any(moment <= datetime.fromisoformat(end) for end in ends if end)


def _mark(at: str, kind: str, lang: str, told: Answer | None = None, to: str = "") -> _Mark:
    # Less than a second between due and response: only microseconds tell which came first.
    close = told is not None and bool(told["responded_at"]) and told["late_by_us"] + told["early_by_us"] < 1_000_000
    words = text(f"short_{kind}", lang, to=to)
    return _Mark(at, kind, f"{words} {_short_day(at[:10], lang)} {clock_time(at, sharp=close)}")


def _short_day(day: str, lang: str) -> str:
    when = date.fromisoformat(day)
    days, months = (text(f"explain_{name}", lang).split(",") for name in ("days", "months"))
    return f"{days[when.weekday()][:3]} {when.day} {months[when.month - 1][:3]}"


def _labels(marks: list[_Mark], scale: _Scale) -> tuple[list[str], int]:
    """Return the marks' labels with their leaders, and how many rows they take.

    From the right to the left: each takes the first row that is free to its right, so that no label meets another
    and no leader goes through one.
    """
    starts: list[int] = []  # where the leftmost label of each row begins
    shown: list[str] = []
    base = _TOP + _HEIGHT
    for mark in reversed(marks):
        x = scale.x(mark.at) // 1000
        end = x + 6 + _CHAR * len(mark.label)
        # Free: it ends before the labels of this row, and before the leaders that go through it to the rows below.
        row = next((n for n in range(len(starts)) if end < min(starts[n:])), len(starts))
        if row == len(starts):
            starts.append(x)
        starts[row] = x
        y = base + 26 + row * _ROW
        at = _units(scale.x(mark.at))
        shown.append(f'<path class="l" d="M{at} {base}V{y}"/>')
        shown.append(f'<text x="{x + 4}" y="{y}">{escape(mark.label)}</text>')
    return shown, len(starts)


def _days(told: Answer, scale: _Scale, last: datetime, lang: str) -> Iterator[str]:
    """Yield the local midnights above the bar, labelled as far as they have room."""
    day, free = date.fromisoformat(told["opened_at"][:10]), 0
    while True:
        day += timedelta(days=1)
        midnight = instants.midnight(day, told["zone"])
        if midnight > last:
            return
        thousandths = scale.x(instants.to_iso(midnight))
        if thousandths // 1000 < free:
            continue
        label = _short_day(day.isoformat(), lang)
        free = thousandths // 1000 + 10 + _CHAR * len(label)
        yield f'<path class="l" d="M{_units(thousandths)} {_TOP - 18}V{_TOP}"/>'
        yield f'<text x="{thousandths // 1000 + 3}" y="{_TOP - 8}">{escape(label)}</text>'


def _segment(one: Answer, scale: _Scale, lang: str) -> str:
    start, end = scale.x(one["from"]), scale.x(one["until"])
    look = "c" if one["counted"] else "o" if one["why"] in OUTSIDE else "x"
    told = (
        f"{clock_time(one['from'])} – {clock_time(one['until'])}: {text('why_' + one['why'], lang)}, {span(one['us'])}"
    )
    return (
        f'<rect class="segment {look}" x="{_units(start)}" y="{_TOP}" width="{_units(end - start)}" '
        f'height="{_HEIGHT}"><title>{escape(told)}</title></rect>'
    )


def _late(told: Answer, ends: str, scale: _Scale, lang: str) -> Iterator[str]:
    """Yield what of the bar lies behind the due instant of a breach."""
    if told["raw"] == "breached" and told["due_at"]:
        words = text("draw_late", lang, late=span(told["late_by_us"], up=True))
        yield _edge("late", scale.x(told["due_at"]), scale.x(ends), _TOP - 8, 8, words)


def _waits(told: Answer, ends: str, scale: _Scale, lang: str) -> Iterator[str]:
    """Yield each wait on the customer, as far as the bar goes."""
    last = datetime.fromisoformat(ends)
    for wait in told["waits"]:
        if datetime.fromisoformat(wait["from"]) < last:
            until = wait["until"] if wait["until"] and datetime.fromisoformat(wait["until"]) < last else ends
            words = f"{clock_time(wait['from'])} – {clock_time(until)}: {text('why_waiting', lang)}"
            yield _edge("wait", scale.x(wait["from"]), scale.x(until), _TOP + _HEIGHT - 12, 12, words)


def _edge(look: str, start: int, end: int, y: int, height: int, words: str) -> str:
    return (
        f'<rect class="{look}" x="{_units(start)}" y="{y}" width="{_units(max(end - start, 0))}" height="{height}">'
        f"<title>{escape(words)}</title></rect>"
    )


_SHAPES = {
    "raised": "m0 -11l7 11h-14z",
    "upgraded": "m0 -11l7 11h-14z",
    "lowered": "m-7 -11h14l-7 11z",
    "left": "m-5 -10h10v10h-10z",
    "joined": "m-5 -10h10v10h-10z",
}


def _symbol(mark: _Mark, x: str) -> str:
    if mark.kind == "due":
        return f'<path class="due" d="M{x} {_TOP - 14}V{_TOP + _HEIGHT + 10}"/>'
    if mark.kind == "response":
        return f'<path class="m" d="M{x} {_TOP + _HEIGHT // 2}m0 -9l9 9l-9 9l-9 -9z"/>'
    shape = _SHAPES.get(mark.kind)
    return f'<path class="m" d="M{x} {_TOP}{shape}"/>' if shape else ""


def _legend(y: int, lang: str) -> Iterator[str]:
    x = _LEFT
    looks = ("segment c", "segment x", "segment o", "late", "wait")
    for look, name in zip(looks, ("counted", "closed", "outside", "late", "waits"), strict=True):
        label = text(f"draw_legend_{name}", lang)
        yield f'<path class="{look}" d="M{x} {y - 10}h22v12h-22z"/>'
        yield f'<text x="{x + 28}" y="{y}">{escape(label)}</text>'
        x += 50 + _CHAR * len(label)
