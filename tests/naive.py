"""A second telling of one account's grants and money, from DOMAIN.md alone: slow, stateless, day by day.

What people told is kept as a list. Each question walks through the calendar from the first day on: at each local
midnight it does what that day brings, then what people did on that day, in order. Nothing is kept between questions,
nothing is shared with the ledger; names are those that the ledger answers, without the account before them.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

PLANS = {  # units a month, a month's price in GTQ
    "basic": (5, 25_000),
    "advanced": (12, 60_000),
    "corporate": (30, 150_000),
}
RANK = {"basic": 0, "advanced": 1, "corporate": 2}
NEEDED = {"general": "basic", "question": "basic", "training": "advanced", "fel": "advanced"}
KINDS = ["plan", "addon", "courtesy"]


def months_later(anchor: date, months: int) -> date:
    """Return the same day so many months later, the month's last where it has no such day."""
    month = anchor.month - 1 + months
    year, month = anchor.year + month // 12, month % 12 + 1
    return date(year, month, min(anchor.day, monthrange(year, month)[1]))


@dataclass
class Told:
    """What somebody did: when it counts, what, in which words."""

    at: datetime
    what: str
    words: dict[str, Any]


@dataclass
class Plan:
    """A subscription."""

    name: str
    kind: str
    level: str
    months: int
    price: int
    card: bool = False
    state: str = "pending"
    anchor: date = date.min
    month: int = 0
    owed: str = ""
    ends_on: date | None = None
    undo: bool = False
    licence_until: date = date.max

    def boundary(self, month: int) -> date:
        """Return a monthly boundary, from the original anchor."""
        return months_later(self.anchor, month)


@dataclass
class Grant:
    """Tickets given: `until` is the first local day without them."""

    name: str
    kind: str
    level: str
    units: int
    starts: datetime
    until: date
    source: str
    used: int = 0
    expired: int = 0
    voided: int = 0
    over: str = ""


@dataclass
class Charge:
    """Money asked for."""

    name: str
    kind: str
    gross: int
    asked: date
    level: str
    paid: int = 0
    void: bool = False

    @property
    def due(self) -> int:
        """What is still to be paid."""
        return 0 if self.void else self.gross - self.paid


