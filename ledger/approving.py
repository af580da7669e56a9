"""The seam where an act that needs a second person waits for one: nothing of it can be saved around this.

What needs one is told by the facts that were decided, whichever command decided them. Who may do it at once does so
with the approval marked in its facts; for everybody else the request is saved in their place. An approval decides the
command anew, with all its rules, and is saved in one transaction with what it did.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from msgspec.structs import replace as with_fields

from ledger import answers, case_changes, requests
from ledger import facts as f
from ledger import ticket as cases
from ledger.account import Account, Act, Asked
from ledger.cashier import AT_ONCE, Cashier
from ledger.command import MONEY
from ledger.errors import Conflict, NotFound, Refused
from ledger.needs import APPROVED, need_of
from ledger.plans import Decided, common
from ledger.rules import people, terms
from ledger.rules.approvals import Need, Settings, one_of, roles_of
from ledger.rules.subscriptions import FAR, local_day, midnight
from ledger.store import Recorded, Request
from ledger.ticket import Ticket

Answer = dict[str, Any]
PENDING = "pending"
_FIGURES = ("billed", "due", "credit", "unapplied", "credited", "written_off", "refunded")


class Approving(Cashier):
    """A ledger in which what needs a second person waits for one."""

    approval_settings = Settings()

    def authorised(self, account: Account | None, decided: Decided, asked: Asked) -> Decided:
        """Return what may be saved of what was decided: itself with who approved it, or a request that waits.

        Refused for an approver who asked or answered, or for a request that the rules decline now.
        """
        act = asked.act
        if act is None or (decided.declined and not act.request):
            return decided
        if decided.declined:
            facts = decided.answer(None)  # type: ignore[arg-type]  # a decline needs no book
            raise Refused(decided.declined, **facts)
        if act.request:  # who answered does not approve, even where another month would need nobody
            about = need_of(self, account, decided, asked, all_of=True)
            return self._carried_out(decided, about, asked, act)
        need = need_of(self, account, decided, asked)
        if act.states and (need is not None or act.values.get("approver")):
            about = need_of(self, account, decided, asked, all_of=True)
            return _approved(decided, _stated(act, asked, about), "stated")
        if need is None:
            return decided
        if need.stands(asked.by, asked.role):
            return _approved(decided, asked.by, "own")
        return self._waiting(account, decided, need, asked, act)

    # --- asking -----------------------------------------------------------------------------------------

    def _waiting(self, account: Account | None, decided: Decided, need: Need, asked: Asked, act: Act) -> Decided:
        """Return the request that is saved instead; with the approval beside it where one person may approve alone."""
        case = self.ticket(need.ticket) if need.ticket else None
        number = account.number if account is not None else _case(case).opened.customer_no
        values = {name: value for name, value in act.values.items() if name != "approver"}
        for one in requests.of_account(self.store, number):
            if one.state(asked.now) == PENDING and (one.asked.command, one.asked.values) == (act.command, values):
                raise Conflict("already_asked", request=one.number)
        taken = requests.numbers_taken(self.store) + 1
        name = f"R-{taken}"
        zone = account.opening.zone if account is not None else _case(case).opened.zone
        fact = f.ApprovalAsked(
            **common(number, asked),
            request=name,
            command=act.command,
            rule=need.rule,
            role=asked.role,
            until=midnight(terms.thirty_days_until(local_day(asked.now, zone)), zone),
            values=values,
            ticket_no=need.ticket,
            amount=need.amount,
            effects=_effects(account, case, decided, asked),
        )
        number_taken = f.NumberTaken(**common(number, asked), series=requests.SERIES, kind="approval", subject=name)
        rows = [Recorded(requests.stream(name), 1, fact), Recorded(requests.NUMBERS, taken, number_taken)]
        if people.same(self.approval_settings.alone, asked.by) and asked.role in need.roles:
            given = f.ApprovalGiven(**common(number, asked), request=name, role=asked.role, alone=True)
            done = _approved(decided, asked.by, name, alone=True)
            return replace(done, others=[*done.others, *rows, Recorded(requests.stream(name), 2, given)])
        return Decided([], rows, lambda _book: {PENDING: name})

    # --- deciding on it ---------------------------------------------------------------------------------

    def decide_request(self, name: str, values: Answer, asked: Asked, request: Request | None) -> Answer:
        """Give, refuse or withdraw a request; NotFound, or Refused where it is no longer pending or not theirs."""
        one = requests.find(self.store, values["request"])
        if one is None:
            raise NotFound("unknown_request", request=values["request"])
        if (state := one.state(asked.now)) != PENDING:
            raise Refused("request_closed", request=one.number, status=state, actor=one.closed_by or None)
        if name == "approval.withdraw":
            if not people.same(asked.by, one.asked.by):
                raise Refused("not_your_request", request=one.number, asker=one.asked.by)
            return self._closed(one, f.ApprovalWithdrawn(**self._of(one, asked)), asked, request)
        may = roles_of(one.asked.rule)
        if asked.role not in may:
            raise Refused("role_not_allowed", role=asked.role, command=name, roles=", ".join(sorted(may)))
        if name == "approval.refuse":
            return self._closed(one, f.ApprovalRefused(**self._of(one, asked), role=asked.role), asked, request)
        if people.same(asked.by, one.asked.by):
            raise Refused("approver_is_asker", approver=asked.by)
        return self._run(one.asked.command, dict(one.asked.values), _anew(one, asked), request)

    def _run(self, name: str, values: Answer, asked: Asked, request: Request | None) -> Answer:
        """Decide a command and save it: given by `ledger.application`."""
        raise NotImplementedError

    def given_at_once(self, values: Answer, answer: Answer, asked: Asked, key: str) -> Answer:
        """Do at once what an approved refund to a card asks of the gateway."""
        one = requests.find(self.store, values["request"])
        assert one is not None
        if one.asked.command not in AT_ONCE:
            return answer
        effect = self._at_once(one.asked.command, dict(one.asked.values), {"ok": True, **answer["effect"]}, asked, "")
        position = effect.pop("position", answer["position"])
        effect.pop("ok")
        whole = {**answer, "effect": effect, "position": position}
        if key and whole != answer:
            kept = {n: v for n, v in whole.items() if n != "position"}
            self.store.amend_request(key, json.dumps(kept), position)
        return whole

    def _at_once(self, name: str, values: Answer, answer: Answer, asked: Asked, key: str) -> Answer:
        """Ask the gateway where the command calls for it; the answer kept under its key is completed.

        Not for those who may touch no card: it is charged when the job comes.
        """
        now = asked.now
        if name == "approval.give":
            return self.given_at_once(values, answer, asked, key)
        if name not in AT_ONCE or not answer.get("ok") or PENDING in answer or asked.role not in MONEY:
            return answer
        with self.accounts.existing(values["account"]) as account:
            before = len(account.attempted)
        self.collect(values["account"], now=now, at_once=True)
        whole = self.with_card(name, values, answer, before)
        if key and whole != answer:
            kept = {n: v for n, v in whole.items() if n != "position"}
            self.store.amend_request(key, json.dumps(kept), whole["position"])
        return whole

    def excluded(self, case: Ticket, values: Answer, asked: Asked) -> Decided:
        """Decide an exclusion; approved when its verdict was final already, it is a revision."""
        approved = asked.act is not None and asked.act.request
        if approved and asked.now >= case.clock(FAR).final_at() != "":
            return case_changes.revise(case, {"verdict": "excluded"}, asked)
        return cases.exclude(case, values, asked)

    def _of(self, one: requests.Asking, asked: Asked) -> Answer:
        return {**common(one.asked.customer_no, asked), "request": one.number}

    def _closed(self, one: requests.Asking, fact: f.Fact, asked: Asked, request: Request | None) -> Answer:
        answer = {"ok": True, "request": one.number, "command": one.asked.command}
        return {
            **answer,
            "position": self.append([Recorded(requests.stream(one.number), 2, fact)], asked.now, request, answer),
        }

    def _carried_out(self, decided: Decided, need: Need | None, asked: Asked, act: Act) -> Decided:
        """Return what a request does now that it is approved, with the approval beside it."""
        if need is not None and one_of(act.approver, need.answered):
            raise Refused("approver_is_answerer", ticket=need.ticket, approver=act.approver)
        customer = next(iter([*decided.facts, *(row.fact for row in decided.others)])).customer_no
        given = f.ApprovalGiven(
            customer_no=customer,
            occurred_at=asked.now,
            by=act.approver,
            source=asked.source,
            reason=act.approved_why,
            stated_by=act.approved_by,
            request=act.request,
            role=act.approver_role,
        )
        done = _approved(decided, act.approver, act.request)
        effect = done.answer
        return replace(
            done,
            others=[*done.others, Recorded(requests.stream(act.request), 2, given)],
            answer=lambda book: {"request": act.request, "command": act.command, "effect": effect(book)},
        )


def _anew(one: requests.Asking, asked: Asked) -> Asked:
    """Return how a request is decided anew: by who asked, from now on; a cancellation from when it was asked for."""
    kept = one.asked.rule == "late_cancellation"
    act = Act(
        one.asked.command,
        dict(one.asked.values),
        states=False,
        runner="",
        request=one.number,
        approver=asked.by,
        approver_role=asked.role,
        approved_by=asked.stated_by,
        approved_why=asked.reason,
    )
    return Asked(
        at=one.asked.occurred_at if kept else asked.now,
        now=asked.now,
        by=one.asked.by,
        role=one.asked.role,
        source=asked.source,
        reason=one.asked.reason,
        stated_by=one.asked.stated_by,
        act=act,
    )


def _stated(act: Act, asked: Asked, need: Need | None) -> str:
    """Return who approved by the operator's record; Refused for one who asked or answered."""
    stated: str | None = act.values.get("approver")
    approver = stated or act.runner
    if stated and not people.same(stated, act.runner) and people.same(stated, asked.by):
        raise Refused("approver_is_asker", approver=stated)
    strict = stated or (need is not None and need.rule in ("exclusion", "revision"))
    if need is not None and strict and one_of(approver, need.answered):
        raise Refused("approver_is_answerer", ticket=need.ticket, approver=approver)
    return approver


