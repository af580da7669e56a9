"""What makes a payment's reference its own (DOMAIN.md 7): nobody's money is booked twice.

A deposit's or transfer's reference is unique per bank over all accounts, and so is what else is no cheque. Its stream
holds one claim a payment, each at the next place: of two who claim at once one is refused its place and decides again.
A cheque's number is unique per bank and customer, whose own stream says what was deposited. A payment booked by mistake
gives its reference back, a returned cheque its number. One slip that paid for several accounts says its total with
each part. Which payments hold a reference follows from the payments themselves, so claims of before mean the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ledger import facts as f
from ledger.account import Account, account_stream
from ledger.errors import Conflict, Malformed
from ledger.rules.money import show_amount
from ledger.store import Recorded, Store

PAID_OUT = "pago"  # the bank under which the references of what was paid out are unique
NO_CLAIM = 0
_CHEQUE = "cheque"


class Part(NamedTuple):
    """A payment that holds a reference; `slip_total` is 0 where it is the whole slip."""

    payment: str
    account: str
    amount: int
    currency: str
    slip_total: int


def reference_stream(bank: str, reference: str) -> str:
    """Return the stream of the claims on a bank's reference, whatever its capitals."""
    parts = (part.casefold().replace("%", "%25").replace("/", "%2F") for part in (bank, reference))
    return f"reference/{'/'.join(parts)}"


def place(store: Store, account: Account, v: Mapping[str, Any], currency: str) -> int:
    """Return the place at which a payment may claim its reference, NO_CLAIM for a cheque, which claims none.

    Raises Conflict naming who holds it and what of the slip is taken, Malformed for a total that cannot be.
    """
    bank, reference, total = v.get("bank", ""), v["reference"], v.get("slip_total", 0)
    if v["method"] == _CHEQUE:
        if total:
            raise Malformed("slip_total", show_amount(total), "remedy_slip_not_cheque")
        _check_cheque(account, bank, reference)
        return NO_CLAIM
    if total and v["amount"] > total:
        raise Malformed("slip_total", show_amount(total), "remedy_slip_total", amount=show_amount(v["amount"]))
    stream = reference_stream(bank, reference)
    claims = [f.decode(event.topic, event.state, event.position) for event in store.select_events(stream)]
    parts = [part for claim in claims if isinstance(claim, f.ReferenceClaimed) for part in _holding(store, claim)]
    if parts:
        _check_slip(parts, reference, v["amount"], total, currency)
    return len(claims) + 1


def claim(payment: f.PaymentRecorded, at_place: int) -> list[Recorded]:
    """Return the row with which a payment claims its reference: none for a cheque."""
    if at_place == NO_CLAIM:
        return []
    fact = f.ReferenceClaimed(
        customer_no=payment.customer_no,
        occurred_at=payment.occurred_at,
        by=payment.by,
        source=payment.source,
        reason=payment.reason,
        bank=payment.bank,
        reference=payment.reference,
        payment=payment.payment,
    )
    return [Recorded(reference_stream(payment.bank, payment.reference), at_place, fact)]


def check_paid_out(store: Store, reference: str) -> None:
    """Raise Conflict where money was paid out under `reference` before."""
    for event in store.select_events(reference_stream(PAID_OUT, reference)):
        used = f.decode(event.topic, event.state, event.position)
        assert isinstance(used, f.ReferenceClaimed)
        raise Conflict("duplicate_reference", reference=reference, account=used.customer_no, payment=used.payment)


def _check_cheque(account: Account, bank: str, number: str) -> None:
    stream = reference_stream(bank, number)
    free = _reversed(account.facts, ("mistake", "returned_cheque"))
    for fact in account.facts:
        if not isinstance(fact, f.PaymentRecorded) or fact.method != _CHEQUE or fact.payment in free:
            continue
        if reference_stream(fact.bank, fact.reference) == stream:
            raise Conflict("duplicate_cheque", reference=number, account=account.number, payment=fact.payment)


def _reversed(facts: Iterable[f.Fact], kinds: tuple[str, ...]) -> set[str]:
    return {fact.payment for fact in facts if isinstance(fact, f.PaymentReversed) and fact.kind in kinds}


def _holding(store: Store, claim: f.ReferenceClaimed) -> list[Part]:
    """Return what a claim holds still: nothing where its payment was a mistake, or a cheque (before, they claimed too).

    The payments of its account are read from the log: that one may be in use by another thread.
    """
    events = store.select_events(account_stream(claim.customer_no))
    facts = [f.decode(event.topic, event.state, event.position) for event in events]
    for fact in facts:
        if isinstance(fact, f.PaymentRecorded) and fact.payment == claim.payment:
            if fact.method == _CHEQUE or fact.payment in _reversed(facts, ("mistake",)):
                return []
            return [Part(fact.payment, fact.customer_no, fact.amount, fact.currency, fact.slip_total)]
    return [Part(claim.payment, claim.customer_no, 0, "", 0)]  # no payment: a document, or money paid out


def _check_slip(parts: list[Part], reference: str, amount: int, total: int, currency: str) -> None:
    """Raise Conflict unless `amount` is a part of the same slip that is left over by `parts`."""
    first = parts[0]
    holder = {"reference": reference, "account": first.account, "payment": first.payment}
    if not total and first.slip_total:
        raise Conflict("slip_total_missing", **holder, slip_total=show_amount(first.slip_total), currency=currency)
    if not first.slip_total:
        raise Conflict("duplicate_reference", **holder)
    if (first.slip_total, first.currency) != (total, currency):
        said = {"slip_total": show_amount(first.slip_total), "currency": first.currency}
        raise Conflict("slip_total_differs", **holder, **said, given=show_amount(total), given_currency=currency)
    taken = sum(part.amount for part in parts)
    if taken + amount > total:
        raise Conflict(
            "slip_used_up",
            reference=reference,
            amount=show_amount(amount),
            slip_total=show_amount(total),
            taken=show_amount(taken),
            left=show_amount(total - taken),
            currency=currency,
            where=", ".join(f"{part.account} {show_amount(part.amount)} ({part.payment})" for part in parts),
        )
