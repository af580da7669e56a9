"""Published reports: once a month, never changed by what comes later, and each difference with its cause."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from eventsourcing.persistence import StoredEvent

from ledger import facts as f
from ledger.errors import LedgerError
from ledger.facts.codec import encode
from ledger.publishing import digest, digest_of, published
from ledger.texts import table
from projections import published as reports
from projections.compliance import VERDICTS
from projections.projector import projector_of
from projections.rebuild import rebuild
from tests.desks import HEAD, MINI, bring_in
from tests.given import ANA, BEATRIZ, FERRETERIA, LUIS, MARTA, PANADERIA, Desk
from tests.sla_desk import assign
from tests.test_reports import HOUR, act, live

# The first moment at which March may be published; a late case is final 72 h after its due instant.
OVER = "2026-04-01 00:00"
LAST = "2026-03-31 21:00"


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url).at("2026-03-31 08:00").sell(PANADERIA, term="yearly").sell(FERRETERIA, "advanced")
    yield desk
    desk.close()


def publish(desk: Desk, at: str = OVER, month: str = "2026-03") -> dict[str, Any]:
    """Publish a month; as provisional where its verdicts are not final."""
    desk.at(at)
    final_from = reports.figures(desk.ledger, {"month": month}, desk.ledger.clock.now(), "")["final_from"]
    if final_from <= desk.ledger.clock.now():
        return desk.do("report.publish", month=month, by=BEATRIZ)
    return desk.do("report.publish", month=month, provisional=True, by=BEATRIZ, reason="junta")


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
    answer = publish(desk, "2026-04-03 10:00")
    assert (answer["cases"], answer["provisional"]) == (1, False)
    assert answer["published_at"] == "2026-04-03T10:00:00-06:00"
    desk.at("2026-04-04 09:00")
    with desk.refused("published_already") as no:
        desk.do("report.publish", month="2026-03", by=BEATRIZ)
    assert no.facts["published_at"] == "2026-04-03T10:00:00-06:00"
    assert "03/04/2026" in no.es


def test_a_month_is_final_at_the_instant_of_its_last_verdict(desk: Desk) -> None:
    """Opened at eight, due at ten: final 72 hours after it, on the third of April at ten."""
    desk.ticket(ticket="T-A", priority="high")
    desk.at("2026-04-03 09:59:59.999999")
    with desk.refused("report_not_final") as no:
        desk.do("report.publish", month="2026-03", by=BEATRIZ)
    assert no.facts["final_from"] == "2026-04-03T10:00:00-06:00"
    desk.at("2026-04-03 10:00")
    with desk.refused("report_not_final"):  # nor dated before it
        desk.do("report.publish", month="2026-03", by=BEATRIZ, at="2026-04-03 09:00")
    with desk.refused("report_is_final"):
        desk.do("report.publish", month="2026-03", provisional=True, by=BEATRIZ, reason="junta")
    desk.do("report.publish", month="2026-03", by=BEATRIZ)


def test_provisional_reports_need_a_reason_and_stand_beside_the_final_one(desk: Desk) -> None:
    desk.ticket(ticket="T-A", priority="high")
    desk.at(OVER)
    with desk.refused("reason_required"):
        desk.do("report.publish", month="2026-03", provisional=True, by=BEATRIZ)
    with desk.refused("role_not_allowed"):
        desk.do("report.publish", month="2026-03", provisional=True, by=ANA, reason="junta")
    first = desk.do("report.publish", month="2026-03", provisional=True, by=BEATRIZ, reason="junta")
    told = shown(desk)
    assert (told["provisional"], told["reason"], told["earlier"]) == (True, "junta", [])
    assert told["final_from"] == "2026-04-03T10:00:00-06:00"
    desk.at("2026-04-01 09:00").do("ticket.exclude", ticket="T-A", by=BEATRIZ, reason="corte", approver="marta")
    desk.do("report.publish", month="2026-03", provisional=True, by=BEATRIZ, reason="otra junta")
    publish(desk, "2026-04-03 10:00")
    told = shown(desk)
    assert (told["provisional"], told["final_from"]) == (False, None)
    assert [(one["reason"], one["totals"]["breached"]) for one in told["earlier"]] == [("junta", 1), ("otra junta", 0)]
    assert told["earlier"][0]["digest"] == first["digest"]
    assert told["differences"] == []
    before = desk.ask("published", month="2026-03", at="2026-04-01 08:00")
    assert (before["provisional"], before["reason"]) == (True, "junta")


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
    desk.at("2026-04-05 10:00")
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
    found = reports.month_of(projector_of(desk.ledger), "2026-03", fact.occurred_at, fact.position)
    assert (found.rows(), found.totals()) == (fact.figures, fact.totals)


def test_thousands_of_cases_fit_into_one_fact() -> None:
    """4,580 cases take some 50 KiB; a row of the log may be larger than that by itself."""
    cases = {f"{level}/low/met": [f"Case {n}" for n in range(2290)] for level in ("basic", "advanced")}
    fact = f.ReportPublished(
        customer_no="", occurred_at="2026-04-01T06:00:00.000000Z", by="b", source="s", month="2026-03", position=1,
        digest="d", figures=[], cases=cases,
    )  # fmt: skip
    assert len(encode(fact)) < 64 * 1024
    assert f.decode(fact.TOPIC, encode(fact)) == fact


# --- each cause by itself -----------------------------------------------------------------------------------------


def one(desk: Desk, ticket: str) -> dict[str, Any]:
    """Return the only difference, which is of that case."""
    [found] = shown(desk)["differences"]
    assert found["ticket"] == ticket
    return dict(found)


def test_an_answer_typed_late_within_its_time_moves_only_the_percentiles(desk: Desk) -> None:
    """Met stays met, one hour earlier: the figures differ, so the case is told."""
    desk.at(LAST).ticket(ticket="T-A")
    desk.at("2026-03-31 23:00").do("ticket.respond", ticket="T-A", by=LUIS, channel="platform")
    publish(desk)
    desk.at("2026-04-01 10:00")
    desk.do("ticket.respond", ticket="T-A", by=ANA, channel="platform", at="2026-03-31 22:00")
    found = one(desk, "T-A")
    assert (found["was"]["verdict"], found["is"]["verdict"], found["cause"]) == ("met", "met", "late_answer")
    assert (found["was"]["elapsed_us"], found["is"]["elapsed_us"]) == (2 * HOUR, HOUR)
    assert found["fact"] == {
        "event": "ticket.responded", "at": "2026-03-31T22:00:00-06:00", "recorded_at": "2026-04-01T10:00:00-06:00",
        "by": "ana", "reason": None,
    }  # fmt: skip
    answer = shown(desk)
    assert [answer[side][0]["p50_us"] for side in ("published", "now")] == [2 * HOUR, HOUR]
    assert [answer["totals"][side]["p50_us"] for side in ("published", "now")] == [2 * HOUR, HOUR]


def test_a_breach_that_is_answered_later_stays_a_breach_and_gets_its_time(desk: Desk) -> None:
    desk.at("2026-03-31 20:00").ticket(ticket="T-A", priority="high")
    publish(desk)
    desk.at("2026-04-01 02:00").do("ticket.respond", ticket="T-A", by=ANA, channel="platform")
    found = one(desk, "T-A")
    assert (found["was"]["verdict"], found["is"]["verdict"], found["cause"]) == ("breached", "breached", "answered")
    assert (found["was"]["elapsed_us"], found["is"]["elapsed_us"], found["fact"]["by"]) == (None, 6 * HOUR, "ana")


def test_a_case_answered_through_another(desk: Desk) -> None:
    desk.at(LAST)
    for number in ("T-A", "T-B"):
        desk.ticket(ticket=number)
    publish(desk)
    desk.at("2026-04-01 01:00").do("ticket.merge", ticket="T-A", into="T-B", by=LUIS)
    desk.at("2026-04-01 02:00").do("ticket.respond", ticket="T-B", by=ANA, channel="platform")
    assert causes(desk) == {"T-A": ("open", "met", "merged"), "T-B": ("open", "met", "answered")}
    told = {row["ticket"]: row["fact"] for row in shown(desk)["differences"]}
    assert (told["T-A"]["event"], told["T-A"]["by"], told["T-B"]["by"]) == ("ticket.merged", "luis", "ana")


def test_a_case_imported_later(desk: Desk, tmp_path: Path) -> None:
    publish(desk)
    desk.at("2026-04-02 09:00")
    rows = "M-1|Don Luis|eva|31.03.2026 09:00|new|B|1\nM-1|Don Luis|eva|31.03.2026 10:00|answer|B|1\n"
    bring_in(desk.ledger, tmp_path, f"{HEAD}\n{rows}", MINI)
    found = one(desk, "M-1")
    assert (found["was"], found["is"]["verdict"], found["cause"]) == (None, "met", "imported")
    assert found["fact"]["recorded_at"] == "2026-04-02T09:00:00-06:00"


def test_an_upgrade_tightens_what_was_open(desk: Desk) -> None:
    desk.at("2026-03-31 23:30").ticket(FERRETERIA, ticket="T-A")
    publish(desk)
    desk.at("2026-04-01 00:30").do("plan.upgrade", account=FERRETERIA, level="corporate")
    desk.pay(FERRETERIA, desk.ask("billing", account=FERRETERIA)["due"])
    found = one(desk, "T-A")
    assert (found["cause"], found["fact"]["event"]) == ("target_moved", "ticket.plan_upgraded")
    assert (found["was"]["level"], found["is"]["level"]) == ("advanced", "corporate")


def test_who_excluded_and_why_is_told(desk: Desk) -> None:
    desk.at(LAST).ticket(ticket="T-A", priority="high")
    publish(desk)
    desk.at("2026-04-01 01:00")
    desk.do("ticket.exclude", ticket="T-A", by=BEATRIZ, approver="carmen", reason="corte de energía")
    found = one(desk, "T-A")
    assert (found["fact"]["by"], found["fact"]["reason"]) == ("beatriz", "corte de energía")


def test_a_calendar_assigned_later_changes_no_promise(desk: Desk) -> None:
    """It holds for cases opened from then on; those of the month keep the one that was promised."""
    desk.at("2026-03-31 23:30").ticket(FERRETERIA, ticket="T-A")
    publish(desk)
    desk.at("2026-04-01 00:10")
    assign(desk, "gt-business", "advanced", "low")
    assert causes(desk) == {}
    desk.at("2026-04-01 01:10").do("ticket.prioritise", ticket="T-A", priority="high", by=ANA)
    assert causes(desk) == {"T-A": ("open", "open", "target_moved")}


def test_beside_what_was_known_at_an_instant(desk: Desk) -> None:
    """The answer as known then never changes; before the publication there is none."""
    desk.at(LAST).ticket(ticket="T-A")
    publish(desk)
    desk.at("2026-04-01 02:00").do("ticket.respond", ticket="T-A", by=ANA, channel="platform")
    said = {then: desk.ask("published", month="2026-03", known_at=then) for then in (OVER, "2026-04-01 01:00")}
    assert {then: one["differences"] for then, one in said.items()} == {then: [] for then in said}
    assert said[OVER]["totals"]["published"] == said[OVER]["totals"]["now"]
    desk.at("2026-04-03 09:00")
    desk.do("ticket.respond", ticket="T-A", by=BEATRIZ, channel="platform", at="2026-03-31 22:00", reason="constaba")
    assert {then: desk.ask("published", month="2026-03", known_at=then) for then in said} == said
    later = desk.ask("published", month="2026-03", known_at="2026-04-01 02:00")["differences"]
    assert [(row["cause"], row["is"]["elapsed_us"]) for row in later] == [("answered", 5 * HOUR)]
    for then in ({"known_at": "2026-03-31 23:59"}, {"at": "2026-03-31 23:59"}):
        with desk.refused("not_published"):
            desk.ask("published", month="2026-03", **then)


def test_figures_counted_otherwise_than_they_were_are_said_to_be(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the rules of a later version to count the same facts otherwise, no event would be blamed for it."""
    desk.at(LAST).ticket(ticket="T-A")
    publish(desk)
    fact = published(desk.ledger.store, "2026-03")
    assert fact is not None
    other = msgspec.structs.replace(fact, cases={"basic/low/met": ["T-A"]})
    monkeypatch.setattr(reports, "publications", lambda *_: [other])
    [found] = desk.ask("published", month="2026-03")["differences"]
    assert (found["was"]["verdict"], found["is"]["verdict"]) == ("met", "open")
    assert (found["cause"], found["fact"]) == ("recounted", None)


