"""The files of a ledger on this machine: who may read them, and locks held through a file.

A lock is released by the system when its holder dies.
"""

from __future__ import annotations

import glob
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OWNER_ONLY = 0o600
_BESIDE = ("", "-wal", "-shm", "-journal")  # what SQLite adds to a file's name
SQLITE_MAGIC = b"SQLite format 3\0"


def belonging(path: Path) -> list[Path]:
    """Return the names of an SQLite database and of what SQLite keeps beside it."""
    return [path.with_name(f"{path.name}{ending}") for ending in _BESIDE]


def ledger_files(path: Path) -> list[Path]:
    """Return the names of all files of the ledger whose database is `path`: its read models' too."""
    own = [*belonging(path), *belonging(path.with_name(f"{path.name}.read")), secrets_beside(path)]
    # What held locks are kept on: with another file in its place, two would hold the same one.
    return [*own, *sorted(path.parent.glob(f"{glob.escape(path.name)}.*lock"))]


def secrets_beside(path: Path) -> Path:
    """Return the file of the secrets of the ledger whose database is `path`, where the settings name no other."""
    return path.with_name(f"{path.name}.secrets")


def tighten(path: Path) -> bool:
    """Leave the ledger's files to their owner alone; return whether anything was to do. What is not ours stays."""
    changed = False
    for file in ledger_files(path):
        try:
            if _open_to_others(file):
                file.chmod(OWNER_ONLY)
                changed = True
        except OSError:  # another's: `warnings` tells it
            continue
    return changed


def warnings(path: Path) -> list[str]:
    """Return text keys of what is wrong with who may read the ledger's files, or put others in their place."""
    found = ["files_open"] if any(map(_open_to_others, ledger_files(path))) else []
    try:
        mode = path.absolute().parent.stat().st_mode
    except OSError:
        return found
    # In a folder like /tmp others may add files, but take none away.
    others = mode & (stat.S_IWGRP | stat.S_IWOTH) and not mode & stat.S_ISVTX
    return [*found, "folder_open"] if others and os.name == "posix" else found


def _open_to_others(file: Path) -> bool:
    try:
        return os.name == "posix" and bool(file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
    except OSError:
        return False


@contextmanager
def exclusive(path: Path) -> Iterator[bool]:
    """Yield True while this process holds the lock of file `path`, False at once when another holds it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY)
    try:
        yield try_lock(handle)
    finally:
        os.close(handle)


def try_lock(handle: int) -> bool:
    """Lock an open file for this handle, until it is closed; False at once when another has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
