"""Access to the tests' cluster through kubectl."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.settings import REPOSITORY


@dataclass(frozen=True)
class Cluster:
    """`http` and `https` are the gateway's addresses; `registry` is its name for the nodes and this machine."""

    environment: Mapping[str, str]
    http: str
    https: str
    registry: str

    def kubectl(self, *arguments: str | Path, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl and return what it prints; without `check`, its errors too."""
        done = subprocess.run(
            ["kubectl", *map(str, arguments)],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if check else subprocess.STDOUT,
            text=True,
            env=self.environment,
            check=False,
            timeout=300,
        )
        assert not check or done.returncode == 0, f"kubectl {' '.join(map(str, arguments))}: {done.stderr}"
        return done.stdout

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def nodes(self) -> list[str]:
        """Return the names of the nodes that take pods."""
        items = self.get("nodes")["items"]
        return sorted(each["metadata"]["name"] for each in items if not each["spec"].get("taints"))

    @contextlib.contextmanager
    def cordoned(self, *nodes: str) -> Iterator[None]:
        """Keep new pods off the nodes until the block ends."""
        try:
            for node in nodes:
                self.kubectl("cordon", node)
            yield
        finally:
            for node in nodes:
                self.kubectl("uncordon", node)

    def apply(self, namespace: str, *objects: Mapping[str, object]) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("-n", namespace, "apply", "-f", "-", stdin=json.dumps(items))

    def report(self, namespace: str) -> str:
        """Return what a person would look at after a failure: events, pods, logs and Helm's history."""
        parts = [
            self.kubectl("-n", namespace, "get", "events", "--sort-by=.lastTimestamp", check=False),
            self.kubectl("-n", namespace, "describe", "pods", check=False),
        ]
        for pod in self.get("pods", "-n", namespace)["items"]:
            name = pod["metadata"]["name"]
            log = self.kubectl("-n", namespace, "logs", "--all-containers", "--tail=100", name, check=False)
            parts.append(f"--- {name}\n{log}")
        for release in self._helm("list", "--all", "--short", "--namespace", namespace).split():
            parts.append(f"--- {release}\n{self._helm('history', release, '--namespace', namespace)}")
        return "\n".join(parts)

    def _helm(self, *arguments: str) -> str:
        command = [str(REPOSITORY / "scripts" / "helm"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=self.environment, check=False).stdout


def environment(kubeconfig: str, *, path: str = "") -> dict[str, str]:
    return {**os.environ, "KUBECONFIG": kubeconfig, "PATH": os.pathsep.join(filter(None, [path, os.environ["PATH"]]))}
