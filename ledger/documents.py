"""Tax documents: an invoice when its charge is paid, a credit note for what is credited; numbers without gaps.

A document is a fact of its account. In the same transaction its series' stream takes the next number under the
append lock, so that nobody waits and no number is lost. The certifier's UUID, series and number come later, once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ledger import facts as f
from ledger.account import Account, Asked
from ledger.errors import NotFound, Refused
from ledger.months import booked_in, closings, local_month
from ledger.plans import Answer, Decided, common
from ledger.references import reference_stream
from ledger.rules.book import Book
from ledger.rules.instants import show
from ledger.rules.money import show_amount
from ledger.store import NEXT, Recorded, Row, Store

CAUSES = (f.ChargeRaised, f.ChargePaid, f.ChargeVoided, f.CreditNoted, f.DueFactWithdrawn)
SERIES = {"invoice": "F", "credit_note": "NC"}
TAKEN_BACK = ("-void", "-again", "-double")  # how the subjects of notes end that take a whole invoice back


def series_of(kind: str, currency: str, home: str) -> str:
    """Return the series of a document: one a kind, and one a currency that is not the house's own."""
    return SERIES[kind] if currency == home else f"{SERIES[kind]}-{currency}"


def series_stream(series: str) -> str:
    """Return the stream whose places are the numbers of a series."""
    return f"series/{series}"


def issue(account: Account, new: Iterable[f.Fact], book: Book, home: str) -> list[f.DocumentIssued]:
    """Return the documents that the charges named by `new` lack, now that those facts are about to be saved.

    What a charge should have follows from how it stands in the book (rule 9), so nothing is issued twice, and a charge
    whose documents were lost once gets them as soon as it is touched. `home` is the house's currency.
    """
    touched: dict[str, None] = {}
    for fact in new:
        if isinstance(fact, f.DueFactWithdrawn):
            touched |= dict.fromkeys(sorted(account.papers))
        elif isinstance(fact, (f.ChargeRaised, f.ChargePaid, f.ChargeVoided, f.CreditNoted)):
            touched[fact.charge] = None
    return [document for charge in touched for document in lacking(account, book, charge, home)]


class Standing(NamedTuple):
    """What the documents of one charge come to: invoices that stand, and the sums of invoices less notes."""

    invoices: int
    gross: int
    tax: int
    noted: frozenset[str]  # the credit notes that have their document


def standing(papers: Iterable[f.DocumentIssued]) -> Standing:
    """Return what the documents of one charge, in the order of their issue, come to."""
    invoices = gross = tax = 0
    noted = set()
    for paper in papers:
        sign = 1 if paper.kind == "invoice" else -1
        gross += sign * paper.gross
        tax += sign * paper.tax
        if paper.kind == "invoice":
            invoices += 1
        elif paper.subject.endswith(TAKEN_BACK):
            invoices -= 1
        else:
            noted.add(paper.subject)
    return Standing(invoices, gross, tax, frozenset(noted))


def lacking(account: Account, book: Book, charge_id: str, home: str) -> list[f.DocumentIssued]:
    """Return the documents that charge `charge_id` should have by rule 9 and has not, in the order to issue them.

    A paid charge has one invoice over what was asked less its credit notes; it stands until the charge is voided or, as
    facts dated earlier have shown, was never raised. Each credit note has its document. Charges of 0, and those that
    imported payments paid, have no invoice.
    """
    has = standing(account.papers.get(charge_id, ()))
    notes = [x for x in account.credit_notes if x.charge == charge_id and x.note not in has.noted]
    charge = book.charges.get(charge_id)
    made: list[f.DocumentIssued] = []

    def make(kind: str, subject: str, gross: int, tax: int, cause: f.Fact) -> None:
        if gross > 0:
            made.append(_document(account, book, cause, kind, subject, charge_id, gross, tax, home))

    gone = charge is None or bool(charge.voided_at)
    gross, tax, invoices = has.gross, has.tax, has.invoices
    if charge is None or gone:
        for note in notes:
            make("credit_note", note.note, note.gross, note.tax, note)
            gross, tax = gross - note.gross, tax - note.tax
        if invoices > 0:
            make("credit_note", f"{charge_id}-void", gross, tax, _gone(account, book, charge_id))
        return made
    noted = [x for x in account.credit_notes if x.note in has.noted]
    want = charge.total - sum(x.gross for x in noted)
    want_tax = charge.total_tax - sum(x.tax for x in noted)
    if invoices > 1 and gross > want:  # one too many
        make("credit_note", f"{charge_id}-double", gross - want, tax - want_tax, _paid(account, book, charge_id))
    elif invoices == 1 and gross != want:  # it asks for another sum, as facts dated earlier have shown
        make("credit_note", f"{charge_id}-void", gross, tax, _gone(account, book, charge_id))
        gross, tax, invoices = 0, 0, 0
    if invoices <= 0 and charge.invoiced:
        make("invoice", charge_id, want - gross, want_tax - tax, _paid(account, book, charge_id))
    for note in notes:
        make("credit_note", note.note, note.gross, note.tax, note)
    return made


def _paid(account: Account, book: Book, charge: str) -> f.Fact:
    """Return the fact that called for a charge's invoice: its being paid in full, the first time."""
    return book.journal.derived.get(f"paid:{charge}") or account.opening


