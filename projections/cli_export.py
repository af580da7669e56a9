"""`supportledger export ocel|xes FILE`: the cases for process mining."""

from __future__ import annotations

from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path

import click

from ledger.cli_context import ledger_of, reader
from ledger.cli_files import whole_file
from ledger.cli_group import Commands
from ledger.cli_show import show_record
from ledger.command import AUDITORS, MANAGERS
from ledger.fields import Date
from projections.export import write_ocel, write_xes


@click.group("export", cls=Commands)
def export_group() -> None:
    """Casos para minería de procesos · the cases for process mining."""


def _add(name: str, write: Callable[..., dict[str, int]], about: str) -> None:
    @export_group.command(name, help=about)
    @click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
    @click.option("--from", "since", metavar="YYYY-MM-DD", help="apertura desde · opened from")
    @click.option("--to", "until", metavar="YYYY-MM-DD", help="apertura hasta, inclusive · opened to, included")
    @click.option("--json", "as_json", is_flag=True)
    @click.pass_context
    def command(ctx: click.Context, file: Path, since: str | None, until: str | None, as_json: bool) -> None:
        first = Date().parse(since, "from") if since is not None else ""
        last = Date().parse(until, "to") if until is not None else ""
        with ledger_of(ctx) as ledger:
            reader(ctx, ledger, f"export {name}", MANAGERS | AUDITORS)
            with whole_file(file) as sink, TextIOWrapper(sink, encoding="utf-8", newline="\n") as text:
                counts = write(ledger, text, first, last)
        show_record({"file": str(file), **counts}, ctx.obj["lang"], as_json)


_add("ocel", write_ocel, "OCEL 2.0, JSON")
_add("xes", write_xes, "XES 1.0, XML")
