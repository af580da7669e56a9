"""What a caller may send at all: queries without unknown names, paths of any shape, addresses, and what 503 tells."""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator

from api.addresses import Proxies
from ledger.errors import Malformed, Unavailable
from ledger.fields import Amount, Date, Flag, Id, Instant, Kind, Month, NewId, Text, Whole
from tests.test_api import PROBLEM, Office


@pytest.fixture(name="office", scope="module")
def _office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    made = Office(f"sqlite:///{tmp_path_factory.mktemp('doors') / 'ledger.db'}")
    made.account()
    yield made
    made.close()


@pytest.fixture(name="alone")
def _alone(sqlite_url: str) -> Iterator[Office]:
    made = Office(sqlite_url)
    yield made
    made.close()


def routes(office: Office) -> list[tuple[str, str]]:
    """Every method of every path, its parameters filled in."""
    return [
        (method, re.sub("<[^>]+>", "C-1", rule.rule))
        for rule in office.app.url_map.iter_rules()
        for method in sorted(rule.methods or ())
        if method not in ("HEAD", "OPTIONS")
    ]


# --- query parameters ---------------------------------------------------------------------------------------------


def test_no_route_takes_a_parameter_that_it_does_not_know(office: Office) -> None:
    walked = 0
    for method, path in routes(office):
        if path == "/v1/gateway/events":
            continue  # told the same once its signature is good
        before = office.ledger.store.last_position()
        for role in ("operator", "manager"):
            refused = office.call(method, f"{path}?nosuch=1", {} if method == "POST" else None, role=role)
            if refused.status_code != 403:
                break
        assert (refused.status_code, refused.mimetype) == (422, PROBLEM), (method, path)
        assert [e["in"] for e in refused.json["errors"] if e["name"] == "nosuch"] == ["query"], (method, path)
        assert office.ledger.store.last_position() == before
        walked += 1
    assert walked > 50


@pytest.mark.parametrize(
    ("method", "path", "nearest"),
    [
        ("GET", "/v1/accounts/C-1/balance?know_at=2026-01-01T00:00:00Z", "known_at"),
        ("GET", "/v1/billing-entries?accuont=C-1", "account"),
        ("GET", "/v1/accounts?limt=1", "limit"),
        ("DELETE", "/v1/accounts/C-1/cancellation?att=2026-01-05T09:00:00-06:00", "at"),
        ("GET", "/v1/sla/report?form=2026-01-01", "from"),
    ],
)
def test_the_nearest_name_is_told(office: Office, method: str, path: str, nearest: str) -> None:
    refused = office.call(method, path, Accept_Language="en")
    assert refused.status_code == 422
    assert f"the nearest is '{nearest}'" in refused.json["errors"][0]["detail"]


def test_a_query_that_is_no_utf8_is_refused(office: Office) -> None:
    refused = office.get("/v1/tickets?account=%FF")
    assert (refused.status_code, refused.json["errors"][0]["in"]) == (422, "query")


def test_a_body_where_no_such_method_is_does_not_hide_that(office: Office) -> None:
    for method, path in (("DELETE", "/v1/accounts"), ("PUT", "/v1/accounts"), ("DELETE", "/v1/accounts/C-1/payments")):
        refused = office.call(method, path, {"account": "C-1"})
        assert (refused.status_code, refused.json["code"]) == (405, "method_not_allowed")
        assert refused.headers["Allow"]


# --- paths --------------------------------------------------------------------------------------------------------

HOSTILE = (
    "..", "%2e%2e", ".", "%2F", "..%2F..%2Fetc", "%00", "C-1%00", "%FF%FE", "%ED%A0%80", "x" * 8192, "%0a", "%20",
    "%25", "%2500", "*", "'", "%22", ";", "a:b", "%E2%80%AE1-C", "%F0%9F%92%A9", "-1", "null", "__proto__",
    "%5C..%5C", "~",
)  # fmt: skip


def test_whatever_stands_in_a_path_is_a_problem_and_never_a_mistake(office: Office) -> None:
    rules = [rule for rule in office.app.url_map.iter_rules() if rule.arguments and rule.endpoint != "static"]
    seen = 0
    for rule in rules:
        for value in HOSTILE:
            path = re.sub("<[^>]+>", lambda _: value, rule.rule)  # noqa: B023
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                answer = office.call(method, path, {} if method == "POST" else None, role="operator")
                assert 400 <= answer.status_code < 500, (method, path[:80], answer.status_code)
                assert answer.mimetype == PROBLEM
                seen += 1
    assert seen > 1000


def test_files_are_not_left_by_their_folder(office: Office) -> None:
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/%00", "//etc/passwd"):
        assert office.client.get(path).status_code in (400, 404), path


# --- the document and the door agree --------------------------------------------------------------------------------

