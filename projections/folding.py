"""The log folded into rows, one range of streams after another; of a long log with the help of other processes.

Helpers only read and fold: what they make comes back in bundles, and whoever asked is the only one that writes. So a
rebuild that is killed leaves nobody behind who could still write, and memory stays constant: a helper that is ahead
of the writing waits.
"""

from __future__ import annotations

import marshal
import os
import pickle
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import IO, Any, NamedTuple

from ledger.catalogue import Catalogue
from ledger.rules.subscriptions import local_day
from ledger.store import Store, open_store
from projections.model import PoisonedEvent, ReadModel
from projections.projector import Projector, named

_ALONE = 50_000  # events below which starting another process costs more than it saves
_HELPERS = 3  # at most: one process writes for all
_BUNDLE = 500  # events: what helpers have made is looked at between two bundles of our own
_RANGES, _SAMPLES = 16, 320
_PIPE = 1 << 20
_LENGTH = 8


class Bundle(NamedTuple):
    """Rows by table that a number of events became."""

    events: int
    rows: dict[str, list[Any]]


class Range(NamedTuple):
    """Streams from `first` on, up to but not including `before`; "" for no end."""

    first: str = ""
    before: str = ""


@dataclass
class Folding:
    """Folds the log up to position `stop` for some models; `errors` says why a model stopped."""

    projector: Projector
    models: Sequence[ReadModel]
    stop: int
    errors: dict[str, str] = field(default_factory=dict)

    def bundles(self) -> Iterator[Bundle]:
        """Yield the rows of the whole log."""
        helpers = min(_processors() - 1, _HELPERS) if self.stop >= _ALONE else 0
        if helpers < 1:
            yield from self.fold(Range())
            return
        left = iter(split(self.projector.store, self.stop))
        crew: list[_Helper] = []
        try:
            crew += (_Helper(self, left) for _ in range(helpers))
            for part in left:
                for bundle in self.fold(part):
                    yield bundle
                    for helper in crew:
                        yield from helper.made()
            while busy := [helper for helper in crew if helper.busy]:
                select.select(busy, [], [])
                for helper in busy:
                    yield from helper.made()
        finally:
            for helper in crew:
                helper.stop()

    def fold(self, part: Range) -> Iterator[Bundle]:
        """Yield the rows of a range of streams."""
        scan = self.projector.store.scan(self.stop, first=part.first, before=part.before)
        rows, events = self._empty(), 0
        for stream in self.projector.streams(chain.from_iterable(scan)):
            for model in self.models:
                if stream.id.startswith(model.feeds) and model.name not in self.errors:
                    try:
                        for table, made in model.rows(stream).items():
                            rows[table].extend(made)
                    except PoisonedEvent as error:
                        self.errors[model.name] = str(error)
            events += len(stream.rows)
            if events >= _BUNDLE:
                yield Bundle(events, rows)
                rows, events = self._empty(), 0
                local_day.cache_clear()  # past instants do not come back: only the memory for them would grow
        yield Bundle(events, rows)

    def _empty(self) -> dict[str, list[Any]]:
        return {table.name: [] for model in self.models for table in model.tables}


def split(store: Store, stop: int) -> list[Range]:
    """Return ranges of streams that together are all, of about as many events each."""
    positions = [max(stop * n // _SAMPLES, 1) for n in range(1, _SAMPLES + 1)]
    marks = ",".join("?" * len(positions))
    found = store.query(f"SELECT stream FROM ledger_events WHERE position IN ({marks})", positions)
    sample = sorted(row[0] for row in found)
    step = max(len(sample) // _RANGES, 1)
    return [Range(*ends) for ends in pairwise(["", *sorted(set(sample[step::step])), ""])]


def _processors() -> int:
    if not hasattr(os, "sched_getaffinity"):  # not Linux: pipes are small there, or cannot be waited for
        return 1
    return len(os.sched_getaffinity(0))


class _Helper:
    """Another process that folds ranges of the log, one after another, and sends back their rows."""

    def __init__(self, folding: Folding, left: Iterator[Range]) -> None:
        """`left` are the ranges nobody has taken yet: shared by all who fold."""
        self._errors, self._left = folding.errors, left
        path = os.pathsep.join(os.path.abspath(place) for place in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "projections.folding"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            process_group=0,  # Ctrl-C is for us: its end of the pipe tells it then
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout
        os.set_blocking(self.fileno(), False)
        _widen(self.fileno())
        self._read = bytearray()
        self.busy = True
        job = Job(
            folding.projector.store.url, folding.projector.catalogue, [m.name for m in folding.models], folding.stop
        )
        self._tell(pickle.dumps(job))
        self._next()

    def fileno(self) -> int:
        """Return what to wait for."""
        return self._from.fileno()

    def made(self) -> Iterator[Bundle]:
        """Yield what it has made by now; RuntimeError when it has failed."""
        while self.busy and (more := self._more()):
            self._read += more
            while len(self._read) >= _LENGTH:
                end = _LENGTH + int.from_bytes(self._read[:_LENGTH], "big")
                if len(self._read) < end:
                    break
                message = marshal.loads(self._read[_LENGTH:end])  # noqa: S302 - from our own process
                del self._read[:end]
                if isinstance(message, tuple):
                    yield Bundle(*message)
                else:
                    self._errors.update(message)
                    self._next()

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._from.close()
        with suppress(BrokenPipeError):
            self._to.close()

    def _more(self) -> bytes | None:
        more = self._from.read(_PIPE)
        if more == b"":
            raise RuntimeError(f"a process that helped to rebuild has failed: exit {self._process.wait()}")
        return more

    def _next(self) -> None:
        part = next(self._left, None)
        if part is None:
            self.busy = False
        else:
            self._tell(marshal.dumps(tuple(part)))

    def _tell(self, message: bytes) -> None:
        with suppress(BrokenPipeError):  # it is gone: `made` notices
            _send(self._to, message)


def _widen(pipe: int) -> None:
    """Let a helper be ahead of the writing by what the system grants."""
    if sys.platform == "linux":
        import fcntl

        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)


# --- in the helper's process ----------------------------------------------------------------------------------


class Job(NamedTuple):
    """What a helper is told first."""

    url: str
    catalogue: Catalogue
    models: Sequence[str]
    stop: int


def main() -> None:
    """Fold the ranges that are asked for on standard input; send their rows to standard output."""
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    job: Job = pickle.loads(_received(asked))  # noqa: S301 - from the process that started this one
    projector = Projector(open_store(job.url), job.catalogue)
    folding = Folding(projector, named(job.models), job.stop)
    while order := _received(asked):
        for bundle in folding.fold(Range(*marshal.loads(order))):  # noqa: S302 - as above
            _send(answers, marshal.dumps(tuple(bundle), 2))  # without the table of shared strings: it costs more
        _send(answers, marshal.dumps(folding.errors))


def _send(to: IO[bytes], message: bytes) -> None:
    to.write(len(message).to_bytes(_LENGTH, "big") + message)
    to.flush()


def _received(source: IO[bytes]) -> bytes:
    """Return the next message, b"" at the end."""
    return source.read(int.from_bytes(source.read(_LENGTH), "big"))


if __name__ == "__main__":
    from projections import folding

    folding.main()  # as the module it is: a job names its own class there
