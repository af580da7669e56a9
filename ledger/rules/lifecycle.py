"""A subscription's life and its money: start, renewal, months, grace, lapse, end; paying and voiding charges.

Each step happens at its own instant `at` (canonical UTC) and emits the due facts that follow from it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from heapq import heappush
from typing import ClassVar

from ledger import facts as f
from ledger.rules import terms
from ledger.rules.charges import Charge, pay_order
from ledger.rules.grants import Grant
from ledger.rules.money import split
from ledger.rules.state import ABANDON, BOUNDARY, EXPIRE, LAPSE, LICENCE_END, State
from ledger.rules.subscriptions import Subscription, local_day, midnight


class Lifecycle(State):
    """State that lives: what starts, renews, falls past due, ends."""

    def _start(self, sub: Subscription, at: str) -> None:
        sub.anchor = local_day(at, self.zone)
        sub.state = "in_force"
        if sub.kind == "licence":
            heappush(self.agenda, (sub.licence_end(), LICENCE_END, sub.id, 0))
        self._period(sub, at, at)

    def _renew(self, sub: Subscription, at: str) -> None:
        sub.state, sub.unpaid = "in_force", ""
        self._period(sub, sub.boundary_at(sub.month), at)

    def _period(self, sub: Subscription, starts: str, at: str) -> None:
        ends = sub.licence_end() if sub.kind == "licence" else sub.boundary_at(sub.month + sub.months)
        sub.period_from, sub.period_until = starts, ends
        period = sub.month // sub.months
        self.journal.emit(
            self._due(
                f.PlanRenewed, f"renew:{sub.id}:{period}", at, subscription=sub.id, period=period,
                starts=starts, ends=sub.period_until,
            )
        )  # fmt: skip
        self._grant_month(sub, at)

    def _grant_month(self, sub: Subscription, at: str) -> None:
        boundary = sub.boundary_at(sub.month + 1)
        heappush(self.agenda, (boundary, BOUNDARY, sub.id, sub.month + 1))
        until = min(boundary, sub.licence_end())
        self._grant(
            Grant(
                f"{sub.id}-m{sub.month}", kind="plan", level=sub.level, units=sub.units, starts=at,
                until=until, source=sub.id,
            ),
            due=True,
        )  # fmt: skip

    def _grant_addon(self, charge_id: str, level: str, units: int, at: str) -> None:
        until = midnight(terms.thirty_days_until(local_day(at, self.zone)), self.zone)
        self._grant(
            Grant(
                f"{charge_id}-t", kind="addon", level=level, units=units, starts=at, until=until,
                source=charge_id,
            ),
            due=True,
        )  # fmt: skip

    def _raise(self, kind: str, fact: f.PlanPurchased | f.AddonPurchased, source: str) -> None:
        charge = Charge(
            fact.charge, kind, source, fact.gross, fact.net, fact.tax, fact.due_on, fact.occurred_at,
            fact.level, fact.units,
        )  # fmt: skip
        self.charges[charge.id] = self.open[charge.id] = charge
        abandoned = terms.unpaid_until(local_day(fact.occurred_at, self.zone))
        heappush(self.agenda, (midnight(abandoned, self.zone), ABANDON, charge.id, 0))
        self._spend_credit(fact.occurred_at)

    def _pay(self, charge: Charge, part: int, at: str) -> None:
        charge.paid += part
        if charge.due:
            return
        charge.paid_at = at
        del self.open[charge.id]
        self.journal.emit(self._due(f.ChargePaid, f"paid:{charge.id}", at, charge=charge.id, amount=charge.gross))
        if charge.kind == "addon":
            self._grant_addon(charge.id, charge.level, charge.units, at)
        elif charge.kind == "purchase":
            self._start(self.subscriptions[charge.source], at)
        else:
            self._renew(self.subscriptions[charge.source], at)

    def _spend_credit(self, at: str) -> None:
        for charge in pay_order(list(self.open.values())):
            part = min(charge.due, self.purse.credit)
            if part:
                self.purse.credit -= part
                self._pay(charge, part, at)

    def _void(self, charge: Charge, cause: str, at: str) -> None:
        self.open.pop(charge.id, None)
        charge.voided_at, charge.void_cause = at, cause
        self.journal.emit(self._due(f.ChargeVoided, f"void:{charge.id}", at, charge=charge.id, cause=cause))
        self.purse.credit += charge.paid
        if charge.paid:
            self._spend_credit(at)

    def late_money(self) -> bool:
        """Whether money that pays no charge is late money of a lapsed plan: it stays unapplied (rule 7)."""
        bought = self.bought()
        return bought is not None and bought.state == "lapsed"

    def _boundary(self, name: str, at: str) -> None:
        sub = self.subscriptions[name]
        month = sub.month + 1
        day = sub.boundary(month)
        if sub.kind == "licence" or month % sub.months:
            sub.month = month
            self._grant_month(sub, at)
        elif sub.ends_on == day.isoformat() and not sub.undoes:
            self._end(sub, "cancelled", at)
        else:
            sub.month = month
            self._renewal(sub, day, at)
            if sub.ends_on == day.isoformat():
                self._undo_renewal(sub, at)

    def _renewal(self, sub: Subscription, day: date, at: str) -> None:
        sub.state = "past_due"
        period = sub.month // sub.months
        charge_id = f"{sub.id}-r{period}"
        promised = self.journal.recorded.get(f"charge:{charge_id}")
        if isinstance(promised, f.ChargeRaised):
            units, gross = promised.units, promised.gross
        else:
            units, gross = self.prices.renewal_price(sub.level, sub.term, day, self.currency)
        sub.units = units
        if gross == 0:
            self._renew(sub, at)
            return
        parts = split(gross)
        charge = Charge(
            charge_id, "renewal", sub.id, gross, parts.net, parts.tax, day.isoformat(), at, sub.level, units
        )
        self.charges[charge.id] = self.open[charge.id] = charge
        sub.unpaid = charge.id
        self.journal.emit(
            self._due(
                f.ChargeRaised, f"charge:{charge.id}", at, charge=charge.id, subscription=sub.id,
                level=sub.level, units=units, gross=gross, net=parts.net, tax=parts.tax, due_on=charge.due_on,
            )
        )  # fmt: skip
        heappush(self.agenda, (midnight(terms.grace_end(day), self.zone), LAPSE, sub.id, sub.month))
        self._spend_credit(at)

    def _undo_renewal(self, sub: Subscription, at: str) -> None:
        """Asked in time, typed after the renewal: its units are voided, its money becomes credit (rule 6)."""
        for grant in [g for g in self.live.values() if g.source == sub.id]:
            self._finish(grant, "voided", at)
        charge = self.charges.get(sub.unpaid or f"{sub.id}-r{sub.month // sub.months}")
        sub.state, sub.ended_at, sub.unpaid = "cancelled", at, ""
        self.journal.emit(self._due(f.PlanEnded, f"end:{sub.id}", at, subscription=sub.id, cause="cancelled"))
        if charge is not None:
            self._void(charge, "undone", at)

    def _end(self, sub: Subscription, cause: str, at: str) -> None:
        sub.state = "lapsed" if cause in ("lapsed", "licence_ended") else "cancelled"
        sub.ended_at = at
        self.journal.emit(self._due(f.PlanEnded, f"end:{sub.id}", at, subscription=sub.id, cause=cause))
        unpaid, sub.unpaid = sub.unpaid, ""
        if unpaid:
            self._void(self.charges[unpaid], cause, at)

    def _expire(self, name: str, at: str) -> None:
        grant = self.grants[name]
        self._finish(grant, "expired", at)

    def _licence_ends(self, name: str, at: str) -> None:
        self._end(self.subscriptions[name], "licence_ended", at)

    def _abandon(self, name: str, at: str) -> None:
        charge = self.charges[name]
        if charge.kind == "purchase":
            sub = self.subscriptions[charge.source]
            sub.state, sub.ended_at = "abandoned", at
            self.journal.emit(self._due(f.PlanEnded, f"end:{sub.id}", at, subscription=sub.id, cause="abandoned"))
        self._void(charge, "abandoned", at)

    def _lapse(self, name: str, at: str) -> None:
        sub = self.subscriptions[name]
        # A card that has not answered keeps the plan past due until a refusal settles it (rule 7).
        if sub.pay_by != "card":
            self._end(sub, "lapsed", at)

    _STEPS: ClassVar[dict[int, Callable[[Lifecycle, str, str], None]]] = {
        EXPIRE: _expire,
        LICENCE_END: _licence_ends,
        ABANDON: _abandon,
        LAPSE: _lapse,
        BOUNDARY: _boundary,
    }
