"""The kinds of values in answers, and how records of them are told in JSON Schema."""

from __future__ import annotations

from typing import Any

from ledger.rules.grants import LEVELS
from ledger.rules.sla import PRIORITIES

Schema = dict[str, Any]

_KINDS: dict[str, Schema] = {
    "text": {"type": "string"},
    "money": {"type": "string", "pattern": r"^-?[0-9]+\.[0-9]{2}$", "examples": ["250.00"]},
    "instant": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "month": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$"},
    "whole": {"type": "integer"},
    "flag": {"type": "boolean"},
    "level": {"type": "string", "enum": list(LEVELS)},
    "priority": {"type": "string", "enum": list(PRIORITIES)},
    "outcome": {"type": "string", "enum": ["served", "declined"]},
    "verdict": {"type": "string", "enum": ["met", "breached", "open", "excluded", "none"]},
    "state": {"type": "string", "enum": ["in_force", "past_due", "pending", "lapsed", "cancelled", "none"]},
}


def kind(name: str | Schema) -> Schema:
    """Return the schema of a kind; `?` at its end lets it be null."""
    if isinstance(name, dict):
        return name
    base = _KINDS[name.rstrip("?")]
    if not name.endswith("?"):
        return base
    values = {"enum": [*base["enum"], None]} if "enum" in base else {}
    return {**base, "type": [base["type"], "null"], **values}


def record(more: bool = False, /, **members: str | Schema) -> Schema:
    """Return the schema of an object; `more`: it has members beside those named."""
    return {
        "type": "object",
        "properties": {name.rstrip("?"): kind(of) for name, of in members.items()},
        "required": [name for name in members if not name.endswith("?")],
        "additionalProperties": more,
    }


def many(item: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": item}


def or_null(schema: Schema) -> Schema:
    """Return the schema that allows null too."""
    return {"anyOf": [schema, {"type": "null"}]}
