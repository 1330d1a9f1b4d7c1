"""`train`: a training Job, followed to its end. Its exit code is the training's own."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from k8s import job, training
from k8s.errors import K8sError

HELP = "train as a Job and follow it; -- and options of `python -m training` come last"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's flags."""
    training.flags(parser)
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="pods that train it together, on JAX (1)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train; goes on with a Job of that name which hasn't ended.

    Raises:
        K8sError: the Job can't be made, can't come right, or failed.
    """
    if not 1 <= args.workers <= 1000:
        raise K8sError(f"--workers {args.workers}: takes 1 to 1000")
    return training.submit(args, job.manifest(replace(training.request(args), workers=args.workers)))
