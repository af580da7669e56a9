"""The clock of one case: its promise, what moved it, and the verdict (DOMAIN.md, "Response targets").

Instants are canonical strings, so they compare as text, exact to the microsecond. `due_at` is the earliest
instant at which the counted time equals the limit: met iff the response came before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import compress

from ledger import facts as f
from ledger.rules import finality, people
from ledger.rules.case_clock import Clock, Left, Move
from ledger.rules.grants import LEVELS
from ledger.rules.responses import channel_of, first_response

__all__ = ["PRIORITIES", "REMINDER_AGE", "REOPEN_WITHIN", "Clock", "Left", "Move", "Policy", "Promise"]
__all__ += ["direction", "run"]

PRIORITIES = ("low", "medium", "high")
REMINDER_AGE = timedelta(hours=1)
REOPEN_WITHIN = timedelta(days=7)


def direction(before: str, after: str) -> str:
    """Return "raise", "lower" or "" for a change of priority."""
    step = PRIORITIES.index(after) - PRIORITIES.index(before)
    return "raise" if step > 0 else "lower" if step < 0 else ""


# What another policy would promise: (level, priority, instant counted from) -> due instant.
Promise = Callable[[str, str, str], str]
# Another policy: what it promises a case of which these facts count.
Policy = Callable[[Sequence[f.TicketFact]], Promise]


def run(
    facts: Sequence[f.TicketFact], at: str, recorded: Sequence[str] = (), policy: Policy | None = None
) -> Clock | None:
    """Fold a case's facts (in the order of the log) as of instant `at`; None when it was not open yet.

    `recorded` are the instants at which they were recorded, one each: facts that came after the verdict was final do
    not change it (without them, nothing is final). Another `policy` promises every due instant anew; what came before
    the verdict was final under it, or under the case's own, counts.
    """
    facts, recorded = _without_warnings(facts, recorded)
    # When it became final follows from everything that happened, whatever instant is asked about.
    in_time = _counted(facts, recorded, None) if recorded else len(facts)
    if policy is not None and in_time < len(facts):
        in_time = max(in_time, _counted(facts, recorded, policy))
    known = [fact for fact in facts if fact.occurred_at <= at]
    counted = [fact for fact in facts[:in_time] if fact.occurred_at <= at]
    promise = policy(counted) if policy is not None else None
    clock = _fold(known, recorded[0] if recorded else "", promise)
    if clock is None or in_time == len(facts):
        return clock
    if len(counted) < len(known):
        final = _fold(counted, clock.recorded_at, promise)
        assert final is not None
        for name in _FROZEN:
            setattr(clock, name, getattr(final, name))
        clock.late = known[len(counted) :]  # both are in the order of the log
    return clock


# What the verdict stands on: it stays as it was when the verdict became final.
_FROZEN = (
    *("due_at", "first_due", "first_limit", "started_at", "verdict_level", "verdict_priority"),
    *("counted_at", "excluded", "approver", "self_approved", "policy", "moves"),
)


def _without_warnings(
    facts: Sequence[f.TicketFact], recorded: Sequence[str]
) -> tuple[Sequence[f.TicketFact], Sequence[str]]:
    """Leave warnings out: they follow from the other facts, so they move nothing and come too late for nothing."""
    if f.TicketWarned not in map(type, facts):
        return facts, recorded
    stays = [type(fact) is not f.TicketWarned for fact in facts]
    return list(compress(facts, stays)), list(compress(recorded, stays))


def _counted(facts: Sequence[f.TicketFact], recorded: Sequence[str], policy: Policy | None) -> int:
    """Return how many facts, in the order of the log, were recorded before the verdict they make was final."""
    opened = next(fact for fact in facts if isinstance(fact, f.TicketOpened))
    floor = finality.floor(opened, recorded[0])
    if recorded[-1] < floor:
        return len(facts)
    # Neither a response nor a due instant is dated before the case's first fact: no verdict is final before this.
    floor = max(floor, finality.settled(min(map(_date, facts))))
    for number in range(1, len(facts)):
        if recorded[number] < floor:
            continue
        clock = _fold(facts[:number], recorded[0], policy(facts[:number]) if policy is not None else None)
        if clock is not None and clock.due_at and recorded[number] >= clock.final_at():
            return number
    return len(facts)


def _fold(facts: Sequence[f.TicketFact], recorded_at: str, promise: Promise | None) -> Clock | None:
    known = sorted(facts, key=_date)
    opened = next((fact for fact in known if isinstance(fact, f.TicketOpened)), None)
    if opened is None:
        return None
    clock = Clock(opened, recorded_at, opened.request, opened.level, opened.priority, opened.grant)
    if opened.due_at:
        due_at = promise(opened.level, opened.priority, opened.occurred_at) if promise else opened.due_at
        _starts(clock, opened, due_at)
        _moved(clock, opened, "opened", "")
    # The first response decides which changes came before it, whatever was recorded first.
    response = first_response(known, opened.priority)
    if response is not None:
        clock.responded_at = clock.counted_at = response.occurred_at
        clock.responded_by = response.by
        clock.channel = channel_of(response)
    for fact in known:
        if type(fact) not in _STILL:
            _apply(clock, fact, promise)
    return clock


def _date(fact: f.TicketFact) -> str:
    return fact.occurred_at


# Most facts of a case: they move nothing that `_fold` has not taken from them.
_STILL = frozenset({f.TicketOpened, f.TicketResponded, f.TicketNoted, f.TicketAcknowledged, f.TicketReminded})
_STILL |= {f.TicketJudgedElsewhere}


def _apply(clock: Clock, fact: f.TicketFact, promise: Promise | None) -> None:
    at = fact.occurred_at
    match fact:  # what nearly every case has comes first
        case f.TicketAssigned():
            clock.assigned_to = fact.to
        case f.TicketResolved():
            clock.waiting_since = ""
            clock.resolved_at = at
        case f.TicketPrioritised():
            _prioritised(clock, fact, promise)
        case f.TicketReclassified():
            _reclassified(clock, fact, promise)
        case f.TicketPlanUpgraded():
            _upgraded(clock, fact, promise)
        case f.TicketMessage():
            clock.waiting_since = ""
            clock.heard_at = at
        case f.TicketMerged():
            clock.merged_into = fact.into
        case f.TicketRevised():
            clock.revised, clock.revised_by, clock.revision = fact.verdict, fact.approver, fact.reason
        case f.TicketWaiting():
            clock.waiting_since = clock.waiting_since or at
        case f.TicketResumed():
            clock.waiting_since = ""
            clock.heard_at = at
        case f.TicketReopened():
            clock.resolved_at = ""
            clock.reopened += 1
        case f.TicketGivenBack():
            clock.given_back = True
        case f.TicketExcluded():
            _excluded(clock, fact)


def _excluded(clock: Clock, fact: f.TicketExcluded) -> None:
    """Take an exclusion; one whose approver is the answering agent does not stand, whichever of both came first."""
    same = people.same if fact.approval else people.spelt_same  # as names were compared when it was recorded
    if not fact.alone and same(fact.approver, clock.responded_by):
        clock.self_approved = fact.approver
    else:
        clock.excluded, clock.approver = fact.reason or "excluded", fact.approver


def _still_runs(clock: Clock, at: str) -> bool:
    """Whether a change at `at` came before the response and before the due instant."""
    return bool(clock.due_at) and at < clock.due_at and not (clock.responded_at and clock.responded_at <= at)


def _starts(clock: Clock, fact: f.TicketOpened | f.TicketReclassified, due_at: str) -> None:
    clock.started_at, clock.due_at, clock.first_due, clock.policy = fact.occurred_at, due_at, due_at, fact.policy
    clock.verdict_level, clock.verdict_priority = clock.first_limit = fact.level, clock.priority


def _moved(clock: Clock, fact: f.TicketFact, cause: str, before: str, at: str = "") -> None:
    """Keep what `fact` moved, at its own instant or when it came to act (`at`)."""
    limit = clock.verdict_level, clock.verdict_priority
    clock.moves.append(Move(at or fact.occurred_at, cause, before, clock.due_at, *limit, fact.by, fact.reason, fact))


def _prioritised(clock: Clock, fact: f.TicketPrioritised, promise: Promise | None) -> None:
    clock.priority, before = fact.priority, clock.due_at
    if not _still_runs(clock, fact.occurred_at):
        if clock.left is not None and fact.direction == "raise":
            clock.left = clock.left._replace(raises=(*clock.left.raises, fact))
        return
    due_at = fact.due_at
    if promise is not None:
        # Under another policy it may run where it had ended: a lowering without grounds then moved a label only.
        grounds = fact.direction == "raise" or fact.agreed or fact.reminder or fact.due_at
        start = fact.occurred_at if fact.direction == "raise" else clock.started_at
        due_at = promise(clock.level, fact.priority, start) if grounds else ""
    if not due_at:
        return
    # On a tie the earlier limit governs: only a due instant that really moves changes whose limit it is.
    if due_at < clock.due_at if fact.direction == "raise" else due_at > clock.due_at:
        clock.due_at = due_at
        clock.verdict_level, clock.verdict_priority = clock.level, fact.priority
    _moved(clock, fact, "raised" if fact.direction == "raise" else "lowered", before)


def _upgraded(clock: Clock, fact: f.TicketPlanUpgraded, promise: Promise | None) -> None:
    """Raise it to the plan's new level; a case that does not run then keeps the level it had."""
    if not _still_runs(clock, fact.occurred_at):
        return
    clock.level, before = fact.level, clock.due_at
    # What was recorded later may have given it another priority then: each was promised.
    due_at = fact.dues.get(clock.priority, fact.due_at)
    if promise is not None:
        due_at = promise(fact.level, clock.priority, fact.occurred_at)
    if due_at < clock.due_at:
        clock.due_at = due_at
        clock.verdict_level, clock.verdict_priority = fact.level, clock.priority
    _moved(clock, fact, "upgraded", before)


