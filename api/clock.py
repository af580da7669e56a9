"""The test clock over HTTP, for operators: shown, and moved with all that falls due on the way.

No idempotency key goes with it: whoever may have to ask again names the instant (`to`), which moves it there once.
"""

from __future__ import annotations

from typing import Any

from flask import Response

from api.context import services
from api.operations import LedgerBlueprint, Operation, View, given
from api.responses import as_json, conditional
from ledger.apply import clock_shown, move_clock
from ledger.command import AUDITORS
from ledger.errors import Malformed
from ledger.fields import Field, Instant, Kind
from ledger.rules.durations import PATTERN, parse_span
from ledger.texts import text

_OPERATORS = frozenset({"operator"})


class SpanText(Kind):
    """A span such as `1mo2d`, as it was written."""

    def parse(self, value: Any, field: str) -> str:
        parse_span(value, field)
        return str(value)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{PATTERN}$", "minLength": 2, "examples": ["3mo", "1mo2d"]}


_ADVANCE = Field("advance", SpanText(), required=False)
_TO = Field("to", Instant(), required=False)


def blueprint() -> LedgerBlueprint:
    """Return the blueprint of the clock."""
    blp = LedgerBlueprint("clock")
    _add(blp, "clock_show", "GET", (), _show)
    _add(blp, "clock_move", "POST", (_ADVANCE, _TO), _move)
    return blp


def _add(blp: LedgerBlueprint, name: str, method: str, fields: tuple[Field, ...], view: View) -> None:
    operation = Operation(
        id=name,
        name=name.replace("_", "."),
        method=method,
        path="/clock",
        fields=fields,
        roles=_OPERATORS | AUDITORS if method == "GET" else _OPERATORS,
        tag="clock",
        answer=name,
        summary=text(f"http_{name}", "en"),
        logged=False,
    )
    blp.operation(operation, view)


def _show(_values: dict[str, Any]) -> Response:
    answer = clock_shown(services().ledger)
    return conditional(answer, {name: value for name, value in answer.items() if name != "now"})


def _move(values: dict[str, Any]) -> Response:
    ledger, sent = services().ledger, given(values)
    if len(sent) != 1:
        raise Malformed("advance", sent.get("advance"), "remedy_clock")
    answer = move_clock(ledger, next(iter(sent.values())), next(iter(sent)))
    del answer["ok"]
    response = as_json({**answer, "position": ledger.store.last_position()})
    response.headers["Cache-Control"] = "no-store"
    return response
