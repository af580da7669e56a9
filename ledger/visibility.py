"""What each role sees of an answer, declared once for every field (DOMAIN.md, "Least privilege").

Every field of every answer has a sort here. One that has none is kept from every role whose sight is limited, and a
test names it. What a role may not see is left out, wherever it is asked: `apply`, the command line, HTTP.

- An agent sees list prices and whether a customer is up to date; no amount, reference or token, no colleague's name but
  of who holds a case, no figure of a colleague's answers.
- Finance sees all money, and what was written in a case only where it is administrative.
- Managers, operators and auditors see all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Flag, auto
from typing import Any, NamedTuple

from ledger.dating import Caller
from ledger.errors import LedgerError
from ledger.rules import people

Answer = dict[str, Any]


class Sort(Flag):
    """What a field holds."""

    OPEN = 0
    MONEY = auto()  # amounts; references of banks, cards, the certifier; tokens
    TEXT = auto()  # what was written in a case
    PERSON = auto()  # which of the staff it was; one's own name is told
    FIGURE = auto()  # how somebody's answer did; one's own is told
    WHOLE = auto()  # told or kept as one: what stands in it are no fields of ours


KEPT_FROM = {"agent": Sort.MONEY | Sort.PERSON | Sort.FIGURE, "finance": Sort.TEXT}

# Told as one to whoever may ask: an agent only of a case of their own, of cases they hold or nobody does; of requests
# for approval who asked for one, and who may give it.
AS_ONE = frozenset({"explain", "queue", "radar", "what_if", "approvals", "approval"})


def _named(sort: Sort, *names: str) -> dict[str, Sort]:
    return {name: sort for line in names for name in line.split()}


# By a field's name, wherever it stands; `IN` says in which answer it is of another sort.
FIELDS: dict[str, Sort] = {
    **_named(
        Sort.MONEY,
        "amount available billed credit credit_after credit_balance credited discount due excess from_credit gross",
        "net owed_before paid received refunded reversed tax unapplied upgrade_excess written_off used_later",
        "applied attempt attempts bank card card_charge certified_as charges document documents final method note",
        "slip_total assumed paid_assumed unused_assumed refund_debts refund_owed reversed_amount debt",
        "credit_note invoice number payment payments pays refund reference reopened said series token uuid value_date",
        "asked_at issued_at approved_alone",
    ),
    **_named(Sort.TEXT, "text subject excluded reason"),
    "attributes": Sort.TEXT | Sort.WHOLE,
    "explanation": Sort.TEXT | Sort.WHOLE,
    "dues": Sort.WHOLE,
    "values": Sort.MONEY | Sort.TEXT | Sort.WHOLE,
    "effects": Sort.MONEY | Sort.WHOLE,
    "effect": Sort.MONEY | Sort.WHOLE,
    **_named(Sort.PERSON, "actor by approver responded_by salesperson stated_by closed_by asked_by"),
    **_named(
        Sort.OPEN,
        # customers, plans, tickets left
        "account name nit address zone currency language opened_at at state standing level subscription period from",
        "until cancel_by ends_on charge remaining granted used expired voided grants grant kind units taken_by ticket",
        "not_yet_recorded term channel licence_until overridden undoes_renewal renews_on effective effective_on of on",
        "id due_on period_until next_due pay_by",
        # requests and cases
        "outcome code consumes why limit_seconds calendar request priority due_at verdict counts into product hint",
        "needed addon addon_units addon_gross assigned_to verdict_level verdict_priority final_at waiting_since",
        "resolved_at responded_at given_back merged_into policy revised opened_on month agent declined_at was",
        # figures, publishing, books
        "changed field before after zone_from months recorded to_record dry_run count",
        "rows totals total met breached open met_bp p50_us p90_us p95_us worst_us breaches customer",
        "late_us raw to known_at published published_at digest known_up_to now differences cause fact is elapsed_us",
        "cases approved_alone booked_in occurred_at entry outcomes provisional final_from earlier",
        # history: what else facts say
        "entries event recorded_at source key starts ends undoes at_once since ticket_no row confirmed",
        "split_from corrects via direction agreed reminder child percent limit_us what",
        "system returns rule stated answers raised_due",
        "agree causes differ judged ours_breached ours_excluded ours_met ours_met_bp ours_open theirs_breached",
        "theirs_excluded theirs_met theirs_met_bp tickets imports agrees",
        "their_due_at their_responded_at their_verdict why_calendar file mapping mapping_digest rejected",
        # approvals
        "approval alone command role status",
        # about the answer itself; the clock; contacts
        "ok pending position replayed items next test_clock instants accounts facts email changed_at forgotten",
    ),
}
_LIST_PRICE = ("plan.purchase", "addon.purchase", "preview")
IN: dict[tuple[str, str], Sort] = {
    **{(answer, name): Sort.OPEN for answer in _LIST_PRICE for name in ("gross", "net", "tax")},
    **{
        ("list_tickets", name): Sort.FIGURE
        for name in ("responded_at", "channel", "verdict_level", "verdict_priority", "revised", "final_at")
    },
    ("list_tickets", "agent"): Sort.PERSON,
    ("list_tickets", "excluded"): Sort.TEXT | Sort.FIGURE,
    ("ticket", "excluded"): Sort.TEXT | Sort.FIGURE,
    **{("list_billing_entries", name): Sort.OPEN for name in ("subject", "reason")},
    ("report", "by"): Sort.OPEN,  # by which dimensions
    ("report", "excluded"): Sort.OPEN,  # counts
    ("published", "excluded"): Sort.OPEN,
}

# Facts of an account's history that are about money: an agent is not told of them at all.
MONEY_FACTS = frozenset(
    f"account.{name}"
    for name in (
        *("charge_raised", "charge_paid", "charge_reopened", "charge_voided", "charge_cancelled", "charge_attempted"),
        *("payment_recorded", "payment_reversed", "money_applied", "card_registered", "attempt_refused"),
        *("attempt_contradicted", "discount_given", "debt_written_off", "credit_noted", "refund_asked"),
        *("refund_settled", "refund_refused", "document_issued", "document_certified", "pay_by_changed"),
        *("due_fact_withdrawn", "refund_owed", "refund_repaid", "reversal_took_effect"),
    )
)
# And those that are about plans and tickets left; every fact of a case, and every decline, is told besides.
PLAN_FACTS = frozenset(
    f"account.{name}"
    for name in (
        *("opened", "changed", "plan_purchased", "plan_renewed", "plan_changed", "plan_ended", "licence_renewed"),
        *("addon_purchased", "courtesy_granted", "cancellation_scheduled", "cancellation_withdrawn"),
        *("upgrade_asked", "downgrade_scheduled", "term_change_scheduled", "change_withdrawn"),
        *("ticket_consumed", "unit_given_back", "tickets_granted", "tickets_expired", "tickets_voided"),
    )
)


class _Eye(NamedTuple):
    """Who looks at which answer: what is kept from them, and the cases whose words are open to all."""

    answer: str
    kept: Sort
    me: str
    administrative: frozenset[str]


class _Of(NamedTuple):
    """What the record around a field says of it: whether it is one's own, administrative, and of a case."""

    own: bool
    administrative: bool
    case: bool


