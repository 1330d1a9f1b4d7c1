"""A bad release never takes traffic: the old version answers all the while, and the command says what was wrong."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cluster.settings import REPOSITORY
from tests.cluster.product import Product
from tests.cluster.target import Target

# It exists in no registry.
MISSING = {"image": {"digest": "sha256:" + "0" * 64}}
CRASHING = {"extraEnv": [{"name": "MODEL_TAG", "value": "no_such_model:1"}]}
# It waits for something that doesn't happen.
WAITING = {
    "extraInitContainers": [
        {
            "name": "wait",
            "command": ["python", "-c", "import time; time.sleep(3600)"],
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ]
}


def release(target: Target, values: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """`python -m k8s release`, as a person types it."""
    command = [sys.executable, "-m", "k8s", "release", target.release.name, "-n", target.release.namespace]
    return subprocess.run(
        [*command, "--values", values, *flags],
        cwd=REPOSITORY,
        env=target.release.cluster.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize("fault", [MISSING, CRASHING, WAITING], ids=["no such image", "crash loop", "never ready"])
def test_a_bad_release_is_undone_and_loses_nothing(
    target: Target, product: Product, figure: Callable[[str], None], tmp_path: Path, fault: dict[str, Any]
) -> None:
    image = f"{product.registry}/image-classifier@{product.digest}"
    bad = target.values | {key: _image(value, image) for key, value in fault.items()}
    bad["image"] = target.values["image"] | fault.get("image", {})
    values = tmp_path / "values.json"
    values.write_text(json.dumps(bad))
    with target.probe() as probe:
        time.sleep(2)
        done = release(target, values, "--timeout", "60s", "--slo", "none")
        time.sleep(2)
    assert done.returncode == 3, done.stdout + done.stderr
    assert not probe.verdict.failures, str(probe.verdict)
    assert [version for _, version in probe.verdict.versions] == [product.model]
    figure(f"{len(probe.verdict.requests)} requests, 0 failed; {done.stderr.strip().splitlines()[-1]}")


def _image(value: Any, image: str) -> Any:
    """Containers that the values add run the product's own image."""
    if isinstance(value, list):
        return [each | {"image": image} if "command" in each else each for each in value]
    return value
