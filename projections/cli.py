"""`supportledger projections status|catch-up|rebuild`, and the group `sla`, whose commands stand beside this file."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator

import click

from ledger import cli_explain
from ledger.application import Ledger
from ledger.cli_context import ledger_of
from ledger.cli_group import Commands
from ledger.cli_show import progress_bar, show_rows
from ledger.texts import text
from projections import cli_queue, cli_reports, cli_whatif
from projections.cli_export import export_group
from projections.projector import Projector
from projections.rebuild import check, rebuild


def register(root: click.Group) -> None:
    """Add this package's commands to the root."""
    root.add_command(projections_group)
    root.add_command(export_group)
    sla = Commands("sla", help="Cumplimiento de respuesta · response compliance.")
    for commands in (cli_explain, cli_reports, cli_queue, cli_whatif):
        commands.register(sla)
    root.add_command(sla)


@contextlib.contextmanager
def projector_of(ctx: click.Context) -> Iterator[tuple[Ledger, Projector]]:
    """Yield this call's ledger and the projector of its read models."""
    with ledger_of(ctx) as ledger:
        projector = Projector(ledger.store, ledger.catalogue)
        try:
            yield ledger, projector
        finally:
            projector.close()


@click.group("projections", cls=Commands)
def projections_group() -> None:
    """Lecturas reconstruibles · read models, rebuilt from the log."""


@projections_group.command("status")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Dónde va cada lectura · where each read model stands; exit 1 when one has stopped."""
    with projector_of(ctx) as (_ledger, projector):
        projector.prepare()
        _show_states(ctx, projector, as_json)


@projections_group.command("catch-up")
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def catch_up(ctx: click.Context, names: tuple[str, ...], as_json: bool) -> None:
    """Poner al día · bring read models to the end of the log."""
    with projector_of(ctx) as (_ledger, projector):
        projector.catch_up(names)
        _show_states(ctx, projector, as_json)


@projections_group.command("rebuild")
@click.argument("names", nargs=-1)
@click.option("--check", "only_check", is_flag=True, help="comparar sin cambiar · compare, change nothing")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def rebuild_command(ctx: click.Context, names: tuple[str, ...], only_check: bool, as_json: bool) -> None:
    """Reconstruir desde los hechos · rebuild from the log beside the live tables, then swap."""
    with projector_of(ctx) as (ledger, projector):
        with progress_bar(ledger.store.last_position()) as tick:
            found = (check if only_check else rebuild)(projector, names, tick)
        if not only_check and not found:
            projector.catch_up(names)
            _show_states(ctx, projector, as_json)
            return
    lang = ctx.obj["lang"]
    if as_json:
        click.echo(json.dumps({"ok": not found, "differences": found}, ensure_ascii=False))
    elif not found:
        click.echo(text("rebuild_same", lang))
    for name, difference in found.items():
        click.echo(f"{name}: {difference}", err=True)
    if found:
        sys.exit(1)


def _show_states(ctx: click.Context, projector: Projector, as_json: bool) -> None:
    states = projector.states()
    rows = [
        {
            "projection": s.name,
            "version": s.version,
            "position": s.position,
            "lag": s.lag,
            "error": s.error or None,
        }
        for s in states
    ]
    if as_json:
        click.echo(json.dumps({"projections": rows}, ensure_ascii=False))
    else:
        show_rows(rows, ctx.obj["lang"])
    if any(s.error for s in states):
        sys.exit(1)
