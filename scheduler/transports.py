"""How notices leave: mail by SMTP or into a folder, webhooks by HTTP. Each says in one safe word why it could not.

No reason holds an address, a server's own words or a secret: it is kept in the outbox and shown.
"""

from __future__ import annotations

import base64
import contextlib
import os
import smtplib
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import getaddresses, parseaddr
from pathlib import Path
from typing import Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from ledger.contacts import Email, is_here
from ledger.errors import Malformed, Unavailable
from ledger.settings import Settings
from ledger.texts import LANGUAGES
from scheduler.hooks import WebhookTransport, allowed_of
from scheduler.undelivered import Undelivered

_SMTP_SECONDS = 15.0
_PORTS = {"smtp": 587, "smtps": 465}
_SENDER_OF_FILES = "Soporte <soporte@example.com>"


class MailTransport(Protocol):
    """What takes an e-mail."""

    def send(self, mail: EmailMessage) -> None:
        """Hand it over; Undelivered when it was not taken."""

    def close(self) -> None:
        """Let go of the connection."""


class HookTransport(Protocol):
    """What takes a webhook."""

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        """POST it; Undelivered unless the answer is 2xx."""


@dataclass(frozen=True)
class Transports:
    """`mail` is None where none is set: mail then waits. `sender` is who it is from, by its name the company.

    `desk` are our own people, who are written to in `lang` (es_GT or en).
    """

    mail: MailTransport | None = None
    sender: Address | None = None
    hooks: HookTransport = field(default_factory=WebhookTransport)
    desk: tuple[Address, ...] = ()
    lang: str = LANGUAGES[0]
    secrets: Path | None = None  # the file of the webhooks' secrets, where it is not beside the ledger

    @property
    def company(self) -> str:
        """How the company signs."""
        return _company(self.sender)


@contextlib.contextmanager
def transports_of(settings: Settings) -> Iterator[Transports]:
    """Yield what the settings name; Unavailable `smtp_url_wrong`, `mail_from_wrong`, `mail_desk_wrong` for unusable."""
    desk = desk_of(settings.mail_desk)
    mail: MailTransport | None = None
    sender = settings.mail_from
    if settings.smtp_url:
        mail = SmtpTransport(settings.smtp_url)
    elif settings.mail_dir is not None:
        mail, sender = FolderTransport(settings.mail_dir), sender or _SENDER_OF_FILES
    hooks = WebhookTransport(allowed_of(settings.webhook_allow))
    try:
        own = sender_of(sender) if mail is not None else None
        yield Transports(mail, own, hooks, desk, settings.lang, settings.secrets_file)
    finally:
        if mail is not None:
            mail.close()


def sender_of(words: str) -> Address:
    """Return the address in "Name <address>"; Unavailable `mail_from_wrong` when there is none."""
    name, address = parseaddr(words)
    try:
        if not words.isprintable():  # a line's end, for one
            raise ValueError
        return Address(name, addr_spec=Email().parse(address, "LEDGER_MAIL_FROM"))
    except (Malformed, ValueError):
        raise Unavailable("mail_from_wrong") from None


def desk_of(words: str) -> tuple[Address, ...]:
    """Return the addresses in "Name <address>, address", each once; Unavailable `mail_desk_wrong` for what is none."""
    found: dict[str, Address] = {}
    try:
        if not words.isprintable():
            raise ValueError
        for name, address in getaddresses([words]) if words.strip() else ():
            spec = Email().parse(address, "LEDGER_MAIL_DESK")
            found.setdefault(spec.lower(), Address(name, addr_spec=spec))
    except (Malformed, ValueError):
        raise Unavailable("mail_desk_wrong") from None
    return tuple(found.values())


def company_of(settings: Settings) -> str:
    """Return how the company signs its mail."""
    return _company(sender_of(settings.mail_from) if settings.mail_from else None)


def _company(sender: Address | None) -> str:
    return (sender.display_name if sender is not None else "") or "Soporte"


