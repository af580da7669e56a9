"""The outbox against real servers: mail over SMTP and into a folder, webhooks whose signatures are verified."""

from __future__ import annotations

import email
import email.policy
import json
import logging
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from ledger import contacts
from ledger.errors import Unavailable
from ledger.gateways.signing import message_id, verify
from ledger.rules.instants import to_iso
from ledger.settings import Settings
from scheduler import transports
from scheduler.hooks import REFUSED, Allowed, WebhookTransport, allowed_of
from scheduler.outbox import entries, fill, fill_and_send
from scheduler.transports import SmtpTransport, transports_of
from scheduler.undelivered import Undelivered
from tests.desks import command
from tests.mailbox import BUYER, SENDER, PostDesk

PASSWORD = "llave del buzón/2026"
QUOTED = "llave%20del%20buz%C3%B3n%2F2026"


class Server:
    """A mail server on this machine that keeps what it gets; `answers` are its next answers to RCPT and DATA."""

    def __init__(self, port: int = 0) -> None:
        self.port = port or free_port()
        self.got: list[tuple[str, list[str], EmailMessage]] = []
        self.logins: list[tuple[str, str]] = []
        self.rcpt: list[str] = []
        self.data: list[str] = []
        self._controller: Controller | None = None

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def start(self) -> Server:
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            authenticator=self._login,
            auth_require_tls=False,
            auth_exclude_mechanism=["LOGIN"],
        )
        self._controller.start()
        return self

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def _login(self, server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
        self.logins.append((given.login.decode(), given.password.decode()))
        return AuthResult(success=self.logins[-1][1] == PASSWORD, handled=False)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.rcpt:
            return self.rcpt.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.data:
            return self.data.pop(0)
        mail = email.message_from_bytes(envelope.content, policy=email.policy.SMTP)
        self.got.append((envelope.mail_from, envelope.rcpt_tos, mail))
        return "250 OK"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(name="server")
def _server() -> Iterator[Server]:
    server = Server().start()
    yield server
    server.stop()


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[PostDesk]:
    desk = PostDesk(store_url)
    desk.at("2026-03-02 10:00")
    yield desk
    desk.close()


def run(desk: PostDesk, server: Server, at: str = "", **settings: Any) -> dict[str, int]:
    if at:
        desk.at(at)
    given: dict[str, Any] = {"mail_from": SENDER, "smtp_url": server.url, "webhook_allow": "127.0.0.1", **settings}
    made = replace(Settings.read(), **given)
    return fill_and_send(desk.ledger, desk.projector, now=desk.now, settings=made)


def errors(desk: PostDesk) -> list[str]:
    return [entry.error for entry in entries(desk.ledger.store) if entry.error]


# --- mail ------------------------------------------------------------------------------------------------------------


def test_mail_arrives_as_it_was_written(desk: PostDesk, server: Server) -> None:
    desk.sell()
    desk.contact(name="Doña Marta")
    assert run(desk, server)["sent"] == 1
    [(sender, to, mail)] = server.got
    assert (sender, to) == ("soporte@example.com", [BUYER])
    assert (mail["Subject"], mail["To"]) == ("Recibimos su pago de Q250.00", f"Doña Marta <{BUYER}>")
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().startswith("Buen día, Doña Marta:\r\n\r\nGracias por su pago de Q250.00")
    assert "<p>Buen día, Doña Marta:</p>" in html.get_content()
    assert mail["Message-ID"].endswith("@example.com>")
    assert run(desk, server)["sent"] == 0


def test_a_server_that_is_down_is_tried_again_until_it_is_up(desk: PostDesk) -> None:
    server = Server()
    desk.sell()
    desk.contact()
    assert run(desk, server)["failed"] == 1
    assert errors(desk) == ["ConnectionRefusedError"]
    assert run(desk, server, "2026-03-02 10:01")["failed"] == 1
    server.start()
    try:
        assert run(desk, server, "2026-03-02 10:05")["sent"] == 0
        assert run(desk, server, "2026-03-02 10:06")["sent"] == 1
        assert (len(server.got), errors(desk)) == (1, [])
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("place", "answer", "error"),
    [
        ("rcpt", f"550 5.1.1 <{BUYER}> no such user", "SMTPRecipientsRefused 550"),
        ("rcpt", "450 4.2.1 greylisted", "SMTPRecipientsRefused 450"),
        ("data", f"554 5.7.1 spam from {BUYER}", "SMTPDataError 554"),
        ("data", "421 4.3.2 shutting down", "SMTPDataError 421"),
    ],
)
def test_a_refusal_is_kept_without_the_servers_words_and_the_next_mail_goes_on(
    desk: PostDesk, server: Server, place: str, answer: str, error: str
) -> None:
    desk.sell("C-100").sell("C-200")
    desk.contact("C-100")
    desk.contact("C-200", email="compras@tikal.example")
    getattr(server, place).append(answer)
    counts = run(desk, server)
    assert counts["failed"] >= 1
    assert errors(desk)[0] == error
    assert BUYER not in str(desk.ledger.store.query("SELECT * FROM ledger_outbox"))
    run(desk, server, "2026-03-02 10:01")
    assert sorted(to for _from, [to], _mail in server.got) == [BUYER, "compras@tikal.example"]


