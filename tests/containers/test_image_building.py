"""`make image` fails with one line if something is wrong, and leaves nothing behind if it is interrupted."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from containers.coldstart import cold_start
from tests.containers.conftest import ENGINE, Image, engine
from tests.integration.conftest import Store
from tests.stored import write_entry


@pytest.fixture(scope="module")
def stocked(usable_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a store with a model."""
    root = tmp_path_factory.mktemp("stocked")
    store = Store(root / "home")
    store.publish(write_entry(root / "entry"))
    return store


def failed(store: Store, **variables: str) -> str:
    """Run a build that must fail, and return the line that says why."""
    environment = store.environment | variables
    done = subprocess.run(
        ["containers/image"], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def test_an_unknown_base_image_fails_with_one_line(stocked: Store) -> None:
    line = failed(stocked, BASE_IMAGE="localhost/no-such-image:1")
    assert line.startswith(
        "base-image: BASE_IMAGE=localhost/no-such-image:1 is not on this machine and can't be pulled"
    )


def test_a_base_image_without_python_fails_with_one_line(stocked: Store, tmp_path: Path) -> None:
    (tmp_path / "Containerfile").write_text("FROM scratch\nCOPY Containerfile /\n")
    name = "localhost/image-classifier-test-empty:1"
    engine("build", "--quiet", "--tag", name, "--file", str(tmp_path / "Containerfile"), str(tmp_path))
    try:
        assert failed(stocked, BASE_IMAGE=name) == f"base-image: BASE_IMAGE={name} has no python3 with pip"
    finally:
        engine("image", "rm", "--force", name)


def test_an_unknown_model_fails_with_one_line(stocked: Store) -> None:
    assert "MODEL_TAG=image_classifier:none: no such model in the store" in failed(
        stocked, MODEL_TAG="image_classifier:none"
    )


def test_an_unknown_engine_fails_with_one_line(stocked: Store) -> None:
    assert failed(stocked, ENGINE="no-such-engine").startswith("engine: no container engine: install Docker or podman")


def test_an_image_that_does_not_start_is_reported_with_its_log(image: Image, tmp_path: Path) -> None:
    (tmp_path / "Containerfile").write_text(f"FROM {image.name}\nENV MAX_PIXELS=abc\n")
    name = "localhost/image-classifier-test-wrong:1"
    engine("build", "--quiet", "--tag", name, "--file", str(tmp_path / "Containerfile"), str(tmp_path))
    try:
        with pytest.raises(RuntimeError, match="wrong:1 ended; its log: error: MAX_PIXELS='abc'"):
            cold_start(ENGINE, name)
    finally:
        engine("image", "rm", "--force", name)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(folder)], check=False)
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_found_before_anything_is_built(stocked: Store, small_disk: Path) -> None:
    assert re.search(r"small has \d+ MB free; the build needs 2000 MB$", failed(stocked, TMPDIR=str(small_disk)))


def left() -> set[str]:
    """Return the containers of builds, their images, and their mounts."""
    containers = engine("ps", "--all", *(["--external"] if engine("--name").stdout.strip() == "podman" else [])).stdout
    images = engine("images", "--quiet", "localhost/image-classifier-stage").stdout
    mounts = Path("/proc/self/mounts").read_text()
    return {
        *(line.split()[0] for line in containers.splitlines() if "-working-container" in line),
        *images.split(),
        *(line.split()[1] for line in mounts.splitlines() if "/containers/" in line),
    }


def test_an_interrupted_build_leaves_nothing(stocked: Store, tmp_path: Path) -> None:
    before = left()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = stocked.environment | {"TMPDIR": str(temporary)}
    process = subprocess.Popen(
        ["containers/image"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # In a terminal, Ctrl-C reaches every process of the foreground job.
        start_new_session=True,
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "containerizing" in line:
                break
        time.sleep(3)
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "image: interrupted"
    assert left() - before == set()
    assert list(temporary.iterdir()) == []
