"""Files that commands write: each takes its place whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

import click

from ledger.errors import Malformed, Refused

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

    Two processes may write the same file at once: the last one stays. Refused where it cannot be written.
    """
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


@contextmanager
def sink_of(out: Path | None) -> Iterator[BinaryIO]:
    """Yield where to write: a whole file, or standard output where none is named. Refused as `whole_file`."""
    if out is None:
        yield cast("BinaryIO", click.open_file("-", "wb"))
        return
    with whole_file(out) as sink:
        yield sink
