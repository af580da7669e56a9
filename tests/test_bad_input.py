"""Bad input through `apply`: an answer that names field, value and remedy; the next line goes on, nothing is kept."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger import commands
from ledger.apply import MAX_LINE, answers, bounded_lines
from ledger.errors import Unavailable
from ledger.texts import table
from tests.given import FERRETERIA, PANADERIA, Desk

OPEN: dict[str, Any] = {"do": "account.open", "account": "C-9", "name": "Nueva"}
PAY: dict[str, Any] = {
    "do": "payment.record", "account": PANADERIA, "amount": "250.00", "method": "cash", "reference": "B-1",
}  # fmt: skip
TICKET: dict[str, Any] = {
    "do": "ticket.open", "account": PANADERIA, "ticket": "T-1", "request": "general", "priority": "low",
}  # fmt: skip
BUY: dict[str, Any] = {
    "do": "plan.purchase", "account": PANADERIA, "level": "basic", "term": "monthly", "channel": "web",
}  # fmt: skip
ASK: dict[str, Any] = {"ask": "balance", "account": PANADERIA}


@pytest.fixture(name="desk")
def _desk(sqlite_url: str) -> Iterator[Desk]:
    desk = Desk(sqlite_url)
    desk.at("2026-05-01 10:00").open()
    yield desk
    desk.close()


def line(base: dict[str, Any], **changes: Any) -> bytes:
    """Return a line with members changed, or left out where the change is None."""
    return json.dumps({k: v for k, v in {**base, **changes}.items() if v is not None}).encode()


MALFORMED: list[tuple[bytes, str]] = [
    # lines that are no command
    (b"{", "line"),
    (b"[]", "line"),
    (b'"ticket.open"', "line"),
    (b"null", "line"),
    (b"{}", "line"),
    (b'{"do": "account.open", "ask": "balance"}', "line"),
    (b'{"do": "account.open", "account": "C-9", "name": NaN}', "line"),
    (b"\xff\xfe", "line"),
    (b'{"do": "account.open", "account": "C-9", "name": "Panader\xeda"}', "line"),
    (b'{"do": "account.open", "account": "C-9", "account": "C-8", "name": "x"}', "account"),
    (b"[" * 100_000, "line"),
    (line(OPEN, do="account.close"), "do"),
    (line(OPEN, do=7), "do"),
    (line(OPEN, do=["account.open"]), "do"),
    (line(ASK, ask="saldo"), "ask"),
    (line(ASK, by="ana"), "by"),
    (b'{"clock": "tomorrow"}', "clock"),
    (b'{"clock": "2026-05-02T10:00:00"}', "clock"),
    (b'{"clock": null}', "clock"),
    (b'{"clock": "run", "at": "2026-05-02T10:00:00Z"}', "at"),
    # fields: unknown, missing, of the wrong kind
    (line(OPEN, surname="x"), "surname"),
    (line(OPEN, account=None), "account"),
    (line(OPEN, name=None), "name"),
    (line(OPEN, name=7), "name"),
    (line(OPEN, name=""), "name"),
    (line(OPEN, name="  "), "name"),
    (line(OPEN, name="a\x00b"), "name"),
    (line(OPEN, name="a\x1bb"), "name"),
    (line(OPEN, name="a\nb"), "name"),
    (line(OPEN, name="\ud800"), "name"),
    (line(OPEN, name="x" * 201), "name"),
    (line(OPEN, account="C/9"), "account"),
    (line(OPEN, account="x" * 65), "account"),
    (line(OPEN, account=" C-9"), "account"),
    (line(OPEN, account=9), "account"),
    (line(OPEN, zone="America/Tikal"), "zone"),
    (line(OPEN, zone="../etc/passwd"), "zone"),
    (line(OPEN, currency="EUR"), "currency"),
    (line(OPEN, language="fr"), "language"),
    (line(BUY, level="gold"), "level"),
    (line(BUY, term="weekly"), "term"),
    (line(BUY, channel="phone"), "channel"),
    (line(BUY, channel="licence"), "licence_until"),
    (line(BUY, licence_until="2026-12-31"), "licence_until"),
    (line(BUY, channel="licence", licence_until="2026-04-30"), "licence_until"),
    (line(BUY, channel="licence", licence_until="2026-02-30"), "licence_until"),
    (line(BUY, channel="licence", licence_until="31/12/2026"), "licence_until"),
    # instants
    (line(OPEN, at="2026-05-01T10:00:00"), "at"),
    (line(OPEN, at="2026-05-01"), "at"),
    (line(OPEN, at="2026-02-30T10:00:00Z"), "at"),
    (line(OPEN, at="2026-05-01T10:00:00.0000001Z"), "at"),
    (line(OPEN, at=1777651200), "at"),
    (line(ASK, at="yesterday"), "at"),
    (line(ASK, known_at="2026-05-01T10:00:00"), "known_at"),
    (line(ASK, at="9999-12-31T23:59:59Z"), "at"),
    # amounts
    *((line(PAY, amount=amount), "amount") for amount in (
        250.0, 250, "250.005", "-250.00", "0.00", "1e3", "1,234.50", "Q250", "", "٢٥٠", "9" * 13, True, ["250.00"],
    )),
    (line(PAY, currency="Q"), "currency"),
    (line(PAY, method="card"), "method"),
    (line(PAY, reference=" "), "reference"),
    # numbers, flags and choices
    *(
        (line(OPEN, do="courtesy.grant", account=PANADERIA, name=None, level="basic", reason="x", units=units), "units")
        for units in (0, -1, 1.5, 1.0, "3", True, 10_001, 10**400)
    ),
    (b'{"do": "plan.cancel", "account": "C-100", "override": "yes"}', "override"),
    (line(TICKET, priority="urgent"), "priority"),
    (line(TICKET, request="soporte"), "request"),
    (line(TICKET, ticket="T#1"), "ticket"),
    (line(TICKET, by=""), "by"),
    (line(TICKET, role="chief"), "role"),
    (line(TICKET, key="x" * 201), "key"),
    (line(TICKET, reason="x" * 501), "reason"),
    (line(TICKET, subject="x" * 301), "subject"),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "field"), MALFORMED, ids=[f"{n}-{m[1]}" for n, m in enumerate(MALFORMED)])
def test_a_malformed_line_names_field_value_and_remedy(desk: Desk, sent: bytes, field: str) -> None:
    before = desk.position
    for lang in ("en", "es_GT"):
        wrong, after = answers(desk.ledger, [sent, line(ASK)], lang=lang)
        assert (wrong["n"], wrong["ok"], wrong["code"]) == (1, False, "malformed")
        assert wrong["field"] == field
        assert field in wrong["message"]
        assert "?" not in wrong["message"].replace("? #", "")
        assert wrong.keys() >= {"field", "value", "remedy"}
        assert wrong["remedy"] in table()
        assert len(str(wrong["value"])) <= 80
        json.dumps(wrong).encode()  # whatever was sent can be told
        assert (after["n"], after["ok"]) == (2, True), "the next line goes on"
    assert desk.position == before


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (line(OPEN, account=PANADERIA), "duplicate_account"),
        (line(BUY, account="C-404"), "unknown_account"),
        (line(PAY, account="C-404"), "unknown_account"),
        (line(TICKET, account="C-404"), "unknown_account"),
        (line(ASK, account="C-404"), "unknown_account"),
        (b'{"ask": "coverage", "account": "C-404", "request": "general"}', "unknown_account"),
        (b'{"ask": "history", "account": "C-404"}', "unknown_account"),
        (b'{"ask": "ticket", "ticket": "T-404"}', "unknown_ticket"),
        (line(TICKET, grant="C-100-S1-m0"), "unknown_grant"),
        (line(OPEN, at="2026-05-01T16:02:00.000001Z"), "in_the_future"),
        (line(OPEN, at="2026-04-30T15:59:59Z", role="agent"), "back_dated"),
        (line(OPEN, at="2026-04-30T15:59:59Z"), "reason_required"),
        (line(BUY, at="2026-05-01T15:59:59Z"), "before_opening"),
        (line(TICKET, at="2026-05-01T15:59:59Z"), "before_opening"),
        (line(TICKET, role="finance"), "role_not_allowed"),
        (line(PAY, role="agent"), "role_not_allowed"),
        (line(PAY, currency="USD"), "wrong_currency"),
        (b'{"do": "plan.cancel", "account": "C-100"}', "nothing_to_cancel"),
        (b'{"do": "plan.withdraw_cancellation", "account": "C-100"}', "no_cancellation"),
        (b'{"do": "licence.renew", "account": "C-100", "licence_until": "2026-12-31"}', "no_licence"),
        (b'{"clock": "2026-04-30T10:00:00-06:00"}', "clock_moved_back"),
    ],
)
def test_a_refusal_is_an_answer_with_a_stable_code(desk: Desk, sent: bytes, code: str) -> None:
    before = desk.position
    told = [next(answers(desk.ledger, [sent], lang=lang)) for lang in ("en", "es_GT")]
    assert {(answer["ok"], answer["code"]) for answer in told} == {(False, code)}
    assert told[0]["message"] != told[1]["message"]
    assert "?" not in told[0]["message"].replace("? # %", "")
    assert desk.position == before


def test_a_line_that_is_too_long_is_answered_and_the_next_goes_on(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "script.jsonl"
    file.write_bytes(b'{"do": "account.open", "name": "' + b"x" * (3 * MAX_LINE) + b'"}\n' + line(ASK) + b"\n")
    with file.open("rb") as lines:
        wrong, after = answers(desk.ledger, bounded_lines(lines), lang="en")
    assert (wrong["code"], wrong["field"], after["n"], after["ok"]) == ("malformed", "line", 2, True)


def test_blank_lines_are_counted_but_not_answered(desk: Desk) -> None:
    assert [a["n"] for a in answers(desk.ledger, [b"\n", line(ASK), b"  \r\n", line(ASK)], lang="en")] == [2, 4]


def test_null_counts_as_left_out(desk: Desk) -> None:
    sent = {**OPEN, "nit": None, "at": None}
    assert next(answers(desk.ledger, [json.dumps(sent).encode()], lang="en"))["ok"]


def test_text_keeps_accents_in_one_form(desk: Desk) -> None:
    for account, name in (("C-8", "Panadería"), ("C-9", "Panaderi\u0301a")):
        next(answers(desk.ledger, [line(OPEN, account=account, name=name)], lang="en"))
    names = {desk.ask("account", account=account)["name"] for account in ("C-8", "C-9")}
    assert names == {"Panadería"}


def test_every_command_refuses_a_field_it_does_not_know(desk: Desk) -> None:
    for name in commands.COMMANDS:
        (answer,) = answers(desk.ledger, [json.dumps({"do": name, "nonsense": 1}).encode()], lang="en")
        assert (answer["code"], answer["field"]) == ("malformed", "nonsense"), name


def test_every_question_refuses_a_field_it_does_not_know(desk: Desk) -> None:
    for name in commands.QUESTIONS:
        (answer,) = answers(desk.ledger, [json.dumps({"ask": name, "nonsense": 1}).encode()], lang="en")
        assert (answer["code"], answer["field"]) == ("malformed", "nonsense"), name


def test_a_real_ledger_has_no_clock_to_move(sqlite_url: str) -> None:
    desk = Desk(sqlite_url, migrate=False)
    desk.ledger.store.migrate()
    for value in ("2026-05-01T10:00:00-06:00", "run"):
        (answer,) = answers(desk.ledger, [json.dumps({"clock": value}).encode()], lang="en")
        assert answer["code"] == "no_test_clock"
    desk.close()


# --- databases that cannot serve ------------------------------------------------------------------------------


def told(desk: Desk) -> dict[str, Any]:
    (answer,) = answers(desk.ledger, [line(OPEN)], lang="en")
    return answer


def test_a_missing_database_is_said_and_not_made(tmp_path: Path) -> None:
    desk = Desk(f"sqlite:///{tmp_path / 'none.db'}", migrate=False)
    assert told(desk)["code"] == "database_missing"
    assert not list(tmp_path.iterdir())


def test_a_database_without_tables_is_not_migrated(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "empty.db").close()
    (tmp_path / "empty.db").touch()
    desk = Desk(f"sqlite:///{tmp_path / 'empty.db'}", migrate=False)
    assert told(desk)["code"] == "not_migrated"
    desk.close()


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("Estimados clientes,\n" * 100)
    desk = Desk(f"sqlite:///{tmp_path / 'text.db'}", migrate=False)
    assert told(desk)["code"] == "database_failed"
    desk.close()


def test_a_read_only_database_answers_questions_and_refuses_commands(sqlite_url: str) -> None:
    desk = Desk(sqlite_url)
    desk.at("2026-05-01 10:00").sell(FERRETERIA)
    desk.ledger.store.query("PRAGMA query_only = ON")  # of this thread's connection, as a mount might be
    with pytest.raises(Unavailable, match="database_read_only"):
        desk.pay(FERRETERIA)
    assert desk.balance(FERRETERIA)["remaining"] == 5
    desk.close()


def test_a_read_only_server_is_said(pg_url: str) -> None:
    desk = Desk(pg_url)
    desk.at("2026-05-01 10:00").open()
    desk.close()
    other = Desk(f"{pg_url}&options=-c%20default_transaction_read_only%3Don", migrate=False)
    assert told(other)["code"] == "database_read_only"
    assert other.balance()["granted"] == 0
    other.close()


def test_a_url_of_another_kind_of_database_is_said() -> None:
    with pytest.raises(Unavailable, match="database_url"):
        Desk("mysql://localhost/ledger", migrate=False)


# --- an event that cannot be read -----------------------------------------------------------------------------


@pytest.mark.parametrize("state", [b"{", b'{"customer_no": 7}', b"\xff"])
def test_a_command_on_an_unreadable_account_is_answered_and_the_next_goes_on(desk: Desk, state: bytes) -> None:
    desk.open(FERRETERIA)
    desk.ledger.store.execute("UPDATE ledger_events SET state = ? WHERE account = ?", [state, PANADERIA])
    other = Desk(desk.ledger.store.url, migrate=False)
    sent = [line(PAY), line(ASK), line(TICKET), line(ASK, account=FERRETERIA)]
    found = list(answers(other.ledger, sent, lang="en"))
    assert [a.get("code") for a in found] == ["unreadable_event"] * 3 + [None]
    assert found[0]["topic"] == "account.opened"
    other.close()
