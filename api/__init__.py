"""HTTP over the same commands and questions as everywhere else. It knows no rules.

`create_app(settings)` opens nothing: stores are opened at the first request, in the process that serves it.
"""

from __future__ import annotations

from api.app import create_app

__all__ = ["create_app"]
