"""Laws of imports: any order of a file's rows, and any pieces it comes in, give the same tickets and verdicts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ledger import facts as f
from ledger.application import Ledger
from ledger.imports import cases, import_file, load_mapping
from ledger.imports.rows import SourceRow
from ledger.store import open_store
from tests.desks import HEAD, MINI

HISTORIES = 40
_WORDS = ["new", "answer", "ask", "back", "done", "shut", "double", "memo", "memo/2", "memo/3", "answer/3"]
_SEQUENCE = MINI.replace('activity = "what"', 'activity = "what"\nsequence = "n"')
_STATES = _SEQUENCE.replace('delimiter = "|"', 'delimiter = "|"\nonly_on_change = true')


def history(chance: random.Random, *, ties: bool) -> list[str]:
    """Return the rows of a few cases in the order of their time; with `ties` several of one instant."""
    lines = []
    for case in range(4):
        minute = chance.randrange(60)
        for _ in range(chance.randrange(1, 8)):
            what, _, prio = chance.choice(_WORDS).partition("/")
            who = chance.choice(["eva", "jan", "", "?"])
            day = "02" if ties else chance.choice(["02", "02", "03"])
            clock = f"{9 + minute // 60:02}:{minute % 60:02}"
            row = f"C{case}|W{case % 2}|{who}|{day}.03.2026 {clock}|{what}|B|{prio or '1'}"
            lines.append((f"{day} {clock} {case}", row))
            minute += chance.randrange(0 if ties else 1, 90)
    lines.sort(key=lambda pair: pair[0])
    return [f"{line}|{number}" for number, (_at, line) in enumerate(lines)]


def outcome(folder: Path, files: list[list[str]], mapping: str) -> dict[str, Any]:
    """Return what a new ledger holds of each case after these files were imported one after another."""
    url = f"sqlite:///{folder / 'l.db'}"
    (folder / "l.db").unlink(missing_ok=True)
    (folder / "mapping.toml").write_text(mapping, "utf-8")
    ledger = Ledger(open_store(url))
    ledger.store.migrate()
    for number, lines in enumerate(files):
        path = folder / f"rows{number}.csv"
        path.write_text("\n".join([f"{HEAD}|n", *lines, ""]), "utf-8")
        summary = import_file(ledger, path, load_mapping(folder / "mapping.toml"))
        assert not summary.rejected
    found: dict[str, Any] = {}
    for case in range(4):
        kept = ledger.ticket(f"C{case}", must_exist=False)
        if kept.facts:
            told = ledger.ask("ticket", {"ticket": f"C{case}", "at": "2026-06-01T00:00:00Z"})
            told.pop("final_at")  # it counts from the recording
            facts = [x for x in kept.facts if not isinstance(x, f.TicketResumed | f.TicketReopened | f.TicketNoted)]
            found[f"C{case}"] = (told, sorted((x.occurred_at, x.TOPIC, x.by) for x in facts))
    ledger.close()
    return found


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_any_order_of_the_rows_gives_the_same_tickets(tmp_path: Path, seed: int) -> None:
    """Oldest first, newest first, case by case; with a column of sequence, or without ties, in any order at all."""
    chance = random.Random(seed)
    lines = history(chance, ties=True)
    straight = outcome(tmp_path, [lines], MINI)
    assert outcome(tmp_path, [lines[::-1]], MINI) == straight, "newest first"
    by_case = sorted(lines, key=lambda line: line[:2])
    assert outcome(tmp_path, [by_case], MINI) == straight, "case by case"
    mixed = chance.sample(lines, len(lines))
    assert outcome(tmp_path, [mixed], _SEQUENCE) == straight, "by a column of sequence"
    apart = history(chance, ties=False)
    wanted = outcome(tmp_path, [apart], _SEQUENCE)
    assert outcome(tmp_path, [chance.sample(apart, len(apart))], _SEQUENCE) == wanted, "in any order"


@pytest.mark.parametrize("mapping", [_SEQUENCE, _STATES])
@pytest.mark.parametrize("seed", range(HISTORIES))
def test_cut_anywhere_and_imported_again_in_full_it_is_as_once(tmp_path: Path, seed: int, mapping: str) -> None:
    chance = random.Random(1000 + seed)
    lines = history(chance, ties=True)
    whole = outcome(tmp_path, [lines], mapping)
    cut = chance.randrange(len(lines) + 1)
    assert outcome(tmp_path, [lines[:cut], lines], mapping) == whole
    assert outcome(tmp_path, [lines[:cut], lines[::-1], lines], mapping) == whole, "and in another order"


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_what_older_versions_recorded_goes_on_matching(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that knew its rows by their places: the same file adds nothing, a grown one what is new, in any order."""
    chance = random.Random(2000 + seed)
    lines = history(chance, ties=False)
    url = f"sqlite:///{tmp_path / 'l.db'}"
    (tmp_path / "mapping.toml").write_text(_SEQUENCE, "utf-8")
    mapping = load_mapping(tmp_path / "mapping.toml")
    ledger = Ledger(open_store(url))
    ledger.store.migrate()
    path = tmp_path / "rows.csv"

    def bring(rows: list[str]) -> int:
        path.write_text("\n".join([f"{HEAD}|n", *rows, ""]), "utf-8")
        return import_file(ledger, path, mapping).imported

    cut = chance.randrange(1, len(lines) + 1)
    name = cases._name

    def by_place(rows: Sequence[SourceRow]) -> None:
        name(rows)
        for row in rows:
            row.name = row.ordinal

    with monkeypatch.context() as before:
        before.setattr(cases, "_name", by_place)
        assert bring(lines[:cut]) == cut
    assert {fact.row.isdigit() for n in range(4) for fact in ledger.ticket(f"C{n}", must_exist=False).facts} == {True}
    assert bring(lines[:cut]) == 0
    assert bring(lines[:cut][::-1]) == 0
    assert bring(lines[::-1]) == len(lines) - cut
    assert bring(lines) == 0
    ledger.close()
