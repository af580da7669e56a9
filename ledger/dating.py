"""What an edge may ask of dates and keys: back-dating, the future, reasons, and the hash of a request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ledger.account import Asked
from ledger.commands import MANAGERS, NEED_REASON, Command
from ledger.errors import Refused
from ledger.rules import instants
from ledger.rules.subscriptions import local_day

_AHEAD = timedelta(minutes=2)
_BACK = timedelta(hours=24)
_BANK_DAYS = 5
# Dated by a rule, a gateway or another system, not by a person's memory (DOMAIN.md, "Two times").
_DATED_BY_SOURCE = ("import", "scheduler", "gateway")

Answer = dict[str, Any]


@dataclass(frozen=True)
class Caller:
    """Who acts: `by` and `role` from a token or the command line; `source` is api, console, apply, import…

    `stated_by`: the operator who records what `by` did. `states`: as an operator, they may record what others did and
    who approved it; over HTTP nobody may: there each acts themselves.
    """

    by: str = "operator"
    role: str = "operator"
    source: str = "api"
    stated_by: str = ""
    states: bool = True

    @property
    def records(self) -> bool:
        """Whether what they say of others is taken as stated."""
        return self.states and self.role == "operator"


def fingerprint(name: str, given: Mapping[str, Any], at: str | None, reason: str, caller: Caller) -> dict[str, str]:
    """Return a short hash for each top-level field of the request, so that a conflict can name the field."""
    body = {"do": name, **given, "by": caller.by}
    if at is not None:
        body["at"] = at
    if reason:
        body["reason"] = reason
    return {
        field: hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
        for field, value in body.items()
    }


def check_dates(command: Command, values: Answer, asked: Asked, zone_of: Callable[[Answer], str]) -> None:
    """Refuse what lies ahead, what people date back too far, and a missing reason (DOMAIN.md, "Two times")."""
    at, now = instants.from_iso(asked.at), instants.from_iso(asked.now)
    if at > now + _AHEAD:
        zone = zone_of(values)
        raise Refused("in_the_future", at=instants.show(asked.at, zone), now=instants.show(asked.now, zone))
    if command.name in NEED_REASON and not asked.reason:
        raise Refused("reason_required", command=command.name)
    if at >= now - _BACK or asked.source.split(":", 1)[0] in _DATED_BY_SOURCE:
        return
    if asked.role in MANAGERS:
        if not asked.reason:
            raise Refused("reason_required", command=command.name)
        return
    bank = command.name == "payment.record" and values["method"] in ("deposit", "transfer")
    if not (asked.role == "finance" and bank and _bank_days(asked, zone_of(values)) <= _BANK_DAYS):
        zone = zone_of(values)
        raise Refused("back_dated", at=instants.show(asked.at, zone), now=instants.show(asked.now, zone))


def _bank_days(asked: Asked, zone: str) -> int:
    """Return the business days (Monday to Friday) after the value date up to today, local dates."""
    start, end = local_day(asked.at, zone), local_day(asked.now, zone)
    days = (start + timedelta(days=n) for n in range(1, (end - start).days + 1))
    return sum(day.weekday() < 5 for day in days)
