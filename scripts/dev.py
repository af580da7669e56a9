"""Set the project up and run it, on a bare Python 3.11 or newer: nothing but the standard library here.

    python3 scripts/dev.py demo [--check]    the demo, from an empty environment on
    python3 scripts/dev.py test              every check and every test
    python3 scripts/dev.py test -k balance   pytest alone, with these arguments
    python3 scripts/dev.py bench [--json F]  the benchmark
    python3 scripts/dev.py lock [--upgrade]  write both lock files again from pyproject.toml

`.venv` is made on the first run and kept. What stands in it is said by a stamp that is written last: no stamp
means an interrupted install, another folder in it a moved checkout, and either starts from an empty `.venv`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STAMP = VENV / "dev-stamp.json"
LOCK = VENV / "dev.lock"
RUNTIME = ROOT / "requirements.lock"
DEVELOPMENT = ROOT / "requirements-dev.lock"

# A shell's own settings must not redirect an install that is meant for .venv; proxies and mirrors stay.
FOREIGN = {"PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"}
FOREIGN |= {"PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_REQUIRE_HASHES"}

CHECKS = (
    ("ruff check", ["ruff", "check", "."]),
    ("ruff format", ["ruff", "format", "--check", "."]),
    ("mypy", ["mypy"]),
    ("import contracts", ["lint-imports", "--no-logo"]),
    ("dependencies", ["deptry", "--no-ansi", "."]),
)


def main(arguments: list[str]) -> int:
    """Run one verb and return its exit code."""
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if verb in ("demo", "bench"):
        set_up(RUNTIME if verb == "demo" else DEVELOPMENT)
        hand_over([str(PYTHON), "-m", f"scripts.{verb}", *rest])
    if verb == "test":
        return test(rest)
    if verb == "lock":
        return lock(rest)
    print(__doc__)
    return 0 if verb in ("-h", "--help") else 2


def test(arguments: list[str]) -> int:
    """Run every check, then every test; with arguments, pytest alone."""
    set_up(DEVELOPMENT)
    if arguments:
        hand_over([str(PYTHON), "-m", "pytest", *arguments])
    for name, command in CHECKS:
        heading(name)
        started = time.monotonic()
        code = subprocess.call([str(BIN / command[0]), *command[1:]], cwd=ROOT, env=environment())
        print(f"{name}: {'passed' if code == 0 else 'FAILED'} in {time.monotonic() - started:.1f} s")
        if code:
            return code
    heading("tests")
    # Work is stolen from the far end of a worker's queue, so a file's shared fixtures are mostly made once.
    hand_over([str(PYTHON), "-m", "pytest", "-n", "2", "--dist", "worksteal"])


def lock(arguments: list[str]) -> int:
    """Write both lock files: hashes of every file, no address, the same versions in both."""
    uv = shutil.which("uv", path=os.pathsep.join((str(BIN), os.environ.get("PATH", ""))))
    if uv is None:
        print(f"uv is needed to lock. Put it into .venv with: {PYTHON} -m pip install uv", file=sys.stderr)
        return 1
    # The machine's own sources and mirrors must not show in a file that is for everybody.
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "UV_"))}
    common = [uv, "pip", "compile", "pyproject.toml", "--group", "build", "--quiet", "--no-config"]
    common += ["--universal", "--python-version", "3.11", "--only-binary", ":all:"]
    common += ["--generate-hashes", "--no-emit-index-url", "--no-header", *arguments]
    more = ["--group", "dev", "--extra", "server", "--constraint", RUNTIME.name]
    for output, extra in ((RUNTIME, []), (DEVELOPMENT, more)):
        code = subprocess.call([*common, *extra, "--output-file", output.name], cwd=ROOT, env=clean)
        if code:
            return code
    return 0


# --- the environment ----------------------------------------------------------------------------------


def set_up(requirements: Path) -> None:
    """Make `.venv` hold what `requirements` says and the project itself, unless it does already."""
    wanted = {"root": str(ROOT), requirements.name: digest(requirements), "project": digest("pyproject.toml")}
    VENV.mkdir(exist_ok=True)
    with alone():
        stamp = read_stamp()
        if stamp.items() >= wanted.items():
            return
        if stamp.get("root") != wanted["root"]:
            make_venv()
            stamp = {}
        STAMP.unlink(missing_ok=True)
        if stamp.get(requirements.name) != wanted[requirements.name]:
            stamp = {}
            print(f"Installing {requirements.name} into .venv (once) ...", flush=True)
            install("--require-hashes", "--only-binary", ":all:", "-r", str(requirements))
            if requirements == DEVELOPMENT:
                # It holds the runtime set at the same versions, so the demo needs nothing more.
                wanted[RUNTIME.name] = digest(RUNTIME)
        install("--no-build-isolation", "-e", str(ROOT))
        STAMP.write_text(json.dumps({**stamp, **wanted}), "utf-8")


def read_stamp() -> dict[str, str]:
    """Say what `.venv` holds; nothing when it is unfinished, damaged or its Python no longer runs."""
    try:
        stamp: dict[str, str] = json.loads(STAMP.read_text("utf-8"))
        # An upgraded or removed base interpreter leaves a venv that starts but finds no package.
        subprocess.run([PYTHON, "-I", "-c", "import click"], check=True, capture_output=True)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return {}
    return stamp


def make_venv() -> None:
    """Empty `.venv` but for the lock we hold, and make it anew."""
    for entry in VENV.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry != LOCK:
            entry.unlink()
    uv = shutil.which("uv")
    if find_spec("venv") and find_spec("ensurepip"):
        # Started from .venv's own Python, sys.executable is what we have just removed.
        base = getattr(sys, "_base_executable", sys.executable)
        run([base, "-m", "venv", str(VENV)])
    elif uv:
        run([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(VENV)])
    else:
        stop("This Python cannot make a virtual environment. On Debian: apt-get install python3-venv")


def install(*arguments: str) -> None:
    """Install exactly what is named, into `.venv`, with its own pip or with uv where it has none."""
    if (BIN / "pip").exists() or (BIN / "pip.exe").exists():
        command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar=off"]
    else:
        command = [shutil.which("uv") or "uv", "pip", "install", "--python", str(PYTHON)]
    run([*command, "--quiet", "--no-deps", *arguments])


@contextmanager
def alone() -> Iterator[None]:
    """Hold the lock of `.venv`: a second dev.py waits; the system lets go of it when we die."""
    with LOCK.open("a+") as file:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            while True:
                with suppress(OSError):  # it gives up after ten seconds
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                    break
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


# --- small tools --------------------------------------------------------------------------------------


def environment() -> dict[str, str]:
    """Return our environment without what would lead away from `.venv`, whose programs come first."""
    kept = {key: value for key, value in os.environ.items() if key not in FOREIGN}
    return {**kept, "PATH": os.pathsep.join((str(BIN), os.environ.get("PATH", os.defpath)))}


def run(command: list[str]) -> None:
    """Run a step of the set-up; its failure ends everything with its exit code."""
    code = subprocess.call(command, cwd=ROOT, env=environment())
    if code:
        stop(f"Failed ({code}): {' '.join(command)}", code)


def hand_over(command: list[str]) -> NoReturn:
    """Become `command`, so that signals reach it and its exit code is ours."""
    sys.stdout.flush()
    os.chdir(ROOT)
    if os.name != "nt":
        os.execve(command[0], command, environment())
    with subprocess.Popen(command, env=environment()) as process:
        while True:
            # Ctrl-C goes to both of us; it is the program's to answer.
            with suppress(KeyboardInterrupt):
                sys.exit(process.wait())


def digest(file: Path | str) -> str:
    """Return the digest of a file of the project."""
    return hashlib.sha256((ROOT / file).read_bytes()).hexdigest()


def heading(name: str) -> None:
    """Print the heading of a check before its own output."""
    print(f"\n=== {name} {'=' * (70 - len(name))}", flush=True)


def stop(message: str, code: int = 1) -> NoReturn:
    """End with a message for a person."""
    print(message, file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - it is the one script that may meet an older Python
        stop(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}, {sys.executable}")
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
