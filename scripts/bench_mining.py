"""Exports for process mining and the radar: events a second, memory as the ledger grows, a month among twelve."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ledger import facts as f
from ledger.application import Ledger
from ledger.catalogue import load
from ledger.store import Store, open_store
from projections.export import write_ocel, write_xes
from projections.projector import Projector, projector_of
from projections.rebuild import rebuild
from scripts.bench_common import ROOT, Broken, Ground, Row, count, must_equal, take_turns
from scripts.bench_data import MINED
from scripts.bench_rebuild import peak_kib

WRITE: dict[str, Callable[..., dict[str, int]]] = {"ocel": write_ocel, "xes": write_xes}
_CASES = MINED.months * MINED.tickets  # of each account; those of its last days are not opened yet
_RADAR = {"excluded": f.TicketExcluded.TOPIC, "reopened": f.TicketReopened.TOPIC}


def ledger_with(ground: Ground, dialect: str, cases: int) -> Ledger:
    """Return a ledger of some `cases` in twelve months, its read models caught up."""
    store = ground.mined(dialect, max(cases // _CASES, 1))
    projector = Projector(store, ground.catalogue)
    projector.prepare()
    if {state.position for state in projector.states()} != {store.last_position()}:
        rebuild(projector)
    projector.close()
    return Ledger(store, ground.catalogue)


# --- exports ------------------------------------------------------------------------------------------------------


def export(ground: Ground, dialect: str) -> list[Row]:
    """Measure events a second against reading and decoding the same rows, and peak memory with four times as many."""
    cases = ground.size.reported
    small = ledger_with(ground, dialect, cases // 4)
    file = ground.folder / "export"
    streams = [str(row[0]) for row in projector_of(small).read.query("SELECT stream FROM r_tickets ORDER BY ticket")]
    log = decoded(small.store, streams)

    def written(kind: str) -> float:
        started = time.perf_counter()
        with file.open("w", encoding="utf-8") as sink:
            counts = WRITE[kind](small, sink)
        seconds = time.perf_counter() - started
        check(counts, log)
        return counts["events"] / seconds

    def read() -> float:
        started = time.perf_counter()
        must_equal("events read", decoded(small.store, streams), log)
        return log.total() / (time.perf_counter() - started)

    ocel, xes, peer = take_turns(ground.size.repeats, lambda: written("ocel"), lambda: written("xes"), read)
    large = ledger_with(ground, dialect, cases)
    peak_large, peak_small = (peak(ledger.store, file) for ledger in (large, small))
    file.unlink()
    return [
        Row(f"export-ocel-{dialect}", "events/s", ocel, peer, floor=0.1),
        Row(f"export-xes-{dialect}", "events/s", xes, peer, floor=0.1),
        Row(f"export-memory-{dialect}", "MiB", peak_large, peak_small, ceiling=1.3),
    ]


def decoded(store: Store, streams: Sequence[str]) -> Counter[str]:
    """Read and decode the rows of streams; return how many there are of each topic."""
    rows = store.rows_of_streams(streams, store.last_position())
    return Counter(f.decode(row.topic, row.state).TOPIC for row in rows)


def check(counts: dict[str, int], log: Counter[str]) -> None:
    """Raise Broken unless an export has every case and every event of the log."""
    must_equal("cases exported", counts["cases"], log[f.TicketOpened.TOPIC])
    must_equal("events exported", counts["events"], log.total())


def peak(store: Store, file: Path) -> float:
    """Return the MiB that a process of its own holds at most while it exports, in one form after the other."""
    cases = count(store, f"(SELECT 1 FROM ledger_events WHERE topic = '{f.TicketOpened.TOPIC}') o")
    store.close()
    command = [sys.executable, "-m", "scripts.bench_mining", store.url, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise Broken(f"an export in a process of its own failed: {done.stderr[-500:]}")
    found = json.loads(done.stdout)
    must_equal("cases exported", found["cases"], [cases] * len(WRITE))
    return float(found["peak"]) / 1024


# --- the radar ----------------------------------------------------------------------------------------------------


def radar(ground: Ground, dialect: str) -> list[Row]:
    """Measure a month's radar among twelve, in milliseconds, against reading and decoding all cases of the month."""
    ledger = ledger_with(ground, dialect, ground.size.reported)
    read = projector_of(ledger).read
    months = read.query("SELECT month, count(*) FROM r_tickets GROUP BY month ORDER BY 2 DESC, 1 LIMIT 1")
    month = months[0][0]
    streams = [str(row[0]) for row in read.query("SELECT stream FROM r_tickets WHERE month = ?", [month])]
    log = decoded(ledger.store, streams)

    def asked() -> float:
        started = time.perf_counter()
        answer = ledger.ask("radar", {"month": month})
        seconds = time.perf_counter() - started
        check_acts(answer, log)
        return seconds * 1000

    def plain() -> float:
        started = time.perf_counter()
        must_equal("events read", decoded(ledger.store, streams), log)
        return (time.perf_counter() - started) * 1000

    ours, peer = take_turns(ground.size.repeats, asked, plain)
    return [Row(f"radar-{dialect}", "ms", ours, peer, ceiling=3)]


def check_acts(answer: dict[str, Any], log: Counter[str]) -> None:
    """Raise Broken unless every exclusion and every reopening of the month's cases was found."""
    found = {row["act"]: row["count"] for row in answer["found"]}
    for act, topic in _RADAR.items():
        must_equal(f"acts {act}", found[act], log[topic])


def main(url: str, file: str) -> None:
    """Export one ledger in each form; print how many cases each had and what it took as JSON."""
    ledger = Ledger(open_store(url), load())
    cases = []
    for write in WRITE.values():
        with Path(file).open("w", encoding="utf-8") as sink:
            cases.append(write(ledger, sink)["cases"])
    print(json.dumps({"cases": cases, "peak": peak_kib()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
