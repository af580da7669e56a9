"""Warnings mailed to our own desk: each once, while it is true; those of a run in one mail, the same after a crash."""

from __future__ import annotations

import contextlib
import email
import email.policy
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import Unavailable
from ledger.settings import Settings
from projections.projector import projector_of
from scheduler import desk as desks
from scheduler import desk_words
from scheduler.advance import advance
from scheduler.rows import entries
from scheduler.transports import desk_of, transports_of
from scheduler.undelivered import Undelivered
from scheduler.warnings import record_warnings
from tests.given import ANA, BEATRIZ, FERRETERIA, PANADERIA, when
from tests.mailbox import SENDER, Dies, Mailbox, PostDesk, words
from tests.test_outbox import Server

DESK = "Mesa <mesa@invex.example>"
BOSS = "jefa@invex.example"


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[PostDesk]:
    desk = PostDesk(store_url)
    desk.at("2026-03-02 09:00")  # a Monday
    desk.sell(FERRETERIA, "basic")
    desk.sell(PANADERIA, "corporate")
    desk.people = DESK
    yield desk
    desk.close()


def run(desk: PostDesk, at: str = "") -> list[Any]:
    """Let the jobs run, at a local time or now; return the mails that went out in this run."""
    if at:
        desk.at(at)
    before = len(desk.box.mails)
    record_warnings(desk.ledger, projector_of(desk.ledger), now=desk.now)
    desk.post()
    return desk.box.mails[before:]


def case(mail: Any, ticket: str) -> list[str]:
    """Return the lines about a case."""
    [found] = [part for part in words(mail).split("\n\n") if part.startswith(f"{ticket} ·")]
    return found.strip().split("\n")


def rows(desk: PostDesk) -> list[tuple[str, str, str]]:
    """Return (notice, state, error) of the desk's rows."""
    return sorted((e.notice, e.state, e.error) for e in entries(desk.ledger.store) if e.channel == "desk")


# --- what it says ----------------------------------------------------------------------------------------------------


def test_a_mail_names_case_customer_holder_level_priority_due_left_and_what_to_do(desk: PostDesk) -> None:
    desk.ticket(FERRETERIA, priority="high", ticket="T-1", subject="No se puede facturar")
    desk.do("ticket.assign", by=ANA, ticket="T-1", to="luis")
    assert run(desk, "2026-03-02 09:59:59.999999") == []
    [mail] = run(desk, "2026-03-02 10:00")
    assert (mail["To"], mail["From"]) == (DESK, "INVEX Soporte <soporte@example.com>")
    assert mail["Subject"] == "Caso T-1: responder antes de las 11:00 (50 % del plazo usado)"
    assert case(mail, "T-1") == [
        "T-1 · Ferretería Tikal (C-200) · No se puede facturar",
        "Básico, prioridad alta. Lo tiene: luis.",
        "Responder antes de: 11:00. Queda: 1 h (24x7@1).",
        "Plazo usado – 50 %: 10:00.",
    ]
    assert "LA MITAD DEL PLAZO USADA: 1. Compruebe que cada uno tenga quien lo atienda." in words(mail)
    assert "alta, en la plataforma o por chat" in words(mail)
    assert mail["Auto-Submitted"] == "auto-generated"
    html = mail.get_body(("html",)).get_content()
    assert "<p>T-1 · Ferretería Tikal (C-200)" in html
    assert run(desk) == []


def test_it_is_in_english_where_the_ledger_is(desk: PostDesk) -> None:
    desk.lang = "en"
    desk.ticket(FERRETERIA, priority="high", ticket="T-1")
    [mail] = run(desk, "2026-03-02 11:02:05")
    assert mail["Subject"] == "Case T-1: overdue without an answer since 11:00"
    assert case(mail, "T-1") == [
        "T-1 · Ferretería Tikal (C-200)",
        "Basic, priority high. Nobody holds it: assign it.",
        "It was to be answered before: 11:00. Late by: 2 min 5 s (24x7@1).",
        "Limit used – 100 %: 11:00.",
    ]
    assert "OVERDUE WITHOUT AN ANSWER: 1." in words(mail)
    assert mail["Content-Language"] == "en"


