"""Kubernetes objects for the tests' own program, which meet Pod Security `restricted`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
POD_SECURITY = {"runAsNonRoot": True, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"}}


def pod(name: str, image: str, *arguments: str, node: str | None = None, **container: object) -> dict[str, Any]:
    only: dict[str, object] = {"name": "echo", "image": image, "args": list(arguments), **container}
    specification: dict[str, object] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "securityContext": POD_SECURITY,
        "containers": [only | {"securityContext": CONTAINER_SECURITY}],
    }
    if node:
        specification["nodeName"] = node
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": specification,
    }


def service(name: str, port: int = 80) -> dict[str, Any]:
    ports = [{"port": port, "targetPort": 8080 if port == 80 else port}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": ports},
    }


def claim(name: str) -> dict[str, Any]:
    resources = {"requests": {"storage": "1Gi"}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": resources},
    }


def ingress(name: str, host: str, tls: Sequence[Mapping[str, object]] = ()) -> dict[str, Any]:
    backend = {"service": {"name": name, "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name},
        "spec": {
            "ingressClassName": "contour",
            "rules": [{"host": host, "http": {"paths": paths}}],
            "tls": list(tls),
        },
    }


def http_route(name: str, host: str) -> dict[str, Any]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name},
        "spec": {
            "parentRefs": [{"name": "contour", "namespace": "projectcontour"}],
            "hostnames": [host],
            "rules": [{"backendRefs": [{"name": name, "port": 80}]}],
        },
    }
