"""`supportledger token`: create, list and revoke the API's bearer tokens."""

from __future__ import annotations

import json

import click

from ledger import tokens
from ledger.cli_context import ledger_of, reader, runner
from ledger.cli_group import Commands
from ledger.cli_show import show_record, show_rows
from ledger.command import AUDITORS, OPERATORS, ROLES
from ledger.errors import NotFound
from ledger.fields import Name
from ledger.rules.instants import show


@click.group("token", cls=Commands)
def token_group() -> None:
    """Credenciales de la API · bearer tokens of the API."""


@token_group.command("create")
@click.option("--role", type=click.Choice(ROLES), required=True)
@click.option("--name", help="quién actúa · who acts")
@click.option(
    "--expires",
    default=tokens.DEFAULT_EXPIRY,
    show_default=True,
    help="hasta cuándo sirve: un lapso (90d) o una fecha · until when it is good: a span (90d) or a date",
)
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def create(ctx: click.Context, role: str, name: str | None, expires: str, as_json: bool) -> None:
    """Crear una credencial: se muestra una sola vez · create a token: it is shown only once."""
    owner = Name().parse(name if name is not None else role, "name")
    now = tokens.machine_now()
    with ledger_of(ctx) as ledger:
        maker = runner(ctx, ledger, "token create", OPERATORS).by
        zone = ledger.catalogue.zone
        ends = tokens.expiry(expires, now, zone)
        secret = tokens.create(ledger.store, role=role, name=owner, now=now, expires_at=ends, created_by=maker)
    made = {"token": secret, "role": role, "name": owner, "expires_at": show(ends, zone), "created_by": maker}
    show_record(made, ctx.obj["lang"], as_json)


@token_group.command("list")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Ver las credenciales (sin su secreto) · list the tokens (without their secret)."""
    now = tokens.machine_now()
    with ledger_of(ctx) as ledger:
        reader(ctx, ledger, "token list", OPERATORS | AUDITORS)
        zone = ledger.catalogue.zone
        rows = [
            {
                "prefix": t.prefix,
                "role": t.role,
                "name": t.name,
                "state": tokens.state(t, now),
                "created_at": show(t.created_at, zone),
                "created_by": t.created_by or None,
                "expires_at": show(t.expires_at, zone) if t.expires_at else None,
                "last_used_at": show(t.last_used_at, zone) if t.last_used_at else None,
                "revoked_at": show(t.revoked_at, zone) if t.revoked_at else None,
            }
            for t in ledger.store.tokens()
        ]
    if as_json:
        click.echo(json.dumps({"tokens": rows}))
    else:
        show_rows(rows, ctx.obj["lang"])


@token_group.command("revoke")
@click.argument("prefix")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def revoke(ctx: click.Context, prefix: str, as_json: bool) -> None:
    """Anular una credencial por su prefijo · revoke a token by its prefix."""
    with ledger_of(ctx) as ledger:
        runner(ctx, ledger, "token revoke", OPERATORS)
        count = ledger.store.revoke_token(prefix, tokens.machine_now())
    if not count:
        raise NotFound("unknown_token", prefix=prefix)
    show_record({"revoked": count, "prefix": prefix}, ctx.obj["lang"], as_json)
