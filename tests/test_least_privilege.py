"""Least privilege (DOMAIN.md): every route, for every role, against what is planted in a rich ledger.

The routes and their roles come from the document, so a new one is walked too; a new field without a sort fails.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from openapi_schema_validator import OAS31Validator

from api import create_app
from api.shapes import shapes
from ledger import tokens
from ledger.apply import answers
from ledger.cli import assemble
from ledger.commands import COMMANDS, QUESTIONS, ROLES
from ledger.facts import FACTS
from ledger.settings import Settings
from ledger.visibility import AS_ONE, FIELDS, KEPT_FROM, MONEY_FACTS, PLAN_FACTS, Sort, sort_of
from tests.test_api import STAFF, Office

# What is planted, each found nowhere else.
MONEY = (
    *("777.31", "17.77", "23.29", "43.21", "206.79", "19.73"),  # paid, discounted, refunded, part paid, due, credited
    *("BOLETA-CANARIA", "BANCO-CANARIO", "DEVOLUCION-CANARIA", "CHEQUE-CANARIO"),
    *("tok_ok", "sbx_", "0F8FAD5B-D9CB-469F-A165-70867728950E", "SERIE-CANARIA", "NUMERO-CANARIO"),
    "canaria@example.com",
)
TEXTS = ("ASUNTO-CANARIO", "NOTA-CANARIA", "RESPUESTA-CANARIA", "MOTIVO-CANARIO", "ESPERA-CANARIA")
ADMINISTRATIVE = "ASUNTO-ADMINISTRATIVO"
PEOPLE = ("lucrecia", "VENDEDORA-CANARIA", "marta", "carmen", "pedro")
SUMS = re.compile(r'"(-?[0-9]+\.[0-9]{2})"')
LIST_PRICES = {"0.00", "250.00", "223.21", "26.79", "600.00", "535.71", "64.29", "1500.00", "1339.29", "160.71"}

# Values for what a question must be told; one that is missing here fails the walk.
NEEDED = {"request": "general", "of": "addon", "month": "2026-01"}
BESIDE = {"of": {"level": "basic"}}


class Bank(Office):
    """An office with a second agent, and all that the agents were answered."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        now = self.ledger.clock.now()
        self.tokens["lucrecia"] = tokens.create(self.ledger.store, role="agent", name="lucrecia", now=now)
        self.told: list[tuple[str, bytes]] = []

    def done(self, path: str, body: Any = None, role: str = "manager", *, status: int = 0) -> Any:
        answer = self.post(f"/v1{path}", body, role)
        assert answer.status_code == status if status else answer.status_code < 300, (path, answer.json)
        if role == "agent":
            self.told.append((path, answer.data))
        return answer.json


def planted(office: Bank) -> None:
    """Fill a ledger with money, tokens, words and people."""
    done = office.done
    _money(office)
    ticket = {"request": "general", "priority": "high"}
    done("/accounts/C-1/tickets", {**ticket, "ticket": "T-1", "subject": TEXTS[0]}, "lucrecia")
    done("/tickets/T-1/notes", {"text": TEXTS[1]}, "lucrecia")
    done("/tickets/T-1/responses", {"text": TEXTS[2]}, "lucrecia")
    done("/tickets/T-1/waits", {"text": TEXTS[4]}, "lucrecia")
    done("/tickets/T-1/exclusions", {"reason": TEXTS[3]}, "manager")
    done("/accounts/C-1/tickets", {**ticket, "ticket": "T-2", "subject": TEXTS[0]}, "agent")
    done("/tickets/T-2/responses", {"text": TEXTS[2]}, "agent")
    done("/accounts/C-1/tickets", {**ticket, "ticket": "T-3", "subject": TEXTS[0], "priority": "low"}, "lucrecia")
    body = {"ticket": "T-4", "request": "administrative", "priority": "low", "subject": ADMINISTRATIVE}
    done("/accounts/C-1/tickets", body, "agent")
    done("/tickets/T-2/exclusions", {"reason": "caso duplicado"}, "agent")  # R-1
    refund = {"payment": "C-1-P1", "amount": "300.00", "method": "transfer", "reference": "R-9", "reason": "lo pidió"}
    done("/accounts/C-1/refunds", refund, "finance")  # R-2
    office.at("2026-02-08T10:00:00-06:00")
    done("/accounts/C-2/tickets", {**ticket, "ticket": "T-5"}, "agent", status=409)
    done("/accounts/C-2/add-ons", {"level": "basic"}, "agent", status=409)
    done("/accounts/C-1/subscriptions", {"level": "basic", "term": "monthly", "channel": "web"}, "agent", status=409)
    done("/accounts/C-1/add-ons", {"level": "basic"}, "agent")
    office.at("2026-02-10T10:00:00-06:00")
    done("/sla/reports", {"month": "2026-01"})


