"""Importing again: grown, mended, killed, contested; whose numbers and whose plan."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ledger import facts as f
from ledger.application import Ledger
from ledger.imports import Summary, import_file, load_mapping
from ledger.store import IntegrityError, open_store
from ledger.store.base import MAX_BYTES, MAX_EVENTS
from projections.projector import Projector, named
from scripts.demo_log import write_log
from tests.desks import ANA, HEAD, HELPDESK, LINES, MINI, ROOT, billing, bring_in, rows, ticket, told

Bring = Callable[..., Summary]


@pytest.fixture(name="ledger")
def _ledger(store_url: str) -> Iterator[Ledger]:
    ledger = Ledger(open_store(store_url))
    ledger.store.migrate()
    yield ledger
    ledger.close()


@pytest.fixture(name="bring")
def _bring(ledger: Ledger, tmp_path: Path) -> Bring:
    """Give a function that imports lines, by MINI or a mapping made of it."""

    def bring(*lines: str, mapping: str = MINI, head: str = HEAD, into: Ledger = ledger) -> Summary:
        return bring_in(into, tmp_path, "".join(f"{line}\n" for line in (head, *lines)), mapping, "utf-8")

    return bring


# --- whose numbers, whose plan ---------------------------------------------------------------------------------------


def test_a_number_that_another_ticket_has_is_rejected_row_by_row(ledger: Ledger, bring: Bring) -> None:
    ledger.execute("account.open", {"account": "Live", "name": "Live"}, caller=ANA)
    opening = {"account": "Live", "ticket": "C", "request": "administrative", "priority": "low"}
    ledger.execute("ticket.open", opening, caller=ANA)
    summary = bring(*rows("new", "answer"), *rows("new", case="D"))
    assert (summary.imported, summary.skipped, summary.tickets) == (1, 0, 1)
    assert [(r.line, r.reason.code, r.text) for r in summary.rejected] == [
        (2, "duplicate_ticket", rows("new")[0]),
        (3, "duplicate_ticket", rows("new", "answer")[1]),
    ]
    assert len(ledger.ticket("C").facts) == 1
    again = bring(*rows("new", "answer"), *rows("new", case="D"))
    assert (again.imported, again.skipped, len(again.rejected)) == (0, 1, 2)


def test_a_second_desk_does_not_pay_what_the_first_one_paid(ledger: Ledger, bring: Bring) -> None:
    months = [rows("new", case=f"C{month}")[0].replace(".03.", f".0{month}.") for month in (3, 4, 5)]
    bring(*months)
    before = billing(ledger)
    other = [line.replace("C", "X", 1).replace("09:00", "10:00") for line in months]
    bring(*other, mapping=MINI.replace('"mini"', '"other"'))
    assert billing(ledger) == before
    balance = ledger.ask("balance", {"account": "Ixchel", "at": "2026-05-02T12:00:00-06:00"})
    assert (balance["granted"], balance["used"]) == (15, 6), "both desks' cases take units of the one plan"
    later = rows("new", case="X9")[0].replace(".03.", ".06.")
    bring(*other, later, mapping=MINI.replace('"mini"', '"other"'))
    assert billing(ledger)["paid"] == before["paid"], "nor what comes after: the plan is the first one's"


def test_the_same_number_at_two_desks_is_the_first_ones(ledger: Ledger, bring: Bring) -> None:
    bring(*rows("new"))
    facts = told(ledger)
    summary = bring(*rows("new", "answer", who="Itzel"), mapping=MINI.replace('"mini"', '"other"'))
    assert (summary.imported, len(summary.rejected), summary.accounts) == (0, 2, 0)
    assert told(ledger) == facts


def test_a_customer_with_a_plan_of_its_own_is_not_enrolled(ledger: Ledger, bring: Bring) -> None:
    year = {"at": "2026-01-05T12:00:00.000000Z", "reason": "paper"}
    ledger.execute("account.open", {"account": "Ixchel", "name": "Ixchel, S. A."}, caller=ANA, **year)
    plan = {"account": "Ixchel", "level": "advanced", "term": "monthly", "channel": "web"}
    ledger.execute("plan.purchase", plan, caller=ANA, **year)
    before = billing(ledger)
    summary = bring(*rows("new"))
    assert (summary.imported, summary.accounts, summary.tickets) == (1, 0, 1)
    assert billing(ledger) == before
    assert ticket(ledger)["grant"] is None
    assert ledger.ticket("C").opened.why == "uncovered"


def test_a_customer_that_bought_again_is_left_alone(ledger: Ledger, bring: Bring) -> None:
    first = rows("new")[0].replace("2026", "2025")
    bring(first)
    plan = {"account": "Ixchel", "level": "basic", "term": "monthly", "channel": "web"}
    ledger.execute("plan.purchase", plan, caller=ANA, at="2025-06-01T12:00:00.000000Z", reason="paper")
    before = billing(ledger)
    assert bring(first, rows("new", case="D")[0]).imported == 1
    assert billing(ledger) == before


# --- again -----------------------------------------------------------------------------------------------------------


def test_a_dry_run_counts_and_writes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    tried = bring_in(ledger, tmp_path, LINES, dry_run=True)
    assert ledger.store.last_position() == 0
    assert bring_in(ledger, tmp_path, LINES).as_dict() == tried.as_dict()


def test_a_grown_file_adds_only_what_is_new(ledger: Ledger, tmp_path: Path) -> None:
    lines = LINES.splitlines()
    bring_in(ledger, tmp_path, "\n".join(lines[:4]))
    grown = bring_in(ledger, tmp_path, "\n".join([*lines, "V-12;Müller;jan;Bronze;normal;x;2026-05-20T09:00:00;;;"]))
    assert (grown.imported, grown.skipped, grown.accounts, grown.tickets) == (3, 3, 1, 3)
    whole = Ledger(open_store(f"sqlite:///{tmp_path / 'whole.db'}"))
    whole.store.migrate()
    bring_in(whole, tmp_path, (tmp_path / "rows.csv").read_bytes().decode("latin-1"))
    at = "2026-05-21T00:00:00+02:00"
    for account in ("Müller", "Schmidt"):
        question = {"account": account, "at": at}
        assert ledger.ask("balance", question) == whole.ask("balance", question)
        assert ledger.ask("billing", question) == whole.ask("billing", question)
    whole.close()


def test_a_row_mended_later_is_taken_up_where_it_belongs(ledger: Ledger, bring: Bring) -> None:
    new, ask, memo, done, answer = rows("new", "ask", "memo", "done", "answer")
    bring(new, ask.replace("09:01", "nine"), memo, done.replace("|B|", "|Z|"), answer)
    assert told(ledger) == ["1 opened", "3 noted", "5 responded"]
    mended = bring(new, ask, memo, done, answer)
    assert told(ledger)[3:] == ["2 waiting", "3 resumed", "4 resolved", "5 reopened"]
    position = ledger.store.last_position()
    again = bring(new, ask, memo, done, answer)
    assert (mended.imported, mended.skipped) == (2, 3)
    assert (again.imported, again.skipped) == (0, 5)
    assert ledger.store.last_position() == position


@pytest.mark.parametrize(("before", "after"), [("", ""), ("E", ""), ("", "E")])
def test_a_first_row_mended_later_moves_neither_opening_nor_customer(
    ledger: Ledger, tmp_path: Path, before: str, after: str
) -> None:
    def content(first: str, before: str = "", after: str = "") -> str:
        case = [first, *rows("new", "answer")[1:], *rows("new", case="D", who="Other")]
        others = [rows("new", case=number) if number else [] for number in (before, after)]
        return "\n".join([HEAD, *others[0], *case, *others[1], ""])

    bring_in(ledger, tmp_path, content("C|Other|eva|yesterday|double|A|3"), MINI, "utf-8")
    opened = ledger.ticket("C").opened
    mended = content("C|Other|eva|01.03.2026 08:00|double|A|3", before, after)
    tried = bring_in(ledger, tmp_path, mended, MINI, "utf-8", dry_run=True)
    summary = bring_in(ledger, tmp_path, mended, MINI, "utf-8")
    new = len(before + after)
    assert (summary.imported, summary.skipped, summary.tickets, summary.accounts) == (1 + new, 2, new, 0)
    assert tried.as_dict() == summary.as_dict()
    assert ledger.ticket("C").opened == opened
    assert told(ledger) == ["2 opened", "2 responded", "1 noted"]
    assert {fact.customer_no for fact in ledger.ticket("C").facts} == {"Ixchel"}
    assert ticket(ledger)["verdict"] == "met"
    assert bring_in(ledger, tmp_path, mended, MINI, "utf-8").imported == 0


def test_what_people_did_since_is_left_alone(ledger: Ledger, bring: Bring) -> None:
    lines = rows("new", "double")
    bring(*lines)
    courtesy = {"account": "Ixchel", "level": "basic", "units": 1}
    ledger.execute("courtesy.grant", courtesy, caller=ANA, reason="ours")
    for request in ("administrative", "general"):
        ledger.execute("ticket.reclassify", {"ticket": "C", "request": request}, caller=ANA)
    assert ledger.ask("balance", {"account": "Ixchel"})["used"] == 1, "the case has taken a unit again"
    position = ledger.store.last_position()
    assert bring(*lines).imported == 0
    assert ledger.store.last_position() == position


@pytest.mark.parametrize("seed", range(6))
def test_in_whatever_pieces_a_file_comes_the_last_run_adds_nothing_twice(
    ledger: Ledger, bring: Bring, seed: int
) -> None:
    chance = random.Random(seed)
    words = ["new", "answer", "ask", "back", "done", "shut", "double", "outage", "memo", "memo/2", "memo/3"]
    cases = [
        rows(*(chance.choice(words) for _ in range(chance.randrange(1, 7))), case=f"C{n}", who=f"W{n % 3}")
        for n in range(12)
    ]
    lines = [line for case in cases for line in case]
    for share in (0.3, 0.6, 0.8):
        # A broken row keeps its place, so what was left out comes in later as a row that was mended.
        part = [line if chance.random() < share else line.replace("02.03.2026", "some day") for line in lines]
        summary = bring(*part)
        assert summary.imported + summary.skipped + len(summary.rejected) == len(lines)
    bring(*lines)
    position = ledger.store.last_position()
    again = bring(*lines)
    assert (again.imported, again.skipped) == (0, len(lines))
    assert ledger.store.last_position() == position
    for n in range(12):
        facts = ledger.ticket(f"C{n}").facts
        assert len({fact.row for fact in facts}) == len(cases[n]), "each row is known by what it says"
        assert sum(isinstance(fact, f.TicketOpened) for fact in facts) == 1
    for who in ("W0", "W1", "W2"):
        balance = ledger.ask("balance", {"account": who})
        assert balance["granted"] == balance["used"] + balance["expired"] + balance["voided"] + balance["remaining"]


# --- long, contested, killed -----------------------------------------------------------------------------------------


def test_no_transaction_is_larger_than_one_may_be(
    ledger: Ledger, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[tuple[int, int]] = []
    append = ledger.store.append

    def measured(events: Sequence[Any], *given: Any, **named: Any) -> list[int]:
        sizes.append((len(events), sum(len(event.state) for event in events)))
        return append(events, *given, **named)

    monkeypatch.setattr(ledger.store, "append", measured)
    long = [f"C|Ixchel|eva|02.03.2026 {n // 60:02}:{n % 60:02}|memo|B|{n % 3 + 1}" for n in range(1200)]
    bring(*long, *(line for n in range(300) for line in rows("new", "ask", "done", case=f"D{n}", who=f"W{n}")))
    assert len(sizes) > 4
    assert max(size for size, _ in sizes) <= MAX_EVENTS
    assert max(size for _, size in sizes) <= MAX_BYTES
    assert sum(size for size, _ in sizes) == ledger.store.last_position()


def test_another_writer_in_the_way_is_told_apart_and_gone_around(
    ledger: Ledger, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = ledger.store.append
    rivals = iter(["Ixchel", "Itzel", ""])

    def contested(*given: Any, **named: Any) -> list[int]:
        if rival := next(rivals, ""):
            monkeypatch.setattr(ledger.store, "append", append)
            ledger.execute("account.open", {"account": rival, "name": "live"}, caller=ANA)
            monkeypatch.setattr(ledger.store, "append", contested)
        return append(*given, **named)

    monkeypatch.setattr(ledger.store, "append", contested)
    summary = bring(*rows("new"), *rows("new", case="D", who="Itzel"), *rows("new", case="E", who="Zac"))
    assert (summary.imported, summary.skipped, summary.accounts, summary.tickets) == (3, 0, 1, 3)
    assert ledger.ask("account", {"account": "Itzel"})["name"] == "live"


def test_a_store_that_is_always_contested_is_too_busy(
    ledger: Ledger, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(*_given: Any, **_named: Any) -> list[int]:
        raise IntegrityError("taken")

    monkeypatch.setattr(ledger.store, "append", taken)
    with pytest.raises(Exception, match="too_busy"):
        bring(*rows("new"))


def test_two_imports_of_one_file_at_once_count_each_row_once(store_url: str, ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "mapping.toml").write_text(MINI, "utf-8")
    lines = [line for n in range(400) for line in rows("new", "ask", "done", case=f"D{n}", who=f"W{n % 50}")]
    (tmp_path / "rows.csv").write_text("\n".join([HEAD, *lines]), "utf-8")
    command = [sys.executable, "-m", "ledger.cli", "--database", store_url, "import", str(tmp_path / "rows.csv")]
    command += ["--mapping", str(tmp_path / "mapping.toml"), "--json"]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(2)]
    said = [run.communicate(timeout=60)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    counts = [json.loads(text) for text in said]
    assert sum(count["imported"] for count in counts) == len(lines)
    assert sum(count["tickets"] for count in counts) == 400
    assert sum(count["accounts"] for count in counts) == 50
    assert all(count["imported"] + count["skipped"] == len(lines) for count in counts)


def everything(url: str) -> dict[str, list[Any]]:
    """Return the log stream by stream and the rows of all read models, without what depends on when it was recorded."""
    ledger = Ledger(open_store(url))
    projector = Projector(ledger.store, ledger.catalogue)
    projector.catch_up()
    left_out = {"position", "recorded_at", "at", "final_at"}
    tables = [table for model in named([]) for table in model.tables]
    # Who ran which import is recorded for each run.
    log = "SELECT stream, version, topic, state FROM ledger_events WHERE topic <> 'import.recorded'"
    found = {"log": sorted((*row[:3], bytes(row[3])) for row in ledger.store.query(log))}
    for table in tables:
        columns = [name for name in table.names if name not in left_out]
        found[table.name] = sorted(projector.read.query(f"SELECT {', '.join(columns)} FROM {table.name}"))
    projector.close()
    ledger.close()
    return found


def test_killed_anywhere_and_run_again_it_ends_the_same(store_url: str, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv", cases=1500)
    straight = Ledger(open_store(f"sqlite:///{tmp_path / 'straight.db'}"))
    straight.store.migrate()
    import_file(straight, log, load_mapping(HELPDESK))
    straight.close()
    killed = Ledger(open_store(store_url))
    killed.store.migrate()
    command = [sys.executable, "-m", "ledger.cli", "--database", store_url, "import", str(log)]
    command += ["--mapping", str(HELPDESK), "--json"]
    kills = 0
    for wanted in (1, 4, 9):
        start = killed.store.last_position()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ}) as process:
            while process.poll() is None and killed.store.last_position() < start + wanted * 400:
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            kills += process.wait() == -signal.SIGKILL
    assert kills >= 1
    done = subprocess.run(command, capture_output=True, check=True)
    assert json.loads(done.stdout)["rejected"] == 0
    killed.close()
    assert everything(store_url) == everything(f"sqlite:///{tmp_path / 'straight.db'}")
