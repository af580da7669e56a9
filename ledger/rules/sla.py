"""The clock of one case: its promise, what moved it, and the verdict (DOMAIN.md, "Response targets").

Instants are canonical strings, so they compare as text, exact to the microsecond. `due_at` is the earliest
instant at which the counted time equals the limit: met iff the response came before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from ledger import facts as f
from ledger.rules import instants
from ledger.rules.subscriptions import local_day, midnight

PRIORITIES = ("low", "medium", "high")
CHANNELS = ("platform", "chat", "phone", "email")
REMINDER_AGE = timedelta(hours=1)
REOPEN_WITHIN = timedelta(days=7)
_FINAL_AFTER = timedelta(hours=72)


def channel_counts(channel: str, priority: str) -> bool:
    """Whether an answer through `channel` stops the clock: the platform always, chat for high (FAQ)."""
    return channel == "platform" or (channel == "chat" and priority == "high")


def direction(before: str, after: str) -> str:
    """Return "raise", "lower" or "" for a change of priority."""
    step = PRIORITIES.index(after) - PRIORITIES.index(before)
    return "raise" if step > 0 else "lower" if step < 0 else ""


@dataclass(slots=True)
class Clock:
    """A case as its facts tell it, dates before positions. Empty strings mean "not (yet)"."""

    opened: f.TicketOpened
    recorded_at: str = ""
    request: str = ""
    level: str = ""
    priority: str = ""
    grant: str = ""
    due_at: str = ""
    first_due: str = ""
    first_limit: tuple[str, str] = ("", "")  # the level and priority whose limit gave `first_due`
    started_at: str = ""  # from when `first_due` was counted
    verdict_level: str = ""
    verdict_priority: str = ""
    responded_at: str = ""
    responded_by: str = ""
    assigned_to: str = ""
    waiting_since: str = ""
    resolved_at: str = ""
    reminded_at: str = ""
    heard_at: str = ""
    reopened: int = 0
    excluded: str = ""
    approver: str = ""
    given_back: bool = False
    waits: list[tuple[str, str]] = field(default_factory=list)

    def verdict(self, at: str) -> str:
        """Return met, breached, open, excluded or none, as of instant `at`."""
        raw = self.raw_verdict(at)
        return "excluded" if raw != "none" and self.excluded else raw

    def raw_verdict(self, at: str) -> str:
        """Return the verdict that ignores exclusions."""
        if not self.due_at:
            return "none"
        if self.responded_at:
            return "met" if self.responded_at < self.due_at else "breached"
        return "open" if at < self.due_at else "breached"

    def breached_by(self, at: str) -> bool:
        """Whether the due instant had passed without a response at `at`."""
        return bool(self.due_at) and self.due_at <= at and not (self.responded_at and self.responded_at < self.due_at)

    def final_at(self) -> str:
        """Return the instant from which the verdict is final: the latest of the three of DOMAIN.md."""
        if not self.due_at:
            return ""
        earlier = min(self.responded_at or self.due_at, self.due_at)
        candidates = [_later(earlier, _FINAL_AFTER), self._month_end()]
        if self.opened.source.startswith("import") and self.recorded_at:
            candidates.append(_later(self.recorded_at, _FINAL_AFTER))
        return max(candidates)

    def _month_end(self) -> str:
        day = local_day(self.opened.occurred_at, self.opened.zone)
        following = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        return midnight(following, self.opened.zone)


def run(facts: Iterable[f.TicketFact], at: str, recorded_at: str = "") -> Clock | None:
    """Fold a case's facts (in the order of the log) as of instant `at`; None when it was not open yet.

    `recorded_at` is when its opening was recorded (for imported cases, which are final later).
    """
    known = sorted((fact for fact in facts if fact.occurred_at <= at), key=lambda fact: fact.occurred_at)
    opened = next((fact for fact in known if isinstance(fact, f.TicketOpened)), None)
    if opened is None:
        return None
    clock = Clock(opened, recorded_at, opened.request, opened.level, opened.priority, opened.grant)
    if opened.due_at:
        _starts(clock, opened.occurred_at, opened.due_at, opened.level)
    # The first response decides which changes came before it, whatever was recorded first.
    response = next((fact for fact in known if _responds(fact)), None)
    if response is not None:
        clock.responded_at, clock.responded_by = response.occurred_at, response.by
    for fact in known:
        _apply(clock, fact)
    return clock


def _responds(fact: f.TicketFact) -> bool:
    return (isinstance(fact, f.TicketResponded) and fact.counts) or isinstance(fact, f.TicketResolved)


def _apply(clock: Clock, fact: f.TicketFact) -> None:
    at = fact.occurred_at
    match fact:
        case f.TicketPrioritised():
            _prioritised(clock, fact)
        case f.TicketReclassified():
            _reclassified(clock, fact)
        case f.TicketWaiting():
            clock.waiting_since = clock.waiting_since or at
        case f.TicketResumed():
            _end_wait(clock, at)
            clock.heard_at = at
        case f.TicketResolved():
            _end_wait(clock, at)
            clock.resolved_at = at
        case f.TicketReopened():
            clock.resolved_at = ""
            clock.reopened += 1
        case f.TicketAssigned():
            clock.assigned_to = fact.to
        case f.TicketGivenBack():
            clock.given_back = True
        case f.TicketExcluded():
            clock.excluded, clock.approver = fact.reason or "excluded", fact.approver
        case f.TicketAcknowledged():
            clock.reminded_at = at


def _end_wait(clock: Clock, at: str) -> None:
    if clock.waiting_since:
        clock.waits.append((clock.waiting_since, at))
        clock.waiting_since = ""


def _still_runs(clock: Clock, at: str) -> bool:
    """Whether a change at `at` came before the response and before the due instant."""
    return bool(clock.due_at) and at < clock.due_at and not (clock.responded_at and clock.responded_at <= at)


def _starts(clock: Clock, at: str, due_at: str, level: str) -> None:
    clock.started_at, clock.due_at, clock.first_due = at, due_at, due_at
    clock.verdict_level, clock.verdict_priority = clock.first_limit = level, clock.priority


def _prioritised(clock: Clock, fact: f.TicketPrioritised) -> None:
    clock.priority = fact.priority
    if not (fact.due_at and _still_runs(clock, fact.occurred_at)):
        return
    # On a tie the earlier limit governs: only a due instant that really moves changes whose limit it is.
    sooner = fact.direction == "raise" and fact.due_at < clock.due_at
    later = fact.direction == "lower" and fact.due_at > clock.due_at
    if sooner or later:
        clock.due_at = fact.due_at
        clock.verdict_priority = fact.priority


def _reclassified(clock: Clock, fact: f.TicketReclassified) -> None:
    clock.request = fact.request
    clock.grant = fact.grant
    if fact.request == "administrative":
        if not clock.breached_by(fact.occurred_at):
            clock.due_at = clock.verdict_level = clock.verdict_priority = ""
        return
    if fact.level:
        clock.level = fact.level
    if not fact.due_at:
        return
    if not clock.due_at and clock.first_due:  # it was in compliance before
        clock.due_at = clock.first_due
        clock.verdict_level, clock.verdict_priority = clock.first_limit
    elif not clock.due_at:
        _starts(clock, fact.occurred_at, fact.due_at, fact.level)
    elif _still_runs(clock, fact.occurred_at) and fact.due_at < clock.due_at:
        clock.due_at = fact.due_at
        clock.verdict_level, clock.verdict_priority = fact.level, clock.priority


def _later(at: str, span: timedelta) -> str:
    return instants.to_iso(instants.from_iso(at) + span)