def _money(office: Bank) -> None:
    done = office.done
    plan = {"level": "basic", "term": "monthly", "channel": "salesperson", "salesperson": PEOPLE[1]}
    for number in ("C-1", "C-2", "C-3"):
        done("/accounts", {"account": number, "name": f"Panadería {number}"}, "agent")
        done(f"/accounts/{number}/subscriptions", plan, "finance")
    slip = {"amount": "777.31", "method": "deposit", "reference": "BOLETA-CANARIA", "bank": "BANCO-CANARIO"}
    done("/accounts/C-1/payments", slip, "finance")
    refund = {"payment": "C-1-P1", "amount": "23.29", "method": "transfer", "reference": "DEVOLUCION-CANARIA"}
    done("/accounts/C-1/refunds", {**refund, "reason": "lo pidió"})
    done("/accounts/C-1/credit-notes", {"charge": "C-1-S1-p", "amount": "19.73", "reason": "acuerdo"})
    certified = {"document": "F-1", "uuid": MONEY[12], "series": "SERIE-CANARIA", "number": "NUMERO-CANARIO"}
    done("/accounts/C-1/certifications", certified, "finance")
    for number in ("C-1", "C-2", "C-3"):
        done(f"/accounts/{number}/contact", {"email": "canaria@example.com"}, "finance")
    paid = {"amount": "250.00", "method": "cheque", "reference": "CHEQUE-CANARIO"}
    done("/accounts/C-2/payments", paid, "finance")
    done("/accounts/C-2/payments", {"amount": "43.21", "method": "cash", "reference": "R-2"}, "finance")
    done("/accounts/C-3/discounts", {"charge": "C-3-S1-p", "amount": "17.77", "reason": "acuerdo"})
    done("/accounts/C-3/cards", {"token": "tok_ok"}, "finance")
    done("/accounts/C-3/add-ons", {"level": "basic"}, "finance", status=409)
    done("/accounts/C-3/payments", {"amount": "250.00", "method": "cash", "reference": "R-3"}, "finance")
    done("/accounts/C-3/payment-methods", {"pay_by": "card"}, "finance")
    done("/accounts/C-3/add-ons", {"level": "basic"}, "finance")
    done("/accounts/C-3/add-ons", {"level": "basic"}, "agent", status=403)


@pytest.fixture(name="document", scope="module")
def _document() -> Any:
    client = create_app(Settings(database_url="sqlite:///nowhere.db")).test_client()
    return client.get("/openapi.json").json


@pytest.fixture(name="office")
def _office(store_url: str) -> Iterator[Bank]:
    made = Bank(store_url)
    planted(made)
    yield made
    made.close()


def reading(document: Any) -> Iterator[tuple[str, Any]]:
    """Give every path that is read with a token, and its node."""
    for path, item in document["paths"].items():
        if path.startswith("/v1/") and "get" in item:
            yield path, {**item["get"], "path": [p["name"] for p in item.get("parameters", [])]}


def urls(path: str, node: Any) -> Iterator[str]:
    """Give the addresses that a path stands for here, with all that must be told."""
    query = [p["name"] for p in node.get("parameters", []) if p.get("in") == "query" and p["required"]]
    given = {name: NEEDED[name] for name in query} | {k: v for name in query for k, v in BESIDE.get(name, {}).items()}
    tail = "?" + "&".join(f"{name}={value}" for name, value in given.items()) if given else ""
    values = {
        "account": ("C-1", "C-2", "C-3"),
        "ticket": ("T-1", "T-2", "T-3", "T-4"),
        "month": ("2026-01",),
        "request": ("R-1", "R-2"),
    }
    (name,) = node["path"] or ("",)
    for value in values[name] if name else ("",):
        yield path.replace(f"{{{name}}}", value) + tail
    if path == "/v1/tickets":
        yield f"{path}?account=C-1"
    if path == "/v1/sla/report":
        yield f"{path}?by=agent&breaches=true"


