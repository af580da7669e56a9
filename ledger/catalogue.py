"""The dated catalogue: plans and prices, targets, calendars, products. Data, checked on load.

`load` reads a TOML file (the shipped `catalogue.toml` by default); the first mistake raises CatalogueError with
file, entry and reason. Entries are found by local date; nothing in it is ever changed, only added to.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ledger.catalogue_error import CatalogueError, form_of
from ledger.catalogue_file import CalendarEntry, ConfirmationsEntry, File, PlanEntry, PricesEntry, TargetsEntry
from ledger.errors import LedgerError
from ledger.rules.calendars import Calendar
from ledger.rules.grants import LEVELS
from ledger.rules.instants import zone
from ledger.rules.money import CURRENCIES, parse_amount
from ledger.rules.sla import PRIORITIES

_NOTICE = timedelta(days=30)
_LIMIT = re.compile(r"([0-9]{1,4})(h|m|s)")
_SECONDS = {"h": 3600, "m": 60, "s": 1}
_DATED = ("prices", "targets", "confirmations", "calendars")
# Cases opened before the first release may name a second version, which was what the first one is now.
_FORMER = {"gt-business@2": "gt-business@1"}
TERMS = ("monthly", "yearly", "addon")


@dataclass(frozen=True, slots=True)
class Target:
    """A promise: answered before `limit_us` of counted microseconds in `calendar` ("name@version")."""

    limit_us: int
    calendar: str
    policy: str


class Published(NamedTuple):
    """An entry of the catalogue as `guard` knows it: from which local date (YYYY-MM-DD), and a hash of its content."""

    since: str
    digest: str


class Assignment(NamedTuple):
    """From instant `since` on, a level and priority are counted in another calendar (`calendar.assign`)."""

    since: str
    level: str
    priority: str
    calendar: str


@dataclass(frozen=True)
class Catalogue:
    """The loaded catalogue; every question is asked with a local date."""

    zone: str
    currency: str
    in_scope: frozenset[str]
    courtesy_cap: int
    plans_required_from: date | None
    _prices: list[PricesEntry] = field(repr=False)
    _targets: list[TargetsEntry] = field(repr=False)
    _confirmations: list[ConfirmationsEntry] = field(repr=False)
    _calendars: dict[str, Calendar] = field(repr=False)
    _calendar_dates: list[tuple[date, str, int]] = field(repr=False)
    _amounts: dict[tuple[int, str, str, str], tuple[int, int]] = field(repr=False)
    published: dict[str, list[Published]] = field(repr=False)
    assignments: tuple[Assignment, ...] = ()

    def price(self, level: str, term: str, on: date, currency: str) -> tuple[int, int]:
        """Return (units a month, gross in minor units) for buying on local date `on`."""
        return self._amounts[(_at(self._prices, on), currency, level, term)]

    def renewal_price(self, level: str, term: str, boundary: date, currency: str) -> tuple[int, int]:
        """Return the terms of a renewal: a price reaches it 30 days after it was published (rule 11)."""
        index = max(
            i
            for i, entry in enumerate(self._prices)
            if i == 0 or (entry.since <= boundary and entry.published + _NOTICE <= boundary)
        )
        return self._amounts[(index, currency, level, term)]

    def plan_needed(self, on: date) -> bool:
        """Whether a request on local date `on` needs a plan (rule 10)."""
        return self.plans_required_from is None or on >= self.plans_required_from

    def covers_product(self, name: str) -> bool:
        """Whether product `name` is in scope; "" (left out) is."""
        return not name or name.casefold() in self.in_scope

    def target(self, level: str, priority: str, on: date, at: str = "") -> Target:
        """Return the promise for `level` and `priority` under the policy published for local date `on`.

        `at` is the instant that assignments of calendars count by ("": none does).
        """
        return self._target(self._targets[_at(self._targets, on)], self._assigned_at(at), level, priority, on)

    def target_of(self, policy: str, level: str, priority: str, on: date) -> Target:
        """Return the promise under policy version `policy`, with calendars as of `on` (a case's opening)."""
        version, _, assigned = policy.partition("+")
        entry = next(entry for entry in self._targets if entry.version == version)
        return self._target(entry, assigned, level, priority, on)

    def _target(self, entry: TargetsEntry, assigned: str, level: str, priority: str, on: date) -> Target:
        """Return the promise of `entry` with the assignments that `assigned` names: its version tells them."""
        limit: str = getattr(getattr(entry, level), priority)
        name, since = entry.calendars.get(level, {}).get(priority, entry.calendar), ""
        for place in _places(assigned):
            one = self.assignments[place]
            if (one.level, one.priority) == (level, priority) and one.since >= since:
                name, since = one.calendar, one.since
        policy = f"{entry.version}+{assigned}" if assigned else entry.version
        return Target(_microseconds(limit), self.calendar_of(name, on), policy)

    def _assigned_at(self, at: str) -> str:
        """Return the name of what is assigned at instant `at`: how many of the first ones, then the places of others.

        Places are those of the log, from 1 on: a name says the same whatever is assigned later. Of the others only
        the one that governs its level and priority is named.
        """
        first = next((n for n, one in enumerate(self.assignments) if one.since > at), len(self.assignments))
        governs: dict[tuple[str, str], tuple[str, int]] = {}
        for place, one in enumerate(self.assignments, 1):
            if one.since <= at:
                cell = one.level, one.priority
                governs[cell] = max(governs.get(cell, ("", 0)), (one.since, place))
        others = sorted(place for _since, place in governs.values() if place > first)
        return ",".join(map(str, (first, *others))) if first or others else ""

    def calendar_of(self, name: str, on: date) -> str:
        """Return the reference (`name@version`) of calendar `name` as published for local date `on`."""
        versions = [(since, v) for since, n, v in self._calendar_dates if n == name]
        # Before the first one, the first: as with every entry.
        version = max((v for since, v in versions if since <= on), default=min(versions)[1])
        return f"{name}@{version}"

    def newest(self, name: str) -> str:
        """Return the reference of the newest version of calendar `name`: what a supposition that names it counts."""
        return f"{name}@{max(version for _since, n, version in self._calendar_dates if n == name)}"

    def calendar(self, reference: str) -> Calendar:
        """Return the calendar `name@version` names; KeyError when the catalogue never had it."""
        found = self._calendars.get(reference)
        return self._calendars[_FORMER.get(reference, reference)] if found is None else found

    @property
    def calendars(self) -> frozenset[str]:
        """The references (`name@version`) of the calendars that there are."""
        return frozenset(self._calendars)

    @property
    def calendar_names(self) -> frozenset[str]:
        """The names of the calendars that there are."""
        return frozenset(name for _since, name, _version in self._calendar_dates)

    def confirmation(self, on: date) -> str:
        """Return the version of the text a customer confirms by choosing a priority on `on`."""
        return self._confirmations[_at(self._confirmations, on)].version


@cache
def shipped() -> Catalogue:
    """Return the catalogue that ships with the ledger."""
    return _read(files("ledger").joinpath("catalogue.toml").read_bytes(), "catalogue.toml")


def load(path: Path | None = None) -> Catalogue:
    """Return the catalogue of `path` (the shipped one when None); CatalogueError names the first mistake."""
    if path is None:
        return shipped()
    try:
        return _read(path.read_bytes(), path.name)
    except OSError as error:
        raise CatalogueError(path.name, "TOML", "unreadable_file", detail=error.strerror or str(error)) from error


def _read(content: bytes, name: str) -> Catalogue:
    try:
        data = msgspec.convert(tomllib.loads(content.decode("utf-8")), File)
    except UnicodeDecodeError as error:
        raise CatalogueError(name, "TOML", "not_utf8", place=str(error.start)) from error
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"line (\d+), column (\d+)", str(error))
        line, column = where.groups() if where else ("?", "?")
        raise CatalogueError(name, "TOML", "not_toml", line=line, column=column) from error
    except msgspec.ValidationError as error:
        why, _, place = str(error).partition(" - at ")
        key, facts = form_of(why)
        raise CatalogueError(name, place.strip("`$.") or "TOML", key, **facts) from error
    try:
        return _checked(data, name)
    except LedgerError as error:
        if isinstance(error, CatalogueError):
            raise
        raise CatalogueError(name, str(error.facts.get("field", "?")), error) from error


