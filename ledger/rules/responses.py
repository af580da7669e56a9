"""Which answers are responses: by their channel, and the priority at their instant (DOMAIN.md, "Response targets").

A question to the customer by a person is one too (`TicketWaiting.answers`), as on the platform.

Dates decide: a priority that is recorded later, but dated before an answer, may make a response of it or a note. So
the `counts` that an answer was recorded with is what was known then, and nothing here reads it, but for an answer
given in the case that this one was merged into: that case's priority decides, and its stream tells it (`via`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ledger import facts as f

CHANNELS = ("platform", "chat", "phone", "email")


def channel_counts(channel: str, priority: str) -> bool:
    """Whether an answer through `channel` stops the clock: the platform always, chat for high (FAQ)."""
    return channel == "platform" or (channel == "chat" and priority == "high")


def responses(known: Sequence[f.TicketFact], priority: str) -> Iterator[f.TicketFact]:
    """Yield the answers that are responses, questions and resolutions too.

    `known` by date, `priority` is that of the opening.
    """
    for fact in known:
        if isinstance(fact, f.TicketPrioritised):
            priority = fact.priority
        elif (
            (_counts_there(fact, known) if fact.via else channel_counts(fact.channel, priority))
            if isinstance(fact, f.TicketResponded)
            else for_good(fact)
        ):
            yield fact


def first_response(known: Sequence[f.TicketFact], priority: str) -> f.TicketFact | None:
    """Return the first response, None without one."""
    return next(responses(known, priority), None)


def _counts_there(answer: f.TicketResponded, known: Sequence[f.TicketFact]) -> bool:
    """Whether an answer given in the other case counts there, as was told last."""
    counts = answer.counts
    for fact in known:
        if (
            isinstance(fact, f.TicketResponded)
            and fact.corrects
            and (fact.via, fact.occurred_at, fact.channel) == (answer.via, answer.occurred_at, answer.channel)
        ):
            counts = fact.counts
    return counts


def for_good(fact: f.TicketFact) -> bool:
    """Whether a fact is a response whatever is recorded later: resolving, asking, or an answer on the platform."""
    match fact:
        case f.TicketWaiting():
            return fact.answers
        case f.TicketResponded():
            return fact.channel == "platform"
    return isinstance(fact, f.TicketResolved)


def answers(fact: f.TicketFact) -> bool:
    """Whether a fact is an answer to the customer, through whatever channel: it may be a response."""
    return for_good(fact) or isinstance(fact, f.TicketResponded)


def channel_of(response: f.TicketFact) -> str:
    """Return the channel of a response; "" for a resolution."""
    match response:
        case f.TicketResponded():
            return response.channel
        case f.TicketWaiting():
            return "platform"
    return ""


def reminds(fact: f.TicketFact) -> bool:
    """Whether a person reminded the customer, or called (DOMAIN.md, the clock); an acknowledgement never does."""
    return isinstance(fact, f.TicketReminded) or (isinstance(fact, f.TicketResponded) and fact.channel == "phone")