def seen(told: bytes, planted: tuple[str, ...]) -> list[str]:
    return [canary for canary in planted if canary.encode() in told]


# --- over HTTP ------------------------------------------------------------------------------------------------------


def test_no_byte_of_an_answer_tells_a_role_what_it_may_not_see(office: Bank, document: Any) -> None:
    asked, whole = 0, b""
    for path, node in reading(document):
        for url in urls(path, node):
            for role in ROLES:
                answer = office.get(url, role=role)
                allowed = role in node["x-roles"]
                others = ("not_your_case", "unknown_request")
                own = role in KEPT_FROM and answer.status_code in (403, 404) and answer.json["code"] in others
                # A question may be refused by the rules too: its bytes are looked at all the same.
                assert (answer.status_code in (200, 409)) == (allowed and not own), (url, role, answer.json)
                asked += 1
                if role == "agent":
                    assert seen(answer.data, MONEY) == [], (url, role)
                    assert set(SUMS.findall(answer.text)) <= LIST_PRICES, (url, role)
                    assert seen(answer.data, PEOPLE) == [], (url, role)
                if role == "finance":
                    assert seen(answer.data, TEXTS) == [], (url, role)
                if role == "manager":
                    whole += answer.data
    assert asked > 150
    everything = (*MONEY, *TEXTS, *PEOPLE, ADMINISTRATIVE)
    missing = set(everything) - set(seen(whole, everything))
    assert missing <= {"pedro", "206.79"}, "what is planted is there to be seen"


def test_no_answer_to_a_command_tells_an_agent_an_amount(office: Bank) -> None:
    assert len(office.told) >= 11
    codes = [json.loads(told).get("code") for _path, told in office.told]
    assert codes.count("payment_due") == 2, "on C-2, which owes Q206.79"
    for path, told in office.told:
        assert seen(told, MONEY) == [], path
        assert set(SUMS.findall(told.decode())) <= LIST_PRICES, path
        assert seen(told, PEOPLE) == [], path


def test_answers_have_the_shape_that_the_document_gives_whoever_asks(office: Bank, document: Any) -> None:
    for path, node in reading(document):
        schema = node["responses"]["200"]["content"]["application/json"]["schema"]
        for url in urls(path, node):
            for role in node["x-roles"]:
                answer = office.get(url, role=role)
                if answer.status_code == 200:
                    validator = OAS31Validator({**schema, "components": document["components"]})
                    assert [error.message for error in validator.iter_errors(answer.json)] == [], (url, role)


def test_an_auditor_reads_everything_and_changes_nothing(office: Bank, document: Any) -> None:
    for path, node in reading(document):
        for url in urls(path, node):
            told, whole = office.get(url, role="auditor"), office.get(url, role="operator")
            assert told.status_code == whole.status_code in (200, 409), url
            assert _timeless(told.json) == _timeless(whole.json), url
    for path, item in document["paths"].items():
        for method, node in item.items():
            if method in ("post", "delete") and path.startswith("/v1/") and "x-roles" in node:
                answer = office.call(
                    method.upper(), path.format(account="C-1", ticket="T-1", request="R-1"), None, "auditor"
                )
                assert (answer.status_code, answer.json["code"]) == (403, "role_not_allowed"), path


def _timeless(answer: Any) -> Any:
    return {name: value for name, value in answer.items() if name not in ("at", "now", "position", "request_id")}


