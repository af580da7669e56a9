"""The log in PostgreSQL: one function appends under one advisory lock held to the commit, in one round trip.

The URL goes to libpq as it is, so sslmode and options survive. Connections are opened at the first use, per
process. A call waits at most a few seconds for a connection, then says that the database is gone.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import psycopg.errors
from eventsourcing.persistence import IntegrityError, StoredEvent
from psycopg_pool import ConnectionPool, PoolTimeout

from ledger.errors import Unavailable
from ledger.store.base import Store, Writer, chunks
from ledger.store.identity import NAME_LOG, new_log_id
from ledger.store.rows import NEXT, Request
from ledger.store.tables import SCHEMA_VERSION, upgrades_from

# A failed attempt is told as Unavailable; the pool would print each of its retries besides.
logging.getLogger("psycopg.pool").setLevel(logging.ERROR)

_POOL_SECONDS = 3.0
_AWAY_SECONDS = 0.2
_POOL_MAX = 16
_LOCK = 7_239_461_005  # of appends; other locks hash their name beside it
# Arrays go in binary: their text form costs more to write than the rows do.
_APPEND = "SELECT ledger_append(%s, %b::text[], %b::bigint[], %b::text[], %b::text[], %b::bytea[])"
_APPEND_REQUEST = (
    "SELECT ledger_append_request(%s, %b::text[], %b::bigint[], %b::text[], %b::text[], %b::bytea[], %s, %s, %s)"
)


class PostgresStore(Store):
    """A database on a server; many processes may write at once, appends take turns."""

    dialect = "postgresql"

    def __init__(self, url: str) -> None:
        self.url = url
        self._pool: ConnectionPool[psycopg.Connection[tuple[Any, ...]]] | None = None
        self._pid = os.getpid()
        self._opening = threading.Lock()
        self._away = False  # the pool goes on trying; whoever gets a connection finds it back

    # --- connections --------------------------------------------------------------------------------------

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        # While the server is away each caller would wait, until none is left to answer: only the first ones do.
        seconds = _AWAY_SECONDS if self._away else _POOL_SECONDS
        with _translated():
            try:
                with self._open_pool().connection(seconds) as connection:
                    self._away = False
                    yield connection
            except PoolTimeout:
                self._away = True
                raise

    def _open_pool(self) -> ConnectionPool[psycopg.Connection[tuple[Any, ...]]]:
        pid = os.getpid()
        if self._pid != pid:  # a forked child inherits neither the pool's threads nor its connections
            self._pid, self._pool, self._opening = pid, None, threading.Lock()
        with self._opening:
            if self._pool is None:
                self._pool = ConnectionPool(
                    self.url,
                    min_size=1,
                    max_size=_POOL_MAX,
                    timeout=_POOL_SECONDS,
                    kwargs={"autocommit": True, "connect_timeout": 3, "application_name": "supportledger"},
                    open=True,
                    name="supportledger",
                )
            return self._pool

    def close(self) -> None:
        if self._pool is not None and self._pid == os.getpid():
            self._pool.close()
        self._pool = None

    # --- reading ------------------------------------------------------------------------------------------

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._connection() as connection:
            # Binary: bytes come as they are, not as twice as many hexadecimal digits.
            return connection.execute(sql.replace("?", "%s"), params, binary=True).fetchall()

    def stream_query(self, sql: str, params: Sequence[Any], size: int) -> Iterator[list[tuple[Any, ...]]]:
        with (
            self._connection() as connection,
            connection.transaction(),
            connection.cursor(name="ledger_scan", binary=True) as cursor,
        ):
            cursor.itersize = size
            cursor.execute(sql.replace("?", "%s"), params)
            while rows := cursor.fetchmany(size):
                yield rows

    # --- writing ------------------------------------------------------------------------------------------

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        with self._connection() as connection:
            return connection.execute(sql.replace("?", "%s"), params).rowcount

    @contextmanager
    def transaction(self) -> Iterator[Writer]:
        with self._connection() as connection, connection.transaction():
            yield _PostgresWriter(connection)

    def write(
        self, events: Sequence[StoredEvent], accounts: Sequence[str], *, now: str, request: Request | None
    ) -> list[int]:
        parts = list(chunks(events)) or [slice(0, 0)]
        with self._connection() as connection:
            if len(parts) == 1:
                return self._append(connection, events, accounts, now, request)
            positions: list[int] = []
            with connection.transaction():
                for part in parts:
                    last = request if part is parts[-1] else None
                    positions += self._append(connection, events[part], accounts[part], now, last)
            return positions

    def _append(
        self,
        connection: psycopg.Connection[tuple[Any, ...]],
        events: Sequence[StoredEvent],
        accounts: Sequence[str],
        now: str,
        request: Request | None,
    ) -> list[int]:
        params: list[Any] = [
            now,
            [e.originator_id for e in events],
            [e.originator_version for e in events],
            [e.topic for e in events],
            list(accounts),
            [e.state for e in events],
        ]
        if request is None:
            row = connection.execute(_APPEND, params).fetchone()
        else:
            params += [request.key, request.fields, request.outcome]
            row = connection.execute(_APPEND_REQUEST, params).fetchone()
        assert row is not None
        return list(row[0])

    @contextmanager
    def locked(self, name: str) -> Iterator[bool]:
        with self._connection() as connection:
            sql = "SELECT pg_try_advisory_lock(%s, hashtext(%s))"
            row = connection.execute(sql, [_LOCK % 2**31, name]).fetchone()
            held = bool(row and row[0])
            try:
                yield held
            finally:
                if held and not connection.closed:
                    connection.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", [_LOCK % 2**31, name])

    # --- set-up -------------------------------------------------------------------------------------------

    def schema_version(self) -> int:
        rows = self.query("SELECT to_regclass('ledger_meta') IS NOT NULL")
        return int(self.meta("schema_version") or 0) if rows[0][0] else 0

    def migrate(self, *, test_clock: bool = False) -> bool:
        with self._connection() as connection, connection.transaction():
            # Two at once would collide in the system's own tables: one waits for the other.
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            row = connection.execute("SELECT to_regclass('ledger_meta') IS NOT NULL").fetchone()
            exists = bool(row and row[0])
            if not exists:
                for statement in _SCHEMA:
                    connection.execute(statement)
                insert = "INSERT INTO ledger_meta VALUES (%s, %s)"
                connection.execute(insert, ["schema_version", "1"])
                if test_clock:
                    connection.execute(insert, ["test_clock", "unset"])
            row = connection.execute("SELECT value FROM ledger_meta WHERE name = 'schema_version'").fetchone()
            found = int(row[0]) if row else 0
            if found < SCHEMA_VERSION:
                for statement in upgrades_from(found, text='text COLLATE "C"', number="bigint"):
                    connection.execute(statement)
                connection.execute(_APPEND_FUNCTION)
                update = "UPDATE ledger_meta SET value = %s WHERE name = 'schema_version'"
                connection.execute(update, [str(SCHEMA_VERSION)])
            named = connection.execute(NAME_LOG.replace("?", "%s"), [new_log_id()]).rowcount
        self.check()
        return found < SCHEMA_VERSION or named > 0

    def owned(self) -> bool:
        """Whether the tables belong to the role that is connected, or to one that it is a member of."""
        sql = "SELECT pg_has_role(relowner, 'MEMBER') FROM pg_class WHERE oid = 'ledger_events'::regclass"
        return bool(self.query(sql)[0][0])

    def warnings(self) -> list[str]:
        return []


class _PostgresWriter:
    text = 'text COLLATE "C"'

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        return self._connection.execute(sql.replace("?", "%s"), params or None).rowcount

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        copy_sql = f"COPY {table} ({','.join(columns)}) FROM STDIN"
        with self._connection.cursor() as cursor, cursor.copy(copy_sql) as copy:
            for row in rows:
                copy.write_row(row)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn psycopg's errors into the library's conflict or into Unavailable with a code."""
    try:
        yield
    except psycopg.IntegrityError as error:
        raise IntegrityError(str(error)) from error
    except (PoolTimeout, psycopg.errors.AdminShutdown, psycopg.errors.CannotConnectNow) as error:
        raise Unavailable("database_unreachable") from error
    except psycopg.errors.ReadOnlySqlTransaction as error:
        raise Unavailable("database_read_only", path="PostgreSQL") from error
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedFunction) as error:
        raise Unavailable("not_migrated") from error
    except psycopg.OperationalError as error:
        raise Unavailable("database_unreachable") from error
    except psycopg.DatabaseError as error:
        raise Unavailable("database_failed", path="PostgreSQL", detail=str(error).splitlines()[0]) from error


