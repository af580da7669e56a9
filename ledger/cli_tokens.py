"""`supportledger token`: create, list and revoke the API's bearer tokens."""

from __future__ import annotations

import json

import click

from ledger import tokens
from ledger.cli_context import ledger_of
from ledger.cli_show import show_record, show_rows
from ledger.commands import ROLES
from ledger.errors import NotFound
from ledger.fields import Id


@click.group("token")
def token_group() -> None:
    """Credenciales de la API · bearer tokens of the API."""


@token_group.command("create")
@click.option("--role", type=click.Choice(ROLES), required=True)
@click.option("--name", help="quién actúa (by) · who acts (by); default: the role")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def create(ctx: click.Context, role: str, name: str | None, as_json: bool) -> None:
    """Crear una credencial: se muestra una sola vez · create a token: it is shown only once."""
    owner = Id().parse(name if name is not None else role, "name")
    with ledger_of(ctx) as ledger:
        secret = tokens.create(ledger.store, role=role, name=owner, now=ledger.clock.now())
    show_record({"token": secret, "role": role, "name": owner}, ctx.obj["lang"], as_json)


@token_group.command("list")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Ver las credenciales (sin su secreto) · list the tokens (without their secret)."""
    with ledger_of(ctx) as ledger:
        rows = [
            {
                "prefix": t.prefix,
                "role": t.role,
                "name": t.name,
                "created_at": t.created_at,
                "revoked_at": t.revoked_at,
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
        count = ledger.store.revoke_token(prefix, ledger.clock.now())
    if not count:
        raise NotFound("unknown_token", prefix=prefix)
    show_record({"revoked": count, "prefix": prefix}, ctx.obj["lang"], as_json)
