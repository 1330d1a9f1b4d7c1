"""Remove the canary, and undo what a killed command left behind."""

from __future__ import annotations

import argparse
from typing import Any

from k8s import options
from k8s.pods.waiting import Deadline
from k8s.releases import candidate
from k8s.releases.canary import same_chart, without_canary
from k8s.releases.change import Change, changing, required
from k8s.releases.helm import Helm

HELP = "remove the canary, and what a killed command left behind"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's flags."""
    options.change(parser)
    options.values(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Remove the canary and the candidate, and roll back a killed command's attempt. Succeeds if there is none.

    Raises:
        K8sError: there is no such release, or it can't be changed.
    """
    name, cluster, deadline = (
        options.release_name(args.name),
        options.cluster_of(args),
        Deadline(args.timeout, args.node_timeout),
    )
    helm = Helm(cluster)
    required(helm, name, cluster)
    done: list[str] = []
    if args.dry_run:
        canary = helm.values(name).get("canary", {}).get("enabled")
        text = "would remove the canary" if canary else "there is no canary"
        return {"release": name, "dry_run": True, "message": f"{name}: {text}; nothing was changed"}
    with changing(helm, cluster, name) as lock:
        candidate.remove(helm, cluster, name)
        change = Change(cluster, helm, name, lock, deadline)
        if lock.trying and change.good:
            change.rollback(change.good, proved=False)
            done.append(f"rolled back to revision {change.good}")
        else:
            lock.end()  # forgets an attempt on a release that has been uninstalled since
        base = helm.values(name)
        if base.get("canary", {}).get("enabled"):
            same_chart(helm, args.chart, required(helm, name, cluster)[-1])
            alone = without_canary(helm.resolve(base, [], args.set))
            Change(cluster, helm, name, lock, deadline).upgrade(args.chart, alone)
            done.append("removed the canary")
    return {"release": name, "done": done, "message": f"{name}: {', '.join(done) or 'there was nothing to abort'}"}
