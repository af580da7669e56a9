"""The gateway's webhooks over HTTP: signed or not heard, strict, and harmless when they come again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator

from api import create_app
from ledger.application import Ledger
from ledger.errors import NotFound
from ledger.gateways import GatewayAnswer
from ledger.gateways.sandbox import Sandbox
from ledger.gateways.signing import new_secret, sign
from ledger.rules.instants import to_iso
from ledger.settings import Settings
from ledger.store import open_store
from tests.given import PANADERIA, Desk

PATH = "/v1/gateway/events"
KEY = new_secret()
EVENT = {
    "reference": "C-1/r1-t1",
    "outcome": "succeeded",
    "at": "2026-02-01T00:00:02-06:00",
    "gateway_reference": "ch_1",
}
HEARD = GatewayAnswer("C-1/r1-t1", "succeeded", "2026-02-01T06:00:02.000000Z", "ch_1")


class Till:
    """The API over one ledger whose `settle` is a fake: it keeps what it was told, once each."""

    def __init__(self, url: str, secret: str) -> None:
        store = open_store(url)
        store.migrate(test_clock=True)
        store.close()
        self.told: list[GatewayAnswer] = []
        self.app = create_app(Settings(database_url=url, gateway_secret=secret))
        self.client: Any = self.app.test_client()

    def settle(self, answer: GatewayAnswer) -> dict[str, Any]:
        if not answer.reference.startswith("C-1/"):
            raise NotFound("unknown_account", account=answer.reference)
        recorded = int(answer not in self.told)
        self.told += [answer] * recorded
        return {"ok": True, "reference": answer.reference, "recorded": recorded}

    def send(self, event: Any = EVENT, *, id: str = "msg_1", late: int = 0, key: str = KEY, **headers: str) -> Any:
        """Send an event (bytes as they are), signed `late` seconds ago."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        signed = sign(key, id, to_iso(datetime.now(UTC) - timedelta(seconds=late)), body)
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(PATH, data=body, content_type="application/json", headers={**signed, **more})


@pytest.fixture(name="till")
def _till(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Till]:
    till = Till(store_url, KEY)
    monkeypatch.setattr(Ledger, "settle", lambda _ledger, answer: till.settle(answer), raising=False)
    yield till
    till.app.extensions["ledger"].close()


def problem(answer: Any) -> tuple[int, str]:
    assert answer.mimetype == "application/problem+json", answer.text
    return answer.status_code, answer.json["code"]


def test_a_signed_event_is_booked_without_a_token(till: Till) -> None:
    answer = till.send()
    assert (answer.status_code, answer.json) == (200, {"reference": "C-1/r1-t1", "recorded": 1})
    assert answer.headers["Cache-Control"] == "no-store"
    assert till.told == [HEARD]


def test_the_same_again_is_answered_and_changes_nothing(till: Till) -> None:
    for id, late in (("msg_1", 0), ("msg_1", 0), ("msg_1", 60), ("msg_2", 0)):
        assert till.send(id=id, late=late).status_code == 200
    assert till.told == [HEARD]


def test_a_refusal_says_why_and_whether_for_good(till: Till) -> None:
    event = {
        "reference": "C-1/a",
        "outcome": "refused",
        "at": "2026-02-01T06:00:00Z",
        "code": "stolen_card",
        "final": True,
    }
    assert till.send(event).status_code == 200
    assert till.told == [GatewayAnswer("C-1/a", "refused", "2026-02-01T06:00:00.000000Z", "", "stolen_card", True)]
    assert till.send({**event, "code": None, "final": None, "gateway_reference": ""}).status_code == 200
    assert till.told[1] == GatewayAnswer("C-1/a", "refused", "2026-02-01T06:00:00.000000Z")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"webhook_signature": ""}, "webhook_unsigned"),
        ({"webhook_id": ""}, "webhook_unsigned"),
        ({"webhook_timestamp": ""}, "webhook_unsigned"),
        ({"webhook_id": "msg_2"}, "webhook_signature_wrong"),
        ({"webhook_signature": "v1,bm9uc2Vuc2U="}, "webhook_signature_wrong"),
        ({"webhook_signature": "v1,ñ"}, "webhook_signature_wrong"),
    ],
)
def test_what_is_not_signed_is_not_heard(till: Till, headers: dict[str, Any], code: str) -> None:
    refused = till.send(**headers)
    assert problem(refused) == (401, code)
    assert refused.headers["WWW-Authenticate"].startswith("Standard-Webhooks ")
    assert till.told == []


