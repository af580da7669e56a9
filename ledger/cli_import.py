"""`supportledger import`: another desk's history, by a mapping file."""

from __future__ import annotations

import contextlib
import csv
import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import click

from ledger.cli_context import asker, ledger_of, runner
from ledger.cli_files import check_place
from ledger.cli_show import show_record, show_rows
from ledger.command import MANAGERS
from ledger.errors import Refused
from ledger.imports import Import, Summary, load_mapping
from ledger.imports.effects import KINDS
from ledger.texts import text

_SHOWN = 5
_TEXT_SHOWN = 200
_IN_ANSWER = 100  # rejected lines in an answer for programs; the file has all
_EVERY_S = 5.0
_FILE = click.Path(dir_okay=False, path_type=Path)
Tick = Callable[[int], None]


@click.command("import")
@click.argument("file", type=_FILE)
@click.option("--mapping", required=True, type=_FILE, help="TOML")
@click.option("--by", help="quién importó, si lo registra un operador · who imported, where an operator records it")
@click.option("--dry-run", is_flag=True, help="decir qué haría, sin escribir · tell what it would do, write nothing")
@click.option("--rejects", type=_FILE, help="archivo de rechazos · rejects file")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def import_command(
    ctx: click.Context, /, file: Path, mapping: Path, by: str | None, dry_run: bool, rejects: Path | None, as_json: bool
) -> None:
    """Importar la historia de otro sistema; otra vez no duplica nada · import history; again doubles nothing."""
    lang = ctx.obj["lang"]
    places = [rejects] if rejects is not None else _places(file)
    if rejects is not None and rejects.resolve() in (file.resolve(), mapping.resolve()):
        raise Refused("import_rejects_input", file=str(rejects))
    for place in places:
        check_place(place, replaced=False)
    with ledger_of(ctx) as ledger:
        me = runner(ctx, ledger, "import", MANAGERS, by)
        with _telling("import_reading", lang, file=file.name) as tick:
            said = {"by": me.by, "stated_by": me.stated_by}
            job = Import(ledger, file, load_mapping(mapping), dry_run=dry_run, reading=tick, **said)
        with _telling("import_checking" if dry_run else "import_recording", lang, of=job.rows) as tick:
            summary = job.run(tick)
    if as_json:
        click.echo(json.dumps(_answer(summary), ensure_ascii=False))
    else:
        show_record(_for_people(summary), lang, False)
    _tell_rest(summary, places, lang, dry_run=dry_run)


@click.command("imports")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def imports_command(ctx: click.Context, as_json: bool) -> None:
    """Quién importó qué archivo, y cuándo · who imported which file, and when."""
    with ledger_of(ctx) as ledger:
        answer = ledger.ask("imports", {}, caller=asker(ctx, ledger))
    lang = ctx.obj["lang"]
    if as_json:
        show_record(answer, lang, True)
        return
    shown = ("at", "by", "file", "rows", "rejected", "source")
    show_rows([{name: batch[name] for name in shown} for batch in answer["imports"]], lang)


def _tell_rest(summary: Summary, places: list[Path], lang: str, *, dry_run: bool) -> None:
    """Tell people, on standard error, what was rejected, what that changes, and what is doubted."""
    if dry_run:
        click.echo(text("import_nothing_written", lang), err=True)
    if summary.doubt is not None:
        click.echo(summary.doubt.message(lang), err=True)
    if summary.rejected:
        one = "import_one_reject" if len(summary.rejected) == 1 else "import_rejects"
        if dry_run:
            click.echo(text(f"{one}_dry", lang, count=len(summary.rejected)), err=True)
        else:
            written = write_rejects(summary, places, lang)
            click.echo(text(one, lang, count=len(summary.rejected), file=written), err=True)
        _tell_first(summary, lang)
    if summary.effects:
        _tell_effects(summary, lang)


def _answer(summary: Summary) -> dict[str, Any]:
    """Return what an import did as programs read it."""
    rejects = [
        {
            "line": line,
            "code": reason.code,
            "field": reason.facts.get("field"),
            "reason": {lang: reason.message(lang) for lang in ("es_GT", "en")},
            "text": content,
        }
        for line, reason, content in summary.rejected[:_IN_ANSWER]
    ]
    effects = [effect.as_dict(summary.zone) for effect in summary.effects]
    doubt = summary.doubt
    return {
        **summary.as_dict(),
        "source": summary.source,
        "by": summary.by,
        "facts": dict(sorted(summary.facts.items())),
        "effects": effects,
        "rejects": rejects,
        "doubt": None if doubt is None else {"code": doubt.code, **doubt.facts},
    }


def _for_people(summary: Summary) -> dict[str, Any]:
    counts = {name: count for name, count in summary.as_dict().items() if name not in KINDS or count}
    return {**counts, "by": summary.by}


@contextlib.contextmanager
def _telling(words: str, lang: str, **facts: Any) -> Iterator[Tick]:
    """Yield a function that tells on standard error how many rows are done, once in a while.

    A person at a terminal sees one line that changes; a file of a job gets a line every few seconds.
    """
    last = time.monotonic()
    wrote = False
    terminal = sys.stderr.isatty()

    def tick(done: int) -> None:
        nonlocal last, wrote
        now = time.monotonic()
        if now - last < (0.2 if terminal else _EVERY_S):
            return
        last, wrote = now, True
        line = text(words, lang, done=f"{done:,}", **{**facts, "of": f"{facts.get('of', 0):,}"})
        click.echo(f"\r{line}" if terminal else line, err=True, nl=not terminal)

    try:
        yield tick
    finally:
        if wrote and terminal:
            click.echo("\r\x1b[K", err=True, nl=False)


def _places(file: Path) -> list[Path]:
    """Return where the rejects may go: beside the file, or here where that folder is read-only."""
    beside = file.with_name(f"{file.name}.rejected.csv")
    return [beside, Path.cwd() / beside.name]


def _tell_first(summary: Summary, lang: str) -> None:
    for line, reason, content in summary.rejected[:_SHOWN]:
        click.echo(text("import_line", lang, line=line, reason=reason.message(lang)), err=True)
        click.echo(text("import_text", lang, text=content[:_TEXT_SHOWN]), err=True)


def _tell_effects(summary: Summary, lang: str) -> None:
    click.echo(text("import_effects", lang), err=True)
    for kind, found in groupby(sorted(summary.effects, key=attrgetter("effect", "ticket")), key=attrgetter("effect")):
        effects = list(found)
        for effect in effects[:_SHOWN]:
            shown = effect.as_dict(summary.zone)
            for name in ("verdict", "would_be"):
                shown[name] = text(f"value_{shown[name]}", lang) if shown[name] else "-"
            for name in ("opened_at", "would_open_at"):
                shown[name] = str(shown[name] or "")[:16].replace("T", " ")
            shown["lines"] = ", ".join(map(str, effect.lines))
            click.echo(text(f"import_effect_{kind}", lang, **shown), err=True)
        if len(effects) > _SHOWN:
            click.echo(text("import_more", lang, count=len(effects) - _SHOWN), err=True)


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
