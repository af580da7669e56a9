"""Between the ledger's kinds of values and marshmallow: one field that lets a kind parse and describe itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

import marshmallow as ma
from flask import Request
from webargs.flaskparser import FlaskParser

from api.refusals import Unacceptable, UnknownParameter, Unreadable
from ledger.apply import parse_line
from ledger.errors import Malformed, Refused
from ledger.fields import Field, Flag, Kind, Whole, unknown
from ledger.texts import table, text

MAX_BODY = 256 * 1024
_AS_THE_SCHEMA_SAYS: dict[str, str | None] = {"json": None, "query": None}


class KindField(ma.fields.Field[Any]):
    """A value of a `ledger.fields.Kind`: checked here, handed on as it came (the ledger parses it)."""

    def __init__(self, kind: Kind, *, required: bool, description: str, from_text: bool) -> None:
        super().__init__(required=required, allow_none=not required, metadata={"description": description})
        self.kind = kind
        self.from_text = from_text

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **_: Any) -> Any:
        if self.from_text:
            value = _of_text(self.kind, value)
        try:
            self.kind.parse(value, attr or "value")
        except Malformed as error:
            # A list goes through marshmallow as it is, so that each wrong field is told in its own words.
            raise ma.ValidationError([error]) from None
        return value


def _of_text(kind: Kind, value: Any) -> Any:
    """Return a query parameter's text as the JSON value it stands for."""
    if isinstance(kind, Flag):
        return {"true": True, "false": False}.get(value, value)
    if isinstance(kind, Whole) and isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 17:
        return int(value)
    return value


def schema(name: str, fields: Iterable[Field], *, from_text: bool = False, asks: bool = False) -> ma.Schema:
    """Return the schema of these fields; unknown ones are refused.

    `from_text`: of query parameters; `asks`: of a question, in which some names mean other things.
    """
    members: dict[str, ma.fields.Field[Any]] = {
        field.name: KindField(
            field.kind,
            required=field.required,
            description=described(field.kind.about or field.name, asks=asks),
            from_text=from_text,
        )
        for field in fields
    }
    made: ma.Schema = ma.Schema.from_dict(members, name=name)(unknown=ma.RAISE)
    return made


def described(field: str, *, asks: bool = False) -> str:
    """Return a field's description in English (the document's language)."""
    keys = [f"query_{field}"] * asks + [f"field_{field}"]
    return next((text(key, "en") for key in keys if key in table()), field.replace("_", " "))


def field_to_schema(_converter: Any, field: Any, **_: Any) -> dict[str, Any]:
    """Return a KindField's JSON Schema: apispec asks this for each field."""
    return field.kind.schema() if isinstance(field, KindField) else {}


class StrictParser(FlaskParser):
    """Reads bodies and queries as strictly as `apply` does: UTF-8, one object, no name twice, none unknown, no NaN."""

    # webargs by itself ignores what a query has beyond the schema: a misspelt `known_at` would answer as of today.
    DEFAULT_UNKNOWN_BY_LOCATION = _AS_THE_SCHEMA_SAYS

    def load_querystring(self, req: Request, schema: ma.Schema) -> Any:
        """Return the query's parameters; one that stands twice is refused, as it is in a body."""
        check_utf8(req)
        for name, values in req.args.lists():
            if len(values) > 1:
                raise Malformed(name, values[1], "remedy_twice")
        return super().load_querystring(req, schema)

    def _raw_load_json(self, req: Request) -> Any:
        body = req.get_data(cache=True)
        if not body.strip():
            return {}
        try:
            return parse_line(body)
        except Malformed as error:
            facts = dict(error.facts)
            field, remedy = facts.pop("field"), facts.pop("remedy")
            # The ledger speaks of lines, HTTP of a body.
            where = "" if field == "line" else field
            remedy = "remedy_body" if remedy == "remedy_object" else remedy
            raise Unreadable(where, facts.pop("value"), remedy, **facts) from None

    def handle_error(self, error: ma.ValidationError, req: Request, schema: ma.Schema, **_: Any) -> Any:
        """Turn what marshmallow gathered (unknown, missing, null and wrong fields) into one refusal of ours."""
        found: list[Malformed] = []
        if any("approver" in fields for fields in error.normalized_messages().values()):  # type: ignore[no-untyped-call]
            raise Refused("approver_not_taken")
        for where, fields in error.normalized_messages().items():  # type: ignore[no-untyped-call]
            sent = self._raw_load_json(req) if where == "json" else req.args
            for name, reasons in fields.items():
                known = [reason for reason in reasons if isinstance(reason, Malformed)]
                found += known or [_missing_or_unknown(str(name), schema, sent.get(name))]
        raise Unacceptable(found)


def _missing_or_unknown(name: str, schema: ma.Schema, value: Any) -> Malformed:
    if name in schema.fields:
        return Malformed(name, None, "remedy_missing")
    return unknown(name, value, schema.fields)


def check_no_query(req: Request) -> None:
    """Raise Unacceptable where a query stands at a route that reads none."""
    if req.query_string:
        check_utf8(req)
        wrong = [UnknownParameter(name, value, "remedy_no_fields") for name, value in req.args.items()]
        if wrong:
            raise Unacceptable(wrong)


def check_utf8(req: Request) -> None:
    """Raise Malformed where the query is no UTF-8: read with replacements, it would ask for something else."""
    if b"%" in req.query_string or not req.query_string.isascii():
        try:
            unquote_to_bytes(req.query_string).decode()
        except UnicodeDecodeError:
            raise Malformed("query", req.query_string.decode("latin-1"), "remedy_query_utf8") from None
