"""A release behind the gateway, which the tests change under load."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx

from tests.cluster.prober import Probe, Rate
from tests.cluster.product import Product, Release
from tests.cluster.waiting import eventually

HOST = "moving.example.test"
RATE = 50.0
# The gateway of the project's own cluster.
PARENTS = [{"name": "contour", "namespace": "projectcontour"}]
ADMIT_GATEWAY = {"gatewayNamespaces": ["projectcontour"]}
# Two pods and their replacements fit on two cores.
RESOURCES = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}


@dataclass(frozen=True)
class Target:
    release: Release
    values: dict[str, Any]
    image: bytes
    expected: str
    host: str = HOST

    def probe(self, rate: float | Rate = RATE) -> Probe:
        url = f"{self.release.cluster.http}/predict"
        return Probe(url, host=self.host, image=self.image, expected=self.expected, rate=rate)

    def install(self) -> None:
        """Install the release and wait until the gateway routes to it."""
        self.release.install(self.values)
        eventually(self.routed, "a route to the service")

    def routed(self) -> bool:
        return httpx.get(f"{self.release.cluster.http}/v2/health/ready", headers={"Host": self.host}).status_code == 200

    def settled(self) -> bool:
        """Return whether no pod is ending. A rollout is done while old pods still end."""
        return not any("deletionTimestamp" in pod["metadata"] for pod in self.release.pods())

    def restore(self) -> None:
        """Undo the changes to the release's values, if there are any."""
        if json.loads(self.release.helm("get", "values", self.release.name, "--output", "json")) != self.values:
            self.release.upgrade(self.values)


def behind_the_gateway(release: Release, product: Product, host: str = HOST, **more: Any) -> Target:
    """Return a target, not yet installed: default values, those that this machine and the route need, and `more`."""
    route = {"enabled": True, "parentRefs": PARENTS, "hostnames": [host]}
    values = product.values | {"httpRoute": route, "networkPolicy": ADMIT_GATEWAY, "resources": RESOURCES} | more
    expected, image = next(iter(product.golden.items()))
    return Target(release, values, image, expected, host)
