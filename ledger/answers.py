"""Questions about one account or one ticket, answered from its streams as JSON-native values (COMMANDS.md).

Amounts are text with two decimals, instants RFC 3339 in the account's zone, `until` the first instant at which
it is no longer so.
"""

from __future__ import annotations

from typing import Any

from ledger.rules import sla, terms
from ledger.rules.book import Book
from ledger.rules.charges import Charge
from ledger.rules.grants import Grant
from ledger.rules.instants import show
from ledger.rules.money import show_amount
from ledger.rules.subscriptions import FAR, Subscription, local_day
from ledger.rules.sums import charge_money, refund_owed, sums

Answer = dict[str, Any]


def subscription_shown(book: Book) -> Subscription | None:
    """Return the subscription an answer speaks of: the bought one in force, else the licence, else the bought."""
    bought, licence = book.bought(), book.licence()
    candidates = [s for s in (bought, licence) if s is not None and s.state != "abandoned"]
    in_force = [s for s in candidates if s.state == "in_force"]
    return next(iter(in_force or candidates), None)


def balance(book: Book, at: str, unrecorded: int) -> Answer:
    """Return what is left, until when, and what the plan's state is at instant `at`."""
    sub = subscription_shown(book)
    grants = sorted(book.grants.values(), key=lambda g: (g.starts, g.id))
    return {
        "account": _account(book),
        "at": show(at, book.zone),
        **_plan(book, sub),
        "granted": sum(g.units for g in grants),
        "used": sum(g.used for g in grants),
        "expired": sum(g.expired for g in grants),
        "voided": sum(g.voided for g in grants),
        "remaining": sum(g.remaining for g in grants),
        "grants": [_grant(g, book.zone) for g in grants],
        "not_yet_recorded": unrecorded,
    }


def account(book: Book, at: str) -> Answer:
    """Return who the customer is, and how its plan stands at instant `at`."""
    opening = book.account
    assert opening is not None
    return {
        "account": opening.customer_no,
        "name": opening.name,
        "nit": opening.nit or None,
        "address": opening.address or None,
        "zone": book.zone,
        "currency": opening.currency,
        "language": opening.language,
        "opened_at": show(opening.occurred_at, book.zone),
        "at": show(at, book.zone),
        **_plan(book, subscription_shown(book)),
        "standing": standing(book, at),
        "remaining": sum(g.remaining for g in book.grants.values()),
    }


def standing(book: Book, at: str) -> str:
    """Return whether the customer is `up_to_date` (al día), or something is `pending`: due by `at` and not paid."""
    today = local_day(at, book.zone).isoformat()
    owes = any(charge_money(book, c).due > 0 for c in book.charges.values() if c.due_on <= today)
    return "pending" if owes or refund_owed(book) else "up_to_date"


def _account(book: Book) -> str:
    assert book.account is not None
    return book.account.customer_no


def _plan(book: Book, sub: Subscription | None) -> Answer:
    zone = book.zone
    state = sub.state if sub is not None else "none"
    answer: Answer = {
        "state": state,
        "level": sub.level if sub is not None else None,
        "subscription": sub.id if sub is not None else None,
        "period": None,
        "cancel_by": None,
        "ends_on": None,
    }
    if sub is None:
        return answer
    if state in ("in_force", "past_due"):
        answer["period"] = {"from": show(sub.period_from, zone), "until": show(sub.period_until, zone)}
    if state == "in_force" and sub.kind == "bought":
        answer["cancel_by"] = terms.last_cancel_day(sub.next_renewal()).isoformat()
        answer["ends_on"] = sub.ends_on or None
    elif sub.kind == "licence" and sub.live:
        answer["ends_on"] = sub.licence_until
    if state == "past_due":
        answer["charge"] = sub.unpaid
    return answer


def _grant(grant: Grant, zone: str) -> Answer:
    return {
        "grant": grant.id,
        "kind": grant.kind,
        "level": grant.level,
        "units": grant.units,
        "used": grant.used,
        "expired": grant.expired,
        "voided": grant.voided,
        "remaining": grant.remaining,
        "from": show(grant.starts, zone),
        "until": show(grant.until, zone) if grant.until < FAR else None,
        "taken_by": [{"at": show(at, zone), "ticket": ticket, "units": change} for at, ticket, change in grant.takes],
    }


