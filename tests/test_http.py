"""Over HTTP: the thin slice from purchase to balance, every kind of problem, roles, keys, pages, the document."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from api import create_app
from ledger import tokens
from ledger.application import Ledger
from ledger.commands import COMMANDS, QUESTIONS
from ledger.settings import Settings
from ledger.store import open_store

MALFORMED = "malformed"
VENDOR = Path(__file__).resolve().parent.parent / "api" / "static" / "vendor"


class Desk:
    """A client of the API, one token a role; the test clock stands at 2026-01-05 09:00 in Guatemala."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.ledger = Ledger(open_store(url))
        self.ledger.store.migrate(test_clock=True)
        self.at("2026-01-05T09:00:00-06:00")
        self.app = create_app(Settings(database_url=url))
        self.client: FlaskClient = self.app.test_client()
        self.tokens = {
            role: tokens.create(self.ledger.store, role=role, name=name, now=self.ledger.clock.now())
            for role, name in (("agent", "ana"), ("finance", "carmen"), ("manager", "marta"), ("operator", "pedro"))
        }

    def at(self, instant: str) -> None:
        self.ledger.clock.move(datetime.fromisoformat(instant))

    def call(self, method: str, path: str, body: Any = None, *, role: str = "manager", **headers: str) -> Any:
        sent = {"Authorization": f"Bearer {self.tokens[role]}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        return self.client.open(path, method=method, json=body, headers=sent)

    def post(self, path: str, body: Any = None, **options: str) -> Any:
        return self.call("POST", path, body if body is not None else {}, **options)

    def open(self, path: str) -> Any:
        """GET without a token."""
        return self.client.get(path)

    def get(self, path: str, **options: str) -> Any:
        return self.call("GET", path, **options)

    def sold_and_paid(self, account: str = "C-1") -> None:
        assert self.post("/v1/accounts", {"account": account, "name": "Panadería Ixchel"}).status_code == 201
        plan = {"level": "basic", "term": "monthly", "channel": "web"}
        assert self.post(f"/v1/accounts/{account}/subscriptions", plan).status_code == 201
        paid = {"amount": "250.00", "method": "cash", "reference": f"R-{account}"}
        assert self.post(f"/v1/accounts/{account}/payments", paid, role="finance").status_code == 201


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Any:
    desk = Desk(store_url)
    yield desk
    services = desk.app.extensions["ledger"]
    services.projector.close()
    services.ledger.close()
    desk.ledger.close()


def test_from_a_purchase_to_a_balance(desk: Desk) -> None:
    desk.sold_and_paid()
    ticket = {"ticket": "T-1", "request": "general", "priority": "high", "subject": "No abre"}
    opened = desk.post("/v1/accounts/C-1/tickets", ticket, role="agent")
    assert (opened.status_code, opened.headers["Location"]) == (201, "/v1/tickets/T-1")
    answered = desk.post("/v1/tickets/T-1/responses", {"text": "Listo"}, role="agent")
    assert (answered.status_code, answered.json["verdict"]) == (200, "met")
    position = answered.json["position"]
    balance = desk.get(f"/v1/accounts/C-1/balance?min_position={position}", role="agent").json
    assert (balance["granted"], balance["used"], balance["remaining"]) == (5, 1, 4)
    report = desk.get(f"/v1/sla/report?by=agent&min_position={position}").json
    assert report["rows"] == [{"agent": "ana", "total": 1, "met": 1, "breached": 0, "open": 0, "excluded": 0}]
    assert desk.get("/v1/tickets/T-1").json["responded_by"] == "ana"


def test_a_declined_request_is_a_problem_with_its_row_and_its_record(desk: Desk) -> None:
    desk.post("/v1/accounts", {"account": "C-1", "name": "Café Atitlán"})
    ticket = {"ticket": "T-1", "request": "general", "priority": "low"}
    declined = desk.post("/v1/accounts/C-1/tickets", ticket, Accept_Language="en")
    assert (declined.status_code, declined.mimetype) == (409, "application/problem+json")
    assert (declined.json["code"], declined.json["type"]) == ("no_plan", "/problems/no_plan")
    assert declined.json["detail"].startswith("No plan is in force")
    listed = desk.get(f"/v1/declines?account=C-1&min_position={declined.json['position']}").json["items"]
    assert [(d["ticket"], d["code"], d["actor"]) for d in listed] == [("T-1", "no_plan", "marta")]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/v1/accounts/C-404/balance", None, 404, "unknown_account"),
        ("GET", "/v1/nothing", None, 404, "no_such_resource"),
        ("DELETE", "/v1/accounts/C-404/balance", None, 405, "method_not_allowed"),
        ("POST", "/v1/accounts", {"account": "C-9", "name": "x", "surprise": 1}, 422, "malformed"),
        ("POST", "/v1/accounts", {"account": "C-9"}, 422, "malformed"),
        ("POST", "/v1/accounts", {"account": "C-9", "name": "a\x00b"}, 422, "malformed"),
        ("POST", "/v1/accounts", {"account": "C-9", "name": "x" * 201}, 422, "malformed"),
        ("POST", "/v1/accounts", {"account": "a/b", "name": "x"}, 422, "malformed"),
        ("POST", "/v1/accounts", {"account": "C-9", "name": "x", "at": "2026-01-05"}, 422, "malformed"),
        ("POST", "/v1/accounts", {"account": "C-9", "name": "x", "at": "2027-01-05T00:00:00Z"}, 409, "in_the_future"),
        ("POST", "/v1/accounts", {"account": "C-1", "name": "x"}, 409, "duplicate_account"),
        ("POST", "/v1/accounts/C-1/payments", {"amount": 250.0, "method": "cash", "reference": "R"}, 422, "malformed"),
        ("POST", "/v1/accounts/C-1/payments", {"amount": "1.005", "method": "cash", "reference": "R"}, 422, MALFORMED),
        ("POST", "/v1/accounts/C-1/payments", {"amount": "-1.00", "method": "cash", "reference": "R"}, 422, MALFORMED),
        (
            "POST",
            "/v1/accounts/C-1/payments",
            {"amount": "1.00", "currency": "USD", "method": "cash", "reference": "R"},
            409,
            "wrong_currency",
        ),
        ("GET", "/v1/accounts/C-1/balance?at=2026-01-05T09:00:00", None, 422, "malformed"),
        ("GET", "/v1/accounts?cursor=nonsense", None, 422, "malformed"),
        ("GET", "/v1/accounts?limit=0", None, 422, "malformed"),
        ("GET", "/v1/sla/report?by=mood", None, 422, "malformed"),
    ],
)  # fmt: skip
def test_every_kind_of_problem(desk: Desk, method: str, path: str, body: Any, status: int, code: str) -> None:
    desk.post("/v1/accounts", {"account": "C-1", "name": "Ferretería Tikal"})
    before = desk.ledger.store.last_position()
    refused = desk.call(method, path, body)
    assert (refused.status_code, refused.json["code"], refused.mimetype) == (status, code, "application/problem+json")
    assert refused.json["detail"]
    assert desk.ledger.store.last_position() == before
    if status == 422:
        assert refused.json["errors"][0]["pointer"].startswith("#/")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"account": "C-1", "account": "C-2", "name": "x"}', "application/json", 400),
        (b'{"account": NaN}', "application/json", 400),
        (b"[1, 2]", "application/json", 400),
        (b"{nonsense", "application/json", 400),
        (b'{"name": "\xff"}', "application/json", 400),
        (b"[" * 5000, "application/json", 400),
        (b"account=C-1", "application/x-www-form-urlencoded", 415),
        (b'{"account": "' + b"x" * 300_000 + b'"}', "application/json", 413),
    ],
    ids=["name twice", "NaN", "array", "no JSON", "no UTF-8", "too deep", "form", "too large"],
)
def test_a_body_that_is_no_json_object(desk: Desk, body: bytes, kind: str, status: int) -> None:
    headers = {"Authorization": f"Bearer {desk.tokens['manager']}"}
    refused = desk.client.post("/v1/accounts", data=body, content_type=kind, headers=headers)
    assert (refused.status_code, refused.mimetype) == (status, "application/problem+json")


