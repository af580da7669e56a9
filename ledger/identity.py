"""Who acts at the command line: whoever holds a token, kept in a file that only they can read.

Without one it is the operator, as long as the ledger has no operator's token and the operating system says that its
database is theirs: a fresh ledger is run by whoever made it. As long as an operator's token is good, everybody shows
theirs. An operator may record what others did; it stands as stated, with the operator's name beside it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ledger import tokens
from ledger.dating import Caller
from ledger.errors import Refused
from ledger.fields import Name
from ledger.settings import Settings
from ledger.store import Store

CONSOLE = "console"


def who(store: Store, settings: Settings, source: str = CONSOLE) -> Caller:
    """Return who acts: the holder of this call's token, else the operator; Refused where neither may be."""
    secret = _secret(store, settings)
    if secret is not None:
        found = tokens.caller(store, secret)
        if found is not None:
            return Caller(found.by, found.role, source)
        if settings.token_file_named:
            raise Refused("token_file_unknown", file=str(settings.token_file))
    if store.owned() and not tokens.has_operator(store):
        return Caller(source=source)
    raise Refused("login_needed")


def acting(store: Store, settings: Settings, by: str | None, source: str = CONSOLE) -> Caller:
    """Return who acts where a command says `by`: an operator may state it of others, anybody of themselves."""
    return stated(who(store, settings, source), {"by": Name().parse(by, "by")} if by is not None else {})


def stated(me: Caller, said: Mapping[str, str]) -> Caller:
    """Return the caller that a line or an option states (`by`, `role`, `source`); Refused for who may not.

    `stated_by` is the operator, unless nothing was said of anybody else.
    """
    own = {"by": me.by, "role": me.role}
    differs = {name: value for name, value in said.items() if own.get(name) != value}
    if me.role != "operator":
        for name, value in differs.items():
            raise Refused("by_is_the_operators", name=me.by, field=name, given=value)
        return me
    others = differs.keys() & own.keys()
    return replace(
        me,
        by=said.get("by", me.by),
        role=said.get("role", me.role),
        source=said.get("source", me.source),
        stated_by=(me.stated_by or me.by) if others else me.stated_by,
    )


def _secret(store: Store, settings: Settings) -> str | None:
    """Return the token's text; None where there is no file, or a ledger without tokens asks for none."""
    file = settings.token_file
    if file is None or (not settings.token_file_named and not store.tokens()):
        return None
    if not settings.token_file_named and not file.exists():
        return None
    return read(file)


def read(file: Path) -> str:
    """Return the token in a file; Refused unless it is a file of this user's that nobody else can read."""
    try:
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        raise Refused("token_file_missing", file=str(file), why=error.strerror or str(error)) from error
    with os.fdopen(descriptor, encoding="ascii", errors="replace") as opened:
        found = os.fstat(opened.fileno())
        if not stat.S_ISREG(found.st_mode) or (os.name == "posix" and found.st_uid != os.geteuid()):
            raise Refused("token_file_not_yours", file=str(file))
        if os.name == "posix" and found.st_mode & 0o077:
            raise Refused("token_file_open", file=str(file))
        return opened.read(200).strip()


def keep(file: Path, secret: str) -> None:
    """Write a token to its file: readable by this user alone, whole or not at all."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as opened:
            opened.write(f"{secret}\n")
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
