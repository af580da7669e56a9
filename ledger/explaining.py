"""The explanation of a case's verdict as an answer: JSON-native, hashed, with words in both languages.

The hash is SHA-256 over the canonical JSON (sorted keys, no spaces, UTF-8) of all but `hash`, `words` and `made_with`,
so that a printed explanation can be checked later, by this ledger or by anybody. `inputs` are the events that it stands
on, with a hash of their own; `under` the scenario of a what-if, in an explanation of what would have been.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

from ledger import facts as f
from ledger import policies
from ledger.catalogue import Catalogue
from ledger.errors import NotFound, Refused
from ledger.explaining_answer import told_of
from ledger.explaining_words import words
from ledger.provenance import made_with
from ledger.rules import explain as rules
from ledger.rules.calendars import Calendar
from ledger.rules.responses import answers
from ledger.rules.segments import Terms
from ledger.rules.subscriptions import local_day
from ledger.texts import LANGUAGES
from ledger.ticket import Ticket

Answer = dict[str, Any]
UNHASHED = ("hash", "words", "made_with")
_TRIED = ("24x7", "gt-business")


class PolicyOf:
    """The policy of one case's opening, as the rules ask for it."""

    def __init__(self, opened: f.TicketOpened, catalogue: Catalogue) -> None:
        self._opened, self._catalogue = opened, catalogue
        self.day: date = local_day(opened.occurred_at, opened.zone)

    def target(self, level: str, priority: str, start: str = "") -> tuple[int, str]:
        """Return the limit and the calendar of a level and priority, as promised at the opening."""
        opened = self._opened
        if opened.due_at and (level, priority) == (opened.level, opened.priority):
            return opened.limit_us, opened.calendar
        target = policies.target_of(self._catalogue, opened, opened.policy, level, priority)
        return target.limit_us, target.calendar

    def calendar(self, reference: str) -> Calendar:
        """Return the calendar that a reference names; NotFound when the catalogue never had it."""
        try:
            return self._catalogue.calendar(reference)
        except KeyError:
            known = ", ".join(sorted(self._catalogue.calendar_names))
            raise NotFound("unknown_calendar", calendar=reference, known=known) from None

    def alternatives(self, at: str) -> list[str]:
        """Return the calendars to compare with, as published for the opening's day and, where that differs, by `at`.

        A holiday published later changes no promise: what it would have given stands beside it (DOMAIN.md).
        """
        today = local_day(at, self._opened.zone)
        found = [self._catalogue.calendar_of(name, day) for name in self._tried() for day in (self.day, today)]
        return list(dict.fromkeys(found))

    def newest(self) -> list[str]:
        """Return the newest version of each: a calendar that counted nothing is supposed as what-if supposes it."""
        return [self._catalogue.newest(name) for name in self._tried()]

    def _tried(self) -> list[str]:
        return [name for name in _TRIED if name in self._catalogue.calendar_names]


class Under(NamedTuple):
    """Another policy to explain a case under: its terms, and whether the clock stands still while we wait.

    `told` names the scenario and what it changes.
    """

    terms: Terms
    pausing: bool
    told: Answer


def explanation(
    case: Ticket, catalogue: Catalogue, at: str, *, known_at: str = "", agent: str = "", under: Under | None = None
) -> Answer:
    """Return the explanation of a case as of instant `at`; NotFound when it was not open yet.

    `known_at` is only told: the case holds the facts known then. Refused when it is not `agent`'s own.
    `under` another policy it tells what would have been, of which nothing is final.
    """
    if agent and agent not in _own(case):
        raise Refused("not_your_case", ticket=case.number, agent=agent)
    terms: Terms
    if under is None:
        terms = policy = PolicyOf(case.opened, catalogue)
        told = rules.explain(case.facts, case.recorded, at, policy, policy.alternatives(at), policy.newest())
    else:
        terms = under.terms
        told = rules.explain(case.facts, case.recorded, at, terms, pausing=under.pausing)
    if told is None:
        raise NotFound("unknown_ticket", ticket=case.number)
    final_at = told.clock.final_at() if under is None else ""
    stamps = {id(fact): when for fact, when in zip(case.facts, case.recorded, strict=True)}
    answer = {**told_of(told, terms, known_at, final_at, stamps), "inputs": _inputs(case, at)}
    if under is not None:
        answer["under"] = under.told
    answer["hash"] = digest(answer)
    answer["made_with"] = made_with()
    answer["words"] = {lang: words(answer, lang) for lang in LANGUAGES}
    return answer


def _inputs(case: Ticket, at: str) -> Answer:
    """Return the events that an explanation as of `at` stands on: where they are, and a hash over what they say."""
    used = [
        (version, fact, recorded_at)
        for version, (fact, recorded_at) in enumerate(zip(case.facts, case.recorded, strict=True), 1)
        if fact.occurred_at <= at and not isinstance(fact, f.TicketWarned)
    ]
    lines = (b"%d %s %s %s\n" % (n, fact.TOPIC.encode(), when.encode(), f.encode(fact)) for n, fact, when in used)
    content = hashlib.sha256(b"".join(lines)).hexdigest()
    return {"stream": case.stream, "versions": [n for n, _fact, _when in used], "hash": f"sha256:{content}"}


def _own(case: Ticket) -> set[str]:
    """Return who answered the case; who holds it as long as nobody has: it is a report on an answer."""
    answered = {x.by for x in case.facts if answers(x)}
    holders = [x.to for x in case.facts if isinstance(x, f.TicketAssigned)]
    return answered or set(holders[-1:])


def canonical(answer: Mapping[str, Any]) -> bytes:
    """Return the canonical JSON of an explanation, without what its hash does not cover (`UNHASHED`)."""
    kept = {name: value for name, value in answer.items() if name not in UNHASHED}
    return json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def digest(answer: Mapping[str, Any]) -> str:
    """Return the hash of an explanation: "sha256:" and 64 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(canonical(answer)).hexdigest()


def first_difference(saved: Any, found: Any, place: str = "") -> tuple[str, Any, Any] | None:
    """Return where two JSON values differ first (in the order of `found`), with both; None if nowhere."""
    if isinstance(saved, dict) and isinstance(found, dict):
        for name in [*found, *(name for name in saved if name not in found)]:
            where = f"{place}.{name}" if place else name
            if different := first_difference(saved.get(name), found.get(name), where):
                return different
        return None
    if isinstance(saved, list) and isinstance(found, list) and len(saved) == len(found):
        pairs = enumerate(zip(saved, found, strict=True))
        return next((d for n, (a, b) in pairs if (d := first_difference(a, b, f"{place}[{n}]"))), None)
    return None if saved == found and type(saved) is type(found) else (place, saved, found)
