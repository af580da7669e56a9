"""Decisions that change a running plan: upgrade, downgrade, change of term, how it is paid, the card.

DOMAIN.md 7 and 8.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from ledger import facts as f
from ledger.account import Account, Asked
from ledger.catalogue import Catalogue
from ledger.errors import NotFound, Refused
from ledger.plans import Answer, Decided, common, price, shown_charge
from ledger.rules.book import Book
from ledger.rules.charges import Charge
from ledger.rules.grants import RANK
from ledger.rules.money import show_amount, split
from ledger.rules.subscriptions import Subscription, local_day


def upgrade(account: Account, v: Answer, asked: Asked, catalogue: Catalogue) -> Decided:
    """Quote a higher level; it takes effect when its difference is paid that local day (rule 8)."""
    then, sub = _running(account, asked)
    # Then, or by now: a payment taken back acts on the plan from its recording, though its money was gone before.
    for book in (then, account.whole(asked.now)):
        own = book.subscriptions[sub.id]
        if own.state == "past_due" and (book is then or not own.awaits_renewal):
            due = show_amount(book.charges[own.unpaid].due)
            raise Refused("payment_due", account=account.number, charge=own.unpaid, due=due, currency=book.currency)
    if RANK[v["level"]] <= RANK[sub.level]:
        raise Refused("not_higher", level=v["level"], now=sub.level)
    _refuse_since(account, sub, asked)
    day = local_day(asked.at, then.zone)
    units, gross = price(catalogue, v["level"], sub.term, day, then.currency)
    worth = then.upgrade_credit(sub, asked.at)
    parts = split(gross)
    number = sum(isinstance(x, f.UpgradeAsked) for x in account.facts) + 1
    fact = f.UpgradeAsked(
        **common(account.number, asked),
        subscription=sub.id,
        charge=f"{account.number}-U{number}",
        level=v["level"],
        units=units,
        gross=parts.gross,
        net=parts.net,
        tax=parts.tax,
        due_on=day.isoformat(),
        credit=min(worth, gross),
        excess=max(worth - gross, 0),
    )

    def answer(book: Book) -> Answer:
        charge = book.charges[fact.charge]
        return {
            "subscription": sub.id,
            "charge": shown_charge(book, fact.charge),
            "credit": show_amount(fact.credit),
            "excess": show_amount(fact.excess),
            "due": show_amount(charge.due),
            "effective": bool(charge.paid_at),
        }

    return Decided([fact], answer=answer)


def downgrade(account: Account, v: Answer, asked: Asked, _catalogue: Catalogue) -> Decided:
    """Schedule a lower level for the next renewal (rule 8)."""
    _then, sub = _running(account, asked)
    if RANK[v["level"]] >= RANK[sub.level]:
        raise Refused("not_lower", level=v["level"], now=sub.level)
    effective = _next_change(account, sub, asked)
    if sub.ends_on and sub.ends_on <= effective.isoformat():
        raise Refused("ends_before_change", ends_on=sub.ends_on)
    fact = f.DowngradeScheduled(**common(account.number, asked), subscription=sub.id, level=v["level"])
    return _scheduled(fact, sub, effective, level=v["level"])


def change_term(account: Account, v: Answer, asked: Asked, _catalogue: Catalogue) -> Decided:
    """Schedule another term for the next renewal; its anchor stays (rule 8)."""
    _then, sub = _running(account, asked)
    if v["term"] == (sub.next_term or sub.term):
        raise Refused("same_term", term=v["term"])
    effective = _next_change(account, sub, asked)
    if sub.ends_on:
        raise Refused("ends_before_change", ends_on=sub.ends_on)
    fact = f.TermChangeScheduled(**common(account.number, asked), subscription=sub.id, term=v["term"])
    return _scheduled(fact, sub, effective, term=v["term"])


def withdraw_change(account: Account, _v: Answer, asked: Asked, _catalogue: Catalogue) -> Decided:
    """Take back a scheduled downgrade and change of term before they take effect."""
    _then, sub = _running(account, asked)
    if not (sub.next_level or sub.next_term):
        raise Refused("no_change_scheduled", account=account.number)
    effective = _next_change(account, sub, asked)
    if sub.ends_on and not replace(sub, next_term="").is_period_boundary(date.fromisoformat(sub.ends_on)):
        raise Refused("ends_before_change", ends_on=sub.ends_on)
    fact = f.ChangeWithdrawn(**common(account.number, asked), subscription=sub.id)
    return _scheduled(fact, sub, effective, level=sub.level, term=sub.term)


def pay_by(account: Account, v: Answer, asked: Asked, _catalogue: Catalogue) -> Decided:
    """Pay the plan by card or by hand from now on."""
    sub = account.at(asked.at, asked.now).bought()
    current = account.whole(asked.now).bought()
    if sub is None or current is None or not current.live or current.id != sub.id:
        raise Refused("nothing_to_change", account=account.number)
    if current.pay_by == v["pay_by"]:
        raise Refused("same_pay_by", pay_by=v["pay_by"])
    fact = f.PayByChanged(**common(account.number, asked), subscription=sub.id, pay_by=v["pay_by"])
    return Decided([fact], answer=lambda _book: {"subscription": sub.id, "pay_by": fact.pay_by})


def register_card(account: Account, v: Answer, asked: Asked, _catalogue: Catalogue) -> Decided:
    """Keep the gateway's token of the customer's card: it replaces the one before, and is tried at once (rule 7)."""
    number = sum(isinstance(x, f.CardRegistered) for x in account.facts) + 1
    if asked.at < account.whole(asked.now).card_since:
        raise Refused("card_registered_since", account=account.number)
    fact = f.CardRegistered(**common(account.number, asked), card=f"{account.number}-T{number}", token=v["token"])
    return Decided([fact], answer=lambda _book: {"card": fact.card})


def charge_card(account: Account, v: Answer, asked: Asked, _catalogue: Catalogue) -> Decided:
    """Ask the gateway for what is due on an open charge, whatever the retries say; never while an answer is awaited."""
    book = account.whole(asked.now)
    charge = open_charge(book, account, v["charge"])
    if not book.card:
        raise Refused("no_card", account=account.number)
    if any(a.charge == charge.id for a in book.unanswered()):
        raise Refused("attempt_unanswered", charge=charge.id)
    number = sum(a.charge == charge.id for a in book.attempts.values()) + 1
    fact = f.ChargeAttempted(
        **common(account.number, asked),
        attempt=f"{charge.id}-x{number}",
        charge=charge.id,
        amount=charge.due,
        currency=book.currency,
        token=book.card,
    )
    return Decided([fact], answer=lambda _book: {"charge": charge.id, "attempt": fact.attempt})


def open_charge(book: Book, account: Account, charge_id: str) -> Charge:
    """Return an open charge of the account; NotFound when there is none of that name, Refused when nothing is due."""
    charge = book.charges.get(charge_id)
    if charge is None:
        raise NotFound("unknown_charge", charge=charge_id, account=account.number)
    if charge.id not in book.open:
        raise Refused("nothing_due", charge=charge.id, state=charge.state)
    return charge


def _running(account: Account, asked: Asked) -> tuple[Book, Subscription]:
    """Return the book at the command's date, with its bought plan in force or past due, then and now."""
    then, whole = account.at(asked.at, asked.now), account.whole(asked.now)
    sub, current = then.bought(), whole.bought()
    if sub is None or current is None or current.id != sub.id:
        raise Refused("nothing_to_change", account=account.number)
    if sub.state not in ("in_force", "past_due") or current.state not in ("in_force", "past_due"):
        raise Refused("nothing_to_change", account=account.number)
    return then, sub


def _next_change(account: Account, sub: Subscription, asked: Asked) -> date:
    """Return the renewal at which a change takes effect; Refused when that has passed by now."""
    _refuse_since(account, sub, asked)
    return sub.boundary(sub.period_month + sub.months)


def _refuse_since(account: Account, sub: Subscription, asked: Asked) -> None:
    current = account.whole(asked.now).subscriptions[sub.id]
    if (current.turn, current.period) != (sub.turn, sub.period):
        raise Refused(
            "renewed_since", subscription=sub.id, period_from=current.boundary(current.period_month).isoformat()
        )


def _scheduled(fact: f.Fact, sub: Subscription, effective: date, **changed: str) -> Decided:
    answer = {"subscription": sub.id, **changed, "effective_on": effective.isoformat()}
    return Decided([fact], answer=lambda _book: answer)
