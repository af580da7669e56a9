"""`supportledger import`: another desk's history, by a mapping file."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import click

from ledger.cli_context import ledger_of
from ledger.cli_show import progress_bar, show_record
from ledger.errors import Refused
from ledger.imports import Summary, import_file, load_mapping
from ledger.texts import text


@click.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--mapping", required=True, type=click.Path(dir_okay=False, path_type=Path), help="TOML")
@click.option("--dry-run", is_flag=True, help="contar sin escribir · count, write nothing")
@click.option("--rejects", type=click.Path(dir_okay=False, path_type=Path), help="archivo de rechazos · rejects file")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def import_command(
    ctx: click.Context, file: Path, mapping: Path, dry_run: bool, rejects: Path | None, as_json: bool
) -> None:
    """Importar la historia de otro sistema; otra vez no duplica nada · import history; again doubles nothing."""
    lang = ctx.obj["lang"]
    with ledger_of(ctx) as ledger, progress_bar(None) as tick:
        summary = import_file(ledger, file, load_mapping(mapping), dry_run=dry_run, progress=tick)
    show_record(summary.as_dict(), lang, as_json)
    if summary.rejected and not dry_run:
        written = write_rejects(summary, rejects, file, lang)
        click.echo(text("import_rejects", lang, count=len(summary.rejected), file=written), err=True)


def write_rejects(summary: Summary, wanted: Path | None, file: Path, lang: str) -> Path:
    """Write the rejected lines with number and reason beside `file`, or here where that folder is read-only."""
    beside = file.with_name(f"{file.name}.rejected.csv")
    for place in [wanted] if wanted is not None else [beside, Path.cwd() / beside.name]:
        try:
            with place.open("w", newline="", encoding="utf-8") as sink:
                writer = csv.writer(sink)
                writer.writerow(["line", "code", "field", "reason", "text"])
                for line, reason, content in summary.rejected:
                    field = reason.facts.get("field", "")
                    writer.writerow([line, reason.code, field, reason.message(lang), json.dumps(content)])
            return place
        except OSError as error:
            failed = error
    raise Refused("import_rejects_unwritable", file=str(place), why=failed.strerror or str(failed))
