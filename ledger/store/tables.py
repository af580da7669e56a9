"""Tables beside the log: what is no fact of the business, or must not be one (a person's address, a delivery's state).

Each upgrade of the schema is a list of statements, the same on both stores: `{text}` is the type of text compared
byte by byte, `{number}` that of whole numbers.
"""

from __future__ import annotations

SCHEMA_VERSION = 3

_TWO = (
    # Where a customer's notices go. Not in the log: an address can be corrected and forgotten.
    """CREATE TABLE ledger_contacts (
        account {text} PRIMARY KEY, email {text} NOT NULL, name {text} NOT NULL, changed_at {text} NOT NULL
    )""",
    # What is to be sent, once each: `key` is natural, `sent_at` and `given_up_at` are "" until then.
    """CREATE TABLE ledger_outbox (
        key {text} PRIMARY KEY, channel {text} NOT NULL, target {text} NOT NULL, account {text} NOT NULL,
        kind {text} NOT NULL, body {text} NOT NULL, created_at {text} NOT NULL, tries {number} NOT NULL,
        next_try_at {text} NOT NULL, sent_at {text} NOT NULL, given_up_at {text} NOT NULL, error {text} NOT NULL
    )""",
    "CREATE INDEX ledger_outbox_next ON ledger_outbox (sent_at, given_up_at, next_try_at)",
    # Who gets signed webhooks; `kinds` is "" for all.
    """CREATE TABLE ledger_endpoints (
        id {text} PRIMARY KEY, url {text} NOT NULL, secret {text} NOT NULL, kinds {text} NOT NULL,
        created_at {text} NOT NULL, stopped_at {text} NOT NULL
    )""",
    # The last run of each job, for `status`.
    """CREATE TABLE ledger_jobs (
        job {text} PRIMARY KEY, started_at {text} NOT NULL, finished_at {text} NOT NULL, runs {number} NOT NULL,
        failures {number} NOT NULL, summary {text} NOT NULL, error {text} NOT NULL
    )""",
    # The sandbox gateway's own books: what it took and what it will answer next.
    """CREATE TABLE sandbox_requests (
        reference {text} PRIMARY KEY, kind {text} NOT NULL, account {text} NOT NULL, token {text} NOT NULL,
        amount {number} NOT NULL, currency {text} NOT NULL, outcome {text} NOT NULL, code {text} NOT NULL,
        final {number} NOT NULL, gateway_reference {text} NOT NULL, answered_at {text} NOT NULL,
        visible_at {text} NOT NULL
    )""",
    """CREATE TABLE sandbox_script (
        account {text} NOT NULL, place {number} NOT NULL, outcome {text} NOT NULL, PRIMARY KEY (account, place)
    )""",
)

# A token of before has no end and no maker: both are "" and told as such; it goes on working.
_THREE = tuple(
    f"ALTER TABLE ledger_tokens ADD COLUMN {name} {{text}} NOT NULL DEFAULT ''"
    for name in ("expires_at", "created_by", "last_used_at")
)

UPGRADES: dict[int, tuple[str, ...]] = {2: _TWO, 3: _THREE}


def upgrades_from(version: int, *, text: str, number: str) -> list[str]:
    """Return the statements that bring a database of schema `version` to SCHEMA_VERSION."""
    return [
        statement.format(text=text, number=number)
        for step in range(version + 1, SCHEMA_VERSION + 1)
        for statement in UPGRADES.get(step, ())
    ]
