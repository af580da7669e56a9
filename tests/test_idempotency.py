"""A key makes a command once: the same body gets the first answer, another body a conflict that names the field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ledger.commands import COMMANDS
from ledger.dating import Caller
from tests.given import ANA, BEATRIZ, FERRETERIA, LUIS, MARTA, OPERATOR, PANADERIA, Desk

DAY = "2026-05-04"
CARMEN = Caller("carmen", "manager", "console")
UUID = "0F8FAD5B-D9CB-469F-A165-70867728950E"
# They need a plan or a month that is over: told in tests/test_billing_edges.py and tests/test_sla_final.py.
LATER = {"charge.write_off", "payment.apply", "ticket.revise"}


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url)
    desk.at(f"{DAY} 10:00")
    yield desk
    desk.close()


# One of each command, in an order in which every one is accepted.
COURSE: list[tuple[str, dict[str, Any]]] = [
    ("account.open", {"account": "C-1", "name": "Panadería Ixchel"}),
    ("plan.purchase", {"account": "C-1", "level": "basic", "term": "monthly", "channel": "web"}),
    ("payment.record", {"account": "C-1", "amount": "250.00", "method": "deposit", "reference": "B-1"}),
    ("addon.purchase", {"account": "C-1", "level": "advanced"}),
    ("courtesy.grant", {"account": "C-1", "level": "basic", "units": 2}),
    ("plan.cancel", {"account": "C-1"}),
    ("plan.withdraw_cancellation", {"account": "C-1"}),
    ("ticket.open", {"account": "C-1", "ticket": "T-1", "request": "general", "priority": "low"}),
    ("ticket.acknowledge", {"ticket": "T-1"}),
    ("ticket.remind", {"ticket": "T-1", "channel": "phone"}),
    ("ticket.note", {"ticket": "T-1", "text": "llamó"}),
    ("ticket.prioritise", {"ticket": "T-1", "priority": "high"}),
    ("ticket.assign", {"ticket": "T-1", "to": "luis"}),
    ("ticket.wait", {"ticket": "T-1"}),
    ("ticket.resume", {"ticket": "T-1"}),
    ("ticket.respond", {"ticket": "T-1", "channel": "chat"}),
    ("ticket.exclude", {"ticket": "T-1", "approver": "carmen"}),
    ("ticket.reclassify", {"ticket": "T-1", "request": "question"}),
    ("ticket.give_back", {"ticket": "T-1"}),
    ("ticket.message", {"ticket": "T-1", "text": "¿y bien?"}),
    ("ticket.split", {"ticket": "T-1", "new": "T-2", "request": "question", "priority": "low"}),
    ("ticket.merge", {"ticket": "T-2", "into": "T-1"}),
    ("calendar.assign", {"level": "basic", "priority": "low", "calendar": "gt-business"}),
    ("ticket.resolve", {"ticket": "T-1"}),
    ("ticket.reopen", {"ticket": "T-1"}),
    ("plan.upgrade", {"account": "C-1", "level": "advanced"}),
    ("charge.discount", {"account": "C-1", "charge": "C-1-U1", "amount": "10.00"}),
    ("charge.void", {"account": "C-1", "charge": "C-1-U1"}),
    ("approval.give", {"request": "R-1"}),  # the void is above the limit
    ("plan.change_term", {"account": "C-1", "term": "yearly"}),
    ("plan.withdraw_change", {"account": "C-1"}),
    ("plan.pay_by", {"account": "C-1", "pay_by": "card"}),
    ("gateway.script", {"account": "C-1", "outcomes": ["declined", "ok"]}),
    ("card.register", {"account": "C-1", "token": "tok_ok"}),
    ("card.charge", {"account": "C-1", "charge": "C-1-A1"}),
    ("charge.credit", {"account": "C-1", "charge": "C-1-A1", "amount": "100.00"}),
    ("payment.refund", {"account": "C-1", "payment": "C-1-P2", "amount": "50.00", "method": "card"}),
    ("payment.reverse", {"account": "C-1", "payment": "C-1-P2", "kind": "chargeback"}),
    ("payment.record", {"account": "C-1", "amount": "900.00", "method": "transfer", "reference": "B-2"}),
    ("plan.upgrade", {"account": "C-1", "level": "corporate"}),
    ("plan.downgrade", {"account": "C-1", "level": "basic"}),
    ("document.certify", {"account": "C-1", "document": "F-1", "uuid": UUID, "series": "A1", "number": "7"}),
    ("account.change", {"account": "C-1", "nit": "765432-1"}),
    ("document.reissue", {"account": "C-1", "document": "F-1"}),
    ("books.close", {"month": "2026-04"}),
    ("report.publish", {"month": "2026-04"}),
    ("courtesy.grant", {"account": "C-1", "level": "basic", "units": 31}),
    ("courtesy.grant", {"account": "C-1", "level": "basic", "units": 32}),
    ("courtesy.grant", {"account": "C-1", "level": "basic", "units": 33}),
    ("approval.withdraw", {"request": "R-2"}),
    ("approval.refuse", {"request": "R-3"}),
    ("approval.give", {"request": "R-4"}),
    ("licence.renew", {"account": "C-2", "licence_until": "2026-12-31"}),
]


def test_every_command_repeated_under_its_key_changes_nothing(desk: Desk) -> None:
    desk.licence("C-2", until="2026-06-30")
    for number, (command, given) in enumerate(COURSE):
        who = {"gateway.script": OPERATOR, "approval.give": CARMEN}.get(command, BEATRIZ)
        first = desk.do(command, by=who, reason="acordado", key=f"K-{number}", **given)
        position = desk.position
        again = desk.do(command, by=who, reason="acordado", key=f"K-{number}", **given)
        assert again == {**first, "replayed": True}, command
        assert desk.position == position, command


def test_the_course_has_every_command() -> None:
    assert {command for command, _given in COURSE} | LATER == set(COMMANDS)


def test_an_answer_is_kept_though_the_world_moved_on(desk: Desk) -> None:
    desk.sell()
    first = desk.ticket(ticket="T-1", key="K")
    desk.tickets(4)
    desk.at("2026-08-01 10:00")
    again = desk.ticket(ticket="T-1", key="K")
    assert again == {**first, "replayed": True}


def test_another_process_answers_the_same(desk: Desk, store_url: str) -> None:
    first = desk.do("account.open", key="K", account=PANADERIA, name="Panadería Ixchel")
    other = Desk(store_url, migrate=False)
    assert other.do("account.open", key="K", account=PANADERIA, name="Panadería Ixchel") == {**first, "replayed": True}
    other.close()


PAYMENT: dict[str, Any] = {"account": PANADERIA, "amount": "250.00", "method": "deposit", "reference": "B-1"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"account": FERRETERIA}, "account"),
        ({"amount": "250.01"}, "amount"),
        ({"amount": "250"}, "amount"),
        ({"currency": "GTQ"}, "currency"),
        ({"method": "cash"}, "method"),
        ({"reference": "B-2"}, "reference"),
        ({"bank": "Banrural"}, "bank"),
        ({"at": f"{DAY} 09:59"}, "at"),
        ({"by": MARTA}, "by"),
        ({"reason": "otra"}, "reason"),
    ],
)
def test_another_body_under_a_used_key_names_the_field_that_differs(
    desk: Desk, change: dict[str, Any], field: str
) -> None:
    desk.open().open(FERRETERIA)
    desk.do("payment.record", key="K", **PAYMENT)
    with desk.refused("key_reused") as told:
        desk.do("payment.record", key="K", **{**PAYMENT, **change})
    assert told.facts == {"key": "K", "field": field}


def test_another_command_under_a_used_key_names_the_command(desk: Desk) -> None:
    desk.open()
    desk.do("ticket.open", key="K", account=PANADERIA, ticket="T-1", request="administrative", priority="low")
    with desk.refused("key_reused") as told:
        desk.do("ticket.note", key="K", ticket="T-1")
    assert told.facts["field"] in ("account", "do")


def test_a_decline_is_kept(desk: Desk) -> None:
    desk.open()
    first = desk.ticket(ticket="T-1", key="K")
    desk.sell()
    assert desk.ticket(ticket="T-1", key="K") == {**first, "replayed": True}
    assert desk.ticket(ticket="T-1", key="K2")["ok"]


def test_a_refusal_is_judged_afresh(desk: Desk) -> None:
    desk.open()
    with desk.refused("no_plan"):
        desk.do("addon.purchase", key="K", account=PANADERIA, level="basic")
    desk.sell()
    assert desk.do("addon.purchase", key="K", account=PANADERIA, level="basic")["ok"]


def test_a_key_is_no_ones_own(desk: Desk) -> None:
    desk.do("account.open", key="K", by=ANA, account=PANADERIA, name="Panadería Ixchel")
    with desk.refused("key_reused"):
        desk.do("account.open", key="K", by=LUIS, account=PANADERIA, name="Panadería Ixchel")


def test_without_a_key_a_command_counts_each_time(desk: Desk) -> None:
    desk.sell().do("addon.purchase", account=PANADERIA, level="basic")
    desk.do("addon.purchase", account=PANADERIA, level="basic")
    assert desk.billing()["due"] == "500.00"


def test_recording_what_fell_due_needs_no_key(desk: Desk) -> None:
    desk.sell().at("2026-07-01 10:00")
    assert desk.ledger.record_due(PANADERIA) > 0
    assert desk.ledger.record_due(PANADERIA) == 0