def _reclassified(clock: Clock, fact: f.TicketReclassified, promise: Promise | None) -> None:
    clock.request = fact.request
    clock.grant = fact.grant
    before, at = clock.due_at, fact.occurred_at
    if fact.request == "administrative":
        if not clock.breached_by(at):
            clock.left = Left(before, (clock.verdict_level, clock.verdict_priority), clock.level, clock.priority)
            clock.due_at = clock.verdict_level = clock.verdict_priority = ""
            if before:
                _moved(clock, fact, "left", before)
        return
    if fact.level:
        clock.level = fact.level
    if fact.returns:
        _returned(clock, fact, promise)
        return
    if not fact.due_at:
        return
    due_at = promise(fact.level, clock.priority, at) if promise else fact.due_at
    if not clock.due_at and clock.first_due:  # it was in compliance before
        clock.due_at = clock.first_due
        clock.verdict_level, clock.verdict_priority = clock.first_limit
    elif not clock.due_at:
        _starts(clock, fact, due_at)
    elif _still_runs(clock, at) and due_at < clock.due_at:
        clock.due_at = due_at
        clock.verdict_level, clock.verdict_priority = fact.level, clock.priority
    _moved(clock, fact, "joined", before)


def _returned(clock: Clock, fact: f.TicketReclassified, promise: Promise | None) -> None:
    """Restore the due instant it had when it left; a raise made meanwhile, of priority or plan, acts now.

    A case that was breached never left; one whose breach was undone by its answer's date did.
    """
    left = clock.left
    if clock.due_at or left is None or not left.due_at:
        return
    clock.due_at = left.due_at
    clock.verdict_level, clock.verdict_priority = left.limit
    _moved(clock, fact, "joined", "")
    raised = PRIORITIES.index(clock.priority) > PRIORITIES.index(left.priority)
    upgraded = bool(left.level) and LEVELS.index(clock.level) > LEVELS.index(left.level)
    if not (raised or upgraded) or not _still_runs(clock, fact.occurred_at):
        return
    due_at = promise(fact.level, clock.priority, fact.occurred_at) if promise else fact.raised_due
    if due_at < clock.due_at:
        clock.due_at = due_at
        clock.verdict_level, clock.verdict_priority = fact.level, clock.priority
    made = left.raises[-1] if raised and left.raises else fact
    _moved(clock, made, "raised" if raised else "upgraded", left.due_at, fact.occurred_at)
