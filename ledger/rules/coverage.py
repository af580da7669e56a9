"""What a ticket may be for: the table of DOMAIN.md, row by row; the first row that applies decides.

Every row has a reason code with words in both languages (`ledger/texts/coverage.toml`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ledger.rules.book import Book
from ledger.rules.grants import LEVELS, RANK, Grant, usable, why
from ledger.rules.subscriptions import local_day

BASIC = ("general", "question")
ADVANCED = ("fel", "training", "induction", "advice")
REQUESTS = ("administrative", "terminal", *BASIC, *ADVANCED)


def level_needed(request: str) -> str:
    """Return the lowest level whose plan includes `request` (FAQ: basic or advanced)."""
    return "advanced" if request in ADVANCED else "basic"


@dataclass(frozen=True, slots=True)
class Decision:
    """`code` names the row; `grant` pays, `level` promises (\"\" = no target); `facts` go with a decline."""

    served: bool
    code: str
    grant: str = ""
    why: str = ""
    level: str = ""
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def consumes(self) -> bool:
        """Whether it takes one unit."""
        return bool(self.grant)


@dataclass(frozen=True, slots=True)
class Case:
    """One request before the table: the account as it stood `at`, and the units that stay free after it.

    `book` is the account at instant `at`; `whole` the same account with everything known, dated later or not.
    `in_scope` and `plan_needed` are the catalogue's answers; `named` is the grant the customer names.
    """

    request: str
    at: str
    book: Book
    whole: Book
    in_scope: bool = True
    plan_needed: bool = True
    named: str = ""

    def usable(self) -> list[Grant]:
        """Return the grants with a unit free at `at` and ever after, in burn order."""
        return usable((self.whole.grants[g] for g in self.book.grants if g in self.whole.grants), self.at)

    def overdue(self) -> str:
        """Return the id of the charge that is past due ("" = none): a renewal from its boundary on."""
        today = local_day(self.at, self.book.zone).isoformat()
        past_due = self.book.past_due()
        for charge in self.book.owed():
            if charge.id in self.book.debts:  # no sale: it stops nothing
                continue
            if charge.id in past_due or charge.due_on < today:
                return charge.id
        return ""


def decide(case: Case) -> Decision:
    """Return the decision of the first row that applies."""
    for row in _ROWS:
        decision = row(case)
        if decision is not None:
            return decision
    return _served(case)


def _administrative(case: Case) -> Decision | None:
    return Decision(True, "administrative") if case.request == "administrative" else None


def _before_plans(case: Case) -> Decision | None:
    if case.plan_needed:
        return None
    return Decision(True, "before_plans_required", level=_best_level(case.book))


def _terminal(case: Case) -> Decision | None:
    return _declined("sales_case", hint="sales_adviser") if case.request == "terminal" else None


def _out_of_scope(case: Case) -> Decision | None:
    return None if case.in_scope else _declined("out_of_scope")


def _payment_due(case: Case) -> Decision | None:
    if case.book.in_force() or case.usable():
        return None
    charge = case.overdue()
    return _declined("payment_due", charge=charge) if charge else None


def _no_plan(case: Case) -> Decision | None:
    return None if case.book.in_force() or case.usable() else _declined("no_plan")


def _plan_too_low(case: Case) -> Decision | None:
    needed = level_needed(case.request)
    covered = any(RANK[s.level] >= RANK[needed] for s in case.book.in_force())
    if covered or any(g.covers(needed) for g in case.usable()):
        return None
    return _declined("plan_too_low", needed=needed)


def _no_tickets_left(case: Case) -> Decision | None:
    needed = level_needed(case.request)
    if any(g.covers(needed) for g in case.usable()):
        return None
    return _declined("no_tickets_left", addon=needed)


_ROWS: tuple[Callable[[Case], Decision | None], ...] = (
    _administrative,
    _before_plans,
    _terminal,
    _out_of_scope,
    _payment_due,
    _no_plan,
    _plan_too_low,
    _no_tickets_left,
)


def _served(case: Case) -> Decision:
    covering = [g for g in case.usable() if g.covers(level_needed(case.request))]
    chosen = next((g for g in covering if g.id == case.named), covering[0])
    reason = why(chosen, covering, named=bool(case.named) and chosen.id == case.named)
    return Decision(True, "covered", grant=chosen.id, why=reason, level=chosen.level)


def _declined(code: str, **facts: str) -> Decision:
    return Decision(False, code, facts=facts)


def _best_level(book: Book) -> str:
    return max((s.level for s in book.in_force()), key=LEVELS.index, default="")
