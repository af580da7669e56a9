"""The document: valid, complete, and true: its examples are replayed, real answers are held against its shapes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from api import create_app
from api.document import steps
from api.errors import status_of
from api.refusals import Unacceptable, Unauthorised, Unreadable
from api.vocabulary import REASON
from ledger.commands import AT, COMMANDS, NEED_REASON, QUESTIONS, ROLES
from ledger.errors import Conflict, LedgerError, Malformed, NotFound, Refused, Unavailable
from ledger.fields import Field
from ledger.settings import Settings
from ledger.texts import table
from tests.test_api import Office

VENDOR = Path(__file__).resolve().parent.parent / "api" / "static" / "vendor"
LISTS = {
    "list_accounts": {"search", "limit", "cursor", "min_position"},
    "list_tickets": {"account", "limit", "cursor", "min_position"},
    "list_declines": {"account", "limit", "cursor", "min_position"},
    "list_billing_entries": {"account", "month", "limit", "cursor", "min_position"},
}


@pytest.fixture(name="document", scope="module")
def _document() -> Any:
    client = create_app(Settings(database_url="sqlite:///nowhere.db")).test_client()
    return client.get("/openapi.json").json


@pytest.fixture(name="operations", scope="module")
def _operations(document: Any) -> dict[str, Any]:
    """Each operation by its id, with its path and its method, path parameters beside its own."""
    return {
        node["operationId"]: {
            **node,
            "path": path,
            "method": method,
            "parameters": [resolved(document, p) for p in [*item.get("parameters", []), *node.get("parameters", [])]],
        }
        for path, item in document["paths"].items()
        for method, node in item.items()
        if method != "parameters"
    }


def resolved(document: Any, node: Any) -> Any:
    """Return what a node refers to, itself when it is no reference."""
    while "$ref" in node:
        reference = node["$ref"]
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    return node


def parameters(operation: Any, place: str) -> dict[str, Any]:
    return {p["name"]: p for p in operation["parameters"] if p["in"] == place}


def assert_fields(found: dict[str, Any], required: set[str], fields: list[Field]) -> None:
    """Compare names, kinds and what is required with the definitions."""
    assert set(found) == {field.name for field in fields}
    assert required == {field.name for field in fields if field.required}
    for field in fields:
        seen = dict(found[field.name])
        if isinstance(seen["type"], list):  # of a body: null counts as left out
            assert not field.required
            seen["type"] = next(kind for kind in seen["type"] if kind != "null")
            seen |= {"enum": [word for word in seen["enum"] if word is not None]} if "enum" in seen else {}
        assert field.kind.schema().items() <= seen.items()
        assert found[field.name]["description"]


def test_the_document_is_valid(document: Any) -> None:
    validate(document)
    assert document["openapi"] == "3.1.0"
    for schema in document["components"]["schemas"].values():
        OAS31Validator.check_schema(schema)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_stands_in_it_with_its_fields(document: Any, operations: Any, name: str) -> None:
    command = COMMANDS[name]
    operation = operations[name.replace(".", "_")]
    assert (operation["path"], operation["method"]) == (f"/v1{command.path}", command.method.lower())
    in_path = set(re.findall(r"{(\w+)}", command.path))
    assert {p["name"] for p in operation["parameters"] if p["in"] == "path"} == in_path
    fields = [
        *(field for field in command.fields if field.name not in {*in_path, "approver"}),
        AT,
        Field("reason", REASON.kind, required=name in NEED_REASON),
    ]
    if command.method == "POST":
        reference = operation["requestBody"]["content"]["application/json"]["schema"]
        body = resolved(document, reference)
        assert body["additionalProperties"] is False
        assert_fields(body["properties"], set(body.get("required", ())), fields)
        assert operation["requestBody"]["required"] is bool(body.get("required"))
    else:
        assert set(parameters(operation, "query")) == {field.name for field in fields}
    assert "Idempotency-Key" in parameters(operation, "header")


@pytest.mark.parametrize("name", [*(f"ask_{name}" for name in QUESTIONS), *LISTS])
def test_a_question_stands_in_it_with_its_fields(operations: Any, name: str) -> None:
    operation = operations[name]
    found = parameters(operation, "query")
    if name in LISTS:
        assert set(found) == LISTS[name]
    else:
        question = QUESTIONS[name.removeprefix("ask_")]
        assert operation["path"] == f"/v1{question.path}"
        in_path = parameters(operation, "path")
        fields = [field for field in question.fields if field.name not in in_path]
        asked = {n: {**p["schema"], "description": p.get("description")} for n, p in found.items()}
        required = {n for n, p in found.items() if p["required"]}
        del asked["min_position"]
        assert_fields(asked, required, fields)
    assert "X-Position-At-Least" in parameters(operation, "header")


def test_every_operation_says_who_may_and_what_may_come_out(document: Any, operations: Any) -> None:
    schemes = document["components"]["securitySchemes"]
    assert schemes["bearer"] == {"type": "http", "scheme": "bearer"}
    assert schemes["webhook"]["name"] == "webhook-signature"
    for operation in operations.values():
        if operation["tags"] == ["server"]:
            assert operation["security"] == []
            continue
        assert operation["security"] == [{"webhook" if operation["tags"] == ["gateway"] else "bearer": []}]
        for status, reference in operation["responses"].items():
            response = resolved(document, reference)
            if status[0] in "45":
                content = response["content"]["application/problem+json"]
                code = content["example"]["code"]
                assert code in table()
                assert content["example"]["type"] == f"/problems/{code}"
                whole, told = content["schema"]["allOf"]
                assert whole == {"$ref": "#/components/schemas/Problem"}
                assert code in told["properties"]["code"]["enum"]
                assert set(told["properties"]["code"]["enum"]) <= set(table())
            elif status != "304":
                assert response["content"]["application/json"]["example"], operation["operationId"]
        least = {"401", "422", "500", "503"} | ({"403"} if operation["tags"] != ["gateway"] else set())
        assert least <= set(operation["responses"])


# --- it is true ---------------------------------------------------------------------------------------------------


@pytest.fixture(name="office")
def _office(store_url: str) -> Iterator[Office]:
    made = Office(store_url)
    yield made
    made.close()


def test_the_examples_are_what_comes_out(office: Office, document: Any, operations: Any) -> None:
    """From purchase through payment and ticket to balance, every command and question once, on both stores."""
    seen = set()
    for step in steps():
        if "clock" in step:
            office.at(step["clock"])
            continue
        answer = office.call(step["method"], step["path"], step.get("body"), role=step["role"])
        found = {name: value for name, value in answer.json.items() if name != "request_id"}
        if "made_with" in found:  # the versions of another machine
            assert found["made_with"].keys() == step["answer"]["made_with"].keys()
            found["made_with"] = step["answer"]["made_with"]
        assert (answer.status_code, found) == (step["status"], step["answer"]), step["path"]
        response = resolved(document, operations[step["operation"]]["responses"][str(answer.status_code)])
        content = response["content"][answer.mimetype]
        schema = {**content["schema"], "components": document["components"]}
        wrong = [error.message for error in OAS31Validator(schema).iter_errors(answer.json)]
        assert wrong == [], step["operation"]
        seen.add(step["operation"])
    assert seen == set(operations) - {"livez", "readyz", "gateway_event"}


def test_answers_of_every_state_have_the_shapes_of_the_document(office: Office, document: Any) -> None:
    """What the examples do not show: no plan, past due, lapsed, a licence, open and breached cases, no target."""
    schemas = document["components"]["schemas"]

    def holds(path: str, name: str) -> Any:
        answer = office.get(path).json
        schema = {**schemas[f"{name}_answer"], "components": document["components"]}
        assert [error.message for error in OAS31Validator(schema).iter_errors(answer)] == [], path
        return answer

    office.account()
    paid = {"amount": "250.00", "method": "cash", "reference": "R-1"}
    states = [holds("/v1/accounts/C-1/balance", "balance")["state"]]
    office.post("/v1/accounts/C-1/subscriptions", {"level": "basic", "term": "monthly", "channel": "web"})
    states.append(holds("/v1/accounts/C-1/balance", "balance")["state"])
    office.post("/v1/accounts/C-1/payments", paid)
    for number, request in (("T-1", "general"), ("T-2", "administrative")):
        office.post("/v1/accounts/C-1/tickets", {"ticket": number, "request": request, "priority": "high"})
    for instant in ("2026-01-05T09:30:00-06:00", "2026-02-07T09:00:00-06:00", "2026-03-07T09:00:00-06:00"):
        office.at(instant)
        states.append(holds("/v1/accounts/C-1/balance", "balance")["state"])
        for path, name in (("account", ""), ("billing", "/billing"), ("history", "/history")):
            holds(f"/v1/accounts/C-1{name}", path)
        for request in ("administrative", "general", "training", "terminal"):
            holds(f"/v1/accounts/C-1/coverage?request={request}&priority=low", "coverage")
        for number in ("T-1", "T-2"):
            holds(f"/v1/tickets/{number}", "ticket")
        for name in ("accounts", "tickets", "declines", "billing-entries"):
            holds(f"/v1/{name}", f"list_{name.replace('-', '_')}")
        for by in ("level", "priority,agent", "month"):
            holds(f"/v1/sla/report?by={by}&raw=true&breaches=true", "report")
    assert states == ["none", "pending", "in_force", "past_due", "lapsed"]


def test_who_may_is_what_the_definitions_say(office: Office) -> None:
    """Each role at each command: 403 exactly where the definition leaves it out."""
    for command in COMMANDS.values():
        path = f"/v1{command.path}".format(account="C-404", ticket="T-404", request="R-404")
        for role in ROLES:
            answer = office.call(command.method, path, {} if command.method == "POST" else None, role=role)
            assert (answer.status_code == 403) == (role not in command.roles), (command.name, role)


def test_no_refusal_is_left_without_a_status() -> None:
    wrong = Malformed("f", 1, "remedy_text")
    statuses = {
        401: Unauthorised("token_missing"),
        403: Refused("role_not_allowed"),
        404: NotFound("unknown_account"),
        400: Unreadable("", 1, "remedy_body"),
        422: Unacceptable([wrong]),
        503: Unavailable("behind"),
        500: LedgerError("unheard_of"),
    }
    assert {status_of(error): error for error in statuses.values()} == statuses
    assert [status_of(e) for e in (wrong, Refused("too_late"), Conflict("duplicate_account"))] == [422, 409, 409]


# --- the page -----------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a page loads, and what it runs by itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.loaded += [str(given[name]) for name in ("src", "href") if name in given and tag != "a"]
        self.inline += [name for name in given if name.startswith("on")]
        self._in_script = tag == "script"

    def handle_data(self, data: str) -> None:
        if self._in_script and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False


def test_the_page_loads_only_files_of_ours_and_runs_nothing_inline() -> None:
    client: Any = create_app(Settings(database_url="sqlite:///nowhere.db")).test_client()
    shown = client.get("/docs")
    page = Page(shown.text)
    assert (shown.status_code, page.inline) == (200, [])
    local = [path for path in page.loaded if path != "data:,"]
    assert len(local) == 3
    for path in local:
        assert path.startswith("/static/")
        assert client.get(path, buffered=True).status_code == 200
    policy = dict(part.strip().split(" ", 1) for part in shown.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert "script-src" not in policy
    assert not any("http" in sources or "*" in sources for sources in policy.values())
    start = client.get("/static/docs.js", buffered=True).text
    assert "validatorUrl: null" in start
    assert "://" not in start


def test_vendored_files_are_those_that_were_looked_at() -> None:
    lines = [line.split() for line in (VENDOR / "SHA256SUMS").read_text("utf-8").splitlines()]
    listed = {name: digest for digest, name in lines}
    assert {path.name for path in VENDOR.iterdir()} == {*listed, "SHA256SUMS"}
    for name, digest in listed.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name
