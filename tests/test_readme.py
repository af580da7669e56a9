"""The README's examples are what the commands print over the demo's year.

`python -m tests.test_readme` writes them anew.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from pathlib import Path

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


def test_the_readme_names_commands_that_exist() -> None:
    root = assemble()
    named = set(re.findall(r"`supportledger ([a-z-]+)", README.read_text("utf-8")))
    assert named
    assert named <= set(root.commands)


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
