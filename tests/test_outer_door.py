"""Every command, question and route once, through the door that users have: the installed program, a real server.

`doors/*.txt` are the calls, in order. What can be called and stands in no file fails here, so a command that nobody
can reach cannot stay green.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pytest

from api.document import steps
from ledger.cli import assemble
from ledger.commands import COMMANDS, QUESTIONS
from tests.test_api import Office
from tests.test_scenario_files import FILES, lines_of, missing
from tests.test_serve import serving

PROGRAM = Path(sys.executable).with_name("supportledger")
DOORS = sorted((Path(__file__).resolve().parent / "doors").glob("*.txt"))
_SECONDS = 60


def leaves(group: click.Group, *path: str) -> Iterator[str]:
    """Yield every command that can be called, with the groups it stands in."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, *path, name)
        else:
            yield " ".join((*path, name))


def calls(door: Path) -> Iterator[str]:
    for line in door.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line


class Shell:
    """Plays the lines of a door in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept: dict[str, str] = {}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LEDGER_")}
        self.env = {**kept, "LEDGER_DATABASE_URL": "sqlite:///l.db", "LEDGER_LANG": "es_GT", "HOME": str(folder)}
        self.env["XDG_CONFIG_HOME"] = str(folder / "config")

    def play(self, line: str) -> None:
        head, _, rest = line.partition(" ")
        if head == "write":
            name, _, text = rest.partition(" ")
            (self.folder / name).write_text(text.replace("|", "\n") + "\n", "utf-8")
        elif head == "save":
            name, _, words = rest.partition(" ")
            (self.folder / name).write_text(self.run(words), "utf-8")
        elif head == "keep":
            name, field, words = rest.split(" ", 2)
            field, _, length = field.partition(":")  # `token:11` is its first eleven characters
            self.kept[f"${name}"] = str(json.loads(self.run(f"{words} --json"))[field])[: int(length or 999)]
        elif head == "stdin":
            given, _, words = rest.partition(" => ")
            self.run(words, given=self.kept.get(given, given) + "\n")
        elif head == "serves":
            self.serve(rest)
        elif head == "1:":
            self.run(rest, code=1)
        else:
            self.run(line)

    def run(self, words: str, *, code: int = 0, given: str = "") -> str:
        """Return what it prints; it must end with `code`."""
        done = self.ended(words, given)
        told = f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        assert done.returncode == code, told
        assert "Traceback" not in done.stderr, told
        return done.stdout

    def refused(self, words: str) -> str:
        """Return in what words it is refused (exit 1, or 2 for a value that is wrong)."""
        done = self.ended(words)
        assert done.returncode in (1, 2), f"{words}\n{done.stdout}"
        assert "Traceback" not in done.stderr, done.stderr
        return done.stderr

    def ended(self, words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *(self.kept.get(word, word) for word in shlex.split(words))],
            cwd=self.folder,
            env=self.env,
            input=given,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )

    def serve(self, words: str) -> None:
        process = subprocess.Popen(
            [PROGRAM, *shlex.split(words)],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        late = threading.Timer(_SECONDS, process.kill)
        late.start()
        try:
            assert process.stdout is not None
            assert any(re.search(r"http://|leading", line) for line in process.stdout), words
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=_SECONDS)
            assert process.returncode == 0, words
        finally:
            late.cancel()
            process.kill()
            process.wait()


@pytest.mark.parametrize("door", DOORS, ids=[door.stem for door in DOORS])
def test_each_call_is_answered(door: Path, tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    for line in calls(door):
        shell.play(line)


def test_every_command_of_the_program_is_called() -> None:
    lines = [line for door in DOORS for line in calls(door)]
    words = [re.sub(r"^(1:|serves|save \S+|keep \S+ \S+|stdin .* =>) ", "", line) for line in lines]
    called = {leaf for leaf in leaves(assemble("en")) for call in words if f"{call} ".startswith(f"{leaf} ")}
    assert set(leaves(assemble("en"))) - called == set()


def test_scenarios_are_answered_by_the_installed_program(tmp_path: Path) -> None:
    """All scenario files, each on a ledger of its own: the same answers as from inside, every command and question."""
    asked: set[str] = set()
    for file in FILES:
        (tmp_path / file.stem).mkdir()
        shell = Shell(tmp_path / file.stem)
        shell.run("--lang en migrate --test-clock")
        script = list(lines_of(file))
        given = "\n".join(line for _number, line, _expected in script) + "\n"
        wrong = any(expected.get("code") == "malformed" for _number, _line, expected in script)
        told = shell.run("--lang en apply", given=given, code=2 if wrong else 0)
        answers = [json.loads(line) for line in told.splitlines()]
        assert len(answers) == len(script), file.name
        for (number, line, expected), answer in zip(script, answers, strict=True):
            assert list(missing("", expected, answer)) == [], f"{file.name}:{number} {line}\n{answer}"
            asked |= {value for name, value in json.loads(line).items() if name in ("do", "ask")}
    assert (COMMANDS.keys() | QUESTIONS.keys()) - asked == set()


def test_every_route_of_the_api_is_called_on_a_real_server(sqlite_url: str) -> None:
    office = Office(sqlite_url)
    called: set[tuple[str, str]] = set()
    with serving(sqlite_url) as server:

        def call(method: str, path: str, body: Any, role: str) -> tuple[int, bytes]:
            connection = server.connect()
            headers = office.headers(role)
            sent = None if body is None else json.dumps(body).encode()
            if sent is not None:
                headers["Content-Type"] = "application/json"
            connection.request(method, path, sent, headers)
            reply = connection.getresponse()
            found = reply.status, reply.read()
            connection.close()
            return found

        document = json.loads(call("GET", "/openapi.json", None, "manager")[1])
        operations = {
            (found["operationId"]): (method.upper(), path)
            for path, item in document["paths"].items()
            for method, found in item.items()
            if method in ("get", "post", "put", "delete", "patch")
        }
        for step in steps():
            if "clock" in step:
                office.ledger.clock.move(datetime.fromisoformat(step["clock"]))
                continue
            status, answer = call(step["method"], step["path"], step.get("body"), step["role"])
            assert status == step["status"], f"{step['operation']}: {answer!r}"
            called.add(operations[step["operation"]])
        for path in ("/livez", "/readyz"):
            assert call("GET", path, None, "manager")[0] == 200
            called.add(("GET", path))
        # Known by its signature alone; `test_gateway_events.py` sends signed ones.
        assert call("POST", "/v1/gateway/events", {}, "manager")[0] in (401, 403, 404, 503)
        called.add(("POST", "/v1/gateway/events"))
    office.close()
    assert set(operations.values()) - called == set()
