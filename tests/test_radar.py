"""The radar: a hand-made case for each act, and one just beside it that is none."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from openpyxl import load_workbook

from ledger import facts as f
from ledger.catalogue import shipped
from ledger.imports import import_file, load_mapping
from ledger.rules import measures, sla
from ledger.rules.calendars import ALWAYS
from ledger.rules.instants import from_iso
from ledger.texts import text
from projections.projector import projector_of
from projections.radar import COLUMNS, KINDS, Case, _cases, acts_of, look
from scripts.demo_log import write_log
from tests.given import ANA, BEATRIZ, FERRETERIA, LUIS, PANADERIA, Desk, local
from tests.test_clock_http import cli


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url).at("2026-03-02 09:00")
    desk.sell(FERRETERIA, "advanced")
    desk.sell(PANADERIA, "corporate")
    yield desk
    desk.close()


def acts(desk: Desk, kind: str, **given: Any) -> list[dict[str, Any]]:
    answer = desk.ask("radar", **given)
    found = [case for case in answer["cases"] if case["act"] == kind]
    assert len(found) == next(row["count"] for row in answer["found"] if row["act"] == kind)
    return found


def lower(desk: Desk, ticket: str) -> None:
    desk.do("ticket.prioritise", by=ANA, ticket=ticket, priority="low", agreed=True, reason="lo pidió")


def test_lowered_in_the_last_tenth_of_the_limit(desk: Desk) -> None:
    for number in ("EARLY", "LATE"):
        desk.ticket(FERRETERIA, priority="high", ticket=number)  # 1 h: the last tenth begins at 09:54
    desk.at("2026-03-02 09:53:59.999999")
    lower(desk, "EARLY")
    desk.at("2026-03-02 09:54")
    lower(desk, "LATE")
    (found,) = acts(desk, "lowered_late")
    assert (found["ticket"], found["actor"], found["left_seconds"]) == ("LATE", "ana", 360)


def test_lowered_after_the_answer_or_the_breach_moves_nothing_and_is_none(desk: Desk) -> None:
    for number in ("ANSWERED", "BREACHED"):
        desk.ticket(FERRETERIA, priority="high", ticket=number)
    desk.at("2026-03-02 09:55")
    desk.do("ticket.respond", by=ANA, ticket="ANSWERED", channel="platform")
    lower(desk, "ANSWERED")
    desk.at("2026-03-02 10:00")
    lower(desk, "BREACHED")
    assert acts(desk, "lowered_late") == []


def test_lowered_late_but_to_no_later_due_instant_is_none(desk: Desk) -> None:
    """Office hours for high, all hours for low: two hours from the opening end before the hour of office hours does."""
    desk.do("calendar.assign", by=BEATRIZ, level="corporate", priority="high", calendar="gt-business")
    desk.at("2026-03-02 16:06")
    desk.ticket(PANADERIA, priority="high", ticket="NIGHT")  # due Tuesday 08:06
    desk.at("2026-03-03 08:05")
    lower(desk, "NIGHT")
    assert desk.clock("NIGHT")["due_at"] == local("2026-03-03 08:06")
    assert acts(desk, "lowered_late") == []


def test_dated_before_the_due_instant_and_recorded_after_it(desk: Desk) -> None:
    for number in ("ANSWER", "LOWERING", "AT-ONCE", "TOO-LATE", "IN-TIME", "SOLVED"):
        desk.ticket(FERRETERIA, priority="high", ticket=number)  # due 10:00
    desk.at("2026-03-02 09:59:59.999999")
    desk.do("ticket.respond", by=ANA, ticket="IN-TIME", at="2026-03-02 09:20")
    desk.at("2026-03-02 10:00")
    desk.do("ticket.respond", by=ANA, ticket="AT-ONCE")  # late, and dated as it was: nothing to look at
    desk.do("ticket.respond", by=ANA, ticket="ANSWER", at="2026-03-02 09:40")
    desk.at("2026-03-02 10:30")
    desk.do("ticket.respond", by=LUIS, ticket="TOO-LATE", at="2026-03-02 10:00")
    desk.do("ticket.resolve", by=LUIS, ticket="SOLVED", at="2026-03-02 09:30")
    desk.do(
        "ticket.prioritise", by=BEATRIZ, ticket="LOWERING", priority="low", agreed=True, reason="lo pidió",
        at="2026-03-02 09:10",
    )  # fmt: skip
    found = [(x["ticket"], x["actor"], x["at"], x["later_at"], x["left_seconds"]) for x in acts(desk, "dated_back")]
    assert found == [
        ("LOWERING", "beatriz", local("2026-03-02 09:10"), local("2026-03-02 10:30"), 3000),
        ("SOLVED", "luis", local("2026-03-02 09:30"), local("2026-03-02 10:30"), 1800),
        ("ANSWER", "ana", local("2026-03-02 09:40"), local("2026-03-02 10:00"), 1200),
    ]


def test_a_wait_set_seconds_before_the_due_instant(desk: Desk) -> None:
    for number in ("EARLY", "LATE", "ANSWERED"):
        desk.ticket(FERRETERIA, priority="high", ticket=number)
    desk.at("2026-03-02 09:58:59.999999")
    desk.do("ticket.wait", by=LUIS, ticket="EARLY")
    desk.at("2026-03-02 09:59:30")
    desk.do("ticket.wait", by=LUIS, ticket="LATE")
    desk.do("ticket.respond", by=ANA, ticket="ANSWERED", channel="platform")
    desk.do("ticket.wait", by=LUIS, ticket="ANSWERED")
    (found,) = acts(desk, "waited_late")
    assert (found["ticket"], found["actor"], found["left_seconds"]) == ("LATE", "luis", 30)


def test_an_answer_within_a_minute_and_nothing_after(desk: Desk) -> None:
    for number in ("QUICK", "GOES-ON", "SLOW"):
        desk.ticket(FERRETERIA, ticket=number)
    desk.at("2026-03-02 09:00:59.999999")
    for number in ("QUICK", "GOES-ON"):
        desk.do("ticket.respond", by=ANA, ticket=number, channel="platform")
    desk.at("2026-03-02 09:01:00")
    desk.do("ticket.respond", by=ANA, ticket="SLOW", channel="platform")
    desk.do("ticket.message", by=ANA, ticket="GOES-ON")
    desk.do("ticket.resolve", by=ANA, ticket="QUICK")
    # What another act makes the radar look at is judged alike: a whole minute is not under one.
    desk.do("ticket.exclude", by=BEATRIZ, ticket="SLOW", reason="prueba")
    assert [found["ticket"] for found in acts(desk, "quick_answer")] == ["QUICK"]
    (row,) = desk.ask("radar")["answers"]
    assert row == {"agent": "ana", "answers": 3, "under_a_minute": 1, "share_bp": 3333}


def test_the_priority_of_its_instant_decides_which_answer_is_the_first(desk: Desk) -> None:
    """A chat answers a high case only: recorded as no response, it is one since a raise was dated before it."""
    for number in ("RAISED", "LOW"):
        desk.ticket(FERRETERIA, ticket=number)
    desk.at("2026-03-02 09:00:30")
    for number in ("RAISED", "LOW"):
        desk.do("ticket.respond", by=ANA, ticket=number, channel="chat")
    desk.at("2026-03-02 09:05")
    desk.do("ticket.prioritise", by=LUIS, ticket="RAISED", priority="high", at="2026-03-02 09:00:10")
    assert desk.clock("RAISED")["responded_at"] == local("2026-03-02 09:00:30")
    assert [found["ticket"] for found in acts(desk, "quick_answer")] == ["RAISED"]
    assert desk.ask("radar")["answers"] == [{"agent": "ana", "answers": 1, "under_a_minute": 1, "share_bp": 10_000}]


def test_a_quick_answer_that_goes_on_elsewhere_or_was_promised_to_nobody_is_none(desk: Desk) -> None:
    desk.ticket(FERRETERIA, request="administrative", ticket="NO-PROMISE")
    for number in ("MERGED", "TARGET", "BACK"):
        desk.ticket(FERRETERIA, ticket=number)
    desk.at("2026-03-02 09:00:30")
    for number in ("NO-PROMISE", "MERGED", "BACK"):
        desk.do("ticket.respond", by=ANA, ticket=number)
    desk.do("ticket.merge", by=ANA, ticket="MERGED", into="TARGET")
    desk.do("ticket.resolve", by=ANA, ticket="BACK")
    desk.at("2026-03-02 10:00")
    desk.do("ticket.reopen", by=LUIS, ticket="BACK")
    assert acts(desk, "quick_answer") == []
    assert [row["answers"] for row in desk.ask("radar")["answers"]] == [2]  # the administrative one has no promise


def test_an_exclusion_of_an_unanswered_case_is_of_who_held_it(desk: Desk) -> None:
    desk.ticket(FERRETERIA, ticket="HELD")
    desk.do("ticket.assign", by=ANA, ticket="HELD", to="luis")
    desk.do("ticket.exclude", by=BEATRIZ, ticket="HELD", reason="corte de luz")
    assert desk.ask("radar")["exclusions"] == [{"agent": "luis", "approver": "beatriz", "count": 1}]


def test_exclusions_by_who_answered_and_who_approved(desk: Desk) -> None:
    for number in ("A", "B", "C"):
        desk.ticket(FERRETERIA, ticket=number)
    desk.at("2026-03-02 09:30")
    for number in ("A", "B"):
        desk.do("ticket.respond", by=ANA, ticket=number, channel="platform")
    for number in ("A", "B", "C"):
        desk.do("ticket.exclude", by=BEATRIZ, ticket=number, reason="corte de luz")
    assert desk.ask("radar")["exclusions"] == [
        {"agent": None, "approver": "beatriz", "count": 1},
        {"agent": "ana", "approver": "beatriz", "count": 2},
    ]
    assert {found["ticket"] for found in acts(desk, "excluded")} == {"A", "B", "C"}


def test_resolved_and_reopened(desk: Desk) -> None:
    for number in ("PAIR", "STAYS"):
        desk.ticket(FERRETERIA, ticket=number)
        desk.do("ticket.resolve", by=ANA, ticket=number)
    desk.at("2026-03-03 09:00")
    desk.do("ticket.reopen", by=LUIS, ticket="PAIR")
    (found,) = acts(desk, "reopened")
    assert (found["ticket"], found["actor"], found["other"]) == ("PAIR", "ana", "luis")
    assert (found["at"], found["later_at"]) == (local("2026-03-02 09:00"), local("2026-03-03 09:00"))


def test_each_pair_of_a_case_is_told(desk: Desk) -> None:
    desk.ticket(FERRETERIA, ticket="TWICE")
    for day in (3, 4):
        desk.do("ticket.resolve", by=ANA, ticket="TWICE")
        desk.at(f"2026-03-0{day} 09:00")
        desk.do("ticket.reopen", by=LUIS, ticket="TWICE")
    assert [found["later_at"][:10] for found in acts(desk, "reopened")] == ["2026-03-03", "2026-03-04"]


def test_merged_in_the_last_tenth(desk: Desk) -> None:
    for number in ("TARGET", "EARLY", "LATE"):
        desk.ticket(PANADERIA, priority="high", ticket=number)  # 1 h
    desk.at("2026-03-02 09:30")
    desk.do("ticket.merge", by=ANA, ticket="EARLY", into="TARGET")
    desk.at("2026-03-02 09:59")
    desk.do("ticket.merge", by=ANA, ticket="LATE", into="TARGET")
    assert [(found["ticket"], found["left_seconds"]) for found in acts(desk, "merged_late")] == [("LATE", 60)]


def test_it_counts_in_the_calendar_that_governs(desk: Desk) -> None:
    """A lowering at night, with half an hour of office hours left of two, is no late one, however near the clock."""
    for priority in ("high", "low"):
        desk.do("calendar.assign", by=BEATRIZ, level="corporate", priority=priority, calendar="gt-business")
    desk.at("2026-03-02 16:06")
    for number in ("NIGHT", "MORNING"):
        desk.ticket(PANADERIA, priority="high", ticket=number)  # an hour of office hours: due Tuesday 08:06
    desk.at("2026-03-02 16:59")
    lower(desk, "NIGHT")  # seven counted minutes left of sixty: no tenth
    desk.at("2026-03-02 22:00")
    lower(desk, "MORNING")  # six: just a tenth, ten hours before it is due
    assert [(found["ticket"], found["left_seconds"]) for found in acts(desk, "lowered_late")] == [("MORNING", 360)]


def test_it_speaks_of_one_month_of_opening_and_accuses_nobody(desk: Desk) -> None:
    desk.ticket(FERRETERIA, ticket="MARCH")
    desk.do("ticket.resolve", by=ANA, ticket="MARCH")
    desk.do("ticket.reopen", by=ANA, ticket="MARCH")
    desk.at("2026-04-01 00:00")
    assert acts(desk, "reopened") == []
    assert [found["ticket"] for found in acts(desk, "reopened", month="2026-03")] == ["MARCH"]
    for lang in ("es_GT", "en"):
        assert text("radar_note", lang) in desk.ask("radar")["note"]
    with desk.refused("malformed"):
        desk.ask("radar", month="2026-13")


def test_what_is_not_read_has_no_act_and_imported_history_is_not_dated_back(tmp_path: Path) -> None:
    """400 cases of a made-up log and 60 that chance acts on, month by month: the same as where every case is folded."""
    desk = Desk(f"sqlite:///{tmp_path / 'ledger.db'}").at("2026-03-02 09:00")
    mapping = load_mapping(Path(__file__).parent.parent / "scripts" / "helpdesk_mapping.toml")
    import_file(desk.ledger, write_log(tmp_path / "log.csv", 400), mapping)
    chance_acts(desk, 60)
    read, policy, head = projector_of(desk.ledger).read, desk.ledger.policy(), desk.position
    found: Counter[str] = Counter()
    cases = 0
    for (month,) in read.query("SELECT DISTINCT month FROM r_tickets"):
        streams = [stream for (stream,) in read.query("SELECT stream FROM r_tickets WHERE month = ?", [month])]
        every = [act for case in _cases(desk.ledger.store, streams, policy, head) for act in acts_of(case)]
        acts, answers = look(desk.ledger, month)
        assert sorted(acts) == sorted(every)
        assert answers.total() == sum(bool(desk.clock(s.removeprefix("ticket/"))["responded_at"]) for s in streams)
        assert month == "2026-03" or "dated_back" not in {act.kind for act in acts}
        found.update(act.kind for act in acts)
        cases += len(streams)
    assert cases == 460
    assert min(found[kind] for kind in KINDS) > 0, found
    desk.close()


def chance_acts(desk: Desk, cases: int) -> None:
    """Open so many urgent cases and act on each, now in time and now not."""
    chance = Random(7)
    desk.sell(FERRETERIA, "corporate")
    desk.courtesy(FERRETERIA, 30, "corporate")
    desk.ticket(FERRETERIA, ticket="TARGET")
    for number in (f"CHANCE-{n}" for n in range(1, cases)):
        start = desk.ledger.clock.now()
        desk.ticket(FERRETERIA, priority="high", ticket=number)  # due in an hour

        def after(seconds: int, start: str = start) -> None:
            desk.ledger.clock.move(from_iso(start) + timedelta(seconds=seconds))

        after(chance.choice((30, 90)))
        if chance.random() < 0.3:
            desk.do("ticket.respond", by=ANA, ticket=number)
        after(chance.choice((1800, 3550)))
        match chance.randrange(4):
            case 0:
                desk.do("ticket.wait", by=ANA, ticket=number)
            case 1:
                desk.do("ticket.merge", by=ANA, ticket=number, into="TARGET")
            case 2:
                lower(desk, number)
        before = desk.ledger.clock.now()
        after(4000)
        if not desk.clock(number)["responded_at"] and chance.random() < 0.5:
            desk.ledger.execute("ticket.resolve", {"ticket": number}, caller=LUIS, at=before)
            desk.do("ticket.reopen", by=LUIS, ticket=number)


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.fixture(name="acted")
def _acted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Three cases excluded, one under a name that a spreadsheet would compute; an answer shows one of each kind."""
    for number in ("A", "B", "=1+1"):
        desk.ticket(FERRETERIA, ticket=number)
        desk.do("ticket.exclude", by=BEATRIZ, ticket=number, reason="corte de luz")
    monkeypatch.setattr("projections.radar.MOST_CASES", 1)
    return desk


