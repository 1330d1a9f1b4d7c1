"""Define the command line `python -m k8s`: one command per module of k8s/verbs, and their exit codes."""

from __future__ import annotations

import json
import logging
import signal
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from typing import Any

from commandline import Command, CommandError, ExitCode, Program, show_error, write
from k8s import options
from k8s.errors import K8sError

VERBS = ("release", "canary", "promote", "abort", "rollback", "status", "train", "tune", "manifests")

_WITH_REST = ("train", "tune")
"""The verbs that pass the words after `--` on to the training."""


def _commands() -> Iterator[Command]:
    for verb in VERBS:
        module = import_module(f"k8s.verbs.{verb}")
        yield Command(
            name=verb,
            help=module.HELP,
            description=(module.__doc__ or "").partition("\n")[0],
            add=partial(_add, module),
            run=partial(_run, module),
            rest=verb in _WITH_REST,
        )


def _add(verb: Any, parser: ArgumentParser) -> None:
    verb.add(parser)
    options.connection(parser)
    options.output(parser)


def _run(verb: Any, args: Namespace) -> None:
    answer: dict[str, Any] = verb.run(args)
    write(json.dumps(answer) + "\n" if args.output == "json" else f"{answer['message']}\n")


def _prepare(args: Namespace) -> None:
    ours = logging.getLogger("k8s")
    ours.handlers, ours.propagate = [logging.StreamHandler()], False
    ours.setLevel(logging.DEBUG if args.verbose else logging.INFO)
    # A pipeline that is cancelled sends SIGTERM. The change under way must be undone then, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _explain(error: Exception) -> CommandError | None:
    if not isinstance(error, ModuleNotFoundError):
        return None
    return K8sError(f"the package {error.name} isn't installed: pip install -r k8s/requirements.in")


def _report(args: Namespace, error: str, code: int) -> None:
    if getattr(args, "output", "text") == "json":
        write(json.dumps({"error": error, "exit_code": code}) + "\n")
    show_error(error)


PROGRAM = Program(
    name="python -m k8s",
    description="Release the classifier to Kubernetes, check each version before users reach it, and undo what fails.",
    commands=tuple(_commands()),
    exit_codes={
        ExitCode.DONE: "done",
        ExitCode.FAILED: "a name, a file or a value is wrong",
        ExitCode.USAGE: "wrong options",
        ExitCode.REFUSED: "a check or the rollout failed, and the change is undone",
        ExitCode.UNREACHABLE: "no kubeconfig, no answer from the cluster, or credentials that it doesn't accept",
        ExitCode.FORBIDDEN: "a permission is missing",
        ExitCode.BUSY: "another command is changing the release, or somebody else has changed it meanwhile",
        ExitCode.NOT_UNDONE: "the change failed and couldn't be undone",
        ExitCode.INTERRUPTED: "interrupted, and undone",
    },
    epilog="`train` and `tune` exit with the code of the training once their Job has ended.",
    prepare=_prepare,
    explain=_explain,
    report=_report,
)
