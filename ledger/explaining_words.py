"""An explanation in short lines that a manager can read to a customer on the phone, in Spanish (es_GT) and English.

Times are those of the case's zone, to the second; microseconds are said where less than a second decided.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from ledger.scenarios import UNNAMED
from ledger.texts import text

Answer = dict[str, Any]
_SECOND = 1_000_000
_AT_ONCE = timedelta(minutes=1)
_UNITS = ((86_400 * _SECOND, "d"), (3_600 * _SECOND, "h"), (60 * _SECOND, "min"), (_SECOND, "s"))


def words(told: Answer, lang: str) -> list[str]:
    """Return the lines of an explanation (`ledger.explaining`) in `lang`, "es_GT" or "en"."""
    lines = [
        *_under(told, lang),
        *verdict_lines(told, lang),
        *rule_lines(told, lang),
        *change_lines(told, lang),
        *_response(told, lang),
        *_uncounted(told, lang),
        *_time(told, lang),
        *_waits(told, lang),
        *_beside(told, lang),
        *_final(told, lang),
        *_others(told, lang),
        *_measured(told, lang),
    ]
    return [sentence(line) for line in lines]


def sentence(line: str) -> str:
    """Return a line with a capital at its beginning."""
    return line[:1].upper() + line[1:]


def span(us: int, *, up: bool = False) -> str:
    """Return a duration as people read it: whole seconds (rounded down, or `up`), microseconds below a second."""
    if 0 < us < _SECOND:
        return f"{us} µs"
    left = -(-us // _SECOND) * _SECOND if up else us
    parts = []
    for size, unit in _UNITS:
        number, left = divmod(left, size)
        if number:
            parts.append(f"{number} {unit}")
    return " ".join(parts) or "0 s"


def clock_time(instant: str, *, sharp: bool = False) -> str:
    """Return the wall time of an instant as answers show it: to the second, to the microsecond when `sharp`."""
    return datetime.fromisoformat(instant).strftime("%H:%M:%S.%f" if sharp else "%H:%M:%S")


def day_of(instant: str, lang: str) -> str:
    """Return the date of an instant or a date's text in words: "lunes 4 de mayo"."""
    return text("explain_date", lang, **_date_parts(date.fromisoformat(instant[:10]), lang))


def _date_parts(day: date, lang: str) -> Answer:
    return {
        "weekday": text("explain_days", lang).split(",")[day.weekday()],
        "day": day.day,
        "month": text("explain_months", lang).split(",")[day.month - 1],
        "year": day.year,
    }


def moment(instant: str, lang: str, *, sharp: bool = False) -> str:
    """Return an instant in words: "el lunes 4 de mayo de 2026 a las 10:00:00"."""
    parts = _date_parts(date.fromisoformat(instant[:10]), lang)
    return text("explain_moment", lang, **parts, time=clock_time(instant, sharp=sharp))


def _sharp(told: Answer) -> bool:
    """Whether less than a second decided: then microseconds are said."""
    return bool(told["due_at"] and told["responded_at"]) and abs(told["late_by_us"] - told["early_by_us"]) < _SECOND


def _value(name: str | None, lang: str) -> str:
    return text(f"value_{name}", lang) if name else "-"


def _under(told: Answer, lang: str) -> Iterator[str]:
    if under := told.get("under"):
        key = "explain_under_asked" if under["scenario"] == UNNAMED else "explain_under"
        yield text(key, lang, scenario=under["scenario"])


def verdict_lines(told: Answer, lang: str) -> Iterator[str]:
    """Yield the verdict and by how much, then how reports show it where that differs."""
    raw, key = told["raw"], f"explain_{told['raw']}"
    if raw == "breached" and not told["responded_at"]:
        key = "explain_breached_open"
    elif raw == "breached" and not told["late_by_us"]:
        key = "explain_breached_sharp"
    yield text(
        key,
        lang,
        ticket=told["ticket"],
        early=span(told["early_by_us"]),
        late=span(told["late_by_us"], up=True),
        left=span(told["left_us"]),
        request=_value(told["request"], lang),
    )
    if told["verdict"] != raw:
        yield text("explain_beside", lang, verdict=_value(told["verdict"], lang), raw=_value(raw, lang))