def test_counts_are_whole_where_cases_are_cut(acted: Desk) -> None:
    answer = acted.ask("radar", month="2026-03")
    assert {row["act"]: row["count"] for row in answer["found"]}["excluded"] == 3
    assert len(answer["cases"]) == 1


def test_a_csv_has_every_case_and_no_formula(acted: Desk, tmp_path: Path) -> None:
    url = acted.ledger.store.url
    done = cli(url, "sla", "radar", "--month", "2026-03", "--format", "csv")
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [(row["act"], row["ticket"], row["other"]) for row in rows] == [
        ("excluded", "'=1+1", "beatriz"), ("excluded", "A", "beatriz"), ("excluded", "B", "beatriz"),
    ]  # fmt: skip
    assert cli(url, "sla", "radar", "--month", "2026-03", "--out", str(tmp_path / "r.csv"), "--bom").exit_code == 0
    assert (tmp_path / "r.csv").read_bytes().startswith(b"\xef\xbb\xbfact,ticket,")
    assert cli(url, "sla", "radar", "--month", "2026-02", "--format", "csv").stdout == f"{','.join(COLUMNS)}\n"


@pytest.mark.parametrize(
    ("lang", "heads"),
    [
        ("es_GT", ["Radar", "Cuántos", "Respuestas", "Exclusiones", "Casos"]),
        ("en", ["Radar", "How many", "Answers", "Exclusions", "Cases"]),
    ],
)
def test_a_workbook_has_the_counts_the_cases_and_the_note(
    acted: Desk, tmp_path: Path, lang: str, heads: list[str]
) -> None:
    file = tmp_path / "radar.xlsx"
    done = cli(acted.ledger.store.url, "--lang", lang, "sla", "radar", "--month", "2026-03", "--out", str(file))
    assert done.exit_code == 0, done.output
    book = load_workbook(file)
    assert book.sheetnames == heads
    assert text("radar_note", lang) in [cell.value for row in book["Radar"] for cell in row]
    cases = list(book[heads[-1]].values)
    assert [row[1] for row in cases[1:]] == ["=1+1", "A", "B"]
    assert {row[0] for row in cases[1:]} == {text("value_act_excluded", lang)}
    assert [row[1] for row in book[heads[1]].values][1:] == [0, 0, 0, 0, 0, 3, 0, 0]


