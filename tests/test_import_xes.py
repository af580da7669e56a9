"""XES files from elsewhere: what is none is refused whole, what an event lacks costs its own row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.imports import import_file, load_mapping
from tests.given import Desk, local

MAPPING = Path(__file__).resolve().parent.parent / "scripts" / "xes_mapping.toml"


def xes(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "x.xes"
    file.write_text(text, "utf-8")
    return file


def event(*more: str) -> str:
    """Return a log of one case with one good event and another that has `more` as well."""
    whole = (
        '<date key="time:timestamp" value="2026-03-02T09:00:00-06:00"/><string key="org:resource" value="ana"/>'
        '<string key="case_priority" value="low"/><string key="case_level" value="basic"/>'
        '<string key="meaning" value="open"/>'
    )
    case = '<string key="concept:name" value="X-1"/><string key="account" value="C-1"/>'
    return f"<log>\n<trace>{case}\n<event>{whole}</event>\n<event>{whole}{''.join(more)}</event>\n</trace>\n</log>"


GOOD = event()
LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
HOSTILE = {
    "nothing": ("", "no element found"),
    "cut off": ("<log>", "no element found"),
    "cut off within an event": (GOOD[: GOOD.rindex("<string")], "no element found"),
    "another document": ("<notes/>", "<notes> is no <log>"),
    "another document's root in another case": ("<LOG/>", "<LOG> is no <log>"),
    "an entity": (
        '<!DOCTYPE log [<!ENTITY a "b">]><log><trace><event><string key="x" value="&a;"/></event></trace></log>',
        "line 1: a document type (DOCTYPE) is not accepted",
    ),
    "a billion laughs": (f'<!DOCTYPE log [<!ENTITY a0 "ha">{LAUGHS}]><log>&a9;</log>', "DOCTYPE"),
    "a file from outside": ('<!DOCTYPE log [<!ENTITY a SYSTEM "file:///etc/passwd">]><log>&a;</log>', "DOCTYPE"),
    "a schema from outside": ('<!DOCTYPE log SYSTEM "http://example.invalid/x.dtd"><log/>', "DOCTYPE"),
    "an entity that nobody declared": ("<log>&a;</log>", "undefined entity"),
    "nested without end": ("<log><trace>" + "<list>" * 100 + "</list>" * 100 + "</trace></log>", "nested too deep"),
    "a huge text": (event(f'<string key="x" value="{"a" * 3_000_000}"/>'), "longer than 1048576 bytes"),
    "a huge comment": (GOOD.replace("<log>", f"<log><!--{'a' * 3_000_000}-->"), "longer than 1048576 bytes"),
    "an encoding of nobody": ('<?xml version="1.0" encoding="x-none"?><log/>', "unknown encoding"),
    "an encoding of many bytes": ('<?xml version="1.0" encoding="shift_jis"?><log/>', "multi-byte encodings"),
    "an encoding that is none of text": ('<?xml version="1.0" encoding="rot13"?><log/>', "not a text encoding"),
    "no bytes of its encoding": ("<log>\udcff</log>", "not well-formed"),
    "a zero byte": ("<log>\0</log>", "not well-formed"),
    "a key twice": (event('<string key="meaning" value="note"/>'), "line 4: the key 'meaning' stands twice"),
    "a key twice in a trace": (
        GOOD.replace("<trace>", '<trace><string key="account" value="C-2"/>'), "line 2: the key 'case:account' stands",
    ),
    "a case of its own": (event('<string key="case:account" value="C-2"/>'), "has a key of its trace: 'case:account'"),
    "no key": (event('<string value="x"/>'), "line 4: <string> without a key"),
    "no value": (event('<string key="x"/>'), "line 4: <string> without a value"),
    "no date": (event('<date key="x" value="ayer"/>'), "line 4: 'ayer' is no date (key 'x')"),
    "a day only": (event('<date key="x" value="2026-03-02"/>'), "is no date"),
    "a zone that is none": (event('<date key="x" value="2026-03-02T09:00:00+25:00"/>'), "is no date"),
    "no number": (event('<int key="x" value="1.5"/>'), "'1.5' is no int"),
    "no number at all": (event('<float key="x" value="1,5"/>'), "'1,5' is no float"),
    "no truth": (event('<boolean key="x" value="sí"/>'), "'sí' is no boolean"),
    "a case within a case": (GOOD.replace("</trace>", "<trace></trace></trace>"), "<trace> stands inside <trace>"),
    "an event within an event": (event("<event></event>"), "line 4: <event> stands inside <event>"),
    "too many keys": (
        event(*(f'<string key="k{n}" value=""/>' for n in range(2001))), "more than 2000 different keys",
    ),
}  # fmt: skip


@pytest.fixture(name="empty")
def _empty(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(f"sqlite:///{tmp_path / 'l.db'}").at("2026-03-12 09:00")
    yield desk
    desk.close()


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_xes_is_refused_whole(empty: Desk, tmp_path: Path, name: str) -> None:
    text, why = HOSTILE[name]
    file = tmp_path / "x.xes"
    file.write_text(text, "utf-8", "surrogateescape")
    with empty.refused("import_unreadable") as told:
        import_file(empty.ledger, file, load_mapping(MAPPING))
    assert why in told.facts["why"]
    assert len(told.facts["why"]) < 300
    assert empty.position == 0


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("<log/>", "import_empty"),
        ("<log><trace><string key='a' value='1'/></trace></log>", "import_empty"),
        ("<log><trace><event><string key='x' value='1'/></event></trace></log>", "import_column"),
        (GOOD.replace("concept:name", "name"), "import_column"),
    ],
)
def test_an_xes_without_what_the_mapping_needs_is_refused(empty: Desk, tmp_path: Path, text: str, code: str) -> None:
    with empty.refused(code):
        import_file(empty.ledger, xes(tmp_path, text), load_mapping(MAPPING))
    assert empty.position == 0


def test_an_event_that_lacks_something_costs_its_own_row(empty: Desk, tmp_path: Path) -> None:
    """No case, no time, an unknown priority, an event outside any trace: each is set aside with its line."""
    stray = '<event><string key="meaning" value="note"/></event>'
    log = event().replace(
        "</log>",
        f"""\
<trace>
<event><date key="time:timestamp" value="2026-03-02T09:00:00Z"/><string key="meaning" value="open"/></event>
</trace>
<trace><string key="concept:name" value="X-2"/><string key="account" value="C-1"/>
<event><string key="org:resource" value="ana"/><string key="meaning" value="open"/></event>
</trace>
{stray}
</log>""",
    )
    done = import_file(empty.ledger, xes(tmp_path, log), load_mapping(MAPPING))
    assert (done.rows, done.tickets) == (5, 1)
    assert [(row.line, row.reason.facts["field"]) for row in done.rejected] == [
        (7, "case:concept:name"), (10, "case_level"), (12, "case:concept:name"),
    ]  # fmt: skip
    assert done.rejected[2].text == "meaning=note"


def test_times_without_an_offset_are_of_the_mappings_zone(empty: Desk, tmp_path: Path) -> None:
    import_file(empty.ledger, xes(tmp_path, GOOD.replace("-06:00", "")), load_mapping(MAPPING))
    assert empty.clock("X-1")["opened_at"] == local("2026-03-02 09:00")
