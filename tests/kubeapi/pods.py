"""Do in one step what the Deployment controller and kubelets would: pods get the state of their image's fate."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from tests.kubeapi.objects import Json, Objects

REVISION = "deployment.kubernetes.io/revision"


@dataclass(frozen=True)
class Fate:
    """What happens to a container of an image."""

    state: str = "ready"
    """ready, missing, crash, unready, unschedulable or no-model (the fetch crashes); for a Job also an exit code."""
    port: int = 0
    """Port on 127.0.0.1 of the server that stands for the image."""
    log: str = ""
    endless: bool = False
    """Whether the container keeps logging."""
    image_id: str = ""
    """What the kubelet reports as the image's identity; empty for an image of no registry."""
    home: str = ""
    """Folder that stands for the container's BENTOML_HOME."""


def reconcile(objects: Objects, fates: dict[str, Fate], most_pods: int) -> None:
    """Bring ReplicaSets, Pods and statuses to the state that a cluster would reach."""
    deployments = {entry["metadata"]["name"]: entry for entry in objects.all("deployments")}
    for entry in objects.all("replicasets"):
        if entry["metadata"]["labels"]["deployment"] not in deployments:
            objects.delete("replicasets", entry["metadata"]["name"])
    sets = {entry["metadata"]["name"] for entry in objects.all("replicasets")}
    for entry in objects.all("pods"):
        if entry["metadata"]["labels"].get("set", "job") not in {*sets, "job"}:
            objects.delete("pods", entry["metadata"]["name"])
    for job in objects.all("jobs"):
        _run(objects, job, fates, most_pods)
    for deployment in deployments.values():
        _roll(objects, deployment, fates, most_pods)


def _run(objects: Objects, job: Json, fates: dict[str, Fate], most_pods: int) -> None:
    name, template = job["metadata"]["name"], job["spec"]["template"]["spec"]
    fate = _fate(fates, template)
    indexes = range(job["spec"]["completions"]) if job["spec"].get("completionMode") == "Indexed" else [None]
    for index in indexes:
        called = f"{name}-abcde" if index is None else f"{name}-{index}-abcde"
        pod = objects.get("pods", called)
        if pod is None and len(objects.all("pods")) >= most_pods:
            metadata, about = {"name": f"{called}.event"}, {"kind": "Job", "name": name, "uid": job["metadata"]["uid"]}
            text = f"Error creating: {_exceeded(called, most_pods)}"
            failed = {"type": "Warning", "reason": "FailedCreate", "message": text, "involvedObject": about}
            objects.put("events", {"kind": "Event", "metadata": metadata} | failed)
            return
        if pod is None:
            labels = {"set": "job", "batch.kubernetes.io/job-name": name}
            labels |= {} if index is None else {"batch.kubernetes.io/job-completion-index": str(index)}
            spec = {key: template[key] for key in ("subdomain",) if key in template}
            pod = objects.put("pods", {"kind": "Pod", "metadata": {"name": called, "labels": labels}, "spec": spec})
        pod["status"] = _status(fate, template)
        if fate.state.isdigit():
            # With several workers, the last one is at fault and the others lost it.
            lost = "subdomain" in template and index != indexes[-1] and fate.state != "0"
            code = 75 if lost else int(fate.state)
            state = {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed"}}
            pod["status"]["containerStatuses"][0]["state"] = state
            pod["status"]["phase"] = "Failed" if code else "Succeeded"
    if fate.state.isdigit():
        code = int(fate.state)
        conditions = [{"type": "Failed" if code else "Complete", "status": "True", "message": "told by the policy"}]
        job["status"] = {"conditions": conditions}


def _roll(objects: Objects, deployment: Json, fates: dict[str, Fate], most_pods: int) -> None:
    name, spec = deployment["metadata"]["name"], deployment["spec"]
    digest = hashlib.sha256(json.dumps(spec["template"], sort_keys=True).encode()).hexdigest()[:8]
    own = objects.all("replicasets", f"deployment={name}")
    newest = next((entry for entry in own if entry["metadata"]["name"] == f"{name}-{digest}"), None)
    highest = max((int(entry["metadata"]["annotations"][REVISION]) for entry in own), default=0)
    if newest is None or int(newest["metadata"]["annotations"][REVISION]) < highest:
        labels = spec["template"]["metadata"]["labels"] | {"pod-template-hash": digest, "deployment": name}
        annotations = {REVISION: str(highest + 1)}
        metadata = {"name": f"{name}-{digest}", "labels": labels, "annotations": annotations}
        newest = objects.put("replicasets", {"kind": "ReplicaSet", "metadata": metadata, "spec": spec})
    deployment["metadata"].setdefault("annotations", {})[REVISION] = newest["metadata"]["annotations"][REVISION]

    wanted, labels = spec.get("replicas", 1), newest["metadata"]["labels"] | {"set": newest["metadata"]["name"]}
    fate = _fate(fates, spec["template"]["spec"])
    failure: list[Json] = []
    for index in range(wanted):
        called = f"{newest['metadata']['name']}-{index}"
        if not objects.get("pods", called) and len(objects.all("pods")) >= most_pods:
            why = {"reason": "FailedCreate", "message": _exceeded(called, most_pods)}
            failure = [{"type": "ReplicaFailure", "status": "True"} | why]
            break
        pod = objects.get("pods", called)
        if pod is None:
            metadata = {"name": called, "labels": labels}
            pod = objects.put("pods", {"kind": "Pod", "metadata": metadata, "spec": _ports(spec["template"]["spec"])})
        pod["status"] = _status(fate, spec["template"]["spec"])
    mine = objects.all("pods", f"set={newest['metadata']['name']}")
    for extra in mine[wanted:]:
        objects.delete("pods", extra["metadata"]["name"])
    ready = wanted if fate.state == "ready" and not failure else 0
    old = [entry for entry in objects.all("pods", f"deployment={name}") if entry not in mine]
    for gone in [entry for entry in old if ready == wanted or not _is_ready(entry)]:
        objects.delete("pods", gone["metadata"]["name"])
        old.remove(gone)
    deployment["status"] = {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": min(len(mine), wanted) + len(old),
        "updatedReplicas": min(len(mine), wanted),
        "readyReplicas": ready + len(old),
        "availableReplicas": ready + len(old),
        "conditions": failure,
    }


def _exceeded(pod: str, most: int) -> str:
    return f'pods "{pod}" is forbidden: exceeded quota: few, used: pods={most}, limited: pods={most}'


def _is_ready(pod: Json) -> bool:
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in pod["status"]["conditions"])


