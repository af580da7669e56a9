"""`supportledger sla radar`: acts worth a look, on a screen or in a file that has every case."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ledger.cli_context import ledger_of, reader
from ledger.cli_files import FORMATS, format_of, sink_of
from ledger.cli_show import label, show_record
from ledger.commands import QUESTIONS
from ledger.errors import Malformed
from ledger.fields import Month
from ledger.texts import text
from projections.compliance import percent
from projections.exports import to_csv, to_xlsx
from projections.radar import COLUMNS, told


@click.command("radar")
@click.option("--month", metavar="YYYY-MM", help="mes de apertura · month of opening; default: this one")
@click.option("--format", "form", type=click.Choice(FORMATS), help="table; si no, según --out · or as --out ends")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="archivo con todos los casos · every case")
@click.option("--bom", is_flag=True, help="csv: marca UTF-8 para hojas de cálculo · mark UTF-8 for spreadsheets")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def radar_command(
    ctx: click.Context, month: str | None, form: str | None, out: Path | None, bom: bool, as_json: bool
) -> None:
    """Actos que conviene mirar; no acusa a nadie · acts worth a look; it accuses nobody."""
    lang = ctx.obj["lang"]
    form = "json" if as_json else form or format_of(out) or "table"
    if form == "xlsx" and out is None:
        raise Malformed("out", None, "remedy_missing")
    with ledger_of(ctx) as ledger:
        me = reader(ctx, ledger, "radar", QUESTIONS["radar"].roles)
        if form in ("csv", "xlsx"):  # an answer shows the first of each kind, a file has all
            asked = None if month is None else Month().parse(month, "month")
            answer = told(ledger, asked, ledger.clock.now(), None)
        else:
            answer = ledger.ask("radar", {} if month is None else {"month": month}, caller=me)
    if form == "table":
        show_record({**answer, "note": text("radar_note", lang), "answers": _shares(answer)}, lang, False)
        return
    content = json.dumps(answer, ensure_ascii=False).encode() + b"\n"
    if form == "csv":
        # Where nothing was found, the headings say so.
        content = to_csv(answer["cases"] or [dict.fromkeys(COLUMNS)], bom=bom)
        if not answer["cases"]:
            content = content.splitlines(keepends=True)[0]
    elif form == "xlsx":
        content = to_xlsx(_sheets(answer, lang), lang)
    with sink_of(out) as sink:
        sink.write(content)


def _sheets(answer: dict[str, Any], lang: str) -> dict[str, list[dict[str, Any]]]:
    """Return a workbook's sheets: the counts first, with the month and the note that accuses nobody."""
    about = {"month": answer["month"], "zone": answer["zone"], "note": text("radar_note", lang)}
    tables = {name: answer[name] for name in ("found", "answers", "exclusions", "cases")}
    tables["answers"] = _shares(answer)
    return {label("radar", lang): [about], **{label(f"sheet_{name}", lang): rows for name, rows in tables.items()}}


def _shares(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of the answers with shares as people read them."""
    return [{**row, "share_bp": f"{percent(row['share_bp'])} %"} for row in answer["answers"]]
