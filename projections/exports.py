"""Reports as files: CSV that a spreadsheet cannot mistake for formulas, XLSX, and the words in which both show figures.

Durations are whole microseconds until they are shown, rounded up to the second; shares are hundredths of a per cent.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import xlsxwriter

from ledger.cli_show import label
from ledger.texts import table, text
from projections.compliance import MEASURES

Row = dict[str, Any]
_SECOND = 1_000_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # with which a spreadsheet begins to compute (OWASP, "CSV injection")
_SHARE, _TIMES = MEASURES[0], (*MEASURES[1:], "late_us")
_NAMES = {_SHARE: "met_share", "late_us": "late_by", **{name: name.removesuffix("_us") for name in MEASURES[1:]}}


def duration(us: int) -> str:
    """Return microseconds as h:mm:ss, rounded up: what took a moment longer than a minute took 0:01:01."""
    seconds = _seconds(us)
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def percent(hundredths: int) -> str:
    """Return hundredths of a per cent as text with two decimals: 9750 is 97.50."""
    return f"{hundredths // 100}.{hundredths % 100:02d}"


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


def to_csv(rows: Sequence[Mapping[str, Any]], *, bom: bool = False) -> bytes:
    """Return rows of one form as CSV (RFC 4180, UTF-8): names as headings, shares without their sign.

    `bom` lets a spreadsheet see that it is UTF-8. Text that would be read as a formula gets an apostrophe before it.
    """
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    if rows:
        writer.writerow(_NAMES.get(name, name) for name in rows[0])
    for row in rows:
        writer.writerow(_csv_cell(name, value) for name, value in row.items())
    return file.getvalue().encode("utf-8-sig" if bom else "utf-8")


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


def to_xlsx(sheets: Mapping[str, Sequence[Mapping[str, Any]]], lang: str) -> bytes:
    """Return a workbook with one sheet a table; headings and our words in `lang`, every text written as text."""
    file = io.BytesIO()
    book = xlsxwriter.Workbook(file, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    formats = {
        "head": book.add_format({"bold": True, "bottom": 1}),
        "share": book.add_format({"num_format": "0.00%"}),
        "time": book.add_format({"num_format": "[h]:mm:ss"}),
    }
    for title, rows in sheets.items():
        sheet = book.add_worksheet(title[:31])
        sheet.freeze_panes(1, 0)
        names = list(rows[0]) if rows else []
        for column, name in enumerate(names):
            heading = label(_NAMES.get(name, name), lang)
            sheet.write_string(0, column, heading, formats["head"])
            sheet.set_column(column, column, max(12, len(heading) + 2))
        for number, row in enumerate(rows, 1):
            for column, name in enumerate(names):
                _write(sheet, number, column, name, row.get(name), lang, formats)
    book.close()
    return file.getvalue()


def _write(sheet: Any, row: int, column: int, name: str, value: Any, lang: str, formats: Mapping[str, Any]) -> None:
    if value is None:
        return
    if name == _SHARE:
        sheet.write_number(row, column, value / 10_000, formats["share"])
    elif name in _TIMES:  # a spreadsheet counts days; the seconds are whole before they are divided
        sheet.write_number(row, column, _seconds(value) / 86_400, formats["time"])
    elif isinstance(value, int) and not isinstance(value, bool):
        sheet.write_number(row, column, value)
    else:
        sheet.write_string(row, column, word(name, value, lang))


def word(name: str, value: Any, lang: str) -> str:
    """Return a value in words of `lang` where it is a word of ours, else its text."""
    if isinstance(value, bool):
        return text("word_yes" if value else "word_no", lang)
    if isinstance(value, list):
        return ", ".join(label(str(part), lang) for part in value)
    keys = (f"value_{name}_{value}", f"value_{value}")
    return next((text(key, lang) for key in keys if key in table()), str(value))
