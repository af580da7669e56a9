"""The breaches of a report with their explanations: the same verdicts as of the same time, in files of every form."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from ledger.dating import Caller
from ledger.errors import LedgerError
from ledger.explaining import digest
from ledger.rules.instants import from_iso, to_iso
from projections import breaches, compliance, reports
from projections.projector import Projector, projector_of
from tests.given import ANA, LUIS, PANADERIA, Desk
from tests.sla_desk import assign
from tests.test_api import Office
from tests.test_reports import cli, live


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url)
    yield desk
    desk.close()


@pytest.fixture(name="late")
def _late(sqlite_url: str) -> Iterator[Desk]:
    """Five breaches of one morning, T-2 after a raise; T-6 is in time."""
    desk = Desk(sqlite_url).at("2026-03-02 08:00").sell(PANADERIA, "advanced")
    for number in range(1, 6):
        desk.ticket(ticket=f"T-{number}", priority="low" if number == 2 else "high")
    desk.ticket(ticket="T-6")
    desk.at("2026-03-02 08:10").do("ticket.prioritise", ticket="T-2", priority="high", by=ANA, reason="=ya no cobran")
    desk.at("2026-03-02 10:00").do("ticket.respond", ticket="T-1", by=LUIS, channel="platform")
    desk.do("ticket.respond", ticket="T-6", by=LUIS, channel="platform")
    yield desk
    desk.close()


# --- laws ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_each_explanation_has_the_verdict_of_the_report(desk: Desk, seed: int) -> None:
    """Some 60 acts on cases in two calendars, at five instants in three ways, raw and adjusted: to the microsecond."""
    desk.at("2026-01-29 07:00")
    for level, priority in (("advanced", "low"), ("corporate", "medium"), ("basic", "high")):
        assign(desk, "gt-business", level, priority)
    lived, listed = live(desk, 300 + seed), 0
    end = to_iso(from_iso(lived[-1]) + timedelta(hours=9))
    asked: list[dict[str, Any]] = [{}, {"at": end}, *({"at": then} for then in lived[40::8])]
    asked += [{"at": lived[-1], "known_at": lived[30]}, *({"known_at": then} for then in lived[25::12])]
    for times in asked:
        for raw in (False, True):
            answer = desk.ledger.ask("report", {**times, "raw": raw, "breaches": True})
            bare = desk.ledger.ask("report", {**times, "raw": raw, "breaches": True, "explain": False})
            assert len(answer["breaches"]) == answer["totals"]["breached"]
            for row, without in zip(answer["breaches"], bare["breaches"], strict=True):
                told = row.pop("explanation")
                assert without == row
                assert told["raw" if raw else "verdict"] == "breached"
                assert (told["due_at"], told["late_by_counted_us"]) == (row["due_at"], row["late_us"])
                assert told["responded_at"] == row["responded_at"]
                assert told["hash"] == digest(told)
                then = {"at": answer["at"], **times}
                assert told == desk.ledger.ask("explain", {"ticket": row["ticket"], **then})
                listed += 1
    assert listed > 40


@pytest.mark.parametrize("explain", [True, False])
def test_lateness_is_counted_in_the_calendar_that_governed(desk: Desk, explain: bool) -> None:
    """Promised in office hours, then raised to a priority that counts at all hours: a day late is a day."""
    desk.at("2026-03-02 08:00").sell(PANADERIA, "advanced")
    assign(desk, "gt-business", "advanced", "low")
    desk.at("2026-03-06 16:30").ticket(ticket="T-1")
    desk.at("2026-03-06 16:40").do("ticket.prioritise", ticket="T-1", priority="high", by=ANA)
    desk.at("2026-03-07 17:40").do("ticket.respond", ticket="T-1", by=ANA, channel="platform")
    [late] = desk.ask("report", breaches=True, explain=explain)["breaches"]
    assert (late["calendar"], late["due_at"]) == ("24x7@1", "2026-03-06T17:40:00-06:00")
    assert late["late_us"] == 24 * 3_600_000_000


def test_pages_hold_each_breach_once(late: Desk) -> None:
    whole = late.ask("report", breaches=True, at="2026-03-02 12:00")
    assert "next" not in whole
    for most in (1, 2, 5, 9):
        found: list[Any] = []
        more: dict[str, Any] = {}
        while more.get("cursor", "") is not None:
            page = late.ask("report", breaches=True, at="2026-03-02 12:00", most=most, **more)
            assert len(page["breaches"]) <= most
            assert page["totals"] == whole["totals"], "the figures are of all"
            found += page["breaches"]
            more = {"cursor": page["next"]}
        assert found == whole["breaches"]
    with late.refused("malformed") as no:
        late.ask("report", breaches=True, cursor="T-1")
    assert no.facts["field"] == "cursor"


def test_streams_are_read_a_page_at_a_time(late: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    rows_of_streams = late.ledger.store.rows_of_streams
    projector_of(late.ledger)

    def watched(streams: Any, stop: int) -> Any:
        read.append(len(streams))
        return rows_of_streams(streams, stop)

    monkeypatch.setattr(late.ledger.store, "rows_of_streams", watched)
    monkeypatch.setattr(breaches, "_PAGE", 2)
    answer, found = reports.asked(late.ledger, {"breaches": True})
    assert (found is not None and len(found), read) == (5, [])
    assert found is not None
    lines = iter(found)
    next(lines)
    assert read == [2], "no more is worked out than is taken"
    assert len(list(lines)) == answer["totals"]["breached"] - 1
    assert read == [2, 2, 1]


def test_figures_and_breaches_are_of_one_state_while_another_process_goes_on(
    late: Desk, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two readings another answers T-3 in time as of before: the figures are read again with the list."""
    other, moved = Desk(sqlite_url, migrate=False), [5]
    read_cells = compliance.read_cells

    def busy(*args: Any, **named: Any) -> Any:
        found = read_cells(*args, **named)
        if moved:
            moved.pop()
            told = {"ticket": "T-3", "at": "2026-03-02 08:30", "reason": "constaba"}
            other.do("ticket.respond", by=ANA, channel="platform", **told)
            projector_of(other.ledger)
        return found

    monkeypatch.setattr(reports, "read_cells", busy)
    answer = late.ask("report", breaches=True)
    assert [row["ticket"] for row in answer["breaches"]] == ["T-1", "T-4", "T-5", "T-2"]
    assert answer["totals"]["breached"] == 4
    other.close()


