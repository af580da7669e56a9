"""What follows from the dates against what the log has recorded of it; the difference is what to append.

A correction is dated at the instant of the fact it corrects (DOMAIN.md, "Dates decide, events record").
"""

from __future__ import annotations

from msgspec.structs import replace

from ledger import facts as f

_NET = frozenset({*f.COUNTS, f.DueFactWithdrawn})  # what adds to, or takes away, an earlier record


class Journal:
    """Due facts by natural key: `derived` by rule, `recorded` by the log (net of its corrections)."""

    def __init__(self) -> None:
        self.derived: dict[str, f.Due] = {}
        self.recorded: dict[str, f.Due] = {}
        self._differs: dict[str, None] = {}  # keys to look at: an ordered set

    def emit(self, fact: f.Due) -> None:
        """Keep a fact that follows by rule; counts of one key and instant add up."""
        before = self.derived.get(fact.key)
        if before is not None and isinstance(fact, f.COUNTS):
            fact = replace(fact, units=_count(before) + fact.units)
        self.derived[fact.key] = fact
        if self.recorded.get(fact.key) != fact:
            self._differs[fact.key] = None

    def note(self, fact: f.Due) -> None:
        """Take in a due fact as the log has it, in the order of the log."""
        key = fact.key
        if type(fact) not in _NET:  # the plain case: it stands as it is
            self.recorded[key] = fact
        else:
            before = self.recorded.get(key)
            if isinstance(fact, f.COUNTS) and before is not None:
                fact = replace(fact, units=_count(before) + fact.units)
            if isinstance(fact, f.DueFactWithdrawn) or _count(fact) == 0:
                self.recorded.pop(key, None)
            else:
                self.recorded[key] = fact
        if self.derived.get(key) == self.recorded.get(key):
            self._differs.pop(key, None)
        else:
            self._differs[key] = None

    def missing(self, up_to: str) -> list[f.Due]:
        """Return what must be appended so that the log has what follows from the dates up to `up_to`."""
        result: list[f.Due] = []
        for key in list(self._differs):
            want, have = self.derived.get(key), self.recorded.get(key)
            if want == have:
                del self._differs[key]
            elif (want or have).occurred_at <= up_to:  # type: ignore[union-attr]  # one of them is there
                result += _difference(want, have)
        # A fact may move to an earlier date: what withdraws it comes first, else it would withdraw the new one.
        return sorted(result, key=lambda due: (not isinstance(due, f.DueFactWithdrawn), due.occurred_at))


def _count(fact: f.Due | None) -> int:
    return fact.units if isinstance(fact, f.COUNTS) else 0


def _difference(want: f.Due | None, have: f.Due | None) -> list[f.Due]:
    if have is None:
        return [want] if want is not None else []
    if isinstance(have, f.COUNTS):
        return [replace(have, units=_count(want) - have.units)]
    undo = f.DueFactWithdrawn(
        customer_no=have.customer_no,
        occurred_at=have.occurred_at,
        by=have.by,
        source=have.source,
        key=have.key,
        what=have.TOPIC,
    )
    return [undo] if want is None else [undo, want]
