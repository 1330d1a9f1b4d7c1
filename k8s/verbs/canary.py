"""Run a second version beside the stable one, and send it a share of the requests once its pods are ready."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, replace
from typing import Any

from k8s import images, options
from k8s.checks.pods import Look
from k8s.cluster import Cluster, Json
from k8s.errors import K8sError
from k8s.pods.waiting import Deadline, deployment
from k8s.releases import candidate
from k8s.releases.canary import PARTS, promoted, same_chart
from k8s.releases.change import Change, changing, required
from k8s.releases.helm import Helm, overlaid

HELP = "send a share of the requests to a second version"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's flags."""
    options.change(parser)
    options.values(parser)
    parser.add_argument("--weight", type=int, required=True, metavar="N", help="percentage of the requests, 0 to 100")
    parser.add_argument("--image", metavar="IMAGE", help="image of the canary (default: the current canary's)")
    parser.add_argument(
        "--replicas", type=int, metavar="N", help="number of canary pods (default: enough for its share)"
    )
    options.checks(parser)
    options.candidate(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Start a canary, or change its weight.

    Raises:
        K8sError: a flag is wrong, there is no canary to weigh, or a check refused the canary.
    """
    if not 0 <= args.weight <= 100:
        raise K8sError(f"--weight {args.weight}: must be a percentage, 0 to 100")
    if args.replicas is not None and args.replicas < 1:
        raise K8sError(f"--replicas {args.replicas}: must be at least 1; `abort` removes the canary")
    name, image = options.release_name(args.name), images.parse(args.image) if args.image else None
    cluster, deadline = options.cluster_of(args), Deadline(args.timeout, args.node_timeout)
    helm, checks = Helm(cluster), options.checks_of(args, cluster, deadline)
    same_chart(helm, args.chart, required(helm, name, cluster)[-1])
    if args.dry_run:
        helm.upgrade(name, args.chart, _plan(cluster, helm, name, image, args).last, dry_run=True)
        return {
            "release": name,
            "dry_run": True,
            "message": f"{name}: the canary would be accepted; nothing was changed",
        }
    with changing(helm, cluster, name) as lock:
        plan = _plan(cluster, helm, name, image, args)
        if plan.new_version:
            alone = promoted(plan.last)
            plan = plan.pinned(candidate.prove(helm, name, args.chart, alone, checks, deadline, lock, args.candidate))

        def check(component: str, look: Look) -> None:
            if component == "canary" and plan.new_version:
                checks.answers(look)

        change = Change(cluster, helm, name, lock, deadline)
        change.upgrade(args.chart, plan.first, check, proved=False)
        change = Change(cluster, helm, name, lock, deadline)
        revision = change.upgrade(args.chart, plan.last, proved=False)
    message = f"{name}: revision {revision}: the canary gets {args.weight}% of the requests, with {plan.replicas} pods"
    figures = {"release": name, "revision": revision, "weight": args.weight, "replicas": plan.replicas}
    return figures | {"message": message}


@dataclass(frozen=True)
class _Plan:
    """The values of the two steps, and the number of canary pods after them."""

    first: Json
    """A new version starts without requests, and new pods start before they get requests."""
    last: Json
    new_version: bool
    replicas: int

    def pinned(self, digest: str) -> _Plan:
        """Return the plan with the canary's own image, if it has one, held to the digest that was proved."""
        image = images.pinned(self.last["canary"].get("image") or {}, digest)
        own = {"canary": {"image": image}} if image else {}
        return replace(self, first=overlaid(self.first, own), last=overlaid(self.last, own))


def _plan(cluster: Cluster, helm: Helm, name: str, image: images.Image | None, args: argparse.Namespace) -> _Plan:
    """Plan the two steps from the release's present values.

    Raises:
        K8sError: nothing says what the canary runs, or the weight is impossible.
    """
    base = helm.values(name)
    old = base.get("canary", {}) if base.get("canary", {}).get("enabled") else {}
    values = overlaid(helm.resolve(base, [], args.set), {"canary": {"enabled": True}})
    if image:
        values = overlaid(values, {"canary": {"image": image.values()}})
    elif values["canary"].get("image"):
        values["canary"]["image"] = images.unpinned(values["canary"]["image"], old.get("image") or {})
    runs = {part: values["canary"].get(part) for part in PARTS}
    if not any(runs.values()):
        raise K8sError(f"{name} has no canary yet; pass --image IMAGE, or --set canary.model.tag=NAME:VERSION")
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
    """Return the number of canary pods, at least one.

    Args:
        stable: pods of the stable version.
        weight: percentage of the requests.
        routed: whether a route splits requests by weight. Without a route, they spread evenly over all pods, so the
            number of pods sets the weight.

    Raises:
        K8sError: the weight needs a route.
    """
    if routed:
        return max(1, math.ceil(stable * weight / 100))
    if weight in (0, 100):
        raise K8sError(
            f"--weight {weight} needs httpRoute.enabled; without a route, requests spread evenly over all pods"
        )
    return max(1, round(stable * weight / (100 - weight)))
