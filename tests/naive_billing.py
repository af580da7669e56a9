"""A second telling of one account's plan and money, changes and corrections included: from DOMAIN.md alone, and slow.

What people and the gateway did is a list of `Told`. Each question tells the whole story again from the first day: at
every instant what ends comes first, then what begins, then what people did. No project code is used. Where DOMAIN.md
leaves a choice, the ledger's own words (ledger/README.md, docstrings) decide, and a comment says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.naive_things import (
    GRACE,
    UNITS,
    USABLE,
    WAITING,
    Charge,
    Grant,
    Money,
    Plan,
    Told,
    local,
    midnight,
    price,
    tax,
)  # fmt: skip

NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class Story:
    """The account at one instant."""

    plans: list[Plan] = field(default_factory=list)
    grants: dict[str, Grant] = field(default_factory=dict)
    charges: dict[str, Charge] = field(default_factory=dict)
    debts: dict[str, Charge] = field(default_factory=dict)  # refunds of payments taken back: owed, and no sale
    money: dict[str, Money] = field(default_factory=dict)
    lots: list[tuple[str, int]] = field(default_factory=list)  # credit, in the order in which it became credit
    holds: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, dict[str, Any]] = field(default_factory=dict)
    card: str = ""
    card_since: datetime = NEVER
    told: list[Told] = field(default_factory=list)

    # --- asking -------------------------------------------------------------------------------------------

    def paid(self, charge: Charge) -> int:
        """Return the money that pays a charge."""
        return 0 if charge.void else sum(part for _name, part in charge.parts)

    def due(self, charge: Charge) -> int:
        """Return what is still to be paid."""
        return 0 if charge.void else charge.total - charge.credited - charge.written_off - self.paid(charge)

    def hollow(self, name: str) -> bool:
        """Whether a payment was taken back by its bank while the plan does not know it yet (rule 7)."""
        return name in self.money and self.money[name].back == "hollow"

    def counted(self, charge: Charge) -> int:
        """Return what sums of money count as paid: nothing that was taken back, from the bank's date on."""
        return 0 if charge.void else sum(part for name, part in charge.parts if not self.hollow(name))

    def owed(self, charge: Charge) -> int:
        """Return what is owed in sums of money."""
        return self.due(charge) + self.paid(charge) - self.counted(charge)

    def refund_owed(self) -> int:
        """Return what had been refunded of payments taken back and was not paid again."""
        hollow = sum(m.gone for m in self.money.values() if m.back == "hollow")
        return hollow + sum(self.owed(debt) for debt in self.debts.values())

    def bought(self) -> Plan | None:
        """Return the latest plan; one that was given up hides none before it."""
        kept = [plan for plan in self.plans if plan.state != "abandoned"] or self.plans
        return kept[-1] if kept else None

    def sums(self) -> dict[str, int]:
        """Return granted, used, expired, voided, remaining."""
        grants = self.grants.values()
        found = {name: sum(getattr(g, name) for g in grants) for name in ("used", "expired", "voided")}
        return {"granted": sum(g.units for g in grants), **found, "remaining": sum(g.left for g in grants)}

    def totals(self) -> dict[str, int]:
        """Return the billing's sums."""
        kept = [c for c in self.charges.values() if not c.void]
        came = [m for m in self.money.values() if not m.name.startswith("excess")]
        return {
            "billed": sum(c.total for c in kept),
            "tax": sum(self.tax(c) for c in kept),
            "paid": sum(self.counted(c) for c in kept),
            "credited": sum(c.credited for c in kept),
            "written_off": sum(c.written_off for c in kept),
            "due": sum(self.owed(c) for c in kept) + self.refund_owed(),
            "refund_owed": self.refund_owed(),
            "credit": sum(part for name, part in self.lots if not self.hollow(name)),
            "unapplied": sum(m.waiting for m in came if not m.back),
            "received": sum(m.amount for m in came),
            "refunded": sum(m.gone for m in came),
            "reversed": sum(m.amount for m in came if m.back),
            "upgrade_excess": sum(m.amount for m in self.money.values() if m.name.startswith("excess")),
        }

    def tax(self, charge: Charge) -> int:
        """Return a charge's IVA: its line's less each discount's."""
        return tax(charge.gross) - sum(charge.lines)

    # --- what falls due -----------------------------------------------------------------------------------

    def happenings(self) -> Iterator[tuple[datetime, int, str]]:
        """Yield (when, kind, name) of all that will fall due."""
        for name, grant in self.grants.items():
            if not grant.over:
                yield midnight(grant.until), 0, name
        for name, charge in self.charges.items():
            if charge.open and not charge.times and charge.kind != "renewal":
                quote = charge.kind == "upgrade"
                days = 1 if quote else WAITING + 1
                yield midnight(local(charge.asked) + timedelta(days=days)), 1 if quote else 2, name
        for plan in self.plans:
            if plan.state == "past_due" and not self.open_attempt(plan):
                yield midnight(plan.grace_from + timedelta(days=GRACE + 1)), 3, plan.name
            # Past due on a period that had begun: it ends where it was to end (ledger/rules/book.py, _still_due).
            ends = plan.state == "past_due" and plan.owed == plan.settled and plan.ends_on is not None
            if plan.state == "in_force" or (ends and plan.boundary(plan.month + 1) == plan.ends_on):
                yield midnight(plan.boundary(plan.month + 1)), 4, plan.name

    def open_attempt(self, plan: Plan) -> bool:
        """Whether a card attempt is unanswered, or none was answered, so that the plan cannot lapse by its dates."""
        made = [a for a in self.attempts.values() if a["charge"] == plan.owed]
        if any(a["outcome"] == "open" for a in made):
            return True
        if plan.owed == plan.settled:  # taken back: no card is asked for it again (ledger/rules/changes.py)
            return False
        return plan.card and not any(a["outcome"] != "open" for a in made)

    def happen(self, kind: int, name: str, at: datetime) -> None:
        """Let what fell due happen."""
        if kind == 0:
            grant = self.grants[name]
            grant.over, grant.expired = "expired", grant.expired + grant.left
        elif kind in (1, 2):
            for plan in self.plans:
                if plan.owed == name and plan.state == "pending":
                    plan.state = "abandoned"
            self.void(name, at)
        elif kind == 3:
            self.end(self.plan(name), "lapsed", at)
        else:
            self.boundary_comes(self.plan(name), at)

    def boundary_comes(self, plan: Plan, at: datetime) -> None:
        """A new month of the running period, its end, or a renewal."""
        if plan.state == "past_due":
            self.end(plan, "cancelled", at)
            return
        plan.month += 1
        if plan.month < plan.first + plan.span:
            self.month(plan, at)
            return
        ends = plan.ends_on == plan.boundary(plan.month)
        if ends and not plan.undo:
            plan.state = "cancelled"
            return
        plan.level, plan.months = plan.next_level or plan.level, plan.next_months or plan.months
        plan.next_level, plan.next_months = "", 0
        plan.first, plan.span, plan.state = plan.month, plan.months, "past_due"
        plan.grace_from = plan.boundary(plan.month)
        plan.owed = self.renewal_name(plan)
        self.ask(
            Charge(plan.owed, "renewal", price(plan.level, plan.months), at, plan.boundary(plan.month), plan.level)
        )
        self.spend(at)
        if ends:
            for grant in self.grants.values():
                if grant.name.startswith(plan.prefix + "-m") and not grant.over:
                    grant.over, grant.voided = "voided", grant.voided + grant.left
            plan.state = "cancelled"
            self.void(plan.owed or plan.settled, at)

    def renewal_name(self, plan: Plan) -> str:
        """Return the next renewal's name: numbered by the turn's months or periods, as the ledger shows them."""
        number = plan.asked[plan.prefix] = plan.asked.get(plan.prefix, 0) + 1
        return f"{plan.prefix}-r{number}"

    def plan(self, name: str) -> Plan:
        """Return a plan by its name."""
        return next(p for p in self.plans if p.name == name)

    def plan_of(self, charge: Charge) -> Plan | None:
        """Return the plan that a charge is for; None for an add-on."""
        return next(
            (
                p
                for p in self.plans
                if charge.plan == p.name or charge.name.startswith(f"{p.name}-") or charge.name.startswith(f"{p.name}.")
            ),
            None,
        )

    def end(self, plan: Plan, state: str, at: datetime) -> None:
        """End a plan: what it was past due on is voided, and an upgrade asked for falls away."""
        plan.state = state
        self.drop_quotes(at)
        if plan.owed:
            self.void(plan.owed, at)

    def drop_quotes(self, at: datetime) -> None:
        """Let upgrades that were asked for and not paid fall away."""
        for charge in [c for c in self.charges.values() if c.kind == "upgrade" and c.open and not c.times]:
            self.void(charge.name, at)

    # --- money --------------------------------------------------------------------------------------------

    def ask(self, charge: Charge) -> None:
        """Ask for money."""
        self.charges[charge.name] = charge

    def order(self, first: str = "") -> list[Charge]:
        """Return open charges: what a card was charged for, what a plan is past due on, by due date, by id."""
        late = {p.owed for p in self.plans if p.state == "past_due"}
        found = [c for c in self.charges.values() if c.open and self.due(c) > 0]
        found += [debt for debt in self.debts.values() if self.due(debt) > 0]
        return sorted(found, key=lambda c: (c.name != first, c.name not in late, c.due_on, c.name))

    def spend(self, at: datetime) -> None:
        """Let credit pay what is asked, the oldest first."""
        for charge in self.order():
            parts: list[tuple[str, int]] = []
            while self.lots and (wanted := self.due(charge) - sum(part for _n, part in parts)) > 0:
                name, amount = self.lots.pop(0)
                parts.append((name, min(amount, wanted)))
                if amount > wanted:
                    self.lots.insert(0, (name, amount - wanted))
            if parts:
                self.pay(charge, parts, at)

    def pay(self, charge: Charge, parts: list[tuple[str, int]], at: datetime) -> None:
        """Pay a charge or a part of it."""
        charge.parts += parts
        if not self.due(charge) and charge.kind != "refund":
            self.settle(charge, at)

    def settle(self, charge: Charge, at: datetime) -> None:
        """Give what was paid for."""
        charge.open, charge.times = False, charge.times + 1
        plan = next((p for p in self.plans if p.owed == charge.name), None)
        if charge.times > 1:
            self.grant_anew(charge, at)
            if plan is not None and plan.state == "past_due":
                plan.state, plan.owed = "in_force", ""
        elif charge.kind == "addon":
            until = local(at) + timedelta(days=USABLE + 1)
            self.give(Grant(f"{charge.name}-t", "addon", charge.level, UNITS[charge.level], at, until))
        elif charge.kind == "upgrade":
            self.upgrade_now(self.plan(charge.plan), charge, at)
        elif plan is not None:
            if plan.state == "pending":
                plan.anchor, plan.span = local(at), plan.months
            self.start(plan, charge, at)

    def corrected(self, charge: Charge, at: datetime) -> None:
        """Free what is over; close or settle what nothing is owed on any more."""
        if self.due(charge) < 0:
            self.free(charge, -self.due(charge))
            self.spend(at)
        if charge.open and not self.due(charge):
            past_due = any(p.owed == charge.name and p.state == "past_due" for p in self.plans)
            if (charge.credited or charge.written_off) and charge.times and not past_due:
                charge.open = False
            else:
                self.settle(charge, at)

    def take_lots(self, name: str, most: int) -> int:
        """Take up to `most` of a payment's credit; return how much that was."""
        wanted, kept = most, []
        for origin, amount in self.lots:
            part = min(amount, most) if origin == name else 0
            most -= part
            kept += [(origin, amount - part)] if amount > part else []
        self.lots = kept
        return wanted - most

    def free(self, charge: Charge, most: int) -> None:
        """Let money that pays a charge be credit again, the newest first."""
        while most and charge.parts:
            name, amount = charge.parts.pop()
            part = min(most, amount)
            most -= part
            self.lots.append((name, part))
            if amount > part:
                charge.parts.append((name, amount - part))

    def start(self, plan: Plan, charge: Charge, at: datetime) -> None:
        """Begin a paid period."""
        plan.state, plan.owed, plan.settled = "in_force", "", charge.name
        self.month(plan, at)

    def grant_anew(self, charge: Charge, at: datetime) -> None:
        """What was taken back is paid again: as many units as were voided are granted anew, if they are not over."""
        for old in [g for g in self.grants.values() if g.lost_by == charge.name]:
            units, old.lost, old.lost_by = old.lost, 0, ""
            if midnight(old.until) > at:
                self.give(Grant(f"{old.name}.{charge.times}", old.kind, old.level, units, at, old.until))

    def suspend(self, charge: Charge, prefix: str, at: datetime, seq: int) -> None:
        """Void the least that is left of the grants that a charge paid for."""
        for grant in self.grants.values():
            if grant.name.startswith(prefix) and not grant.over:
                grant.over, grant.lost = "voided", self.least(grant, at, seq)
                grant.lost_by = charge.name if grant.lost else ""
                grant.voided += grant.lost

    def upgrade_now(self, plan: Plan, charge: Charge, at: datetime) -> None:
        """The higher level begins today; what was left of the old month is voided."""
        for grant in self.grants.values():
            if grant.name.startswith(f"{plan.prefix}-m") and not grant.over:
                grant.over, grant.voided = "voided", grant.voided + grant.left
        plan.turn, plan.anchor, plan.month, plan.first, plan.span = plan.turn + 1, local(at), 0, 0, plan.months
        plan.level, plan.ends_on, plan.next_level, plan.next_months = charge.level, None, "", 0
        self.start(plan, charge, at)
        if charge.excess:
            self.money[f"excess {charge.name}"] = Money(f"excess {charge.name}", at, 0, charge.excess)
            self.lots.append((f"excess {charge.name}", charge.excess))
            self.spend(at)

    def least(self, grant: Grant, at: datetime, seq: int = 10**9) -> int:
        """Return the least that is left of a grant at an instant and ever after, by what was told of its tickets."""
        left = lowest = grant.left
        held = {t.words["ticket"] for t in self.told if t.what == "take" and t.words["grant"] == grant.name}
        for thing in sorted((t for t in self.told if t.seq < seq), key=lambda t: (t.at, t.seq)):
            if thing.at > at and thing.what == "take" and thing.words["grant"] == grant.name:
                left -= 1
            elif thing.at > at and thing.what == "give_back" and thing.words["ticket"] in held:
                left += 1
            lowest = min(lowest, left)
        return max(lowest, 0)

    def void(self, name: str, at: datetime) -> None:
        """Take a charge back; what was paid on it is credit again."""
        charge = self.charges[name]
        self.lots += charge.parts
        charge.void, charge.open, charge.parts = True, False, []
        for plan in self.plans:
            plan.owed = "" if plan.owed == name else plan.owed
        self.spend(at)

    # --- grants -------------------------------------------------------------------------------------------

    def month(self, plan: Plan, at: datetime) -> None:
        """Grant a month's tickets."""
        until = plan.boundary(plan.month + 1)
        self.give(Grant(f"{plan.prefix}-m{plan.month}", "plan", plan.level, UNITS[plan.level], at, until))

    def give(self, grant: Grant) -> None:
        """Keep a grant."""
        self.grants[grant.name] = grant
