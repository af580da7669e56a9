"""The question for a case's explanation: why its response was met or breached."""

from __future__ import annotations

from ledger.command import AGENTS, AT, KNOWN_AT, Question, may, need
from ledger.fields import Id

EXPLAIN_QUESTIONS = (
    # `agent`: only a case that they answered or hold. Over HTTP an agent's own name always stands there.
    Question(
        "explain",
        (need("ticket", Id()), AT, KNOWN_AT, may("agent", Id())),
        AGENTS,
        "/tickets/{ticket}/explanation",
        own="agent",
    ),
)
