"""Make the canary's version the stable one. The canary keeps serving until all stable pods are ready."""

from __future__ import annotations

import argparse
from typing import Any

from k8s import options
from k8s.checks.pods import Look
from k8s.cluster import Json
from k8s.errors import K8sError
from k8s.pods.waiting import Deadline
from k8s.releases.canary import promoted, same_chart, without_canary
from k8s.releases.change import Change, changing, required
from k8s.releases.helm import Helm

HELP = "make the canary's version the stable one"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's flags."""
    options.change(parser)
    options.values(parser)
    options.checks(parser)
    options.url(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Roll the stable pods over to the canary's version, then remove the canary.

    Raises:
        K8sError: there is no canary, or a check or the rollout failed.
    """
    name, cluster, deadline = (
        options.release_name(args.name),
        options.cluster_of(args),
        Deadline(args.timeout, args.node_timeout),
    )
    helm, checks = Helm(cluster), options.checks_of(args, cluster, deadline)
    same_chart(helm, args.chart, required(helm, name, cluster)[-1])

    def values() -> Json:
        base = helm.values(name)
        if not base.get("canary", {}).get("enabled"):
            raise K8sError(f"{name} has no canary to promote")
        return helm.resolve(promoted(base), [], args.set)

    if args.dry_run:
        helm.upgrade(name, args.chart, without_canary(values()), dry_run=True)
        return {
            "release": name,
            "dry_run": True,
            "message": f"{name}: the promotion would be accepted; nothing was changed",
        }
    with changing(helm, cluster, name) as lock:
        both = values()

        def check(component: str, look: Look) -> None:
            if component == "server":
                checks.answers(look)
                if args.url:
                    checks.door(args.url)

        change = Change(cluster, helm, name, lock, deadline)
        change.upgrade(args.chart, both, check, proved=False)
        last = Change(cluster, helm, name, lock, deadline)
        revision = last.upgrade(args.chart, without_canary(both))
    message = f"{name}: revision {revision}: the canary's version is now the stable one"
    return {"release": name, "revision": revision, "checks": checks.passed, "message": message}
