"""Tax documents: an invoice when its charge is paid, a credit note for what is credited; numbers without gaps.

A document is a fact of its account. In the same transaction its series' stream takes the next number under the
append lock, so that nobody waits and no number is lost. The certifier's UUID, series and number come later, once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from msgspec.structs import replace

from ledger import facts as f
from ledger.account import Account, Asked
from ledger.errors import Conflict, NotFound, Refused
from ledger.plans import Answer, Decided, common, reference_stream
from ledger.rules.book import Book
from ledger.rules.instants import show
from ledger.rules.money import show_amount
from ledger.store import NEXT, Recorded, Store

CAUSES = (f.ChargePaid, f.ChargeVoided, f.CreditNoted, f.DueFactWithdrawn)
SERIES = {"invoice": "F", "credit_note": "NC"}


def series_of(kind: str, currency: str, home: str) -> str:
    """Return the series of a document: one a kind, and one a currency that is not the house's own."""
    return SERIES[kind] if currency == home else f"{SERIES[kind]}-{currency}"


def series_stream(series: str) -> str:
    """Return the stream whose places are the numbers of a series."""
    return f"series/{series}"


def issue(account: Account, new: Iterable[f.Fact], book: Book, home: str) -> list[f.DocumentIssued]:
    """Return the documents that follow from facts about to be saved: none for a charge that has one already."""
    issued: list[f.DocumentIssued] = []
    has = set(account.invoiced)
    for fact in new:
        made: f.DocumentIssued | None = None
        if isinstance(fact, f.CreditNoted):
            made = _document(book, fact, "credit_note", fact.note, fact.charge, fact.gross, fact.tax, home)
        elif isinstance(fact, (f.ChargePaid, f.ChargeVoided)):
            charge = book.charges.get(fact.charge)
            if charge is None:
                continue
            if isinstance(fact, f.ChargePaid) and charge.id not in has and charge.total and not charge.voided_at:
                has.add(charge.id)
                notes = _notes(account, charge.id)
                gross, tax = charge.total - sum(x.gross for x in notes), charge.total_tax - sum(x.tax for x in notes)
                if gross:
                    made = _document(book, fact, "invoice", charge.id, charge.id, gross, tax, home)
            elif isinstance(fact, f.ChargeVoided) and charge.id in has and charge.voided_at:
                has.discard(charge.id)
                left, tax = charge.total - charge.credited, charge.total_tax - charge.credited_tax
                if left:
                    made = _document(book, fact, "credit_note", f"{charge.id}-void", charge.id, left, tax, home)
        if made is not None:
            issued.append(made)
    withdrawn = [fact for fact in new if isinstance(fact, f.DueFactWithdrawn)]
    for charge_id in sorted(has - book.charges.keys()) if withdrawn else ():
        issued.append(_undo(account, withdrawn[-1], charge_id))
    return issued


def _notes(account: Account, charge: str) -> list[f.DocumentIssued]:
    """Return the credit notes given on a charge: what is invoiced anew after a lapse was undone is less by them."""
    own = [x for x in account.facts if isinstance(x, f.DocumentIssued) and x.charge == charge]
    return [x for x in own if x.kind == "credit_note" and not x.subject.endswith("-void")]


def _undo(account: Account, cause: f.Fact, charge: str) -> f.DocumentIssued:
    """Return the credit note of a charge that, as facts dated earlier have shown, was never raised."""
    own = [x for x in account.facts if isinstance(x, f.DocumentIssued) and x.charge == charge]
    last = max(n for n, document in enumerate(own) if document.kind == "invoice")
    invoice, notes = own[last], own[last + 1 :]
    gross, tax = invoice.gross - sum(x.gross for x in notes), invoice.tax - sum(x.tax for x in notes)
    return replace(
        invoice,
        occurred_at=cause.occurred_at,
        by=cause.by,
        source=cause.source,
        reason=cause.reason,
        kind="credit_note",
        series=invoice.series.replace(SERIES["invoice"], SERIES["credit_note"], 1),
        subject=f"{charge}-void",
        gross=gross,
        net=gross - tax,
        tax=tax,
    )


def _document(
    book: Book, cause: f.Fact, kind: str, subject: str, charge: str, gross: int, tax: int, home: str
) -> f.DocumentIssued:
    return f.DocumentIssued(
        customer_no=cause.customer_no,
        occurred_at=cause.occurred_at,
        by=cause.by,
        source=cause.source,
        reason=cause.reason,
        kind=kind,
        series=series_of(kind, book.currency, home),
        subject=subject,
        charge=charge,
        gross=gross,
        net=gross - tax,
        tax=tax,
        currency=book.currency,
    )


