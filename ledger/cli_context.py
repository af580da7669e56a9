"""What every command of the command line needs: the ledger of this call's settings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click

from ledger.application import Ledger
from ledger.catalogue import load
from ledger.catalogue_guard import guard
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
