"""The pieces of the OpenAPI document that operations share."""

from __future__ import annotations

from typing import Any

_PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "Problem details (RFC 9457); members beyond these are facts of the refusal.",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "description": "Stable: /problems/<code>"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable, for programs", "examples": ["no_tickets_left"]},
        "detail": {"type": "string", "description": "For people, in the language of Accept-Language"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}

_MEANINGS = {
    "400": "The body is no JSON object",
    "401": "No good bearer token",
    "403": "The role may not do this",
    "404": "No such account, case, grant or price",
    "409": "Refused by the rules, declined, or in conflict with something recorded before",
    "422": "A field is missing, unknown or wrong: `errors` points to it",
    "503": "The store cannot serve now, or is behind: see Retry-After",
}


def _problem(meaning: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": meaning, "content": {"application/problem+json": {"schema": schema}}}


PROBLEMS: dict[str, Any] = {status: _problem(meaning) for status, meaning in _MEANINGS.items()}


def answered(meaning: str) -> dict[str, Any]:
    """Return the description of a good answer: a JSON object."""
    return {"description": meaning, "content": {"application/json": {"schema": {"type": "object"}}}}


def command_parameters() -> list[dict[str, Any]]:
    """Return the header that every command takes."""
    return [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "The same key and body give the first answer again; another body is a conflict.",
            "schema": {"type": "string", "maxLength": 152, "minLength": 1},
        }
    ]


def question_parameters() -> list[dict[str, Any]]:
    """Return the headers that every question takes."""
    return [
        {
            "name": "X-Position-At-Least",
            "in": "header",
            "required": False,
            "description": "See at least this position of the log (a command's answer names it), or 503 `behind`.",
            "schema": {"type": "string", "pattern": "^[0-9]{1,15}$"},
        }
    ]


def only_our_problems(spec: Any) -> None:
    """Take out the reference to flask-smorest's own error response, which every operation documents instead."""
    for operations in spec._paths.values():
        for operation in operations.values():
            if isinstance(operation, dict):
                operation.get("responses", {}).pop("default", None)


def complete(spec: Any) -> None:
    """Add the shared components to an apispec document."""
    spec.components.schema("Problem", _PROBLEM_SCHEMA)
    spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer"})
