"""`supportledger notices list|preview`: the state of the outbox, and a notice as it would be mailed."""

from __future__ import annotations

import json
from typing import Any

import click

from ledger import contacts
from ledger.cli_group import Commands
from ledger.cli_show import show_record, show_rows
from ledger.errors import NotFound
from ledger.notice_kinds import KINDS
from ledger.rules.instants import show
from ledger.settings import language
from projections import notices
from projections.cli import projector_of
from scheduler.mails import render
from scheduler.rows import Entry, entries
from scheduler.transports import company_of


@click.group("notices", cls=Commands)
def notices_group() -> None:
    """Avisos a los clientes · notices to customers."""


@notices_group.command("list")
@click.option("--account", default="")
@click.option("--limit", type=click.IntRange(1, 10_000), default=200, show_default=True)
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def list_(ctx: click.Context, account: str, limit: int, as_json: bool) -> None:
    """Ver qué se envió, qué espera y qué falló · what was sent, waits or failed; the newest first."""
    with projector_of(ctx) as (ledger, _projector):
        rows = [_shown(entry, ledger.catalogue.zone) for entry in entries(ledger.store, account, limit)]
    if as_json:
        click.echo(json.dumps({"notices": rows}, ensure_ascii=False))
    else:
        show_rows(rows, ctx.obj["lang"])


def _shown(entry: Entry, zone: str) -> dict[str, Any]:
    def instant(at: str) -> str | None:
        return show(at, zone) if at else None

    return {
        "account": entry.account,
        "kind": entry.kind,
        "notice": entry.notice,
        "channel": entry.channel,
        "target": entry.target,
        "state": entry.state,
        "tries": entry.tries,
        "created_at": instant(entry.created_at),
        "next_try_at": instant(entry.next_try_at) if entry.state == "waiting" else None,
        "sent_at": instant(entry.sent_at),
        "error": entry.error or None,
    }


@notices_group.command("preview")
@click.argument("account")
@click.argument("kind", type=click.Choice(KINDS))
@click.option("--lang", type=click.Choice(["es_GT", "es", "en"]), help="es_GT (es) | en; default: the account's")
@click.option("--html", "as_html", is_flag=True, help="el HTML del correo · the mail's HTML")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def preview(ctx: click.Context, account: str, kind: str, lang: str | None, as_html: bool, as_json: bool) -> None:
    """Mostrar el aviso más reciente o próximo de su clase · show the newest (or next) notice of a kind as mailed."""
    with projector_of(ctx) as (ledger, projector):
        projector.catch_up([notices.MODEL.name])
        found = notices.of_account(projector.read, account)
        contact = contacts.find_contact(ledger.store, account)
    wanted = [notice for notice in found if notice.kind == kind]
    if not wanted:
        kinds = ", ".join(sorted({notice.kind for notice in found})) or "-"
        raise NotFound("no_such_notice", account=account, kind=kind, kinds=kinds)
    notice = wanted[-1]
    words = language(lang) if lang else notice.language
    who = contact.name if contact is not None else ""
    mail = render(kind, notice.data, words, who=who, company=company_of(ctx.obj["settings"]))
    if as_json:
        show_record({"subject": mail.subject, "text": mail.text, "html": mail.html}, words, True)
    else:
        click.echo(mail.html if as_html else f"{mail.subject}\n\n{mail.text}", nl=False)