_WHOLE = _Of(own=False, administrative=False, case=True)


def shown(name: str, answer: Answer, caller: Caller) -> Answer:
    """Return answer `name` (of a command, question or list) as the caller's role sees it."""
    kept = KEPT_FROM.get(caller.role)
    if kept is None or name in AS_ONE:
        return answer
    return _record(answer, _Eye(name, kept, caller.by, _administrative(answer)), _WHOLE)


def keeps(role: str, name: str, field: str) -> bool:
    """Whether a role is not told a field of an answer, or only where it is their own or an administrative case's."""
    sort = sort_of(name, field)
    kept = KEPT_FROM.get(role)
    return kept is not None and name not in AS_ONE and (sort is None or bool(sort & kept))


def sort_of(name: str, field: str) -> Sort | None:
    """Return the sort of a field of an answer, None where none is declared."""
    return IN.get((name, field), FIELDS.get(field))


@contextmanager
def told_to(caller: Caller | None) -> Iterator[None]:
    """Let a refusal on its way out tell only what the caller's role may see."""
    try:
        yield
    except LedgerError as error:
        kept = KEPT_FROM.get(caller.role) if caller is not None else None
        if kept is not None:
            error.facts = {n: v for n, v in error.facts.items() if not FIELDS.get(n, Sort.OPEN) & kept & Sort.MONEY}
        raise


def _administrative(answer: Answer) -> frozenset[str]:
    """Return the cases of a history whose request is administrative, as its last entry on it says."""
    requests = {
        entry["ticket_no"]: entry["request"]
        for entry in answer.get("entries", ())
        if entry["event"] in ("ticket.opened", "ticket.reclassified")
    }
    return frozenset(ticket for ticket, request in requests.items() if request == "administrative")


def _record(record: Answer, eye: _Eye, around: _Of) -> Answer:
    of = _of(record, eye, around)
    return {
        name: _value(value, sort, eye, of)
        for name, value in record.items()
        if (sort := sort_of(eye.answer, name)) is not None and _told(value, sort, eye, of)
    }


def _of(record: Answer, eye: _Eye, around: _Of) -> _Of:
    event = record.get("event")
    if event is not None:
        case = event.startswith("ticket.") or (event.startswith("approval.") and bool(record.get("ticket_no")))
        return _Of(own=False, administrative=record.get("ticket_no") in eye.administrative, case=case)
    if "digest" in record:  # a published month: its own words are no case's
        return _Of(own=False, administrative=False, case=False)
    if "request" not in record:
        return around
    answered = record.get("agent") or record.get("responded_by")
    return _Of(
        own=not answered or people.same(str(answered), eye.me),
        administrative=record["request"] == "administrative",
        case=True,
    )


def _told(value: Any, sort: Sort, eye: _Eye, of: _Of) -> bool:
    kept = sort & eye.kept
    if kept & Sort.PERSON and (not value or people.same(str(value), eye.me)):
        kept &= ~Sort.PERSON
    if kept & Sort.FIGURE and of.own:
        kept &= ~Sort.FIGURE
    if kept & Sort.TEXT and (of.administrative or not of.case):
        kept &= ~Sort.TEXT
    return not kept


def _value(value: Any, sort: Sort, eye: _Eye, of: _Of) -> Any:
    if sort & Sort.WHOLE:
        return value
    if isinstance(value, dict):
        return _record(value, eye, of)
    if not isinstance(value, list):
        return value
    seen = (item for item in value if not (isinstance(item, dict) and _unseen(item, eye)))
    return [_record(item, eye, of) if isinstance(item, dict) else item for item in seen]


def _unseen(item: Answer, eye: _Eye) -> bool:
    """Whether an entry of a history is kept as a whole."""
    event = str(item.get("event", "ticket."))
    return bool(eye.kept & Sort.MONEY) and not event.startswith(("ticket.", "decline.")) and event not in PLAN_FACTS
