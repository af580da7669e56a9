"""What would have been: every verdict under other limits, calendars, holidays, zones or pausing. Writes nothing.

Each scenario is counted over all cases at once: a table before and after by level and priority, and the flips: the
cases whose verdict changes, with both due instants. Exclusions and approved revisions stand under every policy.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from functools import partial
from heapq import nsmallest
from typing import Any

from ledger.application import Ledger
from ledger.errors import Malformed
from ledger.rules.instants import from_iso, show
from ledger.rules.sla import Clock
from ledger.rules.subscriptions import FAR
from ledger.rules.whatif import stated_limits
from ledger.scenarios import CELLS, UNNAMED, Cell, Scenario, show_limit
from projections.whatif_cases import Group, Moved, Scope, read, verdict
from projections.whatif_count import Counts, Outcome, counts_before, evaluate, judged
from projections.whatif_explained import explain_flips
from projections.whatif_policy import Policy, Terms
from projections.whatif_search import Search, share_of

Answer = dict[str, Any]
VERDICTS = ("met", "breached", "open", "excluded")
_FLIPS = 20
_EXPLAINED = 5_000  # flips in one answer: each takes some ten kilobytes


def answer(ledger: Ledger, values: dict[str, Any], at: str, now: str) -> Answer:
    """Answer question `what_if`: what each scenario changes, its flips and warnings; if asked, aims and curves."""
    scenarios = _scenarios(values)
    if "for" in values and not ("aim" in values or values.get("curve")):
        raise Malformed("aim", None, "remedy_missing")
    most = values.get("flips", _FLIPS)
    if values.get("explain") and most * len(scenarios) > _EXPLAINED:
        raise Malformed("flips", most, "remedy_most_explained", most=_EXPLAINED // len(scenarios))
    for scenario in scenarios:
        Policy(scenario, ledger.policy())  # what it names is unknown: refused before anything is read
    raw = bool(values.get("raw"))
    waits = any(scenario.pause for scenario in scenarios)
    asked_at = at if "at" in values or "known_at" in values else ""
    known_at = values.get("known_at", "")
    scope = Scope(at, values.get("from") or "", values.get("to") or "", asked_at, known_at, raw, waits)
    cases = read(ledger, scope)
    catalogue = ledger.policy()  # asked after the cases: it knows every calendar that was assigned to them
    policies = [Policy(scenario, catalogue) for scenario in scenarios]
    before = counts_before(cases, scope)
    outcomes = [evaluate(cases, policy, scope) for policy in policies]
    zone = catalogue.zone
    found: Answer = {"at": show(at, zone), "zone": zone, "position": cases.position, "raw": raw}
    found |= {"from": values.get("from"), "to": values.get("to"), "cases": sum(n.total() for n in before.values())}
    found["scenarios"] = [_shown(outcome, before, scope, most) for outcome in outcomes]
    cells = [values["for"]] if "for" in values else list(before)
    for told, policy in zip(found["scenarios"], policies, strict=True):
        if values.get("explain"):
            explain_flips(ledger, told["flips"], policy, at=at, known_at=known_at, position=cases.position)
        search = Search(cases, scope, policy)
        if "aim" in values:
            told["aims"] = [search.aim(cell, values["aim"]) for cell in cells]
        if values.get("curve"):
            told["curves"] = search.curves(cells)
    return found


def _scenarios(values: Answer) -> list[Scenario]:
    """Return the scenarios asked for: those of `scenarios`, or the one that the other fields make."""
    own: Answer = {
        name: values[name] for name in ("limits", "calendars", "holidays", "zone", "define") if name in values
    }
    own |= {"pause": values["pause"] == "waiting"} if "pause" in values else {}
    if "scenarios" not in values:
        return [Scenario(UNNAMED, **own)]
    for name, value in own.items():
        raise Malformed(name, _named(value), "remedy_one_or_many")
    several: list[Scenario] = values["scenarios"]
    return several


def _named(value: Any) -> str:
    """Return what a field names, as it is written: cells, calendars or dates."""
    if isinstance(value, (str, bool)):
        return str(value)
    return ", ".join("/".join(one) if isinstance(one, tuple) else str(one) for one in value)


# --- as it is told --------------------------------------------------------------------------------------------


def share(counts: Tally[str]) -> str | None:
    """Return met of met and breached in per cent, as `share_of` does."""
    return share_of(counts["met"], counts["met"] + counts["breached"])


def _figures(counts: Tally[str]) -> Answer:
    return {"total": counts.total(), **{name: counts[name] for name in VERDICTS}, "share": share(counts)}


def _shown(outcome: Outcome, before: Counts, scope: Scope, most: int) -> Answer:
    policy, after = outcome.policy, outcome.after
    warnings = [w for name in sorted(outcome.touched) for w in policy.warnings(name, outcome.touched[name])]
    cells = [cell for cell in CELLS if cell in before or cell in after]
    none: Tally[str] = Tally()
    totals = [sum(counts.values(), Tally()) for counts in (before, after)]
    return {
        "scenario": policy.scenario.name,
        **policy.changes(),
        "rows": [
            {
                "level": cell[0],
                "priority": cell[1],
                "before": _figures(before.get(cell, none)),
                "after": _figures(after.get(cell, none)),
            }
            for cell in cells
        ],
        "totals": {"before": _figures(totals[0]), "after": _figures(totals[1])},
        "changed": dict(sorted(outcome.kinds.items())),
        "flips_total": outcome.kinds.total(),
        "flips": [flip() for _started, _ticket, flip in nsmallest(most, _flips(outcome, scope), key=lambda f: f[:2])],
        "warnings": [*policy.idle(), *warnings],
    }


def _flips(outcome: Outcome, scope: Scope) -> Iterator[tuple[str, str, Any]]:
    """Yield when each case began, its number, and what tells of it: only those shown are worked out."""
    zone = outcome.policy.catalogue.zone
    for group, own, new, places in outcome.plain:
        for i in places:
            row = group.rows[i]
            yield row[6], row[1], partial(_plain_flip, group, row, own, new, group.in_time[i], zone)
    for moved, clock in outcome.moved:
        yield clock.started_at, moved.ticket, partial(_moved_flip, moved, clock, outcome.policy, scope)


def _plain_flip(group: Group, row: Sequence[Any], own: Terms, new: Terms, before: bool, zone: str) -> Answer:
    cell = group.level, group.priority
    return {
        "ticket": row[1],
        "started_at": show(row[6], zone),
        "responded_at": show(row[8], zone) if row[8] else None,
        "before": _side(cell, own._replace(limit_us=_promised_us(own, row)), row[7], verdict(tuple(row), before), zone),
        "after": _side(cell, new, new.due(row[6], []), verdict(tuple(row), not before), zone),
    }


def _promised_us(own: Terms, row: Sequence[Any]) -> int:
    """Return the limit that a plain case was promised: also where another system stated one, which no row tells."""
    return own.calendar.elapsed_us(from_iso(row[6]), from_iso(row[7]))


def _moved_flip(moved: Moved, clock: Clock, policy: Policy, scope: Scope) -> Answer:
    zone: str = policy.catalogue.zone
    sides, own, as_it_is = [], stated_limits(moved.facts), Policy(Scenario(), policy.catalogue)
    for one, present in ((moved.clock, True), (clock, False)):
        cell = (one.verdict_level or one.first_limit[0], one.verdict_priority or one.first_limit[1])
        stated = own.get((one.moves[-1].at, cell[1]), 0) if one.moves else 0
        terms = (as_it_is if present else policy).terms(moved.policy, *cell, moved.day, stated)
        sides.append(_side(cell, terms, one.due_at, judged(one, scope), zone))
    return {
        "ticket": moved.ticket,
        "started_at": show(clock.started_at, zone),
        "responded_at": show(clock.counted_at, zone) if clock.counted_at else None,
        "before": sides[0],
        "after": sides[1],
    }


def _side(cell: Cell, terms: Terms, due_at: str, found: str, zone: str) -> Answer:
    return {
        "level": cell[0],
        "priority": cell[1],
        "limit": show_limit(terms.limit_us),
        "calendar": terms.name,
        "due_at": show(due_at, zone) if due_at and due_at < FAR else None,
        "verdict": found,
    }
