"""Contour's own manifest, made to fit: our images, one copy of each part on the first node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from cluster import images, tools
from cluster.settings import CONTROL_PLANE, Settings

GATEWAY = "gateway.networking.k8s.io/v1"


class Files(NamedTuple):
    """To be created in this order: the kinds, what runs, and the objects of those kinds."""

    kinds: Path
    programs: Path
    gateway: Path


def files(settings: Settings) -> Files:
    folder = settings.home / "manifests"
    return Files(folder / "kinds.json", folder / "contour.json", folder / "gateway.json")


def write(settings: Settings) -> None:
    """Anew for each start: it depends on the images, and takes a moment."""
    kinds, programs, gateway = [], [], []
    for document in filter(None, _parsed(tools.contour_manifest())):
        if document["kind"] == "CustomResourceDefinition":
            kinds.append(_terse(document))
        elif document["apiVersion"] == GATEWAY:
            gateway.append(_named(document))
        else:
            programs.append(_fitted(settings, document))
    for path, items in zip(files(settings), (kinds, programs, gateway), strict=True):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))


def _parsed(path: Path) -> list[dict[str, Any]]:
    # In C where PyYAML has it: the file has 26,000 lines.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return list(yaml.load_all(path.read_text(), Loader=loader))


def _terse(node: Any) -> Any:
    """Without descriptions, which are most of it: the API server has to learn all of it at each start."""
    if isinstance(node, dict):
        # A property may have that name too; then it is no text.
        return {key: _terse(value) for key, value in node.items() if key != "description" or not isinstance(value, str)}
    if isinstance(node, list):
        return [_terse(item) for item in node]
    return node


def _fitted(settings: Settings, document: dict[str, Any]) -> dict[str, Any]:
    if document["kind"] in ("Deployment", "DaemonSet", "Job"):
        specification = document["spec"]["template"]["spec"]
        specification["nodeSelector"] = {"kubernetes.io/hostname": CONTROL_PLANE.name}
        for container in (*specification["containers"], *specification.get("initContainers", ())):
            program = "envoy" if "envoyproxy" in container["image"] else "contour"
            container["image"] = images.name(settings, program)
            if program in container["name"]:
                # Without, they get what pods that are just starting leave over, and every request waits for it.
                container["resources"] = {"requests": {"cpu": "250m"}}
            if "readinessProbe" in container:
                container["readinessProbe"] |= {"initialDelaySeconds": 0, "periodSeconds": 1}
    if document["kind"] == "Deployment":
        document["spec"]["replicas"] = 1
    return document


def _named(document: dict[str, Any]) -> dict[str, Any]:
    """Its class is called `example` there."""
    if document["kind"] == "GatewayClass":
        document["metadata"]["name"] = "contour"
    else:
        document["spec"]["gatewayClassName"] = "contour"
    return document
