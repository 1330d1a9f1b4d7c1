"""`train`: a training Job, followed to its end. Its exit code is the training's own."""

from __future__ import annotations

import argparse
import codecs
import logging
import re
import sys
import time
from typing import Any

from k8s import images, job, options
from k8s.cluster import Cluster, Json
from k8s.errors import Conflict, Forbidden, K8sError, Refused, from_api
from k8s.rollout import Trouble, rollout_state
from k8s.waiting import Deadline

logger = logging.getLogger(__name__)

HELP = "train as a Job and follow it; -- and options of `python -m training` come last"

_INTERVAL = 1.0
_TAG = re.compile(r"[\w.-]+:[\w.-]+")
"""The line with which `python -m training` tells what it has published."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the verb's flags."""
    parser.add_argument("name", metavar="NAME", help="of the Job, and of the run in the store")
    parser.add_argument("--image", required=True, metavar="IMAGE", help="training image")
    parser.add_argument("--store-claim", required=True, metavar="PVC", help="gets the model store and the runs")
    parser.add_argument("--data-claim", default="", metavar="PVC", help="holds the images; mounted read-only")
    parser.add_argument("--data-path", default="", metavar="PATH", help="folder in the claim")
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
    parser.add_argument("--dry-run", action="store_true", help="print the manifest")


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
    if not any(entry.split("=")[0] in ("--data", "--config") for entry in given):
        if not args.data_claim:
            raise K8sError("say what to train on: --data-claim PVC, or -- --data digits")
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
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train; goes on with a Job of that name which hasn't ended.

    Raises:
        K8sError: the Job can't be made, can't come right, or failed.
    """
    manifest = job.manifest(request(args))
    if args.dry_run:
        import yaml

        return {"manifest": manifest, "message": yaml.safe_dump(manifest, sort_keys=False).rstrip()}
    cluster, deadline = options.cluster_of(args), Deadline(args.timeout, undoing=False)
    for claim in filter(None, (args.store_claim, args.data_claim)):
        cluster.ask(cluster.core.read_namespaced_persistent_volume_claim, claim, cluster.namespace)
    try:
        cluster.ask(cluster.batch.create_namespaced_job, cluster.namespace, manifest)
        logger.info("job %s is made", args.name)
    except Conflict as error:
        if _ended(cluster.ask(cluster.batch.read_namespaced_job, args.name, cluster.namespace)):
            away = f"kubectl delete job {args.name} --namespace {cluster.namespace}"
            raise K8sError(f"job {args.name} has ended already; choose another NAME, or {away}") from error
        logger.info("job %s is under way; following it", args.name)
    try:
        return _follow(cluster, args.name, deadline)
    except KeyboardInterrupt:
        logger.warning("job %s goes on without us; the same command follows it again", args.name)
        raise


def _follow(cluster: Cluster, name: str, deadline: Deadline) -> dict[str, Any]:
    logged, troubled, said = set[str](), dict[str, float](), ""
    while True:
        pods = cluster.items(cluster.core.list_namespaced_pod, f"batch.kubernetes.io/job-name={name}")
        for pod in sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp"))):
            started = pod.get("status", {}).get("phase") in ("Running", "Succeeded", "Failed")
            if started and pod["metadata"]["name"] not in logged:
                logged.add(pod["metadata"]["name"])
                said = _log(cluster, pod["metadata"]["name"], deadline) or said
                break  # the others' states have changed meanwhile
        else:
            found = cluster.ask(cluster.batch.read_namespaced_job, name, cluster.namespace)
            if _ended(found):
                return _verdict(name, found, pods, said.strip().splitlines())
            _give_up_on(name, pods, found, troubled)
            time.sleep(_INTERVAL)
        if deadline.left <= 0:
            raise Refused(f"job {name} hasn't ended after {deadline.seconds:.0f} s (--timeout); it goes on")


def _log(cluster: Cluster, pod: str, deadline: Deadline) -> str:
    """Write a pod's log out as it comes, until it ends or the time is up; returns its end.

    Raises:
        Forbidden: the right to read it is missing.
    """
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    last, decoder = "", codecs.getincrementaldecoder("utf-8")("replace")
    read = cluster.core.read_namespaced_pod_log
    limits = (30, max(deadline.left, 1))  # to connect, and without a byte
    try:
        stream = read(pod, cluster.namespace, follow=True, _preload_content=False, _request_timeout=limits)
        for chunk in stream.stream(decode_content=False):
            text = decoder.decode(chunk)
            sys.stderr.write(text)
            sys.stderr.flush()
            last = (last + text)[-500:]
            if deadline.left <= 0:
                stream.close()
                break
    except HTTPError as error:
        logger.warning("the log of %s broke off: %s", pod, error)
    except ApiException as error:
        why = from_api(error)
        if isinstance(why, Forbidden):
            raise why from error
        logger.warning("no log of %s: %s", pod, why)  # a pod may be gone already
    return last


def _ended(found: Json) -> str:
    conditions = found.get("status", {}).get("conditions", [])
    return next((c["type"] for c in conditions if c["type"] in ("Complete", "Failed") and c["status"] == "True"), "")


def _verdict(name: str, found: Json, pods: list[Json], said: list[str]) -> dict[str, Any]:
    if _ended(found) == "Complete":
        tags = [line for line in said if _TAG.fullmatch(line)]
        model = tags[-1] if tags else None
        return {"job": name, "model": model, "message": f"job {name} is complete" + (f": {model}" if model else "")}
    code, reason = _exit(pods)
    conditions = found["status"]["conditions"]
    why = next(c.get("message", "") for c in conditions if c["type"] == "Failed")
    raise TrainingFailed(f"job {name} failed: exit code {code}{reason}: {said[-1] if said else why}", code or 1)


def _exit(pods: list[Json]) -> tuple[int | None, str]:
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp")), reverse=True):
        for container in pod.get("status", {}).get("containerStatuses", []):
            ended = container.get("state", {}).get("terminated")
            if ended:
                reason = ended.get("reason", "Error")
                return int(ended["exitCode"]), "" if reason == "Error" else f" ({reason})"
    return None, ""


def _give_up_on(name: str, pods: list[Json], found: Json, troubled: dict[str, float]) -> None:
    """Raise where no pod of the Job can start."""
    waiting = [pod for pod in pods if pod.get("status", {}).get("phase") == "Pending"]
    probe: Json = {"metadata": {}, "spec": {}, "status": {"observedGeneration": 1}}
    trouble: Trouble | None = rollout_state(probe, waiting).trouble
    if trouble is None:
        troubled.clear()
        return
    now = time.monotonic()
    if now - troubled.setdefault(trouble.cause, now) >= trouble.patience:
        raise Refused(f"job {name} can't start: {trouble}; delete it: kubectl delete job {name}")


class TrainingFailed(K8sError):
    """The training ended with a code of its own, which is passed on."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code
