"""Put models with a chosen cost or fault into the registry as people do: export them, push them as an artifact."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from tests import oci
from tests.cluster.kubectl import Cluster
from tests.integration.conftest import Store

# This ConfigMap gives the name by which pods reach the registry (KEP-1755).
HOSTING = ("configmap", "local-registry-hosting", "--namespace", "kube-public")


def published(cluster: Cluster, entry: Path, home: Path, name: str) -> dict[str, Any]:
    """Export the entry through a store in `home`, push it as models/NAME, and return the chart's `model` values."""
    store, archive = Store(home), home / f"{name}.bentomodel"
    tag = store.publish(entry)
    done = store.bentoml("models", "export", tag, str(archive))
    assert done.returncode == 0, done.stderr
    content = archive.read_bytes()
    oci.push(cluster.registry, f"models/{name}", "test", content)
    hosting = cluster.get(*HOSTING)["data"]["localRegistryHosting.v1"]
    (within,) = [line.split('"')[1] for line in hosting.splitlines() if line.startswith("hostFromClusterNetwork")]
    sha256 = hashlib.sha256(content).hexdigest()
    url = {"location": f"oci://{within}/models/{name}:test", "sha256": sha256, "plainHttp": True}
    return {"source": "url", "tag": tag, "url": url}
