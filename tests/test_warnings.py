"""Warnings: at their instants in counted time, each once, with a job or without; told to our people alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger import alerts
from ledger import facts as f
from ledger.imports import import_file, load_mapping
from ledger.rules import sla
from ledger.rules.instants import from_iso, show
from ledger.rules.subscriptions import FAR
from projections.projector import projector_of
from projections.rebuild import check
from scheduler.advance import advance
from scheduler.warnings import record_warnings
from tests.given import ANA, BEATRIZ, FERRETERIA, PANADERIA, ZONE, Desk, iso, when
from tests.mailbox import PostDesk

BASIC_LOW = ["13:00", "15:00", "16:12", "17:00"]  # 8 h from 09:00


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[PostDesk]:
    desk = PostDesk(store_url)
    desk.at("2026-03-02 09:00")  # a Monday
    desk.sell(FERRETERIA, "basic")
    desk.sell(PANADERIA, "corporate")
    yield desk
    desk.close()


def recorded(desk: Desk, ticket: str) -> list[tuple[int, str, str]]:
    """Return (percent, local time, key) of the warnings on record, in the order of the log."""
    facts = [fact for fact in desk.ledger.ticket(ticket).facts if isinstance(fact, f.TicketWarned)]
    return [(fact.percent, show(fact.occurred_at, ZONE)[11:16], fact.key) for fact in facts]


def times(desk: Desk, ticket: str) -> list[str]:
    return [at for _percent, at, _key in recorded(desk, ticket)]


def run_job(desk: Desk, text: str = "") -> int:
    if text:
        desk.at(text)
    now = desk.ledger.clock.now()
    return record_warnings(desk.ledger, projector_of(desk.ledger), now=now)["warnings"]


def to(desk: Desk, text: str) -> dict[str, Any]:
    return advance(desk.ledger, when(text))


# --- at their instants, once each -----------------------------------------------------------------------------------


def test_each_is_dated_at_its_instant_whenever_the_job_runs(desk: PostDesk) -> None:
    desk.ticket(FERRETERIA, ticket="T")
    assert run_job(desk, "2026-03-02 12:59:59.999999") == 0
    assert run_job(desk, "2026-03-02 13:00:00") == 1
    assert run_job(desk) == 0
    assert run_job(desk, "2026-03-04 08:00") == 3  # late: still dated at their own instants, in order
    assert run_job(desk) == 0
    assert times(desk, "T") == BASIC_LOW
    assert [percent for percent, _at, _key in recorded(desk, "T")] == [50, 75, 90, 100]
    due = iso("2026-03-02 17:00")
    assert recorded(desk, "T")[3][2] == f"T:{due}:100"
    assert desk.ledger.ticket("T").recorded[-1] == iso("2026-03-04 08:00")


def test_a_moved_test_clock_records_each_at_its_instant(desk: PostDesk) -> None:
    desk.ticket(FERRETERIA, ticket="T")
    moved = to(desk, "2026-03-03 09:00")
    assert moved["warnings"] == 4
    assert times(desk, "T") == BASIC_LOW
    stamps = [at for fact, at in zip(desk.ledger.ticket("T").facts, desk.ledger.ticket("T").recorded, strict=True)
              if isinstance(fact, f.TicketWarned)]  # fmt: skip
    assert [show(at, ZONE)[11:16] for at in stamps] == BASIC_LOW
    assert "warnings" not in to(desk, "2026-03-04 09:00")


def test_many_small_moves_and_one_large_one_leave_the_same(tmp_path: Path) -> None:
    found = []
    for name, stops in (("one", []), ("many", ["2026-03-02 12:59", "2026-03-02 13:00", "2026-03-02 16:30"])):
        desk = Desk(f"sqlite:///{tmp_path / name}.db").at("2026-03-02 09:00")
        desk.sell(FERRETERIA, "basic")
        desk.ticket(FERRETERIA, ticket="T")
        for stop in [*stops, "2026-03-05 09:00"]:
            to(desk, stop)
        found.append((recorded(desk, "T"), desk.ledger.ticket("T").recorded))
        desk.close()
    assert found[0] == found[1]


def test_a_move_asks_the_read_model_where_the_log_is_long(desk: PostDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    from scheduler import advance as journeys

    monkeypatch.setattr(journeys, "_FEW", 0)
    desk.ticket(FERRETERIA, ticket="T")
    to(desk, "2026-03-03 09:00")
    assert times(desk, "T") == BASIC_LOW


def test_nothing_is_warned_of_once_it_was_answered_resolved_or_excluded(desk: PostDesk) -> None:
    for number in ("ANSWERED", "RESOLVED", "EXCLUDED"):
        desk.ticket(FERRETERIA, ticket=number)
    desk.ticket(FERRETERIA, request="administrative", ticket="ADMIN")
    desk.at("2026-03-02 14:00")
    desk.do("ticket.respond", by=ANA, ticket="ANSWERED", channel="platform")
    desk.do("ticket.resolve", by=ANA, ticket="RESOLVED")
    desk.do("ticket.exclude", by=BEATRIZ, ticket="EXCLUDED", reason="corte de luz")
    assert run_job(desk, "2026-03-03 09:00") == 3  # what was true at 13:00
    for number in ("ANSWERED", "RESOLVED", "EXCLUDED"):
        assert times(desk, number) == ["13:00"]
    assert times(desk, "ADMIN") == []


@pytest.mark.parametrize(("answered", "last"), [("16:59:59.999999", 90), ("17:00:00", 100)])
def test_an_answer_at_the_due_instant_is_a_breach(desk: PostDesk, answered: str, last: int) -> None:
    desk.ticket(FERRETERIA, ticket="T")
    desk.at(f"2026-03-02 {answered}")
    desk.do("ticket.respond", by=ANA, ticket="T", channel="platform")
    run_job(desk, "2026-03-02 18:00")
    assert recorded(desk, "T")[-1][0] == last


def test_a_raise_and_a_lowering_warn_by_the_new_due(desk: PostDesk) -> None:
    desk.ticket(FERRETERIA, priority="low", ticket="T")  # due 17:00
    desk.at("2026-03-02 14:00")
    desk.do("ticket.prioritise", by=ANA, ticket="T", priority="high")  # 2 h from now: due 16:00
    desk.at("2026-03-02 15:10")
    desk.do("ticket.prioritise", by=ANA, ticket="T", priority="low", agreed=True, reason="lo pidió")  # due 17:00 again
    run_job(desk, "2026-03-02 18:00")
    # 13:00 is half of the first promise, 15:00 half of the second; 16:12 and 17:00 belong to the third, whose
    # halves had passed before it was made.
    assert times(desk, "T") == ["13:00", "15:00", "16:12", "17:00"]
    due = [show(key.split(":", 1)[1].rsplit(":", 1)[0], ZONE)[11:16] for _percent, _at, key in recorded(desk, "T")]
    assert due == ["17:00", "16:00", "17:00", "17:00"]


def test_they_are_counted_in_the_office_hours_that_govern(desk: PostDesk) -> None:
    """No warning at midnight because a due instant lies behind a night (glpi PR 22678)."""
    desk.do("calendar.assign", by=BEATRIZ, level="corporate", priority="low", calendar="gt-business")
    desk.at("2026-03-06 16:00")  # a Friday; 2 h: due Monday 09:00
    desk.ticket(PANADERIA, priority="low", ticket="T")
    to(desk, "2026-03-09 12:00")
    assert times(desk, "T") == ["17:00", "08:30", "08:48", "09:00"]


def test_an_answer_told_later_ends_what_was_not_recorded_and_leaves_what_was(desk: PostDesk) -> None:
    desk.ticket(FERRETERIA, ticket="T")
    run_job(desk, "2026-03-02 13:30")
    desk.at("2026-03-02 20:00")
    desk.do("ticket.respond", by=ANA, ticket="T", channel="platform", at="2026-03-02 12:30")
    assert run_job(desk) == 0
    assert times(desk, "T") == ["13:00"]


def test_a_warning_changes_no_clock_and_comes_too_late_for_nothing(desk: PostDesk) -> None:
    desk.ticket(FERRETERIA, ticket="T")
    desk.at("2026-03-02 18:00")
    before = desk.clock("T")
    run_job(desk)
    assert desk.clock("T") == before
    case = desk.ledger.ticket("T")
    clock = sla.run(case.facts, FAR, [*case.recorded[:-1], iso("2026-07-01 00:00")])
    assert clock is not None
    assert list(clock.late) == []


def test_two_at_once_record_each_once(desk: PostDesk) -> None:
    """The loser of a race for a case's next place decides again, and finds nothing more to say."""
    desk.ticket(FERRETERIA, ticket="T")
    desk.at("2026-03-02 18:00")
    now = desk.ledger.clock.now()
    append = desk.ledger.append
    raced: list[int] = []

    def after_another(*given: Any) -> int:
        if not raced:
            raced.append(1)
            alerts.sweep(desk.ledger, ["T"], now=now)
        return append(*given)

    desk.ledger.append = after_another  # type: ignore[assignment, method-assign]
    alerts.sweep(desk.ledger, ["T"], now=now)
    assert times(desk, "T") == BASIC_LOW


