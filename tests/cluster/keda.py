"""A real KEDA for the time of a test: built from its module, pushed, its own manifest made to fit, and gone after it.

Where the cluster has KEDA already, that one is used and left alone.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import archive, tools
from tests.cluster.kubectl import Cluster
from tests.cluster.product import digest, push_archive

KIND = "scaledobjects.keda.sh"
API = "v1beta1.external.metrics.k8s.io"
MODULE = "github.com/kedacore/keda/v2"
# What each of its images is called in the manifest, the program in it, and what Go calls the program.
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
        pytest.skip("this cluster has no KEDA, and REGISTRY names no registry to bring it in by")
    items = _fitted(cluster, _images(cluster.registry, folder))
    try:
        # As one annotation, the way of an ordinary apply, its kinds would be too large.
        cluster.kubectl("apply", "--server-side", "--filename", "-", stdin=_list(items))
        for name in ("keda-operator", "keda-metrics-apiserver"):
            cluster.kubectl("-n", "keda", "rollout", "status", f"deployment/{name}", "--timeout=240s")
        cluster.kubectl("wait", "--for=condition=Available", f"apiservice/{API}", "--timeout=120s")
        yield
    finally:
        # Only a KEDA that runs lets go of its objects.
        cluster.kubectl("delete", "scaledobjects", "--all", "--all-namespaces", "--timeout=120s", check=False)
        # Backwards: while an API has no server, no namespace can go.
        cluster.kubectl("delete", "--ignore-not-found", "--filename", "-", stdin=_list(items[::-1]))


def _images(registry: str, folder: Path) -> dict[str, str]:
    """Names by digest, by what the manifest calls them."""
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
    """KEDA's smallest manifest: without webhooks, which only tell people of their mistakes."""
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
