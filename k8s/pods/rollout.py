"""Decide whether a Deployment's rollout is done, in progress or stuck. Pure; `waiting` polls."""

from __future__ import annotations

from dataclasses import dataclass

from k8s.cluster import Json

_PATIENCE = {
    "InvalidImageName": 0,
    "ErrImageNeverPull": 0,
    # A registry may fail for a moment, and a Secret or ConfigMap may be created a moment later.
    "ErrImagePull": 15,
    "ImagePullBackOff": 15,
    "CreateContainerConfigError": 15,
    "CreateContainerError": 15,
    "RunContainerError": 15,
}
_QUOTA = 10
"""Seconds for a quota to allow another pod."""
_CRASHES = 2
"""Restarts that count as a crash loop. A single one may be an accident."""


@dataclass(frozen=True)
class Trouble:
    """A problem that is final once it has lasted `patience` seconds."""

    reason: str
    detail: str
    patience: int | None
    """None: as long as the command lets a pod wait for a node with room."""
    pod: str = ""
    """The pod whose log or events may say more."""
    container: str = ""

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"

    @property
    def no_room(self) -> bool:
        """Whether a pod less would have been no trouble."""
        return self.patience is None or "exceeded quota" in self.detail

    @property
    def cause(self) -> str:
        """The reason, the same one for all states between which a retrying kubelet alternates."""
        return "image" if self.reason in ("ErrImagePull", "ImagePullBackOff") else self.reason


@dataclass(frozen=True)
class Rollout:
    """The state of a rollout."""

    done: bool
    progress: str
    trouble: Trouble | None = None


def rollout_state(deployment: Json, pods: list[Json], least: int = 0) -> Rollout:
    """Judge a Deployment by the rules of `kubectl rollout status`.

    Args:
        deployment: the object as the API returns it.
        pods: those of the newest revision; the states of older ones don't matter.
        least: pods to wait for, even if the Deployment still asks for fewer, which its autoscaler will change.
    """
    wanted = max(deployment["spec"].get("replicas", 1), least)
    status = deployment.get("status", {})
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 1):
        return Rollout(False, "the cluster hasn't started the rollout yet")
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    old = status.get("replicas", 0) - updated
    progress = f"{updated} of {wanted} updated, {available} available" + (f", {old} old" if old > 0 else "")
    if updated >= wanted and old <= 0 and available >= updated:
        return Rollout(True, progress)
    return Rollout(False, progress, _of_deployment(deployment) or next(filter(None, map(_of_pod, pods)), None))


def _of_deployment(deployment: Json) -> Trouble | None:
    if deployment["spec"].get("paused"):
        resume = f"kubectl rollout resume deployment/{deployment['metadata']['name']}"
        return Trouble("paused", f"somebody has paused the Deployment, so no pod is replaced; first {resume}", 0)
    for condition in deployment.get("status", {}).get("conditions", []):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return Trouble("no pod can be created", condition.get("message", ""), _QUOTA)
    return None


def _of_pod(pod: Json) -> Trouble | None:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return Trouble("unschedulable", condition.get("message", ""), None, name)
    for container in status.get("initContainerStatuses", []) + status.get("containerStatuses", []):
        waiting = container.get("state", {}).get("waiting", {})
        reason, restarts = waiting.get("reason", ""), container.get("restartCount", 0)
        if not container.get("ready") and restarts >= _CRASHES and "running" not in container.get("state", {}):
            return Trouble("crash loop", _crash(container), 0, name, container["name"])
        if reason in _PATIENCE:
            message = waiting.get("message", "")
            return Trouble(
                reason, f"{container['image']}: {message}" if message else container["image"], _PATIENCE[reason]
            )
    return None


def _crash(container: Json) -> str:
    ended = container.get("lastState", {}).get("terminated", {}) or container.get("state", {}).get("terminated", {})
    code, why = ended.get("exitCode", "?"), ended.get("reason", "")
    because = f" ({why})" if why not in ("", "Error", "Completed") else ""
    return f"container {container['name']} ended {container['restartCount']} times, exit code {code}{because}"


def unready(pods: list[Json]) -> str:
    """Describe the pods that aren't ready, for the error when the time is up."""
    return "; ".join(f"{pod['metadata']['name']}: {_why(pod)}" for pod in pods if not is_ready(pod)) or "no pod"


def is_ready(pod: Json) -> bool:
    """Return whether the pod's Service would send it requests."""
    conditions = pod.get("status", {}).get("conditions", [])
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def _why(pod: Json) -> str:
    status = pod.get("status", {})
    for container in status.get("initContainerStatuses", []) + status.get("containerStatuses", []):
        if container.get("ready"):
            continue
        state = container.get("state", {})
        if "running" in state:
            return f"container {container['name']} runs but isn't ready ({container.get('restartCount', 0)} restarts)"
        if "waiting" in state:
            return f"container {container['name']} waits: {state['waiting'].get('reason', '?')}"
    return str(status.get("phase", "unknown")).lower()