def test_a_file_of_no_known_kind_is_refused(acted: Desk, tmp_path: Path) -> None:
    url = acted.ledger.store.url
    assert cli(url, "sla", "radar", "--out", str(tmp_path / "r.doc")).exit_code == 1
    assert cli(url, "sla", "radar", "--format", "xlsx").exit_code == 1
    assert list(tmp_path.glob("r.*")) == []


def test_a_table_tells_shares_in_per_cent(desk: Desk) -> None:
    for number in ("A", "B", "C"):
        desk.ticket(FERRETERIA, ticket=number)
    desk.do("ticket.respond", by=ANA, ticket="A")
    desk.at("2026-03-02 09:30")
    for number in ("B", "C"):
        desk.do("ticket.respond", by=ANA, ticket=number)
    assert "33.33 %" in cli(desk.ledger.store.url, "sla", "radar", "--month", "2026-03").stdout


def test_a_table_tells_each_kind_in_words(acted: Desk) -> None:
    for lang in ("es_GT", "en"):
        shown = cli(acted.ledger.store.url, "--lang", lang, "sla", "radar", "--month", "2026-03").stdout
        for kind in KINDS:
            key = "value_act_excluded" if kind == "excluded" else f"value_{kind}"
            assert text(key, lang) in shown, (lang, kind)


