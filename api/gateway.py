"""What the card gateway tells by itself: its webhooks, known by their signature (Standard Webhooks), not by a token."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, request

from api.context import services
from api.operations import given
from api.refusals import Unauthorised
from api.responses import as_json
from api.schemas import StrictParser, described, schema
from ledger.errors import Refused, Unavailable
from ledger.fields import Choice, Field, Flag, Instant, Text
from ledger.gateways import GatewayAnswer
from ledger.gateways.signing import ID, SIGNATURE, TIMESTAMP, verify
from ledger.rules.instants import to_iso
from ledger.texts import text

gateway = Blueprint("gateway", __name__)

# What a gateway tells by itself: "unknown" is only an answer to a question.
FIELDS = (
    Field("reference", Text(200)),
    Field("outcome", Choice(("succeeded", "refused", "pending"))),
    Field("at", Instant()),
    Field("gateway_reference", Text(200, blank=True), required=False),
    Field("code", Text(64, blank=True), required=False),
    Field("final", Flag(), required=False),
)
_TAKEN = schema("gateway_event", FIELDS)
_PARSER = StrictParser()


@gateway.post("/v1/gateway/events")
def gateway_event() -> Response:
    """Book what the gateway says of an attempt; the same again, in any order, changes nothing and is answered alike."""
    made = services()
    _verify(made.settings.gateway_secret)
    values = given(_PARSER.parse(_TAKEN, request, location="json"))
    parsed = {field.name: field.kind.parse(values[field.name], field.name) for field in FIELDS if field.name in values}
    answer = made.ledger.settle(GatewayAnswer(**parsed))
    response = as_json({name: value for name, value in answer.items() if name != "ok"})
    response.headers["Cache-Control"] = "no-store"
    return response


def _verify(secret: str) -> None:
    """Raise Unauthorised unless the body, as it came, was signed with `secret` within minutes of now.

    The machine's now, also where the ledger has a test clock: it is the sender's clock that is looked at.
    """
    if not secret:
        raise Unavailable("gateway_secret_missing")
    headers = {name: request.headers.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE)}
    try:
        verify(secret, headers, request.get_data(cache=True), to_iso(datetime.now(UTC)))
    except Refused as error:
        raise Unauthorised(error.code, **error.facts) from None


def paths() -> dict[str, Any]:
    """Return the path's node for the OpenAPI document."""
    body = {
        "type": "object",
        "properties": {f.name: {**f.kind.schema(), "description": described(f"gateway_{f.name}")} for f in FIELDS},
        "required": [field.name for field in FIELDS if field.required],
        "additionalProperties": False,
    }
    at = "2026-02-01T06:00:02Z"
    sent = {"reference": "C-1001/C-1001-S1-r1-t1", "outcome": "succeeded", "at": at, "gateway_reference": "ch_x7Qa"}
    answer = {
        "type": "object",
        "properties": {"reference": {"type": "string"}, "recorded": {"type": "integer"}},
        "required": ["reference"],
    }
    told = {"schema": answer, "example": {"reference": sent["reference"], "recorded": 2}}
    refused = ("400", "401", "404", "409", "413", "415", "422", "500", "503")
    node = {
        "operationId": "gateway_event",
        "summary": text("http_gateway_event", "en"),
        "tags": ["gateway"],
        "security": [{"webhook": []}],
        "parameters": [_header(ID), _header(TIMESTAMP), _header(SIGNATURE)],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body, "example": sent}}},
        "responses": {
            "200": {
                "description": "Booked, now or before: how many facts that came to",
                "content": {"application/json": told},
            },
            **{status: {"$ref": f"#/components/responses/Problem{status}"} for status in refused},
        },
    }
    return {"/v1/gateway/events": {"post": node}}


def _header(name: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