def test_whatever_a_name_holds_it_stays_text(desk: PostDesk) -> None:
    desk.do("account.open", account="C-900", name="<b>Ñandú</b>")
    desk.sell("C-900")
    desk.ticket("C-900", priority="high", ticket="T-1", subject="<script>")
    [mail] = run(desk, "2026-03-02 10:00")
    assert case(mail, "T-1")[0] == "T-1 · <b>Ñandú</b> (C-900) · <script>"
    assert "&lt;script&gt;" in mail.get_body(("html",)).get_content()


def test_each_address_gets_its_own_mail_and_no_customer_any(desk: PostDesk) -> None:
    desk.contact(FERRETERIA)
    desk.post()
    desk.people = f"{DESK}, {BOSS}, MESA@invex.example"
    desk.ticket(FERRETERIA, priority="high", ticket="T-1")
    mails = run(desk, "2026-03-02 10:00")
    assert [str(mail["To"]) for mail in mails] == [DESK, BOSS]
    assert len({mail["Message-ID"] for mail in mails}) == 2


def test_without_the_setting_nobody_is_mailed(desk: PostDesk) -> None:
    desk.people = ""
    desk.ticket(FERRETERIA, priority="high", ticket="T-1")
    assert run(desk, "2026-03-02 11:00") == []
    assert rows(desk) == []


# --- many in one run -------------------------------------------------------------------------------------------------


def test_what_falls_due_in_one_run_is_one_mail_the_most_urgent_first(desk: PostDesk) -> None:
    for number in range(40):
        desk.sell(f"C-{500 + number}")
        desk.ticket(f"C-{500 + number}", priority="high" if number < 3 else "low", ticket=f"T-{number:02}")
    [mail] = run(desk, "2026-03-02 13:00")
    assert mail["Subject"] == "40 casos por responder, vencidos: 3"
    told = words(mail)
    assert told.count("(24x7@1)") == 40
    assert told.index("VENCIDOS SIN RESPUESTA: 3.") < told.index("T-02 ·") < told.index("LA MITAD DEL PLAZO USADA: 37.")
    assert run(desk) == []


def test_many_more_are_parted_so_that_somebody_reads_them(desk: PostDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "_CASES", 3)
    for number in range(7):
        desk.sell(f"C-{500 + number}")
        desk.ticket(f"C-{500 + number}", priority="high", ticket=f"T-{number}")
    mails = run(desk, "2026-03-02 10:00")
    assert [str(mail["Subject"]).split()[0] for mail in mails] == ["3", "3", "Caso"]
    assert sorted(ticket for n in range(7) for mail in mails for ticket in [f"T-{n}"] if f"T-{n} ·" in words(mail)) == [
        f"T-{n}" for n in range(7)
    ]


def test_a_case_whose_warnings_were_missed_stands_there_once_and_it_says_that_it_is_late(desk: PostDesk) -> None:
    desk.ticket(FERRETERIA, priority="low", ticket="T")  # due 17:00
    [mail] = run(desk, "2026-03-02 16:30")
    assert case(mail, "T")[2:] == [
        "Responder antes de: 17:00. Queda: 30 min (24x7@1).",
        "Plazo usado – 50 %: 13:00, 75 %: 15:00, 90 %: 16:12. Este aviso llega tarde: entonces no se pudo enviar.",
    ]
    assert "QUEDA EL 10 % DEL PLAZO O MENOS: 1." in words(mail)
    [mail] = run(desk, "2026-03-03 08:00")
    assert case(mail, "T")[2:] == [
        "Había que responder antes de: 17:00 del lunes 2 de marzo. Tiempo de más: 15 h (24x7@1).",
        "Plazo usado – 100 %: 17:00 del lunes 2 de marzo. Este aviso llega tarde: entonces no se pudo enviar.",
    ]


