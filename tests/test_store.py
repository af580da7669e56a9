"""The log itself, on both stores: order, conflicts, stamps, large saves, errors, old rows."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from eventsourcing.persistence import StoredEvent

from ledger import facts
from ledger.errors import Unavailable
from ledger.facts import codec
from ledger.facts.base import Fact
from ledger.store import NEXT, IntegrityError, Request, Store, open_store
from ledger.store.tables import SCHEMA_VERSION

GOLDEN = Path(__file__).resolve().parent / "stored_events.jsonl"
NOW = "2026-01-05T15:00:00.000000Z"


@pytest.fixture(name="store")
def _store(store_url: str) -> Any:
    store = open_store(store_url)
    store.migrate()
    yield store
    store.close()


def event(stream: str, version: int, size: int = 20) -> StoredEvent:
    return StoredEvent(stream, version, "ticket.noted", b"x" * size)


def append(store: Store, *events: StoredEvent, now: str = NOW, request: Request | None = None) -> list[int]:
    return store.append(list(events), ["C-1"] * len(events), now=now, request=request, complete=True)


def test_positions_rise_and_versions_of_a_stream_are_unique(store: Store) -> None:
    first = append(store, event("ticket/a", 1), event("ticket/b", 1))
    second = append(store, event("ticket/a", 2))
    assert first == sorted(first)
    assert second[0] > first[-1]
    with pytest.raises(IntegrityError):
        append(store, event("ticket/c", 1), event("ticket/a", 2))
    assert store.select_events("ticket/c") == [], "all of a save or none of it"
    third = append(store, event("ticket/c", 1))
    assert [row.position for row in store.rows(0, 100)] == [*first, *second, *third]


def test_a_scan_is_stream_by_stream_and_a_prefix_leaves_out_the_others(store: Store) -> None:
    append(store, event("ticket/b", 1), event("ticket", 1), event("ticket/a", 1), event("ticket0", 1))
    append(store, event("ticket/a", 2), event("account/a", 1), event("ticket/\u00f1", 1), event("ticket/", 1))
    whole = [tuple(row[:3]) for part in store.scan(store.last_position()) for row in part]
    assert whole == sorted(whole, key=lambda row: row[1:])
    for stop in range(store.last_position() + 1):
        part = [tuple(row[:3]) for rows in store.scan(stop, "ticket/", size=2) for row in rows]
        assert part == [row for row in whole if row[1].startswith("ticket/") and row[0] <= stop]


def test_stamps_never_decrease_though_the_clock_goes_back(store: Store) -> None:
    append(store, event("ticket/a", 1), now="2026-01-05T15:00:00.000000Z")
    append(store, event("ticket/a", 2), now="2026-01-05T14:00:00.000000Z")
    append(store, event("ticket/a", 3), now="2026-01-05T15:00:00.000001Z")
    stamps = [row.recorded_at for row in store.rows(0, 100)]
    assert stamps == ["2026-01-05T15:00:00.000000Z"] * 2 + ["2026-01-05T15:00:00.000001Z"]
    known = store.position_known_at("2026-01-05T15:00:00.000000Z")
    assert [row.version for row in store.rows(0, 100, known)] == [1, 2]
    assert store.position_known_at("2026-01-05T13:00:00.000000Z") == 0


def test_a_request_key_is_taken_once_and_its_events_with_it(store: Store) -> None:
    request = Request("key", "{}", '{"ok": true}')
    (position,) = append(store, event("ticket/a", 1), request=request)
    assert store.request("key") == request._replace(position=position)
    with pytest.raises(IntegrityError):
        append(store, event("ticket/b", 1), request=request)
    assert store.select_events("ticket/b") == []


def test_five_thousand_events_in_one_append_do_not_hang(store: Store) -> None:
    events = [event("ticket/a", version, size=300) for version in range(1, 5001)]
    done = threading.Event()

    def save() -> None:
        append(store, *events)
        done.set()

    thread = threading.Thread(target=save, daemon=True)
    thread.start()
    assert done.wait(60), "a large save hangs"
    assert [row.originator_version for row in store.select_events("ticket/a")] == list(range(1, 5001))


def test_two_threads_writing_lose_nothing(store: Store) -> None:
    def write(name: str) -> None:
        for version in range(1, 101):
            append(store, event(f"ticket/{name}", version))

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = store.rows(0, 1000)
    assert len(rows) == 400
    assert sorted({row.position for row in rows}) == [row.position for row in rows]
    for name in "abcd":
        assert [r.version for r in rows if r.stream == f"ticket/{name}"] == list(range(1, 101))


def test_an_append_waits_for_the_commit_of_the_one_before(pg_url: str) -> None:
    """Else a reader could pass a position that becomes visible later: positions rise in the order of commits."""
    store = open_store(pg_url)
    store.migrate()
    done = threading.Event()
    with psycopg.connect(pg_url) as first:
        first.execute(
            "SELECT ledger_append(%s, %s::text[], %s::bigint[], %s::text[], %s::text[], %s::bytea[])",
            [NOW, ["ticket/a"], [1], ["ticket.noted"], ["C-1"], [b"x"]],
        )

        def write() -> None:
            append(store, event("ticket/b", 1))
            done.set()

        threading.Thread(target=write, daemon=True).start()
        assert not done.wait(0.3), "the second append did not wait"
        assert store.rows(0, 10) == []
        first.commit()
    assert done.wait(10)
    assert [row.stream for row in store.rows(0, 10)] == ["ticket/a", "ticket/b"]
    store.close()


def test_a_second_process_may_write_at_the_same_time(store: Store, store_url: str) -> None:
    code = (
        "import sys; from ledger.store import open_store; from eventsourcing.persistence import StoredEvent\n"
        "store = open_store(sys.argv[1])\n"
        "for v in range(1, 151):\n"
        "    store.append([StoredEvent('ticket/other', v, 'ticket.noted', b'x')], ['C'], now='2026', request=None)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, store_url]) as other:
        for version in range(1, 151):
            append(store, event("ticket/mine", version))
        assert other.wait(60) == 0
    versions = [row.version for row in store.rows(0, 1000) if row.stream == "ticket/other"]
    assert versions == list(range(1, 151))
    assert len(store.rows(0, 1000)) == 300


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_opens_its_own_connections(store: Store) -> None:
    append(store, event("ticket/a", 1))
    child = os.fork()
    if child == 0:
        try:
            append(store, event("ticket/b", 1))
            os._exit(0)
        except BaseException:
            os._exit(1)
    _pid, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    append(store, event("ticket/a", 2))
    assert len(store.rows(0, 10)) == 3


def test_a_database_that_cannot_serve_says_why(store_url: str, tmp_path: Path) -> None:
    store = open_store(store_url)
    if store_url.startswith("sqlite"):
        with pytest.raises(Unavailable, match="database_missing"):
            store.check()
    else:
        with pytest.raises(Unavailable, match="not_migrated"):
            store.check()
    store.migrate()
    store.check()
    assert store.migrate() is False, "again: nothing to do"
    store.set_meta("schema_version", str(SCHEMA_VERSION + 1))
    with pytest.raises(Unavailable, match="newer_schema"):
        store.check()
    store.close()


def test_a_locked_file_is_a_clear_refusal(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.store.connections._BUSY_SECONDS", 0.2)
    store = open_store(sqlite_url)
    store.migrate()
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="database_locked"):
        append(store, event("ticket/a", 1))
    other.execute("ROLLBACK")
    other.close()
    append(store, event("ticket/a", 1))
    store.close()


def test_a_server_that_is_gone_is_said_within_seconds() -> None:
    store = open_store("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(Unavailable, match="database_unreachable"):
        store.check()
    store.close()


# --- stored rows ------------------------------------------------------------------------------------------------


def test_every_stored_row_of_the_golden_file_still_loads() -> None:
    """The file is never edited: a new version of a fact adds lines. Each line is what some log holds today."""
    lines = [json.loads(line) for line in GOLDEN.read_text("utf-8").splitlines()]
    assert {line["topic"] for line in lines} == set(facts.FACTS)
    for line in lines:
        fact = facts.decode(line["topic"], json.dumps(line["state"]).encode())
        assert line["topic"] == type(fact).TOPIC
        assert json.loads(facts.encode(fact)) == line["state"]


def test_an_unknown_topic_or_content_is_loud() -> None:
    with pytest.raises(facts.UnknownFact, match=r"account\.unheard_of"):
        facts.decode("account.unheard_of", b"{}")
    with pytest.raises(facts.UnknownFact, match=r"ticket\.noted"):
        facts.decode("ticket.noted", b'{"customer_no": 7}')


def test_rows_of_an_older_version_are_upcast(monkeypatch: pytest.MonkeyPatch) -> None:
    def to_minutes(state: dict[str, Any]) -> None:
        state["minutes"] = state.pop("hours") * 60

    class Rested(Fact, kw_only=True, frozen=True):
        TOPIC = "test.rested"
        VERSION = 2
        UPCASTERS = {1: to_minutes}  # noqa: RUF012
        minutes: int

    monkeypatch.setitem(codec.FACTS, "test.rested", Rested)
    common = {"customer_no": "C-1", "occurred_at": NOW, "by": "ana", "source": "api"}
    old = facts.decode("test.rested", msgspec.json.encode({**common, "hours": 2}))
    new = Rested(**common, minutes=120)
    assert old == new == facts.decode("test.rested", facts.encode(new))


# --- places taken under the append lock, older schemas ------------------------------------------------------------


def test_rows_take_the_next_place_of_their_stream(store: Store) -> None:
    append(store, event("series/F", NEXT))
    append(store, event("series/F", NEXT), event("ticket/a", 1), event("series/NC", NEXT), event("series/F", NEXT))
    append(store, *(event("series/F", NEXT) for _ in range(600)))  # in two parts, one transaction
    assert [row.originator_version for row in store.select_events("series/F")] == list(range(1, 604))
    assert [row.originator_version for row in store.select_events("series/NC")] == [1]
    with pytest.raises(IntegrityError):
        append(store, event("series/F", NEXT), event("ticket/a", 1))
    append(store, event("series/F", NEXT))
    assert len(store.select_events("series/F")) == 604, "what was refused took no number"


def test_an_older_schema_is_brought_up_by_migrate_alone(store: Store) -> None:
    append(store, event("ticket/a", 1))
    for table in ("contacts", "outbox", "endpoints", "jobs"):
        store.execute(f"DROP TABLE ledger_{table}")
    for table in ("requests", "script"):
        store.execute(f"DROP TABLE sandbox_{table}")
    for column in ("expires_at", "created_by", "last_used_at"):
        store.execute(f"ALTER TABLE ledger_tokens DROP COLUMN {column}")
    store.set_meta("schema_version", "1")
    with pytest.raises(Unavailable, match="older_schema"):
        store.check()
    assert store.migrate() is True
    store.check()
    append(store, event("series/F", NEXT), event("ticket/a", 2))
    assert store.query("SELECT count(*) FROM ledger_jobs") == [(0,)]
    assert store.migrate() is False
