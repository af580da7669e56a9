"""The only door for writes: each command loads, decides, saves; each question folds an account or a ticket.

A command's facts, the due facts that had to be recorded first, what follows from it, the ticket's events and the
idempotency row are one transaction. On a version conflict it reloads and decides again, until ten seconds are up.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from eventsourcing.persistence import EventStore, IntegrityError

from ledger import answers, plans, serving
from ledger import facts as f
from ledger import ticket as cases
from ledger.account import QUESTION, Account, Accounts, Asked, account_stream
from ledger.catalogue import Catalogue, load
from ledger.clock import Clock
from ledger.commands import COMMANDS, QUESTIONS
from ledger.dating import Caller, check_dates, fingerprint
from ledger.errors import Conflict, Malformed, NotFound, Refused, Unavailable
from ledger.fields import parse_fields
from ledger.history import history
from ledger.rules import instants, sla
from ledger.store import FactMapper, Recorded, Request, Store

__all__ = ["Caller", "Ledger"]

_RETRY_SECONDS = 10.0

Answer = dict[str, Any]
Decide = Callable[[Account, Answer, Asked, Catalogue], plans.Decided]
_ACCOUNT_DECISIONS: dict[str, Decide] = {
    "plan.purchase": plans.purchase_plan,
    "licence.renew": plans.renew_licence,
    "addon.purchase": plans.purchase_addon,
    "courtesy.grant": plans.grant_courtesy,
    "payment.record": plans.record_payment,
    "plan.cancel": plans.cancel_plan,
    "plan.withdraw_cancellation": plans.withdraw_cancellation,
}


class Ledger:
    """Commands and questions over one store. Thread-safe; one per process."""

    def __init__(self, store: Store, catalogue: Catalogue | None = None) -> None:
        self.store = store
        self.catalogue = catalogue or load()
        self.clock = Clock(store)
        self.events: EventStore[str] = EventStore(FactMapper(), store)
        self.accounts = Accounts(self.events, self.catalogue)

    def close(self) -> None:
        """Close the store's connections."""
        self.store.close()

    # --- commands ---------------------------------------------------------------------------------------

    def execute(
        self,
        name: str,
        given: Mapping[str, Any],
        *,
        caller: Caller,
        at: str | None = None,
        reason: str = "",
        key: str = "",
    ) -> Answer:
        """Run command `name` and return its answer with `ok`, and `position` where something was recorded.

        `given` are raw JSON values; `at` is a canonical instant (default: the ledger's now). Raises Malformed,
        NotFound, Refused, Conflict or Unavailable. A decline is an answer (`ok` false, with `code`).
        """
        command = COMMANDS.get(name)
        if command is None:
            raise Malformed("do", name, "remedy_choice", words=", ".join(COMMANDS))
        values = parse_fields(given, command.fields)
        if caller.role not in command.roles:
            raise Refused("role_not_allowed", role=caller.role, command=name, roles=", ".join(sorted(command.roles)))
        wanted = fingerprint(name, given, at, reason, caller)
        deadline = time.monotonic() + _RETRY_SECONDS
        while True:
            if key and (replayed := self._replayed(key, wanted)) is not None:
                return replayed
            now = self.clock.now()
            asked = Asked(at or now, now, caller.by, caller.role, caller.source, reason)
            check_dates(command, values, asked, self._zone_of)
            request = Request(key, json.dumps(wanted), "") if key else None
            try:
                return self._run(name, values, asked, request)
            except (IntegrityError, NotFound, Refused, Conflict) as lost:
                # The same request may have won between our look at its key and the decision: its answer is ours.
                if key and (replayed := self._replayed(key, wanted)) is not None:
                    return replayed
                if not isinstance(lost, IntegrityError):
                    raise
                self._explain(name, values)
                if time.monotonic() > deadline:
                    raise Unavailable("too_busy") from lost
                time.sleep(random.uniform(0.001, 0.02))  # noqa: S311 - it only spreads the retries

    def _run(self, name: str, values: Answer, asked: Asked, request: Request | None) -> Answer:
        if name == "account.open":
            return self._open_account(values, asked, request)
        if name in _ACCOUNT_DECISIONS:
            with self.accounts.existing(values["account"]) as account:
                if asked.at < account.opening.occurred_at:
                    opened_at = instants.show(account.opening.occurred_at, account.opening.zone)
                    raise Refused("before_opening", opened_at=opened_at)
                if name == "payment.record":
                    self._check_reference(values)
                decided = _ACCOUNT_DECISIONS[name](account, values, asked, self.catalogue)
                return self._save(account, decided, asked, request)
        return self._run_ticket(name, values, asked, request)

    def _open_account(self, values: Answer, asked: Asked, request: Request | None) -> Answer:
        number = values["account"]
        with self.accounts.using(number) as account:
            if account.exists:
                raise Conflict("duplicate_account", account=number)
            fact = plans.open_account(number, values, asked, self.catalogue)
            decided = plans.Decided([fact], answer=lambda _book: {"account": number})
            return self._save(account, decided, asked, request)

    def _run_ticket(self, name: str, values: Answer, asked: Asked, request: Request | None) -> Answer:
        verb = name.removeprefix("ticket.")
        if verb == "open":
            with self.accounts.existing(values["account"]) as account:
                if asked.at < account.opening.occurred_at:
                    opened_at = instants.show(account.opening.occurred_at, account.opening.zone)
                    raise Refused("before_opening", opened_at=opened_at)
                case = self.ticket(values["ticket"], must_exist=False)
                decided = serving.open_ticket(account, case, values, asked, self.catalogue)
                return self._save(account, decided, asked, request)
        case = self.ticket(values["ticket"])
        if verb in ("reclassify", "give_back"):
            with self.accounts.existing(case.opened.customer_no) as account:
                decide = serving.reclassify if verb == "reclassify" else serving.give_back
                return self._save(account, decide(account, case, values, asked, self.catalogue), asked, request)
        if verb == "respond":
            decided = cases.respond(case, values, asked)
        elif verb == "prioritise":
            decided = cases.prioritise(case, values, asked, self.catalogue)
        elif verb == "assign":
            decided = cases.assign(case, values, asked)
        elif verb == "exclude":
            decided = cases.exclude(case, values, asked)
        else:
            decided = cases.remark(verb, case, values, asked)
        return self._save(None, decided, asked, request)

    def _save(self, account: Account | None, decided: plans.Decided, asked: Asked, request: Request | None) -> Answer:
        rows: list[Recorded] = []
        body: Answer
        if account is not None and account.exists:
            rows += account.propose(account.unrecorded(asked.now))
        if account is not None and decided.facts:
            broken = len(account.whole(asked.now).broken) if account.exists else 0
            rows += account.propose(decided.facts)
            rows += account.propose(account.unrecorded(asked.now))
            book = account.whole(asked.now)
            if len(book.broken) > broken:
                raise Refused("would_break_history", tickets=", ".join(book.broken[broken:]))
            body = decided.answer(book)
        else:
            body = decided.answer(None)  # type: ignore[arg-type]  # it needs no book: no fact touched one
        answer = {"ok": False, "code": decided.declined, **body} if decided.declined else {"ok": True, **body}
        position = self._append(rows + decided.others, asked.now, request, answer)
        if account is not None:
            account.unsaved = False
        return {**answer, "position": position}

    def _append(self, rows: list[Recorded], now: str, request: Request | None, answer: Answer) -> int:
        stored = request._replace(outcome=json.dumps(answer)) if request is not None else None
        accounts = [row.fact.customer_no for row in rows]
        recordings = self.events.put(rows, accounts=accounts, now=now, request=stored)
        return max(recording.notification.id for recording in recordings)

    def _replayed(self, key: str, wanted: dict[str, str]) -> Answer | None:
        """Return the first answer given to `key`; Conflict when it was asked with another body."""
        before = self.store.request(key)
        if before is None:
            return None
        fields: dict[str, str] = json.loads(before.fields)
        for name in sorted(fields.keys() | wanted.keys()):
            if fields.get(name) != wanted.get(name):
                raise Conflict("key_reused", key=key, field=name)
        answer: Answer = json.loads(before.outcome)
        return {**answer, "position": before.position, "replayed": True}

    def _check_reference(self, values: Answer) -> None:
        stream = plans.reference_stream(values.get("bank", ""), values["reference"])
        for event in self.store.select_events(stream):
            used = f.decode(event.topic, event.state)
            raise Conflict("duplicate_reference", reference=values["reference"], account=used.customer_no)

    def _explain(self, name: str, values: Answer) -> None:
        """After a lost race: say so when another took the very number; otherwise deciding again will tell."""
        if name == "ticket.open" and self.ticket(values["ticket"], must_exist=False).facts:
            raise Conflict("duplicate_ticket", ticket=values["ticket"])

    def _zone_of(self, values: Answer) -> str:
        if "account" in values:
            rows = self.store.select_events(account_stream(values["account"]), limit=1)
            for row in rows:
                opening = f.decode(row.topic, row.state)
                return opening.zone if isinstance(opening, f.AccountOpened) else self.catalogue.zone
        return self.catalogue.zone

    # --- time passing -------------------------------------------------------------------------------------

    def record_due(self, number: str, *, now: str | None = None) -> int:
        """Append what has fallen due on an account and is not recorded yet; return how many facts that was."""
        instant = now or self.clock.now()
        deadline = time.monotonic() + _RETRY_SECONDS
        while True:
            try:
                with self.accounts.existing(number) as account:
                    rows = account.propose(account.unrecorded(instant))
                    if rows:
                        self._append(rows, instant, None, {})
                    account.unsaved = False
                    return len(rows)
            except IntegrityError as conflict:
                if time.monotonic() > deadline:
                    raise Unavailable("too_busy") from conflict

    # --- questions ----------------------------------------------------------------------------------------

    def ask(self, name: str, given: Mapping[str, Any]) -> Answer:
        """Answer question `name`; NotFound, Malformed or Refused where it has none. Writes nothing."""
        question = QUESTIONS.get(name)
        if question is None:
            raise Malformed("ask", name, "remedy_choice", words=", ".join(QUESTIONS))
        values = parse_fields(given, question.fields)
        now = self.clock.now()
        at = values.get("at") or values.get("known_at") or now
        if name == "coverage":
            return self._coverage(values, at, now)
        if name == "ticket":
            return self._ticket(values, at)
        if name == "history":
            return history(self.store, values["account"], at, self._known(values))
        with self._folded(values, at, now) as (book, unrecorded):
            if name == "balance":
                return answers.balance(book, at, unrecorded)
            return answers.account(book, at) if name == "account" else answers.billing(book, at)

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
            decision, target, remedy = serving.coverage(account, values, asked, self.catalogue)
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

    def _ticket(self, values: Answer, at: str) -> Answer:
        case = self.ticket(values["ticket"], position=self._known(values))
        clock = sla.run(case.facts, at, case.recorded_at)
        if clock is None:
            raise NotFound("unknown_ticket", ticket=values["ticket"])
        return answers.ticket(clock, at)

    def ticket(self, number: str, *, must_exist: bool = True, position: int | None = None) -> cases.Ticket:
        """Return a case from its stream (the prefix up to `position`); NotFound unless it may be missing."""
        events: Iterable[Any] = self.events.get(cases.ticket_stream(number))
        case = cases.Ticket(number, [e for e in events if position is None or e.position <= position])
        if must_exist and not case.facts:
            raise NotFound("unknown_ticket", ticket=number)
        return case


class _Folded:
    """The book of an account as of `at`, from everything known or from a prefix of the log."""

    def __init__(self, ledger: Ledger, number: str, at: str, now: str, position: int | None) -> None:
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
