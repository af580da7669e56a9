"""Money corrected by hand: discounts, voids, write-offs, credit notes (DOMAIN.md 9).

Each is decided within what is left to correct; should money dated earlier come to light, what was corrected too much
becomes credit: nothing is lost, no sum goes below zero.
"""

from __future__ import annotations

from ledger import facts as f
from ledger.rules.charges import Charge, give_back
from ledger.rules.reversals import Reversals


class Corrections(Reversals):
    """State whose money is corrected."""

    def _discounted(self, fact: f.DiscountGiven) -> None:
        charge = self.charges.get(fact.charge)
        if charge is None:  # facts dated earlier have come to light: nothing is asked, so nothing is corrected
            return
        charge.discount += fact.gross
        charge.discount_tax += fact.tax
        self._corrected(charge, fact.occurred_at)

    def _charge_cancelled(self, fact: f.ChargeCancelled) -> None:
        charge, at = self.charges.get(fact.charge), fact.occurred_at
        if charge is None or charge.id not in self.open or charge.times_paid:
            return
        if charge.kind == "purchase":
            self._give_up(charge, "by_hand", at)
        elif charge.kind == "upgrade":
            self._drop_quote(self.subscriptions[charge.source], "by_hand", at)
        else:
            self._void(charge, "by_hand", at)

    def _written_off(self, fact: f.DebtWrittenOff) -> None:
        charge = self.charges.get(fact.charge)
        if charge is None:
            return
        charge.written_off += min(fact.amount, charge.due)
        self._corrected(charge, fact.occurred_at)

    def _credit_noted(self, fact: f.CreditNoted) -> None:
        charge, at = self.charges.get(fact.charge), fact.occurred_at
        if charge is None:
            return
        owed = min(charge.due, fact.gross)  # of a debt that was reopened: nothing is freed
        freed = give_back(charge, fact.gross - owed)
        charge.credited += fact.gross
        charge.credited_tax += fact.tax
        self.purse.keep(freed)
        self._corrected(charge, at)
        self._spend_credit(at)

    def _corrected(self, charge: Charge, at: str) -> None:
        """Settle or close a charge of which nothing is owed any more; what is over becomes credit."""
        if charge.due < 0:
            self.purse.keep(give_back(charge, -charge.due))
            self._spend_credit(at)
        if charge.id not in self.open or charge.due:
            return
        given_up = charge.credited or charge.written_off
        if given_up and charge.times_paid and charge.id not in self.past_due():
            del self.open[charge.id]
        else:
            self._settle(charge, at)

    def _applied(self, fact: f.MoneyApplied) -> None:
        taken = min(fact.amount, self.purse.waiting.get(fact.payment, 0))
        self.purse.waiting[fact.payment] = self.purse.waiting.get(fact.payment, 0) - taken
        self.purse.keep([(fact.payment, taken)])
        self._spend_credit(fact.occurred_at)
