"""What every test may ask for: an empty place for a ledger on SQLite, on PostgreSQL, or on each in turn."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings

from tests.postgres import Server, start_server

# No deadline: a machine that is busy is no fault of the code. In CI the same cases run every time, so that a
# red run is about the change; elsewhere every run tries others.
settings.register_profile("here", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")

pytest.register_assert_rewrite("tests.given")  # a helper's failed assert then shows its values too

KEPT = ("LEDGER_TEST_PG_DSN", "LEDGER_PG_BIN")  # they say where the tests' PostgreSQL is
_numbers = count(1)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away the settings of the shell that runs the tests: they are for another ledger."""
    for name in os.environ:
        if name.startswith("LEDGER_") and name not in KEPT:
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Give this worker's PostgreSQL, started when the first test asks for it."""
    with start_server() as server:
        yield server


@pytest.fixture
def pg_url(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give the URL of a new, empty PostgreSQL database."""
    monkeypatch.setenv("LEDGER_SECRETS_FILE", str(tmp_path / "secrets"))  # no file of its own to stand beside
    name = f"test_{os.getpid()}_{next(_numbers)}"  # unique among workers that share one server
    yield postgres.create_database(name)
    postgres.drop_database(name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Give the URL of an SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest) -> str:
    """Give an empty database's URL, once on SQLite and once on PostgreSQL."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "pg_url")
    return url
