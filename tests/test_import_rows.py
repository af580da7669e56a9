"""Importing row by row: what is rejected, what a broken line costs, where the rejects go."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.application import Ledger
from ledger.errors import LedgerError
from ledger.store import open_store
from scripts.demo_log import write_log
from tests.desks import DESK, HELPDESK, LINES, bring_in, command


@pytest.fixture(name="ledger")
def _ledger(store_url: str) -> Iterator[Ledger]:
    ledger = Ledger(open_store(store_url))
    ledger.store.migrate()
    yield ledger
    ledger.close()


def test_broken_rows_are_set_aside_and_the_rest_comes_in(ledger: Ledger, tmp_path: Path) -> None:
    lines = LINES.splitlines()
    broken = [
        "V-6;Müller;jan;Silber;normal;x;2026-03-02T09:00:00;;;",
        "V-7;Müller;jan;Bronze;normal;x;gestern;;;",
        "V-8;Müller;jan;Bronze;normal;x",
        ";Müller;jan;Bronze;normal;x;2026-03-02T09:00:00;;;",
        "V-9;Müller;jan;Bronze;normal;x;2999-03-02T09:00:00;;;",
        "V-10;Müller;jan;Bronze;normal;x;2026-03-02T09:00:00;2026-03-01T09:00:00;;",
        "V-11;M\x00ller;jan;Bronze;normal;x;2026-03-02T09:00:00;;;",
    ]
    summary = bring_in(ledger, tmp_path, "\n".join([*lines, *broken]))
    assert (summary.imported, len(summary.rejected)) == (5, len(broken))
    assert [reject.line for reject in summary.rejected] == list(range(7, 7 + len(broken)))
    assert all(isinstance(reject.reason, LedgerError) for reject in summary.rejected)
    mended = bring_in(ledger, tmp_path, "\n".join([*lines, broken[0].replace("Silber", "Gold")]))
    assert (mended.imported, mended.skipped) == (1, 5)


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ('V-9;"Müller;jan;Bronze;normal;x;2026-03-02T09:00:00;;;', "line"),
        ('V-9;Müller;jan;Bronze;normal;x;2026-03-02T09:00:00;;;"', "line"),  # the last cell, used by nobody's rows
        ('V-9;Müller;"jan" x;Bronze;normal;x;2026-03-02T09:00:00;;;', "line"),
        ("V-9;Müller;jan;Bronze;normal;x;2026-03-02T09:00:00;;;;", "line"),
        (f"V-9;Müller;jan;Bronze;normal;{'x' * 140_000};2026-03-02T09:00:00;;;", "line"),
        (f"V-9;Müller;jan;Bronze;normal;{'x' * 201};2026-03-02T09:00:00;;;", "Produkt"),
        (f"V-{'9' * 64};Müller;jan;Bronze;normal;x;2026-03-02T09:00:00;;;", "Vorgang"),
        ("V-9;Mül/ler;jan;Bronze;normal;x;2026-03-02T09:00:00;;;", "Kunde"),
        ("V-9;Müller;a/b;Bronze;normal;x;2026-03-02T09:00:00;;;", "Bearbeiter"),
        ("V-9;Müller;jan;Bronze;NORMAL;x;2026-03-02T09:00:00;;;", "Dringlichkeit"),
        ("V-9;Müller;jan;Bronze;normal;x;;2026-03-02T09:00:00;;", "eröffnet"),
        ("V-9;Müller;jan;Bronze;normal;x;2026-02-30T09:00:00;;;", "eröffnet"),
        ("V-9;Müller;jan;Bronze;normal;x;0001-01-01T00:00:00;;;", "eröffnet"),
        ("V-9;Müller;jan;Bronze;normal;x;2026-03-02T09:00:00;;;vielleicht", "Ergebnis"),
        ("V-9;Müller;jan;Bronze;normal;a\x00b;2026-03-02T09:00:00;;;", "Produkt"),
    ],
)
def test_one_broken_line_costs_one_line(sqlite_url: str, tmp_path: Path, bad: str, field: str) -> None:
    ledger = Ledger(open_store(sqlite_url))
    ledger.store.migrate()
    first, *lines = LINES.splitlines()
    summary = bring_in(ledger, tmp_path, "\n".join([first, lines[0], bad, *lines[1:]]))
    assert (summary.rows, summary.imported, len(summary.rejected)) == (6, 5, 1)
    [reject] = summary.rejected
    assert (reject.line, reject.reason.facts["field"]) == (3, field)
    assert reject.text == bad[:4000]
    ledger.close()


def test_bytes_of_another_encoding_cost_their_line_wherever_they_stand(ledger: Ledger, tmp_path: Path) -> None:
    head, *lines = LINES.splitlines()
    lines = [f"{line};" for line in lines]
    lines[2] += "\udcff"  # in a column that nobody reads
    content = "\n".join([f"{head};Notiz", *lines])
    summary = bring_in(ledger, tmp_path, content, DESK.replace("latin-1", "utf-8"), "utf-8")
    assert (summary.imported, [reject.line for reject in summary.rejected]) == (4, [4])
    assert "utf-8" in summary.rejected[0].reason.message("en")


@pytest.mark.parametrize(
    ("encoding", "ends", "mark"), [("utf-8", "\r\n", "\ufeff"), ("utf-16", "\n", ""), ("cp1252", "\r", "")]
)
def test_other_encodings_and_line_ends(ledger: Ledger, tmp_path: Path, encoding: str, ends: str, mark: str) -> None:
    quoted = LINES.replace("Vorgang;", '"Vorgang";').replace("V-3;Müller", '"V-3";"Müller"').replace("\n", ends)
    summary = bring_in(ledger, tmp_path, mark + quoted, DESK.replace("latin-1", encoding), encoding)
    assert (summary.imported, len(summary.rejected)) == (5, 0)
    assert ledger.ask("account", {"account": "Müller"})["name"] == "Müller"


def test_a_cell_may_hold_several_lines(ledger: Ledger, tmp_path: Path) -> None:
    head, *lines = LINES.splitlines()
    noted = [f"{head};Notiz", *(f'{line};"several\nlines; ""quoted"""' for line in lines)]
    summary = bring_in(ledger, tmp_path, "\n".join(noted))
    assert (summary.rows, summary.imported, len(summary.rejected)) == (5, 5, 0)
    noted[2] = noted[2].replace("2026", "MMXXVI")
    again = bring_in(ledger, tmp_path, "\n".join(noted))
    assert (again.rows, again.skipped, [reject.line for reject in again.rejected]) == (5, 4, [4])


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "import_empty"),
        (b"\n\n", "import_empty"),
        (b"Vorgang;Kunde\nV-1;M\n", "import_column"),
        (LINES.replace("Ergebnis", "Resultat").encode("latin-1"), "import_column"),
        (LINES.split("\n", 1)[1].encode("latin-1"), "import_column"),
        (LINES.replace("Ergebnis", "Ergebnis;Kunde").encode("latin-1"), "import_column_twice"),
    ],
)
def test_a_file_that_is_not_what_the_mapping_says_is_refused(
    sqlite_url: str, tmp_path: Path, content: bytes, code: str
) -> None:
    ledger = Ledger(open_store(sqlite_url))
    ledger.store.migrate()
    with pytest.raises(LedgerError) as refused:
        bring_in(ledger, tmp_path, content.decode("latin-1"))
    assert refused.value.code == code
    assert ledger.store.last_position() == 0
    ledger.close()


