"""When a card is charged: at once, at the boundary, 1, 3 and 5 days later, and with a new card (DOMAIN.md 7).

An attempt is recorded before the gateway is asked, under a natural key. One that has no answer is looked up, never
charged again; while there is one, no other is made for its charge.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from ledger.rules.charges import Charge
from ledger.rules.subscriptions import FAR, local_day, midnight

RETRY_DAYS = (0, 1, 3, 5)


@dataclass(slots=True)
class Attempt:
    """One asking of the gateway. `state`: asked, refused or paid."""

    id: str
    charge: str
    token: str
    amount: int
    asked_at: str
    state: str = "asked"
    code: str = ""
    final: bool = False
    answered_at: str = ""


class DueAttempt(NamedTuple):
    """An attempt that is to be made: its natural key, what for, and the instant by rule."""

    id: str
    charge: str
    amount: int
    at: str


def due_attempt(
    charge: Charge, made: Iterable[Attempt], *, card_id: str, card_since: str, token: str, zone: str, after: str
) -> DueAttempt | None:
    """Return the next attempt on an open charge, however far ahead its instant lies; None when there is none to make.

    A retry that was missed is not made up for: the latest one whose instant has come by `after` stands for all
    before it. A card that was refused for good is not tried again; a new one is, at once.
    """
    own = list(made)
    if any(attempt.state == "asked" for attempt in own):
        return None
    with_card = [attempt for attempt in own if attempt.token == token]
    if own and not with_card and card_since >= own[-1].asked_at:
        return DueAttempt(f"{charge.id}-{card_id}", charge.id, charge.due, max(card_since, charge.raised_at))
    if any(attempt.final for attempt in with_card):
        return None
    if charge.kind != "renewal":
        if own or not token:
            return None
        return DueAttempt(f"{charge.id}-a0", charge.id, charge.due, max(card_since, charge.raised_at))
    raised = local_day(charge.raised_at, zone)
    instants = [max(midnight(raised + timedelta(days=days), zone), charge.raised_at) for days in RETRY_DAYS]
    done = max((n for n, at in enumerate(instants) if any(a.asked_at >= at for a in own)), default=-1)
    left = [(n, at) for n, at in enumerate(instants) if n > done]
    if not left:
        return None
    come = [pair for pair in left if pair[1] <= after]
    number, at = come[-1] if come else left[0]
    if card_since > at:  # there was no card then: the first one is tried when it comes
        at = card_since
    return DueAttempt(f"{charge.id}-a{number}", charge.id, charge.due, at)


def earliest(attempts: Iterable[DueAttempt]) -> str:
    """Return the instant of the first attempt, FAR when there is none."""
    return min((attempt.at for attempt in attempts), default=FAR)
