"""`supportledger import`: another desk's history, by a mapping file."""

from __future__ import annotations

import csv
from pathlib import Path

import click

from ledger.cli_context import ledger_of
from ledger.cli_show import progress_bar, show_record
from ledger.errors import Refused
from ledger.imports import Import, Summary, load_mapping
from ledger.texts import text

_SHOWN = 5
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("import")
@click.argument("file", type=_FILE)
@click.option("--mapping", required=True, type=_FILE, help="TOML")
@click.option("--dry-run", is_flag=True, help="contar sin escribir · count, write nothing")
@click.option("--rejects", type=_FILE, help="archivo de rechazos · rejects file")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def import_command(
    ctx: click.Context, file: Path, mapping: Path, dry_run: bool, rejects: Path | None, as_json: bool
) -> None:
    """Importar la historia de otro sistema; otra vez no duplica nada · import history; again doubles nothing."""
    lang = ctx.obj["lang"]
    places = [rejects] if rejects is not None else _places(file)
    if rejects is not None and rejects.resolve() in (file.resolve(), mapping.resolve()):
        raise Refused("import_rejects_input", file=str(rejects))
    with ledger_of(ctx) as ledger:
        job = Import(ledger, file, load_mapping(mapping), dry_run=dry_run)
        with progress_bar(job.rows) as tick:
            summary = job.run(tick)
    show_record(summary.as_dict(), lang, as_json)
    if not summary.rejected:
        return
    if dry_run:
        _tell_first(summary, lang)
    else:
        written = write_rejects(summary, places, lang)
        click.echo(text("import_rejects", lang, count=len(summary.rejected), file=written), err=True)


def _places(file: Path) -> list[Path]:
    """Return where the rejects may go: beside the file, or here where that folder is read-only."""
    beside = file.with_name(f"{file.name}.rejected.csv")
    return [beside, Path.cwd() / beside.name]


def _tell_first(summary: Summary, lang: str) -> None:
    click.echo(text("import_rejects_dry", lang, count=len(summary.rejected)), err=True)
    for rejected in summary.rejected[:_SHOWN]:
        click.echo(text("import_line", lang, line=rejected.line, reason=rejected.reason.message(lang)), err=True)


def write_rejects(summary: Summary, places: list[Path], lang: str) -> Path:
    """Write the rejected lines with number and reason to the first of `places` that takes them; return which.

    Refused when none does: the rest is imported by then, and running it again tells the rejects again.
    """
    for place in places:
        try:
            with place.open("w", newline="", encoding="utf-8", errors="backslashreplace") as sink:
                writer = csv.writer(sink)
                writer.writerow(["line", "code", "field", "reason", "text"])
                for line, reason, content in summary.rejected:
                    writer.writerow([line, reason.code, reason.facts.get("field", ""), reason.message(lang), content])
            return place
        except OSError as error:
            failed = error
    raise Refused("import_rejects_unwritable", file=str(places[-1]), why=failed.strerror or str(failed))
