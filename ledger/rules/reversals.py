"""Payments taken back: the money from the bank's date, the plan from the recording (DOMAIN.md 7).

Between the two a payment is *hollow*: it pays what it paid, in good faith, while no sum of money counts it
(`rules/sums.py`). When the reversal takes effect its money is taken from wherever it has come to by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappush

from ledger import facts as f
from ledger.rules.changes import Changes
from ledger.rules.charges import Charge, give_back, take_out
from ledger.rules.grants import Grant
from ledger.rules.state import BOUNDARY
from ledger.rules.subscriptions import local_day


class Reversals(Changes):
    """State whose payments are taken back."""

    def _reversed(self, fact: f.PaymentReversed) -> None:
        payment, at = fact.payment, fact.occurred_at
        if fact.rule == 1:
            taken, out = self._take_money(payment)
            self.reversed[payment] = taken + sum(amount for _charge, amount in out)
            self._reopen(out, payment, fact.used_later, at)
            return
        self.hollow[payment] = fact
        self.reversed[payment] = fact.amount
        for charge in (*self.charges.values(), *self.debts.values()):
            if self._closed(charge):
                self._tell_again(charge, charge.part_of(payment), payment, at)
        self._tell_refunded(payment, self.purse.refunds.get(payment, 0), "", at)

    def _took_effect(self, fact: f.ReversalTookEffect) -> None:
        payment, at = fact.payment, fact.occurred_at
        reversal = self.hollow.pop(payment)
        _taken, out = self._take_money(payment)
        if refunded := self.purse.refunds.get(payment, 0):
            due_on = local_day(reversal.occurred_at, self.zone).isoformat()
            name = _debt(payment)
            self.debts[name] = Charge(
                name, "refund", payment, refunded, refunded, 0, due_on, reversal.occurred_at, "", 0
            )  # fmt: skip
        self._reopen(out, payment, fact.used_later, at)

    def _take_money(self, payment: str) -> tuple[int, list[tuple[Charge, int]]]:
        """Take a payment out of the purse and of what it pays; return both amounts, the second by charge."""
        taken = self.purse.take_of(payment, self.purse.available(payment))
        return taken, [(c, take_out(c, payment)) for c in (*self.charges.values(), *self.debts.values())]

    def _tell_refunded(self, payment: str, amount: int, refund: str, at: str) -> None:
        """Tell that a refund of a payment that was taken back is owed."""
        if amount:
            key = f"owed:{_debt(payment)}{f':{refund}' if refund else ''}"
            self.journal.emit(
                self._due(f.RefundOwed, key, at, debt=_debt(payment), payment=payment, amount=amount)
            )  # fmt: skip

    def _reopen(self, out: list[tuple[Charge, int]], payment: str, kept: Mapping[str, int], at: str) -> None:
        """Ask again for what a payment had paid; a running period that it paid for is past due from now."""
        for charge, amount in out:
            if amount and self._closed(charge):
                charge.paid_at = ""
                self._tell_again(charge, amount, payment, at)
                if charge.id not in self.debts:
                    self.open[charge.id] = charge
                    self._stop(charge, kept, at)
        self._spend_credit(at)

    def _closed(self, charge: Charge) -> bool:
        """Whether it was paid, or what was owed on it had been given up."""
        if charge.id in self.debts:
            return bool(charge.paid_at)
        return charge.id not in self.open and not charge.voided_at

    def _stop(self, charge: Charge, kept: Mapping[str, int], at: str) -> None:
        """Void what is left of a reopened charge's tickets; the plan whose running period it paid is past due."""
        sub = self.subscriptions.get(charge.source)
        running = sub is not None and sub.state == "in_force" and sub.settled_by == charge.id
        for grant in list(self.live.values()):
            if grant.source == charge.id or (running and grant.source == charge.source):
                self._suspend(grant, kept.get(grant.id, 0), at)
        if sub is not None and running:
            sub.state, sub.unpaid = "past_due", charge.id
            self._grace(sub, local_day(at, self.zone))
            self._drop_quote(sub, "past_due", at)  # last: what was paid on it may pay the debt at once

    def _suspend(self, grant: Grant, kept: int, at: str) -> None:
        """Void what no one used at `at` or later; `kept` units were used later, as was known when it was recorded."""
        self.live.pop(grant.id, None)
        grant.ended = "voided"
        units = grant.remaining - kept
        if units > 0:
            grant.lost = units
            self._drop(grant, units, at)

    def _paid_again(self, charge: Charge, at: str) -> None:
        """Grant anew what was voided, and let the plan go on where it stood; an ended period's debt is only paid."""
        sub = self.subscriptions.get(charge.source)
        resumes = sub is not None and sub.state == "past_due" and sub.unpaid == charge.id
        for grant in list(self.grants.values()):
            if grant.lost and (grant.source == charge.id or (resumes and grant.source == charge.source)):
                units, grant.lost = grant.lost, 0
                if grant.until <= at:  # its month is over: it would have expired
                    continue
                again = Grant(
                    f"{grant.id}.{charge.times_paid}", kind=grant.kind, level=grant.level, units=units, starts=at,
                    until=grant.until, source=grant.source,
                )  # fmt: skip
                self._grant(again, due=True)
        if sub is not None and resumes:
            sub.state, sub.unpaid, sub.grace_until = "in_force", "", ""
            heappush(self.agenda, (sub.boundary_at(sub.month + 1), BOUNDARY, sub.id, sub.place(sub.month + 1)))

    # --- money given back -----------------------------------------------------------------------------------

    def _refund_asked(self, fact: f.RefundAsked) -> None:
        self.refunds[fact.refund] = fact
        taken = self.purse.take_of(fact.payment, fact.amount)
        self.purse.pay_out(fact.payment, taken)
        if fact.payment in self.hollow:  # given back in good faith
            self._tell_refunded(fact.payment, taken, fact.refund, fact.occurred_at)
        if taken < fact.amount:  # a fact dated earlier has used the money meanwhile
            self.broken.append(fact.refund)

    def _refund_settled(self, fact: f.RefundSettled) -> None:
        self.settled_refunds.add(fact.refund)

    def _refund_refused(self, fact: f.RefundRefused) -> None:
        asked = self.refunds[fact.refund]
        self.settled_refunds.add(fact.refund)
        self.refused_refunds.add(fact.refund)
        self.purse.pay_out(asked.payment, -asked.amount)
        debt = self.debts.get(_debt(asked.payment))
        if debt is None:
            self.purse.keep([(asked.payment, asked.amount)])
        else:  # it never left, and the payment was taken back: less is owed
            debt.gross = debt.net = debt.gross - asked.amount
            self.purse.keep(give_back(debt, max(-debt.due, 0)))
        self._spend_credit(fact.occurred_at)


def _debt(payment: str) -> str:
    """Return what the debt of a payment's refunds is called."""
    return f"{payment}-d"
