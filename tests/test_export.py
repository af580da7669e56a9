"""Exports for process mining: read back by pm4py with the ledger's counts, held to both formats' schemas.

pm4py runs in a process of its own, once for both files: it takes a second to import, and warns where it likes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from lxml import etree
from msgspec.structs import replace
from openapi_schema_validator import OAS31Validator

from ledger import facts as f
from ledger.errors import Refused
from ledger.imports import import_file, load_mapping
from projections.export import write_ocel, write_xes
from projections.projector import projector_of
from scripts.demo_log import write_log
from tests.given import ANA, BEATRIZ, FERRETERIA, LUIS, PANADERIA, Desk, iso
from tests.test_clock_http import cli

ROOT = Path(__file__).resolve().parent.parent
NS = "{http://www.xes-standard.org/}"
TYPES = ["string", "time", "integer", "float", "boolean"]


def _type(of: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a type of events or objects."""
    attribute = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "type": {"type": "string"}},
        "required": ["name", "type"],
    }
    return {**of, "items": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "attributes": {"type": "array", "items": attribute}},
        "required": ["name", "attributes"],
    }}  # fmt: skip


def _things(*required: str, timed: bool) -> dict[str, Any]:
    value = {"name": {"type": "string"}, "value": {"type": "string"}}
    if timed:
        value["time"] = {"type": "string", "format": "date-time"}
    relation = {"objectId": {"type": "string"}, "qualifier": {"type": "string"}}
    return {"type": "array", "items": {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "type": {"type": "string"},
            "time": {"type": "string", "format": "date-time"},
            "attributes": {"type": "array", "items": {
                "type": "object", "properties": value, "required": list(value), "additionalProperties": False,
            }},
            "relationships": {"type": "array", "items": {
                "type": "object", "properties": relation, "required": list(relation), "additionalProperties": False,
            }},
        },
        "required": list(required),
        "additionalProperties": False,
    }}  # fmt: skip


# What the published schema of OCEL 2.0 demands (its JSON: every value is text, whatever its type), and more: nothing
# else, and each relation and attribute whole.
OCEL = {
    "type": "object",
    "properties": {
        "eventTypes": _type({"type": "array"}),
        "objectTypes": _type({"type": "array"}),
        "events": _things("id", "type", "time", timed=False),
        "objects": _things("id", "type", timed=True),
    },
    "required": ["eventTypes", "objectTypes", "events", "objects"],
    "additionalProperties": False,
}


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url).at("2026-03-02 09:00")
    desk.sell(PANADERIA, "corporate")
    desk.sell(FERRETERIA, "basic")
    desk.ticket(PANADERIA, ticket="T-1", subject='Error <1> & "2"', product="INVEX ERP R4")
    desk.ticket(FERRETERIA, ticket="T-2")
    desk.ticket(FERRETERIA, request="administrative", ticket="T-3")
    desk.do("ticket.assign", by=ANA, ticket="T-1", to="luis")
    desk.at("2026-03-02 09:30")
    desk.do("ticket.respond", by=LUIS, ticket="T-1", channel="platform", text="Lo revisamos")
    desk.do("ticket.prioritise", by=ANA, ticket="T-2", priority="high", reason='urge\n<ya> & "hoy"')
    desk.at("2026-03-10 09:00")
    desk.ticket(PANADERIA, ticket="T-4")
    yield desk
    desk.close()


def events_of(desk: Desk, numbers: tuple[str, ...] = ("T-1", "T-2", "T-3", "T-4")) -> int:
    return sum(len(desk.ledger.ticket(number).facts) for number in numbers)


def exported(desk: Desk, kind: str, folder: Path, **given: str) -> tuple[Path, dict[str, int]]:
    file = folder / f"log.{'json' if kind == 'ocel' else 'xes'}"
    with file.open("w", encoding="utf-8") as sink:
        return file, (write_ocel if kind == "ocel" else write_xes)(desk.ledger, sink, **given)


# --- OCEL -------------------------------------------------------------------------------------------------------------


def test_ocel_holds_every_fact_once_with_its_objects(desk: Desk, tmp_path: Path) -> None:
    file, counts = exported(desk, "ocel", tmp_path)
    log = json.loads(file.read_text("utf-8"))
    OAS31Validator(OCEL).validate(log)
    assert counts == {"events": events_of(desk), "cases": 4, "accounts": 2, "agents": 3}
    assert (len(log["events"]), len(log["objects"])) == (counts["events"], 4 + 2 + 3)
    objects = {thing["id"]: thing["type"] for thing in log["objects"]}
    assert len(objects) == len(log["objects"])
    assert {thing["id"] for thing in log["objects"] if thing["type"] == "agent"} == {
        "agent:operator", "agent:ana", "agent:luis",
    }  # fmt: skip
    assert len({event["id"] for event in log["events"]}) == len(log["events"])
    known = {kind["name"]: {a["name"]: a["type"] for a in kind["attributes"]} for kind in log["eventTypes"]}
    for event in log["events"]:
        assert {relation["objectId"] for relation in event["relationships"]} <= set(objects)
        assert {attribute["name"] for attribute in event["attributes"]} <= set(known[event["type"]])
    assert {kind for of in known.values() for kind in of.values()} <= set(TYPES)


def test_what_people_wrote_stays_at_home(desk: Desk, tmp_path: Path) -> None:
    for kind in ("ocel", "xes"):
        content = exported(desk, kind, tmp_path)[0].read_text("utf-8")
        assert "Lo revisamos" not in content
        assert "Error" not in content


def test_only_cases_opened_between_two_dates(desk: Desk, tmp_path: Path) -> None:
    assert exported(desk, "ocel", tmp_path, since="2026-03-03")[1]["cases"] == 1
    assert exported(desk, "xes", tmp_path, until="2026-03-09")[1]["cases"] == 3
    assert exported(desk, "xes", tmp_path, since="2026-03-02", until="2026-03-02")[1]["cases"] == 3
    _file, counts = exported(desk, "ocel", tmp_path, since="2027-01-01")
    assert counts == {"events": 0, "cases": 0, "accounts": 0, "agents": 0}


def test_what_a_case_has_is_told_with_the_instants_from_which_it_held(desk: Desk, tmp_path: Path) -> None:
    log = json.loads(exported(desk, "ocel", tmp_path)[0].read_text("utf-8"))
    told = {thing["id"]: [(x["name"], x["time"], x["value"]) for x in thing["attributes"]] for thing in log["objects"]}
    opened, later = iso("2026-03-02 09:00"), iso("2026-03-02 09:30")
    assert told["ticket:T-2"] == [
        ("due_at", opened, iso("2026-03-02 17:00")),
        ("request", opened, "general"),
        ("priority", opened, "low"),
        ("level", opened, "basic"),
        ("due_at", later, iso("2026-03-02 11:30")),
        ("priority", later, "high"),
        ("verdict", iso("2026-03-02 11:30"), "breached"),
    ]
    assert told["ticket:T-1"][-1] == ("verdict", later, "met")
    assert told["ticket:T-3"] == [("request", opened, "administrative"), ("priority", opened, "low")]
    assert "verdict" not in [name for name, _at, _value in told["ticket:T-4"]]  # still open
    assert told["account:C-100"] == []


def test_only_what_changed_is_told_and_facts_stand_by_their_dates(desk: Desk, tmp_path: Path) -> None:
    desk.ticket(PANADERIA, ticket="T-5")
    desk.at("2026-03-10 09:20")
    desk.do("ticket.reclassify", ticket="T-5", request="question")  # of the same level
    desk.do("ticket.note", ticket="T-5", at="2026-03-10 09:10")
    desk.at("2026-03-10 09:40")
    desk.do("ticket.exclude", by=BEATRIZ, ticket="T-5", reason="corte de luz")
    log = json.loads(exported(desk, "ocel", tmp_path, since="2026-03-10")[0].read_text("utf-8"))
    case = next(thing for thing in log["objects"] if thing["id"] == "ticket:T-5")
    opened = iso("2026-03-10 09:00")
    assert [(x["name"], x["time"], x["value"]) for x in case["attributes"]] == [
        ("due_at", opened, iso("2026-03-10 11:00")),
        ("request", opened, "general"),
        ("priority", opened, "low"),
        ("level", opened, "corporate"),
        ("request", iso("2026-03-10 09:20"), "question"),
        ("verdict", iso("2026-03-10 09:40"), "excluded"),
    ]
    ours = [event for event in log["events"] if event["id"].startswith("T-5/")]
    assert [event["type"] for event in ours] == [
        "ticket.opened", "ticket.noted", "ticket.reclassified", "ticket.excluded",
    ]  # fmt: skip
    assert [event["id"] for event in ours] == ["T-5/1", "T-5/3", "T-5/2", "T-5/4"]