def _checked(data: File, name: str) -> Catalogue:
    def wrong(entry: str, why: str, **facts: str) -> CatalogueError:
        return CatalogueError(name, entry, why, **facts)

    if data.schema != 1:
        raise wrong("schema", "schema_unknown", schema=str(data.schema))
    if data.currency not in CURRENCIES:
        raise wrong("currency", "none_of", value=data.currency, words=", ".join(CURRENCIES))
    zone(data.zone, "zone")
    if data.courtesy.max_units < 1:
        raise wrong("courtesy.max_units", "at_least_one")
    for label, entries in (
        ("prices", data.prices),
        ("targets", data.targets),
        ("confirmations", data.confirmations),
    ):
        dates = [entry.since for entry in entries]
        if not dates or dates != sorted(set(dates)):
            raise wrong(label, "dates_must_rise")
    versions = [entry.version for entry in data.targets]
    for number, version in enumerate(versions, 1):
        if versions.index(version) + 1 < number:  # a case names the policy it was opened under by its version
            raise wrong(f"targets[{number}].version", "twice", value=version)
    for number, confirmed in enumerate(data.confirmations, 1):
        for lang in ("es", "en"):
            if set(getattr(confirmed, lang)) != set(PRIORITIES):
                raise wrong(f"confirmations[{number}].{lang}", "exactly", words=", ".join(PRIORITIES))
    calendars, dated = _load_calendars(data.calendars, wrong)
    for number, target in enumerate(data.targets, 1):
        _check_targets(target, f"targets[{number}]", dated, wrong)
    return Catalogue(
        zone=data.zone,
        currency=data.currency,
        in_scope=frozenset(product.casefold() for product in data.products.in_scope),
        courtesy_cap=data.courtesy.max_units,
        plans_required_from=data.plans_required_from,
        _prices=data.prices,
        _targets=data.targets,
        _confirmations=data.confirmations,
        _calendars=calendars,
        _calendar_dates=dated,
        _amounts=_load_amounts(data.prices, wrong),
        published={name: [_published(entry) for entry in getattr(data, name)] for name in _DATED},
    )


