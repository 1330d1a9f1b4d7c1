"""`rollback`: back to an earlier revision, seen through to its ready pods."""

from __future__ import annotations

import argparse
from typing import Any

from k8s import options
from k8s.change import Change, latest, recover, required
from k8s.cluster import Json
from k8s.errors import K8sError
from k8s.helm import Helm
from k8s.lock import Lock
from k8s.waiting import Deadline

HELP = "go back to an earlier revision"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's flags."""
    options.change(parser)
    parser.add_argument("revision", nargs="?", type=int, metavar="REVISION", help="(the one proved last before this)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Roll back.

    Raises:
        K8sError: there is nothing to go back to, or its pods don't come.
    """
    name, cluster, deadline = options.release_name(args.name), options.cluster_of(args), Deadline(args.timeout)
    helm = Helm(cluster)
    lock = Lock(cluster, name)
    target = args.revision or earlier(required(helm, name, cluster), lock.look().proved)
    if target is None:
        raise K8sError(f"{name} has no earlier revision (helm history {name})")
    if target not in {int(entry["revision"]) for entry in required(helm, name, cluster)}:
        raise K8sError(f"{name} has no revision {target} (helm history {name})")
    if args.dry_run:
        return {"release": name, "dry_run": True, "message": f"{name}: would go back to revision {target}"}
    with lock:
        recover(helm, cluster, name, lock)
        change = Change(cluster, helm, name, lock, deadline)
        revision = change.make(lambda: helm.rollback(name, target), lambda *_: None)
    message = f"{name}: revision {revision} is revision {target} again"
    return {"release": name, "revision": revision, "target": target, "message": message}


def earlier(history: list[Json], proved: list[int]) -> int | None:
    """Return the newest earlier revision that passed every check, else the newest that was once deployed."""
    current = latest(history)
    before = [int(entry["revision"]) for entry in history if entry["status"] == "superseded"]
    before = [revision for revision in before if current is None or revision < current]
    return max([revision for revision in before if revision in proved] or before, default=None)
