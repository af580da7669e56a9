"""Measure the ledger on both stores, each figure beside its peer of the same run, on data whose sums are checked.

    python3 scripts/dev.py bench [--json FILE] [--only NAME] [--quick] [--strict]

Ours and the peer take turns and the median counts. A row whose invariant does not hold on the data of its own run
is reported as failed, and the exit is 1; a missed bound is said in the table and ends with 1 under --strict.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from scripts import (
    bench_account,
    bench_append,
    bench_http,
    bench_import,
    bench_mining,
    bench_queue,
    bench_rebuild,
    bench_report,
    bench_sla,
    bench_sweep,
)
from scripts.bench_common import DIALECTS, QUICK, Broken, Ground, Row, Size, prepared

Measure = Callable[[Ground, str], list[Row]]
# By the beginning of their rows' names; larger ledgers come last, so that less lies about while the others run.
PARTS: dict[str, Measure] = {
    "append": bench_append.append,
    "open-ticket": bench_account.open_tickets,
    "balance-many": bench_account.ask_balances,
    "rebuild-runner": bench_rebuild.against_runner,
    "rebuild-decode": bench_rebuild.against_decoding,
    "queue": bench_queue.first_page,
    "http": bench_http.balance,
    "import": bench_import.import_log,
    "report": bench_report.report,
    "due": bench_sla.due_instant,
    "what-if": bench_sla.what_if,
    "sweep-clock-year": bench_sweep.clock_year,
    "sweep-idle": bench_sweep.idle,
    "sweep-month-end": bench_sweep.month_end,
    "sweep-memory": bench_sweep.memory,
    "export": bench_mining.export,
    "radar": bench_mining.radar,
    "rebuild-growth": bench_rebuild.growth,
}
ONLY_POSTGRESQL = ("rebuild-runner",)  # the library's runner follows no SQLite file


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    parser.add_argument("--only", default="", metavar="NAME", help=f"one of {', '.join(PARTS)}, or the start of one")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a bound is missed")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    rows = run(QUICK if options.quick else Size(), options.only)
    show(rows)
    print(f"{len(rows)} rows in {time.monotonic() - started:.0f} s")
    if options.json is not None:
        options.json.write_text(json.dumps({"rows": [row.as_json() for row in rows]}, indent=1) + "\n", "utf-8")
    if any(row.failed for row in rows):
        return 1
    return int(options.strict and any(row.verdict != "ok" for row in rows))


def run(size: Size, only: str = "") -> list[Row]:
    """Measure what is named (everything by default)."""
    rows: list[Row] = []
    with prepared(size) as ground:
        for name, part in PARTS.items():
            for dialect in DIALECTS:
                if name.startswith(only) and (dialect == "postgresql" or name not in ONLY_POSTGRESQL):
                    print(f"{name}-{dialect} …", file=sys.stderr, flush=True)
                    rows += measured(part, ground, name, dialect)
    return rows


def measured(part: Measure, ground: Ground, name: str, dialect: str) -> list[Row]:
    """Run one part; where it fails, return a row that says so, and let the others go on."""
    try:
        return part(ground, dialect)
    except Broken as broken:
        return [Row(f"{name}-{dialect}", "", failed=str(broken))]
    except Exception as error:  # whatever it was, it is this row's failure
        traceback.print_exc()
        return [Row(f"{name}-{dialect}", "", failed=repr(error))]


def show(rows: list[Row]) -> None:
    """Print the table."""
    table = Table("row", "unit", header_style="bold")
    for column in ("ours", "peer", "ratio", "bound"):
        table.add_column(column, justify="right")
    table.add_column("")
    for row in rows:
        bound = f"≥ {row.floor:g}" if row.floor is not None else f"≤ {row.ceiling:g}" if row.ceiling is not None else ""
        figures = [f"{value:,.2f}" if value < 1000 else f"{value:,.0f}" for value in (row.ours, row.peer, row.ratio)]
        table.add_row(row.name, row.unit, *figures, bound, row.verdict)
    Console(width=None if sys.stdout.isatty() else 120).print(table)


if __name__ == "__main__":
    sys.exit(main())
