"""Bearer tokens: 256 random bits shown once, kept as a hash, with one role and the name that becomes `by`."""

from __future__ import annotations

import hashlib
import secrets

from ledger.application import Caller
from ledger.store import Store, Token

_PREFIX = "sl_"


def create(store: Store, *, role: str, name: str, now: str) -> str:
    """Keep a new token's hash and return its text: the only time it can be seen."""
    secret = _PREFIX + secrets.token_urlsafe(32)
    store.add_token(Token(digest(secret), secret[:11], role, name, now, ""))
    return secret


def digest(secret: str) -> str:
    """Return the SHA-256 of a token's text; it has 256 bits of its own, so no slow hash is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def caller(store: Store, secret: str) -> Caller | None:
    """Return who a token speaks for, None when it is unknown or revoked."""
    token = store.token(digest(secret))
    if token is None or token.revoked_at:
        return None
    return Caller(by=token.name, role=token.role, source="api")
