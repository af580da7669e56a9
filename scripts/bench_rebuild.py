"""Rebuilding all read models: against the library's runner, against mere reading and decoding, and as the log grows."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

from ledger import facts as f
from ledger.application import Ledger
from ledger.catalogue import load
from ledger.store import Row as LogRow
from ledger.store import Store, open_store
from projections import balances
from projections.projector import Projector
from projections.rebuild import rebuild
from scripts.bench_common import ROOT, Broken, Ground, Row, count, must_equal, take_turns
from scripts.bench_data import numbers
from scripts.bench_peer import SIGNS, Runner

_SAMPLE = 40


def against_runner(ground: Ground, dialect: str) -> list[Row]:
    """Measure events a second, and the library's over a slice of the same accounts' events."""
    store = ground.ledger(dialect, ground.size.copies)
    projector = Projector(store, ground.catalogue)
    rows = slice_of(ground, store)
    peer = Runner(ground.database("runner"), rows)
    events = count(store, "ledger_events")
    rate, peers = take_turns(ground.size.repeats, lambda: events / timed_rebuild(projector), peer.run)
    peer.close()
    must_equal("units left by the library's projection", peer.remaining, remaining(rows))
    check(store, projector, tally(store))
    projector.close()
    return [Row(f"rebuild-runner-{dialect}", "events/s", rate, peers, floor=25)]


def against_decoding(ground: Ground, dialect: str) -> list[Row]:
    """Measure events a second, and those of reading and type-decoding the same rows."""
    store = ground.ledger(dialect, ground.size.copies)
    projector = Projector(store, ground.catalogue)
    events = count(store, "ledger_events")

    def reading() -> float:
        decode, last, found = f.decode, store.last_position(), 0
        started = time.perf_counter()
        for part in store.scan(last):
            for row in part:
                decode(row[3], row[5])
            found += len(part)
        seconds = time.perf_counter() - started
        must_equal("events read", found, events)
        return events / seconds

    rate, peers = take_turns(ground.size.repeats, lambda: events / timed_rebuild(projector), reading)
    check(store, projector, tally(store))
    projector.close()
    return [Row(f"rebuild-decode-{dialect}", "events/s", rate, peers, floor=0.1)]


def slice_of(ground: Ground, store: Store) -> list[LogRow]:
    """Return some thousand events of whole accounts of every kind, in the order of the log."""
    lives = len(ground.templates())
    rows: list[LogRow] = []
    for copy, life in product(range(ground.size.copies), range(lives)):
        if len(rows) < ground.size.slice:
            rows += store.rows_of_account(numbers("B", life, copy + 1)[copy])
    return sorted(rows)


def remaining(rows: Sequence[LogRow]) -> dict[str, int]:
    """Return the units that are left on each account, counted from the rows."""
    left: Counter[str] = Counter()
    for row in rows:
        if row.topic in SIGNS:
            fact = f.decode(row.topic, row.state)
            left[fact.customer_no] += SIGNS[row.topic] * getattr(fact, "units", 1)
    return dict(left)


def timed_rebuild(projector: Projector) -> float:
    """Rebuild every model; return the seconds. Broken when a model stopped."""
    started = time.perf_counter()
    errors = rebuild(projector)
    seconds = time.perf_counter() - started
    must_equal("errors of the rebuild", errors, {})
    return seconds


# --- invariants ---------------------------------------------------------------------------------------------------


def tally(store: Store) -> Counter[str]:
    """Count, from the log alone, what the read models must add up to."""
    found: Counter[str] = Counter()
    for part in store.scan(store.last_position()):
        for row in part:
            fact = f.decode(row[3], row[5])
            found[row[3]] += 1
            found["remaining"] += SIGNS.get(row[3], 0) * getattr(fact, "units", 1)
            if isinstance(fact, f.ChargePaid):
                found["paid"] += fact.amount
    return found


def check(store: Store, projector: Projector, log: Mapping[str, int]) -> None:
    """Raise Broken unless the read models stand at the log's end, add up to it and equal the accounts' own answers."""
    last = store.last_position()
    must_equal("positions", {s.position for s in projector.states()}, {last})
    read = projector.read
    must_equal("accounts", count(read, "r_balances"), log["account.opened"])
    must_equal("tickets", count(read, "r_tickets"), log["ticket.opened"])
    must_equal("declines", count(read, "r_declines"), log["decline.recorded"])
    sums = "SELECT coalesce(sum({}), 0) FROM {}"
    must_equal("units left", int(read.query(sums.format("remaining", "r_balances"))[0][0]), log["remaining"])
    paid = read.query(sums.format("amount", "r_billing") + " WHERE entry = 'paid'")
    must_equal("paid", int(paid[0][0]), log["paid"])
    ledger = Ledger(store, projector.catalogue)
    for row in balances.accounts(read, limit=_SAMPLE):
        answer = ledger.ask("balance", {"account": row["account"], "at": row["at"]})
        for name in ("granted", "used", "expired", "voided", "remaining"):
            must_equal(f"{name} of {row['account']}", row[name], answer[name])


# --- as the log grows ---------------------------------------------------------------------------------------------


def growth(ground: Ground, dialect: str) -> list[Row]:
    """Measure peak memory and time an event, each rebuild in a fresh process, with more events and with fewer."""
    size = ground.size
    large, small = (ground.ledger(dialect, size.copies * times) for times in (size.times, 1))
    for store in (large, small):
        store.close()  # one process writes
    peaks: dict[str, list[float]] = {large.url: [], small.url: []}

    def child(store: Store, times: int) -> float:
        command = [sys.executable, "-m", "scripts.bench_rebuild", store.url]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        if done.returncode:
            raise Broken(f"a rebuild in a process of its own failed: {done.stderr[-500:]}")
        found = json.loads(done.stdout)
        must_equal("accounts rebuilt", found["accounts"], size.copies * times * len(ground.templates()))
        peaks[store.url].append(found["peak"])
        return float(found["seconds"] / found["events"] * 1e6)

    spent = take_turns(size.repeats, lambda: child(large, size.times), lambda: child(small, 1))
    peak_large, peak_small = (max(peaks[store.url]) / 1024 for store in (large, small))
    return [
        Row(f"rebuild-memory-{dialect}", "MiB", peak_large, peak_small, ceiling=1.3),
        Row(f"rebuild-time-{dialect}", "µs/event", spent[0], spent[1], ceiling=1.5),
    ]


def peak_kib() -> int:
    """Return the most memory this process has held."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the process that started this one held then
        line = next(line for line in status.read_text("utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(url: str) -> None:
    """Rebuild one ledger's read models; print what it took as JSON."""
    store = open_store(url)
    projector = Projector(store, load())
    seconds = timed_rebuild(projector)
    found = {"seconds": seconds, "events": count(store, "ledger_events"), "peak": peak_kib()}
    print(json.dumps({**found, "accounts": count(projector.read, "r_balances")}))
    projector.close()
    store.close()


if __name__ == "__main__":
    main(sys.argv[1])