def test_an_imported_row_that_says_again_that_it_is_resolved_reopened_nothing() -> None:
    """As recorded by imports of before: reopened and resolved in one instant, by one row. Only a change counts."""
    both: dict[str, Any] = {"customer_no": "C-1", "ticket_no": "T-1", "by": "ana", "source": "import:x:1"}

    def at(hour: int) -> str:
        return f"2026-03-02T{hour}:00:00.000000Z"

    facts: list[f.TicketFact] = [
        f.TicketOpened(
            **both, occurred_at=at(15), row="1", request="general", priority="low", zone="UTC", level="basic",
            due_at=at(23), policy="2000-01", calendar="24x7@1", limit_us=8 * 3_600_000_000,
        ),
        f.TicketResolved(**both, occurred_at=at(16), row="2"),
        f.TicketReopened(**both, occurred_at=at(17), row="3"),
        f.TicketResolved(**both, occurred_at=at(17), row="3"),
    ]  # fmt: skip
    clock = sla.run(facts, "~")
    assert clock is not None
    dated = [(fact, at(18)) for fact in facts]
    assert [act.kind for act in acts_of(Case(dated, clock, [], shipped()))] == []
    (way,) = measures.resolutions(at(15), facts, at(20), ALWAYS, [])
    assert (way.end, way.plain_us) == (at(16), 3_600_000_000)
    really = [*dated[:2], (f.TicketReopened(**both, occurred_at=at(17), row="4"), at(18)), dated[3]]
    assert [act.kind for act in acts_of(Case(really, clock, [], shipped()))] == ["reopened"]