def test_another_secret_does_not_do(till: Till) -> None:
    assert problem(till.send(key=new_secret())) == (401, "webhook_signature_wrong")


def test_the_body_is_signed_as_it_came(till: Till) -> None:
    signed = till.send(b'{"reference": "C-1/a"}').status_code
    assert signed == 422, "signed, so its fields are looked at"
    body = json.dumps(EVENT).encode()
    headers = sign(KEY, "msg_1", to_iso(datetime.now(UTC)), body)
    sent = till.client.post(PATH, data=body + b" ", content_type="application/json", headers=headers)
    assert problem(sent) == (401, "webhook_signature_wrong")
    assert till.told == []


@pytest.mark.parametrize("late", [400, -400])
def test_what_was_signed_long_ago_or_ahead_is_a_replay(till: Till, late: int) -> None:
    assert problem(till.send(late=late)) == (401, "webhook_too_old")
    assert till.told == []


def test_a_bearer_token_is_no_signature(till: Till) -> None:
    sent = till.client.post(PATH, json=EVENT, headers={"Authorization": "Bearer sl_anything"})
    assert problem(sent) == (401, "webhook_unsigned")


@pytest.mark.parametrize(
    ("event", "status", "fields"),
    [
        (b"{nonsense", 400, [""]),
        (b"[]", 400, [""]),
        (b'{"outcome": "succeeded", "outcome": "refused"}', 400, ["outcome"]),
        (b'{"outcome": "\xff"}', 400, [""]),
        (b"", 422, ["at", "outcome", "reference"]),
        ({}, 422, ["at", "outcome", "reference"]),
        ({**EVENT, "amount": "1.00"}, 422, ["amount"]),
        ({**EVENT, "outcome": "unknown"}, 422, ["outcome"]),
        ({**EVENT, "at": "2026-02-01", "final": "yes", "reference": 7}, 422, ["at", "final", "reference"]),
        ({**EVENT, "at": "2026-02-01T00:00:00"}, 422, ["at"]),
        ({**EVENT, "reference": "x" * 201, "code": "y" * 65}, 422, ["code", "reference"]),
        ({**EVENT, "gateway_reference": "4111" + "1111" * 3}, 422, ["gateway_reference"]),
    ],
)
def test_its_fields_are_looked_at_strictly(till: Till, event: Any, status: int, fields: list[str]) -> None:
    refused = till.send(event)
    assert problem(refused) == (status, "malformed")
    assert sorted(error["name"] for error in refused.json["errors"]) == fields
    assert "41111" not in refused.text
    assert till.told == []


def test_a_charge_that_nobody_asked_for_is_not_there(till: Till) -> None:
    assert problem(till.send({**EVENT, "reference": "C-404/r1"})) == (404, "unknown_account")


def test_other_ways_to_send_it_are_refused(till: Till) -> None:
    assert problem(till.client.post(PATH, data=b"x" * 300_000, content_type="application/json")) == (
        413,
        "body_too_large",
    )
    assert problem(till.client.post(PATH, data=b"a=1", content_type="text/plain")) == (415, "unsupported_media_type")
    assert problem(till.client.get(PATH)) == (401, "token_missing")
    assert problem(till.client.post(f"{PATH}/x", json={})) == (401, "token_missing")


