"""Warnings on cases, mailed to our own desk: one mail a run and address lists what came due, each warning once.

A warning is news only while the promise that it speaks of still runs: of a case that was answered, excluded or given
another due instant meanwhile nothing is sent. Which rows made a mail is written into them before it leaves: sent again
after a crash, it has the same Message-ID.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from email.headerregistry import Address
from itertools import groupby
from typing import Any

from ledger.application import Ledger
from ledger.notice_kinds import STAFF_KINDS
from ledger.store import Store
from projections import balances, queue_model
from projections.notices import Notice
from scheduler import desk_words
from scheduler.desk_words import Case
from scheduler.mails import message
from scheduler.rows import CLAIM, COLUMNS, RETRIES, WAITING, Entry, give_up, mark_failed, mark_sent, moved
from scheduler.transports import Transports
from scheduler.undelivered import Undelivered

CHANNEL = "desk"
_CASES = 200  # a mail; many more would be read by nobody to the end, and refused by some servers
_ROWS = 5000  # looked at in a run
_log = logging.getLogger("supportledger.outbox")


def target(address: Address) -> str:
    """Return what the outbox calls one of our addresses: never the address itself."""
    return f"{CHANNEL}-{hashlib.sha256(address.addr_spec.lower().encode()).hexdigest()[:8]}"


def wanted(read: Store, page: Sequence[Notice]) -> set[str]:
    """Return the keys of the warnings in `page` whose promise still runs."""
    warned = [notice for notice in page if notice.kind in STAFF_KINDS]
    cases = queue_model.running(read, [notice.data["ticket"] for notice in warned])
    return {notice.key for notice in warned if _runs(cases, notice.data)}


def past(read: Store, waiting: Sequence[Entry]) -> set[str]:
    """Return the keys of waiting rows of the desk whose promise runs no more."""
    rows = [entry for entry in waiting if entry.channel == CHANNEL]
    told = {entry.key: json.loads(entry.body)["data"] for entry in rows}
    cases = queue_model.running(read, [data["ticket"] for data in told.values()])
    return {key for key, data in told.items() if not _runs(cases, data)}


def _runs(cases: Mapping[str, Mapping[str, Any]], data: Mapping[str, Any]) -> bool:
    case = cases.get(data["ticket"])
    return case is not None and case["due_at"] == data["due_at"]


# --- sending ---------------------------------------------------------------------------------------------------------


def send(ledger: Ledger, read: Store, now: str, transports: Transports) -> dict[str, int]:
    """Mail the desk what is due at canonical instant `now`; return how many warnings were sent, failed, given up.

    As other notices they are tried again after 1 min, 5 min, 30 min, 2 h, 12 h. A server that is down ends it.
    """
    counts = {"sent": 0, "failed": 0, "given_up": 0}
    places = {target(address): address for address in transports.desk}
    for entry in _due(ledger.store, now):
        if entry.target not in places:  # it was taken out of the settings
            counts["given_up"] += give_up(ledger.store, entry.key, "contact_forgotten", now)
    if transports.mail is None:
        return counts
    for name, address in places.items():
        for key, rows in _mails(name, [entry for entry in _due(ledger.store, now) if entry.target == name]):
            outcome, down = _send(ledger, read, now, transports, address, key, rows)
            if outcome:
                counts[outcome] += len(rows)
            if down:
                return counts
    return counts


def _due(store: Store, now: str) -> list[Entry]:
    sql = (
        f"SELECT {COLUMNS} FROM ledger_outbox WHERE {WAITING} AND channel = ? AND next_try_at <= ?"
        " ORDER BY created_at, key LIMIT ?"
    )
    return [Entry(*row) for row in store.query(sql, [CHANNEL, now, _ROWS])]


def _mails(name: str, rows: Sequence[Entry]) -> Iterator[tuple[str, list[Entry]]]:
    """Yield the mails to be sent, each as its key and rows: what was tried before as it was, then what is new."""
    tried = sorted((entry for entry in rows if entry.tries), key=_mail_of)
    for key, group in groupby(tried, key=_mail_of):
        yield key, sorted(group)
    new = sorted((entry for entry in rows if not entry.tries), key=_place)
    cases = [list(group) for _place_of, group in groupby(new, key=_place)]
    for start in range(0, len(cases), _CASES):
        found = sorted(entry for group in cases[start : start + _CASES] for entry in group)
        keys = "\n".join(entry.key for entry in found)
        yield f"{name}:{hashlib.sha256(keys.encode()).hexdigest()}", found


def _mail_of(entry: Entry) -> str:
    return str(json.loads(entry.body)["mail"])


def _place(entry: Entry) -> tuple[str, str]:
    """Return the order of cases: the soonest due first."""
    data = json.loads(entry.body)["data"]
    return data["due_at"], data["ticket"]


def _send(
    ledger: Ledger, read: Store, now: str, transports: Transports, to: Address, key: str, rows: list[Entry]
) -> tuple[str, bool]:
    """Send one mail; return what came of its rows ("": another sender has them), and whether the server is down."""
    store = ledger.store
    if not _claim(store, rows, key, now):
        return "", False
    if rows[0].tries > len(RETRIES):  # its last sender died: nobody knows whether it arrived
        for entry in rows:
            give_up(store, entry.key, entry.error or "unknown", now)
        return "given_up", False
    reason, down = "", False
    try:
        assert transports.mail is not None
        assert transports.sender is not None
        words = desk_words.mail_of(
            _cases(read, rows), ledger.catalogue, now=now, lang=transports.lang, company=transports.company
        )
        mail = message(words, key=key, sender=transports.sender, to=to, lang=transports.lang, now=now)
        transports.mail.send(mail)
    except Undelivered as undelivered:
        reason, down = undelivered.reason, undelivered.down
    except Exception as mistake:  # ours: it must not hold up the others; its words may hold an address
        _log.error("a mail to the desk failed: %s", type(mistake).__name__)
        reason = type(mistake).__name__
    if reason:
        outcomes = {mark_failed(store, entry, now, reason) for entry in rows}  # all were tried as often
        return outcomes.pop(), down
    mark_sent(store, [entry.key for entry in rows], now)
    return "sent", False


def _claim(store: Store, rows: Sequence[Entry], key: str, now: str) -> bool:
    """Take all rows of a mail for this sender and write down which it is; False when another has one of them."""
    sql = (
        "UPDATE ledger_outbox SET tries = tries + 1, next_try_at = ?, body = ?"
        f" WHERE key = ? AND tries = ? AND next_try_at <= ? AND {WAITING}"
    )
    try:
        with store.transaction() as writer:
            for entry in rows:
                body = json.dumps({**json.loads(entry.body), "mail": key})
                if writer.execute(sql, [moved(now, CLAIM), body, entry.key, entry.tries, now]) != 1:
                    raise _Taken
    except _Taken:
        return False
    return True


class _Taken(Exception):
    """Another sender has it."""


def _cases(read: Store, rows: Sequence[Entry]) -> list[Case]:
    """Return what a mail tells: each case as it stands, with its warnings."""
    told: dict[str, list[tuple[int, str]]] = {}
    for entry in rows:
        body = json.loads(entry.body)
        told.setdefault(body["data"]["ticket"], []).append((body["data"]["percent"], body["at"]))
    cases = queue_model.running(read, list(told))
    names = balances.names(read, sorted({case["account"] for case in cases.values()}))
    return [
        Case(case, names.get(case["account"], ""), tuple(sorted(told[ticket])))
        for ticket, case in sorted(cases.items(), key=lambda pair: (pair[1]["due_at"], pair[0]))
    ]
