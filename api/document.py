"""The OpenAPI 3.1 document: what flask-smorest knows of fields and paths, completed by what is the same everywhere.

Problems, headers and answers are written once under `components`; every operation refers to them.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from api import gateway
from api.codes import codes
from api.operations import Operation
from api.shapes import shapes
from api.sight import ROLES, answer_for, told
from api.vocabulary import KEY
from ledger.commands import NEED_REASON
from ledger.commands_approvals import MAY_WAIT
from ledger.texts import table, text

Node = dict[str, Any]

_ABOUT = """The same commands and questions as on the command line, over HTTP.

- **Who**: a bearer token with one role; `supportledger token create --role agent`.
- **Roles**: `x-roles` names who may call an operation; what a role may not see is left out of its answers, and
  `x-kept-from` beside a member names those roles. Auditors read everything and change nothing.
- **Refused**: problem details (RFC 9457) with a stable `code`; `detail` follows Accept-Language (Spanish, English).
- **Again**: `Idempotency-Key` on every command; the same key and body give the first answer again.
- **Read your writes**: a command answers `position`; give it as `min_position` to whatever you read next.
- **Money** is text with two decimals, its currency beside it; **instants** are RFC 3339 with an offset.
"""
_TAGS = {
    "accounts": "Customers: their plan, tickets left, money",
    "tickets": "Cases: from opening to the verdict",
    "reports": "Lists and figures over all customers",
    "books": "Accounting months",
    "clock": "The test clock, on a ledger that has one",
    "gateway": "What the card gateway tells by itself",
    "server": "Whether it lives and can serve",
}
_MEANINGS = {
    "400": "The body is no JSON object, or none was expected",
    "401": "No good bearer token; no good signature, where one is asked for",
    "403": "The role may not do this",
    "404": "No such account, case, grant or price",
    "409": "Refused by the rules, declined (then recorded: see position), or in conflict with an earlier record",
    "413": "The body is over 256 KiB",
    "415": "The body is not application/json",
    "422": "Fields are missing, unknown or wrong: `errors` points to each",
    "429": "This address sent too many bad tokens: wait as long as Retry-After says",
    "500": "Our mistake; the server's log has it under request_id",
    "503": "The store cannot serve now, or is behind: see Retry-After",
}
_EXAMPLES: dict[str, tuple[str, Node]] = {
    "400": ("malformed", {"errors": [{"pointer": "#", "in": "body", "name": "", "value": "{", "detail": "…"}]}),
    "401": ("token_missing", {}),
    "403": ("role_not_allowed", {"role": "agent", "command": "payment.record", "roles": "finance, manager, operator"}),
    "404": ("unknown_account", {"account": "C-404"}),
    "409": ("no_tickets_left", {"account": "C-1", "addon": "basic", "position": 42}),
    "413": ("body_too_large", {}),
    "415": ("unsupported_media_type", {}),
    "422": (
        "malformed",
        {
            "field": "amount",
            "value": "1.005",
            "errors": [{"pointer": "#/amount", "in": "body", "name": "amount", "value": "1.005", "detail": "…"}],
        },
    ),
    "429": ("too_many_bad_tokens", {"seconds": 42}),
    "500": ("internal_error", {}),
    "503": ("behind", {"name": "log", "position": 41, "wanted": 42}),
}
_ASKING = ("401", "403", "404", "422", "429", "500", "503")
_TRIES = ("preview",)  # questions that do what a command would, and are refused as it would be
_DOING = ("400", *_ASKING[:3], "409", "413", "415", *_ASKING[3:])


def complete(document: Node, operations: Iterable[Operation]) -> Node:
    """Return flask-smorest's document with everything that it cannot know."""
    components = document["components"]
    schemas = components["schemas"]
    schemas["Problem"] = _problem_schema()
    for name, shape in shapes().items():
        schemas[_answer_name(name)] = shape
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}, "webhook": _signature()}
    components["parameters"] = _headers()
    components["responses"] = {f"Problem{status}": _problem(status) for status in _MEANINGS}
    document["info"]["description"] = _ABOUT
    document["tags"] = [{"name": name, "description": words} for name, words in _TAGS.items()]
    for made in operations:
        name = _answer_name(made.answer)
        schemas[name] = answer_for(made, schemas[name])
        _complete(document["paths"][f"/v1{made.path}"], made, schemas)
    document["paths"] |= _probes() | gateway.paths()
    return document