# --- only what is true -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["respond", "resolve", "exclude", "reclassify"])
def test_what_was_answered_or_left_meanwhile_is_no_news(desk: PostDesk, how: str) -> None:
    """Found late, an answered breach is not mailed either: the report tells it, and nobody can act on it."""
    given: dict[str, dict[str, Any]] = {
        "respond": {"channel": "platform"}, "resolve": {}, "exclude": {"reason": "corte", "by": BEATRIZ},
        "reclassify": {"request": "administrative"},
    }  # fmt: skip
    desk.ticket(FERRETERIA, priority="high", ticket="T")
    desk.at("2026-03-02 10:30" if how == "reclassify" else "2026-03-02 11:10")
    desk.do(f"ticket.{how}", ticket="T", **{"by": ANA, **given[how]})
    assert run(desk) == []
    assert run(desk, "2026-03-02 12:00") == []


def test_what_waited_for_the_server_is_taken_out_once_it_was_answered(desk: PostDesk) -> None:
    desk.ticket(FERRETERIA, priority="high", ticket="T")
    desk.ticket(PANADERIA, priority="high", ticket="U")  # 1 h
    desk.box.refuses = [Undelivered("ConnectionRefusedError", down=True)]
    assert run(desk, "2026-03-02 10:01") == []
    desk.do("ticket.respond", by=ANA, ticket="T", channel="platform")
    [mail] = run(desk, "2026-03-02 10:02")
    assert mail["Subject"] == "Caso U: vencido sin respuesta desde las 10:00"
    assert [row[1:] for row in rows(desk) if ":T:" in row[0]] == [("given_up", "withdrawn")]


@pytest.mark.parametrize("how", ["answered", "lowered", "excluded"])
def test_a_breach_or_warning_that_waited_is_taken_out_once_its_promise_is_over(desk: PostDesk, how: str) -> None:
    """The webhook of a breach stays: it happened. The mail is for who can act."""
    desk.ticket(FERRETERIA, priority="high", ticket="T")  # due 11:00
    desk.box.refuses = [Undelivered("OSError", down=True)]
    run(desk, "2026-03-02 10:40" if how == "lowered" else "2026-03-02 11:01")
    if how == "answered":
        desk.do("ticket.respond", by=ANA, ticket="T", channel="platform")
    elif how == "excluded":
        desk.do("ticket.exclude", by=BEATRIZ, ticket="T", reason="corte de luz")
    else:
        desk.do("ticket.prioritise", by=ANA, ticket="T", priority="low", agreed=True, reason="lo pidió")
    assert run(desk, "2026-03-02 11:10") == []
    assert {row[1:] for row in rows(desk)} == {("given_up", "withdrawn")}


def test_a_raise_dated_back_warns_by_the_new_promise_alone(desk: PostDesk) -> None:
    """Half of the old one had passed too: what is mailed is what governs. All three at once: the case stands once."""
    desk.ticket(FERRETERIA, priority="low", ticket="T")  # due 17:00; half at 13:00
    desk.at("2026-03-02 13:50")
    desk.do("ticket.prioritise", by=ANA, ticket="T", priority="high", at="2026-03-02 12:00")  # due 14:00
    [mail] = run(desk)
    assert case(mail, "T")[1:] == [
        "Básico, prioridad alta. No lo tiene nadie: asígnelo.",
        "Responder antes de: 14:00. Queda: 10 min (24x7@1).",
        "Plazo usado – 50 %: 13:00, 75 %: 13:30, 90 %: 13:48.",
    ]


def test_a_lowering_leaves_what_was_due_before_it_out(desk: PostDesk) -> None:
    desk.ticket(FERRETERIA, priority="high", ticket="T")  # due 11:00
    desk.at("2026-03-02 10:40")
    desk.do("ticket.prioritise", by=ANA, ticket="T", priority="low", agreed=True, reason="lo pidió")  # due 17:00
    assert run(desk) == []  # half and three quarters of two hours are no use any more
    [mail] = run(desk, "2026-03-02 13:00")
    assert mail["Subject"] == "Caso T: responder antes de las 17:00 (50 % del plazo usado)"


