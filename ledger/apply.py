"""`supportledger apply`: commands and questions as JSON lines, answered one by one in order (COMMANDS.md).

A refusal is an answer; a malformed line is answered too and the next one follows. Memory stays constant.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from ledger.application import Caller, Ledger
from ledger.card_numbers import masked_start
from ledger.commands import ASKER, COMMANDS, COMMON, QUESTIONS
from ledger.errors import LedgerError, Malformed, Refused
from ledger.fields import Instant, parse_fields
from ledger.identity import stated
from ledger.rules.durations import add_span, is_span, parse_span
from ledger.rules.instants import from_iso, show
from ledger.through_time import advance

MAX_LINE = 1_048_576
_KINDS = ("do", "ask", "clock")
_COMMON_NAMES = frozenset(field.name for field in COMMON)

Answer = dict[str, Any]


def bounded_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of `file`; of one that is too long only its beginning, so that memory stays bounded."""
    while line := file.readline(MAX_LINE + 1):
        yield line
        while line and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE)


def answers(ledger: Ledger, lines: Iterable[bytes], *, lang: str, me: Caller | None = None) -> Iterator[Answer]:
    """Yield one answer a line, numbered from 1; blank lines are skipped (but counted).

    `me` is who runs them, the operator by default: only an operator's lines may say what others did.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield {"n": number, **_answer(ledger, line, lang, me or Caller(source="apply"))}


def _answer(ledger: Ledger, line: bytes, lang: str, me: Caller) -> Answer:
    try:
        return in_words(_run(ledger, parse_line(line), me), lang)
    except LedgerError as error:
        return refusal(error, lang)


def refusal(error: LedgerError, lang: str) -> Answer:
    """Return the answer that a refusal is."""
    return {**error.facts, "ok": False, "code": error.code, "message": error.message(lang)}


def in_words(answer: Answer, lang: str) -> Answer:
    """Return `answer` with the message of its code where it is a recorded no."""
    if answer.get("ok", True):
        return answer
    facts = {name: value for name, value in answer.items() if name not in ("ok", "code")}
    return {**answer, "message": LedgerError(answer["code"], **facts).message(lang)}


def parse_line(line: bytes, parse_float: Callable[[str], Any] | None = None) -> Answer:
    """Return the JSON object of one line; Malformed for anything else, doubled names and NaN too."""
    if len(line) > MAX_LINE:
        raise Malformed("line", f"{len(line)} bytes", "remedy_line_size", most=MAX_LINE)
    try:
        data = json.loads(
            line.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=parse_float
        )
    except UnicodeDecodeError:
        raise Malformed("line", repr(_start(line, 40, "latin-1").encode("latin-1")), "remedy_utf8") from None
    except json.JSONDecodeError as error:
        raise Malformed("line", _start(line, 60), "remedy_json", row=error.lineno, column=error.colno) from None
    except RecursionError:
        raise Malformed("line", _start(line, 60), "remedy_json_deep") from None
    except ValueError:  # NaN, an infinity, thousands of digits
        raise Malformed("line", _start(line, 60), "remedy_json_number") from None
    if not isinstance(data, dict):
        raise Malformed("line", _start(line, 60), "remedy_object")
    return data


def _start(line: bytes, most: int, encoding: str = "utf-8") -> str:
    """Return how a line begins: a card number that the cut would halve is masked whole."""
    return masked_start(line[: 8 * most].decode(encoding, "replace"), most)


def _unique(pairs: list[tuple[str, Any]]) -> Answer:
    data = dict(pairs)
    if len(data) != len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Malformed(twice, data[twice], "remedy_twice")
    return data


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _run(ledger: Ledger, data: Answer, me: Caller) -> Answer:
    kinds = [kind for kind in _KINDS if kind in data]
    if len(kinds) != 1:
        raise Malformed("line", " ".join(kinds) or "{}", "remedy_one_kind")
    kind = kinds[0]
    name = data.pop(kind)
    if kind == "clock":
        if me.role != "operator":
            raise Refused("role_not_allowed", role=me.role, command="clock", roles="operator")
        return _clock(ledger, name, data)
    known: Mapping[str, Any] = COMMANDS if kind == "do" else QUESTIONS
    if not isinstance(name, str) or name not in known:
        raise Malformed(kind, name, "remedy_choice", words=", ".join(known))
    if kind == "ask":
        asker = parse_fields({field.name: data.pop(field.name) for field in ASKER if field.name in data}, ASKER)
        said = {word: asker[name] for word, name in (("by", "as"), ("role", "role")) if name in asker}
        return {"ok": True, **ledger.ask(name, data, caller=stated(me, said))}
    common = parse_fields({k: data.pop(k) for k in list(data) if k in _COMMON_NAMES}, COMMON)
    return ledger.execute(
        name,
        data,
        caller=stated(me, {word: common[word] for word in ("by", "role", "source") if word in common}),
        at=common.get("at"),
        reason=common.get("reason", ""),
        key=common.get("key", ""),
    )


def _clock(ledger: Ledger, value: Any, rest: Answer) -> Answer:
    for name, extra in rest.items():
        raise Malformed(name, extra, "remedy_unknown_field", known="clock")
    return move_clock(ledger, value)


def move_clock(
    ledger: Ledger, value: Any, field: str = "clock", *, progress: Callable[[int], None] | None = None
) -> Answer:
    """Move the test clock to an instant, by a span such as `3mo`, or let it `run`; return where it stands.

    What falls due on the way happens, each at its own instant, and is counted in the answer. Malformed names `field`;
    Refused and Unavailable as `ledger.through_time.advance` says.
    """
    zone = ledger.catalogue.zone
    if value == "run":
        return {"ok": True, "now": show(ledger.clock.run(), zone)}
    if isinstance(value, str) and is_span(value):
        to = add_span(from_iso(ledger.clock.now()), parse_span(value, field), zone, field)
    else:
        to = from_iso(_instant(value, field))
    happened = advance(ledger, to, progress=progress)
    return {"ok": True, "now": show(ledger.clock.now(), zone), **happened}


def _instant(value: Any, field: str) -> str:
    try:
        return Instant().parse(value, field)
    except Malformed as wrong:
        if field != "clock" or wrong.facts["remedy"] != "remedy_instant":
            raise
        raise Malformed(field, value, "remedy_clock_line") from None


def clock_shown(ledger: Ledger) -> Answer:
    """Return what time it is for the ledger, and how its clock goes: `real`, or `unset`, `frozen`, `running`."""
    clock = ledger.clock
    return {"now": show(clock.now(), ledger.catalogue.zone), "test_clock": clock.is_test, "state": clock.state}


def is_malformed(answer: Answer) -> bool:
    """Whether this answer makes the exit code 2."""
    return bool(answer.get("code") == "malformed")
