"""Laws of compliance reports over random histories, on both stores: every combination of dimensions, against counts
and times taken case by case; what exclusions and revisions move; shares that are never rounded up."""

from __future__ import annotations

import csv
import io
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import combinations
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.commands_sla import REPORT_BY
from ledger.errors import Conflict, NotFound, Refused
from projections.compliance import VERDICTS, basis_points, percent
from projections.exports import to_csv, to_xlsx
from projections.percentiles import nearest_rank
from projections.whatif import share
from tests.given import BEATRIZ, Desk
from tests.sla_desk import assign
from tests.test_reports import live

Row = dict[str, Any]
COMBINATIONS = [by for size in range(1, len(REPORT_BY) + 1) for by in combinations(REPORT_BY, size)]
PERCENTS = {"p50_us": 50, "p90_us": 90, "p95_us": 95, "worst_us": 100}


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url)
    yield desk
    desk.close()


def lived(desk: Desk, seed: int) -> tuple[list[str], list[str]]:
    """Let 60 acts happen in two calendars, then revise every fourth verdict; return the cases, and the instants."""
    rng = random.Random(seed)
    desk.at("2026-01-29 07:00")
    for level, priority in (("advanced", "low"), ("basic", "medium")):
        assign(desk, "gt-business", level, priority)
    instants = live(desk, 500 + seed)
    desk.at("2026-02-05 09:00")
    cases = [f"T-{n}" for n in range(1, 60) if desk.ledger.ticket(f"T-{n}", must_exist=False).facts]
    for ticket in cases[::4]:
        verdict = rng.choice(("met", "breached", "excluded"))
        with suppress(Refused, Conflict):
            desk.do("ticket.revise", ticket=ticket, verdict=verdict, by=BEATRIZ, approver="carmen", reason="consta")
    return cases, instants


def told(desk: Desk, cases: list[str], **then: str) -> list[Row]:
    """Tell each case that counts from its own answers alone: its place in every dimension, its verdicts, its time."""
    found = []
    for ticket in cases:
        with suppress(NotFound):  # not open yet
            why = desk.ledger.ask("explain", {"ticket": ticket, **then})
            if not why["due_at"]:
                continue
            case = desk.ledger.ask("ticket", {"ticket": ticket, **then})
            clock = desk.ledger.ticket(ticket).clock(then["at"])
            found.append(
                {
                    "level": case["verdict_level"], "priority": case["verdict_priority"],
                    "month": why["opened_at"][:7], "agent": clock.responded_by or clock.assigned_to,
                    "customer": why["account"], "calendar": why["calendar"], "channel": clock.channel,
                    "raw": why["raw"], "verdict": why["verdict"],
                    "took": why["elapsed_us"] if why["responded_at"] else None,
                }
            )  # fmt: skip
    return found


def expected(cases: list[Row], by: tuple[str, ...], which: str) -> dict[tuple[str, ...], Row]:
    """Count the cases by hand."""
    rows: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    times: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for case in cases:
        key = tuple(case[name] for name in by)
        rows[key][case[which]] += 1
        if case["took"] is not None and case[which] in ("met", "breached"):
            times[key].append(case["took"])
    return {
        key: {
            "total": counts.total(),
            **{name: counts[name] for name in VERDICTS},
            **{name: nearest_rank(sorted(times[key]), p) for name, p in PERCENTS.items()},
        }
        for key, counts in rows.items()
    }


