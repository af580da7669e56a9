"""Files that commands write: each takes its place whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

import click

from ledger.errors import Malformed, Refused
from ledger.settings import Settings
from ledger.store.files import SQLITE_MAGIC, ledger_files

FORMATS = ("table", "csv", "xlsx", "json")


def format_of(out: Path | None) -> str:
    """Return the format that a file's name says, "" without a file; Malformed for a name that says none."""
    if out is None:
        return ""
    ending = out.suffix.lower().removeprefix(".")
    if ending not in FORMATS[1:]:
        raise Malformed("format", ending, "remedy_choice", words=", ".join(FORMATS[1:]))
    return ending


@contextmanager
def whole_file(file: Path) -> Iterator[BinaryIO]:
    """Yield where to write what becomes `file` in the end: whoever reads it meets no half of it, and none is left.

    Two processes may write the same file at once: the last one stays. Refused where it cannot be written, and where it
    would take the place of the ledger's own files, of any other database, or of what is no file (a device, a folder).
    """
    check_place(file)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as sink:
            yield sink
        os.replace(part, file)
    except OSError as error:
        raise Refused("export_unwritable", file=str(file), why=error.strerror or str(error)) from error
    finally:
        with suppress(OSError):
            part.unlink()


def check_place(file: Path, *, replaced: bool = True) -> None:
    """Raise Refused `out_is_ours`, `out_is_database` or `out_is_no_file` for a place that no answer may take.

    `replaced`: a new file takes the place; else it is written into, as into a terminal.
    """
    place = file.resolve()
    if place in _own_files():
        raise Refused("out_is_ours", file=str(file))
    try:
        found = place.stat()
        if not stat.S_ISREG(found.st_mode):
            if stat.S_ISDIR(found.st_mode) or not replaced:
                return  # the writing tells it, or does it no harm
            raise Refused("out_is_no_file", file=str(file))
        if any(own.exists() and own.samefile(place) for own in _own_files()):  # by another name
            raise Refused("out_is_ours", file=str(file))
        with place.open("rb") as content:
            if content.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC:
                raise Refused("out_is_database", file=str(file))
    except FileNotFoundError:
        return
    except OSError as error:
        raise Refused("export_unwritable", file=str(file), why=error.strerror or str(error)) from error


def _own_files() -> set[Path]:
    """Return the files that this call's ledger is made of, whether or not they are there."""
    context = click.get_current_context(silent=True)
    settings: Settings | None = (context.obj or {}).get("settings") if context is not None else None
    if settings is None:
        return set()
    own = [file for file in (settings.catalogue, settings.secrets_file, settings.token_file) if file is not None]
    if settings.database_url.startswith("sqlite:///"):
        own += ledger_files(Path(settings.database_url.removeprefix("sqlite:///")))
    return {file.resolve() for file in own}


@contextmanager
def sink_of(out: Path | None) -> Iterator[BinaryIO]:
    """Yield where to write: a whole file, or standard output where none is named. Refused as `whole_file`."""
    if out is None:
        yield cast("BinaryIO", click.open_file("-", "wb"))
        return
    with whole_file(out) as sink:
        yield sink