# The lock is taken before the first position is drawn and released only after the commit: positions and stamps
# rise in the order in which rows become visible. Under it a row of version NEXT takes its stream's next place.
_APPEND_FUNCTION = f"""CREATE OR REPLACE FUNCTION ledger_append(
        p_now text, p_streams text[], p_versions bigint[], p_topics text[], p_accounts text[], p_states bytea[]
    ) RETURNS bigint[] LANGUAGE plpgsql AS $$
    DECLARE
        v_stamp text;
        v_positions bigint[];
    BEGIN
        PERFORM pg_advisory_xact_lock({_LOCK});
        SELECT recorded_at INTO v_stamp FROM ledger_events ORDER BY position DESC LIMIT 1;
        IF v_stamp IS NULL OR v_stamp COLLATE "C" < p_now COLLATE "C" THEN v_stamp := p_now; END IF;
        IF {NEXT} = ANY (p_versions) THEN
            SELECT array_agg(CASE WHEN v = {NEXT}
                THEN coalesce((SELECT max(version) FROM ledger_events WHERE stream = s), 0) + place ELSE v END
                ORDER BY n) INTO p_versions
            FROM (
                SELECT s, v, n, row_number() OVER (PARTITION BY s, v ORDER BY n) AS place
                FROM unnest(p_streams, p_versions) WITH ORDINALITY AS u(s, v, n)
            ) AS placed;
        END IF;
        WITH inserted AS (
            INSERT INTO ledger_events (stream, version, topic, account, recorded_at, state)
            SELECT s, v, t, a, v_stamp, b
            FROM unnest(p_streams, p_versions, p_topics, p_accounts, p_states)
                WITH ORDINALITY AS u(s, v, t, a, b, n)
            ORDER BY n
            RETURNING position
        )
        SELECT array_agg(position ORDER BY position) INTO v_positions FROM inserted;
        RETURN coalesce(v_positions, '{{}}');
    END $$"""

