"""One customer's history as rows of the log: enrolment, payments, cases and what they took, by their dates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from ledger import facts as f
from ledger.account import Account, account_stream
from ledger.application import Ledger
from ledger.errors import NotFound
from ledger.imports.cases import Kept, SourceCase
from ledger.imports.mapping import Mapping
from ledger.imports.telling import Telling
from ledger.rules import terms
from ledger.rules.grants import usable, why
from ledger.rules.money import split
from ledger.rules.subscriptions import local_day, midnight
from ledger.store import Recorded, Row
from ledger.ticket import ticket_stream

UNCOVERED = "uncovered"
_TOGETHER = 100  # facts of one case in one transaction; a longer case goes on in the next
Act = Callable[[str], Iterator["Part"]]


@dataclass(frozen=True, slots=True)
class Desk:
    """The other desk: what its rows mean, the ledger they go to, and what its facts have as their source."""

    ledger: Ledger
    mapping: Mapping
    source: str

    def told(self, fact: f.Fact) -> bool:
        """Whether `fact` came from this desk, in this file or another."""
        return fact.source.startswith(f"import:{self.mapping.name}:")

    def price(self, case: SourceCase) -> tuple[int, int]:
        """Return (units a month, gross) of the plan that `case`, its customer's first, enrols with; or NotFound."""
        enrolment, level = self.mapping.enrolment, case.rows[0].level
        day = local_day(case.opened_at, self.mapping.zone)
        try:
            return self.ledger.catalogue.price(level, enrolment.term, day, enrolment.currency)
        except KeyError:
            raise NotFound("no_price", level=level, term=enrolment.term, currency=enrolment.currency) from None


class Part(NamedTuple):
    """Rows that belong in one transaction, and how many of the file's rows they record."""

    rows: list[Recorded]
    imported: int = 0


def streams(number: str, cases: list[SourceCase]) -> list[str]:
    """Return the streams that say what the ledger has of a customer's cases."""
    return [account_stream(number), *(ticket_stream(case.number) for case in cases)]


