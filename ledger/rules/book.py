"""The account's book: one pure fold of its facts, in the order of their dates, into balance and money.

`apply` takes decided facts in order of `occurred_at` (then position); `advance` lets time pass. Whatever falls
due on the way (renewals, a yearly plan's months, expiries, ends, lapses, abandonments) happens here, at its own
instant, and is kept in the `journal` under its natural key, beside what the log has recorded of it. So an answer
is the same before and after it is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from heapq import heappop, heappush
from typing import Any, ClassVar

from msgspec.structs import replace

from ledger import facts as f
from ledger.rules.corrections import Corrections
from ledger.rules.grants import Grant
from ledger.rules.state import ABANDON, BOUNDARY, EXPIRE, LAPSE, LICENCE_END, QUOTE_END, Prices
from ledger.rules.subscriptions import FAR, Subscription, local_day


class Book(Corrections):
    """State of one account at `last_change`, unchanged until `next_due()`."""

    # --- the two ways in ------------------------------------------------------------------------------

    def apply(self, fact: f.Fact) -> None:
        """Fold one decided fact; its date must not lie before `last_change` (ValueError: refold instead)."""
        if fact.occurred_at < self.last_change:
            raise ValueError("facts are folded in order of their dates")
        self.advance(fact.occurred_at)
        self.last_change = fact.occurred_at
        handler = self._HANDLERS.get(type(fact))
        if handler is not None:
            handler(self, fact)

    def advance(self, to: str) -> None:
        """Let everything that falls due up to and including instant `to` happen, each at its own instant."""
        agenda = self.agenda
        while agenda and agenda[0][0] <= to:
            at, kind, name, detail = heappop(agenda)
            if self._still_due(at, kind, name, detail):
                # A renewal paid long after its boundary makes later boundaries due in the past: at once, then.
                at = max(at, self.last_change)
                self.last_change = at
                self._STEPS[kind](self, name, at)

    def next_due(self) -> str:
        """Return the instant at which something falls due next (far in the future if nothing does)."""
        agenda = self.agenda
        while agenda and not self._still_due(*agenda[0]):
            heappop(agenda)
        return agenda[0][0] if agenda else FAR

    # --- decided facts ----------------------------------------------------------------------------------

    def _opened(self, fact: f.AccountOpened) -> None:
        self.account = fact
        self.zones = [(fact.occurred_at, fact.zone)]

    def _account_changed(self, fact: f.AccountChanged) -> None:
        assert self.account is not None
        given = {name: getattr(fact, name) for name in ("name", "nit", "address", "language")}
        self.account = replace(self.account, **{name: value for name, value in given.items() if value is not None})
        if fact.zone is None:
            return
        running = [sub for sub in self.subscriptions.values() if sub.state in ("in_force", "past_due")]
        for sub in running:  # what was promised in the old zone stays
            sub.next_zone = fact.zone
        if not running:
            self.zones.append((fact.occurred_at, fact.zone))

    def _purchased(self, fact: f.PlanPurchased) -> None:
        sub = Subscription(
            fact.subscription,
            "licence" if fact.channel == "licence" else "bought",
            fact.level,
            fact.term,
            fact.pay_by,
            self.zone,
            fact.charge,
            units=fact.units,
            licence_until=fact.licence_until,
        )
        self.subscriptions[sub.id] = sub
        if fact.gross == 0:
            self._start(sub, fact.occurred_at)
        else:
            self._raise("purchase", fact, sub.id)

    def _addon(self, fact: f.AddonPurchased) -> None:
        if fact.gross == 0:
            self._grant_addon(fact.charge, fact.level, fact.units, fact.occurred_at)
        else:
            self._raise("addon", fact, fact.charge)

    def _courtesy(self, fact: f.CourtesyGranted) -> None:
        self._grant(
            Grant(
                fact.grant, kind="courtesy", level=fact.level, units=fact.units, starts=fact.occurred_at,
                until=fact.until, source=fact.grant,
            )
        )  # fmt: skip

    def _licence_renewed(self, fact: f.LicenceRenewed) -> None:
        sub = self.subscriptions[fact.subscription]
        if fact.licence_until <= sub.licence_until:  # one typed later but dated before has moved it farther
            return
        before = sub.licence_end()
        sub.licence_until = fact.licence_until
        sub.period_until = sub.licence_end()
        heappush(self.agenda, (sub.licence_end(), LICENCE_END, sub.id, 0))
        for grant in self.live.values():
            if grant.source == sub.id and grant.until == before:
                grant.until = min(sub.boundary_at(sub.month + 1), sub.licence_end())
                heappush(self.agenda, (grant.until, EXPIRE, grant.id, 0))
                self.journal.emit(self._granted(grant))

    def _paid_in(self, fact: f.PaymentRecorded) -> None:
        purse, left = self.purse, fact.amount
        self.payments[fact.payment] = fact
        if fact.assumed:
            self.assumed.add(fact.payment)
        if fact.attempt:
            attempt = self.attempts[fact.attempt]
            attempt.state, attempt.answered_at = "paid", fact.occurred_at
        if fact.unapplied:
            purse.waiting[fact.payment] = fact.amount
            return
        for charge in self.owed(fact.charge):
            part = min(charge.due, left)
            if part:
                left -= part
                purse.applied.setdefault(fact.payment, []).append((charge.id, part))
                self._pay(charge, [(fact.payment, part)], fact.occurred_at)
        if left == fact.amount and self.late_money():
            purse.waiting[fact.payment] = left
        else:
            purse.keep([(fact.payment, left)])

    def _cancelled(self, fact: f.CancellationScheduled) -> None:
        sub, at = self.subscriptions[fact.subscription], fact.occurred_at
        ends = date.fromisoformat(fact.ends_on)
        if sub.state in ("in_force", "past_due"):
            # Money that came to light may have moved the boundaries, or paid the one it was to end at.
            ends = sub.period_end(ends)
        sub.ends_on = ends.isoformat()
        sub.undoes = fact.undoes
        unpaid_boundary = sub.awaits_renewal and ends == sub.next_renewal()
        # Of a period that was taken back the end may lie behind: nothing of the plan runs any more.
        behind = sub.state in ("pending", "past_due") and ends <= local_day(at, self.zone)
        at_once = sub.state == "past_due" and fact.at_once
        if unpaid_boundary or at_once or (behind and not sub.awaits_renewal):
            sub.unpaid = sub.unpaid or sub.charge
            self._end(sub, "cancelled", at)
        elif sub.state == "past_due":  # its boundary may have been looked at and left out, with no end to come
            heappush(self.agenda, (sub.boundary_at(sub.month + 1), BOUNDARY, sub.id, sub.place(sub.month + 1)))

    def _withdrawn(self, fact: f.CancellationWithdrawn) -> None:
        sub = self.subscriptions[fact.subscription]
        sub.ends_on = ""
        sub.undoes = False

    def _consumed(self, fact: f.TicketConsumed) -> None:
        grant = self.grants.get(fact.grant)
        holds_one = fact.ticket_no in self.uses
        if grant is None or holds_one or not grant.holds_at(fact.occurred_at):
            self.broken.append(fact.ticket_no)
        if grant is not None:
            sub = self.subscriptions.get(grant.source)
            if sub is not None and sub.quote:  # the credit quoted counted this unit
                self._drop_quote(sub, "unit_used", fact.occurred_at)
            grant.used += 1
            grant.takes.append((fact.occurred_at, fact.ticket_no, 1))
            self.uses[fact.ticket_no] = grant.id

    def _given_back(self, fact: f.UnitGivenBack) -> None:
        grant = self.grants.get(fact.grant)
        if self.uses.get(fact.ticket_no) != fact.grant:  # dated before the unit was taken
            self.broken.append(fact.ticket_no)
        self.uses.pop(fact.ticket_no, None)
        if grant is None:
            return
        grant.used -= 1
        grant.takes.append((fact.occurred_at, fact.ticket_no, -1))
        if grant.ended:  # it goes the same way again, in the same instant
            self._drop(grant, 1, fact.occurred_at)

    # --- what falls due ---------------------------------------------------------------------------------

    def _still_due(self, at: str, kind: int, name: str, detail: int) -> bool:
        if kind == EXPIRE:
            grant = self.grants[name]
            return not grant.ended and grant.until == at
        if kind == ABANDON:
            return name in self.open and not self.open[name].times_paid
        if kind == QUOTE_END:
            return name in self.open and self.subscriptions[self.charges[name].source].quote == name
        sub = self.subscriptions[name]
        if kind == LICENCE_END:
            return sub.state == "in_force" and sub.licence_end() == at
        if kind == LAPSE:
            return sub.state == "past_due" and sub.place(sub.month) == detail and sub.grace_until == at
        if sub.place(sub.month + 1) != detail:
            return False
        # Past due on a period that had begun (a payment was taken back): it ends where it was to end all the same.
        ends = (
            sub.state == "past_due"
            and not sub.awaits_renewal
            and sub.boundary(sub.month + 1).isoformat() == sub.ends_on
        )
        return sub.state == "in_force" or ends

    _HANDLERS: ClassVar[dict[type[f.Fact], Callable[[Book, Any], None]]] = {
        f.AccountOpened: _opened,
        f.AccountChanged: _account_changed,
        f.PlanPurchased: _purchased,
        f.LicenceRenewed: _licence_renewed,
        f.AddonPurchased: _addon,
        f.CourtesyGranted: _courtesy,
        f.PaymentRecorded: _paid_in,
        f.CancellationScheduled: _cancelled,
        f.CancellationWithdrawn: _withdrawn,
        f.UpgradeAsked: Corrections._upgrade_asked,
        f.DowngradeScheduled: Corrections._downgrade_scheduled,
        f.TermChangeScheduled: Corrections._term_scheduled,
        f.ChangeWithdrawn: Corrections._change_withdrawn,
        f.PayByChanged: Corrections._pay_by_changed,
        f.CardRegistered: Corrections._card_registered,
        f.ChargeAttempted: Corrections._attempted,
        f.AttemptRefused: Corrections._attempt_refused,
        f.PaymentReversed: Corrections._reversed,
        f.ReversalTookEffect: Corrections._took_effect,
        f.DiscountGiven: Corrections._discounted,
        f.ChargeCancelled: Corrections._charge_cancelled,
        f.DebtWrittenOff: Corrections._written_off,
        f.CreditNoted: Corrections._credit_noted,
        f.RefundAsked: Corrections._refund_asked,
        f.RefundSettled: Corrections._refund_settled,
        f.RefundRefused: Corrections._refund_refused,
        f.MoneyApplied: Corrections._applied,
        f.TicketConsumed: _consumed,
        f.UnitGivenBack: _given_back,
    }


def fold(prices: Prices, stream: Iterable[f.Fact], to: str) -> Book:
    """Return the book of an account's facts (in the order of the log) as it stood at instant `to`.

    Facts dated after `to` are left out; what has fallen due by `to` is folded in, recorded or not.
    """
    book = Book(prices)
    decided = []
    for fact in stream:
        if isinstance(fact, f.Due):
            book.journal.note(fact)
        elif fact.occurred_at <= to and not isinstance(fact, f.PAPERS):
            decided.append(fact)
    decided.sort(key=lambda fact: fact.occurred_at)  # stable: position decides between equal instants
    for fact in decided:
        book.apply(fact)
    book.advance(to)
    return book
