"""Published reports: once a month, never changed by what comes later, and each difference with its cause."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ledger import facts as f
from ledger.errors import LedgerError
from ledger.facts.codec import encode
from ledger.publishing import digest_of, published
from ledger.texts import table
from projections import published as reports
from projections.projector import projector_of
from projections.rebuild import rebuild
from tests.given import ANA, BEATRIZ, FERRETERIA, LUIS, MARTA, PANADERIA, Desk

# The first moment at which March may be published; a late case is final 72 h after its due instant.
OVER = "2026-04-01 00:00"
LAST = "2026-03-31 21:00"


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url).at("2026-03-31 08:00").sell(PANADERIA, term="yearly").sell(FERRETERIA, "advanced")
    yield desk
    desk.close()


def publish(desk: Desk, at: str = OVER, month: str = "2026-03") -> dict[str, Any]:
    desk.at(at)
    return desk.do("report.publish", month=month, by=BEATRIZ)


def shown(desk: Desk, month: str = "2026-03") -> dict[str, Any]:
    """Ask for a published month; what was published is what the fact says, and hashes to its digest."""
    answer = desk.ask("published", month=month)
    fact = published(desk.ledger.store, month)
    assert fact is not None
    assert digest_of(fact) == fact.digest == answer["digest"]
    assert answer["published"] == fact.figures
    return answer


def causes(desk: Desk) -> dict[str, tuple[str, str, str]]:
    """Return (verdict then, verdict now, cause) by case."""

    def verdict(cell: dict[str, str] | None) -> str:
        return cell["verdict"] if cell else "-"

    found = shown(desk)["differences"]
    return {one["ticket"]: (verdict(one["was"]), verdict(one["is"]), one["cause"]) for one in found}


# --- when and by whom ---------------------------------------------------------------------------------------------


def test_a_month_is_published_once_and_says_when(desk: Desk) -> None:
    desk.ticket(ticket="T-A", priority="high")
    answer = publish(desk)
    assert (answer["cases"], answer["published_at"]) == (1, "2026-04-01T00:00:00-06:00")
    desk.at("2026-04-02 09:00")
    with desk.refused("published_already") as no:
        desk.do("report.publish", month="2026-03", by=BEATRIZ)
    assert no.facts["published_at"] == "2026-04-01T00:00:00-06:00"
    assert "2026-04-01" in no.es


def test_a_month_must_be_over_where_the_company_is(desk: Desk) -> None:
    desk.at("2026-03-31 23:59:59.999999")
    for month in ("2026-03", "2026-04", "2027-01"):
        with desk.refused("report_month_not_over"):
            desk.do("report.publish", month=month, by=BEATRIZ)
    publish(desk)


def test_it_is_not_dated_into_its_own_month(desk: Desk) -> None:
    desk.at(OVER)
    with desk.refused("report_month_not_over"):
        desk.do("report.publish", month="2026-03", by=BEATRIZ, at="2026-03-31 23:00", reason="cierre")


@pytest.mark.parametrize("who", [ANA, MARTA])
def test_only_managers_publish(desk: Desk, who: Any) -> None:
    desk.at(OVER)
    with desk.refused("role_not_allowed"):
        desk.do("report.publish", month="2026-03", by=who)


def test_what_was_not_published_is_told_so(desk: Desk) -> None:
    with desk.refused("not_published"):
        desk.ask("published", month="2026-03")
    with desk.refused("malformed"):
        desk.ask("published", month="2026-3")


def test_a_month_without_cases_can_be_published(desk: Desk) -> None:
    assert publish(desk, month="2026-02")["cases"] == 0
    assert shown(desk, "2026-02")["published"] == []


def test_of_several_at_once_one_publishes(desk: Desk, store_url: str) -> None:
    desk.ticket(ticket="T-A")
    desk.at(OVER)
    said: list[str] = []

    def run() -> None:
        other = Desk(store_url, migrate=False)
        try:
            said.append(str(other.do("report.publish", month="2026-03", by=BEATRIZ)["ok"]))
        except LedgerError as error:
            said.append(error.code)
        other.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["True"] + ["published_already"] * 3


# --- it stays, and what differs is explained ------------------------------------------------------------------------


def test_nothing_new_nothing_differs(desk: Desk) -> None:
    desk.ticket(ticket="T-A", priority="high")
    desk.ticket(ticket="T-F", request="administrative")
    publish(desk)
    answer = shown(desk)
    assert (answer["published"], answer["differences"]) == (answer["now"], [])
    assert [row["total"] for row in answer["now"]] == [1]


def test_every_cause_is_told_and_the_published_figures_stay(desk: Desk) -> None:
    desk.at(LAST)
    for number in ("T-late", "T-out", "T-rev"):
        desk.ticket(ticket=number, priority="high")
    for number in ("T-due", "T-ans"):
        desk.ticket(ticket=number)
    desk.ticket(FERRETERIA, ticket="T-join", request="administrative")
    desk.ticket(FERRETERIA, ticket="T-same", priority="high")
    desk.do("ticket.respond", ticket="T-same", by=LUIS, channel="platform")
    publish(desk)
    before = shown(desk)["published"]
    assert {row["priority"]: row["breached"] for row in before if row["level"] == "basic"} == {"low": 0, "high": 3}

    desk.at("2026-04-01 01:00")
    desk.do("ticket.respond", ticket="T-late", by=ANA, channel="platform", at="2026-03-31 22:00")
    desk.do("ticket.respond", ticket="T-ans", by=ANA, channel="platform")
    desk.do("ticket.exclude", ticket="T-out", by=BEATRIZ, approver="carmen", reason="corte de energía")
    desk.do("ticket.reclassify", ticket="T-join", request="general", by=ANA)
    desk.ticket(FERRETERIA, ticket="T-typed", at="2026-03-31 20:00")
    desk.at("2026-04-01 09:00")
    desk.at("2026-04-06 09:00")
    desk.do("ticket.revise", ticket="T-rev", verdict="met", by=BEATRIZ, approver="carmen", reason="la llamada consta")
    assert causes(desk) == {
        "T-late": ("breached", "met", "late_answer"),
        "T-out": ("breached", "excluded", "exclusion"),
        "T-rev": ("breached", "met", "revision"),
        "T-due": ("open", "breached", "breach_came_due"),
        "T-ans": ("open", "met", "answered"),
        "T-join": ("-", "breached", "reclassified"),
        "T-typed": ("-", "breached", "typed_late"),
    }
    assert shown(desk)["published"] == before
    known_then = desk.ask("report", known_at=OVER)
    assert known_then["rows"] == before, "what was published is what was known"
    rebuild(projector_of(desk.ledger))
    assert shown(desk)["published"] == before


def test_a_case_that_leaves_compliance_and_one_whose_target_moves(desk: Desk) -> None:
    desk.at(LAST)
    for number in ("T-left", "T-raised"):
        desk.ticket(ticket=number)
    publish(desk)
    desk.at("2026-04-01 01:00")
    desk.do("ticket.reclassify", ticket="T-left", request="administrative", by=ANA)
    desk.do("ticket.prioritise", ticket="T-raised", priority="high", by=ANA)
    assert causes(desk) == {"T-left": ("open", "-", "reclassified"), "T-raised": ("open", "open", "target_moved")}
    raised = next(one for one in shown(desk)["differences"] if one["ticket"] == "T-raised")
    assert (raised["was"]["priority"], raised["is"]["priority"]) == ("low", "high")


def test_what_comes_after_a_verdict_is_final_changes_nothing(desk: Desk) -> None:
    desk.ticket(ticket="T-A", priority="high")
    publish(desk)
    desk.at("2026-05-20 09:00")
    told: dict[str, Any] = {"by": BEATRIZ, "at": "2026-03-31 08:30", "reason": "constaba en papel"}
    desk.do("ticket.respond", ticket="T-A", channel="platform", **told)
    assert causes(desk) == {}


def test_the_figures_can_be_made_again_from_the_log_alone(desk: Desk) -> None:
    """The fact names its prefix of the log: the same prefix gives the same figures, whatever came since."""
    desk.at(LAST)
    desk.ticket(ticket="T-A", priority="high")
    desk.ticket(ticket="T-B")
    publish(desk)
    desk.at("2026-04-01 02:00").do("ticket.respond", ticket="T-B", by=ANA, channel="platform")
    fact = published(desk.ledger.store, "2026-03")
    assert fact is not None
    rows, _verdicts = reports._month(projector_of(desk.ledger), "2026-03", fact.occurred_at, fact.position)
    assert rows == fact.figures


def test_thousands_of_cases_fit_into_one_fact(desk: Desk) -> None:
    """4,580 cases take some 50 KiB; a row of the log may be larger than that by itself."""
    cases = {f"{level}/low/met": [f"Case {n}" for n in range(2290)] for level in ("basic", "advanced")}
    fact = f.ReportPublished(
        customer_no="", occurred_at="2026-04-01T06:00:00.000000Z", by="b", source="s", month="2026-03", position=1,
        digest="d", figures=[], cases=cases,
    )  # fmt: skip
    assert len(encode(fact)) < 64 * 1024
    assert f.decode(fact.TOPIC, encode(fact)) == fact


def test_every_cause_has_words() -> None:
    assert {key.removeprefix("value_cause_") for key in table() if key.startswith("value_cause_")} >= set(
        reports.CAUSES
    )
