"""Cards: attempts recorded before the gateway is asked, answers booked once, unknown outcomes looked up (DOMAIN.md 7).

The gateway is never asked inside a transaction, nor while an account is locked. Whatever dies in between, the attempt
is on record: the next run looks it up under the same reference, which the gateway charges at most once.
"""

from __future__ import annotations

import logging
from typing import Any

from ledger import facts as f
from ledger.account import Account, Asked
from ledger.errors import NotFound, Refused, Unavailable
from ledger.gateways import Gateway, GatewayAnswer, GatewayRequest, GatewayTimeout
from ledger.plans import Answer, paid_late
from ledger.rules.book import Book
from ledger.rules.cards import Attempt
from ledger.rules.subscriptions import FAR

_log = logging.getLogger("supportledger.cards")
GATEWAY = "gateway"


def reference(account: str, name: str) -> str:
    """Return what an attempt or refund is called at the gateway: no account's number holds a slash."""
    return f"{account}/{name}"


def due_attempts(account: Account, now: str) -> list[f.Fact]:
    """Return the attempts that are due by `now`, dated by their rule; without a card, with the refusal that follows."""
    book = account.whole(now)
    made: list[f.Fact] = []
    for due in book.due_attempts(now):
        if due.at > now:
            continue
        fields = {"customer_no": account.number, "occurred_at": due.at, "by": "ledger", "source": "scheduler"}
        made.append(
            f.ChargeAttempted(
                **fields, attempt=due.id, charge=due.charge, amount=due.amount, currency=book.currency, token=book.card
            )
        )
        if not book.card:
            made.append(f.AttemptRefused(**fields, attempt=due.id, code="no_card", final=True))
    return made


def next_attempt(account: Account, now: str) -> str:
    """Return the instant of the next attempt or look-up on an account, FAR when there is none."""
    book = account.whole(now)
    waiting = [attempt.asked_at for attempt in book.unanswered()]
    waiting += [x.occurred_at for x in book.refunds.values() if _at_gateway(x) and x.refund not in book.settled_refunds]
    return min([*waiting, *(due.at for due in book.due_attempts(now))], default=FAR)


def _at_gateway(refund: f.RefundAsked) -> bool:
    return refund.method == "card"


def unanswered(account: Account, now: str) -> list[tuple[GatewayRequest, str]]:
    """Return what the gateway has not answered yet: (the request, the payment's reference when it is a refund)."""
    book = account.whole(now)
    found = [(_request(account.number, x.id, x.token, x.amount, book.currency, now), "") for x in book.unanswered()]
    for refund in book.refunds.values():
        if _at_gateway(refund) and refund.refund not in book.settled_refunds:
            of = book.payments[refund.payment].reference
            found.append((_request(account.number, refund.refund, "", refund.amount, book.currency, now), of))
    return found


def _request(account: str, name: str, token: str, amount: int, currency: str, at: str) -> GatewayRequest:
    return GatewayRequest(reference(account, name), account, token, amount, currency, at)


def ask(gateway: Gateway, request: GatewayRequest, of: str, *, known: bool) -> GatewayAnswer | None:
    """Ask the gateway; look up what was asked before (`known`). None when no answer came."""
    try:
        if known:
            answer = gateway.look_up(request.reference, request.at)
            if answer.outcome != "unknown":
                return answer
        return gateway.refund(request, of) if of else gateway.charge(request)
    except GatewayTimeout:
        _log.warning("no answer from the gateway for %s", request.reference)
    except Unavailable as gone:
        _log.error("gateway: %s", gone)
    return None


def settle(account: Account, name: str, answer: GatewayAnswer, asked: Asked) -> list[f.Fact]:
    """Return the facts of an answer: none when it says nothing new, a contradiction beside the first answer."""
    book = account.whole(asked.now)
    if name in book.refunds:
        return _settle_refund(account, name, answer, asked)
    attempt = book.attempts.get(name)
    if attempt is None:
        raise NotFound("unknown_attempt", reference=answer.reference)
    if answer.outcome not in ("succeeded", "refused"):
        return []
    fields = _dated(account, attempt.asked_at, answer, asked)
    if attempt.state == "asked":
        return [_answered(account, attempt, answer, asked, fields)]
    if (attempt.state == "paid") == (answer.outcome == "succeeded"):
        return []
    if any(isinstance(x, f.AttemptContradicted) and x.attempt == name for x in account.facts):
        return []
    contradiction = f.AttemptContradicted(
        **fields, attempt=name, said=answer.outcome, reference=answer.gateway_reference
    )
    if answer.outcome == "succeeded":  # the money was taken after all: it is the customer's
        return [contradiction, _answered(account, attempt, answer, asked, fields)]
    return [contradiction]


def _dated(account: Account, not_before: str, answer: GatewayAnswer, asked: Asked) -> dict[str, Any]:
    """Return the common fields of an answer: dated by the gateway, never before it was asked, never ahead of now."""
    at = min(max(answer.at, not_before), max(asked.now, not_before))
    return {"customer_no": account.number, "occurred_at": at, "by": GATEWAY, "source": GATEWAY}


def _answered(
    account: Account, attempt: Attempt, answer: GatewayAnswer, asked: Asked, fields: dict[str, Any]
) -> f.Fact:
    if answer.outcome == "refused":
        return f.AttemptRefused(**fields, attempt=attempt.id, code=answer.code, final=answer.final)
    book = account.whole(asked.now)
    number = sum(isinstance(x, f.PaymentRecorded) for x in account.facts) + 1
    payment = f.PaymentRecorded(
        **fields,
        payment=f"{account.number}-P{number}",
        amount=attempt.amount,
        currency=book.currency,
        method="card",
        reference=answer.gateway_reference or answer.reference,
        attempt=attempt.id,
        charge=attempt.charge,
    )
    manager = Asked(payment.occurred_at, asked.now, GATEWAY, "operator", GATEWAY, "gateway")
    return paid_late(account, payment, manager)


def _settle_refund(account: Account, name: str, answer: GatewayAnswer, asked: Asked) -> list[f.Fact]:
    book = account.whole(asked.now)
    if name in book.settled_refunds or answer.outcome not in ("succeeded", "refused"):
        return []
    fields = _dated(account, book.refunds[name].occurred_at, answer, asked)
    if answer.outcome == "refused":
        return [f.RefundRefused(**fields, refund=name, code=answer.code)]
    return [f.RefundSettled(**fields, refund=name, reference=answer.gateway_reference)]


def outcome(account: Account, now: str, charges: list[str]) -> Answer | None:
    """Return what became of the last attempt on one of `charges`, None when none was made."""
    own = [a for a in account.whole(now).attempts.values() if a.charge in charges]
    if not own:
        return None
    last = own[-1]
    state = {"asked": "unanswered"}.get(last.state, last.state)
    return {"attempt": last.id, "charge": last.charge, "outcome": state, "code": last.code or None}


def refund_state(book: Book, refund: str) -> str:
    """Return settled, refused or unanswered: only the gateway may say no, or nothing."""
    if refund in book.refused_refunds:
        return "refused"
    return "settled" if refund in book.settled_refunds or not _at_gateway(book.refunds[refund]) else "unanswered"


def check_token(gateway: Gateway, token: str) -> None:
    """Raise Refused unless the gateway knows `token`."""
    if gateway.name == "none":
        raise Refused("no_gateway")
    if not gateway.check_token(token):
        raise Refused("unknown_card_token")
