"""What needs a second person, who may be that, and above which amounts (DOMAIN.md, "Approvals"). Pure.

Kinds of money have a limit each and a currency each; a currency without one has the limit 0: the ledger converts
nothing, so it cannot know what Q250.00 are elsewhere, and asks a second person rather than none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ledger.errors import Malformed, Unavailable
from ledger.rules import people
from ledger.rules.money import CURRENCIES, parse_amount

MONEY_KINDS = ("credit_note", "refund", "write_off", "void", "discount")
CASE_RULES = ("exclusion", "revision", "give_back")
RULES = (*CASE_RULES, *MONEY_KINDS, "courtesy", "late_cancellation")
FREE_GIVE_BACKS = 2  # an account and calendar month
SHIPPED = {"GTQ": 25_000}  # minor units, of each kind of money

_MANAGERS = frozenset({"manager", "operator"})
_MONEY = _MANAGERS | {"finance"}


@dataclass(frozen=True)
class Settings:
    """`limits` in minor units by (kind, currency), where ("", currency) is for every kind that has none of its own.

    `alone` is the name of the one person who may approve, "" where there are several.
    """

    limits: Mapping[tuple[str, str], int] = field(default_factory=dict)
    alone: str = ""

    def limit(self, kind: str, currency: str) -> int:
        """Return the amount up to which a kind of money needs nobody else."""
        found = self.limits.get((kind, currency), self.limits.get(("", currency)))
        return SHIPPED.get(currency, 0) if found is None else found


def parse_settings(limits: str, alone: str) -> Settings:
    """Return the settings that `GTQ 250.00, refund GTQ 100.00` and a name say; Unavailable where they say nothing."""
    found: dict[tuple[str, str], int] = {}
    for part in filter(None, (part.strip() for part in limits.split(","))):
        words = part.split()
        kind = words.pop(0) if len(words) == len(("refund", "GTQ", "100.00")) else ""
        try:
            currency, amount = words
            found[(kind, currency)] = 0 if amount == "0.00" else parse_amount(amount, "amount")
        except (ValueError, Malformed):
            raise Unavailable("approval_limits_wrong", part=part) from None
        if kind not in ("", *MONEY_KINDS) or currency not in CURRENCIES:
            raise Unavailable("approval_limits_wrong", part=part)
    return Settings(found, alone.strip())


@dataclass(frozen=True)
class Need:
    """That a second person is needed: why (`rule`), about which case or sum of money.

    `above`: over a limit or cap, so that a manager's own request does not stand either. `opened` and `answered` are who
    asked for what it concerns and who answered it.
    """

    rule: str
    above: bool = False
    ticket: str = ""
    amount: int = 0
    opened: str = ""
    answered: tuple[str, ...] = ()

    @property
    def roles(self) -> frozenset[str]:
        """The roles that may approve: money a second finance person too, the rest managers."""
        return roles_of(self.rule)

    def stands(self, by: str, role: str) -> bool:
        """Whether who asks may do it at once, by themselves: a manager who has no part in it, within the limits."""
        concerned = one_of(by, (self.opened, *self.answered))
        return role in _MANAGERS and not self.above and not concerned


def roles_of(rule: str) -> frozenset[str]:
    """Return the roles that may approve what needs it by `rule`."""
    return _MONEY if rule in MONEY_KINDS else _MANAGERS


def one_of(name: str, names: Iterable[str]) -> bool:
    """Whether a name is that of one of these people, however it is spelt."""
    return any(people.same(name, other) for other in names)
