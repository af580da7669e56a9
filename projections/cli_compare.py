"""`supportledger sla compare`: another system's verdicts beside ours, on a screen or in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ledger.cli_context import asker, ledger_of
from ledger.cli_files import FORMATS, format_of, sink_of
from ledger.cli_show import label, show_record, show_rows
from ledger.errors import Malformed
from ledger.rules.grants import LEVELS
from ledger.rules.sla import PRIORITIES
from ledger.texts import text
from projections.compare import COLUMNS
from projections.compliance import percent
from projections.exports import to_csv, to_xlsx

_FILE = click.Path(dir_okay=False, path_type=Path)
_SHARES = ("ours_met_bp", "theirs_met_bp")
_ON_SCREEN = ("ticket", "level", "priority", "opened_at", "verdict", "their_verdict", "due_at", "responded_at")


@click.command("compare")
@click.option("--from", "from_", metavar="YYYY-MM-DD", help="apertura desde · opened from")
@click.option("--to", metavar="YYYY-MM-DD", help="apertura hasta, inclusive · opened to, included")
@click.option("--at", metavar="RFC3339", help="lo que era cierto entonces · what was true then")
@click.option("--known-at", metavar="RFC3339", help="lo que se sabía entonces · what was known then")
@click.option("--differing", is_flag=True, default=None, help="solo los que no coinciden · only those that differ")
@click.option("--most", type=click.IntRange(1, 10_000), help="cuántos como máximo · at most so many")
@click.option("--level", type=click.Choice(LEVELS))
@click.option("--priority", type=click.Choice(PRIORITIES))
@click.option("--customer", help="solo esta cuenta · this account only")
@click.option("--agent", help="solo este agente · this agent only")
@click.option("--format", "form", type=click.Choice(FORMATS), help="table; si no, según --out · or as --out ends")
@click.option("--out", type=_FILE, help="archivo · file")
@click.option("--bom", is_flag=True, help="csv: marca UTF-8 para hojas de cálculo · mark UTF-8 for spreadsheets")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def compare_command(
    ctx: click.Context, /, form: str | None, out: Path | None, bom: bool, as_json: bool, **given: Any
) -> None:
    """Los veredictos del otro sistema junto a los nuestros, y por qué difieren · theirs beside ours, and why."""
    lang = ctx.obj["lang"]
    form = "json" if as_json else form or format_of(out) or "table"
    if form == "xlsx" and out is None:
        raise Malformed("out", None, "remedy_missing")
    values = {name.rstrip("_"): value for name, value in given.items() if value is not None}
    with ledger_of(ctx) as ledger:
        answer = ledger.ask("compare", values, caller=asker(ctx, ledger))
    if form == "table":
        _show(answer, lang)
        return
    if form == "json":
        content = json.dumps(answer, ensure_ascii=False).encode() + b"\n"
    elif form == "csv":
        rows = [_flat(row) for row in answer["tickets"]]
        content = to_csv(rows or [dict.fromkeys(COLUMNS)], bom=bom)
        if not rows:  # the headings say that nothing was found
            content = content.splitlines(keepends=True)[0]
    else:
        content = to_xlsx(_sheets(answer, lang), lang)
    with sink_of(out) as sink:
        sink.write(content)


def _show(answer: dict[str, Any], lang: str) -> None:
    show_record({**_shares(answer["totals"]), "causes": _worded_causes(answer, lang)}, lang, False)
    click.echo(f"\n{label('tickets', lang)}")
    show_rows(
        [{**{name: row[name] for name in _ON_SCREEN}, "why": _worded(row, lang)} for row in answer["tickets"]], lang
    )


def _sheets(answer: dict[str, Any], lang: str) -> dict[str, list[dict[str, Any]]]:
    asked = {name: answer[name] for name in ("at", "known_at")}
    return {
        label("compared", lang): [{**asked, **_shares(answer["totals"])}],
        label("causes", lang): _worded_causes(answer, lang),
        label("tickets", lang): [_flat(row, lang) for row in answer["tickets"]],
    }


def _shares(totals: dict[str, Any]) -> dict[str, Any]:
    """Return the totals with shares as people read them."""
    shown = {name: value for name, value in totals.items() if name not in _SHARES}
    for name in _SHARES:
        share = totals[name]
        shown[name.replace("met_bp", "share_met")] = None if share is None else f"{percent(share)} %"
    return shown


def _worded_causes(answer: dict[str, Any], lang: str) -> list[dict[str, Any]]:
    found = [(text(f"compare_{one['why']}", lang, calendar="…"), one["count"]) for one in answer["causes"]]
    return [{"why": why, "count": count} for why, count in found]


def _worded(row: dict[str, Any], lang: str) -> str:
    """Return why two verdicts differ in words, "" where they do not."""
    return "; ".join(text(f"compare_{cause}", lang, calendar=row["why_calendar"]) for cause in row["why"])


def _flat(row: dict[str, Any], lang: str = "") -> dict[str, Any]:
    """Return a row with its causes in one cell, in codes for programs, or in words."""
    if not lang:
        return {**row, "agrees": {None: None, True: "yes", False: "no"}[row["agrees"]], "why": " ".join(row["why"])}
    agrees = None if row["agrees"] is None else text("word_yes" if row["agrees"] else "word_no", lang)
    return {**row, "agrees": agrees, "why": _worded(row, lang)}
