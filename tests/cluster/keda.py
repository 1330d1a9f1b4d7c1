"""Install a real KEDA for a test: build it from its module, push it, adapt its own manifest, and remove it afterwards.

If the cluster has KEDA already, use that one and leave it alone.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import tools
from cluster.images import archive
from tests.cluster.kubectl import Cluster
from tests.cluster.product import digest, push_archive

KIND = "scaledobjects.keda.sh"
API = "v1beta1.external.metrics.k8s.io"
MODULE = "github.com/kedacore/keda/v2"
# By each image's name in the manifest: the program in the image, and Go's name for that program.
IMAGES = {
    "keda": ("keda", "operator"),
    "keda-metrics-apiserver": ("keda-adapter", "adapter"),
}
USER = "1000:1000"


@contextlib.contextmanager
def running(cluster: Cluster, folder: Path) -> Iterator[None]:
    if KIND in cluster.kubectl("get", "crds", "--output=name"):
        yield
        return
    if not cluster.registry:
        pytest.skip("this cluster has no KEDA, and REGISTRY names no registry to install it from")
    items = _fitted(cluster, _images(cluster.registry, folder))
    try:
        # An ordinary apply stores each object in an annotation, for which KEDA's kinds are too large.
        cluster.kubectl("apply", "--server-side", "--filename", "-", stdin=_list(items))
        for name in ("keda-operator", "keda-metrics-apiserver"):
            cluster.kubectl("-n", "keda", "rollout", "status", f"deployment/{name}", "--timeout=240s")
        cluster.kubectl("wait", "--for=condition=Available", f"apiservice/{API}", "--timeout=120s")
        yield
    finally:
        # Only a running KEDA removes the finalizers of its objects.
        cluster.kubectl("delete", "scaledobjects", "--all", "--all-namespaces", "--timeout=120s", check=False)
        # Delete in reverse order: no namespace can be deleted while a registered API has no server.
        cluster.kubectl("delete", "--ignore-not-found", "--filename", "-", stdin=_list(items[::-1]))


def _images(registry: str, folder: Path) -> dict[str, str]:
    """Build and push the images; return their names by digest, keyed by their names in the manifest."""
    built, names = tools.build("keda"), {}
    for image, (program, command) in IMAGES.items():
        packed = folder / f"{program}.tar"
        files, name = {f"/{program}": built / command}, f"localhost/{program}:test"
        archive.write(packed, name, files, entrypoint=[f"/{program}"], user=USER)
        push_archive(packed, name, f"{registry}/{program}:test")
        packed.unlink()
        names[image] = f"{registry}/{program}@{digest(registry, program, 'test')}"
    return names


def _fitted(cluster: Cluster, images: dict[str, str]) -> list[dict[str, Any]]:
    """Return the objects of KEDA's smallest manifest, which lacks the webhooks that check people's input."""
    rendered = cluster.kubectl("kustomize", tools.module("keda", MODULE) / "config" / "minimal")
    items = list(filter(None, yaml.safe_load_all(rendered)))
    for item in items:
        if item["kind"] == "Deployment":
            (container,) = item["spec"]["template"]["spec"]["containers"]
            container["image"] = images[container["image"].rpartition(":")[0].rpartition("/")[2]]
            container["imagePullPolicy"] = "IfNotPresent"
            container["readinessProbe"] |= {"initialDelaySeconds": 1, "periodSeconds": 1}
    return items


def _list(items: list[dict[str, Any]]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
