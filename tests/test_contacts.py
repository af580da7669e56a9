"""Addresses and endpoints: set, shown, forgotten, on the command line and over HTTP; the outbox as people see it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.contacts import Address, Email
from ledger.errors import LedgerError, Malformed
from ledger.gateways.signing import key_of
from ledger.settings import Settings
from ledger.store import open_store
from tests.test_api import Office
from tests.test_cli import Cli, _cli, answer, sold_and_paid  # noqa: F401 - the fixture `cli`

# --- what an address may be ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "good", ["a@b.gt", "compras+factura@ixchel.com.gt", "o'neil@example.com", f"{'a' * 64}@example.com"]
)
def test_an_address_that_mail_servers_take(good: str) -> None:
    assert Email().parse(good, "email") == good


@pytest.mark.parametrize(
    "bad",
    [
        "", "a", "a@b", "@example.com", "a@", "a b@example.com", "a@example.com ", "a@example.com\nBcc: b@example.com",
        "a@example.com\r", "a@exam\u2028ple.com", "a,b@example.com", "<a@example.com>", "ñ@example.com", "a@ñ.com",
        ".a@example.com", "a..b@example.com", f"{'a' * 250}@example.com", None, 5, ["a@example.com"],
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_and_not_repeated(bad: Any) -> None:
    with pytest.raises(Malformed) as caught:
        Email().parse(bad, "email")
    assert caught.value.facts["value"] == "…"
    assert "compras@example.com" in caught.value.message("en")


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://hooks.example/in?a=1", True),
        ("http://127.0.0.1:8080/in", True),
        ("http://localhost/in", True),
        ("http://[::1]/in", True),
        ("http://hooks.example/in", False),
        ("http://127.0.0.1.example/in", False),
        ("https://user:secret@hooks.example/in", False),
        ("https://hooks.example/in#part", False),
        ("https://hooks.example:99999/", False),
        ("https:///in", False),
        ("ftp://hooks.example/in", False),
        ("file:///etc/passwd", False),
        ("https://hooks.example/a b", False),
        ("https://hooks.example/a\r\nHost: x", False),
        ("https://ñ.example/", False),
        ("", False),
    ],
)
def test_an_endpoints_address(url: str, good: bool) -> None:
    if good:
        assert Address().parse(url, "url") == url
    else:
        with pytest.raises(Malformed) as caught:
            Address().parse(url, "url")
        assert "secret" not in caught.value.message("en")


def test_settings_do_not_show_what_is_secret() -> None:
    made = Settings.read(
        {"LEDGER_SMTP_URL": "smtp://u:hush@h", "LEDGER_MAIL_FROM": "A <a@b.gt>", "LEDGER_MAIL_DIR": "m"}
    )
    assert (made.smtp_url, made.mail_from, made.mail_dir) == ("smtp://u:hush@h", "A <a@b.gt>", Path("m"))
    assert "hush" not in repr(made)


# --- the command line ------------------------------------------------------------------------------------------------


def last_position(url: str) -> int:
    store = open_store(url)
    try:
        return store.last_position()
    finally:
        store.close()


def test_an_address_is_set_shown_corrected_and_forgotten(cli: Cli, store_url: str) -> None:
    sold_and_paid(cli)
    before = last_position(store_url)
    given = answer(cli("contact", "set", "C-1", "--email", "a@ixchel.example", "--name", "Doña Marta", "--json"))
    assert given == {
        "account": "C-1", "email": "a@ixchel.example", "name": "Doña Marta", "changed_at": "2026-01-05T09:00:00-06:00",
    }  # fmt: skip
    assert answer(cli("contact", "set", "C-1", "--email", "b@ixchel.example", "--json"))["name"] is None
    assert answer(cli("contact", "show", "C-1", "--json"))["email"] == "b@ixchel.example"
    assert "b@ixchel.example" in cli("contact", "show", "C-1").output
    assert last_position(store_url) == before
    assert answer(cli("contact", "forget", "C-1", "--json")) == {"account": "C-1", "forgotten": 1}
    assert answer(cli("contact", "forget", "C-1", "--json")) == {"account": "C-1", "forgotten": 0}
    gone = cli("contact", "show", "C-1")
    assert isinstance(gone.exception, LedgerError)
    assert gone.exception.code == "no_contact"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("contact", "set", "C-404", "--email", "a@b.gt"), "unknown_account"),
        (("contact", "show", "C-404"), "unknown_account"),
        (("contact", "forget", "C-404"), "unknown_account"),
        (("contact", "set", "C-1", "--email", "nobody"), "malformed"),
        (("contact", "set", "C-1", "--email", "a@b.gt", "--name", "a\x00b"), "malformed"),
        (("contact", "set", "a/b", "--email", "a@b.gt"), "malformed"),
        (("webhook", "add", "http://hooks.example/"), "malformed"),
        (("webhook", "add", "https://hooks.example/", "--kinds", "receipt,surprise"), "malformed"),
        (("webhook", "stop", "W-404"), "unknown_endpoint"),
        (("notices", "preview", "C-1", "lapsed"), "no_such_notice"),
    ],
)
def test_what_is_refused(cli: Cli, words: tuple[str, ...], code: str) -> None:
    sold_and_paid(cli)
    refused = cli(*words)
    assert isinstance(refused.exception, LedgerError), refused.output
    assert refused.exception.code == code
    for lang in ("es_GT", "en"):
        assert "?" not in refused.exception.message(lang).replace("? # %", "")


def test_an_endpoint_shows_its_secret_once(cli: Cli) -> None:
    added = answer(cli("webhook", "add", "https://hooks.example/in", "--kinds", "receipt, lapsed", "--json"))
    assert len(key_of(added["secret"])) == 32
    listed = cli("webhook", "list", "--json")
    assert added["secret"] not in listed.output
    [row] = answer(listed)["webhooks"]
    assert (row["id"], row["url"], row["kinds"]) == (added["id"], "https://hooks.example/in", ["receipt", "lapsed"])
    assert answer(cli("webhook", "stop", added["id"], "--json"))["stopped_at"] == "2026-01-05T09:00:00-06:00"
    assert cli("clock", "set", "2026-01-06T09:00:00-06:00").exit_code == 0
    again = answer(cli("webhook", "stop", added["id"], "--json"))
    assert again["stopped_at"] == "2026-01-05T09:00:00-06:00"
    assert added["id"] in cli("webhook", "list").output


def test_the_job_sends_into_the_folder_of_the_settings_and_the_list_says_so(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEDGER_MAIL_DIR", str(tmp_path / "mail"))
    monkeypatch.setenv("LEDGER_MAIL_FROM", "INVEX Soporte <soporte@example.com>")
    sold_and_paid(cli)
    assert cli("contact", "set", "C-1", "--email", "a@ixchel.example").exit_code == 0
    assert cli("scheduler", "once", "--job", "notices").exit_code == 0
    assert len(list((tmp_path / "mail").iterdir())) == 1
    [row] = answer(cli("notices", "list", "--account", "C-1", "--json"))["notices"]
    assert row == {
        "account": "C-1", "kind": "receipt", "notice": "receipt:C-1/S1-p", "channel": "email", "target": "contact",
        "state": "sent", "tries": 1, "created_at": "2026-01-05T09:00:00-06:00", "next_try_at": None,
        "sent_at": "2026-01-05T09:00:00-06:00", "error": None,
    }  # fmt: skip
    shown = cli("notices", "list")
    assert "ixchel.example" not in shown.output
    assert "receipt" in shown.output
    assert answer(cli("notices", "list", "--account", "C-2", "--json")) == {"notices": []}


def test_a_preview_is_what_would_be_mailed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER_MAIL_FROM", "INVEX Soporte <soporte@example.com>")
    sold_and_paid(cli)
    spanish = cli("notices", "preview", "C-1", "renewal_upcoming").output
    assert spanish.startswith(
        "Su plan Básico se renueva el jueves 5 de febrero de 2026\n\nBuen día, Panadería Ixchel:\n"
    )
    assert "Atentamente,\nINVEX Soporte\n" in spanish
    english = cli("notices", "preview", "C-1", "renewal_upcoming", "--lang", "en").output
    assert english.startswith("Your Basic plan renews on Thursday, February 5, 2026\n\nHello Panadería Ixchel,\n")
    assert cli("notices", "preview", "C-1", "receipt", "--html").output.startswith(
        '<!doctype html>\n<html lang="es-GT">'
    )
    assert cli("contact", "set", "C-1", "--email", "a@ixchel.example", "--name", "Doña Marta").exit_code == 0
    assert "Buen día, Doña Marta:" in cli("notices", "preview", "C-1", "receipt").output
    assert set(answer(cli("notices", "preview", "C-1", "receipt", "--json"))) == {"subject", "text", "html"}


# --- HTTP ------------------------------------------------------------------------------------------------------------


@pytest.fixture(name="office")
def _office(store_url: str) -> Iterator[Office]:
    made = Office(store_url)
    made.account()
    yield made
    made.close()


PATH = "/v1/accounts/C-1/contact"
GIVEN = {"email": "compras@ixchel.example", "name": "Doña Marta"}


def test_over_http_it_is_set_read_and_forgotten(office: Office) -> None:
    before = office.ledger.store.last_position()
    assert office.get(PATH).json["code"] == "no_contact"
    made = office.post(PATH, GIVEN, role="finance")
    assert (made.status_code, made.headers["Cache-Control"]) == (200, "no-store")
    assert made.json == {"account": "C-1", **GIVEN, "changed_at": "2026-01-05T09:00:00-06:00"}
    read = office.get(PATH, role="operator")
    assert read.json == made.json
    assert office.get(PATH, role="operator", If_None_Match=read.headers["ETag"]).status_code == 304
    assert office.call("DELETE", PATH).json == {"account": "C-1", "forgotten": 1}
    assert office.call("DELETE", PATH).json == {"account": "C-1", "forgotten": 0}
    assert office.ledger.store.last_position() == before


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("POST", GIVEN), ("DELETE", None)])
def test_agents_do_not_see_addresses(office: Office, method: str, body: Any) -> None:
    refused = office.call(method, PATH, body, role="agent")
    assert (refused.status_code, refused.json["code"]) == (403, "role_not_allowed")
    unknown = office.call(method, "/v1/accounts/C-404/contact", body)
    assert (unknown.status_code, unknown.json["code"]) == (404, "unknown_account")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "nobody@nowhere"}, "email"),
        ({"name": "Marta"}, "email"),
        ({**GIVEN, "name": "a\u0000b"}, "name"),
        ({**GIVEN, "phone": "5555"}, "phone"),
        ({"email": None}, "email"),
    ],
)
def test_a_wrong_field_is_named_and_an_address_is_not_repeated(office: Office, body: Any, field: str) -> None:
    refused = office.post(PATH, body)
    assert (refused.status_code, refused.json["errors"][0]["name"]) == (422, field)
    assert "nobody@nowhere" not in refused.text
    assert "ixchel.example" not in json.dumps(office.ledger.store.query("SELECT * FROM ledger_contacts"))
