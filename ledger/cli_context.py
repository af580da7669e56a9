"""What every command of the command line needs: the ledger of this call's settings, and who acts or asks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click

from ledger.application import Ledger
from ledger.catalogue import load
from ledger.catalogue_guard import guard
from ledger.dating import Caller
from ledger.errors import Refused
from ledger.identity import acting, who
from ledger.rules.approvals import parse_settings
from ledger.settings import Settings
from ledger.store import open_store


@contextlib.contextmanager
def ledger_of(ctx: click.Context, *, check: bool = True) -> Iterator[Ledger]:
    """Yield the ledger of this call's settings, closed at the end; Unavailable when it cannot serve.

    `check=False` skips the check that the database has been migrated.
    """
    settings: Settings = ctx.obj["settings"]
    approvals = parse_settings(settings.approval_limits, settings.sole_approver)
    ledger = Ledger(open_store(settings.database_url), load(settings.catalogue), settings.gateway, approvals)
    try:
        if check:
            ledger.store.check()
            guard(ledger.store, ledger.catalogue)
        yield ledger
    finally:
        ledger.close()


def runner(ctx: click.Context, ledger: Ledger, command: str, roles: frozenset[str], by: str | None = None) -> Caller:
    """Return who runs a command that is in no table: as `ledger.identity`; Refused for a role not in `roles`.

    An operator may say with `by` who did it; then their own name stands beside it (`stated_by`).
    """
    me = who(ledger.store, ctx.obj["settings"])
    allow(me.role, command, roles)
    return acting(ledger.store, ctx.obj["settings"], by)


def asker(ctx: click.Context, ledger: Ledger, *, needed: bool = False) -> Caller | None:
    """Return whose token is shown, so that they are told what their role may see; None where nobody need say so.

    Whoever may read the database may read all of it: without a token an answer is told whole, unless it depends on who
    asks (`needed`): then Refused.
    """
    try:
        return who(ledger.store, ctx.obj["settings"])
    except Refused as refused:
        if needed or refused.code != "login_needed":  # a token that is named, or open to others, must be good
            raise
        return None


def reader(ctx: click.Context, ledger: Ledger, question: str, roles: frozenset[str]) -> Caller | None:
    """Return who is answered a question that is in no table, as `asker`; Refused for a role not in `roles`."""
    me = asker(ctx, ledger)
    if me is not None:
        allow(me.role, question, roles)
    return me


def allow(role: str, name: str, roles: frozenset[str]) -> None:
    """Raise Refused unless a role may do this."""
    if role not in roles:
        raise Refused("role_not_allowed", role=role, command=name, roles=", ".join(sorted(roles)))
