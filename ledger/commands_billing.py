"""Commands and questions on changes of a plan, cards, corrections of money, documents and closed months."""

from __future__ import annotations

from ledger.command import (
    ACCOUNT,
    APPROVER,
    AT,
    CLERKS,
    KNOWN_AT,
    LEVEL,
    MONEY,
    OPERATORS,
    PAY_BY,
    REFERENCE,
    TERM,
    Command,
    Only,
    Question,
    may,
    need,
)
from ledger.fields import Amount, Choice, Date, Field, Flag, Month, Text, Uuid, Words
from ledger.gateways.sandbox import OUTCOMES

PREVIEWED = ("purchase", "upgrade", "downgrade", "change_term", "cancel", "addon", "renewal")
_CHARGE = need("charge", Text(100))
_PAYMENT = need("payment", Text(100))
_AMOUNT = need("amount", Amount())


def _on_account(name: str, noun: str, *fields: Field, roles: frozenset[str] = MONEY, method: str = "POST") -> Command:
    return Command(name, (ACCOUNT, *fields), roles, f"/accounts/{{account}}/{noun}", method)


BILLING_COMMANDS = (
    _on_account("plan.upgrade", "upgrades", need("level", LEVEL)),
    _on_account("plan.downgrade", "downgrades", need("level", LEVEL)),
    _on_account("plan.change_term", "term-changes", need("term", TERM)),
    _on_account("plan.withdraw_change", "scheduled-change", method="DELETE"),
    _on_account("plan.pay_by", "payment-methods", need("pay_by", PAY_BY)),
    _on_account("card.register", "cards", need("token", Text(100))),
    _on_account("card.charge", "card-charges", _CHARGE),
    _on_account("payment.apply", "applications", may("payment", Text(100))),
    _on_account(
        "payment.refund",
        "refunds",
        _PAYMENT,
        _AMOUNT,
        need("method", Choice(("transfer", "cheque", "cash", "card"))),
        may("reference", REFERENCE),
        APPROVER,
    ),
    _on_account(
        "payment.reverse",
        "reversals",
        _PAYMENT,
        need("kind", Choice(("returned_cheque", "chargeback", "mistake"))),
        may("reference", REFERENCE),
        APPROVER,
    ),
    _on_account("charge.discount", "discounts", _CHARGE, _AMOUNT, APPROVER),
    _on_account("charge.void", "voids", _CHARGE, APPROVER),
    _on_account("charge.write_off", "write-offs", _CHARGE, may("amount", Amount()), APPROVER),
    _on_account("charge.credit", "credit-notes", _CHARGE, _AMOUNT, APPROVER),
    _on_account(
        "document.certify",
        "certifications",
        need("document", Text(40)),
        need("uuid", Uuid()),
        need("series", Text(40)),
        need("number", Text(40)),
    ),
    _on_account("document.reissue", "reissues", need("document", Text(40)), roles=MONEY),
    Command("books.close", (need("month", Month()), may("dry_run", Flag())), MONEY, "/books/closings"),
    _on_account("gateway.script", "gateway-script", need("outcomes", Words(OUTCOMES)), roles=OPERATORS),
)

BILLING_QUESTIONS = (
    Question(
        "preview",
        (
            ACCOUNT,
            need("of", Choice(PREVIEWED)),
            may("level", LEVEL),
            may("term", TERM),
            may("ends", Date()),
            AT,
        ),
        CLERKS,
        "/accounts/{account}/preview",
        only=(Only("agent", "of", ("purchase", "addon", "cancel")),),
    ),
    Question("documents", (ACCOUNT, AT, KNOWN_AT), MONEY, "/accounts/{account}/documents"),
    Question("payments", (ACCOUNT, AT, KNOWN_AT), MONEY, "/accounts/{account}/payments"),
)

# Each corrects money that was asked for or received: never without a reason (DOMAIN.md 9).
CORRECTIONS = frozenset(
    {"payment.refund", "payment.reverse", "charge.discount", "charge.void", "charge.write_off", "charge.credit"}
)
