"""Who approves what needs approval: a manager by asking, or whoever is named, who is not the one that asks."""

from __future__ import annotations

from typing import Any

from ledger.account import Asked
from ledger.command import MANAGERS
from ledger.errors import Malformed, Refused
from ledger.rules import people


def approver_of(values: dict[str, Any], asked: Asked) -> str:
    """Return the approver; Malformed where a manager is to be named, Refused for one who approves their own request."""
    approver: str | None = values.get("approver")
    if approver is None:
        if asked.role not in MANAGERS:
            raise Malformed("approver", None, "remedy_missing")
        return asked.by
    if people.same(approver, asked.by) and asked.role not in MANAGERS:
        raise Refused("approver_is_asker", approver=approver)
    return approver
