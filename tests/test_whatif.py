"""What would have been: equal to a naive recomputation in every cell and flip, written nowhere, whatever is read."""

from __future__ import annotations

import csv
import hashlib
import json
import random
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from eventsourcing.persistence import StoredEvent

from ledger.application import Ledger
from ledger.catalogue import load
from ledger.cli import assemble
from ledger.errors import LedgerError
from ledger.imports import import_file, load_mapping
from ledger.scenarios import load_file
from ledger.store import Store, open_read_store, open_store
from projections.projector import Projector
from projections.whatif_chart import Row, draw
from scripts.demo_log import write_log
from tests import naive_whatif as naive
from tests.given import ANA, BEATRIZ, Desk
from tests.naive_whatif import HOUR, LEVELS, PRIORITIES, Case
from tests.sla_desk import former_catalogue
from tests.test_api import Office
from tests.test_import_helpdesk import ANSWERS, HOURS, LEVEL, MAPPING, PRIORITY, REAL

Answer = dict[str, Any]
WEEK = {day: [["09:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
ROME = {"define": {"rome": {"zone": "Europe/Rome", "week": WEEK}}, "calendars": "rome"}
EVERY = 100_000


def cells(scenario: Answer, side: str) -> Counter[tuple[str, str, str]]:
    return Counter(
        {
            (row["level"], row["priority"], verdict): row[side][verdict]
            for row in scenario["rows"]
            for verdict in ("met", "breached", "open", "excluded")
            if row[side][verdict]
        }
    )


# --- the real log -------------------------------------------------------------------------------------------------

Promise = Callable[[str, str, datetime], datetime]


def told(path: Path, promise: Promise) -> dict[str, tuple[str, str, str, datetime]]:
    """Return each case's level, priority that governed, verdict and due instant (UTC, naive) under a promise."""
    found: dict[str, list[list[str]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in list(csv.reader(file))[1:]:
            found.setdefault(row[0], []).append(row)
    answers = {}
    for number, rows in found.items():
        times = [utc(datetime.strptime(row[3], "%Y/%m/%d %H:%M:%S.%f")) for row in rows]  # noqa: DTZ007
        level, label = LEVEL[rows[0][12]], PRIORITY[rows[0][11]]
        due, governs = promise(level, label, times[0]), label
        answered = min((at for at, row in zip(times, rows, strict=True) if row[1] in ANSWERS), default=None)
        for at, row in zip(times[1:], rows[1:], strict=True):
            before, label = label, PRIORITY[row[11]]
            if PRIORITIES.index(label) > PRIORITIES.index(before) and at < due and (answered is None or at < answered):
                sooner = promise(level, label, at)
                if sooner < due:
                    due, governs = sooner, label
        verdict = "met" if answered is not None and answered < due else "breached"
        if any(row[1] in ("DUPLICATE", "INVALID") for row in rows):
            verdict = "excluded"
        answers[number] = (level, governs, verdict, due)
    return answers


def as_promised(level: str, priority: str, start: datetime) -> datetime:
    return start + timedelta(hours=HOURS[level][priority])


def stricter(level: str, priority: str, start: datetime) -> datetime:
    return start + timedelta(minutes=7 if priority == "high" else 90, seconds=level == "basic")


def looser(level: str, priority: str, start: datetime) -> datetime:
    return start + timedelta(hours=60 if priority == "low" else 30)


def in_rome(level: str, priority: str, start: datetime) -> datetime:
    """Return when the hours are used up between 09:00 and 18:00 on Monday to Friday in Italy, day by day."""
    left, day = timedelta(hours=HOURS[level][priority]), (start - timedelta(days=1)).date()
    while True:
        morning = datetime(day.year, day.month, day.day)  # noqa: DTZ001
        begin, end = max(start, utc(morning + timedelta(hours=9))), utc(morning + timedelta(hours=18))
        if day.weekday() < 5 and begin < end:
            if left <= end - begin:
                return begin + left
            left -= end - begin
        day += timedelta(days=1)


def utc(local: datetime) -> datetime:
    """Return UTC (naive) of Italian wall time; a time that spring leaves out moves forward, autumn's counts first."""

    def last_sunday(month: int) -> datetime:
        day = datetime(local.year, month, 31)  # noqa: DTZ001
        return day - timedelta(days=(day.weekday() + 1) % 7)

    summer = last_sunday(3) + timedelta(hours=3) <= local < last_sunday(10) + timedelta(hours=3)
    return local - timedelta(hours=2 if summer else 1)


def limits_of(promise: Promise) -> dict[str, str]:
    start = datetime(2020, 1, 1)  # noqa: DTZ001
    return {
        f"{level}/{priority}": f"{(promise(level, priority, start) - start) // timedelta(seconds=1)}s"
        for level in LEVELS
        for priority in PRIORITIES
    }


@pytest.fixture(name="log", scope="module")
def _log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ledger, Path]]:
    folder = tmp_path_factory.mktemp("log")
    path = REAL if REAL.exists() else write_log(folder / "log.csv", cases=2000)
    ledger = Ledger(open_store(f"sqlite:///{folder / 'ledger.db'}"))
    ledger.store.migrate()
    import_file(ledger, path, load_mapping(MAPPING))
    projector = Projector(ledger.store, ledger.catalogue)
    projector.catch_up(["tickets"])
    projector.close()
    yield ledger, path
    ledger.close()


@pytest.mark.parametrize(
    ("scenario", "promise"),
    [
        (ROME, in_rome),
        ({"limits": limits_of(stricter)}, stricter),
        ({"limits": limits_of(looser)}, looser),
        ({"limits": limits_of(as_promised), "calendars": "24x7"}, as_promised),
    ],
    ids=["rome", "stricter", "looser", "as promised"],
)
def test_the_real_log_agrees_in_every_cell_and_every_flip(
    log: tuple[Ledger, Path], scenario: Answer, promise: Promise
) -> None:
    ledger, path = log
    before, after = told(path, as_promised), told(path, promise)
    answer = ledger.ask("what_if", {**scenario, "flips": EVERY})
    [found] = answer["scenarios"]
    assert cells(found, "before") == Counter(case[:3] for case in before.values())
    assert cells(found, "after") == Counter(case[:3] for case in after.values())
    expected = {
        number: [(*case[:3], case[3]) for case in (before[number], after[number])]
        for number in before
        if before[number][2] != after[number][2]
    }
    flips = {
        flip["ticket"]: [
            (side["level"], side["priority"], side["verdict"], naive_utc(side["due_at"]))
            for side in (flip["before"], flip["after"])
        ]
        for flip in found["flips"]
    }
    assert flips == expected
    assert found["flips_total"] == len(expected) == sum(found["changed"].values())
    assert bool(expected) == (promise is not as_promised)


def naive_utc(text: str) -> datetime:
    return naive_datetime(naive.us(text))


def naive_datetime(us: int) -> datetime:
    return datetime(1970, 1, 1) + timedelta(microseconds=us)  # noqa: DTZ001


def test_an_aim_is_the_shortest_limit_that_reaches_it(log: tuple[Ledger, Path]) -> None:
    ledger, _path = log
    [found] = ledger.ask("what_if", {"aim": "75", "for": "advanced/low"})["scenarios"][0]["aims"]
    at, under = (
        ledger.ask("what_if", {"limits": {"advanced/low": f"{found['limit_seconds'] - less}s"}, "flips": 0})
        for less in (0, 1)
    )
    shares = []
    for answer in (at, under):
        row = next(r for r in answer["scenarios"][0]["rows"] if (r["level"], r["priority"]) == ("advanced", "low"))
        shares.append(row["after"])
    assert shares[0]["share"] == found["share"]
    assert (shares[0]["met"], shares[0]["met"] + shares[0]["breached"]) == (found["met"], found["decided"])
    assert float(shares[1]["share"]) < 75 <= float(shares[0]["share"])


def test_a_curve_never_falls_and_is_drawn_the_same_every_time(log: tuple[Ledger, Path]) -> None:
    ledger, _path = log
    curves = ledger.ask("what_if", {"curve": True, "flips": 0})["scenarios"][0]["curves"]
    assert len(curves) == 9
    for curve in curves:
        shares = [float(point["share"]) for point in curve["points"]]
        assert all(0 <= share <= 100 for share in shares)
        if curve["priority"] == "low":  # no raise can make these count elsewhere
            assert shares == sorted(shares)
    rows = [Row("<x> & y", curves, {("basic", "low"): 28800}), Row("z", curves[:3], {})]
    drawn = {lang: draw(rows, lang) for lang in ("es_GT", "en")}
    assert drawn["en"] == draw(rows, "en")
    ElementTree.fromstring(drawn["en"])  # noqa: S314 - our own drawing
    assert drawn["en"].count("<circle") == 1
    assert drawn["en"].count('<path d="M') > 12
    for lang, words in (("es_GT", "cumplidos, %"), ("en", "met, %")):
        assert words in drawn[lang]
        assert "&lt;x&gt; &amp; y" in drawn[lang]


def test_cases_are_those_opened_between_two_dates(log: tuple[Ledger, Path]) -> None:
    ledger, _path = log
    whole = ledger.ask("what_if", {"limits": "advanced/low=1h", "flips": 0})
    parts = [
        ledger.ask("what_if", {"limits": "advanced/low=1h", "flips": 0, **dates})
        for dates in ({"to": "2012-06-30"}, {"from": "2012-07-01"})
    ]
    assert sum(part["cases"] for part in parts) == whole["cases"]
    changed = [Counter(part["scenarios"][0]["changed"]) for part in parts]
    assert changed[0] + changed[1] == Counter(whole["scenarios"][0]["changed"])
    assert all(changed)
    day = ledger.ask("what_if", {"flips": 0, "from": "2012-06-29", "to": "2012-06-29"})["cases"]
    days = ledger.ask("what_if", {"flips": 0, "from": "2012-06-29", "to": "2012-06-30"})["cases"]
    assert 0 < day <= days


# --- random cases -------------------------------------------------------------------------------------------------

NOW = "2026-08-31 20:00"


def fill(store: Store, cases: list[Case]) -> None:
    for case in cases:
        rows = enumerate(case.rows(), 1)
        events = [StoredEvent(f"ticket/{case.number}", version, topic, state) for version, (topic, state) in rows]
        store.append(events, ["C-1"] * len(events), now="2026-08-29T00:00:00.000000Z", request=None)


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url)
    desk.at(NOW)
    yield desk
    desk.close()


def random_scenario(chance: random.Random) -> tuple[Answer, naive.Due]:
    limits = {
        (level, priority): chance.choice((HOUR // 2, HOUR, 3 * HOUR, 8 * HOUR, 20 * HOUR, 90 * HOUR))
        for level in LEVELS
        for priority in PRIORITIES
        if chance.random() < 0.7
    }
    business = {(level, priority) for level in LEVELS for priority in PRIORITIES if chance.random() < 0.4}

    def due(level: str, priority: str, start: int) -> int:
        limit = limits.get((level, priority), naive.PRESENT[level, priority])
        return naive.business(start, limit) if (level, priority) in business else start + limit

    given = {
        "limits": {"/".join(cell): f"{limit // naive.SECOND}s" for cell, limit in limits.items()},
        "calendars": {"/".join(cell): "gt-business" for cell in business},
    }
    return given, due


@pytest.mark.parametrize("seed", range(6))
def test_random_cases_agree_with_a_naive_telling(desk: Desk, seed: int) -> None:
    """Raises, lowerings, reclassifications either way, upgrades: every due instant, verdict and cell."""
    chance = random.Random(seed)
    cases = [naive.make(number, chance) for number in range(150)]
    fill(desk.ledger.store, cases)
    if seed % 2:  # else nothing is projected: all is folded from the log
        Projector(desk.ledger.store, desk.ledger.catalogue).catch_up(["tickets"])
    pairs = [random_scenario(chance) for _ in range(5)]
    given = {f"s{number}": scenario for number, (scenario, _due) in enumerate(pairs)}
    answer = desk.ask("what_if", scenarios=given, flips=EVERY)
    assert len(answer["scenarios"]) == len(pairs)
    now = naive.us("2026-09-01T02:00:00Z")
    for found, (_scenario, due) in zip(answer["scenarios"], pairs, strict=True):
        both = {case.number: (case.tell(naive.present), case.tell(due)) for case in cases}
        verdicts = {c.number: tuple(told.verdict(now, c.excluded) for told in both[c.number]) for c in cases}
        for side, name in enumerate(("before", "after")):
            expected = Counter((*both[n][side].cell, verdicts[n][side]) for n in both if verdicts[n][side] != "none")
            assert cells(found, name) == expected
        flips = {
            flip["ticket"]: tuple(
                (side["verdict"], side["due_at"] and naive.us(side["due_at"]))
                for side in (flip["before"], flip["after"])
            )
            for flip in found["flips"]
        }
        assert flips == {
            number: tuple((verdicts[number][side], both[number][side].due) for side in (0, 1))
            for number in both
            if verdicts[number][0] != verdicts[number][1]
        }


# --- laws ---------------------------------------------------------------------------------------------------------


@pytest.fixture(name="full")
def _full(desk: Desk) -> Desk:
    chance = random.Random(77)
    fill(desk.ledger.store, [naive.make(number, chance) for number in range(200)])
    return desk


def told_by(desk: Desk, **values: Any) -> Answer:
    answer = desk.ask("what_if", **{"flips": EVERY, **values})
    return {name: value for name, value in answer.items() if name != "position"}


SCENARIOS = {
    "present": {},
    "strict": {"limits": {"basic/low": "1h", "advanced/high": "10m"}},
    "business": {"calendars": "gt-business", "holidays": ["2026-08-12"]},
    "abroad": {"calendars": {"basic/low": "gt-business"}, "zone": "Europe/Rome"},
    "paused": {"pause": "waiting"},
}


def test_the_present_policy_flips_nothing(full: Desk) -> None:
    spelt = {"/".join(cell): f"{limit // naive.SECOND}s" for cell, limit in naive.PRESENT.items()}
    for given in ({}, {"limits": spelt}, {"calendars": "24x7"}, {"limits": spelt, "calendars": "24x7@1"}):
        for raw in (False, True):
            [found] = told_by(full, raw=raw, **given)["scenarios"]
            assert (found["flips_total"], found["flips"], found["changed"]) == (0, [], {})
            assert found["totals"]["before"] == found["totals"]["after"]
            assert all(row["before"] == row["after"] for row in found["rows"])


def test_several_in_one_pass_are_as_one_by_one(full: Desk) -> None:
    together = told_by(full, scenarios=SCENARIOS)["scenarios"]
    apart = [told_by(full, scenarios={name: given})["scenarios"][0] for name, given in SCENARIOS.items()]
    assert together == apart
    assert sum(one["flips_total"] > 0 for one in apart) >= 3
    as_text = "strict:basic/low=1h,advanced/high=10m;business:calendar=gt-business,holiday=2026-08-12"
    assert told_by(full, scenarios=as_text)["scenarios"] == together[1:3]


def test_a_stricter_limit_never_turns_a_breach_into_met(full: Desk) -> None:
    halves = {"/".join(cell): f"{limit // 2 // naive.SECOND}s" for cell, limit in naive.PRESENT.items()}
    [found] = told_by(full, limits=halves)["scenarios"]
    assert "breached_to_met" not in found["changed"]
    assert found["changed"]["met_to_breached"] > 0


def test_it_is_the_same_whatever_the_read_models_hold(full: Desk) -> None:
    """None at all, behind the log, at its end; and from the log alone, as of now."""
    nothing = told_by(full, scenarios=SCENARIOS)
    projector = Projector(full.ledger.store, full.ledger.catalogue)
    projector.catch_up(["tickets"])
    whole = told_by(full, scenarios=SCENARIOS)
    fill(full.ledger.store, [naive.make(number, random.Random(number)) for number in range(900, 930)])
    behind = told_by(full, scenarios=SCENARIOS)
    projector.catch_up(["tickets"])
    assert nothing == whole
    assert behind == told_by(full, scenarios=SCENARIOS)
    assert behind["cases"] > whole["cases"]
    at = told_by(full, scenarios=SCENARIOS, at=NOW)
    assert at == behind
    projector.close()


def test_it_writes_nothing(full: Desk) -> None:
    """Neither the log nor the read models, which are behind here, nor any other table: their content is the same."""
    store = full.ledger.store
    projector = Projector(store, full.ledger.catalogue)
    projector.catch_up(["tickets"])
    projector.close()
    fill(store, [naive.make(number, random.Random(number)) for number in range(900, 930)])
    before = content(store)
    told_by(full, scenarios=SCENARIOS, aim="95", **{"for": "basic/low"}, curve=True, explain=True, flips=1000)
    told_by(full, at=NOW, known_at=NOW, limits="basic/low=1h")
    assert content(store) == before


def content(store: Store) -> dict[str, str]:
    """Return a hash of every row of every table, of both files where there are two."""
    listed = (
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        if store.dialect == "sqlite"
        else "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
    )
    read = open_read_store(store)
    found = {}
    for part, of in (("log", store), ("read", read)):
        for (table,) in of.query(listed):
            rows = sorted(repr(row) for row in of.query(f"SELECT * FROM {table}"))
            found[f"{part}.{table}"] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    if read is not store:
        read.close()
    assert len(found) > 5
    return found


# --- pausing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("answered", "verdict"), [("22:59:59.999999", "met"), ("23:00", "breached")])
def test_a_pause_moves_the_due_instant_by_what_was_waited(store_url: str, answered: str, verdict: str) -> None:
    desk = Desk(store_url)
    desk.at("2026-08-03 09:00").sell()
    number = desk.ticket()["ticket"]
    for time, act in (("10:00", "wait"), ("15:00", "resume"), ("16:00", "wait"), ("17:00", "message")):
        desk.at(f"2026-08-03 {time}").do(f"ticket.{act}", ticket=number, by=ANA)
    desk.at(f"2026-08-03 {answered}").do("ticket.respond", ticket=number, by=ANA)
    [found] = desk.ask("what_if", pause="waiting")["scenarios"]
    assert cells(found, "before") == {("basic", "low", "breached"): 1}
    assert cells(found, "after") == {("basic", "low", verdict): 1}
    if verdict == "met":
        assert found["flips"][0]["before"]["due_at"] == "2026-08-03T17:00:00-06:00"
        assert found["flips"][0]["after"]["due_at"] == "2026-08-03T23:00:00-06:00"
    desk.close()


def test_a_limit_used_up_as_the_wait_begins_is_due_then(store_url: str) -> None:
    desk = Desk(store_url)
    desk.at("2026-08-03 09:00").sell()
    number = desk.ticket()["ticket"]
    desk.at("2026-08-03 17:00").do("ticket.wait", ticket=number, by=ANA)
    desk.at("2026-08-03 17:30").do("ticket.respond", ticket=number, by=ANA)
    desk.at("2026-08-03 18:00").do("ticket.resume", ticket=number, by=ANA)
    for pause in ("none", "waiting"):
        [found] = desk.ask("what_if", pause=pause, limits="basic/low=8h")["scenarios"]
        assert (cells(found, "after"), found["flips"]) == ({("basic", "low", "breached"): 1}, [])
    desk.close()


# --- finality -----------------------------------------------------------------------------------------------------


def test_under_a_longer_limit_an_answer_counts_that_came_after_the_present_verdict_was_final(store_url: str) -> None:
    """Final on 1 September, answered on the 2nd: breached for good; but within ten days it would have been met."""
    desk = Desk(store_url)
    desk.at("2026-08-26 09:00").sell()
    number = desk.ticket()["ticket"]
    desk.at("2026-09-02 10:00").do("ticket.respond", ticket=number, by=ANA)
    desk.at("2026-09-20 10:00")
    for projected in (False, True):
        if projected:
            Projector(desk.ledger.store, desk.ledger.catalogue).catch_up(["tickets"])
        [found] = desk.ask("what_if", limits="basic/low=240h", explain=True)["scenarios"]
        [flip] = found["flips"]
        assert (flip["before"]["verdict"], flip["after"]["verdict"]) == ("breached", "met")
        sides = flip["explained"]
        assert (sides["before"]["responded_at"], len(sides["before"]["late_facts"])) == (None, 1)
        assert (sides["after"]["responded_at"], sides["after"]["late_facts"]) == ("2026-09-02T10:00:00-06:00", [])
        [same] = desk.ask("what_if", limits="basic/low=8h")["scenarios"]
        assert same["flips"] == []
    desk.close()


# --- calendars by name --------------------------------------------------------------------------------------------


def test_naming_the_calendar_that_governs_changes_nothing(sqlite_url: str, tmp_path: Path) -> None:
    """Its newest version has holidays that the case was not promised: it counts only where it is asked for."""
    file = tmp_path / "catalogue.toml"
    file.write_text(former_catalogue(), "utf-8")
    desk = Desk(sqlite_url, load(file))
    desk.at("2026-06-28 09:00").do("calendar.assign", level="basic", priority="low", calendar="gt-business", by=BEATRIZ)
    desk.at("2026-06-29 09:00").sell()  # the Army's day is kept on this Monday
    number = desk.ticket()["ticket"]
    desk.at("2026-06-30 09:00").do("ticket.respond", ticket=number, by=ANA)
    [same] = desk.ask("what_if", calendars="gt-business")["scenarios"]
    assert same["flips"] == []
    [newer] = desk.ask("what_if", calendars="gt-business@2")["scenarios"]
    [flip] = newer["flips"]
    assert (flip["before"]["calendar"], flip["before"]["due_at"]) == ("gt-business@1", "2026-06-29T17:00:00-06:00")
    assert (flip["after"]["verdict"], flip["after"]["due_at"]) == ("met", "2026-06-30T16:00:00-06:00")
    [closed] = desk.ask("what_if", holidays="2026-06-29")["scenarios"]
    assert closed["flips"][0]["after"]["due_at"] == "2026-06-30T16:00:00-06:00"
    [abroad] = desk.ask("what_if", zone="Europe/Madrid")["scenarios"]  # its hours end at nine in Guatemala
    assert abroad["flips"] == []
    desk.close()


# --- command line and HTTP ----------------------------------------------------------------------------------------


def test_the_command_line_shows_tables_flips_and_draws(log: tuple[Ledger, Path], tmp_path: Path) -> None:
    ledger, _path = log
    policy, chart = tmp_path / "strict.toml", tmp_path / "share.svg"
    policy.write_text('[scenarios.strict]\nlimits = { "basic/low" = "1h" }\n', "utf-8")

    def run(*words: str, lang: str = "en") -> Any:
        arguments = ["--database", ledger.store.url, "--lang", lang, "sla", "what-if", *words]
        return CliRunner().invoke(assemble("en"), arguments, catch_exceptions=True)

    shown = run("--policy", str(policy), "--scenario", "gt:calendar=gt-business", "--flips", "2", "--chart", str(chart))
    assert shown.exit_code == 0, shown.output
    for words in ("scenario: strict", "scenario: gt", "from met to breached", "has no holidays published for", " → "):
        assert words in shown.output
    assert chart.read_text("utf-8").startswith("<svg")
    asked = run("--limit", "basic/low=1h", "--aim", "60", "--for", "advanced/low", "--flips", "1", "--json")
    answer = json.loads(asked.output)
    values = {"limits": "basic/low=1h", "aim": "60", "for": "advanced/low", "flips": 1}
    assert {**answer, "at": ""} == {**ledger.ask("what_if", values), "at": ""}
    assert "Ningún caso cambia" in run("--calendar", "24x7", lang="es_GT").output
    assert isinstance(run("--limit", "basic/low").exception, LedgerError)
    none = run("--limit", "basic/low=1h", "--flips", "0").output
    assert "; 0 are shown:" in none
    assert "Case " not in none
    assert "policy' is not valid (none.toml)" in run("--policy", str(tmp_path / "none.toml")).exception.message("en")


def test_over_http_managers_and_operators_ask_and_nobody_else(sqlite_url: str) -> None:
    office = Office(sqlite_url)
    path = "/v1/sla/what-if?scenarios=a:basic/low=1h,calendar=gt-business"
    statuses = {role: office.get(path, role=role).status_code for role in ("agent", "finance", "manager", "operator")}
    assert statuses == {"agent": 403, "finance": 403, "manager": 200, "operator": 200}
    as_json = quote(json.dumps({"a": {"limits": {"basic/low": "1h"}, "calendars": "gt-business"}}))
    same = [office.get(p).json["scenarios"] for p in (path, f"/v1/sla/what-if?scenarios={as_json}")]
    assert same[0] == same[1]
    apart = [
        office.get(f"/v1/sla/what-if?limits={quote(given)}").json["scenarios"]
        for given in ("basic/low=1h", '{"basic/low": "1h"}')
    ]
    assert apart[0] == apart[1]
    wrong = office.get("/v1/sla/what-if?limits=basic/low=never")
    assert (wrong.status_code, wrong.json["code"]) == (422, "malformed")
    office.close()


# --- bad input ----------------------------------------------------------------------------------------------------

OVERLAP = [["09:00", "12:00"], ["11:00", "13:00"]]
WHOLE = 'basic = { low = "8h", medium = "8h", high = "1h" }\nadvanced = { low = "4h", medium = "4h", high = "1h" }\n'


@pytest.mark.parametrize(
    ("values", "code", "names"),
    [
        ({"limits": {"basic/urgent": "1h"}}, "malformed", "basic/urgent"),
        ({"limits": {"gold/low": "1h"}}, "malformed", "gold/low"),
        ({"limits": {"basic/low": "0h"}}, "malformed", "limits.basic/low"),
        ({"limits": {"basic/low": 60}}, "malformed", "limits.basic/low"),
        ({"limits": "basic/low=1h,basic/low=2h"}, "malformed", "limits.basic/low"),
        ({"scenarios": {"a": {"limits": {"basic/low": "x"}}}}, "malformed", "scenarios.a.limits.basic/low"),
        ({"calendars": "lunar"}, "unknown_calendar", "gt-business"),
        ({"calendars": "gt-business@9"}, "unknown_calendar", "gt-business@1"),
        ({"zone": "America/Atlantis"}, "malformed", "America/Atlantis"),
        ({"holidays": ["2026-02-30"]}, "malformed", "2026-02-30"),
        ({"pause": "always"}, "malformed", "waiting"),
        ({"aim": "101", "for": "basic/low"}, "malformed", "101"),
        ({"for": "basic/low"}, "malformed", "aim"),
        ({"define": ROME["define"]}, "malformed", "rome"),
        ({"scenarios": {"a": {}}, "zone": "Europe/Rome"}, "malformed", "zone"),
        ({"scenarios": "a:basic/low"}, "malformed", "scenarios.a"),
        ({"scenarios": '{"a": {}, "a": {}}'}, "malformed", "scenarios"),
        ({"define": {"x": {"zone": "UTC", "week": {"mon": OVERLAP}}}}, "malformed", "x.week.mon"),
        ({"define": {"x": {"zone": "UTC", "week": {}}}, "calendars": "x"}, "calendar_never_opens", "UTC"),
        ({"flips": -1}, "malformed", "-1"),
        ({"flips": 5001, "explain": True}, "malformed", "5000"),
        ({"from": "2012-02-01", "to": "2012-01-31"}, "malformed", "2012-02-01"),
        ({"limits": '{"basic/low": "x"}'}, "malformed", "limits.basic/low"),
        ({"limits": '{"basic/low": "1h"'}, "malformed", "limits"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(log: tuple[Ledger, Path], values: Answer, code: str, names: str) -> None:
    ledger, _path = log
    with pytest.raises(LedgerError) as caught:
        ledger.ask("what_if", values)
    assert caught.value.code == code
    words = [caught.value.message(lang) for lang in ("en", "es_GT")]
    assert words[0] != words[1]
    assert all(names in told for told in words), words


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (WHOLE, "corporate"),
        (WHOLE + 'corporate = { low = "2h", high = "1h" }', "corporate.medium"),
        (WHOLE + 'corporate = { low = "2h", medium = "2h", high = "1h", urgent = "1m" }', "corporate.urgent"),
        ('limits = { "basic/low" = "1 hour" }', "limits.basic/low"),
        ('limits = { "basic/low" = "1h" }\nholiday = "2026-12-24"', "holiday"),
        ("limits = 1h", "line 1"),
        ('[[calendars]]\nname = "x"\nzone = "UTC"', "[define."),
        ('[scenarios.a]\nzone = "Nowhere/Land"', "scenarios.a"),
        ('[define.x]\nzone = "UTC"\nweek = { mon = [["12:00", "09:00"]] }\n[scenarios.a]\ncalendar = "x"', "mon"),
    ],
)
def test_a_mistake_in_a_file_names_file_and_place(tmp_path: Path, text: str, names: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(LedgerError) as caught:
        load_file(path)
    assert "policy.toml" in caught.value.message("en")
    assert names in caught.value.message("es_GT")
    assert caught.value.message("en") != caught.value.message("es_GT")


def test_a_file_may_hold_a_whole_policy_or_many_scenarios(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    whole = WHOLE + 'corporate = { low = "2h", medium = "2h", high = "90m" }\ncalendar = "gt-business"\n'
    path.write_text(whole + 'calendars = { basic = { high = "24x7" } }\nholidays = [2026-12-24]', "utf-8")
    [one] = load_file(path)
    assert tomllib.loads(whole)["corporate"]["high"] == "90m"
    assert one.limits["corporate", "high"] == HOUR * 3 // 2
    assert len(one.limits) == len(one.calendars) == 9
    assert (one.calendars["basic", "high"], one.calendars["basic", "low"]) == ("24x7", "gt-business")
    path.write_text('[scenarios.a]\npause = "waiting"\n[scenarios.b]\nlimits = { "basic/low" = "1h" }', "utf-8")
    assert [(s.name, s.pause) for s in load_file(path)] == [("a", True), ("b", False)]


def test_years_without_published_holidays_are_said(log: tuple[Ledger, Path], full: Desk) -> None:
    ledger, _path = log
    [old] = ledger.ask("what_if", {"calendars": "gt-business", "flips": 0})["scenarios"]
    assert old["warnings"][0]["code"] == "no_holidays_published"
    assert set(old["warnings"][0]["years"]) >= {2012, 2013}
    assert told_by(full, calendars="gt-business")["scenarios"][0]["warnings"] == []
    [idle] = told_by(full, holidays="2026-08-12")["scenarios"]
    assert [warning["code"] for warning in idle["warnings"]] == ["no_opening_hours"]
