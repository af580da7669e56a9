"""Questions on what is to be done now, and on what is worth a look: the live queue, the radar."""

from __future__ import annotations

import re
from typing import Any

from ledger.command import AGENTS, LEVEL, MANAGERS, Question, may
from ledger.errors import Malformed
from ledger.fields import Flag, Id, Kind, Month, Text, Whole

_PERCENT = re.compile(r"([0-9]{1,2})(?:\.([0-9]{1,2}))?|100(?:\.0{1,2})?", re.ASCII)
MOST_MINUTES = 60 * 24 * 31


class Percent(Kind):
    """A share in per cent as text with at most two decimals; parsed to hundredths of a per cent (95 is 9500)."""

    def parse(self, value: Any, field: str) -> int:
        match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise Malformed(field, value, "remedy_percent")
        if match[1] is None:
            return 10_000
        return int(match[1]) * 100 + int((match[2] or "0").ljust(2, "0"))

    def schema(self) -> dict[str, Any]:
        return {
            "type": "string",
            "pattern": r"^([0-9]{1,2}(\.[0-9]{1,2})?|100(\.0{1,2})?)$",
            "examples": ["95", "99.5"],
        }


QUEUE_QUESTIONS = (
    Question(
        "queue",
        (
            may("agent", Id()),
            may("level", LEVEL),
            may("minutes", Whole(1, MOST_MINUTES)),
            may("limit", Whole(1, 200)),
            may("cursor", Text(4000)),
            may("budget", Flag()),
            may("share", Percent()),
        ),
        AGENTS,
        "/sla/queue",
        own="agent",
    ),
    Question("radar", (may("month", Month()),), MANAGERS, "/sla/radar"),
)
