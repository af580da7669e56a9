"""Decisions on a case that touch the account: opening it, reclassifying it, giving its unit back.

The coverage decision, the consumption and the case's own facts are saved in one transaction.
"""

from __future__ import annotations

from datetime import date
from uuid import uuid4

from ledger import facts as f
from ledger.account import QUESTION, Account, Asked
from ledger.catalogue import Catalogue, Target
from ledger.errors import Conflict, NotFound, Refused
from ledger.plans import Answer, Decided, common
from ledger.rules import sla
from ledger.rules.book import Book
from ledger.rules.coverage import Case, Decision, decide, level_needed
from ledger.rules.grants import RANK
from ledger.rules.instants import show
from ledger.rules.money import show_amount
from ledger.rules.subscriptions import local_day
from ledger.store import Recorded
from ledger.ticket import Ticket, check_breach, check_order, due_instant, state, ticket_fields


def open_ticket(
    account: Account, ticket: Ticket, v: Answer, asked: Asked, catalogue: Catalogue, *, split_from: str = ""
) -> Decided:
    """Decide coverage; accept with its consumption and its promise, or decline and keep that on record."""
    if ticket.facts:
        raise Conflict("duplicate_ticket", ticket=ticket.number)
    case = _case(account, v["request"], asked, catalogue, product=v.get("product", ""), named=v.get("grant", ""))
    if case.named and case.named not in case.book.grants:
        raise NotFound("unknown_grant", grant=case.named, account=account.number)
    decision = decide(case)
    if not decision.served:
        return decline(account.number, ticket.number, v, asked, decision, catalogue, account)
    if case.named and decision.consumes and decision.grant != case.named:
        raise Refused("grant_not_usable", grant=case.named, account=account.number)
    day = local_day(asked.at, case.book.zone)
    promise = _promise(decision.level, v["priority"], asked.at, catalogue, day, asked.at)
    opened = f.TicketOpened(
        **common(account.number, asked),
        ticket_no=ticket.number,
        request=v["request"],
        priority=v["priority"],
        zone=case.book.zone,
        level=decision.level,
        grant=decision.grant,
        why=decision.why or decision.code,
        product=v.get("product", ""),
        subject=v.get("subject", ""),
        confirmed=catalogue.confirmation(day),
        split_from=split_from,
        **promise,
    )
    taken = _consumption(account, ticket.number, decision, asked)
    answer = {
        "ticket": ticket.number,
        "grant": decision.grant or None,
        "why": opened.why,
        "level": decision.level or None,
        "due_at": show(opened.due_at, opened.zone) if opened.due_at else None,
        "limit_seconds": opened.limit_us // 1_000_000 if opened.due_at else None,
    }
    return Decided(taken, ticket.rows(opened), lambda _book: answer)


def _case(
    account: Account, request: str, asked: Asked, catalogue: Catalogue, product: str = "", named: str = "", of: str = ""
) -> Case:
    """Return the request as the table sees it; `of` is when its case was opened, where that was before."""
    book = account.at(asked.at, asked.now)
    # A question about a later date is answered by what will have fallen due by then; a command never is.
    ahead = asked.source == QUESTION and asked.at > asked.now
    return Case(
        request,
        asked.at,
        book,
        book if ahead else account.whole(asked.now),
        in_scope=catalogue.covers_product(product),
        plan_needed=catalogue.plan_needed(local_day(of or asked.at, book.zone)),
        named=named,
    )


def coverage(account: Account, v: Answer, asked: Asked, catalogue: Catalogue) -> tuple[Decision, Target | None, Answer]:
    """Return what would be decided at `asked.at`, the target it would have, and what would help; writes nothing."""
    case = _case(account, v["request"], asked, catalogue, product=v.get("product", ""))
    decision = decide(case)
    day = local_day(asked.at, case.book.zone)
    has_target = decision.served and decision.level and v.get("priority")
    target = catalogue.target(decision.level, v["priority"], day, asked.at) if has_target else None
    return decision, target, remedy(decision, case.book, asked.at, catalogue)


def remedy(decision: Decision, book: Book, at: str, catalogue: Catalogue) -> Answer:
    """Return what a decline names as the way out: the charge and what is due on it, or the add-on and its price."""
    facts: Answer = dict(decision.facts)
    if "addon" in facts:
        units, gross = catalogue.price(facts["addon"], "addon", local_day(at, book.zone), book.currency)
        facts |= {"addon_units": units, "addon_gross": show_amount(gross), "currency": book.currency}
    if "charge" in facts:
        facts |= {"due": show_amount(book.charges[facts["charge"]].due), "currency": book.currency}
    return facts


def _promise(level: str, priority: str, start: str, catalogue: Catalogue, day: date, opened_at: str) -> Answer:
    """Return the promise counted from `start` under the policy in force when the case was opened."""
    if not level:
        return {}
    target = catalogue.target(level, priority, day, opened_at)
    return {
        "policy": target.policy,
        "calendar": target.calendar,
        "limit_us": target.limit_us,
        "due_at": due_instant(catalogue, target, start),
    }


