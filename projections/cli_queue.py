"""`supportledger sla queue`: what is to be answered now."""

from __future__ import annotations

from typing import Any

import click

from ledger.cli_context import asker, ledger_of
from ledger.cli_show import label, show_record, show_rows
from ledger.rules.grants import LEVELS
from ledger.texts import text
from projections.cli_radar import radar_command


def register(sla: click.Group) -> None:
    """Add this module's commands to the group `sla`."""
    sla.add_command(queue_command)
    sla.add_command(radar_command)


@click.command("queue")
@click.option("--agent", help="los suyos y los de nadie · theirs and nobody's")
@click.option("--level", type=click.Choice(LEVELS))
@click.option("--minutes", type=int, help="en riesgo: vence en tantos minutos contados · at risk: due within; 60")
@click.option("--limit", type=int, help="casos por página · cases a page; 50")
@click.option("--cursor", help="la página siguiente · the next page")
@click.option("--budget", is_flag=True, default=None, help="margen del mes · the month's error budget")
@click.option("--share", metavar="%", help="la meta del margen · the budget's share; 95")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def queue_command(ctx: click.Context, /, as_json: bool, **given: Any) -> None:
    """Casos abiertos por tiempo restante · open cases by the time left, counted in each one's calendar."""
    lang = ctx.obj["lang"]
    with ledger_of(ctx) as ledger:
        values = {name: value for name, value in given.items() if value is not None}
        answer = ledger.ask("queue", values, caller=asker(ctx, ledger))
    if as_json:
        show_record(answer, lang, True)
        return
    head = {name: value for name, value in answer.items() if name not in ("items", "next", "budget")}
    show_record(head, lang, False)
    click.echo()
    show_rows([_line(item) for item in answer["items"]], lang)
    if "budget" in answer:
        click.echo(f"\n{label('budget', lang)}")
        show_rows(answer["budget"], lang)
    if answer["next"]:
        click.echo(f"\n{text('queue_more', lang, cursor=answer['next'])}")


def _line(item: dict[str, Any]) -> dict[str, Any]:
    """Return the columns that a screen has room for."""
    names = ("ticket", "account", "level", "priority", "state")
    rest = ("due_at", "assigned_to", "waiting_since", "closes_at", "opens_at", "merged_into")
    line = {name: item[name] for name in names} | {"left": hours(item["left_seconds"])}
    return {**line, "answer_before": item["due_at"], **{name: item[name] for name in rest[1:]}}


def hours(seconds: int) -> str:
    """Return whole seconds as hours, minutes and seconds: 1:05:00, -0:00:01."""
    sign, rest = ("-", -seconds) if seconds < 0 else ("", seconds)
    return f"{sign}{rest // 3600}:{rest // 60 % 60:02d}:{rest % 60:02d}"
