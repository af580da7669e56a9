"""A customer's month as one HTML page: each case with its answer and verdict, what was left out and why, tickets left.

It prints on A4, holds its style and drawings, and loads and runs nothing. Every value is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from html import escape
from typing import Any

from babel.dates import format_skeleton

from ledger.application import Ledger
from ledger.cli_show import label
from ledger.fields import Id
from ledger.rules.instants import show
from ledger.texts import text
from projections.compliance import VERDICTS, Row, Scope, Tally, rows_of, totals, verdict_of
from projections.exports import duration, readable, word
from projections.projector import projector_of
from projections.reports import going_on
from projections.tickets import TICKETS

_COLOURS = {"met": "#2a7d4f", "breached": "#b3261e", "open": "#8a8a8a", "excluded": "#d9b44a"}
_WIDTH, _HEIGHT = 600, 18
_STYLE = """
@page { size: A4; margin: 18mm 15mm; }
body { font: 10.5pt/1.4 sans-serif; color: #111; margin: 0 auto; max-width: 180mm; }
h1 { font-size: 17pt; margin: 0 0 2mm; } h2 { font-size: 12pt; margin: 7mm 0 2mm; }
p { margin: 0 0 2mm; } .small { color: #555; font-size: 8.5pt; }
table { border-collapse: collapse; width: 100%; font-size: 8.5pt; }
th, td { border-bottom: 0.3mm solid #ccc; padding: 1mm 1.5mm; text-align: left; vertical-align: top; }
th { border-bottom-color: #111; } td.number { text-align: right; font-variant-numeric: tabular-nums; }
thead { display: table-header-group; } tr, svg { break-inside: avoid; }
td.breached { color: #b3261e; font-weight: bold; } svg { display: block; width: 100%; height: 5mm; }
@media print { * { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
"""


def monthly(ledger: Ledger, account: str, month: str, lang: str = "") -> str:
    """Return the page of a customer's month as things stand now, in `lang` (default: the account's language)."""
    number = Id().parse(account, "account")
    customer = ledger.ask("account", {"account": number})
    lang = lang or customer["language"]
    now = ledger.clock.now()
    cases = _cases(ledger, number, month)
    zone = customer["zone"]
    parts = [
        _head(customer, month, lang, now),
        _summary(cases, now, lang),
        _left(ledger.ask("balance", {"account": number}), zone, now, lang),
        _section("monthly_cases", lang, _table(cases, now, lang)),
        f'<p class="small">{escape(text("monthly_explained", lang))}</p>',
    ]
    title = escape(f"{customer['name']} · {month}")
    return (
        f'<!DOCTYPE html>\n<html lang="{lang.replace("_", "-")}"><head><meta charset="utf-8"/>'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _cases(ledger: Ledger, account: str, month: str) -> list[Row]:
    projector = projector_of(ledger)
    going_on(projector)
    sql = f"SELECT {', '.join(TICKETS.names)} FROM r_tickets WHERE account = ? AND month = ? ORDER BY opened_at, ticket"
    return [dict(zip(TICKETS.names, row, strict=True)) for row in projector.read.query(sql, [account, month])]


def _head(customer: Row, month: str, lang: str, now: str) -> str:
    name = format_skeleton("yMMMM", date.fromisoformat(f"{month}-01"), locale=lang)
    made = text("monthly_made", lang, at=_moment(now, customer["zone"]), zone=customer["zone"])
    nit = f" · NIT {escape(customer['nit'])}" if customer["nit"] else ""
    return (
        f"<h1>{escape(text('monthly_title', lang, month=name))}</h1>"
        f"<p><strong>{escape(customer['name'])}</strong> · {escape(customer['account'])}{nit}</p>"
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
        return _section("monthly_summary", lang, f"<p>{escape(text('monthly_none', lang))}</p>")
    lines = [_figures(word("level", row["level"], lang), row, lang) for row in rows]
    lines.append(_figures(text("label_totals", lang), totals(cells), lang))
    names = ["level", "total", *VERDICTS, "met_share", "p50", "worst"]
    bars = "\n".join(_bar(word("level", row["level"], lang), row, lang) for row in rows)
    return _section("monthly_summary", lang, f"{_rows(names, lines, lang)}\n{bars}")


def _figures(name: str, row: Row, lang: str) -> str:
    shown = readable(row)
    values = [shown[column] for column in ("total", *VERDICTS, "met_share", "p50", "worst")]
    cells = "".join(f'<td class="number">{_or_dash(value)}</td>' for value in values)
    return f"<td>{escape(name)}</td>{cells}"


def _bar(name: str, row: Row, lang: str) -> str:
    """Return a level's verdicts as one bar, with the counts in words for whom colours tell nothing."""
    edges, before = [0], 0
    for verdict in VERDICTS:
        before += row[verdict]
        edges.append(before * _WIDTH // row["total"])
    parts = "".join(
        f'<rect x="{start}" y="0" width="{end - start}" height="{_HEIGHT}" fill="{_COLOURS[verdict]}"/>'
        for verdict, start, end in zip(VERDICTS, edges, edges[1:], strict=False)
        if end > start
    )
    told = ", ".join(f"{label(verdict, lang)} {row[verdict]}" for verdict in VERDICTS if row[verdict])
    caption = escape(f"{name}: {told}")
    return (
        f'<p class="small">{caption}</p><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        f' preserveAspectRatio="none" role="img"><title>{caption}</title>{parts}</svg>'
    )


def _left(balance: Row, zone: str, now: str, lang: str) -> str:
    counts = {name: balance[name] for name in ("granted", "used", "expired", "voided", "remaining")}
    line = text("monthly_left_line", lang, at=_moment(now, zone), **counts)
    names = ("grant", "kind", "level", "units", "used", "remaining", "until")
    open_grants = [grant for grant in balance["grants"] if grant["remaining"]]
    lines = [
        "".join(f"<td>{_or_dash(_grant_cell(name, grant[name], lang))}</td>" for name in names) for grant in open_grants
    ]
    body = f"<p>{escape(line)}</p>" + (_rows(names, lines, lang) if lines else "")
    return _section("monthly_left", lang, body)


def _grant_cell(name: str, value: Any, lang: str) -> Any:
    if name == "until" and value:
        return value[:16].replace("T", " ")
    return value if isinstance(value, int) else word(name, value, lang)


# --- cases -----------------------------------------------------------------------------------------------------------


def _table(cases: Iterable[Row], now: str, lang: str) -> str:
    names = ("ticket", "subject", "opened_at", "level", "priority", "due_at", "responded_at", "took", "verdict")
    lines = [_case(case, now, lang) for case in cases]
    if not lines:
        return f"<p>{escape(text('monthly_none', lang))}</p>"
    return _rows((*names, "note_on_case"), lines, lang)


def _case(case: Row, now: str, lang: str) -> str:
    zone, target = case["zone"], bool(case["due_at"])
    verdict = verdict_of(case, now, raw=False) if target else "none"
    values = [
        case["ticket"],
        case["subject"],
        _moment(case["opened_at"], zone),
        word("level", case["verdict_level"] or case["level"], lang),
        word("priority", case["verdict_priority"] or case["priority"], lang),
        _moment(case["due_at"], zone) if target else text("monthly_no_target", lang),
        _moment(case["responded_at"], zone),
        duration(case["elapsed_us"]) if case["elapsed_us"] >= 0 else "",
        word("verdict", verdict, lang) if target else "",
        _note(case, lang),
    ]
    classes = [""] * 8 + [f' class="{verdict}"', ""]
    return "".join(f"<td{kind}>{_or_dash(value)}</td>" for kind, value in zip(classes, values, strict=True))


def _note(case: Row, lang: str) -> str:
    """Return what takes a case out of the count, or stands beside its verdict, and who approved it."""
    if case["excluded"]:
        return text("monthly_excluded", lang, reason=case["excluded"], approver=case["approver"] or "-")
    return word("verdict", case["revised"], lang) if case["revised"] else ""


def _rows(names: Iterable[str], lines: Iterable[str], lang: str) -> str:
    heads = "".join(f"<th>{escape(label(name, lang))}</th>" for name in names)
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _moment(instant: str, zone: str) -> str:
    """Return an instant as local date and time to the second, "" for none."""
    return show(instant, zone)[:19].replace("T", " ") if instant else ""


def _or_dash(value: Any) -> str:
    return "–" if value is None or value == "" else escape(str(value))
