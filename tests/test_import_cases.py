"""The import cases of issue 10, through the installed program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.desks import program

EVENTS = """
name = "demo"
layout = "events"
[times]
format = "%Y-%m-%d %H:%M"
zone = "UTC"
[columns]
case = "case"
account = "who"
agent = "agent"
level = "level"
priority = "prio"
time = "time"
activity = "what"
[levels]
basic = "basic"
[priorities]
low = "low"
[activities]
New = "note"
Wait = "wait"
Answer = "respond"
"""
LINES = """
name = "demo"
layout = "cases"
[times]
format = "%Y-%m-%d %H:%M"
zone = "UTC"
[columns]
case = "case"
account = "who"
agent = "agent"
level = "level"
priority = "prio"
[levels]
basic = "basic"
[priorities]
low = "low"
high = "high"
[[steps]]
column = "opened"
action = "open"
[[steps]]
column = "updated"
action = "note"
[outcome]
column = "state"
values = { Answer = "respond" }
ignored = ["New"]
"""
HEAD = "case,who,agent,level,prio,time,what"


class Desk:
    """A new ledger, and ways to bring files into it with the installed program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder / 'l.db'}"
        assert program(self.url, "migrate").returncode == 0

    def bring(self, mapping: str, *lines: str, words: tuple[str, ...] = ()) -> dict[str, Any]:
        """Import lines and return the answer, with what people were told as `told`."""
        (self.folder / "m.toml").write_text(mapping, "utf-8")
        (self.folder / "a.csv").write_text("\n".join([*lines, ""]), "utf-8")
        run: list[str | Path] = ["import", self.folder / "a.csv", "--mapping", self.folder / "m.toml", "--json", *words]
        done = program(self.url, *run)
        assert done.returncode == 0, done.stderr
        return {**json.loads(done.stdout), "told": done.stderr}

    def ticket(self, number: str = "T1") -> dict[str, Any]:
        found: dict[str, Any] = json.loads(program(self.url, "ticket", "show", number, "--json").stdout)
        return found


@pytest.fixture(name="desk")
def _desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_case_import_newest_first(desk: Desk) -> None:
    """The same export in another order with one new answer: that alone is new, and counts at its time."""
    new, wait, answer = (f"T1,acme,ana,basic,low,2026-01-05 {at}" for at in ("10:00,New", "11:00,Wait", "12:00,Answer"))
    desk.bring(EVENTS, HEAD, new, wait)
    grown = desk.bring(EVENTS, HEAD, answer, wait, new)
    assert (grown["imported"], grown["skipped"]) == (1, 2)
    assert grown["facts"] == {"ticket.responded": 1, "ticket.resumed": 1}
    case = desk.ticket()
    assert (case["responded_at"], case["verdict"]) == ("2026-01-05T12:00:00+00:00", "met")
    assert desk.bring(EVENTS, HEAD, new, answer, wait)["imported"] == 0


@pytest.mark.parametrize("nobody", ["", "?", " "])
def test_case_import_blank_agent(desk: Desk, nobody: str) -> None:
    """Nobody was assigned yet: the case opens when it did, and the answer nine hours later is late."""
    row = f"T1,acme,{nobody},basic,low,2026-01-05 09:00,New"
    done = desk.bring(EVENTS, HEAD, row, "T1,acme,ana,basic,low,2026-01-05 18:00,Answer")
    assert (done["imported"], done["rejected"], done["effects"]) == (2, 0, [])
    case = desk.ticket()
    assert (case["opened_at"], case["due_at"]) == ("2026-01-05T09:00:00+00:00", "2026-01-05T17:00:00+00:00")
    assert (case["responded_at"], case["verdict"]) == ("2026-01-05T18:00:00+00:00", "breached")


def test_an_answer_of_nobody_counts_and_its_agent_is_unknown(desk: Desk) -> None:
    rows = ["T1,acme,?,basic,low,2026-01-05 09:00,New", "T1,acme,?,basic,low,2026-01-05 10:00,Answer"]
    desk.bring(EVENTS, HEAD, *rows)
    case = desk.ticket()
    assert (case["verdict"], case["responded_by"]) == ("met", None)
    told = program(desk.url, "sla", "explain", "T1").stdout.lower()
    assert "someone who is not named" in told
    spanish = program(desk.url, "sla", "explain", "T1", lang="es_GT").stdout.lower()
    assert "alguien sin nombre" in spanish


