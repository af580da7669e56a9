"""What every fact carries, and what a due fact carries besides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec


class Fact(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """One stored event. `occurred_at` is business time; `by` and `source` say who and through what.

    `stated_by`: the operator who recorded, as stated, what `by` did; "" where `by` acted themselves.
    """

    TOPIC: ClassVar[str] = ""
    VERSION: ClassVar[int] = 1
    UPCASTERS: ClassVar[dict[int, Callable[[dict[str, Any]], None]]] = {}

    customer_no: str
    occurred_at: str
    by: str
    source: str
    reason: str = ""
    stated_by: str = ""


class Due(Fact, kw_only=True, frozen=True, omit_defaults=True, gc=False):
    """A fact that followed from time passing or from a payment; `key` is its natural key."""

    key: str
