"""Read the flags of a Job that trains, and submit and follow it. Shared by `train` and `tune`."""

from __future__ import annotations

import argparse
import contextlib
import logging
import re
import shlex
from typing import Any

from k8s import images, options
from k8s.cluster import Json
from k8s.errors import Conflict, K8sError
from k8s.jobs import following, job, workers
from k8s.pods.waiting import Deadline

logger = logging.getLogger(__name__)

_SECRET = re.compile(r"://[^/]*:[^/]*@|://[^?]*\?")


def flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `train` and `tune` share."""
    parser.add_argument("name", metavar="NAME", help="name of the Job, and of the run in the store")
    parser.add_argument("--image", required=True, metavar="IMAGE", help="training image to run")
    parser.add_argument(
        "--store-claim", required=True, metavar="PVC", help="PersistentVolumeClaim for the model store and the runs"
    )
    parser.add_argument(
        "--data-claim", default="", metavar="PVC", help="PersistentVolumeClaim of the images, mounted read-only"
    )
    parser.add_argument(
        "--data-path", default="", metavar="PATH", help="folder of the images in --data-claim (default: its root)"
    )
    parser.add_argument(
        "--env-secret",
        default="",
        metavar="NAME",
        help="Secret with environment variables, such as the credentials for object storage",
    )
    parser.add_argument("--cpu", default="2", help="CPU request, in cores (default: 2)")
    parser.add_argument("--memory", default="4Gi", help="memory request and limit (default: 4Gi)")
    parser.add_argument("--gpus", type=int, default=0, metavar="N", help="number of NVIDIA GPUs (default: 0)")
    parser.add_argument(
        "--attempts",
        type=int,
        default=3,
        metavar="N",
        help="restarts of a killed pod, from the checkpoint (default: 3)",
    )
    parser.add_argument(
        "--keep", type=options.duration, default=86400, metavar="T", help="time to keep the finished Job (default: 24h)"
    )
    parser.add_argument(
        "--pull-policy",
        choices=("Always", "IfNotPresent", "Never"),
        default="IfNotPresent",
        help="imagePullPolicy of the pods (default: %(default)s)",
    )
    parser.add_argument("--pull-secret", default="", metavar="NAME", help="Secret with the registry's credentials")
    parser.add_argument(
        "--timeout",
        type=options.duration,
        default=86400,
        metavar="T",
        help="stop following the Job after this time (default: 24h)",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the objects, without creating them")


def request(args: argparse.Namespace) -> job.Training:
    """Return the training that the flags describe.

    Raises:
        K8sError: a flag is wrong.
    """
    images.parse(args.image)
    given = tuple(args.rest)
    taken = [option for option in ("--out", "--resume") if any(entry.split("=")[0] == option for entry in given)]
    if taken:
        raise K8sError(f"{taken[0]}: leave it out; the run's folder is runs/{args.name} in the store")
    if any(_SECRET.search(entry) for entry in given):
        raise K8sError(
            "a URL after -- has a password, which everybody who can read the Job would see; use --env-secret"
        )
    if not any(entry.split("=")[0] in ("--data", "--config") for entry in given):
        if not args.data_claim:
            raise K8sError("no training data; pass --data-claim PVC, -- --data s3://BUCKET/DIR or -- --data digits")
        given = ("--data", job.DATA, *given)
    return job.Training(
        options.release_name(args.name),
        args.image,
        args.store_claim,
        given,
        args.data_claim,
        args.data_path,
        args.cpu,
        args.memory,
        args.gpus,
        args.attempts,
        int(args.keep),
        args.pull_policy,
        args.pull_secret,
        args.env_secret,
    )


def submit(args: argparse.Namespace, manifest: Json) -> dict[str, Any]:
    """Create the Job of a manifest and follow it, or print the manifest.

    A Job of that name that hasn't ended is followed instead.

    Raises:
        K8sError: the Job can't be created, can't start, or failed.
    """
    if args.dry_run:
        import yaml

        made = {"manifest": manifest} | ({"service": workers.service(manifest)} if workers.in_job(manifest) else {})
        return made | {"message": yaml.safe_dump_all(made.values(), sort_keys=False).rstrip()}
    cluster, deadline = options.cluster_of(args), Deadline(args.timeout, undoing=False)
    for claim in filter(None, (args.store_claim, args.data_claim)):
        cluster.ask(cluster.core.read_namespaced_persistent_volume_claim, claim, cluster.namespace)
    try:
        found = cluster.ask(cluster.batch.create_namespaced_job, cluster.namespace, manifest)
        logger.info("job %s is created", args.name)
    except Conflict as error:
        found = cluster.ask(cluster.batch.read_namespaced_job, args.name, cluster.namespace)
        if following.ended(found):
            away = shlex.join(["kubectl", "delete", "job", args.name, *cluster.kubectl_flags])
            raise K8sError(f"job {args.name} has already ended; choose another NAME, or run: {away}") from error
        logger.info("job %s is already running; following it", args.name)
    if workers.in_job(found):
        with contextlib.suppress(Conflict):  # the Service exists
            service = workers.service(found, found["metadata"]["uid"])
            cluster.ask(cluster.core.create_namespaced_service, cluster.namespace, service)
    try:
        return following.follow(cluster, args.name, deadline)
    except KeyboardInterrupt:
        logger.warning("job %s keeps running; the same command follows it again", args.name)
        raise
