"""What an explanation tells, JSON-native: instants in the case's zone, durations in microseconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ledger import facts as f
from ledger import holidays
from ledger.rules import explain as rules
from ledger.rules.instants import show
from ledger.rules.measures import Cycle
from ledger.rules.responses import channel_of
from ledger.rules.segments import Limit, Segment, Terms, counting
from ledger.rules.sla import Clock, Move
from ledger.rules.subscriptions import FAR, local_day

Answer = dict[str, Any]
Stamps = dict[int, str]  # when each fact was recorded, by its identity


def told_of(told: rules.Explanation, terms: Terms, known_at: str, final_at: str, stamps: Stamps) -> Answer:
    """Return the answer, without its hash and words; `known_at` and `final_at` are canonical instants or ""."""
    clock, zone = told.clock, told.clock.opened.zone
    return {
        **_rule(told, terms, known_at),
        **_verdict(told, terms, stamps),
        "limits": [_limit(one, zone) for one in told.limits],
        "segments": [_segment(one, zone, terms) for one in told.segments],
        "unpublished": _unpublished(told, terms),
        "changes": [
            {**_change(move, stamps[id(move.fact)], zone), **_grounds(move.fact, told.reminders, zone)}
            for move in clock.moves
        ],
        "late_facts": list(_late_facts(told, zone)),
        "uncounted": [_uncounted(one, zone) for one in told.uncounted],
        "excluded": _approved(told.exclusion, zone, stands=bool(clock.excluded)),
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
        **_stated(clock, governing.limit_us if governing else 0),
    }


def _stated(clock: Clock, limit_us: int) -> Answer:
    """Return another system's word for the priority whose own limit governs an imported case; nothing elsewhere."""
    facts = (move.fact for move in reversed(clock.moves) if move.after == clock.due_at)
    fact = next((x for x in facts if isinstance(x, f.TicketOpened | f.TicketPrioritised)), None)
    return {"stated": fact.stated} if fact is not None and fact.stated and fact.limit_us == limit_us else {}


def _verdict(told: rules.Explanation, terms: Terms, stamps: Stamps) -> Answer:
    """Return when it was opened, due and answered, the verdict, and by how much."""
    clock, opened, response = told.clock, told.clock.opened, told.response
    zone = opened.zone
    answered = response if isinstance(response, f.TicketResponded) else None
    return {
        "opened_at": show(opened.occurred_at, zone),
        "recorded_at": _instant(clock.recorded_at, zone),
        "due_at": _instant(clock.due_at, zone),
        "responded_at": _instant(clock.counted_at, zone),
        "response_recorded_at": _instant(stamps[id(response)], zone) if response is not None else None,
        "responded_by": (response.by or None) if response is not None else None,
        "channel": channel_of(response) or None if response is not None else None,
        "asked": isinstance(response, f.TicketWaiting),
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


def _change(move: Move, recorded_at: str, zone: str) -> Answer:
    return {
        "at": show(move.at, zone),
        "recorded_at": show(recorded_at, zone),
        "cause": move.cause,
        "to": move.level if move.cause == "upgraded" else _asked(move.fact),
        "made_at": show(move.fact.occurred_at, zone),
        "before": _instant(move.before, zone),
        "after": _instant(move.after, zone),
        "level": move.level or None,
        "priority": move.priority or None,
        "by": move.by,
        "reason": move.reason or None,
    }


def _grounds(cause: f.TicketFact, reminders: Mapping[str, f.TicketFact], zone: str) -> Answer:
    """Return what a lowering stood on: an agreement, or a reminder with who made it (None: not on record)."""
    told: Answer = dict.fromkeys(("agreed", "reminder", "reminder_by"))
    if isinstance(cause, f.TicketPrioritised) and cause.direction == "lower":
        told["agreed"] = cause.agreed
        if cause.reminder and not cause.agreed:
            made = reminders.get(cause.reminder)
            told |= {"reminder": show(cause.reminder, zone), "reminder_by": made.by if made is not None else None}
    return told


def _uncounted(one: rules.Uncounted, zone: str) -> Answer:
    return {
        "event": one.fact.TOPIC,
        "at": show(one.fact.occurred_at, zone),
        "recorded_at": show(one.recorded_at, zone),
        "by": one.fact.by,
        "channel": getattr(one.fact, "channel", None),
        "why": one.why,
    }


def _asked(cause: f.TicketFact) -> str:
    """Return the priority, level or request that a change asked for."""
    match cause:
        case f.TicketReclassified():
            return cause.request
    assert isinstance(cause, f.TicketPrioritised | f.TicketOpened)
    return cause.priority


def _instant(value: str, zone: str) -> str | None:
    return show(value, zone) if value and value < FAR else None


def _unpublished(told: rules.Explanation, terms: Terms) -> list[Answer]:
    """Return the calendars with opening hours that know no holiday of a year which the case touches, with the years."""
    found: dict[str, set[int]] = {}
    counted = counting(told.limits, told.segments)
    for number, limit in enumerate(told.limits):
        calendar = terms.calendar(limit.calendar) if limit.calendar and limit in counted else None
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


def _approved(fact: f.TicketExcluded | f.TicketRevised | None, zone: str, *, stands: bool = True) -> Answer | None:
    if fact is None:
        return None
    told: Answer = {"at": show(fact.occurred_at, zone), "by": fact.by, "approver": fact.approver, "stands": stands}
    if isinstance(fact, f.TicketRevised):
        told["verdict"] = fact.verdict
    return {**told, "reason": fact.reason or None}
