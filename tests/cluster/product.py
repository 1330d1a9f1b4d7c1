"""What is installed in the tests: the image that `make image` builds, in the registry, and the chart beside it."""

from __future__ import annotations

import io
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from cluster.settings import REPOSITORY
from tests.cluster.kubectl import Cluster

MANIFESTS = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
CHART = REPOSITORY / "helm" / "image-classifier"


@dataclass(frozen=True)
class Product:
    """`golden` are images of the model's own, as JPEG, by the class each must get."""

    registry: str
    digest: str
    model: str
    model_digest: str
    golden: dict[str, bytes]

    @property
    def values(self) -> dict[str, Any]:
        """What a user sets: where the image is."""
        return {"image": {"registry": self.registry, "repository": "image-classifier", "digest": self.digest}}


def build(registry: str) -> Product:
    """By the same commands as a person: scripts/image, then a push."""
    built = json.loads(_output("scripts/image").splitlines()[-1])
    name = f"{registry}/image-classifier:test"
    push(built["names"][0], name)
    labels = built["labels"]
    model, model_digest = (labels[f"image-classifier/model-{kind}"] for kind in ("tag", "digest"))
    return Product(registry, digest(registry, "image-classifier", "test"), model, model_digest, _golden())


def push(image: str, name: str) -> None:
    """To a registry that speaks plain HTTP, which Docker takes for granted on localhost."""
    _output("scripts/engine", "tag", image, name)
    plain = ["--tls-verify=false"] if _output("scripts/engine", "--name").strip() == "podman" else []
    _output("scripts/engine", "push", *plain, name)


def digest(registry: str, repository: str, tag: str) -> str:
    answer = httpx.head(f"http://{registry}/v2/{repository}/manifests/{tag}", headers={"Accept": MANIFESTS})
    return str(answer.raise_for_status().headers["Docker-Content-Digest"])


def jpeg(path: Path) -> bytes:
    """Large enough that the format's losses don't touch the class."""
    out = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").resize((256, 256), Image.Resampling.NEAREST).save(out, "JPEG", quality=95)
    return out.getvalue()


def _golden() -> dict[str, bytes]:
    folder = Path(_output("scripts/model").strip().splitlines()[-1]) / "golden"
    entries = json.loads((folder / "golden.json").read_text())
    return {entry["class"]: jpeg(folder / entry["file"]) for entry in entries}


def _output(*command: str) -> str:
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Release:
    """A Helm release in a namespace of its own."""

    cluster: Cluster
    namespace: str
    name: str = "demo"

    @property
    def fullname(self) -> str:
        return f"{self.name}-image-classifier"

    def helm(self, *arguments: str | Path, values: dict[str, Any] | None = None, check: bool = True) -> str:
        """What Helm prints; with `check` unset, its errors too."""
        flags = ["--values", "-"] if values is not None else []
        done = subprocess.run(
            [REPOSITORY / "scripts" / "helm", *map(str, arguments), "--namespace", self.namespace, *flags],
            input=json.dumps(values) if values is not None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if check else subprocess.STDOUT,
            text=True,
            env=self.cluster.environment,
            check=False,
            timeout=400,
        )
        assert not check or done.returncode == 0, f"helm {' '.join(map(str, arguments))}: {done.stderr}{done.stdout}"
        return done.stdout

    def install(self, values: dict[str, Any]) -> str:
        return self.helm("install", self.name, CHART, "--wait", "--timeout=180s", values=values)

    def upgrade(self, values: dict[str, Any]) -> str:
        return self.helm("upgrade", self.name, CHART, "--wait", "--timeout=180s", "--reset-values", values=values)

    def pods(self) -> list[dict[str, Any]]:
        selector = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component=server"
        found: list[dict[str, Any]] = self.cluster.get("pods", "-n", self.namespace, "-l", selector)["items"]
        return found
