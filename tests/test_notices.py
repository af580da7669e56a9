"""Notices: each kind once, at its instant, in the customer's language, and never about what did not come true."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ledger import contacts
from ledger import facts as f
from ledger.notice_kinds import KINDS
from projections import notices
from projections.notices import next_at
from projections.rebuild import check, rebuild
from scheduler.mails import render
from scheduler.outbox import entries, fill, send
from scheduler.undelivered import Undelivered
from tests.given import BEATRIZ, FERRETERIA, PANADERIA, PRICES, iso, local
from tests.mailbox import BUYER, Dies, Mailbox, PostDesk


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[PostDesk]:
    desk = PostDesk(store_url)
    desk.at("2026-03-02 10:00")
    desk.endpoint()
    yield desk
    desk.close()


def text_of(mail: Any, kind: str = "plain") -> str:
    return str(mail.get_body((kind,)).get_content())


# --- each kind, once ------------------------------------------------------------------------------------------------


def test_a_year_of_paying_by_hand_tells_of_each_renewal_and_receipt_once(desk: PostDesk) -> None:
    desk.sell()
    desk.contact()
    assert desk.told() == ["receipt"]
    assert desk.told() == []
    # Renewal 04-02, last day to cancel 03-28, so a week before that, in the morning.
    assert desk.told("2026-03-21 07:59") == []
    assert desk.told("2026-03-21 08:00") == ["renewal_upcoming"]
    assert desk.told("2026-03-22 08:00") == []
    desk.at("2026-03-30 09:00").pay()
    assert desk.told() == []  # prepaid: it is credit until the boundary
    assert desk.told("2026-04-02 00:00") == ["receipt"]
    assert desk.told("2026-04-20 08:00") == ["renewal_upcoming"]
    assert desk.box.subjects == [
        "Recibimos su pago de Q250.00",
        "Su plan Básico se renueva el jueves 2 de abril de 2026",
        "Recibimos su pago de Q250.00",
        "Su plan Básico se renueva el sábado 2 de mayo de 2026",
    ]


def test_what_waits_and_what_was_sent_survives_a_rebuild(desk: PostDesk) -> None:
    desk.sell()
    desk.contact()
    desk.post()
    assert rebuild(desk.projector) == {}
    assert (desk.told(), len(desk.box.mails)) == ([], 1)
    assert check(desk.projector) == {}


def test_past_due_grace_and_lapse(desk: PostDesk) -> None:
    desk.sell()
    assert desk.told("2026-04-02 00:00") == []
    # Unpaid boundary 04-02: its last day is 04-07; two days before grace is over in the night to 04-08.
    assert desk.told("2026-04-06 07:59") == []
    assert desk.told("2026-04-06 08:00") == ["grace_ends"]
    assert desk.hooks.got[-1][2]["data"] == {
        "key": "grace_ends:C-100/S1-r1:2026-04-08", "account": "C-100", "name": "Panadería Ixchel", "currency": "GTQ",
        "subscription": "C-100-S1", "level": "basic", "term": "monthly", "charge": "C-100-S1-r1", "amount": "250.00",
        "last_day": "2026-04-07",
    }  # fmt: skip
    assert desk.told("2026-04-07 23:59") == []
    assert desk.told("2026-04-08 00:00") == ["lapsed"]
    assert desk.told("2026-04-09 00:00") == []


def test_tickets_low_and_used_up(desk: PostDesk) -> None:
    desk.sell()
    desk.post()
    desk.tickets(3)
    assert desk.told() == []
    desk.tickets(1)
    assert desk.told() == ["tickets_low"]
    desk.tickets(1)
    assert desk.told() == ["tickets_used_up"]
    assert desk.told("2026-03-03 10:00") == []
    assert desk.hooks.got[-1][2]["data"]["last_day"] == "2026-04-01"


def test_used_up_at_one_go_is_told_as_that_alone(desk: PostDesk) -> None:
    desk.sell().tickets(5)
    assert desk.told() == ["receipt", "tickets_used_up"]


def test_a_unit_given_back_in_time_takes_the_notice_back(desk: PostDesk) -> None:
    desk.sell()
    desk.post()
    case = desk.tickets(4)[-1]
    desk.do("ticket.give_back", ticket=case, by=BEATRIZ, reason="duplicado")
    assert desk.told() == []
    desk.tickets(1)
    assert desk.told() == ["tickets_low"]


def test_an_add_on_that_expires_with_units_left(desk: PostDesk) -> None:
    desk.sell()
    desk.addon()
    assert desk.told() == ["receipt", "receipt"]
    # Paid 03-02: the last usable day is 04-01; by then the renewal is near too.
    assert desk.told("2026-03-25 07:59") == ["renewal_upcoming"]
    assert desk.told("2026-03-25 08:00") == ["addon_expiring"]
    assert desk.hooks.got[-1][2]["data"]["last_day"] == "2026-04-01"


def test_an_add_on_used_up_is_not_said_to_expire(desk: PostDesk) -> None:
    desk.sell()
    desk.addon().tickets(10)
    assert set(desk.told("2026-03-26 08:00")) & set(KINDS) == {"renewal_upcoming"}


CARD: dict[str, Any] = {"customer_no": PANADERIA, "by": "gateway", "source": "gateway"}


def attempted(attempt: str, asked: str) -> f.ChargeAttempted:
    charge = attempt.rpartition("-")[0]
    return f.ChargeAttempted(
        **CARD, occurred_at=iso(asked), attempt=attempt, charge=charge, amount=25000, currency="GTQ", token="tok_1"
    )


def refused(desk: PostDesk, attempt: str, asked: str, *, final: bool = False) -> None:
    desk.append(
        attempted(attempt, asked),
        f.AttemptRefused(**CARD, occurred_at=desk.now, attempt=attempt, code="declined", final=final),
    )


@pytest.fixture(name="card")
def _card(desk: PostDesk) -> PostDesk:
    desk.sell(pay_by="card", paid=0)
    desk.append(f.CardRegistered(**CARD, occurred_at=desk.now, card="C-100-K1", token="tok_1"))
    desk.pay()
    desk.contact().post()
    return desk


def test_a_refused_card_is_told_each_time_with_what_comes_next(card: PostDesk) -> None:
    assert card.told("2026-03-22 08:00") == ["renewal_upcoming"]
    assert card.hooks.got[-1][2]["data"]["paid_by"] == "card"
    card.at("2026-04-02 00:01")
    refused(card, "C-100-S1-r1-a0", "2026-04-02 00:00")
    assert card.told() == ["payment_failed"]
    assert card.hooks.got[-1][2]["data"]["retry_on"] == "2026-04-03"
    assert "Se intentará de nuevo el viernes 3 de abril de 2026." in text_of(card.box.mails[-1])
    card.at("2026-04-03 00:01")
    refused(card, "C-100-S1-r1-a1", "2026-04-03 00:00", final=True)
    assert card.told() == ["payment_failed"]
    assert "por favor registre otra" in text_of(card.box.mails[-1])
    assert "hasta el martes 7 de abril de 2026" in text_of(card.box.mails[-1])
    assert card.told() == []


def test_a_refusal_paid_by_deposit_meanwhile_is_not_told(card: PostDesk) -> None:
    card.told("2026-03-22 08:00")
    card.at("2026-04-02 00:01")
    refused(card, "C-100-S1-r1-a0", "2026-04-02 00:00")
    card.pay()
    assert card.told() == ["receipt"]


def test_of_two_refusals_only_the_newer_is_told(card: PostDesk) -> None:
    card.told("2026-03-22 08:00")
    card.at("2026-04-03 00:01")
    refused(card, "C-100-S1-r1-a0", "2026-04-02 00:00")
    refused(card, "C-100-S1-r1-a1", "2026-04-03 00:00", final=True)
    assert card.told() == ["payment_failed"]
    assert card.hooks.got[-1][2]["data"]["attempt"] == "C-100-S1-r1-a1"


# --- what did not come true -----------------------------------------------------------------------------------------


def test_a_cancelled_plan_has_no_renewal_to_tell_of(desk: PostDesk) -> None:
    desk.sell()
    desk.post()
    desk.do("plan.cancel", account=PANADERIA)
    assert desk.told("2026-03-22 08:00") == []
    desk.do("plan.withdraw_cancellation", account=PANADERIA)
    assert desk.told() == ["renewal_upcoming"]


def test_what_waits_in_the_outbox_is_taken_out_when_it_is_no_longer_true_and_put_in_again(desk: PostDesk) -> None:
    desk.sell()
    desk.post()
    desk.at("2026-03-22 08:00")
    fill(desk.ledger, desk.projector, desk.now)
    desk.do("plan.cancel", account=PANADERIA)
    assert desk.post() == {"queued": 0, "withdrawn": 1, "sent": 0, "failed": 0, "given_up": 0}
    desk.do("plan.withdraw_cancellation", account=PANADERIA)
    assert desk.told() == ["renewal_upcoming"]


def test_paid_while_the_server_was_down_the_end_of_grace_is_not_told(desk: PostDesk) -> None:
    desk.sell()
    desk.post()
    desk.hooks.refuses = [Undelivered("HTTP 503", down=True)]
    assert desk.post("2026-04-06 08:00")["failed"] == 1
    desk.pay()
    assert desk.told("2026-04-06 08:02") == ["receipt"]
    [row] = [entry for entry in entries(desk.ledger.store) if entry.kind == "grace_ends"]
    assert (row.state, row.error) == ("given_up", "withdrawn")


def test_a_lapse_that_money_undoes_is_not_told(desk: PostDesk) -> None:
    desk.sell()
    desk.post()
    desk.at("2026-04-08 00:00")
    desk.ledger.record_due(PANADERIA)
    assert desk.state() == "lapsed"
    desk.at("2026-04-08 09:00")
    desk.pay(at="2026-04-06 12:00", by=BEATRIZ, reason="boleta del lunes")
    # Told once it is known, though it counts by its value date; nothing of the lapse.
    assert desk.told() == ["receipt"]


def test_the_end_of_grace_is_told_also_when_no_job_recorded_the_boundary(desk: PostDesk) -> None:
    """The notices' job records what has fallen due by itself: it needs no other job before it."""
    desk.sell()
    desk.post()
    assert desk.told("2026-04-09 12:00") == ["lapsed"]


