"""What people read at the command line: help in their language, tables that say what pays what, refusals in words."""

from __future__ import annotations

from gettext import GNUTranslations
from pathlib import Path

import click
import pytest
from babel.messages.pofile import read_po
from click.testing import CliRunner

import ledger.texts
from ledger import cli_show
from ledger.cli import assemble, main
from ledger.cli_group import Commands
from ledger.cli_show import label
from ledger.command import Command, by_name
from ledger.errors import Malformed, Refused
from ledger.texts import table


def run(folder: Path, *words: str, lang: str = "en") -> str:
    given = ["--database", f"sqlite:///{folder / 'l.db'}", "--lang", lang, *words]
    done = CliRunner().invoke(assemble(lang), given)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("words", [("--lang", "en"), ("--lang=en",)])
def test_help_is_in_the_language_that_was_asked_for(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEDGER_LANG", "es_GT")
    for asked, said in ((words, "Write off what is owed"), ((), "incobrable")):
        with pytest.raises(SystemExit) as ended:
            main([*asked, "charge", "--help"])
        assert ended.value.code == 0
        assert said in capsys.readouterr().out


def test_tables_tell_what_a_payment_pays_and_each_amount_with_its_currency(tmp_path: Path) -> None:
    run(tmp_path, "migrate", "--test-clock")
    run(tmp_path, "account", "open", "C-1", "--name", "Uno")
    sold = run(tmp_path, "plan", "purchase", "C-1", "--level", "basic", "--term", "monthly", "--channel", "web")
    assert "gross Q250.00" in sold
    run(tmp_path, "payment", "record", "C-1", "--amount", "250.00", "--method", "deposit", "--reference", "D-1")
    assert "C-1-S1-p Q250.00" in run(tmp_path, "payment", "list", "C-1")
    assert "Q223.21" in run(tmp_path, "document", "list", "C-1")
    assert "Pago de Q250.00 (depósito, referencia D-1)" in run(tmp_path, "history", "C-1", lang="es_GT")


def test_a_history_does_not_ask_after_what_nobody_gave(tmp_path: Path) -> None:
    run(tmp_path, "migrate", "--test-clock")
    run(tmp_path, "account", "open", "C-1", "--name", "Uno")
    run(tmp_path, "account", "open", "C-2", "--name", "Dos", "--nit", "1234-5")
    run(tmp_path, "ticket", "open", "C-1", "T-1", "--request", "administrative", "--priority", "low")
    run(tmp_path, "ticket", "message", "T-1")
    told = run(tmp_path, "history", "C-1", lang="es_GT")
    assert "Cuenta abierta: Uno " in told
    assert "Caso T-1 abierto: administrativo, prioridad baja, sin plazo" in told
    assert "El cliente escribió en el caso T-1 " in told
    assert "?" not in told
    assert "?" not in run(tmp_path, "history", "C-1")
    assert "Account opened: Dos (NIT 1234-5)" in run(tmp_path, "history", "C-2")


def test_every_heading_has_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A heading without words is told by its name in the answer, which is English."""
    run(tmp_path, "migrate", "--test-clock")
    run(tmp_path, "account", "open", "C-1", "--name", "Uno")
    run(tmp_path, "plan", "purchase", "C-1", "--level", "basic", "--term", "monthly", "--channel", "web")
    run(tmp_path, "payment", "record", "C-1", "--amount", "250.00", "--method", "deposit", "--reference", "D-1")
    run(tmp_path, "ticket", "open", "C-1", "T-1", "--request", "general", "--priority", "low")
    run(tmp_path, "ticket", "respond", "T-1")
    asked: set[str] = set()

    def told(name: str, lang: str) -> str:
        asked.add(name)
        return label(name, lang)

    monkeypatch.setattr(cli_show, "label", told)
    for command in (
        *("status", "balance C-1", "billing C-1", "history C-1", "ticket show T-1", "account show C-1"),
        *(
            "scheduler once",
            "projections status",
            "notices list",
            "sla queue",
            "sla radar",
            "sla what-if --calendar 24x7",
        ),
        *("sla report --breaches", "sla report --by level,month,agent,customer,calendar,channel"),
        *(f"export {kind} {tmp_path / kind}" for kind in ("ocel", "xes")),
    ):
        run(tmp_path, *command.split(), lang="es_GT")
    assert len(asked) > 60
    assert sorted(name for name in asked if f"label_{name}" not in table()) == []


def test_refusals_use_the_readers_words() -> None:
    assert Malformed("approver", None, "remedy_missing").message("en") == "Field 'approver' is missing, and required."
    higher = Refused("not_higher", level="basic", now="advanced")
    assert higher.message("es_GT").startswith("El plan Básico no es superior al actual (Avanzado).")
    assert higher.facts == {"level": "basic", "now": "advanced"}
    back = Refused("clock_moved_back", now="2026-03-02T15:00:00.000000Z", to="2026-01-01T06:00:00.000001Z")
    assert "2026-03-02 15:00:00 UTC" in back.message("en")
    assert "2026-01-01 06:00:00.000001 UTC" in back.message("en")


def test_a_name_given_twice_fails_when_the_program_starts() -> None:
    group = Commands("calendar")
    group.add_command(click.Command("compute"))
    with pytest.raises(RuntimeError, match="two commands are named 'compute'"):
        group.add_command(click.Command("compute"))
    root = Commands("root", commands={"calendar": group})
    root.add_command(Commands("calendar", commands={"assign": click.Command("assign")}))
    joined = root.commands["calendar"]
    assert isinstance(joined, click.Group)
    assert set(joined.commands) == {"compute", "assign"}


def test_a_command_or_a_route_given_twice_fails_when_the_program_starts() -> None:
    one = Command("a.b", (), frozenset(), "/x")
    with pytest.raises(RuntimeError, match=r"are named 'a\.b'"):
        by_name([one, Command("a.b", (), frozenset(), "/y")])
    with pytest.raises(RuntimeError, match="have one route: POST /x"):
        by_name([one, Command("a.c", (), frozenset(), "/x")])


def test_help_and_what_the_parser_says_are_in_one_language(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for lang, said, unsaid in (("es_GT", "Uso:", "Usage"), ("en", "Usage:", "Uso")):
        with pytest.raises(SystemExit):
            main(["--lang", lang, "sla", "report", "--help"])
        shown = capsys.readouterr().out
        assert said in shown
        assert unsaid not in shown
        assert " · " not in shown
    with pytest.raises(SystemExit) as ended:
        main(["--lang", "es_GT", "plan", "purchase", "C-1"])
    assert ended.value.code == 2
    assert "Falta la opción '--level'" in capsys.readouterr().err


def test_the_compiled_words_of_the_parser_are_those_of_their_source() -> None:
    folder = Path(ledger.texts.__file__).parent / "locale" / "es" / "LC_MESSAGES"
    with (folder / "click.po").open("rb") as source, (folder / "click.mo").open("rb") as compiled:
        written, said = read_po(source, locale="es"), GNUTranslations(compiled)
    for message in written:
        singular, *plural = [message.id] if isinstance(message.id, str) else message.id
        if plural:
            assert tuple(said.ngettext(singular, plural[0], n) for n in (1, 2)) == message.string
        elif singular:
            assert said.gettext(singular) == message.string
    assert len(written) > 40


def helps(command: click.Command, path: str = "") -> dict[str, str]:
    """Return every text of help of a command and of all below it, by where it stands."""
    said = {path: command.help or ""}
    for param in command.params:
        if isinstance(param, click.Option):
            said[f"{path} --{param.name}"] = param.help or ""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            said |= helps(below, f"{path} {name}".strip())
    return said


@pytest.mark.parametrize("lang", ["es_GT", "en"])
def test_no_help_is_cut_inside_its_parentheses(lang: str) -> None:
    said = helps(assemble(lang))
    assert len(said) > 300
    cut = {where: words for where, words in said.items() if words.count("(") != words.count(")") or " · " in words}
    assert cut == {}


def test_a_history_says_nothing_of_amounts_that_its_reader_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    """An agent read `?` for a price, and of an upgrade that nothing was left of the running period."""
    sold = {"level": "basic", "term": "yearly", "channel": "web", "units": 5, "charge": "C-1-U1"}
    events = ("plan_purchased", "addon_purchased", "upgrade_asked")
    stamps = {"at": "2026-01-31T09:00:00-06:00", "recorded_at": "2026-01-31T09:00:00-06:00"}
    entries = [{**sold, **stamps, "event": f"account.{event}"} for event in events]
    answer = {"account": "C-1", "name": "A", "currency": "GTQ", "entries": entries}
    cli_show.show_history(answer, "es_GT")
    told = capsys.readouterr().out
    assert "Plan Básico anual vendido (sitio web): 5 tickets al mes " in told
    assert "?" not in told
    assert "sin saldo" not in told
    cli_show.show_history({**answer, "entries": [{**one, "gross": "600.00"} for one in entries]}, "es_GT")
    assert capsys.readouterr().out.count("Q600.00") == len(events)


def test_a_token_file_that_is_named_and_missing_answers_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, "migrate", "--test-clock")
    run(tmp_path, "account", "open", "C-1", "--name", "Uno")
    monkeypatch.setenv("LEDGER_TOKEN_FILE", str(tmp_path / "nope"))
    with pytest.raises(SystemExit) as ended:
        main(["--database", f"sqlite:///{tmp_path / 'l.db'}", "billing", "C-1"])
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "nope" in said.err
