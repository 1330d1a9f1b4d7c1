"""Search options as a Job of workers that share a study in PostgreSQL. Options after -- go to the search."""

from __future__ import annotations

import argparse
from typing import Any

from k8s.cluster import Json
from k8s.errors import K8sError
from k8s.jobs import job, training
from k8s.jobs.workers import spread

HELP = "search options as a Job of several workers; options after -- go to `python -m training tune`"

_VARIABLE = "TUNE_STORAGE"
# These come from the Secret and the name, so that all workers use the same study.
_TAKEN = ("--out", "--resume", "--storage", "--study")

# Worker 0 writes the report to the run's folder and retrains. The others only run trials.
_START = f"""run={job.STORE}/runs/$RUN
if [ "$JOB_COMPLETION_INDEX" != 0 ]; then run={job.SCRATCH}/tune; set -- "$@" --no-retrain; fi
exec python -m training tune "$@" --study "$RUN" --out "$run"
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `train` has too, which apply to each worker, and the search's own."""
    training.flags(parser)
    group = parser.add_argument_group("search")
    group.add_argument("--workers", type=int, default=2, metavar="N", help="pods that run trials (default: 2)")
    group.add_argument(
        "--storage-secret", required=True, metavar="NAME", help="Secret with the URL of the study's PostgreSQL database"
    )
    group.add_argument("--storage-key", default="url", metavar="KEY", help="entry of that Secret (default: url)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Search as a Job, or follow a Job of that name that hasn't ended. The study of that name is continued.

    Raises:
        K8sError: a flag is wrong, or the Job can't be created, can't start, or failed.
    """
    if args.workers < 1:
        raise K8sError(f"--workers {args.workers}: must be at least 1")
    taken = [option for option in _TAKEN if any(entry.split("=")[0] == option for entry in args.rest)]
    if taken:
        raise K8sError(f"{taken[0]}: leave it out; folder, study and storage come from NAME and --storage-secret")
    asked = training.request(args)
    return training.submit(args, manifest(asked, args.workers, args.storage_secret, args.storage_key))


def manifest(each: job.Training, workers: int, secret: str, key: str) -> Json:
    """Return the Job: a training's with several workers, spread over the nodes.

    Args:
        each: what each worker runs; its arguments are those of `python -m training tune`.
        workers: number of workers; each is restarted on its own.
        secret: name of the Secret that holds the storage's URL with its password.
        key: entry of that Secret.
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
