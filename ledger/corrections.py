"""Decisions that correct money: each names what it corrects, who approved and why (DOMAIN.md 9).

Never more than is left to correct.
"""

from __future__ import annotations

from ledger import facts as f
from ledger.account import Account, Asked
from ledger.catalogue import Catalogue
from ledger.changes import open_charge
from ledger.errors import Malformed, NotFound, Refused
from ledger.plans import Answer, Decided, common
from ledger.references import PAID_OUT, reference_stream
from ledger.rules.book import Book
from ledger.rules.charges import Charge
from ledger.rules.money import show_amount, split
from ledger.rules.sums import refund_owed
from ledger.store import Recorded


def discount(account: Account, v: Answer, asked: Asked, _catalogue: Catalogue) -> Decided:
    """Ask for less on an open charge."""
    book = account.whole(asked.now)
    charge = open_charge(book, account, v["charge"])
    _then(account, charge.id, asked)
    if charge.times_paid or charge.id in account.invoiced:  # paid once, though in hindsight it was not
        raise Refused("invoiced_already", charge=charge.id)
    _at_most(v["amount"], charge.due, "charge", charge.id, book)
    number = _number(account, f.DiscountGiven)
    tax = line_tax(v["amount"], charge.total, charge.total_tax)
    fact = f.DiscountGiven(
        **_corrects(account, v, asked),
        discount=f"{account.number}-D{number}",
        charge=charge.id,
        gross=v["amount"],
        net=v["amount"] - tax,
        tax=tax,
    )
    return Decided([fact], answer=lambda book: {"discount": fact.discount, **_left(book, charge.id)})


def void(account: Account, v: Answer, asked: Asked, _catalogue: Catalogue) -> Decided:
    """Let an open charge fall away; a renewal's goes with its plan, a paid one takes a credit note."""
    charge = open_charge(account.whole(asked.now), account, v["charge"])
    _then(account, charge.id, asked)
    if charge.times_paid:
        raise Refused("invoiced_already", charge=charge.id)
    if charge.kind == "renewal":
        raise Refused("renewal_not_voided", charge=charge.id)
    fact = f.ChargeCancelled(**_corrects(account, v, asked), charge=charge.id)
    return Decided([fact], answer=lambda book: _left(book, charge.id))


def write_off(account: Account, v: Answer, asked: Asked, _catalogue: Catalogue) -> Decided:
    """Give up what is owed on a charge whose service was given: one that was paid once, of a period that is over."""
    book = account.whole(asked.now)
    if v["charge"] in book.debts:
        raise Refused("refund_debt_stays", debt=v["charge"])
    charge = open_charge(book, account, v["charge"])
    then = _then(account, charge.id, asked)
    if not then.times_paid:
        raise Refused("void_instead", charge=charge.id)
    if not then.due:
        raise Refused("nothing_due", charge=charge.id, state=then.state)
    if charge.id in book.past_due():
        raise Refused("still_running", charge=charge.id)
    amount = v.get("amount", charge.due)
    _at_most(amount, min(charge.due, then.due), "charge", charge.id, book)
    fact = f.DebtWrittenOff(**_corrects(account, v, asked), charge=charge.id, amount=amount)
    return Decided([fact], answer=lambda book: {"amount": show_amount(amount), **_left(book, charge.id)})


def credit(account: Account, v: Answer, asked: Asked, _catalogue: Catalogue) -> Decided:
    """Credit part of an invoiced charge: what was paid becomes the customer's credit (a credit note)."""
    book = account.whole(asked.now)
    charge = book.charges.get(v["charge"])
    if charge is None:
        raise NotFound("unknown_charge", charge=v["charge"], account=account.number)
    if not _then(account, charge.id, asked).times_paid or charge.voided_at:
        raise Refused("not_invoiced", charge=charge.id)
    if not charge.invoiced:
        raise Refused("invoiced_elsewhere", charge=charge.id)
    _at_most(v["amount"], charge.paid + charge.due, "charge", charge.id, book)
    number = _number(account, f.CreditNoted)
    tax = credit_tax(charge, v["amount"])
    fact = f.CreditNoted(
        **_corrects(account, v, asked),
        note=f"{account.number}-N{number}",
        charge=charge.id,
        gross=v["amount"],
        net=v["amount"] - tax,
        tax=tax,
    )
    return Decided(
        [fact],
        answer=lambda book: {
            "note": fact.note,
            "gross": show_amount(fact.gross),
            "net": show_amount(fact.net),
            "tax": show_amount(fact.tax),
            **_left(book, charge.id),
        },
    )


def credit_tax(charge: Charge, amount: int) -> int:
    """Return the tax of a credit note: rounded by itself, the last one takes the remainder (rule 9).

    A debt that was written off stands in the invoice all the same.
    """
    return line_tax(amount, charge.total - charge.credited, charge.total_tax - charge.credited_tax)


def line_tax(amount: int, left: int, tax_left: int) -> int:
    """Return the tax of a line that takes `amount` off `left`.

    What remains must stay a possible invoice: its tax neither negative nor above its gross.
    """
    return min(max(split(amount).tax, tax_left - (left - amount)), tax_left)


