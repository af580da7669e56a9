"""The parent of the tests' PostgreSQL: run as a program by `tests.postgres`, it ends when the tests do.

It starts the server in a folder of its own, prints that folder, and waits for a word or for the end of its
input: a test process that is killed closes the pipe, and takes its server and its files along.
Nothing but the standard library, so that it starts fast and needs no environment.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

USER = "ledger"
PORT = "5432"
START_LIMIT_S = 60
MEMORY_NEEDED_BYTES = 2 * 1024**3
PARENT_PATH_MAX = 65  # a socket's path may have 103 bytes; our folder and the socket's name take the rest


def watch(programs: Path, fsync: str) -> None:
    """Start a server, print its folder, wait for a word or the end of our input, clear everything away."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    identity = unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="ledger-pg-", dir=parent_folder(identity, fsync)))
    server = None
    try:
        if identity:
            programs = readable(programs, folder, identity)
            os.chown(folder, identity["user"], identity["group"])
        server = launch(programs, folder, fsync, identity)
        print(folder, flush=True)
        sys.stdin.readline()
    except Exception as error:
        log = folder / "log"
        print(error, log.read_text() if log.exists() else "", sep="\n", flush=True)
    finally:
        if server is not None:
            server.send_signal(signal.SIGQUIT)  # at once: there is nothing to keep
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def launch(programs: Path, folder: Path, fsync: str, identity: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Make a data folder and return the server's process once it takes connections."""
    initdb = ["initdb", "-D", "data", "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    postgres = ["postgres", "-D", "data", "-p", PORT, "-k", str(folder), "-h", ""]
    # Not UTC on purpose: nothing that is stored may depend on the server's zone.
    postgres += ["-c", "max_connections=200", "-c", "timezone=America/Guatemala"]
    if fsync == "off":
        postgres += ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
    with (folder / "log").open("w") as log:
        settings: dict[str, Any] = {"cwd": folder, "stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        settings |= {"env": {**os.environ, "LC_ALL": "C"}, **identity}
        subprocess.run([programs / initdb[0], *initdb[1:]], check=True, **settings)
        server = subprocess.Popen([programs / postgres[0], *postgres[1:]], **settings)
    state = folder / "data" / "postmaster.pid"  # its eighth line says when connections are taken
    for _ in range(START_LIMIT_S * 200):
        if server.poll() is not None:
            raise RuntimeError(f"postgres ended with {server.returncode}")
        if state.exists() and state.read_text().split("\n")[7:8] == ["ready   "]:
            return server
        time.sleep(0.005)
    server.send_signal(signal.SIGQUIT)
    raise RuntimeError(f"postgres was not ready within {START_LIMIT_S} s")


def unprivileged() -> dict[str, Any]:
    """Return whom the server runs as: ourselves, or for root, as whom it refuses to run, somebody else."""
    if os.geteuid() != 0:
        return {}
    import pwd  # not above: Windows has none, and its tests import this file to use a server they name

    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return {"user": 65534, "group": 65534, "extra_groups": []}


def parent_folder(identity: dict[str, Any], fsync: str) -> str:
    """Return where our folder goes: memory if nothing is to be durable, else disk, by a short enough path."""
    memory, usual = "/dev/shm", tempfile.gettempdir()
    if fsync == "off" and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > MEMORY_NEEDED_BYTES:
        return memory
    if len(usual) <= PARENT_PATH_MAX and (not identity or open_to_all(Path(usual))):
        return usual
    return "/tmp"


def readable(programs: Path, folder: Path, identity: dict[str, Any]) -> Path:
    """Return programs the server's user can run: copied rather than the modes of somebody's home opened."""
    if open_to_all(programs):
        return programs
    install, package = programs.parent, programs.parent.parent
    copy = folder / "programs"
    shutil.copytree(install, copy / package.name / install.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")  # where a wheel's programs look, by relative path
    if libraries.exists():
        shutil.copytree(libraries, copy / libraries.name)
    for path in (copy, *copy.rglob("*")):
        os.chown(path, identity["user"], identity["group"], follow_symlinks=False)
    return copy / package.name / install.name / programs.name


def open_to_all(folder: Path) -> bool:
    """Say whether any user may pass through all folders down to this one."""
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents))


if __name__ == "__main__":
    watch(Path(sys.argv[1]), sys.argv[2])
