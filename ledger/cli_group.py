"""Groups of the command line in which a name is given once, and help in one language.

A second command under a name fails when the program starts: it would hide the first one.
"""

from __future__ import annotations

import copy
import gettext
import os
from importlib.resources import files

import click

_BETWEEN = " · "  # help that stands in the code is "español · English"


class Commands(click.Group):
    """A group that refuses a name twice. A group that meets one of its own name joins it."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command; RuntimeError where another one has its name already."""
        taken = name or cmd.name or ""
        known = self.commands.get(taken)
        if isinstance(known, click.Group) and isinstance(cmd, click.Group):
            cmd = _joined(known, cmd)
        elif known is not None:
            raise RuntimeError(f"two commands are named {taken!r} in {self.name!r}: one of them could not be called")
        super().add_command(cmd, taken)

    def anew(self) -> Commands:
        """Return a copy to which commands can be added without a trace here."""
        return Commands(
            self.name,
            commands=dict(self.commands),
            callback=self.callback,
            params=self.params,
            help=self.help,
            context_settings=self.context_settings,
        )


def _joined(one: click.Group, other: click.Group) -> Commands:
    # A new group: the two may be kept by modules and joined again.
    both = Commands(one.name, commands=dict(one.commands), help=one.help)
    for name, command in other.commands.items():
        both.add_command(command, name)
    return both


def speak(lang: str) -> None:
    """Let click's own words ("Usage", "Missing option") be in `lang`, from `ledger/texts/locale`."""
    os.environ["LANGUAGE"] = lang.partition("_")[0]
    gettext.bindtextdomain("click", str(files("ledger.texts") / "locale"))
    gettext.textdomain("click")


def in_language(command: click.Command, lang: str) -> click.Command:
    """Return a copy of a command, and of all below it, whose help is in `lang` alone."""
    said = copy.copy(command)
    said.help, said.epilog = _half(command.help, lang), _half(command.epilog, lang)
    said.params = [copy.copy(param) for param in command.params]
    for param in said.params:
        if isinstance(param, click.Option):
            param.help = _half(param.help, lang)
    if isinstance(said, click.Group):
        said.commands = {name: in_language(below, lang) for name, below in said.commands.items()}
    return said


def _half(words: str | None, lang: str) -> str | None:
    """Return the Spanish or the English half of each paragraph that has both."""
    if not words:
        return words
    paragraphs = [paragraph.partition(_BETWEEN) for paragraph in words.split("\n\n")]
    halves = (
        first
        if not second
        else second[:1].upper() + second[1:]
        if lang == "en" and first[:1].isupper()
        else second
        if lang == "en"
        else first
        for first, _, second in paragraphs
    )
    return "\n\n".join(halves)
