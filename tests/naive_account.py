"""A second, slow telling of one account's grants and money, written from DOMAIN.md without any project code.

Everything is worked out anew for each question, by looking at all there is for what happens next. Local time is
America/Guatemala, which is six hours behind UTC in the years the tests use.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

PLANS = {"basic": (5, 25000), "advanced": (12, 60000), "corporate": (30, 150000)}


def midnight(day: date) -> datetime:
    """Return the instant at which a Guatemalan day begins."""
    return datetime(day.year, day.month, day.day, 6, tzinfo=UTC)


def local(at: datetime) -> date:
    """Return the Guatemalan date of an instant."""
    return (at - timedelta(hours=6)).date()


def months_after(anchor: date, count: int) -> date:
    """Return the anchor's day, `count` months later, or that month's last."""
    month = anchor.month - 1 + count
    year, month = anchor.year + month // 12, month % 12 + 1
    return date(year, month, min(anchor.day, calendar.monthrange(year, month)[1]))


@dataclass
class Told:
    """What was asked and granted, as told: `kind`, when, and the words of it."""

    at: datetime
    kind: str
    words: dict[str, Any]


@dataclass
class Account:
    """What the telling comes to at one instant."""

    grants: dict[str, dict[str, Any]] = field(default_factory=dict)
    charges: dict[str, dict[str, Any]] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)
    credit: int = 0
    unapplied: int = 0
    holds: dict[str, str] = field(default_factory=dict)

    def totals(self) -> dict[str, int]:
        """Return granted, used, expired, voided, remaining over all grants."""
        sums = {k: sum(g[k] for g in self.grants.values()) for k in ("units", "used", "expired", "voided")}
        left = sums["units"] - sums["used"] - sums["expired"] - sums["voided"]
        return {**sums, "remaining": left}

    def money(self) -> dict[str, int]:
        """Return billed, paid and due over charges that were not voided."""
        kept = [c for c in self.charges.values() if not c["voided"]]
        return {
            "billed": sum(c["gross"] for c in kept),
            "paid": sum(c["paid"] for c in kept),
            "due": sum(c["gross"] - c["paid"] for c in kept),
        }


def tell(told: list[Told], at: datetime) -> Account:
    """Work out the account at `at` from everything told that is dated up to then."""
    account = Account()
    waiting = sorted((t for t in told if t.at <= at), key=lambda t: t.at)
    now = datetime.min.replace(tzinfo=UTC)
    while True:
        happenings = [h for h in _happenings(account) if h[0] <= at]
        soonest = min(happenings, key=lambda h: h[:3], default=None)
        # What falls due at an instant comes before what people do at it.
        if soonest is not None and (not waiting or soonest[0] <= waiting[0].at):
            now = max(now, soonest[0])
            _happen(account, soonest[1], soonest[2], now)
        elif waiting:
            thing = waiting.pop(0)
            now = thing.at
            _do(account, thing)
        else:
            return account


def _happenings(account: Account) -> list[tuple[datetime, int, str]]:
    """Return (when, kind, name) of all that will fall due: expiries, abandonments, a lapse, a boundary."""
    found = [(g["until"], 0, name) for name, g in account.grants.items() if not g["over"]]
    for name, charge in account.charges.items():
        if charge["kind"] != "renewal" and charge["paid"] < charge["gross"] and not charge["voided"]:
            found.append((midnight(local(charge["at"]) + timedelta(days=16)), 1, name))
    plan = account.plan
    if plan.get("state") == "past_due":
        found.append((midnight(months_after(plan["anchor"], plan["month"]) + timedelta(days=6)), 2, ""))
    if plan.get("state") == "in_force":
        found.append((midnight(months_after(plan["anchor"], plan["month"] + 1)), 3, ""))
    return found


def _happen(account: Account, kind: int, name: str, at: datetime) -> None:
    plan = account.plan
    if kind == 0:
        grant = account.grants[name]
        grant["over"] = True
        grant["expired"] = grant["units"] - grant["used"] - grant["voided"]
    elif kind == 1:
        if account.charges[name]["kind"] == "purchase":
            plan["state"] = "abandoned"
            account.plan = plan["before"] or plan  # never paid: it hides nothing that was there before
        _void(account, name, at)
    elif kind == 2:
        plan["state"] = "lapsed"
        _void(account, plan["unpaid"], at)
    else:
        plan["month"] += 1
        boundary = months_after(plan["anchor"], plan["month"])
        if plan["month"] % plan["months"]:
            _month(account, at)
        elif plan.get("ends_on") == boundary:
            plan["state"] = "cancelled"
        else:
            _ask(account, f"r{plan['number']}-{plan['month']}", "renewal", plan["price"], at, boundary)


def _do(account: Account, thing: Told) -> None:
    words, at = thing.words, thing.at
    if thing.kind == "purchase":
        units, price = PLANS[words["level"]]
        account.plan = {
            "state": "pending", "level": words["level"], "units": units, "number": words["number"],
            "months": 12 if words["term"] == "yearly" else 1,
            "price": price * 10 if words["term"] == "yearly" else price,
            "before": account.plan if account.plan.get("state") != "abandoned" else {},
        }  # fmt: skip
        _ask(account, f"p{words['number']}", "purchase", account.plan["price"], at, local(at))
    elif thing.kind == "addon":
        account.plan.setdefault("addons", {})
        _ask(account, f"a{words['number']}", "addon", PLANS[words["level"]][1], at, local(at), words["level"])
    elif thing.kind == "pay":
        _pay_in(account, words["amount"], at)
    elif thing.kind == "cancel":
        account.plan["ends_on"] = words["ends_on"]
        if account.plan["state"] == "in_force":  # money that came to light may have moved its boundaries
            plan = account.plan
            ends = [months_after(plan["anchor"], n) for n in range(plan["month"] + 1, 999) if n % plan["months"] == 0]
            plan["ends_on"] = max([day for day in ends if day <= words["ends_on"]], default=ends[0])
        if account.plan["state"] in ("past_due", "pending"):  # nothing of it runs: it ends at once
            owed = account.plan["unpaid"] if account.plan["state"] == "past_due" else f"p{account.plan['number']}"
            account.plan["state"] = "cancelled"
            _void(account, owed, at)
    elif thing.kind == "take":
        account.grants[words["grant"]]["used"] += 1
        account.holds[words["ticket"]] = words["grant"]
    elif thing.kind == "give_back":
        grant = account.grants[account.holds.pop(words["ticket"])]
        grant["used"] -= 1
        grant["expired"] += 1 if grant["over"] else 0


def _ask(account: Account, name: str, kind: str, gross: int, at: datetime, due: date, level: str = "") -> None:
    account.charges[name] = {
        "kind": kind, "gross": gross, "paid": 0, "voided": False, "at": at, "due": due, "level": level, "name": name,
    }  # fmt: skip
    if kind == "renewal":
        account.plan["state"], account.plan["unpaid"] = "past_due", name
    _spend(account, at)


def _pay_in(account: Account, amount: int, at: datetime) -> None:
    before = account.credit
    account.credit += amount
    _spend(account, at)
    untouched = account.credit == before + amount
    if untouched and account.plan.get("state") == "lapsed":  # late money stays unapplied
        account.credit = before
        account.unapplied += amount


def _spend(account: Account, at: datetime) -> None:
    asked = [c for c in account.charges.values() if not c["voided"] and c["paid"] < c["gross"]]
    for charge in sorted(asked, key=lambda c: (c["kind"] != "renewal", c["due"], c["name"])):
        part = min(account.credit, charge["gross"] - charge["paid"])
        account.credit -= part
        charge["paid"] += part
        if part and charge["paid"] == charge["gross"]:
            _paid(account, charge, at)


def _paid(account: Account, charge: dict[str, Any], at: datetime) -> None:
    plan = account.plan
    if charge["kind"] == "addon":
        until = midnight(local(at) + timedelta(days=31))
        _give(account, charge["name"], PLANS[charge["level"]][0], charge["level"], at, until)
        return
    if charge["kind"] == "purchase":
        plan["anchor"], plan["month"] = local(at), 0
    plan["state"] = "in_force"
    _month(account, at)


def _month(account: Account, at: datetime) -> None:
    plan = account.plan
    until = midnight(months_after(plan["anchor"], plan["month"] + 1))
    _give(account, f"m{plan['number']}-{plan['month']}", plan["units"], plan["level"], at, until)


def _give(account: Account, name: str, units: int, level: str, starts: datetime, until: datetime) -> None:
    account.grants[name] = {
        "units": units, "used": 0, "expired": 0, "voided": 0, "level": level, "starts": starts, "until": until,
        "over": False,
    }  # fmt: skip


def _void(account: Account, name: str, at: datetime) -> None:
    charge = account.charges[name]
    charge["voided"] = True
    account.credit += charge["paid"]
    if charge["paid"]:
        _spend(account, at)
