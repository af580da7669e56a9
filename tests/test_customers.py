"""Who the customer is changes from a date on; what was promised and what was issued stays (DOMAIN.md 9)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.given import ANA, FERRETERIA, MARTA, PANADERIA, Answer, Desk


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url)
    yield desk
    desk.close()


def named(desk: Desk, account: str = PANADERIA) -> list[tuple[str, str, str | None]]:
    found: list[Answer] = desk.ask("documents", account=account)["documents"]
    return [(one["document"], one["name"], one["nit"]) for one in found]


def test_a_document_keeps_what_held_when_it_was_issued(desk: Desk) -> None:
    desk.at("2026-03-02 10:00").open(nit="123").sell()
    desk.do("account.change", account=PANADERIA, nit="456", name="Ixchel, S. A.", by=MARTA)
    desk.at("2026-03-03 10:00").addon()
    assert named(desk) == [("F-1", "Panadería Ixchel", "123"), ("F-2", "Ixchel, S. A.", "456")]
    desk.do("charge.credit", account=PANADERIA, charge="C-100-S1-p", amount="10.00", reason="x")
    assert named(desk)[-1] == ("NC-1", "Panadería Ixchel", "123"), "a note names whom its invoice named"


def test_it_changes_from_its_date_on_and_is_known_from_its_recording_on(desk: Desk) -> None:
    desk.at("2026-03-02 10:00").open(nit="123").at("2026-03-03 09:00")
    desk.do("account.change", account=PANADERIA, nit="456", at="2026-03-02 15:00")
    assert desk.ask("account", account=PANADERIA, at="2026-03-02 14:59")["nit"] == "123"
    assert desk.ask("account", account=PANADERIA, at="2026-03-02 15:00")["nit"] == "456"
    assert desk.ask("account", account=PANADERIA, known_at="2026-03-02 16:00")["nit"] == "123"
    desk.do("account.change", account=PANADERIA, name="Nueva", at="2026-03-02 14:00")
    told = desk.ask("account", account=PANADERIA)
    assert (told["name"], told["nit"]) == ("Nueva", "456"), "each field by itself, whatever was recorded first"


def test_nothing_and_agents_change_nothing(desk: Desk) -> None:
    desk.at("2026-03-02 10:00").open(nit="123")
    for given in ({}, {"nit": "123"}, {"zone": "America/Guatemala", "language": "es_GT"}):
        with desk.refused("nothing_changed"):
            desk.do("account.change", account=PANADERIA, by=MARTA, **given)
    with desk.refused("role_not_allowed"):
        desk.do("account.change", account=PANADERIA, by=ANA, nit="9")


def test_a_zone_holds_from_the_next_period_and_what_was_promised_stays(desk: Desk) -> None:
    """East of Guatemala, New York's midnights come earlier: the period that was paid ends where it was to."""
    desk.at("2026-03-02 10:00").sell(paid=3)
    promised = desk.balance()["period"]
    answer = desk.do("account.change", account=PANADERIA, zone="America/New_York")
    assert answer["zone_from"] == "2026-04-02"
    assert desk.balance()["period"] == promised
    due = desk.ticket(priority="high")["due_at"]
    assert due.endswith("-06:00")
    desk.at("2026-04-02 00:00")
    period = desk.balance()["period"]
    assert (period["from"], period["until"]) == ("2026-04-02T02:00:00-04:00", "2026-05-02T00:00:00-04:00")
    assert desk.ticket(priority="high")["due_at"].endswith("-04:00")
    desk.at("2026-05-02 00:00")
    assert desk.balance()["period"]["from"] == "2026-05-02T00:00:00-04:00"
    granted = desk.balance()["grants"]
    assert [one["until"] for one in granted][:-1] == [one["from"] for one in granted][1:], "one after the other"


def test_without_a_plan_a_zone_holds_at_once(desk: Desk) -> None:
    desk.at("2026-03-02 23:30").open()
    assert desk.do("account.change", account=PANADERIA, zone="America/New_York")["zone_from"] is None
    desk.sell(paid=0)
    (charge,) = desk.ask("billing", account=PANADERIA)["charges"]
    assert charge["due_on"] == "2026-03-03", "it is past midnight there"


def test_an_invoice_is_issued_again_once_and_moves_no_money(desk: Desk) -> None:
    desk.at("2026-03-02 10:00").open(nit="123").sell(paid=2)
    before = desk.ask("billing", account=PANADERIA)
    desk.do("account.change", account=PANADERIA, nit="456")
    again = desk.do("document.reissue", account=PANADERIA, document="F-1", reason="otro NIT", by=MARTA)
    assert (again["credit_note"], again["invoice"], again["nit"]) == ("NC-1", "F-2", "456")
    assert desk.ask("billing", account=PANADERIA) == before
    assert [row[0::2] for row in named(desk)] == [("F-1", "123"), ("NC-1", "123"), ("F-2", "456")]
    for document, code in (("F-1", "document_not_standing"), ("NC-1", "not_an_invoice"), ("F-9", "unknown_document")):
        with desk.refused(code):
            desk.do("document.reissue", account=PANADERIA, document=document, reason="x", by=MARTA)
    with desk.refused("reason_required"):
        desk.do("document.reissue", account=PANADERIA, document="F-2", by=MARTA)


def test_issued_again_with_what_fell_due_and_beside_others(desk: Desk) -> None:
    """What has fallen due takes its number in the same transaction; two accounts at once get one number each."""
    desk.at("2026-03-02 10:00").sell(paid=2).sell(FERRETERIA).at("2026-04-02 09:00")
    again = desk.do("document.reissue", account=PANADERIA, document="F-1", reason="x")
    assert (again["credit_note"], again["invoice"]) == ("NC-1", "F-4"), "F-3 is the renewal's"
    assert [one[0] for one in named(desk)] == ["F-1", "F-3", "NC-1", "F-4"]

    answers: list[Any] = []
    calls = [(PANADERIA, "F-4"), (FERRETERIA, "F-2")]
    threads = [
        threading.Thread(
            target=lambda a=account, d=document: answers.append(
                desk.do("document.reissue", account=a, document=d, reason="x")
            )
        )
        for account, document in calls
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer["invoice"] for answer in answers) == ["F-5", "F-6"]
    assert sorted(answer["credit_note"] for answer in answers) == ["NC-2", "NC-3"]
    for answer, account in ((a, a["charge"].rpartition("-S1")[0]) for a in answers):
        last = desk.ask("documents", account=account)["documents"][-1]
        assert (last["document"], last["charge"]) == (answer["invoice"], answer["charge"])
