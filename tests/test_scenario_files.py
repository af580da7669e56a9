"""Scenario files: scripts for `apply` with what must come out; a person who reports a fault can send one.

A line `{"expect": {…}}` stands behind the line it speaks of; every member it names must be in the answer, members
of objects likewise. `note` lines are for people. A line without an `expect` must be answered with ok.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.application import Ledger
from ledger.apply import answers
from ledger.store import open_store
from projections.projector import Projector
from projections.rebuild import check

FILES = sorted((Path(__file__).resolve().parent / "scenarios").glob("*.jsonl"))


def lines_of(file: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield (line number, script line, what must come out)."""
    pending: tuple[int, str] | None = None
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        data = json.loads(line)
        if "note" in data:
            continue
        if "expect" in data:
            assert pending is not None, f"{file.name}:{number}: nothing to expect it of"
            yield (*pending, data["expect"])
            pending = None
            continue
        if pending is not None:
            yield (*pending, {"ok": True})
        pending = (number, line)
    if pending is not None:
        yield (*pending, {"ok": True})


def missing(place: str, expected: Any, found: Any) -> Iterator[str]:
    """Yield where `found` lacks or contradicts `expected`."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name, value in expected.items():
            yield from missing(f"{place}.{name}", value, found.get(name))
    elif expected != found:
        yield f"{place}: expected {expected!r}, found {found!r}"


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_scenario(file: Path, store_url: str) -> None:
    ledger = Ledger(open_store(store_url))
    ledger.store.migrate(test_clock=True)
    wrong = []
    count = 0
    for number, line, expected in lines_of(file):
        (answer,) = answers(ledger, [line.encode()], lang="en")
        count += 1
        wrong += [f"{file.name}:{number}{w}\n    {line}\n    {answer}" for w in missing("", expected, answer)]
        if not answer["ok"]:
            assert answer["message"], f"{file.name}:{number}: a refusal has words"
    assert not wrong, "\n" + "\n".join(wrong)
    assert count > 5
    projector = Projector(ledger.store, ledger.catalogue)
    projector.catch_up()
    assert check(projector) == {}
    projector.close()
    ledger.close()


def test_there_are_scenarios() -> None:
    assert len(FILES) >= 8