def _gone(account: Account, book: Book, charge: str) -> f.Fact:
    """Return the fact that took a charge away: its void, or the newest correction of what was recorded of it."""
    void = book.journal.derived.get(f"void:{charge}")
    if void is not None:
        return void
    withdrawn: list[f.Fact] = [x for x in account.facts if isinstance(x, f.DueFactWithdrawn)]
    own = [x for x in withdrawn if isinstance(x, f.DueFactWithdrawn) and charge in x.key.split(":")]
    return (own or withdrawn or [account.opening])[-1]


def _customer(account: Account, book: Book, kind: str, charge: str) -> f.AccountOpened | f.DocumentIssued:
    """Return whom a document names: the customer as of today; a credit note whom the invoice that it corrects named."""
    if kind == "credit_note":
        for paper in reversed(account.papers.get(charge, ())):
            if paper.kind == "invoice":
                return paper if paper.name else account.opening
    return book.account or account.opening


def _document(
    account: Account, book: Book, cause: f.Fact, kind: str, subject: str, charge: str, gross: int, tax: int, home: str
) -> f.DocumentIssued:
    customer = _customer(account, book, kind, charge)
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
        name=customer.name,
        nit=customer.nit,
        address=customer.address,
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


def documents(store: Store, account: Account, at: str, position: int | None, books_zone: str) -> list[Answer]:
    """Return the documents that an account had at instant `at`, in order of issue, each with number and certificate.

    `issued_at` is when it was made, `value_date` that of what called for it, `booked_in` its accounting month; what it
    says of the customer is what held when it was issued.
    """
    numbered: dict[tuple[str, str], list[int]] = {}
    issued: list[tuple[Row, f.DocumentIssued]] = []
    for row in store.rows_of_account(account.number, position):
        if row.topic == f.NumberTaken.TOPIC:
            taken = f.decode(row.topic, row.state, row.position)
            assert isinstance(taken, f.NumberTaken)
            numbered.setdefault((taken.series, taken.subject), []).append(row.version)
        elif row.topic == f.DocumentIssued.TOPIC and row.recorded_at <= at:
            fact = f.decode(row.topic, row.state, row.position)
            assert isinstance(fact, f.DocumentIssued)
            issued.append((row, fact))
    certified = {x.document: x for x in account.facts if isinstance(x, f.DocumentCertified)}
    closed = closings(store)
    found = []
    for row, fact in issued:
        numbers_left = numbered.get((fact.series, fact.subject))
        name = f"{fact.series}-{numbers_left.pop(0)}" if numbers_left else ""
        month = local_month(fact.occurred_at, account.zone_at(fact.occurred_at))
        booked = booked_in(month, row.position, row.recorded_at, closed, books_zone)
        zone = account.zone_at(row.recorded_at)
        shown = _shown(fact, name, certified.get(name), account.opening)
        shown["issued_at"], shown["value_date"] = show(row.recorded_at, zone), show(fact.occurred_at, zone)
        found.append({**shown, "booked_in": booked})
    return found


def _shown(
    fact: f.DocumentIssued, name: str, certificate: f.DocumentCertified | None, opening: f.AccountOpened
) -> Answer:
    customer = fact if fact.name else opening  # from before documents kept it: nothing of it could change then
    fel = f"{certificate.series}-{certificate.number}" if certificate is not None else None
    return {
        "document": name,
        "kind": fact.kind,
        "charge": fact.charge,
        "issued_at": "",
        "value_date": "",
        "booked_in": "",
        "gross": show_amount(fact.gross),
        "net": show_amount(fact.net),
        "tax": show_amount(fact.tax),
        "currency": fact.currency,
        "name": customer.name,
        "nit": customer.nit or None,
        "address": customer.address or None,
        "uuid": certificate.uuid if certificate is not None else None,
        "certified_as": fel,
    }


def reissue(account: Account, v: Answer, asked: Asked, known: Iterable[Answer], home: str) -> Decided:
    """Take a standing invoice back by a credit note and issue it again, with what holds of the customer today.

    Moves no money (rule 9). `known` are the account's documents. Refused for what is no invoice, or stands no more.
    """
    document = next((one for one in known if one["document"] == v["document"]), None)
    if document is None:
        raise NotFound("unknown_document", document=v["document"], account=account.number)
    if document["kind"] != "invoice":
        raise Refused("not_an_invoice", document=v["document"])
    charge = document["charge"]
    own = [one["document"] for one in known if one["charge"] == charge and one["kind"] == "invoice"]
    stands = standing(account.papers[charge])
    if stands.invoices < 1 or stands.gross <= 0 or own[-1] != v["document"]:
        raise Refused("document_not_standing", document=v["document"])
    book = account.whole(asked.now)
    cause = f.Fact(**common(account.number, asked))
    note = _document(account, book, cause, "credit_note", f"{charge}-again", charge, stands.gross, stands.tax, home)
    again = _document(account, book, cause, "invoice", charge, charge, stands.gross, stands.tax, home)
    answer = {
        "document": v["document"],
        "charge": charge,
        "gross": show_amount(again.gross),
        "net": show_amount(again.net),
        "tax": show_amount(again.tax),
        "currency": again.currency,
        "name": again.name,
        "nit": again.nit or None,
        "address": again.address or None,
    }
    return Decided(papers=[note, again], answer=lambda _book: dict(answer))


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