# --- no flood -------------------------------------------------------------------------------------------------------


def test_nothing_older_than_a_week_is_recorded_late(desk: PostDesk) -> None:
    desk.ticket(FERRETERIA, ticket="OLD")
    desk.at("2026-03-02 12:00").ticket(FERRETERIA, ticket="LESS")  # 16:00, 18:00, 19:12, 20:00
    assert run_job(desk, "2026-03-09 17:00") == 3
    assert times(desk, "OLD") == []
    assert times(desk, "LESS") == ["18:00", "19:12", "20:00"]
    assert run_job(desk, "2026-03-20 09:00") == 0


def test_imported_cases_get_none(desk: PostDesk, tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text(
        """name = "desk"
layout = "events"
first_row = "opens"
[times]
format = "iso"
zone = "America/Guatemala"
[columns]
case = "case"
account = "account"
agent = "agent"
time = "time"
activity = "activity"
level = "level"
priority = "priority"
[levels]
basic = "basic"
[priorities]
low = "low"
[activities]
open = "open"
""",
        "utf-8",
    )
    log = tmp_path / "log.csv"
    log.write_text("case,account,agent,time,activity,level,priority\nI-1,X-1,eva,2026-03-02T08:30:00,open,basic,low\n")
    assert import_file(desk.ledger, log, load_mapping(mapping)).imported == 1
    assert desk.ask("queue")["items"][0]["ticket"] == "I-1"
    assert run_job(desk, "2026-03-03 09:00") == 0


# --- told to our people ---------------------------------------------------------------------------------------------


def test_our_people_are_told_by_webhook_and_no_customer_is(desk: PostDesk) -> None:
    desk.contact(FERRETERIA)
    desk.endpoint()
    desk.endpoint(("sla_breached",), "https://desk.example/in")
    desk.told()
    desk.ticket(FERRETERIA, ticket="T", priority="high")
    desk.do("ticket.assign", by=ANA, ticket="T", to="luis")
    mails = len(desk.box.mails)
    run_job(desk, "2026-03-02 10:00")
    assert desk.told() == ["sla_warning"]
    run_job(desk, "2026-03-02 11:00")
    assert desk.told() == ["sla_breached", "sla_breached"]
    assert desk.told() == []
    body = desk.hooks.got[-1][2]["data"]
    assert (body["ticket"], body["assigned_to"], body["percent"]) == ("T", "luis", 100)
    assert from_iso(body["due_at"]) == when("2026-03-02 11:00")
    assert len(desk.box.mails) == mails
    sql = "SELECT count(*) FROM ledger_outbox WHERE channel = ? AND kind IN (?, ?)"
    assert desk.ledger.store.query(sql, ["email", "sla_warning", "sla_breached"])[0][0] == 0


def test_a_warning_is_no_news_any_more_once_it_was_answered(desk: PostDesk) -> None:
    desk.endpoint()
    desk.ticket(FERRETERIA, ticket="T", priority="high")
    run_job(desk, "2026-03-02 10:00")
    desk.do("ticket.respond", by=ANA, ticket="T", channel="platform")
    assert "sla_warning" not in desk.told()


def test_a_moved_clock_tells_them_on_its_way(desk: PostDesk) -> None:
    desk.endpoint()
    desk.told()
    desk.ticket(FERRETERIA, ticket="T", priority="high")
    to(desk, "2026-03-02 12:00")
    rows = desk.ledger.store.query("SELECT kind, created_at FROM ledger_outbox ORDER BY created_at")
    found = [(kind, show(at, ZONE)[11:16]) for kind, at in rows if kind.startswith("sla")]
    # Nobody listens in this test: what had not arrived by the due instant was taken out again, it is no use.
    assert {("sla_warning", "10:00"), ("sla_breached", "11:00")} <= set(found)


def test_the_read_model_equals_a_rebuild(desk: PostDesk) -> None:
    for number in range(3):
        desk.ticket(FERRETERIA, ticket=f"T-{number}")
    run_job(desk, "2026-03-02 13:00")
    desk.do("ticket.respond", by=ANA, ticket="T-1", channel="platform")
    run_job(desk, "2026-03-02 18:00")
    assert check(projector_of(desk.ledger), ["queue"]) == {}