def test_cases_that_are_merged_or_split_are_related_where_both_are_exported(desk: Desk, tmp_path: Path) -> None:
    desk.at("2026-03-11 09:00")
    desk.do("ticket.merge", by=ANA, ticket="T-2", into="T-3")
    desk.do("ticket.split", by=ANA, ticket="T-4", new="T-4B", request="general", priority="low")

    def related(**given: str) -> list[tuple[str, str, str]]:
        log = json.loads(exported(desk, "ocel", tmp_path, **given)[0].read_text("utf-8"))
        known = {thing["id"] for thing in log["objects"]}
        found = []
        for event in log["events"]:
            assert {relation["objectId"] for relation in event["relationships"]} <= known
            found += [
                (event["id"].partition("/")[0], relation["qualifier"], relation["objectId"])
                for relation in event["relationships"]
                if relation["qualifier"] not in ("case", "customer", "by", "assigned to")
            ]
        return found

    assert related() == [
        ("T-2", "merged into", "ticket:T-3"),
        ("T-3", "merged here", "ticket:T-2"),
        ("T-4B", "split from", "ticket:T-4"),
    ]
    assert related(since="2026-03-11") == []  # T-4 was opened the day before


# --- XES --------------------------------------------------------------------------------------------------------------


def test_xes_is_read_back_with_one_trace_a_case(desk: Desk, tmp_path: Path) -> None:
    file, counts = exported(desk, "xes", tmp_path)
    log = ElementTree.parse(file).getroot()  # noqa: S314 - it is ours
    traces = log.findall(f"{NS}trace")
    assert counts == {"cases": 4, "events": events_of(desk)}
    assert len(traces) == 4
    assert len(log.findall(f"{NS}trace/{NS}event")) == counts["events"]
    for trace in traces:
        times = [e.get("value", "") for e in trace.findall(f"{NS}event/{NS}date[@key='time:timestamp']")]
        assert times == sorted(times)
    reason = log.find(f"{NS}trace/{NS}event/{NS}string[@key='reason']")
    assert reason is not None
    assert reason.get("value") == 'urge\n<ya> & "hoy"'


def test_xes_keeps_to_the_schema_of_ieee_1849(desk: Desk, tmp_path: Path) -> None:
    log = etree.parse(exported(desk, "xes", tmp_path)[0])
    schema = etree.XMLSchema(etree.parse(ROOT / "tests" / "xes.xsd"))
    schema.assertValid(log)
    root = log.getroot()
    # Beyond what a schema can say: prefixes are declared, globals stand everywhere, classifiers use globals.
    declared = {extension.get("prefix") for extension in root.findall(f"{NS}extension")}
    used = {key.partition(":")[0] for key in (e.get("key", "") for e in root.iter()) if ":" in key}
    assert used == declared
    for scope in ("trace", "event"):
        always = {e.get("key") for e in root.find(f"{NS}global[@scope='{scope}']")}
        assert always
        for component in root.iter(f"{NS}{scope}"):
            assert always <= {e.get("key") for e in component}
    for classifier in root.findall(f"{NS}classifier"):
        assert set(classifier.get("keys").split()) <= always


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('<classifier name="Activity" keys="concept:name"/>\n<trace>', "<trace></trace><classifier/><trace>"),
        ('<string key="account"', '<string key="request" value="x"/><string key="account"'),
        ('<string key="lifecycle:transition"', '<string key="meaning" value="x"/><string key="lifecycle:transition"'),
        ('<date key="time:timestamp" value="2026-', '<date key="time:timestamp" value="ayer '),
        (' xes.version="1.0"', ""),
    ],
)
def test_the_schema_of_xes_has_teeth(desk: Desk, tmp_path: Path, before: str, after: str) -> None:
    content = exported(desk, "xes", tmp_path)[0].read_text("utf-8")
    assert before in content
    schema = etree.XMLSchema(etree.parse(ROOT / "tests" / "xes.xsd"))
    assert schema.validate(etree.fromstring(content.encode()))
    assert not schema.validate(etree.fromstring(content.replace(before, after, 1).encode()))


MAPPING = ROOT / "scripts" / "xes_mapping.toml"


def test_an_export_is_imported_into_another_ledger_by_a_mapping(desk: Desk, tmp_path: Path) -> None:
    file, _counts = exported(desk, "xes", tmp_path, until="2026-03-09")
    other = Desk(f"sqlite:///{tmp_path / 'other.db'}").at("2026-03-12 09:00")
    done = import_file(other.ledger, file, load_mapping(MAPPING))
    # T-3 has no level: its rows are set aside, with their lines.
    assert (done.tickets, done.rows - len(done.rejected)) == (2, events_of(desk, ("T-1", "T-2")))
    assert {rejected.reason.facts["field"] for rejected in done.rejected} == {"case_level"}
    again = import_file(other.ledger, file, load_mapping(MAPPING))
    assert (again.imported, again.skipped) == (0, done.imported)
    other.close()