TRIED: list[tuple[Kind, tuple[Any, ...]]] = [
    (Amount(), ("250.00", "0", "0.0", "0.00", "00.01", "1.005", "-1.00", "1e3", "9" * 12, "9" * 13, "", 250, None)),
    (Text(10), ("a", "", " ", "a\x00", "a\x1fb", "a\x7f", "a\x85b", "x" * 11, "ñandú", 7, None)),
    (Text(10, blank=True), ("", " ", "a", "\x01", None)),
    (Text(10, lines=True), ("a\nb", "a\tb", "a\x0bb", "\n")),
    (Id(), ("C-1", "", " C", "C ", "a/b", "a\\b", "a?b", "a#b", "a%b", "a\x00", "x" * 64, "x" * 65, 7)),
    (NewId(), ("C-1", "..", ".", "a\u200bb", "\u0430na", "x" * 64, "x" * 65)),
    (
        Text(200, seen=True),
        ("Librería Ñandú & Cía.", "中国", "An\u200ba", "\u200b", "\u202eana", "a\u00adb", "\ufeffa", ""),
    ),
    (Month(), ("2026-03", "1899-12", "1900-01", "9898-12", "9899-01", "9999-12", "0001-01", "2026-13", "2026-3", 7)),
    (Date(), ("2026-03-01", "1899-12-31", "1900-01-01", "9898-12-31", "9899-01-01", "2026-3-1", "9999-01-01", 7)),
    (
        Instant(),
        ("2026-03-01T00:00:00Z", "1899-03-01T00:00:00Z", "9898-03-01T00:00:00Z", "9899-03-01T00:00:00Z", "x", 7),
    ),
    (Whole(1, 5), (1, 5, 0, 6, 1.5, "3", None)),
    (Flag(), (True, False, 0, "true", None)),
]


def test_the_schema_of_a_value_takes_what_the_door_takes() -> None:
    seen = 0
    for kind, values in TRIED:
        validator = OAS31Validator(kind.schema())
        for value in values:
            try:
                kind.parse(value, "field")
                taken = True
            except Malformed:
                taken = False
            assert validator.is_valid(value) is taken, (kind, value)
            seen += 1
    assert seen > 60


def test_null_is_left_out_in_the_document_too(office: Office) -> None:
    schemas = office.client.get("/openapi.json").json["components"]["schemas"]
    body = schemas["account_open_body"]
    nothing = {"account": "C-77", "name": "x", **dict.fromkeys(set(body["properties"]) - {"account", "name"})}
    assert OAS31Validator({**body, "components": {"schemas": schemas}}).is_valid(nothing)
    assert office.post("/v1/accounts", nothing).status_code == 201
    for name in ("account", "name"):
        wrong = {**nothing, "account": "C-78", name: None}
        assert not OAS31Validator({**body, "components": {"schemas": schemas}}).is_valid(wrong)
        assert office.post("/v1/accounts", wrong).status_code == 422


# --- who is asking ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "peer", "forwarded", "found"),
    [
        ("", "10.0.0.7", "1.2.3.4", "10.0.0.7"),
        ("127.0.0.1", "127.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("127.0.0.1", "127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        ("127.0.0.1,10.0.0.0/8", "127.0.0.1", "6.6.6.6, 1.2.3.4, 10.9.9.9", "1.2.3.4"),
        ("127.0.0.1", "127.0.0.1", "nonsense", "127.0.0.1"),
        ("unix", "", "1.2.3.4:5555", "1.2.3.4"),
        ("::1, fd00::/8", "::1", "[2001:db8::1]:443", "2001:db8::1"),
        ("127.0.0.0/8", "::ffff:127.0.0.1", "1.2.3.4", "1.2.3.4"),
    ],
)
def test_a_forwarded_address_is_believed_only_of_a_trusted_proxy(
    setting: str, peer: str, forwarded: str, found: str
) -> None:
    assert Proxies(setting).address(peer, forwarded) == found


def test_a_setting_that_names_no_network_is_refused() -> None:
    with pytest.raises(Unavailable, match="trusted_proxies_wrong"):
        Proxies("127.0.0.1, nginx")


def test_the_log_names_caller_and_address(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "supportledger.access"):
        office.get("/v1/accounts", X_Forwarded_For="6.6.6.6")
        office.client.get("/v1/accounts")
    told = [record.getMessage().split(" ms ")[1].split(" ", 1)[1] for record in caplog.records]
    assert told == ["by=marta from=127.0.0.1", "by=- from=127.0.0.1"]


# --- what an answer tells of the house ----------------------------------------------------------------------------


def test_a_503_names_no_file_but_to_an_operator(alone: Office, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setattr("ledger.store.connections._BUSY_SECONDS", 0.2)
    path = alone.url.removeprefix("sqlite:///")
    for role in ("agent", "operator"):
        alone.get("/v1/accounts", role=role)  # its token is known from now on
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    told = {
        role: alone.post("/v1/accounts", {"account": "C-1", "name": "x"}, role=role) for role in ("agent", "operator")
    }
    holder.execute("ROLLBACK")
    holder.close()
    assert {one.json["code"] for one in told.values()} == {"database_locked"}
    assert path not in told["agent"].text
    assert told["agent"].json["request_id"] in told["agent"].json["detail"]
    assert path in told["operator"].text
    assert path in caplog.text


# --- what is no JSON, told in the reader's words -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[" * 50_000, "demasiados niveles"),
        (b'{"name":NaN}', "sin valor"),
        (b'{"account":"D-3","name":' + b"1" * 5000 + b"}", "demasiadas cifras"),
        (b'{"a":\n x}', "línea 2, columna 2"),
        (b"\xef\xbb\xbf{}", "línea 1, columna 1"),
    ],
)
def test_what_is_no_json_is_told_in_words(office: Office, body: bytes, said: str) -> None:
    answer = office.raw("/v1/accounts", body)
    assert (answer.status_code, answer.json["code"]) == (400, "malformed")
    assert said in answer.json["detail"]
    assert not re.search("recursion|Exceeds|Unexpected|number|Expecting", answer.json["detail"])
