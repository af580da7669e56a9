"""Questions: each folds an account or a ticket as of an instant, from everything known or from a prefix of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any, TypeVar

from ledger import answers, approvals, documents, explaining, policies, serving
from ledger import ticket as cases
from ledger.account import QUESTION, Account, Accounts, Asked
from ledger.catalogue import Catalogue
from ledger.clock import Clock
from ledger.command import permit, permit_values
from ledger.commands import QUESTIONS
from ledger.dating import Caller
from ledger.errors import Malformed, NotFound, Unavailable
from ledger.fields import parse_fields
from ledger.history import history
from ledger.preview import preview
from ledger.rules import sla
from ledger.store import Store
from ledger.visibility import shown, told_to

Answer = dict[str, Any]
Told = TypeVar("Told")


class Questions:
    """What may be asked of a ledger; it writes nothing."""

    _policy: Catalogue | None = None

    store: Store
    catalogue: Catalogue
    clock: Clock
    accounts: Accounts
    events: Any

    def ask(self, name: str, given: Mapping[str, Any], *, caller: Caller | None = None) -> Answer:
        """Answer question `name`; NotFound, Malformed or Refused where it has none. Writes nothing.

        The answer, or the refusal, tells what the caller's role may see; without a caller (the ledger's own code, the
        operator) all of it.
        """
        if caller is None:
            return self._answered(name, given, None)
        with told_to(caller):
            return shown(name, self._answered(name, given, caller), caller)

    def _answered(self, name: str, given: Mapping[str, Any], caller: Caller | None) -> Answer:
        question = QUESTIONS.get(name)
        if question is None:
            raise Malformed("ask", name, "remedy_choice", words=", ".join(QUESTIONS))
        if caller is not None and question.own and caller.role == "agent":
            given = {**given, question.own: caller.by}
        values = parse_fields(given, question.fields)
        if caller is not None:
            permit(question, caller.role)
            permit_values(question, values, caller.role)
        if values.get("from", "") > values.get("to", "9999"):
            raise Malformed("to", values["to"], "remedy_to_after_from", since=values["from"])
        now = self.clock.now()
        at = values.get("at") or values.get("known_at") or now
        if name in PORTFOLIO:
            return once_more(lambda: portfolio(name)(self, values, at, now))
        if name in ("approval", "approvals"):
            return self._approvals(name, values, at, caller or Caller())
        if name == "coverage":
            return self._coverage(values, at, now)
        if name == "ticket":
            return self._ticket(values, at)
        if name == "explain":
            return self._explanation(values, at)
        if name == "history":
            return history(self.store, values["account"], at, self._known(values))
        if name == "preview":
            return self._preview(values, at, now)
        if name == "documents":
            return self._documents(values, at)
        with self._folded(values, at, now) as (book, unrecorded):
            if name == "balance":
                return answers.balance(book, at, unrecorded)
            if name == "payments":
                return answers.payments(book, at)
            return answers.account(book, at) if name == "account" else answers.billing(book, at)

    def _approvals(self, name: str, values: Answer, at: str, caller: Caller) -> Answer:
        position = self._known(values)
        if name == "approval":
            return approvals.one(self.store, values["request"], caller, at, position)
        return approvals.listed(self.store, self.catalogue, values, caller, at, position)

    def policy(self) -> Catalogue:
        """Return the catalogue with the calendars assigned so far."""
        known = self._policy or self.catalogue
        self._policy = policies.current(self.store, known)
        return self._policy

    def _known(self, values: Answer) -> int | None:
        known_at = values.get("known_at")
        return None if known_at is None else self.store.position_known_at(known_at)

    def _folded(self, values: Answer, at: str, now: str) -> _Folded:
        return _Folded(self, values["account"], at, now, self._known(values))

    def _coverage(self, values: Answer, at: str, now: str) -> Answer:
        asked = Asked(at, now, "", "operator", QUESTION)
        with self.accounts.existing(values["account"]) as account:
            if at < account.opening.occurred_at:
                raise NotFound("unknown_account", account=values["account"])
            decision, target, remedy = serving.coverage(account, values, asked, self.policy())
        return {
            "account": values["account"],
            "outcome": "served" if decision.served else "declined",
            "code": decision.code,
            "consumes": decision.consumes,
            "grant": decision.grant or None,
            "why": decision.why or None,
            "level": decision.level or None,
            "limit_seconds": target.limit_us // 1_000_000 if target is not None else None,
            "calendar": target.calendar if target is not None else None,
            **remedy,
        }

    def _preview(self, values: Answer, at: str, now: str) -> Answer:
        with self.accounts.existing(values["account"]) as account:
            if at < account.opening.occurred_at:
                raise NotFound("unknown_account", account=values["account"])
            return preview(account.twin(), values, Asked(at, now, "", "operator", QUESTION, QUESTION), self.catalogue)

    def _documents(self, values: Answer, at: str) -> Answer:
        number, position = values["account"], self._known(values)
        if position is not None:
            account = self.accounts.as_known(number, position)
            return {"account": number, "documents": self._papers(account, at, position)}
        with self.accounts.existing(number) as account:
            return {"account": number, "documents": self._papers(account, at, None)}

    def _papers(self, account: Account, at: str, position: int | None) -> list[Answer]:
        return documents.documents(self.store, account, at, position, self.catalogue.zone)

    def _ticket(self, values: Answer, at: str) -> Answer:
        case = self.ticket(values["ticket"], position=self._known(values))
        clock = sla.run(case.facts, at, case.recorded)
        if clock is None:
            raise NotFound("unknown_ticket", ticket=values["ticket"])
        return answers.ticket(clock, at)

    def _explanation(self, values: Answer, at: str) -> Answer:
        case = self.ticket(values["ticket"], position=self._known(values))
        known_at, agent = values.get("known_at", ""), values.get("agent", "")
        return explaining.explanation(case, self.policy(), at, known_at=known_at, agent=agent)

    def ticket(self, number: str, *, must_exist: bool = True, position: int | None = None) -> cases.Ticket:
        """Return a case from its stream (the prefix up to `position`); NotFound unless it may be missing."""
        events: Iterable[Any] = self.events.get(cases.ticket_stream(number))
        case = cases.Ticket(number, [e for e in events if position is None or e.position <= position])
        if must_exist and not case.facts:
            raise NotFound("unknown_ticket", ticket=number)
        return case


# Questions over all cases: answered above the ledger, from read models.
PORTFOLIO = ("report", "published", "compare", "imports", "queue", "radar", "what_if")


def once_more(ask: Callable[[], Told]) -> Told:
    """Return what `ask` does; where it found the read models damaged, they are made anew when it asks again."""
    try:
        return ask()
    except Unavailable as error:
        if error.code != "read_models_damaged":
            raise
    return ask()


@cache
def portfolio(name: str) -> Callable[[Questions, Answer, str, str], Answer]:
    """Return what answers question `name` over all cases; Unavailable where it is not installed."""
    for point in entry_points(group="supportledger.questions", name=name):
        answer: Callable[[Questions, Answer, str, str], Answer] = point.load()
        return answer
    raise Unavailable("not_installed", name=name)


class _Folded:
    """The book of an account as of `at`, from everything known or from a prefix of the log."""

    def __init__(self, ledger: Questions, number: str, at: str, now: str, position: int | None) -> None:
        self._ledger, self._number, self._at, self._now, self._position = ledger, number, at, now, position
        self._using: Any = None

    def __enter__(self) -> tuple[Any, int]:
        if self._position is None:
            self._using = self._ledger.accounts.existing(self._number)
            account: Account = self._using.__enter__()
        else:
            account = self._ledger.accounts.as_known(self._number, self._position)
        if self._at < account.opening.occurred_at:
            self.__exit__(None, None, None)
            raise NotFound("unknown_account", account=self._number)
        # A prefix holds only itself: it is folded to `at` alone, never past it.
        now = self._now if self._position is None else self._at
        book = account.at(self._at, now)
        return book, len(book.journal.missing(self._at))

    def __exit__(self, *details: Any) -> None:
        if self._using is not None:
            self._using.__exit__(*details)
            self._using = None
