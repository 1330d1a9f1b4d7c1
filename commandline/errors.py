"""Define the root of every error that a command line shows as one line, without a traceback."""

from __future__ import annotations

from commandline.exitcodes import ExitCode


class CommandError(Exception):
    """An error that the user can fix. The message says what is wrong, where, and what to do.

    Attributes:
        exit_code: the exit code of the command. A subclass sets its own; an instance may, too.
    """

    exit_code: int = ExitCode.FAILED


class UsageError(CommandError):
    """An unknown command, or an option that is unknown, missing or malformed."""

    exit_code = ExitCode.USAGE


class Interrupted(CommandError):
    """The user pressed Ctrl-C."""

    exit_code = ExitCode.INTERRUPTED
