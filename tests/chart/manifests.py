"""The rendered objects of a chart, with ways to find and inspect them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

Object = dict[str, Any]
NAME = "web-image-classifier"
"""The full name of the release `web`."""


class _UniqueKeys(yaml.CSafeLoader):
    """Refuse a map with a duplicate key. Other YAML readers silently use the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        assert not twice, f"{node.start_mark}: duplicate keys {twice}"
        return super().construct_mapping(node, deep)


@dataclass(frozen=True)
class Manifests:
    """One rendering of the chart. Objects are found by kind and name."""

    text: str
    objects: tuple[Object, ...]

    @classmethod
    def parse(cls, text: str) -> Manifests:
        return cls(text, tuple(item for item in yaml.load_all(text, _UniqueKeys) if item))

    def find(self, kind: str, name: str = NAME) -> Object | None:
        found = [item for item in self.objects if (item["kind"], item["metadata"]["name"]) == (kind, name)]
        assert len(found) <= 1, f"{kind} {name} exists {len(found)} times"
        return found[0] if found else None

    def get(self, kind: str, name: str = NAME) -> Object:
        found = self.find(kind, name)
        assert found is not None, f"no {kind} {name} among {self.names}"
        return found

    def spec(self, kind: str, name: str = NAME) -> Object:
        spec: Object = self.get(kind, name)["spec"]
        return spec

    @property
    def names(self) -> list[str]:
        return [f"{item['kind']} {item['metadata']['name']}" for item in self.objects]

    @property
    def kinds(self) -> set[str]:
        return {item["kind"] for item in self.objects}

    def pod(self, name: str = NAME) -> Object:
        """Return the pod template of a Deployment."""
        template: Object = self.spec("Deployment", name)["template"]
        return template

    def server(self, name: str = NAME) -> Object:
        """Return the server's container."""
        container: Object = self.pod(name)["spec"]["containers"][0]
        assert container["name"] == "server"
        return container

    def env(self, name: str = NAME) -> Object:
        """Return the server's environment variables, with `value` or `valueFrom`."""
        return {item["name"]: item.get("value", item.get("valueFrom")) for item in self.server(name)["env"]}

    @property
    def settings(self) -> dict[str, str]:
        data: dict[str, str] = self.get("ConfigMap")["data"]
        return data

    def pod_specs(self) -> Iterator[tuple[str, Object]]:
        """Yield the name and the pod spec of every object that runs containers."""
        for item in self.objects:
            if item["kind"] == "Deployment":
                yield f"Deployment {item['metadata']['name']}", item["spec"]["template"]["spec"]
            elif item["kind"] == "Pod":
                yield f"Pod {item['metadata']['name']}", item["spec"]


def containers(pod: Object) -> list[Object]:
    """Return all containers of a pod spec, including init containers."""
    return [*pod.get("initContainers", []), *pod["containers"]]
