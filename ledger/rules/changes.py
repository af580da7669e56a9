"""A running plan changed: upgrade, downgrade, change of term, card; and money taken back (DOMAIN.md 7-9).

Each method takes a decided fact at its date, or is a step that follows from a payment.
"""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from heapq import heappush

from ledger import facts as f
from ledger.rules.cards import Attempt, DueAttempt, due_attempt
from ledger.rules.charges import Charge, take_out
from ledger.rules.grants import RANK, Grant
from ledger.rules.lifecycle import Lifecycle
from ledger.rules.money import half_up, split
from ledger.rules.state import BOUNDARY, QUOTE_END
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

    # --- money taken back ---------------------------------------------------------------------------------------

    def _reversed(self, fact: f.PaymentReversed) -> None:
        purse, at, payment = self.purse, fact.occurred_at, fact.payment
        self.reversed.add(payment)
        taken = purse.take_of(payment, purse.available(payment))
        out = [(charge, take_out(charge, payment)) for charge in self.charges.values()]
        purse.reversed += taken + sum(amount for _charge, amount in out)
        for charge, amount in out:
            # It was paid, or what was owed on it had been given up.
            if amount and charge.id not in self.open and not charge.voided_at:
                self._reopen(charge, amount, fact, at)
        self._spend_credit(at)

    def _reopen(self, charge: Charge, amount: int, fact: f.PaymentReversed, at: str) -> None:
        charge.paid_at = ""
        self.open[charge.id] = charge
        key = f"reopen:{charge.id}:{charge.times_paid}"
        if key in self.journal.derived:  # closed meanwhile, but not paid: its debt was given up
            key += f":{fact.payment}"
        self.journal.emit(self._due(f.ChargeReopened, key, at, charge=charge.id, amount=amount))
        sub = self.subscriptions.get(charge.source)
        running = sub is not None and sub.state == "in_force" and sub.settled_by == charge.id
        for grant in list(self.live.values()):
            if grant.source == charge.id or (running and grant.source == charge.source):
                self._suspend(grant, fact.used_later.get(grant.id, 0), at)
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
