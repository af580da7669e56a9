"""The radar: a hand-made case for each act, and one just beside it that is none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ledger.texts import text
from tests.given import ANA, BEATRIZ, FERRETERIA, LUIS, PANADERIA, Desk


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
    assert [found["ticket"] for found in acts(desk, "quick_answer")] == ["QUICK"]
    (row,) = desk.ask("radar")["answers"]
    assert row == {"agent": "ana", "answers": 3, "under_a_minute": 1, "share_bp": 3333}


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
    desk.do("calendar.assign", by=BEATRIZ, level="corporate", priority="high", calendar="gt-business")
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
