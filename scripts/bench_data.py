"""Ledgers to measure on: a few accounts live through real commands, then are copied under other numbers.

A copy has its own account, tickets, references and minutes past the hour, so that nothing a cache could know of one
account helps with the next. Copies are written interleaved, in the order of their dates, as a live log would be.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from eventsourcing.persistence import StoredEvent

from ledger import facts
from ledger.application import Caller, Ledger
from ledger.rules import terms
from ledger.rules.instants import from_iso
from ledger.rules.subscriptions import local_day, midnight
from ledger.store import NEXT, Row, Store, open_store

ZONE = "America/Guatemala"
PRICES = {"basic": "250.00", "advanced": "600.00", "corporate": "1500.00"}
_MARK = "TEMPLATE"
_MINUTES = ":17:23.456789Z"  # of everything a person does in a template; due facts stand at midnight
_BATCH = 500


@dataclass(frozen=True)
class Life:
    """How an account lives: its plan, for how long, how much it asks."""

    level: str
    months: int
    tickets: int  # a month
    seed: int
    declines: int = 0
    acts: bool = False  # some cases wait, are excluded or reopened


# Most customers are small. Together they leave some 2,050 events: a hundred copies are the 200,000 of the rows.
LIVES = (
    Life("basic", 3, 1, 1),
    Life("basic", 7, 2, 2),
    Life("basic", 12, 1, 3),
    Life("basic", 12, 4, 4, declines=2),
    Life("basic", 24, 1, 5),
    Life("advanced", 6, 5, 7),
    Life("advanced", 14, 4, 8, declines=1),
    Life("corporate", 8, 8, 9),
)
MINED = Life("corporate", 12, 5, 71, acts=True)
OLD, YOUNG = Life("corporate", 120, 2, 101), Life("corporate", 1, 2, 102)


@dataclass
class Template:
    """The rows one lived account left in the log, in groups that were appended together."""

    groups: list[list[tuple[Row, str]]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many events it has."""
        return sum(map(len, self.groups))