def test_a_plan_bought_again_is_not_said_to_have_lapsed(desk: PostDesk) -> None:
    desk.sell()
    desk.post()
    desk.at("2026-04-08 09:00").sell()
    assert desk.told() == ["receipt"]


def test_after_grace_nobody_is_told_to_pay_in_it_though_a_card_keeps_the_plan_past_due(card: PostDesk) -> None:
    card.at("2026-04-02 00:01")
    card.append(attempted("C-100-S1-r1-a0", "2026-04-02 00:00"))
    card.told("2026-04-03 00:00")
    assert card.told("2026-04-08 00:00") == []
    assert card.state() == "past_due"


def test_what_waited_until_it_made_no_sense_is_taken_out(card: PostDesk) -> None:
    card.at("2026-04-02 00:01")
    card.append(attempted("C-100-S1-r1-a0", "2026-04-02 00:00"))
    card.at("2026-04-06 08:00")
    card.hooks.refuses = [Undelivered("HTTP 503", down=True)]
    assert card.post()["failed"] == 1
    assert card.post("2026-04-08 00:00")["withdrawn"] == 1
    assert card.state() == "past_due"
    assert card.hooks.kinds.count("grace_ends") == 0


def test_a_renewal_that_was_undone_has_no_receipt(desk: PostDesk) -> None:
    desk.sell(paid=2)
    desk.post()
    desk.at("2026-04-02 09:00")
    desk.ledger.record_due(PANADERIA)
    desk.do("plan.cancel", account=PANADERIA, at="2026-03-27 10:00", by=BEATRIZ, reason="carta del 27")
    assert desk.state() == "cancelled"
    assert desk.told() == []


