"""Declines: who asked for what, when, and why not."""

from __future__ import annotations

from typing import Any

from ledger import facts as f
from ledger.store import Store
from projections.model import ReadModel, Rows, Stream, Table

DECLINES = Table(
    "r_declines",
    (
        ("position", "bigint"),
        ("account", "text"),
        ("ticket", "text"),
        ("request", "text"),
        ("priority", "text"),
        ("product", "text"),
        ("code", "text"),
        ("declined_at", "text"),
        ("actor", "text"),
        ("charge", "text"),
    ),
    (("position",), ("account", "position")),
)


def rows(stream: Stream) -> Rows:
    """Return the rows of one decline's stream."""
    return {
        DECLINES.name: [
            (
                stream.id, row[0], fact.customer_no, fact.ticket_no, fact.request, fact.priority, fact.product,
                fact.code, fact.occurred_at, fact.by, fact.charge,
            )
            for row, fact in zip(stream.rows, stream.facts, strict=True)
            if isinstance(fact, f.RequestDeclined)
        ]
    }  # fmt: skip


MODEL = ReadModel("declines", 1, "decline/", (DECLINES,), rows)


def declines(read: Store, *, account: str = "", after: int = 0, limit: int = 50) -> list[dict[str, Any]]:
    """Return declines in the order of the log, of one account or of all."""
    names = DECLINES.names[1:]
    where, given = ["position > ?"], [after]
    params: list[Any] = list(given)
    if account:
        where.append("account = ?")
        params.append(account)
    sql = f"SELECT {', '.join(names)} FROM r_declines WHERE {' AND '.join(where)} ORDER BY position LIMIT ?"
    return [dict(zip(names, row, strict=True)) for row in read.query(sql, [*params, limit])]
