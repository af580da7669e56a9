"""A card's number never enters: not by any field, and not by way of the refusal, in whole or in part."""

from __future__ import annotations

import json
import logging
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import create_app
from ledger import tokens
from ledger.apply import answers
from ledger.card_numbers import card_number, masked, masked_start
from ledger.errors import Malformed
from ledger.fields import Id, Text
from ledger.settings import Settings
from tests.desks import LINES as LINES_OF_A_DESK
from tests.desks import bring_in
from tests.given import PANADERIA, Desk

# The brands' and gateways' published test numbers: nobody's.
VISA = "4111" + "1111" * 3
NUMBERS = {
    "visa": VISA,
    "visa 13": "4222" + "222222222",
    "visa 19": "4000" + "056655665" + "556007",
    "mastercard": "5555" + "5555" + "5555" + "4444",
    "mastercard 2": "2223" + "0031" + "2200" + "3222",
    "amex": "3782" + "822463" + "10005",
    "diners": "3056" + "930902" + "5904",
    "diners 36": "3622" + "720627" + "1667",
    "discover": "6011" + "1111" + "1111" + "1117",
    "jcb": "3530" + "1113" + "3330" + "0000",
    "unionpay": "6200" + "0000" + "0000" + "0005",
    "maestro": "6759" + "6498" + "2643" + "8453",
}
LIKE_ONE = {
    "one digit off": VISA[:-1] + "2",
    "one digit more": VISA + "1",
    "no brand's": "9111" + "1111" * 2 + "1112",
    "no such length": "4111" + "1111" + "111111",
    "behind a bank's letters": f"BI{VISA}",
    "behind a word and letters": f"boleta BAC{VISA}",
    "two blanks": f"{VISA[:8]}  {VISA[8:]}",
    "a line break": f"{VISA[:8]}\n{VISA[8:]}",
    "a sum of money": "Q4,111.11 y Q1,111.11",
    "an authorisation": "41111111-1111-4111-8111-111111111111",
    "one with a letter": "A1111111-4111-4111-8111-1a1111111111",
    "instants": "2026-01-05T09:00:00-06:00 2026-01-05T10:00:00-06:00",
    "a CUI": "40001" + "2405" + "0101",
    "a phone": "+502 5555 1234",
    "a range of dates": "2026-01-05 2026-02-05",
}


