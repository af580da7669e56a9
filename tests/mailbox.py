"""What the tests of notices share: transports that keep what they get, and a desk whose notices go out through them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from typing import Any

from ledger import contacts
from ledger import facts as f
from ledger.secret_file import secret_file_of
from ledger.settings import Settings
from projections.projector import Projector
from scheduler.outbox import fill_and_send
from scheduler.transports import Transports, desk_of, sender_of
from scheduler.undelivered import Undelivered
from tests.given import NAMES, PANADERIA, Desk

SENDER = "INVEX Soporte <soporte@example.com>"
BUYER = "compras@ixchel.example"


class Mailbox:
    """A mail transport that keeps what it gets; `refuses` holds what the next sendings fail with."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuses: list[Undelivered] = []

    def send(self, mail: EmailMessage) -> None:
        if self.refuses:
            raise self.refuses.pop(0)
        self.mails.append(mail)

    def close(self) -> None:
        pass

    @property
    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]


class Dies(Mailbox):
    """A server that takes the mail, and a sender that dies before it can note it."""

    def send(self, mail: EmailMessage) -> None:
        super().send(mail)
        raise KeyboardInterrupt


class Hooks:
    """A webhook transport that keeps what it gets."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Mapping[str, str], dict[str, Any]]] = []
        self.refuses: list[Undelivered] = []

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        if self.refuses:
            raise self.refuses.pop(0)
        self.got.append((url, headers, json.loads(body)))

    @property
    def kinds(self) -> list[str]:
        return [body["type"].removeprefix("notice.") for _url, _headers, body in self.got]


class PostDesk(Desk):
    """A desk whose customers have addresses, with one endpoint for everything: what goes out can be looked at."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.projector = Projector(self.ledger.store, self.ledger.catalogue)
        self.box, self.hooks = Mailbox(), Hooks()
        self.people = ""  # our desk's addresses, as LEDGER_MAIL_DESK has them
        self.lang = "es_GT"

    def close(self) -> None:
        self.projector.close()
        super().close()

    @property
    def now(self) -> str:
        return self.ledger.clock.now()

    def contact(self, account: str = PANADERIA, email: str = BUYER, name: str = "") -> PostDesk:
        contacts.set_contact(self.ledger.store, account, email=email, name=name, now=self.now)
        return self

    def endpoint(self, kinds: Sequence[str] = (), url: str = "https://hooks.example/in") -> tuple[str, str]:
        kept = secret_file_of(self.ledger.store, Settings.read().secrets_file)
        made, secret = contacts.add_endpoint(self.ledger.store, kept, url=url, kinds=kinds, now=self.now)
        return made.id, secret

    @property
    def transports(self) -> Transports:
        kept = Settings.read().secrets_file
        return Transports(self.box, sender_of(SENDER), self.hooks, desk_of(self.people), self.lang, kept)

    def post(self, at: str = "") -> dict[str, int]:
        """Let the job run, at a local time or now."""
        if at:
            self.at(at)
        return fill_and_send(self.ledger, self.projector, now=self.now, transports=self.transports)

    def told(self, at: str = "") -> list[str]:
        """Let the job run; return the kinds that went out by webhook in this run."""
        before = len(self.hooks.got)
        self.post(at)
        return self.hooks.kinds[before:]

    def append(self, *facts: f.Fact, account: str = PANADERIA) -> None:
        """Write facts into the log as they are, as the gateway's answers are written."""
        with self.ledger.accounts.existing(account) as kept:
            entry = self.ledger.entry(self.now)
            entry.decided(kept, facts)
            entry.save()

    def name(self, account: str = PANADERIA) -> str:
        return NAMES[account]


def words(mail: Any) -> str:
    """Return a mail's text, its line ends as ours."""
    return str(mail.get_body(("plain",)).get_content()).replace("\r\n", "\n")
