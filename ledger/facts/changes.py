"""Facts of an account that change a running plan: decided by somebody, effective by rule (DOMAIN.md 8)."""

from __future__ import annotations

from typing import ClassVar

from ledger.facts.base import Fact


class UpgradeAsked(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A higher level was quoted: it takes effect when `charge` is paid with money dated that local day.

    `credit` is what the running period is worth still, `excess` the part of it above the new price: both minor units.
    """

    TOPIC: ClassVar[str] = "account.upgrade_asked"
    subscription: str
    charge: str
    level: str
    units: int
    gross: int
    net: int
    tax: int
    due_on: str
    credit: int = 0
    excess: int = 0


class DowngradeScheduled(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """From the next renewal on the plan has a lower level."""

    TOPIC: ClassVar[str] = "account.downgrade_scheduled"
    subscription: str
    level: str


class TermChangeScheduled(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """From the next renewal on the plan is bought by the month or by the year."""

    TOPIC: ClassVar[str] = "account.term_change_scheduled"
    subscription: str
    term: str


class ChangeWithdrawn(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A scheduled downgrade and change of term were taken back before they took effect."""

    TOPIC: ClassVar[str] = "account.change_withdrawn"
    subscription: str


class PayByChanged(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """The plan is paid by card or by hand from now on."""

    TOPIC: ClassVar[str] = "account.pay_by_changed"
    subscription: str
    pay_by: str
