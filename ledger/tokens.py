"""Bearer tokens: 256 random bits shown once, kept as a hash, with one role and the name that becomes `by`.

A token ends by itself. Whether it has ended is asked of the machine's clock, also where the ledger has a test clock: it
guards the door, and a trial that moves through a year must not lock its own people out.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from ledger.application import Caller
from ledger.errors import Malformed, Refused
from ledger.rules import people
from ledger.rules.durations import add_span, is_span, parse_span
from ledger.rules.instants import from_iso, midnight, parse_date, to_iso
from ledger.store import Store, Token

DEFAULT_EXPIRY = "90d"
MOST_DAYS = 366
USE_NOTED = timedelta(minutes=10)  # how exactly "last used" is told: so that reading writes next to nothing
_PREFIX = "sl_"

State = Literal["good", "expired", "revoked"]


def create(store: Store, *, role: str, name: str, now: str, expires_at: str = "", created_by: str = "") -> str:
    """Keep a new token's hash and return its text: the only time it can be seen.

    `now` and `expires_at` are canonical instants; without the latter it has no end. `created_by` is who made it.
    Refused for a name that looks like another one's: the two would be one person, who approves nothing of the other's.
    """
    for known in store.tokens():
        if known.name != name and people.same(known.name, name):
            raise Refused("name_looks_alike", name=name, known=known.name)
    secret = _PREFIX + secrets.token_urlsafe(32)
    store.add_token(Token(digest(secret), secret[:11], role, name, now, "", expires_at, created_by))
    return secret


def machine_now() -> str:
    """Return the machine's instant as canonical text."""
    return to_iso(datetime.now(UTC))


def expiry(given: Any, now: str, zone: str, field: str = "expires") -> str:
    """Return the canonical instant at which a token ends: after a span (`90d`), or with a local date's last moment.

    Malformed for anything else, for what is over already, and for more than a year.
    """
    if isinstance(given, str) and is_span(given):
        ends = add_span(from_iso(now), parse_span(given, field), zone, field)
    elif isinstance(given, str) and len(given) == len("2026-03-01"):
        ends = midnight(parse_date(given, field) + timedelta(days=1), zone)
    else:
        raise Malformed(field, given, "remedy_expiry", most=MOST_DAYS)
    if not from_iso(now) < ends <= from_iso(now) + timedelta(days=MOST_DAYS):
        raise Malformed(field, given, "remedy_expiry", most=MOST_DAYS)
    return to_iso(ends)


def digest(secret: str) -> str:
    """Return the SHA-256 of a token's text; it has 256 bits of its own, so no slow hash is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def state(token: Token, now: str) -> State:
    """Return how a token stands at a canonical instant of the machine's clock."""
    if token.revoked_at:
        return "revoked"
    return "expired" if token.expires_at and token.expires_at <= now else "good"


def has_operator(store: Store) -> bool:
    """Whether an operator's token is good in this ledger: as long as one is, everybody shows theirs.

    One that has ended counts no more: with the last of them the ledger would have nobody to make another.
    """
    now = machine_now()
    return any(token.role == "operator" and state(token, now) == "good" for token in store.tokens())


def caller(store: Store, secret: str) -> Caller | None:
    """Return who a token speaks for, None when it is unknown, has ended or was revoked."""
    token = store.token(digest(secret))
    if token is None or state(token, machine_now()) != "good":
        return None
    return Caller(by=token.name, role=token.role, source="api", states=False)


def note_use(store: Store, token_hash: str, now: str) -> None:
    """Write that a token was used about now."""
    store.token_used(token_hash, now, before=to_iso(from_iso(now) - USE_NOTED))
