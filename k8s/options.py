"""Flags that several verbs take, in kubectl's and helm's words, and what they are turned into."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from k8s import load
from k8s.candidate import LONGEST_NAME
from k8s.checks import Checks
from k8s.cluster import Cluster, connect
from k8s.errors import K8sError
from k8s.helm import CHART
from k8s.service import Service
from k8s.waiting import Deadline

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")


def connection(parser: argparse.ArgumentParser) -> None:
    """Where."""
    group = parser.add_argument_group("cluster")
    group.add_argument("-n", "--namespace", metavar="NS", help="namespace (the context's)")
    group.add_argument("--kubeconfig", metavar="FILE", help="kubeconfig (KUBECONFIG, else ~/.kube/config)")
    group.add_argument("--context", metavar="NAME", help="context of the kubeconfig (its current one)")


def output(parser: argparse.ArgumentParser) -> None:
    """How the answer is written."""
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="form of the answer (text)")
    parser.add_argument("-v", "--verbose", action="store_true", help="say every helm command")


def change(parser: argparse.ArgumentParser) -> None:
    """What every change of a release takes."""
    parser.add_argument("name", metavar="NAME", help="of the release")
    parser.add_argument("--timeout", type=duration, default=600, metavar="T", help="for all of it: 90s, 10m (10m)")
    parser.add_argument("--dry-run", action="store_true", help="have helm and the API server check it; change nothing")


def values(parser: argparse.ArgumentParser) -> None:
    """What the chart is rendered with."""
    parser.add_argument(
        "--chart", default=str(CHART), metavar="CHART", help="folder, archive or oci:// (this checkout's)"
    )
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="a value, as of helm's --set")


def checks(parser: argparse.ArgumentParser) -> None:
    """What must hold."""
    group = parser.add_argument_group("checks")
    group.add_argument("--golden", metavar="DIR", help="golden set (the served model's own), or `none`")
    group.add_argument("--slo", default="p99=200ms,errors=0", metavar="LEVELS", help="or `none` (%(default)s)")
    group.add_argument("--rate", type=float, default=20, metavar="R", help="load in requests/s (20)")
    group.add_argument("--load-time", type=duration, default=10, metavar="T", help="length of the load (10s)")
    group.add_argument("--images", type=Path, metavar="DIR", help="images of the load (made ones)")


def url(parser: argparse.ArgumentParser) -> None:
    """Where users come in."""
    parser.add_argument("--url", metavar="URL", help="ask for the golden set there too, once all pods are ready")


def cluster_of(args: argparse.Namespace) -> Cluster:
    """Connect as the flags say.

    Raises:
        K8sError: no such namespace, no cluster, no kubeconfig.
    """
    cluster = connect(args.namespace, args.kubeconfig, args.context)
    cluster.check()
    return cluster


def checks_of(args: argparse.Namespace, cluster: Cluster, deadline: Deadline) -> Checks:
    """Read the checks' flags, before anything is changed.

    Raises:
        K8sError: a level, a URL or a folder that makes no sense.
    """
    slo = load.check_slo(args.slo)
    if not args.rate > 0:
        raise K8sError(f"--rate {args.rate:g}: must be above 0")
    if args.images is not None and not args.images.is_dir():
        raise K8sError(f"--images {args.images}: no such folder")
    folder = None if args.golden in (None, "none") else Path(args.golden)
    if folder is not None:
        from k8s.golden import load as read

        read(folder)
    if getattr(args, "url", None) is not None:
        Service(args.url)
        if args.golden == "none":
            raise K8sError(f"--url {args.url} is asked for the golden set, which --golden none leaves out")
    wanted = load.Load(slo, args.rate, args.load_time)
    return Checks(cluster, folder, args.golden != "none", wanted, deadline, args.images)


def release_name(text: str) -> str:
    """Return `text` if a release may be called so.

    Raises:
        K8sError: it may not.
    """
    if not _NAME.fullmatch(text) or len(text) > LONGEST_NAME:
        raise K8sError(f"{text}: a release's name has small letters, digits and -, at most {LONGEST_NAME} of them")
    return text


def duration(text: str) -> float:
    """Read `90`, `90s`, `10m` or `1h30m` as seconds."""
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        raise argparse.ArgumentTypeError(f"{text}: write 90s, 10m or 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    if not (total := 3600 * hours + 60 * minutes + seconds):
        raise argparse.ArgumentTypeError(f"{text}: must be above 0")
    return total
