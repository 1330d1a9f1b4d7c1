"""Values that turn on each switch of the chart, together with the values it needs."""

from __future__ import annotations

from tests.chart.conftest import Values

ROUTE: Values = {
    "httpRoute.enabled": True,
    "httpRoute.parentRefs": [{"name": "public", "namespace": "gateways"}],
    "httpRoute.hostnames": ["images.example.com"],
    "networkPolicy.gatewayNamespaces": ["gateways"],
}
URL: Values = {
    "model.source": "url",
    "model.tag": "image_classifier:abc",
    "model.url.location": "oci://registry.example.com:5000/models/image_classifier:abc",
    "model.url.sha256": "0" * 64,
}
PVC: Values = {"model.source": "pvc", "model.tag": "image_classifier:abc", "model.pvc.claimName": "models"}
INGRESS: Values = {
    "ingress.enabled": True,
    "ingress.className": "nginx",
    "ingress.hosts": ["images.example.com"],
    "ingress.tls": [{"hosts": ["images.example.com"], "secretName": "tls"}],
    "networkPolicy.gatewayNamespaces": ["ingress-nginx"],
}
SWITCHES: dict[str, Values] = {
    "defaults": {},
    "autoscaling": {"autoscaling.enabled": True, "autoscaling.targetInFlight": 4},
    "keda": {"keda.enabled": True},
    "canary": {"canary.enabled": True, "canary.image": {"tag": "next"}},
    "canary of a model from a URL": {
        "canary.enabled": True,
        "canary.model": {"source": "url", "tag": "m:2", "url": {"location": "https://s/m", "sha256": "0" * 64}},
    },
    "route": ROUTE,
    "two families of addresses": {"service.ipFamilyPolicy": "PreferDualStack", "service.ipFamilies": ["IPv6", "IPv4"]},
    "canary with an autoscaler": {"canary.enabled": True, "autoscaling.enabled": True},
    "canary with keda": {"canary.enabled": True, "keda.enabled": True},
    "route, canary and shadow": ROUTE | {"canary.enabled": True, "shadow.enabled": True},
    "ingress": INGRESS,
    "node port": {"service.type": "NodePort", "networkPolicy.enabled": False},
    "load balancer": {
        "service.type": "LoadBalancer",
        "networkPolicy.extraFrom": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
    },
    "model from a URL": URL,
    "model from a volume": PVC,
    "service monitor": {"serviceMonitor.enabled": True, "serviceMonitor.labels": {"release": "prometheus"}},
    "pod monitor": {"podMonitor.enabled": True},
    "alerts": {"prometheusRule.enabled": True},
    "alerts on an autoscaler": {"prometheusRule.enabled": True, "autoscaling.enabled": True},
    "dashboard": {"dashboard.enabled": True},
    "keys": {"apiKeys.existingSecret": "keys"},
    "tracing": {"tracing.endpoint": "http://collector.monitoring:4318"},
    "gpu": {"gpu.enabled": True},
    "names that look like numbers": PVC
    | INGRESS
    | {
        "image.tag": "2024",
        "model.tag": "7",
        "model.digest": "0x1",
        "model.pvc.claimName": "007",
        "model.pvc.subPath": "1e3",
        "ingress.className": "1",
        "ingress.hosts": ["1.5"],
        "apiKeys.existingSecret": "10",
        "apiKeys.key": "1",
        "priorityClassName": "1",
        "runtimeClassName": "1",
        "serviceAccount.name": "1",
        "commonLabels": {"build": "1", "yes": "no"},
        "imagePullSecrets": [{"name": "1"}],
    },
    "everything that is off by default and can be combined": ROUTE
    | URL
    | {
        "canary.enabled": True,
        "shadow.enabled": True,
        "ingress.enabled": True,
        "autoscaling.enabled": True,
        "serviceMonitor.enabled": True,
        "prometheusRule.enabled": True,
        "dashboard.enabled": True,
        "gpu.enabled": True,
        "apiKeys.existingSecret": "keys",
        "tracing.endpoint": "http://collector.monitoring:4318",
        "commonLabels": {"team": "vision"},
        "commonAnnotations": {"cost": "7"},
        "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-more"}}],
    },
    "everything that is on by default, turned off": {
        "pdb.enabled": False,
        "networkPolicy.enabled": False,
        "serviceAccount.create": False,
        "test.enabled": False,
        "shutdown.preStopSeconds": 0,
        "securityContext": {
            "allowPrivilegeEscalation": None,
            "readOnlyRootFilesystem": None,
            "capabilities": None,
        },
    },
}