def test_verdicts_come_back_from_a_round_trip(desk: Desk, tmp_path: Path) -> None:
    """Raises, resolutions as answers, calls that stop nothing, merges, exclusions and reopenings: the same again."""
    desk.at("2026-03-11 09:00")
    for number in ("MET", "RAISED", "CALLED", "SOLVED", "CHILD", "OUT", "AGAIN", "LATE", "NEVER", "CHAT", "PROMOTED"):
        desk.ticket(PANADERIA, ticket=number)  # 2 h
    desk.ticket(PANADERIA, ticket="URGENT", priority="high")  # 1 h
    desk.at("2026-03-11 09:30")
    desk.do("ticket.prioritise", by=ANA, ticket="RAISED", priority="high")  # due 10:30 instead of 11:00
    desk.do("ticket.respond", by=ANA, ticket="CALLED", channel="phone")
    desk.do("ticket.respond", by=ANA, ticket="CHAT", channel="chat")  # low: it stops nothing
    desk.do("ticket.respond", by=ANA, ticket="PROMOTED", channel="chat")
    desk.do("ticket.prioritise", by=ANA, ticket="PROMOTED", priority="high")  # after the chat: the chat was none
    desk.do("ticket.respond", by=ANA, ticket="URGENT", channel="chat")
    desk.do("ticket.merge", by=ANA, ticket="CHILD", into="MET")
    desk.at("2026-03-11 10:30")
    for number in ("MET", "RAISED"):
        desk.do("ticket.respond", by=LUIS, ticket=number)
    for number in ("SOLVED", "AGAIN"):
        desk.do("ticket.resolve", by=LUIS, ticket=number)
    desk.at("2026-03-11 11:00")
    desk.do("ticket.respond", by=LUIS, ticket="LATE")
    desk.do("ticket.reopen", by=LUIS, ticket="AGAIN")
    desk.do("ticket.note", by=LUIS, ticket="SOLVED")
    desk.do("ticket.exclude", by=BEATRIZ, ticket="OUT", reason="corte de luz")
    expected = {
        "MET": "met", "RAISED": "breached", "CALLED": "breached", "CHAT": "breached", "SOLVED": "met", "CHILD": "met",
        "OUT": "excluded", "AGAIN": "met", "LATE": "breached", "NEVER": "breached", "URGENT": "met",
        "PROMOTED": "breached",
    }  # fmt: skip
    file, _counts = exported(desk, "xes", tmp_path, since="2026-03-11")
    other = Desk(f"sqlite:///{tmp_path / 'other.db'}").at("2026-03-12 09:00")
    assert import_file(other.ledger, file, load_mapping(MAPPING)).rejected == []
    assert {number: desk.clock(number)["verdict"] for number in expected} == expected
    for number in expected:
        here, there = desk.clock(number), other.clock(number)
        for field in ("account", "level", "priority", "opened_at", "due_at", "responded_at", "verdict"):
            assert there[field] == here[field], (number, field)
    for number, times in (("SOLVED", 0), ("AGAIN", 1)):
        facts = other.ledger.ticket(number).facts
        assert sum(isinstance(fact, f.TicketReopened) for fact in facts) == times, number
    other.close()


def test_a_whole_log_comes_back_with_every_verdict(tmp_path: Path) -> None:
    """400 cases of a made-up log: CSV to a ledger, to XES, to another ledger."""
    here, there = (Desk(f"sqlite:///{tmp_path / name}.db").at("2026-03-02 09:00") for name in ("here", "there"))
    mapping = load_mapping(ROOT / "scripts" / "helpdesk_mapping.toml")
    import_file(here.ledger, write_log(tmp_path / "log.csv", 400), mapping)
    ours = replace(load_mapping(MAPPING), times=replace(mapping.times, format="iso"))  # months are of the other's zone
    done = import_file(there.ledger, exported(here, "xes", tmp_path)[0], ours)
    assert (done.tickets, done.rejected) == (400, [])
    columns = "ticket, account, level, priority, opened_at, due_at, responded_at, resolved_at"
    sql = f"SELECT {columns} FROM r_tickets ORDER BY ticket"
    assert projector_of(there.ledger).read.query(sql) == projector_of(here.ledger).read.query(sql)
    rows = [desk.ask("report", by=["month", "level", "priority"])["rows"] for desk in (here, there)]
    assert rows[0] == rows[1]
    assert {verdict for verdict in ("met", "breached", "excluded") if any(row[verdict] for row in rows[0])} == {
        "met", "breached", "excluded",
    }  # fmt: skip
    here.close()
    there.close()


