"""The things that the tests install: the image that `make image` builds, in the registry, and the chart."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from cluster.settings import REPOSITORY
from model_format import golden
from model_format.layout import GOLDEN_FOLDER
from tests.cluster.kubectl import Cluster

MANIFESTS = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
NAME = "image-classifier-e2e"
"""The tests' own image name, so that an image which a person built stays."""
CHART = REPOSITORY / "helm" / "image-classifier"


@dataclass(frozen=True)
class Product:
    """An image in the registry and its model. `golden` has the model's own images as JPEG, by the class of each."""

    registry: str
    digest: str
    model: str
    model_digest: str
    golden: dict[str, bytes]

    @property
    def values(self) -> dict[str, Any]:
        """The values that a user sets: where the image is."""
        return {"image": {"registry": self.registry, "repository": "image-classifier", "digest": self.digest}}


@dataclass(frozen=True)
class Workshop:
    """Train models and build images, in a model store and under an image name of the tests' own."""

    home: Path
    registry: str

    def first(self) -> Product:
        """Build as a person does, which trains on the built-in digits if the store is empty; or take IMAGE's image."""
        return self._published("test", os.environ.get("IMAGE") or self._built())

    def newer(self, folder: Path) -> Product:
        """Build another model into another image, or take NEWER_IMAGE's image."""
        if image := os.environ.get("NEWER_IMAGE"):
            return self._published("newer", image)
        short = ("--seed", "2", "--epochs", "10", "--width", "16")
        train = (sys.executable, "-m", "training", "--data", "digits", *short, "--out", str(folder / "run"))
        output(*train, BENTOML_HOME=str(self.home))
        return self._published("newer", self._built())

    def close(self) -> None:
        """Remove the images."""
        if names := output("containers/engine", "images", "--quiet", f"--filter=reference={NAME}").split():
            output("containers/engine", "image", "rm", "--force", *names)

    def _built(self) -> str:
        """Build an image and return its unique name, which has the Bento's version, not the project's."""
        said = output("containers/image", BENTOML_HOME=str(self.home), IMAGE_NAME=NAME)
        return str(json.loads(said.splitlines()[-1])["names"][-1])

    def _published(self, tag: str, image: str) -> Product:
        labels = json.loads(output("containers/engine", "image", "inspect", image))[0]["Config"]["Labels"]
        model, model_digest = (labels[f"image-classifier/model-{kind}"] for kind in ("tag", "digest"))
        push(image, f"{self.registry}/image-classifier:{tag}")
        pushed = digest(self.registry, "image-classifier", tag)
        return Product(self.registry, pushed, model, model_digest, _golden(image, model))


def push(image: str, name: str) -> None:
    """Push to a registry that speaks plain HTTP, which Docker allows on localhost by default."""
    output("containers/engine", "tag", image, name)
    plain = ["--tls-verify=false"] if output("containers/engine", "--name").strip() == "podman" else []
    output("containers/engine", "push", *plain, name)
    output("containers/engine", "image", "rm", name)


def push_archive(path: Path, name: str, pushed: str) -> None:
    """Push the image `name` from an archive that `docker save` wrote, as `pushed`."""
    output("containers/engine", "load", "--input", str(path))
    push(name, pushed)
    output("containers/engine", "image", "rm", name)


@contextlib.contextmanager
def job_image(cluster: Cluster, kind: str) -> Iterator[str]:
    """Yield the image of containers/job-image, or the one that KIND_IMAGE names, in the registry, by digest."""
    if not cluster.registry:
        pytest.skip("REGISTRY names no registry that this machine can push to and the cluster pull from")
    # The tests' own name, so that an image which a person built stays.
    name = f"image-classifier-{kind}-e2e"
    given = os.environ.get(f"{kind.upper()}_IMAGE")
    image = given or output("containers/job-image", kind, IMAGE_NAME=name).splitlines()[-1]
    push(image, f"{cluster.registry}/{name}:test")
    yield f"{cluster.registry}/{name}@{digest(cluster.registry, name, 'test')}"
    if not given:
        output("containers/engine", "image", "rm", image)


def digest(registry: str, repository: str, tag: str) -> str:
    answer = httpx.head(f"http://{registry}/v2/{repository}/manifests/{tag}", headers={"Accept": MANIFESTS})
    return str(answer.raise_for_status().headers["Docker-Content-Digest"])


def _golden(image: str, model: str) -> dict[str, bytes]:
    """Return the golden images of the model, read from the image that serves it."""
    folder = f"/home/bentoml/bento/models/{model.replace(':', '/')}/{GOLDEN_FOLDER}"
    script = f"import sys, tarfile; tarfile.open(fileobj=sys.stdout.buffer, mode='w|').add({folder!r}, '.')"
    command = ["containers/engine", "run", "--rm", "--network=none", "--entrypoint", "python", image, "-c", script]
    packed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as files:
        content = {entry.name.removeprefix("./"): files.extractfile(entry) for entry in files if entry.isfile()}
        read = {name: file.read() for name, file in content.items() if file}
    return {one.class_name: _jpeg(one.image) for one in golden.parse(read, model)}


def _jpeg(encoded: bytes) -> bytes:
    """Return a JPEG large enough that the format's losses don't change the class."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(encoded)) as image:
        image.convert("RGB").resize((256, 256), Image.Resampling.NEAREST).save(out, "JPEG", quality=95)
    return out.getvalue()


def output(*command: str, **variables: str) -> str:
    environment = os.environ | variables
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Release:
    """A Helm release in its own namespace."""

    cluster: Cluster
    namespace: str
    name: str = "e2e"

    @property
    def fullname(self) -> str:
        return f"{self.name}-image-classifier"

    def helm(
        self, *arguments: str | Path, values: dict[str, Any] | None = None, check: bool = True, errors: bool = False
    ) -> str:
        """Run Helm and return what it prints; with `errors` or without `check`, standard error too."""
        flags = ["--values", "-"] if values is not None else []
        done = subprocess.run(
            [REPOSITORY / "scripts" / "helm", *map(str, arguments), "--namespace", self.namespace, *flags],
            input=json.dumps(values) if values is not None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if check and not errors else subprocess.STDOUT,
            text=True,
            env=self.cluster.environment,
            check=False,
            timeout=400,
        )
        assert not check or done.returncode == 0, f"helm {' '.join(map(str, arguments))}: {done.stderr}{done.stdout}"
        return done.stdout

    def install(self, values: dict[str, Any]) -> str:
        return self.helm("install", self.name, CHART, "--wait", "--timeout=180s", values=values)

    def upgrade(self, values: dict[str, Any], chart: Path = CHART) -> str:
        return self.helm("upgrade", self.name, chart, "--wait", "--timeout=180s", "--reset-values", values=values)

    def pods(self, component: str = "server") -> list[dict[str, Any]]:
        selector = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component={component}"
        found: list[dict[str, Any]] = self.cluster.get("pods", "-n", self.namespace, "-l", selector)["items"]
        return found

    def metrics(self, pod: dict[str, Any]) -> str:
        """Return the pod's own metrics, or the API server's error if the pod can't be reached."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}:3001/proxy/metrics"
        return self.cluster.kubectl("get", "--raw", path, check=False)
