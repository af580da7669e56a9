"""History from other systems: a mapping file says what another desk's rows mean; history is recorded, not judged."""

from __future__ import annotations

from ledger.imports.mapping import Mapping, MappingError, load_mapping
from ledger.imports.recorder import Summary, import_file

__all__ = ["Mapping", "MappingError", "Summary", "import_file", "load_mapping"]
