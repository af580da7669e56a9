"""What is read of another system's file: rows of cases, and what is set aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ledger.errors import LedgerError
from ledger.imports.mapping import Meaning


class TheirWord(NamedTuple):
    """What the other system says of a case: its verdict, its due instant, its response; "" where it says nothing."""

    verdict: str = ""
    due_at: str = ""
    responded_at: str = ""


NOTHING_SAID = TheirWord()


@dataclass(slots=True)
class SourceRow:
    """One thing that happened in a case, at canonical instant `at`: a row of the file, or a step of its line.

    `key` is a digest of what it says of its case, `whole` one of all its columns. `ordinal` is its place in its case
    in the file: by it the rows of batches recorded before 2026-11-25 are known. `priority` "" says nothing of it;
    `stated` is the other system's word for a priority with a limit of its own, `label` its word for what happened.

    Among the rows of its case in order it gets its `name`, by which it is known: the key, and how many rows of the
    same one stand before it. `repeats`: one before it is the same in every column; `unchanged`: it only says again
    in which state the case is.
    """

    line: int
    ordinal: str
    key: str
    case: str
    account: str
    agent: str
    level: str
    priority: str
    stated: str
    at: str
    means: Meaning
    label: str
    channel: str
    attributes: dict[str, str]
    whole: bytes
    sequence: tuple[int, int, str] = (0, 0, "")
    opened: str = ""
    theirs: TheirWord = NOTHING_SAID
    unchanged: bool = False
    name: str = ""
    repeats: bool = False


class Broken(NamedTuple):
    """What can be read of a row that is rejected: "" and None where a part of it cannot."""

    line: int
    case: str
    at: str = ""
    means: Meaning | None = None
    label: str = ""
    agent: str = ""
    account: str = ""
    level: str = ""
    priority: str = ""
    stated: str = ""


class Rejected(NamedTuple):
    """A record that was not imported, and why (a LedgerError with words in both languages)."""

    line: int
    reason: LedgerError
    text: str
