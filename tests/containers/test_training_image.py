"""Run the training image as the Job of `python -m k8s train` does: read-only, unprivileged, without a network."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from k8s.jobs.job import DATA, SCRATCH, STORE, Training, manifest
from tests.containers.conftest import engine

NAME = "image-classifier-training-test"
"""The tests' own image name, so that an image which a person built stays."""

SHORT = ("--epochs", "1", "--image-size", "8", "--depth", "1", "--width", "8", "--dense", "0", "--no-int8")
TAG = re.compile(r"image_classifier:[a-z0-9]+")


def build(**variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"IMAGE_NAME": NAME} | variables
    return subprocess.run(
        ["containers/job-image", "training"], env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="session")
def training_image(usable_engine: None) -> Iterator[str]:
    """Yield the image's name. A build takes minutes; if nothing has changed, the script uses an earlier image."""
    done = build()
    assert done.returncode == 0, done.stderr
    yield done.stdout.strip()
    engine("image", "rm", NAME + ":" + done.stdout.strip().rpartition(":")[2])


@dataclass(frozen=True)
class Job:
    """A training as Kubernetes would run it, with folders of this machine instead of claims."""

    image: str
    store: Path
    data: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        wanted = manifest(Training("photos", self.image, "store", arguments, "data"))
        pod = wanted["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        limits, own = container["securityContext"], pod["securityContext"]
        options = [
            f"--user={own['runAsUser']}:{own['runAsGroup']}",
            f"--memory={container['resources']['limits']['memory'].removesuffix('i')}",
            f"--entrypoint={container['command'][0]}",
            *(f"--cap-drop={name}" for name in limits["capabilities"]["drop"]),
            *(f"--env={entry['name']}={entry['value']}" for entry in container["env"]),
            f"--volume={self.store}:{STORE}",
            f"--volume={self.data}:{DATA}:ro",
            f"--tmpfs={SCRATCH}",
            "--network=none",
        ]
        options += ["--read-only"] if limits["readOnlyRootFilesystem"] else []
        options += [] if limits["allowPrivilegeEscalation"] else ["--security-opt=no-new-privileges"]
        return engine("run", "--rm", *options, self.image, *container["command"][1:], *container["args"], check=False)

    def stored(self) -> list[Path]:
        return list(self.store.glob("models/image_classifier/*/"))


@pytest.fixture
def job(training_image: str, tmp_path: Path) -> Job:
    folders = tmp_path / "store", tmp_path / "data"
    for folder in folders:
        folder.mkdir()
        folder.chmod(0o777)  # as with fsGroup on a claim
    return Job(training_image, *folders)


def test_a_short_training_publishes_a_model_and_a_second_pod_finds_it(job: Job) -> None:
    done = job.run("--data", "digits", *SHORT)
    assert done.returncode == 0, done.stderr
    tag = done.stdout.splitlines()[-1]
    assert TAG.fullmatch(tag)
    (entry,) = job.stored()
    assert entry.name == tag.partition(":")[2]
    assert {"model.keras", "model.onnx", "golden", "model.yaml"} <= {file.name for file in entry.iterdir()}
    metrics = json.loads((job.store / "runs" / "photos" / "metrics.json").read_text())
    assert metrics["model"]["tag"] == tag
    assert (job.store / "runs" / "photos" / "report.html").exists()
    # This is what happens if the Job's pod is evicted after it has ended, and is created again.
    again = job.run("--data", "digits", *SHORT)
    assert again.returncode == 0, again.stderr
    assert "is complete already" in again.stderr
    assert again.stdout.splitlines()[-1] == tag
    assert job.stored() == [entry]


def test_bad_data_ends_with_one_line_and_an_exit_code_that_the_job_does_not_retry(job: Job) -> None:
    (job.data / "red").mkdir()
    (job.data / "red" / "readme.txt").write_text("no image")
    done = job.run("--data", DATA, *SHORT)
    final = manifest(Training("photos", job.image, "store", ()))["spec"]["podFailurePolicy"]["rules"][0]
    assert done.returncode in final["onExitCodes"]["values"]
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "/data" in line
    assert job.stored() == []


def test_an_unchanged_image_is_not_built_again(training_image: str) -> None:
    id_ = engine("image", "inspect", "--format={{.Id}}", training_image).stdout
    done = build()
    assert (done.returncode, done.stdout.strip()) == (0, training_image)
    assert "nothing has changed since the last build" in done.stderr
    assert engine("image", "inspect", "--format={{.Id}}", training_image).stdout == id_


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        (
            "BASE_IMAGE=localhost/no-such-image:1",
            "base-image: BASE_IMAGE=localhost/no-such-image:1 is not on this machine",
        ),
        ("ENGINE=no-such-engine", "engine: no container engine"),
    ],
)
def test_an_impossible_build_fails_with_one_line(usable_engine: None, variable: str, said: str) -> None:
    done = build(**dict([variable.split("=")]))
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(said)
