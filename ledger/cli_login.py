"""`supportledger login`, `logout`, `whoami`: one's own token, and who acts with it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ledger import identity, tokens
from ledger.cli_context import ledger_of
from ledger.cli_show import show_record
from ledger.errors import Refused
from ledger.settings import Settings
from ledger.texts import text


@click.command("login")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def login(ctx: click.Context, as_json: bool) -> None:
    """Guardar la credencial propia (se lee, no se ve) · keep one's own token (read, not shown)."""
    settings: Settings = ctx.obj["settings"]
    lang = ctx.obj["lang"]
    if sys.stdin.isatty():
        secret = click.prompt(text("login_prompt", lang), hide_input=True)
    else:
        secret = sys.stdin.readline(200)
    secret = secret.strip()
    with ledger_of(ctx) as ledger:
        found = tokens.caller(ledger.store, secret)
    if found is None:
        raise Refused("token_not_good")
    file = _file(settings)
    try:
        identity.keep(file, secret)
    except OSError as error:
        raise Refused("token_file_missing", file=str(file), why=error.strerror or str(error)) from error
    if as_json:
        show_record({"file": str(file), "name": found.by, "role": found.role}, lang, True)
    else:
        click.echo(text("logged_in", lang, file=file, name=found.by, role=text(f"value_role_{found.role}", lang)))


@click.command("logout")
@click.pass_context
def logout(ctx: click.Context) -> None:
    """Borrar la credencial guardada · delete the token that is kept."""
    file = _file(ctx.obj["settings"])
    file.unlink(missing_ok=True)
    click.echo(text("logged_out", ctx.obj["lang"], file=file))


@click.command("whoami")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def whoami(ctx: click.Context, as_json: bool) -> None:
    """Quién actúa aquí, y con qué rol · who acts here, and in which role."""
    settings: Settings = ctx.obj["settings"]
    with ledger_of(ctx) as ledger:
        me = identity.who(ledger.store, settings)
    show_record({"name": me.by, "role": me.role}, ctx.obj["lang"], as_json)


def _file(settings: Settings) -> Path:
    if settings.token_file is None:
        raise Refused("token_file_missing", file="LEDGER_TOKEN_FILE", why="HOME")
    return settings.token_file