@pytest.mark.parametrize(("secret", "code"), [("", "gateway_secret_missing"), ("whsec_short", "webhook_secret_wrong")])
def test_without_a_good_secret_the_server_says_what_is_missing(sqlite_url: str, secret: str, code: str) -> None:
    till = Till(sqlite_url, secret)
    refused = till.send()
    assert problem(refused) == (503, code)
    assert refused.headers["Retry-After"]
    assert "whsec_short" not in refused.text


def test_two_secrets_are_good_while_one_replaces_the_other(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old = new_secret()
    till = Till(sqlite_url, f"{KEY} {old}")
    monkeypatch.setattr(Ledger, "settle", lambda _ledger, answer: till.settle(answer), raising=False)
    assert [till.send(key=key).status_code for key in (old, KEY)] == [200, 200]
    till.app.extensions["ledger"].close()


def test_the_secret_comes_from_its_setting_and_is_not_shown(tmp_path: Path) -> None:
    settings = Settings.read({"LEDGER_GATEWAY_SECRET": KEY, "LEDGER_DATABASE_URL": f"sqlite:///{tmp_path}/l.db"})
    assert settings.gateway_secret == KEY
    assert KEY not in repr(settings)
    assert Settings.read({}).gateway_secret == ""


def test_the_document_says_what_it_takes_and_answers(till: Till) -> None:
    document = till.client.get("/openapi.json").json
    node = document["paths"][PATH]["post"]
    assert node["security"] == [{"webhook": []}]
    assert [p["name"] for p in node["parameters"]] == ["webhook-id", "webhook-timestamp", "webhook-signature"]
    taken = node["requestBody"]["content"]["application/json"]
    sent = {**taken["example"], "reference": "C-1/a"}
    answer = till.send(sent)
    assert answer.status_code == 200
    for schema, value in (
        (taken["schema"], taken["example"]),
        (node["responses"]["200"]["content"]["application/json"]["schema"], answer.json),
    ):
        assert list(OAS31Validator(schema).iter_errors(value)) == []
    assert all(property["description"] for property in taken["schema"]["properties"].values())


def test_a_lost_answer_is_booked_by_its_webhook_once_and_a_contradiction_beside_it(store_url: str) -> None:
    """With the ledger's own `settle`: what the gateway took is what the ledger has received, whatever is said again."""
    desk = Desk(store_url).at("2026-01-05 09:00").open()
    sandbox = desk.ledger.gateway
    assert isinstance(sandbox, Sandbox)
    app = create_app(Settings(database_url=store_url, gateway_secret=KEY))
    client: Any = app.test_client()

    def send(**event: Any) -> Any:
        body = json.dumps({"at": "2026-01-05T09:00:01-06:00", **event}).encode()
        headers = sign(KEY, "msg_1", to_iso(datetime.now(UTC)), body)
        return client.post(PATH, data=body, content_type="application/json", headers=headers)

    desk.do("card.register", account=PANADERIA, token="tok_ok")
    sandbox.script(PANADERIA, ["timeout_after_charge"])
    desk.do("plan.purchase", account=PANADERIA, level="basic", term="monthly", channel="web", pay_by="card")
    (kept,) = sandbox.requests(PANADERIA)
    assert (desk.billing()["received"], sandbox.taken()) == ("0.00", {"GTQ": 25_000})
    for event, added in (
        ({"outcome": "pending"}, False),
        ({"outcome": "succeeded", "gateway_reference": kept.gateway_reference}, True),
        ({"outcome": "succeeded", "gateway_reference": kept.gateway_reference}, False),
        ({"outcome": "refused", "code": "do_not_honor"}, True),
        ({"outcome": "refused", "code": "do_not_honor"}, False),
    ):
        before = desk.position
        assert send(reference=kept.reference, **event).status_code == 200, event
        assert (desk.position > before) is added, event
    assert (desk.billing()["received"], desk.state(), sandbox.taken()) == ("250.00", "in_force", {"GTQ": 25_000})
    for unknown in (f"{PANADERIA}/nothing", "C-404/nothing", "nothing", "/"):
        assert problem(send(reference=unknown, outcome="succeeded")) == (404, "unknown_attempt")
    app.extensions["ledger"].close()
    desk.close()
