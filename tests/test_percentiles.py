"""Percentiles: exact for any lists, however they are split, and the same from both databases as from sorting."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.compliance import Key, read_cells, rows_of, totals
from projections.percentiles import nearest_rank, nearest_ranks
from projections.projector import projector_of
from projections.tickets import TICKETS
from tests.given import Desk

PERCENTS = (1, 50, 90, 95, 99, 100)
NOW = "2026-12-01T00:00:00.000000Z"
# A second, a cell of the table's integers, and what is near the largest: 2^63 - 1 microseconds are 292,000 years.
WHOLE = st.one_of(st.integers(0, 5), st.integers(0, 2**31), st.integers(2**63 - 3, 2**63 - 1))


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url)
    yield desk
    desk.close()


def by_sorting(values: list[int], percent: int) -> int | None:
    """The definition, word for word: the least value that at least so many per cent do not exceed."""
    fitting = [v for v in values if 100 * sum(other <= v for other in values) >= percent * len(values)]
    return min(fitting, default=None)


@given(st.lists(WHOLE, max_size=60), st.sampled_from(PERCENTS))
@settings(max_examples=300)
def test_a_percentile_is_what_its_definition_says(values: list[int], percent: int) -> None:
    """300 lists, empty and with equal values among them."""
    assert nearest_rank(sorted(values), percent) == by_sorting(values, percent)


@pytest.mark.parametrize("seed", range(60))
def test_many_sorted_lists_give_what_one_list_gives(seed: int) -> None:
    """60 lots of lists, above and below the size from which a sample is taken; equal, skewed and lonely values."""
    rng = random.Random(seed)
    runs = []
    for _ in range(rng.choice((0, 1, 2, 7, 40, 400))):
        low, high = sorted(rng.choice((0, 1, 10, 10**6, 10**13)) for _ in range(2))
        runs.append(sorted(rng.randint(low, high) for _ in range(rng.choice((0, 1, 30, 33, 300, 2500 // 40)))))
    if seed % 5 == 0:  # a list that the others lie far from
        runs.append(sorted(rng.randint(10**15, 10**16) for _ in range(rng.choice((1, 3000)))))
    merged = sorted(value for run in runs for value in run)
    assert nearest_ranks(runs, PERCENTS) == [nearest_rank(merged, percent) for percent in PERCENTS]


@pytest.mark.parametrize("seed", range(3))
def test_both_databases_give_what_sorting_gives(desk: Desk, seed: int) -> None:
    """2,500 random cases, some of them unanswered: each row's and the totals' percentiles, to the microsecond."""
    rng, projector = random.Random(seed), projector_of(desk.ledger)
    expected: dict[Key, list[int]] = defaultdict(list)
    rows = []
    for number in range(2500):
        level, agent = rng.choice(("basic", "advanced")), f"agent {int(rng.paretovariate(0.6)) % 60}"
        took = rng.choice((-1, rng.randrange(5), rng.randrange(10**10), rng.randrange(10**14)))
        case = {name: "" if kind == "text" else 0 for name, kind in TICKETS.columns} | {
            "stream": f"ticket/T-{number}", "ticket": f"T-{number}", "verdict_level": level, "agent": agent,
            "due_at": NOW, "counted_at": NOW if took >= 0 else "", "elapsed_us": took,
            "excluded": "outage" if rng.random() < 0.05 else "",
        }  # fmt: skip
        rows.append([case[name] for name in TICKETS.names])
        if took >= 0 and not case["excluded"]:
            expected[level, agent].append(took)
    with projector.read.transaction() as writer:
        writer.insert(TICKETS.name, TICKETS.names, rows)
    cells = read_cells(projector.read, ["level", "agent"], now=NOW)
    for row in rows_of(cells, ["level", "agent"]):
        times = sorted(expected[row["level"], row["agent"]])
        found = [row[name] for name in ("p50_us", "p90_us", "p95_us", "worst_us")]
        assert found == [nearest_rank(times, percent) for percent in (50, 90, 95, 100)]
    every = [value for times in expected.values() for value in times]
    whole = totals(cells)
    assert [whole[name] for name in ("p50_us", "worst_us")] == [by_sorting(every, 50), max(every)]
    assert whole["p95_us"] == nearest_rank(sorted(every), 95)