def rule_lines(told: Answer, lang: str) -> Iterator[str]:
    """Yield the rule that governs, the opening and the due instant; of a case without a target only the time zone."""
    if told["limit_us"] is None:
        yield text("explain_zone", lang, zone=told["zone"])
        return
    name = told["calendar"].partition("@")[0]
    key = "explain_always" if name == "24x7" else "explain_hours"
    yield text(
        "explain_rule",
        lang,
        policy=told["policy"] or "-",
        level=_value(told["level"], lang),
        priority=_value(told["priority"], lang),
        limit=span(told["limit_us"]),
        calendar=text(key, lang, calendar=told["calendar"], zone=told["calendar_zone"]),
    )
    if told.get("stated"):
        yield text("explain_stated", lang, stated=told["stated"], priority=_value(told["priority"], lang))
    due = told["due_at"]
    if due is None:
        yield text("explain_stands_still", lang, opened=moment(told["opened_at"], lang), zone=told["zone"])
        return
    facts = {"due_time": clock_time(due, sharp=_sharp(told)), "due_date": day_of(due, lang), "zone": told["zone"]}
    yield text("explain_opened", lang, opened=moment(told["opened_at"], lang), **facts)
    if not told["reproduced"]:
        yield text("explain_not_reproduced", lang)


def change_lines(told: Answer, lang: str) -> Iterator[str]:
    """Yield each change of the due instant, with who made it and why."""
    for change in told["changes"]:
        if change["cause"] == "opened":
            continue
        facts = {
            "at": moment(change["at"], lang) + _made_before(change, lang),
            "cause": text(f"cause_{change['cause']}", lang, to=_value(change["to"], lang)),
            "by": change["by"],
            "reason": _reason(change, lang) + _grounds(change, lang),
        }
        if change["before"] == change["after"]:
            line = text("explain_change_none", lang, **facts)
        else:
            ends = {"before": _edge("from", change["before"], lang), "after": _edge("to", change["after"], lang)}
            line = text("explain_change", lang, **facts, **ends)
        yield line + _typed_later(change["at"], change.get("recorded_at"), lang)


def _made_before(change: Answer, lang: str) -> str:
    """Return when a raise was made that acts only now, since the case came back to compliance; "" for any other."""
    if change["made_at"] == change["at"]:
        return ""
    return " " + text("explain_made_before", lang, at=moment(change["made_at"], lang))


def _grounds(change: Answer, lang: str) -> str:
    """Return what a lowering stood on; "" for any other change."""
    if change["agreed"]:
        return text("explain_agreed", lang)
    if change["reminder"] is None:
        return ""
    key = "explain_reminded" if change["reminder_by"] else "explain_reminded_by_nobody"
    return text(key, lang, at=moment(change["reminder"], lang), by=change["reminder_by"] or "")


def _reason(given: Answer, lang: str) -> str:
    return text("explain_reason", lang, reason=given["reason"]) if given["reason"] else ""


def _typed_later(at: str, recorded_at: str | None, lang: str) -> str:
    """Return when a fact was recorded, where that was later than it happened; "" where it was at once."""
    if recorded_at is None or datetime.fromisoformat(recorded_at) - datetime.fromisoformat(at) < _AT_ONCE:
        return ""
    return " " + text("explain_recorded", lang, at=moment(recorded_at, lang))


def _edge(which: str, instant: str | None, lang: str) -> str:
    if instant is None:
        return text(f"explain_{which}_none", lang)
    return text(f"explain_{which}", lang, date=day_of(instant, lang), time=clock_time(instant))


def _response(told: Answer, lang: str) -> Iterator[str]:
    if told["responded_at"]:
        key = "explain_answered" if told["channel"] else "explain_resolved"
        at = moment(told["responded_at"], lang, sharp=_sharp(told))
        key = "explain_asked" if told["asked"] else key
        line = text(
            key,
            lang,
            by=told["responded_by"] or text("explain_nobody", lang),
            channel=told["channel"],
            at=at,
        )
        yield line + _typed_later(told["responded_at"], told.get("response_recorded_at"), lang)
    if told["answered_in"]:
        yield text("explain_via", lang, ticket=told["answered_in"])
    elif told["merged_into"]:
        yield text("explain_merged", lang, ticket=told["merged_into"])


def _uncounted(told: Answer, lang: str) -> Iterator[str]:
    """Yield each answer that did not count, with why."""
    for one in told["uncounted"]:
        facts = {"by": one["by"], "at": moment(one["at"], lang), "channel": one["channel"]}
        line = text(f"uncounted_{one['why']}", lang, **facts)
        yield line + _typed_later(one["at"], one["recorded_at"], lang)