def test_a_payment_taken_back_and_made_again_is_receipted_again(desk: PostDesk) -> None:
    desk.sell()
    assert desk.told() == ["receipt"]
    desk.at("2026-03-05 09:00")
    bounced = {**CARD, "payment": "C-100-P1", "kind": "returned_cheque", "approver": "beatriz"}
    desk.append(f.PaymentReversed(**bounced, occurred_at=desk.now, reason="sin fondos"))
    assert (desk.state(), desk.told()) == ("past_due", [])
    assert desk.told("2026-03-09 08:00") == ["grace_ends"]
    desk.pay()
    assert desk.told() == ["receipt"]
    assert desk.hooks.got[-1][2]["data"]["key"] == "receipt:C-100/S1-p:2"
    assert desk.told() == []


def test_a_charge_that_asked_for_nothing_has_no_receipt(desk: PostDesk) -> None:
    desk.sell(level="basic", term="yearly")
    desk.post()
    credit = {"gross": 60000, "net": 53571, "tax": 6429, "credit": 60000, "excess": 0, "due_on": "2026-03-02"}
    asked: dict[str, Any] = {
        **CARD,
        "subscription": "C-100-S1",
        "charge": "C-100-S1-u1",
        "level": "advanced",
        "units": 12,
        **credit,
    }
    desk.append(f.UpgradeAsked(**asked, occurred_at=desk.now))
    assert desk.balance()["level"] == "advanced"
    assert desk.told() == []


