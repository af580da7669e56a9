"""A running plan changed: upgrade, downgrade, change of term, card (DOMAIN.md 7, 8).

Each method takes a decided fact at its date, or is a step that follows from a payment.
"""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from heapq import heappush

from ledger import facts as f
from ledger.rules.cards import Attempt, DueAttempt, due_attempt
from ledger.rules.charges import Charge
from ledger.rules.grants import RANK
from ledger.rules.lifecycle import Lifecycle
from ledger.rules.money import half_up, split
from ledger.rules.state import QUOTE_END
from ledger.rules.subscriptions import Subscription, local_day, midnight


class Changes(Lifecycle):
    """State whose plans change."""

    # --- upgrades -------------------------------------------------------------------------------------------

    def upgrade_credit(self, sub: Subscription, at: str) -> int:
        """Return what the running period is still worth at `at`, in minor units (rule 8): never for free tickets."""
        charge = self.charges.get(sub.settled_by)
        if charge is None:
            return 0
        start, end = sub.boundary(sub.month), sub.boundary(sub.month + 1)
        days = Fraction((end - local_day(at, self.zone)).days, (end - start).days)
        left = sum(g.remaining for g in self.live.values() if g.source == sub.id and g.valid_at(at))
        months = sub.period_month + sub.months - sub.month - 1 + min(days, Fraction(left, sub.units))
        return half_up(charge.settled * months.numerator, months.denominator * sub.months)

    def _upgrade_asked(self, fact: f.UpgradeAsked) -> None:
        sub, at = self.subscriptions[fact.subscription], fact.occurred_at
        self._drop_quote(sub, "asked_anew", at)
        charge = Charge(
            fact.charge, "upgrade", sub.id, fact.gross, fact.net, fact.tax, fact.due_on, at, fact.level, fact.units,
            discount=fact.credit, discount_tax=split(fact.credit).tax, worth=fact.credit, excess=fact.excess,
        )  # fmt: skip
        self.charges[charge.id] = self.open[charge.id] = charge
        sub.quote = charge.id
        if sub.state != "in_force" or RANK[fact.level] <= RANK[sub.level]:  # so it is in hindsight: nothing to quote
            self._drop_quote(sub, sub.state if sub.state in ("past_due", "lapsed", "cancelled") else "quote_ended", at)
            return
        tomorrow = local_day(at, self.zone) + timedelta(days=1)
        heappush(self.agenda, (midnight(tomorrow, self.zone), QUOTE_END, charge.id, 0))
        if charge.due:
            self._spend_credit(at)
        else:
            self._settle(charge, at)

    def _upgrade(self, charge: Charge, at: str) -> None:
        sub = self.subscriptions[charge.source]
        for grant in [g for g in self.live.values() if g.source == sub.id]:
            self._finish(grant, "voided", at)
        sub.turn += 1
        sub.month = sub.period = sub.period_month = 0
        sub.level, sub.units, sub.settled_by = charge.level, charge.units, charge.id
        sub.ends_on = sub.next_level = sub.next_term = sub.quote = ""
        sub.undoes = False
        self.journal.emit(
            self._due(
                f.PlanChanged, f"change:{charge.id}", at, subscription=sub.id, level=sub.level, term=sub.term,
                cause="upgraded",
            )
        )  # fmt: skip
        self._start(sub, at)
        if charge.excess:
            self.purse.excess += charge.excess
            self.purse.keep([(charge.id, charge.excess)])
            self._spend_credit(at)

    # --- at the next renewal ----------------------------------------------------------------------------------

    def _downgrade_scheduled(self, fact: f.DowngradeScheduled) -> None:
        self.subscriptions[fact.subscription].next_level = fact.level

    def _term_scheduled(self, fact: f.TermChangeScheduled) -> None:
        self.subscriptions[fact.subscription].next_term = fact.term

    def _change_withdrawn(self, fact: f.ChangeWithdrawn) -> None:
        sub = self.subscriptions[fact.subscription]
        sub.next_level = sub.next_term = ""

    # --- cards ------------------------------------------------------------------------------------------------

    def _card_registered(self, fact: f.CardRegistered) -> None:
        self.card, self.card_id, self.card_since = fact.token, fact.card, fact.occurred_at

    def _pay_by_changed(self, fact: f.PayByChanged) -> None:
        sub = self.subscriptions[fact.subscription]
        sub.pay_by = fact.pay_by
        self._lapse_settled(sub, fact.occurred_at)

    def _attempted(self, fact: f.ChargeAttempted) -> None:
        self.attempts[fact.attempt] = Attempt(fact.attempt, fact.charge, fact.token, fact.amount, fact.occurred_at)

    def _attempt_refused(self, fact: f.AttemptRefused) -> None:
        attempt = self.attempts[fact.attempt]
        attempt.state, attempt.code, attempt.final = "refused", fact.code, fact.final
        attempt.answered_at = fact.occurred_at
        for sub in self.subscriptions.values():
            if sub.unpaid == attempt.charge:
                self._lapse_settled(sub, fact.occurred_at)

    def _lapse_settled(self, sub: Subscription, at: str) -> None:
        """Let a plan lapse whose grace is over, now that no card's answer is awaited any more."""
        if sub.state == "past_due" and at >= sub.grace_until and not self.awaits_card(sub):
            self._end(sub, "lapsed", at)

    def due_attempts(self, after: str) -> list[DueAttempt]:
        """Return the next attempt on each open charge that is paid by card; their instants may lie ahead."""
        found = []
        for charge in self.open.values():
            if charge.times_paid or not self._by_card(charge):
                continue
            attempt = due_attempt(
                charge,
                [a for a in self.attempts.values() if a.charge == charge.id],
                card_id=self.card_id,
                card_since=self.card_since,
                token=self.card,
                zone=self.zone,
                after=after,
            )
            if attempt is not None:
                found.append(attempt)
        return found

    def unanswered(self) -> list[Attempt]:
        """Return the attempts whose answer is not known yet."""
        return [attempt for attempt in self.attempts.values() if attempt.state == "asked"]

    def _by_card(self, charge: Charge) -> bool:
        sub = self.bought() if charge.kind == "addon" else self.subscriptions[charge.source]
        return sub is not None and sub.live and sub.pay_by == "card"
