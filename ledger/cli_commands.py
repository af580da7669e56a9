"""The command line's commands and questions, made from the table in `ledger/commands.py`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import click

from ledger.apply import in_words
from ledger.approving import PENDING
from ledger.cli_context import asker, ledger_of
from ledger.cli_group import Commands
from ledger.cli_show import for_people, show_history, show_record
from ledger.commands import COMMANDS, QUESTIONS, Command, Question
from ledger.commands_approvals import RequestNumber
from ledger.errors import LedgerError
from ledger.fields import Choice, Field, Flag, Instant, Text, Whole, Words
from ledger.identity import acting
from ledger.texts import table, text

_POSITIONAL = ("account", "ticket")
# Questions that stand in the group of what they show: (group, question, verb).
_SHOWN = (
    ("ticket", "ticket", "show"),
    ("account", "account", "show"),
    ("plan", "preview", "preview"),
    ("payment", "payments", "list"),
    ("document", "documents", "list"),
    ("approval", "approvals", "list"),
    ("approval", "approval", "show"),
)

_ABOUT_ME = ("approvals", "approval")  # questions whose answers depend on who asks


def command_groups(help_lang: str) -> Iterator[click.Group]:
    """Yield one group a noun (account, plan, payment, …) with its commands; their help is in `help_lang`."""
    groups: dict[str, Commands] = {}
    for command in COMMANDS.values():
        noun, verb = command.name.split(".")
        if noun not in groups:
            groups[noun] = Commands(noun, help=help_text(f"noun_{noun}", help_lang))
        groups[noun].add_command(_command(command, verb.replace("_", "-"), help_lang))
    for noun, question, verb in _SHOWN:
        groups[noun].add_command(_question(QUESTIONS[question], verb, help_lang))
    yield from groups.values()


def question_commands(help_lang: str) -> Iterator[click.Command]:
    """Yield the questions that stand at the root: balance, history, coverage, billing."""
    for name in ("balance", "history", "coverage", "billing"):
        yield _question(QUESTIONS[name], name, help_lang)


def help_text(key: str, lang: str) -> str:
    """Return the help of a command or field, nothing where it has none."""
    return text(key, lang) if key in table() else ""


def _command(command: Command, verb: str, help_lang: str) -> click.Command:
    def run(as_json: bool, at: str | None, by: str | None, reason: str | None, key: str | None, **given: Any) -> None:
        ctx = click.get_current_context()
        lang = ctx.obj["lang"]
        instant = Instant().parse(at, "at") if at is not None else None
        why = Text(500).parse(reason, "reason") if reason is not None else ""
        with ledger_of(ctx) as ledger:
            answer = ledger.execute(
                command.name,
                _present(given),
                caller=acting(ledger.store, ctx.obj["settings"], by),
                at=instant,
                reason=why,
                key=key or "",
            )
        show_record(in_words(answer, lang), lang, as_json)
        if PENDING in answer:
            click.echo(text("pending_approval", lang, request=answer[PENDING]), err=True)
        if not answer["ok"]:
            sys.exit(1)

    common = [
        click.Option(["--at"], metavar="RFC3339", help=help_text("field_at", help_lang)),
        click.Option(["--by"], help=help_text("field_by", help_lang)),
        click.Option(["--reason"], help=help_text("field_reason", help_lang)),
        click.Option(["--key"], help=help_text("field_key", help_lang)),
        click.Option(["--json", "as_json"], is_flag=True),
    ]
    params = [_parameter(field, help_lang) for field in command.fields]
    help_ = help_text(f"do_{command.name}", help_lang)
    return click.Command(verb, callback=run, params=[*params, *common], help=help_)


def _question(question: Question, name: str, help_lang: str) -> click.Command:
    def run(as_json: bool, **given: Any) -> None:
        ctx = click.get_current_context()
        with ledger_of(ctx) as ledger:
            answer = ledger.ask(
                question.name, _present(given), caller=asker(ctx, ledger, needed=question.name in _ABOUT_ME)
            )
        if name == "history" and not as_json:
            show_history(answer, ctx.obj["lang"])
        elif question.name in _ABOUT_ME and not as_json:
            show_record(for_people(answer, ctx.obj["lang"]), ctx.obj["lang"], as_json)
        elif name == "coverage" and not as_json:
            lang = ctx.obj["lang"]
            facts = {fact: value for fact, value in answer.items() if fact != "code"}
            message = LedgerError(answer["code"], **facts).message(lang)
            show_record({**answer, "message": message}, lang, as_json)
        else:
            show_record(answer, ctx.obj["lang"], as_json)

    params: list[click.Parameter] = [_parameter(field, help_lang) for field in question.fields]
    params.append(click.Option(["--json", "as_json"], is_flag=True))
    return click.Command(name, callback=run, params=params, help=help_text(f"ask_{question.name}", help_lang))


def _present(given: dict[str, Any]) -> dict[str, Any]:
    return {n: list(v) if isinstance(v, tuple) else v for n, v in given.items() if v is not None}


def _parameter(field: Field, help_lang: str) -> click.Parameter:
    if field.name in _POSITIONAL or isinstance(field.kind, RequestNumber):
        return click.Argument([field.name], required=field.required)
    option = f"--{field.name.replace('_', '-')}"
    help_ = help_text(f"field_{field.kind.about or field.name}", help_lang)
    if isinstance(field.kind, Flag):
        return click.Option([option, field.name], is_flag=True, default=None, help=help_)
    if isinstance(field.kind, Words):
        return click.Argument([field.name], type=click.Choice(field.kind.words), nargs=-1, required=True)
    kind: Any = str
    if isinstance(field.kind, Choice):
        kind = click.Choice(field.kind.words)
    elif isinstance(field.kind, Whole):
        kind = int
    return click.Option([option, field.name], type=kind, required=field.required, help=help_)
