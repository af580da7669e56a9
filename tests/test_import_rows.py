"""Importing row by row: what rows mean, what is rejected, what a kill or a second run changes (nothing)."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ledger.application import Ledger
from ledger.errors import LedgerError
from ledger.imports import MappingError, Summary, import_file, load_mapping
from ledger.store import open_store
from projections.projector import Projector, named
from scripts.demo_log import write_log

ROOT = Path(__file__).resolve().parent.parent
HELPDESK = ROOT / "scripts" / "helpdesk_mapping.toml"

# Another desk altogether: one line a case, German headings, ISO times with and without offset, another zone.
DESK = """
name = "ruhrdesk"
layout = "cases"
delimiter = ";"
encoding = "latin-1"
[times]
format = "iso"
zone = "Europe/Berlin"
[columns]
case = "Vorgang"
account = "Kunde"
agent = "Bearbeiter"
level = "Vertrag"
priority = "Dringlichkeit"
attributes = ["Produkt"]
[levels]
Bronze = "basic"
Gold = "corporate"
[priorities]
normal = "low"
eilig = "high"
[[steps]]
column = "eröffnet"
action = "open"
[[steps]]
column = "beantwortet"
action = "respond"
[[steps]]
column = "gelöst"
action = "resolve"
[outcome]
column = "Ergebnis"
values = { doppelt = "duplicate" }
[enrolment]
term = "monthly"
currency = "USD"
language = "en"
"""
LINES = """Vorgang;Kunde;Bearbeiter;Vertrag;Dringlichkeit;Produkt;eröffnet;beantwortet;gelöst;Ergebnis
V-1;Müller;jan;Bronze;normal;INVEX POS;2026-03-02T09:00:00;2026-03-02T16:59:59.999999;2026-03-03T10:00:00;
V-2;Müller;jan;Bronze;eilig;INVEX POS;2026-03-02T09:00:00;2026-03-02T10:00:00Z;;
V-3;Müller;eva;Bronze;normal;INVEX POS;2026-03-04T09:00:00;;;doppelt
V-4;Schmidt;eva;Gold;eilig;INVEX ERP;2026-03-29T01:30:00;2026-03-29T03:29:59;;
V-5;Schmidt;eva;Gold;normal;INVEX ERP;2026-04-30T09:00:00;;2026-04-30T10:59:59;
"""


@pytest.fixture(name="ledger")
def _ledger(store_url: str) -> Any:
    ledger = Ledger(open_store(store_url))
    ledger.store.migrate()
    yield ledger
    ledger.close()


def bring_in(ledger: Ledger, folder: Path, lines: str, mapping: str = DESK, encoding: str = "latin-1") -> Summary:
    """Import `lines` by `mapping`."""
    (folder / "mapping.toml").write_text(mapping, "utf-8")
    (folder / "cases.csv").write_bytes(lines.encode(encoding))
    return import_file(ledger, folder / "cases.csv", load_mapping(folder / "mapping.toml"))


def case(ledger: Ledger, number: str) -> dict[str, Any]:
    return ledger.ask("ticket", {"ticket": number})


def test_a_quite_different_desk_is_only_another_mapping(ledger: Ledger, tmp_path: Path) -> None:
    summary = bring_in(ledger, tmp_path, LINES)
    assert summary.as_dict() == {"rows": 5, "imported": 5, "skipped": 0, "rejected": 0, "accounts": 2, "tickets": 5}
    assert case(ledger, "V-1")["verdict"] == "met"  # a microsecond before eight hours were up
    assert case(ledger, "V-2")["verdict"] == "breached"  # 11:00 in Berlin is two hours after nine
    assert case(ledger, "V-3")["verdict"] == "excluded"
    # 03:29:59 is 59 minutes and 59 seconds after 01:30: the clock went forward in between.
    assert case(ledger, "V-4")["verdict"] == "met"
    assert case(ledger, "V-5")["verdict"] == "met"  # resolving counts when nothing came before
    assert case(ledger, "V-1")["opened_at"] == "2026-03-02T09:00:00+01:00"


def test_enrolment_pays_month_by_month_to_the_last_case(ledger: Ledger, tmp_path: Path) -> None:
    bring_in(ledger, tmp_path, LINES)
    at = "2026-04-30T12:00:00+02:00"
    balance = ledger.ask("balance", {"account": "Schmidt", "at": at})
    assert (balance["state"], balance["granted"], balance["used"]) == ("in_force", 60, 2)
    billing = ledger.ask("billing", {"account": "Schmidt", "at": at})
    assert (billing["currency"], billing["billed"], billing["paid"]) == ("USD", "390.00", "390.00")
    late = ledger.ask("balance", {"account": "Schmidt", "at": "2026-06-10T12:00:00+02:00"})
    assert late["state"] == "lapsed"
    duplicate = ledger.ask("balance", {"account": "Müller", "at": "2026-03-05T00:00:00+01:00"})
    assert duplicate["used"] == 2, "the duplicate gave its unit back"


def test_a_case_that_no_usable_unit_covers_is_kept_and_consumes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    head = LINES.splitlines()[0]
    lines = [f"V-{n};Müller;jan;Bronze;normal;x;2026-03-0{n}T09:00:00;;;" for n in range(2, 9)]
    bring_in(ledger, tmp_path, "\n".join([head, *lines]))
    assert [case(ledger, f"V-{n}")["why"] for n in range(2, 9)] == ["only_grant"] * 5 + ["uncovered"] * 2
    assert case(ledger, "V-8")["verdict"] == "breached", "history is recorded, not judged: it has its target"


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


def test_a_grown_file_adds_only_what_is_new(ledger: Ledger, tmp_path: Path) -> None:
    lines = LINES.splitlines()
    bring_in(ledger, tmp_path, "\n".join(lines[:4]))
    grown = bring_in(ledger, tmp_path, "\n".join([*lines, "V-12;Müller;jan;Bronze;normal;x;2026-05-20T09:00:00;;;"]))
    assert (grown.imported, grown.skipped, grown.accounts, grown.tickets) == (3, 3, 1, 3)
    whole = Ledger(open_store(f"sqlite:///{tmp_path / 'whole.db'}"))
    whole.store.migrate()
    bring_in(whole, tmp_path, (tmp_path / "cases.csv").read_bytes().decode("latin-1"))
    at = "2026-05-21T00:00:00+02:00"
    for account in ("Müller", "Schmidt"):
        question = {"account": account, "at": at}
        assert ledger.ask("balance", question) == whole.ask("balance", question)
        assert ledger.ask("billing", question) == whole.ask("billing", question)
    whole.close()


def test_a_dry_run_counts_and_writes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "mapping.toml").write_text(DESK, "utf-8")
    (tmp_path / "cases.csv").write_bytes(LINES.encode("latin-1"))
    mapping = load_mapping(tmp_path / "mapping.toml")
    tried = import_file(ledger, tmp_path / "cases.csv", mapping, dry_run=True)
    assert ledger.store.last_position() == 0
    assert import_file(ledger, tmp_path / "cases.csv", mapping).as_dict() == tried.as_dict()


@pytest.mark.parametrize(
    ("change", "entry"),
    [
        (("Europe/Berlin", "Europe/Nowhere"), "times.zone"),
        (('Gold = "corporate"', 'Gold = "platinum"'), "levels.Gold"),
        (('action = "respond"', 'action = "shout"'), "steps"),
        (('layout = "cases"', 'layout = "stars"'), "layout"),
        (('name = "ruhrdesk"', 'name = "ruhrdesk"\nsurprise = 1'), "top level"),
        (('currency = "USD"', 'currency = "DM"'), "enrolment.currency"),
        (('action = "open"', 'action = "note"'), "steps"),
        (("[times]", "[times"), "TOML"),
    ],
)
def test_a_mapping_with_a_mistake_names_file_and_entry(tmp_path: Path, change: tuple[str, str], entry: str) -> None:
    (tmp_path / "wrong.toml").write_text(DESK.replace(*change), "utf-8")
    with pytest.raises(MappingError) as refused:
        load_mapping(tmp_path / "wrong.toml")
    assert refused.value.facts["file"] == "wrong.toml"
    assert refused.value.facts["entry"].startswith(entry)


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


def everything(url: str) -> dict[str, list[Any]]:
    """Return the rows of all read models, without what depends on when a row was recorded."""
    ledger = Ledger(open_store(url))
    projector = Projector(ledger.store, ledger.catalogue)
    projector.catch_up()
    left_out = {"position", "recorded_at", "at", "final_at"}
    tables = [table for model in named([]) for table in model.tables]
    found = {}
    for table in tables:
        columns = [name for name in table.names if name not in left_out]
        found[table.name] = sorted(projector.read.query(f"SELECT {', '.join(columns)} FROM {table.name}"))
    projector.close()
    ledger.close()
    return found


def test_killed_anywhere_and_run_again_it_ends_the_same(store_url: str, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv", cases=1500)
    straight = Ledger(open_store(f"sqlite:///{tmp_path / 'straight.db'}"))
    straight.store.migrate()
    import_file(straight, log, load_mapping(HELPDESK))
    straight.close()
    killed = Ledger(open_store(store_url))
    killed.store.migrate()
    command = [sys.executable, "-m", "ledger.cli", "--database", store_url, "import", str(log)]
    command += ["--mapping", str(HELPDESK), "--json"]
    kills = 0
    for wanted in (1, 4, 9):
        start = killed.store.last_position()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ}) as process:
            while process.poll() is None and killed.store.last_position() < start + wanted * 400:
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
    assert kills >= 1
    done = subprocess.run(command, capture_output=True, check=True)
    assert json.loads(done.stdout)["rejected"] == 0
    killed.close()
    assert everything(store_url) == everything(f"sqlite:///{tmp_path / 'straight.db'}")
