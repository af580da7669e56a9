"""A scenario over the catalogue: which limit and calendar each case would have had, with what must be said about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, NamedTuple

from ledger.catalogue import Catalogue
from ledger.errors import Malformed, NotFound, Refused
from ledger.rules.calendars import Calendar
from ledger.rules.instants import to_iso
from ledger.rules.subscriptions import FAR
from ledger.rules.whatif import paused_due
from ledger.scenarios import CELLS, Scenario, show_limit

Waits = list[tuple[str, str]]


class Terms(NamedTuple):
    """What a case would be promised: the limit, the calendar, and the calendar's name as people know it."""

    limit_us: int
    calendar: Calendar
    name: str

    def due(self, start: str, waits: Waits) -> str:
        """Return the due instant counted from `start`; the far end of time while a pause has no end."""
        due = paused_due(self.calendar, start, self.limit_us, waits)
        return FAR if due is None else to_iso(due)


@dataclass
class _Known:
    calendar: Calendar
    published: frozenset[int]


class Policy:
    """A scenario that has been checked against the catalogue: unknown calendars are refused before anything is read.

    A calendar named without a version is the case's own where it has that name, else the newest one: naming what
    governs changes nothing. Holidays and a zone act on calendars with opening hours; 24x7 knows neither.
    """

    def __init__(self, scenario: Scenario, catalogue: Catalogue) -> None:
        self.scenario = scenario
        self.catalogue = catalogue
        self._calendars: dict[str, _Known] = {}
        self._terms: dict[tuple[str, str, str, str], Terms] = {}
        for cell, name in scenario.calendars.items():
            self._check(name, cell)
        for name in scenario.define:
            if name not in scenario.calendars.values():
                raise Malformed("define", name, "remedy_not_used")

    def _check(self, name: str, cell: tuple[str, str]) -> None:
        scenario, known = self.scenario, self.catalogue
        if name in scenario.define:
            return
        if name not in known.calendar_names and name not in known.calendars:
            every = sorted({*known.calendar_names, *known.calendars, *scenario.define})
            raise NotFound("unknown_calendar", calendar=name, known=", ".join(every), cell="/".join(cell))

    def own(self, policy: str, level: str, priority: str, day: str, calendar: str = "") -> Terms:
        """Return what was really promised under policy version `policy` to a case opened on local date `day`.

        `calendar` is the one that its opening names, where it is known.
        """
        target = self.catalogue.target_of(policy, level, priority, date.fromisoformat(day))
        name = calendar or target.calendar
        return Terms(target.limit_us, self.catalogue.calendar(name), name)

    def terms(self, policy: str, level: str, priority: str, day: str, stated: int = 0) -> Terms:
        """Return what this scenario promises in the place of `own`.

        `stated` is the limit (microseconds) that another system's priority had of its own, 0 for none: it stands
        unless the scenario names a limit for that level and priority, or has them counted in another calendar.
        """
        key = (policy, level, priority, day)
        found = self._terms.get(key)
        if found is None:
            found = self._terms[key] = self.instead(self.own(*key), level, priority)
        if stated and (level, priority) not in self.scenario.limits and found.calendar == self.own(*key).calendar:
            return found._replace(limit_us=stated)
        return found

    def instead(self, own: Terms, level: str, priority: str) -> Terms:
        """Return what stands in the place of `own`, for a level and priority."""
        cell = level, priority
        name = self._reference(self.scenario.calendars.get(cell, ""), own.name)
        return Terms(self.scenario.limits.get(cell, own.limit_us), self._known(name).calendar, name)

    def calendar(self, name: str) -> Calendar:
        """Return calendar `name` (of the catalogue or the scenario) with the scenario's holidays and zone."""
        return self._known(name).calendar

    def _reference(self, named: str, own: str) -> str:
        if not named or named == own.partition("@")[0]:
            return own
        if named in self.scenario.define or "@" in named:
            return named
        return max((r for r in self.catalogue.calendars if r.partition("@")[0] == named), key=_version)

    def _known(self, name: str) -> _Known:
        found = self._calendars.get(name)
        if found is None:
            base = self.scenario.define.get(name) or self.catalogue.calendar(name)
            if not any(base.week):
                raise Refused("calendar_never_opens", zone=base.zone)
            found = self._calendars[name] = _Known(self._changed(base), frozenset(day.year for day in base.dates))
        return found

    def _changed(self, base: Calendar) -> Calendar:
        scenario = self.scenario
        if base.always or not (scenario.zone or scenario.holidays):
            return base
        dates = {**base.dates, **dict.fromkeys(scenario.holidays, ())}
        return replace(base, zone=scenario.zone or base.zone, dates=dates)

    def warnings(self, name: str, years: Iterable[int]) -> list[dict[str, Any]]:
        """Return what must be said of calendar `name` where cases touch `years`."""
        known = self._known(name)
        if known.calendar.always:
            return []
        missing = sorted(set(years) - known.published)
        return [{"code": "no_holidays_published", "calendar": name, "years": missing}] if missing else []

    def idle(self) -> list[dict[str, Any]]:
        """Return what of the scenario changed nothing: holidays or a zone where no calendar has opening hours."""
        scenario = self.scenario
        if not (scenario.zone or scenario.holidays) or any(not k.calendar.always for k in self._calendars.values()):
            return []
        return [{"code": "no_opening_hours", "calendar": ", ".join(sorted(self._calendars)), "years": []}]

    def changes(self) -> dict[str, Any]:
        """Return what the scenario changes, as it is read back."""
        scenario = self.scenario
        return {
            "limits": {"/".join(cell): show_limit(us) for cell, us in scenario.limits.items()},
            "calendars": {"/".join(cell): scenario.calendars[cell] for cell in CELLS if cell in scenario.calendars},
            "holidays": [day.isoformat() for day in scenario.holidays],
            "zone": scenario.zone or None,
            "pause": "waiting" if scenario.pause else "none",
        }


def _version(reference: str) -> int:
    return int(reference.partition("@")[2])