def test_an_agent_serves_any_customer_and_looks_over_their_own_cases(office: Bank) -> None:
    own = office.get("/v1/tickets", role="agent").json["items"]
    assert [row["ticket"] for row in own] == ["T-2", "T-3", "T-4"], "theirs, and those that nobody holds"
    served = {row["ticket"]: row for row in office.get("/v1/tickets?account=C-1", role="agent").json["items"]}
    assert list(served) == ["T-1", "T-2", "T-3", "T-4"]
    assert not {"agent", "responded_at", "verdict_level", "channel", "excluded"} & served["T-1"].keys()
    assert served["T-2"]["agent"] == "ana"
    assert served["T-2"]["responded_at"]
    everybody = {row["agent"] for row in office.get("/v1/tickets", role="manager").json["items"]}
    assert everybody == {"ana", "lucrecia", None}
    found = office.get("/v1/sla/report?by=agent&agent=lucrecia", role="agent").json
    assert (found["agent"], [row["agent"] for row in found["rows"]]) == ("ana", ["ana"])
    case = office.get("/v1/tickets/T-1", role="agent").json
    assert case["subject"] == TEXTS[0]
    assert "responded_by" not in case


def test_an_agent_is_told_whether_a_customer_is_up_to_date(office: Bank) -> None:
    standing = {
        number: office.get(f"/v1/accounts/{number}", role="agent").json["standing"] for number in ("C-1", "C-2", "C-3")
    }
    assert standing["C-2"] == "pending"
    billing = office.get("/v1/accounts/C-2/billing", role="agent").json
    assert billing == {"account": "C-2", "at": billing["at"], "currency": "GTQ", "standing": "pending"}
    topics = {entry["event"] for entry in office.get("/v1/accounts/C-3/history", role="agent").json["entries"]}
    assert topics <= PLAN_FACTS | {"decline.recorded"}
    assert "account.plan_renewed" in topics


def test_finance_reads_what_was_written_in_administrative_cases_alone(office: Bank) -> None:
    rows = {row["ticket"]: row for row in office.get("/v1/tickets", role="finance").json["items"]}
    assert {ticket: row.get("subject") for ticket, row in rows.items()} == {
        **dict.fromkeys(("T-1", "T-2", "T-3")),
        "T-4": ADMINISTRATIVE,
    }
    entries = office.get("/v1/accounts/C-1/history", role="finance").json["entries"]
    assert [e["subject"] for e in entries if e["event"] == "ticket.opened" and "subject" in e] == [ADMINISTRATIVE]
    assert any(e["event"] == "account.payment_recorded" and e["reference"] == "BOLETA-CANARIA" for e in entries)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/accounts/C-1/upgrades", {"level": "advanced"}),
        ("/accounts/C-1/downgrades", {"level": "basic"}),
        ("/accounts/C-1/term-changes", {"term": "yearly"}),
        ("/accounts/C-1/cards", {"token": "tok_ok"}),
        ("/accounts/C-1/payment-methods", {"pay_by": "card"}),
        ("/accounts/C-1/licence-renewals", {"licence_until": "2027-01-01"}),
        ("/accounts/C-1/credit-notes", {"charge": "C-1-S1-p", "amount": "1.00", "reason": "x"}),
        ("/accounts/C-4/subscriptions", {"level": "basic", "term": "monthly", "channel": "web", "pay_by": "card"}),
        (
            "/accounts/C-4/subscriptions",
            {"level": "basic", "term": "monthly", "channel": "licence", "licence_until": "2027-01-01"},
        ),
    ],
)
def test_an_agent_touches_no_card_payment_or_correction(office: Bank, path: str, body: Any) -> None:
    before = office.ledger.store.last_position()
    refused = office.post(f"/v1{path}", body, role="agent")
    assert (refused.status_code, refused.json["code"][:9]) == (403, "role_not_")
    assert office.ledger.store.last_position() == before


def test_an_agent_sells_by_hand_and_records_a_cancellation_in_time(office: Bank) -> None:
    plan = {"level": "basic", "term": "monthly", "channel": "web", "pay_by": "manual"}
    assert office.post("/v1/accounts", {"account": "C-4", "name": "x"}, role="agent").status_code == 201
    sold = office.post("/v1/accounts/C-4/subscriptions", plan, role="agent")
    assert (sold.status_code, sold.json["charge"]["gross"]) == (201, "250.00")
    office.done("/accounts/C-4/payments", {"amount": "250.00", "method": "cash", "reference": "R-4"}, "finance")
    ended = office.post("/v1/accounts/C-4/cancellation", {}, role="agent")
    assert (ended.status_code, ended.json["ends_on"]) == (200, "2026-03-10")


