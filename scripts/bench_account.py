"""What one account costs: opening a ticket after ten years of history, asking for a balance among many accounts."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count as counter
from statistics import median
from typing import Any

from ledger.application import Caller, Ledger
from ledger.store import Store
from projections import balances
from projections.projector import Projector
from projections.rebuild import rebuild
from scripts.bench_common import Ground, Row, must_equal, take_turns
from scripts.bench_data import numbers

_CALLER = Caller("ana", "operator", "console")


def open_tickets(ground: Ground, dialect: str) -> list[Row]:
    """Measure opening a ticket on an account with ten years of history and on one with a month, warm and cold."""
    store = ground.aged(dialect)
    old, young = (numbers("B", template, ground.size.aged) for template in (0, 1))
    kept = Ledger(store, ground.catalogue)
    before = {account: used(kept, account) for account in old + young}  # and the accounts are warm
    names = counter()

    def fresh() -> Ledger:
        return Ledger(store, ground.catalogue)

    rows = []
    for state, ledger_of in (("warm", lambda: kept), ("cold", fresh)):
        spent = take_turns(
            ground.size.repeats,
            lambda of=ledger_of: opening(of, old, ground.size.opens, names),  # type: ignore[misc]
            lambda of=ledger_of: opening(of, young, ground.size.opens, names),  # type: ignore[misc]
        )
        rows.append(Row(f"open-ticket-{state}-{dialect}", "ms", spent[0], spent[1], ceiling=3.0))
    check_opened(fresh(), before, 2 * ground.size.repeats * ground.size.opens)
    return rows


def opening(ledger_of: Callable[[], Ledger], accounts: Sequence[str], times: int, names: Iterator[int]) -> float:
    """Open so many tickets on each account; return the median in milliseconds."""
    spent = []
    for _ in range(times):
        for account in accounts:
            given = {"account": account, "ticket": f"{account}-N{next(names)}", "request": "general", "priority": "low"}
            started = time.perf_counter()
            answer = ledger_of().execute("ticket.open", given, caller=_CALLER, key=f"bench:{given['ticket']}")
            spent.append((time.perf_counter() - started) * 1e3)
            must_equal(f"opened on {account}", answer.get("code", "ok"), "ok")
    return median(spent)


def used(ledger: Ledger, account: str) -> int:
    """Return the units an account has used."""
    return int(ledger.ask("balance", {"account": account})["used"])


def check_opened(ledger: Ledger, before: dict[str, int], opened: int) -> None:
    """Raise Broken unless each account has used as many units more as tickets were opened on it."""
    for account, units in before.items():
        must_equal(f"units used by {account}", used(ledger, account) - units, opened)


# --- a balance among many accounts --------------------------------------------------------------------------------


def ask_balances(ground: Ground, dialect: str) -> list[Row]:
    """Measure a balance among 100 times the accounts, folded by a new Ledger, and from the read model's row."""
    rows = []
    sides = [_Side(ground, ground.ledger(dialect, copies), copies) for copies in (ground.size.copies, 1)]
    for way in ("fold", "row"):
        runs = [side.folding if way == "fold" else side.querying for side in sides]
        spent = take_turns(2 * ground.size.repeats - 1, *runs)
        rows.append(Row(f"balance-many-{way}-{dialect}", "ms", spent[0], spent[1], ceiling=1.5))
    check_alike(*(side.answers for side in sides))
    for side in sides:
        side.projector.close()
    return rows


class _Side:
    """One of the two ledgers; both are asked for accounts of the same lives in the same order."""

    def __init__(self, ground: Ground, store: Store, copies: int) -> None:
        self.store, self.ground = store, ground
        self.projector = Projector(store, ground.catalogue)
        must_equal("errors of the rebuild", rebuild(self.projector), {})
        lives, chance = range(len(ground.templates())), random.Random(1)  # noqa: S311 - the same in every run
        self.lives = [chance.choice(lives) for _ in range(ground.size.asked)]
        self.numbers = [chance.choice(numbers("B", life, copies)) for life in self.lives]
        self.answers: dict[int, set[tuple[int, ...]]] = {}

    def folding(self) -> float:
        return self._median(
            lambda number: Ledger(self.store, self.ground.catalogue).ask("balance", {"account": number})
        )

    def querying(self) -> float:
        return self._median(lambda number: balances.balance_row(self.projector.read, number) or {})

    def _median(self, ask: Callable[[str], dict[str, Any]]) -> float:
        spent = []
        for life, number in zip(self.lives, self.numbers, strict=True):
            started = time.perf_counter()
            answer = ask(number)
            spent.append((time.perf_counter() - started) * 1e3)
            self.answers.setdefault(life, set()).add((answer["granted"], answer["used"], answer["remaining"]))
        return median(spent)


def check_alike(many: dict[int, set[tuple[int, ...]]], few: dict[int, set[tuple[int, ...]]]) -> None:
    """Raise Broken unless every copy of a life, folded or from its row, has the balance of that life."""
    must_equal("balances by life", many, few)
    must_equal("lives with two balances", [life for life, found in many.items() if len(found) != 1], [])