def test_where_the_read_model_never_rests_the_log_tells(late: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = late.ask("report", breaches=True, at="2026-03-02 10:00")
    position, read_cells, turns = Projector.position, compliance.read_cells, list[int]()

    def busy(*args: Any, **named: Any) -> Any:
        turns.append(1)
        return read_cells(*args, **named)

    monkeypatch.setattr(reports, "read_cells", busy)
    monkeypatch.setattr(Projector, "position", lambda self, key: (position(self, key) or 0) + len(turns))
    assert late.ask("report", breaches=True) == expected
    assert len(turns) == 5


def test_an_answer_dated_a_moment_ahead_is_not_true_yet(desk: Desk) -> None:
    """Clocks of people run ahead by up to two minutes: list, figures and explanations are all of now."""
    desk.at("2026-03-02 08:00").sell(PANADERIA, "advanced").ticket(ticket="T-1", priority="high")
    desk.at("2026-03-02 08:59:30").do("ticket.respond", ticket="T-1", by=ANA, at="2026-03-02 09:00:30")
    answer = desk.ask("report", breaches=True)
    assert (answer["totals"]["open"], answer["totals"]["breached"], answer["breaches"]) == (1, 0, [])
    desk.at("2026-03-02 09:01")
    [late] = desk.ask("report", breaches=True)["breaches"]
    assert (late["late_us"], late["explanation"]["late_by_us"]) == (30_000_000, 30_000_000)


# --- forms --------------------------------------------------------------------------------------------------------


def test_explained_on_a_screen_in_both_languages(late: Desk, sqlite_url: str) -> None:
    late.close()
    shown = cli(sqlite_url, "sla", "report", "--breaches").stdout
    assert "Case T-1: breached. It was answered 1 h late." in shown
    assert "raised to high" in shown or "high" in shown
    assert shown.count("sha256:") == 5
    spanish = cli(sqlite_url, "--lang", "es", "sla", "report", "--breaches").stdout
    assert "Caso T-1: incumplido" in spanish
    assert "sha256:" not in cli(sqlite_url, "sla", "report", "--breaches", "--no-explain").stdout
    first = cli(sqlite_url, "sla", "report", "--breaches", "--most", "2").stdout
    assert first.count("sha256:") == 2
    [cursor] = [line.split("--cursor ")[1].strip("'") for line in first.splitlines() if "--cursor" in line]
    assert cli(sqlite_url, "sla", "report", "--breaches", "--cursor", cursor).stdout.count("sha256:") == 3


def test_columns_tell_why_and_how_to_check_it(late: Desk, sqlite_url: str, tmp_path: Path) -> None:
    expected = late.ask("report", by="level", breaches=True)
    late.close()
    out, listed = tmp_path / "figures.csv", tmp_path / "breaches.csv"
    done = cli(sqlite_url, "sla", "report", "--by", "level", "--out", str(out), "--breaches-out", str(listed))
    assert (done.exit_code, done.stdout) == (0, "")
    assert [row["level"] for row in csv.DictReader(out.read_text("utf-8").splitlines())] == ["advanced", "total"]
    rows = list(csv.DictReader(listed.read_text("utf-8").splitlines()))
    assert [row["ticket"] for row in rows] == [row["ticket"] for row in expected["breaches"]]
    first, raised = rows[0], rows[-1]
    assert first["why_verdict"] == expected["breaches"][0]["explanation"]["words"]["en"][0]
    assert "in less than 1 h" in first["why_rule"]
    assert (first["why_changes"], raised["ticket"]) == ("", "T-2")
    assert "=ya no cobran" in raised["why_changes"]
    checked = cli(sqlite_url, "sla", "explain", "T-2", "--at", raised["why_at"], "--json")
    assert json.loads(checked.stdout)["hash"] == raised["why_hash"]


def test_each_form_holds_the_same_breaches(late: Desk, sqlite_url: str, tmp_path: Path) -> None:
    at = "2026-03-02T11:00:00-06:00"
    expected = late.ledger.ask("report", {"breaches": True, "at": at})
    late.close()
    whole, listed, book = tmp_path / "r.json", tmp_path / "b.json", tmp_path / "b.xlsx"
    for out in ("--out", str(whole)), ("--breaches-out", str(listed), "--json"), ("--breaches-out", str(book)):
        done = cli(sqlite_url, "sla", "report", "--breaches", "--at", at, *out)
        assert done.exit_code == 0, done.output
    assert json.loads(whole.read_bytes()) == expected
    assert json.loads(listed.read_bytes()) == expected["breaches"]
    table = openpyxl.load_workbook(book)["Breaches"]
    heads, *lines = ([cell.value for cell in line] for line in table.iter_rows())
    assert heads[-6:] == ["why", "rule", "changes of due", "explained as of", "as known at", "explanation's hash"]
    assert [line[0] for line in lines] == [row["ticket"] for row in expected["breaches"]]
    assert [line[-1] for line in lines] == [row["explanation"]["hash"] for row in expected["breaches"]]
    assert table.print_title_rows == "$1:$1"
    wrong = cli(sqlite_url, "sla", "report", "--breaches-out", str(tmp_path / "b.pdf"))
    assert wrong.exception is not None
    assert not (tmp_path / "b.pdf").exists()


def test_a_file_takes_its_place_whole_or_not_at_all(
    late: Desk, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late.close()
    for ending in ("csv", "json", "xlsx"):
        out = tmp_path / f"b.{ending}"
        out.write_text("what was there")
        with monkeypatch.context() as broken:
            told = iter(range(3))
            broken.setattr(breaches, "_PAGE", 1)
            broken.setattr(breaches, "explanation", lambda *_, told=told, **__: {"late": next(told)})
            assert cli(sqlite_url, "sla", "report", "--breaches-out", str(out)).exit_code == 1
        assert (out.read_text(), list(tmp_path.glob("*.part"))) == ("what was there", [])
        same = cli(sqlite_url, "sla", "report", "--out", str(out), "--breaches-out", str(out))
        assert (same.exception is not None, out.read_text()) == (True, "what was there")
    nowhere = cli(sqlite_url, "sla", "report", "--breaches-out", str(tmp_path / "none" / "b.csv"))
    assert isinstance(nowhere.exception, LedgerError)


def test_names_that_people_chose_are_no_words_of_ours(sqlite_url: str, tmp_path: Path) -> None:
    """A customer called "high" and an agent called "met" stay themselves in a workbook."""
    desk = Desk(sqlite_url).at("2026-03-02 08:00").sell("high", "advanced")
    desk.ticket("high", ticket="open", priority="high")
    desk.at("2026-03-02 10:00").do("ticket.respond", ticket="open", by=Caller("met", "agent", "console"))
    desk.close()
    out = tmp_path / "b.xlsx"
    done = cli(sqlite_url, "sla", "report", "--by", "customer,agent,priority", "--breaches", "--out", str(out))
    assert done.exit_code == 0
    book = openpyxl.load_workbook(out)
    assert [cell.value for cell in next(book["Report"].iter_rows(min_row=2))][:3] == ["high", "met", "high"]
    assert [cell.value for cell in next(book["Breaches"].iter_rows(min_row=2))][:3] == ["open", "high", "met"]


def test_a_report_without_breaches_is_well_formed(sqlite_url: str, tmp_path: Path) -> None:
    Desk(sqlite_url).at("2026-03-02 08:00").sell(PANADERIA).close()
    for ending in ("csv", "json", "xlsx"):
        out = tmp_path / f"b.{ending}"
        assert cli(sqlite_url, "sla", "report", "--breaches-out", str(out)).exit_code == 0
    assert (tmp_path / "b.csv").read_bytes() == b""
    assert json.loads((tmp_path / "b.json").read_bytes()) == []
    assert openpyxl.load_workbook(tmp_path / "b.xlsx").sheetnames == ["Breaches"]
    assert json.loads(cli(sqlite_url, "sla", "report", "--breaches", "--json").stdout)["breaches"] == []


def test_an_agent_gets_their_own_breaches_explained(store_url: str) -> None:
    office = Office(store_url)
    office.account()
    office.post("/v1/accounts/C-1/subscriptions", {"level": "basic", "term": "monthly", "channel": "web"})
    office.post("/v1/accounts/C-1/payments", {"amount": "250.00", "method": "cash", "reference": "R-1"})
    for number in ("T-1", "T-2"):
        office.post("/v1/accounts/C-1/tickets", {"ticket": number, "request": "general", "priority": "high"})
    office.at("2026-01-05T12:00:00-06:00")
    for number, role in (("T-1", "agent"), ("T-2", "manager")):
        office.post(f"/v1/tickets/{number}/responses", {"channel": "platform"}, role)
    own = office.get("/v1/sla/report?breaches=true", "agent").json["breaches"]
    assert [(row["ticket"], row["explanation"]["verdict"]) for row in own] == [("T-1", "breached")]
    page = office.get("/v1/sla/report?breaches=true&most=1&explain=false", "manager").json
    assert (len(page["breaches"]), "explanation" in page["breaches"][0], bool(page["next"])) == (1, False, True)
    office.close()
