"""`tune`: a search for better options as a Job of several workers, which share a study in PostgreSQL."""

from __future__ import annotations

import argparse
from typing import Any

from k8s import job, training
from k8s.cluster import Json
from k8s.errors import K8sError
from k8s.workers import spread

HELP = "search options as a Job of several workers; -- and options of `python -m training tune` come last"

_VARIABLE = "TUNE_STORAGE"
# From the Secret and the name, so that all workers mean the same study.
_TAKEN = ("--out", "--resume", "--storage", "--study")

# One worker has the run's folder, writes the report there and retrains; the others only do trials.
_START = f"""run={job.STORE}/runs/$RUN
if [ "$JOB_COMPLETION_INDEX" != 0 ]; then run={job.SCRATCH}/tune; set -- "$@" --no-retrain; fi
exec python -m training tune "$@" --study "$RUN" --out "$run"
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's flags: those of `train`, for each worker, and its own."""
    training.flags(parser)
    group = parser.add_argument_group("search")
    group.add_argument("--workers", type=int, default=2, metavar="N", help="pods that do trials (2)")
    group.add_argument(
        "--storage-secret", required=True, metavar="NAME", help="Secret with the URL of the study's PostgreSQL"
    )
    group.add_argument("--storage-key", default="url", metavar="KEY", help="its entry (url)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Search; goes on with a Job of that name which hasn't ended, and with the study of that name in any case.

    Raises:
        K8sError: a flag makes no sense; the Job can't be made, can't come right, or failed.
    """
    if args.workers < 1:
        raise K8sError(f"--workers {args.workers}: must be at least 1")
    taken = [option for option in _TAKEN if any(entry.split("=")[0] == option for entry in args.rest)]
    if taken:
        raise K8sError(f"{taken[0]}: the folder, the study and its storage come from NAME and --storage-secret")
    asked = training.request(args)
    return training.submit(args, manifest(asked, args.workers, args.storage_secret, args.storage_key))


def manifest(each: job.Training, workers: int, secret: str, key: str) -> Json:
    """Return the Job: that of a training, once a worker, on nodes of their own where there are enough.

    Args:
        each: what each worker is given; its arguments are those of `python -m training tune`.
        workers: their number; each is started again by itself.
        secret: name of the Secret that has the storage's URL, the password in it.
        key: its entry.
    """
    made = job.manifest(each)
    made["spec"] |= {
        "completionMode": "Indexed",
        "completions": workers,
        "parallelism": workers,
        "backoffLimit": workers * each.attempts,
    }
    pod = made["spec"]["template"]["spec"]
    pod["topologySpreadConstraints"] = [spread(made["metadata"]["name"])]
    (container,) = pod["containers"]
    container["command"] = ["/bin/sh", "-c", _START, "tune"]
    container["env"].append({"name": _VARIABLE, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}})
    return made
