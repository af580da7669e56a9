"""`supportledger sla report|publish|published|monthly`: figures on a screen, in files, frozen, sent to a customer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ledger.cli_context import asker, ledger_of, reader
from ledger.cli_files import FORMATS, format_of, sink_of
from ledger.cli_show import label, show_record, show_rows
from ledger.command import AUDITORS, MANAGERS
from ledger.commands_sla import REPORT_BY
from ledger.errors import Malformed
from ledger.fields import Instant, Month, Text
from ledger.identity import acting
from ledger.progress import long_work
from ledger.rules.grants import LEVELS
from ledger.rules.sla import PRIORITIES
from ledger.settings import language
from ledger.texts import text
from projections.cli_breaches import counted, show, write
from projections.exports import readable, with_totals
from projections.monthly import monthly
from projections.published import differing
from projections.reports import asked

_FILE = click.Path(dir_okay=False, path_type=Path)


def register(sla: click.Group) -> None:
    """Add this module's commands to the group `sla`."""
    for command in (report, publish, published, monthly_command):
        sla.add_command(command)


@click.command("report")
@click.option("--by", default="level,priority", show_default=True, help=", ".join(REPORT_BY))
@click.option("--from", "from_", metavar="YYYY-MM-DD", help="apertura desde · opened from")
@click.option("--to", metavar="YYYY-MM-DD", help="apertura hasta, inclusive · opened to, included")
@click.option("--at", metavar="RFC3339", help="lo que era cierto entonces · what was true then")
@click.option("--known-at", metavar="RFC3339", help="lo que se sabía entonces · what was known then")
@click.option("--raw/--adjusted", default=None, help="sin exclusiones ni revisiones · without exclusions, revisions")
@click.option("--breaches", is_flag=True, default=None, help="los incumplidos, con su porqué · one by one, and why")
@click.option("--explain/--no-explain", default=None, help="si falta, sí · each breach explained; default: yes")
@click.option("--most", type=click.IntRange(1), help="cuántos incumplidos como máximo · at most so many breaches")
@click.option("--cursor", help="los siguientes · those behind")
@click.option("--level", type=click.Choice(LEVELS))
@click.option("--priority", type=click.Choice(PRIORITIES))
@click.option("--customer", help="solo esta cuenta · this account only")
@click.option("--agent", help="solo este agente · this agent only")
@click.option("--format", "form", type=click.Choice(FORMATS), help="table; si no, según --out · or as --out ends")
@click.option("--out", type=_FILE, help="archivo; csv con --breaches, solo ellos · file; with --breaches these alone")
@click.option("--breaches-out", type=_FILE, help="los incumplidos en su archivo · the breaches in a file of their own")
@click.option("--bom", is_flag=True, help="csv: marca UTF-8 para hojas de cálculo · mark UTF-8 for spreadsheets")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def report(
    ctx: click.Context,
    /,
    form: str | None,
    out: Path | None,
    breaches_out: Path | None,
    bom: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Cumplidos, incumplidos, abiertos, excluidos y tiempos · met, breached, open, excluded, and times."""
    form = "json" if as_json else form or format_of(out) or "table"
    if form == "xlsx" and out is None:
        raise Malformed("out", None, "remedy_missing")
    values = {name.rstrip("_"): value for name, value in given.items() if value is not None}
    lang = ctx.obj["lang"]
    own = format_of(breaches_out)
    if own and breaches_out == out:
        raise Malformed("breaches_out", str(out), "remedy_another_file")
    if own:
        values["breaches"] = True
    with ledger_of(ctx) as ledger:
        answer, breaches = asked(ledger, values, asker(ctx, ledger))
        if breaches_out is not None and breaches is not None:
            with long_work("work_report", len(breaches)) as tick, sink_of(breaches_out) as sink:
                write({}, None, counted(breaches, tick), own, sink, lang, bom=bom)
            breaches = None
        if form == "table":
            show(answer, breaches, lang, dated="at" in values or "known_at" in values)
            return
        rows = with_totals(answer, _word(form, lang))
        with long_work("work_report", len(breaches) if breaches else 0) as tick:
            one_by_one = counted(breaches, tick)
            with sink_of(out) as sink:
                write(answer, rows, one_by_one, form, sink, lang, bom=bom)


def _word(form: str, lang: str) -> str:
    return "total" if form == "csv" else text("label_totals", lang)


@click.command("publish")
@click.argument("month")
@click.option("--by", help="quién publica · who publishes")
@click.option("--at", metavar="RFC3339", help="cuándo · when")
@click.option(
    "--provisional", is_flag=True, help="antes de ser definitivo, con motivo · before it is final, with a reason"
)
@click.option("--reason", help="por qué es provisional o se fecha atrás · why it is provisional, or dated back")
@click.option("--key", help="clave de idempotencia · idempotency key")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def publish(
    ctx: click.Context,
    /,
    month: str,
    by: str | None,
    at: str | None,
    provisional: bool,
    reason: str | None,
    key: str | None,
    as_json: bool,
) -> None:
    """Publicar un mes ya definitivo: sus cifras quedan fijas · publish a month that is final; its figures stay."""
    with ledger_of(ctx) as ledger:
        answer = ledger.execute(
            "report.publish",
            {"month": month, **({"provisional": True} if provisional else {})},
            caller=acting(ledger.store, ctx.obj["settings"], by),
            at=None if at is None else Instant().parse(at, "at"),
            reason="" if reason is None else Text(500).parse(reason, "reason"),
            key=key or "",
        )
    show_record(answer, ctx.obj["lang"], as_json)


@click.command("published")
@click.argument("month")
@click.option("--at", metavar="RFC3339", help="junto a lo cierto entonces · beside what was true then")
@click.option("--known-at", metavar="RFC3339", help="junto a lo que se sabía entonces · beside what was known then")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def published(ctx: click.Context, /, as_json: bool, **given: Any) -> None:
    """Lo publicado junto a lo que se sabe hoy, y las diferencias · published beside known now, and why it differs."""
    with ledger_of(ctx) as ledger:
        values = {name: value for name, value in given.items() if value is not None}
        answer = ledger.ask("published", values, caller=asker(ctx, ledger))
    lang = ctx.obj["lang"]
    if as_json:
        show_record(answer, lang, True)
        return
    told = {n: v for n, v in answer.items() if not isinstance(v, (list, dict)) and (n != "known_at" or v)}
    show_record(told, lang, False)
    for name, heading in (("published", "published"), ("now", "known_now")):
        click.echo(f"\n{label(heading, lang)}")
        last = answer["totals"][name]
        rows = answer[name] if last is None else [*answer[name], {"level": text("label_totals", lang), **last}]
        show_rows([readable(row) for row in rows], lang)
    if answer["earlier"]:
        click.echo(f"\n{label('earlier', lang)}")
        show_rows([_shown_before(one) for one in answer["earlier"]], lang)
    click.echo(f"\n{label('differences', lang)}")
    show_rows(list(differing(answer)), lang)


def _shown_before(report: dict[str, Any]) -> dict[str, Any]:
    """Return a provisional report as a row: when, by whom, why, and its totals."""
    head = {name: report[name] for name in ("published_at", "actor", "reason")}
    return head | readable(report["totals"] or {})


@click.command("monthly")
@click.argument("account")
@click.argument("month")
@click.option("--lang", type=click.Choice(["es_GT", "es", "en"]), help="si falta, el de la cuenta · the account's")
@click.option("--out", type=_FILE, help="archivo HTML · HTML file")
@click.pass_context
def monthly_command(ctx: click.Context, /, account: str, month: str, lang: str | None, out: Path | None) -> None:
    """Informe mensual para un cliente, en HTML que se imprime bien · a customer's monthly report as printable HTML."""
    with ledger_of(ctx) as ledger:
        reader(ctx, ledger, "sla monthly", MANAGERS | AUDITORS)
        page = monthly(ledger, account, Month().parse(month, "month"), language(lang) if lang else "")
    with sink_of(out) as sink:
        sink.write(page.encode())
