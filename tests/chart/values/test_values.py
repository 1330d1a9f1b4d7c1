"""Every value has an effect: changing any leaf of values.yaml changes the rendered objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from helm import describe
from tests.chart.conftest import CHART, PROFILES, Values, template
from tests.chart.switches import INGRESS, PVC, ROUTE, URL

LEAVES = {
    ".".join(leaf.path): leaf.default
    for leaf in describe.leaves(describe.read((CHART / "values.yaml").read_text(encoding="utf-8")))
}

# Values that must be set for a value to have an effect, by the prefix of its name. The longest prefix counts.
NEEDS: dict[str, Values] = {
    "apiKeys.key": {"apiKeys.existingSecret": "keys"},
    "autoscaling": {"autoscaling.enabled": True},
    "canary": {"canary.enabled": True},
    "canary.weight": ROUTE | {"canary.enabled": True},
    "dashboard": {"dashboard.enabled": True},
    "gpu": {"gpu.enabled": True},
    "httpRoute": ROUTE,
    "ingress": INGRESS,
    "keda": {"keda.enabled": True},
    "model.pvc": PVC,
    "model.url": URL,
    "podMonitor": {"podMonitor.enabled": True},
    "prometheusRule": {"prometheusRule.enabled": True},
    "serviceMonitor": {"serviceMonitor.enabled": True},
    "shadow": ROUTE | {"shadow.enabled": True},
}
# Values for which `changed` cannot derive a valid value from the default.
OTHERS: dict[str, Any] = {
    "affinity": {"nodeAffinity": {}},
    "autoscaling.metrics": [{"type": "External"}],
    "canary.image": {"tag": "next"},
    "canary.model": {"tag": "m:2"},
    "commonAnnotations": {"a": "b"},
    "extraContainers": [{"name": "x", "image": "i"}],
    "extraInitContainers": [{"name": "x", "image": "i"}],
    "extraObjects": ["apiVersion: v1\nkind: Secret\nmetadata: {name: x}"],
    "extraVolumeMounts": [{"name": "x", "mountPath": "/x"}],
    "fullnameOverride": "birds",
    "httpRoute.hostnames": ["a.example.com"],
    "httpRoute.parentRefs": [{"name": "other"}],
    "httpRoute.timeout": "5s",
    "resources.limits.ephemeral-storage": "4Gi",
    "resources.limits.memory": "2Gi",
    "resources.requests.cpu": "250m",
    "resources.requests.ephemeral-storage": "64Mi",
    "resources.requests.memory": "256Mi",
    "service.ipFamilies": ["IPv6"],
    "service.ipFamilyPolicy": "SingleStack",
    "image.digest": "sha256:" + "0" * 64,
    "image.pullPolicy": "Always",
    "ingress.hosts": ["a.example.com"],
    "ingress.tls": [{"secretName": "x"}],
    "keda.threshold": "9",
    "model.runtime": "onnx",
    "model.source": "pvc",
    "keda.fallback.behavior": "static",
    "model.tag": "image_classifier:2",
    "model.url.location": "https://other.example.com/m",
    "model.url.sha256": "1" * 64,
    "networkPolicy.extraEgress": [{"ports": [{"port": 1}]}],
    "networkPolicy.extraFrom": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
    "networkPolicy.extraManagementFrom": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
    "networkPolicy.gatewayNamespaces": ["other"],
    "networkPolicy.monitoringNamespaces": ["other"],
    "podMonitor.interval": "5s",
    "prometheusRule.latencySeconds": "0.1",
    "serviceMonitor.interval": "5s",
    "service.type": "NodePort",
    "shadow.image": {"tag": "next"},
    "shadow.model": {"tag": "m:2"},
    "settings.disabledRoutes": "docs",
    "settings.execution": "inline",
    "settings.logFormat": "text",
    "settings.logLevel": "debug",
    "tolerations": [{"operator": "Exists"}],
    "topologySpreadConstraints": [{"topologyKey": "rack"}],
    "tracing.endpoint": "http://collector:4318",
}
# Values that must be set together with another value.
BESIDE: dict[str, Values] = {
    "httpRoute.enabled": {"httpRoute.parentRefs": [{"name": "g"}], "networkPolicy.enabled": False},
    "ingress.enabled": {"networkPolicy.enabled": False},
    "model.source": {"model.tag": "m:1", "model.pvc.claimName": "c"},
    "service.type": {"networkPolicy.enabled": False},
    "shadow.enabled": ROUTE,
}


def changed(default: Any) -> Any:
    """Return another value of the same kind."""
    if isinstance(default, bool):
        return not default
    if isinstance(default, int):
        return default + 1
    if isinstance(default, float):
        return default / 2 + 0.4
    if isinstance(default, str):
        return default + "x" if default and not default[0].isdigit() else "7"
    if isinstance(default, list):
        return [{"name": "x"}]
    return {"x": "y"}


@pytest.mark.parametrize("path", [path for path in LEAVES if path != "enabled"])
def test_every_value_changes_the_rendered_objects(path: str) -> None:
    needs = max((name for name in NEEDS if path == name or path.startswith(f"{name}.")), key=len, default=None)
    switched_off = path.endswith(".enabled")
    base = (NEEDS[needs] if needs and not switched_off else {}) | BESIDE.get(path, {})
    other = OTHERS.get(path, changed(LEAVES[path]))
    assert other != base.get(path, LEAVES[path])
    before, after = template(base), template(base | {path: other})
    assert before.objects != after.objects, f"{path} has no effect"


def pairs(values: Any, defaults: Any, where: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield the path of each leaf of `values`, its value and its default."""
    if not isinstance(values, dict):
        yield where, values, defaults
        return
    for key, value in values.items():
        yield from pairs(value, (defaults or {}).get(key), f"{where}.{key}")


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_repeats_no_default(profile: str) -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / f"values-{profile}.yaml").read_text(encoding="utf-8"))
    assert [path for path, value, default in pairs(values, defaults, profile) if value == default] == []


def test_the_tables_name_existing_values() -> None:
    for table in (NEEDS, OTHERS, BESIDE):
        assert [name for name in table if not any(f"{path}.".startswith(f"{name}.") for path in LEAVES)] == []
