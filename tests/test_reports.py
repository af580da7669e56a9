"""Compliance reports: their sums, what was true and what was known, raw and adjusted, whose figures, and the files."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.cli import assemble
from ledger.commands_sla import REPORT_BY
from ledger.errors import Conflict, Refused
from ledger.rules.instants import from_iso, to_iso
from projections.compliance import VERDICTS, basis_points, percent
from projections.exports import duration, to_csv, to_xlsx
from projections.monthly import monthly
from projections.percentiles import nearest_rank
from tests.given import ANA, BEATRIZ, CAFETALERA, FERRETERIA, LUIS, PANADERIA, Desk, when
from tests.test_api import Office

COUNTS = ("total", *VERDICTS)
HOUR = 3_600_000_000


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url)
    yield desk
    desk.close()


@pytest.fixture(name="one")
def _one(sqlite_url: str) -> Iterator[Desk]:
    desk = Desk(sqlite_url).at("2026-03-02 08:00").sell(PANADERIA)
    yield desk
    desk.close()


def live(desk: Desk, seed: int) -> list[str]:
    """Let three customers' cases come, be answered, raised, excluded, typed late; return the instants lived at."""
    rng = random.Random(seed)
    desk.at("2026-01-29 08:00")
    for account, level in ((PANADERIA, "basic"), (FERRETERIA, "advanced"), (CAFETALERA, "corporate")):
        desk.sell(account, level, pay_by="manual")
    instant, lived, open_cases = when("2026-01-29 09:00"), [], list[str]()
    for _ in range(60):
        instant += timedelta(minutes=rng.randrange(5, 60))
        desk.ledger.clock.move(instant)
        lived.append(to_iso(instant))
        if rng.random() < 0.45:
            account = rng.choice((PANADERIA, FERRETERIA, CAFETALERA))
            request = rng.choice(("general", "general", "question", "administrative"))
            answer = desk.ticket(account, request, rng.choice(("low", "medium", "high")))
            open_cases += [answer["ticket"]] * answer["ok"]
        elif open_cases:
            act(desk, rng, open_cases)
    return lived


def act(desk: Desk, rng: random.Random, cases: list[str]) -> None:
    """Do something with one of the cases; what is refused changes nothing."""
    case, agent = rng.choice(cases[-4:]), rng.choice((ANA, LUIS))
    deed = rng.randrange(6)
    now = from_iso(desk.ledger.clock.now())
    late = to_iso(now - timedelta(minutes=rng.randrange(1, 120)))
    doings: list[tuple[str, dict[str, Any]]] = [
        ("ticket.respond", {"channel": "platform"}),
        ("ticket.respond", {"channel": rng.choice(("chat", "phone"))}),
        ("ticket.prioritise", {"priority": "high"}),
        ("ticket.exclude", {"approver": "carmen"}),
        ("ticket.resolve", {}),
        ("ticket.assign", {"to": agent.by}),
    ]
    name, given_ = doings[deed]
    at = late if deed in (0, 4) and rng.random() < 0.4 else None
    with suppress(Refused, Conflict):
        desk.ledger.execute(name, {"ticket": case, **given_}, caller=agent, at=at, reason="así fue")


def sums(rows: list[dict[str, Any]]) -> dict[str, int]:
    return {name: sum(row[name] for row in rows) for name in COUNTS}


