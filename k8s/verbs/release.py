"""Check a version as a candidate, roll it out and check it again. Undo everything if a check fails."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

from k8s import images, options
from k8s.checks.pods import Look
from k8s.cluster import Json
from k8s.errors import K8sError
from k8s.pods.waiting import Deadline
from k8s.releases import candidate
from k8s.releases.change import Change, changing
from k8s.releases.helm import Helm, overlaid

logger = logging.getLogger(__name__)

HELP = "check a version as a candidate, roll it out, and roll back if a check fails"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's flags."""
    options.change(parser)
    options.values(parser)
    parser.add_argument(
        "--image",
        metavar="IMAGE",
        help="image to run, REPOSITORY:TAG or REPOSITORY@sha256:DIGEST (default: the release's, or the chart's)",
    )
    parser.add_argument(
        "--values",
        "-f",
        action="append",
        default=[],
        metavar="FILE",
        help="values file that replaces all values of the release; may be repeated (default: its present values)",
    )
    options.checks(parser)
    options.candidate(parser)
    options.url(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Release a version, and return its revision and the figures of its checks.

    Raises:
        K8sError: a flag is wrong, or a check or the rollout failed.
    """
    name, image = options.release_name(args.name), images.parse(args.image) if args.image else None
    for file in args.values:
        if "://" not in file and not Path(file).is_file():
            raise K8sError(f"--values {file}: no such file")
    cluster, deadline = options.cluster_of(args), Deadline(args.timeout, args.node_timeout)
    helm, checks = Helm(cluster), options.checks_of(args, cluster, deadline)

    def values() -> Json:
        kept = _kept(helm, name, args.values)
        found = helm.resolve(kept, args.values, args.set)
        found |= {"image": images.unpinned(found["image"], kept.get("image", {}))} if "image" in found else {}
        return overlaid(found, {"image": image.values()}) if image else found

    if args.dry_run:
        helm.upgrade(name, args.chart, values(), dry_run=True)
        return {
            "release": name,
            "dry_run": True,
            "message": f"{name}: chart and values would be accepted; nothing was changed",
        }
    with changing(helm, cluster, name) as lock:
        wanted = values()
        digest = candidate.prove(helm, name, args.chart, wanted, checks, deadline, lock, args.candidate)
        wanted |= {"image": images.pinned(wanted["image"], digest)} if "image" in wanted else {}
        same = bool(helm.history(name)) and wanted == helm.values(name)
        change = Change(cluster, helm, name, lock, deadline)

        def check(component: str, look: Look) -> None:
            if component == "server":
                checks.answers(look)
                if args.url:
                    checks.door(args.url)

        revision = change.upgrade(args.chart, wanted, check)
    return {"release": name, "revision": revision, "before": change.good, "checks": checks.passed} | {
        "message": f"{name}: revision {revision} is rolled out" + (", with the same image and values" if same else "")
    }


def _kept(helm: Helm, name: str, files: list[str]) -> Json:
    """Return the present values that stay, as in helm: all of them, or none if there are values files.

    Raises:
        K8sError: a canary is under way, which would keep running beside the new version.
    """
    present = helm.values(name) if helm.history(name) else {}
    if present.get("canary", {}).get("enabled"):
        raise K8sError(f"a canary of {name} is under way: promote or abort it first")
    return {} if files else present
