"""Every code that a problem may carry, by status: found where it is raised, so that the document cannot lag behind."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from api.errors import HTTP_CODES, REFUSED_BY_ROLE

_STATUS = {
    "Unauthorised": 401,
    "NotFound": 404,
    "Conflict": 409,
    "Refused": 409,
    "TooManyBadTokens": 429,
    "Unavailable": 503,
}
_RAISED = re.compile(rf'\b({"|".join(_STATUS)})\(\s*"([a-z0-9_]+)"(?:\s+if [^,]*? else "([a-z0-9_]+)")?')
# What only files, the command line and the server's start can meet.
_ELSEWHERE = re.compile(r"(?:^|/)(?:cli\w*|imports|export\w*|holidays|serve|worker)(?:\.py|/)")
_SIGNATURE = re.compile(r'"(webhook_[a-z_]+)"')
_DECLINES = ("sales_case", "out_of_scope", "payment_due", "no_plan", "plan_too_low", "no_tickets_left")


@cache
def codes() -> dict[int, tuple[str, ...]]:
    """Return the codes of each status, in order."""
    found: dict[int, set[str]] = {status: {code} for status, code in HTTP_CODES.items()}
    found[400] |= {"malformed", "body_not_taken"}
    found[422] = {"malformed"}
    found.setdefault(409, set()).update(_DECLINES)
    for package in ("ledger", "projections", "api"):
        spec = find_spec(package)
        root = Path((spec.submodule_search_locations or [""])[0] if spec else "")
        for file in root.rglob("*.py"):
            if not _ELSEWHERE.search(file.relative_to(root).as_posix()):
                _read(file.read_text("utf-8"), found)
    return {status: tuple(sorted(names)) for status, names in sorted(found.items())}


def _read(source: str, found: dict[int, set[str]]) -> None:
    """Add the codes that stand in one source file."""
    for kind, code, other in _RAISED.findall(source):
        for name in filter(None, (code, other)):
            signed = kind == "Refused" and _SIGNATURE.fullmatch(f'"{name}"')  # told as 401: no good signature
            status = 403 if name in REFUSED_BY_ROLE else 401 if signed else _STATUS[kind]
            found.setdefault(status, set()).add(name)
