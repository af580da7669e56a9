"""One place records: whoever appends facts of an account brings their documents, and nothing goes around it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eventsourcing.persistence import StoredEvent

from ledger import sweeping
from ledger.errors import NotFound
from ledger.store import Recorded
from tests.desks import HEAD, MINI, bring_in, rows
from tests.given import PANADERIA, Desk

ROOT = Path(__file__).resolve().parent.parent
FIRST = ("F-1", "C-100-S1-p", "250.00")
SECOND = ("F-2", "C-100-S1-r1", "250.00")


@pytest.fixture(name="desk")
def _desk(store_url: str) -> Iterator[Desk]:
    desk = Desk(store_url)
    yield desk
    desk.close()


def documents(desk: Desk, account: str = PANADERIA) -> list[tuple[str, str, str]]:
    found = desk.ask("documents", account=account)["documents"]
    return [(one["document"], one["charge"], one["gross"]) for one in found]


AFTER_THE_BOUNDARY = [
    ("ticket.open", {"account": PANADERIA, "ticket": "T-9", "request": "administrative", "priority": "low"}),
    ("ticket.open", {"account": PANADERIA, "ticket": "T-9", "request": "terminal", "priority": "low"}),
    ("ticket.note", {"ticket": "T-1", "text": "llamó"}),
    ("ticket.acknowledge", {"ticket": "T-1"}),
    ("ticket.wait", {"ticket": "T-1"}),
    ("ticket.respond", {"ticket": "T-1"}),
    ("ticket.resolve", {"ticket": "T-1"}),
    ("ticket.assign", {"ticket": "T-1", "to": "eva"}),
    ("ticket.merge", {"ticket": "T-1", "into": "T-2"}),
    ("ticket.give_back", {"ticket": "T-1"}),
    ("courtesy.grant", {"account": PANADERIA, "level": "basic", "units": 1}),
]


@pytest.mark.parametrize(("command", "given"), AFTER_THE_BOUNDARY, ids=[f"{c} {g}" for c, g in AFTER_THE_BOUNDARY])
def test_whatever_is_recorded_brings_the_invoice_of_what_fell_due(
    desk: Desk, command: str, given: dict[str, Any]
) -> None:
    desk.at("2026-03-02 10:00").sell(paid=2).at("2026-04-01 23:00").tickets(2)
    assert documents(desk) == [FIRST]
    desk.at("2026-04-02 00:01").do(command, reason="se pidió", **given)
    assert documents(desk) == [FIRST, SECOND]
    assert desk.ask("balance", account=PANADERIA)["not_yet_recorded"] == 0
    desk.ledger.record_due(PANADERIA)
    assert documents(desk) == [FIRST, SECOND], "once"


def test_a_declined_request_brings_the_credit_note_of_a_lapse(desk: Desk) -> None:
    desk.at("2026-03-02 10:00").sell(paid=0).pay(method="cheque")
    desk.at("2026-03-10 09:00").do(
        "payment.reverse", account=PANADERIA, payment="C-100-P1", kind="returned_cheque", reason="sin fondos"
    )
    declined = desk.at("2026-03-16 00:01").ticket()
    assert declined["code"] == "no_plan"
    assert documents(desk) == [FIRST, ("NC-1", "C-100-S1-p", "250.00")]


def test_an_import_beside_it_brings_the_invoice_and_issues_none_of_its_own(desk: Desk, tmp_path: Path) -> None:
    """The other desk's file has a case of a customer who bought here; its own customers' payments are not invoiced."""
    desk.at("2026-03-01 10:00").sell(paid=2).at("2026-04-02 09:00")
    lines = [HEAD, *rows("new", "answer", case="A", who=PANADERIA), *rows("new", "answer", case="B", who="Ixchel")]
    assert bring_in(desk.ledger, tmp_path, "\n".join(lines), MINI).imported == 4
    assert documents(desk) == [FIRST, SECOND]
    assert documents(desk, "Ixchel") == []
    desk.ticket("Ixchel", request="administrative")
    assert documents(desk, "Ixchel") == [], "the other system invoiced it"


def test_a_sweep_brings_them_for_many_at_once(desk: Desk) -> None:
    names = [f"C-{n}" for n in range(6)]
    desk.at("2026-03-02 10:00")
    for name in names:
        desk.sell(name, paid=2)
    desk.at("2026-04-02 00:01")
    sweeping.record_due_many(desk.ledger, names, now=desk.ledger.clock.now())
    assert [len(documents(desk, name)) for name in names] == [2] * 6
    numbers = {one[0] for name in names for one in documents(desk, name)}
    assert numbers == {f"F-{n}" for n in range(1, 13)}


def test_nothing_goes_around_it(desk: Desk) -> None:
    """Both stores refuse rows of accounts and of series that no entry made; an entry takes facts, not such rows."""
    desk.at("2026-03-02 10:00").sell()
    store, before = desk.ledger.store, desk.ledger.store.last_position()
    for stream in ("account/C-100", "account/new", "series/F"):
        with pytest.raises(ValueError, match=re.escape(stream)):
            store.append([StoredEvent(stream, 99, "x", b"x")], ["C-100"], now=desk.ledger.clock.now(), request=None)
    with desk.ledger.accounts.existing(PANADERIA) as account:
        rows = [Recorded(account.stream, account.version + 1, account.opening)]
        with pytest.raises(ValueError, match="account/C-100"):
            desk.ledger.append(rows, desk.ledger.clock.now(), None, {})
        with pytest.raises(ValueError, match="account/C-100"):
            desk.ledger.entry(desk.ledger.clock.now()).others(rows)
    assert store.last_position() == before


def test_only_one_module_vouches_for_rows_of_accounts() -> None:
    """Whoever says `complete` says that the documents are there: the recording, and the stores that pass it on."""
    vouch = re.compile(r"complete\s*=|\.propose\(|documents\.(issue|numbers)\(|\.write\(\s*events")
    found = {
        path.relative_to(ROOT).as_posix()
        for package in ("ledger", "projections", "scheduler", "api")
        for path in (ROOT / package).rglob("*.py")
        if vouch.search(path.read_text("utf-8"))
    }
    assert found == {"ledger/recording.py", "ledger/store/base.py"}


# --- a log that is put in the place of another while it is used ------------------------------------------------------


def cut_off(desk: Desk, position: int) -> None:
    """Let the log be an older copy of itself, as after a restore under a running process."""
    desk.ledger.store.execute("DELETE FROM ledger_events WHERE position > ?", [position])


def test_an_account_stands_on_what_the_log_has_not_on_what_it_had(desk: Desk) -> None:
    desk.at("2026-03-02 10:00").sell(paid=2)
    position = desk.ledger.store.last_position()
    desk.addon().sell("C-200")
    cut_off(desk, position)
    answer = desk.ask("billing", account=PANADERIA)
    assert [charge["id"] for charge in answer["charges"]] == ["C-100-S1-p"]
    for ask in (lambda: desk.ask("balance", account="C-200"), lambda: desk.addon("C-200")):
        with pytest.raises(NotFound, match="unknown_account"):
            ask()
    desk.addon()
    assert desk.ledger.store.last_position() > position


def test_an_account_whose_rows_were_written_otherwise_is_read_anew(desk: Desk) -> None:
    desk.at("2026-03-02 10:00").sell(paid=2)
    position = desk.ledger.store.last_position()
    desk.do("courtesy.grant", account=PANADERIA, level="basic", units=1, reason="x")
    cut_off(desk, position)
    other = Desk(desk.ledger.store.url)
    other.at("2026-03-02 10:00").do("courtesy.grant", account=PANADERIA, level="basic", units=3, reason="x")
    other.close()
    assert desk.balance(PANADERIA)["remaining"] == 8
