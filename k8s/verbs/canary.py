"""`canary`: a second version beside the stable one, with a share of the requests, once its pods are ready."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from typing import Any

from k8s import candidate, images, options
from k8s.canary import PARTS, promoted, same_chart
from k8s.change import Change, recover, required
from k8s.cluster import Cluster, Json
from k8s.errors import K8sError
from k8s.helm import Helm, overlaid
from k8s.lock import Lock
from k8s.waiting import Deadline, deployment

HELP = "give a second version a share of the requests"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's flags."""
    options.change(parser)
    options.values(parser)
    parser.add_argument(
        "--weight", type=int, required=True, metavar="N", help="share of the requests in per cent, 0 to 100"
    )
    parser.add_argument("--image", metavar="IMAGE", help="what it runs; without, the canary that is there")
    parser.add_argument("--replicas", type=int, metavar="N", help="canary pods (its share of the stable ones)")
    options.checks(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Start a canary, or give it another weight.

    Raises:
        K8sError: a check refused it, or there is nothing to weigh.
    """
    if not 0 <= args.weight <= 100:
        raise K8sError(f"--weight {args.weight}: a share in per cent, 0 to 100")
    if args.replicas is not None and args.replicas < 1:
        raise K8sError(f"--replicas {args.replicas}: a canary has one pod at least; `abort` takes it away")
    name, image = options.release_name(args.name), images.parse(args.image) if args.image else None
    cluster, deadline = options.cluster_of(args), Deadline(args.timeout)
    helm, checks = Helm(cluster), options.checks_of(args, cluster, deadline)
    same_chart(helm, args.chart, required(helm, name, cluster)[-1])
    if args.dry_run:
        helm.upgrade(name, args.chart, _plan(cluster, helm, name, image, args).last, dry_run=True)
        return {"release": name, "dry_run": True, "message": f"{name}: the canary is accepted; nothing was changed"}
    with Lock(cluster, name) as lock:
        recover(helm, cluster, name, lock)
        plan = _plan(cluster, helm, name, image, args)
        if plan.new_version:
            candidate.prove(helm, name, args.chart, promoted(plan.last), checks, deadline, lock)

        def check(component: str, pods: list[Json]) -> None:
            if component == "canary" and plan.new_version:
                checks.answers(pods)

        change = Change(cluster, helm, name, lock, deadline)
        change.make(lambda: helm.upgrade(name, args.chart, plan.first), check, proved=False)
        change = Change(cluster, helm, name, lock, deadline)
        revision = change.make(lambda: helm.upgrade(name, args.chart, plan.last), lambda *_: None, proved=False)
    message = f"{name}: revision {revision}: the canary has {args.weight}% of the requests, {plan.replicas} pods for it"
    figures = {"release": name, "revision": revision, "weight": args.weight, "replicas": plan.replicas}
    return figures | {"message": message}


@dataclass(frozen=True)
class _Plan:
    """The values of the two steps, and how many pods the canary has after them."""

    first: Json
    """A new version starts without requests, and one that grows does so before it gets more."""
    last: Json
    new_version: bool
    replicas: int


def _plan(cluster: Cluster, helm: Helm, name: str, image: images.Image | None, args: argparse.Namespace) -> _Plan:
    """Plan on what the release is now.

    Raises:
        K8sError: nothing says what the canary runs, or the weight can't be had.
    """
    base = helm.values(name)
    old = base.get("canary", {}) if base.get("canary", {}).get("enabled") else {}
    values = overlaid(helm.resolve(base, [], args.set), {"canary": {"enabled": True}})
    if image:
        values = overlaid(values, {"canary": {"image": image.values()}})
    runs = {part: values["canary"].get(part) for part in PARTS}
    if not any(runs.values()):
        raise K8sError(
            f"{name} has no canary yet; say what it runs: --image IMAGE, or --set canary.model.tag=NAME:VERSION"
        )
    new_version = runs != {part: old.get(part) for part in PARTS}
    stable = deployment(cluster, name, "server")
    now = stable["status"].get("replicas", 1) if stable else 1
    replicas = args.replicas or canary_replicas(now, args.weight, bool(values.get("httpRoute", {}).get("enabled")))
    start = {
        "weight": 0 if new_version else int(old.get("weight", 0)),
        "replicaCount": max(replicas, int(old.get("replicaCount", 1))),
    }
    share = {"weight": args.weight, "replicaCount": replicas}
    return _Plan(overlaid(values, {"canary": start}), overlaid(values, {"canary": share}), new_version, replicas)


def canary_replicas(stable: int, weight: int, routed: bool) -> int:
    """Return how many pods the canary needs beside `stable` ones; one at least.

    Args:
        stable: pods that bear all requests now.
        weight: per cent of the requests.
        routed: a route weighs; else one Service spreads requests over all pods alike, and their number is the weight.

    Raises:
        K8sError: that weight can't be had without a route.
    """
    if routed:
        return max(1, math.ceil(stable * weight / 100))
    if weight in (0, 100):
        raise K8sError(f"--weight {weight} needs a route that weighs (httpRoute.enabled); without, pods share evenly")
    return max(1, round(stable * weight / (100 - weight)))