# --- old ledgers and late facts --------------------------------------------------------------------------------------


def test_an_old_ledger_first_swept_sends_no_mail_of_last_year(desk: PostDesk) -> None:
    desk.sell()
    desk.contact()
    assert desk.told("2027-06-01 10:00") == []
    assert desk.box.mails == []


def test_a_deposit_typed_late_is_receipted_when_it_is_typed(desk: PostDesk) -> None:
    desk.sell(paid=0)
    desk.at("2026-03-09 10:00").pay(at="2026-03-02 15:00", by=BEATRIZ, reason="boleta tardía")
    assert desk.told() == ["receipt"]
    assert desk.hooks.got[-1][2]["timestamp"] == iso("2026-03-09 10:00")
    assert desk.hooks.got[-1][2]["data"]["paid_on"] == "2026-03-02"


def test_a_receipt_stands_a_month_from_when_its_deposit_was_typed(desk: PostDesk) -> None:
    desk.sell(paid=0)
    desk.at("2026-03-11 10:00").pay(at="2026-03-02 15:00", by=BEATRIZ, reason="boleta tardía")

    def standing(at: str) -> list[str]:
        desk.at(at).do("courtesy.grant", account=PANADERIA, level="basic", units=1, by=BEATRIZ, reason="prueba")
        desk.projector.catch_up()
        return [notice.at for notice in notices.of_account(desk.projector.read, PANADERIA, "receipt")]

    typed = iso("2026-03-11 10:00")
    assert standing("2026-04-11 09:59") == [typed]
    assert standing("2026-04-11 10:01") == []


def test_what_comes_in_with_an_old_history_is_no_news(desk: PostDesk) -> None:
    desk.open()
    desk.at("2026-06-01 10:00")
    past: dict[str, Any] = {"by": BEATRIZ, "reason": "historia del sistema anterior"}
    desk.do(
        "plan.purchase",
        account=PANADERIA, level="basic", term="yearly", channel="web", at="2026-03-02 10:00", **past,
    )  # fmt: skip
    desk.pay(amount="2500.00", at="2026-03-02 11:00", **past)
    assert desk.told() == []


def test_an_endpoint_gets_what_happens_after_it_was_added_and_only_its_kinds(desk: PostDesk) -> None:
    desk.sell()
    desk.at("2026-03-02 12:00")
    late, _secret = desk.endpoint(url="https://late.example/")
    wants, _secret = desk.endpoint(("tickets_low",), url="https://wants.example/")
    desk.tickets(4)
    desk.post("2026-03-02 12:01")
    found = sorted((url, body["type"]) for url, _headers, body in desk.hooks.got)
    assert found == [
        ("https://hooks.example/in", "notice.receipt"),
        ("https://hooks.example/in", "notice.tickets_low"),
        ("https://late.example/", "notice.tickets_low"),
        ("https://wants.example/", "notice.tickets_low"),
    ]
    desk.tickets(1)
    fill(desk.ledger, desk.projector, desk.now)
    contacts.stop_endpoint(desk.ledger.store, late, desk.now)
    assert send(desk.ledger, desk.now, desk.transports) == {"sent": 1, "failed": 0, "given_up": 1}
    assert desk.hooks.got[-1][0] == "https://hooks.example/in"
    assert wants not in {entry.target for entry in entries(desk.ledger.store) if entry.kind != "tickets_low"}


# --- once each -------------------------------------------------------------------------------------------------------


def test_two_senders_at_once_send_each_once(desk: PostDesk) -> None:
    accounts = [f"C-{number}" for number in range(500, 530)]
    for number in accounts:
        desk.sell(number)
        desk.contact(number, email=f"compras@{number.lower()}.example")
    assert fill(desk.ledger, desk.projector, desk.now)["queued"] == 60
    start, box = threading.Barrier(4), Mailbox()
    transports = desk.transports
    transports = replace(transports, mail=box)
    sums: list[dict[str, int]] = []

    def work() -> None:
        start.wait()
        sums.append(send(desk.ledger, desk.now, transports))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts["sent"] for counts in sums) == 60
    assert len(box.mails) == 30
    assert len({mail["Message-ID"] for mail in box.mails}) == 30
    assert len(desk.hooks.got) == 30


