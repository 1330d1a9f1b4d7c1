"""The command line `python -m cluster`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from cluster import enter, images, keeper, lifecycle, settings, status
from cluster.errors import ClusterError


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="cluster: %(message)s", level=logging.INFO)
    try:
        return _run(options, settings.load())
    except ClusterError as error:
        logging.error("%s", error)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(options: argparse.Namespace, where: settings.Settings) -> int:
    match options.verb:
        case "up":
            lifecycle.up(where)
            sys.stdout.write(status.exports(where))
        case "down":
            lifecycle.down(where)
        case "status":
            sys.stdout.write(status.describe(where))
        case "load":
            images.load(where, [Path(path).absolute() for path in options.archives])
        case "keep":
            keeper.keep(where)
        case "shell":
            node = settings.NODES[options.node - 1]
            command = enter.command(where, options.command or [os.environ.get("SHELL", "/bin/sh")], node=node)
            os.execvpe(command[0], command, enter.environment(where, node=node))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cluster", description="Run a two-node Kubernetes cluster on this machine."
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("up", help="start the cluster, and print what to export")
    verbs.add_parser("down", help="stop the cluster; keep its images for the next start")
    verbs.add_parser("status", help="show nodes, pods and addresses")
    load = verbs.add_parser("load", help="import images into both nodes")
    load.add_argument(
        "archives", nargs="+", metavar="ARCHIVE", help="file that podman save, docker save or skopeo wrote"
    )
    shell = verbs.add_parser("shell", help="run a command, or your shell, inside the cluster's namespaces")
    shell.add_argument("--node", type=int, choices=(1, 2), default=1, help="node whose network to use (1)")
    shell.add_argument("command", nargs="*", metavar="COMMAND")
    verbs.add_parser("keep")
    return parser


if __name__ == "__main__":
    sys.exit(main())
