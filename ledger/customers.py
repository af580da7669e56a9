"""Decisions on who the customer is: name, NIT, address, zone and language, from a date on (DOMAIN.md 9)."""

from __future__ import annotations

from ledger import facts as f
from ledger.account import Account, Asked
from ledger.catalogue import Catalogue
from ledger.errors import Refused
from ledger.plans import Answer, Decided, common
from ledger.rules.book import Book

CHANGEABLE = ("name", "nit", "address", "zone", "language")


def change(account: Account, v: Answer, asked: Asked, _catalogue: Catalogue) -> Decided:
    """Change what is given, from `asked.at` on; documents issued before keep what they say.

    The answer tells each change as it was and as it is now. Refused where nothing would be another.
    """
    then = account.at(asked.at, asked.now)
    before = _said(then)
    given = {name: v[name] for name in CHANGEABLE if name in v}
    changed = {name: value for name, value in given.items() if value != before[name]}
    if not changed:
        raise Refused("nothing_changed", account=account.number)
    fact = f.AccountChanged(**common(account.number, asked), **changed)

    def answer(book: Book) -> Answer:
        rows = [
            {"field": name, "before": before[name] or None, "after": value or None} for name, value in changed.items()
        ]
        running = [sub for sub in book.subscriptions.values() if sub.next_zone]
        since = min((sub.next_renewal().isoformat() for sub in running), default=None) if "zone" in changed else None
        return {"account": account.number, "changed": rows, "zone_from": since}

    return Decided([fact], answer=answer)


def _said(book: Book) -> dict[str, str]:
    assert book.account is not None
    known = {name: str(getattr(book.account, name)) for name in CHANGEABLE}
    ahead = [sub.next_zone for sub in book.subscriptions.values() if sub.next_zone]
    return {**known, "zone": ahead[-1] if ahead else book.zone}