def _approved(decided: Decided, approver: str, approval: str, *, alone: bool = False) -> Decided:
    """Return what was decided with who approved it, and how, in each fact that tells it."""

    def marked(fact: f.Fact) -> f.Fact:
        if not isinstance(fact, APPROVED):
            return fact
        more = {"alone": True} if alone and isinstance(fact, f.TicketExcluded) else {}
        return with_fields(fact, approver=approver, approval=approval, **more)

    rows = [Recorded(row.originator_id, row.originator_version, marked(row.fact)) for row in decided.others]
    return replace(decided, facts=[marked(fact) for fact in decided.facts], others=rows)


def _effects(account: Account | None, case: Ticket | None, decided: Decided, asked: Asked) -> Answer:
    """Return by figure what it is and what it would become, where it changes; nothing of it is kept."""
    effects: Answer = {}
    if account is not None:
        twin = account.twin()
        before = _figures(twin, asked)
        twin.take(decided.facts)
        after = _figures(twin, asked)
        effects = {name: [before[name], after[name]] for name in before if before[name] != after[name]}
    if case is not None:
        new = [row.fact for row in decided.others if isinstance(row.fact, f.TicketFact)]
        own = [fact for fact in new if fact.ticket_no == case.number]
        then, now = case.clock(FAR), case.after_all(own, asked.now)
        verdicts = [then.verdict(asked.now), now.verdict(asked.now)]
        effects |= {"verdict": verdicts} if verdicts[0] != verdicts[1] else {}
    return effects


def _figures(account: Account, asked: Asked) -> Answer:
    book = account.whole(asked.now)
    money, left = answers.billing(book, asked.now), answers.balance(book, asked.now, 0)
    return {**{name: money[name] for name in _FIGURES}, "remaining": left["remaining"], "ends_on": left["ends_on"]}


def _case(case: Ticket | None) -> Ticket:
    assert case is not None
    return case
