"""A customer's month as one HTML page: each case with its answer and verdict, what was left out and why, tickets left.

It prints on A4 and on letter, in colours or without, holds its style and drawings, and loads and runs nothing. Every
value is escaped, and none of any length or direction of writing moves what stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from html import escape
from typing import Any

from babel.dates import format_skeleton

from ledger.application import Ledger
from ledger.cli_show import label
from ledger.errors import NotFound
from ledger.fields import Id
from ledger.rules.instants import midnight, show, to_iso
from ledger.texts import text
from projections.compliance import VERDICTS, Row, Scope, Tally, rows_of, totals, verdict_of
from projections.exports import duration, readable, word
from projections.projector import projector_of
from projections.reports import going_on
from projections.tickets import TICKETS

# Told apart without colours too: dark, striped, white, light.
_FILLS = {"met": "#2a7d4f", "breached": "url(#{name})", "open": "#ffffff", "excluded": "#d9d2bd"}
_STRIPES = (
    '<defs><pattern id="{name}" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<path d="M0 0H6V6H0Z" fill="#f6d5d2"/>'
    '<path d="M0 6L6 0M-1 1L1 -1M5 7L7 5" stroke="#b3261e" stroke-width="1.6"/></pattern></defs>'
)
_WIDTH, _HEIGHT = 600, 18
_NUMBER = ' class="number"'
# The columns of the cases' table with their share of its width in per cent: no value makes one wider.
_COLUMNS = {
    "ticket": 10,
    "subject": 14,
    "opened_at": 10,
    "level": 11,
    "priority": 9,
    "due_at": 10,
    "responded_at": 11,
    "took": 11,
    "verdict": 11,
    "note_on_case": 11,
}
_FIGURES = {"total": "total", "met": "met", "breached": "breached", "open": "open", "excluded": "excluded_cases"}
_FIGURES |= {"met_share": "met_share", "p50": "median", "worst": "worst"}  # by name: the words over its column
_STYLE = """
@page { margin: 15mm 15mm 18mm; @bottom-right { content: counter(page) " / " counter(pages); font-size: 8pt; } }
body { font: 10.5pt/1.4 sans-serif; color: #111; margin: 0 auto; max-width: 186mm; overflow-wrap: anywhere; }
h1 { font-size: 17pt; margin: 0 0 2mm; } h2 { font-size: 12pt; margin: 7mm 0 2mm; break-after: avoid; }
p { margin: 0 0 2mm; } .small { color: #444; font-size: 8.5pt; } p.bar { margin: 2.5mm 0 0.5mm; break-after: avoid; }
table { border-collapse: collapse; width: 100%; font-size: 8.5pt; }
th, td { border-bottom: 0.3mm solid #bbb; padding: 0.8mm 1mm; text-align: left; vertical-align: top; }
th { border-bottom-color: #111; } td, bdi { unicode-bidi: isolate; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
thead { display: table-header-group; } tr, svg { break-inside: avoid; }
table.cases { table-layout: fixed; font-size: 7.5pt; line-height: 1.25; } .cases th { font-size: 7pt; }
.cases .whole { font-variant-numeric: tabular-nums; overflow-wrap: normal; } .cases span { white-space: nowrap; }
td.breached { font-weight: bold; color: #8c1d18; } svg { display: block; width: 100%; height: 5mm; }
@media print { * { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
"""


def monthly(ledger: Ledger, account: str, month: str, lang: str = "") -> str:
    """Return the page of a customer's month as it is known now, in `lang` (default: the account's language).

    Tickets left are those of the month's end; of now, while it goes on.
    """
    number = Id().parse(account, "account")
    customer = ledger.ask("account", {"account": number})
    lang = lang or customer["language"]
    now = ledger.clock.now()
    cases = _cases(ledger, number, month)
    zone = customer["zone"]
    ends = min(now, _last_instant(month, zone))  # what was left when the month ended
    parts = [
        _head(customer, month, lang, now),
        _summary(cases, now, lang),
        _left(_balance(ledger, number, ends), zone, ends, lang),
        _section("monthly_cases", lang, _table(cases, now, lang)),
        f'<p class="small">{escape(text("monthly_explained", lang))}</p>',
    ]
    title = escape(f"{customer['name']} · {month}")
    return (
        f'<!DOCTYPE html>\n<html lang="{lang.replace("_", "-")}"><head><meta charset="utf-8"/>'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _balance(ledger: Ledger, account: str, at: str) -> Row:
    """Return the balance at an instant; of nothing before the account was opened."""
    try:
        return ledger.ask("balance", {"account": account, "at": at})
    except NotFound:
        return {"grants": [], **dict.fromkeys(("granted", "used", "expired", "voided", "remaining"), 0)}


def _last_instant(month: str, zone: str) -> str:
    """Return the last microsecond of a local month, before what ends with it."""
    first = date.fromisoformat(f"{month}-01")
    following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return to_iso(midnight(following, zone) - timedelta(microseconds=1))


def _cases(ledger: Ledger, account: str, month: str) -> list[Row]:
    projector = projector_of(ledger)
    going_on(projector)
    sql = f"SELECT {', '.join(TICKETS.names)} FROM r_tickets WHERE account = ? AND month = ? ORDER BY opened_at, ticket"
    return [dict(zip(TICKETS.names, row, strict=True)) for row in projector.read.query(sql, [account, month])]


def _head(customer: Row, month: str, lang: str, now: str) -> str:
    name = format_skeleton("yMMMM", date.fromisoformat(f"{month}-01"), locale=lang)
    made = text("monthly_made", lang, at=_moment(now, customer["zone"]), zone=customer["zone"])
    nit = f" · NIT <bdi>{escape(customer['nit'])}</bdi>" if customer["nit"] else ""
    return (
        f"<h1>{escape(text('monthly_title', lang, month=name))}</h1>"
        f"<p><strong><bdi>{escape(customer['name'])}</bdi></strong> · <bdi>{escape(customer['account'])}</bdi>{nit}</p>"
        f'<p class="small">{escape(made)}</p>'
    )


def _section(key: str, lang: str, body: str) -> str:
    return f"<h2>{escape(text(key, lang))}</h2>\n{body}"


# --- figures ---------------------------------------------------------------------------------------------------------


def _summary(cases: Sequence[Row], now: str, lang: str) -> str:
    tally = Tally(["level"], now, raw=False, scope=Scope())
    for case in cases:
        tally.add(case)
    cells = tally.cells()
    rows = rows_of(cells, ["level"])
    if not rows:
        none = "monthly_no_targets" if cases else "monthly_none"
        return _section("monthly_summary", lang, f"<p>{escape(text(none, lang))}</p>")
    lines = [_figures(word("level", row["level"], lang), row) for row in rows]
    lines.append(_figures(text("label_totals", lang), totals(cells)))
    names = ["level", *_FIGURES.values()]
    bars = "\n".join(_bar(word("level", row["level"], lang), row, lang) for row in rows)
    return _section("monthly_summary", lang, f"{_rows(names, lines, lang)}\n{bars}")


def _figures(name: str, row: Row) -> str:
    shown = readable(row)
    values = [shown[column] for column in _FIGURES]
    cells = "".join(f'<td class="number">{_or_dash(value)}</td>' for value in values)
    return f"<td>{escape(name)}</td>{cells}"


def _bar(name: str, row: Row, lang: str) -> str:
    """Return a level's verdicts as one bar, with the counts in words for whom colours tell nothing."""
    edges, before = [0], 0
    for verdict in VERDICTS:
        before += row[verdict]
        edges.append(before * _WIDTH // row["total"])
    pattern = f"late-{row['level']}"  # a name in the page is there once
    fills = {verdict: fill.format(name=pattern) for verdict, fill in _FILLS.items()}
    parts = "".join(
        f'<rect x="{start}" y="0" width="{end - start}" height="{_HEIGHT}" fill="{fills[verdict]}" stroke="#111"/>'
        for verdict, start, end in zip(VERDICTS, edges, edges[1:], strict=False)
        if end > start
    )
    told = ", ".join(f"{label(_FIGURES[verdict], lang)} {row[verdict]}" for verdict in VERDICTS if row[verdict])
    caption, stripes = escape(f"{name}: {told}"), _STRIPES.format(name=pattern)
    return (
        f'<p class="small bar">{caption}</p><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        f' preserveAspectRatio="none" role="img"><title>{caption}</title>{stripes}{parts}</svg>'
    )


def _left(balance: Row, zone: str, now: str, lang: str) -> str:
    counts = {name: balance[name] for name in ("granted", "used", "expired", "voided", "remaining")}
    line = text("monthly_left_line", lang, at=_moment(now, zone), **counts)
    names = ("grant", "kind", "level", "units", "used", "remaining", "until")
    open_grants = [grant for grant in balance["grants"] if grant["remaining"]]
    lines = ["".join(_grant_cell(name, grant[name], lang) for name in names) for grant in open_grants]
    body = f"<p>{escape(line)}</p>" + (_rows(names, lines, lang) if lines else "")
    return _section("monthly_left", lang, body)


def _grant_cell(name: str, value: Any, lang: str) -> str:
    if isinstance(value, int):
        return f"<td{_NUMBER}>{value}</td>"
    shown = value[:16].replace("T", " ") if name == "until" and value else word(name, value, lang)
    return f"<td>{_or_dash(shown)}</td>"


# --- cases -----------------------------------------------------------------------------------------------------------


def _table(cases: Iterable[Row], now: str, lang: str) -> str:
    lines = [_case(case, now, lang) for case in cases]
    if not lines:
        return f"<p>{escape(text('monthly_none', lang))}</p>"
    widths = "".join(f'<col style="width:{share * 100 / sum(_COLUMNS.values()):.2f}%"/>' for share in _COLUMNS.values())
    return _rows(_COLUMNS, lines, lang, f' class="cases"><colgroup>{widths}</colgroup')


def _case(case: Row, now: str, lang: str) -> str:
    zone, target = case["zone"], bool(case["due_at"])
    verdict = verdict_of(case, now, raw=False) if target else "none"
    values = {
        "ticket": case["ticket"],
        "subject": case["subject"],
        "level": word("level", case["verdict_level"] or case["level"], lang),
        "priority": word("priority", case["verdict_priority"] or case["priority"], lang),
        "took": duration(case["elapsed_us"]) if case["elapsed_us"] >= 0 else "",
        "verdict": word("verdict", verdict, lang) if target else "",
        "note_on_case": _note(case, lang),
    }
    classes = dict.fromkeys(("level", "priority"), ' class="whole"')
    classes |= {"took": ' class="number"', "verdict": f' class="whole {verdict}"'}
    cells = {name: f"<td{classes.get(name, '')}>{_or_dash(value)}</td>" for name, value in values.items()}
    for name in ("opened_at", "due_at", "responded_at"):
        cells[name] = f'<td class="whole">{_date_and_time(_moment(case[name], zone))}</td>'
    if not target:
        cells["due_at"] = f"<td>{escape(text('monthly_no_target', lang))}</td>"
    return "".join(cells[name] for name in _COLUMNS)


def _date_and_time(moment: str) -> str:
    """Return a moment that may break between its date and its time, and nowhere else."""
    return " ".join(f"<span>{escape(part)}</span>" for part in moment.split(" ")) if moment else "–"


def _note(case: Row, lang: str) -> str:
    """Return what takes a case out of the count, or stands beside its verdict, and who approved it."""
    if case["excluded"]:
        return text("monthly_excluded", lang, reason=case["excluded"], approver=case["approver"] or "-")
    return word("verdict", case["revised"], lang) if case["revised"] else ""


def _rows(names: Iterable[str], lines: Iterable[str], lang: str, more: str = "") -> str:
    numbers = {*_FIGURES.values(), "took", "units", "used", "remaining"}
    heads = "".join(f"<th{_NUMBER if name in numbers else ''}>{escape(label(name, lang))}</th>" for name in names)
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table{more}><thead><tr>{heads}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _moment(instant: str, zone: str) -> str:
    """Return an instant as local date and time to the second, "" for none."""
    return show(instant, zone)[:19].replace("T", " ") if instant else ""


def _or_dash(value: Any) -> str:
    return "–" if value is None or value == "" else escape(str(value))
