"""Cards and money given back through the gateway: recorded, asked, booked; looked up when no answer came."""

from __future__ import annotations

from ledger import billing
from ledger import facts as f
from ledger.account import Account, Asked
from ledger.errors import NotFound
from ledger.gateways import Gateway, GatewayAnswer, gateway_of
from ledger.gateways.sandbox import Sandbox
from ledger.questions import Answer
from ledger.recording import Recording
from ledger.rules.money import show_amount

_COUNTED = {"succeeded": "paid", "refused": "refused"}
# After these a card may be charged, or money given back to one, at once.
AT_ONCE = {
    *("plan.purchase", "addon.purchase", "plan.upgrade", "plan.pay_by"),
    *("card.register", "card.charge", "payment.refund"),
}


class Cashier(Recording):
    """A ledger with a card gateway."""

    _gateway_name = ""
    _gateway: Gateway | None = None

    @property
    def gateway(self) -> Gateway:
        """The card gateway of this ledger."""
        if self._gateway is None:
            name = self._gateway_name or ("sandbox" if self.clock.is_test else "none")
            self._gateway = gateway_of(name, self.store)
            if isinstance(self._gateway, Sandbox):
                self._gateway.listener = self._heard
        return self._gateway

    def _heard(self, answer: GatewayAnswer) -> None:
        self.settle(answer)

    def collect(self, number: str, *, now: str | None = None, at_once: bool = False) -> dict[str, int]:
        """Charge an account's card where that is due by `now`, and look up what has no answer yet.

        Returns counts: attempts asked of the gateway, and of its answers paid, refused and unanswered. Doing it again
        charges nothing twice: an attempt is recorded under a natural key, which is the gateway's too. `at_once`: a
        command asks; only a job notes that there is no card to charge.
        """
        instant = now or self.clock.now()
        counts = dict.fromkeys(("asked", "paid", "refused", "unanswered"), 0)
        if self.gateway.name == "none":
            return counts
        made: set[str] = set()

        def attempts(account: Account) -> list[f.Fact]:
            if at_once and not account.whole(instant).card:
                return []
            new = billing.due_attempts(account, instant)
            made.update(billing.reference(number, x.attempt) for x in new if isinstance(x, f.ChargeAttempted))
            return new

        self.record(number, attempts, instant)
        with self.accounts.existing(number) as account:
            requests = billing.unanswered(account, instant)
        for request, of in requests:
            answer = billing.ask(self.gateway, request, of, known=request.reference not in made)
            counts["asked"] += 1
            said = "unanswered" if answer is None else answer.outcome
            counts[_COUNTED.get(said, "unanswered")] += 1
            if answer is not None:
                self.settle(answer, now=instant)
        return counts

    def settle(self, answer: GatewayAnswer, *, now: str | None = None) -> Answer:
        """Book what the gateway says of an attempt or a refund, once; NotFound for one that was never asked."""
        number, _, name = answer.reference.rpartition("/")
        instant = now or self.clock.now()
        asked = Asked(instant, instant, billing.GATEWAY, "operator", billing.GATEWAY)
        try:
            appended = self.record(number, lambda account: billing.settle(account, name, answer, asked), instant)
        except NotFound:
            raise NotFound("unknown_attempt", reference=answer.reference) from None
        return {"ok": True, "reference": answer.reference, "recorded": appended}

    def with_card(self, name: str, values: Answer, answer: Answer, before: int) -> Answer:
        """Add to an answer what became of the card: it is asked after the command is on record.

        `before` is how many attempts there were then: an answer that names no charge tells of newer ones alone.
        """
        if name == "payment.refund":
            with self.accounts.existing(values["account"]) as account:
                state = billing.refund_state(account.whole(self.clock.now()), answer["refund"])
            return {**answer, "state": state, "position": self.store.last_position()}
        with self.accounts.existing(values["account"]) as account:
            charge = answer.get("charge")
            charges = [charge["id"] if isinstance(charge, dict) else charge] if charge else account.attempted[before:]
            outcome = billing.outcome(account, self.clock.now(), charges)
            if outcome is None:
                return answer
            book = account.whole(self.clock.now())
            paid = book.charges.get(outcome["charge"])
            if "effective" in answer and paid is not None:
                answer = {**answer, "due": show_amount(paid.due), "effective": bool(paid.paid_at)}
            return {**answer, "card_charge": outcome, "position": self.store.last_position()}
