"""Several pods that train one model: an Indexed Job, and the headless Service by which they find the first. Pure."""

from __future__ import annotations

from commandline import ExitCode
from k8s.cluster import Json

PORT = 7733
"""Where worker 0 listens for the others. Gradients go between all pods of the Job, on ports that the system chooses."""

LOST = ExitCode.WORKERS_LOST.value
"""Exit code of a worker that lost another one. What ended that one is counted against --attempts; this isn't."""

INDEX = "batch.kubernetes.io/job-completion-index"


def divide(job: Json, count: int) -> Json:
    """Return the training Job `job` with `count` workers, on nodes of their own where there are enough."""
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
    """Return what puts the pods of the Job `name` on nodes of their own, where there are enough."""
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": _selector(name)},
    }


def are_in(job: Json) -> bool:
    """Whether `divide` made it."""
    return tells_of_all(job["spec"]["template"]) is not None


def tells_of_all(pod: Json) -> bool | None:
    """Whether a pod's log is that of all workers; None where it is no worker."""
    if "subdomain" not in pod["spec"]:
        return None
    return bool(pod["metadata"].get("labels", {}).get(INDEX) == "0")


def service(job: Json, uid: str = "") -> Json:
    """Return the Service of a divided Job; with the Job's `uid`, it goes when the Job goes."""
    about = job["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": about["name"], "uid": uid}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": service_name(about["name"]), "labels": dict(about["labels"])}
        | ({"ownerReferences": [owner]} if uid else {}),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,  # they look for each other as soon as they run
            "selector": _selector(about["name"]),
            "ports": [{"name": "coordinator", "port": PORT}],
        },
    }


def service_name(job: str) -> str:
    """Return how the Service of a Job is called."""
    return f"{job}-workers"


def _selector(name: str) -> dict[str, str]:
    return {"batch.kubernetes.io/job-name": name}
