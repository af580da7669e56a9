"""One operation of the API, and how it becomes a route: role first, then its fields, then the work."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from flask import Response, request
from flask_smorest import Blueprint

from api.context import caller, services
from api.schemas import StrictParser, check_no_query, schema
from ledger.application import Caller
from ledger.command import Only
from ledger.errors import Refused
from ledger.fields import Field

_PATH = re.compile(r"{(\w+)}")

View = Callable[..., Response]


@dataclass(frozen=True)
class Operation:
    """`path` stands under /v1 with parameters in braces; `fields` are all its values, those of the path too.

    `tag` groups it, `answer` names the schema of its answer (`shapes.py`), `summary` says in English what it does.
    `logged`: it is about the log, so that a key or a position may go with it.
    `only` narrows what some roles may ask.
    """

    id: str
    name: str
    method: str
    path: str
    fields: tuple[Field, ...]
    roles: frozenset[str]
    tag: str
    answer: str
    summary: str
    status: int = 200
    logged: bool = True
    only: tuple[Only, ...] = ()

    @property
    def in_path(self) -> tuple[str, ...]:
        """The names of the fields that stand in the path."""
        return tuple(_PATH.findall(self.path))

    @property
    def asks(self) -> bool:
        """Whether it only reads."""
        return self.method == "GET"


class LedgerBlueprint(Blueprint):
    """A blueprint of operations whose values are read strictly."""

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, name: str) -> None:
        super().__init__(name, __name__, url_prefix="/v1")
        self.operations: list[Operation] = []

    def operation(self, made: Operation, view: View) -> None:
        """Register an operation; `view` gets its values (query or body) and its path's by name."""
        self.operations.append(made)
        view.__doc__ = made.summary
        fields = [field for field in made.fields if field.name not in made.in_path]
        in_body = made.method == "POST"
        taken = schema(f"{made.id}_{'body' if in_body else 'query'}", fields, from_text=not in_body, asks=made.asks)
        parsed = self.arguments(taken, location="json" if in_body else "query")(view)
        bare = not in_body and not any(field.required for field in fields)

        @wraps(parsed)
        def allowed(**path: str) -> Response:
            allow(caller(), made.roles, made.name)
            if in_body:
                check_no_query(request)
            gate = services().gate
            with gate.open(made.name, caller().by, asks=made.asks, environ=request.environ):
                if bare and not request.query_string:
                    return view({}, **path)  # the usual question: there is nothing to parse
                answer: Response = parsed(**path)
                return answer

        rule = _PATH.sub(r"<\1>", made.path)
        documented = self.doc(operationId=made.id, security=[{"bearer": []}])
        allowed._apidoc = documented(allowed)._apidoc  # type: ignore[attr-defined]  # its wrapper does nothing else
        self.route(rule, methods=[made.method], endpoint=made.id, tags=[made.tag])(allowed)


def allow(who: Caller, roles: frozenset[str], name: str) -> None:
    """Raise Refused unless the caller's role may do this."""
    if who.role not in roles:
        raise Refused("role_not_allowed", role=who.role, command=name, roles=", ".join(sorted(roles)))


def given(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values that were given: null counts as left out."""
    return {name: value for name, value in values.items() if value is not None}