def _consumption(account: Account, ticket_no: str, decision: Decision, asked: Asked) -> list[f.Fact]:
    if not decision.consumes:
        return []
    return [
        f.TicketConsumed(**common(account.number, asked), ticket_no=ticket_no, grant=decision.grant, why=decision.why)
    ]


def decline(
    account_no: str,
    ticket_no: str,
    v: Answer,
    asked: Asked,
    decision: Decision,
    catalogue: Catalogue,
    account: Account,
) -> Decided:
    """Record who asked for what, when, and why not; the answer names the remedy."""
    facts = {"account": account_no, **remedy(decision, account.at(asked.at, asked.now), asked.at, catalogue)}
    fact = f.RequestDeclined(
        **common(account_no, asked),
        ticket_no=ticket_no,
        request=v["request"],
        code=decision.code,
        priority=v.get("priority", ""),
        product=v.get("product", ""),
        charge=decision.facts.get("charge", ""),
        hint=decision.facts.get("hint", ""),
    )
    # A stream of its own under a fresh name: the same request may be declined twice in one instant.
    stream = f"decline/{account_no}/{uuid4().hex}"
    return Decided([], [Recorded(stream, 1, fact)], lambda _book: facts, declined=decision.code)


def reclassify(account: Account, ticket: Ticket, v: Answer, asked: Asked, catalogue: Catalogue) -> Decided:
    """Change what the request is; its unit follows, its clock as DOMAIN.md says (below the table)."""
    clock = ticket.clock(asked.at)
    request = v["request"]
    if request == clock.request:
        raise Refused("same_request", ticket=ticket.number, request=request)
    check_order(ticket, asked)
    if request == "administrative":
        check_breach(ticket, asked, "ticket.reclassify")
    held = account.whole(asked.now).uses.get(ticket.number, "")
    facts: list[f.Fact] = []
    fields: Answer = {}
    grants = account.whole(asked.now).grants
    paid = grants[held].level if held else clock.level if clock.given_back else ""
    keeps = bool(paid) and RANK[paid] >= RANK[level_needed(request)]
    if request == "administrative":
        facts = give_back_facts(account, ticket, asked, held)
    elif keeps and request != "terminal" and clock.request != "administrative":
        fields = {"level": clock.level, "grant": held}
    else:
        case = _case(account, request, asked, catalogue, product=clock.opened.product, of=clock.opened.occurred_at)
        decision = decide(case)
        if not decision.served:
            wanted = {"request": request, "priority": clock.priority, "product": clock.opened.product}
            return decline(account.number, ticket.number, wanted, asked, decision, catalogue, account)
        facts = give_back_facts(account, ticket, asked, held)
        facts += _consumption(account, ticket.number, decision, asked)
        fields = _joined(clock, decision, asked, catalogue)
    fact = f.TicketReclassified(**ticket_fields(ticket, asked), request=request, **fields)
    after = ticket.after(fact, asked.now)
    return Decided(facts, ticket.rows(fact), lambda _book: state(ticket, after, asked))


def _joined(clock: sla.Clock, decision: Decision, asked: Asked, catalogue: Catalogue) -> Answer:
    """Return the promise of a case that joins compliance: the due instant it left with, else counted from now."""
    fields: Answer = {"level": decision.level, "grant": decision.grant, "why": decision.why or decision.code}
    if not decision.level:
        return fields
    day = local_day(clock.opened.occurred_at, clock.opened.zone)
    fields |= _promise(decision.level, clock.priority, asked.at, catalogue, day, clock.opened.occurred_at)
    if clock.request == "administrative" and clock.first_due:
        # A breach that stayed never left; it keeps its due instant.
        kept = clock.due_at or (clock.left.due_at if clock.left is not None else "")
        fields |= {"returns": True, "raised_due": fields["due_at"], "due_at": kept}
    return fields


def give_back_facts(account: Account, ticket: Ticket, asked: Asked, held: str) -> list[f.Fact]:
    """Return the movement that gives the unit of `held` back ([] when the case holds none)."""
    if not held:
        return []
    return [f.UnitGivenBack(**common(account.number, asked), ticket_no=ticket.number, grant=held)]


def give_back(account: Account, ticket: Ticket, v: Answer, asked: Asked, _catalogue: Catalogue) -> Decided:
    """Give the unit back to its own grant: a duplicate, an invalid case, our mistake; apart from the SLA."""
    ticket.clock(asked.at)
    held = account.whole(asked.now).uses.get(ticket.number, "")
    if not held:
        raise Refused("nothing_to_give_back", ticket=ticket.number)
    fact = f.TicketGivenBack(**ticket_fields(ticket, asked), grant=held, approver=asked.by)
    facts = give_back_facts(account, ticket, asked, held)
    return Decided(facts, ticket.rows(fact), lambda _book: {"ticket": ticket.number, "grant": held})