_SCHEMA = (
    """CREATE TABLE ledger_events (
        position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        stream text COLLATE "C" NOT NULL,
        version bigint NOT NULL,
        topic text COLLATE "C" NOT NULL,
        account text COLLATE "C" NOT NULL,
        recorded_at text COLLATE "C" NOT NULL,
        state bytea NOT NULL
    )""",
    "CREATE UNIQUE INDEX ledger_events_stream ON ledger_events (stream, version)",
    "CREATE INDEX ledger_events_account ON ledger_events (account, position)",
    """CREATE TABLE ledger_requests (
        key text COLLATE "C" PRIMARY KEY, fields text NOT NULL, outcome text NOT NULL, position bigint NOT NULL
    )""",
    """CREATE TABLE ledger_tokens (
        hash text COLLATE "C" PRIMARY KEY, prefix text NOT NULL, role text NOT NULL, name text NOT NULL,
        created_at text NOT NULL, revoked_at text NOT NULL
    )""",
    'CREATE TABLE ledger_meta (name text COLLATE "C" PRIMARY KEY, value text NOT NULL)',
    """CREATE FUNCTION ledger_append_request(
        p_now text, p_streams text[], p_versions bigint[], p_topics text[], p_accounts text[], p_states bytea[],
        p_key text, p_fields text, p_outcome text
    ) RETURNS bigint[] LANGUAGE plpgsql AS $$
    DECLARE
        v_positions bigint[];
    BEGIN
        v_positions := ledger_append(p_now, p_streams, p_versions, p_topics, p_accounts, p_states);
        INSERT INTO ledger_requests (key, fields, outcome, position)
        VALUES (p_key, p_fields, p_outcome, coalesce(v_positions[array_length(v_positions, 1)], 0));
        RETURN v_positions;
    END $$""",
)