def _signature() -> Node:
    about = (
        "Standard Webhooks: `v1,` and HMAC-SHA256 over `webhook-id.webhook-timestamp.body` with the secret agreed on"
    )
    return {"type": "apiKey", "in": "header", "name": "webhook-signature", "description": about}


def _complete(path: Node, made: Operation, schemas: Node) -> None:
    kinds = {field.name: field.kind for field in made.fields}
    for parameter in path.get("parameters", ()):
        parameter["schema"] = kinds[parameter["name"]].schema()
    node = path[made.method.lower()]
    node[ROLES] = sorted(made.roles)
    node["description"] = told(made, schemas[_answer_name(made.answer)])
    if made.logged:
        header = "PositionAtLeast" if made.asks else "IdempotencyKey"
        node.setdefault("parameters", []).append({"$ref": f"#/components/parameters/{header}"})
    example = examples().get(made.id, {})
    if "requestBody" in node:
        content = node["requestBody"]["content"]["application/json"]
        body = schemas[content["schema"]["$ref"].rsplit("/", 1)[1]]
        if made.name in NEED_REASON:
            body.setdefault("required", []).append("reason")
        for name, member in body["properties"].items():
            if name not in body.get("required", ()):
                body["properties"][name] = _or_null(member)
        node["requestBody"]["required"] = bool(body.get("required"))
        if "body" in example:
            content["example"] = example["body"]
    node["responses"] = {
        str(made.status): _answer(made, example),
        **{code: {"$ref": f"#/components/responses/Problem{code}"} for code in _problems_of(made)},
    }
    if made.name in MAY_WAIT:
        node["responses"]["202"] = {
            "description": "It waits for a second person: nothing changes until they approve it (approval.give)",
            "headers": {"Location": _header("Where the request can be read")},
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/pending_answer"},
                    "example": {"pending": "R-1", "position": 42},
                }
            },
        }
    if made.asks:
        node["responses"]["304"] = {"description": "What the client has (If-None-Match) is still the answer"}


def _or_null(member: Node) -> Node:
    """Return the schema of an optional member of a body: null counts as left out."""
    if "type" not in member or "null" in member["type"]:
        return member
    kinds = member["type"] if isinstance(member["type"], list) else [member["type"]]
    found = {**member, "type": [*kinds, "null"]}
    if "enum" in found:
        found["enum"] = [*found["enum"], None]
    return found


def _problems_of(made: Operation) -> tuple[str, ...]:
    """Return the statuses of the problems that an operation may answer with."""
    if made.asks:
        return (*_ASKING, "409") if made.name in _TRIES else _ASKING
    return _DOING


def _answer(made: Operation, example: Node) -> Node:
    content: Node = {"schema": {"$ref": f"#/components/schemas/{_answer_name(made.answer)}"}}
    if "answer" in example:
        content["example"] = example["answer"]
    headers: Node = {"ETag": _header("Give it as If-None-Match: 304 when nothing has changed")} if made.asks else {}
    if made.logged and not made.asks:
        headers["Idempotent-Replayed"] = _header("`true` when this is an earlier request's answer again")
    if made.status == 201:
        headers["Location"] = _header("Of a new account or case: where it can be read")
    if made.id.startswith("list_"):
        headers["Link"] = _header('The next page: `<…>; rel="next"` (RFC 8288), as long as there is one')
    done = "Done: what was decided, why, and the log's position after it"
    meaning = done if made.logged and not made.asks else "The answer"
    return {"description": meaning, "headers": headers, "content": {"application/json": content}}


def _header(description: str) -> Node:
    return {"description": description, "schema": {"type": "string"}}


