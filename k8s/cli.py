"""The command line: one verb a module; what goes wrong as one line and an exit code."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
from importlib import import_module
from typing import Any

from k8s import options
from k8s.errors import INTERRUPTED, K8sError

VERBS = ("release", "canary", "promote", "abort", "rollback", "status", "train", "tune", "manifests")

_EPILOG = """Exit codes: 0 done; 1 a name, a file or a value is wrong; 2 wrong options; 3 refused by a check or
a rollout, and undone; 4 the cluster can't be reached, or doesn't accept the credentials; 5 a right is
missing; 6 somebody else changes the release; 7 it failed and couldn't be undone; 130 interrupted, and
undone. `train` and `tune` end with the training's own."""


def main(arguments: list[str]) -> int:
    """Run one verb; returns the exit code."""
    # argparse itself can't tell options for others from its own.
    end = arguments.index("--") if "--" in arguments else len(arguments)
    args, extra = parser().parse_known_args(arguments[:end])
    if args.verb == "rollback" and args.revision is None and len(extra) == 1 and extra[0].isdigit():
        # Nor does it look for a second, optional name after options.
        args.revision = int(extra.pop())
    if args.verb not in ("train", "tune"):
        extra += arguments[end:]
    if extra:
        parser().error(f"unrecognized arguments: {' '.join(extra)}")
    args.rest = arguments[end + 1 :]
    ours = logging.getLogger("k8s")
    ours.handlers, ours.propagate = [logging.StreamHandler()], False
    ours.setLevel(logging.DEBUG if args.verbose else logging.INFO)
    # A pipeline that is cancelled sends SIGTERM: what is under way must be undone then too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        answer: dict[str, Any] = import_module(f"k8s.verbs.{args.verb}").run(args)
    except K8sError as error:
        return _fail(args, str(error), getattr(error, "code", error.exit_code))
    except KeyboardInterrupt:
        return _fail(args, "interrupted", INTERRUPTED)
    except ModuleNotFoundError as error:
        return _fail(args, f"the package {error.name} isn't installed: pip install -r k8s/requirements.in", 1)
    try:
        sys.stdout.write(json.dumps(answer) + "\n" if args.output == "json" else f"{answer['message']}\n")
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    top = argparse.ArgumentParser(
        "python -m k8s",
        description="Release the classifier to Kubernetes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in VERBS:
        module = import_module(f"k8s.verbs.{verb}")
        described = {"help": module.HELP, "description": (module.__doc__ or "").partition("\n")[0]}
        one = verbs.add_parser(verb, **described, allow_abbrev=False)
        module.add(one)
        options.connection(one)
        options.output(one)
    return top


def _fail(args: argparse.Namespace, message: str, code: int) -> int:
    if args.output == "json":
        sys.stdout.write(json.dumps({"error": message, "exit_code": code}) + "\n")
    sys.stderr.write(f"error: {message}\n")
    return code
