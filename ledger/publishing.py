"""Publishing a month's compliance: its figures and each case's verdict, frozen by one fact in a stream of its own."""

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
    """Return the stream of a month's report: one place, so it is published once."""
    return f"report/{month}"


def published(store: Store, month: str, position: int | None = None) -> f.ReportPublished | None:
    """Return the report of a month as it was published (up to `position` of the log), None where it was not."""
    for event in store.select_events(report_stream(month), limit=1):
        if position is not None and event.position > position:
            return None
        fact = f.decode(event.topic, event.state, event.position)
        assert isinstance(fact, f.ReportPublished)
        return fact
    return None


def check_month(store: Store, month: str, asked: Asked, zone: str) -> None:
    """Refuse a month that is not over, and one that is published already."""
    if (before := published(store, month)) is not None:
        raise Refused("published_already", month=month, published_at=show(before.occurred_at, zone), actor=before.by)
    if month >= local_day(asked.at, zone).isoformat()[:7]:
        raise Refused("report_month_not_over", month=month)


def publish(month: str, asked: Asked, found: Answer, zone: str) -> tuple[Recorded, Answer]:
    """Return the row that publishes what was `found` (`position`, `figures`, `totals`, `cases`), and the answer."""
    content = {"month": month, "at": asked.at, **found}
    fact = f.ReportPublished(**common("", asked), month=month, digest=digest(content), **found)
    answer = {
        "ok": True,
        "month": month,
        "published_at": show(asked.at, zone),
        "cases": sum(len(cases) for cases in fact.cases.values()),
        "digest": fact.digest,
    }
    return Recorded(report_stream(month), 1, fact), answer


def digest(content: Answer) -> str:
    """Return the SHA-256 of the canonical JSON: names in order, no blanks, UTF-8."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of(fact: f.ReportPublished) -> str:
    """Return the digest that a published report's content gives: equal to `fact.digest` unless it was altered."""
    content = {"month": fact.month, "at": fact.occurred_at, "position": fact.position}
    totals = {"totals": fact.totals} if fact.totals else {}
    return digest({**content, "figures": fact.figures, "cases": fact.cases, **totals})