# --- every combination --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
def test_every_combination_of_dimensions_is_what_the_cases_tell_one_by_one(desk: Desk, seed: int) -> None:
    """All 127, raw and adjusted, from the read model and from the log, as of now and of one instant before."""
    cases, instants = lived(desk, seed)
    now = desk.ledger.clock.now()
    for then in (now, instants[-15]):
        alone = told(desk, cases, at=then)
        assert len(alone) > 8
        for raw in (False, True):
            for number, by in enumerate(COMBINATIONS):
                dated = [{"at": then}] if then != now else [{}, {"at": then}] if number % 9 == 0 else [{}]
                if then != now and number % 9:
                    continue
                for asked in dated:
                    answer = desk.ledger.ask("report", {"by": list(by), "raw": raw, **asked})
                    rows = {tuple(row[name] for name in by): row for row in answer["rows"]}
                    wanted = expected(alone, by, "raw" if raw else "verdict")
                    assert {key: {n: row[n] for n in wanted[key]} for key, row in rows.items()} == wanted, (by, asked)
                    assert sum(row["total"] for row in rows.values()) == answer["totals"]["total"] == len(alone)
                    for row in [*rows.values(), answer["totals"]]:
                        assert row["total"] == sum(row[name] for name in VERDICTS)
                        assert (row["met_bp"] == 10_000) == (row["met"] > 0 == row["breached"])


@pytest.mark.parametrize("seed", range(2, 5))
def test_raw_with_exclusions_and_revisions_is_adjusted_in_every_cell(desk: Desk, seed: int) -> None:
    cases, _instants = lived(desk, seed)
    alone = told(desk, cases, at=desk.ledger.clock.now())
    assert {"met", "excluded"} & {case["verdict"] for case in alone if case["raw"] != case["verdict"]}
    assert len({case["calendar"] for case in alone}) == 2
    for by in COMBINATIONS[::5]:
        raw, adjusted = (
            {tuple(r[n] for n in by): r for r in desk.ledger.ask("report", {"by": list(by), "raw": raw})["rows"]}
            for raw in (True, False)
        )
        assert raw.keys() == adjusted.keys()
        for key, row in adjusted.items():
            moved: Counter[str] = Counter()
            for case in alone:
                if tuple(case[name] for name in by) == key:
                    moved[case["raw"]] -= 1
                    moved[case["verdict"]] += 1
            assert raw[key]["excluded"] == 0
            assert row["total"] == raw[key]["total"]
            assert {n: row[n] for n in VERDICTS} == {n: raw[key][n] + moved[n] for n in VERDICTS}


@pytest.mark.parametrize("seed", range(5, 7))
def test_a_narrower_report_is_the_row_of_the_wider_one(desk: Desk, seed: int) -> None:
    """By level, priority, customer, agent, and month by its dates: the scope takes the very cases of the row."""
    lived(desk, seed)
    for name in ("level", "priority", "customer", "agent"):
        for row in desk.ledger.ask("report", {"by": [name]})["rows"]:
            if row[name]:
                narrow = desk.ledger.ask("report", {"by": [name], name: row[name], "breaches": True, "explain": False})
                assert narrow["rows"] == [row]
                assert len(narrow["breaches"]) == row["breached"]
    whole = desk.ledger.ask("report", {"by": ["month"]})
    for row in whole["rows"]:
        dates = {"from": f"{row['month']}-01", "to": f"{row['month']}-31"} if row["month"] == "2026-01" else {}
        if dates:
            assert desk.ledger.ask("report", {"by": ["month"], **dates})["rows"] == [row]


# --- shares -------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**9), st.integers(0, 10**9))
@settings(max_examples=400)
def test_a_share_is_cut_and_never_rounded_up(met: int, breached: int) -> None:
    """400 pairs: within a hundredth of a per cent below the true share; the same in every place that shows one."""
    found = basis_points(met, breached)
    if not met + breached:
        assert found is None is share(Counter())
        return
    assert found is not None
    true = Fraction(met * 10_000, met + breached)
    assert 0 <= found <= true < found + 1
    assert (found == 10_000) == (breached == 0)
    assert percent(found) == share(Counter(met=met, breached=breached))
    assert (percent(found) == "100.00") == (breached == 0)


def test_one_late_of_a_million_is_not_a_hundred_per_cent_in_any_file() -> None:
    row = {"level": "basic", "met_bp": basis_points(999_999, 1)}
    [line] = csv.DictReader(io.StringIO(to_csv([row]).decode()))
    assert line["met_share"] == "99.99"
    sheet = openpyxl.load_workbook(io.BytesIO(to_xlsx({"A": [row]}, "en")))["A"]
    assert (sheet["B2"].value, sheet["B2"].number_format) == (0.9999, "0.00%")
