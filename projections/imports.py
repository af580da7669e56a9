"""The files of other systems that were imported: who ran each, when, and what stood in it."""

from __future__ import annotations

from typing import Any

from ledger import facts as f
from ledger.application import Ledger
from ledger.rules.instants import show


def answer(ledger: Ledger, values: dict[str, Any], at: str, now: str) -> dict[str, Any]:
    """Answer question `imports`: every run that recorded something, in order. Its facts have the same `source`."""
    sql = "SELECT state FROM ledger_events WHERE topic = ? AND position <= ? ORDER BY position"
    topic = f.HistoryImported.TOPIC
    found = [f.decode(topic, bytes(row[0])) for row in ledger.store.query(sql, [topic, ledger.store.last_position()])]
    zone = ledger.catalogue.zone
    return {
        "imports": [
            {
                "at": show(batch.occurred_at, zone),
                "by": batch.by,
                "stated_by": batch.stated_by or None,
                "source": batch.source,
                "file": batch.file,
                "rows": batch.rows,
                "rejected": batch.rejected,
                "mapping": batch.mapping,
                "mapping_digest": batch.mapping_digest,
                "digest": batch.digest,
            }
            for batch in found
            if isinstance(batch, f.HistoryImported)
        ]
    }