# --- laws over random histories -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_the_cells_sum_to_the_cases_by_every_dimension_and_then(desk: Desk, seed: int) -> None:
    """Now from the read model, then from the log; each case's own verdict is the report's."""
    lived = live(desk, seed)
    numbers = [f"T-{n}" for n in range(1, 60) if desk.ledger.ticket(f"T-{n}", must_exist=False).facts]
    for at in ("", *lived[::13], to_iso(from_iso(lived[-1]) + timedelta(days=3))):
        dated = {"at": at} if at else {}
        verdicts = Counter(verdict_then(desk, number, at or lived[-1]) for number in numbers)
        del verdicts["none"]
        for by in (*REPORT_BY, ",".join(REPORT_BY)):
            answer = desk.ledger.ask("report", {"by": by, **dated})
            assert sums(answer["rows"]) == {name: answer["totals"][name] for name in COUNTS}
            assert Counter({name: answer["totals"][name] for name in VERDICTS}) == verdicts
            for row in [*answer["rows"], answer["totals"]]:
                assert row["total"] == sum(row[name] for name in VERDICTS)
                assert row["met_bp"] is None or 0 <= row["met_bp"] <= 10_000
        breaches = desk.ledger.ask("report", {"breaches": True, **dated})["breaches"]
        assert len(breaches) == verdicts["breached"]


def verdict_then(desk: Desk, number: str, at: str) -> str:
    case = desk.ledger.ticket(number)
    if case.opened.occurred_at > at:
        return "none"
    return case.clock(at).verdict(at)


@pytest.mark.parametrize("seed", range(4))
def test_raw_and_exclusions_give_adjusted(desk: Desk, seed: int) -> None:
    live(desk, seed)
    by = "level,priority,month,agent"
    raw, adjusted = (desk.ask("report", by=by, raw=raw)["rows"] for raw in (True, False))
    assert [{**row, "total": 0} for row in raw if row["excluded"]] == []
    assert [row["total"] for row in raw] == [row["total"] for row in adjusted]
    taken: Counter[str] = Counter()
    for number in [f"T-{n}" for n in range(1, 60)]:
        case = desk.ledger.ticket(number, must_exist=False)
        if case.facts and (clock := case.clock(now := desk.ledger.clock.now())).excluded and clock.due_at:
            taken[clock.raw_verdict(now)] += 1
    for name in ("met", "breached", "open"):
        assert sums(raw)[name] - taken[name] == sums(adjusted)[name]
    assert sums(adjusted)["excluded"] == taken.total()


@pytest.mark.parametrize("seed", range(3))
def test_what_was_known_never_changes(desk: Desk, seed: int) -> None:
    """Each instant's answer, asked then, is what known_at gives later, to the last figure."""
    desk.at("2026-01-29 08:00")
    said: dict[str, Any] = {}
    original = desk.ledger.execute

    def watched(*args: Any, **named: Any) -> Any:
        now = desk.ledger.clock.now()
        said[now] = None  # a second command at the instant adds to what is known at it
        answer = original(*args, **named)
        said[now] = desk.ledger.ask("report", {"by": "level,agent", "at": now, "breaches": True})
        return answer

    desk.ledger.execute = watched  # type: ignore[method-assign]
    live(desk, 100 + seed)
    kept = {instant: answer for instant, answer in said.items() if answer is not None}
    assert len(kept) > 20
    for instant, before in list(kept.items())[::5]:
        later = desk.ledger.ask("report", {"by": "level,agent", "known_at": instant, "breaches": True})
        for row in later["breaches"] + before["breaches"]:
            told = row.pop("explanation")  # it tells what was asked for, and hashes that too
            row["explained"] = {n: v for n, v in told.items() if n not in ("known_at", "hash")}
        assert {**later, "known_at": None} == before, instant


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=200), st.sampled_from((50, 90, 95, 100)))
@settings(max_examples=200)
def test_a_percentile_is_the_least_value_that_enough_do_not_exceed(values: list[int], percent_: int) -> None:
    ordered = sorted(values)
    found = nearest_rank(ordered, percent_)
    assert found in values
    assert sum(value <= found for value in values) * 100 >= percent_ * len(values)
    lower = [value for value in values if value < found]
    assert len(lower) * 100 < percent_ * len(values)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_share_is_a_hundred_only_when_none_was_late(met: int, breached: int) -> None:
    share = basis_points(met, breached)
    if met + breached == 0:
        assert share is None
        return
    assert share is not None
    assert 0 <= share <= 10_000
    assert (share == 10_000) == (breached == 0)


