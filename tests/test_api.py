"""HTTP at its edges: who before what, every wrong field, hostile bodies, keys, pages, tags, and a store that fails."""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from api import create_app
from ledger import tokens
from ledger.application import Ledger
from ledger.settings import Settings
from ledger.store import open_store
from ledger.texts import table

STAFF = {"agent": "ana", "finance": "carmen", "manager": "marta", "operator": "pedro", "auditor": "aurelia"}
PROBLEM = "application/problem+json"


class Office:
    """The API over one ledger, a token a role; the test clock stands at 2026-01-05 09:00 in Guatemala."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.ledger = Ledger(open_store(url))
        self.ledger.store.migrate(test_clock=True)
        self.at("2026-01-05T09:00:00-06:00")
        now = self.ledger.clock.now()
        self.tokens = {
            role: tokens.create(self.ledger.store, role=role, name=name, now=now) for role, name in STAFF.items()
        }
        self.app = create_app(Settings(database_url=url))
        self.client: Any = self.app.test_client()

    def at(self, instant: str) -> None:
        self.ledger.clock.move(datetime.fromisoformat(instant))

    def headers(self, role: str, **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[role]}", **{k.replace("_", "-"): v for k, v in more.items()}}

    def call(self, method: str, path: str, body: Any = None, role: str = "manager", **headers: str) -> Any:
        return self.client.open(path, method=method, json=body, headers=self.headers(role, **headers))

    def post(self, path: str, body: Any = None, role: str = "manager", **headers: str) -> Any:
        return self.call("POST", path, body or {}, role, **headers)

    def get(self, path: str, role: str = "manager", **headers: str) -> Any:
        return self.call("GET", path, None, role, **headers)

    def raw(self, path: str, body: bytes, kind: str = "application/json") -> Any:
        return self.client.post(path, data=body, content_type=kind, headers=self.headers("manager"))

    def account(self, number: str = "C-1") -> None:
        assert self.post("/v1/accounts", {"account": number, "name": "Panadería Ixchel"}).status_code == 201

    def close(self) -> None:
        self.app.extensions["ledger"].close()
        self.ledger.close()


@pytest.fixture(name="office")
def _office(store_url: str) -> Iterator[Office]:
    made = Office(store_url)
    yield made
    made.close()


@pytest.fixture(name="local")
def _local(sqlite_url: str) -> Iterator[Office]:
    made = Office(sqlite_url)
    yield made
    made.close()


# --- who, before what ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body", "kind"),
    [
        ("POST", "/v1/accounts", b"{nonsense", "application/json"),
        ("POST", "/v1/accounts", b"account=C-1", "application/x-www-form-urlencoded"),
        ("POST", "/v1/accounts", b"x" * 300_000, "application/json"),
        ("GET", "/v1/nothing", b"", None),
        ("PUT", "/v1/accounts", b"", None),
        ("GET", "/v1/accounts?limit=0", b"", None),
    ],
)
def test_without_a_token_nothing_else_is_told(
    local: Office, method: str, path: str, body: bytes, kind: str | None
) -> None:
    refused = local.client.open(path, method=method, data=body, content_type=kind)
    assert (refused.status_code, refused.mimetype, refused.json["code"]) == (401, PROBLEM, "token_missing")


def test_a_token_that_is_no_good_says_so(local: Office) -> None:
    refused = local.client.get("/v1/accounts", headers={"Authorization": "Bearer sl_nonsense"})
    assert (refused.status_code, refused.json["code"]) == (401, "token_unknown")
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]


def test_the_role_is_looked_at_before_the_fields(local: Office) -> None:
    refused = local.post("/v1/accounts/C-1/payments", {"amount": 1.5}, role="agent")
    assert (refused.status_code, refused.json["code"]) == (403, "role_not_allowed")
    assert refused.json["roles"] == "finance, manager, operator"


def test_a_token_is_looked_up_once_and_stops_soon_after_it_is_revoked(
    local: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = tokens.caller

    def counted(store: Any, secret: str) -> Any:
        asked.append(secret)
        return real(store, secret)

    monkeypatch.setattr(tokens, "caller", counted)
    assert [local.get("/v1/accounts").status_code for _ in range(5)] == [200] * 5
    assert len(asked) == 1
    local.ledger.store.revoke_token(local.tokens["manager"][:11], local.ledger.clock.now())
    monkeypatch.setattr("api.context._TOKEN_SECONDS", 0.0)
    later = time.monotonic() + 5.0
    monkeypatch.setattr("api.context.time.monotonic", lambda: later)
    assert local.get("/v1/accounts").status_code == 401


def test_probes_and_document_are_open(local: Office) -> None:
    assert {local.client.get(path).status_code for path in ("/livez", "/readyz", "/openapi.json", "/docs")} == {200}


# --- problems -----------------------------------------------------------------------------------------------------


def test_an_agent_finds_a_customer_by_a_part_of_the_name_without_capitals_or_accents(local: Office) -> None:
    for number, name in (("C-1", "Ferretería Peñón"), ("C-2", "FERRETERIA LA UNION"), ("X-3", "Óptica Ñandú")):
        assert local.post("/v1/accounts", {"account": number, "name": name}).status_code == 201

    def found(search: str) -> list[str]:
        answer = local.get(f"/v1/accounts?search={search}&limit=1", role="agent")
        numbers = [item["account"] for item in answer.json["items"]]
        while following := answer.json["next"]:
            answer = local.get(f"/v1/accounts?search={search}&limit=1&cursor={following}", role="agent")
            numbers += [item["account"] for item in answer.json["items"]]
        return numbers

    assert found("ferreteria") == ["C-1", "C-2"]
    assert (found("UNI%C3%93N"), found("nandu"), found("c-1"), found("%25")) == (["C-2"], ["X-3"], ["C-1"], [])


def test_every_wrong_field_is_told_at_once(local: Office) -> None:
    body = {"amount": "1.005", "method": "barter", "bänk/~": 1, "at": "yesterday"}
    refused = local.post("/v1/accounts/C-1/payments", body, role="finance", Accept_Language="en")
    assert refused.status_code == 422
    found = {error["pointer"]: (error["in"], error["value"]) for error in refused.json["errors"]}
    assert found == {
        "#/amount": ("body", "1.005"),
        "#/method": ("body", "barter"),
        "#/reference": ("body", None),
        "#/at": ("body", "yesterday"),
        "#/b%C3%A4nk~1~0": ("body", 1),
    }
    assert all(error["detail"].startswith("Field '") for error in refused.json["errors"])


def test_a_hostile_body_is_a_problem_and_no_mistake_of_ours(local: Office) -> None:
    opening = b'{"account": "C-1", "name": '
    for body, status, pointer in (
        (b'{"account": "C-1", "account": "C-2", "name": "x"}', 400, "#/account"),
        (opening + b"Infinity}", 400, "#"),
        (b'"C-1"', 400, "#"),
        (b"\xef\xbb\xbf" + opening + b'"x"}', 400, "#"),
        (opening + b'"\xc3"}', 400, "#"),
        (opening + b'"\\ud800"}', 422, "#/name"),
        (opening + b'"x", "\\ud800": 1}', 422, "#/%5Cud800"),
        (opening + b'"x", "body": 1}', 422, "#/body"),
        (opening + b'"a\\u0000b"}', 422, "#/name"),
        (opening + b"9" * 4000 + b"}", 422, "#/name"),
        (opening + b"18446744073709551616}", 422, "#/name"),
        (opening + b"9" * 5000 + b"}", 400, "#"),
        (opening + b"1e999}", 422, "#/name"),
        (opening + b"[" * 9000 + b"]" * 9000 + b"}", 400, "#"),
    ):
        refused = local.raw("/v1/accounts", body)
        assert (refused.status_code, refused.mimetype) == (status, PROBLEM), body[:80]
        assert refused.json["errors"][0]["pointer"] == pointer, body[:80]
    for depth in range(700, 1000):  # somewhere there the parser still reads it, and who shows it no longer could
        refused = local.raw("/v1/accounts", opening + b"[" * depth + b"]" * depth + b"}")
        assert refused.status_code in (400, 422), depth
    assert local.ledger.store.last_position() == 0


def test_a_parameter_stands_once_and_a_delete_has_no_body(local: Office) -> None:
    local.account()
    twice = local.get("/v1/accounts/C-1/balance?at=2026-01-05T10:00:00Z&at=2026-01-06T10:00:00Z")
    assert (twice.status_code, twice.json["errors"][0]["in"]) == (422, "query")
    silent = local.call("DELETE", "/v1/accounts/C-1/cancellation", {"reason": "x"})
    assert (silent.status_code, silent.json["code"]) == (400, "body_not_taken")


def test_what_http_refuses_keeps_its_headers(local: Office) -> None:
    refused = local.call("PATCH", "/v1/accounts/C-1/cancellation")
    assert (refused.status_code, refused.mimetype) == (405, PROBLEM)
    assert {"POST", "DELETE"} <= set(refused.headers["Allow"].split(", "))


def test_problems_speak_the_reader_s_language(local: Office) -> None:
    for wanted, language, words in (("en-GB,en;q=0.9", "en", "There is no account"), ("fr", "es-GT", "No existe")):
        refused = local.get("/v1/accounts/C-9/balance", Accept_Language=wanted)
        assert (refused.headers["Content-Language"], refused.headers["Vary"]) == (language, "Accept-Language")
        assert refused.json["detail"].startswith(words)


def test_the_type_of_every_problem_can_be_followed(local: Office) -> None:
    for code in ("malformed", "no_such_resource", "internal_error", "read_model_stopped", "behind", "no_plan"):
        assert table()[code]["en"] in local.client.get(f"/problems/{code}").text
    assert local.client.get("/problems/no_such_code").mimetype == PROBLEM


def test_our_own_mistake_tells_only_its_number(
    local: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(Ledger, "ask", broken)
    failed = local.get("/v1/accounts/C-1/balance", X_Request_Id="abc-1")
    assert (failed.status_code, failed.json["code"], failed.json["request_id"]) == (500, "internal_error", "abc-1")
    assert "hunter2" not in failed.text
    assert any("abc-1" in record.message for record in caplog.records)


def test_a_request_is_one_line_in_the_log_without_what_is_private(
    local: Office, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="supportledger.access")
    local.account("C-77")
    local.get("/v1/accounts/C-77/balance")
    lines = [record.getMessage() for record in caplog.records if record.name == "supportledger.access"]
    assert [line.split()[:3] for line in lines] == [
        ["POST", "/v1/accounts", "201"],
        ["GET", "/v1/accounts/<account>/balance", "200"],
    ]
    assert not any("C-77" in line or "sl_" in line or "Ixchel" in line for line in lines)


# --- keys ---------------------------------------------------------------------------------------------------------


def test_two_callers_may_use_the_same_key(office: Office) -> None:
    for role, number in (("manager", "C-1"), ("agent", "C-2")):
        made = office.post("/v1/accounts", {"account": number, "name": "x"}, role=role, Idempotency_Key="k")
        assert (made.status_code, "Idempotent-Replayed" in made.headers) == (201, False)


@pytest.mark.parametrize("key", ['"open', "a b", '""', "x" * 201, "ñ"])
def test_a_key_that_is_none_is_refused(local: Office, key: str) -> None:
    refused = local.post("/v1/accounts", {"account": "C-1", "name": "x"}, Idempotency_Key=key)
    assert (refused.status_code, refused.json["errors"][0]["in"]) == (422, "header")
    assert local.ledger.store.last_position() == 0


def test_a_decline_is_replayed_as_the_problem_it_was(office: Office) -> None:
    office.account()
    ticket = {"ticket": "T-1", "request": "general", "priority": "low"}
    first, again = (office.post("/v1/accounts/C-1/tickets", ticket, Idempotency_Key="x" * 200) for _ in range(2))
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (409, "true")
    assert {**again.json, "request_id": ""} == {**first.json, "request_id": ""}
    assert len(office.get("/v1/declines").json["items"]) == 1


def test_one_key_sent_by_many_at_once_opens_one_account(office: Office) -> None:
    start = threading.Barrier(8)
    answers: list[Any] = []

    def send() -> None:
        start.wait()
        client: Any = office.app.test_client()
        headers = office.headers("agent", Idempotency_Key='"once"')
        answers.append(client.post("/v1/accounts", json={"account": "C-1", "name": "x"}, headers=headers))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(a.status_code, a.json["position"]) for a in answers} == {(201, answers[0].json["position"])}
    assert sum("Idempotent-Replayed" in a.headers for a in answers) == 7


# --- reading ------------------------------------------------------------------------------------------------------


def test_a_page_keeps_its_filters_and_its_place_while_more_is_added(office: Office) -> None:
    for number in range(4):
        office.account(f"C-{number}")
        ticket = {"ticket": f"T-{number}", "request": "general", "priority": "low"}
        office.post(f"/v1/accounts/C-{number % 2}/tickets", ticket)
    page = office.get("/v1/declines?account=C-1&limit=1")
    office.post("/v1/accounts/C-1/tickets", {"ticket": "T-9", "request": "general", "priority": "low"})
    following = page.headers["Link"].split(";")[0].strip("<>")
    assert "account=C-1" in following
    rest = office.get(following.replace("limit=1", "limit=200")).json
    assert [item["ticket"] for item in page.json["items"] + rest["items"]] == ["T-1", "T-3", "T-9"]
    assert rest["next"] is None


def test_a_cursor_that_is_not_ours_is_refused(office: Office) -> None:
    for path, wrong in (("/v1/accounts", 7), ("/v1/declines", "C-1")):
        values: tuple[Any, ...] = (wrong, "a\x00", 2**70, -1, 1.5, None, [], "x" * 250)
        for held in values:
            cursor = base64.urlsafe_b64encode(json.dumps(held).encode()).decode().rstrip("=")
            refused = office.get(f"{path}?cursor={cursor}")
            assert (refused.status_code, refused.json["errors"][0]["name"]) == (422, "cursor"), (path, held)
    assert office.get("/v1/accounts?cursor=@@@").status_code == 422


def test_what_a_client_has_is_still_the_answer_a_moment_later(office: Office) -> None:
    office.account()
    office.ledger.clock.run()
    first = office.get("/v1/accounts/C-1/balance")
    time.sleep(0.002)
    later = office.get("/v1/accounts/C-1/balance")
    assert later.json["at"] != first.json["at"]
    assert later.headers["ETag"] != first.headers["ETag"]  # other bytes, another tag
    held = first.headers["ETag"]
    same = office.get("/v1/accounts/C-1/balance", If_None_Match=f'"other", W/{held}')
    assert (same.status_code, same.headers["ETag"], same.data) == (304, held, b"")
    courtesy = {"level": "basic", "units": 1, "reason": "disculpa"}
    assert office.post("/v1/accounts/C-1/courtesies", courtesy).status_code == 201
    assert office.get("/v1/accounts/C-1/balance", If_None_Match=held).json["remaining"] == 1


def test_a_list_refuses_at_once_what_the_log_does_not_have_yet(local: Office) -> None:
    started = time.monotonic()
    behind = local.get("/v1/tickets?min_position=7")
    assert (behind.status_code, behind.json["code"], behind.headers["Retry-After"]) == (503, "behind", "2")
    assert time.monotonic() - started < 1.0


def test_a_model_that_an_event_stopped_refuses_and_the_others_go_on(office: Office) -> None:
    office.account()
    office.post("/v1/accounts/C-1/tickets", {"ticket": "T-1", "request": "administrative", "priority": "low"})
    office.ledger.store.execute("UPDATE ledger_events SET topic = 'ticket.unheard_of' WHERE topic = 'ticket.opened'")
    stopped = office.get("/v1/tickets")
    assert (stopped.status_code, stopped.json["code"], stopped.json["name"]) == (503, "read_model_stopped", "tickets")
    assert office.get("/v1/accounts").json["items"][0]["account"] == "C-1"
    ready = office.client.get("/readyz")
    assert (ready.status_code, ready.json["ready"]) == (503, False)
    # The queue reads the same events; it is tried, and stops, once somebody looks.
    assert {"tickets"} <= {p["name"] for p in ready.json["projections"] if p["error"]} <= {"tickets", "queue"}


def test_money_and_instants_of_a_list_are_for_people_and_programs(office: Office) -> None:
    office.account()
    office.post("/v1/accounts/C-1/subscriptions", {"level": "basic", "term": "monthly", "channel": "web"})
    (entry,) = office.get("/v1/billing-entries?account=C-1&month=2026-01", role="finance").json["items"]
    assert (entry["amount"], entry["currency"], entry["occurred_at"]) == ("250.00", "GTQ", "2026-01-05T09:00:00-06:00")
    assert office.get("/v1/billing-entries?month=2025-12").json["items"] == []
    assert office.get("/v1/billing-entries?month=2026-13").status_code == 422
