"""`release`: a new version proved as a candidate, rolled out, proved again; or everything as it was."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

from k8s import candidate, images, options
from k8s.change import Change, recover
from k8s.cluster import Json
from k8s.errors import K8sError
from k8s.helm import Helm, overlaid
from k8s.lock import Lock
from k8s.waiting import Deadline

logger = logging.getLogger(__name__)

HELP = "prove a version as a candidate, roll it out, and roll back by itself if a check fails"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's flags."""
    options.change(parser)
    options.values(parser)
    parser.add_argument("--image", metavar="IMAGE", help="REPOSITORY:TAG or REPOSITORY@sha256:DIGEST (the chart's)")
    parser.add_argument(
        "--values", "-f", action="append", default=[], metavar="FILE", help="all of the release's values (those it has)"
    )
    options.checks(parser)
    options.url(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Release; returns what came of it.

    Raises:
        K8sError: it was refused, or couldn't be tried.
    """
    name, image = options.release_name(args.name), images.parse(args.image) if args.image else None
    for file in args.values:
        if "://" not in file and not Path(file).is_file():
            raise K8sError(f"--values {file}: no such file")
    cluster, deadline = options.cluster_of(args), Deadline(args.timeout)
    helm, checks = Helm(cluster), options.checks_of(args, cluster, deadline)

    def values() -> Json:
        found = helm.resolve(_kept(helm, name, args.values), args.values, args.set)
        return overlaid(found, {"image": image.values()}) if image else found

    if args.dry_run:
        helm.upgrade(name, args.chart, values(), dry_run=True)
        return {
            "release": name,
            "dry_run": True,
            "message": f"{name}: chart and values are accepted; nothing was changed",
        }
    with Lock(cluster, name) as lock:
        recover(helm, cluster, name, lock)
        wanted = values()
        candidate.prove(helm, name, args.chart, wanted, checks, deadline, lock)
        change = Change(cluster, helm, name, lock, deadline)

        def check(component: str, pods: list[Json]) -> None:
            if component == "server":
                checks.answers(pods)
                if args.url:
                    checks.door(args.url)

        revision = change.make(lambda: helm.upgrade(name, args.chart, wanted), check)
    return {"release": name, "revision": revision, "before": change.good, "checks": checks.passed} | {
        "message": f"{name}: revision {revision} is rolled out"
    }


def _kept(helm: Helm, name: str, files: list[str]) -> Json:
    """Return the values that stay, as helm has it: all of them, unless files give the new ones.

    Raises:
        K8sError: a canary is under way, which would run on beside what is released.
    """
    present = helm.values(name) if helm.history(name) else {}
    if present.get("canary", {}).get("enabled"):
        raise K8sError(f"a canary of {name} is under way: promote or abort it first")
    return {} if files else present
