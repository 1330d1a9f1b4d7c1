"""Train as a Job and follow it. Options after -- go to `python -m training`. The exit code is the training's own."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from k8s.errors import K8sError
from k8s.jobs import job, training

HELP = "train as a Job and follow it; options after -- go to `python -m training`"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's flags."""
    training.flags(parser)
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="pods that train one model together, on JAX (default: 1)"
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train as a Job, or follow a Job of that name that hasn't ended.

    Raises:
        K8sError: a flag is wrong, or the Job can't be created, can't start, or failed.
    """
    if not 1 <= args.workers <= 1000:
        raise K8sError(f"--workers {args.workers}: must be 1 to 1000")
    return training.submit(args, job.manifest(replace(training.request(args), workers=args.workers)))
