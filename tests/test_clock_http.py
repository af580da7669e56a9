"""The test clock over HTTP and on the command line: shown, moved, refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api import create_app
from ledger import tokens
from ledger.application import Ledger
from ledger.cli import assemble
from ledger.settings import Settings
from ledger.store import open_store
from tests.given import local
from tests.test_api import Office

SOLD = {"level": "basic", "term": "monthly", "channel": "web"}
PAID = {"amount": "250.00", "method": "cash", "reference": "R-1"}


@pytest.fixture(name="office")
def _office(store_url: str) -> Iterator[Office]:
    made = Office(store_url)
    yield made
    made.close()


def move(office: Office, role: str = "operator", **body: Any) -> Any:
    return office.post("/v1/clock", body, role=role)


def cli(url: str, *words: str) -> Result:
    return CliRunner().invoke(assemble(), ["--database", url, "--lang", "en", *words])


def test_an_operator_moves_it_and_what_falls_due_happens(office: Office) -> None:
    office.account()
    office.post("/v1/accounts/C-1/subscriptions", SOLD)
    office.post("/v1/accounts/C-1/payments", PAID)
    assert office.get("/v1/clock", role="operator").json == {
        "now": local("2026-01-05 09:00"), "test_clock": True, "state": "frozen",
    }  # fmt: skip
    said = move(office, advance="1mo7d")
    assert said.status_code == 200
    assert said.json["now"] == local("2026-02-12 09:00")
    assert (said.json["instants"], said.json["facts"]) == (2, 4)
    assert said.json["position"] == office.ledger.store.last_position()
    assert office.get("/v1/accounts/C-1/balance").json["state"] == "lapsed"
    assert office.get("/v1/accounts/C-1/balance").json["not_yet_recorded"] == 0
    again = move(office, to=local("2026-03-01 00:00"))
    assert (again.status_code, again.json["facts"]) == (200, 0)
    assert move(office, to=local("2026-03-01 00:00")).status_code == 200, "named again it stays there"


def test_what_is_refused(office: Office) -> None:
    for role in ("agent", "finance", "manager"):
        assert move(office, role, advance="1d").status_code == 403
        assert office.get("/v1/clock", role=role).status_code == 403
    for body in (
        {},
        {"advance": "1d", "to": local("2026-03-01")},
        {"advance": "soon"},
        {"to": "2026-03-01"},
        {"by": 1},
    ):
        assert move(office, **body).status_code == 422, body
    back = move(office, to=local("2026-01-05 08:59"))
    assert (back.status_code, back.json["code"]) == (409, "clock_moved_back")
    with office.ledger.store.locked("clock"):
        busy = move(office, advance="1d")
    assert (busy.status_code, busy.json["code"]) == (503, "clock_moving")
    assert int(busy.headers["Retry-After"]) > 0
    assert office.ledger.clock.now() == "2026-01-05T15:00:00.000000Z"


def test_a_real_ledger_has_none(sqlite_url: str) -> None:
    ledger = Ledger(open_store(sqlite_url))
    ledger.store.migrate()
    secret = tokens.create(ledger.store, role="operator", name="pedro", now=ledger.clock.now())
    app = create_app(Settings(database_url=sqlite_url))
    headers = {"Authorization": f"Bearer {secret}"}
    refused: Any = app.test_client().post("/v1/clock", json={"advance": "1d"}, headers=headers)
    assert (refused.status_code, refused.json["code"]) == (409, "no_test_clock")
    shown: Any = app.test_client().get("/v1/clock", headers=headers)
    assert (shown.json["test_clock"], shown.json["state"]) == (False, "real")
    app.extensions["ledger"].close()
    ledger.close()


def test_on_the_command_line(store_url: str) -> None:
    assert cli(store_url, "migrate", "--test-clock").exit_code == 0
    assert json.loads(cli(store_url, "clock", "show", "--json").stdout)["state"] == "unset"
    assert cli(store_url, "clock", "set", "2026-01-05T09:00:00-06:00").exit_code == 0
    moved = cli(store_url, "clock", "advance", "1mo2d", "--json")
    assert (moved.exit_code, json.loads(moved.stdout)["now"]) == (0, local("2026-02-07 09:00"))
    back = cli(store_url, "clock", "set", "2026-01-05T09:00:00-06:00", "--json")
    assert (back.exit_code, json.loads(back.stdout)["code"]) == (1, "clock_moved_back")
    assert cli(store_url, "clock", "set", "soon").exit_code == 2
    assert getattr(cli(store_url, "clock", "advance", "run").exception, "code", "") == "malformed"
    assert cli(store_url, "clock", "set", "run").exit_code == 0
    assert json.loads(cli(store_url, "clock", "show", "--json").stdout)["state"] == "running"
