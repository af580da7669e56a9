"""Appending one event with its request row, against the library's own recorders, which keep no request."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count as counter
from uuid import NAMESPACE_URL, uuid5

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore
from psycopg.conninfo import conninfo_to_dict

from ledger.rules.instants import to_iso
from ledger.store import Request, Store
from scripts.bench_common import Ground, Row, Size, count, must_equal, take_turns

Recorder = SQLiteApplicationRecorder | PostgresApplicationRecorder
_STREAM = 20  # events
_FIELDS = (
    '{"do": "1f0c5ee0a3a1b2c4", "ticket": "90f3d6a0c1b2a394", "text": "5f7c12aa80d1e3f2", "by": "77ac01b2d4e5f608"}'
)
_OUTCOME = '{"ok": true, "ticket": "B0000001-0001", "request": "general", "priority": "medium", "verdict": "open"}'
_STATE = (
    b'{"customer_no":"B0000001","occurred_at":"2026-03-02T16:17:23.456789Z","by":"luis","source":"console",'
    b'"ticket_no":"B0000001-0001","channel":"platform","counts":true,"text":"Revisado: falta cerrar el mes anterior."}'
)


def append(ground: Ground, dialect: str) -> list[Row]:
    """Measure appends a second, one event each."""
    store = ground.empty(dialect, "append")
    peer = library_recorder(ground, dialect)
    number, n = counter(), ground.size.appends

    def ours() -> float:
        now = to_iso(datetime.now(UTC))
        batch = [(event, Request(f"bench-{i}", _FIELDS, _OUTCOME)) for i, event in _events(number, n, "ticket/B")]
        started = time.perf_counter()
        for event, request in batch:
            store.append([event], ["B0000001"], now=now, request=request)
        return n / (time.perf_counter() - started)

    def theirs() -> float:
        batch = [_with_uuid(event) for _i, event in _events(number, n, "ticket/P")]
        started = time.perf_counter()
        for event in batch:
            peer.insert_events([event])
        return n / (time.perf_counter() - started)

    repeats = turns(ground.size)
    rate, peers = take_turns(repeats, ours, theirs)
    check(store, repeats * n)
    must_equal("events of the library's recorder", peer.max_notification_id(), repeats * n)
    peer.datastore.close()
    return [Row(f"append-{dialect}", "appends/s", rate, peers, floor=0.9)]


def turns(size: Size) -> int:
    """Return how often each takes its turn: often and briefly, for what the disk does changes by the second."""
    return 5 * size.repeats


def check(store: Store, expected: int) -> None:
    """Raise Broken unless the log has `expected` events, each with its request, in streams without a hole."""
    must_equal("events", count(store, "ledger_events"), expected)
    joined = "ledger_requests r JOIN ledger_events e ON e.position = r.position"
    must_equal("requests with their event", count(store, joined), expected)
    holes = "(SELECT stream FROM ledger_events GROUP BY stream HAVING max(version) <> count(*)) h"
    must_equal("streams with a hole", count(store, holes), 0)


def library_recorder(ground: Ground, dialect: str) -> Recorder:
    """Return the library's recorder in its default mode: synchronous=FULL, or its table lock and NOTIFY."""
    recorder: Recorder
    if dialect == "sqlite":
        recorder = SQLiteApplicationRecorder(SQLiteDatastore(str(ground.folder / "append_peer.db")))
    else:
        given = conninfo_to_dict(ground.database("append_peer"))
        dbname, host, port, user = (str(given[name]) for name in ("dbname", "host", "port", "user"))
        datastore = PostgresDatastore(dbname, host, port, user, str(given.get("password", "")))
        recorder = PostgresApplicationRecorder(datastore)
    recorder.create_table()
    return recorder


def _events(number: Iterator[int], n: int, prefix: str) -> list[tuple[int, StoredEvent]]:
    batch = []
    for _ in range(n):
        i = next(number)
        stream, version = divmod(i % n, _STREAM)
        batch.append((i, StoredEvent(f"{prefix}{i // n}-{stream}", version + 1, "ticket.responded", _STATE)))
    return batch


def _with_uuid(event: StoredEvent) -> StoredEvent:
    stream = uuid5(NAMESPACE_URL, str(event.originator_id))
    return StoredEvent(stream, event.originator_version, event.topic, event.state)
