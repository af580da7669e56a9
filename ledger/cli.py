"""`supportledger`: the root command. Each package adds its own through the entry points `supportledger.commands`.

Exit codes: 0 done, 1 refused (or the store cannot serve), 2 wrong call. `--json` prints what a program reads.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from importlib.metadata import entry_points
from typing import Any

import click

from ledger.apply import answers, bounded_lines, is_malformed, refusal
from ledger.cli_books import books_check_command
from ledger.cli_clock import clock_group
from ledger.cli_commands import command_groups, help_text, question_commands
from ledger.cli_contacts import contact_group, webhook_group
from ledger.cli_context import ledger_of
from ledger.cli_group import Commands, in_language, speak
from ledger.cli_import import import_command, imports_command
from ledger.cli_login import login, logout, whoami
from ledger.cli_pure import calendar_group, terms_command
from ledger.cli_show import show_record
from ledger.cli_tokens import token_group
from ledger.commands import ASKER, COMMANDS, COMMON, QUESTIONS
from ledger.contacts import hide_secrets
from ledger.errors import LedgerError, Malformed
from ledger.identity import acting
from ledger.progress import long_work, tell_on
from ledger.rules.instants import show
from ledger.secret_file import secret_file_of
from ledger.settings import Settings, language
from ledger.texts import text


@click.group(
    "supportledger", cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.option("--database", metavar="URL", help=text("opt_database", language(os.environ.get("LEDGER_LANG", ""))))
@click.option("--lang", type=click.Choice(["es_GT", "es", "en"]), help="es_GT (es) | en")
@click.pass_context
def root(ctx: click.Context, database: str | None, lang: str | None) -> None:
    """Libro de planes de soporte · a ledger for support plans."""
    settings = Settings.read()
    if database:
        settings = replace(settings, database_url=database)
    if lang:
        settings = replace(settings, lang=language(lang))
    ctx.obj = {"settings": settings, "lang": settings.lang}


@root.command("migrate")
@click.option("--test-clock", is_flag=True, help="reloj de prueba · a clock that is moved by command")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def migrate_command(ctx: click.Context, test_clock: bool, as_json: bool) -> None:
    """Crear o actualizar las tablas · create or upgrade the tables."""
    with ledger_of(ctx, check=False) as ledger:
        with long_work("work_migrate"):
            changed = ledger.store.migrate(test_clock=test_clock)
            hidden = hide_secrets(ledger.store, secret_file_of(ledger.store, ctx.obj["settings"].secrets_file))
        state = {
            "migrated": changed or hidden > 0,
            "schema": ledger.store.schema_version(),
            "test_clock": ledger.clock.is_test,
        }
    show_record(state, ctx.obj["lang"], as_json)


@root.command("apply")
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--by", help=text("field_by", language(os.environ.get("LEDGER_LANG", ""))))
@click.pass_context
def apply_command(ctx: click.Context, file: Any, by: str | None) -> None:
    """Comandos y preguntas en líneas JSON · commands and questions as JSON lines (COMMANDS.md).

    Una línea tiene exactamente uno de do, ask, clock · a line has exactly one of do, ask, clock.
    """
    malformed = False
    with ledger_of(ctx) as ledger:
        me = acting(ledger.store, ctx.obj["settings"], by, "apply")
        for answer in answers(ledger, bounded_lines(file), lang=ctx.obj["lang"], me=me):
            malformed = malformed or is_malformed(answer)
            click.echo(json.dumps(answer, ensure_ascii=False))
    sys.exit(2 if malformed else 0)


@root.command("status")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def status_command(ctx: click.Context, as_json: bool) -> None:
    """Estado del libro y advertencias · the ledger's state and warnings."""
    settings: Settings = ctx.obj["settings"]
    lang = ctx.obj["lang"]
    with ledger_of(ctx) as ledger:
        store = ledger.store
        state = {
            "database": store.dialect,
            "schema": store.schema_version(),
            "position": store.last_position(),
            "last_recorded_at": show(last, ledger.catalogue.zone) if (last := store.last_recorded_at()) else None,
            "now": show(ledger.clock.now(), ledger.catalogue.zone),
            "test_clock": ledger.clock.is_test,
            "catalogue": str(settings.catalogue.name) if settings.catalogue else "catalogue.toml",
            "warnings": [*(text(key, lang) for key in store.warnings()), *_endless(store.endless_tokens(), lang)],
        }
        for point in sorted(entry_points(group="supportledger.status"), key=lambda p: p.name):
            state |= point.load()(ledger)
    show_record(state, lang, as_json)


def _endless(count: int, lang: str) -> list[str]:
    """Return the warning of tokens without an end, none where there are none."""
    return [text("tokens_without_end", lang, count=count)] if count else []


def vocabulary(lang: str) -> str:
    """Return every command and question with its fields, for `apply --help`."""
    lines = ["\b"]
    for word, entries in (("do", COMMANDS), ("ask", QUESTIONS)):
        for name, entry in entries.items():
            fields = ", ".join(f"{field.name}{'' if field.required else '?'}" for field in entry.fields)
            lines.append(f'{word} "{name}": {fields}')
            lines.append(f"    {help_text(f'{word}_{name}', lang)}")
    common = ", ".join(f"{field.name}?" for field in COMMON)
    asker = ", ".join(f"{field.name}?" for field in ASKER)
    return "\n".join(
        [*lines, f"do …: {common}", f"ask …: {asker}", 'clock "2026-03-01T00:00:00-06:00" | "1mo2d" | "run"']
    )


def assemble(lang: str = "") -> click.Group:
    """Return the root command with every package's commands added; help is in `lang` (default: LEDGER_LANG's)."""
    lang = lang or language(os.environ.get("LEDGER_LANG", ""))
    speak(lang)
    apply_command.epilog = vocabulary(lang)
    whole = root.anew()
    for command in (
        clock_group,
        terms_command,
        calendar_group,
        import_command,
        imports_command,
        token_group,
        login,
        logout,
        whoami,
        contact_group,
        webhook_group,
    ):
        whole.add_command(command)
    for command in (*command_groups(lang), *question_commands(lang)):
        if command.name == "books" and isinstance(command, click.Group):
            command.add_command(books_check_command)
        whole.add_command(command)
    for point in sorted(entry_points(group="supportledger.commands"), key=lambda p: p.name):
        point.load()(whole)
    said = in_language(whole, lang)
    assert isinstance(said, click.Group)
    return said


def main(args: list[str] | None = None) -> None:
    """Run the command line; turn refusals into words and exit codes.

    SIGPIPE stays ignored, as Python has it: a server, or a command that talks to one, must not die of a peer that
    hangs up. Where our own reader has left (`| head`), click and rich end us without a word.
    """
    arguments = sys.argv[1:] if args is None else args
    lang = Settings.read().lang
    for word, after in zip(arguments, [*arguments[1:], ""], strict=True):
        if word == "--lang" or word.startswith("--lang="):
            lang = language(after if word == "--lang" else word.removeprefix("--lang="))
            break
    tell_on(sys.stderr, lang)
    try:
        assemble(lang)(args=arguments, prog_name="supportledger")
    except LedgerError as error:
        if "--json" in arguments:
            click.echo(json.dumps(refusal(error, lang), ensure_ascii=False))
        click.echo(error.message(lang), err=True)
        sys.exit(2 if isinstance(error, Malformed) else 1)


if __name__ == "__main__":
    main()