# --- on the command line ---------------------------------------------------------------------------------------------


def test_rejected_lines_stand_in_a_file_beside_it(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv", cases=5)
    log.write_text(
        log.read_text("utf-8").replace("Take in charge ticket,", "Take in charge ticket,surplus,", 1), "utf-8"
    )
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    run = [sys.executable, "-m", "ledger.cli", "--database", url]
    subprocess.run([*run, "migrate"], check=True, capture_output=True)
    done = subprocess.run(
        [*run, "--lang", "en", "import", str(log), "--mapping", str(HELPDESK), "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    counts = json.loads(done.stdout)
    assert done.returncode == 0
    assert counts["imported"] + counts["skipped"] + counts["rejected"] == counts["rows"]
    with (tmp_path / "log.csv.rejected.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == counts["rejected"] == 1
    assert rows[0]["line"].isdigit()
    assert "columns" in rows[0]["reason"]


def test_rejects_go_where_they_are_told_or_can(sqlite_url: str, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv", cases=2)
    with log.open("a", encoding="utf-8") as file:
        file.write("Case 1,broken\n")
    command(sqlite_url, "migrate")
    run: list[str | Path] = ["import", log, "--mapping", HELPDESK]
    command(sqlite_url, *run, "--rejects", tmp_path / "mine.csv")
    assert "Case 1,broken" in (tmp_path / "mine.csv").read_text("utf-8")
    assert not (tmp_path / "log.csv.rejected.csv").exists()
    (tmp_path / "log.csv.rejected.csv").mkdir()  # stands for a folder that cannot be written
    (tmp_path / "here").mkdir()
    told = command(sqlite_url, *run, cwd=tmp_path / "here")
    assert told.returncode == 0
    assert (tmp_path / "here" / "log.csv.rejected.csv").exists()
    assert str(tmp_path / "here" / "log.csv.rejected.csv") in told.stderr
    content = log.read_bytes()
    refused = command(sqlite_url, *run, "--rejects", log)
    assert (refused.returncode, log.read_bytes()) == (1, content)
    assert command(sqlite_url, *run, "--rejects", tmp_path / "no" / "where.csv").returncode == 1


def test_a_dry_run_on_the_command_line_leaves_every_file_as_it_was(sqlite_url: str, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv", cases=20)
    with log.open("a", encoding="utf-8") as file:
        file.write("Case 1,broken\n")
    command(sqlite_url, "migrate")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    tried = command(sqlite_url, "import", log, "--mapping", HELPDESK, "--dry-run", "--json")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert "line " in tried.stderr
    done = command(sqlite_url, "import", log, "--mapping", HELPDESK, "--json")
    assert (tried.returncode, json.loads(tried.stdout)) == (0, json.loads(done.stdout))


def test_what_the_exit_code_says(sqlite_url: str, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv", cases=2)
    (tmp_path / "wrong.toml").write_text("name = 1", "utf-8")
    assert command(sqlite_url, "import", log, "--mapping", HELPDESK).returncode == 1, "not migrated"
    command(sqlite_url, "migrate")
    assert command(sqlite_url, "import", tmp_path / "none.csv", "--mapping", HELPDESK).returncode == 1
    wrong = command(sqlite_url, "import", log, "--mapping", tmp_path / "wrong.toml")
    assert (wrong.returncode, "wrong.toml" in wrong.stderr, "name" in wrong.stderr) == (1, True, True)
    assert command(sqlite_url, "import", log).returncode == 2
    assert command(sqlite_url, "import", log, "--mapping", HELPDESK).returncode == 0