def luhn_ok(digits: str) -> bool:
    """The check sum, as plainly as can be: the reference for the fast one."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def numbers() -> st.SearchStrategy[str]:
    """Numbers of Visa and Mastercard with a right check digit."""

    def complete(start: str) -> str:
        return next(start + digit for digit in "0123456789" if luhn_ok(start + digit))

    return st.from_regex(r"\A(?:4[0-9]{14}|5[1-5][0-9]{13})\Z", alphabet=st.characters(max_codepoint=127)).map(complete)


def shown_of(number: str, told: str) -> int:
    """Return how many digits of `number` can be read in `told` in a row, from anywhere in it."""
    digits = re.sub(r"\D", "", told)
    lengths = (n for n in range(len(number), 0, -1) for i in range(len(number) - n + 1) if number[i : i + n] in digits)
    return next(lengths, 0)


# --- what is one ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("gap", ["", " ", "-", ".", "–", "\u00a0", "\u200b"])
def test_a_number_of_each_brand_is_seen_and_only_its_last_two_digits_are_shown(number: str, gap: str) -> None:
    written = gap.join(number[i : i + 4] for i in range(0, len(number), 4))
    for text in (written, f"tarjeta {written}", f"{written}, vence 12/27", f"T-1 {written} 5", f"({written})"):
        seen = card_number(text)
        assert seen.endswith(number[-1])
        assert re.sub(r"\D", "", seen) == number[-2:]
        assert len(masked(text)) == len(text)
        assert masked(text) == text.replace(written, seen)


@pytest.mark.parametrize("text", LIKE_ONE.values(), ids=LIKE_ONE)
def test_what_only_looks_like_one_may_enter(text: str) -> None:
    assert (card_number(text), masked(text)) == ("", text)
    assert Text(lines=True).parse(text, "text") == text


@pytest.mark.parametrize("word", ["VISA", "MasterCard", "tarjeta", "TC", "No", "amex"])
def test_the_name_of_a_card_is_no_bank(word: str) -> None:
    assert card_number(f"{word}{VISA}") == "*" * 14 + "11"


def test_letters_do_not_hide_a_number_written_in_groups() -> None:
    assert masked("BI4111 1111 1111 1111") == "BI**** **** **** **11"


def test_digits_of_other_scripts_are_digits() -> None:
    for zero in ("٠", "０", "०"):
        assert card_number("".join(chr(ord(zero) + int(digit)) for digit in VISA)).startswith("*" * 14)


@given(number=numbers(), before=st.text(max_size=30), after=st.text(max_size=30), gaps=st.data())
def test_wherever_a_number_stands_it_cannot_be_read(number: str, before: str, after: str, gaps: st.DataObject) -> None:
    written = "".join(digit + gaps.draw(st.sampled_from(["", "", "", " ", "-"])) for digit in number[:-1]) + number[-1]
    around = (before + after).translate({ord(c): "x" for c in before + after if c.isdigit() or c in "xyz"})
    text = f"{around[: len(before)]};{written};{around[len(before) :]}"
    hidden = masked(text)
    assert len(hidden) == len(text)
    assert shown_of(number, hidden) <= 2, hidden
    assert masked(hidden) == hidden


@given(text=st.text(alphabet="0123456789 -.abXñ", max_size=60))
def test_masking_hides_digits_and_nothing_else(text: str) -> None:
    hidden = masked(text)
    assert len(hidden) == len(text)
    assert all(now in (was, "*") for was, now in zip(text, hidden, strict=True))
    assert (card_number(text) == "") == (hidden == text)


@given(text=st.from_regex(r"\A(?:[0-9]{15}|[0-9]{18})\Z", alphabet=st.characters(max_codepoint=127)))
def test_the_check_sum_decides_among_digits(text: str) -> None:
    whole = "4" + text
    assert (card_number(whole) != "") == luhn_ok(whole)


@pytest.mark.parametrize("cut", range(60, 100))
def test_what_a_cut_would_halve_is_masked_whole(cut: int) -> None:
    text = "x" * 60 + " 4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 " + "x" * 60
    assert masked_start(text, cut) == masked(text)[:cut]


# --- it does not enter ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Text(200), Text(4000, blank=True, lines=True), Id()])
def test_no_text_and_no_id_takes_one(kind: Text | Id) -> None:
    for text in (VISA, f"pago con {VISA}", "4111 1111 1111 1111"):
        with pytest.raises(Malformed) as refused:
            kind.parse(text, "reference")
        facts = refused.value.facts
        assert (facts["field"], facts["remedy"]) == ("reference", "remedy_card_number")
        assert facts["value"].count("*") == 14
        for told in (refused.value.message("es"), refused.value.message("en"), repr(refused.value.args)):
            assert shown_of(VISA, told) <= 2


def test_both_languages_say_what_to_do_instead() -> None:
    with pytest.raises(Malformed) as refused:
        Text().parse(VISA, "reference")
    assert "token" in refused.value.message("en")
    assert "bank's letters" in refused.value.message("en")
    assert "letras del banco" in refused.value.message("es")


def value_of(value: Any) -> Any:
    return Malformed("f", value, "remedy_text").facts["value"]


@pytest.mark.parametrize(
    "value",
    [
        int(VISA),
        float(VISA),
        int(NUMBERS["visa 19"]),
        [VISA],
        [int(VISA)],
        {"a": {"b": [VISA]}},
        {VISA: 1},
        {"a": "x" * 20 + VISA},
        {"a": "x" * 12 + f" {VISA}"},
        {"a": f"{VISA} " + "x" * 20},
        ["x" * 95 + f" {VISA} " + "x" * 200],
        "x" * 66 + f" {VISA}",
        f" {VISA} " * 20,
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
    ],
    ids=lambda value: str(value)[:20],
)
def test_no_shown_value_holds_one_whatever_its_kind(value: Any) -> None:
    number = NUMBERS["visa 19"] if value == int(NUMBERS["visa 19"]) else VISA
    # Ones in a row are in every part of the number, so what is looked for is how it begins.
    assert number[:5] not in re.sub(r"\D", "", str(value_of(value)))


def test_no_other_fact_of_a_refusal_holds_one() -> None:
    refused = Malformed("f", 1, "remedy_choice", words=f"a, {VISA}")
    assert refused.facts["words"] == "a, " + "*" * 14 + "11"


def test_other_values_are_shown_as_they_were() -> None:
    for value in (1, 12, -7, 2**53 - 1, True, None, "4111", "x" * 80, VISA[:-1] + "2"):
        assert value_of(value) == value
    assert value_of("x" * 81) == "x" * 77 + "..."
    assert value_of([1, "a"]) == "[1, 'a']"
    assert value_of(2**53) == str(2**53)


# --- through the doors ----------------------------------------------------------------------------------------------


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url).at("2026-01-05 09:00").sell()
    yield desk
    desk.close()


PAYMENT = {"do": "payment.record", "account": PANADERIA, "amount": "250.00", "method": "deposit", "reference": "R-9"}
OPENING = {"do": "ticket.open", "account": PANADERIA, "ticket": "T-9", "request": "general", "priority": "low"}


def as_line(command: dict[str, Any], **changed: Any) -> bytes:
    return json.dumps({**command, **changed}).encode()


LINES = {
    "a reference": as_line(PAYMENT, reference=VISA),
    "a bank": as_line(PAYMENT, bank=f"BI {VISA}"),
    "a number": as_line(PAYMENT, reference=int(VISA)),
    "an amount": as_line(PAYMENT, amount=VISA),
    "a choice": as_line(PAYMENT, method=VISA),
    "an unknown field's value": as_line(PAYMENT, card=VISA),
    "an unknown field": as_line(PAYMENT, **{VISA: "1"}),
    "an unknown field, cut": as_line(PAYMENT, **{"x" * 52 + f" {VISA}": "1"}),
    "a reason": as_line(PAYMENT, reason=f"cobrar a 4111-1111-1111-1111 de {PANADERIA}"),
    "a key": as_line(PAYMENT, key=VISA),
    "by": as_line(PAYMENT, by=VISA),
    "a date": as_line(PAYMENT, at=VISA),
    "a case's text": as_line(OPENING, text=f"No pasa mi tarjeta:\n4111 1111 1111 1111\nGracias {'x' * 900}"),
    "a case's number": as_line(OPENING, ticket=VISA),
    "a command": as_line({"do": VISA}),
    "a question": as_line({"ask": "balance", "account": VISA}),
    "a clock": as_line({"clock": VISA}),
    "a clock's field": as_line({"clock": "run", VISA: VISA}),
    "a list": as_line(PAYMENT, reference=[VISA, {VISA: VISA}]),
    "no JSON": b'{"do": "payment.record", "reference": ' + VISA.encode() + b", nonsense",
    "no JSON, cut": b'{"do": "payment.record", "bank": "BAM", "reference": "' + VISA.encode() + b'", nonsense',
    "no JSON, all number": VISA.encode() + b" " + VISA.encode() + b"x",
    "no object": f'["{VISA}", 1, 2]'.encode(),
    "only a number": VISA.encode(),
    "no UTF-8": b'{"a": "\xff", "reference": "' + VISA.encode() + b'"}',
    "no UTF-8, cut": b'{"a": "\xff", "bbbbb": "' + VISA.encode() + b'"}',
    "twice": b'{"reference": "' + VISA.encode() + b'", "reference": "' + VISA.encode() + b'"}',
    "a name twice": b'{"' + VISA.encode() + b'": 1, "' + VISA.encode() + b'": 1}',
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_line_with_one_is_refused_without_saying_it_and_nothing_is_kept(
    desk: Desk, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    before = desk.position
    for lang in ("es_GT", "en"):
        (answer,) = answers(desk.ledger, [line], lang=lang)
        assert (answer["ok"], answer["code"]) == (False, "malformed")
        assert "41111" not in re.sub(r"[^0-9]", "", json.dumps(answer)), answer
    assert desk.position == before
    assert "41111" not in caplog.text


def test_a_banks_reference_that_looks_like_one_has_a_way_in(desk: Desk) -> None:
    desk.do("payment.record", account=PANADERIA, amount="1.00", method="deposit", reference=f"BI{VISA}")
    with desk.refused("malformed") as no:
        desk.do("payment.record", account=PANADERIA, amount="1.00", method="deposit", reference=VISA)
    assert no.facts["value"] == "*" * 14 + "11"


@pytest.fixture(name="client")
def _client(desk: Desk) -> Iterator[Any]:
    app = create_app(Settings(database_url=desk.ledger.store.url))
    token = tokens.create(desk.ledger.store, role="manager", name="marta", now=desk.ledger.clock.now())
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    yield client
    app.extensions["ledger"].close()


REQUESTS: dict[str, dict[str, Any]] = {
    "a field": {"json": {"amount": "1.00", "method": "deposit", "reference": VISA}},
    "two fields": {"json": {"amount": VISA, "method": VISA, "reference": VISA}},
    "an unknown field": {"json": {VISA: VISA}},
    "an unknown field, cut": {"json": {"x" * 52 + f" {VISA}": VISA}},
    "no JSON": {"data": f'{{"reference": {VISA}, nonsense', "content_type": "application/json"},
    "no object": {"data": f'"{VISA}"', "content_type": "application/json"},
    "a name twice": {"data": f'{{"{VISA}": 1, "{VISA}": 2}}', "content_type": "application/json"},
    "a key": {
        "json": {"amount": "1.00", "method": "deposit", "reference": "R-9"},
        "headers": {"Idempotency-Key": VISA},
    },
    "a request's number": {"json": {}, "headers": {"X-Request-Id": VISA}},
}


@pytest.mark.parametrize("sent", REQUESTS.values(), ids=REQUESTS)
def test_no_problem_and_no_log_says_one(
    client: Any, desk: Desk, sent: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    before = desk.position
    for path in (f"/v1/accounts/{PANADERIA}/payments", f"/v1/accounts/{VISA}/payments"):
        answer = client.post(path, **sent)
        assert answer.status_code in (400, 422), answer.text
        assert "41111" not in re.sub(r"[^0-9]", "", answer.text + str(answer.headers)), answer.text
    assert "41111" not in caplog.text
    assert desk.position == before


@pytest.mark.parametrize("query", [f"?at={VISA}", f"?{VISA}=1", f"?{'x' * 52}+{VISA}=1&{'x' * 52}+{VISA}=2"])
def test_no_problem_says_what_a_query_held(client: Any, query: str) -> None:
    answer = client.get(f"/v1/accounts/{PANADERIA}/balance{query}")
    assert "41111" not in re.sub(r"[^0-9]", "", answer.text)


def test_a_line_of_another_desk_is_set_aside_and_its_reject_does_not_say_one(desk: Desk, tmp_path: Path) -> None:
    bad = [
        f"V-9;Müller;jan;Bronze;normal;{VISA};2026-03-02T09:00:00;;;",
        f"V-9;Müller;jan;Silber;normal;{'x' * 3960} {VISA};2026-03-02T09:00:00;;;",
        f"{VISA};Müller;jan;Bronze;normal;x;2026-03-02T09:00:00;;;",
    ]
    desk.at("2026-11-01 09:00")
    summary = bring_in(desk.ledger, tmp_path, "\n".join([*LINES_OF_A_DESK.splitlines(), *bad]))
    assert (summary.imported, len(summary.rejected)) == (5, 3)
    for _line, reason, text in summary.rejected:
        assert "41111" not in text + reason.message("en")


# --- what it costs --------------------------------------------------------------------------------------------------


def test_looking_costs_little_in_the_longest_text() -> None:
    """The worst that can be sent, digits in ones all over it, must not hold a command up."""
    choose = random.Random(1)
    worst = " ".join(choose.choice("45") for _ in range(2000))
    ordinary = "Buenos días, la impresora fiscal no imprime desde el 2026-01-05, tel. 5555-1234. " * 48
    for text, bound in ((worst, 0.5), (ordinary, 0.01)):
        started = time.perf_counter()
        masked(text)
        assert time.perf_counter() - started < bound
