"""Whether what was decided needs a second person, told by its facts alone (DOMAIN.md, "Approvals")."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from ledger import facts as f
from ledger.account import Account, Asked
from ledger.catalogue import Catalogue
from ledger.plans import Decided
from ledger.rules.approvals import FREE_GIVE_BACKS, Need, Settings
from ledger.rules.subscriptions import local_day
from ledger.ticket import Ticket

Money = f.CreditNoted | f.RefundAsked | f.DebtWrittenOff | f.ChargeCancelled | f.DiscountGiven
_KINDS: dict[type[f.Fact], str] = {
    f.CreditNoted: "credit_note",
    f.RefundAsked: "refund",
    f.DebtWrittenOff: "write_off",
    f.ChargeCancelled: "void",
    f.DiscountGiven: "discount",
}
# The facts that tell who approved them.
APPROVED: tuple[type[f.Fact], ...] = (
    *_KINDS,
    *(f.PaymentReversed, f.CourtesyGranted, f.CancellationScheduled),
    *(f.TicketExcluded, f.TicketRevised, f.TicketGivenBack, f.TicketReclassified),
)


class _Knows(Protocol):
    """What a need is found with: the settings, the catalogue, the cases."""

    approval_settings: Settings
    catalogue: Catalogue

    def ticket(self, number: str) -> Ticket: ...


def need_of(
    ledger: _Knows, account: Account | None, decided: Decided, asked: Asked, *, all_of: bool = False
) -> Need | None:
    """Return why what was decided needs a second person, None where it does not.

    `all_of`: also what is within the limits, or one of the first two units given back.
    """
    new = [*decided.facts, *(row.fact for row in decided.others)]
    for fact in new:
        match fact:
            case f.TicketExcluded():
                return _of_case(ledger, "exclusion", fact.ticket_no)
            case f.TicketRevised():
                return _of_case(ledger, "revision", fact.ticket_no)
            case f.UnitGivenBack() if account is not None and not any(isinstance(x, f.TicketConsumed) for x in new):
                if all_of or given_back(account.facts, fact.occurred_at, account.opening.zone) >= FREE_GIVE_BACKS:
                    return _of_case(ledger, "give_back", fact.ticket_no)
            case f.CourtesyGranted() if all_of or fact.units > ledger.catalogue.courtesy_cap:
                return Need("courtesy", above=True)
            case f.CancellationScheduled() if fact.overridden:
                return Need("late_cancellation")
            case f.CreditNoted() | f.RefundAsked() | f.DebtWrittenOff() | f.ChargeCancelled() | f.DiscountGiven():
                assert account is not None
                kind, amount = _KINDS[type(fact)], _amount(account, fact, asked)
                before = sum(_amount(account, one, asked) for one in _alike(account, fact))
                if all_of or before + amount > ledger.approval_settings.limit(kind, account.opening.currency):
                    return Need(kind, above=True, amount=amount)
    return None


def _of_case(ledger: _Knows, rule: str, number: str) -> Need:
    """Return a need about a case, with who opened it and who answered it."""
    case = ledger.ticket(number)
    answers = [
        fact
        for fact in case.facts
        if isinstance(fact, (f.TicketResponded, f.TicketResolved))
        or (isinstance(fact, f.TicketWaiting) and fact.answers)
    ]
    answered = {fact.by: None for fact in answers}
    return Need(rule, ticket=number, opened=case.opened.by, answered=tuple(answered))


def given_back(facts: Iterable[f.Fact], at: str, zone_name: str) -> int:
    """Return how many units were given back in the calendar month of `at`, in the account's zone.

    One that paid for the same case from another grant in the same instant went nowhere; imports are another desk's.
    """
    facts = list(facts)
    month = local_day(at, zone_name).isoformat()[:7]
    return sum(
        isinstance(fact, f.UnitGivenBack)
        and not fact.source.startswith("import")
        and local_day(fact.occurred_at, zone_name).isoformat()[:7] == month
        and not _moved(fact, after)
        for fact, after in zip(facts, [*facts[1:], None], strict=True)
    )


def _moved(fact: f.UnitGivenBack, after: f.Fact | None) -> bool:
    """Whether the case took another unit in the same decision, told right after: it is paid for all the same."""
    return isinstance(after, f.TicketConsumed) and (after.ticket_no, after.occurred_at) == (
        fact.ticket_no,
        fact.occurred_at,
    )


def _alike(account: Account, fact: Money) -> list[Money]:
    """Return what was corrected before in the same way on the same charge or payment, and nobody else approved.

    Amounts within the limit add up: a large one is not made of small ones.
    """
    subject = _subject(fact)
    kind = type(fact)
    return [one for one in account.facts if isinstance(one, kind) and _subject(one) == subject and not one.approval]


def _subject(fact: Money) -> str:
    return fact.payment if isinstance(fact, f.RefundAsked) else fact.charge


def _amount(account: Account, fact: Money, asked: Asked) -> int:
    """Return the minor units that a correction is about; of a void, all that its charge still asks for, paid or not."""
    if isinstance(fact, f.ChargeCancelled):
        charge = account.whole(asked.now).charges[fact.charge]
        return charge.total - charge.credited - charge.written_off
    return fact.amount if isinstance(fact, (f.RefundAsked, f.DebtWrittenOff)) else fact.gross
