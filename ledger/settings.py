"""Settings: read from the environment once, at a front door, and passed down. No other module reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ledger.texts import LANGUAGES

DEFAULT_URL = "sqlite:///data/ledger.db"


@dataclass(frozen=True)
class Settings:
    """`database_url`: sqlite:///path (relative to the working folder) or postgresql://…; `lang`: es_GT or en."""

    database_url: str = DEFAULT_URL
    lang: str = LANGUAGES[0]
    catalogue: Path | None = None
    mail_from: str = ""  # "Name <address>": who mail is from; the name is how the company signs
    smtp_url: str = field(default="", repr=False)  # it may hold a password
    mail_dir: Path | None = None  # a folder for mail as files, where there is no server
    mail_desk: str = ""  # "Name <address>, …": our own people, who are mailed of cases about to be late
    gateway: str = ""  # the card gateway's name; "": the sandbox on a test clock, none on a real ledger
    gateway_secret: str = field(default="", repr=False)  # of the card gateway's webhooks: whsec_…
    trusted_proxies: str = ""  # "127.0.0.1, 10.0.0.0/8, unix": whose X-Forwarded-For is believed
    question_seconds: str = ""  # how long one request may take to answer, over HTTP; "": 20
    token_file: Path | None = None  # where one's own token is kept, for the command line
    token_file_named: bool = False  # by LEDGER_TOKEN_FILE: then it must be good
    approval_limits: str = ""  # "GTQ 250.00, refund GTQ 100.00": above which money needs a second person
    sole_approver: str = ""  # the name of the one person who may approve, where there is no second
    webhook_allow: str = ""  # hosts and ranges that webhooks may go to beside public addresses
    secrets_file: Path | None = None  # the webhooks' secrets; None: beside an SQLite ledger

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Return the settings of the LEDGER_… variables that the README lists."""
        env = os.environ if environment is None else environment
        catalogue = env.get("LEDGER_CATALOGUE")
        return cls(
            database_url=env.get("LEDGER_DATABASE_URL") or DEFAULT_URL,
            lang=language(env.get("LEDGER_LANG") or env.get("LANG") or ""),
            catalogue=Path(catalogue) if catalogue else None,
            mail_from=env.get("LEDGER_MAIL_FROM") or "",
            smtp_url=env.get("LEDGER_SMTP_URL") or "",
            mail_dir=Path(env["LEDGER_MAIL_DIR"]) if env.get("LEDGER_MAIL_DIR") else None,
            mail_desk=env.get("LEDGER_MAIL_DESK") or "",
            gateway=env.get("LEDGER_GATEWAY") or "",
            gateway_secret=env.get("LEDGER_GATEWAY_SECRET") or "",
            trusted_proxies=env.get("LEDGER_TRUSTED_PROXIES") or "",
            question_seconds=env.get("LEDGER_QUESTION_SECONDS") or "",
            token_file=_token_file(env),
            token_file_named=bool(env.get("LEDGER_TOKEN_FILE")),
            approval_limits=env.get("LEDGER_APPROVAL_LIMITS") or "",
            sole_approver=env.get("LEDGER_SOLE_APPROVER") or "",
            webhook_allow=env.get("LEDGER_WEBHOOK_ALLOW") or "",
            secrets_file=Path(env["LEDGER_SECRETS_FILE"]) if env.get("LEDGER_SECRETS_FILE") else None,
        )


def _token_file(env: Mapping[str, str]) -> Path | None:
    """Return where one's own token is kept: as named, else in the folder of one's configuration (XDG)."""
    if named := env.get("LEDGER_TOKEN_FILE"):
        return Path(named)
    folder = env.get("XDG_CONFIG_HOME") or (f"{home}/.config" if (home := env.get("HOME")) else "")
    return Path(folder) / "supportledger" / "token" if folder else None


def language(name: str) -> str:
    """Return "en" for an English locale name, else es_GT: Spanish comes first."""
    return "en" if name.lower().startswith("en") else "es_GT"
