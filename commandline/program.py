"""Build a command line from its sub-commands, run one of them, and turn its errors into one line and an exit code."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from commandline.errors import CommandError, Interrupted, UsageError
from commandline.exitcodes import ExitCode
from commandline.output import show_error, write


def _add_nothing(parser: ArgumentParser) -> None:
    """Add no arguments."""


def _do_nothing(args: Namespace) -> None:
    """Prepare nothing."""


def _explain_nothing(error: Exception) -> CommandError | None:
    """Leave every other exception a traceback."""
    return None


def _report(args: Namespace, error: str, code: int) -> None:
    show_error(error)


@dataclass(frozen=True, kw_only=True)
class Command:
    """A sub-command.

    `add` and `run` are called only for the command that the user types, so a module that is slow to import belongs
    inside them.
    """

    name: str
    help: str
    """One line for the list of commands. A command without it is left out of the list."""
    run: Callable[[Namespace], None]
    """Run the command; raise `CommandError` for errors that the user can fix."""
    add: Callable[[ArgumentParser], None] = _add_nothing
    """Add the arguments of the command."""
    usage: str = ""
    """The words after the name in the usage line. By default argparse lists every option there."""
    description: str = ""
    """The first paragraph of the command's help; `help` as a sentence by default."""
    epilog: str = ""
    """A paragraph below the command's options."""
    rest: bool = False
    """Whether the words after the first `--` go unread to `args.rest`."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program with sub-commands.

    Example:
        >>> hello = Command(name="hello", help="greet", run=lambda args: write("Hello.\\n"))
        >>> Program(name="python -m demo", description="Greet.", commands=[hello], exit_codes={}).main(["hello"])
        Hello.
        0
    """

    name: str
    """The words that start the program, such as `python -m k8s`."""
    description: str
    commands: Sequence[Command]
    exit_codes: Mapping[ExitCode, str]
    """What each exit code of this program means; every help ends with this table."""
    default: str = ""
    """The command to run if the command line names none."""
    epilog: str = ""
    abbreviations: bool = False
    """Whether options may be abbreviated to an unambiguous prefix."""
    prepare: Callable[[Namespace], None] = _do_nothing
    """Prepare for the command with its parsed arguments: set up logging, for instance."""
    explain: Callable[[Exception], CommandError | None] = _explain_nothing
    """Turn an exception of another kind into a `CommandError`, or return None to keep its traceback."""
    report: Callable[[Namespace, str, int], None] = _report
    """Show the message and the exit code of a failed command; the arguments are empty if parsing them failed."""

    def main(self, arguments: list[str]) -> int:
        """Run the command that `arguments` name, and show its errors.

        Returns:
            The exit code.

        Raises:
            SystemExit: with 0, after `--help`.
        """
        args = Namespace()
        try:
            command, args = self.parse(arguments)
            self.prepare(args)
            command.run(args)
        except KeyboardInterrupt:
            return self._fail(args, Interrupted("interrupted"))
        except Exception as error:
            explained = error if isinstance(error, CommandError) else self.explain(error)
            if explained is None:
                raise
            return self._fail(args, explained)
        return int(ExitCode.DONE)

    def parse(self, arguments: list[str]) -> tuple[Command, Namespace]:
        """Return the command that `arguments` name, and its parsed arguments.

        Raises:
            UsageError: there is no such command, or an option is unknown, missing or malformed.
            SystemExit: with 0, after `--help`.
        """
        first = arguments[0] if arguments else ""
        if first in ("-h", "--help"):
            write(self.help())
            raise SystemExit(ExitCode.DONE)
        named = not first.startswith("-") and bool(first)
        command = self._find(first if named else self.default)
        return command, self._parse_command(command, arguments[named:])

    def help(self) -> str:
        """Return the help of the whole program, which lists its commands and exit codes."""
        listed = _rows((command.name, command.help) for command in self.commands if command.help)
        command = "[COMMAND]" if self.default else "COMMAND"
        paragraphs = [
            f"usage: {self.name} {command} [options]",
            _filled(self.description),
            f"commands:\n{listed}",
            _filled(self.epilog),
            self._exit_codes(),
            _filled(f"`{self.name} COMMAND --help` lists the options of a command."),
        ]
        return "\n\n".join(filter(None, paragraphs)) + "\n"

    def _find(self, name: str) -> Command:
        for command in self.commands:
            if command.name == name:
                return command
        known = ", ".join(command.name for command in self.commands if command.help)
        wrong = f"there is no command {name}" if name else "the command is missing"
        raise UsageError(f"{wrong}; choose one of {known}")

    def _parse_command(self, command: Command, words: list[str]) -> Namespace:
        rest: list[str] = []
        if command.rest and "--" in words:
            end = words.index("--")
            words, rest = words[:end], words[end + 1 :]
        # Unlike parse_args, this finds an optional positional argument after options.
        args = self._parser(command).parse_intermixed_args(words)
        if command.rest:
            args.rest = rest
        return args

    def _parser(self, command: Command) -> ArgumentParser:
        name = f"{self.name} {command.name}"
        parser = _Parser(
            name,
            usage=f"{name} {command.usage}" if command.usage else None,
            description=_filled(command.description or f"{command.help[:1].upper()}{command.help[1:]}."),
            epilog="\n\n".join(filter(None, [_filled(command.epilog), self._exit_codes()])),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=self.abbreviations,
        )
        command.add(parser)
        return parser

    def _exit_codes(self) -> str:
        rows = _rows((str(code.value), meaning) for code, meaning in self.exit_codes.items())
        return f"exit codes:\n{rows}" if rows else ""

    def _fail(self, args: Namespace, error: CommandError) -> int:
        code = int(error.exit_code)
        self.report(args, str(error), code)
        return code


class _Parser(ArgumentParser):
    """A parser that raises its errors, so that they are shown like all others."""

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError`; argparse would print the usage and exit."""
        raise UsageError(f"{message}; see {self.prog} --help")


def _rows(rows: Iterable[tuple[str, str]]) -> str:
    """Return two columns of text; the second is wrapped to the terminal."""
    table = list(rows)
    left = max((len(name) for name, _ in table), default=0)
    return "\n".join(_filled(text, first=f"  {name:<{left}}  ", others=" " * (left + 4)) for name, text in table)


def _filled(text: str, first: str = "", others: str = "") -> str:
    """Return `text` wrapped to the columns that argparse fills, with the indents of its first and its other lines."""
    width = max(shutil.get_terminal_size().columns - 2, 40)
    return textwrap.fill(
        text, width, initial_indent=first, subsequent_indent=others, break_long_words=False, break_on_hyphens=False
    )
