"""Create the cluster's add-ons: DNS, metrics, the gateway, volumes. Their objects are in manifests/."""

from __future__ import annotations

import json
import string
from pathlib import Path

from cluster.addons import contour
from cluster.images import programs
from cluster.namespaces import enter
from cluster.settings import CONTROL_PLANE, DNS_SERVICE, NODES, Settings

MANIFESTS = Path(__file__).parent / "manifests"
# Metrics are missing here because they take two rounds of 10 s, and only autoscaling needs them.
WAITED_FOR = (("kube-system", "deployment/coredns"), ("projectcontour", "daemonset/envoy"))
PATIENCE = "120s"
VOLUMES = 20


def create(settings: Settings) -> None:
    folder = settings.run / "manifests"
    folder.mkdir()
    files = contour.files(settings)
    for template in sorted(MANIFESTS.glob("*.yaml")):
        (folder / template.name).write_text(string.Template(template.read_text()).substitute(_values(settings)))
    (folder / "volumes.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": _volumes(settings)}))
    everything = (files.kinds, files.programs, *sorted(folder.iterdir()))
    _kubectl(settings, "create", *(f"--filename={path}" for path in everything))
    # The API server rejects objects of a kind that it hasn't established yet.
    _kubectl(settings, "wait", "--for=condition=Established", f"--timeout={PATIENCE}", "-f", files.kinds)
    _kubectl(settings, "create", "-f", files.gateway)


def wait(settings: Settings) -> None:
    for node in NODES:
        # One node at a time: given several names, kubectl gives up if one of them doesn't exist yet.
        for condition in ("create", "condition=Ready"):
            _kubectl(settings, "wait", f"--for={condition}", f"--timeout={PATIENCE}", f"node/{node.name}")
    for namespace, name in WAITED_FOR:
        _kubectl(settings, "-n", namespace, "rollout", "status", f"--timeout={PATIENCE}", name)


def _values(settings: Settings) -> dict[str, str]:
    return {
        "coredns": programs.name(settings, "coredns"),
        "metrics_server": programs.name(settings, "metrics-server"),
        "dns": DNS_SERVICE,
        "address": CONTROL_PLANE.address,
        "registry_port": str(settings.registry_port),
        "registry": settings.registry,
    }


def _volumes(settings: Settings) -> list[dict[str, object]]:
    volumes: list[dict[str, object]] = []
    for number in range(1, VOLUMES + 1):
        path = settings.run / "volumes" / str(number)
        path.mkdir(parents=True)
        # Each pod runs as its own user, and the kubelet doesn't change the owner of a hostPath folder.
        path.chmod(0o777)
        specification = {
            "storageClassName": "shared",
            "capacity": {"storage": "20Gi"},
            "accessModes": ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"],
            "hostPath": {"path": str(path)},
        }
        metadata = {"name": f"shared-{number}"}
        volumes.append({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": specification})
    return volumes


def _kubectl(settings: Settings, *arguments: str | Path) -> None:
    # Inside the namespaces, kubectl ends when the cluster does.
    enter.run(settings, ["kubectl", *map(str, arguments)])
