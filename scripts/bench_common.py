"""What the parts of the benchmark share: a row of the table, its sizes, the ground it runs on, turns taken."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from ledger.catalogue import Catalogue, load
from ledger.store import Store, open_store
from scripts import bench_data
from scripts.bench_data import LIVES, OLD, YOUNG, Template
from tests.postgres import Server, start_server

ROOT = Path(__file__).resolve().parent.parent
DIALECTS = ("sqlite", "postgresql")


class Broken(AssertionError):
    """An invariant did not hold on the data that was measured: the row's figures are worth nothing."""


@dataclass(frozen=True)
class Size:
    """How much is measured. `copies` of every life make the log; `times` as many make the larger one."""

    copies: int = 100
    times: int = 4
    repeats: int = 3
    appends: int = 200
    slice: int = 4000  # events that the library's runner works off
    aged: int = 8  # accounts with ten years of history, and with a month
    opens: int = 4  # tickets opened on each of them in a turn
    asked: int = 200  # balances asked for in a turn
    clients: int = 16
    requests: int = 60  # a client and turn
    cases: int = 4600  # of the generated log, where the real one is not at hand
    sweep: int = 20_000  # subscriptions that fall due at one midnight
    peers: int = 1500  # of those, how many the library renews one by one
    idle: int = 100_000  # subscriptions with nothing due
    reported: int = 90_000  # cases that a report counts, and that are exported


QUICK = Size(
    copies=10,
    appends=50,
    slice=600,
    aged=2,
    opens=2,
    asked=40,
    requests=10,
    cases=300,
    sweep=1000,
    peers=200,
    idle=5000,
    reported=9000,
)
TINY = Size(
    copies=1,
    times=2,
    repeats=1,
    appends=5,
    slice=60,
    aged=1,
    opens=1,
    asked=8,
    clients=2,
    requests=3,
    cases=20,
    sweep=8,
    peers=4,
    idle=100,
    reported=200,
)


@dataclass
class Row:
    """A line of the table: `ratio` is ours ÷ peer; a `floor` must be reached, a `ceiling` not passed."""

    name: str
    unit: str
    ours: float = 0.0
    peer: float = 0.0
    floor: float | None = None
    ceiling: float | None = None
    failed: str = ""
    skipped: str = ""

    @property
    def ratio(self) -> float:
        """Ours ÷ peer, 0 where nothing was measured."""
        return self.ours / self.peer if self.peer else 0.0

    @property
    def verdict(self) -> str:
        """Return "ok", "below floor", "above ceiling", or why there is none."""
        if self.failed or self.skipped:
            return f"FAILED: {self.failed}" if self.failed else f"skipped: {self.skipped}"
        if self.floor is not None and self.ratio < self.floor:
            return "below floor"
        return "above ceiling" if self.ceiling is not None and self.ratio > self.ceiling else "ok"

    def as_json(self) -> dict[str, Any]:
        """Return what the JSON file says of it."""
        bound = {"floor": self.floor} if self.floor is not None else {"ceiling": self.ceiling}
        values = {"ours": self.ours, "peer": self.peer, "ratio": self.ratio}
        measured = {name: float(f"{value:.4g}") for name, value in values.items()}
        return {"name": self.name, "unit": self.unit, **measured, **bound, "verdict": self.verdict}


@dataclass
class Ground:
    """Both stores for one run: ledgers are made when a row first needs them and kept for the next."""

    folder: Path
    server: Server
    size: Size
    catalogue: Catalogue = field(default_factory=load)
    _stores: dict[tuple[str, str], Store] = field(default_factory=dict)
    _lived: dict[str, list[Template]] = field(default_factory=dict)
    _databases: list[str] = field(default_factory=list)

    def database(self, name: str) -> str:
        """Return the URL of a new database on the server; it goes when the ground is closed."""
        self._databases.append(f"bench_{os.getpid()}_{name}")
        return self.server.create_database(self._databases[-1])

    def empty(self, dialect: str, name: str, *, test_clock: bool = False) -> Store:
        """Return a new ledger of that name."""
        url = f"sqlite:///{self.folder / name}.db" if dialect == "sqlite" else self.database(name)
        store = open_store(url)
        store.migrate(test_clock=test_clock)
        self._stores[dialect, name] = store
        return store

    def ledger(self, dialect: str, copies: int) -> Store:
        """Return a ledger with so many copies of every life."""
        return self._filled(dialect, f"x{copies}", self.templates(), copies)

    def aged(self, dialect: str) -> Store:
        """Return a ledger of accounts with ten years of history (template 0) and with a month (template 1)."""
        return self._filled(dialect, "aged", self.old_and_young(), self.size.aged)

    def mined(self, dialect: str, copies: int) -> Store:
        """Return a ledger with so many copies of a year with five cases a month."""
        return self._filled(dialect, f"mined{copies}", self._live("mined", (bench_data.MINED,)), copies)

    def templates(self) -> list[Template]:
        """Return what the lives left in the log."""
        return self._live("lives", LIVES)

    def old_and_young(self) -> list[Template]:
        """Return what ten years and a month left."""
        return self._live("aged", (OLD, YOUNG))

    def _live(self, name: str, lives: Sequence[bench_data.Life]) -> list[Template]:
        if name not in self._lived:
            self._lived[name] = bench_data.live(lives, datetime.now(UTC) - timedelta(hours=1))
        return self._lived[name]

    def _filled(self, dialect: str, name: str, templates: Sequence[Template], copies: int) -> Store:
        if (dialect, name) not in self._stores:
            bench_data.fill(self.empty(dialect, name), templates, copies)
        return self._stores[dialect, name]

    def close(self) -> None:
        """Close every store and drop its database."""
        for store in self._stores.values():
            store.close()
        for name in self._databases:
            self.server.drop_database(name)


@contextmanager
def prepared(size: Size) -> Iterator[Ground]:
    """Yield the ground: a temporary folder on disk and a PostgreSQL server that keeps its durability."""
    with TemporaryDirectory(prefix="supportledger-bench-") as folder, start_server(fsync=True) as server:
        ground = Ground(Path(folder), server, size)
        try:
            yield ground
        finally:
            ground.close()


def take_turns(repeats: int, *runs: Callable[[], float]) -> list[float]:
    """Run A, B, A, B, …; return the median of each."""
    found: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats):
        for run, values in zip(runs, found, strict=True):
            gc.collect()
            values.append(run())
    return [median(values) for values in found]


def must_equal(what: str, found: Any, expected: Any) -> None:
    """Raise Broken, naming both, unless they are equal."""
    if found != expected:
        raise Broken(f"{what}: {found!r} where {expected!r} is due")


def count(store: Store, table: str) -> int:
    """Return the number of rows of a table."""
    return int(store.query(f"SELECT count(*) FROM {table}")[0][0])
