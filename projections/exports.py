"""Reports as files: CSV that a spreadsheet cannot mistake for formulas, XLSX, and the words in which both show figures.

Durations are whole microseconds until they are shown, rounded up to the second; shares are hundredths of a per cent.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO

import xlsxwriter

from ledger.cli_show import label
from ledger.texts import table, text
from projections.breaches import WHY_LINES
from projections.compliance import MEASURES, percent

Row = dict[str, Any]
_SECOND = 1_000_000
_CHOSEN = ("ticket", "customer", "account", "agent", "by", "approver", "subject", "reason")
_CELL = 32_767  # characters that a cell of XLSX holds
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # with which a spreadsheet begins to compute (OWASP, "CSV injection")
_SHARE, _TIMES = MEASURES[0], (*MEASURES[1:], "late_us")
_NAMES = {_SHARE: "met_share", "late_us": "late_by", **{name: name.removesuffix("_us") for name in MEASURES[1:]}}


def duration(us: int) -> str:
    """Return microseconds as h:mm:ss, rounded up: what took a moment longer than a minute took 0:01:01."""
    seconds = _seconds(us)
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def with_totals(answer: Mapping[str, Any], word: str) -> list[Row]:
    """Return a report's rows and the totals as one more, with `word` in the place of its first dimension."""
    by = answer["by"]
    last = dict.fromkeys(by, "") | {by[0]: word}
    return [*answer["rows"], {**last, **answer["totals"]}]


def readable(row: Mapping[str, Any]) -> Row:
    """Return a row with shares and durations as people read them, under names that say so."""
    shown: Row = {}
    for name, value in row.items():
        if name == _SHARE:
            shown[_NAMES[name]] = None if value is None else f"{percent(value)} %"
        elif name in _TIMES:
            shown[_NAMES[name]] = None if value is None else duration(value)
        else:
            shown[name] = value
    return shown


def _seconds(us: int) -> int:
    return -(-us // _SECOND)


# --- CSV -------------------------------------------------------------------------------------------------------------


def to_csv(rows: Iterable[Mapping[str, Any]], *, bom: bool = False) -> bytes:
    """Return rows of one form as CSV; see `write_csv`."""
    file = io.BytesIO()
    write_csv(file, rows, bom=bom)
    return file.getvalue()


def write_csv(file: BinaryIO, rows: Iterable[Mapping[str, Any]], *, bom: bool = False) -> None:
    """Write rows of one form as CSV (RFC 4180, UTF-8) as they come: names as headings, shares without their sign.

    `bom` lets a spreadsheet see that it is UTF-8. Text that would be read as a formula gets an apostrophe before it.
    """
    text_file = io.TextIOWrapper(file, encoding="utf-8-sig" if bom else "utf-8", newline="")
    writer = csv.writer(text_file)
    names: list[str] = []
    for row in rows:
        if not names:
            names = list(row)
            writer.writerow(_NAMES.get(name, name) for name in names)
        writer.writerow(_csv_cell(name, row[name]) for name in names)
    text_file.flush()
    text_file.detach()  # the file stays its owner's to close


def _csv_cell(name: str, value: Any) -> str | int:
    if value is None:
        return ""
    if name == _SHARE:
        return percent(value)
    if name in _TIMES:
        return duration(value)
    if isinstance(value, int):
        return value
    return f"'{value}" if str(value).startswith(_FORMULA) else str(value)


# --- XLSX ------------------------------------------------------------------------------------------------------------


def to_xlsx(sheets: Mapping[str, Iterable[Mapping[str, Any]]], lang: str) -> bytes:
    """Return a workbook; see `write_xlsx`."""
    file = io.BytesIO()
    write_xlsx(file, sheets, lang)
    return file.getvalue()


def write_xlsx(file: BinaryIO, sheets: Mapping[str, Iterable[Mapping[str, Any]]], lang: str) -> None:
    """Write a workbook with one sheet a table; headings and our words in `lang`, every text written as text.

    Rows go to disk as they come, so their number does not matter; each sheet prints across, its heading on each page.
    """
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    book = xlsxwriter.Workbook(file, options)
    formats = {
        "head": book.add_format({"bold": True, "bottom": 1}),
        "share": book.add_format({"num_format": "0.00%"}),
        "time": book.add_format({"num_format": "[h]:mm:ss"}),
        "lines": book.add_format({"text_wrap": True, "valign": "top"}),
    }
    try:
        for title, rows in sheets.items():
            _sheet(book.add_worksheet(title[:31]), rows, lang, formats)
    finally:
        book.close()  # also half a book: it lets go of its files


def _sheet(sheet: Any, rows: Iterable[Mapping[str, Any]], lang: str, formats: Mapping[str, Any]) -> None:
    sheet.freeze_panes(1, 0)
    sheet.set_landscape()
    sheet.set_paper(9)  # A4
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)
    names: list[str] = []
    for number, row in enumerate(rows, 1):
        if not names:
            names = list(row)
            _head(sheet, names, lang, formats)
        for column, name in enumerate(names):
            _write(sheet, number, column, name, row.get(name), lang, formats)


def _head(sheet: Any, names: Sequence[str], lang: str, formats: Mapping[str, Any]) -> None:
    for column, name in enumerate(names):
        heading = label(_NAMES.get(name, name), lang)
        sheet.set_column(column, column, 60 if name in WHY_LINES else max(12, len(heading) + 2))
        sheet.write_string(0, column, heading, formats["head"])


def _write(sheet: Any, row: int, column: int, name: str, value: Any, lang: str, formats: Mapping[str, Any]) -> None:
    if value is None:
        return
    if name == _SHARE:
        sheet.write_number(row, column, value / 10_000, formats["share"])
    elif name in _TIMES:  # a spreadsheet counts days; the seconds are whole before they are divided
        sheet.write_number(row, column, _seconds(value) / 86_400, formats["time"])
    elif isinstance(value, int) and not isinstance(value, bool):
        sheet.write_number(row, column, value)
    elif name in WHY_LINES:
        sheet.write_string(row, column, value[:_CELL], formats["lines"])
    else:
        sheet.write_string(row, column, word(name, value, lang)[:_CELL])


def word(name: str, value: Any, lang: str) -> str:
    """Return a value in words of `lang` where it is a word of ours, else its text: names that people chose stay."""
    if name in _CHOSEN:
        return str(value)
    if isinstance(value, bool):
        return text("word_yes" if value else "word_no", lang)
    if isinstance(value, list):
        return ", ".join(label(str(part), lang) for part in value)
    keys = (f"value_{name}_{value}", f"value_{value}")
    return next((text(key, lang) for key in keys if key in table()), str(value))
