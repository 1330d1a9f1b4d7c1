"""Train as a Job of one pod and of two: a killed pod is replaced, and the model in the shared store is released."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.settings import REPOSITORY
from tests.cluster import command, workloads
from tests.cluster.jobs import kill, pods
from tests.cluster.kubectl import Cluster
from tests.cluster.product import Product, Release
from tests.cluster.target import RESOURCES
from tests.folders import write_tree

# Each takes about a second, so the kill comes in the middle.
EPOCHS = 24
KILLED_AFTER = 3
EPOCHS_OF_TWO = 8
# Real photos: the CIFAR-10 images as JPEG, one folder per class.
PHOTOS = REPOSITORY.parent / "shared" / "data" / "cifar10-jpg.tar.xz"
PHOTOS_A_CLASS = 100


@pytest.fixture
def claims(cluster: Cluster, namespace: str, product: Product, tmp_path: Path) -> None:
    """Create the claim `photos` with images, and an empty claim `models`."""
    cluster.apply(namespace, workloads.claim("photos"), workloads.claim("models"))
    name = f"{product.registry}/image-classifier@{product.digest}"
    mounts = [{"name": "photos", "mountPath": "/photos"}]
    pod = workloads.pod("loader", name, command=["sleep", "600"], volumeMounts=mounts)
    pod["spec"]["volumes"] = [{"name": "photos", "persistentVolumeClaim": {"claimName": "photos"}}]
    cluster.apply(namespace, pod)
    here = ("-n", namespace)
    cluster.kubectl(*here, "wait", "--for=condition=Ready", "pod/loader", "--timeout=120s")
    unpack = "import sys, tarfile; tarfile.open(fileobj=sys.stdin.buffer, mode='r|').extractall('/photos')"
    subprocess.run(
        ["kubectl", *here, "exec", "-i", "loader", "--", "python", "-c", unpack],
        input=packed(tmp_path),
        env=cluster.environment,
        check=True,
        timeout=120,
    )
    cluster.kubectl(*here, "delete", "pod", "loader", "--now")


def packed(folder: Path) -> bytes:
    """Return a tar with one folder per class: real photos if they are there, otherwise coloured noise."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        if not PHOTOS.exists():
            made.add(write_tree(folder / "tree", {"red": 100, "green": 100, "blue": 100}), ".")
            return out.getvalue()
        taken: dict[str, int] = {}
        with tarfile.open(PHOTOS) as photos:
            for member in photos:
                *_, label, file = Path(member.name).parts if member.isfile() else ("", "")
                if file.endswith(".jpg") and taken.setdefault(label, 0) < PHOTOS_A_CLASS:
                    taken[label] += 1
                    content = photos.extractfile(member)
                    member.name = f"{label}/{file}"
                    made.addfile(member, content)
    return out.getvalue()


@pytest.mark.core
def test_a_killed_training_resumes_from_its_checkpoint_and_its_model_is_released(
    release: Release,
    product: Product,
    training_image: str,
    claims: None,
    tmp_path: Path,
    figure: Callable[[str], None],
) -> None:
    flags = ["--store-claim", "models", "--data-claim", "photos", "--cpu", "500m", "--output", "json"]
    options = ("--epochs", str(EPOCHS), "--width", "8", "--depth", "2", "--patience", str(EPOCHS))
    epochs = []
    with command.start(release, "train", "--image", training_image, *flags, "--", *options) as training:
        assert training.stderr
        assert training.stdout
        for line in training.stderr:
            if found := re.match(r"Epoch +(\d+)/", line):
                epochs.append(int(found[1]))
                if len(epochs) == KILLED_AFTER:
                    kill(release)
        said = training.stdout.read()
    assert training.returncode == 0, said
    # Another pod completed the training, from where the killed one had stopped.
    resumed = trained_by(only_pod(release), release)
    assert resumed[0] > 1, (epochs, resumed)
    assert resumed[-1] == EPOCHS, (epochs, resumed)

    model = json.loads(said)["model"]
    stored = {"source": "pvc", "tag": model, "pvc": {"claimName": "models"}}
    values = tmp_path / "values.json"
    values.write_text(json.dumps(product.values | {"model": stored, "resources": RESOURCES}))
    command.k8s(release, "release", "--values", str(values), "--slo", "none", "--timeout", "180s")
    found = json.loads(command.k8s(release, "status", "--output", "json"))
    assert [pod["model"] for pod in found["pods"]] == [model] * 2
    assert "Succeeded" in release.helm("test", release.name, "--timeout=120s")
    figure(f"killed after epoch {KILLED_AFTER}, resumed with epoch {resumed[0]} of {EPOCHS}; {model} released")


def test_two_workers_on_two_nodes_train_as_one_does_even_if_one_is_killed(
    release: Release, training_image: str, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    options = ["--data", "digits", "--image-size", "8", "--depth", "1", "--width", "8", "--batch-size", "64"]
    options += ["--epochs", str(EPOCHS_OF_TWO), "--patience", str(EPOCHS_OF_TWO), "--no-int8"]
    release.cluster.apply(release.namespace, workloads.claim("models"))
    flags = ["--store-claim", "models", "--workers", "2", "--cpu", "200m", "--output", "json"]
    losses: dict[int, str] = {}
    nodes, last = set[str](), 0
    with command.start(release, "train", "--image", training_image, *flags, "--", *options) as training:
        assert training.stderr
        assert training.stdout
        for line in training.stderr:
            if found := re.match(r"Epoch +(\d+)/\d+ +loss ([\d.]+)", line):
                losses[int(found[1])] = found[2]
                if len(losses) == 2 and not nodes:
                    nodes, last = {pod["spec"]["nodeName"] for pod in pods(release)}, int(found[1])
                    kill(release, index=1)
        said = training.stdout.read()
    assert training.returncode == 0, said
    assert len(nodes) == 2
    assert {pod["status"]["phase"] for pod in pods(release)} == {"Succeeded", "Failed"}
    assert list(losses) == list(range(1, EPOCHS_OF_TWO + 1))

    command_ = [sys.executable, "-m", "training", *options, "--no-publish", "--out", str(tmp_path / "alone")]
    here = {"KERAS_BACKEND": "jax", "BENTOML_HOME": str(tmp_path)}
    subprocess.run(command_, env=os.environ | here, cwd=REPOSITORY, capture_output=True, check=True, timeout=200)
    alone = json.loads((tmp_path / "alone" / "metrics.json").read_text())["train"]["history"]["loss"]
    # Two workers add in another order than one, and the differences grow with every step.
    assert [float(loss) for loss in losses.values()] == pytest.approx(alone, rel=0.01)
    figure(f"two workers, one killed after epoch {last} of {EPOCHS_OF_TWO}: last loss {losses[EPOCHS_OF_TWO]}")


def only_pod(release: Release) -> str:
    (pod,) = pods(release)
    return str(pod["metadata"]["name"])


def trained_by(pod: str, release: Release) -> list[int]:
    """Return the epochs in a pod's log."""
    said = release.cluster.kubectl("-n", release.namespace, "logs", pod)
    return [int(epoch) for epoch in re.findall(r"^Epoch +(\d+)/", said, re.MULTILINE)]
