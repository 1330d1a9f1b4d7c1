"""Roll back to an earlier revision, and wait until its pods are ready."""

from __future__ import annotations

import argparse
from typing import Any

from k8s import options
from k8s.cluster import Cluster, Json
from k8s.errors import K8sError
from k8s.pods.waiting import Deadline
from k8s.releases.change import Change, changing, latest, required, same_names
from k8s.releases.helm import Helm
from k8s.releases.lock import Lock

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
    name, cluster, deadline = (
        options.release_name(args.name),
        options.cluster_of(args),
        Deadline(args.timeout, args.node_timeout),
    )
    helm = Helm(cluster)
    if args.dry_run:
        target = _target(helm, cluster, name, args.revision, Lock(cluster, name).look())
        return {"release": name, "dry_run": True, "message": f"{name}: would roll back to revision {target}"}
    with changing(helm, cluster, name) as lock:
        target = _target(helm, cluster, name, args.revision, lock)
        change = Change(cluster, helm, name, lock, deadline)
        revision = change.rollback(target, proved=target in lock.proved)
    message = f"{name}: revision {revision} restores revision {target}"
    return {"release": name, "revision": revision, "target": target, "message": message}


def _target(helm: Helm, cluster: Cluster, name: str, wanted: int | None, lock: Lock) -> int:
    """Return the revision to roll back to: `wanted`, or the newest earlier one that passed all its checks.

    Raises:
        K8sError: there is no such revision, or its Deployment has another name.
    """
    history = required(helm, name, cluster)
    by_hand = helm.by_hand("history", name)
    target = wanted or earlier(history, lock.proved)
    if target is None:
        raise K8sError(
            f"no earlier revision of {name} is known to have passed its checks; name one to go back to ({by_hand})"
        )
    if target not in {int(entry["revision"]) for entry in history}:
        raise K8sError(f"{name} has no revision {target} ({by_hand})")
    same_names(helm, cluster, name, target)
    return target


def earlier(history: list[Json], proved: list[int]) -> int | None:
    """Return the newest earlier revision that was deployed and passed all its checks."""
    current = latest(history) or 0
    before = [int(entry["revision"]) for entry in history if entry["status"] == "superseded"]
    return max([revision for revision in before if revision in proved and revision < current], default=None)
