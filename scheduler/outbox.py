"""The outbox: notices whose time has come, one row for each place they go to, sent once each under retries.

`fill` puts them in under natural keys, `send` claims a row before it sends it: of two senders at once one wins. Should
a process die between sending and marking, the row is sent again ten minutes later: the mail then has the same
Message-ID and the webhook the same webhook-id, so that whoever gets it can tell.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from typing import Any, NamedTuple

from ledger import contacts
from ledger.application import Ledger
from ledger.errors import Unavailable
from ledger.gateways.signing import message_id, sign
from ledger.notice_kinds import STAFF_KINDS
from ledger.rules.instants import from_iso, to_iso
from ledger.settings import Settings
from ledger.store import Store
from projections import notices, queue_model
from projections.notices import Notice, next_at
from projections.projector import Projector
from scheduler.mails import message, render
from scheduler.sweep import record_due
from scheduler.transports import Transports, Undelivered, transports_of

__all__ = ["fill", "fill_and_send", "next_at", "send"]

EMAIL, WEBHOOK = "email", "webhook"
CONTACT = "contact"  # the target of mail: where that is, is looked up when it is sent
RETRIES = tuple(timedelta(minutes=m) for m in (1, 5, 30, 120, 720))
TOO_OLD = timedelta(days=7)
# A run ends long before its first claims run out: `now` stands still in it.
_CLAIM = timedelta(minutes=10)
_RUN_SECONDS = 240.0
_PAGE = 100

Progress = Callable[[int], None]
_log = logging.getLogger("supportledger.outbox")


class Entry(NamedTuple):
    """A row of the outbox. `key` is its target and the notice's key; `sent_at` and `given_up_at` are "" until then."""

    key: str
    channel: str
    target: str
    account: str
    kind: str
    body: str
    created_at: str
    tries: int
    next_try_at: str
    sent_at: str
    given_up_at: str
    error: str

    @property
    def notice(self) -> str:
        """The key of its notice."""
        return _notice_of(self.key)

    @property
    def state(self) -> str:
        """waiting, sent or given_up."""
        if self.sent_at:
            return "sent"
        return "given_up" if self.given_up_at else "waiting"


_COLUMNS = ", ".join(Entry._fields)
_WAITING = "sent_at = '' AND given_up_at = ''"


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
        filled = fill(ledger, projector, now, progress)
        return {**filled, **send(ledger, now, way, progress)}


# --- filling ---------------------------------------------------------------------------------------------------------


def fill(ledger: Ledger, projector: Projector, now: str, progress: Progress | None = None) -> dict[str, int]:
    """Put notices whose instant has come by `now`, seven days ago at most, into the outbox; return counts.

    What has fallen due is recorded first, so that nothing is told that is no longer so. Unsent rows whose notice is
    no longer true, or older than that, are taken out. Unavailable `read_model_stopped` when notices cannot be read.
    """
    record_due(ledger, projector, now=now)
    for state in projector.catch_up([notices.MODEL.name, queue_model.MODEL.name]):
        if state.error:
            raise Unavailable("read_model_stopped", name=state.name, position=state.position, lag=state.lag)
    store, since = ledger.store, _moved(now, -TOO_OLD)
    withdrawn = _withdraw(store, projector, now, since)
    hooks = [endpoint for endpoint in contacts.endpoints(store) if not endpoint.stopped_at]
    queued = 0
    for due in (notices.due, queue_model.due):
        behind = ("", "")
        while page := due(projector.read, after=since, now=now, behind=behind, limit=_PAGE * 5):
            queued += _put(store, page, hooks, now)
            behind = (page[-1].at, page[-1].key)
            if progress is not None:
                progress(queued)
    return {"queued": queued, "withdrawn": withdrawn}


def _put(store: Store, page: list[Notice], hooks: list[contacts.Endpoint], now: str) -> int:
    mailed = contacts.with_contact(store, sorted({notice.account for notice in page}))
    wanted = {
        f"{target}:{notice.key}": (channel, target, notice)
        for notice in page
        for channel, target in _targets(notice, mailed, hooks)
    }
    new = wanted.keys() - _known(store, list(wanted))
    if not new:
        return 0
    sql = (
        f"INSERT INTO ledger_outbox ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, '', '', '')"
        " ON CONFLICT (key) DO NOTHING"
    )
    with store.transaction() as writer:
        return sum(
            writer.execute(sql, [key, channel, target, n.account, n.kind, _body(n), now, now])
            for key, (channel, target, n) in wanted.items()
            if key in new
        )


