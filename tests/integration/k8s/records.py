"""Look up helm's records and the serving images in the stub of the cluster."""

from __future__ import annotations

from tests.kubeapi.server import KubeApi


def statuses(api: KubeApi, release: str = "demo") -> dict[int, str]:
    """Return the status of each revision of a release."""
    found = [s["metadata"]["labels"] for s in api.objects.all("secrets", f"owner=helm,name={release}")]
    return {int(labels["version"]): labels["status"] for labels in found}


def serving(api: KubeApi, component: str = "server") -> set[str]:
    """Return the images of the ready pods of a component of `demo`."""
    api.reconcile()
    labels = f"app.kubernetes.io/instance=demo,app.kubernetes.io/component={component}"
    pods = [pod["status"]["containerStatuses"][0] for pod in api.objects.all("pods", labels)]
    return {container["image"] for container in pods if container["ready"]}


def leftovers(api: KubeApi) -> list[str]:
    """Return the names of the objects that a candidate left."""
    kinds = ("deployments", "services", "secrets", "serviceaccounts", "networkpolicies")
    found = [entry["metadata"]["name"] for kind in kinds for entry in api.objects.all(kind)]
    return [name for name in found if "candidate" in name]
