"""The stub's objects, with the metadata that an API server maintains. No controllers."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

RESOURCES = [
    ("", "v1", "namespaces", "Namespace", False),
    ("", "v1", "pods", "Pod", True),
    ("", "v1", "events", "Event", True),
    ("", "v1", "secrets", "Secret", True),
    ("", "v1", "services", "Service", True),
    ("", "v1", "configmaps", "ConfigMap", True),
    ("", "v1", "serviceaccounts", "ServiceAccount", True),
    ("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True),
    ("apps", "v1", "deployments", "Deployment", True),
    ("apps", "v1", "replicasets", "ReplicaSet", True),
    ("batch", "v1", "jobs", "Job", True),
    ("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", True),
    ("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", True),
    ("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", True),
    ("networking.k8s.io", "v1", "ingresses", "Ingress", True),
    ("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute", True),
    ("coordination.k8s.io", "v1", "leases", "Lease", True),
]


class Objects:
    """Every stored object by (resource, name), in one namespace. Hold `lock` around operations that belong together."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._stored: dict[tuple[str, str], Json] = {}
        self._version = itertools.count(1)

    def get(self, resource: str, name: str) -> Json | None:
        return self._stored.get((resource, name))

    def all(self, resource: str, labels: str = "") -> list[Json]:
        wanted = [part.partition("=")[::2] for part in labels.split(",") if part]
        return [entry for entry in self._of(resource) if all(_labels(entry).get(k) == v.strip("=") for k, v in wanted)]

    def put(self, resource: str, new: Json) -> Json:
        """Store an object. Its generation counts the changes of its spec, as in an API server."""
        old = self._stored.get((resource, new["metadata"]["name"]), {"metadata": {}})
        metadata, before = new["metadata"], old["metadata"]
        metadata["uid"] = before.get("uid", str(uuid.uuid4()))
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata["creationTimestamp"] = before.get("creationTimestamp", now)
        metadata["resourceVersion"] = str(next(self._version))
        metadata["generation"] = before.get("generation", 0) + (new.get("spec") != old.get("spec"))
        metadata.setdefault("namespace", "default")
        if "status" in old and "status" not in new:
            new["status"] = old["status"]
        self._stored[(resource, metadata["name"])] = new
        return new

    def delete(self, resource: str, name: str) -> Json | None:
        return self._stored.pop((resource, name), None)

    def _of(self, resource: str) -> Iterator[Json]:
        for (kind, _), entry in list(self._stored.items()):
            if kind == resource:
                yield entry


def _labels(entry: Json) -> Json:
    found: Json = entry["metadata"].get("labels", {})
    return found
