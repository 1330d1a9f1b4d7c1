"""Render the chart as plain YAML, for clusters without Helm."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from k8s import images, options
from k8s.errors import K8sError
from k8s.releases.helm import Helm

HELP = "render the chart as plain YAML for kubectl apply"

NAME = "image-classifier"
_OPTIONAL = ("gateway.networking.k8s.io/v1", "monitoring.coreos.com/v1", "keda.sh/v1alpha1")
"""APIs that the chart uses if the cluster has them. Rendering needs no cluster, so they are assumed."""
_HEAD = "# Rendered from the chart by `python -m k8s manifests`: kubectl apply --filename THIS\n"
KUBE_VERSION = "1.31.0"
"""Oldest version of Kubernetes that the objects must suit. Without it, helm's own build would decide."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's flags."""
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder to write NAME.yaml to (default: standard output)"
    )
    parser.add_argument("--name", default=NAME, help=f"prefix of the names of all objects (default: {NAME})")
    parser.add_argument(
        "--image",
        metavar="IMAGE",
        help="image to run, REPOSITORY:TAG or REPOSITORY@sha256:DIGEST (default: the chart's)",
    )
    parser.add_argument(
        "--values", "-f", action="append", default=[], metavar="FILE", help="values file; may be repeated"
    )
    options.values(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Render the chart, to a file or as the answer.

    Raises:
        K8sError: a value is wrong, or the file can't be written.
    """
    image = {"image": images.parse(args.image).values()} if args.image else {}
    flags = [part for entry in args.set for part in entry]
    flags += ["--namespace", args.namespace] if args.namespace else []
    flags += [f"--api-versions={group}" for group in _OPTIONAL]
    rendered = Helm().template(args.name, args.chart, image, args.values, "--kube-version", KUBE_VERSION, *flags)
    rendered = _HEAD + "".join(line for line in rendered.splitlines(keepends=True) if line.strip())
    if args.out is None:
        return {"message": rendered.rstrip()}
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        file = args.out / f"{args.name}.yaml"
        file.write_text(rendered, encoding="utf-8")
    except OSError as error:
        raise K8sError(f"{error.filename}: {error.strerror}") from error
    return {"file": str(file), "message": f"{file}: kubectl apply -f {file}"}
