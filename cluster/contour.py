"""Contour's own manifest, made to fit: our images, one copy of each part on the first node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from cluster import images, tools
from cluster.settings import CONTROL_PLANE, Settings


def files(settings: Settings) -> tuple[Path, Path]:
    """The definitions of its kinds, and everything else. Written once for each build of the images."""
    key = "-".join(images.name(settings, program).rpartition(":")[2] for program in ("contour", "envoy"))
    folder = settings.home / "manifests"
    definitions, objects = folder / f"definitions-{key}.json", folder / f"contour-{key}.json"
    if not objects.exists():
        folder.mkdir(exist_ok=True)
        documents = [document for document in _parsed(tools.contour_manifest()) if document]
        kinds = [_terse(document) for document in documents if document["kind"] == "CustomResourceDefinition"]
        others = [_fitted(settings, document) for document in documents if document["kind"] != kinds[0]["kind"]]
        _write(definitions, kinds)
        _write(objects, others)
    return definitions, objects


def _parsed(path: Path) -> list[dict[str, Any]]:
    # In C it takes one second, in Python ten.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return list(yaml.load_all(path.read_text(), Loader=loader))


def _terse(node: Any) -> Any:
    """Without descriptions, which are most of it: the API server takes a third of the time to learn it."""
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
            if "readinessProbe" in container:
                container["readinessProbe"] |= {"initialDelaySeconds": 0, "periodSeconds": 1}
    if document["kind"] == "Deployment":
        document["spec"]["replicas"] = 1
    # It is called `example` there.
    if document["kind"] == "GatewayClass":
        document["metadata"]["name"] = "contour"
    if document["kind"] == "Gateway":
        document["spec"]["gatewayClassName"] = "contour"
    return document


def _write(path: Path, items: list[dict[str, Any]]) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    part.rename(path)
