"""Sentences for tests of money and changed plans, over `tests/given.py`: names without the account before them."""

from __future__ import annotations

from typing import Any

from ledger import facts as f
from ledger.account import Account
from ledger.corrections import _used_later
from tests.given import BEATRIZ, PANADERIA, Answer, Desk, iso, minor

WHY = {"by": BEATRIZ, "reason": "lo aprobó gerencia"}


def full(name: str) -> str:
    """Return a name with its account."""
    return f"{PANADERIA}-{name}"


def bare(name: str) -> str:
    """Return a name without its account."""
    return name.removeprefix(f"{PANADERIA}-")


def upgrade(desk: Desk, level: str, **given: Any) -> Answer:
    """Ask for a higher level."""
    return desk.do("plan.upgrade", account=PANADERIA, level=level, **given)


def reverse(desk: Desk, payment: str, kind: str = "chargeback", **given: Any) -> Answer:
    """Take a payment back."""
    return desk.do("payment.reverse", account=PANADERIA, payment=full(payment), kind=kind, **{**WHY, **given})


def reversed_before(desk: Desk, payment: str, *, at: str) -> None:
    """Given a payment taken back by a version that knew one date only: all of it acted then (rule 1 of the fact)."""

    def decide(account: Account) -> list[f.Fact]:
        then = iso(at)
        later = _used_later(account.whole(desk.ledger.clock.now()), then)
        return [
            f.PaymentReversed(
                customer_no=PANADERIA, occurred_at=then, by="beatriz", source="console", reason="?",
                payment=full(payment), kind="chargeback", approver="beatriz", used_later=later,
            )
        ]  # fmt: skip

    desk.ledger.record(PANADERIA, decide, desk.ledger.clock.now())


def correct(desk: Desk, verb: str, charge: str, **given: Any) -> Answer:
    """Correct a charge: discount, void, write_off or credit."""
    return desk.do(f"charge.{verb}", account=PANADERIA, charge=full(charge), **{**WHY, **given})


def refund(desk: Desk, payment: str, amount: str, method: str = "transfer", **given: Any) -> Answer:
    """Give money back."""
    given = {"reference": "" if method == "card" else f"TR-{payment}-{desk.position}", **WHY, **given}
    given = {name: value for name, value in given.items() if value != ""}
    return desk.do("payment.refund", account=PANADERIA, payment=full(payment), amount=amount, method=method, **given)


def charges(desk: Desk, **given: Any) -> dict[str, Answer]:
    """Return the charges by name; billing's sums hold."""
    return {bare(c["id"]): c for c in money(desk, **given)["charges"]}


def states(desk: Desk, **given: Any) -> dict[str, str]:
    """Return the charges' states by name."""
    return {name: str(charge["state"]) for name, charge in charges(desk, **given).items()}


def money(desk: Desk, *, assumed: bool = False, **given: Any) -> Answer:
    """Ask for the billing; both its sums hold. `assumed`: also with what an import supposed to be paid."""
    answer = desk.ask("billing", account=PANADERIA, **given)
    part = {name: minor(value) for name, value in answer.items() if isinstance(value, str) and name in SUMS}
    owed = part["due"] - part["refund_owed"] + (minor(answer["paid_assumed"]) if assumed else 0)
    assert minor(answer["assumed"]) == minor(answer["paid_assumed"]) + minor(answer["unused_assumed"])
    assert part["billed"] == part["paid"] + part["credited"] + part["written_off"] + owed, answer
    assert part["billed"] == part["net"] + part["tax"], answer
    came = part["received"] + part["upgrade_excess"] - part["reversed"] - part["refunded"]
    assert came == part["paid"] + part["credit"] + part["unapplied"] - part["refund_owed"], answer
    return answer


SUMS = frozenset(
    {
        "billed", "net", "tax", "paid", "credited", "written_off", "due", "credit", "unapplied", "received",
        "refunded", "reversed", "upgrade_excess", "refund_owed",
    }
)  # fmt: skip


def documents(desk: Desk, **given: Any) -> list[tuple[str, str, str, str]]:
    """Return the documents: (number, charge, gross, tax)."""
    found = desk.ask("documents", account=PANADERIA, **given)["documents"]
    return [(d["document"], bare(d["charge"]), d["gross"], d["tax"]) for d in found]


def attempts(desk: Desk) -> list[tuple[str, str, str]]:
    """Return the attempts on the card: (charge, local instant asked, state)."""
    found = desk.ask("payments", account=PANADERIA)["attempts"]
    return [(bare(a["charge"]), a["asked_at"][:16].replace("T", " "), a["state"]) for a in found]


def card(desk: Desk, *outcomes: str, token: str = "tok_ok") -> Desk:  # noqa: S107 - the sandbox's
    """Register a card, after telling the sandbox what comes next."""
    if outcomes:
        script(desk, *outcomes)
    desk.do("card.register", account=PANADERIA, token=token)
    return desk


def script(desk: Desk, *outcomes: str) -> None:
    """Tell the sandbox what the next attempts come to."""
    desk.do("gateway.script", account=PANADERIA, outcomes=list(outcomes))