def test_two_fillers_at_once_put_each_in_once(desk: PostDesk) -> None:
    for number in range(500, 510):
        desk.sell(f"C-{number}")
    desk.projector.catch_up()
    start = threading.Barrier(3)
    sums: list[int] = []

    def work() -> None:
        start.wait()
        sums.append(fill(desk.ledger, desk.projector, desk.now)["queued"])

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(sums), sum(sums), len(entries(desk.ledger.store))) == (3, 10, 10)


def test_tried_again_ever_later_then_given_up(desk: PostDesk) -> None:
    desk.sell()
    desk.contact()
    desk.hooks.got.clear()
    desk.box.refuses = [Undelivered("SMTPRecipientsRefused 450") for _ in range(9)]
    fill(desk.ledger, desk.projector, desk.now)
    found = []
    for minutes in (0, 0, 1, 6, 36, 156, 875, 876, 10_000):
        desk.at(_after("2026-03-02 10:00", minutes))
        counts = send(desk.ledger, desk.now, desk.transports)
        found.append((counts["failed"], counts["given_up"]))
    assert found == [(1, 0), (0, 0), (1, 0), (1, 0), (1, 0), (1, 0), (0, 0), (0, 1), (0, 0)]
    [row] = [entry for entry in entries(desk.ledger.store) if entry.channel == "email"]
    assert (row.state, row.tries, row.error) == ("given_up", 6, "SMTPRecipientsRefused 450")
    assert desk.box.mails == []


def _after(start: str, minutes: int) -> str:
    from datetime import datetime, timedelta

    return (datetime.fromisoformat(start) + timedelta(minutes=minutes)).isoformat(" ")


def test_a_sender_that_died_is_followed_after_its_claim_by_the_same_message(desk: PostDesk) -> None:
    desk.sell()
    desk.contact()
    fill(desk.ledger, desk.projector, desk.now)
    dying, transports = Dies(), desk.transports
    with pytest.raises(KeyboardInterrupt):
        send(desk.ledger, desk.now, replace(transports, mail=dying))
    assert desk.post("2026-03-02 10:09")["failed"] == 0
    assert desk.box.mails == []
    desk.post("2026-03-02 10:10")
    assert [mail["Message-ID"] for mail in desk.box.mails] == [mail["Message-ID"] for mail in dying.mails]


def test_a_target_that_is_down_costs_one_try_a_run(desk: PostDesk) -> None:
    for number in range(500, 505):
        desk.sell(f"C-{number}")
    desk.hooks.refuses = [Undelivered("ConnectionRefusedError", down=True)]
    assert desk.post()["failed"] == 1
    assert sorted(entry.tries for entry in entries(desk.ledger.store)) == [0, 0, 0, 0, 1]
    assert desk.post("2026-03-02 10:01")["sent"] == 5


def test_our_own_mistake_holds_up_nothing_else(desk: PostDesk, caplog: pytest.LogCaptureFixture) -> None:
    desk.sell()
    desk.sell(FERRETERIA)
    desk.contact(name="Doña Marta")
    desk.contact(FERRETERIA, email="compras@tikal.example")
    fill(desk.ledger, desk.projector, desk.now)
    desk.ledger.store.execute(
        "UPDATE ledger_outbox SET body = ? WHERE account = ? AND channel = 'email'",
        ['{"language": "es_GT"}', PANADERIA],
    )
    assert send(desk.ledger, desk.now, desk.transports) == {"sent": 3, "failed": 1, "given_up": 0}
    assert "KeyError" in caplog.text
    assert BUYER not in caplog.text


def test_without_mail_set_up_mail_waits_a_week_and_is_then_too_old(desk: PostDesk) -> None:
    desk.sell()
    desk.contact()
    mailless = replace(desk.transports, mail=None, sender=None)
    fill(desk.ledger, desk.projector, desk.now)
    assert send(desk.ledger, desk.now, mailless) == {"sent": 1, "failed": 0, "given_up": 0}
    desk.at("2026-03-09 10:00")
    assert fill(desk.ledger, desk.projector, desk.now)["withdrawn"] == 1
    [row] = [entry for entry in entries(desk.ledger.store) if entry.channel == "email"]
    assert (row.state, row.error, row.tries) == ("given_up", "too_old", 0)