def test_it_logs_in_with_what_the_url_says(desk: PostDesk, server: Server) -> None:
    desk.sell()
    desk.contact()
    good = f"smtp://buz%C3%B3n:{QUOTED}@127.0.0.1:{server.port}"
    assert run(desk, server, smtp_url=good.replace("2026", "2025"))["failed"] == 1
    assert errors(desk) == ["SMTPAuthenticationError 535"]
    assert run(desk, server, "2026-03-02 10:01", smtp_url=good)["sent"] == 1
    assert server.logins[-1] == ("buzón", PASSWORD)


def test_no_password_leaves_this_machine_without_tls(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transports, "is_here", lambda _host: False)
    transport = SmtpTransport(f"smtp://user:{QUOTED}@127.0.0.1:{server.port}")
    with pytest.raises(Undelivered, match="no TLS"):
        transport.send(_mail())
    assert server.logins == []
    transport.close()


def test_one_connection_serves_a_run_and_a_lost_one_is_made_anew(server: Server) -> None:
    transport = SmtpTransport(server.url)
    transport.send(_mail())
    transport.send(_mail())
    server.stop()
    with pytest.raises(Undelivered) as lost:
        transport.send(_mail())
    assert lost.value.down
    again = Server(server.port).start()
    try:
        transport.send(_mail())
        assert (len(server.got), len(again.got)) == (2, 1)
    finally:
        transport.close()
        again.stop()


def test_a_server_that_says_nothing_is_left_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transports, "_SMTP_SECONDS", 0.2)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        with pytest.raises(Undelivered, match="SMTPServerDisconnected") as lost:
            SmtpTransport(f"smtp://127.0.0.1:{mute.getsockname()[1]}").send(_mail())
    assert lost.value.down


def _mail() -> EmailMessage:
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["From"], mail["To"], mail["Subject"] = SENDER, BUYER, "Prueba"
    mail.set_content("hola")
    return mail


@pytest.mark.parametrize(
    "url",
    ["smtp://", "http://host", "smtp://host:x", "smtp://host/path", "smtp://host:99999", "localhost:25", "smtp://h?x"],
)
def test_an_unusable_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(Unavailable) as caught, transports_of(Settings(mail_from=SENDER, smtp_url=url)):
        pass
    assert caught.value.code == "smtp_url_wrong"
    assert caught.value.facts == {}


@pytest.mark.parametrize("sender", ["", "nobody", "a@b", "Ana <ana@example.com\nBcc: x@example.com>", "<>"])
def test_mail_needs_a_sender(sender: str) -> None:
    with (
        pytest.raises(Unavailable, match="mail_from_wrong"),
        transports_of(Settings(mail_from=sender, smtp_url="smtp://127.0.0.1")),
    ):
        pass


