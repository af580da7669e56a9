"""Ids where they are made: none is another path, none looks like another; what is recorded is still asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.apply import answers
from ledger.commands import COMMANDS
from ledger.errors import Malformed
from ledger.fields import Id, Name, NewId
from ledger.store import FactMapper, Recorded
from ledger.ticket import ticket_stream
from tests.given import BEATRIZ, PANADERIA, Desk

ALIKE = {
    ".": "the same folder",
    "..": "the folder above",
    "...": "dots alone",
    "a/b": "two parts of a path",
    "a%2Fb": "two parts, once decoded",
    "a%2e%2e": "dots, once decoded",
    "a\\b": "two parts to some",
    "a?b": "a query",
    "a#b": "a fragment",
    "T-\u200b1": "a space without width",
    "T-\u200d1": "a joiner without width",
    "\u202eT-1": "written from right to left",
    "T-1\u2066": "an isolate",
    "T\u00ad-1": "a soft hyphen",
    "\ufeffT-1": "a byte order mark",
    "Т-1": "a Cyrillic Te",
    "С-100": "a Cyrillic Es",
    "Α-1": "a Greek Alpha",
    "T\u20131": "an en dash",
    "Ｔ-1": "a wide T",
    "T-１": "a wide 1",
    "T-١": "an Arabic 1",
    "ſ-1": "a long s",
    "ı-1": "a dotless i",
    "T-1\u0301\u0301": "accents on a digit",
    "T  1": "two blanks, which a page shows as one",
    "T\u00a01": "a blank that does not break",
    "T-\x001": "NUL",
    "T-\x7f1": "DEL",
    "": "nothing",
    " T-1": "a blank before",
    "T" * 65: "too long",
}
GOOD = ["T-1", "C-100", "T.26_0001", "Panadería Ñandú", "Müller & Söhne, S.A.", "a", "1", "..a", "a..b", "T:1", "ŽIŽKA"]


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url).at("2026-01-05 09:00")
    yield desk
    desk.close()


@pytest.mark.parametrize("value", ALIKE, ids=ALIKE.values())
def test_what_looks_like_another_is_refused_where_it_is_made(value: str) -> None:
    with pytest.raises(Malformed):
        NewId().parse(value, "ticket")


@pytest.mark.parametrize("value", GOOD)
def test_what_people_call_their_customers_and_cases_is_taken(value: str) -> None:
    assert NewId().parse(value, "ticket") == value


@given(st.text(min_size=1, max_size=12))
def test_an_id_stands_in_a_url_as_it_is_and_says_so_in_its_schema(value: str) -> None:
    try:
        made = NewId().parse(value, "ticket")
    except Malformed:
        return
    assert Id().parse(made, "ticket") == made, "what is made can be asked for"
    assert re.fullmatch(NewId().schema()["pattern"], made)
    assert made.isprintable()
    assert set(made) != {"."}
    assert not set(quote(made, safe="!$&'()*+,;=:@ ")) & set("/\\?#")


def test_every_command_that_makes_an_id_takes_no_other(desk: Desk) -> None:
    made = {(c.name, f.name) for c in COMMANDS.values() for f in c.fields if isinstance(f.kind, NewId)}
    assert made >= {("account.open", "account"), ("ticket.open", "ticket"), ("ticket.split", "new")}
    desk.sell()
    desk.do("ticket.open", account=PANADERIA, ticket="T-1", request="general", priority="low")
    tries: list[tuple[str, dict[str, Any]]] = [
        ("account.open", {"account": "..", "name": "x"}),
        ("ticket.open", {"account": PANADERIA, "ticket": "..", "request": "general", "priority": "low"}),
        ("ticket.split", {"ticket": "T-1", "new": "T\u200b-2", "request": "general", "priority": "low"}),
    ]
    for command, fields in tries:
        with desk.refused("malformed") as no:
            desk.do(command, **fields)
        assert no.facts["remedy"] in ("remedy_new_id", "remedy_id")


def test_ids_of_before_are_still_asked_for_and_worked_on(desk: Desk) -> None:
    """Two were recorded when they could be made: they are read, answered, and told in lists of their account."""
    desk.sell()
    mapper = FactMapper()
    for old in ("..", "T-\u200b9"):
        like = desk.ledger.ticket(desk.ticket()["ticket"]).opened
        fact = msgspec.structs.replace(like, ticket_no=old)
        row = mapper.to_stored_event(Recorded(ticket_stream(old), 1, fact))
        desk.ledger.store.append([row], [PANADERIA], now=desk.ledger.clock.now(), request=None, complete=True)
        assert desk.ask("ticket", ticket=old)["ticket"] == old
        assert desk.do("ticket.respond", ticket=old, by=BEATRIZ)["verdict"] == "met"
        line = json.dumps({"ask": "ticket", "ticket": old}).encode()
        (told,) = answers(desk.ledger, [line], lang="en")
        assert (told["ok"], told["ticket"]) == (True, old)


@pytest.mark.parametrize("name", ["ana\u200b", "\u202eana", "аna", "Μarta", "ana\u2066", "an\u00ada"])
def test_a_name_that_signs_an_act_has_nothing_that_cannot_be_seen(name: str) -> None:
    with pytest.raises(Malformed):
        Name().parse(name, "by")


@pytest.mark.parametrize("name", ["ana", "José Ángel", "O'Brien", "Ñusta", "Ирина", "Ελένη", "李雷"])
def test_a_name_is_written_in_the_script_of_its_bearer(name: str) -> None:
    assert Name().parse(name, "by") == name
