"""The books: what a closing closes, accounting months, what a check finds and a repair issues (DOMAIN.md 9)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from eventsourcing.persistence import StoredEvent

from ledger import books, sweeping
from ledger import facts as f
from ledger.books_check import Checked, check
from ledger.facts import encode
from ledger.months import Closing, booked_in
from ledger.store import Recorded
from tests.given import BEATRIZ, MARTA, PANADERIA, Answer, Desk, iso

PROGRAM = Path(sys.executable).with_name("supportledger")


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url)
    yield desk
    desk.close()


def documents(desk: Desk, account: str = PANADERIA) -> list[Answer]:
    found: list[Answer] = desk.ask("documents", account=account)["documents"]
    return found


def months(desk: Desk, account: str = PANADERIA) -> list[tuple[str, str]]:
    return [(one["document"], one["booked_in"]) for one in documents(desk, account)]


def as_it_was(desk: Desk, account: str = PANADERIA) -> None:
    """Record what has fallen due as commands on tickets once did: without its documents."""
    now = desk.ledger.clock.now()
    with desk.ledger.accounts.existing(account) as kept:
        rows = kept.propose(kept.unrecorded(now))
        desk.ledger.events.put(rows, accounts=[account] * len(rows), now=now, request=None, complete=True)
        kept.unsaved = False
    desk.ledger.accounts._kept.clear()


def kinds(checked: Checked) -> list[tuple[str, str, int]]:
    return [(one.kind, one.charge, one.amount) for one in checked.found]


# --- closing -----------------------------------------------------------------------------------------------------


def test_a_closing_records_what_is_due_first_so_jobs_make_no_difference(desk: Desk) -> None:
    """A renewal prepaid for January 31: no job ran before January was closed on February 2, or one did."""
    names = ["C-no-job", "C-job"]
    desk.at("2025-12-31 10:00")
    for name in names:
        desk.sell(name, paid=2)
    desk.at("2026-02-01 09:00").ledger.record_due("C-job")
    shown = desk.at("2026-02-02 09:00").do("books.close", by=MARTA, month="2026-01", dry_run=True)
    assert shown["to_record"]["accounts"] == 1
    assert shown["months"] == ["2025-12", "2026-01"]
    assert [(d["month"], d["series"], d["count"], d["gross"]) for d in shown["documents"]] == [
        ("2025-12", "F", 2, "500.00"),
        ("2026-01", "F", 2, "500.00"),
    ]
    assert desk.ask("balance", account="C-no-job")["not_yet_recorded"] > 0, "a dry run writes nothing"
    closed = desk.do("books.close", by=MARTA, month="2026-01")
    assert closed["recorded"] == shown["to_record"]
    assert (closed["months"], closed["documents"]) == (shown["months"], shown["documents"])
    desk.at("2026-02-10 09:00").do("charge.credit", account="C-job", charge="C-job-S1-p", amount="1.00", reason="x")
    assert [month for _name, month in months(desk, "C-job")][:2] == ["2025-12", "2026-01"]
    assert [month for _name, month in months(desk, "C-no-job")] == ["2025-12", "2026-01"]


def test_many_accounts_are_recorded_in_batches_and_it_is_told_how_far(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    @contextmanager
    def telling(key: str) -> Iterator[Callable[[int], None]]:
        assert key == "work_close"
        yield told.append

    monkeypatch.setattr(sweeping, "BATCH", 5)
    monkeypatch.setattr(books, "long_work", telling)
    desk.at("2026-01-05 10:00")
    for number in range(12):
        desk.sell(f"C-{number:02}", paid=2)
    closed = desk.at("2026-03-01 09:00").do("books.close", month="2026-02")
    assert told == [5, 10, 12]
    assert closed["recorded"]["accounts"] == 12
    assert sum(one["count"] for one in closed["documents"]) == 24


def test_a_refused_closing_records_nothing(desk: Desk) -> None:
    desk.at("2026-01-05 10:00").sell(paid=2).at("2026-02-10 09:00")
    with desk.refused("month_not_over"):
        desk.do("books.close", month="2026-02")
    desk.do("books.close", month="2026-01")
    for dry_run in (False, True):
        with desk.refused("month_closed"):
            desk.do("books.close", month="2026-01", dry_run=dry_run)


# --- which month ---------------------------------------------------------------------------------------------------

ZONE = "America/Guatemala"
RULES = [
    # (dated in, recorded at, closings as (month, late), accounting month)
    ("2026-01", "2026-03-05 10:00", [], "2026-01"),
    ("2026-01", "2026-03-05 10:00", [("2025-12", "own")], "2026-01"),
    ("2026-01", "2026-03-05 10:00", [("2026-01", "own")], "2026-03"),
    ("2026-01", "2026-03-05 10:00", [("2026-01", "first_open")], "2026-02"),
    ("2026-01", "2026-03-05 10:00", [("2025-12", "first_open"), ("2026-01", "own")], "2026-03"),
    ("2026-02", "2026-03-05 10:00", [("2026-01", "own")], "2026-02"),
    ("2026-01", "2026-02-28 23:59", [("2026-01", "own")], "2026-02"),
    ("2026-01", "2026-03-01 00:00", [("2026-01", "own")], "2026-03"),
]


@pytest.mark.parametrize(("month", "at", "closed", "booked"), RULES)
def test_the_month_is_the_value_dates_where_open_else_the_recordings_own(
    month: str, at: str, closed: list[tuple[str, str]], booked: str
) -> None:
    closings = [Closing(name, position, "", late) for position, (name, late) in enumerate(closed, 1)]
    assert booked_in(month, 10, iso(at), closings, ZONE) == booked
    assert booked_in(month, 1, iso(at), closings, ZONE) == month, "recorded before any closing"


def test_what_an_old_closing_booked_in_the_first_open_month_stays_there(desk: Desk) -> None:
    """The log has a closing from before rule 9 said "the recording's own": what followed it keeps its month."""
    desk.at("2026-01-15 10:00").sell(paid=0).at("2026-02-02 09:00")
    fact = f.MonthClosed(customer_no="", occurred_at=iso("2026-02-02 09:00"), by="m", source="api", month="2026-01")
    store = desk.ledger.store
    store.append([StoredEvent("books", 1, fact.TOPIC, encode(fact))], [""], now=fact.occurred_at, request=None)
    desk.pay(at="2026-01-20 09:00", by=BEATRIZ, reason="tardó")
    desk.at("2026-04-02 09:00").do("books.close", month="2026-02")
    assert months(desk) == [("F-1", "2026-02")]
    desk.do("charge.credit", account=PANADERIA, charge="C-100-S1-p", amount="1.00", at="2026-02-20 09:00", reason="x")
    assert months(desk)[-1] == ("NC-1", "2026-04")


# --- check and repair ----------------------------------------------------------------------------------------------


def test_sound_books_are_sound(desk: Desk) -> None:
    desk.at("2026-01-15 10:00").sell(paid=2).addon().do(
        "charge.credit", account=PANADERIA, charge="C-100-A1", amount="50.00", reason="x"
    )
    desk.at("2026-03-01 10:00")
    assert check(desk.ledger) == Checked(1, 3, [], []), "what is due and not recorded yet is not lost"
    desk.ledger.record_due(PANADERIA)
    assert check(desk.ledger).found == []


def test_lost_documents_are_found_named_and_issued_today(desk: Desk) -> None:
    desk.at("2026-01-31 10:00").sell(paid=2).sell("C-2").at("2026-03-01 10:00")
    as_it_was(desk)
    desk.do("books.close", month="2026-02")
    assert [one["document"] for one in documents(desk)] == ["F-1"]
    found = check(desk.ledger)
    assert kinds(found) == [("missing_invoice", "C-100-S1-r1", 25_000)]
    said = found.found[0].shown("es_GT")["what"]
    assert said == "Falta la factura del cargo C-100-S1-r1 de la cuenta C-100, por 250.00 GTQ"
    position = desk.ledger.store.last_position()
    check(desk.ledger)
    assert desk.ledger.store.last_position() == position, "looking writes nothing"

    desk.at("2026-03-04 09:00")
    assert len(check(desk.ledger, repair=True, by="marta").issued) == 1
    last = documents(desk)[-1]
    assert (last["document"], last["charge"], last["gross"], last["tax"]) == ("F-3", "C-100-S1-r1", "250.00", "26.79")
    assert (last["issued_at"][:10], last["value_date"][:10], last["booked_in"]) == (
        "2026-03-04",
        "2026-02-28",
        "2026-03",
    )
    entry = next(e for e in desk.ask("history", account=PANADERIA)["entries"] if e.get("document") == "F-3")
    assert (entry["by"], entry["source"]) == ("marta", "repair")
    assert check(desk.ledger, repair=True).issued == []
    assert check(desk.ledger).found == []


def test_a_lost_credit_note_is_found_and_issued(desk: Desk) -> None:
    desk.at("2026-03-02 10:00").sell(paid=0).pay(method="cheque")
    desk.at("2026-03-10 09:00").do(
        "payment.reverse", account=PANADERIA, payment="C-100-P1", kind="returned_cheque", reason="sin fondos"
    )
    desk.at("2026-03-16 00:01")
    as_it_was(desk)
    assert kinds(check(desk.ledger)) == [("missing_credit_note", "C-100-S1-p", 25_000)]
    check(desk.ledger, repair=True)
    assert [(one["document"], one["gross"]) for one in documents(desk)] == [("F-1", "250.00"), ("NC-1", "250.00")]
    assert check(desk.ledger).found == []


def test_a_lost_invoice_whose_charge_was_credited_meanwhile(desk: Desk) -> None:
    """The invoice is issued over what was asked, the note stands beside it: together they are what the charge is."""
    desk.at("2026-01-31 10:00").sell(paid=2).at("2026-03-01 10:00")
    as_it_was(desk)
    with desk.ledger.accounts.existing(PANADERIA) as kept:  # as it was: the note's document, without the invoice
        note = f.CreditNoted(
            customer_no=PANADERIA, occurred_at=iso("2026-03-01 10:00"), by="m", source="api", reason="x",
            note="C-100-N1", charge="C-100-S1-r1", gross=10_000, net=8929, tax=1071, approver="m",
        )  # fmt: skip
        paper = f.DocumentIssued(
            customer_no=PANADERIA, occurred_at=note.occurred_at, by="m", source="api", kind="credit_note", series="NC",
            subject="C-100-N1", charge="C-100-S1-r1", gross=10_000, net=8929, tax=1071, currency="GTQ",
        )  # fmt: skip
        rows = kept.propose([note, paper])
        taken = f.NumberTaken(
            customer_no=PANADERIA, occurred_at=note.occurred_at, by="m", source="api", series="NC", kind="credit_note",
            subject="C-100-N1",
        )  # fmt: skip
        rows.append(Recorded("series/NC", 1, taken))
        desk.ledger.events.put(rows, accounts=[PANADERIA] * 3, now=note.occurred_at, request=None, complete=True)
        kept.unsaved = False
    assert kinds(check(desk.ledger)) == [("missing_invoice", "C-100-S1-r1", 25_000)]
    check(desk.ledger, repair=True)
    assert [(one["document"], one["gross"], one["tax"]) for one in documents(desk)][1:] == [
        ("NC-1", "100.00", "10.71"),
        ("F-2", "250.00", "26.79"),
    ]
    assert check(desk.ledger).found == []


def test_doubled_invoices_lost_numbers_and_gaps_are_told(desk: Desk) -> None:
    desk.at("2026-01-31 10:00").sell()
    now = desk.ledger.clock.now()
    with desk.ledger.accounts.existing(PANADERIA) as kept:
        (first,) = kept.papers["C-100-S1-p"]
        rows = kept.propose([first])
        taken = f.NumberTaken(
            customer_no=PANADERIA, occurred_at=now, by="m", source="api", series="F", kind="invoice",
            subject="C-100-S1-p",
        )  # fmt: skip
        rows.append(Recorded("series/F", 3, taken))
        desk.ledger.events.put(rows, accounts=[PANADERIA] * 2, now=now, request=None, complete=True)
        kept.unsaved = False
    found = check(desk.ledger)
    assert [(one.kind, one.document) for one in found.found] == [("doubled_invoice", ""), ("number_gap", "F-2")]
    repaired = check(desk.ledger, repair=True, by="marta")
    assert [(x.kind, x.gross) for x in repaired.issued] == [("credit_note", 25_000)]
    assert [one.kind for one in check(desk.ledger).found] == ["number_gap"], "no repair invents a number's document"


def test_a_document_without_a_number_gets_the_next(desk: Desk) -> None:
    desk.at("2026-01-31 10:00").sell().sell("C-2")
    desk.ledger.store.execute("DELETE FROM ledger_events WHERE stream = 'series/F' AND version = 2")
    assert [one.kind for one in check(desk.ledger).found] == ["number_missing"]
    assert documents(desk, "C-2")[0]["document"] == ""
    check(desk.ledger, repair=True)
    assert documents(desk, "C-2")[0]["document"] == "F-2"
    assert check(desk.ledger).found == []


# --- through the installed program -----------------------------------------------------------------------------------


def program(url: str, *words: str, given: str = "", code: int = 0) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")}
    env = {**kept, "LEDGER_DATABASE_URL": url, "LEDGER_LANG": "es_GT"}
    done = subprocess.run(
        [PROGRAM, *words], env=env, input=given, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_the_program_finds_and_repairs_and_exits_by_what_is_wrong(store_url: str) -> None:
    desk = Desk(store_url)
    desk.at("2026-01-31 10:00").sell(paid=2).at("2026-03-01 10:00")
    as_it_was(desk)
    desk.close()
    told = program(store_url, "books", "check", code=1)
    assert "Falta la factura del cargo C-100-S1-r1 de la cuenta C-100" in told
    found: dict[str, Any] = json.loads(program(store_url, "books", "check", "--json", code=1))
    assert (found["ok"], found["troubles"][0]["kind"]) == (False, "missing_invoice")
    assert "emitidos ahora" in program(store_url, "books", "check", "--repair")
    assert json.loads(program(store_url, "books", "check", "--json"))["troubles"] == []


LOST = [
    (
        [
            '{"clock":"2025-12-31T10:00:00-06:00"}',
            '{"do":"account.open","account":"A","name":"A"}',
            '{"do":"plan.purchase","account":"A","level":"basic","term":"monthly","channel":"web"}',
            '{"do":"payment.record","account":"A","amount":"500.00","method":"deposit","reference":"D1"}',
        ],
        "2026-01-30T23:59:59.7-06:00",
        '{"do":"ticket.open","account":"A","ticket":"T-1","request":"administrative","priority":"low"}',
        ["F-1", "F-2"],
    ),
    (
        [
            '{"clock":"2026-03-02T10:00:00-06:00"}',
            '{"do":"account.open","account":"A","name":"A"}',
            '{"do":"plan.purchase","account":"A","level":"basic","term":"monthly","channel":"web"}',
            '{"do":"payment.record","account":"A","amount":"250.00","method":"cheque","reference":"CH1"}',
            '{"clock":"2026-03-10T09:00:00-06:00"}',
            '{"do":"payment.reverse","account":"A","payment":"A-P1","kind":"returned_cheque","reason":"sin fondos"}',
        ],
        "2026-03-15T23:59:59.7-06:00",
        '{"do":"ticket.open","account":"A","ticket":"T-1","request":"general","priority":"low"}',
        ["F-1", "NC-1"],
    ),
]


@pytest.mark.parametrize(("before", "clock", "first", "issued"), LOST, ids=["invoice", "credit note"])
def test_cases_money_lost(sqlite_url: str, before: list[str], clock: str, first: str, issued: list[str]) -> None:
    """The clock runs over midnight, and the first thing after it touches no money."""
    program(sqlite_url, "migrate", "--test-clock")
    program(sqlite_url, "apply", given="\n".join([*before, json.dumps({"clock": clock}), '{"clock": "run"}']) + "\n")
    subprocess.run(["sleep", "1"], check=True)
    program(sqlite_url, "apply", given=first + "\n")
    found = json.loads(program(sqlite_url, "document", "list", "A", "--json"))["documents"]
    assert [one["document"] for one in found] == issued
    assert json.loads(program(sqlite_url, "books", "check", "--json"))["ok"]


def test_a_request_for_approval_is_no_document_that_the_books_lack(desk: Desk) -> None:
    """A request takes a number of its own series; it was told as a number that no document has."""
    desk.at("2026-01-31 10:00").sell(level="advanced").at("2026-02-10 10:00")
    pending = desk.do("charge.credit", by=BEATRIZ, account=PANADERIA, charge="C-100-S1-p", amount="300.00", reason="x")
    assert pending["pending"] == "R-1"
    assert check(desk.ledger).found == []
    assert check(desk.ledger, repair=True, by=BEATRIZ.by) == check(desk.ledger)


@pytest.mark.parametrize(
    ("role", "repair", "told"),
    [
        (
            "agent",
            [],
            "Su rol (agente) no permite esto: revisar los documentos fiscales. Lo puede hacer: auditor, finanzas, "
            "gerente, operador.",
        ),
        (
            "auditor",
            ["--repair"],
            "Su rol (auditor) no permite esto: emitir los documentos fiscales que faltan. Lo puede hacer: finanzas, "
            "gerente",
        ),
        ("auditor", [], ""),
        ("finance", ["--repair"], ""),
    ],
)
def test_who_shows_a_token_checks_and_repairs_the_books_as_their_role_may(
    store_url: str, tmp_path: Path, role: str, repair: list[str], told: str
) -> None:
    Desk(store_url).close()
    file = tmp_path / "token"
    secret = json.loads(program(store_url, "token", "create", "--role", role, "--name", "ana", "--json"))["token"]
    file.write_text(secret)
    file.chmod(0o600)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")}
    env = {**kept, "LEDGER_DATABASE_URL": store_url, "LEDGER_LANG": "es_GT", "LEDGER_TOKEN_FILE": str(file)}
    done = subprocess.run(
        [PROGRAM, "books", "check", *repair], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, told in done.stderr) == (1 if told else 0, True), done.stderr


def test_a_request_is_told_in_the_readers_own_words(store_url: str) -> None:
    """What it would do, without the program's words; who corrected within their limit was approved by nobody."""
    desk = Desk(store_url).at("2026-01-31 10:00").sell(level="advanced")
    desk.do("charge.credit", by=MARTA, account=PANADERIA, charge="C-100-S1-p", amount="1.00", reason="x")
    words = {"account": PANADERIA, "charge": "C-100-S1-p", "amount": "300.00", "reason": "x"}
    assert desk.do("charge.credit", by=BEATRIZ, **words)["pending"] == "R-1"
    desk.close()
    history = program(store_url, "history", PANADERIA)
    assert "Solicitud R-1 (nota de crédito): espera la aprobación de otra persona" in history
    assert "Nota de crédito C-100-N1 por Q1.00 sobre el cargo C-100-S1-p  " in history
    shown = program(store_url, "approval", "show", "R-1")
    assert "Nota de crédito por Q300.00 sobre el cargo C-100-S1-p\n" in shown
    assert not any(word in shown for word in ("charge.credit", "Credit note", "problema"))