def test_leaving_compliance_ends_them_and_joining_it_again_goes_on(desk: PostDesk) -> None:
    desk.ticket(FERRETERIA, priority="low", ticket="T")  # due 17:00
    [mail] = run(desk, "2026-03-02 13:00")
    desk.at("2026-03-02 14:00").do("ticket.reclassify", by=ANA, ticket="T", request="administrative")
    assert run(desk, "2026-03-02 15:30") == []
    desk.do("ticket.reclassify", by=ANA, ticket="T", request="general")
    [mail] = run(desk, "2026-03-02 16:12")
    assert mail["Subject"] == "Caso T: responder antes de las 17:00 (90 % del plazo usado)"


def test_a_merged_case_is_warned_of_until_the_others_answer_stops_it(desk: PostDesk) -> None:
    desk.ticket(FERRETERIA, priority="high", ticket="T")
    desk.ticket(FERRETERIA, priority="low", ticket="U")
    desk.at("2026-03-02 09:10").do("ticket.merge", by=ANA, ticket="T", into="U")
    [mail] = run(desk, "2026-03-02 10:00")
    assert case(mail, "T")[3] == "Se unió al caso U: la respuesta se da allí."
    desk.do("ticket.respond", by=ANA, ticket="U", channel="platform")
    assert run(desk, "2026-03-02 13:00") == []


def test_over_a_weekend_time_left_is_that_of_the_office(desk: PostDesk) -> None:
    desk.do("calendar.assign", by=BEATRIZ, level="corporate", priority="low", calendar="gt-business")
    desk.at("2026-03-06 16:15")  # a Friday; 2 h: due Monday 09:15
    desk.ticket(PANADERIA, priority="low", ticket="T")
    [mail] = run(desk, "2026-03-07 12:00") or [None]
    assert mail is None, "half of it is used on Monday only"
    [mail] = run(desk, "2026-03-09 08:15")
    assert case(mail, "T")[2] == "Responder antes de: 09:15. Queda: 1 h (gt-business@1)."
    desk.do("ticket.respond", by=ANA, ticket="T", channel="platform")
    desk.at("2026-03-13 16:00").ticket(PANADERIA, priority="low", ticket="U")
    [mail] = run(desk, "2026-03-13 17:00")
    assert mail["Subject"].startswith("Caso U: responder antes de las 09:00 del lunes 16 de marzo")
    assert case(mail, "U")[2:4] == [
        "Responder antes de: 09:00 del lunes 16 de marzo. Queda: 1 h (gt-business@1).",
        "Ahora está cerrado; el plazo sigue: 08:00 del lunes 16 de marzo.",
    ]


def test_it_says_that_the_office_closes_before(desk: PostDesk) -> None:
    desk.do("calendar.assign", by=BEATRIZ, level="basic", priority="low", calendar="gt-business")
    desk.at("2026-03-05 12:00").ticket(FERRETERIA, priority="low", ticket="T")  # 8 h: due Friday 11:00
    [mail] = run(desk, "2026-03-05 16:30")
    assert case(mail, "T")[3] == "Antes se cierra: 17:00. Páselo o respóndalo hoy."


# --- once, and again after a crash -----------------------------------------------------------------------------------


def test_a_sender_that_died_is_followed_by_the_same_mail_and_new_ones_stand_apart(desk: PostDesk) -> None:
    desk.ticket(FERRETERIA, priority="high", ticket="T")
    desk.ticket(PANADERIA, priority="low", ticket="U")  # both: half at 10:00
    living, desk.box = desk.box, Dies()
    with pytest.raises(KeyboardInterrupt):
        run(desk, "2026-03-02 10:00")
    [first], desk.box = desk.box.mails, living
    assert run(desk, "2026-03-02 10:09") == []
    desk.ticket(PANADERIA, priority="high", ticket="V")
    desk.do("ticket.respond", by=ANA, ticket="T", channel="platform")
    again, *more = run(desk, "2026-03-02 10:39")
    assert again["Message-ID"] == first["Message-ID"]
    assert "T ·" not in words(again), "answered meanwhile"
    assert [str(mail["Subject"])[:6] for mail in more] == ["2 caso"]  # U at 75 %, V at 50 %
    assert more[0]["Message-ID"] != first["Message-ID"]
    assert run(desk, "2026-03-02 10:40") == []


