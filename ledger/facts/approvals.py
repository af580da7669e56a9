"""Facts of a request for approval: asked, then given, refused or withdrawn. Each request has a stream (R-1, R-2 …).

What an approved act itself did stands in its own facts, whose `approval` says how their `approver` approved:
`R-1` by an act of a second person (that request tells who asked), `own` where a manager's own request stood at once,
`stated` where an operator recorded who had approved, "" where none was needed, and in facts from before approvals were
acts.
"""

from __future__ import annotations

from typing import ClassVar

from ledger.facts.base import Fact

Value = str | int | bool | list[str] | None


class ApprovalAsked(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A command waits for a second person; it changes nothing until then, and ends at `until`.

    `occurred_at` is the date of the asking; `values` are the command's own, parsed; `rule` says why it needs one
    (`ledger.rules.approvals`). `effects`: by figure, what it was and what it would have become when it was asked.
    """

    TOPIC: ClassVar[str] = "approval.asked"
    request: str
    command: str
    rule: str
    role: str
    until: str
    values: dict[str, Value]
    ticket_no: str = ""
    amount: int = 0
    effects: dict[str, list[str | int | None]] = {}  # noqa: RUF012 - msgspec copies it for each fact


class ApprovalGiven(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A second person approved, and in the same transaction it was done.

    `alone`: the settings name one person who may approve, who asked for it themselves.
    """

    TOPIC: ClassVar[str] = "approval.given"
    request: str
    role: str
    alone: bool = False


class ApprovalRefused(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """Whoever may approve said no."""

    TOPIC: ClassVar[str] = "approval.refused"
    request: str
    role: str


class ApprovalWithdrawn(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """Who had asked took it back."""

    TOPIC: ClassVar[str] = "approval.withdrawn"
    request: str
