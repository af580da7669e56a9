"""`supportledger terms` and `calendar compute`: what goes in, what comes out, and the exit code."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.apply import MAX_LINE
from ledger.cli import main
from ledger.cli_pure import calendar_group, compute, terms_command
from ledger.errors import Malformed

WEEK = {day: [["08:00", "12:00"], ["13:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
BUSINESS = {"zone": "America/Guatemala", "week": WEEK, "dates": {"2026-05-01": []}}
DUE = {"id": "a", "op": "due", "calendar": BUSINESS, "start": "2026-04-30T21:00:00Z", "seconds": 14_400}
ELAPSED = {"id": "b", "op": "elapsed", "calendar": BUSINESS, "start": DUE["start"], "end": "2026-05-04T16:00:00Z"}
OPEN = {"id": "c", "op": "open", "calendar": BUSINESS, "at": "2026-04-30T21:00:00Z"}


def terms(*words: str, lang: str = "en") -> Result:
    return CliRunner().invoke(terms_command, words, obj={"lang": lang})


def ask(*lines: bytes | str | dict[str, Any], lang: str = "en") -> tuple[list[dict[str, Any]], bool]:
    """Return the answers to some lines and whether all was well; numbers are read exactly."""
    raw = [json.dumps(line).encode() if isinstance(line, dict) else line for line in lines]
    source = b"\n".join(line.encode() if isinstance(line, str) else line for line in raw) + b"\n"
    sink = io.BytesIO()
    well = compute(io.BytesIO(source), sink, lang)
    return [json.loads(line, parse_float=Decimal) for line in sink.getvalue().splitlines()], well


def answer(line: bytes | str | dict[str, Any]) -> dict[str, Any]:
    (found,), well = ask(line)
    assert well, found
    return found


def error(line: bytes | str | dict[str, Any]) -> dict[str, Any]:
    """Return the error that a line gives; the next line must be answered all the same."""
    (refused, after), well = ask(line, OPEN)
    assert not well
    assert set(refused) == {"id", "error"}
    assert set(refused["error"]) == {"code", "message"}
    assert after == {"id": "c", "open": True}
    return refused


# --- terms --------------------------------------------------------------------------------------------


def test_terms_prints_exactly_what_the_issue_shows() -> None:
    shown = terms("--start", "2025-01-31", "--term", "monthly", "--count", "6", "--json")
    assert shown.exit_code == 0
    assert shown.stdout.startswith(
        '{"boundaries": [{"k": 1, "boundary": "2025-02-28", "cancel_by": "2025-02-23"}, {"k": 2, '
    )
    decoded = json.loads(shown.stdout)
    assert set(decoded) == {"boundaries"}
    assert [row["boundary"] for row in decoded["boundaries"]] == [
        "2025-02-28", "2025-03-31", "2025-04-30", "2025-05-31", "2025-06-30", "2025-07-31",
    ]  # fmt: skip


def test_terms_of_a_leap_day_by_the_year() -> None:
    decoded = json.loads(terms("--start", "2020-02-29", "--term", "yearly", "--count", "4", "--json").stdout)
    assert [(row["k"], row["boundary"]) for row in decoded["boundaries"]] == [
        (1, "2021-02-28"), (2, "2022-02-28"), (3, "2023-02-28"), (4, "2024-02-29"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("lang", "first", "second"),
    [
        ("en", ["1", "2025-02-28", "2025-02-23"], ["2", "2025-03-31", "2025-03-26"]),
        ("es_GT", ["1", "28/02/2025", "23/02/2025"], ["2", "31/03/2025", "26/03/2025"]),
    ],
)
def test_people_get_dates_in_columns_as_they_write_them(lang: str, first: list[str], second: list[str]) -> None:
    lines = terms("--start", "2025-01-31", "--count", "2", lang=lang).stdout.splitlines()
    assert [line.split() for line in lines[-2:]] == [first, second]


def test_people_get_headings_in_their_language() -> None:
    assert terms("--start", "2025-01-31").stdout != terms("--start", "2025-01-31", lang="es_GT").stdout


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (["--start", "2025-02-29"], "start"),
        (["--start", "31/01/2025"], "start"),
        (["--start", "1899-12-31"], "start"),
        (["--start", "9890-01-01", "--term", "yearly", "--count", "200"], "count"),
    ],
)
def test_a_wrong_date_is_named(words: list[str], field: str) -> None:
    refused = terms(*words)
    assert isinstance(refused.exception, Malformed)
    assert refused.exception.facts["field"] == field


@pytest.mark.parametrize(
    "words",
    [
        ["terms", "--start", "2025-02-29"],
        ["terms", "--start", "2025-01-31", "--term", "weekly"],
        ["terms", "--start", "2025-01-31", "--count", "0"],
        ["terms", "--start", "2025-01-31", "--count", "x"],
        ["terms"],
        ["calendar", "compute"],
    ],
)
def test_a_wrong_call_exits_2_without_a_ledger(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--lang", "en", *words])
    assert left.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err


# --- calendar compute: answers ------------------------------------------------------------------------


def test_the_issues_example_is_due_on_monday_morning() -> None:
    assert answer(DUE) == {"id": "a", "due": "2026-05-04T16:00:00Z"}


def test_due_elapsed_and_open_are_answered_in_order_and_exit_0() -> None:
    stdin = "".join(json.dumps(line) + "\n" for line in (OPEN, DUE, ELAPSED, DUE))
    done = CliRunner().invoke(calendar_group, ["compute", "--batch"], input=stdin, obj={"lang": "en"})
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        '{"id": "c", "open": true}',
        '{"id": "a", "due": "2026-05-04T16:00:00Z"}',
        '{"id": "b", "seconds": 14400}',
        '{"id": "a", "due": "2026-05-04T16:00:00Z"}',
    ]


def test_a_bad_line_among_good_ones_exits_1_at_the_end() -> None:
    stdin = json.dumps(OPEN) + "\nno\n" + json.dumps(OPEN) + "\n"
    done = CliRunner().invoke(calendar_group, ["compute", "--batch"], input=stdin, obj={"lang": "en"})
    assert done.exit_code == 1
    assert [set(json.loads(line)) for line in done.stdout.splitlines()] == [
        {"id", "open"}, {"id", "error"}, {"id", "open"},
    ]  # fmt: skip


def test_no_input_and_blank_lines_give_nothing() -> None:
    assert ask() == ([], True)
    assert ask("", "   ", OPEN, "")[0] == [{"id": "c", "open": True}]


def test_the_last_line_needs_no_newline() -> None:
    sink = io.BytesIO()
    assert compute(io.BytesIO(json.dumps(OPEN).encode()), sink, "en")
    assert sink.getvalue() == b'{"id": "c", "open": true}\n'


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        ("14400", "2026-05-04T16:00:00Z"),
        ("14400.000001", "2026-05-04T16:00:00.000001Z"),
        ("0.1", "2026-04-30T21:00:00.100000Z"),
        ("0.000001", "2026-04-30T21:00:00.000001Z"),
        ("1e-6", "2026-04-30T21:00:00.000001Z"),
        ("144e2", "2026-05-04T16:00:00Z"),
        ("7199.999999", "2026-04-30T22:59:59.999999Z"),
        ("7200", "2026-04-30T23:00:00Z"),
        ("0", "2026-04-30T21:00:00Z"),
        ("0e999999999", "2026-04-30T21:00:00Z"),
    ],
)
def test_seconds_are_read_exactly(seconds: str, shown: str) -> None:
    line = json.dumps(DUE).replace("14400", seconds)
    assert answer(line) == {"id": "a", "due": shown}


@pytest.mark.parametrize(
    ("end", "seconds"),
    [
        ("2026-04-30T21:00:00Z", "0"),
        ("2026-04-30T21:00:00.000001Z", "0.000001"),
        ("2026-04-30T21:00:00.1Z", "0.1"),
        ("2026-04-30T21:00:10Z", "10"),
        ("2026-04-30T22:59:59.999999Z", "7199.999999"),
        ("2026-05-01T22:00:00Z", "7200"),
    ],
)
def test_seconds_are_written_exactly(end: str, seconds: str) -> None:
    sink = io.BytesIO()
    assert compute(io.BytesIO(json.dumps({**ELAPSED, "end": end}).encode()), sink, "en")
    assert sink.getvalue().decode() == f'{{"id": "b", "seconds": {seconds}}}\n'


def test_due_and_elapsed_are_each_others_inverse_over_the_wire_in_200_cases() -> None:
    ran = 0

    @settings(max_examples=200, deadline=None)
    @given(st.integers(0, 10**13))
    def law(micros: int) -> None:
        nonlocal ran
        ran += 1
        due = answer(json.dumps(DUE).replace("14400", str(Decimal(micros).scaleb(-6))))["due"]
        assert Decimal(answer({**ELAPSED, "end": due})["seconds"]) == Decimal(micros).scaleb(-6)

    law()
    assert ran >= 200


@pytest.mark.parametrize(
    ("start", "shown"),
    [
        ("2026-04-30T15:00:00", "2026-04-30T21:00:01Z"),
        ("2026-04-30T15:00", "2026-04-30T21:00:01Z"),
        ("2026-04-30 15:00:00.5", "2026-04-30T21:00:01.500000Z"),
        ("2026-04-30T15:00:00-06:00", "2026-04-30T21:00:01Z"),
        ("2026-04-30T21:00:00+00:00", "2026-04-30T21:00:01Z"),
    ],
)
def test_a_time_without_an_offset_is_wall_time_of_the_calendars_zone(start: str, shown: str) -> None:
    assert answer({**DUE, "start": start, "seconds": 1})["due"] == shown


def test_wall_time_follows_the_clocks_of_its_day() -> None:
    always = {"zone": "Europe/Rome", "week": {day: [["00:00", "24:00"]] for day in (*WEEK, "sat", "sun")}}
    for start, due in (
        ("2026-03-29T02:30:00", "2026-03-29T01:30:00Z"),  # a gap: forward by an hour
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),  # twice: the first
    ):
        assert answer({**DUE, "calendar": always, "start": start, "seconds": 0})["due"] == due


@pytest.mark.parametrize(
    "identity",
    ['"a"', '""', '"á€😀"', "7", "-3", "1.50", "null", '"\\u0000"', '"\\ud800"', '"\\udc00\\ud83d"', "9" * 40],
)
def test_an_id_comes_back_as_it_went_in(identity: str) -> None:
    line = json.dumps(OPEN).replace('"c"', identity)
    sink = io.BytesIO()
    assert compute(io.BytesIO(line.encode()), sink, "en")
    assert json.loads(sink.getvalue().decode(), parse_float=Decimal) == json.loads(
        f'{{"id": {identity}, "open": true}}', parse_float=Decimal
    )


def test_a_question_without_id_has_the_answer_of_null() -> None:
    assert answer({name: value for name, value in OPEN.items() if name != "id"}) == {"id": None, "open": True}


# --- calendar compute: bad lines ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "no",
        "{",
        '{"id": "a",}',
        "[]",
        "7",
        "null",
        '"text"',
        '{"id": NaN}',
        '{"id": Infinity}',
        '{"id": "a", "id": "b"}',
        '{"id": 1e99999999999999999999999}',
        "[" * 100_000,
        '{"id": "a", "op": ' + "9" * 5000 + "}",
        b'{"id": "\xff"}',
        b"\xef\xbb\xbf{}",
        b"\x00",
        '{"id": {"a": 1}}',
        '{"id": []}',
        '{"id": true}',
    ],
)
def test_a_line_that_is_no_question_has_an_error_without_id(line: bytes | str) -> None:
    refused = error(line)
    assert refused["id"] is None
    assert refused["error"]["code"] == "malformed"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"op": None}, "op"),
        ({"op": "late"}, "op"),
        ({"op": ["due"]}, "op"),
        ({"calendar": None}, "calendar"),
        ({"calendar": "24x7"}, "calendar"),
        ({"calendar": {**BUSINESS, "zone": "GT"}}, "calendar.zone"),
        ({"calendar": {**BUSINESS, "week": {"mon": [["12:00", "08:00"]]}}}, "calendar.week.mon[0]"),
        ({"start": None}, "start"),
        ({"start": "2026-04-30"}, "start"),
        ({"start": "2026-04-30T24:00:00"}, "start"),
        ({"start": "2026-04-30T15:00Z"}, "start"),
        ({"start": "0001-01-01T00:00:00Z"}, "start"),
        ({"start": "9999-12-31T23:59:59"}, "start"),
        ({"start": 1_777_582_800}, "start"),
        ({"seconds": None}, "seconds"),
        ({"seconds": True}, "seconds"),
        ({"seconds": -1}, "seconds"),
        ({"seconds": "14400"}, "seconds"),
        ({"seconds": 3_162_240_001}, "seconds"),
        ({"seconds": [1]}, "seconds"),
        ({"end": "2026-05-04T16:00:00Z"}, "end"),
        ({"Seconds": 1}, "Seconds"),
    ],
)
def test_an_error_names_the_field_and_keeps_the_id(change: dict[str, Any], field: str) -> None:
    refused = error({**DUE, **change})
    assert refused["id"] == "a"
    assert refused["error"]["code"] == "malformed"
    assert f"'{field}'" in refused["error"]["message"]


@pytest.mark.parametrize(
    "seconds",
    [
        "-0.000001", "0.0000001", "1.0000001", "1.00000000000000000000000000001", "1e-7", "1e400",
        "1e999999999999999999", "9" * 4000,
    ],
)  # fmt: skip
def test_seconds_that_cannot_be_exact_are_refused_not_rounded(seconds: str) -> None:
    refused = error(json.dumps(DUE).replace("14400", seconds))
    assert "'seconds'" in refused["error"]["message"]
    assert len(refused["error"]["message"]) < 300


def test_a_float_in_a_calendar_is_refused_though_one_like_it_was_kept() -> None:
    wrong = json.dumps(OPEN).replace('"08:00"', "8.00")
    (kept, refused), _ = ask(OPEN, wrong)
    assert kept == {"id": "c", "open": True}
    assert "calendar.week.mon[0]" in refused["error"]["message"]


def test_an_end_before_the_start_is_refused() -> None:
    assert "'end'" in error({**ELAPSED, "end": "2026-04-30T20:59:59.999999Z"})["error"]["message"]


def test_a_calendar_that_never_opens_is_a_refusal_of_its_own() -> None:
    assert error({**DUE, "calendar": {"zone": "UTC", "week": {}}})["error"]["code"] == "calendar_never_opens"


def test_errors_speak_both_languages() -> None:
    said = {ask("no", lang=lang)[0][0]["error"]["message"] for lang in ("es_GT", "en")}
    assert len(said) == 2


def test_a_field_that_utf_8_cannot_write_is_named_all_the_same() -> None:
    assert r"'\ud800'" in error(json.dumps({**OPEN, "\ud800": 1}))["error"]["message"]


def test_a_line_too_long_is_refused_and_the_next_one_is_read() -> None:
    refused = error(b'{"id": "' + b"x" * (3 * MAX_LINE) + b'"}')
    assert refused["id"] is None
    assert str(MAX_LINE) in refused["error"]["message"]


def test_whatever_stands_on_a_line_it_has_one_answer_in_500_cases() -> None:
    ran = 0
    values: st.SearchStrategy[Any] = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["due", "open", "UTC"]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    )
    changes = st.dictionaries(st.sampled_from([*DUE, "end", "at", "x"]), values, max_size=3)

    @settings(max_examples=500, deadline=None)
    @given(st.binary(max_size=40) | changes.map(lambda change: json.dumps({**DUE, **change}).encode()))
    def law(line: bytes) -> None:
        nonlocal ran
        ran += 1
        line = line.replace(b"\n", b" ")
        answers, _ = ask(line, OPEN)
        assert answers[-1] == {"id": "c", "open": True}
        assert len(answers) == (2 if line.strip() else 1)

    law()
    assert ran >= 500


# --- calendar compute: a stream -----------------------------------------------------------------------


class Conversation(io.RawIOBase):
    """Standard input that gives a line only once the line before it has been answered and flushed."""

    def __init__(self, lines: Iterator[bytes], sink: Flushed) -> None:
        self.lines, self.sink, self.given = lines, sink, 0

    def readline(self, size: int | None = -1, /) -> bytes:
        assert self.sink.flushed == self.given
        self.given += 1
        return next(self.lines, b"")


class Flushed(io.BytesIO):
    """Standard output that counts the answers flushed, and forgets them."""

    flushed = 0

    def flush(self) -> None:
        self.flushed += self.getvalue().count(b"\n")
        self.seek(0)
        self.truncate()


def questions(count: int) -> Iterator[bytes]:
    """Give questions, each on a calendar of its own."""
    for number in range(count):
        dates = {f"2026-05-{day:02d}": [["00:00", f"{number // 60:02d}:{number % 60:02d}:01"]] for day in range(1, 29)}
        yield json.dumps({**DUE, "id": number, "calendar": {**BUSINESS, "dates": dates}}).encode() + b"\n"


def peak(count: int) -> int:
    """Return the most memory that answering `count` questions takes."""
    sink = Flushed()
    tracemalloc.start()
    try:
        assert compute(Conversation(questions(count), sink), sink, "en")  # type: ignore[arg-type]
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        assert sink.flushed == count


def test_answers_stream_in_constant_memory_whatever_the_calendars() -> None:
    assert peak(390) < 1.2 * peak(130)
