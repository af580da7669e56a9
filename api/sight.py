"""What the document says of roles: who may call an operation, and what of its answer is left out for whom."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from api.operations import Operation
from ledger.visibility import Sort, keeps, sort_of

Node = dict[str, Any]
KEPT = "x-kept-from"  # in an answer's schema: the roles that a member may be left out for
ROLES = "x-roles"  # of an operation: the roles that may call it


def answer_for(made: Operation, shape: Node) -> Node:
    """Return an answer's shape in which what some role is not told says so, and need not be there."""
    return _seen(deepcopy(shape), made.answer, sorted(made.roles))


def _seen(schema: Node, name: str, roles: list[str]) -> Node:
    for field, member in schema.get("properties", {}).items():
        kept = [role for role in roles if keeps(role, name, field)]
        if kept:
            schema["properties"][field] = {**member, KEPT: kept}
            schema["required"] = [needed for needed in schema["required"] if needed != field]
        sort = sort_of(name, field)
        if sort is not None and not sort & Sort.WHOLE:
            _seen(member, name, roles)
    for inner in (schema.get("items"), *schema.get("anyOf", ())):
        if inner:
            _seen(inner, name, roles)
    return schema


def told(made: Operation, shape: Node) -> str:
    """Return in words who may call an operation, with which values, and what each role is not told."""
    lines = [f"Roles: {', '.join(sorted(made.roles))}."]
    lines += [f"{only.role.capitalize()}: `{only.field}` only {', '.join(only.words)}." for only in made.only]
    for role in sorted(made.roles):
        kept = sorted(_kept(shape, role))
        if kept:
            lines.append(f"Left out for {role}: {', '.join(kept)}.")
    return " ".join(lines)


def _kept(schema: Node, role: str) -> Iterable[str]:
    found = {field for field, member in schema.get("properties", {}).items() if role in member.get(KEPT, ())}
    inner = [*schema.get("properties", {}).values(), schema.get("items"), *schema.get("anyOf", ())]
    return found.union(*(_kept(node, role) for node in inner if node))
