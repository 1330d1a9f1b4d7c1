"""Keep the number of running pods when an autoscaler takes over from a fixed one.

The chart then no longer sets `replicas`. Helm drops the field, and Kubernetes sets it to 1 until the autoscaler acts.
With server-side apply, a field stays as long as anybody else has applied it too.
"""

from __future__ import annotations

from k8s.cluster import Cluster, Json
from k8s.errors import K8sError
from k8s.pods.waiting import deployment
from k8s.releases.helm import Helm, objects

_MANAGER = "image-classifier-count"


def keep(cluster: Cluster, helm: Helm, name: str, values: Json, *, undoing: bool = False) -> None:
    """Keep the number of pods of each component that an autoscaler scales once helm has applied `values`.

    Args:
        undoing: whether to go on where Helm 3 drops it, because the failed version is worse.

    Raises:
        K8sError: Helm 3 would drop a number above 1.
    """
    if not any(values.get(scaler, {}).get("enabled") for scaler in ("autoscaling", "keda")):
        return
    for component in ("server", "canary"):
        found = deployment(cluster, name, component)
        now = int(found["spec"].get("replicas", 1)) if found else 1
        if found is None or now <= 1 or not _set_by_helm(helm, name, found["metadata"]["name"]):
            continue
        if not helm.applies and undoing:
            continue
        if not helm.applies:
            raise K8sError(
                f"Helm 3 would leave one of the {now} pods of {component} until the autoscaler acts; use Helm 4 for "
                "this change, or enable the autoscaler when there is little traffic, after release --set replicaCount=1"
            )
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": found["metadata"]["name"]}}
        cluster.ask(
            cluster.apps.patch_namespaced_deployment,
            found["metadata"]["name"],
            cluster.namespace,
            body | {"spec": {"replicas": now}},
            field_manager=_MANAGER,
            force=True,
            _content_type="application/apply-patch+yaml",
        )


def _set_by_helm(helm: Helm, name: str, called: str) -> bool:
    """Return whether the newest revision sets the number of a Deployment's pods."""
    own = [
        each
        for _, each in objects(helm.manifest(name))
        if (each["kind"], each["metadata"]["name"]) == ("Deployment", called)
    ]
    return any("replicas" in each["spec"] for each in own)