def test_mail_into_a_folder(desk: PostDesk, server: Server, tmp_path: Path) -> None:
    desk.sell()
    desk.contact()
    folder = tmp_path / "mail" / "out"
    assert run(desk, server, smtp_url="", mail_from="", mail_dir=folder)["sent"] == 1
    [file] = folder.iterdir()
    mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.SMTP)
    assert (mail["To"], str(mail["From"])) == (BUYER, "Soporte <soporte@example.com>")
    assert file.name == f"{mail['Message-ID'].strip('<>').partition('@')[0]}.eml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    # Sent again (its sender had died before it could mark it), it takes its own place.
    desk.ledger.store.execute("UPDATE ledger_outbox SET sent_at = ''")
    assert run(desk, server, "2026-03-02 10:10", smtp_url="", mail_dir=folder)["sent"] == 1
    assert [found.name for found in folder.iterdir()] == [file.name]


# --- several processes ------------------------------------------------------------------------------------------------


def test_processes_at_once_send_each_once(desk: PostDesk, server: Server) -> None:
    for number in range(500, 520):
        desk.sell(f"C-{number}")
        desk.contact(f"C-{number}", email=f"compras@c{number}.example")
    environment = {**os.environ, "LEDGER_SMTP_URL": server.url, "LEDGER_MAIL_FROM": SENDER}
    command = [sys.executable, "-m", "ledger.cli", "--database", desk.ledger.store.url, "scheduler", "once"]
    started = [
        subprocess.Popen(
            [*command, "--job", "notices", "--json"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(3)
    ]
    for process in started:
        _out, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
        assert b"compras@" not in said
    assert sorted(to for _from, [to], _mail in server.got) == [f"compras@c{n}.example" for n in range(500, 520)]


# --- webhooks --------------------------------------------------------------------------------------------------------


class Receiver(BaseHTTPRequestHandler):
    """Keeps what it is sent; answers with the next of `answers`, 204 by default."""

    got: list[tuple[str, dict[str, str], bytes]]
    answers: list[int]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        status = self.answers.pop(0) if self.answers else 204
        self.send_response(status)
        if status in (301, 302, 307, 308):
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(name="receiver")
def _receiver() -> Iterator[tuple[str, type[Receiver]]]:
    handler = type("Kept", (Receiver,), {"got": [], "answers": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hooks?from=ledger", handler
        server.shutdown()
        thread.join()


def hooked(desk: PostDesk) -> dict[str, int]:
    settings = replace(Settings.read(), webhook_allow="127.0.0.0/8")
    return fill_and_send(desk.ledger, desk.projector, now=desk.now, settings=settings)


def test_a_webhook_is_signed_and_tells_programs_what_people_are_told(
    desk: PostDesk, receiver: tuple[str, type[Receiver]]
) -> None:
    url, kept = receiver
    _id, secret = desk.endpoint(url=contacts.Address().parse(url, "url"))
    desk.sell()
    assert hooked(desk)["sent"] == 1
    [(path, headers, body)] = kept.got
    assert path == "/hooks?from=ledger"
    key = "receipt:C-100/S1-p"
    assert verify(secret, headers, body, to_iso(datetime.now(UTC))) == message_id(key)
    assert headers["content-type"] == "application/json"
    assert json.loads(body) == {
        "type": "notice.receipt",
        "timestamp": "2026-03-02T16:00:00.000000Z",
        "data": {
            "key": key, "account": "C-100", "name": "Panadería Ixchel", "currency": "GTQ", "charge": "C-100-S1-p",
            "what_for": "purchase", "level": "basic", "units": 5, "term": "monthly", "amount": "250.00",
            "net": "223.21", "tax": "26.79", "discount": "0.00", "paid_on": "2026-03-02",
        },
    }  # fmt: skip


@pytest.mark.parametrize("status", [302, 307, 400, 410, 429, 500])
def test_whatever_is_no_2xx_is_tried_again_under_the_same_id(
    desk: PostDesk, receiver: tuple[str, type[Receiver]], status: int
) -> None:
    url, kept = receiver
    desk.endpoint(url=url)
    kept.answers = [status]
    desk.sell()
    assert hooked(desk)["failed"] == 1
    assert errors(desk) == [f"HTTP {status}"]
    desk.at("2026-03-02 10:01")
    assert hooked(desk)["sent"] == 1
    assert [path for path, _headers, _body in kept.got] == ["/hooks?from=ledger"] * 2, "no redirect is followed"
    assert len({headers["webhook-id"] for _path, headers, _body in kept.got}) == 1


def test_an_endpoint_that_is_gone_or_mute_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.hooks._HTTP_SECONDS", 0.2)
    here = allowed_of("127.0.0.1")
    with pytest.raises(Undelivered, match="ConnectionRefusedError"):
        WebhookTransport(here).send(f"http://127.0.0.1:{free_port()}/", {}, b"{}")
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        with pytest.raises(Undelivered, match="TimeoutError"):
            WebhookTransport(here).send(f"http://127.0.0.1:{mute.getsockname()[1]}/", {}, b"{}")


PRIVATE = """
    127.0.0.1 127.8.8.8 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 239.1.1.1
    240.0.0.1 255.255.255.255 192.0.2.1 198.18.0.1 ::1 :: fe80::1 fe80::1%eth0 fc00::1 fd12::1 ff02::1 2001:db8::1
    ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::127.0.0.1 64:ff9b::7f00:1 64:ff9b::a00:1 64:ff9b:1::1 2002:7f00:1::1 2001::1
"""


@pytest.mark.parametrize("address", PRIVATE.split())
def test_a_webhook_goes_to_no_address_that_is_not_the_internets(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever name stands for it: what it resolves to is judged, and nothing is connected to before."""
    monkeypatch.setattr(socket, "create_connection", lambda *given: pytest.fail(f"connected to {given}"))
    transport = WebhookTransport(resolve=lambda host, port, **more: [(0, 0, 0, "", (address, port))])
    for url in ("https://hooks.example/in", "http://hooks.example:8080/"):
        with pytest.raises(Undelivered, match=REFUSED) as refused:
            transport.send(url, {}, b"{}")
        assert refused.value.down


@pytest.mark.parametrize("literal", ["127.0.0.1", "[::1]", "2130706433", "0x7f.1", "127.1", "localhost", "0"])
def test_no_way_to_write_this_machine_gets_through(literal: str) -> None:
    with pytest.raises(Undelivered) as refused:
        WebhookTransport().send(f"http://{literal}:{free_port()}/", {}, b"{}")
    assert refused.value.reason in (REFUSED, "gaierror")


def test_the_address_that_was_judged_is_the_one_connected_to(
    receiver: tuple[str, type[Receiver]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that answers otherwise the second time, and with a private address among public ones, gains nothing."""
    url, kept = receiver
    port = int(url.split(":")[2].split("/")[0])
    asked: list[str] = []
    connected: list[tuple[str, int]] = []

    def rebinding(host: str, port: int, **more: Any) -> list[Any]:
        asked.append(host)
        addresses = ["127.0.0.1", "93.184.215.14", "10.0.0.1"] if len(asked) == 1 else ["127.0.0.1"]
        return [(0, 0, 0, "", (one, port)) for one in addresses]

    def connect(address: tuple[str, int], *more: Any) -> socket.socket:
        connected.append(address)
        return real(("127.0.0.1", port))  # what stands in the internet, for this test

    real = socket.create_connection
    monkeypatch.setattr(socket, "create_connection", connect)
    WebhookTransport(resolve=rebinding).send(f"http://hooks.example:{port}/in?a=1", {"x": "y"}, b"{}")
    assert (asked, connected) == (["hooks.example"], [("93.184.215.14", port)])
    [(path, headers, body)] = kept.got
    assert (path, headers["host"], headers["x"], body) == ("/in?a=1", f"hooks.example:{port}", "y", b"{}")


def test_what_the_settings_allow_is_allowed(receiver: tuple[str, type[Receiver]]) -> None:
    url, kept = receiver
    for words in ("127.0.0.0/8", "::1, 127.0.0.1", "localhost"):
        there = url.replace("127.0.0.1", "localhost") if words == "localhost" else url
        WebhookTransport(allowed_of(words)).send(there, {}, b"{}")
    assert len(kept.got) == 3
    with pytest.raises(Undelivered, match=REFUSED):
        WebhookTransport(allowed_of("10.0.0.0/8 localhost")).send(url, {}, b"{}")
    assert allowed_of("") == Allowed()
    for wrong in ("10.0.0.0/33", "http://x", "10.0.0", "a b/c"):
        with pytest.raises(Unavailable, match="webhook_allow_wrong"):
            allowed_of(wrong)


def test_a_secret_stands_in_no_database(desk: PostDesk, receiver: tuple[str, type[Receiver]], tmp_path: Path) -> None:
    url, kept = receiver
    _id, secret = desk.endpoint(url=url)
    store = desk.ledger.store
    assert secret not in str(store.query("SELECT * FROM ledger_endpoints"))
    # As it stood before: in the database.
    store.execute("UPDATE ledger_endpoints SET secret = ?", [secret])
    for file in tmp_path.glob("*secrets*"):
        file.unlink()
    desk.sell()
    for _again in range(2):
        assert command(store.url, "migrate").returncode == 0
    assert secret not in str(store.query("SELECT * FROM ledger_endpoints"))
    if store.dialect == "sqlite":
        assert not [file for file in tmp_path.glob("ledger.db*") if secret.encode() in file.read_bytes()
                    and not file.name.endswith(".secrets")]  # fmt: skip
    [kept_in] = [file for file in tmp_path.glob("*secrets") if secret in file.read_text()]
    assert kept_in.stat().st_mode & 0o777 == 0o600
    assert hooked(desk)["sent"] == 1
    [(_path, headers, body)] = kept.got
    assert verify(secret, headers, body, to_iso(datetime.now(UTC)))
    kept_in.unlink()
    desk.tickets(5)
    assert hooked(desk)["failed"] >= 1
    assert "secret_missing" in errors(desk)


def test_without_a_file_for_it_no_endpoint_is_made(pg_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEDGER_SECRETS_FILE")
    assert command(pg_url, "migrate").returncode == 0
    refused = command(pg_url, "webhook", "add", "https://hooks.example/in", "--json")
    assert (refused.returncode, json.loads(refused.stdout)["code"]) == (1, "secrets_file_unset")
    assert json.loads(command(pg_url, "webhook", "list", "--json").stdout) == {"webhooks": []}


# --- what nobody may read ---------------------------------------------------------------------------------------------


def test_no_address_no_password_and_no_secret_is_told(
    desk: PostDesk, server: Server, receiver: tuple[str, type[Receiver]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url, kept = receiver
    _id, secret = desk.endpoint(url=url)
    desk.sell()
    desk.contact(name="Doña Marta")
    kept.answers = [500]
    server.rcpt = [f"550 <{BUYER}> unknown"]
    login = f"smtp://user:{QUOTED}@127.0.0.1:{server.port}"
    fill(desk.ledger, desk.projector, desk.now)
    run(desk, server, smtp_url=login)
    run(desk, server, "2026-03-02 10:01", smtp_url=login)
    assert len(server.got) == len(kept.got) - 1 == 1
    told = [record for record in caplog.records if record.name.startswith(("supportledger", "ledger", "scheduler"))]
    everything = str([record.getMessage() for record in told]) + str(Settings(smtp_url=login))
    tables = ("ledger_events", "ledger_outbox", "ledger_requests", "ledger_meta", "ledger_jobs")
    everything += str([desk.ledger.store.query(f"SELECT * FROM {table}") for table in tables])
    for hidden in (BUYER, "Doña Marta", PASSWORD, QUOTED, secret, secret.removeprefix("whsec_")):
        assert hidden not in everything
