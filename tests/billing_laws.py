"""What must hold between a ledger and the naive telling of the same history, at an instant and at its end."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from ledger.rules.instants import to_iso
from tests.billing_history import History
from tests.given import Answer, minor
from tests.naive_billing import Story
from tests.naive_billing_acts import tell
from tests.naive_things import midnight


def agrees(history: History, at: datetime) -> Answer:
    """Assert that balance, billing and payments at `at` are the naive ones, and that their sums hold."""
    at = max(at, history.start)
    balance, billing, payments = (history.ask(q, at) for q in ("balance", "billing", "payments"))
    story = tell(history.told, at)
    where = to_iso(at)
    plan = story.bought()
    state = (plan.state, plan.level) if plan is not None and plan.state != "abandoned" else ("none", None)
    assert (balance["state"], balance["level"]) == state, (where, "state", balance["state"], balance["level"], state)
    if plan is not None and plan.state == "in_force":
        until = midnight(plan.boundary(plan.first + plan.span))
        assert datetime.fromisoformat(balance["period"]["until"]) == until, (where, "until", balance["period"], until)
        ends = plan.ends_on.isoformat() if plan.ends_on else None
        assert balance["ends_on"] == ends, (where, "ends_on", balance["ends_on"], ends)
    _money(history, story, billing, payments, where)
    _tickets(history, story, balance, where)
    history.counts["answers compared"] += 1
    return {"balance": {**balance, "not_yet_recorded": 0}, "billing": billing, "payments": payments}


def _money(history: History, story: Story, billing: Answer, payments: Answer, where: str) -> None:
    charges = {history.bare(c["id"]): charge_seen(c) for c in billing["charges"]}
    told = {
        name: (c.void, c.gross, c.discount, story.counted(c), story.owed(c), c.due_on.isoformat())
        for name, c in story.charges.items()
    }
    assert charges == told, (where, "charges", sorted(charges.items() ^ told.items()))
    found, wanted = {name: minor(billing[name]) for name in story.totals()}, story.totals()
    assert found == wanted, (where, "totals", sorted(found.items() ^ wanted.items()))
    owed = found["due"] - found["refund_owed"]
    assert found["billed"] == found["paid"] + found["credited"] + found["written_off"] + owed, (where, found)
    came = found["received"] + found["upgrade_excess"] - found["reversed"] - found["refunded"]
    assert came == found["paid"] + found["credit"] + found["unapplied"] - found["refund_owed"], (where, found)
    history.counts["instants with a refund owed"] += found["refund_owed"] > 0
    debts = {history.bare(d["id"]): (minor(d["amount"]), minor(d["due"])) for d in billing["refund_debts"]}
    told_debts = {name: (d.gross, story.owed(d)) for name, d in story.debts.items()}
    assert debts == told_debts, (where, "debts", debts, told_debts)
    pays = {
        history.bare(p["payment"]): {history.bare(c["charge"]): minor(c["amount"]) for c in p["pays"]}
        for p in payments["payments"]
    }
    told_pays: dict[str, dict[str, int]] = {n: {} for n in story.money if not n.startswith("excess")}
    for charge in (*story.charges.values(), *story.debts.values()):
        for name, part in charge.parts:
            if name in told_pays and part and not story.hollow(name):
                told_pays[name][charge.name] = told_pays[name].get(charge.name, 0) + part
    assert pays == told_pays, (where, "pays", pays, told_pays)
    made = sorted((history.bare(a["charge"]), a["asked_at"], a["state"]) for a in payments["attempts"])
    names = {"open": "asked", "succeeded": "paid", "refused": "refused"}
    expected = sorted((a["charge"], _local(a["at"]), names[a["outcome"]]) for a in story.attempts.values())
    assert made == expected, (where, "attempts", made, expected)


def _local(at: datetime) -> str:
    return (at - timedelta(hours=6)).replace(tzinfo=None).isoformat() + "-06:00"


def charge_seen(charge: Answer) -> tuple[Any, ...]:
    """Return what is compared of a charge."""
    amounts = (minor(charge[name]) for name in ("gross", "discount", "paid", "due"))
    return (charge["state"] == "voided", *amounts, charge["due_on"])


def _tickets(history: History, story: Story, balance: Answer, where: str) -> None:
    found = {
        history.bare(g["grant"]): (
            g["level"], g["units"], g["used"], g["expired"], g["voided"], datetime.fromisoformat(g["until"]),
        )
        for g in balance["grants"]
    }  # fmt: skip
    told = {
        name: (g.level, g.units, g.used, g.expired, g.voided, midnight(g.until)) for name, g in story.grants.items()
    }
    assert found == told, (where, "grants", sorted(found.items() ^ told.items()))
    for grant in balance["grants"]:
        assert grant["units"] == grant["used"] + grant["expired"] + grant["voided"] + grant["remaining"], (where, grant)
        assert min(grant["used"], grant["expired"], grant["voided"], grant["remaining"]) >= 0, (where, grant)
    assert {name: balance[name] for name in story.sums()} == story.sums(), where


def closing(history: History, seed: int) -> None:
    """Assert at the end of a history: past instants, recording, documents, gateway, another process."""
    history.play(("wait", 48, False))
    for _ in range(72):  # what the gateway has not answered is news to whoever asks again: until nothing is awaited
        if history.cashier.awaits(history.now):
            history.play(("wait", 1, False))
    instants = [history.now - timedelta(hours=hours) for hours in (0, 30 * (1 + seed % 7), 24 * (20 + seed % 50))]
    told = [t for t in history.told if t.what == "reversal_told" and t.words["since"] < t.at]
    instants += [at for t in told for at in (t.words["since"], t.words["since"] + (t.at - t.words["since"]) / 2)]
    history.counts["instants between bank and recording"] += 2 * len(told)
    before = [agrees(history, at) for at in instants]
    position = history.store.last_position()
    history.counts["due facts recorded"] += history.ledger.record_due(history.account)
    history.ledger.collect(history.account)
    recorded = history.store.last_position()
    assert history.ledger.record_due(history.account) == 0, "running it again adds nothing"
    history.ledger.collect(history.account)
    assert history.store.last_position() == recorded >= position, "running it again adds nothing"
    assert [agrees(history, at) for at in instants] == before, "recording changes no answer"
    assert history.ask("balance")["not_yet_recorded"] == 0
    documents_stand(history)
    taken = history.sandbox.taken().get("GTQ", 0)
    cards = sum(minor(p["amount"]) for p in history.ask("payments")["payments"] if p["method"] == "card")
    assert taken == cards - history.refunded_by_card, ("gateway", taken, cards, history.refunded_by_card)
    fresh = type(history.ledger)(history.store)
    for question in ("balance", "billing", "payments", "documents"):
        assert fresh.ask(question, {"account": history.account}) == history.ask(question), "another process agrees"


def documents_stand(history: History) -> None:
    """Assert that numbers have no gap, and that each paid charge has one standing invoice of its amount."""
    documents = history.ask("documents")["documents"]
    story = tell(history.told, history.now)
    for series in ("F", "NC"):
        numbers = sorted(
            int(d["document"].removeprefix(f"{series}-")) for d in documents if d["document"].startswith(f"{series}-")
        )
        assert numbers == list(range(1, len(numbers) + 1)), (series, numbers)
    standing: Counter[str] = Counter()
    gross: Counter[str] = Counter()
    for document in documents:
        name, amount = history.bare(document["charge"]), minor(document["gross"])
        if document["kind"] == "invoice":
            standing[name] += 1
            gross[name] += amount
        else:
            gross[name] -= amount
        assert 0 <= minor(document["tax"]) <= amount, document
        assert minor(document["net"]) + minor(document["tax"]) == amount, document
    for name in {*standing, *story.charges}:
        charge = story.charges.get(name)
        if charge is None or charge.void:
            assert gross[name] == 0, ("document of nothing", name, gross[name])
        elif charge.times and charge.total:
            assert gross[name] == charge.total - charge.credited, ("document", name, gross[name], charge)
    history.counts["documents"] += len(documents)
