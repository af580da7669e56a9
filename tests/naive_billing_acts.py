"""What people and the gateway do to the account of `tests/naive_billing.py`, and the telling of its whole story."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

from tests.naive_billing import Story
from tests.naive_things import LEVELS, USABLE, Charge, Grant, Money, Plan, Told, local, midnight, price, tax


def tell(told: list[Told], at: datetime) -> Story:
    """Tell the story from its first day up to `at`; `told` may be in any order."""
    story = Story(told=told)
    waiting = sorted((t for t in told if t.at <= at), key=lambda t: (t.at, t.seq))
    now = waiting[0].at if waiting else at
    while True:
        soonest = min((h for h in story.happenings() if h[0] <= at), default=None)
        if soonest is not None and (not waiting or soonest[0] <= waiting[0].at):
            now = max(now, soonest[0])
            story.happen(soonest[1], soonest[2], now)
        elif waiting:
            thing = waiting.pop(0)
            now = thing.at
            ACTS[thing.what](story, now, thing, **thing.words)
        else:
            return story


def upgrade_credit(story: Story, plan: Plan, at: datetime) -> int:
    """Return what is left of what settled the running period: by days or by tickets, whichever is less."""
    charge = story.charges[plan.settled]
    settled = story.paid(charge) + (charge.upgrade_credit if charge.kind == "upgrade" else 0)
    begins, ends = plan.boundary(plan.month), plan.boundary(plan.month + 1)
    name = f"{plan.prefix}-m{plan.month}"
    month = [g for g in story.grants.values() if g.name == name or g.name.startswith(name + ".")]
    days = Fraction((ends - local(at)).days, (ends - begins).days)
    tickets = Fraction(sum(g.left for g in month), month[0].units)
    unused = plan.first + plan.span - plan.month - 1 + min(days, tickets)
    return int(settled * unused / plan.span + Fraction(1, 2))


def taken_back(told: list[Told], at: datetime, now: datetime) -> bool:
    """Whether a plan was past due on money taken back, and no unit of it that came later is used by `now`."""
    plan = tell(told, at).bought()
    if plan is None or plan.state != "past_due" or plan.owed != plan.settled:
        return False
    later = {g.name for g in tell(told, now).grants.values() if g.name.startswith(plan.name) and g.starts >= at}
    return not any(t.what == "take" and t.at >= at and t.words["grant"] in later for t in told)


def _purchase(story: Story, at: datetime, _t: Told, name: str, level: str, months: int, card: bool) -> None:
    plan = Plan(name, level, months, card, owed=f"{name}-p")
    story.plans.append(plan)
    story.ask(Charge(plan.owed, "purchase", price(level, months), at, local(at), level))
    story.spend(at)


def _addon(story: Story, at: datetime, _t: Told, name: str, level: str) -> None:
    story.ask(Charge(name, "addon", price(level, 1), at, local(at), level))
    story.spend(at)


def _courtesy(story: Story, at: datetime, _t: Told, name: str, level: str, units: int) -> None:
    story.give(Grant(name, "courtesy", level, units, at, local(at) + timedelta(days=USABLE + 1)))


def _pay(
    story: Story, at: datetime, told: Told, name: str, amount: int, unapplied: bool = False, attempt: str = ""
) -> None:
    first = ""
    if attempt:
        story.attempts[attempt]["outcome"] = "succeeded"
        first = story.attempts[attempt]["charge"]
    money = story.money[name] = Money(name, at, told.seq, amount)
    if unapplied:
        money.waiting = amount
        return
    left = amount
    for charge in story.order(first):
        part = min(left, story.due(charge))
        if part > 0:
            left -= part
            story.pay(charge, [(name, part)], at)
    bought = story.bought()
    if left == amount and bought is not None and bought.state == "lapsed":  # late money stays unapplied
        money.waiting = amount
    elif left:
        story.lots.append((name, left))


def _cancel(story: Story, at: datetime, _t: Told, name: str, ends_on: date, undo: bool, at_once: bool = False) -> None:
    plan = story.plan(name)
    plan.undo = undo
    if at_once and plan.state == "past_due":
        plan.ends_on = ends_on
        story.end(plan, "cancelled", at)
    elif plan.state == "pending":
        plan.ends_on = ends_on
        if ends_on <= local(at):  # later when it was paid and used before this was typed
            story.end(plan, "cancelled", at)
    elif plan.state in ("in_force", "past_due"):
        unpaid = plan.state == "past_due" and plan.owed != plan.settled
        first = plan.month if unpaid else plan.first + plan.span
        step = plan.next_months or plan.months
        days = [plan.boundary(first + step * n) for n in range(60)]
        # Money that came to light may have moved its boundaries: the last one up to the date that was asked for.
        plan.ends_on = max((day for day in days if day <= ends_on), default=days[0])
        if unpaid and plan.ends_on == days[0]:
            story.end(plan, "cancelled", at)


def _withdraw(story: Story, _at: datetime, _t: Told, name: str) -> None:
    plan = story.plan(name)
    plan.ends_on, plan.undo = None, False


def _upgrade(story: Story, at: datetime, _t: Told, name: str, plan: str, level: str, credit: int) -> None:
    turned = story.plan(plan)
    story.drop_quotes(at)  # asked anew: the quote before is gone
    gross = price(level, turned.months)
    charge = Charge(name, "upgrade", gross, at, local(at), level, discount=min(credit, gross))
    charge.upgrade_credit, charge.excess, charge.plan = min(credit, gross), max(credit - gross, 0), plan
    if charge.discount:
        charge.lines.append(tax(charge.discount))
    story.ask(charge)
    if turned.state != "in_force" or LEVELS.index(level) <= LEVELS.index(turned.level):
        story.drop_quotes(at)  # in hindsight there was nothing to quote
        return
    story.corrected(charge, at)
    story.spend(at)


def _downgrade(story: Story, _at: datetime, _t: Told, name: str, level: str) -> None:
    story.plan(name).next_level = level


def _term(story: Story, _at: datetime, _t: Told, name: str, months: int) -> None:
    story.plan(name).next_months = months


def _withdraw_change(story: Story, _at: datetime, _t: Told, name: str) -> None:
    plan = story.plan(name)
    plan.next_level, plan.next_months = "", 0


def _pay_by(story: Story, at: datetime, _t: Told, name: str, card: bool) -> None:
    story.plan(name).card = card
    _lapse_if_over(story, at)


def _card(story: Story, at: datetime, _t: Told, name: str) -> None:
    story.card, story.card_since = name, at


def _attempt(story: Story, at: datetime, _t: Told, name: str, charge: str, amount: int) -> None:
    made = {"charge": charge, "amount": amount, "at": at, "outcome": "open", "final": False, "card": story.card}
    story.attempts[name] = made


def _refused(story: Story, at: datetime, _t: Told, name: str, final: bool) -> None:
    story.attempts[name].update(outcome="refused", final=final)
    _lapse_if_over(story, at)


def _lapse_if_over(story: Story, at: datetime) -> None:
    """A refusal that settles a plan kept past due beyond its grace lets it lapse then."""
    for plan in story.plans:
        over = midnight(plan.grace_from + timedelta(days=6)) if plan.state == "past_due" else at
        if plan.state == "past_due" and over <= at and not story.open_attempt(plan):
            story.end(plan, "lapsed", at)


def _reverse(story: Story, _at: datetime, _t: Told, name: str) -> None:
    """The bank took it back: from here on no sum counts it. What it paid in good faith goes on until it is told."""
    story.money[name].back = "hollow"


def _reversal_told(story: Story, at: datetime, told: Told, name: str, since: datetime) -> None:
    """The reversal was recorded: its money is gone from wherever it is by now, and the plan knows."""
    money = story.money[name]
    money.back, money.waiting = "gone", 0
    story.take_lots(name, money.amount)
    if money.gone:
        debt = Charge(f"{name}-d", "refund", money.gone, since, local(since), discount=0)
        story.debts[debt.name] = debt
    paid = [c for c in story.charges.values() if any(payment == name for payment, _part in c.parts)]
    for charge in (*paid, *story.debts.values()):
        charge.parts = [pair for pair in charge.parts if pair[0] != name]
    for charge in paid:
        if not charge.open and not charge.void:
            charge.open = True
            _reopen(story, charge, at, told.seq)
    story.spend(at)


def _reopen(story: Story, charge: Charge, at: datetime, seq: int) -> None:
    if charge.kind == "addon":
        story.suspend(charge, f"{charge.name}-t", at, seq)
    for plan in story.plans:
        if plan.state == "in_force" and plan.settled == charge.name:
            story.suspend(charge, f"{plan.prefix}-m", at, seq)
            plan.state, plan.owed, plan.grace_from = "past_due", plan.settled, local(at)
            story.drop_quotes(at)


def _refund(story: Story, _at: datetime, _t: Told, payment: str, amount: int) -> None:
    money = story.money[payment]
    money.gone += amount
    waiting = min(money.waiting, amount)
    money.waiting -= waiting
    story.take_lots(payment, amount - waiting)


def _discount(story: Story, at: datetime, _t: Told, charge: str, amount: int) -> None:
    if charge not in story.charges:  # facts of earlier days came to light: nothing is asked (rules/corrections.py)
        return
    found = story.charges[charge]
    left, iva = found.total, story.tax(found)
    found.discount += amount
    found.lines.append(min(max(tax(amount), iva - (left - amount)), iva))  # the last one takes the remainder
    story.corrected(found, at)


def _void(story: Story, at: datetime, _t: Told, charge: str) -> None:
    if charge not in story.charges or not story.charges[charge].open or story.charges[charge].times:
        return  # money that came to light has paid it before
    for plan in story.plans:
        if plan.owed == charge:
            plan.state = "abandoned"  # as a purchase that was never paid (ledger/README.md)
    story.void(charge, at)


def _write_off(story: Story, at: datetime, _t: Told, charge: str, amount: int) -> None:
    if charge not in story.charges:
        return
    story.charges[charge].written_off += min(amount, story.due(story.charges[charge]))
    story.corrected(story.charges[charge], at)


def _credit_note(story: Story, at: datetime, _t: Told, charge: str, amount: int) -> None:
    if charge not in story.charges:
        return
    found = story.charges[charge]
    owed = min(amount, story.due(found))  # of a debt that was reopened nothing is freed
    found.credited += amount
    story.free(found, amount - owed)
    story.corrected(found, at)
    story.spend(at)


def _apply(story: Story, at: datetime, _t: Told, payment: str) -> None:
    money = story.money[payment]
    story.lots.append((payment, money.waiting))
    money.waiting = 0
    story.spend(at)


def _take(story: Story, at: datetime, _t: Told, ticket: str, grant: str) -> None:
    found = story.grants[grant]
    found.used += 1
    if found.over:  # it was voided since, less this unit
        assert found.left >= 0, grant
    story.holds[ticket] = grant
    if found.kind == "plan":
        story.drop_quotes(at)  # the quote held until a unit was used


def _give_back(story: Story, _at: datetime, _t: Told, ticket: str) -> None:
    grant = story.grants[story.holds.pop(ticket)]
    grant.used -= 1
    if grant.over:
        setattr(grant, grant.over, getattr(grant, grant.over) + 1)


ACTS: dict[str, Any] = {
    "purchase": _purchase, "addon": _addon, "courtesy": _courtesy, "pay": _pay, "cancel": _cancel,
    "withdraw": _withdraw, "upgrade": _upgrade, "downgrade": _downgrade, "term": _term,
    "withdraw_change": _withdraw_change, "pay_by": _pay_by, "card": _card, "attempt": _attempt, "refused": _refused,
    "reverse": _reverse, "reversal_told": _reversal_told,
    "refund": _refund, "discount": _discount, "void": _void, "write_off": _write_off,
    "credit_note": _credit_note, "apply": _apply, "take": _take, "give_back": _give_back,
}  # fmt: skip