def test_case_import_two_lines_a_case(desk: Desk) -> None:
    """A second line of a case is refused, which is told with what it changes."""
    head = "case,who,agent,level,prio,opened,updated,state"
    low = "T1,acme,ana,basic,low,2026-01-05 10:00,2026-01-05 10:00,New"
    high = "T1,acme,ana,basic,high,2026-01-05 10:00,2026-01-05 12:00,New"
    answer = "T1,acme,ana,basic,high,2026-01-05 10:00,2026-01-05 13:00,Answer"
    done = desk.bring(LINES, head, answer, low, high)
    assert [(one["line"], one["code"]) for one in done["rejects"]] == [
        (2, "import_second_line"), (4, "import_second_line")
    ]  # fmt: skip
    assert [one["text"] for one in done["rejects"]] == [answer, high]
    [effect] = done["effects"]
    assert (effect["effect"], effect["verdict"], effect["would_be"]) == ("verdict_flipped", "breached", "met")
    assert "T1 (line 2, 4): counted as breached" in done["told"]
    assert answer in done["told"], "the file's own text"
    assert desk.ticket()["due_at"] == "2026-01-05T18:00:00+00:00"


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_case_import_two_lines_a_case_dated_by_their_last_instants(desk: Desk, order: tuple[int, ...]) -> None:
    """Where the mapping says so, the raise of the second line counts from 12:00: due 14:00, met at 13:00."""
    head = "case,who,agent,level,prio,opened,updated,state"
    lines = [
        "T1,acme,ana,basic,low,2026-01-05 10:00,2026-01-05 10:00,New",
        "T1,acme,ana,basic,high,2026-01-05 10:00,2026-01-05 12:00,New",
        "T1,acme,ana,basic,high,2026-01-05 10:00,2026-01-05 13:00,Answer",
    ]
    dated = LINES.replace('layout = "cases"', 'layout = "cases"\nsecond_lines = "last_instant"')
    done = desk.bring(dated, head, *(lines[n] for n in order))
    assert (done["imported"], done["rejected"]) == (3, 0)
    case = desk.ticket()
    assert (case["due_at"], case["responded_at"]) == ("2026-01-05T14:00:00+00:00", "2026-01-05T13:00:00+00:00")
    assert (case["verdict"], case["verdict_priority"]) == ("met", "high")
    assert desk.bring(dated, head, *lines)["imported"] == 0


def test_a_later_line_of_the_same_case_adds_what_is_new(desk: Desk) -> None:
    """A snapshot a day later: the same line with an answer. It was swallowed before."""
    head = "case,who,agent,level,prio,opened,updated,state"
    desk.bring(LINES, head, "T1,acme,ana,basic,low,2026-01-05 10:00,2026-01-05 10:00,New")
    done = desk.bring(LINES, head, "T1,acme,eva,basic,low,2026-01-05 10:00,2026-01-05 13:00,Answer")
    assert (done["imported"], done["facts"]) == (1, {"ticket.noted": 1, "ticket.responded": 1})
    assert desk.ticket()["verdict"] == "met"


def test_what_rejects_change_is_told_in_words_and_in_json(desk: Desk) -> None:
    rows = [
        "T1,acme,ana,basic,low,2026-01-05 09:00,Nuevo",  # no activity of the mapping: T1 opens late
        "T1,acme,ana,basic,low,2026-01-05 16:00,New",
        "T1,acme,ana,basic,low,2026-01-05 18:00,Answer",
        "T2,acme,ana,gold,low,2026-01-05 09:00,New",  # no level of the mapping: T2 is missing
        "T3,acme,ana,basic,low,2026-01-05 09:00,New",
        "T3,acme,ana,basic,low,ayer,Answer",  # what it changes cannot be told
        "T4,acme,ana,basic,low,2026-01-05 08:00,Nuevo",
        "T4,acme,ana,basic,low,2026-01-05 09:00,New",
        "T4,acme,ana,basic,low,2026-01-05 10:00,Answer",
    ]
    done = desk.bring(EVENTS, HEAD, *rows)
    told = {one["ticket"]: one for one in done["effects"]}
    assert {name: one["effect"] for name, one in told.items()} == {
        "T1": "verdict_flipped", "T2": "missing", "T3": "unclear", "T4": "opened_late"
    }  # fmt: skip
    assert (told["T1"]["verdict"], told["T1"]["would_be"]) == ("met", "breached")
    assert (told["T4"]["opened_at"][11:16], told["T4"]["would_open_at"][11:16]) == ("09:00", "08:00")
    assert (done["missing"], done["opened_late"], done["verdict_flipped"], done["unclear"]) == (1, 1, 1, 1)
    for words in ("T2 (line 5): the ticket is missing", "T1 (line 2): counted as met", "T4 (line 8): opens"):
        assert words in done["told"]
    assert rows[0] in done["told"]
    spanish = program(
        desk.url, "import", desk.folder / "a.csv", "--mapping", desk.folder / "m.toml", "--dry-run", lang="es_GT"
    )
    assert "T2 (línea 5): falta el caso" in spanish.stderr
    assert "no se registró nada" in spanish.stderr


def test_who_ran_it_is_recorded_once_a_run_that_records(desk: Desk) -> None:
    row = "T1,acme,ana,basic,low,2026-01-05 09:00,New"
    assert desk.bring(EVENTS, HEAD, row, words=("--by", "marta", "--dry-run"))["by"] == "marta"
    assert json.loads(program(desk.url, "imports", "--json").stdout)["imports"] == []
    done = desk.bring(EVENTS, HEAD, row, words=("--by", "marta"))
    desk.bring(EVENTS, HEAD, row, words=("--by", "eva"))  # there was nothing to record
    [batch] = json.loads(program(desk.url, "imports", "--json").stdout)["imports"]
    assert (batch["by"], batch["source"], batch["file"], batch["rows"]) == ("marta", done["source"], "a.csv", 1)


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        ("en", "The mapping m.toml has a mistake at times: 'zone' is missing"),
        ("es_GT", "El archivo de correspondencias m.toml tiene un error en times: falta «zone»"),
    ],
)
def test_a_refused_import_says_why_in_the_language_of_the_user(desk: Desk, lang: str, said: str) -> None:
    desk.bring(EVENTS, HEAD, "T1,acme,ana,basic,low,2026-01-05 09:00,New")
    (desk.folder / "m.toml").write_text(EVENTS.replace('zone = "UTC"\n', ""), "utf-8")
    done = program(desk.url, "import", desk.folder / "a.csv", "--mapping", desk.folder / "m.toml", lang=lang)
    assert done.returncode == 1
    assert said in done.stderr
