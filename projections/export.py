"""The cases for process mining: OCEL 2.0 (JSON) and XES 1.0 (XML), written as they are read, in constant memory.

Events are the facts of the cases, each at its own instant; objects are cases, accounts and staff. What customers and
staff wrote is left out: a process is mined without it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple, TextIO
from xml.sax.saxutils import quoteattr

from ledger import facts as f
from ledger.application import Ledger
from ledger.store import Store
from projections.projector import projector_of

# The attributes of events, with their types: what facts say beside who, when and in which case.
_TEXTS = (
    *("request", "priority", "level", "grant", "why", "product", "policy", "calendar", "channel", "direction"),
    *("to", "into", "child", "approver", "verdict", "via", "reason", "source", "split_from"),
)
ATTRIBUTES = {
    **dict.fromkeys(_TEXTS, "string"),
    "limit_us": "integer",
    "percent": "integer",
    "counts": "boolean",
    "agreed": "boolean",
    "due_at": "time",
}
_OF_CASES = {"request": "string", "priority": "string", "level": "string", "due_at": "time"}
_STAFF = (("by", "by"), ("to", "assigned to"), ("approver", "approved by"))
_XES_TAGS = {"string": "string", "integer": "int", "boolean": "boolean", "time": "date"}
# What XML 1.0 has no way to say.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PAGE = 200


class Case(NamedTuple):
    """One case: its row of the read model, its facts with their versions, in the order of their instants."""

    number: str
    account: str
    row: dict[str, str]
    events: list[tuple[int, f.TicketFact]]


def cases(ledger: Ledger, read: Store, since: str, until: str) -> Iterator[Case]:
    """Yield the cases opened between two local dates (both included, "" is open), by number, a page at a time."""
    head, last = ledger.store.last_position(), ""
    names = ("ticket", "stream", "account", *_OF_CASES, "opened_at")
    sql = (
        f"SELECT {', '.join(names)} FROM r_tickets WHERE ticket > ? AND opened_on >= ? AND opened_on <= ?"
        " ORDER BY ticket LIMIT ?"
    )
    while rows := read.query(sql, [last, since, until or "9999", _PAGE]):
        last = rows[-1][0]
        by_stream = {row[1]: dict(zip(names, row, strict=True)) for row in rows}
        for stream, group in groupby(ledger.store.rows_of_streams(list(by_stream), head), key=attrgetter("stream")):
            decoded = [(row.version, f.decode(row.topic, row.state)) for row in group]
            events = [(version, fact) for version, fact in decoded if isinstance(fact, f.TicketFact)]
            events.sort(key=lambda event: event[1].occurred_at)
            row = by_stream[stream]
            yield Case(row["ticket"], row["account"], row, events)


def _attributes(fact: f.TicketFact) -> Iterator[tuple[str, str, Any]]:
    """Yield the name, type and value of what a fact says."""
    for name, kind in ATTRIBUTES.items():
        value = getattr(fact, name, "")
        if value != "" and value is not None and not (kind == "integer" and value == 0):
            yield name, kind, value


# --- OCEL 2.0 ---------------------------------------------------------------------------------------------------------


def write_ocel(ledger: Ledger, sink: TextIO, since: str = "", until: str = "") -> dict[str, int]:
    """Write an object-centric event log in JSON; return how many events, cases, accounts and agents it has."""
    read = projector_of(ledger).read
    counts = {"events": 0, "cases": 0, "accounts": 0, "agents": 0}
    accounts: set[str] = set()
    agents: set[str] = set()
    sink.write(
        f'{{"objectTypes": {json.dumps(_object_types())},\n"eventTypes": {json.dumps(_event_types())},\n"events": ['
    )
    for case in cases(ledger, read, since, until):
        for version, fact in case.events:
            _item(sink, counts["events"], _ocel_event(case, version, fact))
            counts["events"] += 1
            agents.update(filter(None, (getattr(fact, name, "") for name, _word in _STAFF)))
        accounts.add(case.account)
    sink.write('],\n"objects": [')
    written = 0
    for case in cases(ledger, read, since, until):
        _item(sink, written, _ocel_case(case))
        written += 1
    counts |= {"cases": written, "accounts": len(accounts), "agents": len(agents)}
    for kind, names in (("account", accounts), ("agent", agents)):
        for name in sorted(names):
            _item(sink, written, {"id": f"{kind}:{name}", "type": kind, "attributes": [], "relationships": []})
            written += 1
    sink.write("]}\n")
    return counts


def _item(sink: TextIO, before: int, item: dict[str, Any]) -> None:
    sink.write(("," if before else "") + "\n" + json.dumps(item, ensure_ascii=False))


def _object_types() -> list[dict[str, Any]]:
    own = [{"name": name, "type": kind} for name, kind in _OF_CASES.items()]
    return [{"name": name, "attributes": own if name == "ticket" else []} for name in ("ticket", "account", "agent")]


def _event_types() -> list[dict[str, Any]]:
    found = []
    for topic, kinds in sorted(f.FACTS.items()):
        fields = kinds.__struct_fields__
        if issubclass(kinds, f.TicketFact):
            own = [{"name": name, "type": kind} for name, kind in ATTRIBUTES.items() if name in fields]
            found.append({"name": topic, "attributes": own})
    return found


def _ocel_event(case: Case, version: int, fact: f.TicketFact) -> dict[str, Any]:
    related = [("ticket", case.number, "case"), ("account", case.account, "customer")]
    related += [("agent", who, word) for name, word in _STAFF if (who := getattr(fact, name, ""))]
    return {
        "id": f"{case.number}/{version}",
        "type": fact.TOPIC,
        "time": fact.occurred_at,
        "attributes": [{"name": name, "value": _plain(value)} for name, _kind, value in _attributes(fact)],
        "relationships": [{"objectId": f"{kind}:{name}", "qualifier": word} for kind, name, word in related],
    }


def _ocel_case(case: Case) -> dict[str, Any]:
    opened_at = case.row["opened_at"]
    known = [(name, case.row[name]) for name in _OF_CASES if case.row[name]]
    return {
        "id": f"ticket:{case.number}",
        "type": "ticket",
        "attributes": [{"name": name, "time": opened_at, "value": value} for name, value in known],
        "relationships": [{"objectId": f"account:{case.account}", "qualifier": "customer"}],
    }


def _plain(value: Any) -> str:
    """Return a value as OCEL's JSON has them: text, whatever its type."""
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- XES 1.0 ----------------------------------------------------------------------------------------------------------

