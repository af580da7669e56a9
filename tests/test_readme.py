"""The README's examples are what the commands print over the demo's year.

`python -m tests.test_readme` writes them anew.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ledger.application import Ledger
from ledger.apply import answers
from ledger.cli import assemble
from ledger.store import open_store

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
YEAR = ROOT / "scripts" / "demo_year.jsonl"
EXAMPLE = re.compile(
    r"<!-- example: (?P<args>.*?)(?: \| head -(?P<lines>\d+))? -->\n```\n(?P<output>.*?)```\n", re.DOTALL
)


def tell_the_year(folder: Path) -> str:
    """Make the demo's ledger in `folder`, without another desk's history; return its URL."""
    url = f"sqlite:///{folder / 'demo.db'}"
    ledger = Ledger(open_store(url))
    ledger.store.migrate(test_clock=True)
    lines = [line for line in YEAR.read_bytes().splitlines() if b'"run"' not in line]
    refused = [answer["code"] for answer in answers(ledger, lines, lang="en") if not answer["ok"]]
    ledger.close()
    assert refused == ["payment_due", "no_plan"], refused
    return url


def run(url: str, args: str, lines: str | None) -> str:
    """Return what the command line prints for `args`, with the command itself on the first line."""
    done = CliRunner().invoke(assemble(), ["--database", url, "--lang", "en", *shlex.split(args)])
    assert done.exit_code == 0, done.output
    shown = done.stdout.splitlines()[: int(lines)] if lines else done.stdout.splitlines()
    head = f"$ supportledger {args}" + (f" | head -{lines}" if lines else "")
    return "\n".join([head, *shown]) + "\n"


def test_the_readmes_examples_are_what_comes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER_LANG", "en")
    url = tell_the_year(tmp_path)
    examples = list(EXAMPLE.finditer(README.read_text("utf-8")))
    assert len(examples) >= 3
    for example in examples:
        assert example["output"] == run(url, example["args"], example["lines"])


def spoken() -> Iterator[tuple[str, list[str]]]:
    """Yield each command line that a README names, with its words; some leave out `supportledger`."""
    groups = {name for name, command in assemble().commands.items() if isinstance(command, click.Group)}
    for file in (README, *(ROOT / f"{name}/README.md" for name in ("api", "ledger", "projections", "scheduler"))):
        prose = re.sub(r"```.*?```", "", file.read_text("utf-8"), flags=re.DOTALL)
        for line in re.findall(r"`([^`]+)`", prose):
            first, *words = line.split() or [""]
            if first == "supportledger" and words:
                yield f"{file.relative_to(ROOT)}: {line}", words
            elif first in groups and words:
                yield f"{file.relative_to(ROOT)}: {line}", [first, *words]


def test_the_readmes_name_commands_and_options_that_exist() -> None:
    lines = dict(spoken())
    assert len(lines) > 30
    for place, words in lines.items():
        command: click.Command = assemble()
        while words and isinstance(command, click.Group):
            assert words[0] in command.commands, place
            command = command.commands[words.pop(0)]
        known = {option for one in command.params for option in one.opts + one.secondary_opts} | {"--help"}
        assert set(re.findall(r"--[a-z-]+", " ".join(words))) <= known, place


def write() -> None:
    """Put the present output into the README."""
    with tempfile.TemporaryDirectory() as folder:
        url = tell_the_year(Path(folder))
        text = EXAMPLE.sub(
            lambda m: m[0][: m.start("output") - m.start()] + run(url, m["args"], m["lines"]) + "```\n",
            README.read_text("utf-8"),
        )
    README.write_text(text, "utf-8")


if __name__ == "__main__":
    write()
