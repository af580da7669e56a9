"""The demo: a ledger with a year of a few customers, another desk's history, three desks' answers, the API served.

`python3 scripts/dev.py demo` runs it; again, it starts at once and doubles nothing. `--check` does all of it in a
temporary folder on a free port, asks over HTTP, compares with `demo_expected.json`, and exits 0 or 1.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

from scripts.demo_log import write_log

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
YEAR = HERE / "demo_year.jsonl"
EXPECTED = HERE / "demo_expected.json"
MAPPING = HERE / "helpdesk_mapping.toml"
REAL_LOG = ROOT.parent / "shared" / "data" / "helpdesk_log.csv"
CONTACT = ("C-106", "--email", "compras@elsaber.example")
DESKS = (
    ("Finanzas · Finance: un año, hecho por hecho · a year, event by event", ["history", "C-106"]),
    ("Finanzas · Finance", ["billing", "C-106"]),
    ("Finanzas · Finance", ["document", "list", "C-106"]),
    ("Finanzas · Finance", ["billing", "C-101"]),
    ("Soporte · Agents", ["balance", "C-101"]),
    ("Soporte · Agents", ["coverage", "C-104", "--request", "general", "--priority", "high"]),
    ("Gerencia · Managers", ["sla", "report", "--by", "level,priority"]),
)
_START_SECONDS = 20.0


def main() -> int:
    """Run the demo or its check; return the exit code."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--check", action="store_true", help="in a temporary folder, compare, stop")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--no-serve", action="store_true", help="stop after the answers")
    options = parser.parse_args()
    if options.check:
        with tempfile.TemporaryDirectory(prefix="supportledger-demo-") as temporary:
            return check(Path(temporary))
    folder = ROOT / "data"
    fresh = prepare(folder)
    token = demo_token(folder, fresh)
    show_desks(folder)
    print(f"\nAvisos por correo · notices by mail ({mails(folder)}): {folder / 'mail'}")
    if options.no_serve:
        return 0
    print(
        f"\nAPI: http://127.0.0.1:{options.port}/v1 · documentación · documentation: http://127.0.0.1:{options.port}/docs"
    )
    print(f"Credencial de gerente · manager's token: {token}")
    print(
        f'curl -H "Authorization: Bearer {token}" http://127.0.0.1:{options.port}/v1/accounts/C-101/balance\n',
        flush=True,
    )
    command = [*cli(), "serve", "--port", str(options.port)]
    if os.name == "posix":
        os.execve(command[0], command, environment(folder))
    return subprocess.call(command, env=environment(folder))


def cli() -> list[str]:
    """Return the words that start the command line with this very Python."""
    return [sys.executable, "-m", "ledger.cli"]


def environment(folder: Path) -> dict[str, str]:
    """Return the environment in which the command line finds the demo's ledger; mail becomes files, card money none."""
    return {
        **os.environ,
        "LEDGER_DATABASE_URL": f"sqlite:///{folder / 'demo.db'}",
        "LEDGER_GATEWAY": "sandbox",
        "LEDGER_MAIL_FROM": "Soporte INVEX <soporte@invex.example>",
        "LEDGER_MAIL_DIR": str(folder / "mail"),
        "LEDGER_SMTP_URL": "",
        "PYTHONPATH": str(ROOT),
    }


