"""How one case stands: its promise, what moved it, what its verdict is made from. `ledger.rules.sla` folds it.

Instants are canonical strings, so they compare as text, exact to the microsecond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ledger import facts as f
from ledger.rules import finality


class Move(NamedTuple):
    """What moved the due instant, or would have: `cause` is opened, raised, lowered, upgraded, left or joined.

    `before` and `after` are the due instants ("" = none); equal where the change had no effect on it. `fact` made it:
    a raise of before `at` acts when the case comes back to compliance.
    """

    at: str
    cause: str
    before: str
    after: str
    level: str
    priority: str
    by: str
    reason: str
    fact: f.TicketFact


class Left(NamedTuple):
    """How a case stood when it left compliance: it comes back to that. `limit` is the level and priority that governed.

    `raises` are those made since.
    """

    due_at: str
    limit: tuple[str, str]
    level: str
    priority: str
    raises: tuple[f.TicketPrioritised, ...] = ()


@dataclass(slots=True)
class Clock:
    """A case as its facts tell it, dates before positions. Empty strings mean "not (yet)".

    What the verdict stands on (`due_at` to `verdict_priority`, `counted_at`, `excluded`) is what was recorded before
    it became final; the rest is what is known. `late` are the facts that came after.
    """

    opened: f.TicketOpened
    recorded_at: str = ""
    request: str = ""
    level: str = ""
    priority: str = ""
    grant: str = ""
    due_at: str = ""
    first_due: str = ""
    first_limit: tuple[str, str] = ("", "")  # the level and priority whose limit gave `first_due`
    left: Left | None = None  # how it stood when it left compliance last
    started_at: str = ""  # from when `first_due` was counted
    verdict_level: str = ""
    verdict_priority: str = ""
    responded_at: str = ""
    responded_by: str = ""
    channel: str = ""
    counted_at: str = ""  # the response that the verdict stands on
    revised: str = ""  # the verdict of an approved revision beside a final one
    revised_by: str = ""
    revision: str = ""
    merged_into: str = ""
    policy: str = ""  # the version of the policy that governs it for life; "" while it never had a target
    moves: list[Move] = field(default_factory=list)
    late: Sequence[f.TicketFact] = ()
    assigned_to: str = ""
    waiting_since: str = ""
    resolved_at: str = ""
    heard_at: str = ""
    reopened: int = 0
    excluded: str = ""
    approver: str = ""
    self_approved: str = ""  # who approved an exclusion and is the answering agent: it does not stand
    given_back: bool = False

    def verdict(self, at: str) -> str:
        """Return met, breached, open, excluded or none, as of instant `at`: exclusions and revisions applied."""
        raw = self.raw_verdict(at)
        if raw == "none":
            return raw
        return self.revised or ("excluded" if self.excluded else raw)

    def raw_verdict(self, at: str) -> str:
        """Return the verdict that ignores exclusions and revisions."""
        if not self.due_at:
            return "none"
        if self.counted_at:
            return "met" if self.counted_at < self.due_at else "breached"
        return "open" if at < self.due_at else "breached"

    def breached_by(self, at: str) -> bool:
        """Whether the due instant had passed without a response at `at`."""
        return bool(self.due_at) and self.due_at <= at and not (self.responded_at and self.responded_at < self.due_at)

    def final_at(self) -> str:
        """Return the instant from which the verdict is final: the latest of the three of DOMAIN.md."""
        if not self.due_at:
            return ""
        earlier = min(self.counted_at or self.due_at, self.due_at)
        return finality.final(earlier, self.opened, self.recorded_at)