def test_a_sender_that_dies_each_time_is_followed_six_times_at_most(desk: PostDesk) -> None:
    desk.ticket(PANADERIA, priority="high", ticket="T")
    desk.at("2026-03-02 10:00")
    desk.box = Dies()
    for hour in range(11, 20):
        with contextlib.suppress(KeyboardInterrupt):
            run(desk, f"2026-03-02 {hour}:00")
    assert len(desk.box.mails) == 6
    assert len({mail["Message-ID"] for mail in desk.box.mails}) == 1
    assert [row[1:] for row in rows(desk)] == [("given_up", "unknown")]


def test_two_senders_at_once_send_one_mail(desk: PostDesk) -> None:
    """The second finds the rows claimed, and sends nothing."""
    for number in range(5):
        desk.ticket(PANADERIA, priority="high", ticket=f"T-{number}")
    desk.at("2026-03-02 09:30")
    record_warnings(desk.ledger, projector_of(desk.ledger), now=desk.now)

    class Slow(Mailbox):
        def send(self, mail: Any) -> None:
            super().send(mail)
            if len(self.mails) == 1:
                desk.post()

    desk.box = Slow()
    desk.post()
    assert len(desk.box.mails) == 1
    assert {row[1] for row in rows(desk)} == {"sent"}


def test_who_reads_the_rows_before_another_claims_them_sends_none(desk: PostDesk) -> None:
    desk.ticket(PANADERIA, priority="high", ticket="T-1")
    desk.ticket(PANADERIA, priority="high", ticket="T-2")
    desk.at("2026-03-02 09:30")
    record_warnings(desk.ledger, projector_of(desk.ledger), now=desk.now)
    desk.box.refuses = [Undelivered("x", down=True)]
    desk.post()
    desk.at("2026-03-02 09:31")
    seen = [entry for entry in entries(desk.ledger.store) if entry.channel == "desk"]
    store = desk.ledger.store
    assert desks._claim(store, seen[:1], "another", desk.now)
    assert not desks._claim(store, sorted(seen), "mine", desk.now), "one of them is taken: so none is"
    tries = {entry.key: entry.tries for entry in entries(store) if entry.channel == "desk"}
    assert tries == {seen[0].key: 2, seen[1].key: 1}


def test_tried_again_as_other_notices_then_given_up(desk: PostDesk) -> None:
    desk.ticket(PANADERIA, priority="high", ticket="T")
    run(desk, "2026-03-02 10:00:00")
    desk.box.mails.clear()
    desk.people = BOSS  # of today: it is told what is still so
    desk.box.refuses = [Undelivered("SMTPRecipientsRefused 550") for _ in range(9)]
    found = []
    for minutes in (0, 0, 1, 6, 36, 156, 876, 5000):
        at = datetime.fromisoformat("2026-03-02 10:00") + timedelta(minutes=minutes)
        desk.at(at.isoformat(" "))
        counts = desk.post()
        found.append((counts["failed"], counts["given_up"]))
    assert found == [(1, 0), (0, 0), (1, 0), (1, 0), (1, 0), (1, 0), (0, 1), (0, 0)]
    assert desk.box.mails == []


