"""Tokens: they end by themselves, say who made them and when they were last used; bad ones meet a limit."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api import create_app
from api.context import Services
from api.knocking import MOST_BAD, WINDOW_SECONDS, Knocking, network
from api.refusals import TooManyBadTokens
from ledger import tokens
from ledger.cli import assemble
from ledger.errors import Malformed, Unavailable
from ledger.rules.instants import to_iso
from ledger.settings import Settings
from ledger.store import Store, Token, open_store
from tests.test_serve import eventually, serving

ZONE = "America/Guatemala"
Cli = Callable[..., Result]


@pytest.fixture(name="cli")
def _cli(store_url: str) -> Cli:
    def run(*words: str, lang: str = "en") -> Result:
        return CliRunner().invoke(assemble(), ["--database", store_url, "--lang", lang, *words])

    assert run("migrate").exit_code == 0
    return run


def made(cli: Cli, *words: str) -> dict[str, Any]:
    result = cli("token", "create", *words, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def listed(cli: Cli) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(cli("token", "list", "--json").stdout)["tokens"]
    return rows


# --- the command line -------------------------------------------------------------------------------------------------


def test_a_token_ends_after_ninety_days_unless_told_otherwise(cli: Cli) -> None:
    before = datetime.now(UTC)
    made(cli, "--role", "agent", "--name", "ana")
    made(cli, "--role", "manager", "--name", "beatriz", "--expires", "1d")
    ana, beatriz = listed(cli)
    ends = datetime.fromisoformat(ana["expires_at"]) - before
    assert timedelta(days=89, hours=22) < ends < timedelta(days=90, hours=2)
    assert datetime.fromisoformat(beatriz["expires_at"]) - before < timedelta(days=1, hours=2)
    assert (ana["created_by"], beatriz["created_by"], ana["last_used_at"]) == ("operator", "operator", None)
    assert [row["state"] for row in (ana, beatriz)] == ["good", "good"]
    assert "sl_" in cli("token", "list").stdout
    shown = cli("token", "list", lang="es_GT").stdout
    assert all(word in shown for word in ("vence", "creada por", "vigente"))


@pytest.mark.parametrize("expires", ["", "never", "0d", "400d", "2y", "2020-01-01", "2026-13-01", "90"])
def test_no_token_is_for_ever(cli: Cli, expires: str) -> None:
    refused = cli("token", "create", "--role", "agent", "--expires", expires)
    assert isinstance(refused.exception, Malformed)
    assert refused.exception.facts["field"] == "expires"
    assert listed(cli) == []


def test_a_date_is_good_until_its_last_moment_there() -> None:
    assert tokens.expiry("2026-03-01", "2026-02-01T00:00:00.000000Z", ZONE) == "2026-03-02T06:00:00.000000Z"
    assert tokens.expiry("90d", "2026-02-01T00:00:00.000000Z", ZONE) == "2026-05-02T00:00:00.000000Z"


def test_a_revoked_token_says_when(cli: Cli) -> None:
    prefix = made(cli, "--role", "agent", "--name", "ana")["token"][:11]
    assert cli("token", "revoke", prefix).exit_code == 0
    (row,) = listed(cli)
    assert row["state"] == "revoked"
    assert row["revoked_at"]
    assert cli("token", "revoke", prefix).exit_code != 0


# --- who they speak for -----------------------------------------------------------------------------------------------


def kept(store: Store, **more: str) -> str:
    return tokens.create(store, role="agent", name="ana", now="2020-01-01T00:00:00.000000Z", **more)


def test_an_expired_one_speaks_for_nobody(store_url: str) -> None:
    store = open_store(store_url)
    store.migrate()
    now = datetime.now(UTC)
    over, good = kept(store, expires_at=to_iso(now)), kept(store, expires_at=to_iso(now + timedelta(hours=1)))
    assert tokens.caller(store, over) is None
    caller = tokens.caller(store, good)
    assert caller is not None
    assert (caller.by, caller.role) == ("ana", "agent")
    client: Any = create_app(Settings(database_url=store_url)).test_client()
    statuses = [client.get("/v1/accounts", headers={"Authorization": f"Bearer {t}"}) for t in (over, good)]
    assert [(s.status_code, s.json.get("code")) for s in statuses] == [(401, "token_unknown"), (200, None)]
    client.application.extensions["ledger"].close()
    store.close()


def test_when_it_was_last_used_is_written_beside_the_request_and_seldom(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(store_url)
    store.migrate()
    secret = kept(store)
    written: list[str] = []
    real = tokens.note_use

    def noted(store: Store, token_hash: str, now: str) -> None:
        real(store, token_hash, now)
        written.append(token_hash)

    monkeypatch.setattr(tokens, "note_use", noted)
    app = create_app(Settings(database_url=store_url))
    client: Any = app.test_client()
    for _ in range(5):
        assert client.get("/v1/accounts", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    app.extensions["ledger"].close()
    assert written == [tokens.digest(secret)]
    (first,) = store.tokens()
    assert abs(datetime.fromisoformat(first.last_used_at) - datetime.now(UTC)) < timedelta(minutes=1)
    soon = to_iso(datetime.fromisoformat(first.last_used_at) + timedelta(minutes=9))
    real(store, first.hash, soon)
    assert store.tokens() == [first], "another process wrote it a moment ago"
    later = to_iso(datetime.fromisoformat(first.last_used_at) + timedelta(minutes=11))
    real(store, first.hash, later)
    assert store.tokens()[0].last_used_at == later
    store.close()


def test_a_store_that_cannot_be_written_answers_all_the_same(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(sqlite_url)
    store.migrate()
    secret = kept(store)

    def refuses(*_: Any, **__: Any) -> None:
        raise Unavailable("database_read_only", path="x")

    monkeypatch.setattr(Store, "token_used", refuses)
    services = Services(Settings(database_url=sqlite_url))
    assert services.caller(secret, "127.0.0.1") is not None
    services.close()
    store.close()


def test_tokens_of_before_are_kept_and_go_on_working(store_url: str) -> None:
    store = open_store(store_url)
    store.migrate()
    secret = kept(store)
    for name in ("expires_at", "created_by", "last_used_at"):
        store.execute(f"ALTER TABLE ledger_tokens DROP COLUMN {name}")
    store.set_meta("schema_version", "2")
    with pytest.raises(Unavailable, match="older_schema"):
        store.check()
    assert store.migrate() is True
    assert tokens.caller(store, secret) is not None
    (row,) = store.tokens()
    assert row == Token(tokens.digest(secret), secret[:11], "agent", "ana", row.created_at, "")
    told = CliRunner().invoke(assemble(), ["--database", store_url, "--lang", "en", "status", "--json"])
    assert "1 tokens have no end" in told.stdout
    store.revoke_token(secret[:11], tokens.machine_now())
    assert store.endless_tokens() == 0
    store.close()


# --- bad ones ---------------------------------------------------------------------------------------------------------


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_so_many_bad_ones_a_minute_and_never_a_good_one_locked_out(sqlite_url: str) -> None:
    store = open_store(sqlite_url)
    store.migrate()
    clock = Clock()
    knocking = Knocking(clock)
    for place in range(MOST_BAD):
        knocking.check("10.0.0.1", f"bad {place}", store)
        knocking.bad("10.0.0.1")
        clock.now += 1.0
    with pytest.raises(TooManyBadTokens) as refused:
        knocking.check("10.0.0.1", "bad", store)
    assert refused.value.facts["seconds"] == WINDOW_SECONDS - MOST_BAD + 1
    knocking.check("10.0.0.2", "bad", store)
    secret = kept(store)
    clock.now += 1.0  # made a moment ago: known within a second
    knocking.check("10.0.0.1", secret, store)
    store.revoke_token(secret[:11], tokens.machine_now())
    clock.now += 1.0
    with pytest.raises(TooManyBadTokens):
        knocking.check("10.0.0.1", secret, store)
    clock.now = WINDOW_SECONDS
    knocking.check("10.0.0.1", "bad", store)
    store.close()


def test_a_limit_remembers_so_many_addresses_and_takes_a_line_of_ipv6_for_one() -> None:
    knocking = Knocking(Clock())
    for number in range(10_000):
        knocking.bad(f"10.0.{number // 256}.{number % 256}")
    assert len(knocking._bad) == 4096
    assert network("2001:db8:1:2:3::1") == network("2001:db8:1:2::ffff") != network("2001:db8:1:3::1")
    assert network("::ffff:10.0.0.1") == network("10.0.0.1")
    assert network("nonsense") == "nonsense"


def test_five_hundred_bad_tokens_meet_a_limit_at_a_real_server_and_a_good_one_passes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    store = open_store(url)
    store.migrate()
    secret = kept(store)
    with serving(url, "--without-worker") as server:
        connection = server.connect()

        def ask(token: str) -> Any:
            connection.request("GET", "/v1/accounts", headers={"Authorization": f"Bearer {token}"})
            response = connection.getresponse()
            return response.status, json.loads(response.read()), response.headers

        began = time.monotonic()
        found = [ask(f"sl_nonsense{place}") for place in range(500)]
        assert time.monotonic() - began < 20
        assert [status for status, _, _ in found] == [401] * MOST_BAD + [429] * (500 - MOST_BAD)
        _status, body, headers = found[-1]
        assert (body["code"], body["seconds"]) == ("too_many_bad_tokens", int(headers["Retry-After"]))
        assert 0 < body["seconds"] <= WINDOW_SECONDS
        assert ask(secret)[0] == 200
        newer = kept(store)
        eventually(lambda: ask(newer)[0] == 200)
        eventually(lambda: all(token.last_used_at for token in store.tokens()))
        connection.close()
    store.close()
