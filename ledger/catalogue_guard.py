"""The catalogue is append-only: a ledger refuses one that changes what it has been used with."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from ledger.catalogue import Catalogue, Published
from ledger.errors import Unavailable
from ledger.rules.instants import from_iso, local_date
from ledger.store import Store

_SEEN = "catalogue"  # where the database keeps which entries it has been used with
# The calendars that were shipped before the first release: `gt-business` without holidays, and from December 2026 on a
# second version with them. The first one has them now (DOMAIN.md, the clock); exactly these are taken for it.
_FORMER = (Published("2000-01-01", "9ff44363a0b77478"), Published("2026-12-01", "c48b1dfe74b11cf4"))
_NOW = Published("2000-01-01", "58af798f2528390d")


def guard(store: Store, catalogue: Catalogue) -> None:
    """Raise Unavailable when the catalogue is not the one this ledger has been used with, and newer entries.

    What was published is never changed or removed; what is added begins after the last day on which anything was
    recorded. The entries are kept in the database by the first append of this process: looking on writes nothing.
    """
    kept: dict[str, list[Any]] = json.loads(store.meta(_SEEN) or "{}")
    last = store.last_recorded_at()
    today = local_date(from_iso(last), catalogue.zone).isoformat() if last else ""
    for name, entries in catalogue.published.items():
        before = [Published(*pair) for pair in kept.get(name, [])] if kept else list(entries)
        if _NOW in entries:
            before = _mended(before)
        for number, entry in enumerate(before, 1):
            if entries[number - 1 : number] != [entry]:
                raise Unavailable("catalogue_changed", section=name, number=number, since=entry.since)
        for number, entry in enumerate(entries[len(before) :], len(before) + 1):
            if entry.since <= today:
                raise Unavailable("catalogue_in_the_past", section=name, number=number, since=entry.since, today=today)
    if json.dumps(catalogue.published) != json.dumps(kept):
        store.before_append = partial(store.set_meta, _SEEN, json.dumps(catalogue.published))


def _mended(before: list[Published]) -> list[Published]:
    """Return kept entries with the former calendars as they are now: promises made by them were copied, and stay."""
    first, second = _FORMER
    if first not in before:
        return before
    return [_NOW if entry == first else entry for entry in before if entry != second]