def payments(book: Book, at: str) -> Answer:
    """Return every payment, what it pays, what of it is free or was given back; and each attempt on a card."""
    zone = book.zone
    charges = [*book.charges.values(), *book.debts.values()]
    shown = []
    for payment in book.payments.values():
        name, gone = payment.payment, payment.payment in book.hollow
        paid = [] if gone else [(c.id, c.part_of(name)) for c in charges]
        shown.append(
            {
                "payment": name,
                "value_date": show(payment.occurred_at, zone),
                "amount": show_amount(payment.amount),
                "method": payment.method,
                "reference": payment.reference,
                "slip_total": show_amount(payment.slip_total) if payment.slip_total else None,
                "pays": [{"charge": c, "amount": show_amount(part)} for c, part in paid if part],
                "available": show_amount(0 if gone else book.purse.available(name)),
                "refunded": show_amount(book.purse.refunds.get(name, 0)),
                "reversed": name in book.reversed,
                "reversed_amount": show_amount(book.reversed.get(name, 0)),
                "assumed": payment.assumed,
            }
        )
    attempts = [
        {
            "attempt": a.id,
            "charge": a.charge,
            "amount": show_amount(a.amount),
            "asked_at": show(a.asked_at, zone),
            "state": a.state,
            "code": a.code or None,
        }
        for a in book.attempts.values()
    ]
    return {
        "account": _account(book),
        "at": show(at, zone),
        "currency": book.currency,
        "payments": shown,
        "attempts": attempts,
    }


def billing(book: Book, at: str) -> Answer:
    """Return what was billed, paid and is due at instant `at`: the sums of `rules/sums.py`, and what they are of."""
    return {
        "account": _account(book),
        "at": show(at, book.zone),
        "currency": book.currency,
        "standing": standing(book, at),
        **{name: show_amount(amount) for name, amount in sums(book).items()},
        "charges": [charge(c, book) for c in book.charges.values()],
        "refund_debts": [_debt(debt, book) for debt in book.debts.values()],
    }


def charge(item: Charge, book: Book) -> Answer:
    """Return one charge with its state."""
    money = charge_money(book, item)
    return {
        "id": item.id,
        "kind": item.kind,
        "gross": show_amount(item.gross),
        "net": show_amount(item.net),
        "tax": show_amount(item.tax),
        "currency": book.currency,
        "due_on": item.due_on,
        "discount": show_amount(item.discount),
        "credited": show_amount(item.credited),
        "written_off": show_amount(item.written_off),
        "paid": show_amount(money.paid),
        "paid_assumed": show_amount(money.assumed),
        "due": show_amount(money.due),
        "state": money.state,
        "cause": item.void_cause or None,
    }


def _debt(debt: Charge, book: Book) -> Answer:
    """Return a refund that is owed, since its payment was taken back."""
    money = charge_money(book, debt)
    return {
        "id": debt.id,
        "payment": debt.source,
        "amount": show_amount(debt.gross),
        "due_on": debt.due_on,
        "paid": show_amount(money.paid + money.assumed),
        "due": show_amount(money.due),
    }


def ticket(clock: sla.Clock, at: str) -> Answer:
    """Return a case with its clock as of instant `at`."""
    opened = clock.opened
    zone = opened.zone

    def instant(value: str) -> str | None:
        return show(value, zone) if value else None

    return {
        "ticket": opened.ticket_no,
        "account": opened.customer_no,
        "request": clock.request,
        "subject": opened.subject or None,
        "level": clock.level or None,
        "priority": clock.priority,
        "grant": clock.grant or None,
        "why": opened.why or None,
        "opened_at": instant(opened.occurred_at),
        "due_at": instant(clock.due_at),
        "responded_at": instant(clock.responded_at),
        "responded_by": clock.responded_by or None,
        "assigned_to": clock.assigned_to or None,
        "waiting_since": instant(clock.waiting_since),
        "resolved_at": instant(clock.resolved_at),
        "verdict": clock.verdict(at),
        "verdict_level": clock.verdict_level or None,
        "verdict_priority": clock.verdict_priority or None,
        "excluded": clock.excluded or None,
        "given_back": clock.given_back,
        "final_at": instant(clock.final_at()),
    }
