"""An attempt without an answer is looked up; only what the gateway never heard of is asked again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ledger.gateways import GatewayAnswer, GatewayRequest, GatewayTimeout
from tests.given import PANADERIA, Desk


class Mute:
    """A gateway that never answers a charge; `knows` says what a look-up tells of it."""

    name = "mute"

    def __init__(self, knows: str) -> None:
        self.knows = knows
        self.calls: list[tuple[str, str]] = []

    def charge(self, request: GatewayRequest) -> GatewayAnswer:
        self.calls.append(("charge", request.reference))
        raise GatewayTimeout

    def refund(self, request: GatewayRequest, of: str) -> GatewayAnswer:
        raise GatewayTimeout

    def look_up(self, reference: str, at: str) -> GatewayAnswer:
        self.calls.append(("look_up", reference))
        return GatewayAnswer(reference, self.knows, at, gateway_reference="G-1")

    def check_token(self, token: str) -> bool:
        return True


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url)
    desk.at("2026-03-12 10:00").open()
    yield desk
    desk.close()


def asked(desk: Desk, knows: str) -> Mute:
    """Buy by card of a mute gateway, then collect once more; return the gateway."""
    gateway = desk.ledger._gateway = Mute(knows)
    desk.do("card.register", account=PANADERIA, token="tok_ok")
    answer = desk.do("plan.purchase", account=PANADERIA, level="basic", term="monthly", channel="web", pay_by="card")
    assert answer["card_charge"]["outcome"] == "unanswered"
    desk.ledger.collect(PANADERIA)
    return gateway


REFERENCE = f"{PANADERIA}/{PANADERIA}-S1-p-a0"


def test_an_unknown_outcome_is_looked_up_and_never_charged_again(desk: Desk) -> None:
    gateway = asked(desk, "succeeded")
    assert gateway.calls == [("charge", REFERENCE), ("look_up", REFERENCE)]
    assert desk.balance()["state"] == "in_force"
    desk.ledger.collect(PANADERIA)
    assert len(gateway.calls) == 2, "what has its answer is not asked about"


def test_what_the_gateway_never_heard_of_is_asked_again_under_the_same_reference(desk: Desk) -> None:
    gateway = asked(desk, "unknown")
    assert gateway.calls == [("charge", REFERENCE), ("look_up", REFERENCE), ("charge", REFERENCE)]
    assert desk.balance()["state"] == "pending"


def test_a_pending_answer_is_waited_for(desk: Desk) -> None:
    gateway = asked(desk, "pending")
    desk.ledger.collect(PANADERIA)
    assert [call for call, _reference in gateway.calls] == ["charge", "look_up", "look_up"]


@pytest.mark.parametrize("manual", [False, True], ids=["by card", "by hand since"])
def test_with_an_attempt_unanswered_at_the_end_of_grace_it_lapses_at_the_refusal(desk: Desk, manual: bool) -> None:
    """Whoever asked the card, and however the plan is paid since. (It used to lapse under the gateway's answer.)"""
    desk.sell().at("2026-04-12 10:00")
    desk.ledger._gateway = Mute("pending")
    desk.do("card.register", account=PANADERIA, token="tok_ok")
    desk.do("card.charge", account=PANADERIA, charge=f"{PANADERIA}-S1-r1")
    if manual:
        desk.do("plan.pay_by", account=PANADERIA, pay_by="card")
        desk.do("plan.pay_by", account=PANADERIA, pay_by="manual")
    desk.at("2026-04-20 10:00")
    assert desk.state() == "past_due"
    answer = GatewayAnswer(f"{PANADERIA}/{PANADERIA}-S1-r1-x1", "refused", desk.ledger.clock.now(), code="declined")
    desk.ledger.settle(answer)
    assert desk.state() == "lapsed"
