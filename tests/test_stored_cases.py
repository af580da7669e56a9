"""Cases recorded before questions answered, reminders were kept and cases came back with the due they had left with.

`stored_cases.jsonl` holds random histories as the program of then recorded them, with what it told of each. The file
is never edited: no old verdict moves.
"""

from __future__ import annotations

import json
from pathlib import Path

from ledger import facts as f
from ledger.rules import sla
from ledger.rules.subscriptions import FAR

CASES = Path(__file__).resolve().parent / "stored_cases.jsonl"


def test_no_old_verdict_moves() -> None:
    seen = back = 0
    for number, line in enumerate(CASES.read_text("utf-8").splitlines(), 1):
        case = json.loads(line)
        facts = [f.decode(topic, json.dumps(state).encode()) for topic, state, _recorded in case["rows"]]
        known = [fact for fact in facts if isinstance(fact, f.TicketFact)]
        clock = sla.run(known, FAR, [recorded for *_row, recorded in case["rows"]])
        assert clock is not None
        assert [
            clock.due_at, clock.counted_at, clock.verdict(FAR), clock.raw_verdict(FAR), clock.verdict_level,
            clock.verdict_priority,
        ] == case["told"], f"{CASES.name}:{number}"  # fmt: skip
        seen += 1
        back += any(isinstance(x, f.TicketReclassified) and x.request != "administrative" for x in known)
    assert seen == 90
    assert back > 25
