"""`supportledger clock`: the test clock, set to an instant or advanced by a span, with all that happens on the way."""

from __future__ import annotations

import sys
from typing import Any

import click

from ledger.apply import clock_shown, move_clock, refusal
from ledger.cli_context import ledger_of, runner
from ledger.cli_group import Commands
from ledger.cli_show import show_record
from ledger.command import OPERATORS
from ledger.errors import LedgerError, Malformed
from ledger.progress import long_work
from ledger.rules.durations import parse_span


@click.group("clock", cls=Commands)
def clock_group() -> None:
    """Reloj de prueba · the test clock (only of a ledger made by migrate --test-clock)."""


@clock_group.command("set")
@click.argument("instant")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def clock_set(ctx: click.Context, instant: str, as_json: bool) -> None:
    """Mover el reloj hacia adelante · move the clock forward; INSTANT is RFC 3339 or `run`.

    Lo que vence en el camino ocurre · what falls due on the way happens, each at its own instant.
    """
    _move(ctx, instant, as_json)


@clock_group.command("advance")
@click.argument("span")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def clock_advance(ctx: click.Context, span: str, as_json: bool) -> None:
    """Adelantar el reloj · advance the clock by SPAN, such as 3mo or 1mo2d (y, mo, w, d, h, min).

    Lo que vence en el camino ocurre · what falls due on the way happens, each at its own instant.
    """
    parse_span(span, "span")  # an instant is for `set`
    _move(ctx, span, as_json)


@clock_group.command("show")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def clock_show(ctx: click.Context, as_json: bool) -> None:
    """Qué hora tiene el libro · what time it is for the ledger."""
    with ledger_of(ctx) as ledger:
        answer = clock_shown(ledger)
    show_record(answer, ctx.obj["lang"], as_json)


def _move(ctx: click.Context, value: str, as_json: bool) -> None:
    answer: dict[str, Any]
    code = 0
    with ledger_of(ctx) as ledger:
        runner(ctx, ledger, "clock", OPERATORS)
        try:
            with long_work("work_clock") as tick:
                answer = move_clock(ledger, value, progress=tick)
        except LedgerError as error:
            answer = refusal(error, ctx.obj["lang"])
            code = 2 if isinstance(error, Malformed) else 1
    show_record(answer, ctx.obj["lang"], as_json)
    sys.exit(code)
