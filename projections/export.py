"""The cases for process mining: OCEL 2.0 (JSON) and XES 1.0 (XML), written as they are read, in constant memory.

Events are the facts of the cases, each at its own instant; objects are cases, accounts and staff. What customers and
staff wrote is left out: a process is mined without it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby
from operator import attrgetter, itemgetter
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import Any, NamedTuple, TextIO
from xml.sax.saxutils import escape

import msgspec

from ledger import facts as f
from ledger.application import Ledger
from ledger.progress import long_work
from ledger.rules import sla
from ledger.rules.responses import first_response
from ledger.rules.subscriptions import FAR
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
    "answers": "boolean",
    "returns": "boolean",
    "raised_due": "time",
    "due_at": "time",
}
_OF_CASES = {"request": "string", "priority": "string", "level": "string", "due_at": "time", "verdict": "string"}
_STAFF = (("by", "by"), ("to", "assigned to"), ("approver", "approved by"))
_OTHERS = (("into", "merged into"), ("child", "merged here"), ("split_from", "split from"))
_XES_TAGS = {"string": "string", "integer": "int", "boolean": "boolean", "time": "date"}
# What stands in an attribute as it is, how the rest is written, and what XML 1.0 has no way to say.
_SAFE = re.compile(r"[\w.:@ /+-]*", re.ASCII)
_QUOTED = {'"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PAGE = 200
_JSON = msgspec.json.Encoder()


class Case(NamedTuple):
    """One case: its facts with their versions, in the order of their instants; its clock; its verdict as of now."""

    number: str
    account: str
    events: list[tuple[int, f.TicketFact]]
    clock: sla.Clock
    verdict: str

    def last(self) -> dict[str, str]:
        """Return what the case has in the end; what is "" is left out."""
        clock = self.clock
        found = (clock.request, clock.priority, clock.level, clock.due_at, self.verdict)
        return {name: value for name, value in zip(_OF_CASES, found, strict=True) if value and value != "none"}


def cases(ledger: Ledger, read: Store, since: str, until: str) -> Iterator[Case]:
    """Yield the cases opened between two local dates (both included, "" is open), by number, a page at a time."""
    head, now, last = ledger.store.last_position(), ledger.clock.now(), ""
    sql = (
        "SELECT ticket, stream, account FROM r_tickets WHERE ticket > ? AND opened_on >= ? AND opened_on <= ?"
        " ORDER BY ticket LIMIT ?"
    )
    dates = [since, until or "9999"]
    count = "SELECT count(*) FROM r_tickets WHERE opened_on >= ? AND opened_on <= ?"
    done = 0
    with long_work("work_export", read.query(count, dates)[0][0]) as tick:
        while page := read.query(sql, [last, *dates, _PAGE]):
            last, done = page[-1][0], done + len(page)
            tick(done)
            yield from _cases(ledger, page, head, now)


def _cases(ledger: Ledger, page: Sequence[tuple[Any, ...]], head: int, now: str) -> Iterator[Case]:
    """Yield the cases of a page of (ticket, stream, account), folded from the log up to `head`."""
    owners = {stream: (ticket, account) for ticket, stream, account in page}
    for stream, group in groupby(ledger.store.rows_of_streams(list(owners), head), key=attrgetter("stream")):
        rows = list(group)
        facts = [f.decode(row.topic, row.state, row.position) for row in rows]
        events = [(row.version, x) for row, x in zip(rows, facts, strict=True) if isinstance(x, f.TicketFact)]
        clock = sla.run([fact for _version, fact in events], FAR, [row.recorded_at for row in rows])
        if clock is not None:
            events.sort(key=lambda event: event[1].occurred_at)
            yield Case(*owners[stream], events, clock, clock.verdict(now))


def changes(case: Case) -> Iterator[tuple[str, str, str]]:
    """Yield (instant, name, value) of what a case had, from its opening on: only what is new.

    A due instant that ended without another (the case left compliance) is told by the request that it became.
    """
    had: dict[str, str] = {}
    found = [(move.at, "due_at", move.after) for move in case.clock.moves]
    for _version, fact in case.events:
        for name in ("request", "priority", "level"):
            found.append((fact.occurred_at, name, getattr(fact, name, "")))
    if case.verdict in ("met", "breached", "excluded"):
        found.append((_decided(case), "verdict", case.verdict))
    for at, name, value in sorted(found, key=itemgetter(0)):
        if value and had.get(name) != value:
            had[name] = value
            yield at, name, value


def _decided(case: Case) -> str:
    """Return when the verdict came about: an exclusion or revision, else the earlier of response and due instant."""
    said = [x.occurred_at for _version, x in case.events if isinstance(x, f.TicketExcluded | f.TicketRevised)]
    clock = case.clock
    if said and (clock.excluded or clock.revised):
        return said[-1]
    return min(clock.counted_at or clock.due_at, clock.due_at)


@cache
def _said(kind: type[f.TicketFact]) -> tuple[tuple[str, str], ...]:
    """Return the attributes that facts of a kind have, with their types."""
    return tuple((name, ATTRIBUTES[name]) for name in ATTRIBUTES if name in kind.__struct_fields__)


def _attributes(fact: f.TicketFact) -> Iterator[tuple[str, str, Any]]:
    """Yield the name, type and value of what a fact says."""
    for name, kind in _said(type(fact)):
        value = getattr(fact, name)
        if value != "" and value is not None and not (kind == "integer" and value == 0):
            yield name, kind, value


# --- OCEL 2.0 ---------------------------------------------------------------------------------------------------------


def write_ocel(ledger: Ledger, sink: TextIO, since: str = "", until: str = "") -> dict[str, int]:
    """Write an object-centric event log in JSON; return how many events, cases, accounts and agents it has.

    Cases are read once: their objects lie in a temporary file until the events are written.
    """
    counts = {"events": 0, "cases": 0, "accounts": 0, "agents": 0}
    accounts: set[str] = set()
    agents: set[str] = set()
    sink.write(
        f'{{"objectTypes": {json.dumps(_object_types())},\n"eventTypes": {json.dumps(_event_types())},\n"events": ['
    )
    with TemporaryFile("w+", encoding="utf-8", newline="\n") as objects:
        read = projector_of(ledger).read
        for case in cases(ledger, read, since, until):
            for version, fact in case.events:
                others = [pair for pair in _others(fact) if _exported(read, pair[0], since, until)]
                _item(sink, counts["events"], _ocel_event(case, version, fact, others))
                counts["events"] += 1
                agents.update(filter(None, (getattr(fact, name, "") for name, _word in _STAFF)))
            accounts.add(case.account)
            _item(objects, counts["cases"], _ocel_case(case))
            counts["cases"] += 1
        sink.write('],\n"objects": [')
        objects.seek(0)
        copyfileobj(objects, sink)
    written = counts["cases"]
    counts |= {"accounts": len(accounts), "agents": len(agents)}
    for kind, names in (("account", accounts), ("agent", agents)):
        for name in sorted(names):
            _item(sink, written, {"id": f"{kind}:{name}", "type": kind, "attributes": [], "relationships": []})
            written += 1
    sink.write("]}\n")
    return counts


def _item(sink: TextIO, before: int, item: dict[str, Any]) -> None:
    sink.write((",\n" if before else "\n") + _JSON.encode(item).decode())


def _object_types() -> list[dict[str, Any]]:
    own = [{"name": name, "type": kind} for name, kind in _OF_CASES.items()]
    return [{"name": name, "attributes": own if name == "ticket" else []} for name in ("ticket", "account", "agent")]


def _event_types() -> list[dict[str, Any]]:
    found = []
    for topic, kinds in sorted(f.FACTS.items()):
        if issubclass(kinds, f.TicketFact):
            own = [{"name": name, "type": kind} for name, kind in _said(kinds)]
            found.append({"name": topic, "attributes": own})
    return found


def _others(fact: f.TicketFact) -> Iterator[tuple[str, str]]:
    """Yield the other cases that a fact speaks of, and what they are to it."""
    for name, word in _OTHERS:
        if other := getattr(fact, name, ""):
            yield other, word


def _exported(read: Store, number: str, since: str, until: str) -> bool:
    """Whether a case is one of those opened between two dates: a relation needs its object."""
    sql = "SELECT 1 FROM r_tickets WHERE ticket = ? AND opened_on >= ? AND opened_on <= ?"
    return bool(read.query(sql, [number, since, until or "9999"]))


def _ocel_event(case: Case, version: int, fact: f.TicketFact, others: Sequence[tuple[str, str]]) -> dict[str, Any]:
    related = [("ticket", case.number, "case"), ("account", case.account, "customer")]
    related += [("ticket", number, word) for number, word in others]
    related += [("agent", who, word) for name, word in _STAFF if (who := getattr(fact, name, ""))]
    return {
        "id": f"{case.number}/{version}",
        "type": fact.TOPIC,
        "time": fact.occurred_at,
        "attributes": [{"name": name, "value": _plain(value)} for name, _kind, value in _attributes(fact)],
        "relationships": [{"objectId": f"{kind}:{name}", "qualifier": word} for kind, name, word in related],
    }


def _ocel_case(case: Case) -> dict[str, Any]:
    """Return the object of a case: its attributes with the instants from which they held."""
    return {
        "id": f"ticket:{case.number}",
        "type": "ticket",
        "attributes": [{"name": name, "time": at, "value": value} for at, name, value in changes(case)],
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
        sink.writelines(_xes(name, _OF_CASES[name], value) for name, value in case.last().items())
        for fact, state in states(case):
            sink.write("<event>\n" + _xes("concept:name", "string", fact.TOPIC))
            sink.write(_xes("time:timestamp", "time", fact.occurred_at) + _xes("org:resource", "string", fact.by))
            sink.write(_xes("lifecycle:transition", "string", "complete"))
            sink.writelines(_xes(name, "string", value) for name, value in state.items() if value)
            sink.writelines(_xes(name, kind, value) for name, kind, value in _attributes(fact))
            sink.write("</event>\n")
        sink.write("</trace>\n")
        counts["cases"] += 1
        counts["events"] += len(case.events)
    sink.write("</log>\n")
    return counts


def states(case: Case) -> Iterator[tuple[f.TicketFact, dict[str, str]]]:
    """Yield each fact with what the case has after it, and what it means to an import (`ledger/imports/README.md`).

    There a row after a resolution reopens the case unless it means `close`, and an answer counts that means `respond`.
    """
    opened = case.clock.opened
    state = {"case_priority": opened.priority, "case_level": opened.level}
    first = first_response([fact for _version, fact in case.events], opened.priority)
    answered = resolved = False
    for _version, fact in case.events:
        for name in ("priority", "level"):
            state[f"case_{name}"] = getattr(fact, name, "") or state[f"case_{name}"]
        answered = answered or fact is first
        asks = isinstance(fact, f.TicketWaiting) and fact.answers
        means = "ask" if asks else _MEANINGS.get(type(fact), "note")
        if means == "respond" and not answered:
            means = "note"
        if isinstance(fact, f.TicketReopened):
            resolved = False
        elif resolved:
            means = "close"
        resolved = resolved or means == "resolve"
        yield fact, {**state, "meaning": means}


_MEANINGS = {
    f.TicketOpened: "open",
    f.TicketResponded: "respond",
    f.TicketWaiting: "wait",
    f.TicketResumed: "resume",
    f.TicketMessage: "resume",
    f.TicketResolved: "resolve",
    f.TicketExcluded: "exclude",
}


def _xes(key: str, kind: str, value: Any) -> str:
    shown = _plain(value)
    if not _SAFE.fullmatch(shown):
        shown = escape(_NO_XML.sub("\ufffd", shown), _QUOTED)
    return f'<{_XES_TAGS[kind]} key="{key}" value="{shown}"/>\n'
