"""Define and run the command line `python -m cluster`."""

from __future__ import annotations

import logging
import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from cluster import settings
from commandline import Command, ExitCode, Program, protect, write


def _up(args: Namespace) -> None:
    from cluster import lifecycle, status

    where = settings.load()
    lifecycle.up(where)
    write(status.exports(where))


def _down(args: Namespace) -> None:
    from cluster import lifecycle

    lifecycle.down(settings.load())


def _status(args: Namespace) -> None:
    from cluster import status

    write(status.describe(settings.load()))


def _add_load(parser: ArgumentParser) -> None:
    parser.add_argument(
        "archives", nargs="+", metavar="ARCHIVE", help="file that podman save, docker save or skopeo wrote"
    )


def _load(args: Namespace) -> None:
    from cluster.images import programs

    programs.load(settings.load(), [Path(path).absolute() for path in args.archives])


def _add_shell(parser: ArgumentParser) -> None:
    parser.add_argument("--node", type=int, choices=(1, 2), default=1, help="node whose network to use (default: 1)")
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="the command to run (default: your shell)")


def _shell(args: Namespace) -> None:
    from cluster.namespaces import enter

    where, node = settings.load(), settings.NODES[args.node - 1]
    words = [*args.command, *args.rest] or [os.environ.get("SHELL", "/bin/sh")]
    command = enter.command(where, words, node=node)
    os.execvpe(command[0], command, enter.environment(where, node=node))


def _keep(args: Namespace) -> None:
    from cluster import keeper

    keeper.keep(settings.load())


def _start_logging(args: Namespace) -> None:
    logging.basicConfig(format="cluster: %(message)s", level=logging.INFO)


PROGRAM = Program(
    name="python -m cluster",
    description="Run a two-node Kubernetes cluster on this machine.",
    commands=(
        Command(name="up", help="start the cluster and print the variables to export", run=_up),
        Command(name="down", help="stop the cluster; keep its images for the next start", run=_down),
        Command(name="status", help="show addresses, nodes and pods", run=_status),
        Command(name="load", help="import images into both nodes", add=_add_load, run=_load),
        Command(
            name="shell",
            help="run a command, or your shell, inside the cluster's Linux namespaces",
            usage="[--node {1,2}] [-- COMMAND ...]",
            add=_add_shell,
            run=_shell,
            rest=True,
        ),
        # Only `up` runs this one, so it isn't listed.
        Command(name="keep", help="", run=_keep),
    ),
    exit_codes={
        ExitCode.DONE: "done",
        ExitCode.FAILED: "something is wrong with the cluster, a setting or a file; one line says what",
        ExitCode.USAGE: "wrong options",
        ExitCode.INTERRUPTED: "interrupted",
    },
    epilog="`shell` exits with the code of its command.",
    prepare=_start_logging,
)

if __name__ == "__main__":
    protect()
    sys.exit(PROGRAM.main(sys.argv[1:]))
