"""A subscription's life and its money: start, renewal, months, grace, lapse, end; paying and voiding charges.

Each step happens at its own instant `at` (canonical UTC) and emits the due facts that follow from it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import date
from heapq import heappush
from typing import ClassVar

from ledger import facts as f
from ledger.rules import terms
from ledger.rules.charges import Charge, Lot
from ledger.rules.grants import Grant
from ledger.rules.money import split
from ledger.rules.state import ABANDON, BOUNDARY, EXPIRE, LAPSE, LICENCE_END, QUOTE_END, State
from ledger.rules.subscriptions import Subscription, local_day, midnight


class Lifecycle(State, ABC):
    """State that lives: what starts, renews, falls past due, ends."""

    def _start(self, sub: Subscription, at: str) -> None:
        self._adopt_zone(sub, -1, at)
        sub.anchor = local_day(at, self.zone)
        sub.state = "in_force"
        if sub.kind == "licence":
            heappush(self.agenda, (sub.licence_end(), LICENCE_END, sub.id, 0))
        self._period(sub, at, at)

    def _renew(self, sub: Subscription, at: str) -> None:
        sub.state, sub.unpaid, sub.grace_until = "in_force", "", ""
        self._period(sub, sub.boundary_at(sub.month), at)

    def _period(self, sub: Subscription, starts: str, at: str) -> None:
        ends = sub.licence_end() if sub.kind == "licence" else sub.boundary_at(sub.month + sub.months)
        sub.period_from, sub.period_until = starts, ends
        self.journal.emit(
            self._due(
                f.PlanRenewed, f"renew:{sub.prefix}:{sub.period}", at, subscription=sub.id, period=sub.period,
                starts=starts, ends=sub.period_until,
            )
        )  # fmt: skip
        self._grant_month(sub, at)

    def _grant_month(self, sub: Subscription, at: str) -> None:
        boundary = sub.boundary_at(sub.month + 1)
        heappush(self.agenda, (boundary, BOUNDARY, sub.id, sub.place(sub.month + 1)))
        until = min(boundary, sub.licence_end())
        self._grant(
            Grant(
                f"{sub.prefix}-m{sub.month}", kind="plan", level=sub.level, units=sub.units, starts=at,
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

    def _pay(self, charge: Charge, lots: list[Lot], at: str) -> None:
        for origin, amount in lots:
            charge.paid += amount
            charge.parts.append((origin, amount))
        if not charge.due:
            self._settle(charge, at)

    def _settle(self, charge: Charge, at: str) -> None:
        charge.paid_at = at
        charge.times_paid += 1
        again = f":{charge.times_paid}" if charge.times_paid > 1 else ""
        if charge.id in self.debts:
            key = f"repaid:{charge.id}{again}"
            self.journal.emit(self._due(f.RefundRepaid, key, at, debt=charge.id, amount=charge.total))
            self._tell_hollow(charge, at)
            return
        del self.open[charge.id]
        charge.invoiced |= not self._imported(charge)
        key = f"paid:{charge.id}{again}"
        if self.assumed:
            self.assumed_in[key] = sum(charge.part_of(payment) for payment in self.assumed)
        self.journal.emit(self._due(f.ChargePaid, key, at, charge=charge.id, amount=charge.total))
        self._tell_hollow(charge, at)
        if again:
            self._paid_again(charge, at)
        elif charge.kind == "addon":
            self._grant_addon(charge.id, charge.level, charge.units, at)
        elif charge.kind == "upgrade":
            self._upgrade(charge, at)
        else:
            sub = self.subscriptions[charge.source]
            sub.settled_by = charge.id
            if charge.kind == "purchase":
                self._start(sub, at)
            else:
                self._renew(sub, at)

    def _imported(self, charge: Charge) -> bool:
        """Whether imported payments alone pay a charge: the other system invoiced it (rule 9)."""
        return bool(charge.parts) and all(origin in self.assumed for origin, _amount in charge.parts)

    def _tell_hollow(self, charge: Charge, at: str) -> None:
        """Tell as owed what was paid, in good faith, with money that had been taken back already (rule 7)."""
        for payment in self.hollow:
            self._tell_again(charge, charge.part_of(payment), payment, at)

    def _tell_again(self, charge: Charge, amount: int, payment: str, at: str) -> None:
        """Tell that `amount` of a charge or of a refund is owed again, since `payment` was taken back: once."""
        told = (charge.id, payment, charge.times_paid)
        if not amount or told in self.told_again:
            return
        self.told_again.add(told)
        if charge.id in self.debts:
            key = f"owed:{charge.id}:{payment}:{charge.times_paid}"
            self.journal.emit(self._due(f.RefundOwed, key, at, debt=charge.id, payment=charge.source, amount=amount))
            return
        key = f"reopen:{charge.id}:{charge.times_paid}"
        if key in self.journal.derived:  # by another payment; or closed meanwhile, but not paid: its debt was given up
            key += f":{payment}"
        self.journal.emit(self._due(f.ChargeReopened, key, at, charge=charge.id, amount=amount))

    @abstractmethod
    def _upgrade(self, charge: Charge, at: str) -> None:
        """Let a paid upgrade take effect (`Changes`)."""

    @abstractmethod
    def _paid_again(self, charge: Charge, at: str) -> None:
        """Let go on what stopped when the charge's payment was taken back (`Changes`)."""

    def _spend_credit(self, at: str) -> None:
        if not self.purse.lots:
            return
        for charge in self.owed():
            lots = self.purse.take(charge.due)
            if lots:
                self._pay(charge, lots, at)

    def _void(self, charge: Charge, cause: str, at: str) -> None:
        self.open.pop(charge.id, None)
        charge.voided_at, charge.void_cause = at, cause
        self.journal.emit(self._due(f.ChargeVoided, f"void:{charge.id}", at, charge=charge.id, cause=cause))
        freed, charge.parts, charge.paid = charge.parts, [], 0
        if freed:
            self.purse.keep(freed)
            self._spend_credit(at)

    def late_money(self) -> bool:
        """Whether money that pays no charge is late money of a lapsed plan: it stays unapplied (rule 7)."""
        bought = self.bought()
        return bought is not None and bought.state == "lapsed"

    def _boundary(self, name: str, at: str) -> None:
        sub = self.subscriptions[name]
        month = sub.month + 1
        day = sub.boundary(month)
        if sub.kind == "licence" or (month - sub.period_month) % sub.months:
            sub.month = month
            self._grant_month(sub, at)
        elif sub.ends_on == day.isoformat() and (sub.state == "past_due" or not sub.undoes):
            self._end(sub, "cancelled", at)
        else:
            sub.month = sub.period_month = month
            sub.period += 1
            self._adopt_zone(sub, month, at)
            self._renewal(sub, day, at)
            if sub.ends_on == day.isoformat():
                self._undo_renewal(sub, at)

    def _adopt_zone(self, sub: Subscription, boundary: int, at: str) -> None:
        """Let the account's new zone hold from this boundary on, for the account and for this plan (rule 9)."""
        if sub.next_zone and sub.next_zone != self.zone:
            self.zones.append((at, sub.next_zone))
        if self.zone != sub.zone:
            sub.adopt_zone(self.zone, boundary)
        sub.next_zone = ""

    def _renewal(self, sub: Subscription, day: date, at: str) -> None:
        sub.state = "past_due"
        charge_id, term = f"{sub.prefix}-r{sub.period}", sub.term
        self._change(sub, charge_id, at)
        units, gross = self._promised(sub, charge_id, term) or self.prices.renewal_price(
            sub.level, sub.term, day, self.currency
        )
        sub.units = units
        if gross == 0:
            sub.settled_by = ""
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
        self._grace(sub, day)
        self._spend_credit(at)

    def _promised(self, sub: Subscription, charge_id: str, term: str) -> tuple[int, int] | None:
        """Return (units, gross) as recorded of a renewal, where it was of the same level and term.

        `term` is the one before it: what it was recorded under, unless a change is on record with it.
        """
        promised = self.journal.recorded.get(f"charge:{charge_id}")
        changed = self.journal.recorded.get(f"change:{charge_id}")
        asked_for = changed.term if isinstance(changed, f.PlanChanged) else term
        if isinstance(promised, f.ChargeRaised) and (promised.level, asked_for) == (sub.level, sub.term):
            return promised.units, promised.gross
        return None

    def _grace(self, sub: Subscription, day: date) -> None:
        """Count grace from local `day`: the plan lapses when it is over (rule 7)."""
        sub.grace_until = midnight(terms.grace_end(day), self.zone)
        heappush(self.agenda, (sub.grace_until, LAPSE, sub.id, sub.place(sub.month)))

    def _change(self, sub: Subscription, charge_id: str, at: str) -> None:
        """Let a scheduled downgrade or change of term take effect with the renewal (rule 8)."""
        if not (sub.next_level or sub.next_term):
            return
        sub.level, sub.term = sub.next_level or sub.level, sub.next_term or sub.term
        sub.next_level = sub.next_term = ""
        self.journal.emit(
            self._due(
                f.PlanChanged, f"change:{charge_id}", at, subscription=sub.id, level=sub.level, term=sub.term,
                cause="renewed",
            )
        )  # fmt: skip

    def _undo_renewal(self, sub: Subscription, at: str) -> None:
        """Asked in time, typed after the renewal: its units are voided, its money becomes credit (rule 6)."""
        for grant in [g for g in self.live.values() if g.source == sub.id]:
            self._finish(grant, "voided", at)
        charge = self.charges.get(sub.unpaid or sub.settled_by)
        sub.state, sub.ended_at, sub.unpaid = "cancelled", at, ""
        self.journal.emit(self._due(f.PlanEnded, f"end:{sub.id}", at, subscription=sub.id, cause="cancelled"))
        if charge is not None:
            self._void(charge, "undone", at)

    def _end(self, sub: Subscription, cause: str, at: str) -> None:
        sub.state = "lapsed" if cause in ("lapsed", "licence_ended") else "cancelled"
        sub.ended_at = at
        self.journal.emit(self._due(f.PlanEnded, f"end:{sub.id}", at, subscription=sub.id, cause=cause))
        unpaid, sub.unpaid = sub.unpaid, ""
        if sub.next_zone:
            self._adopt_zone(sub, sub.month, at)
        self._drop_quote(sub, cause, at)
        if unpaid:
            self._void(self.charges[unpaid], cause, at)

    def _drop_quote(self, sub: Subscription, cause: str, at: str) -> None:
        """Let an upgrade that was asked for and not paid fall away."""
        quote, sub.quote = sub.quote, ""
        if quote in self.open:
            self._void(self.open[quote], cause, at)

    def _expire(self, name: str, at: str) -> None:
        grant = self.grants[name]
        self._finish(grant, "expired", at)

    def _licence_ends(self, name: str, at: str) -> None:
        self._end(self.subscriptions[name], "licence_ended", at)

    def _abandon(self, name: str, at: str) -> None:
        self._give_up(self.charges[name], "abandoned", at)

    def _give_up(self, charge: Charge, cause: str, at: str) -> None:
        """Void a charge that was never paid, and with a purchase its plan."""
        if charge.kind == "purchase":
            sub = self.subscriptions[charge.source]
            sub.state, sub.ended_at = "abandoned", at
            self.journal.emit(self._due(f.PlanEnded, f"end:{sub.id}", at, subscription=sub.id, cause=cause))
        self._void(charge, cause, at)

    def _quote_ends(self, name: str, at: str) -> None:
        self._drop_quote(self.subscriptions[self.charges[name].source], "quote_ended", at)

    def _lapse(self, name: str, at: str) -> None:
        sub = self.subscriptions[name]
        if not self.awaits_card(sub):
            self._end(sub, "lapsed", at)

    def awaits_card(self, sub: Subscription) -> bool:
        """Whether it cannot lapse yet (rule 7): a card attempt has no answer; or none was answered, of a renewal's."""
        states = {attempt.state for attempt in self.attempts.values() if attempt.charge == sub.unpaid}
        return "asked" in states or (sub.pay_by == "card" and sub.awaits_renewal and not states)

    _STEPS: ClassVar[dict[int, Callable[[Lifecycle, str, str], None]]] = {
        EXPIRE: _expire,
        LICENCE_END: _licence_ends,
        ABANDON: _abandon,
        QUOTE_END: _quote_ends,
        LAPSE: _lapse,
        BOUNDARY: _boundary,
    }