class _Telling:
    """Lets one account live on a ledger with a test clock."""

    def __init__(self, ledger: Ledger, life: Life, until: datetime) -> None:
        self.ledger, self.life = ledger, life
        self.random = random.Random(life.seed)  # noqa: S311 - the same ledger in every run
        self.tickets = self.payments = 0
        day = local_day(until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"), ZONE)
        # The last month began a few days ago: what is measured then happens in a month that is paid.
        self.anchor = terms.boundary(day - timedelta(days=6), -life.months + 1)
        self.until = until

    def at(self, month: int, days: float, hour: int = 0) -> bool:
        """Move the clock to so many days after a boundary; False when that lies ahead."""
        start = from_iso(midnight(terms.boundary(self.anchor, month), ZONE)) + timedelta(days=days, hours=hour)
        instant = datetime.fromisoformat(f"{start:%Y-%m-%dT%H}{_MINUTES}")
        if instant >= self.until:
            return False
        self.ledger.clock.move(instant)
        return True

    def do(self, name: str, by: str = "ana", /, **given: Any) -> dict[str, Any]:
        """Run a command on the account."""
        reason = "bench" if name in ("courtesy.grant", "ticket.exclude") else ""
        return self.ledger.execute(name, given, caller=Caller(by, "operator", "console"), reason=reason)

    def pay(self, amount: str) -> None:
        """Record a deposit."""
        self.payments += 1
        reference = f"{_MARK}-R{self.payments}"
        self.do(
            "payment.record", "carmen", account=_MARK, amount=amount, method="deposit", reference=reference,
            bank="Banrural",
        )  # fmt: skip

    def ticket(self, month: int, day: float) -> None:
        """Open a case and work on it."""
        hour = self.random.randrange(7, 17)
        if not self.at(month, day, hour):
            return
        self.tickets += 1
        number = f"{_MARK}-{self.tickets:04d}"
        priority = self.random.choice(("low", "medium", "medium", "high"))
        opened = self.do(
            "ticket.open", account=_MARK, ticket=number, request="general", priority=priority,
            product="INVEX ERP WEB", subject="El inventario no cuadra con las existencias de bodega",
        )  # fmt: skip
        if opened["ok"]:
            self.work(number, month, day, hour)

    def work(self, number: str, month: int, day: float, hour: int) -> None:
        """Acknowledge, answer in time or late, resolve."""
        self.do("ticket.acknowledge", "bot", ticket=number)
        waits = self.random.random() if self.life.acts else 1.0
        if waits < 0.05:
            self.do("ticket.wait", "luis", ticket=number)
        if self.at(month, day, hour + self.random.choice((1, 1, 2, 3, 9))):
            self.do("ticket.assign", ticket=number, to="luis")
            self.do("ticket.respond", "luis", ticket=number, text="Revisado: falta cerrar el mes anterior.")
            if 0.05 <= waits < 0.2:
                self.do("ticket.wait", "luis", ticket=number)
        if self.at(month, day, hour + 20):
            self.do("ticket.resolve", "luis", ticket=number)
        if self.life.acts and self.random.random() < 0.05 and self.at(month, day, hour + 21):
            self.do("ticket.reopen", "luis", ticket=number)
            self.do("ticket.exclude", "ana", ticket=number)

    def tell(self) -> None:
        """Open, buy, pay each month (now early, now in grace), ask, be declined; sweep what falls due."""
        life = self.life
        self.at(0, -3)
        self.do("account.open", account=_MARK, name="Distribuidora La Ceiba, S.A.", nit="7765120-3")
        for month in range(life.months):
            late = month and self.random.random() < 0.3
            if month:
                self.at(month, 0)
                self.ledger.record_due(_MARK)
            self.at(month, 2 if late else 0, 9)
            if not month:
                self.do("plan.purchase", account=_MARK, level=life.level, term="monthly", channel="web")
            self.pay(PRICES[life.level])
            if month == 3:
                self.do("addon.purchase", account=_MARK, level=life.level)
                self.pay(PRICES[life.level])
            if month == 5:
                self.do("courtesy.grant", account=_MARK, level=life.level, units=2)
            for n in range(life.tickets):
                self.ticket(month, 3.0 + n * 24 // life.tickets)
            if month < life.declines and self.at(month, 27, 12):
                number = f"{_MARK}-D{month}"
                self.do("ticket.open", account=_MARK, ticket=number, request="terminal", priority="low")


def live(lives: Sequence[Life], until: datetime) -> list[Template]:
    """Let each account live on a ledger of its own, up to `until`; return what that left in the log."""
    templates = []
    for life in lives:
        with tempfile.TemporaryDirectory() as folder:
            store = open_store(f"sqlite:///{Path(folder) / 'template.db'}")
            store.migrate(test_clock=True)
            _Telling(Ledger(store), life, until).tell()
            accounts = store.query("SELECT account FROM ledger_events ORDER BY position")
            rows = store.rows(0, 1_000_000)
            store.close()
        template = Template()
        last = ""
        for row, (account,) in zip(rows, accounts, strict=True):
            if row.recorded_at != last:
                template.groups.append([])
                last = row.recorded_at
            template.groups[-1].append((row, account))
        templates.append(template)
    return templates


def numbers(prefix: str, template: int, copies: int) -> list[str]:
    """Return the numbers of a template's copies."""
    return [f"{prefix}{template:02d}{copy:05d}" for copy in range(copies)]


def copy_out(templates: Sequence[Template], copies: int, prefix: str = "B") -> Iterator[tuple[str, list[Any]]]:
    """Yield (recorded_at, [(stored event, account)]) of `copies` of every template, by date."""
    order = sorted(
        (group[0][0].recorded_at, t, g) for t, template in enumerate(templates)
        for g, group in enumerate(template.groups)
    )  # fmt: skip
    for _recorded_at, t, g in order:
        # A copy's minutes may be later than the template's, never the hour.
        recorded_at = templates[t].groups[g][0][0].recorded_at.replace(_MINUTES, ":59:59.999999Z")
        for copy, number in enumerate(numbers(prefix, t, copies)):
            yield recorded_at, [_copied(row, number, copy) for row, _account in templates[t].groups[g]]


def _copied(row: Row, number: str, copy: int) -> tuple[StoredEvent, str]:
    minutes = f":{copy % 60:02d}:{copy // 60 % 60:02d}.{copy % 999_983:06d}Z"
    stream = row.stream.replace(_MARK, number).replace(_MARK.casefold(), number.casefold())
    state = row.state.replace(_MARK.encode(), number.encode()).replace(_MINUTES.encode(), minutes.encode())
    # A series of documents is shared by all accounts: each copy takes its next numbers.
    version = row.version if _MARK.casefold() in row.stream.casefold() else NEXT
    return StoredEvent(stream.replace(_MINUTES, minutes), version, row.topic, state), number


def fill(store: Store, templates: Sequence[Template], copies: int, prefix: str = "B") -> int:
    """Append copies of the templates in batches; return how many events that was."""
    events: list[StoredEvent] = []
    accounts: list[str] = []
    total = 0
    now = ""
    for recorded_at, group in copy_out(templates, copies, prefix):
        if len(events) + len(group) > _BATCH:
            store.append(events, accounts, now=now, request=None, complete=True)
            total += len(events)
            events, accounts = [], []
        now = recorded_at
        for event, account in group:
            events.append(event)
            accounts.append(account)
    store.append(events, accounts, now=now, request=None, complete=True)
    if store.dialect == "postgresql":
        store.execute("ANALYZE ledger_events")
    return total + len(events)


def check_events(store: Store) -> None:
    """Raise AssertionError unless every stream's versions run from 1 without a hole and every row can be read."""
    stream, version = "", 0
    for part in store.scan(store.last_position()):
        for row in part:
            stream, version = (stream, version + 1) if row[1] == stream else (row[1], 1)
            assert row[2] == version, f"{stream} has {row[2]} where {version} is due"
            facts.decode(row[3], row[5])
