"""Follow a training Job: show its pods' logs as they arrive and report how it ended. Changes nothing."""

from __future__ import annotations

import codecs
import logging
import re
import shlex
import sys
import time
from typing import Any

from k8s.cluster import Cluster, Json
from k8s.errors import Forbidden, K8sError, Refused, from_api, one_line
from k8s.jobs import workers
from k8s.pods.rollout import Trouble, rollout_state
from k8s.pods.waiting import Deadline, node_comes

logger = logging.getLogger(__name__)

_INTERVAL = 1.0
_ROOM = 60
"""Seconds for a quota or a node to have room for another pod, or for somebody to change a rule that forbids it."""
_TAG = re.compile(r"[\w.-]+:[\w.-]+")
"""The line in which `python -m training` reports the model that it has published."""


class TrainingFailed(K8sError):
    """The training failed; the command exits with the training's own code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code


def follow(cluster: Cluster, name: str, deadline: Deadline) -> dict[str, Any]:
    """Show the logs of a Job's pods until the Job ends, and return its result.

    Raises:
        TrainingFailed: the Job failed.
        Refused: its pods can't start, or the time is up. The Job stays as it is.
    """
    logged, troubled, said = set[str](), dict[str, float](), ""
    while True:
        pods = cluster.items(cluster.core.list_namespaced_pod, f"batch.kubernetes.io/job-name={name}")
        shown = [pod for pod in pods if workers.speaks_for_all(pod) is not False]
        for pod in sorted(shown, key=lambda pod: str(pod["metadata"].get("creationTimestamp"))):
            started = pod.get("status", {}).get("phase") in ("Running", "Succeeded", "Failed")
            if started and pod["metadata"]["name"] not in logged:
                logged.add(pod["metadata"]["name"])
                said += "\n" + _log(cluster, pod["metadata"]["name"], deadline)
                break  # the states of the other pods have changed by now
        else:
            found = cluster.ask(cluster.batch.read_namespaced_job, name, cluster.namespace)
            if ended(found):
                if ended(found) == "Failed" and (other := _culprit(pods)) and other["metadata"]["name"] not in logged:
                    said += "\n" + _log(cluster, other["metadata"]["name"], deadline)
                return _verdict(name, found, pods, said.strip().splitlines())
            _give_up_on(cluster, found, pods, troubled)
            time.sleep(_INTERVAL)
        if deadline.left <= 0:
            raise Refused(f"job {name} hasn't ended after {deadline.seconds:.0f} s (--timeout); it keeps running")


def _log(cluster: Cluster, pod: str, deadline: Deadline) -> str:
    """Show a pod's log as it arrives, until it ends or the time is up, and return its last 500 characters.

    Raises:
        Forbidden: the permission to read the log is missing.
    """
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    last, decoder = "", codecs.getincrementaldecoder("utf-8")("replace")
    read = cluster.core.read_namespaced_pod_log
    limits = (30, max(deadline.left, 1))  # seconds to connect, and seconds without a byte
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
        logger.warning("the log of %s was cut off: %s", pod, error)
    except ApiException as error:
        why = from_api(error)
        if isinstance(why, Forbidden):
            raise why from error
        logger.warning("no log of %s: %s", pod, why)  # the pod may be gone
    return last


def ended(found: Json) -> str:
    """Return the condition with which a Job ended, Complete or Failed, or an empty string if it runs."""
    conditions = found.get("status", {}).get("conditions", [])
    return next((c["type"] for c in conditions if c["type"] in ("Complete", "Failed") and c["status"] == "True"), "")


def _verdict(name: str, found: Json, pods: list[Json], said: list[str]) -> dict[str, Any]:
    if ended(found) == "Complete":
        tags = [line for line in said if _TAG.fullmatch(line)]
        model = tags[-1] if tags else None
        return {"job": name, "model": model, "message": f"job {name} is complete" + (f": {model}" if model else "")}
    code, reason = _exit(pods)
    conditions = found["status"]["conditions"]
    why = next(c.get("message", "") for c in conditions if c["type"] == "Failed")
    raise TrainingFailed(f"job {name} failed: exit code {code}{reason}: {said[-1] if said else why}", code or 1)


def _culprit(pods: list[Json]) -> Json | None:
    """Return the pod at fault: the last one to end that no other pod made end; otherwise the last one to end."""
    ended = [pod for pod in pods if _terminated(pod)]
    ended.sort(key=lambda pod: str(pod["metadata"].get("creationTimestamp")), reverse=True)
    # A Job that fails stops its remaining pods.
    passive = (0, workers.LOST, 130, 137, 143)
    own = [pod for pod in ended if _terminated(pod)["exitCode"] not in passive]
    return next(iter(own + ended), None)


def _terminated(pod: Json) -> Json:
    states = [container.get("state", {}) for container in pod.get("status", {}).get("containerStatuses", [])]
    found: Json = next((state["terminated"] for state in states if state.get("terminated")), {})
    return found


def _exit(pods: list[Json]) -> tuple[int | None, str]:
    culprit = _culprit(pods)
    if culprit is None:
        return None, ""
    ended = _terminated(culprit)
    reason = ended.get("reason", "Error")
    return int(ended["exitCode"]), "" if reason == "Error" else f" ({reason})"


def _give_up_on(cluster: Cluster, job: Json, pods: list[Json], troubled: dict[str, float]) -> None:
    """Raise Refused if no pod of the Job can be made, or none can start."""
    name = job["metadata"]["name"]
    waiting = [pod for pod in pods if pod.get("status", {}).get("phase") == "Pending"]
    probe: Json = {"metadata": {}, "spec": {}, "status": {"observedGeneration": 1}}
    trouble: Trouble | None = rollout_state(probe, waiting).trouble
    if trouble is None and len(pods) < job["spec"].get("parallelism", 1):
        trouble = _not_made(cluster, job)
    if trouble is None:
        troubled.clear()
        return
    now = time.monotonic()
    if trouble.cause not in troubled:
        logger.warning("job %s: %s", name, trouble)
    patience = _ROOM if trouble.patience is None else trouble.patience
    over = now - troubled.setdefault(trouble.cause, now) >= patience
    if over and not (trouble.patience is None and node_comes(cluster, trouble.pod)):
        away = shlex.join(["kubectl", "delete", "job", name, *cluster.kubectl_flags])
        raise Refused(f"job {name} can't start: {trouble}; delete it: {away}")


def _not_made(cluster: Cluster, job: Json) -> Trouble | None:
    """Return why the Job's controller can't make a pod, such as a quota or an admission rule, from the Job's events."""
    about = f"involvedObject.uid={job['metadata']['uid']}"
    try:
        events = cluster.ask(cluster.core.list_namespaced_event, cluster.namespace, field_selector=about)["items"]
    except Forbidden as error:
        return Trouble("no pod has been made", f"the reason can't be read: {error}", _ROOM)
    failed = [event for event in events if event.get("reason") == "FailedCreate"]
    return Trouble("no pod can be created", one_line(failed[-1].get("message", "")), _ROOM) if failed else None
