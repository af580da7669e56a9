"""The only door for writes: each command loads, decides, saves; each question folds an account or a ticket.

A command's facts, the due facts that had to be recorded first, what follows from it, the ticket's events and the
idempotency row are one transaction. On a version conflict it reloads and decides again, until ten seconds are up.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from eventsourcing.persistence import EventStore, IntegrityError

from ledger import (
    billing,
    books,
    case_changes,
    changes,
    corrections,
    customers,
    documents,
    plans,
    policies,
    publishing,
    references,
    serving,
)
from ledger import facts as f
from ledger import ticket as cases
from ledger.account import Account, Accounts, Act, Asked, account_stream
from ledger.approving import Approving
from ledger.catalogue import Catalogue, load
from ledger.clock import Clock
from ledger.command import permit, permit_values
from ledger.commands import COMMANDS
from ledger.dating import Caller, check_dates, fingerprint
from ledger.errors import Conflict, Malformed, NotFound, Refused, Unavailable
from ledger.fields import parse_fields
from ledger.gateways.sandbox import Sandbox
from ledger.questions import portfolio
from ledger.recording import RETRY_SECONDS, Entry, pause
from ledger.rules import instants
from ledger.rules.approvals import Settings as ApprovalSettings
from ledger.rules.subscriptions import FAR
from ledger.store import FactMapper, Request, Store
from ledger.visibility import shown, told_to

__all__ = ["Caller", "Ledger"]

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
    "plan.upgrade": changes.upgrade,
    "plan.downgrade": changes.downgrade,
    "plan.change_term": changes.change_term,
    "plan.withdraw_change": changes.withdraw_change,
    "plan.pay_by": changes.pay_by,
    "card.register": changes.register_card,
    "card.charge": changes.charge_card,
    "payment.apply": corrections.apply_money,
    "payment.refund": corrections.refund,
    "payment.reverse": corrections.reverse,
    "charge.discount": corrections.discount,
    "charge.void": corrections.void,
    "charge.write_off": corrections.write_off,
    "charge.credit": corrections.credit,
    "account.change": customers.change,
}


class Ledger(Approving):
    """Commands and questions over one store. Thread-safe; one per process."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue | None = None,
        gateway: str = "",
        approvals: ApprovalSettings | None = None,
    ) -> None:
        """`gateway` is its name; "" means the sandbox on a test clock, none on a real ledger.

        `approvals` says which amounts need a second person; by default the limits that are shipped.
        """
        self.store = store
        self.catalogue = catalogue or load()
        self.clock = Clock(store)
        self.events: EventStore[str] = EventStore(FactMapper(), store)
        self.accounts = Accounts(self.store, self.catalogue)

        self._gateway_name = gateway
        self.approval_settings = approvals or ApprovalSettings()

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
        Both tell only what the caller's role may see.
        """
        with told_to(caller):
            return shown(name, self._execute(name, given, caller, at, reason, key), caller)

    def _execute(
        self, name: str, given: Mapping[str, Any], caller: Caller, at: str | None, reason: str, key: str
    ) -> Answer:
        command = COMMANDS.get(name)
        if command is None:
            raise Malformed("do", name, "remedy_choice", words=", ".join(COMMANDS))
        values = parse_fields(given, command.fields)
        permit(command, caller.role)
        permit_values(command, values, caller.role)
        if "approver" in values and not caller.records:
            raise Refused("approver_not_taken", command=name)
        act = Act(name, values, caller.records, caller.stated_by or caller.by)
        wanted = fingerprint(name, given, at, reason, caller)
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            if key and (replayed := self._replayed(key, wanted)) is not None:
                return replayed
            now = self.clock.now()
            asked = Asked(at or now, now, caller.by, caller.role, caller.source, reason, caller.stated_by, act)
            check_dates(command, values, asked, self._zone_of)
            request = Request(key, json.dumps(wanted), "") if key else None
            try:
                answer = self._run(name, values, asked, request)
                return self._at_once(name, values, answer, asked, key)
            except (IntegrityError, NotFound, Refused, Conflict) as lost:
                # The same request may have won between our look at its key and the decision: its answer is ours.
                if key and (replayed := self._replayed(key, wanted)) is not None:
                    return replayed
                if not isinstance(lost, IntegrityError):
                    raise
                self._explain(name, values)
                if time.monotonic() > deadline:
                    raise Unavailable("too_busy") from lost
                pause()

    def _run(self, name: str, values: Answer, asked: Asked, request: Request | None) -> Answer:
        if name.startswith("approval."):
            return self.decide_request(name, values, asked, request)
        if name == "account.open":
            return self._open_account(values, asked, request)
        if name == "books.close":
            return self._close_month(values, asked, request)
        if name == "calendar.assign":
            return self._assign_calendar(values, asked, request)
        if name == "report.publish":
            return self._publish(values, asked, request)
        if name == "gateway.script":
            return self._script(values, asked, request)
        if name == "card.register":
            billing.check_token(self.gateway, values["token"])
        if name in _ACCOUNT_DECISIONS or name.startswith("document."):
            with self.accounts.existing(values["account"]) as account:
                if asked.at < account.opening.occurred_at:
                    opened_at = instants.show(account.opening.occurred_at, account.opening.zone)
                    raise Refused("before_opening", opened_at=opened_at)
                if name == "payment.refund" and values.get("reference") and values["method"] != "card":
                    references.check_paid_out(self.store, values["reference"])
                decided = self._decide(name, account, values, asked)
                return self._save(account, decided, asked, request)
        return self._run_ticket(name, values, asked, request)

    def _decide(self, name: str, account: Account, values: Answer, asked: Asked) -> plans.Decided:
        if name == "document.certify":
            known = self._papers(account, FAR, None)
            decided = documents.certify(account, values, asked, [one["document"] for one in known])
            for event in self.store.select_events(references.reference_stream("fel", values["uuid"])):
                used = f.decode(event.topic, event.state, event.position)
                raise Conflict("uuid_used", uuid=values["uuid"], account=used.customer_no)
            return decided
        if name == "payment.record":
            currency = plans.payment_currency(account, values)
            values = {**values, "place": references.place(self.store, account, values, currency)}
        if name == "document.reissue":
            return documents.reissue(account, values, asked, self._papers(account, FAR, None), self.catalogue.currency)
        return _ACCOUNT_DECISIONS[name](account, values, asked, self.catalogue)

    def _close_month(self, values: Answer, asked: Asked, request: Request | None) -> Answer:
        if values.get("dry_run"):
            found = books.rehearse(self, values, asked)
            return {"ok": True, **found, "position": self.store.last_position()}
        row, found = books.close(self, values, asked)
        answer = {"ok": True, **found}
        return {**answer, "position": self.append([row], asked.now, request, answer)}

    def _assign_calendar(self, values: Answer, asked: Asked, request: Request | None) -> Answer:
        row, answer = policies.assign(self.store, self.catalogue, values, asked)
        return {**answer, "position": self.append([row], asked.now, request, answer)}

    def _publish(self, values: Answer, asked: Asked, request: Request | None) -> Answer:
        zone = self.catalogue.zone
        month, provisional = values["month"], values.get("provisional", False)
        place = publishing.check_month(self.store, month, asked, zone)
        found = portfolio("month_figures")(self, values, asked.at, asked.now)
        publishing.check_final(month, found.pop("final_from"), asked, zone, provisional=provisional)
        row, answer = publishing.publish(month, place, asked, found, zone, provisional=provisional)
        return {**answer, "position": self.append([row], asked.now, request, answer)}

    def _script(self, values: Answer, asked: Asked, request: Request | None) -> Answer:
        """Tell the sandbox what to answer next; nothing of the business happens, so the log stays as it is."""
        if not isinstance(self.gateway, Sandbox):
            raise Refused("no_sandbox", gateway=self.gateway.name)
        with self.accounts.existing(values["account"]):
            self.gateway.script(values["account"], values["outcomes"])
        answer = {"ok": True, "outcomes": values["outcomes"]}
        position = self.store.last_position()
        if request is not None:
            self.store.append([], [], now=asked.now, request=request._replace(outcome=json.dumps(answer)))
            self.store.amend_request(request.key, json.dumps(answer), position)
        return {**answer, "position": position}

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
                decided = serving.open_ticket(account, case, values, asked, self.policy())
                return self._save(account, decided, asked, request)
        case = self.ticket(values["ticket"])
        if verb in ("reclassify", "give_back"):
            with self.accounts.existing(case.opened.customer_no) as account:
                decide = serving.reclassify if verb == "reclassify" else serving.give_back
                return self._save(account, decide(account, case, values, asked, self.policy()), asked, request)
        if verb == "split":
            return self._split(case, values, asked, request)
        with self.accounts.using(case.opened.customer_no) as account:
            return self._save(account, self._on_case(verb, case, values, asked), asked, request)

    def _on_case(self, verb: str, case: cases.Ticket, values: Answer, asked: Asked) -> plans.Decided:
        """Decide what touches a case alone."""
        if verb in ("respond", "resolve") or (verb == "wait" and cases.asks(values)):
            answer = cases.respond if verb == "respond" else partial(cases.remark, verb)
            decided = answer(case, values, asked)
            children = [self.ticket(number) for number in case_changes.merged_cases(case, asked.at)]
            decided.others.extend(case_changes.answered_through(case, children, decided.others[0].fact, asked))
            return decided
        if verb == "merge":
            return case_changes.merge(case, self.ticket(values["into"]), asked)
        if verb == "message":
            return case_changes.message(case, values, asked)
        if verb == "revise":
            return case_changes.revise(case, values, asked)
        if verb == "prioritise":
            decided = cases.prioritise(case, values, asked, self.policy())
            children = [self.ticket(number) for number in case_changes.merged_cases(case, FAR)]
            decided.others.extend(case_changes.recounted(case, children, decided.others[0].fact, asked))
            return decided
        if verb == "assign":
            return cases.assign(case, values, asked)
        if verb == "remind":
            return cases.remind(case, values, asked)
        if verb == "exclude":
            return self.excluded(case, values, asked)
        return cases.remark(verb, case, values, asked)

    def _split(self, case: cases.Ticket, values: Answer, asked: Asked, request: Request | None) -> Answer:
        new = self.ticket(values["new"], must_exist=False)
        with self.accounts.existing(case.opened.customer_no) as account:
            decided = case_changes.split(account, case, new, values, asked, self.policy())
            return self._save(account, decided, asked, request)

    def _save(self, account: Account | None, decided: plans.Decided, asked: Asked, request: Request | None) -> Answer:
        """Append what has fallen due on the account, what was decided and what follows; return the answer."""
        decided = self.authorised(account, decided, asked)
        entry = Entry(self, asked)
        body: Answer
        if account is not None:
            entry.due(account)
        if account is not None and decided.facts:
            broken = len(account.whole(asked.now).broken) if account.exists else 0
            entry.decided(account, decided.facts)
            book = account.whole(asked.now)
            if len(book.broken) > broken:
                raise Refused("would_break_history", tickets=", ".join(book.broken[broken:]))
            body = decided.answer(book)
        else:
            body = decided.answer(None)  # type: ignore[arg-type]  # it needs no book: no fact touched one
        if account is not None and decided.papers:
            entry.papers(account, decided.papers)
            names = entry.numbered()[-len(decided.papers) :]
            body |= {paper.kind: name for paper, name in zip(decided.papers, names, strict=True)}
        entry.others(decided.others)
        answer = {"ok": False, "code": decided.declined, **body} if decided.declined else {"ok": True, **body}
        return {**answer, "position": entry.save(request, answer)}

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

    def _explain(self, name: str, values: Answer) -> None:
        """After a lost race: say so when another took the very number; otherwise deciding again will tell."""
        if name == "ticket.open" and self.ticket(values["ticket"], must_exist=False).facts:
            raise Conflict("duplicate_ticket", ticket=values["ticket"])

    def _zone_of(self, values: Answer) -> str:
        if "account" in values:
            rows = self.store.select_events(account_stream(values["account"]), limit=1)
            for row in rows:
                opening = f.decode(row.topic, row.state, row.position)
                return opening.zone if isinstance(opening, f.AccountOpened) else self.catalogue.zone
        return self.catalogue.zone
