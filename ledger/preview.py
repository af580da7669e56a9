"""Preview: what a command would do to money, tickets and dates, told before it is done. It writes nothing.

The command's own decision is taken on a twin of the account, then paid on the spot: so the answer is what the command,
and a payment of what is due, give afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ledger import changes, plans
from ledger import facts as f
from ledger.account import Account, Asked
from ledger.catalogue import Catalogue
from ledger.errors import Malformed, Refused
from ledger.plans import Answer, Decided, shown_charge
from ledger.rules import terms
from ledger.rules.book import Book
from ledger.rules.instants import show
from ledger.rules.money import show_amount
from ledger.rules.subscriptions import FAR, local_day, midnight

Decide = Callable[[Account, Answer, Asked, Catalogue], Decided]
_DECIDE: dict[str, tuple[Decide, tuple[str, ...], tuple[str, ...]]] = {
    "purchase": (plans.purchase_plan, ("level", "term"), ("pay_by",)),
    "upgrade": (changes.upgrade, ("level",), ()),
    "downgrade": (changes.downgrade, ("level",), ()),
    "change_term": (changes.change_term, ("term",), ()),
    "cancel": (plans.cancel_plan, (), ("ends",)),
    "addon": (plans.purchase_addon, ("level",), ()),
    "renewal": (lambda _account, _v, _asked, _catalogue: Decided(), (), ()),
}


def preview(twin: Account, v: Answer, asked: Asked, catalogue: Catalogue) -> Answer:
    """Return what `v["of"]` would charge, credit, void and grant, until when, and the last day to cancel afterwards.

    `twin` is a copy of the account: it is changed here. Raises what the command would raise.
    """
    of = v["of"]
    given = {name: value for name, value in v.items() if name not in ("account", "of", "at")}
    decide, needed, allowed = _DECIDE[of]
    for name in needed:
        if name not in given:
            raise Malformed(name, None, "remedy_missing")
    for name, value in given.items():
        if name not in (*needed, *allowed):
            raise Malformed(name, value, "remedy_unknown_field", known=", ".join((*needed, *allowed)) or "-")
    if of == "purchase":
        given["channel"] = "web"
    before = _Seen(twin.whole(asked.now))
    decided = decide(twin, given, asked, catalogue)
    twin.take(decided.facts)
    asked_for = decided.answer(twin.whole(asked.now)) if decided.facts else {}
    when = asked.at
    if of in ("renewal", "downgrade", "change_term"):
        when = _to_renewal(twin)
    book = twin.whole(max(when, asked.now))
    charges = [c for c in book.charges.values() if c.id not in before.charges]
    answer: Answer = {
        "account": twin.number,
        "of": of,
        "at": show(asked.at, book.zone),
        "on": local_day(when, book.zone).isoformat(),
        **{name: asked_for[name] for name in ("ends_on", "effective_on") if name in asked_for},
        "charge": shown_charge(book, charges[-1].id) if charges else None,
        "discount": show_amount(sum(c.discount for c in charges)),
        "from_credit": show_amount(sum(c.paid for c in charges)),
        "due": show_amount(sum(c.due for c in charges)),
        "owed_before": show_amount(owed := _owed_before(book, before.charges)),
        "currency": book.currency,
    }
    _pay(twin, owed + sum(c.due for c in charges), when)
    return answer | _effects(twin.whole(max(when, asked.now)), before)


def _owed_before(book: Book, known: set[str]) -> int:
    """Return what is due on older charges that money pays before the new ones (rule 7): it must be paid too."""
    order = book.owed()
    last = max((place for place, c in enumerate(order) if c.id not in known), default=0)
    return sum(c.due for c in order[:last] if c.id in known)


def _to_renewal(twin: Account) -> str:
    """Return the instant of the next renewal; Refused when the plan will not renew."""
    book = twin.whole(twin.facts[-1].occurred_at)
    sub = book.bought()
    if sub is None or sub.state not in ("in_force", "past_due"):
        raise Refused("nothing_to_change", account=twin.number)
    if sub.ends_on and sub.ends_on <= sub.next_renewal().isoformat():
        raise Refused("ends_before_change", ends_on=sub.ends_on)
    return midnight(sub.next_renewal(), book.zone)


def _pay(twin: Account, amount: int, at: str) -> None:
    """Pay what is due, on the twin alone."""
    if amount:
        book = twin.whole(at)
        twin.take(
            [
                f.PaymentRecorded(
                    customer_no=twin.number, occurred_at=max(at, book.last_change), by="", source="", payment="preview",
                    amount=amount, currency=book.currency, method="deposit", reference="preview",
                )
            ]
        )  # fmt: skip


class _Seen:
    """What the book had before: the difference is what the command does."""

    def __init__(self, book: Book) -> None:
        self.charges = {*book.charges, *book.debts}
        self.grants = {g.id: g.voided for g in book.grants.values()}
        self.credit = book.purse.credit


def _effects(book: Book, before: _Seen) -> Answer:
    zone = book.zone
    sub = book.bought()
    granted = [g for g in book.grants.values() if g.id not in before.grants]
    voided = [
        {"grant": g.id, "units": g.voided - before.grants[g.id]}
        for g in book.grants.values()
        if g.voided > before.grants.get(g.id, g.voided)
    ]
    renews: Any = None
    if sub is not None and sub.state == "in_force" and not sub.ends_on:
        renews = sub.next_renewal().isoformat()
    return {
        "credit_after": show_amount(book.purse.credit),
        "granted": [
            {
                "grant": g.id,
                "kind": g.kind,
                "level": g.level,
                "units": g.units,
                "from": show(g.starts, zone),
                "until": show(g.until, zone) if g.until < FAR else None,
            }
            for g in granted
        ],
        "voided": voided,
        "level": sub.level if sub is not None else None,
        "term": sub.term if sub is not None else None,
        "renews_on": renews,
        "cancel_by": terms.last_cancel_day(sub.next_renewal()).isoformat() if renews and sub is not None else None,
    }
