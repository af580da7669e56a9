"""How the command line shows an answer: JSON for programs, aligned tables for people."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import click

from ledger.rules.money import pretty
from ledger.texts import LANGUAGES, PEOPLE, as_read, table, text

_AMOUNT = re.compile(r"-?[0-9]+\.[0-9]{2}", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_INSTANT = re.compile(_DATE.pattern + r"T[0-9]{2}:[0-9]{2}:\S+", re.ASCII)

_OPTIONAL = ("gross", "nit", "credit", "due_at", "text", "corrects", "via", "verdict", "assumed", "approver")
_SHORT_LISTS = {"pays"}  # lists of records that a table's cell has room for

# What most accounts never have: people see it where there is some.
_RARE = {"assumed", "paid_assumed", "unused_assumed", "refund_owed", "reversed_amount"}


def label(name: str, lang: str) -> str:
    """Return the words of a field or heading, the name itself where it has none."""
    key = f"label_{name}"
    return text(key, lang) if key in table() else name.replace("_", " ")


def show_record(answer: dict[str, Any], lang: str, as_json: bool) -> None:
    """Print one answer: plain values as lines, lists of records as tables below."""
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    currency = str(answer.get("currency") or "")
    simple = {k: v for k, v in answer.items() if not (_is_table(v) or v == {} or _idle(k, v))}
    width = max((len(label(k, lang)) for k in simple), default=0)
    for name, value in simple.items():
        click.echo(f"{label(name, lang):<{width}}  {_cell(value, lang, name, currency)}")
    for name, value in answer.items():
        if _is_table(value):
            click.echo(f"\n{label(name, lang)}")
            show_rows(value, lang, currency)


def for_people(answer: dict[str, Any], lang: str) -> dict[str, Any]:
    """Return an answer on requests for approval as people read it: in their language, without the program's words."""
    if "requests" in answer:
        return {**answer, "requests": [for_people(one, lang) for one in answer["requests"]]}
    shown = {name: value for name, value in answer.items() if name != "command"}
    effects = [
        {"figure": _cell(one["what"], lang, "what"), "before": one["before"], "after": one["after"]}
        for one in answer["effects"]
    ]
    return {**shown, "says": answer["says"][lang], "effects": effects}


def show_rows(rows: Sequence[dict[str, Any]], lang: str, currency: str = "") -> None:
    """Print records of one form as a table."""
    if not rows:
        click.echo("  -")
        return
    names = [n for n in rows[0] if any(_in_cell(n, r.get(n)) for r in rows)]
    cells = [[_cell(r.get(name), lang, name, currency or str(r.get("currency") or "")) for name in names] for r in rows]
    heads = [label(name, lang) for name in names]
    widths = [max(len(line[i]) for line in [heads, *cells]) for i in range(len(names))]
    numeric = [all(isinstance(row.get(name), (int, float, type(None))) for row in rows) for name in names]
    for line in [heads, ["-" * width for width in widths], *cells]:
        parts = [c.rjust(w) if right else c.ljust(w) for c, w, right in zip(line, widths, numeric, strict=True)]
        click.echo("  " + "  ".join(parts).rstrip())


def show_history(answer: dict[str, Any], lang: str) -> None:
    """Print an account's history for people: when, what in words, by whom, why."""
    currency = answer["currency"]
    rows = [
        {
            "at": entry["at"],
            "event": _happened(entry, lang, currency),
            "by": entry.get("by"),
            "reason": entry.get("reason"),
            "recorded_at": entry["recorded_at"],
        }
        for entry in answer["entries"]
    ]
    click.echo(f"{answer['account']} · {answer['name']} · {currency}\n")
    show_rows(rows, lang)


def _happened(entry: dict[str, Any], lang: str, currency: str) -> str:
    """Return a fact in words; what it need not have (`fact_…_without_…`) is not asked after."""
    if entry.get("approver") == entry.get("by"):  # within their own limit: nobody else looked at it
        entry = {name: value for name, value in entry.items() if name != "approver"}
    key = f"fact_{entry['event']}"
    for name in _OPTIONAL:
        if name not in entry and f"{key}_without_{name}" in table():
            key = f"{key}_without_{name}"
    if entry["event"] == "account.changed":
        given = [name for name in ("name", "nit", "address", "zone", "language") if name in entry]
        entry = {**entry, "changes": ", ".join(f"{label(name, lang)} {entry[name]}" for name in given)}
    shown = {name: _cell(value, lang, name, currency) for name, value in entry.items() if name != "channel"}
    channel = entry.get("channel")
    return text(key, lang, **shown, channel=channel if f"how_{channel}" in table() else _cell(channel, lang, "channel"))


def _idle(name: str, value: Any) -> bool:
    """Whether it is one of those that most accounts never have, and there is none."""
    return (name in _RARE and value in ("0.00", False)) or (name == "refund_debts" and not value)


def _in_cell(name: str, value: Any) -> bool:
    return value not in (None, "", []) and not _idle(name, value) and (name in _SHORT_LISTS or not _is_table(value))


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _cell(value: Any, lang: str, name: str = "", currency: str = "") -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, bool):
        return text("word_yes" if value else "word_no", lang)
    if isinstance(value, dict):
        if value.keys() == set(LANGUAGES):  # the same in each language
            return str(value[lang])
        own = str(value.get("currency") or currency)
        return ", ".join(f"{label(k, lang)} {_cell(v, lang, k, own)}" for k, v in value.items())
    if _is_table(value):  # in a cell: the values tell what they are
        return "; ".join(" ".join(_cell(v, lang, k, currency) for k, v in item.items()) for item in value)
    if isinstance(value, list):
        return "; ".join(_cell(item, lang, name, currency) for item in value)
    if not isinstance(value, str):
        return str(value)
    if currency and _AMOUNT.fullmatch(value):
        return pretty(int(value.replace(".", "")), currency, lang)
    if _INSTANT.fullmatch(value) or _DATE.fullmatch(value):
        return as_read(value, lang, seconds=False)
    whose = [f"value_by_{value}"] if name in PEOPLE else []
    for key in (*whose, f"value_{name}_{value}", f"value_{value}"):
        if key in table():
            return text(key, lang)
    return value