@dataclass
class Picture:
    """The account as it stands at one instant."""

    zone: ZoneInfo
    plans: list[Plan] = field(default_factory=list)
    grants: dict[str, Grant] = field(default_factory=dict)
    charges: dict[str, Charge] = field(default_factory=dict)
    units_of: dict[str, str] = field(default_factory=dict)  # ticket -> grant
    moves: list[tuple[datetime, str, int]] = field(default_factory=list)  # when, grant, +1 or -1
    credit: int = 0
    unapplied: int = 0

    # --- the calendar -------------------------------------------------------------------------------------

    def midnight(self, day: date) -> datetime:
        """Return the instant at which a local day begins."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def local(self, at: datetime) -> date:
        """Return the local date of an instant."""
        return at.astimezone(self.zone).date()

    def day_begins(self, today: date, at: datetime) -> None:
        """Do what this local day brings: what ends, then what is given up, then what begins."""
        while self._one_thing(today, at):
            pass

    def _one_thing(self, today: date, at: datetime) -> bool:
        for grant in sorted(self.grants.values(), key=lambda g: (g.until, g.name)):
            if not grant.over and grant.until <= today:
                grant.over, grant.expired = "expired", grant.units - grant.used
                return True
        for plan in self.plans:
            if plan.kind == "licence" and plan.state == "in_force" and plan.licence_until < today:
                plan.state = "lapsed"
                return True
        for charge in sorted(self.charges.values(), key=lambda c: (c.asked, c.name)):
            if charge.due and charge.kind != "renewal" and charge.asked + timedelta(days=15) < today:
                for plan in self.plans:
                    if plan.owed == charge.name:
                        plan.state, plan.owed = "abandoned", ""
                self._void(charge, at)
                return True
        for plan in self.plans:
            if plan.state == "past_due" and not plan.card and plan.boundary(plan.month) + timedelta(days=5) < today:
                self._stop(plan, "lapsed", at)
                return True
        for plan in self.plans:
            if plan.state == "in_force" and plan.boundary(plan.month + 1) <= today:
                self._boundary(plan, at)
                return True
        return False

    def _boundary(self, plan: Plan, at: datetime) -> None:
        plan.month += 1
        day = plan.boundary(plan.month)
        if plan.kind == "licence" or plan.month % plan.months:
            self._month(plan, at)
            return
        ends = plan.ends_on == day
        if ends and not plan.undo:
            plan.state = "cancelled"
            return
        plan.state, plan.owed = "past_due", f"{plan.name}-r{plan.month // plan.months}"
        self._ask(Charge(plan.owed, "renewal", plan.price, day, plan.level), at)
        if ends:
            for grant in self.grants.values():
                if grant.source == plan.name and not grant.over:
                    grant.over, grant.voided = "voided", grant.units - grant.used
            self._stop(plan, "cancelled", at)

    # --- plans and grants ---------------------------------------------------------------------------------

    def _month(self, plan: Plan, at: datetime) -> None:
        until = plan.boundary(plan.month + 1)
        if plan.kind == "licence":
            until = min(until, plan.licence_until + timedelta(days=1))
        units = PLANS[plan.level][0]
        name = f"{plan.name}-m{plan.month}"
        self.grants[name] = Grant(name, "plan", plan.level, units, at, until, plan.name)

    def _stop(self, plan: Plan, state: str, at: datetime) -> None:
        plan.state = state
        owed = plan.owed or f"{plan.name}-r{plan.month // plan.months}"
        plan.owed = ""
        if owed in self.charges:
            self._void(self.charges[owed], at)

    def bought(self) -> Plan | None:
        """Return the latest bought plan; one that was never paid hides none before it."""
        bought = [p for p in self.plans if p.kind == "bought"]
        kept = [p for p in bought if p.state != "abandoned"] or bought
        return kept[-1] if kept else None

    def shown(self) -> tuple[str, str | None]:
        """Return (state, level) of the plan a clerk is told of."""
        bought = self.bought()
        licence = next((p for p in reversed(self.plans) if p.kind == "licence"), None)
        kept = [p for p in (bought, licence) if p is not None and p.state != "abandoned"]
        best = [p for p in kept if p.state == "in_force"] + kept
        return (best[0].state, best[0].level) if best else ("none", None)

    # --- money --------------------------------------------------------------------------------------------

    def _open(self) -> list[Charge]:
        found = [c for c in self.charges.values() if c.due]
        return sorted(found, key=lambda c: (c.kind != "renewal", c.asked, c.name))

    def _ask(self, charge: Charge, at: datetime) -> None:
        self.charges[charge.name] = charge
        self._spend(at)

    def _spend(self, at: datetime) -> None:
        for charge in self._open():
            part = min(charge.due, self.credit)
            self.credit -= part
            charge.paid += part
            if part and not charge.due:
                self._paid(charge, at)

    def _paid(self, charge: Charge, at: datetime) -> None:
        if charge.kind == "addon":
            name = f"{charge.name}-t"
            until = self.local(at) + timedelta(days=31)
            self.grants[name] = Grant(name, "addon", charge.level, PLANS[charge.level][0], at, until, charge.name)
            return
        plan = next(p for p in self.plans if p.owed == charge.name)
        if charge.kind == "purchase":
            plan.anchor = self.local(at)
        plan.state, plan.owed = "in_force", ""
        self._month(plan, at)

    def _void(self, charge: Charge, at: datetime) -> None:
        charge.void = True
        if charge.paid:
            self.credit += charge.paid
            self._spend(at)

    # --- what people did ----------------------------------------------------------------------------------

    def purchase(self, at: datetime, name: str, level: str, term: str, card: bool) -> None:
        """A plan was bought."""
        months = 12 if term == "yearly" else 1
        price = PLANS[level][1] * (10 if term == "yearly" else 1)
        plan = Plan(name, "bought", level, months, price, card, owed=f"{name}-p")
        self.plans.append(plan)
        self._ask(Charge(plan.owed, "purchase", price, self.local(at), level), at)

    def licence(self, at: datetime, name: str, until: date) -> None:
        """A licence brought its Basic plan."""
        plan = Plan(name, "licence", "basic", 1, 0, state="in_force", anchor=self.local(at), licence_until=until)
        self.plans.append(plan)
        self._month(plan, at)

    def renew_licence(self, at: datetime, name: str, until: date) -> None:
        """The licence's date moved, and its last grant's end."""
        plan = next(p for p in self.plans if p.name == name)
        last = self.grants[f"{name}-m{plan.month}"]
        plan.licence_until = until = max(until, plan.licence_until)
        last.until = min(plan.boundary(plan.month + 1), until + timedelta(days=1))

    def addon(self, at: datetime, name: str, level: str) -> None:
        """An add-on was bought."""
        self._ask(Charge(name, "addon", PLANS[level][1], self.local(at), level), at)

    def courtesy(self, at: datetime, name: str, level: str, units: int) -> None:
        """A manager granted tickets."""
        until = self.local(at) + timedelta(days=31)
        self.grants[name] = Grant(name, "courtesy", level, units, at, until, name)

    def pay(self, at: datetime, amount: int, unapplied: bool) -> None:
        """Money came in; late money of a lapsed plan that pays nothing stays unapplied."""
        bought = self.bought()
        late = bought is not None and bought.state == "lapsed" and not self._open()
        if unapplied or late:
            self.unapplied += amount
        else:
            self.credit += amount
            self._spend(at)

    def cancel(self, at: datetime, name: str, ends_on: date, undo: bool) -> None:
        """The plan is to end, or ends at once where nothing of it runs."""
        plan = next(p for p in self.plans if p.name == name)
        plan.undo = undo
        if plan.state == "pending":
            if ends_on <= self.local(at):
                self._stop(plan, "cancelled", at)
            plan.ends_on = ends_on
        elif plan.state in ("in_force", "past_due"):
            first = plan.month if plan.state == "past_due" else (plan.month // plan.months + 1) * plan.months
            days = [plan.boundary(first + plan.months * n) for n in range(60)]
            plan.ends_on = max((day for day in days if day <= ends_on), default=days[0])
            if plan.state == "past_due" and plan.ends_on == days[0]:
                self._stop(plan, "cancelled", at)

    def withdraw(self, at: datetime, name: str) -> None:
        """The end was taken back."""
        plan = next(p for p in self.plans if p.name == name)
        plan.ends_on, plan.undo = None, False

    def take(self, at: datetime, ticket: str, grant: str) -> None:
        """A case took a unit."""
        self.grants[grant].used += 1
        self.units_of[ticket] = grant
        self.moves.append((at, grant, +1))

    def give_back(self, at: datetime, ticket: str) -> None:
        """A unit went back to its own grant, and with it where that is over."""
        grant = self.grants[self.units_of.pop(ticket)]
        grant.used -= 1
        self.moves.append((at, grant.name, -1))
        if grant.over:
            setattr(grant, grant.over, getattr(grant, grant.over) + 1)

    # --- sums ---------------------------------------------------------------------------------------------

    def sums(self) -> dict[str, int]:
        """Return granted, used, expired, voided and remaining over all grants."""
        found = {name: sum(getattr(g, name) for g in self.grants.values()) for name in ("used", "expired", "voided")}
        granted = sum(g.units for g in self.grants.values())
        return {"granted": granted, **found, "remaining": granted - sum(found.values())}

    def money(self) -> dict[str, int]:
        """Return billed, paid and due over charges that were not voided, credit and unapplied money."""
        kept = [c for c in self.charges.values() if not c.void]
        return {
            "billed": sum(c.gross for c in kept),
            "paid": sum(c.paid for c in kept),
            "due": sum(c.due for c in kept),
            "credit": self.credit,
            "unapplied": self.unapplied,
        }


def tell(told: list[Told], at: datetime, zone: str) -> Picture:
    """Walk day by day through everything told that is dated up to `at`."""
    picture = Picture(ZoneInfo(zone))
    known = sorted((t for t in told if t.at <= at), key=lambda t: t.at)
    if not known:
        return picture
    today, last = picture.local(known[0].at), picture.local(at)
    while today <= last:
        picture.day_begins(today, picture.midnight(today))
        while known and picture.local(known[0].at) == today:
            thing = known.pop(0)
            act: Callable[..., None] = getattr(picture, thing.what)
            act(thing.at, **thing.words)
            picture.day_begins(today, thing.at)
        today += timedelta(days=1)
    return picture


def decide(told: list[Told], request: str, at: datetime, now: datetime, zone: str) -> tuple[str, str]:
    """Return (code, grant) for a request dated `at`: the first row of the table that applies."""
    then, whole = tell(told, at, zone), tell(told, now, zone)
    usable = []
    for name, grant in then.grants.items():
        kept = whole.grants.get(name)
        if kept is None or kept.over == "voided" or not kept.starts <= at < whole.midnight(kept.until):
            continue
        moves = [(when, change) for when, taken, change in whole.moves if taken == name]
        first = sum(when <= at for when, _change in moves)  # free after the moves up to `at`, and after each later one
        if all(sum(change for _when, change in moves[:n]) < grant.units for n in range(first, len(moves) + 1)):
            usable.append(kept)
    usable.sort(key=lambda g: (g.until, KINDS.index(g.kind), g.starts, g.name))
    in_force = [p for p in then.plans if p.state == "in_force"]
    if request == "administrative":
        return "administrative", ""
    if request == "terminal":
        return "sales_case", ""
    if not in_force and not usable:
        late = [c for c in then.charges.values() if c.due and (c.kind == "renewal" or c.asked < then.local(at))]
        return ("payment_due" if late else "no_plan"), ""
    needed = RANK[NEEDED[request]]
    covering = [g for g in usable if RANK[g.level] >= needed]
    if not covering and not any(RANK[p.level] >= needed for p in in_force):
        return "plan_too_low", ""
    return ("covered", covering[0].name) if covering else ("no_tickets_left", "")
