"""Take a canary out of the route before helm deletes its Service.

Helm changes the route first and deletes the Service right after it. A gateway hears of both within moments and may drop
the Service's endpoints first; requests that the old route still sends there get a 503.
"""

from __future__ import annotations

import time
from functools import cached_property
from typing import Any

from k8s.cluster import Cluster, Json
from k8s.errors import NotFound
from k8s.pods.waiting import pauses
from k8s.releases.helm import Helm, objects

_SECONDS = 10
"""The longest wait for a gateway to say that it has seen the route."""


class Routes:
    """The HTTPRoutes of a release."""

    def __init__(self, cluster: Cluster, helm: Helm, name: str) -> None:
        self._cluster, self._helm, self._name = cluster, helm, name
        self._where = ("gateway.networking.k8s.io", "v1", cluster.namespace, "httproutes")
        self._before: dict[str, list[Json]] = {}

    def drain(self, values: Json) -> None:
        """Give the canary no more requests if `values`, which helm applies next, remove it.

        Returns once the gateways have seen it, or after some seconds.
        """
        if values.get("canary", {}).get("enabled"):
            return
        running = [each for _, each in objects(self._helm.manifest(self._name))]
        services = {each["metadata"]["name"] for each in running if each["kind"] == "Service" and _of_canary(each)}
        for route in (each["metadata"]["name"] for each in running if each["kind"] == "HTTPRoute"):
            try:
                rules = self._get(route)["spec"]["rules"]
            except NotFound:  # deleted by hand
                continue
            without = [_without(rule, services) for rule in rules]
            if without != rules:
                self._before[route] = rules
                self._change(route, without)

    def restore(self) -> None:
        """Undo `drain`."""
        for route, rules in self._before.items():
            self._change(route, rules)

    @cached_property
    def _api(self) -> Any:
        from kubernetes.client import CustomObjectsApi

        return CustomObjectsApi(self._cluster.client)

    def _get(self, route: str) -> Json:
        return self._cluster.ask(self._api.get_namespaced_custom_object, *self._where, route)

    def _change(self, route: str, rules: list[Json]) -> None:
        patch, kind = self._api.patch_namespaced_custom_object, "application/merge-patch+json"
        changed = self._cluster.ask(patch, *self._where, route, {"spec": {"rules": rules}}, _content_type=kind)
        end = time.monotonic() + _SECONDS
        for pause in pauses():
            if _seen(self._get(route), changed["metadata"]["generation"]) or time.monotonic() > end:
                return
            time.sleep(pause)


def _of_canary(service: Json) -> bool:
    labels: Json = service["metadata"].get("labels", {})
    return labels.get("app.kubernetes.io/component") == "canary"


def _without(rule: Json, services: set[str]) -> Json:
    """Return a rule that gives all requests to its other backends."""
    backends = rule.get("backendRefs", [])
    if not any(ref["name"] in services and ref.get("weight", 1) for ref in backends):
        return rule
    # The stable version has a weight of 0 beside a canary that gets all requests.
    return rule | {
        "backendRefs": [
            ref | {"weight": 0 if ref["name"] in services else ref.get("weight", 1) or 100} for ref in backends
        ]
    }


def _seen(route: Json, generation: int) -> bool:
    conditions = [each for parent in route.get("status", {}).get("parents", []) for each in parent["conditions"]]
    return all(each.get("observedGeneration", generation) >= generation for each in conditions)
