"""`supportledger sla explain` tells why a response was met or breached; `sla verify` checks a saved explanation."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ledger.apply import MAX_LINE
from ledger.cli_context import asker, ledger_of
from ledger.cli_files import whole_file
from ledger.commands import QUESTIONS
from ledger.drawing import draw
from ledger.errors import LedgerError, Malformed
from ledger.explaining import UNHASHED, digest, first_difference
from ledger.explaining_words import words
from ledger.fields import Instant
from ledger.settings import language
from ledger.texts import LANGUAGES, text

Answer = dict[str, Any]


def register(sla: click.Group) -> None:
    """Add both commands to the group `sla`."""
    sla.add_command(_explain_command())
    sla.add_command(_verify_command())


def _explain_command() -> click.Command:
    def run(
        ticket: str, at: str | None, known_at: str | None, lang: str | None, svg: Path | None, as_json: bool
    ) -> None:
        ctx = click.get_current_context()
        lang = language(lang) if lang else ctx.obj["lang"]
        given = {"ticket": ticket, "at": at, "known_at": known_at}
        with ledger_of(ctx) as ledger:
            known = {name: value for name, value in given.items() if value is not None}
            told = ledger.ask("explain", known, caller=asker(ctx, ledger))
        if svg is not None:
            with whole_file(svg) as sink:
                sink.write(draw(told, lang).encode())
        if as_json:
            click.echo(json.dumps(told, ensure_ascii=False))
            return
        for line in [*told["words"][lang], text("explain_hash", lang, hash=told["hash"])]:
            click.echo(line)

    fields = {field.name: field for field in QUESTIONS["explain"].fields}
    params: list[click.Parameter] = [click.Argument(["ticket"])]
    for name in ("at", "known_at"):
        assert isinstance(fields[name].kind, Instant)
        option = f"--{name.replace('_', '-')}"
        params.append(click.Option([option, name], metavar="RFC3339", help=_help(f"field_{name}")))
    params += [
        click.Option(["--lang"], type=click.Choice(["es_GT", "es", "en"])),
        click.Option(["--svg"], type=click.Path(path_type=Path), help=_help("field_svg")),
        click.Option(["--json", "as_json"], is_flag=True),
    ]
    return click.Command("explain", callback=run, params=params, help=_help("ask_explain"))


def _verify_command() -> click.Command:
    def run(file: Path, database: str | None, as_json: bool) -> None:
        ctx = click.get_current_context()
        lang = ctx.obj["lang"]
        url = database or ctx.find_root().params.get("database")
        saved = _saved(file)
        found = verify(saved)
        if url and found["hash_is_its_own"] and not found["supposed"]:  # a supposition is no answer of the log
            ctx.obj["settings"] = replace(ctx.obj["settings"], database_url=url)
            with ledger_of(ctx) as ledger:
                found |= compare(saved, _ask_again(ctx, ledger, saved))
        found["ok"] = found["hash_is_its_own"] and found["words_are_its_own"] and found.get("same_today", True)
        click.echo(json.dumps(found, ensure_ascii=False) if as_json else "\n".join(_told(found, lang)))
        if not found["ok"]:
            sys.exit(1)

    params: list[click.Parameter] = [
        click.Argument(["file"], type=click.Path(path_type=Path)),
        click.Option(["--database"], metavar="URL", help=_help("help_verify_database")),
        click.Option(["--json", "as_json"], is_flag=True),
    ]
    return click.Command("verify", callback=run, params=params, help=_help("help_sla_verify"))


def _help(key: str) -> str:
    return " · ".join(text(key, lang) for lang in LANGUAGES)


def _saved(file: Path) -> Answer:
    """Return the explanation that a file holds; Malformed for a file that holds none."""
    try:
        raw = file.read_bytes() if file.stat().st_size <= 16 * MAX_LINE else b""
        saved = json.loads(raw.decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        raise Malformed("file", str(file), "remedy_explanation") from None
    if not isinstance(saved, dict) or not all(isinstance(saved.get(n), str) for n in ("hash", "ticket", "at")):
        raise Malformed("file", str(file), "remedy_explanation")
    return saved


def verify(saved: Answer) -> Answer:
    """Return whether a saved explanation has the hash of its content, and the words of its data."""
    found: Answer = {"ticket": saved["ticket"], "hash": saved["hash"], "hash_found": digest(saved)}
    found["hash_is_its_own"] = found["hash"] == found["hash_found"]
    found |= {"words_are_its_own": True, "supposed": "under" in saved}
    if found["hash_is_its_own"]:  # changed data may be anything: then no words can be told from them
        expected = {lang: words(saved, lang) for lang in LANGUAGES}
        if different := first_difference(saved.get("words", expected), expected, "words"):
            found |= {"words_are_its_own": False, "place": different[0]}
    return found


def _ask_again(ctx: click.Context, ledger: Any, saved: Answer) -> Answer | LedgerError:
    given = {name: saved[name] for name in ("ticket", "at", "known_at") if saved.get(name)}
    try:
        answer: Answer = ledger.ask("explain", given, caller=asker(ctx, ledger))
    except LedgerError as error:
        return error
    return answer


def compare(saved: Answer, today: Answer | LedgerError) -> Answer:
    """Return whether the ledger answers the same today, with the first difference where it does not."""
    if isinstance(today, LedgerError):
        return {"same_today": False, "place": "ticket", "saved": saved["ticket"], "found": today.code}
    kept, now = ({n: v for n, v in one.items() if n not in UNHASHED} for one in (saved, today))
    different = first_difference(kept, now)
    if different is None:
        return {"same_today": True}
    place, before, found = different
    made = {"made_with": saved.get("made_with"), "made_today": today["made_with"]}
    return {"same_today": False, "place": place, "saved": before, "found": found, **made}


def _told(found: Answer, lang: str) -> Iterator[str]:
    if not found["hash_is_its_own"]:
        yield text("verify_bad", lang, saved=found["hash"], found=found["hash_found"])
        return
    yield text("verify_good", lang)
    if found["supposed"]:
        yield text("verify_supposed", lang)
    if not found["words_are_its_own"]:
        yield text("verify_words", lang, place=found["place"])
    if found.get("same_today"):
        yield text("verify_same", lang)
    elif "same_today" in found:
        yield text("verify_differs", lang, place=found["place"], saved=found["saved"], found=found["found"])
        if found.get("made_with") != found.get("made_today"):  # so it may not be the log that changed
            made = (_versions(found[name]) for name in ("made_with", "made_today"))
            yield text("verify_made", lang, **dict(zip(("saved", "found"), made, strict=True)))


def _versions(made: Answer | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in (made or {}).items()) or "-"