class Customer:
    """A customer's cases in the file against what the ledger has of them: the `rows` of their `streams`."""

    def __init__(self, desk: Desk, number: str, cases: list[SourceCase], rows: Iterable[Row]) -> None:
        self.desk = desk
        self.mapping = desk.mapping
        self.catalogue = desk.ledger.catalogue
        self.policy = desk.ledger.policy()
        self.number = number
        self.account = Account(number, self.catalogue)
        self.kept: dict[str, Kept] = {}
        self._plan = f"{number}-S1"  # the subscription this desk pays for
        self._load(rows)
        taken = {case.number for case in cases if case.number in self.kept and not self._ours(case)}
        self.taken = [case for case in cases if case.number in taken]  # another's: nothing of it is recorded
        self.strays = [
            (self.kept[case.number].opened.customer_no, case)
            for case in cases
            if case.number in self.kept
            and case.number not in taken
            and self.kept[case.number].opened.customer_no != number
        ]  # recorded for another customer: a row that was mended has changed the first one
        gone = taken | {case.number for _owner, case in self.strays}
        self.cases = [case for case in cases if case.number not in gone]

    def _ours(self, case: SourceCase) -> bool:
        return self.desk.told(self.kept[case.number].opened)

    def _load(self, rows: Iterable[Row]) -> None:
        own: list[Recorded] = []
        for row in rows:
            fact = f.decode(row.topic, row.state, row.position)
            if not isinstance(fact, f.TicketFact):
                own.append(Recorded(row.stream, row.version, fact, row.recorded_at, row.position))
                continue
            if isinstance(fact, f.TicketOpened):
                self.kept.setdefault(fact.ticket_no, Kept(fact))
            case = self.kept[fact.ticket_no]
            case.version = row.version
            case.add(fact)
        self.account.extend(own)

    # --- in order of their dates ------------------------------------------------------------------------------

    def parts(self) -> Iterator[Part]:
        """Yield what the ledger lacks, in order of its dates; with the last of it what has fallen due by now.

        Nothing at all when the ledger has every row: what falls due later is the sweep's to record.
        """
        last: Part | None = None
        for at, _order, _name, act in sorted(self._agenda(), key=lambda item: item[:3]):
            for part in act(at):
                if last is not None:
                    yield last
                last = part
        if last is None:
            return
        yield Part(last.rows + self._fold(self.desk.ledger.clock.now()), last.imported)

    def _agenda(self) -> Iterator[tuple[str, int, str, Act]]:
        """Yield (instant, order at one instant, name, what to do): enrolment, payments, give-backs, openings."""
        if not self.cases:
            return
        first, last = self.cases[0], self.cases[-1]
        if not self.account.exists:
            yield first.opened_at, 0, "", self._enrol
        for number, boundary in self._boundaries(first.opened_at, last.opened_at):
            yield boundary, 1, "", partial(self._pay, number=number)
        for case in self.cases:
            kept = self.kept.get(case.number)
            opened_at = kept.opened.occurred_at if kept is not None else case.opened_at
            yield opened_at, 3, case.number, partial(self._case, case=case)
            back, reason = case.given_back(opened_at)
            if back:
                give_back = partial(self._give_back, case=case, reason=reason)
                yield back, 2 if back > opened_at else 4, case.number, give_back

    def _enrolled(self) -> f.PlanPurchased | None:
        """Return the plan this desk enrolled the customer with, where it is the only one it ever had."""
        plans = [fact for fact in self.account.facts if isinstance(fact, f.PlanPurchased)]
        return plans[0] if len(plans) == 1 and self.desk.told(plans[0]) else None

    def _boundaries(self, first: str, last: str) -> Iterator[tuple[int, str]]:
        """Yield (number, instant) of the renewals up to the last case that no imported payment has paid yet."""
        plan = self._enrolled()
        self._plan = plan.subscription if plan is not None else self._plan
        if plan is None and self.account.exists:
            return  # its plan is its own affair: the other desk's cases are recorded, its plan is left alone
        zone = self.account.opening.zone if self.account.exists else self.mapping.zone
        anchor = local_day(plan.occurred_at if plan is not None else first, zone)
        months = terms.TERM_MONTHS[plan.term if plan is not None else self.mapping.enrolment.term]
        paid = {x.reference for x in self.account.facts if isinstance(x, f.PaymentRecorded)}
        number = 1
        while (at := midnight(terms.boundary(anchor, number * months), zone)) <= last:
            if self._reference(number) not in paid:
                yield number, at
            number += 1

    # --- what each date brings --------------------------------------------------------------------------------

    def _reference(self, number: int) -> str:
        return f"{self.mapping.name}:{self.number}:{number}"

    def _common(self, at: str, reason: str = "") -> dict[str, Any]:
        source = self.desk.source
        return {"customer_no": self.number, "occurred_at": at, "by": "import", "source": source, "reason": reason}

    def _fold(self, at: str, *facts: f.Fact) -> list[Recorded]:
        """Return `facts` with what fell due before them and what follows, up to instant `at`, with their documents."""
        entry = self.desk.ledger.entry(at)
        entry.decided(self.account, facts)
        return entry.complete()

    def _enrol(self, at: str) -> Iterator[Part]:
        mapping, enrolment = self.mapping, self.mapping.enrolment
        units, gross = self.desk.price(self.cases[0])
        parts = split(gross)
        subscription = self._plan
        opened = f.AccountOpened(
            **self._common(at),
            name=self.number,
            zone=mapping.zone,
            currency=enrolment.currency,
            language=enrolment.language,
        )
        bought = f.PlanPurchased(
            **self._common(at),
            subscription=subscription,
            level=self.cases[0].rows[0].level,
            term=enrolment.term,
            channel=enrolment.channel,
            pay_by=enrolment.pay,
            units=units,
            gross=parts.gross,
            net=parts.net,
            tax=parts.tax,
            due_on=local_day(at, mapping.zone).isoformat(),
            salesperson=enrolment.salesperson,
            charge=f"{subscription}-p" if gross else "",
        )
        rows = self._fold(at, opened) + self._fold(at, bought)
        yield Part(rows + (self._fold(at, self._payment(at, 0, gross)) if gross else []))

    def _payment(self, at: str, number: int, amount: int) -> f.PaymentRecorded:
        return f.PaymentRecorded(
            **self._common(at),
            payment=f"{self.number}-I{number}",
            amount=amount,
            currency=self.account.opening.currency,
            method="transfer",
            reference=self._reference(number),
        )

    def _pay(self, at: str, *, number: int) -> Iterator[Part]:
        """Pay what the boundary at `at` asks for; nothing where the plan had ended by then."""
        rows = self._fold(at)
        book = self.account.at(at, at)
        charge = book.charges.get(book.subscriptions[self._plan].unpaid)
        if charge is not None:
            rows += self._fold(at, self._payment(at, number, charge.due))
        if rows:
            yield Part(rows)

    def _case(self, at: str, *, case: SourceCase) -> Iterator[Part]:
        """Open the case with what it takes, and tell the rest of it: the rows its stream has not got yet."""
        kept = self.kept.get(case.number)
        rows: list[Recorded] = []
        if kept is not None:
            grant, reason = kept.opened.grant, kept.opened.why
        else:
            grant, reason, rows = self._take(at, case)
        telling = Telling(case, self.number, self.policy, self.mapping, self.desk.source, grant, reason, kept)
        version = kept.version if kept is not None else 0
        here, lines = 0, set[int]()  # facts of the case, and lines of the file, in the part that is being filled
        counted = {0}  # lines that are counted: an opening with a column of its own stands on none
        for row, told in groupby(telling.tell(), key=attrgetter("row")):
            facts = list(told)
            if here and here + len(facts) > _TOGETHER:
                yield Part(rows, len(lines))
                rows, here, lines = [], 0, set()
            rows += [Recorded(ticket_stream(case.number), version + n, fact) for n, fact in enumerate(facts, 1)]
            version += len(facts)
            here += len(facts)
            line = telling.lines.get(row, 0)
            if line not in counted:
                counted.add(line)
                lines.add(line)
        if rows:
            yield Part(rows, len(lines))

    def _take(self, at: str, case: SourceCase) -> tuple[str, str, list[Recorded]]:
        """Return (grant, why, rows): the unit a case takes where a usable one covers it, else none."""
        if at < self.account.opening.occurred_at:
            return "", UNCOVERED, []
        then, whole = self.account.at(at, at), self.account.whole(at)
        candidates = usable((whole.grants[g] for g in then.live if g in whole.grants), at)
        if not candidates:
            return "", UNCOVERED, []
        grant, reason = candidates[0].id, why(candidates[0], candidates, named=False)
        fact = f.TicketConsumed(**self._common(at), ticket_no=case.number, grant=grant, why=reason)
        return grant, reason, self._fold(at, fact)

    def _give_back(self, at: str, *, case: SourceCase, reason: str) -> Iterator[Part]:
        grant = self.account.whole(at).uses.get(case.number)
        if grant is None or self._gave_back(case.number):
            return
        yield Part(self._fold(at, f.UnitGivenBack(**self._common(at, reason), ticket_no=case.number, grant=grant)))

    def _gave_back(self, ticket: str) -> bool:
        return any(isinstance(fact, f.UnitGivenBack) and fact.ticket_no == ticket for fact in self.account.facts)
