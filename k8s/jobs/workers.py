"""Build the Indexed Job of a training on several pods, and the headless Service by which they find the first. Pure.

A worker is one pod of a Job that trains or searches.
"""

from __future__ import annotations

from commandline import ExitCode
from k8s.cluster import Json

PORT = 7733
"""Port on which worker 0 listens for the others. Gradients use ports that the system chooses."""

LOST = ExitCode.WORKERS_LOST.value
"""Exit code of a worker that lost another one. It doesn't count against --attempts; the end of the lost one does."""

INDEX = "batch.kubernetes.io/job-completion-index"


def divide(job: Json, count: int) -> Json:
    """Return the training Job `job` with `count` workers, spread over the nodes."""
    name, spec = job["metadata"]["name"], job["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    index = {"fieldRef": {"fieldPath": f"metadata.annotations['{INDEX}']"}}
    environment = [
        {"name": "KERAS_BACKEND", "value": "jax"},
        {"name": "KERAS_DISTRIBUTION_NUM_PROCESSES", "value": str(count)},
        {"name": "KERAS_DISTRIBUTION_PROCESS_ID", "valueFrom": index},
        {"name": "KERAS_DISTRIBUTION_JOB_ADDRESSES", "value": f"{name}-0.{service_name(name)}:{PORT}"},
    ]
    divided = {
        "env": container["env"] + environment,
        "ports": [{"name": "coordinator", "containerPort": PORT}],
    }
    lost = {"action": "Ignore", "onExitCodes": {"containerName": "training", "operator": "In", "values": [LOST]}}
    return job | {
        "spec": spec
        | {
            "completionMode": "Indexed",
            "completions": count,
            "parallelism": count,
            "backoffLimit": spec["backoffLimit"] * count,
            "podFailurePolicy": {"rules": [*spec["podFailurePolicy"]["rules"], lost]},
            "template": spec["template"]
            | {
                "spec": pod
                | {
                    "subdomain": service_name(name),
                    "topologySpreadConstraints": [spread(name)],
                    "containers": [container | divided],
                }
            },
        }
    }


def spread(name: str) -> Json:
    """Return the constraint that spreads the pods of the Job `name` over the nodes."""
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": _selector(name)},
    }


def in_job(job: Json) -> bool:
    """Return whether `job` comes from `divide`."""
    return speaks_for_all(job["spec"]["template"]) is not None


def speaks_for_all(pod: Json) -> bool | None:
    """Return whether a pod is worker 0, whose log stands for all workers; None if it is no worker."""
    if "subdomain" not in pod["spec"]:
        return None
    return bool(pod["metadata"].get("labels", {}).get(INDEX) == "0")


def service(job: Json, uid: str = "") -> Json:
    """Return the Service of a divided Job. With the Job's `uid`, it is deleted with the Job."""
    about = job["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": about["name"], "uid": uid}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": service_name(about["name"]), "labels": dict(about["labels"])}
        | ({"ownerReferences": [owner]} if uid else {}),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,  # workers look for each other as soon as they run
            "selector": _selector(about["name"]),
            "ports": [{"name": "coordinator", "port": PORT}],
        },
    }


def service_name(job: str) -> str:
    """Return the name of a Job's Service."""
    return f"{job}-workers"


def _selector(name: str) -> dict[str, str]:
    return {"batch.kubernetes.io/job-name": name}