def test_while_the_server_is_down_new_warnings_gather_and_then_are_one_mail(desk: PostDesk) -> None:
    for number in range(20):
        desk.at(f"2026-03-02 09:{number:02}").ticket(FERRETERIA if number < 5 else PANADERIA, ticket=f"T-{number:02}")
    desk.box.refuses = [Undelivered("OSError", down=True) for _ in range(5)]
    for minute in range(20):
        run(desk, f"2026-03-02 10:{minute:02}")
    mails = [*desk.box.mails, *run(desk, "2026-03-02 10:33")]
    assert len(mails) <= 4 + 14
    told = [line for mail in mails for line in words(mail).split("\n") if line.startswith("T-")]
    assert len(told) == len(set(told)) == 15


def test_a_server_that_is_down_costs_one_try_a_run_an_address_that_is_refused_only_its_own(desk: PostDesk) -> None:
    desk.people = f"{DESK}, {BOSS}"
    desk.ticket(PANADERIA, priority="high", ticket="T")
    desk.box.refuses = [Undelivered("ConnectionRefusedError", down=True)]
    assert run(desk, "2026-03-02 09:30") == []
    assert sorted(e.tries for e in entries(desk.ledger.store) if e.channel == "desk") == [0, 1]
    desk.box.refuses = [Undelivered("SMTPRecipientsRefused 550")]
    assert [str(mail["To"]) for mail in run(desk, "2026-03-02 09:31")] == [BOSS]
    assert [str(mail["To"]) for mail in run(desk, "2026-03-02 09:36")] == [DESK]


def test_an_address_taken_out_of_the_settings_gets_nothing_more(desk: PostDesk) -> None:
    desk.ticket(PANADERIA, priority="high", ticket="T")
    desk.box.refuses = [Undelivered("OSError", down=True)]
    run(desk, "2026-03-02 09:30")
    desk.people = BOSS
    mails = run(desk, "2026-03-02 09:31")
    assert [str(mail["To"]) for mail in mails] == [BOSS]
    assert [row[1:] for row in rows(desk)] == [("given_up", "contact_forgotten"), ("sent", "")]


def test_without_mail_set_up_it_waits(desk: PostDesk) -> None:
    from scheduler.outbox import fill_and_send

    desk.ticket(PANADERIA, priority="high", ticket="T")
    desk.at("2026-03-02 10:00")
    record_warnings(desk.ledger, projector_of(desk.ledger), now=desk.now)
    mailless = type(desk.transports)(None, None, desk.hooks, desk_of(DESK))
    counts = fill_and_send(desk.ledger, desk.projector, now=desk.now, transports=mailless)
    assert (counts["queued"], counts["sent"]) == (1, 0)
    assert [mail["Subject"] for mail in run(desk, "2026-03-02 10:05")] == [
        "Caso T: vencido sin respuesta desde las 10:00"
    ]


