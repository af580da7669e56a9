"""How answers are sent: JSON as it is, with a tag by which a client need not be sent it again."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

import msgspec
from flask import Response, request

from api.context import caller
from ledger.errors import Malformed

MOST_POSITION = 2**53


def as_json(answer: Any, status: int = 200) -> Response:
    """Return an answer of JSON-native values as it is: no second schema that could say something else."""
    return Response(msgspec.json.encode(answer), status=status, mimetype="application/json")


def conditional(answer: Any, facts: Any = None) -> Response:
    """Return an answer with its ETag; 304 when the client has it (compared weakly, RFC 9110 13.1.2).

    `facts` is the answer without the instant at which it was asked, where the client named none: then what it
    has from a moment ago still answers it. The tag is of both, so other bytes have another tag.
    """
    body = msgspec.json.encode(answer)
    # Two roles are told different things: neither's tag answers the other's question.
    role = caller().role.encode()
    tag = core = _digest(role + b" " + (body if facts is None else msgspec.json.encode(facts)))
    if facts is not None:
        tag = f"{core}-{zlib.crc32(body):08x}"
    asked = request.if_none_match
    held = tag if asked.star_tag else next((t for t in asked.as_set(True) if t.partition("-")[0] == core), None)
    response = Response(body, mimetype="application/json") if held is None else Response(status=304)
    response.set_etag(held or tag)
    response.vary.add("Authorization")
    return response


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:24]


def wanted_position(given: int | None) -> int | None:
    """Return the position a reader must see at least: the query's, else the header's."""
    header = request.headers.get("X-Position-At-Least")
    if given is None and header is not None:
        if not (header.isascii() and header.isdigit() and len(header) < 17):
            raise Malformed("X-Position-At-Least", header, "remedy_whole", least=0, most=MOST_POSITION)
        return int(header)
    return given
