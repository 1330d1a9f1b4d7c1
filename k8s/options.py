"""Define the flags that several verbs share, named as in kubectl and helm, and read their values."""

from __future__ import annotations

import argparse
import re
from functools import partial
from pathlib import Path

from k8s.checks import load
from k8s.checks.pods import Checks
from k8s.cluster import Cluster, connect
from k8s.errors import K8sError
from k8s.pods.service import Service
from k8s.pods.waiting import Deadline
from k8s.releases.candidate import LONGEST_NAME
from k8s.releases.helm import CHART

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")

_SETS = (
    ("--set", "VALUE", ""),
    ("--set-string", "TEXT", " to a text, even if it looks like a number"),
    ("--set-json", "JSON", " to JSON"),
    ("--set-file", "FILE", " to a file's content"),
)


def connection(parser: argparse.ArgumentParser) -> None:
    """Add the flags that select the cluster."""
    group = parser.add_argument_group("cluster")
    group.add_argument(
        "-n", "--namespace", metavar="NS", help="namespace of the release or Job (default: the context's)"
    )
    group.add_argument(
        "--kubeconfig", metavar="FILE", help="kubeconfig to use (default: KUBECONFIG, otherwise ~/.kube/config)"
    )
    group.add_argument("--context", metavar="NAME", help="context of the kubeconfig to use (default: the current one)")


def output(parser: argparse.ArgumentParser) -> None:
    """Add the flags for the form of the answer."""
    parser.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="format of the answer (default: text)"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="log every helm command")


def change(parser: argparse.ArgumentParser) -> None:
    """Add what every command that changes a release needs."""
    parser.add_argument("name", metavar="NAME", help="name of the release")
    parser.add_argument(
        "--timeout",
        type=duration,
        default=600,
        metavar="T",
        help="time limit of the whole command, such as 90s or 10m (default: 10m)",
    )
    parser.add_argument(
        "--node-timeout",
        type=duration,
        default=60,
        metavar="T",
        help="time for which a pod may wait for a node with room, unless an autoscaler is adding one (default: 60s)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="check the change with helm and the API server, without making it"
    )


def values(parser: argparse.ArgumentParser) -> None:
    """Add the flags that select the chart and its values."""
    parser.add_argument(
        "--chart",
        default=str(CHART),
        metavar="CHART",
        help="chart: a folder, an archive or oci://... (default: this checkout's)",
    )
    for flag, value, what in _SETS:
        parser.add_argument(
            flag,
            dest="set",
            action="append",
            default=[],
            type=partial(_set, flag),
            metavar=f"PATH={value}",
            help=f"set a value of the chart{what}, as helm's {flag} does; may be repeated",
        )


def _set(flag: str, entry: str) -> tuple[str, str]:
    return flag, entry


def checks(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the checks that a version must pass."""
    group = parser.add_argument_group("checks")
    group.add_argument(
        "--golden", metavar="DIR", help="golden set to test with, or `none` (default: the served model's own)"
    )
    group.add_argument(
        "--slo",
        default="p99=200ms,errors=0",
        metavar="LEVELS",
        help="service levels that the load test must meet, or `none` (default: %(default)s)",
    )
    group.add_argument("--rate", type=float, default=20, metavar="R", help="load in requests per second (default: 20)")
    group.add_argument(
        "--load-time", type=duration, default=10, metavar="T", help="duration of the load (default: 10s)"
    )
    group.add_argument("--images", type=Path, metavar="DIR", help="images to send as load (default: generated ones)")


def candidate(parser: argparse.ArgumentParser) -> None:
    """Add the flag that says whether a version is first checked as a candidate."""
    parser.add_argument(
        "--candidate",
        choices=("auto", "always", "never"),
        default="auto",
        help="check a candidate first; auto: unless it has no room and rollout.maxSurge is 0 (default: auto)",
    )


def url(parser: argparse.ArgumentParser) -> None:
    """Add the flag for the address that users call."""
    parser.add_argument(
        "--url", metavar="URL", help="also test the golden set at this address, once all pods are ready"
    )


def cluster_of(args: argparse.Namespace) -> Cluster:
    """Connect to the cluster that the flags select.

    Raises:
        K8sError: there is no such namespace, no kubeconfig, or no answer from the cluster.
    """
    cluster = connect(args.namespace, args.kubeconfig, args.context)
    cluster.check()
    return cluster


def checks_of(args: argparse.Namespace, cluster: Cluster, deadline: Deadline) -> Checks:
    """Read the flags of the checks before anything is changed.

    Raises:
        K8sError: a level, a URL or a folder is wrong.
    """
    slo = load.check_slo(args.slo)
    if not args.rate > 0:
        raise K8sError(f"--rate {args.rate:g}: must be above 0")
    if args.images is not None and not args.images.is_dir():
        raise K8sError(f"--images {args.images}: no such folder")
    folder = None if args.golden in (None, "none") else Path(args.golden)
    if folder is not None:
        from k8s.checks.golden import load as read

        read(folder)
    if getattr(args, "url", None) is not None:
        Service(args.url)
        if args.golden == "none":
            raise K8sError(f"--url {args.url} is tested with the golden set, which --golden none leaves out")
    wanted = load.Load(slo, args.rate, args.load_time)
    return Checks(cluster, folder, args.golden != "none", wanted, deadline, args.images)


def release_name(text: str) -> str:
    """Return `text` if it is a valid name of a release.

    Raises:
        K8sError: the name is invalid.
    """
    if not _NAME.fullmatch(text) or len(text) > LONGEST_NAME:
        raise K8sError(
            f"{text}: a release's name has lower-case letters, digits and -, at most {LONGEST_NAME} characters"
        )
    return text


def duration(text: str) -> float:
    """Return `90`, `90s`, `10m` or `1h30m` in seconds.

    Raises:
        ArgumentTypeError: the text is no duration above 0.
    """
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        raise argparse.ArgumentTypeError(f"{text}: write 90s, 10m or 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    if not (total := 3600 * hours + 60 * minutes + seconds):
        raise argparse.ArgumentTypeError(f"{text}: must be above 0")
    return total
