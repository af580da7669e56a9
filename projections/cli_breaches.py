"""A report's figures and its breaches on a screen and in files; the breaches go out as they are worked out."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, BinaryIO

import click

from ledger.cli_show import label, show_record, show_rows
from ledger.texts import text
from projections.breaches import WHY_LINES, Breaches, in_columns
from projections.exports import readable, with_totals, write_csv, write_xlsx

Row = dict[str, Any]


def counted(breaches: Breaches | Sequence[Row] | None, tick: Callable[[int], None] | None) -> Iterator[Row] | None:
    """Return the breaches one by one, telling `tick` how many have been taken; None of none."""
    if breaches is None:
        return None

    def taken() -> Iterator[Row]:
        for number, row in enumerate(breaches, 1):
            yield row
            if tick is not None:
                tick(number)

    return taken()


# --- files -----------------------------------------------------------------------------------------------------------


def write(
    answer: Row,
    rows: Sequence[Row] | None,
    breaches: Iterable[Row] | None,
    form: str,
    sink: BinaryIO,
    lang: str,
    *,
    bom: bool,
) -> None:
    """Write a report to `sink`: JSON whole, XLSX a sheet each, CSV one table, the breaches where there are any.

    Without `rows` the breaches stand alone.
    """
    columns = None if breaches is None else (in_columns(row, lang) for row in breaches)
    if form == "json":
        _write_json(answer, breaches, sink, alone=rows is None)
    elif form == "csv":
        write_csv(sink, (rows or ()) if columns is None else columns, bom=bom)
    else:
        sheets: dict[str, Iterable[Row]] = {} if rows is None else {label("report", lang): rows}
        if columns is not None:
            sheets[label("breaches", lang)] = columns
        if answer:
            question = {name: value for name, value in answer.items() if name not in ("rows", "totals", "next")}
            sheets[label("asked_for", lang)] = [question]
        write_xlsx(sink, sheets, lang)


def _write_json(answer: Row, breaches: Iterable[Row] | None, sink: BinaryIO, *, alone: bool) -> None:
    """Write one JSON object, the breaches last; `alone`: the list of breaches."""
    head = json.dumps(answer, ensure_ascii=False)
    if breaches is None:
        sink.write(f"{head}\n".encode())
        return
    sink.write(b"[" if alone else f'{head[:-1]}, "breaches": ['.encode())
    for number, row in enumerate(breaches):
        sink.write(b", " * (number > 0) + json.dumps(row, ensure_ascii=False).encode())
    sink.write(b"]\n" if alone else b"]}\n")


# --- screen ----------------------------------------------------------------------------------------------------------


def show(answer: Row, breaches: Breaches | Sequence[Row] | None, lang: str, *, dated: bool) -> None:
    """Print a report for people: when it is of, its rows and totals, then the breaches, each with why."""
    if dated:
        show_record({name: answer[name] for name in ("at", "known_at")}, lang, False)
        click.echo()
    show_rows([readable(row) for row in with_totals(answer, text("label_totals", lang))], lang)
    if breaches is None:
        return
    click.echo(f"\n{label('breaches', lang)} ({text('times_of', lang, zone=answer['zone'])})")
    if isinstance(breaches, Breaches):
        explained = breaches.explain
    else:  # a role that may not see all of it may be told fewer
        explained = all("explanation" in row for row in breaches)
    if not explained or not len(breaches):
        show_rows([readable(row) for row in breaches], lang)
    else:
        for row in breaches:
            _show_breach(in_columns(row, lang), lang)
    if answer.get("next"):
        click.echo(f"\n{text('queue_more', lang, cursor=shlex.quote(answer['next']))}")


def _show_breach(row: Row, lang: str) -> None:
    """Print a breach as a few lines: which case and whose, then why, then the hash of the explanation."""
    shown = readable(row)
    named = [f"{label(name, lang)} {shown[name]}" for name in ("customer", "agent") if shown[name]]
    click.echo("\n  " + " · ".join([f"{label('late_by', lang)} {shown['late_by']}", *named]))
    for name in WHY_LINES:
        if row[name]:
            click.echo(f"    {row[name]}")
    known = f" --known-at {row['why_known_at']}" if row["why_known_at"] else ""
    click.echo(f"    {row['why_hash']} (--at {row['why_at']}{known})")