def numbers(issued: Iterable[f.DocumentIssued]) -> list[Recorded]:
    """Return the rows that take the next number of each document's series, in the same order."""
    rows = []
    for document in issued:
        taken = f.NumberTaken(
            customer_no=document.customer_no,
            occurred_at=document.occurred_at,
            by=document.by,
            source=document.source,
            series=document.series,
            kind=document.kind,
            subject=document.subject,
        )
        rows.append(Recorded(series_stream(document.series), NEXT, taken))
    return rows


def documents(store: Store, account: Account, at: str, position: int | None) -> list[Answer]:
    """Return an account's documents up to instant `at`, in order of issue, each with its number and certificate."""
    numbered: dict[tuple[str, str], list[int]] = {}
    for row in store.rows_of_account(account.number, position):
        if row.topic == f.NumberTaken.TOPIC:
            taken = f.decode(row.topic, row.state)
            assert isinstance(taken, f.NumberTaken)
            numbered.setdefault((taken.series, taken.subject), []).append(row.version)
    certified = {x.document: x for x in account.facts if isinstance(x, f.DocumentCertified)}
    found = []
    for fact in account.facts:
        if not isinstance(fact, f.DocumentIssued) or fact.occurred_at > at:
            continue
        number = numbered[(fact.series, fact.subject)].pop(0)
        name = f"{fact.series}-{number}"
        found.append(_shown(fact, name, certified.get(name), account.opening.zone))
    return found


def _shown(fact: f.DocumentIssued, name: str, certificate: f.DocumentCertified | None, zone: str) -> Answer:
    shown: dict[str, Any] = {
        "document": name,
        "kind": fact.kind,
        "charge": fact.charge,
        "issued_at": show(fact.occurred_at, zone),
        "gross": show_amount(fact.gross),
        "net": show_amount(fact.net),
        "tax": show_amount(fact.tax),
        "currency": fact.currency,
        "uuid": None,
        "certified_as": None,
    }
    if certificate is not None:
        shown |= {"uuid": certificate.uuid, "certified_as": f"{certificate.series}-{certificate.number}"}
    return shown


def certify(account: Account, v: Answer, asked: Asked, names: Iterable[str]) -> Decided:
    """Record the certifier's UUID, series and number of a document (`names`: those the account has), once."""
    if v["document"] not in names:
        raise NotFound("unknown_document", document=v["document"], account=account.number)
    if any(isinstance(x, f.DocumentCertified) and x.document == v["document"] for x in account.facts):
        raise Refused("certified_already", document=v["document"])
    fact = f.DocumentCertified(
        **common(account.number, asked),
        document=v["document"],
        uuid=v["uuid"],
        series=v["series"],
        number=v["number"],
    )
    claim = f.ReferenceClaimed(**common(account.number, asked), bank="fel", reference=fact.uuid, payment=fact.document)
    row = Recorded(reference_stream("fel", fact.uuid), 1, claim)
    return Decided([fact], [row], lambda _book: {"document": fact.document, "uuid": fact.uuid})


def close_month(store: Store, v: Answer, asked: Asked, today: str) -> Recorded:
    """Return the row that closes an accounting month; months close in order, and not before they are over."""
    closed = closings(store)
    if v["month"] >= today[:7]:
        raise Refused("month_not_over", month=v["month"])
    if closed and v["month"] <= closed[-1].month:
        raise Conflict("month_closed", month=v["month"], closed_through=closed[-1].month)
    fact = f.MonthClosed(**{**common("", asked), "month": v["month"]})
    return Recorded("books", len(closed) + 1, fact)


class Closing(NamedTuple):
    """An accounting month that was closed, with all before it, at a position of the log."""

    month: str
    position: int


def closings(store: Store) -> list[Closing]:
    """Return the closed months in the order of their closing; everything up to the last one is closed."""
    return [
        Closing(fact.month, row.position)
        for row in store.rows_of_streams(["books"], store.last_position())
        if isinstance(fact := f.decode(row.topic, row.state), f.MonthClosed)
    ]


def following(month: str) -> str:
    """Return the month after `month` (YYYY-MM)."""
    year, number = int(month[:4]), int(month[5:])
    return f"{year + number // 12:04d}-{number % 12 + 1:02d}"