def run(folder: Path, *words: str, given: str = "", codes: tuple[int, ...] = (0,)) -> str:
    """Run one command and return what it printed; SystemExit with its words when it fails."""
    done = subprocess.run(
        [*cli(), *words], env=environment(folder), input=given, capture_output=True, text=True, check=False
    )
    if done.returncode not in codes:
        raise SystemExit(f"supportledger {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def prepare(folder: Path) -> bool:
    """Make the ledger, tell the year, import the history; return whether anything was to do.

    Every step may be cut off and run again: the year's lines carry keys, imported rows are known by their place.
    """
    folder.mkdir(parents=True, exist_ok=True)
    finished = folder / "demo.done"
    if finished.exists() and (folder / "demo.db").exists():
        return False
    print("Preparando el libro · preparing the ledger …", flush=True)
    run(folder, "migrate", "--test-clock")
    run(folder, "apply", given=openings())
    run(folder, "contact", "set", *CONTACT)  # an address is no fact: it stands beside the log
    run(folder, "apply", str(YEAR))
    log = REAL_LOG if REAL_LOG.exists() else write_log(folder / "demo_log.csv")
    print(f"Importando · importing {log.name} …", flush=True)
    command = [*cli(), "import", str(log), "--mapping", str(MAPPING), "--json"]
    done = subprocess.run(command, env=environment(folder), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"import: exit {done.returncode}\n{done.stdout}")
    print(f"  {done.stdout.strip()}")
    run(folder, "projections", "catch-up")
    finished.write_text(done.stdout, "utf-8")
    return True


def openings() -> str:
    """Return the year's first lines, in which the accounts are opened."""
    lines = YEAR.read_text("utf-8").splitlines()
    return "\n".join(takewhile(lambda line: '"plan.purchase"' not in line, lines))


def demo_token(folder: Path, fresh: bool) -> str:
    """Return the demo's token, made once and kept beside the ledger, readable by its owner only."""
    file = folder / "demo.token"
    if fresh or not file.exists():
        made = json.loads(run(folder, "token", "create", "--role", "manager", "--name", "marta", "--json"))
        file.touch(mode=0o600)
        file.write_text(made["token"], "utf-8")
    return file.read_text("utf-8")


def mails(folder: Path) -> int:
    """Return how many notices were mailed."""
    return len(list((folder / "mail").glob("*.eml")))


def show_desks(folder: Path) -> None:
    """Print what each desk asks, with the command that gave the answer."""
    for desk, words in DESKS:
        print(f"\n{desk}\n$ supportledger {' '.join(words)}")
        print(run(folder, *words), end="")


# --- the check ------------------------------------------------------------------------------------------------


def check(folder: Path) -> int:
    """Do all of it in `folder`, ask over HTTP, compare; return 0 when everything came out as it must."""
    started = time.monotonic()
    prepare(folder)
    imported = json.loads((folder / "demo.done").read_text("utf-8"))
    token = demo_token(folder, True)
    expected = json.loads(EXPECTED.read_text("utf-8"))
    expected["import"] = expected["import"]["real" if REAL_LOG.exists() else "small"]
    with served(folder) as address:
        print(f"  primera respuesta · first answer: {time.monotonic() - started:.1f} s")
        found = {
            "import": imported,
            "mails": mails(folder),
            "without token": ask(address, "/v1/accounts/C-101/balance", "")[0],
            "docs": ask(address, "/docs", "")[0],
            "ready": ask(address, "/readyz", "")[0],
            **{name: ask(address, path, token)[1] for name, path in expected["paths"].items()},
        }
    wrong = [*differences("", {k: v for k, v in expected.items() if k != "paths"}, found)]
    before = run(folder, "status", "--json")
    (folder / "demo.done").unlink()
    prepare(folder)  # again: doubles nothing
    after = run(folder, "status", "--json")
    if json.loads(before)["position"] != json.loads(after)["position"]:
        wrong.append("a second run appended events")
    if mails(folder) != found["mails"]:
        wrong.append("a second run sent mail")
    for line in wrong:
        print(f"  DIFERENTE · DIFFERENT {line}")
    print("demo --check: " + ("DIFERENTE · DIFFERENT" if wrong else "ok"))
    return 1 if wrong else 0


def differences(place: str, expected: Any, found: Any) -> Iterator[str]:
    """Yield where `found` lacks or contradicts `expected`; what is found beyond it is left alone."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name, value in expected.items():
            yield from differences(f"{place}.{name}", value, found.get(name))
    elif expected != found:
        yield f"{place.lstrip('.')}: expected {expected!r}, found {found!r}"


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the ledger on a free port while asked; stop it as an operator would."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([*cli(), "serve", "--port", str(port)], env=environment(folder), stderr=subprocess.PIPE)
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + _START_SECONDS
        while ask(address, "/livez", "")[0] != 200:
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the server did not start")
            time.sleep(0.05)
        yield address
    finally:
        server.send_signal(signal.SIGTERM)
        if server.wait(timeout=15) != 0:
            raise SystemExit(f"the server stopped with exit code {server.returncode}")


def ask(address: str, path: str, token: str) -> tuple[int, Any]:
    """Return (status, decoded JSON or None) of a GET; status 0 while nobody listens."""
    request = urllib.request.Request(address + path)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            text = response.read()
            return response.status, json.loads(text) if "json" in response.headers["Content-Type"] else None
    except urllib.error.HTTPError as error:
        return error.code, None
    except OSError:
        return 0, None


if __name__ == "__main__":
    sys.exit(main())
