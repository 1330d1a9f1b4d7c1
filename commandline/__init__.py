"""Build the command lines of training, k8s and cluster: sub-commands, exit codes and errors of one line."""

from __future__ import annotations

from commandline.errors import CommandError, Interrupted, UsageError
from commandline.exitcodes import ExitCode
from commandline.output import protect, show_error, write
from commandline.program import Command, Program

__all__ = [
    "Command",
    "CommandError",
    "ExitCode",
    "Interrupted",
    "Program",
    "UsageError",
    "protect",
    "show_error",
    "write",
]
