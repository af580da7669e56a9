"""The library's own way to a balance: its application on PostgreSQL, its ProjectionRunner, one table of units left.

The events have the ledger's own stored content. A runner commits once an event, the position with the change, as
the library's documentation has it; no topic is filtered out, as the ledger's rebuild reads them all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from eventsourcing.application import Application
from eventsourcing.domain import DomainEvent
from eventsourcing.persistence import StoredEvent, Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.utils import clear_topic_cache, register_topic
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL

from ledger import facts
from ledger.store import Row


class Happened(DomainEvent):
    """An event whose attributes are those stored; one subclass a topic."""


def _topics() -> dict[str, type[Happened]]:
    return {topic: type(cls.__name__, (Happened,), {"__module__": __name__}) for topic, cls in facts.FACTS.items()}


EVENTS = _topics()
SIGNS = {
    "account.courtesy_granted": +1,
    "account.tickets_granted": +1,
    "account.tickets_expired": -1,
    "account.tickets_voided": -1,
    "account.ticket_consumed": -1,
    "account.unit_given_back": +1,
}
_CHANGES = {EVENTS[topic]: sign for topic, sign in SIGNS.items()}


class Balances(PostgresTrackingRecorder):
    """The table of units left, in one transaction with the position."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sql_create_statements.append(
            SQL(
                "CREATE TABLE IF NOT EXISTS peer_balances (account text PRIMARY KEY, remaining bigint NOT NULL)"
            ).format()
        )

    def change(self, account: str, units: int, tracking: Tracking) -> None:
        """Add units to an account and move the position."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(
                "INSERT INTO peer_balances VALUES (%s, %s)"
                " ON CONFLICT (account) DO UPDATE SET remaining = peer_balances.remaining + excluded.remaining",
                (account, units),
                prepare=True,
            )

    def remaining(self) -> dict[str, int]:
        """Return what each account has left."""
        with self.datastore.transaction(commit=False) as cursor:
            cursor.execute("SELECT account, remaining FROM peer_balances")
            return {row["account"]: row["remaining"] for row in cursor.fetchall()}

    def drop(self) -> None:
        """Forget everything."""
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute("DROP TABLE peer_balances")
            cursor.execute(SQL("DROP TABLE {}").format(SQL(self.tracking_table_name)))


class BalanceProjection(Projection[Balances]):
    """Keeps the table; says when it has begun and when it has reached the last event."""

    last = 0
    started = 0.0
    ended = 0.0
    reached = threading.Event()

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """Change a balance, or only move on."""
        cls = type(self)
        cls.started = cls.started or time.perf_counter()
        sign = _CHANGES.get(type(domain_event))
        if sign is None:
            self.view.insert_tracking(tracking)
        else:
            self.view.change(domain_event.customer_no, sign * getattr(domain_event, "units", 1), tracking)
        if tracking.notification_id >= cls.last:
            cls.ended = time.perf_counter()
            cls.reached.set()


class PeerLedger(Application[UUID]):
    """The library's application."""

    name = "peer"


class Runner:
    """The library's application over a slice of the log, and runs of its projection from the first event."""

    def __init__(self, url: str, rows: Sequence[Row]) -> None:
        for topic, cls in EVENTS.items():
            register_topic(topic, cls)
        given = conninfo_to_dict(url)
        self.env = {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": str(given["dbname"]),
            "POSTGRES_HOST": str(given["host"]),
            "POSTGRES_PORT": str(given["port"]),
            "POSTGRES_USER": str(given["user"]),
            "POSTGRES_PASSWORD": str(given.get("password", "")),
        }
        app = PeerLedger(self.env)
        for start in range(0, len(rows), 400):  # a larger save hangs in psycopg's pipeline
            part = rows[start : start + 400]
            app.recorder.insert_events(
                [StoredEvent(uuid5(NAMESPACE_URL, row.stream), row.version, row.topic, row.state) for row in part]
            )
        self.last = app.recorder.max_notification_id() or 0
        self.events = len(rows)
        self.remaining: dict[str, int] = {}
        app.close()

    def run(self) -> float:
        """Process every event from an empty table; return events a second, from the first one's arrival on."""
        BalanceProjection.last, BalanceProjection.started = self.last, 0.0
        BalanceProjection.reached.clear()
        runner = ProjectionRunner(
            application_class=PeerLedger, projection_class=BalanceProjection, view_class=Balances, env=self.env
        )
        with runner:
            while not BalanceProjection.reached.wait(0.2):
                if runner.is_interrupted.is_set():
                    runner.run_forever()
            self.remaining = runner.view.remaining()
            runner.view.drop()
        runner.view.datastore.close()
        return self.events / (BalanceProjection.ended - BalanceProjection.started)

    @staticmethod
    def close() -> None:
        """Forget the topics."""
        clear_topic_cache()
