"""Adapt Contour's own manifest: our images, and one replica of each part, on the first node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from cluster import tools
from cluster.images import programs
from cluster.settings import CONTROL_PLANE, Settings

GATEWAY = "gateway.networking.k8s.io/v1"


class Files(NamedTuple):
    """The manifests in the order in which to create them: the kinds, the programs, the objects of those kinds."""

    kinds: Path
    programs: Path
    gateway: Path


def files(settings: Settings) -> Files:
    folder = settings.home / "manifests"
    return Files(folder / "kinds.json", folder / "contour.json", folder / "gateway.json")


def write(settings: Settings) -> None:
    """Write the manifests. Each start does so, because they name the images of the present build."""
    kinds, programs, gateway = [], [], []
    for document in filter(None, _parsed(tools.contour_manifest())):
        if document["kind"] == "CustomResourceDefinition":
            kinds.append(_without_descriptions(document))
        elif document["apiVersion"] == GATEWAY:
            gateway.append(_in_our_class(document))
        else:
            programs.append(_on_our_nodes(settings, document))
    for path, items in zip(files(settings), (kinds, programs, gateway), strict=True):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))


def _parsed(path: Path) -> list[dict[str, Any]]:
    # The file has 26,000 lines, so use PyYAML's parser in C if it is there.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return list(yaml.load_all(path.read_text(), Loader=loader))


def _without_descriptions(node: Any) -> Any:
    """Drop the descriptions: they are most of the file, and the API server reads all of it at each start."""
    if isinstance(node, dict):
        # A property may be called `description` too; its value is a mapping, not text.
        kept = {key: value for key, value in node.items() if key != "description" or not isinstance(value, str)}
        return {key: _without_descriptions(value) for key, value in kept.items()}
    if isinstance(node, list):
        return [_without_descriptions(item) for item in node]
    return node


def _on_our_nodes(settings: Settings, document: dict[str, Any]) -> dict[str, Any]:
    if document["kind"] in ("Deployment", "DaemonSet", "Job"):
        specification = document["spec"]["template"]["spec"]
        specification["nodeSelector"] = {"kubernetes.io/hostname": CONTROL_PLANE.name}
        for container in (*specification["containers"], *specification.get("initContainers", ())):
            program = "envoy" if "envoyproxy" in container["image"] else "contour"
            container["image"] = programs.name(settings, program)
            if program in container["name"]:
                # Without a request, starting pods would take the CPU time first, and every HTTP request would wait.
                container["resources"] = {"requests": {"cpu": "250m"}}
            if "readinessProbe" in container:
                container["readinessProbe"] |= {"initialDelaySeconds": 0, "periodSeconds": 1}
    if document["kind"] == "Deployment":
        document["spec"]["replicas"] = 1
    return document


def _in_our_class(document: dict[str, Any]) -> dict[str, Any]:
    """Call the GatewayClass `contour`; the manifest calls it `example`."""
    if document["kind"] == "GatewayClass":
        document["metadata"]["name"] = "contour"
    else:
        document["spec"]["gatewayClassName"] = "contour"
    return document
