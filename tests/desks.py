"""What the tests of imports share: two desks of our own making, and ways to bring their files in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ledger.application import Caller, Ledger
from ledger.imports import Summary, import_file, load_mapping

ROOT = Path(__file__).resolve().parent.parent
HELPDESK = ROOT / "scripts" / "helpdesk_mapping.toml"
ANA = Caller(by="ana", role="manager", source="console")

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
values = { doppelt = { exclude = "duplicate", give_back = true } }
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

# A third desk, small enough to tell a case in a few lines.
MINI = """
name = "mini"
layout = "events"
delimiter = "|"
[times]
format = "%d.%m.%Y %H:%M"
zone = "America/Guatemala"
[columns]
case = "id"
account = "who"
agent = "by"
time = "when"
activity = "what"
level = "plan"
priority = "prio"
[levels]
B = "basic"
A = "advanced"
[priorities]
1 = "low"
2 = "medium"
3 = "high"
[activities]
new = "open"
answer = "respond"
ask = "wait"
back = "resume"
done = "resolve"
shut = "close"
double = { exclude = "duplicate", give_back = true }
outage = { exclude = "outage", give_back = false }
memo = "note"
"""
HEAD = "id|who|by|when|what|plan|prio"


def bring_in(
    ledger: Ledger, folder: Path, content: str, mapping: str = DESK, encoding: str = "latin-1", *, dry_run: bool = False
) -> Summary:
    """Import `content` by `mapping`; surrogates in it become bytes that are not of the encoding."""
    (folder / "mapping.toml").write_text(mapping, "utf-8")
    (folder / "rows.csv").write_bytes(content.encode(encoding, "surrogateescape"))
    return import_file(ledger, folder / "rows.csv", load_mapping(folder / "mapping.toml"), dry_run=dry_run)


def rows(*activities: str, case: str = "C", who: str = "Ixchel", prio: str = "1") -> list[str]:
    """Return one row a minute from 09:00 on; "memo/3" is an activity that shows another priority."""
    parts = [activity.partition("/") for activity in activities]
    return [
        f"{case}|{who}|eva|02.03.2026 09:{minute:02}|{what}|B|{other or prio}"
        for minute, (what, _, other) in enumerate(parts)
    ]


def told(ledger: Ledger, case: str = "C") -> list[str]:
    """Return the facts of a case as "minute topic", in the order of the log: `rows` gives each row its minute."""
    facts = ledger.ticket(case).facts
    return [f"{int(fact.occurred_at[14:16]) + 1} {fact.TOPIC.removeprefix('ticket.')}" for fact in facts]


def ticket(ledger: Ledger, number: str = "C") -> dict[str, Any]:
    return ledger.ask("ticket", {"ticket": number})


def billing(ledger: Ledger, at: str = "2026-11-01T00:00:00Z") -> dict[str, Any]:
    return ledger.ask("billing", {"account": "Ixchel", "at": at})


def command(url: str, *arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person does."""
    words = [sys.executable, "-m", "ledger.cli", "--database", url, "--lang", "en", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=cwd, env=environment)


def program(url: str, *arguments: str | Path, lang: str = "en") -> subprocess.CompletedProcess[str]:
    """Run the installed program on the ledger at `url`."""
    words = [str(Path(sys.executable).with_name("supportledger")), "--database", url, "--lang", lang]
    return subprocess.run([*words, *map(str, arguments)], capture_output=True, text=True, check=False)
