"""The clock of a case against a second one told naively, on random cases; and laws that hold for each.

20,000 cases in a run of the suite, each asked at four pairs of `at` and `known_at`, to the microsecond. More:
`python -m tests.test_sla_laws 200000` (with a first seed behind it if you like).
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from ledger import facts as f
from ledger.rules import sla
from ledger.rules.instants import to_iso
from tests import naive_clock as naive
from tests.naive_clock import US
from tests.sla_paper import DAY, JUMPS, POLICIES, Paper, policy

CASES, PARTS = 20_000, 16
ACTS = {
    "recount",
    "respond",
    "resolve",
    "ask",
    "remind",
    "priority",
    "upgrade",
    "out",
    "in",
    "exclude",
    "revise",
    "elsewhere",
    "note",
}


def lived(seed: object, steps: int = 0) -> Paper:
    paper = Paper(seed)
    paper.live(steps or paper.rng.randrange(1, 11))
    return paper


def revived(paper: Paper) -> int:
    """Return how many upgrades found the case late by what was known, but running by what was told of it later."""
    facts = [fact for fact in paper.case.facts if fact.kind == "upgrade"]
    told = [(paper.second(x.at, x.recorded), paper.second(x.at, naive.EVER)) for x in facts]
    return sum(then.raw == "breached" and now.raw == "open" for then, now in told)


def came_back_raised(paper: Paper) -> int:
    """Return how many raises acted only when the case came back to compliance."""
    moves = paper.ticket().clock("~").moves
    return sum(
        one.cause in ("raised", "upgraded")
        and (one.fact.occurred_at != one.at or isinstance(one.fact, f.TicketReclassified))
        for one in moves
    )


def compare(first: int, last: int) -> Counter[str]:
    """Compare both clocks on the cases of seeds `first` to `last`; return what was met with."""
    seen: Counter[str] = Counter()
    for seed in range(first, last):
        paper = lived(seed)
        seen["cases"] += 1
        seen.update(fact.kind for fact in paper.whole().facts)
        seen["revived"] += revived(paper)
        seen["reminded"] += paper.reminded
        seen["ungrounded"] += paper.ungrounded
        seen["came back raised"] += came_back_raised(paper)
        for at, known in paper.moments():
            one, other = paper.first(at, known), paper.second(at, known)
            assert one == other, f"case {seed} at {at}, known at {known}"
            seen[f"{other.raw}/{other.adjusted}"] += 1
            seen["asked"] += 1
            seen["moved"] += other.governs not in (None, (paper.case.level, paper.case.priority))
        clock = paper.ticket().clock("~")
        seen["late"] += bool(clock.late)
        seen["self-approved"] += bool(clock.self_approved and not clock.excluded)
    return seen


@pytest.mark.parametrize("part", range(PARTS))
def test_both_clocks_say_the_same(part: int) -> None:
    share = CASES // PARTS
    seen = compare(part * share, (part + 1) * share)
    assert (seen["cases"], seen["asked"]) == (share, 4 * share)
    assert set(seen) >= ACTS
    for verdict in ("met/met", "breached/breached", "open/open", "none/none", "breached/excluded", "met/excluded"):
        assert seen[verdict] > 10, seen
    assert min(seen["moved"], seen["late"]) > 30, seen
    assert min(seen["self-approved"], seen["recount"], seen["revived"]) > 1, seen
    assert min(seen["reminded"], seen["ungrounded"], seen["came back raised"]) > 1, seen


# --- laws ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", range(2))
def test_a_breach_once_there_stays_with_its_due_instant_and_limit(part: int) -> None:
    breaches = 0
    for seed in range(part * 750, (part + 1) * 750):
        paper = lived(f"breach {seed}")
        known, frozen = paper.now, None
        for at in sorted({*(at for at, _known in paper.moments()), *paper.dates, paper.now + 40 * DAY}):
            told = paper.first(at, known)
            if frozen is not None:
                assert (told.raw, told.due, told.governs) == frozen, seed
            elif told.raw == "breached":
                frozen, breaches = (told.raw, told.due, told.governs), breaches + 1
    assert breaches > 200


def test_elapsed_is_additive_over_any_split_and_the_limit_is_used_up_at_the_due_instant() -> None:
    rng = random.Random("elapsed")
    for number in range(2000):
        catalogue, told, _zone, near = policy(number % POLICIES)
        reference = rng.choice(["c1@1", "c2@1"])
        calendar, hours = catalogue.calendar(reference), naive.Hours(catalogue.calendar(reference).to_data())
        start = datetime(near.year, near.month, near.day, tzinfo=UTC) - 2 * DAY
        edges = sorted(start + timedelta(microseconds=rng.randrange(9 * DAY // US)) for _ in range(4))
        pieces = [calendar.elapsed_us(a, b) for a, b in pairwise(edges)]
        assert sum(pieces) == calendar.elapsed_us(edges[0], edges[-1]) == hours.elapsed(edges[0], edges[-1]) // US
        limit = rng.choice(list(told.limits.values()))
        due = calendar.due(edges[0], limit // US)
        assert due == hours.due(edges[0], limit)
        assert calendar.elapsed_us(edges[0], due) == limit // US > calendar.elapsed_us(edges[0], due - US)


def test_the_order_of_recording_does_not_matter_before_the_verdict_is_final() -> None:
    shuffled = 0
    for seed in range(1500):
        paper = lived(f"order {seed}")
        facts = paper.ticket().facts
        before = sla.run(facts, "~")
        assert before is not None
        # Facts of one instant keep their order: positions decide between them.
        for _ in range(3):
            instants = list({fact.occurred_at for fact in facts})
            paper.rng.shuffle(instants)
            mixed = [fact for at in instants for fact in facts if fact.occurred_at == at]
            after = sla.run(mixed, "~")
            assert after == before, seed
            shuffled += mixed != facts
    assert shuffled > 1000


def test_what_was_known_at_an_instant_never_changes() -> None:
    asked = 0
    for seed in range(1500):
        paper = lived(f"known {seed}")
        moments = [(at, known - US) for at, known in paper.moments() if known - US >= paper.case.recorded]
        answers = [paper.first(at, known) for at, known in moments]
        paper.live(6)
        assert [paper.first(at, known) for at, known in moments] == answers, seed
        asked += len(moments)
    assert asked > 3000


def test_a_final_verdict_never_changes_whatever_is_recorded_later() -> None:
    final = later = 0
    for seed in range(1500):
        paper = lived(f"final {seed}")
        told = paper.first(paper.now, paper.now)
        if told.final_at is None or paper.first(paper.now + 80 * DAY, paper.now).due != told.due:
            continue
        paper.now = max(paper.now, told.final_at)
        told, excluded = paper.first(paper.now, paper.now), paper.ticket().clock("~").excluded
        known = len(paper.child)
        paper.live(8)
        after = paper.first(paper.now, paper.now)
        assert (after.raw, after.due, after.governs, after.answered, after.final_at) == (
            told.raw, told.due, told.governs, told.answered, told.final_at,
        ), seed  # fmt: skip
        assert paper.ticket().clock("~").excluded == excluded
        assert after.adjusted == told.adjusted or any(fact.kind == "revise" for fact in paper.case.facts)
        final, later = final + 1, later + (len(paper.child) > known)
    assert final > 800
    assert later > 600


def test_a_raise_never_loosens_and_a_lowering_or_a_revision_never_cures() -> None:
    for seed in range(600):
        paper = lived(f"cure {seed}")
        for act, worse in ((Paper.prioritise, ">"), (Paper.upgrade, "<="), (Paper.revise, "=")):
            before = paper.first(paper.now, paper.now)
            position = paper.position
            try:
                act(paper, paper.now)
            except Exception:  # noqa: S112 - refused
                continue
            after = paper.first(paper.now, paper.now)
            if paper.position == position or before.due is None or after.due is None:
                continue
            if before.raw == "breached":
                assert after.raw == "breached"
            if worse == "<=":
                assert after.due <= before.due
            if worse == "=":
                assert (after.due, after.raw) == (before.due, before.raw)


def test_the_second_clock_knows_guatemalas_summer_of_2006() -> None:
    """It skipped the first hour of April 30 and lived the last hour of September 30 twice."""
    hours = naive.Hours({"zone": "America/Guatemala", "week": {day: [["00:00", "24:00"]] for day in naive.DAYS}})
    for day, lasts in (("2006-04-30", 23), ("2006-09-30", 25), ("2006-05-01", 24)):
        ((opens, closes),) = hours.spans(datetime.fromisoformat(day).date())
        assert closes - opens == timedelta(hours=lasts)
    assert "America/Guatemala" in JUMPS
    assert to_iso(hours.spans(datetime(2006, 4, 30, tzinfo=UTC).date())[0][0]) == "2006-04-30T06:00:00.000000Z"


if __name__ == "__main__":
    cases = int(sys.argv[1])
    begin = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    sys.stdout.write(f"{dict(compare(begin, begin + cases))}\n")