def test_a_forgotten_address_gets_nothing_more_and_stands_nowhere(desk: PostDesk) -> None:
    desk.sell()
    desk.contact()
    fill(desk.ledger, desk.projector, desk.now)
    assert contacts.forget_contact(desk.ledger.store, PANADERIA) == 1
    assert send(desk.ledger, desk.now, desk.transports)["given_up"] == 1
    for table in ("ledger_events", "ledger_outbox", "ledger_contacts", "ledger_requests", "ledger_meta"):
        assert BUYER not in str(desk.ledger.store.query(f"SELECT * FROM {table}"))
    assert BUYER not in str(desk.projector.read.query("SELECT * FROM r_notices"))


def test_a_corrected_address_gets_what_was_waiting(desk: PostDesk) -> None:
    desk.sell()
    desk.contact(email="antes@ixchel.example")
    fill(desk.ledger, desk.projector, desk.now)
    desk.contact()
    send(desk.ledger, desk.now, desk.transports)
    assert [mail["To"].addresses[0].addr_spec for mail in desk.box.mails] == [BUYER]


# --- when next -------------------------------------------------------------------------------------------------------


def test_the_next_instant_is_told_over_all_accounts(desk: PostDesk) -> None:
    desk.sell().sell(FERRETERIA)
    desk.projector.catch_up()
    read = desk.projector.read
    assert next_at(read, desk.now) == iso("2026-03-21 08:00")
    assert next_at(read, iso("2026-03-21 08:00")) == ""
    assert next_at(read, iso("2026-03-21 07:59")) == iso("2026-03-21 08:00")
    desk.at("2026-04-02 00:00")
    desk.ledger.record_due(PANADERIA)
    desk.projector.catch_up()
    assert next_at(read, desk.now) == iso("2026-04-06 08:00")


def test_a_yearly_plan_is_told_of_once_a_year(desk: PostDesk) -> None:
    desk.sell(term="yearly")
    desk.post()
    for month in range(4, 13):
        assert desk.told(f"2026-{month:02}-25 08:00") == []
    assert desk.told("2027-02-18 08:00") == ["renewal_upcoming"]
    assert desk.hooks.got[-1][2]["data"]["price"] == "2500.00"
    assert desk.hooks.got[-1][2]["data"]["cancel_by"] == "2027-02-25"


def test_a_licence_costs_nothing_so_only_its_tickets_are_told(desk: PostDesk) -> None:
    desk.licence()
    assert desk.told("2026-03-25 08:00") == []
    desk.tickets(4)
    assert desk.told() == ["tickets_low"]


# --- in words --------------------------------------------------------------------------------------------------------


def test_spanish_first(desk: PostDesk) -> None:
    desk.sell(level="advanced")
    desk.contact(name="Doña Marta")
    desk.post()
    desk.post("2026-03-22 08:00")
    receipt, renewal = desk.box.mails
    assert text_of(receipt) == (
        "Buen día, Doña Marta:\n\n"
        "Gracias por su pago de Q600.00 por la compra de su plan Avanzado (mensual). Se aplicó el lunes 2 de marzo de"
        " 2026.\n\n"
        "- Cargo: C-100-S1-p\n- Neto: Q535.71\n- IVA: Q64.29\n- Total: Q600.00\n\n"
        "Este aviso no sustituye a la factura.\n\n"
        "Atentamente,\nINVEX Soporte\n\n"
        "Aviso automático sobre la cuenta C-100, Panadería Ixchel.\n"
    )
    assert text_of(renewal).split("\n\n")[1:4] == [
        "Su plan de soporte Avanzado (mensual) se renueva el jueves 2 de abril de 2026 por Q600.00, IVA incluido."
        " Incluye 12 tickets al mes.",
        "Para que el plan siga vigente sin interrupción, pague Q600.00 por depósito o transferencia antes de ese día.",
        "Si no desea renovarlo, puede cancelarlo hasta el sábado 28 de marzo de 2026, inclusive. Después ya no es"
        " posible para esta renovación.",
    ]
    assert str(renewal["From"]) == "INVEX Soporte <soporte@example.com>"
    assert renewal["To"].addresses[0].display_name == "Doña Marta"
    assert (renewal["Content-Language"], renewal["Auto-Submitted"]) == ("es-GT", "auto-generated")


