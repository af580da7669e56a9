"""Importing another desk's log through the command line, in rows a second: start of the program included."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ledger.store import Store
from scripts.bench_common import ROOT, Broken, Ground, Row, count, must_equal, take_turns
from scripts.demo_log import write_log

_LOG = ROOT.parent / "shared" / "data" / "helpdesk_log.csv"
_MAPPING = ROOT / "scripts" / "helpdesk_mapping.toml"
_ROWS_A_SECOND = 5000.0


def import_log(ground: Ground, dialect: str) -> list[Row]:
    """Measure rows a second over the real log, or one of our own making where that is not at hand."""
    row = Row(f"import-{dialect}", "rows/s", peer=_ROWS_A_SECOND, floor=1.0)
    if not _MAPPING.exists():
        row.skipped = "not yet: scripts/helpdesk_mapping.toml"
        return [row]
    log = _LOG
    if not log.exists() or ground.size.cases < 1000:
        log = write_log(ground.folder / "made.csv", ground.size.cases)
    with log.open(encoding="utf-8", newline="") as file:
        lines = sum(1 for _ in csv.reader(file)) - 1
    number = iter(range(ground.size.repeats))

    def run() -> float:
        store = ground.empty(dialect, f"import{next(number)}")
        store.close()
        started = time.perf_counter()
        said = run_import(store.url, log)
        seconds = time.perf_counter() - started
        check(store, said, lines)
        return lines / seconds

    [row.ours] = take_turns(ground.size.repeats, run)
    return [row]


def run_import(url: str, log: Path) -> dict[str, Any]:
    """Import a log into the ledger at `url`; return what the command said."""
    command = [sys.executable, "-m", "ledger.cli", "import", str(log), "--mapping", str(_MAPPING), "--json"]
    environment = {**os.environ, "LEDGER_DATABASE_URL": url}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
    if done.returncode:
        raise Broken(f"the import failed: {done.stderr[-500:]}")
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def check(store: Store, said: dict[str, Any], lines: int) -> None:
    """Raise Broken unless every row is accounted for and the log holds the tickets that the command counted."""
    must_equal("rows", said["rows"], lines)
    must_equal("imported + skipped + rejected", said["imported"] + said["skipped"] + said["rejected"], lines)
    opened = "(SELECT 1 FROM ledger_events WHERE topic = '{}') o"
    must_equal("tickets", count(store, opened.format("ticket.opened")), said["tickets"])
    must_equal("accounts", count(store, opened.format("account.opened")), said["accounts"])
