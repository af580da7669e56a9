"""What time passing costs: a month end, a sweep with nothing to do, a test clock's year, a sweep's memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import count as counter
from pathlib import Path
from tempfile import TemporaryDirectory

from eventsourcing.persistence import StoredEvent

from ledger.application import Caller, Ledger
from ledger.catalogue import load
from ledger.rules import terms
from ledger.rules.instants import from_iso, local_date, to_iso
from ledger.rules.subscriptions import midnight
from ledger.store import Store, open_store
from projections.projector import Projector
from projections.rebuild import rebuild
from scheduler.advance import advance
from scheduler.sweep import record_due
from scripts import bench_data
from scripts.bench_common import ROOT, Broken, Ground, Row, count, must_equal, take_turns
from scripts.bench_data import Template
from scripts.bench_rebuild import peak_kib
from scripts.bench_renewals import LibraryRenewals

_CALLER = Caller("ana", "operator", "console")
_MARK = "TEMPLATE"
_MONTHS = 5  # prepaid
_MINUTES = ":17:23.456789+00:00"  # as the copies expect them
_LICENSED_UNTIL = "2099-12-31"


# --- ledgers to sweep ---------------------------------------------------------------------------------------------


def boundaries() -> list[str]:
    """Return the monthly boundaries of the subscriptions, the first one the purchase's day; all have passed."""
    anchor = terms.add_months(local_date(datetime.now(UTC), bench_data.ZONE) - timedelta(days=6), -_MONTHS)
    return [midnight(terms.boundary(anchor, month), bench_data.ZONE) for month in range(_MONTHS)]


def template(channel: str) -> Template:
    """Return what one account leaves: a plan bought by one that paid ahead (`web`), or with a licence."""
    with TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{Path(folder) / 'template.db'}")
        store.migrate(test_clock=True)
        ledger = Ledger(store)
        ledger.clock.move(datetime.fromisoformat(f"{from_iso(boundaries()[0]):%Y-%m-%dT15}{_MINUTES}"))
        buy(ledger, _MARK, channel, _MONTHS)
        accounts = store.query("SELECT account FROM ledger_events ORDER BY position")
        rows = store.rows(0, 1000)
        store.close()
    return Template([[(row, account) for row, (account,) in zip(rows, accounts, strict=True)]])


def buy(ledger: Ledger, account: str, channel: str, months: int) -> None:
    """Open an account that buys a monthly Basic plan and pays so many months, or has it with a licence."""

    def do(command: str, **given: str) -> None:
        ledger.execute(command, {"account": account, **given}, caller=_CALLER)

    do("account.open", name="Distribuidora La Ceiba, S.A.")
    if channel == "licence":
        do("plan.purchase", level="basic", term="monthly", channel=channel, licence_until=_LICENSED_UNTIL)
        return
    do("plan.purchase", level="basic", term="monthly", channel=channel)
    for month in range(months):
        do("payment.record", amount="250.00", method="deposit", reference=f"{_MARK}-{account}-R{month}", bank="BI")


def town(ground: Ground, dialect: str, name: str, channel: str, accounts: int) -> Store:
    """Return a ledger with so many accounts of that kind."""
    store = ground.empty(dialect, name)
    bench_data.fill(store, [template(channel)], accounts, prefix="S")
    return store


# --- a month end --------------------------------------------------------------------------------------------------


def month_end(ground: Ground, dialect: str) -> list[Row]:
    """Measure renewals a second: all that fall due at one midnight, against one by one by the library's way."""
    size = ground.size
    store = town(ground, dialect, "month_end", "web", size.sweep)
    ledger = Ledger(store, ground.catalogue)
    projector = Projector(store, ground.catalogue)
    must_equal("errors of the rebuild", rebuild(projector), {})
    peer = LibraryRenewals(ground, dialect, min(size.sweep, size.peers))
    months = iter(boundaries()[1:])

    def ours() -> float:
        now = next(months)
        projector.catch_up()
        started = time.perf_counter()
        done = record_due(ledger, projector, now=now)
        spent = time.perf_counter() - started
        must_equal("accounts renewed", done["accounts"], size.sweep)
        return size.sweep / spent

    turns = min(size.repeats, _MONTHS - 1)
    rate, peers = take_turns(turns, ours, peer.run)
    check(store, size.sweep, turns)
    peer.check(turns)
    projector.close()
    peer.close()
    return [Row(f"sweep-month-end-{dialect}", "renewals/s", rate, peers, floor=2.0)]


def check(store: Store, accounts: int, months: int) -> None:
    """Raise Broken unless every account was renewed once a month, and every invoice has its number."""
    topic = "SELECT count(*), count(DISTINCT state) FROM ledger_events WHERE topic = 'account.{}'"
    for name in ("plan_renewed", "charge_paid", "tickets_granted"):
        must_equal(name, store.query(topic.format(name))[0], (accounts * (months + 1),) * 2)
    taken = "SELECT count(*), max(version), min(version) FROM ledger_events WHERE substr(stream, 1, 7) = 'series/'"
    must_equal("numbers of invoices", store.query(taken)[0], (accounts * (months + 1),) * 2 + (1,))