def _published(entry: Any) -> Published:
    digest = hashlib.sha256(msgspec.json.encode(entry, order="sorted")).hexdigest()[:16]
    return Published(entry.since.isoformat(), digest)


def _load_amounts(prices: list[PricesEntry], wrong: Any) -> dict[tuple[int, str, str, str], tuple[int, int]]:
    amounts: dict[tuple[int, str, str, str], tuple[int, int]] = {}
    for index, entry in enumerate(prices):
        for currency in CURRENCIES:
            plans: dict[str, PlanEntry] = getattr(entry, currency)
            if not plans:  # a currency that is left out keeps its prices: whoever pays in it goes on
                before = [key for key in amounts if key[:2] == (index - 1, currency)]
                amounts |= {(index, *key[1:]): amounts[key] for key in before}
            if plans and set(plans) != set(LEVELS):
                raise wrong(f"prices[{index + 1}].{currency}", "exactly", words=", ".join(LEVELS))
            for level, plan in plans.items():
                if plan.tickets < 1:
                    raise wrong(f"prices[{index + 1}].{currency}.{level}.tickets", "at_least_one")
                for term in TERMS:
                    place = f"prices[{index + 1}].{currency}.{level}.{term}"
                    gross = parse_amount(getattr(plan, term), place, allow_zero=True)
                    amounts[(index, currency, level, term)] = (plan.tickets, gross)
    return amounts


def _load_calendars(
    entries: list[CalendarEntry], wrong: Any
) -> tuple[dict[str, Calendar], list[tuple[date, str, int]]]:
    calendars: dict[str, Calendar] = {}
    for number, entry in enumerate(entries, 1):
        reference = f"{entry.name}@{entry.version}"
        if reference in calendars:
            raise wrong(f"calendars[{number}]", "twice", value=reference)
        content = {"zone": entry.zone, "week": entry.week, "dates": entry.dates}
        calendars[reference] = Calendar.from_data(content, f"calendars[{number}]")
    return calendars, [(entry.since, entry.name, entry.version) for entry in entries]


def _check_targets(entry: TargetsEntry, place: str, dated: list[tuple[date, str, int]], wrong: Any) -> None:
    for level, chosen in entry.calendars.items():
        for name in ({level} - set(LEVELS)) | (set(chosen) - set(PRIORITIES)):
            raise wrong(f"{place}.calendars.{level}", "no_level", value=name)
    for level in LEVELS:
        for priority in PRIORITIES:
            limit = getattr(getattr(entry, level), priority)
            if _LIMIT.fullmatch(limit) is None or _microseconds(limit) == 0:
                raise wrong(f"{place}.{level}.{priority}", "no_limit", value=limit)
            name = entry.calendars.get(level, {}).get(priority, entry.calendar)
            if not any(since <= entry.since and name == n for since, n, _version in dated):
                raise wrong(f"{place}.{level}.{priority}", "no_calendar", value=name, since=entry.since)


def _places(assigned: str) -> list[int]:
    """Return the indexes of the assignments that a policy's name names: "3,7" the first three, and the seventh."""
    first, *others = map(int, assigned.split(",")) if assigned else (0,)
    return [*range(first), *(place - 1 for place in others)]


def _microseconds(limit: str) -> int:
    match = _LIMIT.fullmatch(limit)
    assert match is not None
    return int(match[1]) * _SECONDS[match[2]] * 1_000_000


def _at(entries: list[Any], on: date) -> int:
    """Return the index of the entry in force on `on`; before the first one, the first."""
    return max(bisect_right([entry.since for entry in entries], on) - 1, 0)
