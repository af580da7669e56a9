"""The question of other policies: what every verdict would have been under other limits, calendars or holidays."""

from __future__ import annotations

from ledger.command import AT, KNOWN_AT, MANAGERS, Question, may
from ledger.fields import Choice, Date, Flag, Whole
from ledger.scenarios import PAUSES, InCell, Part, Share

MOST_FLIPS = 100_000

WHATIF_QUESTIONS = (
    Question(
        "what_if",
        (
            may("limits", Part("limits", "basic/high=1h,advanced/high=30m")),
            may("calendars", Part("calendars", "gt-business")),
            may("holidays", Part("holidays", "2026-12-24,2026-12-31")),
            may("zone", Part("zone", "Europe/Rome")),
            may("pause", Choice(PAUSES)),
            may(
                "define",
                Part("define", '{"rome": {"zone": "Europe/Rome", "week": {"mon": [["09:00", "18:00"]]}}}'),
            ),
            may("scenarios", Part("scenarios", "strict:basic/high=1h;business:calendar=gt-business")),
            may("aim", Share()),
            may("for", InCell()),
            may("from", Date()),
            may("to", Date()),
            may("raw", Flag()),
            may("flips", Whole(0, MOST_FLIPS)),
            may("curve", Flag()),
            may("explain", Flag()),
            AT,
            KNOWN_AT,
        ),
        MANAGERS,
        "/sla/what-if",
    ),
)