def _time(told: Answer, lang: str) -> Iterator[str]:
    if told["limit_us"] is None:
        return
    closed = told["span_us"] - told["elapsed_us"]
    number = sum(one["counted"] for one in told["segments"])
    yield text(
        "explain_time" if closed else "explain_time_all",
        lang,
        until=text(f"explain_until_{told['until']}", lang),
        span=span(told["span_us"], up=True),
        elapsed=span(told["elapsed_us"], up=True),
        closed=span(closed),
        number=_number("explain_segments", number, lang),
    )
    if closed:
        yield text("explain_closed", lang, parts=", ".join(_closed(told, lang)))
    for one in told.get("unpublished", ()):
        years = ", ".join(map(str, one["years"]))
        yield text("explain_unpublished", lang, calendar=one["calendar"], years=years)
    start = told["limits"][-1]["from"]
    if start != told["opened_at"] and told["used_us"]:
        facts = {
            "date": day_of(start, lang),
            "time": clock_time(start),
            "used": span(told["used_us"], up=True),
            "limit": span(told["limit_us"]),
        }
        yield text("explain_used_answered" if told["responded_at"] else "explain_used", lang, **facts)


def _closed(told: Answer, lang: str) -> Iterator[str]:
    """Yield what was not counted, one part a reason and date, in the order of their first."""
    sums: dict[tuple[str, str, str], int] = {}
    for one in told["segments"]:
        if not one["counted"]:
            key = (one["why"], one["day"] or "", one.get("holiday") or "")
            sums[key] = sums.get(key, 0) + one["us"]
    for (why, day, name), us in sums.items():
        parts = [text(f"why_{why}", lang), day_of(day, lang) if day else "", f"({name})" if name else "", span(us)]
        yield " ".join(part for part in parts if part)


def _number(key: str, number: int, lang: str) -> str:
    return text(f"{key}_one" if number == 1 else key, lang, number=number)


def _waits(told: Answer, lang: str) -> Iterator[str]:
    end = datetime.fromisoformat(told["responded_at"] or told["at"])
    begun = [(datetime.fromisoformat(w["from"]), w["until"]) for w in told["waits"]]
    spans = [
        (since, min(datetime.fromisoformat(until), end) if until else end) for since, until in begun if since < end
    ]
    if told["limit_us"] is not None and spans:
        total = sum((until - since) // timedelta(microseconds=1) for since, until in spans)
        pausing = told.get("under", {}).get("pause") == "waiting"
        key = "explain_waits_pause" if pausing else "explain_waits"
        yield text(key, lang, number=_number("explain_times", len(spans), lang), total=span(total, up=True))


def _beside(told: Answer, lang: str) -> Iterator[str]:
    for name in ("excluded", "revised"):
        if (one := told[name]) is not None:
            facts = {"at": moment(one["at"], lang), "approver": one["approver"], "reason": _reason(one, lang)}
            key = f"explain_{name}" if one.get("stands", True) else f"explain_{name}_void"
            yield text(key, lang, **facts, verdict=_value(one.get("verdict"), lang))
    if late := told["late_facts"]:
        number = _number("explain_times", len(late), lang)
        yield text("explain_late_facts", lang, number=number, recorded=moment(late[0]["recorded_at"], lang))


def _final(told: Answer, lang: str) -> Iterator[str]:
    if told["final_at"]:
        at = moment(told["final_at"], lang)
        key = "explain_final" if told["final"] else "explain_not_final"
        yield text(key, lang, at=at, at_date=at.removeprefix("on "))


def _others(told: Answer, lang: str) -> Iterator[str]:
    sharp = _sharp(told)
    for one in told["counterfactuals"]:
        key = f"other_{one['kind']}" + (f"_{one['of']}" if one["kind"] == "without" else "")
        if one["kind"] == "answered_before" and told["raw"] != "breached":
            key += f"_{told['raw']}"
        if one["due_at"] is None:  # no target, or a clock that stands still
            if one["kind"] == "late_facts" and one["verdict"] == "none":
                yield text("other_late_facts_none", lang)
            continue
        yield text(
            key,
            lang,
            change=moment(one["at"], lang) if one["at"] else "",
            of=_value(one["of"], lang) if one["kind"] == "level" else one["of"],
            date=day_of(one["due_at"], lang),
            time=clock_time(one["due_at"], sharp=sharp and one["kind"] == "answered_before"),
            verdict=_value(one["verdict"], lang),
        )


def _measured(told: Answer, lang: str) -> Iterator[str]:
    parts = []
    if asked := told["next_responses"]:
        worst = span(max(one["plain_us"] for one in asked), up=True)
        parts.append(text("explain_next", lang, number=len(asked), worst=worst))
    for one in told["resolutions"]:
        if one["until"] or told["responded_at"]:
            key = "explain_resolution" if one["until"] else "explain_resolution_open"
            parts.append(text(key, lang, plain=span(one["plain_us"], up=True)))
    if parts:
        yield text("explain_measured", lang, parts="; ".join(parts))
