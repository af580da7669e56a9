"""Where notices go: a customer's e-mail address, and the endpoints that get signed webhooks. Beside the log, not in it.

An address can be corrected and forgotten, which a fact cannot. No message, log line or refusal of ours repeats one.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ledger.account import account_stream
from ledger.errors import Malformed, NotFound
from ledger.fields import Kind, Text
from ledger.gateways.signing import new_secret
from ledger.secret_file import IN_FILE, SecretFile
from ledger.store import Store

# What every mail server takes: no quotes, no comments, ASCII.
_EMAIL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_{|}~-]+)*@([A-Za-z0-9-]+\.)+[A-Za-z0-9-]+"
)
_HIDDEN = "…"


@dataclass(frozen=True)
class Contact:
    """A customer's address; `name` is whom a mail greets, "" for the company itself."""

    account: str
    email: str
    name: str
    changed_at: str


@dataclass(frozen=True)
class Endpoint:
    """Who gets webhooks. `kinds` is empty for all of them; `stopped_at` is "" while it gets them."""

    id: str
    url: str
    kinds: tuple[str, ...]
    created_at: str
    stopped_at: str


class Email(Kind):
    """An e-mail address of at most 254 ASCII characters. A refusal does not repeat it: it may reach a log."""

    def parse(self, value: Any, field: str) -> str:
        if not isinstance(value, str) or len(value) > 254 or _EMAIL.fullmatch(value) is None:
            raise Malformed(field, _HIDDEN, "remedy_email")
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "email", "maxLength": 254, "examples": ["compras@example.com"]}


class Address(Kind):
    """The URL of an endpoint: https, or http on this very machine; without user, password or fragment."""

    def parse(self, value: Any, field: str) -> str:
        text = Text(500).parse(value, field)
        try:
            parts = urlsplit(text)
            host, _port = parts.hostname or "", parts.port
        except ValueError:
            raise Malformed(field, _HIDDEN, "remedy_url") from None
        secure = parts.scheme == "https" or (parts.scheme == "http" and is_here(host))
        if not (secure and host and text.isascii() and " " not in text) or "@" in parts.netloc or parts.fragment:
            raise Malformed(field, _HIDDEN, "remedy_url")
        return text


def is_here(host: str) -> bool:
    """Whether a host name is this very machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# --- customers -------------------------------------------------------------------------------------------------------


def set_contact(store: Store, account: str, *, email: str, name: str, now: str) -> Contact:
    """Keep where an account's mail goes from now on; NotFound when there is no such account."""
    _existing(store, account)
    sql = (
        "INSERT INTO ledger_contacts (account, email, name, changed_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (account) DO UPDATE SET email = excluded.email, name = excluded.name,"
        " changed_at = excluded.changed_at"
    )
    store.execute(sql, [account, email, name, now])
    return Contact(account, email, name, now)


def contact(store: Store, account: str) -> Contact:
    """Return an account's contact; NotFound when it has none, or does not exist."""
    _existing(store, account)
    found = find_contact(store, account)
    if found is None:
        raise NotFound("no_contact", account=account)
    return found


def find_contact(store: Store, account: str) -> Contact | None:
    """Return an account's contact, None when it has none."""
    rows = store.query("SELECT account, email, name, changed_at FROM ledger_contacts WHERE account = ?", [account])
    return Contact(*rows[0]) if rows else None


def forget_contact(store: Store, account: str) -> int:
    """Delete an account's contact; return how many there were. What waits to be mailed to it is not sent."""
    _existing(store, account)
    return store.execute("DELETE FROM ledger_contacts WHERE account = ?", [account])


def with_contact(store: Store, accounts: Sequence[str]) -> set[str]:
    """Return which of `accounts` have a contact."""
    if not accounts:
        return set()
    marks = ",".join("?" * len(accounts))
    return {row[0] for row in store.query(f"SELECT account FROM ledger_contacts WHERE account IN ({marks})", accounts)}


def _existing(store: Store, account: str) -> None:
    if not store.select_events(account_stream(account), limit=1):
        raise NotFound("unknown_account", account=account)


# --- endpoints -------------------------------------------------------------------------------------------------------


def add_endpoint(
    store: Store, secrets_file: SecretFile, *, url: str, kinds: Sequence[str], now: str
) -> tuple[Endpoint, str]:
    """Keep a new endpoint; return it with its secret, which is shown only now. It gets what happens from `now` on."""
    endpoint, secret = Endpoint(f"W-{secrets.token_hex(4)}", url, tuple(kinds), now, ""), new_secret()
    sql = "INSERT INTO ledger_endpoints (id, url, secret, kinds, created_at, stopped_at) VALUES (?, ?, ?, ?, ?, '')"
    secrets_file.keep(endpoint.id, secret)
    store.execute(sql, [endpoint.id, url, IN_FILE, ",".join(kinds), now])
    return endpoint, secret


def endpoints(store: Store) -> list[Endpoint]:
    """Return all endpoints, oldest first, without their secrets."""
    sql = "SELECT id, url, kinds, created_at, stopped_at FROM ledger_endpoints ORDER BY created_at, id"
    return [Endpoint(i, url, tuple(filter(None, k.split(","))), c, s) for i, url, k, c, s in store.query(sql)]


def endpoint_secret(store: Store, id: str, secrets_file: SecretFile) -> tuple[str, str] | None:
    """Return (url, secret) of an endpoint that is not stopped, to send to it; None when there is none.

    The secret is "" where the file does not have it.
    """
    rows = store.query("SELECT url, secret FROM ledger_endpoints WHERE id = ? AND stopped_at = ''", [id])
    if not rows:
        return None
    url, secret = rows[0]
    return url, secrets_file.find(id) if secret == IN_FILE else secret


def hide_secrets(store: Store, secrets_file: SecretFile) -> int:
    """Move the secrets that stand in the database into the file; return how many did. Unavailable as `SecretFile`."""
    clear = store.query("SELECT id, secret FROM ledger_endpoints WHERE secret <> ?", [IN_FILE])
    if not clear:
        return 0
    for id, secret in clear:
        secrets_file.keep(id, secret)
    if store.dialect == "sqlite":
        store.query("PRAGMA secure_delete = ON")  # what they were is not to stay in the file's free room
    store.execute("UPDATE ledger_endpoints SET secret = ?", [IN_FILE])
    if store.dialect == "sqlite":
        store.query("PRAGMA wal_checkpoint(TRUNCATE)")
    return len(clear)


def stop_endpoint(store: Store, id: str, now: str) -> Endpoint:
    """Stop an endpoint: it gets nothing more, not even what waits. NotFound for an unknown one; again: no change."""
    store.execute("UPDATE ledger_endpoints SET stopped_at = ? WHERE id = ? AND stopped_at = ''", [now, id])
    for endpoint in endpoints(store):
        if endpoint.id == id:
            return endpoint
    raise NotFound("unknown_endpoint", id=id)
