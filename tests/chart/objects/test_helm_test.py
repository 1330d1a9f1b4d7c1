"""The program of `helm test`, as the chart renders it, against a real server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chart.conftest import template
from tests.chart.manifests import NAME
from tests.integration.conftest import Server, Store, free_port, serving, wait_until_ready
from tests.stored import write_entry


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    root = tmp_path_factory.mktemp("helm-test")
    store = Store(root / "home")
    store.publish(write_entry(root / "entry"))
    return store


@pytest.fixture(scope="module")
def server(store: Store) -> Iterator[Server]:
    with serving(store, ".", API_KEYS="first,second") as server:
        yield server


def helm_test(
    url: str, home: Path, cwd: Path = Path(), management: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the test pod's command with `url` as the Service and `home` as the folder of the image's Bento.

    Without `management`, `url` also has probes and metrics.

    The command runs in `cwd`, which holds the service's code.
    """
    (container,) = template().get("Pod", f"{NAME}-test")["spec"]["containers"]
    python, *options, service, monitored, _ = container["command"]
    assert (python, service, monitored) == ("python", f"http://{NAME}:80", f"http://{NAME}-headless:3001")
    environment = os.environ | {"BENTO_PATH": str(home)} | variables
    command = [sys.executable, *options, url, management or url, "1"]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_a_service_that_predicts_the_golden_classes_passes(server: Server, store: Store) -> None:
    done = helm_test(server.url, store.home, API_KEYS="first,second")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert all(line.startswith("ok: ") for line in lines)
    for check in ("red.png is 'red'", "half an image is refused with a 4xx and a reason", "/metrics counts requests"):
        assert f"ok: {check}" in lines
    assert server.metric("image_classifier_predictions_total") >= 3
    assert server.metric("image_classifier_rejected_images_total") >= 2


def test_probes_and_metrics_are_asked_on_the_management_port(store: Store) -> None:
    """The kind: the chart's own test relies on routes that the Service no longer has."""
    port = free_port()
    with serving(store, ".", wait=False, MANAGEMENT_PORT=str(port)) as server:
        management = replace(server, port=port)
        wait_until_ready(management)
        done = helm_test(server.url, store.home, management=management.url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok: /metrics counts requests" in done.stdout


def test_without_a_management_port_the_service_is_asked_for_everything() -> None:
    pod = template({"settings.managementPort": 0}).get("Pod", f"{NAME}-test")
    assert pod["spec"]["containers"][0]["command"][-3:-1] == [f"http://{NAME}:80"] * 2


def test_a_wrong_answer_fails(server: Server, store: Store, tmp_path: Path) -> None:
    shutil.copytree(store.home / "models", tmp_path / "models")
    (file,) = tmp_path.glob("models/*/*/golden/golden.json")
    golden = json.loads(file.read_text())
    golden[0]["class"] = "blue"
    file.write_text(json.dumps(golden))
    done = helm_test(server.url, tmp_path, API_KEYS="second")
    assert done.returncode == 1
    assert "FAILED: red.png is 'blue': " in done.stdout


def test_a_wrong_key_fails(server: Server, store: Store) -> None:
    done = helm_test(server.url, store.home, API_KEYS="third")
    assert done.returncode == 1
    assert "FAILED: red.png is answered: (401" in done.stdout


def test_a_missing_model_fails(server: Server, tmp_path: Path) -> None:
    done = helm_test(server.url, tmp_path)
    assert done.returncode == 1
    assert "FAILED: the model has golden images: no golden.json in" in done.stdout


def test_an_unreachable_service_fails(store: Store) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = helm_test(url, store.home)
    assert done.returncode == 1
    assert f"FAILED: {url} is ready: {url}/readyz did not return 200 within 1 s" in done.stdout


def test_code_beside_the_model_of_the_bento_is_found(server: Server, store: Store, tmp_path: Path) -> None:
    (tmp_path / "src").symlink_to(Path.cwd())
    (tmp_path / "models").symlink_to(store.home / "models")
    done = helm_test(server.url, tmp_path, cwd=tmp_path, API_KEYS="first")
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_image_that_is_older_than_the_chart_fails_with_one_line(tmp_path: Path) -> None:
    done = helm_test("http://127.0.0.1:9", tmp_path, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "FAILED: the image is older than this chart; upgrade the image, or use the chart of its version\n"
    )