def test_neither_roles_tag_answers_the_others_question(office: Bank) -> None:
    url = "/v1/accounts/C-1/coverage?request=general"
    tags = {role: office.get(url, role=role).headers["ETag"] for role in ("agent", "manager")}
    assert len(set(tags.values())) == 2
    assert office.get(url, role="agent", If_None_Match=tags["manager"]).status_code == 200
    assert office.get(url, role="agent", If_None_Match=tags["agent"]).status_code == 304
    assert "Authorization" in office.get(url, role="agent").headers["Vary"]


# --- the same in apply ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["agent", "finance", "auditor"])
def test_apply_tells_a_role_what_http_tells_it(office: Bank, role: str) -> None:
    instant = "2026-02-10T10:00:00-06:00"
    for ask, where in (("history", "accounts/C-1/history"), ("billing", "accounts/C-2/billing")):
        line = {"ask": ask, "account": where[9:12], "at": instant, "role": role, "as": STAFF[role]}
        (told,) = answers(office.ledger, [json.dumps(line).encode()], lang="en")
        url = f"/v1/{where}?at=2026-02-10T10:00:00-06:00"
        assert {k: v for k, v in told.items() if k not in ("n", "ok")} == office.get(url, role=role).json
    line = {"ask": "payments", "account": "C-1", "role": role, "as": STAFF[role]}
    (told,) = answers(office.ledger, [json.dumps(line).encode()], lang="en")
    assert told["ok"] is (role != "agent")


# --- every field has a sort -----------------------------------------------------------------------------------------


def undeclared(name: str, schema: Any) -> Iterator[tuple[str, str]]:
    for field, member in schema.get("properties", {}).items():
        sort = sort_of(name, field)
        if sort is None:
            yield name, field
        elif not sort & Sort.WHOLE:
            yield from undeclared(name, member)
    for inner in (schema.get("items"), *schema.get("anyOf", ())):
        if inner:
            yield from undeclared(name, inner)


def test_every_field_of_every_answer_has_a_sort() -> None:
    found = [pair for name, shape in shapes().items() if name not in AS_ONE for pair in undeclared(name, shape)]
    assert found == [], "say in ledger/visibility.py what it holds: until then agents and finance are not told"


def test_every_fact_and_its_fields_have_a_sort() -> None:
    own = {topic: fact for topic, fact in FACTS.items() if topic.partition(".")[0] in ("account", "ticket", "decline")}
    fields = {field.name for fact in own.values() for field in msgspec.structs.fields(fact)}
    assert fields - FIELDS.keys() == {"customer_no", "occurred_at"} - FIELDS.keys()
    assert {topic for topic in own if topic.startswith("account.")} == MONEY_FACTS | PLAN_FACTS
    assert not MONEY_FACTS & PLAN_FACTS


def test_whoever_is_told_an_answer_as_one_sees_all_or_only_their_own() -> None:
    for name in AS_ONE - {"approvals", "approval"}:  # who sees which request stands with them (ledger/approvals.py)
        question = QUESTIONS[name]
        limited = question.roles & KEPT_FROM.keys()
        assert limited <= {"agent"}, name
        assert not limited or question.own, name


def test_every_entry_says_which_roles_may_call_it() -> None:
    assert all(command.roles <= set(ROLES) - {"auditor"} for command in COMMANDS.values())
    assert all(question.roles >= {"manager", "operator", "auditor"} for question in QUESTIONS.values())


def test_the_command_line_tells_the_holder_of_a_token_what_their_role_may_see(
    office: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.touch(mode=0o600)
    monkeypatch.setenv("LEDGER_TOKEN_FILE", str(file))
    told = {}
    for role in ("agent", "finance"):
        file.write_text(office.tokens[role], "ascii")
        words = ["--database", office.url, "--lang", "en", "billing", "C-2", "--json"]
        told[role] = json.loads(CliRunner().invoke(assemble(), words).stdout)
    assert told["agent"].keys() == {"account", "at", "currency", "standing"}
    assert told["finance"]["due"] == "206.79"
