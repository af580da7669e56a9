"""`supportledger contact` and `supportledger webhook`: where notices go. None of it enters the log."""

from __future__ import annotations

import json
from typing import Any

import click

from ledger import contacts
from ledger.cli_context import ledger_of, reader, runner
from ledger.cli_group import Commands
from ledger.cli_show import show_record, show_rows
from ledger.command import AUDITORS, MONEY, OPERATORS
from ledger.errors import Malformed
from ledger.fields import Id, Text
from ledger.notice_kinds import KINDS, STAFF_KINDS
from ledger.rules.instants import show
from ledger.secret_file import secret_file_of

_NAME = Text(200)
_KINDS = (*KINDS, *STAFF_KINDS)
_LISTED = ", ".join(_KINDS)


@click.group("contact", cls=Commands)
def contact_group() -> None:
    """Correo de una cuenta, para sus avisos · an account's e-mail address, for its notices."""


@contact_group.command("set")
@click.argument("account")
@click.option("--email", required=True, help="adónde se envían los avisos · where notices are mailed to")
@click.option("--name", default="", help="a quién saludan · whom they greet; default: the company")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def set_(ctx: click.Context, account: str, email: str, name: str, as_json: bool) -> None:
    """Registrar o corregir el correo · record or correct the address."""
    address = contacts.Email().parse(email, "email")
    greeted = _NAME.parse(name, "name") if name else ""
    with ledger_of(ctx) as ledger:
        runner(ctx, ledger, "contact set", MONEY)
        now = ledger.clock.now()
        kept = contacts.set_contact(ledger.store, _account(account), email=address, name=greeted, now=now)
        answer = contact_shown(kept, ledger.catalogue.zone)
    show_record(answer, ctx.obj["lang"], as_json)


@contact_group.command("show")
@click.argument("account")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def show_(ctx: click.Context, account: str, as_json: bool) -> None:
    """Ver el correo · show the address."""
    with ledger_of(ctx) as ledger:
        reader(ctx, ledger, "contact show", MONEY | AUDITORS)
        answer = contact_shown(contacts.contact(ledger.store, _account(account)), ledger.catalogue.zone)
    show_record(answer, ctx.obj["lang"], as_json)


@contact_group.command("forget")
@click.argument("account")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def forget(ctx: click.Context, account: str, as_json: bool) -> None:
    """Borrar el correo: no queda en ninguna parte · delete the address: it stays nowhere."""
    with ledger_of(ctx) as ledger:
        runner(ctx, ledger, "contact forget", MONEY)
        count = contacts.forget_contact(ledger.store, _account(account))
    show_record({"account": account, "forgotten": count}, ctx.obj["lang"], as_json)


@click.group("webhook", cls=Commands)
def webhook_group() -> None:
    """Destinos de avisos firmados (Standard Webhooks) · who gets signed webhooks of every account's notices."""


@webhook_group.command("add")
@click.argument("url")
@click.option(
    "--kinds", default="", help=f"{_LISTED}; con comas; si falta: todos · {_LISTED}; with commas; default: all"
)
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def add(ctx: click.Context, url: str, kinds: str, as_json: bool) -> None:
    """Agregar un destino: su secreto se muestra una sola vez · add one: its secret is shown only once."""
    address, wanted = contacts.Address().parse(url, "url"), _kinds(kinds)
    with ledger_of(ctx) as ledger:
        runner(ctx, ledger, "webhook add", OPERATORS)
        kept = secret_file_of(ledger.store, ctx.obj["settings"].secrets_file)
        made, secret = contacts.add_endpoint(ledger.store, kept, url=address, kinds=wanted, now=ledger.clock.now())
        answer = _endpoint_shown(made, ledger.catalogue.zone)
    show_record({**answer, "secret": secret}, ctx.obj["lang"], as_json)


@webhook_group.command("list")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Ver los destinos (sin su secreto) · list them (without their secret)."""
    with ledger_of(ctx) as ledger:
        reader(ctx, ledger, "webhook list", OPERATORS | AUDITORS)
        rows = [_endpoint_shown(e, ledger.catalogue.zone) for e in contacts.endpoints(ledger.store)]
    if as_json:
        click.echo(json.dumps({"webhooks": rows}, ensure_ascii=False))
    else:
        show_rows(rows, ctx.obj["lang"])


@webhook_group.command("stop")
@click.argument("id")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def stop(ctx: click.Context, id: str, as_json: bool) -> None:
    """Detener un destino: no recibe nada más · stop one: it gets nothing more."""
    with ledger_of(ctx) as ledger:
        runner(ctx, ledger, "webhook stop", OPERATORS)
        stopped = contacts.stop_endpoint(ledger.store, id, ledger.clock.now())
        answer = _endpoint_shown(stopped, ledger.catalogue.zone)
    show_record(answer, ctx.obj["lang"], as_json)


def contact_shown(contact: contacts.Contact, zone: str) -> dict[str, Any]:
    """Return a contact as it is answered, JSON-native."""
    return {
        "account": contact.account,
        "email": contact.email,
        "name": contact.name or None,
        "changed_at": show(contact.changed_at, zone),
    }


def _endpoint_shown(endpoint: contacts.Endpoint, zone: str) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "kinds": list(endpoint.kinds) or None,
        "created_at": show(endpoint.created_at, zone),
        "stopped_at": show(endpoint.stopped_at, zone) if endpoint.stopped_at else None,
    }


def _account(value: str) -> str:
    return Id().parse(value, "account")


def _kinds(value: str) -> list[str]:
    names = [name.strip() for name in value.split(",") if name.strip()]
    for name in names:
        if name not in _KINDS:
            raise Malformed("kinds", name, "remedy_choice", words=", ".join(_KINDS))
    return names
