"""Bearer tokens as they are kept, beside the log."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple


class Token(NamedTuple):
    """A bearer token as kept: only its hash. `revoked_at` is "" while it was not revoked.

    `expires_at` is "" where it has no end (tokens of before they had one), `last_used_at` until it is used; that is
    written at most once in ten minutes.
    """

    hash: str
    prefix: str
    role: str
    name: str
    created_at: str
    revoked_at: str
    expires_at: str = ""
    created_by: str = ""
    last_used_at: str = ""


_TOKEN = ", ".join(Token._fields)


class TokenTable(ABC):
    """The rows of tokens over a store's statements."""

    @abstractmethod
    def query(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one reading statement and return all its rows."""

    @abstractmethod
    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one writing statement in its own transaction; return the number of rows it touched."""

    def add_token(self, token: Token) -> None:
        """Keep a new token's hash."""
        marks = ", ".join("?" * len(Token._fields))
        self.execute(f"INSERT INTO ledger_tokens ({_TOKEN}) VALUES ({marks})", token)

    def token(self, token_hash: str) -> Token | None:
        """Return the token with this hash, revoked or not."""
        rows = self.query(f"SELECT {_TOKEN} FROM ledger_tokens WHERE hash = ?", [token_hash])
        return Token(*rows[0]) if rows else None

    def tokens(self) -> list[Token]:
        """Return all tokens, oldest first."""
        return [Token(*row) for row in self.query(f"SELECT {_TOKEN} FROM ledger_tokens ORDER BY created_at, hash")]

    def revoke_token(self, prefix: str, at: str) -> int:
        """Mark the tokens that begin with `prefix` as revoked; return how many were good until then."""
        sql = "UPDATE ledger_tokens SET revoked_at = ? WHERE prefix = ? AND revoked_at = ''"
        return self.execute(sql, [at, prefix])

    def token_used(self, token_hash: str, at: str, *, before: str) -> None:
        """Write that a token was used at `at`, unless that was written for an instant after `before` already."""
        sql = "UPDATE ledger_tokens SET last_used_at = ? WHERE hash = ? AND last_used_at < ?"
        self.execute(sql, [at, token_hash, before])

    def endless_tokens(self) -> int:
        """Return how many tokens are good and have no end: those made before tokens had one."""
        sql = "SELECT count(*) FROM ledger_tokens WHERE revoked_at = '' AND expires_at = ''"
        return int(self.query(sql)[0][0])
