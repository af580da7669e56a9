"""What an answer was made with: this program's version, and that of the time zones it asked."""

from __future__ import annotations

import zoneinfo
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path


@cache
def made_with() -> dict[str, str]:
    """Return the versions of the program and of the IANA time zone data in use ("unknown" where it does not say)."""
    return {"engine": version("supportledger"), "tzdata": _tzdata()}


def _tzdata() -> str:
    # The order in which `zoneinfo` looks: the system's folders, then the package.
    for folder in map(Path, zoneinfo.TZPATH):
        if (folder / "UTC").is_file():
            return _of_system(folder)
    return str(import_module("tzdata").IANA_VERSION)


def _of_system(folder: Path) -> str:
    try:
        first = (folder / "tzdata.zi").read_text("ascii").partition("\n")[0]
    except (OSError, UnicodeDecodeError):
        return "unknown"
    return first.removeprefix("# version ").strip() if first.startswith("# version ") else "unknown"