# --- by hand ------------------------------------------------------------------------------------------------------


def test_figures_of_a_morning_told_by_hand(desk: Desk) -> None:
    desk.at("2026-03-02 08:00").sell(PANADERIA).sell(FERRETERIA, "advanced")
    desk.ticket(PANADERIA, priority="high", ticket="T-A")
    desk.ticket(PANADERIA, ticket="T-B")
    desk.ticket(FERRETERIA, priority="high", ticket="T-C")
    desk.at("2026-03-02 08:30").do("ticket.respond", ticket="T-C", by=ANA, channel="chat")
    desk.at("2026-03-02 10:00").do("ticket.respond", ticket="T-A", by=LUIS, channel="platform")
    desk.at("2026-03-02 11:00")
    answer = desk.ask("report", by="agent", breaches=True)
    ana, luis = ({**row} for row in answer["rows"] if row["agent"])
    assert (ana["met_bp"], ana["p50_us"], ana["worst_us"]) == (10_000, HOUR // 2, HOUR // 2)
    assert (luis["met_bp"], luis["p95_us"]) == (0, 2 * HOUR)
    assert {name: answer["totals"][name] for name in COUNTS} == {
        "total": 3, "met": 1, "breached": 1, "open": 1, "excluded": 0,
    }  # fmt: skip
    assert (answer["totals"]["met_bp"], answer["totals"]["p50_us"]) == (5000, HOUR // 2)
    [late] = answer["breaches"]
    assert (late["ticket"], late["customer"], late["agent"], late["late_us"]) == ("T-A", PANADERIA, "luis", 0)
    then = desk.ask("report", by="level", at="2026-03-02 09:59")
    assert [(row["level"], row["met"], row["open"]) for row in then["rows"]] == [("basic", 0, 2), ("advanced", 1, 0)]
    assert desk.ask("report", customer=FERRETERIA)["totals"]["total"] == 1
    assert desk.ask("report", level="basic", priority="low")["totals"]["open"] == 1


def test_without_times_it_counts_the_same(desk: Desk) -> None:
    lived = live(desk, 7)
    for dated in ({}, {"at": lived[30]}):
        whole, counts = (desk.ledger.ask("report", {"by": "level,agent", "times": t, **dated}) for t in (True, False))
        for row, bare in zip([*whole["rows"], whole["totals"]], [*counts["rows"], counts["totals"]], strict=True):
            assert bare == {name: value for name, value in row.items() if not name.endswith("_us")}


def test_unanswered_it_is_breached_at_its_due_instant_and_open_a_microsecond_before(desk: Desk) -> None:
    desk.at("2026-03-02 08:00").sell(PANADERIA).ticket(ticket="T-A", priority="high")
    for now, verdict in (("2026-03-02 09:59:59.999999", "open"), ("2026-03-02 10:00", "breached")):
        desk.at(now)
        for then in ({}, {"at": now}, {"known_at": now}):
            for raw in (False, True):
                assert desk.ask("report", raw=raw, **then)["totals"][verdict] == 1
        assert len(desk.ask("report", breaches=True)["breaches"]) == (verdict == "breached")


def test_an_unanswered_breach_is_late_so_far(one: Desk) -> None:
    one.ticket(priority="high", ticket="T-A")
    one.at("2026-03-02 10:20")
    [late] = one.ask("report", breaches=True)["breaches"]
    assert (late["responded_at"], late["late_us"]) == (None, HOUR // 3)


def test_a_late_typed_answer_is_true_then_but_was_not_known(one: Desk) -> None:
    one.ticket(priority="high", ticket="T-A")
    one.at("2026-03-02 11:00")
    one.do("ticket.respond", ticket="T-A", by=ANA, channel="platform", at="2026-03-02 09:00")
    true_then = one.ask("report", at="2026-03-02 10:30")["totals"]
    believed = one.ask("report", at="2026-03-02 10:30", known_at="2026-03-02 10:30")["totals"]
    assert (true_then["met"], believed["breached"]) == (1, 1)
    assert one.ask("report", known_at="2026-03-02 10:30")["totals"] == believed


@pytest.mark.parametrize(
    "given_",
    [{"by": "mood"}, {"by": "level,level"}, {"by": []}, {"from": "2026-02-30"}, {"level": "gold"}, {"by": 3}],
)
def test_a_wrong_question_is_named(one: Desk, given_: dict[str, Any]) -> None:
    if given_ == {"by": []}:
        assert one.ask("report", **given_)["by"] == ["level", "priority"]
        return
    with one.refused("malformed") as no:
        one.ask("report", **given_)
    assert no.facts["field"] == next(iter(given_))


# --- whose figures ------------------------------------------------------------------------------------------------


def test_agents_see_their_own_figures_managers_all(store_url: str) -> None:
    office = Office(store_url)
    office.account()
    office.post("/v1/accounts/C-1/subscriptions", {"level": "basic", "term": "monthly", "channel": "web"})
    office.post("/v1/accounts/C-1/payments", {"amount": "250.00", "method": "cash", "reference": "R-1"})
    for number, role in (("T-1", "agent"), ("T-2", "manager")):
        office.post("/v1/accounts/C-1/tickets", {"ticket": number, "request": "general", "priority": "high"})
        office.post(f"/v1/tickets/{number}/responses", {"channel": "platform"}, role)
    own = office.get("/v1/sla/report?by=agent", "agent").json
    assert ([row["agent"] for row in own["rows"]], own["agent"]) == (["ana"], "ana")
    prying = office.get("/v1/sla/report?by=agent&agent=beatriz&at=2026-01-05T09:00:00-06:00", "agent").json
    assert [row["agent"] for row in prying["rows"]] == ["ana"]
    for role in ("manager", "operator"):
        assert office.get("/v1/sla/report?by=agent", role).json["totals"]["total"] == 2
    assert office.get("/v1/sla/reports/2026-01", "agent").status_code == 403
    office.close()


# --- files --------------------------------------------------------------------------------------------------------

EVIL = ("=cmd|' /C calc'!A0", "+1", "-2", "@x", "\tx", "a,b", 'say "hola"', "dos\nlíneas", "Panadería Ñ")


def test_csv_reads_back_and_holds_no_formula() -> None:
    rows = [{"agent": text, "total": -1, "met_bp": 9750, "p50_us": HOUR + 1} for text in EVIL]
    content = to_csv(rows, bom=True)
    assert content.startswith(b"\xef\xbb\xbf")
    assert to_csv(rows) == content[3:]
    assert b"\r\n" in content
    back = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert back[0] == ["agent", "total", "met_share", "p50"]
    assert [line[1:] for line in back[1:]] == [["-1", "97.50", "1:00:01"]] * len(EVIL)
    assert [line[0].removeprefix("'") for line in back[1:]] == list(EVIL)
    assert not [line[0] for line in back[1:] if re.match(r"[=+\-@\t\r]", line[0])]


def test_xlsx_reads_back_and_holds_no_formula() -> None:
    rows = [
        {"agent": text, "total": 3, "met_bp": None if n else 10_000, "worst_us": HOUR} for n, text in enumerate(EVIL)
    ]
    sheet = openpyxl.load_workbook(io.BytesIO(to_xlsx({"Informe": rows}, "es_GT")))["Informe"]
    heads, *lines = sheet.iter_rows()
    assert [cell.value for cell in heads] == ["agente", "total", "cumplido", "peor"]
    assert [line[0].value for line in lines] == list(EVIL)
    assert {line[0].data_type for line in lines} == {"s"}
    assert (lines[0][2].value, lines[0][2].number_format, lines[1][2].value) == (1, "0.00%", None)
    assert {line[3].value for line in lines} == {timedelta(hours=1)}


@pytest.mark.parametrize(
    ("us", "shown"), [(0, "0:00:00"), (1, "0:00:01"), (HOUR, "1:00:00"), (100 * HOUR, "100:00:00")]
)
def test_a_duration_is_rounded_up_to_the_second(us: int, shown: str) -> None:
    assert duration(us) == shown


def test_shares_are_shown_whole() -> None:
    assert [percent(n) for n in (0, 1, 9999, 10_000)] == ["0.00", "0.01", "99.99", "100.00"]


def cli(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(assemble("en"), ["--database", url, "--lang", "en", *arguments])


def test_the_command_line_writes_each_format(one: Desk, sqlite_url: str, tmp_path: Path) -> None:
    one.ticket(priority="high", ticket="T-A")
    one.at("2026-03-02 12:00")
    expected = one.ask("report", by="customer", breaches=True)
    one.close()
    assert json.loads(cli(sqlite_url, "sla", "report", "--by", "customer", "--breaches", "--json").stdout) == expected
    out = tmp_path / "r.csv"
    assert cli(sqlite_url, "sla", "report", "--by", "customer", "--out", str(out)).exit_code == 0
    heads, row, last = csv.reader(io.StringIO(out.read_text("utf-8")))
    assert (heads[0], row[:4], last[:4]) == ("customer", [PANADERIA, "1", "0", "1"], ["total", "1", "0", "1"])
    assert cli(sqlite_url, "sla", "report", "--breaches", "--format", "csv").stdout.splitlines()[1].startswith("T-A,")
    book = tmp_path / "r.xlsx"
    assert cli(sqlite_url, "sla", "report", "--breaches", "--out", str(book)).exit_code == 0
    assert openpyxl.load_workbook(book).sheetnames == ["Report", "Breaches", "Asked for"]
    shown = cli(sqlite_url, "sla", "report", "--at", "2026-03-02T08:30:00-06:00").stdout
    assert "as of" in shown
    assert cli(sqlite_url, "sla", "report", "--format", "xlsx").exception is not None


# --- a customer's month -------------------------------------------------------------------------------------------


def test_the_months_page_is_well_formed_escaped_and_loads_nothing(desk: Desk) -> None:
    desk.at("2026-03-02 08:00")
    desk.do("account.open", account=PANADERIA, name="Pan & <b>Vino</b>", nit="1234567-8")
    desk.sell(PANADERIA)
    desk.ticket(ticket="T-A", priority="high", subject='<script>alert("x")</script>')
    desk.ticket(ticket="T-B", subject="Formato de impresión")
    desk.ticket(ticket="T-C", request="administrative", subject="Factura")
    desk.ticket(ticket="T-D")
    desk.at("2026-03-02 11:00").do("ticket.respond", ticket="T-A", by=ANA, channel="platform")
    desk.do("ticket.respond", ticket="T-B", by=ANA, channel="platform")
    desk.do("ticket.exclude", ticket="T-D", by=BEATRIZ, approver="carmen", reason="el cliente <esperó>")
    for lang, verdict in (("", "cumplido"), ("en", "met")):
        page = monthly(desk.ledger, PANADERIA, "2026-03", lang)
        root = ET.fromstring(page.split("\n", 1)[1])  # noqa: S314 - of our own making
        assert root.attrib["lang"] == (lang or "es-GT")
        names = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert not names & {"script", "link", "img", "iframe", "object", "b", "esperó"}
        assert not [name for element in root.iter() for name in element.attrib if name.startswith("on")]
        assert not re.search(r"(?:src|href|url\((?!#)|@import)", page)
        ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
        assert len(set(ids)) == len(ids) == page.count("url(#")
        cells = [["".join(td.itertext()) for td in tr.iter("td")] for tr in root.iter("tr")]
        cases = {line[0]: line for line in cells if line and line[0].startswith("T-")}
        assert set(cases) == {"T-A", "T-B", "T-C", "T-D"}
        assert cases["T-A"][1] == '<script>alert("x")</script>'
        assert (cases["T-B"][7], cases["T-B"][8]) == ("3:00:00", verdict)
        assert cases["T-C"][8] == "–"
        assert "<esperó>" in cases["T-D"][9]
        assert "carmen" in cases["T-D"][9]
        bars = [e for e in root.iter() if e.tag.endswith("rect")]
        assert sum(int(bar.attrib["width"]) for bar in bars) == 600


def test_a_months_page_prints_on_any_paper_with_names_of_any_length(one: Desk) -> None:
    """No value widens a table or turns what stands beside it round; headings come again on every page."""
    one.ticket(ticket="T-A", subject="x" * 300)
    one.do("account.open", account="C-9", name="Ferreteria " + "Y" * 180)
    one.sell("C-9").ticket("C-9", ticket="T-B", subject="\u202egnirts")
    page = monthly(one.ledger, PANADERIA, "2026-03") + monthly(one.ledger, "C-9", "2026-03")
    for rule in ("table-layout: fixed", "overflow-wrap: anywhere", "unicode-bidi: isolate", "table-header-group"):
        assert rule in page
    assert "size:" not in page.split("@page")[1].split("}")[0].replace("font-size:", ""), "the paper is the printer's"
    shares = [float(width) for width in re.findall(r"<col style=.width:([0-9.]+)%", page)]
    assert len(shares) == 20
    assert abs(sum(shares) - 200) < 1
    assert page.count("<bdi>") == page.count("</bdi>") == 4


def test_a_month_of_administrative_cases_alone_has_cases_but_no_targets(one: Desk) -> None:
    one.ticket(request="administrative", ticket="T-A", subject="Factura")
    page = monthly(one.ledger, PANADERIA, "2026-03")
    assert "Ninguno de los casos de este mes tiene plazo" in page
    assert "No se abrió ningún caso" not in page
    assert "Factura" in page


def test_a_months_page_tells_what_was_left_when_it_ended(sqlite_url: str) -> None:
    desk = Desk(sqlite_url).at("2026-03-02 09:00").sell(term="yearly")
    desk.ticket(ticket="T-A")
    desk.at("2026-04-20 09:00").ticket(ticket="T-B")
    desk.ticket(ticket="T-C")
    march, april = (monthly(desk.ledger, PANADERIA, month) for month in ("2026-03", "2026-04"))
    assert "2026-03-31 23:59:59" in march
    assert "2026-04-20 09:00:00" in april  # it goes on: as of now
    left = [re.search(r"quedan? ([0-9]+)", page) for page in (march, april)]
    assert [found and found[1] for found in left] == ["4", "3"]
    desk.close()


def test_a_long_time_stays_in_its_column(one: Desk) -> None:
    """Hours of three digits and more may break; nothing of the table's cells runs into the next one."""
    one.ticket(ticket="T-A")
    one.at("2026-03-20 09:10:21").do("ticket.respond", ticket="T-A", by=ANA)
    page = monthly(one.ledger, PANADERIA, "2026-03")
    cell = re.search(r'<td class="([^"]*)">([0-9]{3,}:[0-9]{2}:[0-9]{2})</td>', page)
    assert cell is not None
    assert cell[1] == "number"


def test_a_month_without_cases_says_so(one: Desk, sqlite_url: str) -> None:
    assert "No se abrió ningún caso" in monthly(one.ledger, PANADERIA, "2026-02")
    one.close()
    done = cli(sqlite_url, "sla", "monthly", PANADERIA, "2026-02", "--lang", "en")
    assert (done.exit_code, "No case was opened" in done.stdout) == (0, True)
    assert cli(sqlite_url, "sla", "monthly", "C-404", "2026-02").exception is not None
    assert cli(sqlite_url, "sla", "monthly", PANADERIA, "2026-2").exception is not None