def test_rows_set_aside_late_are_told_as_events(desk: Desk, tmp_path: Path) -> None:
    """Numbers that the ledger has already are found out when it is read: their rows are told whole."""
    file, _counts = exported(desk, "xes", tmp_path, until="2026-03-09")
    done = import_file(desk.ledger, file, load_mapping(MAPPING))
    taken = [row for row in done.rejected if row.reason.code == "duplicate_ticket"]
    assert len(taken) == events_of(desk, ("T-1", "T-2"))
    assert taken[0].text.startswith("case:concept:name=T-1; case:account=C-100; ")


# --- the command line, and pm4py --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ocel", "xes"])
def test_the_command_line_writes_whole_files(desk: Desk, tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"out.{kind}"
    done = cli(desk.ledger.store.url, "export", kind, str(file), "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["cases"] == 4
    assert file.stat().st_size > 1000
    assert list(tmp_path.glob("*.part")) == []
    assert cli(desk.ledger.store.url, "export", kind, str(tmp_path / "no" / "out")).exit_code == 1


def test_an_export_that_fails_leaves_the_old_file_and_no_half(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "log.xes"
    file.write_text("the old one", "utf-8")

    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("projections.export.states", full)
    done = cli(desk.ledger.store.url, "export", "xes", str(file))
    assert done.exit_code == 1
    assert isinstance(done.exception, Refused)
    assert done.exception.facts["why"] == "No space left on device"
    assert file.read_text("utf-8") == "the old one"
    assert [found.name for found in tmp_path.iterdir() if "log.xes" in found.name] == ["log.xes"]


_READ = """
import sys, json, warnings
warnings.simplefilter("ignore")
import pm4py
ocel = pm4py.read_ocel2_json(sys.argv[1])
log = pm4py.read_xes(sys.argv[2])
iso = lambda at: at.isoformat(timespec="microseconds").replace("+00:00", "Z")
counted = lambda column: {str(name): int(count) for name, count in column.value_counts().items()}
print(json.dumps({
    "ocel": {
        "events": counted(ocel.events["ocel:activity"]),
        "objects": counted(ocel.objects["ocel:type"]),
        "relations": counted(ocel.relations["ocel:qualifier"]),
        "o2o": len(ocel.o2o),
        "changed": counted(ocel.object_changes["ocel:field"]),
        "times": sorted(map(iso, ocel.events["ocel:timestamp"])),
        "limits": sorted({int(x) for x in ocel.events["limit_us"].dropna()}),
    },
    "xes": {
        "events": counted(log["concept:name"]),
        "cases": counted(log["case:concept:name"]),
        "resources": counted(log["org:resource"]),
        "times": sorted(map(iso, log["time:timestamp"])),
        "limits": sorted({int(x) for x in log["limit_us"].dropna()}),
    },
}))
"""


def pm4py_reads(ocel: Path, xes: Path) -> dict[str, Any]:
    """Return what pm4py counts in both files."""
    own = {**os.environ, "MPLCONFIGDIR": str(ocel.parent)}  # one of its dependencies makes itself a folder at home
    command = [sys.executable, "-c", _READ, str(ocel), str(xes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=own)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])  # it greets before
    return found


def test_pm4py_counts_in_both_what_the_ledger_has(desk: Desk, tmp_path: Path) -> None:
    ocel, counts = exported(desk, "ocel", tmp_path)
    xes, in_xes = exported(desk, "xes", tmp_path)
    cases = {number: desk.ledger.ticket(number).facts for number in ("T-1", "T-2", "T-3", "T-4")}
    facts = [fact for of in cases.values() for fact in of]
    topics, people = Counter(fact.TOPIC for fact in facts), Counter(fact.by for fact in facts)
    times = sorted(fact.occurred_at for fact in facts)
    assert len(set(times)) > 2
    limits = sorted({x.limit_us for x in facts if isinstance(x, f.TicketOpened) and x.limit_us})
    assert len(limits) > 1
    read = pm4py_reads(ocel, xes)
    assert read["ocel"] == {
        "events": topics,
        "objects": {"ticket": counts["cases"], "account": counts["accounts"], "agent": counts["agents"]},
        "relations": {"case": len(facts), "customer": len(facts), "by": len(facts), "assigned to": 1},
        "o2o": len(cases),
        "changed": {"due_at": 1, "priority": 1},  # the raise of T-2
        "limits": limits,
        "times": times,
    }
    assert read["xes"] == {
        "events": topics,
        "cases": {number: len(of) for number, of in cases.items()},
        "resources": people,
        "limits": limits,
        "times": times,
    }
    assert len(facts) == counts["events"] == in_xes["events"]
