"""The form of a catalogue file: what each table of the TOML holds. `ledger/catalogue.py` checks and answers from it."""

from __future__ import annotations

from datetime import date

import msgspec


class PlanEntry(msgspec.Struct, forbid_unknown_fields=True):
    tickets: int
    monthly: str
    yearly: str
    addon: str


class LimitsEntry(msgspec.Struct, forbid_unknown_fields=True):
    low: str
    medium: str
    high: str


class PricesEntry(msgspec.Struct, forbid_unknown_fields=True, rename={"since": "from"}):
    since: date
    published: date
    GTQ: dict[str, PlanEntry]
    USD: dict[str, PlanEntry] = {}


class TargetsEntry(msgspec.Struct, forbid_unknown_fields=True, rename={"since": "from"}):
    version: str
    since: date
    basic: LimitsEntry
    advanced: LimitsEntry
    corporate: LimitsEntry
    calendar: str
    calendars: dict[str, dict[str, str]] = {}


class ConfirmationsEntry(msgspec.Struct, forbid_unknown_fields=True, rename={"since": "from"}):
    version: str
    since: date
    es: dict[str, str]
    en: dict[str, str]


class CalendarEntry(msgspec.Struct, forbid_unknown_fields=True, rename={"since": "from"}):
    name: str
    version: int
    since: date
    zone: str
    week: dict[str, list[list[str]]]
    dates: dict[str, list[list[str]]] = {}


class ProductsEntry(msgspec.Struct, forbid_unknown_fields=True):
    in_scope: list[str]


class CourtesyEntry(msgspec.Struct, forbid_unknown_fields=True):
    max_units: int


class File(msgspec.Struct, forbid_unknown_fields=True):
    schema: int
    zone: str
    currency: str
    products: ProductsEntry
    courtesy: CourtesyEntry
    prices: list[PricesEntry]
    targets: list[TargetsEntry]
    confirmations: list[ConfirmationsEntry]
    calendars: list[CalendarEntry]
    plans_required_from: date | None = None
