"""What `train` and `tune` share: the flags of a Job that trains, and how it is submitted and followed."""

from __future__ import annotations

import argparse
import contextlib
import logging
import re
from typing import Any

from k8s import following, images, job, options, workers
from k8s.cluster import Json
from k8s.errors import Conflict, K8sError
from k8s.waiting import Deadline

logger = logging.getLogger(__name__)

_SECRET = re.compile(r"://[^/]*:[^/]*@|://[^?]*\?")


def flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of every Job that trains."""
    parser.add_argument("name", metavar="NAME", help="of the Job, and of the run in the store")
    parser.add_argument("--image", required=True, metavar="IMAGE", help="training image")
    parser.add_argument("--store-claim", required=True, metavar="PVC", help="gets the model store and the runs")
    parser.add_argument("--data-claim", default="", metavar="PVC", help="holds the images; mounted read-only")
    parser.add_argument("--data-path", default="", metavar="PATH", help="folder in the claim")
    parser.add_argument(
        "--env-secret", default="", metavar="NAME", help="Secret of variables: the credentials of -- --data s3://..."
    )
    parser.add_argument("--cpu", default="2", help="cores asked for (2)")
    parser.add_argument("--memory", default="4Gi", help="memory asked for, and allowed (4Gi)")
    parser.add_argument("--gpus", type=int, default=0, metavar="N", help="NVIDIA GPUs (0)")
    parser.add_argument(
        "--attempts", type=int, default=3, metavar="N", help="restarts after a kill, from the checkpoint (3)"
    )
    parser.add_argument(
        "--keep", type=options.duration, default=86400, metavar="T", help="keep the ended Job for (24h)"
    )
    parser.add_argument("--pull-policy", choices=("Always", "IfNotPresent", "Never"), default="IfNotPresent")
    parser.add_argument("--pull-secret", default="", metavar="NAME", help="imagePullSecret")
    parser.add_argument("--timeout", type=options.duration, default=86400, metavar="T", help="stop waiting after (24h)")
    parser.add_argument("--dry-run", action="store_true", help="print what would be made")


def request(args: argparse.Namespace) -> job.Training:
    """Read the flags.

    Raises:
        K8sError: one makes no sense.
    """
    images.parse(args.image)
    given = tuple(args.rest)
    taken = [option for option in ("--out", "--resume") if any(entry.split("=")[0] == option for entry in given)]
    if taken:
        raise K8sError(f"{taken[0]}: the run's folder is the store's runs/{args.name}; leave it out")
    if any(_SECRET.search(entry) for entry in given):
        raise K8sError("a URL after -- has a password, which everybody who sees the Job would read; use --env-secret")
    if not any(entry.split("=")[0] in ("--data", "--config") for entry in given):
        if not args.data_claim:
            raise K8sError("say what to train on: --data-claim PVC, or -- --data s3://BUCKET/DIR, or -- --data digits")
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
    """Have a Job's manifest run and follow it, or print it.

    Raises:
        K8sError: as of `run`.
    """
    if args.dry_run:
        import yaml

        made = {"manifest": manifest} | ({"service": workers.service(manifest)} if workers.are_in(manifest) else {})
        return made | {"message": yaml.safe_dump_all(made.values(), sort_keys=False).rstrip()}
    cluster, deadline = options.cluster_of(args), Deadline(args.timeout, undoing=False)
    for claim in filter(None, (args.store_claim, args.data_claim)):
        cluster.ask(cluster.core.read_namespaced_persistent_volume_claim, claim, cluster.namespace)
    try:
        found = cluster.ask(cluster.batch.create_namespaced_job, cluster.namespace, manifest)
        logger.info("job %s is made", args.name)
    except Conflict as error:
        found = cluster.ask(cluster.batch.read_namespaced_job, args.name, cluster.namespace)
        if following.ended(found):
            away = f"kubectl delete job {args.name} --namespace {cluster.namespace}"
            raise K8sError(f"job {args.name} has ended already; choose another NAME, or {away}") from error
        logger.info("job %s is under way; following it", args.name)
    if workers.are_in(found):
        with contextlib.suppress(Conflict):  # it is there
            service = workers.service(found, found["metadata"]["uid"])
            cluster.ask(cluster.core.create_namespaced_service, cluster.namespace, service)
    try:
        return following.follow(cluster, args.name, deadline)
    except KeyboardInterrupt:
        logger.warning("job %s goes on without us; the same command follows it again", args.name)
        raise
