"""The explanation of a case's verdict as an answer: JSON-native, hashed, with words in both languages.

The hash is SHA-256 over the canonical JSON (sorted keys, no spaces, UTF-8) of all but `hash`, `words` and `made_with`,
so that a printed explanation can be checked later, by this ledger or by anybody. `inputs` are the events that it stands
on, with a hash of their own; `under` the scenario of a what-if, in an explanation of what would have been.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, NamedTuple

from ledger import facts as f
from ledger import holidays
from ledger.catalogue import Catalogue
from ledger.errors import NotFound, Refused
from ledger.explaining_words import words
from ledger.provenance import made_with
from ledger.rules import explain as rules
from ledger.rules.calendars import Calendar
from ledger.rules.instants import show
from ledger.rules.measures import Cycle
from ledger.rules.segments import Limit, Segment, Terms
from ledger.rules.sla import Move
from ledger.rules.subscriptions import FAR, local_day
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

    def target(self, level: str, priority: str) -> tuple[int, str]:
        """Return the limit and the calendar of a level and priority, as promised at the opening."""
        opened = self._opened
        if opened.due_at and (level, priority) == (opened.level, opened.priority):
            return opened.limit_us, opened.calendar
        if opened.policy:
            target = self._catalogue.target_of(opened.policy, level, priority, self.day)
        else:
            target = self._catalogue.target(level, priority, self.day, opened.occurred_at)
        return target.limit_us, target.calendar

    def calendar(self, reference: str) -> Calendar:
        """Return the calendar that a reference names; NotFound when the catalogue never had it."""
        try:
            return self._catalogue.calendar(reference)
        except KeyError:
            known = ", ".join(sorted(self._catalogue.calendar_names))
            raise NotFound("unknown_calendar", calendar=reference, known=known) from None

    def alternatives(self) -> list[str]:
        """Return the calendars to compare with, in the versions of the opening's day."""
        known = self._catalogue.calendar_names
        return [self._catalogue.calendar_of(name, self.day) for name in _TRIED if name in known]


class Under(NamedTuple):
    """Another policy to explain a case under: its terms, in which pauses the clock stands still, and what to call it.

    `told` names the scenario and what it changes.
    """

    terms: Terms
    pauses: rules.Pauses
    told: Answer


def explanation(
    case: Ticket, catalogue: Catalogue, at: str, *, known_at: str = "", agent: str = "", under: Under | None = None
) -> Answer:
    """Return the explanation of a case as of instant `at`; NotFound when it was not open yet.

    `known_at` is only told: the case holds the facts known then. Refused when `agent` neither answered nor holds it.
    `under` another policy it tells what would have been, of which nothing is final.
    """
    if agent and agent not in _own(case):
        raise Refused("not_your_case", ticket=case.number, agent=agent)
    terms: Terms
    if under is None:
        terms = policy = PolicyOf(case.opened, catalogue)
        told = rules.explain(case.facts, case.recorded, at, policy, policy.alternatives())
    else:
        terms = under.terms
        told = rules.explain(case.facts, case.recorded, at, terms, pauses=under.pauses)
    if told is None:
        raise NotFound("unknown_ticket", ticket=case.number)
    final_at = told.clock.final_at() if under is None else ""
    answer = {**_answer(told, terms, known_at, final_at), "inputs": _inputs(case, at)}
    if under is not None:
        answer["under"] = under.told
    answer["hash"] = digest(answer)
    answer["made_with"] = made_with()
    answer["words"] = {lang: words(answer, lang) for lang in LANGUAGES}
    return answer


def _inputs(case: Ticket, at: str) -> Answer:
    """Return the events that an explanation as of `at` stands on: where they are, and a hash over what they say."""
    first = case.version - len(case.facts) + 1
    used = [
        (version, fact, recorded_at)
        for version, (fact, recorded_at) in enumerate(zip(case.facts, case.recorded, strict=True), first)
        if fact.occurred_at <= at and not isinstance(fact, f.TicketWarned)
    ]
    lines = (b"%d %s %s %s\n" % (n, fact.TOPIC.encode(), when.encode(), f.encode(fact)) for n, fact, when in used)
    content = hashlib.sha256(b"".join(lines)).hexdigest()
    return {"stream": case.stream, "versions": [n for n, _fact, _when in used], "hash": f"sha256:{content}"}


def _own(case: Ticket) -> set[str]:
    """Return who answered the case, and who holds it."""
    answered = {x.by for x in case.facts if isinstance(x, (f.TicketResponded, f.TicketResolved))}
    holders = [x.to for x in case.facts if isinstance(x, f.TicketAssigned)]
    return answered | set(holders[-1:])


def canonical(answer: Mapping[str, Any]) -> bytes:
    """Return the canonical JSON of an explanation, without its hash and its words."""
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


# --- the answer -------------------------------------------------------------------------------------------------


def _answer(told: rules.Explanation, terms: Terms, known_at: str, final_at: str) -> Answer:
    clock, zone = told.clock, told.clock.opened.zone
    return {
        **_rule(told, terms, known_at),
        **_verdict(told, terms),
        "limits": [_limit(one, zone) for one in told.limits],
        "segments": [_segment(one, zone, terms) for one in told.segments],
        "unpublished": _unpublished(told, terms),
        "changes": [_change(move, to, zone) for move, to in zip(clock.moves, told.asked, strict=True)],
        "late_facts": list(_late_facts(told, zone)),
        "excluded": _approved(told.exclusion, zone),
        "revised": _approved(told.revision, zone),
        "final_at": _instant(final_at, zone),
        "final": bool(final_at) and final_at <= told.at,
        "waits": [
            {
                "from": show(w.start, zone),
                "until": _instant(w.end, zone),
                "us": w.us,
                "by": w.by,
                "text": w.text or None,
            }
            for w in told.waits
        ],
        "next_responses": [_cycle(one, zone) for one in told.next_responses],
        "resolutions": [_cycle(one, zone) for one in told.resolutions],
        "counterfactuals": [
            {
                "kind": one.kind,
                "of": one.of or None,
                "at": _instant(one.at, zone),
                "due_at": _instant(one.due_at, zone),
                "verdict": one.verdict,
            }
            for one in told.others
        ],
    }


