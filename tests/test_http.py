"""Over HTTP: the thin slice from purchase to balance, every kind of problem, roles, keys and pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.test_api import Office

MALFORMED = "malformed"


class Desk(Office):
    """The API's office, with a customer that has bought and paid a plan."""

    def open(self, path: str) -> Any:
        """GET without a token."""
        return self.client.get(path)

    def sold_and_paid(self, account: str = "C-1") -> None:
        assert self.post("/v1/accounts", {"account": account, "name": "Panadería Ixchel"}).status_code == 201
        plan = {"level": "basic", "term": "monthly", "channel": "web"}
        assert self.post(f"/v1/accounts/{account}/subscriptions", plan).status_code == 201
        paid = {"amount": "250.00", "method": "cash", "reference": f"R-{account}"}
        assert self.post(f"/v1/accounts/{account}/payments", paid, role="finance").status_code == 201


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url)
    yield desk
    desk.close()


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
    counts = {"total": 1, "met": 1, "breached": 0, "open": 0, "excluded": 0, "met_bp": 10_000}
    assert report["rows"][0].items() >= {"agent": "ana", **counts}.items()
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
    assert "balances: read_model_stopped" in ready.json["problems"]
    assert {problem.split(": ")[1] for problem in ready.json["problems"]} == {"read_model_stopped"}
    assert "unheard_of" not in ready.text
    full = desk.get("/readyz", role="operator").json
    assert "unheard_of" in " ".join(full["problems"])