def _targets(notice: Notice, mailed: set[str], hooks: list[contacts.Endpoint]) -> Iterator[tuple[str, str]]:
    if notice.account in mailed and notice.kind not in STAFF_KINDS:
        yield EMAIL, CONTACT
    for hook in hooks:
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
    waiting = store.query(f"SELECT key, created_at FROM ledger_outbox WHERE {_WAITING}")
    keys = sorted({_notice_of(key) for key, _created_at in waiting})
    true = notices.standing(projector.read, keys, now) | queue_model.standing(projector.read, keys, now)
    count = 0
    for key, created_at in waiting:
        if _notice_of(key) not in true:
            sql = f"DELETE FROM ledger_outbox WHERE key = ? AND tries = 0 AND {_WAITING}"
            count += store.execute(sql, [key]) or _give_up(store, key, "withdrawn", now)
        elif created_at <= since:
            count += _give_up(store, key, "too_old", now)
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
        f"SELECT {_COLUMNS} FROM ledger_outbox WHERE {_WAITING} AND next_try_at <= ? AND target NOT IN ({marks})"
        " ORDER BY next_try_at, key LIMIT ?"
    )
    return [Entry(*row) for row in store.query(sql, [now, *sorted(down), _PAGE])]


def _claim(store: Store, entry: Entry, now: str) -> bool:
    """Take a row for this sender; False when another has it."""
    sql = (
        "UPDATE ledger_outbox SET tries = tries + 1, next_try_at = ?"
        f" WHERE key = ? AND tries = ? AND next_try_at <= ? AND {_WAITING}"
    )
    return store.execute(sql, [_moved(now, _CLAIM), entry.key, entry.tries, now]) == 1


def _try(store: Store, entry: Entry, now: str, transports: Transports, down: set[str]) -> str:
    """Send a claimed row and write down what came of it: sent, failed or given_up."""
    if entry.tries > len(RETRIES):  # its last sender died: nobody knows whether it arrived
        _give_up(store, entry.key, entry.error or "unknown", now)
        return "given_up"
    try:
        gone = _deliver(store, entry, now, transports)
    except Undelivered as failed:
        if failed.down:
            down.add(entry.target)
        return _failed(store, entry, now, failed.reason)
    except Exception as mistake:  # ours: it must not hold up the others; its words may hold an address
        _log.error("outbox row %s failed: %s", entry.key, type(mistake).__name__)
        return _failed(store, entry, now, type(mistake).__name__)
    if gone:
        _give_up(store, entry.key, gone, now)
        return "given_up"
    store.execute("UPDATE ledger_outbox SET sent_at = ?, error = '' WHERE key = ? AND sent_at = ''", [now, entry.key])
    return "sent"


def _failed(store: Store, entry: Entry, now: str, reason: str) -> str:
    if entry.tries >= len(RETRIES):
        _give_up(store, entry.key, reason, now)
        return "given_up"
    sql = f"UPDATE ledger_outbox SET next_try_at = ?, error = ? WHERE key = ? AND tries = ? AND {_WAITING}"
    store.execute(sql, [_moved(now, RETRIES[entry.tries]), reason, entry.key, entry.tries + 1])
    return "failed"


def _give_up(store: Store, key: str, reason: str, now: str) -> int:
    sql = f"UPDATE ledger_outbox SET given_up_at = ?, error = ? WHERE key = ? AND {_WAITING}"
    return store.execute(sql, [now, reason, key])


def _deliver(store: Store, entry: Entry, now: str, transports: Transports) -> str:
    """Send one row; return "" or why there is nobody to send it to any more. Undelivered when it did not arrive."""
    body = json.loads(entry.body)
    if entry.channel == EMAIL:
        return _mail(store, entry, body, now, transports)
    endpoint = contacts.endpoint_secret(store, entry.target)
    if endpoint is None:
        return "endpoint_stopped"
    url, secret = endpoint
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


# --- what it holds ---------------------------------------------------------------------------------------------------


def entries(store: Store, account: str = "", limit: int = 200) -> list[Entry]:
    """Return the newest rows of the outbox, of one account where it is named, newest first."""
    sql = f"SELECT {_COLUMNS} FROM ledger_outbox WHERE account = ? OR ? = '' ORDER BY created_at DESC, key LIMIT ?"
    return [Entry(*row) for row in store.query(sql, [account, account, limit])]


def _notice_of(key: str) -> str:
    return key.partition(":")[2]


def _moved(at: str, by: timedelta) -> str:
    return to_iso(from_iso(at) + by)
