"""The seam to the eventsourcing library: where facts are kept, and the only SQL that writes them.

`open_store(url)` opens nothing yet: connections are made at the first use, per process, so a fork is safe.
"""

from __future__ import annotations

from eventsourcing.persistence import IntegrityError

from ledger.errors import Unavailable
from ledger.store.base import Store, Writer
from ledger.store.mapper import FactMapper, Recorded
from ledger.store.rows import NEXT, LoggedEvent, Request, Row, of_account
from ledger.store.token_table import Token

__all__ = [
    "NEXT",
    "FactMapper",
    "IntegrityError",
    "LoggedEvent",
    "Recorded",
    "Request",
    "Row",
    "Store",
    "Token",
    "Writer",
    "of_account",
    "open_read_store",
    "open_store",
]


def open_store(url: str) -> Store:
    """Return the store of a database URL: `sqlite:///path` or `postgresql://…`; Unavailable for another."""
    if url.startswith("sqlite:///"):
        from ledger.store.sqlite import SqliteStore

        return SqliteStore(url.removeprefix("sqlite:///"))
    if url.startswith(("postgresql://", "postgres://")):
        from ledger.store.postgres import PostgresStore

        return PostgresStore(url)
    raise Unavailable("database_url", scheme=url.split(":", 1)[0])


def open_read_store(store: Store) -> Store:
    """Return where read models of `store` live: the same PostgreSQL database, or a second SQLite file.

    The second file keeps their writes away from the ledger's one writer; losing it loses nothing.
    """
    if store.dialect == "sqlite":
        from ledger.store.sqlite import SqliteStore

        return SqliteStore(f"{store.url.removeprefix('sqlite:///')}.read", disposable=True)
    return store
