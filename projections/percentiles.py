"""Exact percentiles of whole numbers by nearest rank, over one list or over many sorted ones without merging them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

_STEP = 32  # of each list every so manieth value is in the sample
_SMALL = 2_000  # as many values are merged for less


def nearest_rank(ordered: Sequence[int], percent: int) -> int | None:
    """Return the least value that at least `percent` per cent (1 to 100) do not exceed, None of nothing."""
    return ordered[_rank(len(ordered), percent)] if ordered else None


def nearest_ranks(runs: Iterable[Sequence[int]], percents: Sequence[int]) -> list[int | None]:
    """Return the same for each of `percents` over all values of `runs`, each of which is sorted.

    A sample tells about where a rank lies; counting tells whether it does, so the answer is exact whatever the sample.
    """
    parts = [run for run in runs if run]
    number = sum(map(len, parts))
    if len(parts) == 1 or number <= _SMALL:
        merged = parts[0] if len(parts) == 1 else sorted([value for run in parts for value in run])
        return [nearest_rank(merged, percent) for percent in percents]
    sample = sorted([value for run in parts for value in run[::_STEP]])
    last = max(run[-1] for run in parts)
    ranks = [_rank(number, percent) for percent in percents]
    return [last if rank == number - 1 else _at(rank, number, parts, sample) for rank in ranks]


def _rank(number: int, percent: int) -> int:
    return -(-number * percent // 100) - 1


def _at(rank: int, number: int, runs: Sequence[Sequence[int]], sample: Sequence[int]) -> int:
    """Return the value of that rank (from 0) among all: gathered are those alone that lie near it."""
    middle, reach = rank * len(sample) // number, max(len(sample) // 64, 1)
    while True:
        first, last = middle - reach, middle + reach
        low = [bisect_left(run, sample[first]) if first > 0 else 0 for run in runs]
        high = [bisect_right(run, sample[last]) if last < len(sample) else len(run) for run in runs]
        before = sum(low)
        if before <= rank < sum(high):
            near = [value for run, start, end in zip(runs, low, high, strict=True) for value in run[start:end]]
            near.sort()
            return near[rank - before]
        reach *= 4