def _rule(told: rules.Explanation, terms: Terms, known_at: str) -> Answer:
    """Return which case, as of when, and the rule that governs it."""
    clock, opened = told.clock, told.clock.opened
    governing = told.limits[-1] if clock.due_at and told.limits else None
    return {
        "ticket": opened.ticket_no,
        "account": opened.customer_no,
        "at": show(told.at, opened.zone),
        "known_at": _instant(known_at, opened.zone),
        "zone": opened.zone,
        "request": clock.request,
        "policy": opened.policy or None,
        "level": governing.level if governing else None,
        "priority": governing.priority if governing else None,
        "limit_us": governing.limit_us if governing else None,
        "calendar": governing.calendar if governing else None,
        "calendar_zone": terms.calendar(governing.calendar).zone if governing else None,
    }


def _verdict(told: rules.Explanation, terms: Terms) -> Answer:
    """Return when it was opened, due and answered, the verdict, and by how much."""
    clock, opened, response = told.clock, told.clock.opened, told.response
    zone = opened.zone
    answered = response if isinstance(response, f.TicketResponded) else None
    return {
        "opened_at": show(opened.occurred_at, zone),
        "recorded_at": _instant(clock.recorded_at, zone),
        "due_at": _instant(clock.due_at, zone),
        "responded_at": _instant(clock.counted_at, zone),
        "responded_by": response.by if response is not None else None,
        "channel": answered.channel if answered is not None else None,
        "answered_in": (answered.via or None) if answered is not None else None,
        "merged_into": clock.merged_into or None,
        "raw": told.raw,
        "verdict": told.verdict,
        "late_by_us": told.late_us,
        "late_by_counted_us": rules.counted_late_us(told, terms),
        "early_by_us": told.early_us,
        "until": told.until,
        "span_us": told.span_us,
        "elapsed_us": told.elapsed_us,
        "used_us": told.used_us,
        "left_us": told.left_us,
        "reproduced": told.reproduced,
    }


def _limit(one: Limit, zone: str) -> Answer:
    return {
        "cause": one.cause,
        "at": show(one.at, zone),
        "level": one.level,
        "priority": one.priority,
        "limit_us": one.limit_us,
        "calendar": one.calendar or None,
        "from": show(one.start, zone),
        "due_at": _instant(one.due_at, zone),
    }


def _change(move: Move, to: str, zone: str) -> Answer:
    return {
        "at": show(move.at, zone),
        "cause": move.cause,
        "to": to,
        "before": _instant(move.before, zone),
        "after": _instant(move.after, zone),
        "level": move.level or None,
        "priority": move.priority or None,
        "by": move.by,
        "reason": move.reason or None,
    }


def _instant(value: str, zone: str) -> str | None:
    return show(value, zone) if value and value < FAR else None


def _unpublished(told: rules.Explanation, terms: Terms) -> list[Answer]:
    """Return the calendars with opening hours that know no holiday of a year which the case touches, with the years."""
    found: dict[str, set[int]] = {}
    for number, limit in enumerate(told.limits):
        calendar = terms.calendar(limit.calendar) if limit.calendar else None
        if calendar is None or calendar.always:
            continue
        ends = [one.end for one in told.segments if one.limit == number]
        if number == len(told.limits) - 1:
            ends += [end for end in (limit.due_at, told.end) if end < FAR]
        years = [local_day(instant, calendar.zone).year for instant in (limit.start, *ends)]
        published = {day.year for day in calendar.dates}
        found.setdefault(limit.calendar, set()).update(set(range(min(years), max(years) + 1)) - published)
    return [{"calendar": name, "years": sorted(years)} for name, years in found.items() if years]


def _segment(one: Segment, zone: str, terms: Terms) -> Answer:
    return {
        "from": show(one.start, zone),
        "until": show(one.end, zone),
        "us": one.us,
        "counted": one.counted,
        "why": one.why,
        "day": one.day or None,
        "holiday": holidays.name_of(one.day, terms.calendar(one.calendar).zone) or None if one.day else None,
        "calendar": one.calendar or None,
        "limit": one.limit if one.limit >= 0 else None,
    }


def _cycle(one: Cycle, zone: str) -> Answer:
    return {
        "from": show(one.start, zone),
        "until": _instant(one.end, zone),
        "plain_us": one.plain_us,
        "counted_us": one.counted_us,
        "paused_us": one.paused_us,
    }


def _late_facts(told: rules.Explanation, zone: str) -> Iterator[Answer]:
    for fact, recorded_at in told.late:
        yield {
            "event": fact.TOPIC,
            "at": show(fact.occurred_at, zone),
            "recorded_at": show(recorded_at, zone),
            "by": fact.by,
            "reason": fact.reason or None,
        }


def _approved(fact: f.TicketExcluded | f.TicketRevised | None, zone: str) -> Answer | None:
    if fact is None:
        return None
    told: Answer = {"at": show(fact.occurred_at, zone), "by": fact.by, "approver": fact.approver}
    if isinstance(fact, f.TicketRevised):
        told["verdict"] = fact.verdict
    return {**told, "reason": fact.reason or None}
