"""The history of an account, in words and in order: its own facts, its tickets' and its declines'."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec.structs import replace

from ledger import facts as f
from ledger.errors import NotFound
from ledger.rules.instants import show
from ledger.rules.money import show_amount
from ledger.store import Row, Store

_HIDDEN = {"customer_no", "occurred_at", "by", "source", "reason", "key"}
_MONEY = {"gross", "net", "tax", "amount", "credit", "excess", "slip_total"}
_INSTANTS = {"until", "starts", "ends", "due_at", "reminder"}


def history(store: Store, account: str, at: str, position: int | None) -> dict[str, Any]:
    """Return every fact that names `account` and is dated up to `at`, by date, then by place in the log.

    `position` limits it to a prefix of the log. NotFound when the account was not open by then.
    """
    rows = store.rows_of_account(account, position)
    facts = [(row, f.decode(row.topic, row.state, row.position)) for row in rows]
    opening = next((fact for _row, fact in facts if isinstance(fact, f.AccountOpened)), None)
    if opening is None or opening.occurred_at > at:
        raise NotFound("unknown_account", account=account)
    facts = _told(facts)
    numbers = _numbers(facts)
    entries = [
        {
            "position": row.position,
            "at": show(fact.occurred_at, opening.zone),
            "recorded_at": show(row.recorded_at, opening.zone),
            "event": row.topic,
            "by": fact.by,
            "source": fact.source,
            "reason": fact.reason or None,
            **_details(fact, opening.zone),
            **({"assumed": True} if isinstance(fact, f.PaymentRecorded) and fact.assumed else {}),
            **({"document": numbers.get(row.position, "")} if isinstance(fact, f.DocumentIssued) else {}),
        }
        for row, fact in sorted(facts, key=lambda pair: pair[1].occurred_at)
        if fact.occurred_at <= at and not isinstance(fact, (f.ReferenceClaimed, f.NumberTaken))
    ]
    return {"account": account, "name": opening.name, "currency": opening.currency, "entries": entries}


def _told(facts: list[tuple[Row, f.Fact]]) -> list[tuple[Row, f.Fact]]:
    """Return the facts; a reversal recorded before it said so with its amount: what had not been refunded by then."""
    if not any(isinstance(fact, f.PaymentReversed) and not fact.amount for _row, fact in facts):
        return facts
    left: dict[str, int] = {}
    asked: dict[str, f.RefundAsked] = {}
    amounts: dict[int, int] = {}
    for row, fact in sorted(facts, key=lambda pair: pair[1].occurred_at):
        if isinstance(fact, f.PaymentRecorded):
            left[fact.payment] = fact.amount
        elif isinstance(fact, f.RefundAsked):
            asked[fact.refund] = fact
            left[fact.payment] = left.get(fact.payment, 0) - fact.amount
        elif isinstance(fact, f.RefundRefused) and fact.refund in asked:
            left[asked[fact.refund].payment] += asked[fact.refund].amount
        elif isinstance(fact, f.PaymentReversed):
            amounts[row.position] = fact.amount or left.get(fact.payment, 0)
    return [
        (row, replace(fact, amount=amounts[row.position])) if isinstance(fact, f.PaymentReversed) else (row, fact)
        for row, fact in facts
    ]


def _numbers(facts: Iterable[tuple[Row, f.Fact]]) -> dict[int, str]:
    """Return the names of documents by their positions: those of one subject took their numbers in order of issue."""
    issued: dict[tuple[str, str], list[int]] = {}
    taken: dict[tuple[str, str], list[str]] = {}
    for row, fact in facts:
        if isinstance(fact, f.DocumentIssued):
            issued.setdefault((fact.series, fact.subject), []).append(row.position)
        elif isinstance(fact, f.NumberTaken):
            taken.setdefault((fact.series, fact.subject), []).append(f"{fact.series}-{row.version}")
    return {
        position: name
        for key, positions in issued.items()
        for position, name in zip(positions, taken.get(key, ()), strict=False)
    }


def _details(fact: f.Fact, zone: str) -> dict[str, Any]:
    details: dict[str, Any] = {}
    for name, value in msgspec.to_builtins(fact).items():
        if name in _HIDDEN or value in ("", None) or (name == "rule" and isinstance(value, int)):
            continue  # a number tells by which version of a rule a fact counts; a word, what a request needs
        if name in _MONEY:
            details[name] = show_amount(value)
        elif name in _INSTANTS:
            details[name] = show(value, zone)
        elif name == "dues":
            details[name] = {priority: show(due, zone) for priority, due in value.items()}
        else:
            details[name] = value
    return details
