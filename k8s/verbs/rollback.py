"""Roll back to an earlier revision, and wait until its pods are ready."""

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

HELP = "roll back to an earlier revision"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's flags."""
    options.change(parser)
    parser.add_argument(
        "revision",
        nargs="?",
        type=int,
        metavar="REVISION",
        help="revision to roll back to (default: the last earlier one that passed its checks)",
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Roll back to a revision, by default to the last earlier one that passed its checks.

    Raises:
        K8sError: there is no such revision, or its pods don't get ready.
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
        return {"release": name, "dry_run": True, "message": f"{name}: would roll back to revision {target}"}
    with lock:
        recover(helm, cluster, name, lock)
        change = Change(cluster, helm, name, lock, deadline)
        revision = change.make(lambda: helm.rollback(name, target), lambda *_: None)
    message = f"{name}: revision {revision} restores revision {target}"
    return {"release": name, "revision": revision, "target": target, "message": message}


def earlier(history: list[Json], proved: list[int]) -> int | None:
    """Return the newest earlier revision that passed all its checks, otherwise the newest that was deployed."""
    current = latest(history)
    before = [int(entry["revision"]) for entry in history if entry["status"] == "superseded"]
    before = [revision for revision in before if current is None or revision < current]
    return max([revision for revision in before if revision in proved] or before, default=None)
