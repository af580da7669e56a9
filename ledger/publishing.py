"""Publishing a month's compliance: its figures and each case's verdict, frozen by one fact in a stream of its own.

A month is published once its verdicts are final; before, only as provisional, by a manager with a reason. Provisional
reports may follow one another, and the final one stands beside them.
"""

from __future__ import annotations

import hashlib
import json

from ledger import facts as f
from ledger.account import Asked
from ledger.errors import Refused
from ledger.plans import Answer, common
from ledger.rules.instants import show
from ledger.rules.subscriptions import local_day
from ledger.store import Recorded, Store


def report_stream(month: str) -> str:
    """Return the stream of a month's reports: provisional ones, then the final one, which is its last."""
    return f"report/{month}"


def publications(store: Store, month: str, position: int | None = None) -> list[f.ReportPublished]:
    """Return the reports of a month as they were published (up to `position` of the log), in that order."""
    found = []
    for event in store.select_events(report_stream(month)):
        if position is not None and event.position > position:
            break
        fact = f.decode(event.topic, event.state, event.position)
        assert isinstance(fact, f.ReportPublished)
        found.append(fact)
    return found


def published(store: Store, month: str, position: int | None = None) -> f.ReportPublished | None:
    """Return the newest report of a month (up to `position` of the log), None where there is none."""
    return next(reversed(publications(store, month, position)), None)


def check_month(store: Store, month: str, asked: Asked, zone: str) -> int:
    """Refuse a month that is not over, and one that is published already; return its place in the stream."""
    before = publications(store, month)
    for one in before:
        if not one.provisional:
            at = show(one.occurred_at, zone)
            raise Refused("published_already", month=month, published_at=at, actor=one.by)
    if month >= local_day(asked.at, zone).isoformat()[:7]:
        raise Refused("report_month_not_over", month=month)
    return len(before) + 1


def check_final(month: str, final_from: str, asked: Asked, zone: str, *, provisional: bool) -> None:
    """Refuse a month whose verdicts are not all final, unless as provisional with a reason (DOMAIN.md, finality).

    `final_from` is the instant from which they are ("" without cases). What is final is not published as provisional.
    """
    if final_from <= asked.at:
        if provisional:
            raise Refused("report_is_final", month=month)
    elif not provisional:
        raise Refused("report_not_final", month=month, final_from=show(final_from, zone))
    elif not asked.reason:
        raise Refused("reason_required", command="report.publish")


def publish(
    month: str, place: int, asked: Asked, found: Answer, zone: str, *, provisional: bool
) -> tuple[Recorded, Answer]:
    """Return the row that publishes what was `found` (`position`, `figures`, `totals`, `cases`), and the answer."""
    content = {"month": month, "at": asked.at, **found, **_provisional(asked.reason, provisional=provisional)}
    fact = f.ReportPublished(**common("", asked), month=month, digest=digest(content), provisional=provisional, **found)
    answer = {
        "ok": True,
        "month": month,
        "published_at": show(asked.at, zone),
        "provisional": provisional,
        "cases": sum(len(cases) for cases in fact.cases.values()),
        "digest": fact.digest,
    }
    return Recorded(report_stream(month), place, fact), answer


def _provisional(reason: str, *, provisional: bool) -> Answer:
    """Return what a digest covers of a provisional report beside its figures."""
    return {"provisional": True, "reason": reason} if provisional else {}


def digest(content: Answer) -> str:
    """Return the SHA-256 of the canonical JSON: names in order, no blanks, UTF-8."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of(fact: f.ReportPublished) -> str:
    """Return the digest that a published report's content gives: equal to `fact.digest` unless it was altered."""
    content = {"month": fact.month, "at": fact.occurred_at, "position": fact.position}
    totals = {"totals": fact.totals} if fact.totals else {}
    figures = {"figures": fact.figures, "cases": fact.cases, **totals}
    return digest({**content, **figures, **_provisional(fact.reason, provisional=fact.provisional)})