def test_without_a_good_token_nothing_is_answered(desk: Desk) -> None:
    for header in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic eDp5"}):
        refused = desk.client.get("/v1/accounts/C-1/balance", headers=header)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_role_may_do_only_its_own(desk: Desk) -> None:
    desk.sold_and_paid()
    paid = {"amount": "1.00", "method": "cash", "reference": "R-2"}
    assert desk.post("/v1/accounts/C-1/payments", paid, role="agent").status_code == 403
    courtesy = {"level": "basic", "units": 1, "reason": "disculpa"}
    assert desk.post("/v1/accounts/C-1/courtesies", courtesy, role="finance").status_code == 403
    assert desk.post("/v1/accounts/C-1/courtesies", courtesy, role="manager").status_code == 201
    assert desk.get("/v1/billing-entries", role="agent").status_code == 403


def test_the_same_key_gives_the_same_answer_once(desk: Desk) -> None:
    desk.sold_and_paid()
    body = {"level": "basic"}
    first = desk.post("/v1/accounts/C-1/add-ons", body, Idempotency_Key='"k-1"')
    again = desk.post("/v1/accounts/C-1/add-ons", body, Idempotency_Key="k-1")
    assert (again.status_code, again.json) == (first.status_code, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    other = desk.post("/v1/accounts/C-1/add-ons", {"level": "advanced"}, Idempotency_Key="k-1")
    assert (other.status_code, other.json["code"], other.json["field"]) == (409, "key_reused", "level")
    charges = desk.get("/v1/accounts/C-1/billing").json["charges"]
    assert sum(charge["kind"] == "addon" for charge in charges) == 1


def test_the_same_key_at_once_has_one_effect(desk: Desk) -> None:
    desk.sold_and_paid()
    answers: list[Any] = []
    start = threading.Barrier(8)

    def buy() -> None:
        start.wait()
        headers = {"Authorization": f"Bearer {desk.tokens['finance']}", "Idempotency-Key": "once"}
        answers.append(
            desk.app.test_client().post("/v1/accounts/C-1/add-ons", json={"level": "basic"}, headers=headers)
        )

    threads = [threading.Thread(target=buy) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(a.status_code, a.json["position"]) for a in answers} == {(201, answers[0].json["position"])}
    assert sum(a.headers.get("Idempotent-Replayed") == "true" for a in answers) == 7


def test_pages_hold_everything_once(desk: Desk) -> None:
    for number in range(7):
        desk.post("/v1/accounts", {"account": f"C-{number}", "name": "x"})
    seen, path = [], "/v1/accounts?limit=3"
    while path:
        page = desk.get(path)
        seen += [item["account"] for item in page.json["items"]]
        link = page.headers.get("Link", "")
        assert bool(link) == (page.json["next"] is not None)
        path = link.split(";")[0].strip("<>")
    assert seen == [f"C-{number}" for number in range(7)]


def test_a_list_is_right_though_no_job_has_run(desk: Desk) -> None:
    desk.sold_and_paid()
    desk.at("2026-03-01T09:00:00-06:00")
    (item,) = desk.get("/v1/accounts").json["items"]
    assert (item["state"], item["expired"], item["remaining"]) == ("lapsed", 5, 0)


def test_a_reader_ahead_of_the_log_is_told_to_come_back(desk: Desk) -> None:
    desk.sold_and_paid()
    behind = desk.get("/v1/accounts/C-1/balance?min_position=999999")
    assert (behind.status_code, behind.json["code"], behind.headers["Retry-After"]) == (503, "behind", "2")


def test_an_answer_that_the_client_has_is_not_sent_again(desk: Desk) -> None:
    desk.sold_and_paid()
    first = desk.get("/v1/accounts/C-1/billing")
    again = desk.get("/v1/accounts/C-1/billing", If_None_Match=f"W/{first.headers['ETag']}")
    assert (again.status_code, again.data) == (304, b"")


def test_ready_says_what_is_wrong(desk: Desk) -> None:
    assert desk.open("/readyz").json["ready"] is True
    desk.sold_and_paid()
    desk.ledger.store.execute("UPDATE ledger_events SET topic = 'account.unheard_of' WHERE topic = 'account.opened'")
    desk.get("/v1/accounts")
    ready = desk.open("/readyz")
    assert ready.status_code == 503
    assert "unheard_of" in " ".join(ready.json["problems"])


def test_the_document_is_valid_and_holds_every_command_and_question(desk: Desk) -> None:
    document = desk.open("/openapi.json").json
    validate(document)
    operations = {
        o["operationId"]: o for path in document["paths"].values() for o in path.values() if "operationId" in o
    }
    for command in COMMANDS.values():
        operation = operations[command.name.replace(".", "_")]
        assert operation["security"] == [{"bearer": []}]
        if command.method == "POST":
            reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            body = document["components"]["schemas"][reference.rsplit("/", 1)[1]]
            in_body = {f.name for f in command.fields if f"{{{f.name}}}" not in command.path}
            assert set(body["properties"]) == in_body | {"at", "reason"}
    for question in QUESTIONS:
        assert f"ask_{question}" in operations
    amount = document["components"]["schemas"]["payment_record_body"]["properties"]["amount"]
    assert (amount["type"], "pattern" in amount) == ("string", True)


def test_the_documentation_page_asks_no_other_host(desk: Desk) -> None:
    page = desk.open("/docs")
    assert page.status_code == 200
    assert b"://" not in page.data
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    for line in (VENDOR / "SHA256SUMS").read_text("utf-8").splitlines():
        digest, name = line.split()
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest


def test_serve_answers_and_drains_on_a_signal(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    desk = Desk(url)
    desk.sold_and_paid()
    desk.ledger.close()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "ledger.cli", "--database", url, "serve", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ}) as server:
        deadline = time.monotonic() + 20
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=2) as live:
                    assert json.load(live) == {"live": True}
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
            body = json.dumps({"account": "C-2", "name": "Hotel Xelajú"}).encode()
            head = (
                f"POST /v1/accounts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {desk.tokens['manager']}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            slow.sendall(head.encode() + body)
            server.send_signal(signal.SIGTERM)
            answer = b""
            while part := slow.recv(65536):
                answer += part
        assert answer.startswith(b"HTTP/1.1 201")
        assert server.wait(timeout=15) == 0
