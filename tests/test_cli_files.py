"""Files that commands write: whole or not at all, wherever they are written from."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from typing import BinaryIO

import pytest

from ledger.cli_files import format_of, sink_of, whole_file
from ledger.errors import Malformed, Refused
from tests.desks import command
from tests.given import PANADERIA, Desk
from tests.test_reports import cli


def test_a_file_is_there_once_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "f.csv"
    file.write_text("what was there")
    with whole_file(file) as sink:
        sink.write(b"new")
        assert file.read_text() == "what was there"
        assert [path.name for path in tmp_path.glob("*.part")] == [f"f.csv.{os.getpid()}.part"]
    assert (file.read_text(), list(tmp_path.iterdir())) == ("new", [file])


def _write_and_fail(sink: BinaryIO) -> None:
    sink.write(b"new" * 100_000)
    raise ZeroDivisionError


def test_what_fails_half_way_leaves_the_old_file_and_no_half(tmp_path: Path) -> None:
    file = tmp_path / "f.csv"
    file.write_text("what was there")
    with pytest.raises(ZeroDivisionError), whole_file(file) as sink:
        _write_and_fail(sink)
    assert (file.read_text(), list(tmp_path.iterdir())) == ("what was there", [file])


def test_a_file_that_cannot_be_written_is_refused_with_its_name(tmp_path: Path) -> None:
    for file in (tmp_path / "no" / "f.csv", tmp_path):  # no such folder; a folder of that name
        with pytest.raises(Refused) as refusal, whole_file(file) as sink:
            sink.write(b"new")
        assert (refusal.value.code, refusal.value.facts["file"]) == ("export_unwritable", str(file))
    assert list(tmp_path.iterdir()) == []


def test_a_name_says_the_format_and_without_one_it_goes_to_the_screen(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    names = (None, Path("a.CSV"), Path("b.xlsx"), Path("c.d.json"))
    assert [format_of(name) for name in names] == ["", "csv", "xlsx", "json"]
    for wrong in ("a.pdf", "a", "a.table"):
        with pytest.raises(Malformed):
            format_of(Path(wrong))
    with sink_of(None) as sink:
        sink.write(b"shown")
    assert capsysbinary.readouterr().out == b"shown"


@pytest.mark.parametrize(
    "command",
    [
        *(["sla", "radar", "--month", "2026-03", "--out", f"f.{ending}"] for ending in ("csv", "xlsx", "json")),
        *(["sla", "report", "--breaches", "--out", f"f.{ending}"] for ending in ("csv", "xlsx", "json")),
        ["sla", "monthly", PANADERIA, "2026-03", "--out", "f.html"],
        ["export", "ocel", "f.ocel"],
        ["export", "xes", "f.xes"],
    ],
    ids=lambda command: " ".join(command[:2]) + " " + command[-1],
)
def test_every_command_writes_whole_files_and_names_the_one_it_cannot(
    sqlite_url: str, tmp_path: Path, command: list[str]
) -> None:
    desk = Desk(sqlite_url).at("2026-03-02 08:00").sell(PANADERIA)
    desk.ticket(priority="high")
    desk.at("2026-03-02 12:00").close()
    nowhere = cli(sqlite_url, *command[:-1], str(tmp_path / "no" / command[-1])).exception
    assert isinstance(nowhere, Refused)
    assert nowhere.code == "export_unwritable"
    file = tmp_path / command[-1]
    done = cli(sqlite_url, *command[:-1], str(file))
    assert done.exit_code == 0, done.output
    assert file.stat().st_size > 0
    assert list(tmp_path.glob("*.part")) == []


OURS = (
    *("ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.read", "ledger.db.read-wal", "by-another-name.csv"),
    *("ledger.db.clock.lock", ".config/supportledger/token"),
)
WRITERS: dict[str, tuple[str, ...]] = {
    "sla report --format csv --out": (),
    "sla radar --format csv --out": (),
    "export ocel": (),
    "export xes": (),
    "import history.csv --mapping mapping.toml --rejects": (),
}


@pytest.mark.parametrize("words", list(WRITERS))
def test_no_command_writes_over_the_ledgers_own_files_or_another_database(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    for kept in ("ledger.db.clock.lock", ".config/supportledger/token"):
        (tmp_path / kept).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / kept).touch(0o600)
    desk = Desk(f"sqlite:///{tmp_path / 'ledger.db'}")
    desk.at("2026-05-01 10:00").sell(PANADERIA)
    url = desk.ledger.store.url
    other = sqlite3.connect(tmp_path / "other.csv")
    other.execute("CREATE TABLE kept (a)")
    other.close()
    (tmp_path / "by-another-name.csv").hardlink_to(tmp_path / "ledger.db")
    (tmp_path / "history.csv").write_text("case,when\n")
    (tmp_path / "mapping.toml").write_text("")
    places = {**dict.fromkeys(OURS, "out_is_ours"), "other.csv": "out_is_database"}
    for name, code in places.items():
        done = command(url, *words.split(), name, "--json", cwd=tmp_path)
        assert done.returncode == 1, (name, done.stdout, done.stderr)
        assert json.loads(done.stdout)["code"] == code, name
    assert desk.balance(PANADERIA)["remaining"] == 5
    assert sqlite3.connect(tmp_path / "other.csv").execute("SELECT count(*) FROM kept").fetchall() == [(0,)]
    desk.close()


def test_the_ledgers_files_are_their_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    url = f"sqlite:///{folder / 'ledger.db'}"
    assert command(url, "migrate").returncode == 0
    assert command(url, "sla", "report").returncode == 0
    with sqlite3.connect(folder / "ledger.db") as held:
        held.execute("SELECT * FROM ledger_meta").fetchall()
        modes = {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}
        held.rollback()
    assert {"ledger.db", "ledger.db.read", "ledger.db-wal", "ledger.db-shm"} <= set(modes)
    assert set(modes.values()) == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not told(url)
    (folder / "ledger.db").chmod(0o644)
    assert [words for words in told(url) if "can read" in words]
    assert command(url, "migrate").returncode == 0
    assert (folder / "ledger.db").stat().st_mode & 0o777 == 0o600
    folder.chmod(0o777)
    assert [words for words in told(url) if "folder" in words]


def told(url: str) -> list[str]:
    """Return the warnings of `status` but that of an old SQLite."""
    warnings: list[str] = json.loads(command(url, "status", "--json").stdout)["warnings"]
    return [words for words in warnings if "3.51" not in words]