def _answer_name(name: str) -> str:
    return f"{name.replace('.', '_')}_answer"


def _problem(status: str) -> Node:
    code, facts = _EXAMPLES[status]
    example = {
        "type": f"/problems/{code}",
        "title": text(f"title_{status}", "en"),
        "status": int(status),
        "code": code,
        "detail": text(code, "en", **{"remedy": "…", **facts}),
        "request_id": "9f1c2ab47d3e5a60",
        **facts,
    }
    told = {"properties": {"status": {"const": int(status)}, "code": {"enum": list(codes()[int(status)])}}}
    schema: Node = {"allOf": [{"$ref": "#/components/schemas/Problem"}, told]}
    content = {"schema": schema, "example": example}
    found: Node = {"description": _MEANINGS[status], "content": {"application/problem+json": content}}
    if status == "401":
        found["headers"] = {"WWW-Authenticate": _header("Bearer")}
    if status in ("429", "503"):
        found["headers"] = {"Retry-After": _header("Seconds")}
    return found


def _problem_schema() -> Node:
    words: Node = {"type": "string"}
    error: Node = {
        "pointer": {**words, "description": "JSON pointer as a URI fragment, such as #/amount"},
        "in": {**words, "enum": ["body", "query", "path", "header"]},
        "name": words,
        "value": {},
        "detail": words,
    }
    return {
        "type": "object",
        "description": "Problem details (RFC 9457); members beyond these are facts of the refusal.",
        "required": ["type", "title", "status", "code", "detail", "request_id"],
        "properties": {
            "type": {**words, "format": "uri-reference", "description": "Stable: /problems/<code>"},
            "title": words,
            "status": {"type": "integer"},
            "code": {**words, "description": "Stable, for programs", "examples": ["no_tickets_left"]},
            "detail": {**words, "description": "For people, in the language of Accept-Language"},
            "request_id": words,
            "errors": {"type": "array", "items": {"type": "object", "properties": error, "required": list(error)}},
        },
    }


def _headers() -> Node:
    return {
        "IdempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "Recommended. Yours for good: the same key and body give the first answer again, another"
            " body is 409 `key_reused`; what was refused is judged anew. 1 to 200 visible characters, quoted or not.",
            "schema": {"type": "string", "pattern": f"^({KEY.pattern})$"},
            "example": '"9b1d6a52-3f0e-4e0f-9d5c-2b6f6c1f7a10"',
        },
        "PositionAtLeast": {
            "name": "X-Position-At-Least",
            "in": "header",
            "required": False,
            "description": "As min_position, for clients that leave the query alone.",
            "schema": {"type": "string", "pattern": "^[0-9]{1,16}$"},
        },
    }


def _probes() -> Node:
    def probe(identifier: str, responses: Node) -> Node:
        summary = table()[f"http_{identifier}"]["en"]
        node = {"operationId": identifier, "summary": summary, "tags": ["server"], "security": []}
        return {"get": {**node, "responses": responses}}

    content = {"application/json": {"schema": {"type": "object"}}}
    alive = {"200": {"description": "It lives", "content": content}}
    ready = {
        "200": {"description": "It can serve; warnings and each read model's lag beside", "content": content},
        "503": {"description": "It cannot: `problems` says why", "content": content},
    }
    return {"/livez": probe("livez", alive), "/readyz": probe("readyz", ready)}


@cache
def examples() -> dict[str, Node]:
    """Return a request and its answer by operation: the first of each in `examples.toml`, which a test replays."""
    found: dict[str, Node] = {}
    for step in steps():
        if "operation" in step and step["status"] < 300 and step["status"] != 202:  # that one waits: not yet done
            found.setdefault(step["operation"], step)
    return found


def steps() -> list[Node]:
    """Return the steps of `examples.toml` with their JSON decoded."""
    raw = tomllib.loads((Path(__file__).parent / "examples.toml").read_text("utf-8"))["step"]
    return [{k: json.loads(v) if k in ("body", "answer") else v for k, v in step.items()} for step in raw]