def test_a_question_dated_before_the_due_instant_and_recorded_after_it(desk: Desk) -> None:
    desk.ticket(FERRETERIA, priority="high", ticket="ASKED")
    desk.at("2026-03-02 10:30").do(
        "ticket.wait", by=ANA, ticket="ASKED", text="¿Qué versión usa?", at="2026-03-02 09:40"
    )
    (found,) = acts(desk, "dated_back")
    assert (found["ticket"], found["later_at"]) == ("ASKED", local("2026-03-02 10:30"))


def test_a_question_in_the_last_minute_is_an_answer_and_a_bare_wait_worth_a_look(desk: Desk) -> None:
    for number in ("ASKED", "WAITED"):
        desk.ticket(FERRETERIA, priority="high", ticket=number)
    desk.at("2026-03-02 09:59:30").do("ticket.wait", by=ANA, ticket="ASKED", text="¿Qué versión usa?")
    desk.do("ticket.wait", by=ANA, ticket="WAITED")
    assert [found["ticket"] for found in acts(desk, "waited_late")] == ["WAITED"]


def test_lists_tell_time_in_one_zone_and_name_it(desk: Desk) -> None:
    """The company's own, also of a customer in another zone; an explanation is told in the customer's."""
    desk.open("C-9", zone="Europe/Madrid").sell("C-9")
    ticket = desk.ticket("C-9", priority="high")["ticket"]
    for answer in (desk.ask("radar"), desk.ask("queue"), desk.ask("report", breaches=True)):
        assert answer["zone"] == "America/Guatemala"
    (item,) = [one for one in desk.ask("queue")["items"] if one["ticket"] == ticket]
    assert item["due_at"] == local("2026-03-02 11:00")
    told = desk.ask("explain", ticket=ticket)
    assert (told["zone"], told["due_at"]) == ("Europe/Madrid", "2026-03-02T18:00:00+01:00")
    assert any("(hora de Europe/Madrid)" in line for line in told["words"]["es_GT"])
