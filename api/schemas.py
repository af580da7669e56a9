"""Between the ledger's kinds of values and marshmallow: one field that lets a kind parse and describe itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import marshmallow as ma
from flask import Request
from webargs.flaskparser import FlaskParser

from ledger.apply import parse_line
from ledger.errors import Malformed
from ledger.fields import Field, Flag, Kind, Whole
from ledger.texts import table, text

MAX_BODY = 256 * 1024


class KindField(ma.fields.Field[Any]):
    """A value of a `ledger.fields.Kind`: checked here, handed on as it came (the ledger parses it)."""

    def __init__(self, kind: Kind, *, required: bool, description: str, from_text: bool) -> None:
        super().__init__(required=required, allow_none=not required, metadata={"description": description})
        self.kind = kind
        self.from_text = from_text

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **_: Any) -> Any:
        if self.from_text:
            value = _of_text(self.kind, value)
        self.kind.parse(value, attr or "value")
        return value


def _of_text(kind: Kind, value: Any) -> Any:
    """Return a query parameter's text as the JSON value it stands for."""
    if isinstance(kind, Flag):
        return {"true": True, "false": False}.get(value, value)
    if isinstance(kind, Whole) and isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return value


def schema(name: str, fields: Iterable[Field], *, from_text: bool = False) -> ma.Schema:
    """Return the schema of these fields; unknown ones are refused. `from_text`: of query parameters."""
    members: dict[str, ma.fields.Field[Any]] = {
        field.name: KindField(
            field.kind, required=field.required, description=described(field.name), from_text=from_text
        )
        for field in fields
    }
    made: ma.Schema = ma.Schema.from_dict(members, name=name)(unknown=ma.RAISE)
    return made


def described(field: str) -> str:
    """Return a field's description in English (the document's language)."""
    return text(f"field_{field}", "en") if f"field_{field}" in table() else field


def field_to_schema(_converter: Any, field: Any, **_: Any) -> dict[str, Any]:
    """Return a KindField's JSON Schema: apispec asks this for each field."""
    return field.kind.schema() if isinstance(field, KindField) else {}


class StrictParser(FlaskParser):
    """Reads JSON bodies as strictly as `apply` does: UTF-8, one object, no name twice, no NaN."""

    def _raw_load_json(self, req: Request) -> Any:
        body = req.get_data(cache=True)
        if not body.strip():
            return {}
        try:
            return parse_line(body)
        except Malformed as error:
            raise Malformed("body", error.facts["value"], error.facts["remedy"], **_rest(error)) from None

    def handle_error(self, error: ma.ValidationError, req: Request, schema: ma.Schema, **_: Any) -> Any:
        """Turn marshmallow's refusal (an unknown, missing or null field) into ours."""
        for fields in error.normalized_messages().values():  # type: ignore[no-untyped-call]
            for name, words in fields.items() if isinstance(fields, dict) else []:
                remedy = "remedy_unknown_field" if "Unknown" in str(words) else "remedy_missing"
                raise Malformed(str(name)[:64], None, remedy, known=", ".join(schema.fields))
        raise Malformed("body", None, "remedy_object")


def _rest(error: Malformed) -> dict[str, Any]:
    return {k: v for k, v in error.facts.items() if k not in ("field", "value", "remedy")}
