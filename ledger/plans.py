"""Decisions on plans and money: each checks one command against the account and returns the facts to append."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from msgspec.structs import replace

from ledger import facts as f
from ledger import references
from ledger.account import Account, Asked
from ledger.catalogue import Catalogue
from ledger.commands import MANAGERS
from ledger.errors import Malformed, NotFound, Refused
from ledger.rules import terms
from ledger.rules.book import Book, fold
from ledger.rules.money import show_amount, split
from ledger.rules.subscriptions import Subscription, local_day, midnight
from ledger.rules.sums import pays
from ledger.store import Recorded

Answer = dict[str, Any]


@dataclass(frozen=True)
class Decided:
    """Facts for the account's stream, rows for other streams, and the answer from the book that results.

    `papers` are documents that follow from no fact: the answer names them by their kinds.
    `declined` marks an answer that is a no, though it is recorded.
    """

    facts: list[f.Fact] = field(default_factory=list)
    others: list[Recorded] = field(default_factory=list)
    answer: Callable[[Book], Answer] = lambda _book: {}
    declined: str = ""
    papers: list[f.DocumentIssued] = field(default_factory=list)


def common(account: str, asked: Asked) -> dict[str, Any]:
    """Return the fields that every fact of this command carries."""
    return {
        "customer_no": account,
        "occurred_at": asked.at,
        "by": asked.by,
        "source": asked.source,
        "reason": asked.reason,
        "stated_by": asked.stated_by,
    }


def open_account(number: str, v: Answer, asked: Asked, catalogue: Catalogue) -> f.AccountOpened:
    """Return the opening of account `number`; zone, currency and language default to the catalogue's."""
    return f.AccountOpened(
        **common(number, asked),
        name=v["name"],
        nit=v.get("nit", ""),
        address=v.get("address", ""),
        zone=v.get("zone", catalogue.zone),
        currency=v.get("currency", catalogue.currency),
        language=v.get("language", "es_GT"),
    )


def purchase_plan(account: Account, v: Answer, asked: Asked, catalogue: Catalogue) -> Decided:
    """Buy a plan, or record the one that comes with a licence (rules 1, 2)."""
    licence = v["channel"] == "licence"
    _refuse_second(account, asked, licence)
    opening = account.opening
    day = local_day(asked.at, account.zone_at(asked.at))
    _check_channel(v, day)
    number = sum(isinstance(x, f.PlanPurchased) for x in account.facts) + 1
    term = "monthly" if licence else v["term"]
    units, gross = price(catalogue, v["level"], term, day, opening.currency)
    parts = split(0 if licence else gross)
    subscription = f"{account.number}-S{number}"
    fact = f.PlanPurchased(
        **common(account.number, asked),
        subscription=subscription,
        level=v["level"],
        term=term,
        channel=v["channel"],
        pay_by=v.get("pay_by", "manual"),
        units=units,
        gross=parts.gross,
        net=parts.net,
        tax=parts.tax,
        due_on=day.isoformat(),
        salesperson=v.get("salesperson") or (asked.by if v["channel"] == "salesperson" else ""),
        licence_until=v.get("licence_until", ""),
        charge=f"{subscription}-p" if parts.gross else "",
    )
    return Decided(
        [fact], answer=lambda book: {"subscription": subscription, "charge": shown_charge(book, fact.charge)}
    )


def _refuse_second(account: Account, asked: Asked, licence: bool) -> None:
    kind = "licence" if licence else "bought"
    for book in (account.at(asked.at, asked.now), account.whole(asked.now)):
        for sub in book.subscriptions.values():
            later = sub.period_from >= asked.at and sub.state != "abandoned"
            if sub.kind == kind and (sub.live or later):
                raise Refused(
                    "already_subscribed",
                    account=account.number,
                    subscription=sub.id,
                    level=sub.level,
                    state=sub.state,
                )


def _check_channel(v: Answer, day: date) -> None:
    until = v.get("licence_until")
    if v["channel"] == "licence":
        if until is None:
            raise Malformed("licence_until", None, "remedy_missing")
        if date.fromisoformat(until) < day:
            raise Malformed("licence_until", until, "remedy_not_past")
        if v["level"] != "basic":
            raise Refused("licence_is_basic", level=v["level"])
    elif until is not None:
        raise Malformed("licence_until", until, "remedy_licence_only")


def renew_licence(account: Account, v: Answer, asked: Asked, _catalogue: Catalogue) -> Decided:
    """Move the recorded date of the licence, and with it the end of its last grant (rule 1)."""
    sub = account.whole(asked.now).licence()
    then = account.at(asked.at, asked.now).licence()
    if sub is None or then is None or not sub.live or then.id != sub.id:
        raise Refused("no_licence", account=account.number)
    if v["licence_until"] <= sub.licence_until:
        raise Refused("licence_not_later", licence_until=sub.licence_until, given=v["licence_until"])
    fact = f.LicenceRenewed(**common(account.number, asked), subscription=sub.id, licence_until=v["licence_until"])
    return Decided([fact], answer=lambda _book: {"subscription": sub.id, "licence_until": fact.licence_until})