def test_our_own_mistake_holds_up_nothing_else(desk: PostDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.endpoint()
    desk.ticket(PANADERIA, priority="high", ticket="T")
    monkeypatch.setattr(desk_words, "mail_of", lambda *_, **__: 1 // 0)
    assert run(desk, "2026-03-02 09:30") == []
    assert "sla_warning" in desk.hooks.kinds
    assert [row[2] for row in rows(desk)] == ["ZeroDivisionError"]
    monkeypatch.undo()
    assert len(run(desk, "2026-03-02 09:31")) == 1


def test_processes_at_once_send_each_address_one_mail(desk: PostDesk) -> None:
    """Over SMTP, by the command that a timer runs."""
    for number in range(20):
        desk.ticket(PANADERIA, priority="high", ticket=f"T-{number:02}")
    desk.at("2026-03-02 09:31")
    server = Server().start()
    environment = {
        **os.environ, "LEDGER_SMTP_URL": server.url, "LEDGER_MAIL_FROM": SENDER, "LEDGER_MAIL_DESK": f"{DESK}, {BOSS}",
        "LEDGER_LANG": "es_GT",
    }  # fmt: skip
    command = [sys.executable, "-m", "ledger.cli", "--database", desk.ledger.store.url, "scheduler", "once", "--json"]
    jobs = ["--job", "warnings", "--job", "notices"]
    started = [
        subprocess.Popen([*command, *jobs], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for process in started:
        _out, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
        assert b"mesa@" not in said
    server.stop()
    assert sorted(to for _from, to, _mail in server.got) == [[BOSS], ["mesa@invex.example"]]
    assert {str(mail["Subject"]) for _from, _to, mail in server.got} == {"20 casos por responder"}
    assert {row[1] for row in rows(desk)} == {"sent"}


# --- the setting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["nobody", "a@b", "a@example.com, b", "a@example.com\nBcc: x@example.com", ",", "<>"])
def test_an_unusable_setting_is_refused_without_repeating_it(words: str) -> None:
    with pytest.raises(Unavailable) as caught, transports_of(Settings(mail_desk=words)):
        pass
    assert (caught.value.code, caught.value.facts) == ("mail_desk_wrong", {})


def test_a_name_with_a_comma_is_one_address() -> None:
    [one, two] = desk_of('"Mesa, noche" <mesa@invex.example>, jefa@invex.example')
    assert (one.display_name, one.addr_spec, two.addr_spec) == ("Mesa, noche", "mesa@invex.example", BOSS)
    assert desk_of(" ") == ()


def test_no_address_of_ours_stands_in_the_database_or_in_a_log(
    desk: PostDesk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    desk.ticket(PANADERIA, priority="high", ticket="T")
    desk.box.refuses = [Undelivered("SMTPRecipientsRefused 550")]
    run(desk, "2026-03-02 09:30")
    tables = ("ledger_events", "ledger_outbox", "ledger_requests", "ledger_meta", "ledger_jobs")
    told = str([desk.ledger.store.query(f"SELECT * FROM {table}") for table in tables])
    assert "mesa@" not in told + str([record.getMessage() for record in caplog.records])


# --- a moved clock ---------------------------------------------------------------------------------------------------


def test_a_moved_clock_mails_each_at_its_instant_in_any_number_of_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEDGER_MAIL_DESK", DESK)
    monkeypatch.setenv("LEDGER_MAIL_FROM", "INVEX Soporte <soporte@example.com>")
    monkeypatch.setenv("LEDGER_LANG", "es_GT")
    found = []
    for name, stops in (("one", []), ("many", ["2026-03-02 12:59", "2026-03-02 13:00", "2026-03-02 16:30"])):
        monkeypatch.setenv("LEDGER_MAIL_DIR", str(tmp_path / name))
        desk = PostDesk(f"sqlite:///{tmp_path / name}.db").at("2026-03-02 09:00")
        desk.sell(FERRETERIA, "basic")
        desk.ticket(FERRETERIA, ticket="T")
        desk.ticket(FERRETERIA, ticket="U")
        for stop in [*stops, "2026-03-05 09:00"]:
            advance(desk.ledger, when(stop))
        mails = [
            email.message_from_bytes(f.read_bytes(), policy=email.policy.SMTP) for f in (tmp_path / name).iterdir()
        ]
        found.append(sorted((str(mail["Date"])[17:22], str(mail["Subject"])) for mail in mails))
        desk.close()
    assert found[0] == found[1]
    assert [at for at, _subject in found[0]] == ["19:00", "21:00", "22:12", "23:00"]  # UTC: 13:00, 15:00 …
    assert found[0][3][1] == "2 casos por responder, vencidos: 2"


def test_a_clock_that_never_stood_anywhere_is_set(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER_MAIL_DESK", DESK)
    desk = PostDesk(sqlite_url)
    assert advance(desk.ledger, when("2026-03-02 09:00"))["instants"] == 0
    desk.close()


def test_rows_keep_which_mail_they_made(desk: PostDesk) -> None:
    desk.ticket(PANADERIA, priority="high", ticket="T")
    run(desk, "2026-03-02 09:30")
    [row] = [entry for entry in entries(desk.ledger.store) if entry.channel == "desk"]
    assert json.loads(row.body)["mail"].startswith(row.target)
    assert row.target == desks.target(desk_of(DESK)[0]) == desks.target(desk_of("MESA@invex.example")[0])
