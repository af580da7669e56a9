"""Exports in the style of other desks, each brought in by a mapping written from ledger/imports/README.md alone.

They are of our own making, in the columns, encodings, separators and orders that those systems write.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.desks import program

# Zammad: a history with states, newest first, UTF-8 with a mark; the agent is "-" while nobody has it.
ZAMMAD = """
name = "zammad"
layout = "events"
only_on_change = true
blank = ["", "-"]
[times]
format = "iso"
zone = "America/Guatemala"
[columns]
case = "Ticket#"
account = "Organization"
agent = "Owner"
priority = { column = "Priority", pattern = '^([0-9])' }
time = "Updated at"
activity = "State"
opened = "Created at"
sequence = "History ID"
[defaults]
level = "basic"
[priorities]
1 = "low"
2 = "medium"
3 = "high"
[activities]
new = "note"
open = "respond"
"pending reminder" = ["respond", "wait"]
closed = "resolve"
merged = { exclude = "duplicate", give_back = true }
"""
ZAMMAD_ROWS = """History ID,Ticket#,Organization,Owner,Priority,State,Created at,Updated at
6,20261,Café Ñandú,ana,2 normal,closed,2026-03-02T09:00:00-06:00,2026-03-02T15:00:00-06:00
5,20261,Café Ñandú,ana,2 normal,closed,2026-03-02T09:00:00-06:00,2026-03-02T14:00:00-06:00
4,20261,Café Ñandú,ana,2 normal,open,2026-03-02T09:00:00-06:00,2026-03-02T12:00:00-06:00
3,20261,Café Ñandú,-,2 normal,new,2026-03-02T09:00:00-06:00,2026-03-02T09:30:00-06:00
2,20262,Café Ñandú,eva,3 high,pending reminder,2026-03-02T08:00:00-06:00,2026-03-02T09:10:00-06:00
1,20262,Café Ñandú,-,3 high,new,2026-03-02T08:00:00-06:00,2026-03-02T08:00:00-06:00
"""

# GLPI: one line a ticket, cp1252, semicolons, Spanish dates; "urgencia" has five steps, the SLA its own verdict.
GLPI = """
name = "glpi"
layout = "cases"
encoding = "cp1252"
delimiter = ";"
[times]
format = "%d-%m-%Y %H:%M"
zone = "America/Guatemala"
[columns]
case = "ID"
account = "Entidad"
agent = "Técnico"
priority = "Urgencia"
level = { column = "Contrato", pattern = '(Oro|Plata)' }
[numbers]
ticket = "GLPI-{}"
[levels]
Oro = "corporate"
Plata = "basic"
[priorities]
Baja = "low"
Media = "medium"
Alta = "high"
"Muy alta" = { priority = "high", limit = "30m" }
[[steps]]
column = "Fecha de apertura"
action = "open"
[[steps]]
column = "Atendido"
action = "respond"
[[steps]]
column = "Solución"
action = "resolve"
[theirs]
verdict = "SLA cumplido"
values = { "Sí" = "met", No = "breached" }
due = "Límite"
"""
GLPI_ROWS = """ID;Entidad;Técnico;Urgencia;Contrato;Fecha de apertura;Atendido;Solución;SLA cumplido;Límite
7;Librería Ñ;josé;Baja;Soporte Plata 2026;02-03-2026 09:00;02-03-2026 16:00;03-03-2026 10:00;Sí;02-03-2026 17:00
8;Librería Ñ;josé;Muy alta;Soporte Plata 2026;02-03-2026 09:00;02-03-2026 09:45;;Sí;02-03-2026 10:00
9;Librería Ñ;;Alta;Soporte Oro 2026;02-03-2026 09:00;;;No;02-03-2026 10:00
"""

# osTicket: a thread export; one department, answers by mail and on the web; its own SLA is counted to the minute.
OSTICKET = """
name = "osticket"
layout = "events"
other_activities = "note"
[times]
format = "%m/%d/%Y %I:%M %p"
zone = "America/Guatemala"
[columns]
case = { column = "Subject", pattern = '\\[#([0-9]+)\\]' }
account = "User"
agent = "Poster"
priority = "Priority"
time = "Date"
activity = "Entry"
channel = "Source"
[defaults]
level = "advanced"
priority = "low"
[priorities]
Low = "low"
Normal = "medium"
Emergency = "high"
[channels]
Web = "platform"
Email = "email"
Phone = "phone"
[activities]
Message = "open"
Response = "respond"
Closed = "resolve"
"""
OSTICKET_ROWS = """Subject,User,Poster,Priority,Date,Entry,Source
[#100] No imprime,Ferretería Sol,,Normal,03/13/2026 08:00 AM,Message,Web
[#100] No imprime,Ferretería Sol,luis,Normal,03/13/2026 09:00 AM,Response,Email
[#100] No imprime,Ferretería Sol,luis,Normal,03/13/2026 01:00 PM,Response,Web
[#101] Factura,Ferretería Sol,,,03/14/2026 08:00 AM,Message,Web
[#101] Factura,Ferretería Sol,luis,,03/14/2026 08:05 AM,Internal Note,Web
[#101] Factura,Ferretería Sol,luis,,03/14/2026 11:59 AM,Response,Web
"""

# Jira Service Management: one line an issue; its "Time to respond" tells the verdict.
JIRA = """
name = "jira"
layout = "cases"
[times]
format = "%d/%m/%Y %H:%M"
zone = "America/Guatemala"
[columns]
case = "Issue key"
account = "Organizations"
agent = "Assignee"
priority = "Priority"
[defaults]
level = "advanced"
[priorities]
Lowest = "low"
Low = "low"
Medium = "medium"
High = "high"
Highest = { priority = "high", limit = { basic = "1h", advanced = "15m", corporate = "15m" } }
[[steps]]
column = "Created"
action = "open"
[[steps]]
column = "First response"
action = "respond"
[[steps]]
column = "Resolved"
action = "resolve"
[outcome]
column = "Resolution"
values = { Duplicate = { exclude = "duplicate", give_back = true } }
ignored = ["Done", "Unresolved"]
[theirs]
verdict = "Time to respond"
values = { Met = "met", Breached = "breached" }
responded = "First response"
"""
JIRA_ROWS = """Issue key,Organizations,Assignee,Priority,Created,First response,Resolved,Resolution,Time to respond
SD-1,Hotel Maya,,Medium,13/03/2026 08:00,13/03/2026 11:59,13/03/2026 15:00,Done,Met
SD-2,Hotel Maya,rosa,Highest,14/03/2026 08:00,14/03/2026 08:16,,Unresolved,Met
SD-3,Hotel Maya,rosa,Low,15/03/2026 08:00,,,Duplicate,Breached
SD-4,Hotel Maya,rosa,Low,16/03/2026 08:00,16/03/2026 12:00,,Unresolved,Met
"""


class Style(NamedTuple):
    """An export: its mapping, its bytes, and what each ticket must be: opened, due, response, verdict, level."""

    mapping: str
    content: bytes
    tickets: dict[str, tuple[str, str, str, str, str]]


STYLES = {
    "zammad": Style(ZAMMAD, ("\ufeff" + ZAMMAD_ROWS).encode(), {
        "20261": ("09:00", "17:00", "12:00", "met", "basic"),
        "20262": ("08:00", "10:00", "09:10", "met", "basic"),
    }),
    "glpi": Style(GLPI, GLPI_ROWS.encode("cp1252"), {
        "GLPI-7": ("09:00", "17:00", "16:00", "met", "basic"),
        "GLPI-8": ("09:00", "09:30", "09:45", "breached", "basic"),
        "GLPI-9": ("09:00", "10:00", "", "breached", "corporate"),
    }),
    "osticket": Style(OSTICKET, OSTICKET_ROWS.encode(), {
        "100": ("08:00", "12:00", "13:00", "breached", "advanced"),
        "101": ("08:00", "12:00", "11:59", "met", "advanced"),
    }),
    "jira": Style(JIRA, JIRA_ROWS.replace("\n", "\r\n").encode(), {
        "SD-1": ("08:00", "12:00", "11:59", "met", "advanced"),
        "SD-2": ("08:00", "08:15", "08:16", "breached", "advanced"),
        "SD-3": ("08:00", "12:00", "", "excluded", "advanced"),
        "SD-4": ("08:00", "12:00", "12:00", "breached", "advanced"),
    }),
}  # fmt: skip


def bring(folder: Path, style: Style, *words: str) -> dict[str, Any]:
    (folder / "m.toml").write_text(style.mapping, "utf-8")
    (folder / "export.csv").write_bytes(style.content)
    run: list[str | Path] = ["import", folder / "export.csv", "--mapping", folder / "m.toml", "--json", *words]
    done = program(f"sqlite:///{folder / 'l.db'}", *run)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", STYLES)
def test_an_export_of_another_desk_comes_in_by_a_mapping_alone(tmp_path: Path, name: str) -> None:
    style, url = STYLES[name], f"sqlite:///{tmp_path / 'l.db'}"
    assert program(url, "migrate").returncode == 0
    tried = bring(tmp_path, style, "--dry-run")
    done = bring(tmp_path, style)
    assert tried == done
    assert (done["rejected"], done["effects"], done["doubt"], done["skipped"]) == (0, [], None, 0)
    assert done["tickets"] == len(style.tickets)
    for number, expected in style.tickets.items():
        case = json.loads(program(url, "ticket", "show", number, "--json").stdout)
        instants = [(case[key] or "T")[11:16] for key in ("opened_at", "due_at", "responded_at")]
        assert (*instants, case["verdict"], case["level"]) == expected, number
    assert bring(tmp_path, style)["imported"] == 0
    head, *rows = style.content.splitlines(keepends=True)
    turned = bring(tmp_path, style._replace(content=b"".join([head, *reversed(rows)])))
    assert (turned["imported"], turned["skipped"]) == (0, len(rows)), "the other way round"


@pytest.mark.parametrize(
    ("name", "differing"),
    [
        ("glpi", {"GLPI-8": ["their_due", "policy_limit"]}),
        # A Saturday: in business hours the answer would have been in time as well.
        ("jira", {"SD-2": ["policy_limit", "calendar"], "SD-3": ["excluded"], "SD-4": ["same_limit"]}),
    ],
)
def test_their_verdicts_stand_beside_ours_with_why_they_differ(
    tmp_path: Path, name: str, differing: dict[str, list[str]]
) -> None:
    url = f"sqlite:///{tmp_path / 'l.db'}"
    program(url, "migrate")
    bring(tmp_path, STYLES[name])
    found = json.loads(program(url, "sla", "compare", "--differing", "--json").stdout)
    assert {row["ticket"]: row["why"] for row in found["tickets"]} == differing


def test_a_mapping_of_the_wrong_half_of_the_world_is_refused_with_the_right_format(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'l.db'}"
    program(url, "migrate")
    (tmp_path / "m.toml").write_text(OSTICKET.replace("%m/%d/%Y", "%d/%m/%Y"), "utf-8")
    (tmp_path / "export.csv").write_bytes(OSTICKET_ROWS.encode())
    done = program(url, "import", tmp_path / "export.csv", "--mapping", tmp_path / "m.toml", lang="es_GT")
    assert done.returncode == 1
    assert "parece que el día y el mes están cambiados" in done.stderr
    assert "%m/%d/%Y %I:%M %p" in done.stderr
    assert json.loads(program(url, "imports", "--json").stdout) == {"imports": []}
