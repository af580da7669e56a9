"""What a transport raises: a safe word of why something did not arrive."""

from __future__ import annotations


class Undelivered(Exception):
    """It did not arrive. `down`: nothing else will arrive there for now, so that trying more of it is idle."""

    def __init__(self, reason: str, *, down: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.down = down
