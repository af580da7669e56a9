"""The questions on requests for approval: what waits for me, what I asked for, and one of them.

An agent sees what they asked for; finance that, and what it may approve; managers and operators all of them.
"""

from __future__ import annotations

from typing import Any

from ledger import requests
from ledger.account import account_stream
from ledger.catalogue import Catalogue
from ledger.dating import Caller
from ledger.errors import NotFound
from ledger.facts import AccountOpened, decode
from ledger.requests import Asking
from ledger.rules import people
from ledger.rules.approvals import roles_of
from ledger.rules.instants import show
from ledger.store import Store

Answer = dict[str, Any]


def listed(store: Store, catalogue: Catalogue, v: Answer, caller: Caller, at: str, position: int | None) -> Answer:
    """Return the requests asked for by `at` that the caller may see, newest first.

    `view`: `waiting` for the caller (the default), `mine` asked for by them, or `all`; with a `status` or a person, all
    is the default.
    """
    view = v.get("view") or ("all" if "status" in v or "asked_by" in v else "waiting")
    found = [
        one
        for one in reversed(requests.every(store, position))
        if one.recorded_at <= at and _sees(one, caller) and _wanted(one, v, at) and _in_view(one, view, caller, at)
    ]
    shown = [_shown(store, one, at) for one in found[: requests.MOST]]
    return {
        "view": view,
        "at": show(at, catalogue.zone),
        "requests": shown,
        "more": len(found) > requests.MOST,
    }


def one(store: Store, number: str, caller: Caller, at: str, position: int | None) -> Answer:
    """Return one request; NotFound where there is none, or none that the caller may see."""
    found = requests.find(store, number, position)
    if found is None or found.recorded_at > at or not _sees(found, caller):
        raise NotFound("unknown_request", request=number)
    return _shown(store, found, at)


def _sees(one: Asking, caller: Caller) -> bool:
    if caller.role in ("manager", "operator", "auditor") or people.same(one.asked.by, caller.by):
        return True
    return caller.role in roles_of(one.asked.rule)


def _wanted(one: Asking, v: Answer, at: str) -> bool:
    return (
        v.get("status") in (None, one.state(at))
        and v.get("account") in (None, one.asked.customer_no)
        and v.get("ticket") in (None, one.asked.ticket_no)
        and ("asked_by" not in v or people.same(one.asked.by, v["asked_by"]))
    )


def _in_view(one: Asking, view: str, caller: Caller, at: str) -> bool:
    if view == "waiting":
        return requests.waits_for(one, caller.by, caller.role, at)
    return view == "all" or people.same(one.asked.by, caller.by)


def _shown(store: Store, one: Asking, at: str) -> Answer:
    opening = next(iter(store.select_events(account_stream(one.asked.customer_no), limit=1)))
    account = decode(opening.topic, opening.state)
    assert isinstance(account, AccountOpened)
    return requests.shown(one, at, account.zone, account.currency)