def test_english_beside_it(desk: PostDesk) -> None:
    desk.open(language="en", currency="USD")
    desk.do("plan.purchase", account=PANADERIA, level="basic", term="monthly", channel="web")
    price = desk.billing()["due"]
    desk.pay(amount=price, currency="USD")
    desk.contact()
    desk.post()
    desk.post("2026-03-22 08:00")
    assert desk.box.subjects == [
        f"We received your payment of ${price}",
        "Your Basic plan renews on Thursday, April 2, 2026",
    ]
    assert "Hello Panadería Ixchel," in text_of(desk.box.mails[0])


def test_what_a_name_holds_stays_text(desk: PostDesk) -> None:
    nasty = 'Tienda <script>alert("1")</script> & {amount} Bcc: x@example.com'
    desk.do("account.open", account=PANADERIA, name=nasty)
    desk.sell()
    desk.contact(name="Ana\u2028Bcc: y@example.com\x85 <b>")
    desk.post()
    [mail] = desk.box.mails
    html = text_of(mail, "html")
    assert "<script" not in html
    assert "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; {amount}" in html
    assert nasty in text_of(mail)
    raw = mail.as_bytes()
    headers = raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert not any(line.lower().startswith(b"bcc") for line in headers)
    assert len(mail["To"].addresses) == 1
    assert mail["To"].addresses[0].addr_spec == BUYER


SAMPLES: dict[str, dict[str, Any]] = {
    "renewal_upcoming": {
        "level": "basic", "term": "monthly", "units": 5, "renews_on": "2026-04-02", "cancel_by": "2026-03-28",
        "price": "1234.50", "credit": "100.00", "to_pay": "1134.50", "paid_by": "card",
    },
    "payment_failed": {
        "what_for": "addon", "level": "basic", "units": 5, "term": "", "amount": "250.00", "final": False,
        "retry_on": "", "last_day": "2026-04-07",
    },
    "grace_ends": {"level": "basic", "term": "monthly", "amount": "250.00", "last_day": "2026-04-07"},
    "lapsed": {"level": "basic", "term": "yearly", "ended_on": "2026-04-08"},
    "tickets_low": {
        "level": "basic", "units": 5, "used": 4, "remaining": 1, "last_day": "2026-04-01", "elsewhere": 3,
    },
    "tickets_used_up": {
        "level": "basic", "units": 5, "used": 5, "remaining": 0, "last_day": "2026-04-01", "elsewhere": 0,
    },
    "addon_expiring": {"level": "advanced", "units": 12, "remaining": 2, "last_day": "2026-04-01"},
    "receipt": {
        "what_for": "upgrade", "level": "corporate", "units": 30, "term": "monthly", "amount": "1250.00",
        "net": "1116.07", "tax": "133.93", "discount": "250.00", "paid_on": "2026-03-02", "charge": "C-100-S1-u1",
    },
}  # fmt: skip


@pytest.mark.parametrize("lang", ["es_GT", "en"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_words_in_both_languages(kind: str, lang: str) -> None:
    data = {"account": "C-100", "name": "Panadería Ixchel", "currency": "GTQ", **SAMPLES[kind]}
    mail = render(kind, data, lang, company="INVEX Soporte")
    for part in (mail.subject, mail.text, mail.html):
        assert part
        assert "{" not in part
        assert "?" not in part, "a fact is missing"
    assert "\n\n\n" not in mail.text
    assert "basic" not in mail.text
    assert "2026-0" not in mail.text


def test_the_rows_are_natural_and_the_same_whenever_they_are_made(desk: PostDesk) -> None:
    desk.sell(level="advanced").tickets(10)
    desk.addon()
    desk.projector.catch_up()
    found = {notice.key: notice.at for notice in notices.of_account(desk.projector.read, PANADERIA)}
    assert found == {
        "receipt:C-100/S1-p": iso("2026-03-02 10:00"),
        "receipt:C-100/A1": iso("2026-03-02 10:00"),
        "tickets_low:C-100/S1-m0": iso("2026-03-02 10:00"),
        "renewal_upcoming:C-100/S1:2026-04-02": iso("2026-03-21 08:00"),
        "addon_expiring:C-100/A1-t": iso("2026-03-25 08:00"),
    }
    assert PRICES["advanced"] in json.dumps([n.data for n in notices.of_account(desk.projector.read, PANADERIA)])
    assert local("2026-03-21 08:00").endswith("-06:00")
