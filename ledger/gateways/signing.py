"""Signed webhooks, ours and the gateway's: Standard Webhooks 1.0.0 (https://www.standardwebhooks.com), symmetric `v1`.

Written here: its Python package brings three others for what the standard library does. Instants are canonical UTC
text (`rules/instants.py`); on the wire they are whole seconds since 1970.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from ledger.errors import Refused, Unavailable
from ledger.rules.instants import from_iso

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
TOLERANCE_SECONDS = 300
_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)  # what the standard recommends: 192 to 512 bits
# No full stop: it separates the parts that are signed, and one in an id would let two messages sign alike.
_ID = re.compile(r"[\x21-\x2d\x2f-\x7e]{1,255}")
_SECONDS = re.compile(r"[0-9]{1,11}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def new_secret() -> str:
    """Return a fresh secret: 256 random bits."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def message_id(key: str) -> str:
    """Return the webhook-id of a natural key: the same for the same key, whatever letters or stops it holds."""
    return f"msg_{hashlib.sha256(key.encode()).hexdigest()[:40]}"


def sign(secret: str, id: str, timestamp: str, body: bytes) -> dict[str, str]:
    """Return the three headers of a message signed at instant `timestamp` (canonical text).

    Raises Unavailable `webhook_secret_wrong` for an unusable secret, ValueError for an id that cannot be signed.
    """
    if _ID.fullmatch(id) is None:
        raise ValueError("a webhook-id is 1 to 255 visible ASCII characters without a full stop: see message_id")
    seconds = str(_seconds(timestamp))
    return {ID: id, TIMESTAMP: seconds, SIGNATURE: f"v1,{_signature(key_of(secret), id, seconds, body)}"}


def verify(secret: str, headers: Mapping[str, str], body: bytes, now: str) -> str:
    """Return the webhook-id of a message that was signed with `secret` within five minutes of `now`.

    `headers` are looked up as they are: by lower-case names, unless the mapping ignores case as a web framework's
    does. Several secrets may stand in `secret`, parted by blanks, while one replaces another. Raises Refused
    `webhook_unsigned`, `webhook_signature_wrong`, `webhook_too_old`; Unavailable `webhook_secret_wrong`.
    """
    keys = [key_of(one) for one in secret.split()] or [key_of("")]
    id, seconds, signatures = (headers.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE))
    if _ID.fullmatch(id) is None or _SECONDS.fullmatch(seconds) is None or not signatures:
        raise Refused("webhook_unsigned")
    given = [one.partition(",")[2].encode() for one in signatures.split() if one.startswith("v1,")]
    expected = [_signature(key, id, seconds, body).encode() for key in keys]
    # Each with each, whatever matched before: time tells nothing of which, or how far.
    if not sum(hmac.compare_digest(one, other) for one in given for other in expected):
        raise Refused("webhook_signature_wrong")
    if abs(_seconds(now) - int(seconds)) > TOLERANCE_SECONDS:
        raise Refused("webhook_too_old", minutes=TOLERANCE_SECONDS // 60)
    return id


def key_of(secret: str) -> bytes:
    """Return the key of `whsec_…`; Unavailable `webhook_secret_wrong` when it holds none (never saying what it was)."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True) if secret.startswith(_PREFIX) else b""
    except (binascii.Error, ValueError):
        key = b""
    if len(key) not in _KEY_BYTES:
        raise Unavailable("webhook_secret_wrong", least=_KEY_BYTES[0], most=_KEY_BYTES[-1])
    return key


def _signature(key: bytes, id: str, seconds: str, body: bytes) -> str:
    return base64.b64encode(hmac.digest(key, f"{id}.{seconds}.".encode() + body, hashlib.sha256)).decode()


def _seconds(instant: str) -> int:
    return (from_iso(instant) - _EPOCH) // timedelta(seconds=1)