# --- nothing to do ------------------------------------------------------------------------------------------------


def idle(ground: Ground, dialect: str) -> list[Row]:
    """Measure a sweep with nothing due over many subscriptions and over a hundredth of them."""
    sides = []
    for part in (1, 100):
        store = town(ground, dialect, f"idle_{part}", "licence", max(ground.size.idle // part, 1))
        projector = Projector(store, ground.catalogue)
        must_equal("errors of the rebuild", rebuild(projector), {})
        sides.append((Ledger(store, ground.catalogue), projector))

    def sweep(side: int) -> float:
        ledger, projector = sides[side]
        now = to_iso(from_iso(boundaries()[0]) + timedelta(days=20))
        record_due(ledger, projector, now=now)
        started = time.perf_counter()
        for _ in range(20):
            must_equal("due", record_due(ledger, projector, now=now), {"accounts": 0, "facts": 0})
        return (time.perf_counter() - started) / 20 * 1e3

    spent = take_turns(3 * ground.size.repeats, lambda: sweep(0), lambda: sweep(1))
    for _ledger, projector in sides:
        projector.close()
    return [Row(f"sweep-idle-{dialect}", "ms", spent[0], spent[1], ceiling=3.0)]


# --- a year of one customer ---------------------------------------------------------------------------------------


def clock_year(ground: Ground, dialect: str) -> list[Row]:
    """Measure a test clock's year for a customer who pays by card, a fact, against one append of one fact."""
    ledger = Ledger(ground.empty(dialect, "clock_year", test_clock=True), ground.catalogue)
    ledger.clock.move(datetime(2026, 1, 5, 15, tzinfo=UTC))
    ledger.execute("account.open", {"account": "C-1", "name": "Panadería Ixchel"}, caller=_CALLER)
    ledger.execute("card.register", {"account": "C-1", "token": "tok_ok"}, caller=_CALLER)
    bought = {"account": "C-1", "level": "basic", "term": "monthly", "channel": "web", "pay_by": "card"}
    ledger.execute("plan.purchase", bought, caller=_CALLER)
    number = counter()
    state = b'{"customer_no":"P","occurred_at":"2026-03-02T16:17:23.456789Z","by":"luis","source":"console"}'

    def year() -> float:
        to = ledger.clock.now()
        before = count(ledger.store, "ledger_events")
        started = time.perf_counter()
        done = advance(ledger, from_iso(to).replace(year=int(to[:4]) + 1))
        spent = time.perf_counter() - started
        must_equal("cards charged", done["paid"], 12)
        return spent / (count(ledger.store, "ledger_events") - before) * 1e3

    def appends() -> float:
        events = [StoredEvent(f"peer/{next(number)}", 1, "peer.appended", state) for _ in range(ground.size.appends)]
        now = ledger.clock.now()
        started = time.perf_counter()
        for event in events:
            ledger.store.append([event], ["P"], now=now, request=None)
        return (time.perf_counter() - started) / len(events) * 1e3

    turns = 2 * ground.size.repeats - 1
    spent, one = take_turns(turns, year, appends)
    renewed = ledger.store.query("SELECT count(*) FROM ledger_events WHERE topic = 'account.plan_renewed'")[0][0]
    must_equal("periods", renewed, 12 * turns + 1)
    return [Row(f"sweep-clock-year-{dialect}", "ms/event", spent, one, ceiling=4.0)]


# --- memory -------------------------------------------------------------------------------------------------------


def memory(ground: Ground, dialect: str) -> list[Row]:
    """Measure a sweep's peak memory, catching the read model up first, in a fresh process for each."""
    size = ground.size
    peaks = []
    for times in (size.times, 1):
        accounts = max(size.sweep // 4, 1) * times
        store = town(ground, dialect, f"memory_{times}", "web", accounts)
        store.close()  # one process writes
        command = [sys.executable, "-m", "scripts.bench_sweep", store.url, boundaries()[1]]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        if done.returncode:
            raise Broken(f"a sweep in a process of its own failed: {done.stderr[-500:]}")
        found = json.loads(done.stdout)
        must_equal("accounts renewed", found["accounts"], accounts)
        peaks.append(found["peak"] / 1024)
    return [Row(f"sweep-memory-{dialect}", "MiB", peaks[0], peaks[1], ceiling=1.3)]


def main(url: str, now: str) -> None:
    """Sweep one ledger; print what it did and took as JSON."""
    ledger = Ledger(open_store(url), load())
    projector = Projector(ledger.store, ledger.catalogue)
    print(json.dumps({**record_due(ledger, projector, now=now), "peak": peak_kib()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