def refund(account: Account, v: Answer, asked: Asked, _catalogue: Catalogue) -> Decided:
    """Give money back that pays nothing; by card through the gateway, otherwise as it was paid out."""
    book = account.whole(asked.now)
    payment = _payment(book, account, v["payment"])
    if payment.assumed:
        raise Refused("assumed_not_refunded", payment=payment.payment)
    if v["method"] == "card" and payment.method != "card":
        raise Refused("not_paid_by_card", payment=payment.payment)
    if v["method"] != "card" and not v.get("reference"):
        raise Malformed("reference", None, "remedy_missing")
    available = min(book.purse.available(payment.payment), _available_then(account, payment.payment, asked))
    _at_most(v["amount"], available, "payment", payment.payment, book)
    fact = f.RefundAsked(
        **_corrects(account, v, asked),
        refund=f"{account.number}-R{_number(account, f.RefundAsked)}",
        payment=payment.payment,
        amount=v["amount"],
        method=v["method"],
        reference=v.get("reference", ""),
    )
    claims = []
    if fact.reference and fact.method != "card":
        claim = f.ReferenceClaimed(
            **common(account.number, asked), bank=PAID_OUT, reference=fact.reference, payment=fact.refund
        )
        claims.append(Recorded(reference_stream(PAID_OUT, fact.reference), 1, claim))
    return Decided(
        [fact],
        claims,
        lambda book: {
            "refund": fact.refund,
            "amount": show_amount(fact.amount),
            "credit": show_amount(book.purse.credit),
            "unapplied": show_amount(book.purse.unapplied),
            "currency": book.currency,
        },
    )


def _then(account: Account, charge: str, asked: Asked) -> Charge:
    """Return a charge as it was at the date of its correction; Refused when it was not asked for yet."""
    then = account.at(asked.at, asked.now).charges.get(charge)
    if then is None:
        raise Refused("before_charge", charge=charge)
    return then


def _available_then(account: Account, payment: str, asked: Asked) -> int:
    return account.at(asked.at, asked.now).purse.available(payment)


def reverse(account: Account, v: Answer, asked: Asked, _catalogue: Catalogue) -> Decided:
    """Take a payment back (returned cheque, chargeback, booked by mistake): all of it, what it paid is owed again.

    The money from the date given, the plan from now on (rule 7).
    """
    book = account.whole(asked.now)
    payment = _payment(book, account, v["payment"])
    if payment.payment in book.reversed:
        raise Refused("reversed_already", payment=payment.payment)
    if asked.at < payment.occurred_at:
        raise Refused("before_payment", payment=payment.payment)
    if v["kind"] == "returned_cheque" and payment.method not in ("cheque", "deposit"):
        raise Refused("not_a_cheque", payment=payment.payment, method=payment.method)
    told = max(asked.now, asked.at)
    fact = f.PaymentReversed(
        **_corrects(account, v, asked),
        payment=payment.payment,
        kind=v["kind"],
        reference=v.get("reference", ""),
        amount=payment.amount,
        rule=2,
    )
    effect = f.ReversalTookEffect(
        **{**common(account.number, asked), "occurred_at": told},
        payment=payment.payment,
        used_later=_used_later(book, told),
    )

    def answer(book: Book) -> Answer:
        return {
            "payment": payment.payment,
            "amount": show_amount(fact.amount),
            "reopened": [c.id for c in book.open.values() if c.times_paid],
            "refund_owed": show_amount(refund_owed(book)),
            "state": sub.state if (sub := book.bought()) is not None else "none",
            "credit": show_amount(book.purse.credit),
            "currency": book.currency,
        }

    return Decided([fact, effect], answer=answer)


def _used_later(book: Book, at: str) -> dict[str, int]:
    """Return by grant the units that were used after `at`, beyond those in use then: they stay used."""
    later = {}
    for grant in book.grants.values():
        used = peak = 0
        for instant, _ticket, change in grant.takes:
            used += change
            peak = used if instant <= at else max(peak, used)
        then = sum(change for instant, _ticket, change in grant.takes if instant <= at)
        if peak > then:
            later[grant.id] = peak - then
    return later


def apply_money(account: Account, v: Answer, asked: Asked, _catalogue: Catalogue) -> Decided:
    """Let unapplied money pay what is due; the rest becomes credit."""
    book = account.whole(asked.now)
    waiting = {p: amount for p, amount in book.purse.waiting.items() if amount and v.get("payment") in (None, p)}
    if not waiting:
        raise Refused("nothing_unapplied", account=account.number)
    late = [p for p in waiting if asked.at < book.payments[p].occurred_at]
    if late:
        raise Refused("before_payment", payment=late[0])
    facts: list[f.Fact] = [
        f.MoneyApplied(**common(account.number, asked), payment=p, amount=amount) for p, amount in waiting.items()
    ]
    return Decided(
        facts,
        answer=lambda book: {
            "applied": [{"payment": p, "amount": show_amount(amount)} for p, amount in waiting.items()],
            "credit": show_amount(book.purse.credit),
            "unapplied": show_amount(book.purse.unapplied),
            "currency": book.currency,
        },
    )


def _payment(book: Book, account: Account, payment_id: str) -> f.PaymentRecorded:
    payment = book.payments.get(payment_id)
    if payment is None:
        raise NotFound("unknown_payment", payment=payment_id, account=account.number)
    return payment


def _corrects(account: Account, v: Answer, asked: Asked) -> Answer:
    """Return a correction's common fields; whoever approves what needs it is named in `ledger.approving`."""
    return {**common(account.number, asked), "approver": v.get("approver", asked.by)}


def _at_most(amount: int, left: int, what: str, name: str, book: Book) -> None:
    if amount > left:
        facts = {"amount": show_amount(amount), "left": show_amount(left), "currency": book.currency}
        raise Refused("more_than_left", **facts, subject=name, kind=what)


def _number(account: Account, kind: type[f.Fact]) -> int:
    return sum(isinstance(x, kind) for x in account.facts) + 1


def _left(book: Book, charge_id: str) -> Answer:
    charge = book.charges[charge_id]
    return {
        "charge": charge.id,
        "state": charge.state,
        "due": show_amount(charge.due),
        "credit_balance": show_amount(book.purse.credit),
        "currency": book.currency,
    }
