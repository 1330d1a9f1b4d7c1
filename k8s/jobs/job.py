"""Build the manifest of a training Job, which satisfies Pod Security `restricted`. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from k8s.cluster import Json
from k8s.jobs import workers

DATA, STORE, SCRATCH = "/data", "/store", "/tmp"
_USER = 1034
"""User id of BentoML in the images."""

# A restarted pod finds the run of the previous pod in the store.
_START = f"""run={STORE}/runs/$RUN
if [ -e "$run/config.toml" ]; then exec python -m training --resume "$run"; fi
exec python -m training "$@" --out "$run"
"""


@dataclass(frozen=True)
class Training:
    """What to train, on which data, and where to store the model."""

    name: str
    image: str
    store_claim: str
    """PersistentVolumeClaim that gets the model store (`models/`) and the runs (`runs/`)."""
    arguments: tuple[str, ...]
    """Arguments of `python -m training`."""
    data_claim: str = ""
    """PersistentVolumeClaim of the images, mounted read-only at /data."""
    data_path: str = ""
    """Folder in `data_claim`."""
    cpu: str = "2"
    memory: str = "4Gi"
    gpus: int = 0
    attempts: int = 3
    """Restarts after a kill, per worker. Wrong data or options are not retried."""
    keep: int = 86400
    """Seconds for which the finished Job is kept."""
    pull_policy: str = "IfNotPresent"
    pull_secret: str = ""
    env_secret: str = ""
    """Secret whose entries become environment variables, such as credentials of object storage."""
    workers: int = 1
    """Pods that train one model together."""


def manifest(training: Training) -> Json:
    """Return the Job."""
    labels = {
        # Another name than the service's, whose selectors would otherwise match a Job called like the release.
        "app.kubernetes.io/name": "image-classifier-training",
        "app.kubernetes.io/instance": training.name,
        "app.kubernetes.io/component": "training",
        "app.kubernetes.io/managed-by": "image-classifier",
    }
    job: Json = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": training.name, "labels": labels},
        "spec": {
            "backoffLimit": training.attempts,
            "ttlSecondsAfterFinished": training.keep,
            "podFailurePolicy": {
                "rules": [
                    # Wrong data, wrong options, low accuracy (docs/training.md): a retry would fail again.
                    {
                        "action": "FailJob",
                        "onExitCodes": {"containerName": "training", "operator": "In", "values": [1, 2, 3]},
                    },
                    # A drained node doesn't count as a failure.
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                ]
            },
            "template": {"metadata": {"labels": dict(labels)}, "spec": _pod(training)},
        },
    }
    return job if training.workers == 1 else workers.divide(job, training.workers)


def _pod(training: Training) -> Json:
    volumes: list[Json] = [
        {"name": "store", "persistentVolumeClaim": {"claimName": training.store_claim}},
        {"name": "scratch", "emptyDir": {}},
    ]
    if training.data_claim:
        claim = {"claimName": training.data_claim, "readOnly": True}
        volumes.append({"name": "data", "persistentVolumeClaim": claim})
    spec: Json = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(training)],
        "volumes": volumes,
    }
    if training.pull_secret:
        spec["imagePullSecrets"] = [{"name": training.pull_secret}]
    return spec


def _container(training: Training) -> Json:
    mounts: list[Json] = [{"name": "store", "mountPath": STORE}, {"name": "scratch", "mountPath": SCRATCH}]
    if training.data_claim:
        at = {"subPath": training.data_path} if training.data_path else {}
        mounts.append({"name": "data", "mountPath": DATA, "readOnly": True} | at)
    most: Json = {"memory": training.memory} | ({"nvidia.com/gpu": str(training.gpus)} if training.gpus else {})
    environment = {
        "RUN": training.name,
        "BENTOML_HOME": STORE,  # the chart's model.pvc expects the models there
        "HOME": SCRATCH,
        # The decoded images are large and quickly made again from the data.
        "XDG_CACHE_HOME": f"{SCRATCH}/cache",
        "MPLCONFIGDIR": f"{SCRATCH}/matplotlib",
        "KERAS_HOME": f"{SCRATCH}/keras",
    }
    secret = {"envFrom": [{"secretRef": {"name": training.env_secret}}]} if training.env_secret else {}
    return {
        "name": "training",
        "image": training.image,
        "imagePullPolicy": training.pull_policy,
        "command": ["/bin/sh", "-c", _START, "training"],
        "args": list(training.arguments),
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        **secret,
        "resources": {"requests": {"cpu": training.cpu, "memory": training.memory}, "limits": most},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }
