"""One run of an import: what it did, and who ran it."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import msgspec

from ledger import facts as f
from ledger.errors import Refused
from ledger.imports.effects import KINDS, Effect
from ledger.imports.mapping import Mapping
from ledger.imports.rows import Rejected
from ledger.store import NEXT, Recorded


@dataclass
class Summary:
    """What an import did: imported + skipped + rejected = rows.

    `source` names the batch, `by` who ran it. `facts` counts what was recorded of cases by topic, `effects` tell what
    the rejected rows change, `doubt` why the format of times is doubted (a dry run only tells it).
    """

    rows: int = 0
    imported: int = 0
    accounts: int = 0
    tickets: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    source: str = ""
    by: str = ""
    zone: str = "UTC"
    facts: Counter[str] = field(default_factory=Counter)
    effects: list[Effect] = field(default_factory=list)
    doubt: Refused | None = None

    @property
    def skipped(self) -> int:
        """Rows that the ledger had before, from this run's rivals too."""
        return self.rows - self.imported - len(self.rejected)

    def as_dict(self) -> dict[str, int]:
        """Return the counts; the last four are of tickets that rejected rows change."""
        changed = Counter(effect.effect for effect in self.effects)
        return {
            "rows": self.rows,
            "imported": self.imported,
            "skipped": self.skipped,
            "rejected": len(self.rejected),
            "accounts": self.accounts,
            "tickets": self.tickets,
            **{kind: changed[kind] for kind in KINDS},
        }


@dataclass(frozen=True)
class Batch:
    """One run of an import: who recorded which file, by which mapping; `stated_by`: the operator who states it."""

    source: str
    mapping: Mapping
    file: str
    digest: str
    by: str
    stated_by: str = ""

    def row(self, now: str, rows: int, rejected: int) -> Recorded:
        """Return the row of the log that says so, behind those of earlier runs of the same file."""
        fact = f.HistoryImported(
            customer_no="",
            occurred_at=now,
            by=self.by,
            stated_by=self.stated_by,
            source=self.source,
            mapping=self.mapping.name,
            mapping_digest=hashlib.sha256(msgspec.json.encode(self.mapping, order="sorted")).hexdigest(),
            file=self.file,
            digest=self.digest,
            rows=rows,
            rejected=rejected,
        )
        return Recorded(f"import/{self.source.removeprefix('import:')}", NEXT, fact)