class SmtpTransport:
    """A mail server by URL: one connection for all mail of a run, opened at the first.

    `smtp://` goes on in TLS where the server offers it, and never sends a password without (but on this machine).
    """

    def __init__(self, url: str, context: ssl.SSLContext | None = None) -> None:
        self._parts = _smtp_parts(url)
        self._context = context or ssl.create_default_context()
        self._server: smtplib.SMTP | None = None

    def send(self, mail: EmailMessage) -> None:
        """Hand it to the server; Undelivered tells the kind of failure and the server's code."""
        sender, to = mail["From"].addresses[0].addr_spec, mail["To"].addresses[0].addr_spec
        try:
            self._open().send_message(mail, sender, [to])
        except smtplib.SMTPRecipientsRefused as refused:
            code = next(iter(refused.recipients.values()), (0, b""))[0]
            raise Undelivered(f"SMTPRecipientsRefused {code}") from None
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as refused:
            raise Undelivered(f"{type(refused).__name__} {refused.smtp_code}") from None
        except smtplib.SMTPResponseException as refused:
            self.close()
            raise Undelivered(f"{type(refused).__name__} {refused.smtp_code}", down=True) from None
        except (smtplib.SMTPException, OSError) as failed:
            self.close()
            raise Undelivered(type(failed).__name__, down=True) from None

    def close(self) -> None:
        """Take leave of the server, if there is one."""
        server, self._server = self._server, None
        if server is not None:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                server.quit()
            server.close()

    def _open(self) -> smtplib.SMTP:
        if self._server is None:
            self._server = self._connect()
        return self._server

    def _connect(self) -> smtplib.SMTP:
        parts, host = self._parts, self._parts.hostname or ""
        port = parts.port or _PORTS[parts.scheme]
        server: smtplib.SMTP
        if parts.scheme == "smtps":
            server = smtplib.SMTP_SSL(host, port, timeout=_SMTP_SECONDS, context=self._context)
        else:
            server = smtplib.SMTP(host, port, timeout=_SMTP_SECONDS)
        try:
            self._greet(server, secure=parts.scheme == "smtps" or is_here(host))
        except BaseException:
            server.close()
            raise
        return server

    def _greet(self, server: smtplib.SMTP, *, secure: bool) -> None:
        server.ehlo()
        if self._parts.scheme == "smtp" and server.has_extn("starttls"):
            server.starttls(context=self._context)
            server.ehlo()
            secure = True
        if self._parts.username:
            if not secure:
                raise Undelivered("no TLS, so no password", down=True)
            _log_in(server, unquote(self._parts.username), unquote(self._parts.password or ""))


def _log_in(server: smtplib.SMTP, user: str, password: str) -> None:
    if (user + password).isascii():
        server.login(user, password)
        return
    # smtplib knows ASCII only; PLAIN is UTF-8 (RFC 4616).
    given = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
    code, answer = server.docmd("AUTH", f"PLAIN {given}")
    if code != 235:
        raise smtplib.SMTPAuthenticationError(code, answer)


def _smtp_parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _port, host = parts.port, parts.hostname
    except ValueError:
        raise Unavailable("smtp_url_wrong") from None
    if parts.scheme not in _PORTS or not host or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise Unavailable("smtp_url_wrong")
    return parts


class FolderTransport:
    """Mail as files, for a machine without a server; sent again, a mail takes its own place."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, mail: EmailMessage) -> None:
        """Write it as `<Message-ID>.eml`, readable by its owner only."""
        name = str(mail["Message-ID"]).strip("<>").partition("@")[0]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, path = tempfile.mkstemp(dir=self._folder, suffix=".part")
            with os.fdopen(handle, "wb") as file:
                file.write(mail.as_bytes())
            Path(path).replace(self._folder / f"{name}.eml")
        except OSError as failed:
            raise Undelivered(type(failed).__name__, down=True) from None

    def close(self) -> None:
        """Nothing is held."""
