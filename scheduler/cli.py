"""`supportledger scheduler once`: the sweep, run by hand or by the system's own timer."""

from __future__ import annotations

import click

from ledger.cli_context import ledger_of
from ledger.cli_show import progress_bar, show_record
from projections.projector import Projector
from scheduler.sweep import record_due


def register(root: click.Group) -> None:
    """Add this package's commands to the root."""
    root.add_command(scheduler_group)


@click.group("scheduler")
def scheduler_group() -> None:
    """Lo que vence con el tiempo · what falls due as time passes."""


@scheduler_group.command("once")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def once(ctx: click.Context, as_json: bool) -> None:
    """Registrar lo vencido hasta ahora · record what has fallen due by now; again: nothing more."""
    with ledger_of(ctx) as ledger:
        projector = Projector(ledger.store, ledger.catalogue)
        try:
            with progress_bar(None) as tick:
                summary = record_due(ledger, projector, tick)
        finally:
            projector.close()
    show_record(summary, ctx.obj["lang"], as_json)
