"""History from other systems: a mapping file says what another desk's rows mean; history is recorded, not judged."""

from __future__ import annotations

from ledger.imports.batch import Summary
from ledger.imports.checks import MappingError, load_mapping
from ledger.imports.mapping import Mapping
from ledger.imports.recorder import Import, import_file

__all__ = ["Import", "Mapping", "MappingError", "Summary", "import_file", "load_mapping"]
