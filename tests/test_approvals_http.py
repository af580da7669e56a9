"""Two people over a real server, each with a token of their own: what one asks for, another does, exactly once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ledger import tokens
from tests.given import ANA, PANADERIA, Desk
from tests.test_serve import Running, serving

STAFF = {"ana": "agent", "luis": "agent", "marta": "finance", "carmen": "finance", "beatriz": "manager"}
ACCOUNT = f"/v1/accounts/{PANADERIA}"
REFUND = {"payment": f"{PANADERIA}-P1", "amount": "250.01", "method": "transfer", "reference": "SALE-1", "reason": "x"}
Answer = tuple[int, dict[str, Any]]


class House:
    """A server over a ledger with a test clock, and who speaks to it."""

    def __init__(self, desk: Desk, server: Running, secrets: dict[str, str]) -> None:
        self.desk, self.server, self.secrets = desk, server, secrets

    def says(self, who: str, path: str, key: str = "", **body: Any) -> Answer:
        """POST as somebody; the answer's status and body."""
        head = {"Authorization": f"Bearer {self.secrets[who]}", "Content-Type": "application/json"}
        connection = self.server.connect()
        connection.request("POST", path, json.dumps(body), head | ({"Idempotency-Key": f'"{key}"'} if key else {}))
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        return response.status, answer

    def sees(self, who: str, path: str) -> dict[str, Any]:
        status, answer = self.server.get(path, {"Authorization": f"Bearer {self.secrets[who]}"})
        assert status == 200, answer
        return dict(answer)

    def on(self, who: str, act: str, request: str = "R-1", key: str = "") -> Answer:
        return self.says(who, f"/v1/approval-requests/{request}/{act}", key)

    def pending(self, answer: Answer) -> str:
        status, body = answer
        assert status < 300, body
        return str(body["pending"])

    def refused(self, answer: Answer, code: str) -> None:
        status, body = answer
        assert (status, body.get("code")) in ((403, code), (409, code), (422, code)), body


@pytest.fixture(name="house")
def _house(store_url: str) -> Iterator[House]:
    desk = Desk(store_url)
    desk.at("2026-05-04 10:00").sell(PANADERIA, "advanced")
    now = tokens.machine_now()
    secrets = {n: tokens.create(desk.ledger.store, role=role, name=n, now=now) for n, role in STAFF.items()}
    with serving(store_url, "--without-worker") as server:
        yield House(desk, server, secrets)
    desk.close()


def test_finance_pays_out_above_the_limit_only_with_another_and_exactly_once(house: House) -> None:
    house.desk.pay(PANADERIA, "300.00")
    refund = {**REFUND, "payment": house.desk.events(PANADERIA, "account.payment_recorded")[-1]["payment"]}
    for named in ("el gerente", "carmen", "marta", "beatriz"):
        house.refused(house.says("marta", f"{ACCOUNT}/refunds", **refund, approver=named), "approver_not_taken")
    assert house.desk.events(PANADERIA, "account.refund_asked") == []
    first = house.says("marta", f"{ACCOUNT}/refunds", "pay-1", **refund)
    again = house.says("marta", f"{ACCOUNT}/refunds", "pay-1", **refund)
    assert house.pending(first) == house.pending(again) == "R-1"
    house.refused(house.on("marta", "approvals"), "approver_is_asker")
    house.refused(house.on("ana", "approvals"), "role_not_allowed")
    assert house.sees("marta", f"{ACCOUNT}/billing")["refunded"] == "0.00"
    given = house.on("carmen", "approvals", key="give-1")
    repeated = house.on("carmen", "approvals", key="give-1")
    assert given[0] < 300, given
    assert repeated[1].get("effect") == given[1]["effect"]
    house.refused(house.on("beatriz", "approvals"), "request_closed")
    assert house.sees("marta", f"{ACCOUNT}/billing")["refunded"] == "250.01"
    (paid,) = house.desk.events(PANADERIA, "account.refund_asked")
    assert (paid["by"], paid["approver"], paid["approval"]) == ("marta", "carmen", "R-1")


@pytest.mark.parametrize("amount", ["250.00", "250.01"])
def test_what_finance_does_alone_ends_at_the_limit(house: House, amount: str) -> None:
    house.desk.pay(PANADERIA, "300.00")
    payment = house.desk.events(PANADERIA, "account.payment_recorded")[-1]["payment"]
    answer = house.says("marta", f"{ACCOUNT}/refunds", **REFUND | {"payment": payment, "amount": amount})
    assert ("pending" in answer[1]) == (amount == "250.01"), answer
    assert house.sees("marta", f"{ACCOUNT}/billing")["refunded"] == ("0.00" if amount == "250.01" else amount)


def late(house: House) -> str:
    ticket = str(house.desk.ticket(by=ANA)["ticket"])
    house.desk.at("2026-05-05 10:00").do("ticket.respond", ticket=ticket, by=ANA)
    return ticket


@pytest.mark.parametrize("name", ["ana", "Ana ", "\u0430na", "A\u200bNA", "Aná", "beatriz", "el gerente"])
def test_an_agent_excludes_no_late_case_of_their_own_by_any_name(house: House, name: str) -> None:
    ticket = late(house)
    status, body = house.says("ana", f"/v1/tickets/{ticket}/exclusions", reason="corte", approver=name)
    assert status in (403, 409, 422), body
    assert body["code"] in ("approver_not_taken", "malformed", "validation_failed"), body
    assert house.pending(house.says("ana", f"/v1/tickets/{ticket}/exclusions", reason="corte")) == "R-1"
    for who in ("ana", "luis", "marta"):
        assert house.on(who, "approvals")[0] == 403
    assert house.sees("beatriz", f"/v1/tickets/{ticket}")["verdict"] == "breached"
    assert house.on("beatriz", "approvals")[1]["effect"]["verdict"] == "excluded"
    assert house.sees("beatriz", f"/v1/tickets/{ticket}")["verdict"] == "excluded"


def test_an_exclusion_given_when_the_verdict_is_final_is_a_revision(house: House) -> None:
    ticket = late(house)
    house.pending(house.says("ana", f"/v1/tickets/{ticket}/exclusions", reason="corte"))
    house.desk.at("2026-06-02 10:00")
    assert house.on("beatriz", "approvals")[0] < 300
    assert house.desk.events(PANADERIA, "ticket.excluded") == []
    (revised,) = house.desk.events(PANADERIA, "ticket.revised")
    assert (revised["by"], revised["approver"], revised["approval"]) == ("ana", "beatriz", "R-1")


def test_what_is_withdrawn_or_thirty_days_old_is_given_by_nobody(house: House) -> None:
    ticket = late(house)
    path = f"/v1/tickets/{ticket}/exclusions"
    house.pending(house.says("ana", path, reason="corte"))
    house.refused(house.on("luis", "withdrawals"), "not_your_request")
    assert house.on("ana", "withdrawals")[0] < 300
    house.refused(house.on("beatriz", "approvals"), "request_closed")
    assert house.pending(house.says("ana", path, reason="corte")) == "R-2"
    house.desk.at("2026-06-05 00:00")
    house.refused(house.on("beatriz", "approvals", "R-2"), "request_closed")
    assert house.sees("beatriz", f"/v1/tickets/{ticket}")["verdict"] == "breached"
    assert house.sees("ana", "/v1/approval-requests/R-2")["status"] == "ended"