def _fate(fates: dict[str, Fate], template: Json) -> Fate:
    return fates.get(template["containers"][0]["image"], Fate("missing"))


def _ports(template: Json) -> Json:
    """Return the part of a pod's spec by which clients find its ports."""
    known = [{key: each[key] for key in ("name", "ports") if key in each} for each in template["containers"]]
    return {"containers": known}


def _status(fate: Fate, template: Json) -> Json:
    container: Json = {key: template["containers"][0][key] for key in ("name", "image")}
    container |= {"ready": fate.state == "ready", "restartCount": 0, "imageID": fate.image_id}
    conditions = [{"type": "Ready", "status": "True" if fate.state == "ready" else "False"}]
    states: dict[str, Any] = {
        "missing": {"waiting": {"reason": "ErrImageNeverPull", "message": "not present with pull policy of Never"}},
        "crash": {"waiting": {"reason": "CrashLoopBackOff"}},
    }
    container["state"] = states.get(fate.state, {"running": {}})
    if fate.state == "no-model":
        first = {key: template["initContainers"][0][key] for key in ("name", "image")} | {"ready": False}
        first |= {"restartCount": 3, "state": {"terminated": {"exitCode": 4, "reason": "Error"}}}
        container["state"] = {"waiting": {"reason": "PodInitializing"}}
        statuses = {"initContainerStatuses": [first], "containerStatuses": [container]}
        return {"phase": "Pending", "conditions": conditions} | statuses
    if fate.state == "crash":
        container |= {"restartCount": 3, "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}
    if fate.state == "unschedulable":
        text = "0/2 nodes are available: 2 Insufficient cpu."
        conditions.append({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": text})
        return {"phase": "Pending", "conditions": conditions}
    phase = "Pending" if fate.state == "missing" else "Running"
    return {"phase": phase, "conditions": conditions, "containerStatuses": [container]}
