"""Kill month-end sweeps at random moments, with a gateway that fails at random, and count what is left.

`python -m scripts.kill_sweep sqlite:///kill.db --cycles 200` (or a PostgreSQL URL). A cycle is one sweep that is ended
by SIGKILL; after each, another goes on where it stopped. After each month: every subscription is charged exactly once
for it, the gateway took what the ledger says, invoice numbers have no gap, and one more sweep adds nothing.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ledger import facts as f
from ledger.application import Ledger
from ledger.clock import Clock
from ledger.dating import Caller
from ledger.gateways.sandbox import Sandbox
from ledger.rules.instants import to_iso
from ledger.rules.terms import add_months
from ledger.store import open_store
from projections.projector import Projector
from scheduler.jobs import ORDER, run

ZONE = ZoneInfo("America/Guatemala")
BOUGHT = datetime(2026, 1, 31, 10, tzinfo=ZONE)
OPERATOR = Caller("operator", "operator", "apply")
FAILURES = ("declined", "timeout_before_charge", "timeout_after_charge", "late", "twice", "webhook_first", "ok")
# After the boundary: late answers come within the hour, soft refusals are tried again on these days.
LATER = (timedelta(0), timedelta(hours=2), timedelta(days=1), timedelta(days=1, hours=2), timedelta(days=3, hours=2))


class KillTest:
    """A ledger of subscriptions paid by card, whose sweeps are killed."""

    def __init__(self, url: str, subscriptions: int, seed: int) -> None:
        self.url = url
        self.numbers = [f"C-{n}" for n in range(1, subscriptions + 1)]
        self.random = random.Random(seed)  # noqa: S311 - it guards nothing
        self.cycles = self.finished_early = 0
        self.seconds = 1.0  # how long a whole sweep takes

    def prepare(self) -> None:
        """Sell a plan to everybody, by card."""
        ledger = Ledger(open_store(self.url))
        ledger.store.migrate(test_clock=True)
        ledger.clock = Clock(ledger.store)
        ledger.clock.move(BOUGHT)
        for number in self.numbers:
            self._do(ledger, "account.open", account=number, name=number)
            self._do(ledger, "card.register", account=number, token="tok_ok")  # noqa: S106 - the sandbox's
            self._do(
                ledger, "plan.purchase", account=number, level="basic", term="monthly", channel="web", pay_by="card"
            )
        ledger.close()

    def month(self, number: int, kills: int) -> None:
        """Let renewal `number` of all subscriptions fall due, kill `kills` sweeps at each instant, and check."""
        boundary = datetime.combine(add_months(BOUGHT.date(), number), datetime.min.time(), tzinfo=ZONE)
        ledger = Ledger(open_store(self.url))
        for account in self.numbers:
            outcomes = self.random.sample(FAILURES, self.random.randint(0, 2))
            if outcomes:
                self._do(ledger, "gateway.script", account=account, outcomes=outcomes)
        ledger.close()
        for later in LATER:
            self._at(boundary + later)
            for _ in range(kills):
                self._killed()
            self.seconds = self._whole()
        self.check(number)

    def check(self, months: int) -> None:
        """Raise AssertionError unless everybody was charged exactly once a month, and all books agree."""
        ledger = Ledger(open_store(self.url))
        sandbox = ledger.gateway
        assert isinstance(sandbox, Sandbox)
        received = 0
        for number in self.numbers:
            payments = ledger.ask("payments", {"account": number})
            charged = sorted(part["charge"] for p in payments["payments"] for part in p["pays"])
            wanted = sorted([f"{number}-S1-p", *(f"{number}-S1-r{n}" for n in range(1, months + 1))])
            assert charged == wanted, (number, charged[-3:], wanted[-3:])
            taken = [one for one in sandbox.requests(number) if one.outcome == "succeeded"]
            assert len(taken) == months + 1, (number, [one.reference for one in taken])
            received += sum(int(p["amount"].replace(".", "")) for p in payments["payments"])
            assert ledger.ask("balance", {"account": number})["state"] == "in_force", number
        assert sandbox.taken() == {"GTQ": received}, (sandbox.taken(), received)
        rows = ledger.store.select_events("series/F")
        subjects = [fact.subject for row in rows if isinstance(fact := f.decode(row.topic, row.state), f.NumberTaken)]
        assert [row.originator_version for row in rows] == list(range(1, len(rows) + 1))
        assert len(set(subjects)) == len(subjects) == len(self.numbers) * (months + 1)
        before = ledger.store.last_position()
        _sweep(ledger)
        assert ledger.store.last_position() == before, "one more sweep adds nothing"
        ledger.close()

    def _do(self, ledger: Ledger, command: str, /, **given: Any) -> None:
        ledger.execute(command, given, caller=OPERATOR)

    def _at(self, instant: datetime) -> None:
        ledger = Ledger(open_store(self.url))
        ledger.clock.move(instant)
        ledger.close()

    def _killed(self) -> None:
        child = self._fork()
        time.sleep(self.random.uniform(0, self.seconds))
        os.kill(child, signal.SIGKILL)
        _pid, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status)
        self.cycles += killed
        self.finished_early += not killed

    def _whole(self) -> float:
        started = time.monotonic()
        _pid, status = os.waitpid(self._fork(), 0)
        assert status == 0, "a sweep that is let run ends well"
        return time.monotonic() - started

    def _fork(self) -> int:
        child = os.fork()
        if child == 0:  # it has no connection of its parent's: all are closed
            try:
                ledger = Ledger(open_store(self.url))
                wrong = _sweep(ledger)
                os._exit(1 if wrong else 0)
            finally:
                os._exit(2)
        return child


def _sweep(ledger: Ledger) -> list[str]:
    projector = Projector(ledger.store, ledger.catalogue)
    try:
        now = ledger.clock.now()
        return [error for name in ORDER if (error := run(name, ledger, projector, now=now).error)]
    finally:
        projector.close()


def main() -> int:
    """Run it and print what was counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--subscriptions", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    test = KillTest(given.url, given.subscriptions, given.seed)
    test.prepare()
    month = 0
    while test.cycles < given.cycles:
        month += 1
        test.month(month, kills=2)
        print(f"month {month}: {test.cycles} sweeps killed, all books agree", file=sys.stderr)
    began = to_iso(BOUGHT)
    print(
        f"{test.cycles} sweeps killed ({test.finished_early} more had ended first), {month} months since {began}, "
        f"{given.subscriptions} subscriptions, seed {given.seed}: each charged once a month, no gap, equal sums"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