_XES_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1.0" xes.features="" xmlns="http://www.xes-standard.org/">
<extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>
<extension name="Time" prefix="time" uri="http://www.xes-standard.org/time.xesext"/>
<extension name="Organizational" prefix="org" uri="http://www.xes-standard.org/org.xesext"/>
<extension name="Lifecycle" prefix="lifecycle" uri="http://www.xes-standard.org/lifecycle.xesext"/>
<global scope="trace"><string key="concept:name" value=""/></global>
<global scope="event"><string key="concept:name" value=""/>\
<date key="time:timestamp" value="1970-01-01T00:00:00.000Z"/></global>
<classifier name="Activity" keys="concept:name"/>
"""


def write_xes(ledger: Ledger, sink: TextIO, since: str = "", until: str = "") -> dict[str, int]:
    """Write an event log in XML, one trace a case; return how many cases and events it has."""
    counts = {"cases": 0, "events": 0}
    sink.write(_XES_HEAD)
    for case in cases(ledger, projector_of(ledger).read, since, until):
        sink.write("<trace>\n" + _xes("concept:name", "string", case.number) + _xes("account", "string", case.account))
        sink.writelines(_xes(name, kind, case.row[name]) for name, kind in _OF_CASES.items() if case.row[name])
        for _version, fact in case.events:
            sink.write("<event>\n" + _xes("concept:name", "string", fact.TOPIC))
            sink.write(_xes("time:timestamp", "time", fact.occurred_at) + _xes("org:resource", "string", fact.by))
            sink.write(_xes("lifecycle:transition", "string", "complete"))
            sink.writelines(_xes(name, kind, value) for name, kind, value in _attributes(fact))
            sink.write("</event>\n")
        sink.write("</trace>\n")
        counts["cases"] += 1
        counts["events"] += len(case.events)
    sink.write("</log>\n")
    return counts


def _xes(key: str, kind: str, value: Any) -> str:
    shown = quoteattr(_NO_XML.sub("\ufffd", _plain(value)))
    return f'<{_XES_TAGS[kind]} key="{key}" value={shown}/>\n'
