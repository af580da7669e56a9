"""`supportledger books check`: what the books lack, and its repair."""

from __future__ import annotations

import sys

import click

from ledger.application import Ledger
from ledger.books_check import check
from ledger.cli_context import ledger_of
from ledger.cli_show import show_record
from ledger.errors import Refused
from ledger.identity import acting
from ledger.rules.money import show_amount

REPAIR = {"finance", "manager", "operator"}  # who may issue what is missing
READ = REPAIR | {"auditor"}  # an auditor changes nothing (DOMAIN.md, "Least privilege")


@click.command("check")
@click.option(
    "--repair", is_flag=True, help="emitir lo que falta, con fecha de hoy · issue what is missing, dated today"
)
@click.option("--by", help="quién repara · who repairs")
@click.option("--json", "as_json", is_flag=True)
@click.pass_context
def books_check_command(ctx: click.Context, repair: bool, by: str | None, as_json: bool) -> None:
    """Buscar documentos que faltan o sobran y sumas que no cuadran · look for documents lost or doubled, wrong sums."""
    lang = ctx.obj["lang"]
    with ledger_of(ctx) as ledger:
        name = _permitted(ctx, ledger, by, repair)
        checked = check(ledger, repair=repair, by=name)
        left = check(ledger).found if checked.issued or (repair and checked.found) else checked.found
    answer = {
        "ok": not left,
        "accounts": checked.accounts,
        "documents_checked": checked.documents,
        "troubles": [trouble.shown(lang) for trouble in checked.found],
    }
    if repair:
        answer["issued"] = [
            {
                "account": one.customer_no,
                "kind": one.kind,
                "charge": one.charge,
                "gross": show_amount(one.gross),
                "currency": one.currency,
            }
            for one in checked.issued
        ]
        answer["unsolved"] = [trouble.shown(lang) for trouble in left]
    show_record(answer if as_json else _for_people(answer), lang, as_json)
    if left:
        sys.exit(1)


def _permitted(ctx: click.Context, ledger: Ledger, by: str | None, repair: bool) -> str:
    """Return who asks, by their token; Refused for a role that may not. Without a token the books may be looked at."""
    try:
        me = acting(ledger.store, ctx.obj["settings"], by)
    except Refused:
        if repair or by is not None:
            raise
        return ""
    roles, command = (REPAIR, "books check --repair") if repair else (READ, "books check")
    if me.role not in roles:
        raise Refused("role_not_allowed", role=me.role, command=command, roles=", ".join(sorted(roles)))
    return me.by


def _for_people(answer: dict[str, object]) -> dict[str, object]:
    """Return the answer with the words of what was found alone."""
    shown = {"in_order" if name == "ok" else name: value for name, value in answer.items()}
    for name in ("troubles", "unsolved"):
        rows = shown.get(name)
        if isinstance(rows, list):
            shown[name] = [{"what": row["what"]} for row in rows]
    return shown
