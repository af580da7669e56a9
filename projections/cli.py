"""`supportledger projections status|catch-up|rebuild`, and the group `sla`, whose commands stand beside this file."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence

import click

from ledger import cli_explain
from ledger.application import Ledger
from ledger.cli_context import ledger_of
from ledger.cli_group import Commands
from ledger.cli_show import show_rows
from ledger.progress import long_work
from ledger.texts import text
from projections import cli_queue, cli_reports, cli_whatif
from projections.cli_compare import compare_command
from projections.cli_export import export_group
from projections.projector import Projector, named
from projections.rebuild import Compared, compare, differences, rebuild


def register(root: click.Group) -> None:
    """Add this package's commands to the root."""
    root.add_command(projections_group)
    root.add_command(export_group)
    sla = Commands("sla", help="Cumplimiento de respuesta · response compliance.")
    for commands in (cli_explain, cli_reports, cli_queue, cli_whatif):
        commands.register(sla)
    sla.add_command(compare_command)
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
        head = ledger.store.last_position()
        if only_check:
            with long_work("work_check", head * len(named(names))) as tick:
                compared = compare(projector, names, tick)
            _show_compared(compared, head, ctx.obj["lang"], as_json)
            return
        with long_work("work_rebuild", head) as tick:
            found = rebuild(projector, names, tick)
        if not found:
            projector.catch_up(names)
            _show_states(ctx, projector, as_json)
            return
    if as_json:
        click.echo(json.dumps({"ok": False, "differences": found}, ensure_ascii=False))
    for name, difference in found.items():
        click.echo(f"{name}: {difference}", err=True)
    sys.exit(1)


def _show_compared(compared: Sequence[Compared], head: int, lang: str, as_json: bool) -> None:
    """Tell what was compared, and the first difference of each model that has one; exit 1 where one has."""
    found = differences(compared)
    if as_json:
        rows = [
            {"projection": one.name, "position": one.position, "rows": one.rows, "difference": one.difference or None}
            for one in compared
        ]
        answer = {"ok": not found, "position": head, "compared": rows, "differences": found}
        click.echo(json.dumps(answer, ensure_ascii=False))
    elif not head:
        click.echo(text("rebuild_empty", lang))
    else:
        for one in compared:
            key = "rebuild_differs" if one.difference else "rebuild_compared"
            facts = {"rows": f"{one.rows:,}", "position": f"{one.position:,}", "head": f"{head:,}"}
            click.echo(text(key, lang, name=one.name, **facts))
        if not found:
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
            "error": s.error or (text("read_model_foreign", ctx.obj["lang"]) if s.foreign else None),
        }
        for s in states
    ]
    if as_json:
        click.echo(json.dumps({"projections": rows}, ensure_ascii=False))
    else:
        show_rows(rows, ctx.obj["lang"])
    if any(s.error for s in states):
        sys.exit(1)