def test_a_report_from_before_totals_were_kept_is_whole(desk: Desk) -> None:
    """It hashes to its digest, and says that it has no totals."""
    content = {"month": "2026-02", "at": "2026-03-01T06:00:00.000000Z", "position": 1, "figures": [], "cases": {}}
    fact = f.ReportPublished(
        customer_no="", occurred_at="2026-03-01T06:00:00.000000Z", by="b", source="s", month="2026-02", position=1,
        figures=[], cases={}, digest=digest(content),
    )  # fmt: skip
    assert digest_of(fact) == fact.digest
    row = StoredEvent("report/2026-02", 1, fact.TOPIC, encode(fact))
    desk.ledger.store.append([row], [""], now=desk.ledger.clock.now(), request=None)
    assert desk.ask("published", month="2026-02")["totals"]["published"] is None


# --- laws over random histories -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_the_differences_lead_from_the_published_to_the_known(store_url: str, seed: int) -> None:
    """Some 60 acts, published, then 40 more: taken away what differed and put in what it became, each cell is
    that of now; every cause is one that an event or time brought."""
    desk = Desk(store_url)
    live(desk, 900 + seed)
    publish(desk, "2026-02-01 00:00", month="2026-01")
    rng = random.Random(seed)
    numbers = [f"T-{n}" for n in range(1, 60) if desk.ledger.ticket(f"T-{n}", must_exist=False).facts]
    for step in range(40):
        desk.at(f"2026-02-01 {1 + step // 6:02d}:{step % 6 * 10:02d}")
        act(desk, rng, [rng.choice(numbers)])
    answer = shown(desk, "2026-01")
    cells = Counter[tuple[str, str, str]]()
    for sign, side in ((-1, "was"), (1, "is")):
        for row in answer["differences"]:
            assert row["cause"] in reports.CAUSES[:-1]
            assert (row["fact"] is None) == (row["cause"] == "breach_came_due")
            if (cell := row[side]) is not None:
                cells[cell["level"], cell["priority"], cell["verdict"]] += sign
    for name in VERDICTS:
        for key in {(row["level"], row["priority"]) for row in answer["published"] + answer["now"]}:
            before, after = (
                sum(row[name] for row in answer[side] if (row["level"], row["priority"]) == key)
                for side in ("published", "now")
            )
            assert before + cells[*key, name] == after
    known = {"by": "level", "from": "2026-01-01", "to": "2026-01-31"}
    assert answer["totals"]["now"] == desk.ledger.ask("report", known)["totals"]
    assert len(answer["differences"]) > 3
    desk.close()


def test_every_cause_has_words() -> None:
    assert {key.removeprefix("value_cause_") for key in table() if key.startswith("value_cause_")} >= set(
        reports.CAUSES
    )
