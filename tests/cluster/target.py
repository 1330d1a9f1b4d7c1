"""A release behind the gateway that is about to be changed under load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from tests.cluster.prober import Probe
from tests.cluster.product import Product, Release
from tests.cluster.waiting import eventually

HOST = "moving.example.test"
# About half of what two pods of one shared CPU take with the load generator beside them.
RATE = 40.0
# The gateway that the cluster's own manifests bring.
PARENTS = [{"name": "contour", "namespace": "projectcontour"}]
LET_IN = {"gatewayNamespaces": ["projectcontour"]}
# Two pods and what replaces them fit on two cores.
RESOURCES = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}


@dataclass(frozen=True)
class Target:
    release: Release
    values: dict[str, Any]
    image: bytes
    expected: str

    def probe(self, rate: float = RATE) -> Probe:
        url = f"{self.release.cluster.http}/predict"
        return Probe(url, host=HOST, image=self.image, expected=self.expected, rate=rate)


def installed(release: Release, product: Product) -> Target:
    """Routed and answering."""
    route = {"enabled": True, "parentRefs": PARENTS, "hostnames": [HOST]}
    values = product.values | {"httpRoute": route, "networkPolicy": LET_IN, "resources": RESOURCES}
    release.install(values)

    def routed() -> bool:
        return httpx.get(f"{release.cluster.http}/readyz", headers={"Host": HOST}).status_code == 200

    eventually(routed, "a route to the service")
    expected, image = next(iter(product.golden.items()))
    return Target(release, values, image, expected)
