"""Where secrets of webhooks are kept: a file outside the database, for its owner alone; the database has names only.

So no copy of the database, and nobody who may read it, has a secret. A restored ledger needs the file too.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from ledger.errors import Unavailable
from ledger.store import Store
from ledger.store.files import OWNER_ONLY, exclusive, secrets_beside

IN_FILE = "file"  # what the database says of a secret that stands here
_WAIT_SECONDS = 10.0


class SecretFile:
    """Secrets by the name of what they belong to. Several processes may use it; None is "nowhere set"."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def keep(self, name: str, secret: str) -> None:
        """Keep a secret; Unavailable `secrets_file_unset` or `secrets_file_failed` where it cannot be."""
        path = self._there()
        deadline = time.monotonic() + _WAIT_SECONDS
        try:
            while True:
                with exclusive(path.with_name(f"{path.name}.lock")) as held:
                    if held:
                        return self._write(path, {**self._read(path), name: secret})
                if time.monotonic() > deadline:
                    raise Unavailable("secrets_file_failed", file=str(path), why="locked")
                time.sleep(0.02)
        except OSError as error:
            raise self._failed(path, error) from error

    def find(self, name: str) -> str:
        """Return a secret, "" where the file has none of that name; Unavailable as `keep`."""
        path = self._there()
        try:
            return self._read(path).get(name, "")
        except OSError as error:
            raise self._failed(path, error) from error

    def _there(self) -> Path:
        if self.path is None:
            raise Unavailable("secrets_file_unset")
        return self.path

    def _read(self, path: Path) -> dict[str, str]:
        try:
            found = json.loads(path.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Unavailable("secrets_file_failed", file=str(path), why="JSON")
        return {str(name): str(secret) for name, secret in found.items()}

    def _write(self, path: Path, secrets: dict[str, str]) -> None:
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY)
            with os.fdopen(handle, "w", encoding="utf-8") as sink:
                json.dump(secrets, sink, indent=1)
                sink.flush()
                os.fsync(sink.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _failed(self, path: Path, error: OSError) -> Unavailable:
        return Unavailable("secrets_file_failed", file=str(path), why=error.strerror or type(error).__name__)


def secret_file_of(store: Store, configured: Path | None) -> SecretFile:
    """Return the file of the settings, else the one beside an SQLite ledger."""
    if configured is None and store.dialect == "sqlite":
        return SecretFile(secrets_beside(Path(store.url.removeprefix("sqlite:///"))))
    return SecretFile(configured)
