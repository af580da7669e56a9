"""The outbox: notices whose time has come, one row for each place they go to, sent once each under retries.

`fill` puts them in under natural keys, `send` claims a row before it sends it: of two senders at once one wins. Should
a process die between sending and marking, the row is sent again ten minutes later: the mail then has the same
Message-ID and the webhook the same webhook-id, so that whoever gets it can tell.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from typing import Any, NamedTuple

from ledger import contacts
from ledger.application import Ledger
from ledger.errors import Unavailable
from ledger.gateways.signing import message_id, sign
from ledger.notice_kinds import STAFF_KINDS
from ledger.rules.instants import to_iso
from ledger.secret_file import secret_file_of
from ledger.settings import Settings
from ledger.store import Store
from projections import notices, queue_model
from projections.notices import Notice, next_at
from projections.projector import Projector
from scheduler import desk
from scheduler.mails import message, render
from scheduler.rows import CLAIM, COLUMNS, RETRIES, WAITING, Entry, entries, give_up, mark_failed, mark_sent, moved
from scheduler.sweep import record_due
from scheduler.transports import Transports, transports_of
from scheduler.undelivered import Undelivered

__all__ = ["entries", "fill", "fill_and_send", "next_at", "send"]

EMAIL, WEBHOOK = "email", "webhook"
CONTACT = "contact"  # the target of mail: where that is, is looked up when it is sent
TOO_OLD = timedelta(days=7)
_RUN_SECONDS = 240.0
_PAGE = 100

Progress = Callable[[int], None]
_log = logging.getLogger("supportledger.outbox")


def fill_and_send(
    ledger: Ledger,
    projector: Projector,
    *,
    now: str,
    progress: Progress | None = None,
    settings: Settings | None = None,
    transports: Transports | None = None,
) -> dict[str, int]:
    """Bring the outbox up to canonical instant `now`, then send what is due; return counts.

    Mail and webhooks leave by `transports`, else by those of `settings`, else of the environment. `progress` is told
    how many rows were put in or tried.
    """
    with ExitStack() as stack:
        way = transports or stack.enter_context(transports_of(settings or Settings.read()))
        filled = fill(ledger, projector, now, progress, way.desk)
        told = desk.send(ledger, projector.read, now, way)  # first: it is what cannot wait
        rest = send(ledger, now, way, progress)
        return {**filled, **{name: told[name] + count for name, count in rest.items()}}


# --- filling ---------------------------------------------------------------------------------------------------------


def fill(
    ledger: Ledger, projector: Projector, now: str, progress: Progress | None = None, people: Sequence[Address] = ()
) -> dict[str, int]:
    """Put notices whose instant has come by `now`, seven days ago at most, into the outbox; return counts.

    `people` are our desk's addresses. What has fallen due is recorded first, so that nothing is told that is no longer
    so. Unsent rows whose notice is no longer true, or older than that, are taken out. Unavailable `read_model_stopped`
    when notices cannot be read.
    """
    record_due(ledger, projector, now=now)
    for state in projector.catch_up([notices.MODEL.name, queue_model.MODEL.name]):
        if state.error:
            raise Unavailable("read_model_stopped", name=state.name, position=state.position, lag=state.lag)
    store, since = ledger.store, moved(now, -TOO_OLD)
    withdrawn = _withdraw(store, projector, now, since)
    hooks = [endpoint for endpoint in contacts.endpoints(store) if not endpoint.stopped_at]
    queued = 0
    for due in (notices.due, queue_model.due):
        behind = ("", "")
        while page := due(projector.read, after=since, now=now, behind=behind, limit=_PAGE * 5):
            wanted = desk.wanted(projector.read, page) if people else set()
            places = [(desk.CHANNEL, desk.target(address)) for address in people]
            queued += _put(store, page, _Places(hooks, places, wanted), now)
            behind = (page[-1].at, page[-1].key)
            if progress is not None:
                progress(queued)
    return {"queued": queued, "withdrawn": withdrawn}


class _Places(NamedTuple):
    """Where notices go beside customers: endpoints, and our desk with what it is to be told."""

    hooks: list[contacts.Endpoint]
    desk: list[tuple[str, str]]
    wanted: set[str]


def _put(store: Store, page: list[Notice], places: _Places, now: str) -> int:
    mailed = contacts.with_contact(store, sorted({notice.account for notice in page}))
    wanted = {
        f"{target}:{notice.key}": (channel, target, notice)
        for notice in page
        for channel, target in _targets(notice, mailed, places)
    }
    new = wanted.keys() - _known(store, list(wanted))
    if not new:
        return 0
    sql = (
        f"INSERT INTO ledger_outbox ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, '', '', '')"
        " ON CONFLICT (key) DO NOTHING"
    )
    with store.transaction() as writer:
        return sum(
            writer.execute(sql, [key, channel, target, n.account, n.kind, _body(n), now, now])
            for key, (channel, target, n) in wanted.items()
            if key in new
        )


def _targets(notice: Notice, mailed: set[str], places: _Places) -> Iterator[tuple[str, str]]:
    if notice.account in mailed and notice.kind not in STAFF_KINDS:
        yield EMAIL, CONTACT
    if notice.key in places.wanted:
        yield from places.desk
    for hook in places.hooks:
        if hook.created_at <= notice.at and (not hook.kinds or notice.kind in hook.kinds):
            yield WEBHOOK, hook.id


def _body(notice: Notice) -> str:
    return json.dumps({"at": notice.at, "language": notice.language, "data": notice.data})


def _known(store: Store, keys: list[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(keys), 500):
        part = keys[start : start + 500]
        marks = ",".join("?" * len(part))
        found.update(row[0] for row in store.query(f"SELECT key FROM ledger_outbox WHERE key IN ({marks})", part))
    return found


def _withdraw(store: Store, projector: Projector, now: str, since: str) -> int:
    """Take out what waits and is no longer true, or too old; return how many rows that was.

    A row never tried is deleted: should its notice come true again, it is put in again.
    """
    waiting = [Entry(*row) for row in store.query(f"SELECT {COLUMNS} FROM ledger_outbox WHERE {WAITING}")]
    keys = sorted({entry.notice for entry in waiting})
    true = notices.standing(projector.read, keys, now) | queue_model.standing(projector.read, keys, now)
    past = desk.past(projector.read, waiting)
    count = 0
    for entry in waiting:
        key, created_at = entry.key, entry.created_at
        if entry.notice not in true or key in past:
            sql = f"DELETE FROM ledger_outbox WHERE key = ? AND tries = 0 AND {WAITING}"
            count += store.execute(sql, [key]) or give_up(store, key, "withdrawn", now)
        elif created_at <= since:
            count += give_up(store, key, "too_old", now)
    return count


# --- sending ---------------------------------------------------------------------------------------------------------


def send(ledger: Ledger, now: str, transports: Transports, progress: Progress | None = None) -> dict[str, int]:
    """Send what is due at canonical instant `now`; return how many were sent, failed (and are tried again), given up.

    Tried again after 1 min, 5 min, 30 min, 2 h and 12 h, then given up. A target that is down is left alone for the
    rest of the run, its rows untried. A run ends after four minutes; the next one goes on.
    """
    counts = {"sent": 0, "failed": 0, "given_up": 0}
    down: set[str] = set() if transports.mail is not None else {CONTACT}
    ends = time.monotonic() + _RUN_SECONDS
    done = 0
    while page := _due(ledger.store, now, down):
        for entry in page:
            if time.monotonic() > ends:
                return counts
            if entry.target not in down and _claim(ledger.store, entry, now):
                counts[_try(ledger.store, entry, now, transports, down)] += 1
                done += 1
        if progress is not None:
            progress(done)
    return counts


def _due(store: Store, now: str, down: set[str]) -> list[Entry]:
    """Return the next rows that are due. Each leaves this list once somebody has claimed it, or its target is down."""
    marks = ",".join("?" * len(down)) or "''"
    sql = (
        f"SELECT {COLUMNS} FROM ledger_outbox WHERE {WAITING} AND next_try_at <= ? AND channel <> '{desk.CHANNEL}'"
        f" AND target NOT IN ({marks}) ORDER BY next_try_at, key LIMIT ?"
    )
    return [Entry(*row) for row in store.query(sql, [now, *sorted(down), _PAGE])]


def _claim(store: Store, entry: Entry, now: str) -> bool:
    """Take a row for this sender; False when another has it."""
    sql = (
        "UPDATE ledger_outbox SET tries = tries + 1, next_try_at = ?"
        f" WHERE key = ? AND tries = ? AND next_try_at <= ? AND {WAITING}"
    )
    return store.execute(sql, [moved(now, CLAIM), entry.key, entry.tries, now]) == 1


def _try(store: Store, entry: Entry, now: str, transports: Transports, down: set[str]) -> str:
    """Send a claimed row and write down what came of it: sent, failed or given_up."""
    if entry.tries > len(RETRIES):  # its last sender died: nobody knows whether it arrived
        give_up(store, entry.key, entry.error or "unknown", now)
        return "given_up"
    try:
        gone = _deliver(store, entry, now, transports)
    except Undelivered as failed:
        if failed.down:
            down.add(entry.target)
        return mark_failed(store, entry, now, failed.reason)
    except Exception as mistake:  # ours: it must not hold up the others; its words may hold an address
        _log.error("outbox row %s failed: %s", entry.key, type(mistake).__name__)
        return mark_failed(store, entry, now, type(mistake).__name__)
    if gone:
        give_up(store, entry.key, gone, now)
        return "given_up"
    mark_sent(store, [entry.key], now)
    return "sent"


def _deliver(store: Store, entry: Entry, now: str, transports: Transports) -> str:
    """Send one row; return "" or why there is nobody to send it to any more. Undelivered when it did not arrive."""
    body = json.loads(entry.body)
    if entry.channel == EMAIL:
        return _mail(store, entry, body, now, transports)
    try:
        endpoint = contacts.endpoint_secret(store, entry.target, secret_file_of(store, transports.secrets))
    except Unavailable as failed:
        if not failed.code.startswith("secrets_file"):
            raise
        raise Undelivered(failed.code, down=True) from None
    if endpoint is None:
        return "endpoint_stopped"
    url, secret = endpoint
    if not secret:
        raise Undelivered("secret_missing", down=True)
    sent = {"type": f"notice.{entry.kind}", "timestamp": body["at"], "data": {"key": entry.notice, **body["data"]}}
    content = json.dumps(sent, ensure_ascii=False).encode()
    # The machine's now, also where the ledger has a test clock: the receiver compares it with its own clock.
    stamp = to_iso(datetime.now(UTC))
    transports.hooks.send(url, sign(secret, message_id(entry.notice), stamp, content), content)
    return ""


def _mail(store: Store, entry: Entry, body: dict[str, Any], now: str, transports: Transports) -> str:
    contact = contacts.find_contact(store, entry.account)
    if contact is None:
        return "contact_forgotten"
    assert transports.mail is not None
    assert transports.sender is not None
    lang = body["language"]
    mail = render(entry.kind, body["data"], lang, who=contact.name, company=transports.company)
    to = Address(contact.name, addr_spec=contact.email)
    transports.mail.send(message(mail, key=entry.notice, sender=transports.sender, to=to, lang=lang, now=now))
    return ""