def purchase_addon(account: Account, v: Answer, asked: Asked, catalogue: Catalogue) -> Decided:
    """Buy an add-on; needs a subscription in force, whether or not tickets remain (rule 4)."""
    book = account.at(asked.at, asked.now)
    if not book.in_force():
        sub = book.bought()
        if sub is not None and sub.state == "past_due":
            due = show_amount(book.charges[sub.unpaid].due)
            raise Refused("payment_due", account=account.number, charge=sub.unpaid, due=due, currency=book.currency)
        raise Refused("no_plan", account=account.number)
    bought = book.bought()
    if asked.role == "agent" and bought is not None and bought.live and bought.pay_by == "card":
        raise Refused("paid_by_card", subscription=bought.id)  # an agent touches no card (DOMAIN.md, "Least privilege")
    day = local_day(asked.at, book.zone)
    units, gross = price(catalogue, v["level"], "addon", day, book.currency)
    parts = split(gross)
    number = sum(isinstance(x, f.AddonPurchased) for x in account.facts) + 1
    fact = f.AddonPurchased(
        **common(account.number, asked),
        charge=f"{account.number}-A{number}",
        level=v["level"],
        units=units,
        gross=parts.gross,
        net=parts.net,
        tax=parts.tax,
        due_on=day.isoformat(),
    )
    return Decided([fact], answer=lambda book: {"charge": shown_charge(book, fact.charge)})


def grant_courtesy(account: Account, v: Answer, asked: Asked, _catalogue: Catalogue) -> Decided:
    """Grant tickets to make good our own mistake: manager, reason, 30 days; a second one above the cap (rule 12)."""
    zone = account.zone_at(asked.at)
    number = sum(isinstance(x, f.CourtesyGranted) for x in account.facts) + 1
    fact = f.CourtesyGranted(
        **common(account.number, asked),
        grant=f"{account.number}-K{number}",
        level=v["level"],
        units=v["units"],
        until=midnight(terms.thirty_days_until(local_day(asked.at, zone)), zone),
    )
    return Decided([fact], answer=lambda _book: {"grant": fact.grant})


def payment_currency(account: Account, v: Answer) -> str:
    """Return the currency of a payment: the account's; Refused for another."""
    currency: str = v.get("currency", account.opening.currency)
    if currency != account.opening.currency:
        raise Refused("wrong_currency", currency=currency, expected=account.opening.currency)
    return currency


def record_payment(account: Account, v: Answer, asked: Asked, _catalogue: Catalogue) -> Decided:
    """Book money by its value date; it may undo a lapse when it is dated in grace (rule 7).

    `v["place"]` is where it claims its reference (`references.place`).
    """
    currency = payment_currency(account, v)
    number = sum(isinstance(x, f.PaymentRecorded) for x in account.facts) + 1
    fact = f.PaymentRecorded(
        **common(account.number, asked),
        payment=f"{account.number}-P{number}",
        amount=v["amount"],
        currency=currency,
        method=v["method"],
        reference=v["reference"],
        bank=v.get("bank", ""),
        slip_total=v.get("slip_total", 0),
    )
    fact = paid_late(account, fact, asked)

    def answer(book: Book) -> Answer:
        return {
            "payment": fact.payment,
            "applied": [{"charge": c, "amount": show_amount(part)} for c, part in pays(book, fact.payment)],
            "credit": show_amount(book.purse.credit),
            "unapplied": show_amount(book.purse.unapplied),
            "currency": currency,
        }

    return Decided([fact], references.claim(fact, v["place"]), answer)


def paid_late(account: Account, fact: f.PaymentRecorded, asked: Asked) -> f.PaymentRecorded:
    """Return the payment as it may count: money in grace undoes a lapse (manager, reason), unless bought again."""
    whole = account.whole(asked.now)
    if fact.occurred_at >= whole.last_change:
        return fact
    trial = fold(account.prices, [*account.facts, fact], asked.now)
    # What ended does not end, or at another instant: a plan may lapse again at a later boundary.
    ended = [s for s in whole.subscriptions.values() if s.ended_at]
    undone = [s for s in ended if trial.subscriptions[s.id].ended_at != s.ended_at]
    latest = whole.bought()
    bought_again = any(latest is not None and s.id != latest.id for s in undone)
    if bought_again or len(trial.broken) > len(whole.broken):
        return replace(fact, unapplied=True)
    if any(s.state == "lapsed" for s in undone) and (asked.role not in MANAGERS or not asked.reason):
        raise Refused("lapse_undone_by_manager", account=account.number, subscription=undone[0].id)
    return fact


