"""Two commands without a ledger: `terms` prints boundaries, `calendar compute --batch` counts open hours."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, BinaryIO

import click

from ledger.apply import bounded_lines, parse_line, refusal
from ledger.cli_group import Commands
from ledger.cli_show import show_record
from ledger.errors import LedgerError, Malformed
from ledger.rules import instants, terms
from ledger.rules.calendars import MAX_LIMIT_US, Calendar

_MAX_COUNT = 12_000
_KEPT_CALENDARS = 64
_NAIVE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?", re.ASCII)
_FIELDS = {"due": ("start", "seconds"), "elapsed": ("start", "end"), "open": ("at",)}

Answer = dict[str, Any]


@click.command("terms")
@click.option("--start", required=True, metavar="YYYY-MM-DD")
@click.option("--term", type=click.Choice(list(terms.TERM_MONTHS)), default="monthly", show_default=True)
@click.option("--count", type=click.IntRange(1, _MAX_COUNT), default=12, show_default=True)
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def terms_command(ctx: click.Context, start: str, term: str, count: int, as_json: bool) -> None:
    """Límites de un plan y último día para cancelar · a plan's boundaries and last days to cancel."""
    day = instants.parse_date(start, "start")
    show_record({"boundaries": terms.table(day, term, count)}, ctx.obj["lang"], as_json)


@click.group("calendar", cls=Commands)
def calendar_group() -> None:
    """Horas hábiles · open hours."""


@calendar_group.command("compute")
@click.option("--batch", is_flag=True, required=True, help="líneas JSON de la entrada · JSON lines from standard input")
@click.pass_context
def compute_command(ctx: click.Context, batch: bool) -> None:
    """Calcular due, elapsed u open, una respuesta por línea · compute due, elapsed or open, one answer a line.

    {"id": "a", "op": "due", "calendar": {"zone": …, "week": {"mon": [["08:00", "12:00"]]}, "dates": {}},
    "start": "2026-04-30T21:00:00Z", "seconds": 14400}
    """
    ok = compute(sys.stdin.buffer, sys.stdout.buffer, ctx.obj["lang"])
    if not ok:
        sys.exit(1)


def compute(source: BinaryIO, sink: BinaryIO, lang: str) -> bool:
    """Answer each line of `source` on `sink`, in order; return whether all were well-formed and answered.

    Blank lines are skipped. An answer is flushed before the next line is read, so a program may converse with it.
    """
    calendars: dict[str, Calendar] = {}
    ok = True
    for line in bounded_lines(source):
        if not line.strip():
            continue
        identity: Any = None
        try:
            data = parse_line(line, parse_float=_decimal)
            identity = _identity(data)
            answer = _answer(data, calendars)
        except LedgerError as error:
            ok = False
            refused = refusal(error, lang)
            answer = {"error": {"code": refused["code"], "message": refused["message"]}}
        sink.write(_encode({"id": identity, **answer}) + b"\n")
        sink.flush()
    return ok


def _encode(answer: Answer) -> bytes:
    # Decimals are exact, json would go through a float: they are put in as text.
    parts = (
        f"{json.dumps(name)}: {value if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)}"
        for name, value in answer.items()
    )
    text = "{" + ", ".join(parts) + "}"
    # Half a surrogate pair, which JSON can name but UTF-8 cannot write, goes out as it came in.
    return re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", text).encode("utf-8")


def _decimal(text: str) -> Decimal:
    """Return a JSON number with a point or an exponent, exactly; ValueError for one that no Decimal holds."""
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text[:40]} is out of range") from None


def _identity(data: Answer) -> str | int | Decimal | None:
    """Return the name a line gives its question: text, a number or none."""
    given = data.get("id")
    if isinstance(given, bool) or not isinstance(given, (str, int, Decimal, type(None))):
        raise Malformed("id", type(given).__name__, "remedy_question_id")
    return given


def _answer(data: Answer, calendars: dict[str, Calendar]) -> Answer:
    operation = data.get("op")
    if not isinstance(operation, str) or operation not in _FIELDS:
        raise Malformed("op", operation, "remedy_choice", words=", ".join(_FIELDS))
    known = ("id", "op", "calendar", *_FIELDS[operation])
    for name in data:
        if name not in known:
            raise Malformed(name, data[name], "remedy_unknown_field", known=", ".join(known))
    for name in known[2:]:
        if data.get(name) is None:
            raise Malformed(name, None, "remedy_missing")
    calendar = _calendar(data["calendar"], calendars)
    if operation == "due":
        due = calendar.due(_instant(data["start"], "start", calendar), _limit(data["seconds"]))
        return {"due": due.astimezone(UTC).isoformat().replace("+00:00", "Z")}
    if operation == "open":
        return {"open": calendar.is_open(_instant(data["at"], "at", calendar))}
    start, end = (_instant(data[name], name, calendar) for name in ("start", "end"))
    if end < start:
        raise Malformed("end", data["end"], "remedy_end_before_start")
    return {"seconds": _seconds(calendar.elapsed_us(start, end))}


def _calendar(data: Any, kept: dict[str, Calendar]) -> Calendar:
    key = json.dumps(data, sort_keys=True, default=str)
    calendar = kept.get(key)
    if calendar is None:
        if len(kept) >= _KEPT_CALENDARS:
            kept.clear()
        calendar = kept[key] = Calendar.from_data(data)
    return calendar


def _instant(value: Any, field: str, calendar: Calendar) -> datetime:
    """Return the instant of RFC 3339 text; without an offset it is wall time of the calendar's zone."""
    if isinstance(value, str) and _NAIVE.fullmatch(value):
        aware = instants.parse_instant(f"{value}Z" if value.count(":") == 2 else f"{value}:00Z", field)
        return instants.wall(aware.replace(tzinfo=None), calendar.zone)
    return instants.parse_instant(value, field)


def _limit(value: Any) -> int:
    """Return the microseconds of a number of seconds with at most six decimals."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise Malformed("seconds", value, "remedy_seconds")
    exact = Decimal(value)
    decimals = exact.as_tuple().exponent
    assert isinstance(decimals, int)  # text only names infinities and the like
    if decimals >= -6 and 0 <= exact <= MAX_LIMIT_US // 1_000_000:
        return int(exact.scaleb(6))  # sixteen digits at most: nothing is rounded
    raise Malformed("seconds", str(value), "remedy_seconds")


def _seconds(micros: int) -> int | Decimal:
    whole, rest = divmod(micros, 1_000_000)
    return whole if rest == 0 else Decimal(f"{whole}.{rest:06d}".rstrip("0"))