def cancel_plan(account: Account, v: Answer, asked: Asked, _catalogue: Catalogue) -> Decided:
    """Schedule the end: until 5 days before the renewal, by the customer's asking; past due at once (rule 6)."""
    then, whole = account.at(asked.at, asked.now), account.whole(asked.now)
    sub = then.bought()
    current = whole.subscriptions[sub.id] if sub is not None else None
    if sub is None or current is None or not sub.live or not current.live:
        raise Refused("nothing_to_cancel", account=account.number)
    undoes = overridden = at_once = False
    if sub.state == "past_due" and not sub.awaits_renewal and "ends" not in v:  # a payment was taken back
        at_once = not _used_since(whole, current, asked.at)  # typed after it was paid again and used: as above
        ends = local_day(asked.at, then.zone) if at_once else current.next_renewal()
    elif sub.state == "pending" or sub.awaits_renewal:
        ends = sub.next_renewal() if sub.awaits_renewal else local_day(asked.at, then.zone)
        if v.get("ends") not in (None, ends.isoformat()):
            raise Refused("not_a_boundary", ends=v["ends"], next_end=ends.isoformat())
        ends, _undoes = _after_renewal(whole, current, ends)  # typed after it was paid: it never begins, unless used
    else:
        if current.ends_on == v.get("ends", sub.next_renewal().isoformat()):  # before any deadline is looked at
            raise Refused("already_cancelled", ends_on=current.ends_on)
        ends, overridden = _end_asked(sub, v, asked)
        if midnight(ends, then.zone) <= asked.now:  # typed after the renewal had run
            ends, undoes = _after_renewal(whole, current, ends)
    if sub.state == "in_force" and current.ends_on == ends.isoformat():
        raise Refused("already_cancelled", ends_on=current.ends_on)
    fact = f.CancellationScheduled(
        **common(account.number, asked),
        subscription=sub.id,
        ends_on=ends.isoformat(),
        undoes=undoes,
        overridden=overridden,
        at_once=at_once,
    )
    return Decided(
        [fact],
        answer=lambda _book: {
            "subscription": sub.id,
            "ends_on": fact.ends_on,
            "overridden": overridden,
            "undoes_renewal": undoes,
        },
    )


def _end_asked(sub: Subscription, v: Answer, asked: Asked) -> tuple[date, bool]:
    """Return (the end that may be had, whether the deadline was overridden)."""
    renewal = sub.next_renewal()
    ends = date.fromisoformat(v["ends"]) if "ends" in v else renewal
    if ends < renewal or not sub.is_period_boundary(ends):
        raise Refused("not_a_boundary", ends=ends.isoformat(), next_end=renewal.isoformat())
    cancel_by = terms.last_cancel_day(renewal)
    if ends > renewal or local_day(asked.at, sub.zone) <= cancel_by:
        return ends, False
    if v.get("override") and not asked.reason:
        raise Refused("reason_required", command="plan.cancel")
    if asked.reason and (v.get("override") or asked.role in MANAGERS):
        return ends, True  # a manager's word, or of whoever waits for one
    following = sub.renewals_after(renewal)
    raise Refused("too_late", cancel_by=cancel_by.isoformat(), next_end=following.isoformat())


def _after_renewal(whole: Book, current: Subscription, ends: date) -> tuple[date, bool]:
    """Return (end, undo): the renewal is undone unless a unit of it was used; then the next boundary counts."""
    used = _used_since(whole, current, midnight(ends, current.zone))
    return (current.next_renewal(), False) if used else (ends, True)


def _used_since(whole: Book, current: Subscription, since: str) -> bool:
    """Whether a unit was used of what the plan has granted since an instant."""
    return any(
        take[0] >= since
        for grant in whole.grants.values()
        if grant.source == current.id and grant.starts >= since
        for take in grant.takes
    )


def withdraw_cancellation(account: Account, _v: Answer, asked: Asked, _catalogue: Catalogue) -> Decided:
    """Take back a scheduled end before it takes effect (rule 6)."""
    then, whole = account.at(asked.at, asked.now).bought(), account.whole(asked.now).bought()
    if then is None or whole is None or then.state != "in_force" or not then.ends_on or not whole.live:
        raise Refused("no_cancellation", account=account.number)
    fact = f.CancellationWithdrawn(**common(account.number, asked), subscription=then.id)
    renews = then.next_renewal().isoformat()
    return Decided([fact], answer=lambda _book: {"subscription": fact.subscription, "renews_on": renews})


def price(catalogue: Catalogue, level: str, term: str, day: date, currency: str) -> tuple[int, int]:
    """Return (units a month, gross in minor units); NotFound when the catalogue has no price in that currency."""
    try:
        return catalogue.price(level, term, day, currency)
    except KeyError:
        raise NotFound("no_price", level=level, term=term, currency=currency) from None


def shown_charge(book: Book, charge_id: str) -> Answer | None:
    """Return a charge as commands answer it, None when there is nothing to pay."""
    charge = book.charges.get(charge_id)
    if charge is None:
        return None
    return {
        "id": charge.id,
        "gross": show_amount(charge.gross),
        "net": show_amount(charge.net),
        "tax": show_amount(charge.tax),
        "currency": book.currency,
        "due_on": charge.due_on,
    }
